//! The sample application's image in the test cluster.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::Kube;

/// Its full name; `house-price`, `api`, `web` and `get` are its roles.
const IMAGE: &str = "docker.io/local/shop:1.0.0";
static LOADED: OnceLock<()> = OnceLock::new();

/// The name of the image, built where it is not fresh, and loaded once.
pub fn image(kube: &Kube) -> &'static str {
    LOADED.get_or_init(|| {
        let top = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        // This program is <target>/debug/deps/cluster-...
        let program = std::env::current_exe().unwrap();
        let target = program.ancestors().nth(3).unwrap();
        let built = Command::new(top.join("deploy/demo/images.sh"))
            .arg("build")
            .env("CARGO_TARGET_DIR", target)
            .env("LOCAL_CLUSTER", target.join("debug/local-cluster"))
            .env("VERSIONS", "1.0.0")
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        kube.cluster().load_image(&target.join("images/shop-1.0.0.tar")).unwrap();
    });
    IMAGE
}

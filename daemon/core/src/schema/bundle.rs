//! The schemas of Kubernetes 1.35 in this crate: one OpenAPI document with what the checks need of every group,
//! compressed. `deploy/schemas/update.sh` writes it from a running API server.

use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use super::catalogue::Catalogue;
use super::document;

static COMPRESSED: &[u8] = include_bytes!("bundle/kubernetes-1.35.json.gz");

/// Read once, then shared.
pub(super) fn kubernetes_1_35() -> &'static Arc<Catalogue> {
    static READ: OnceLock<Arc<Catalogue>> = OnceLock::new();
    READ.get_or_init(|| {
        let mut json = Vec::new();
        flate2::read::GzDecoder::new(COMPRESSED)
            .read_to_end(&mut json)
            .expect("the bundle is whole: a test reads it");
        let document = serde_json::from_slice(&json).expect("the bundle is JSON: a test reads it");
        Arc::new(document::read(&[document]))
    })
}

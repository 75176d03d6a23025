//! The offline schema check against the API server of a real cluster (`TIDEGATE_TEST_KUBECONFIG`).

use std::path::PathBuf;

use tidegate_proptests::schema_oracle::Oracle;

#[test]
fn the_offline_check_says_what_the_api_server_says() {
    let kubeconfig = std::env::var_os("TIDEGATE_TEST_KUBECONFIG")
        .expect("this test needs a cluster: make test, or TIDEGATE_TEST_KUBECONFIG");
    let mut oracle = Oracle::new(&PathBuf::from(kubeconfig));
    if let Some(kubectl) = std::env::var_os("TIDEGATE_KUBECTL") {
        oracle.kubectl = PathBuf::from(kubectl);
    }
    let report = oracle.compare().expect("kubectl and the cluster answer");
    println!("{} manifests compared", report.compared);
    assert!(report.compared > 50, "only {} manifests", report.compared);
    let disagreements: Vec<String> = report.disagreements.iter().map(ToString::to_string).collect();
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}

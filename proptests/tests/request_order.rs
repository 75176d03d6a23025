//! The order of requests that the simulated daemon copies from the real one: the list that the real one's are held against too
//! (`daemon/tests/cluster/request_order.rs`).

use tidegate_proptests::world::calm::{EXPECTED, Scenario, requests};

#[test]
fn the_simulated_daemon_sends_the_requests_of_the_real_one() {
    let mut told = String::new();
    for scenario in Scenario::ALL {
        told.push_str(&format!("{scenario:?}\n"));
        for request in requests(scenario) {
            told.push_str(&format!("  {request}\n"));
        }
    }
    // The simulated cluster's clock is as fine as its steps: what is sent when changed is sent.
    let lines = EXPECTED.lines().filter(|line| !line.starts_with('#'));
    let wanted: Vec<&str> = lines.map(|line| line.trim_end_matches(", when changed")).collect();
    assert_eq!(told.lines().collect::<Vec<_>>(), wanted, "it sends:\n{told}");
}

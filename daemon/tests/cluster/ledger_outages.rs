//! The deploy log where several write, or where its remote does not do as it should: nothing is held up, lost or told twice.

use serde_json::Value;

use crate::ledger::{Logs, clean, clean_of, kinds};
use crate::support::{World, check, config_map, environment, eventually};

/// Two daemons of one installation.
const REPLICAS: [&str; 2] = ["one", "two"];

/// Commits a number, and waits until it is live.
fn deploy(world: &World, number: u32) -> String {
    let prices = config_map("prices", "rooms", &number.to_string());
    let settings = world.environment("");
    let files = [("environment.yaml", settings.as_str()), ("prices.yaml", prices.as_str())];
    let commit = world.commit(&format!("price {number}"), &files);
    world.wait_for("live", &commit);
    commit
}

fn commits(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["source"]["commit"].as_str().unwrap_or_default()).collect()
}

#[test]
fn six_environments_write_at_once_and_no_push_of_theirs_is_rejected() {
    const ENVIRONMENTS: usize = 6;
    const COMMITS: usize = 4;
    let (world, logs) = (World::new("log-six"), Logs::new());
    let names: Vec<String> = (0..ENVIRONMENTS).map(|number| format!("log-six-{number}")).collect();
    for name in &names {
        clean_of(&world, name);
    }
    logs.hooks();
    let daemon = logs.daemon(&world, &[]);
    let mut asked = Vec::new();
    for number in 0..COMMITS {
        for name in &names {
            let folder = format!("environments/{name}");
            world.repo.write(&format!("{folder}/environment.yaml"), &environment(name, name, ""));
            world
                .repo
                .write(&format!("{folder}/prices.yaml"), &config_map("prices", "rooms", &number.to_string()));
        }
        asked.push(world.repo.commit(&format!("price {number} everywhere")));
        for name in &names {
            world.wait_for_environment(name, "live", asked.last().unwrap());
        }
    }
    for name in &names {
        let records = eventually(&format!("{name} is told"), || {
            let records = logs.records_of(&world, name);
            check(records.len() >= COMMITS, format!("{records:#?}"))?;
            Ok(records)
        });
        assert_eq!(commits(&records), asked, "{name}");
        assert_eq!(kinds(&records), ["deploy succeeded"; COMMITS], "{name}");
    }
    eventually("each push has landed", || {
        let (begun, landed) = logs.pushes();
        check(begun == landed && landed >= ENVIRONMENTS, format!("{begun} pushes, {landed} of them landed"))
    });
    let log = daemon.log();
    assert!(!log.contains("is not where it was left") && !log.contains("is not pushed"), "{log}");
    let (code, told) = logs.verify(&world);
    assert_eq!(code, 0, "{told}");
    for name in &names {
        world.kube.leave(name);
    }
}

/// Which of the daemons has the environment.
fn holder(world: &World) -> usize {
    let status = world.status();
    let holder = REPLICAS.iter().position(|name| status["replica"] == **name);
    holder.unwrap_or_else(|| panic!("{status:#}"))
}

#[test]
fn daemons_that_take_an_environment_from_each_other_write_one_log() {
    let (world, logs) = (World::new("log-turns"), Logs::new());
    clean(&world);
    // One after the other: two that begin in the same moment both tell of what they find, until they know of each other.
    let start = |replica| logs.daemon(&world, &["--replica", replica]);
    let mut daemons = vec![start(REPLICAS[0])];
    let mut asked = vec![deploy(&world, 0)];
    daemons.push(start(REPLICAS[1]));
    for turn in 1..=2 {
        // Whoever has it ends; the other one goes on, with a cache of its own.
        let holder = holder(&world);
        daemons[holder].kill();
        asked.push(deploy(&world, turn));
        daemons[holder].restart();
    }
    let records = logs.wait_for(&world, 3);
    assert_eq!(commits(&records), asked, "{records:#?}");
    assert_eq!(kinds(&records), ["deploy succeeded"; 3]);
    // Once both live again, the environment may go back to the first one by itself.
    let by: Vec<&Value> = records.iter().map(|record| &record["actor"]["replica"]).collect();
    assert!(by[0] != by[1], "the second one was written by the other one: {by:?}");
    assert!(records.iter().all(|record| record["epoch"] == 0), "nobody else wrote there: {records:#?}");
    assert!(daemons.iter().all(|daemon| !daemon.log().contains("is not as it was left")));
    let (code, told) = logs.verify(&world);
    assert_eq!(code, 0, "{told}");
}

#[test]
fn a_remote_that_refuses_holds_nothing_up_and_takes_everything_once_it_lets_us() {
    let (world, logs) = (World::new("log-refused"), Logs::new());
    clean(&world);
    let daemon = logs.daemon(&world, &[]);
    let mut asked = vec![deploy(&world, 0)];
    logs.wait_for(&world, 1);
    logs.refuse(Some("GH006: Protected branch update failed for refs/heads/deploylog"));
    asked.extend([deploy(&world, 1), deploy(&world, 2)]);
    eventually("it says why", || {
        let log = daemon.log();
        check(log.contains("GH006: Protected branch update failed"), log)
    });
    assert_eq!(commits(&logs.records(&world)), asked[..1]);
    logs.refuse(None);
    let records = logs.wait_for(&world, 3);
    assert_eq!(commits(&records), asked);
    assert_eq!(kinds(&records), ["deploy succeeded"; 3]);
    let (code, told) = logs.verify(&world);
    assert_eq!(code, 0, "{told}");
}

#[test]
fn a_log_that_is_moved_back_or_deleted_goes_on_in_the_next_epoch_without_a_record_lost() {
    let (world, logs) = (World::new("log-forced"), Logs::new());
    clean(&world);
    let _daemon = logs.daemon(&world, &[]);
    let mut asked = vec![deploy(&world, 0), deploy(&world, 1)];
    logs.wait_for(&world, 2);
    let first = logs.branches();
    assert_eq!(first.len(), 1, "{first:?}");
    // Somebody forces it back by one, and later takes the next one away.
    logs.force(&first[0], Some(&format!("{}~1", first[0])));
    asked.push(deploy(&world, 2));
    let second = eventually("the log goes on", || {
        let branches = logs.branches();
        branches.iter().find(|branch| branch.ends_with("/1")).cloned().ok_or_else(|| format!("{branches:?}"))
    });
    logs.wait_for(&world, 4);
    logs.force(&second, None);
    asked.push(deploy(&world, 3));
    let told = || {
        let records = logs.records(&world);
        records.into_iter().filter(|record| record["kind"] == "deploy").collect::<Vec<Value>>()
    };
    let records = eventually("nothing is lost", || {
        let records = told();
        check(records.len() == asked.len(), format!("{records:#?}"))?;
        Ok(records)
    });
    assert_eq!(commits(&records), asked, "{records:#?}");
    let alarms = logs.records(&world).into_iter().filter(|record| record["kind"] == "config").count();
    assert_eq!(alarms, 2, "each of the two is an alarm in the log");
    assert!(logs.branches().iter().any(|branch| branch.ends_with("/2")), "{:?}", logs.branches());
}

#[test]
fn a_daemon_with_another_key_does_not_go_on_with_the_log_of_the_first() {
    let (world, mut logs) = (World::new("log-key"), Logs::new());
    clean(&world);
    let mut daemon = logs.daemon(&world, &[]);
    let first = deploy(&world, 0);
    logs.wait_for(&world, 1);
    let (branch, tip) = (logs.branches().remove(0), logs.tips().remove(0));
    daemon.kill();
    logs.rekey();
    let other = logs.daemon(&world, &[]);
    let second = deploy(&world, 1);
    eventually("the log goes on", || {
        let branches = logs.branches();
        check(branches.iter().any(|branch| branch.ends_with("/1")), format!("{branches:?}\n{}", other.log()))
    });
    assert!(other.log().contains("is not as it was left"), "{}", other.log());
    assert!(logs.tips().contains(&tip), "{branch} stays at {tip}: {:?}", logs.tips());
    let records = logs.records(&world);
    let deploys: Vec<Value> = records.iter().filter(|record| record["kind"] == "deploy").cloned().collect();
    assert!(commits(&deploys).contains(&second.as_str()), "{first}: {records:#?}");
}

//! How the deploy log of an environment stands, for people and monitors: records that the remote does not take, and a log that somebody
//! else wrote on. Not here: records themselves ([`super::ledger`]).

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tidegate_core::problem::{Code, Problem};
use tokio::sync::{Notify, watch};

use crate::ledger::Pushed;
use crate::telemetry::{EnvironmentLabel, Metrics};

/// Records that wait for less are on their way.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// What is told of a log that stands so.
pub fn log_problems(pushed: &Pushed, now: Timestamp) -> Vec<Problem> {
    let altered = pushed.alarm.as_ref().map(|alarm| {
        Problem::warning(Code::LedgerAltered, alarm.clone()).help(
            "look who wrote there (`git log` of that branch, the forge's audit log), and take the right to push to `deploylog/**` away \
             from everybody but the daemon; records go on in the new epoch, and this is told until the daemon starts again",
        )
    });
    let behind = pushed.since.filter(|since| now.duration_since(*since) >= GRACE).map(|since| {
        let why = pushed.trouble.as_deref().unwrap_or("they are being pushed");
        let records = if pushed.waiting == 1 { "1 record".to_owned() } else { format!("{} records", pushed.waiting) };
        let since = since.strftime("%Y-%m-%d %H:%M:%SZ");
        let message = format!("{records} of the deploy log are not pushed, the oldest since {since}: {why}");
        Problem::warning(Code::LedgerBehind, message).help(
            "deploys go on, and the records wait in the cluster; once the remote takes them they are pushed in their order, with their \
             own times",
        )
    });
    altered.into_iter().chain(behind).collect()
}

/// Keeps the metrics, and wakes the lane when there is something else to tell. Ends with the log's task.
pub async fn follow(
    mut pushed: watch::Receiver<Pushed>,
    metrics: Arc<Metrics>,
    environment: String,
    wake: Arc<Notify>,
) {
    let label = EnvironmentLabel { environment };
    let mut told: Vec<Code> = Vec::new();
    loop {
        let now = Timestamp::now();
        let state = pushed.borrow_and_update().clone();
        let waiting = i64::try_from(state.waiting).unwrap_or(i64::MAX);
        metrics.ledger_waiting.get_or_create(&label).set(waiting);
        metrics.ledger_altered.get_or_create(&label).set(i64::from(state.alarm.is_some()));
        let problems = log_problems(&state, now);
        let behind = problems.iter().any(|problem| problem.code == Code::LedgerBehind);
        metrics.ledger_behind.get_or_create(&label).set(i64::from(behind));
        let codes: Vec<Code> = problems.iter().map(|problem| problem.code).collect();
        if codes != told {
            told = codes;
            wake.notify_one();
        }
        let due =
            state.since.filter(|_| !behind).map(|since| GRACE.saturating_sub(now.duration_since(since)));
        let due = due.and_then(|due| Duration::try_from(due).ok());
        let changed = match due {
            Some(due) => tokio::time::timeout(due, pushed.changed()).await.unwrap_or(Ok(())),
            None => pushed.changed().await,
        };
        if changed.is_err() {
            break;
        }
    }
    for gauge in [&metrics.ledger_waiting, &metrics.ledger_altered, &metrics.ledger_behind] {
        gauge.remove(&label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn records_on_their_way_are_no_problem_and_those_that_wait_are_told_with_why() {
        let pushed = Pushed {
            waiting: 2,
            since: Some(at(100)),
            trouble: Some("connection refused".to_owned()),
            ..Pushed::default()
        };
        assert!(log_problems(&pushed, at(159)).is_empty());
        let told = log_problems(&pushed, at(160));
        assert_eq!(told[0].code, Code::LedgerBehind);
        let message = "2 records of the deploy log are not pushed, the oldest since 1970-01-01 00:01:40Z: connection refused";
        assert_eq!(told[0].message, message);
    }

    #[tokio::test(start_paused = true)]
    async fn the_lane_is_woken_when_there_is_something_else_to_tell_and_metrics_go_with_the_log() {
        let (sender, receiver) = watch::channel(Pushed::default());
        let (metrics, wake) = (Arc::<Metrics>::default(), Arc::<Notify>::default());
        let task = tokio::spawn(follow(receiver, metrics.clone(), "shop".to_owned(), wake.clone()));
        let long_ago = Timestamp::now() - SignedDuration::from_secs(90);
        sender.send_modify(|state| (state.waiting, state.since) = (3, Some(long_ago)));
        wake.notified().await;
        let text = metrics.encode();
        for line in ["ledger_waiting{environment=\"shop\"} 3", "ledger_behind{environment=\"shop\"} 1"] {
            assert!(text.contains(line), "{line}: {text}");
        }
        sender.send_modify(|state| state.alarm = Some("somebody".to_owned()));
        wake.notified().await;
        assert!(metrics.encode().contains("ledger_altered{environment=\"shop\"} 1"));
        drop(sender);
        task.await.unwrap();
        assert!(!metrics.encode().contains("ledger_waiting{"), "it is nobody's any more");
    }
}

//! `abort`, `promote`, `rollback`, `retry`, and `resume` of a workload: what a person orders about a rollout, written on the
//! pointer for the daemon to find. Who ordered it and why stays in the cluster with what came of it.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use tidegate_core::rollout::{
    Command, Order, PointerRecord, Record, Revision, SLOT_RECORD, Slot, SlotRecord, WorkloadStatus,
};
use tidegate_core::workload::names::APP;

use super::exit::{Exit, Failure};
use super::options::{Global, reason};
use super::person::person;
use super::target::{self, TargetCluster, unreachable};
use crate::cluster::call::CallError;
use crate::cluster::parent::Parent;
use crate::rollout::calls::{Calls, Kind, Live, ROLLOUT};
use crate::rollout::{bodies, record_of};

/// How often an order is written again when the daemon writes the pointer at the same time.
const ATTEMPTS: u32 = 10;

/// Which workload, and why.
#[derive(Debug, clap::Args)]
pub struct OrderArgs {
    /// The workload, as ENVIRONMENT/NAME (or ENVIRONMENT/NAMESPACE/NAME)
    #[arg(value_name = "ENVIRONMENT/NAME")]
    pub workload: String,
    /// Why; kept on the pointer and in what comes of it
    #[arg(long, value_parser = reason)]
    pub reason: String,
}

/// Writes the order.
pub async fn run(global: &Global, command: Command, args: &OrderArgs) -> Result<Exit, Failure> {
    let (environment, name) = args.workload.split_once('/').ok_or_else(|| {
        let text = format!("`{}` is not ENVIRONMENT/NAME", args.workload);
        Failure::new(Exit::Usage, text)
    })?;
    let (cluster, parent) = target::parent(global, environment).await?;
    let (namespace, app) = named(&parent, name)?;
    let by = person(&cluster.client).await;
    let calls = Calls::new(cluster.client.clone(), namespace.clone());
    let failed = |error: &CallError| unreachable(&cluster.name, error);
    let slots = slots_of(&calls, &app).await.map_err(|error| failed(&error))?;
    let service = pointer_of(&slots).ok_or_else(|| {
        Failure::new(Exit::Refused, format!("{namespace}/{app} has no colours in the cluster"))
    })?;
    for attempt in 1..=ATTEMPTS {
        let live = calls.read(Kind::Service, &service).await.map_err(|error| failed(&error))?;
        let Some((live, record)) = live.and_then(|live| Some((live.clone(), record_of(&live)?))) else {
            let text = format!("Service {namespace}/{service} carries no record of a rollout");
            return Err(Failure::new(Exit::Refused, text));
        };
        let revision = meant(&record, status_of(&parent, &namespace, &app), &slots, command)
            .map_err(|why| Failure::new(Exit::Refused, format!("{namespace}/{app}: {why}")))?;
        let order = Order {
            command,
            revision,
            person: Arc::from(by.as_str()),
            reason: Arc::from(args.reason.as_str()),
            at: Timestamp::now(),
        };
        match write(&calls, &live, &record, order).await {
            Ok(()) => {
                say(global, &cluster, &parent, (command, &namespace, &app, &by, &args.reason));
                return Ok(Exit::Ok);
            }
            Err(CallError::Conflict(_)) if attempt < ATTEMPTS => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    Err(Failure::new(Exit::Refused, format!("{namespace}/{app} is written again and again; try once more")))
}

fn say(
    global: &Global,
    cluster: &TargetCluster,
    parent: &Parent,
    (command, namespace, app, by, reason): (Command, &str, &str, &str, &str),
) {
    let (environment, word) = (parent.environment.as_str(), command.as_str());
    let text = format!("{environment}: {word} of {namespace}/{app} ordered by {by} ({reason})\n");
    let data = json!({
        "schema": "tidegate.order/v1", "environment": environment, "cluster": cluster.name, "order": word,
        "workload": format!("{namespace}/{app}"), "by": by, "reason": reason,
    });
    global.print(&text, &data);
}

/// The namespace and name of a workload of an environment.
fn named(parent: &Parent, name: &str) -> Result<(String, String), Failure> {
    let matches =
        |known: &&String| **known == *name || known.split_once('/').is_some_and(|(_, app)| app == name);
    let found: Vec<&String> = parent.workloads.iter().filter(matches).collect();
    let known = parent.workloads.iter().cloned().collect::<Vec<_>>().join(", ");
    match found.as_slice() {
        [one] => Ok(one.split_once('/').map_or_else(
            || (String::new(), (*one).clone()),
            |(namespace, app)| (namespace.to_owned(), app.to_owned()),
        )),
        [] if known.is_empty() => {
            let text = format!("{}: nothing of it rolls out in colours", parent.environment);
            Err(Failure::new(Exit::Invalid, text))
        }
        [] => {
            let text = format!("{}: there is no workload `{name}`; there are: {known}", parent.environment);
            Err(Failure::new(Exit::Invalid, text))
        }
        _ => {
            let text = format!("{}: `{name}` is in several namespaces: {known}", parent.environment);
            Err(Failure::new(Exit::Usage, text))
        }
    }
}

/// The Deployments of a workload.
async fn slots_of(calls: &Calls, app: &str) -> Result<Vec<Live>, CallError> {
    let mut slots = calls.list(Kind::Deployment, &format!("{APP}={app}")).await?;
    // One that was taken over carries the record without the label.
    slots.extend(calls.read(Kind::Deployment, app).await?);
    Ok(slots)
}

/// True when a colour has pods. Which colour a Deployment is stands on its pods: of one that was taken over there alone.
fn has_pods(slots: &[Live], slot: Slot) -> bool {
    let label = "/spec/template/metadata/labels/tidegate.dev~1slot";
    slots.iter().any(|live| live.text(label) == slot.to_string() && live.number("/spec/replicas") > 0)
}

/// The name of a workload's pointer, as its slots say it.
fn pointer_of(slots: &[Live]) -> Option<String> {
    let records = slots.iter().filter_map(|live| serde_json::from_str(live.annotation(SLOT_RECORD)?).ok());
    records.max_by_key(|record: &SlotRecord| record.prepared_at).map(|record| record.service)
}

fn status_of<'a>(parent: &'a Parent, namespace: &str, app: &str) -> Option<&'a WorkloadStatus> {
    let all = parent.status.as_ref().map(|status| status.workloads.as_slice()).unwrap_or_default();
    all.iter()
        .find(|status| status.workload.name == app && status.workload.namespace.as_deref() == Some(namespace))
}

/// The revision that the order is about; why there is none.
fn meant(
    PointerRecord { app: _, record, held, halted_because: _ }: &PointerRecord,
    status: Option<&WorkloadStatus>,
    slots: &[Live],
    command: Command,
) -> Result<Revision, String> {
    let live = record.live.and_then(|live| held.get(live).as_ref()).map(|held| held.revision);
    let desired = status.and_then(|status| status.desired.as_ref()?.parse::<Revision>().ok());
    let nothing = |why: &str| Err(why.to_owned());
    match command {
        Command::Abort => match (record.is_baking(), live, desired) {
            (true, Some(live), _) => Ok(live),
            (_, live, Some(desired)) if Some(desired) != live => Ok(desired),
            (_, _, Some(_)) => nothing("nothing new is on its way"),
            (_, _, None) => nothing("what git asks for is not known"),
        },
        Command::Promote => match live.filter(|_| record.is_baking()) {
            Some(live) => Ok(live),
            None => nothing("no bake is open"),
        },
        Command::RollBack if !record.live.is_some_and(|live| has_pods(slots, live.other())) => nothing(
            "the other colour is put away (`standby` of the policy keeps it longer); revert the commit",
        ),
        Command::RollBack => live.map_or_else(|| nothing("nothing is live"), Ok),
        Command::Resume if record.halted.is_none() => nothing("it is not halted"),
        Command::Resume => live.or(desired).map_or_else(|| nothing("nothing is live"), Ok),
        Command::Retry => match &record.rejected {
            Some(rejected) if desired.is_some_and(|desired| desired != rejected.revision) => {
                nothing("what git asks for was not turned down")
            }
            Some(rejected) => Ok(rejected.revision),
            None => nothing("nothing was turned down"),
        },
    }
}

async fn write(calls: &Calls, live: &Live, known: &PointerRecord, order: Order) -> Result<(), CallError> {
    let epoch = known.record.epoch.saturating_add(1);
    let record = Record { order: Some(order), epoch, ..known.record.clone() };
    let record = PointerRecord { record, ..known.clone() };
    let own = |pointer: &str| live.value.pointer(pointer).cloned().unwrap_or_default();
    let body = bodies::pointer(live, &record, &own("/spec/selector"), &own("/spec/ports"));
    calls.apply(Kind::Service, ROLLOUT, body, &live.guard()).await.map(drop)
}

//! `tcp`: a port accepts connections. A pod of the colour that refuses fails the gate; what belongs to others (a database, a
//! middle tier) is waited for: whether it is there says nothing about the colour.

use futures::StreamExt as _;
use futures::stream;
use tidegate_core::gate::{Judgement, Miss};
use tidegate_core::policy::{TcpGate, TcpTarget};
use tidegate_core::rollout::Verdict;
use tokio::time::{Instant, timeout_at};

use super::door::Door;
use super::{Asking, pods, service};

/// So many pods are tried side by side.
const SIDE_BY_SIDE: usize = 16;
/// So many endpoints of a Service are tried before it counts as out of reach.
const ENDPOINTS_TRIED: usize = 3;

pub async fn ask(asking: &Asking<'_>, gate: &TcpGate, until: Instant) -> Judgement {
    match &gate.target {
        TcpTarget::Pods { port } => match pods::doors(asking, port.as_ref()).await {
            Ok(doors) => of_pods(asking, &doors, until).await,
            Err(why) => Judgement::unknown(why),
        },
        TcpTarget::Service { name, port } => of_service(asking, name, *port, until).await,
    }
}

async fn of_pods(asking: &Asking<'_>, doors: &[Door], until: Instant) -> Judgement {
    let tried = try_all(doors, until).await;
    let mut untold = None;
    for (pod, miss) in tried.iter().filter_map(|(pod, came)| Some((pod, came.as_ref().err()?))) {
        match miss.of_pod() {
            Verdict::Fail => match pods::gone(asking, std::slice::from_ref(pod)).await {
                Ok(gone) if gone.is_empty() => {
                    return Judgement::fail(count(tried.len()), format!("pod {pod} {miss}"))
                        .by(&asking.gate.location);
                }
                Ok(_) => {
                    untold.get_or_insert(format!("pod {pod} was taken away while it was asked"));
                }
                Err(error) => {
                    let said =
                        format!("pod {pod} {miss}, and whether it is still there cannot be told: {error}");
                    untold.get_or_insert(said);
                }
            },
            Verdict::Pass | Verdict::Unknown => {
                untold.get_or_insert(format!("pod {pod} {miss}"));
            }
        }
    }
    match untold {
        Some(why) => Judgement::unknown(why),
        None if tried.len() < doors.len() => Judgement::unknown(format!(
            "{} of {} pods accept, then the time was over",
            tried.len(),
            doors.len()
        )),
        None => {
            Judgement::pass(count(tried.len()), format!("all {} ready pods accept connections", tried.len()))
        }
    }
}

/// What came of each; those that the end of the gate's time cuts short are missing.
pub(super) async fn try_all(doors: &[Door], until: Instant) -> Vec<(String, Result<(), Miss>)> {
    // The futures are made before the stream: a closure in it would not be general enough for a spawned task.
    let mut tries = Vec::with_capacity(doors.len());
    for door in doors {
        tries.push(try_one(door, until));
    }
    let came: Vec<Option<(String, Result<(), Miss>)>> =
        stream::iter(tries).buffered(SIDE_BY_SIDE).collect().await;
    came.into_iter().flatten().collect()
}

async fn try_one(door: &Door, until: Instant) -> Option<(String, Result<(), Miss>)> {
    Some((door.whose.clone(), timeout_at(until, door.accepts()).await.ok()?))
}

async fn of_service(asking: &Asking<'_>, name: &str, port: u16, until: Instant) -> Judgement {
    let doors = match service::doors(asking, asking.namespace, name, port).await {
        Ok(doors) => doors,
        Err(why) => return Judgement::unknown(why),
    };
    let mut last = None;
    for door in doors.iter().take(ENDPOINTS_TRIED) {
        match timeout_at(until, door.accepts()).await {
            Ok(Ok(())) => {
                return Judgement::pass(
                    1,
                    format!("port {port} of Service {name} ({}) accepts connections", door.whose),
                );
            }
            Ok(Err(miss)) => last = Some(format!("Service {name} ({}) {miss}", door.whose)),
            Err(_) => break,
        }
    }
    Judgement::unknown(
        last.unwrap_or_else(|| format!("Service {name} did not accept before the time was over")),
    )
}

fn count(pods: usize) -> u64 {
    u64::try_from(pods).unwrap_or(u64::MAX)
}

//! `job`: a Job of the cluster that has to succeed. Its name says what it is for: whoever asks again, after a kill too, finds
//! the one that runs and waits on.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams, LogParams, PostParams, Preconditions};
use serde_json::Value;
use tidegate_core::gate::Judgement;
use tidegate_core::gate::job::{
    Asked, Ending, KEY, Standing, TARGET, Told, ending, judge, manifest, standing,
};
use tidegate_core::object::ObjectId;
use tidegate_core::policy::{JobGate, Port};
use tokio::time::{Instant, sleep};

use super::{Asking, pods};
use crate::cluster::call::{CallError, once, repeated};
use crate::cluster::pods::{sentence, trouble};

/// How often a running Job is looked at.
const POLL: Duration = Duration::from_secs(1);
/// Of the log, so many lines.
const LOG_LINES: i64 = 20;
/// Of the log, so many bytes.
const LOG_BYTES: i64 = 16 * 1024;
/// More pods of a Job than this are not looked at.
const PODS_CAP: u32 = 50;
/// Who writes.
const MANAGER: &str = tidegate_core::drift::FIELD_MANAGER;

pub async fn ask(asking: &Asking<'_>, gate: &JobGate, until: Instant) -> Judgement {
    let colour = match pods::ready(asking).await {
        Ok(pods) => pods,
        Err(why) => return Judgement::unknown(why),
    };
    let asked = asked(asking);
    let api: Api<Job> = Api::namespaced(asking.client.clone(), asking.namespace);
    let job = match find_or_create(asking, gate, &api, &asked, &colour).await {
        Ok(job) => job,
        Err(why) => return Judgement::unknown(why),
    };
    if let Err(why) = is_of_this(asking, &job, &asked, &colour) {
        return discard(&api, &asked.name(), &job, &why).await;
    }
    watch(asking, &api, job, &asked.name(), until).await
}

fn asked<'a>(asking: &'a Asking<'_>) -> Asked<'a> {
    let Asking { app, slot, revision, attempt, stage, gate, .. } = asking;
    Asked { app, slot: *slot, revision: *revision, attempt: *attempt, stage: *stage, gate }
}

/// The Job of this asking, made where there is none yet.
async fn find_or_create(
    asking: &Asking<'_>,
    gate: &JobGate,
    api: &Api<Job>,
    asked: &Asked<'_>,
    colour: &[Pod],
) -> Result<Job, String> {
    let name = asked.name();
    let unreadable = |error: CallError| format!("Job {name} cannot be read: {error}");
    if let Some(job) = repeated(|| api.get_opt(&name)).await.map_err(unreadable)? {
        return Ok(job);
    }
    let made = made(asking, gate, asked, colour).await?;
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match once(api.create(&params, &made)).await {
        Ok(job) => Ok(job),
        // Made by another daemon, or by a request of ours whose answer was lost.
        Err(CallError::Conflict(_)) => repeated(|| api.get(&name)).await.map_err(unreadable),
        Err(error) => Err(format!("Job {name} cannot be created: {error}")),
    }
}

async fn made(asking: &Asking<'_>, gate: &JobGate, asked: &Asked<'_>, colour: &[Pod]) -> Result<Job, String> {
    let service = pods::service(asking, asking.namespace, asking.service).await?;
    let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
    let live = ports
        .first()
        .map(|port| port.port)
        .ok_or_else(|| format!("Service {} has no port", asking.service))?;
    let pod = colour.first().ok_or("no pod of the colour is ready")?;
    let target_url = target_url(pod, &pods::target_port(asking).await?)?;
    let told = Told {
        namespace: asking.namespace,
        target_url: &target_url,
        target: pods::uid(pod),
        live_url: &format!("http://{}.{}.svc:{live}", asking.service, asking.namespace),
        labels: asking.labels,
    };
    let manifest = manifest(asked, gate, &told).ok_or("its template is not one of pods")?;
    serde_json::from_value(manifest).map_err(|error| format!("its template is not one of pods: {error}"))
}

/// The Job's pods are in the cluster's network, wherever this daemon is.
fn target_url(pod: &Pod, port: &Port) -> Result<String, String> {
    let name = pods::name(pod);
    let address = pods::address(pod).ok_or_else(|| format!("pod {name} has no address"))?;
    let port =
        pods::number(pod, port).ok_or_else(|| format!("pod {name} does not have the port of its Service"))?;
    Ok(match address {
        IpAddr::V4(address) => format!("http://{address}:{port}"),
        IpAddr::V6(address) => format!("http://[{address}]:{port}"),
    })
}

/// A Job of another asking, or about pods that are gone, says nothing about these.
fn is_of_this(asking: &Asking<'_>, job: &Job, asked: &Asked<'_>, colour: &[Pod]) -> Result<(), String> {
    let annotation = |key| job.metadata.annotations.as_ref()?.get(key).map(String::as_str);
    if annotation(KEY) != Some(asked.key().as_str()) {
        return Err("it was made by somebody else".to_owned());
    }
    let made = job.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let oldest: Option<Timestamp> = colour.iter().filter_map(pods::created).min();
    if made.zip(oldest).is_some_and(|(made, oldest)| made < oldest) {
        return Err(format!("it asked pods of {} {} that are gone", asking.app, asking.slot));
    }
    Ok(())
}

/// Deletes a Job that does not count, unless it is somebody else's.
async fn discard(api: &Api<Job>, name: &str, job: &Job, why: &str) -> Judgement {
    let is_ours = job.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(KEY));
    if !is_ours {
        return Judgement::unknown(format!(
            "Job {name} does not count: {why}; delete it, and the gate makes its own"
        ));
    }
    let preconditions = Preconditions { uid: job.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    match once(api.delete(name, &params)).await {
        Ok(_) | Err(CallError::NotFound(_)) => {
            Judgement::unknown(format!("Job {name} does not count: {why}; it is made again"))
        }
        Err(error) => {
            Judgement::unknown(format!("Job {name} does not count ({why}), and cannot be deleted: {error}"))
        }
    }
}

/// Waits until the Job is over, or the asking is.
async fn watch(asking: &Asking<'_>, api: &Api<Job>, mut job: Job, name: &str, until: Instant) -> Judgement {
    let mut trouble_of_reading = None;
    loop {
        let value = serde_json::to_value(&job).unwrap_or_default();
        let standing = standing(&value);
        if standing != Standing::Runs {
            return over(asking, api, &job, name, &standing).await;
        }
        if Instant::now() + POLL > until {
            let why = match trouble_of_reading {
                Some(why) => why,
                None => waiting(asking, name, &value).await,
            };
            return Judgement::unknown(format!("Job {name} is not over{why}"));
        }
        sleep(POLL).await;
        match repeated(|| api.get(name)).await {
            Ok(read) if read.metadata.uid == job.metadata.uid => {
                job = read;
                trouble_of_reading = None;
            }
            Ok(_) | Err(CallError::NotFound(_)) => {
                return Judgement::unknown(format!(
                    "Job {name} was deleted before it was over; it is made again"
                ));
            }
            Err(error) => trouble_of_reading = Some(format!(", and cannot be read: {error}")),
        }
    }
}

/// What a Job that is not over waits for, in the words of scheduler and kubelet.
async fn waiting(asking: &Asking<'_>, name: &str, job: &Value) -> String {
    let id = ObjectId {
        group: "batch".to_owned(),
        kind: "Job".to_owned(),
        namespace: Some(asking.namespace.to_owned()),
        name: name.to_owned(),
    };
    match trouble(asking.client, &id, job).await {
        Ok(Some(trouble)) => format!(": {}", sentence(&trouble)),
        Ok(None) | Err(_) => String::new(),
    }
}

async fn over(asking: &Asking<'_>, api: &Api<Job>, job: &Job, name: &str, standing: &Standing) -> Judgement {
    let (ending, log) = last_words(asking, name).await;
    let Some(judgement) = judge(name, standing, ending.as_ref(), &log, &asking.gate.location) else {
        return Judgement::unknown(format!("Job {name} is not over"));
    };
    match standing {
        Standing::Failed { .. } => unless_target_went(asking, api, job, name, judgement).await,
        Standing::Succeeded | Standing::Runs => judgement,
    }
}

/// A Job that failed while the pod that it was pointed at was being taken away says nothing.
async fn unless_target_went(
    asking: &Asking<'_>,
    api: &Api<Job>,
    job: &Job,
    name: &str,
    judgement: Judgement,
) -> Judgement {
    let target = job.metadata.annotations.as_ref().and_then(|annotations| annotations.get(TARGET));
    match pods::all(asking).await {
        Ok(pods) => {
            let stays =
                |pod: &&Pod| Some(pods::uid(pod)) == target.map(String::as_str) && !pods::is_going(pod);
            if pods.iter().find(stays).is_some() {
                return judgement;
            }
            discard(api, name, job, "the pod that it asked was taken away").await
        }
        Err(error) => Judgement::unknown(format!(
            "whether the pod that it asked is still there cannot be told ({error}); {}",
            judgement.summary
        )),
    }
}

/// How the newest pod of the Job ended, and the end of its log. Evidence for people: what cannot be read is missing.
async fn last_words(asking: &Asking<'_>, job: &str) -> (Option<Ending>, String) {
    let api: Api<Pod> = Api::namespaced(asking.client.clone(), asking.namespace);
    let selector = format!("batch.kubernetes.io/job-name={job}");
    let params = ListParams::default().labels(&selector).limit(PODS_CAP);
    let Ok(pods) = repeated(|| api.list(&params)).await else { return (None, String::new()) };
    let Some(pod) = pods.items.iter().max_by_key(|pod| pods::created(pod)) else {
        return (None, String::new());
    };
    let ending = serde_json::to_value(pod).ok().and_then(|pod| ending(&pod));
    let params = LogParams {
        container: ending.as_ref().map(|ending| ending.container.clone()),
        tail_lines: Some(LOG_LINES),
        limit_bytes: Some(LOG_BYTES),
        ..LogParams::default()
    };
    let log = match once(api.logs(pods::name(pod), &params)).await {
        Ok(log) => log,
        Err(error) => format!("(its log cannot be read: {error})"),
    };
    (ending, log)
}

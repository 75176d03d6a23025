//! What a pass is about, as git says it.

use tidegate_core::ledger::{AppName, PolicyReference, Running, app_name, running};
use tidegate_core::rollout::{Pointer, Revision};
use tidegate_core::workload::{Colours, Workload};

use super::super::lane::{Task, Want};
use super::super::names::reference;
use super::super::observe::Seen;
use crate::ledger::{Asked, Clerk};

/// What a pass is about.
#[derive(Clone)]
pub struct Turn {
    /// Begins outcomes.
    pub clerk: Clerk,
    /// Who asks.
    pub asked: Asked,
    /// The workload's name in the log.
    pub app: AppName,
    /// What git asks to run; none where it asks for nothing.
    pub wanted: Option<Running>,
    /// Its revision; none where it has no colours.
    pub revision: Option<Revision>,
    /// git asks for nothing any more.
    pub is_gone: bool,
    /// All that the commit asks for was there before this daemon began.
    pub was_at_rest: bool,
    /// The policy that it rolls out under.
    pub policy: Option<PolicyReference>,
}

impl Turn {
    /// Of a pass with this task; none where there is no log. `seen`: what there is of the workload.
    pub fn of(task: &Task, namespace: &str, app: &str, seen: Option<&Seen>) -> Option<Self> {
        let (clerk, asked) = task.around.log.clone()?;
        let app = app_name(&reference(namespace, app))?;
        let clerk = Clerk { recorder: clerk.recorder.about(app.clone()), ..clerk };
        let workload = match &task.want {
            Want::Rolled(workload) => Some(workload),
            Want::Gone => None,
        };
        let revision = workload.filter(|workload| workload.mode == Colours::Coloured);
        let revision = revision.map(|workload| workload.revision);
        Some(Self {
            was_at_rest: asked.is_applied && seen.is_some_and(|seen| is_at(seen, revision)),
            clerk,
            asked,
            app,
            wanted: workload.and_then(|workload| wanted(workload, &task.commit)),
            revision,
            is_gone: workload.is_none(),
            policy: workload.map(|workload| policy(workload, &task.around.prefix)),
        })
    }
}

/// The revision is live, and traffic stays with it.
fn is_at(seen: &Seen, revision: Option<Revision>) -> bool {
    let Pointer::Recorded { record, .. } = &seen.pointer else { return revision.is_none() };
    let live = record.live.and_then(|live| seen.slots.get(live).as_ref());
    !record.is_baking() && revision.is_some() && live.map(|live| live.record.revision) == revision
}

fn wanted(workload: &Workload, commit: &str) -> Option<Running> {
    let (_, asked) = running(&workload.reference, &workload.object.to_value(), commit)?;
    let revision = (workload.mode == Colours::Coloured).then(|| workload.revision.to_string());
    Some(Running { revision, ..asked })
}

fn policy(workload: &Workload, prefix: &str) -> PolicyReference {
    let path = format!("{prefix}{}", workload.policy.location.file);
    PolicyReference { name: workload.policy.name.clone(), path, blob: None }
}

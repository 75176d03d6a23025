//! `stringData` of Secrets as the API server stores it: in `data`.
//!
//! A server-side apply of `stringData` sets `data` without owning it (seen on 1.35): what others write there would not be
//! noticed, and a key that leaves git would stay in the cluster. So `data` is what is sent.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::object::DesiredObject;

/// The object as it is sent: texts of `stringData` encoded in `data`, where they win over what stands there under the same
/// key. Anything that is not a text stays where it is, for the validation to find.
#[must_use]
pub fn encode_string_data(object: &Arc<DesiredObject>) -> Arc<DesiredObject> {
    let gvk = &object.reference.gvk;
    if gvk.kind != "Secret" || !gvk.group.is_empty() || object.value().get("stringData").is_none() {
        return Arc::clone(object);
    }
    let mut value = object.value().clone();
    let mut spans = object.spans.clone();
    let texts = value.get("stringData").and_then(Value::as_object).cloned().unwrap_or_default();
    let Some(fields) = value.as_object_mut() else { return Arc::clone(object) };
    let data = fields.entry("data").or_insert(Value::Null);
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    let (Some(data), true) = (data.as_object_mut(), texts.values().all(Value::is_string)) else {
        return Arc::clone(object);
    };
    for (key, text) in &texts {
        let bytes = text.as_str().unwrap_or_default().as_bytes();
        data.insert(key.clone(), Value::from(STANDARD.encode(bytes)));
        let token = key.replace('~', "~0").replace('/', "~1");
        let place = object.spans.locate(&format!("/stringData/{token}"));
        spans.overlay(format!("/data/{token}"), place);
    }
    fields.remove("stringData");
    fields.sort_keys();
    Arc::new(DesiredObject::new(object.reference.clone(), value, spans, object.wave))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::location::Position;
    use crate::object::{Gvk, ObjectRef};
    use crate::yaml::Spans;

    fn object(kind: &str, value: Value) -> Arc<DesiredObject> {
        let reference = ObjectRef {
            gvk: Gvk::from_api_version("v1", kind),
            namespace: Some("shop".into()),
            name: "key".into(),
        };
        let mut spans = Spans::new(Arc::from("key.yaml"), Position { line: 1, column: 1 });
        spans.insert("/stringData/a".to_owned(), Position { line: 5, column: 3 });
        Arc::new(DesiredObject::new(reference, value, spans, 0))
    }

    #[test]
    fn texts_become_data_and_win_over_it() {
        let secret =
            object("Secret", json!({"data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new"}, "z": 1}));
        let sent = encode_string_data(&secret);
        assert_eq!(*sent.value(), json!({"data": {"a": "bmV3", "b": "Yg=="}, "z": 1}));
        assert_eq!(sent.spans.locate("/data/a").position.line, 5, "the place in git is kept");
        let only = encode_string_data(&object("Secret", json!({"stringData": {"a": ""}})));
        assert_eq!(*only.value(), json!({"data": {"a": ""}}));
    }

    #[test]
    fn other_objects_and_what_is_no_text_stay_as_they_are() {
        for (kind, value) in [
            ("ConfigMap", json!({"stringData": {"a": "b"}})),
            ("Secret", json!({"data": {"a": "Yg=="}})),
            ("Secret", json!({"stringData": {"a": 1}})),
        ] {
            assert_eq!(*encode_string_data(&object(kind, value.clone())).value(), value);
        }
    }
}

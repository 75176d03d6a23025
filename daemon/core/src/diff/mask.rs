//! Values of Secrets never leave this module: they become keyed digests, so that a change shows as a change and nothing
//! can be guessed back by hashing candidates without the key.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::FieldChange;
use crate::secret::{COPIES, is_secret, replaced};

/// Hexadecimal digits shown of a digest.
const DIGITS: usize = 8;

/// Shorter parts of a value stand in many texts by chance.
const MIN_LINE: usize = 6;

/// The block of SHA-256, in bytes.
const BLOCK: usize = 64;

/// A copy of an object with the values of a Secret replaced by digests under `key`; other kinds are only copied.
pub fn masked(object: &Value, key: &[u8]) -> Value {
    if is_secret(object) { replaced(object, "", &|value| digest_of(value, key)) } else { object.clone() }
}

/// Whether a text (a message of a server, say) repeats a value of the object, which is a Secret: as it is written, or
/// what it encodes.
pub fn repeats_secret(object: &Value, text: &str) -> bool {
    if !is_secret(object) {
        return false;
    }
    let maps = |object: &Value| -> Vec<Value> {
        let maps = ["data", "stringData"].into_iter().filter_map(|name| object.get(name)?.as_object());
        maps.flat_map(|map| map.values()).cloned().collect()
    };
    // A copy of an older state of it has other values; one that is not plain JSON is a value itself.
    let copies = COPIES.iter().filter_map(|pointer| object.pointer(pointer).and_then(Value::as_str));
    let older = copies.flat_map(|text| match serde_json::from_str::<Value>(text) {
        Ok(copy) => maps(&copy),
        Err(_) => vec![Value::from(text)],
    });
    maps(object).into_iter().chain(older).any(|value| {
        let written = match value {
            Value::String(written) => written,
            other => other.to_string(),
        };
        let decoded = STANDARD.decode(written.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        [Some(written), decoded].into_iter().flatten().any(|secret| repeats(text, &secret))
    })
}

/// Messages quote texts with escapes, so longer ones are also looked for line by line.
fn repeats(text: &str, secret: &str) -> bool {
    let whole = secret.trim();
    let line = |line: &str| line.trim().len() >= MIN_LINE && text.contains(line.trim());
    (!whole.is_empty() && text.contains(whole)) || secret.split(['\n', '"', '\\']).any(line)
}

/// A change of a Secret with its values masked; the names of the keys stay.
pub(super) fn masked_change(change: FieldChange, key: &[u8]) -> FieldChange {
    let FieldChange { path, pointer, old, new } = change;
    let masked = |value: Value| replaced(&value, &pointer, &|value| digest_of(value, key));
    let (old, new) = (old.map(masked), new.map(masked));
    FieldChange { path, pointer, old, new }
}

fn digest_of(value: &Value, key: &[u8]) -> Value {
    let text = match value {
        Value::String(text) => mask_of(text.as_bytes(), key),
        other => mask_of(other.to_string().as_bytes(), key),
    };
    Value::String(text)
}

fn mask_of(value: &[u8], key: &[u8]) -> String {
    let mut text = String::from("***sha:");
    for byte in keyed_digest(value, key).iter().take(DIGITS / 2) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// HMAC-SHA-256 (RFC 2104).
fn keyed_digest(value: &[u8], key: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; BLOCK];
    let shortened;
    let key = if key.len() > BLOCK {
        shortened = Sha256::digest(key);
        shortened.as_slice()
    } else {
        key
    };
    for (slot, byte) in block.iter_mut().zip(key) {
        *slot = *byte;
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(value).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_digest_is_hmac_sha_256_as_its_specification_says() {
        // RFC 4231, test cases 2 and 6.
        assert_eq!(mask_of(b"what do ya want for nothing?", b"Jefe"), "***sha:5bdcc146");
        let long = [0xaa_u8; 131];
        assert_eq!(
            mask_of(b"Test Using Larger Than Block-Size Key - Hash Key First", &long),
            "***sha:60e43159"
        );
    }

    #[test]
    fn a_masked_secret_shows_its_keys_and_none_of_its_values() {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "db", "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"password\":\"aHVudGVyMg==\"}}",
                "team": "shop",
            }},
            "data": {"password": "aHVudGVyMg=="}, "stringData": {"user": "hunter2"}, "type": "Opaque",
        });
        let masked = masked(&secret, b"key");
        let text = masked.to_string();
        assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
        assert_eq!(masked.pointer("/metadata/annotations/team"), Some(&json!("shop")));
        assert_eq!(masked.pointer("/type"), Some(&json!("Opaque")));
        assert!(masked["data"]["password"].as_str().unwrap().starts_with("***sha:"));
    }

    #[test]
    fn a_text_that_repeats_a_value_is_found_whether_it_is_encoded_escaped_or_no_text() {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "data": {"a": "aHVudGVyMg=="}, "stringData": {"key": "first line\nsecond \"line\"", "n": 918_273},
        });
        for text in ["got hunter2", "got aHVudGVyMg==", "value \"first line\\nsecond", "Value:918273}"] {
            assert!(repeats_secret(&secret, text), "{text}");
        }
        let copy = r#"{"stringData":{"a":"older-value"}}"#;
        let copied = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": copy}},
        });
        assert!(repeats_secret(&copied, "got older-value") && !repeats_secret(&copied, "got another"));
        assert!(!repeats_secret(&secret, "data[a]: Invalid value"));
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "hunter2"}});
        assert!(!repeats_secret(&map, "got hunter2"));
    }

    #[test]
    fn other_kinds_are_not_masked_even_when_they_are_called_secret_in_another_group() {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}});
        assert_eq!(masked(&map, b"key"), map);
        let other = json!({"apiVersion": "vault.example/v1", "kind": "Secret", "data": {"a": "b"}});
        assert_eq!(masked(&other, b"key"), other);
    }
}

//! What a slot runs, as a number: the pods' template as git has it, the configuration that is copied for it, and a text that
//! people change on purpose. What our own code makes of a template is not in it: a newer Tidegate restarts nothing.

use serde_json::{Value, json};

use super::configs::{Config, Configs};
use super::read::canonical;
use crate::ids::Digest;
use crate::rollout::Revision;

/// What the number is made of. Another one would make every workload roll out.
const SCHEME: u32 = 1;
/// 128 bits in hexadecimal digits.
const DIGITS: usize = 32;

/// The revision of a template.
pub(super) fn revision(template: &Value, configs: &Configs, restart: Option<&str>) -> Revision {
    let configs: Vec<Value> = configs
        .iter()
        .map(|((kind, name), Config { object: _, contents })| json!([format!("{kind:?}"), name, contents]))
        .collect();
    let all = json!({ "scheme": SCHEME, "template": template, "configs": configs, "restart": restart });
    let digest = Digest::of(canonical(&all).as_bytes());
    let first = digest.as_str().get(..DIGITS).unwrap_or_default();
    Revision::new(u128::from_str_radix(first, 16).unwrap_or_default())
}

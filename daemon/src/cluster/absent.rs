//! Whether a kind that discovery does not name is gone for good, so that inventory entries of it can be forgotten.
//!
//! Kubernetes deletes all objects of a definition before the definition itself goes. But a kind is also missing from
//! discovery while its aggregated API is down, while its definition serves no version, or while an API server has not caught
//! up: then the objects are there, and to forget them would leave them behind for ever. Whatever cannot be read is a doubt.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Request;
use http::header::ACCEPT;
use kube::Client;
use serde_json::Value;
use tidegate_core::object::Gvk;

use super::call::{CallError, repeated};
use super::kinds::Kinds;

/// A doubt is looked into again after this time; meanwhile it stands.
const DOUBT_LASTS: Duration = Duration::from_secs(10);
/// More definitions or API services than this are not looked through.
const LIST_CAP: u32 = 5_000;
/// More kinds than this are not remembered; each of them is then looked into every time.
const DOUBTS_CAP: usize = 1_000;

/// Whether a kind is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// Nothing serves it, defines it or could: none of its objects exists.
    Gone,
    /// It may only be out of reach; why.
    Doubtful(String),
}

/// The kinds of one cluster that are missing.
pub struct Absent {
    client: Client,
    kinds: Kinds,
    doubts: Mutex<BTreeMap<(String, String), (Instant, String)>>,
}

impl Absent {
    /// Nothing is missing yet.
    pub fn new(client: Client, kinds: Kinds) -> Self {
        Self { client, kinds, doubts: Mutex::default() }
    }

    /// Looks into a kind that discovery does not name. Fails only when the API server is out of reach.
    pub async fn confirm(&self, gvk: &Gvk) -> Result<Absence, CallError> {
        let key = (gvk.group.clone(), gvk.kind.clone());
        if let Some((at, doubt)) = self.doubts().get(&key)
            && at.elapsed() < DOUBT_LASTS
        {
            return Ok(Absence::Doubtful(doubt.clone()));
        }
        let doubt = match self.doubt(gvk).await {
            Ok(doubt) => doubt,
            Err(error @ CallError::Unreachable(_)) => return Err(error),
            Err(error) => Some(format!("whether it is gone for good cannot be told: {error}")),
        };
        let mut doubts = self.doubts();
        doubts.remove(&key);
        let Some(doubt) = doubt else { return Ok(Absence::Gone) };
        if doubts.len() < DOUBTS_CAP {
            doubts.insert(key, (Instant::now(), doubt.clone()));
        }
        Ok(Absence::Doubtful(doubt))
    }

    /// An aggregated API of the kind's group that is down: it may be why its API server has answered 503. Whatever cannot
    /// be read is none.
    pub async fn service_that_is_down(&self, gvk: &Gvk) -> Option<String> {
        let key = (gvk.group.clone(), gvk.kind.clone());
        let known = self.doubts().get(&key).filter(|(at, _)| at.elapsed() < DOUBT_LASTS).cloned();
        if let Some((_, doubt)) = known {
            return Some(doubt);
        }
        if gvk.group.is_empty() {
            return None;
        }
        let down = self.service_down(gvk).await.ok().flatten()?;
        let mut doubts = self.doubts();
        if doubts.len() < DOUBTS_CAP {
            doubts.insert(key, (Instant::now(), down.clone()));
        }
        Some(down)
    }

    /// The first reason to think that objects of the kind may exist; none when nothing speaks for it.
    async fn doubt(&self, gvk: &Gvk) -> Result<Option<String>, CallError> {
        if gvk.group.is_empty() {
            return Ok(Some("kinds of the core group do not go".to_owned()));
        }
        self.kinds.refresh().await?;
        if self.kinds.resolve_any(gvk).await?.is_some() {
            return Ok(Some("it is served again".to_owned()));
        }
        // Services first: that of a definition goes after the definition, so that what is missing here stays missing.
        if let Some(doubt) = self.service_down(gvk).await? {
            return Ok(Some(doubt));
        }
        if let Some(doubt) = self.still_served(gvk).await? {
            return Ok(Some(doubt));
        }
        self.still_defined(gvk).await
    }

    /// An aggregated API of the group that is down.
    async fn service_down(&self, gvk: &Gvk) -> Result<Option<String>, CallError> {
        let list =
            self.get(&format!("/apis/apiregistration.k8s.io/v1/apiservices?limit={LIST_CAP}"), None).await?;
        if let Some(doubt) = unended(&list) {
            return Ok(Some(doubt));
        }
        let of_group = items(&list).find_map(|service| {
            let spec = service.get("spec")?;
            let aggregated = spec.get("group")?.as_str()? == gvk.group
                && spec.get("service").is_some_and(Value::is_object);
            (aggregated && !is_available(service)).then(|| name_of(service))
        });
        Ok(of_group.map(|name| format!("the API service {name} is not available")))
    }

    /// The group's own documents, apart from the aggregated discovery that may lag behind.
    async fn still_served(&self, gvk: &Gvk) -> Result<Option<String>, CallError> {
        let group = match self.get(&format!("/apis/{}", gvk.group), None).await {
            Ok(group) => group,
            Err(CallError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let versions = group.get("versions").and_then(Value::as_array);
        for version in versions.into_iter().flatten() {
            let Some(version) = version.get("groupVersion").and_then(Value::as_str) else {
                return Ok(Some(format!(
                    "the API server's list of versions of {} cannot be read",
                    gvk.group
                )));
            };
            match self.get(&format!("/apis/{version}"), None).await {
                Ok(list) => {
                    let resources = list.get("resources").and_then(Value::as_array);
                    let Some(resources) = resources else {
                        return Ok(Some(format!(
                            "the API server's list of kinds in {version} cannot be read"
                        )));
                    };
                    if resources.iter().any(|resource| resource["kind"] == gvk.kind.as_str()) {
                        return Ok(Some(format!("{version} serves it")));
                    }
                }
                Err(CallError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// A definition of the kind, in whatever state.
    async fn still_defined(&self, gvk: &Gvk) -> Result<Option<String>, CallError> {
        const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        let list = self.get(&format!("{PATH}?limit={LIST_CAP}"), Some(METADATA)).await?;
        if let Some(doubt) = unended(&list) {
            return Ok(Some(doubt));
        }
        let names = items(&list).map(name_of);
        for name in names.filter(|name| name.split_once('.').is_some_and(|(_, group)| group == gvk.group)) {
            let definition = match self.get(&format!("{PATH}/{name}"), None).await {
                Ok(definition) => definition,
                Err(CallError::NotFound(_)) => continue,
                Err(error) => return Err(error),
            };
            if definition.pointer("/spec/names/kind").and_then(Value::as_str) == Some(&gvk.kind) {
                return Ok(Some(format!("its definition {name} is there")));
            }
        }
        Ok(None)
    }

    async fn get(&self, path: &str, accept: Option<&str>) -> Result<Value, CallError> {
        repeated(|| async {
            let accept = accept.unwrap_or("application/json");
            let request = Request::get(path).header(ACCEPT, accept).body(Vec::new());
            let request = request.map_err(kube::Error::HttpError)?;
            self.client.request::<Value>(request).await
        })
        .await
    }

    fn doubts(&self) -> MutexGuard<'_, BTreeMap<(String, String), (Instant, String)>> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.get("items").and_then(Value::as_array).into_iter().flatten()
}

fn name_of(object: &Value) -> String {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A list that is none, or that goes on, proves nothing.
fn unended(list: &Value) -> Option<String> {
    // An empty list of metadata has `items: null`.
    let is_list = list.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    let whole = is_list && list.get("items").is_some_and(|items| items.is_array() || items.is_null());
    let token = list.pointer("/metadata/continue").and_then(Value::as_str).unwrap_or_default();
    (!whole || !token.is_empty()).then(|| "a list of the API server is not whole".to_owned())
}

fn is_available(service: &Value) -> bool {
    let conditions = service.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Available" && condition["status"] == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_proves_an_absence_only_when_it_is_one_and_ends() {
        let metadata = json!({"kind": "PartialObjectMetadataList", "metadata": {}, "items": null});
        assert_eq!(unended(&metadata), None);
        assert_eq!(unended(&json!({"kind": "APIServiceList", "metadata": {}, "items": []})), None);
        for partial in [
            json!({"kind": "APIServiceList", "metadata": {"continue": "token"}, "items": []}),
            json!({"kind": "APIServiceList", "metadata": {}}),
            json!({"kind": "Status", "items": []}),
            json!("<html>"),
        ] {
            assert!(unended(&partial).is_some(), "{partial}");
        }
    }

    #[test]
    fn a_service_is_available_only_when_it_says_so() {
        let says =
            |status: &str| json!({"status": {"conditions": [{"type": "Available", "status": status}]}});
        assert!(is_available(&says("True")));
        assert!(
            !is_available(&says("False")) && !is_available(&says("Unknown")) && !is_available(&json!({}))
        );
    }
}

//! What a revision changes against the one that is live: the fields of the pods' template and of the configuration that is
//! copied for them, with their places in git. For people who look for what broke a release.
//!
//! Values of Secrets are not told, nor values elsewhere that repeat one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::configs::{Config, ConfigKind, each_reference};
use super::model::Workload;
use super::names::{APP, CONFIG, RESTART, REVISION, SLOT};
use super::read::annotation;
use super::slot::SlotRender;
use crate::diff::{FieldChange, diff, repeats_secret};
use crate::object::DesiredObject;
use crate::review::visible::{cut_middle, visible};
use crate::rollout::{CHANGES_CAP, ChangedField, Changes, Slot};
use crate::secret::escape;

/// A value is cut here, in characters.
const VALUE_CHARS: usize = 100;

/// A change of one object, as it was found.
type Found<'a> = (&'a DesiredObject, FieldChange);

impl Workload {
    /// What git changes against what a slot runs by its kept render. `is_adopted`: the render was read from a live object, with
    /// defaults in it that nobody asked for. `secrets`: those whose values may not be told.
    pub fn changes_from(
        &self,
        slot: Slot,
        kept: &SlotRender,
        is_adopted: bool,
        secrets: &[&DesiredObject],
    ) -> Changes {
        let asked = self.slot(slot, &kept.commit);
        let mut found: Vec<Found> = diff(&template(kept), &template(&asked))
            .into_iter()
            .filter(|change| !is_adopted || change.new.is_some())
            .map(|change| (self.object.as_ref(), change))
            .collect();
        found.extend(self.restart(kept).map(|change| (self.object.as_ref(), change)));
        let old = by_name(&kept.configs);
        for ((kind, name), config) in &self.configs {
            let Some(old) = old.get(&(*kind, name.clone())) else { continue };
            found.extend(contents(old, config));
        }
        // What is released, mostly: it comes first.
        found.sort_by_key(|(_, change)| change.path.rsplit('.').next() != Some("image"));
        let further = found.len().saturating_sub(CHANGES_CAP);
        // Old values of Secrets stand in old values of other fields.
        let mut secrets: Vec<&Value> = secrets.iter().map(|secret| secret.value()).collect();
        secrets.extend(&kept.configs);
        let shown = found.into_iter().take(CHANGES_CAP).map(|change| told(change, &secrets));
        Changes { fields: shown.collect(), further }
    }

    fn restart(&self, kept: &SlotRender) -> Option<FieldChange> {
        let text = |object: &Value| annotation(object, RESTART).map(Value::from);
        let (old, new) = (text(&kept.deployment), text(self.object.value()));
        let key = escape(RESTART);
        (old != new).then(|| FieldChange {
            path: format!("metadata.annotations[{RESTART}]"),
            pointer: format!("/metadata/annotations/{key}"),
            old,
            new,
        })
    }
}

/// The template of a render as git writes it: configuration under its own names, without our labels.
fn template(render: &SlotRender) -> Value {
    let mut template = render.deployment.pointer("/spec/template").cloned().unwrap_or(Value::Null);
    let plain: BTreeMap<(ConfigKind, &str), &str> = render
        .configs
        .iter()
        .filter_map(|config| Some(((kind(config)?, name(config)?), plain(config)?)))
        .collect();
    each_reference(&mut template, &mut |kind, name| {
        if let Some(plain) = plain.get(&(kind, name.as_str())) {
            *name = (*plain).to_owned();
        }
    });
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.retain(|label, _| ![APP, SLOT, REVISION].contains(&label.as_str()));
    }
    json!({ "spec": { "template": template } })
}

fn by_name(configs: &[Value]) -> BTreeMap<(ConfigKind, String), &Value> {
    configs.iter().filter_map(|config| Some(((kind(config)?, plain(config)?.to_owned()), config))).collect()
}

fn kind(config: &Value) -> Option<ConfigKind> {
    [ConfigKind::ConfigMap, ConfigKind::Secret]
        .into_iter()
        .find(|kind| config.get("kind").and_then(Value::as_str) == Some(kind.as_str()))
}

fn name(config: &Value) -> Option<&str> {
    config.pointer("/metadata/name")?.as_str()
}

/// The name in git of a copy.
fn plain(config: &Value) -> Option<&str> {
    let digest = config.pointer("/metadata/labels")?.get(CONFIG)?.as_str()?;
    name(config)?.strip_suffix(digest)?.strip_suffix('-')
}

/// What differs in the contents of a configuration. Its object is that of git, whose places are known.
fn contents<'a>(old: &Value, config: &'a Config) -> Vec<Found<'a>> {
    let sent = crate::render::encode_string_data(&config.object);
    let of = |value: &Value| {
        let field = |name: &str| value.get(name).cloned().unwrap_or(Value::Null);
        json!({ "data": field("data"), "binaryData": field("binaryData"), "type": field("type") })
    };
    diff(&of(old), &of(sent.value())).into_iter().map(|change| (config.object.as_ref(), change)).collect()
}

fn told((object, change): Found, secrets: &[&Value]) -> ChangedField {
    let FieldChange { path, pointer, old, new } = change;
    // What goes has no place any more: it stood in what is around it.
    let place = if new.is_some() {
        pointer.as_str()
    } else {
        pointer.rsplit_once('/').map_or("", |(around, _)| around)
    };
    let is_secret = object.reference.gvk.kind == "Secret";
    let words = |value: Value| {
        let text = value.to_string();
        let plain = value.as_str().unwrap_or(&text);
        let is_repeated = secrets.iter().any(|secret| repeats_secret(secret, plain));
        let shown = if is_repeated { "***".to_owned() } else { cut_middle(&visible(&text), VALUE_CHARS) };
        (!is_secret).then_some(shown)
    };
    ChangedField {
        object: object.reference.clone(),
        field: visible(&path),
        old: old.and_then(words),
        new: new.and_then(words),
        location: locate(object, place),
    }
}

/// Where it stands: what git writes as `stringData` is compared as `data`.
fn locate(object: &DesiredObject, pointer: &str) -> crate::location::Location {
    let key = pointer.strip_prefix("/data/").filter(|_| object.reference.gvk.kind == "Secret");
    let is_text = |key: &&str| object.value().pointer(&format!("/stringData/{key}")).is_some();
    match key.filter(is_text) {
        Some(key) => object.spans.locate(&format!("/stringData/{key}")),
        None => object.spans.locate(pointer),
    }
}

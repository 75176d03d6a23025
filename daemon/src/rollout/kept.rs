//! The renders of slots as they were made, kept in Tidegate's namespace of the cluster: a slot is repaired from these, never from
//! the newest commit. Each is a Secret (it may hold copies of Secrets), named by what it is of, and never changed.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tidegate_core::ids::Digest;
use tidegate_core::inventory::ENVIRONMENT;
use tidegate_core::rollout::{Revision, Slot};
use tidegate_core::workload::SlotRender;
use tidegate_core::workload::names::{APP, REVISION, SLOT};

use super::calls::{Calls, Kind, Live, ROLLOUT};
use super::guard::Guard;
use crate::cluster::call::CallError;
use crate::cluster::parent::SYSTEM_NAMESPACE;

/// The key of the compressed render.
const RENDER: &str = "render.json.gz";
/// An API server takes objects of at most 1 MiB; base64 takes a third more.
const COMPRESSED_CAP: usize = 700_000;
/// No render is larger than this; a damaged one might be.
const RENDER_CAP: u64 = 16 << 20;

/// The kept renders of one workload.
#[derive(Clone)]
pub struct Kept {
    calls: Calls,
    environment: String,
    namespace: String,
    app: String,
}

impl Kept {
    /// Of a workload of an environment.
    pub fn new(calls: &Calls, environment: &str, app: &str) -> Self {
        Self {
            namespace: calls.namespace.clone(),
            calls: calls.within(SYSTEM_NAMESPACE),
            environment: environment.to_owned(),
            app: app.to_owned(),
        }
    }

    fn name(&self, slot: Slot, revision: Revision) -> String {
        let Self { calls: _, environment, namespace, app } = self;
        let digest = Digest::of(format!("{environment}/{namespace}/{app}/{slot}/{revision}").as_bytes());
        format!("tidegate-slot-{}", digest.as_str().get(..32).unwrap_or(digest.as_str()))
    }

    /// The render of what a slot holds; none when somebody took it away, or when it is damaged.
    pub async fn read(&self, slot: Slot, revision: Revision) -> Result<Option<SlotRender>, CallError> {
        let found = self.calls.read(Kind::Secret, &self.name(slot, revision)).await?;
        Ok(found.and_then(|secret| unpacked(&secret)))
    }

    /// Keeps the render of what a slot is about to hold.
    pub async fn keep(&self, slot: Slot, revision: Revision, render: &SlotRender) -> Result<(), CallError> {
        let packed = packed(render)?;
        if packed.len() > COMPRESSED_CAP {
            let size = packed.len();
            return Err(CallError::Damaged(format!(
                "the render of {}-{slot} is too large to be kept: {size} bytes compressed, at most {COMPRESSED_CAP}; \
                 its ConfigMaps and Secrets are part of it",
                self.app
            )));
        }
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.name(slot, revision),
                "namespace": SYSTEM_NAMESPACE,
                "labels": {
                    ENVIRONMENT: self.environment,
                    APP: self.app,
                    SLOT: slot.to_string(),
                    REVISION: revision.to_string(),
                },
                "annotations": { "tidegate.dev/namespace": self.namespace },
            },
            "type": "tidegate.dev/slot-render",
            "immutable": true,
            "data": { RENDER: STANDARD.encode(packed) },
        });
        match self.calls.apply(Kind::Secret, ROLLOUT, body, &Guard::Nowhere).await {
            // What stands under this name is of the same revision already.
            Ok(_) | Err(CallError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes all but those of these revisions.
    pub async fn collect(&self, held: &[(Slot, Revision)]) -> Result<(), CallError> {
        let labels = format!("{ENVIRONMENT}={},{APP}={}", self.environment, self.app);
        let names: Vec<String> = held.iter().map(|(slot, revision)| self.name(*slot, *revision)).collect();
        for secret in self.calls.list(Kind::Secret, &labels).await? {
            let is_own = secret.annotation("tidegate.dev/namespace") == Some(self.namespace.as_str());
            if is_own && !names.iter().any(|name| name == secret.name()) {
                self.calls.delete(Kind::Secret, &secret, &secret.guard()).await?;
            }
        }
        Ok(())
    }
}

fn packed(render: &SlotRender) -> Result<Vec<u8>, CallError> {
    let damaged =
        |error: &dyn std::error::Error| CallError::Server(format!("failed to pack a render: {error}"));
    let text = serde_json::to_vec(render).map_err(|error| damaged(&error))?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&text).map_err(|error| damaged(&error))?;
    encoder.finish().map_err(|error| damaged(&error))
}

fn unpacked(secret: &Live) -> Option<SlotRender> {
    let data = secret.value.get("data")?.get(RENDER).and_then(Value::as_str)?;
    let packed = STANDARD.decode(data).ok()?;
    let mut text = Vec::new();
    GzDecoder::new(packed.as_slice()).take(RENDER_CAP).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

//! The part of `tidegate status` about environments whose file could never be read: the record of their repository names them.

use std::collections::BTreeMap;

use tidegate_core::ids::{EnvironmentName, short};
use tidegate_core::status::UnreadableEnvironment;

use super::problems;
use super::style::{Style, Tone};
use super::target::TargetCluster;
use crate::cluster::call::CallError;
use crate::cluster::repository::repositories;

/// Environments by name: each stands in every cluster of its repository.
pub type Named = BTreeMap<EnvironmentName, UnreadableEnvironment>;

/// Those that one cluster knows of; only the one of this name, where one is given.
pub async fn read(cluster: &TargetCluster, only: Option<&str>) -> Result<Named, CallError> {
    let records = repositories(&cluster.client).await?;
    let all = records.into_iter().flat_map(|record| record.environments.items);
    let wanted = all.filter(|entry| only.is_none_or(|only| entry.environment.as_str() == only));
    Ok(wanted.map(|entry| (entry.environment.clone(), entry)).collect())
}

/// As people read them.
pub fn text(named: &Named, style: Style) -> String {
    let mut text = String::new();
    for UnreadableEnvironment { environment, seen, problems: found } in named.values() {
        let commit = short(&seen.id);
        let name = style.paint(Tone::Strong, environment.as_str());
        text.push_str(&format!("\n{name}: its file cannot be read at {commit}; nothing of it is applied\n"));
        for problem in &found.items {
            for line in problems::render(problem, None, style).lines() {
                text.push_str(&format!("  {line}\n"));
            }
        }
    }
    text
}

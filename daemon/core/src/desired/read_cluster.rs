//! `spec.cluster` of an environment: exactly one way to reach it.

use super::fields::{Fields, Spot};
use super::{Cluster, SecretKey};
use crate::problem::{Code, Problem};

const WAYS: &[&str] = &["eks", "inCluster", "kubeconfig"];

/// Reads `spec.cluster`.
pub fn cluster(fields: &mut Fields, spot: &Spot<'_>) -> Option<Cluster> {
    let section = fields.section(spot, WAYS)?;
    // `inCluster:` with nothing after it is a way, too.
    let named: Vec<&str> = WAYS.iter().copied().filter(|way| spot.node.get(way).is_some()).collect();
    let [way] = named.as_slice() else {
        fields.wrong(spot, "exactly one of eks, inCluster and kubeconfig");
        return None;
    };
    let value = section.get(way);
    match *way {
        "inCluster" => {
            if let Some(spot) = value {
                fields.section(&spot, &[])?;
            }
            Some(Cluster::InCluster)
        }
        "kubeconfig" => match value {
            Some(spot) => kubeconfig(fields, &spot),
            None => Some(Cluster::Kubeconfig { path: None, context: None }),
        },
        _ => {
            let problem = Problem::error(Code::NotSupported, "clusters by `eks` come with a later version");
            let help = "use `kubeconfig`, with the AWS CLI's token command, or `inCluster`";
            fields.report(value.as_ref().unwrap_or(spot), problem.help(help));
            None
        }
    }
}

fn kubeconfig(fields: &mut Fields, spot: &Spot<'_>) -> Option<Cluster> {
    let section = fields.section(spot, &["path", "context", "secretRef"])?;
    let context = section.get("context").and_then(|spot| fields.text(&spot));
    let path = section.get("path").and_then(|spot| fields.text(&spot));
    let Some(secret) = section.get("secretRef") else {
        return Some(Cluster::Kubeconfig { path, context });
    };
    if section.get("path").is_some() {
        fields.wrong(spot, "either a path or a secretRef");
        return None;
    }
    let section = fields.section(&secret, &["namespace", "name", "key"])?;
    let mut part = |name: &str| fields.required(&section, name).and_then(|spot| fields.text(&spot));
    let (namespace, name) = (part("namespace"), part("name"));
    let key =
        section.get("key").and_then(|spot| fields.text(&spot)).unwrap_or_else(|| "kubeconfig".to_owned());
    Some(Cluster::KubeconfigSecret { secret: SecretKey { namespace: namespace?, name: name?, key }, context })
}

//! Which images run, by their digests, as pods report it: a name in a manifest may stand for another image tomorrow.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use tidegate_core::ledger::Image;

/// What a digest of an image begins with.
const ALGORITHM: &str = "sha256:";

/// Takes the digests of these images from the pods that run them under that name.
pub fn note_digests<'a>(images: &mut BTreeMap<String, Image>, pods: impl IntoIterator<Item = &'a Pod>) {
    for pod in pods {
        let asked = pod.spec.iter().flat_map(|spec| &spec.containers);
        let asked: BTreeMap<&str, Option<&str>> =
            asked.map(|container| (container.name.as_str(), container.image.as_deref())).collect();
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        for status in statuses {
            // One that was loaded into the node has an id in place of a repository's digest.
            let digest =
                status.image_id.rsplit_once('@').map_or(status.image_id.as_str(), |(_, digest)| digest);
            let Some(image) = images.get_mut(&status.name).filter(|_| digest.starts_with(ALGORITHM)) else {
                continue;
            };
            if asked.get(status.name.as_str()).copied().flatten() == Some(image.name.as_str()) {
                image.digest = Some(digest.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(image: &str, id: &str) -> Pod {
        serde_json::from_value(json!({
            "spec": { "containers": [{ "name": "main", "image": image }] },
            "status": { "containerStatuses": [
                { "name": "main", "image": image, "imageID": id, "ready": true, "restartCount": 0 }
            ] },
        }))
        .unwrap()
    }

    fn digest(pods: &[Pod]) -> Option<String> {
        let image = Image { name: "shop:2".to_owned(), digest: None };
        let mut images = BTreeMap::from([("main".to_owned(), image)]);
        note_digests(&mut images, pods);
        images.remove("main").unwrap().digest
    }

    #[test]
    fn a_digest_is_that_of_a_pod_that_runs_the_image_of_that_name() {
        assert_eq!(digest(&[pod("shop:2", "registry.example/shop@sha256:22")]).as_deref(), Some("sha256:22"));
        assert_eq!(
            digest(&[pod("shop:2", "sha256:33")]).as_deref(),
            Some("sha256:33"),
            "loaded into the node"
        );
        assert_eq!(digest(&[pod("shop:1", "registry.example/shop@sha256:11")]), None, "a pod of before");
        assert_eq!(digest(&[pod("shop:2", "")]), None, "it has not begun");
    }
}

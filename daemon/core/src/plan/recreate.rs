//! Which objects may be deleted and created anew when a field of them cannot change. Whether one has to be is the API
//! server's word.

use crate::object::ObjectId;

/// Kinds of Kubernetes that hold no state of their own, with their groups: a custom kind of the same name may hold some.
const RECREATED: [(&str, &str); 5] = [
    ("batch", "Job"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "StorageClass"),
];

/// Whether an object is deleted and created anew when the API server calls a field of it immutable.
pub fn is_recreated(object: &ObjectId) -> bool {
    RECREATED.contains(&(object.group.as_str(), object.kind.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_kind_of_the_same_name_is_not_made_anew() {
        let job = |group: &str| ObjectId {
            group: group.to_owned(),
            kind: "Job".to_owned(),
            namespace: Some("n".to_owned()),
            name: "j".to_owned(),
        };
        assert!(is_recreated(&job("batch")));
        assert!(!is_recreated(&job("batch.volcano.sh")));
    }
}

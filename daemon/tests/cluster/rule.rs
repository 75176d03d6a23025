//! Rules of an API server that refuse what a test is about, in the test's own namespace; they go with the test.

use crate::rollout_scene::Scene;
use crate::support::{check, eventually};

/// Updates of one resource that are refused with a message.
pub struct Rule<'a>(&'a Scene);

impl<'a> Rule<'a> {
    /// `holds` is the CEL expression of what may be; `patch` is a merge patch of the named object that may not.
    pub fn new(
        scene: &'a Scene,
        (group, resource, name): (&str, &str, &str),
        holds: &str,
        message: &str,
        patch: &str,
    ) -> Self {
        let namespace = &scene.world.name;
        scene.apply(&format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: {namespace}}}\nspec:\n  \
             failurePolicy: Fail\n  matchConstraints:\n    resourceRules:\n    - {{apiGroups: [\"{group}\"], apiVersions: [v1], operations: [UPDATE], resources: [{resource}]}}\n  \
             validations:\n  - {{expression: \"{holds}\", message: \"{message}\"}}\n---\n\
             apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {{name: {namespace}}}\nspec:\n  \
             policyName: {namespace}\n  validationActions: [Deny]\n  matchResources: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}}}\n"
        ));
        let try_it =
            ["-n", namespace, "patch", resource, name, "--dry-run=server", "--type=merge", "-p", patch];
        eventually("the rule holds", || {
            let came = scene.world.kube.run(&try_it);
            check(came.is_err_and(|why| why.contains(message)), "it does not")
        });
        Self(scene)
    }
}

impl Drop for Rule<'_> {
    fn drop(&mut self) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            let _ = self.0.world.kube.run(&[
                "delete",
                kind,
                &self.0.world.name,
                "--ignore-not-found",
                "--timeout=60s",
            ]);
        }
    }
}

//! Codes of objects that are no good Kubernetes objects, or not the environment's to own.

use super::{Example, Explanation};

pub const UNKNOWN_FIELD: Explanation = Explanation {
    title: "The kind has no such field",
    meaning: "The API server would drop the field (kubectl without strict validation says nothing of it), and the setting would have \
              no effect. The schema is that of Kubernetes 1.35, of the cluster, or of a CustomResourceDefinition.",
    example: Example::Files(&[(
        "environments/dev/web.yaml",
        b"apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selecter: {app: web}
  ports: [{port: 80}]
",
    )]),
    remedy: "Correct the name; the message names the nearest one, or the place where the field belongs. Indentation that is off by \
             one level is the other common cause.",
};

pub const FIELD_VALUE: Explanation = Explanation {
    title: "A field has the wrong type or value",
    meaning: "The schema of the kind asks for another type (a list, a quantity, a whole number) or for one of some words. The API \
              server would refuse the object.",
    example: Example::Files(&[(
        "environments/dev/web.yaml",
        b"apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: \"80\"}]
",
    )]),
    remedy: "Write the value as the message says. `kubectl explain KIND.FIELD` describes the field.",
};

pub const MISSING_FIELD: Explanation = Explanation {
    title: "A required field is missing",
    meaning: "The kind cannot do without the field, and the API server would refuse the object. The place is that of the mapping in \
              which it belongs.",
    example: Example::Files(&[(
        "environments/dev/web.yaml",
        b"apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http}]
",
    )]),
    remedy: "Add the field, or look for a misspelt one beside it: that has an error of its own.",
};

pub const UNKNOWN_KIND: Explanation = Explanation {
    title: "The kind or its version is unknown",
    meaning: "Neither Kubernetes 1.35 nor the cluster has this kind in this version. Kinds of groups with a dot may be custom kinds \
              whose definition is installed later; those are left unchecked offline.",
    example: Example::Files(&[(
        "environments/dev/web.yaml",
        b"apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: web}\nspec: {}\n",
    )]),
    remedy: "Correct `apiVersion` and `kind`; the message names what there is. For a custom kind, commit or install its \
             CustomResourceDefinition.",
};

pub const NAMESPACE: Explanation = Explanation {
    title: "The namespace is not on the environment's list",
    meaning: "An environment writes to the namespaces under `spec.namespaces` and to no other one, so that a manifest that was copied \
              from elsewhere cannot reach into another environment.",
    example: Example::Files(&[(
        "environments/dev/settings.yaml",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shpo}\n",
    )]),
    remedy: "Correct the namespace, leave it out (the first on the list is the default), or add it to `spec.namespaces`.",
};

pub const CLUSTER_SCOPED: Explanation = Explanation {
    title: "The environment may not own a kind that lives in the cluster",
    meaning: "An object without a namespace concerns everybody in the cluster: a ClusterRole, a webhook, a Namespace. None of them is \
              written unless the environment lists its kind.",
    example: Example::Files(&[(
        "environments/dev/reader.yaml",
        b"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: reader}\nrules: []\n",
    )]),
    remedy: "Add the kind to `spec.clusterScoped` of environment.yaml, in a review of its own.",
};

pub const DEPRECATED: Explanation = Explanation {
    title: "The API version is on its way out",
    meaning: "The version is still served, and the object is applied. It stops to work with the release of Kubernetes that the message \
              names.",
    example: Example::Files(&[(
        "environments/dev/endpoints.yaml",
        b"apiVersion: v1\nkind: Endpoints\nmetadata: {name: database}\nsubsets: []\n",
    )]),
    remedy: "Move to the version or kind that the message names before the cluster is upgraded.",
};

pub const WAVE_ORDER: Explanation = Explanation {
    title: "A Namespace or a definition comes after what needs it",
    meaning: "Objects of a later wave wait until those of the earlier ones are healthy, and an object cannot be made before its Namespace \
              or the definition of its kind. In this order each would wait for the other for ever.",
    example: Example::Files(&[
        (
            "environments/dev/namespace.yaml",
            b"apiVersion: v1
kind: Namespace
metadata:
  name: shop
  annotations: {tidegate.dev/wave: \"1\"}
",
        ),
        (
            "environments/dev/settings.yaml",
            b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\n",
        ),
    ]),
    remedy: "Give the Namespace or definition the wave of the first object that needs it, or an earlier one.",
};

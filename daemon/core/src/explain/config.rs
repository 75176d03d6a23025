//! Codes of `environment.yaml` and of what it does with manifests.

use super::{Example, Explanation};

pub const FIELD: Explanation = Explanation {
    title: "A field of environment.yaml or of a policy is unknown, missing or of the wrong type",
    meaning: "Every field of our own files is checked, so that a misspelt one is never taken as its default. The environment, or \
              the ones that name a policy of the file, stay at their last good commit until the file is right.",
    example: Example::Files(&[(
        "environments/dev/environment.yaml",
        b"apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
  prnue: {enabled: false}
",
    )]),
    remedy: "Correct the field. With the comment `# yaml-language-server: $schema=...` in the first line an editor completes and \
             checks the file; README.md shows it.",
};

pub const NAME: Explanation = Explanation {
    title: "The environment's name is not that of its folder",
    meaning: "The folder is what people see in a pull request, the name is what owns objects in the cluster. A copied folder whose \
              name was not changed would take over the objects of the original.",
    example: Example::Files(&[(
        "environments/dev/environment.yaml",
        b"apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: production}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
",
    )]),
    remedy: "Write the folder's name into `metadata.name`: at most 40 of a-z, 0-9 and `-`.",
};

pub const SOURCE_PATH: Explanation = Explanation {
    title: "A source does not exist or leaves the repository",
    meaning: "A source is a folder or a file of the same repository, relative to the environment's folder. A missing one is never \
              read as an empty one, which would delete everything that stood in it.",
    example: Example::Files(&[(
        "environments/dev/environment.yaml",
        b"apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
  sources:
    - manifests: ../base/shop
",
    )]),
    remedy: "Correct the path, or bring the folder back.",
};

pub const SUBSTITUTION: Explanation = Explanation {
    title: "${NAME} is not defined, or badly written",
    meaning: "Every `${NAME}` in a manifest must stand under `spec.substitute` of the environment. An empty text in its place would \
              be applied as an image without a tag or a host without a name.",
    example: Example::Files(&[(
        "environments/dev/settings.yaml",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {level: \"${LOG_LEVEL}\"}\n",
    )]),
    remedy: "Define the name under `spec.substitute`, or correct it. A `${...}` that is meant for the program itself is \
             written `$${...}`.",
};

pub const PATCH: Explanation = Explanation {
    title: "A patch matches nothing, or fails",
    meaning: "A patch of environment.yaml says what is different in this environment. One that finds no object or no field would \
              silently stop to have an effect, so it is an error.",
    example: Example::Files(&[
        (
            "environments/dev/environment.yaml",
            b"apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
  patches:
    - target: {kind: ConfigMap, name: setings}
      merge: {data: {level: debug}}
",
        ),
        (
            "environments/dev/settings.yaml",
            b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {level: info}\n",
        ),
    ]),
    remedy: "Correct the target or the path, or remove the patch when what it changed is gone.",
};

pub const DEPENDS_ON: Explanation = Explanation {
    title: "dependsOn names an unknown environment or forms a circle",
    meaning: "An environment under `dependsOn` must be live at a commit before the commit is applied here. One that does not exist, \
              or that waits for this one, would hold it for ever.",
    example: Example::Files(&[(
        "environments/dev/environment.yaml",
        b"apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
  dependsOn: [shared]
",
    )]),
    remedy: "Name an environment of this repository, and break the circle where the waiting matters least.",
};

pub const NOT_SUPPORTED: Explanation = Explanation {
    title: "The environment uses something that this version does not do",
    meaning: "The field or kind is known but has no effect in this version, or none where it stands. Where ignoring it would do something else than what is \
              asked for it is an error, elsewhere a warning.",
    example: Example::Files(&[(
        "environments/dev/environment.yaml",
        b"apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
  sources:
    - kustomize: .
",
    )]),
    remedy: "Take it out, or use what the help of the message names. SHORTCOMINGS.md lists what is missing.",
};

pub const TREE_ENTRY: Explanation = Explanation {
    title: "A symlink, submodule or unreadable entry in a folder that is read",
    meaning: "Only files and folders of the commit itself are read: what a symlink points to may lie outside, and a submodule is \
              another repository. An environment with such an entry is broken, never smaller by it.",
    example: Example::Situation {
        when: "`environments/dev/settings.yaml` is a symlink.",
        says: "`environments/dev/settings.yaml` is a symlink; only files and folders are read",
    },
    remedy: "Put the file itself there. Manifests that several environments share stand in one folder that each names under \
             `sources`.",
};

pub const POLICY_NAME: Explanation = Explanation {
    title: "A policy is named that does not exist, or two have one name",
    meaning: "An environment names its policies under `spec.policies`, whatever their kind; each stands in a file below `policies/` \
              under its `metadata.name`. A rollout without the gates that it was to pass would be worse than none, so the \
              environment stays at its last good commit.",
    example: Example::Files(&[
        (
            "environments/dev/environment.yaml",
            b"apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
  policies: [blue-gren]
",
        ),
        (
            "policies/blue-green.yaml",
            b"apiVersion: tidegate.dev/v1
kind: RolloutPolicy
metadata: {name: blue-green}
spec:
  match: {kinds: [Deployment]}
",
        ),
    ]),
    remedy: "Correct the name, add the policy, or give each policy a name of its own.",
};

pub const GUARDRAIL: Explanation = Explanation {
    title: "An object breaks a rule of a Guardrail",
    meaning: "The environment names a Guardrail that matches the object, and an expression of it is not true of the object as it \
              would be sent, or cannot be evaluated. With `action: deny` nothing of the commit is applied; with `warn` it is said \
              and applied.",
    example: Example::Files(&[
        (
            "environments/dev/environment.yaml",
            b"apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
  policies: [owned]
",
        ),
        (
            "environments/dev/settings.yaml",
            b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {level: info}\n",
        ),
        (
            "policies/owned.yaml",
            b"apiVersion: tidegate.dev/v1
kind: Guardrail
metadata: {name: owned}
spec:
  match: {kinds: [ConfigMap]}
  validations:
    - expression: has(object.metadata.labels) && 'team' in object.metadata.labels
      message: everything says by its label `team` whose it is
",
        ),
    ]),
    remedy: "Change the object so that the rule holds; the message names the rule's place. Where the rule is wrong, change it, or \
             give its match a selector that leaves the object out.",
};

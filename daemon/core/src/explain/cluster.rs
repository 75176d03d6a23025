//! Codes of applying: what a cluster refuses, and what Tidegate refuses to do to one.

use super::{Example, Explanation};

pub const REJECTED: Explanation = Explanation {
    title: "The API server refused the object",
    meaning: "Its validation, an admission webhook, a policy or a quota said no, in the words that are shown. Objects that do not need \
              this one are applied all the same; it is tried again when it changes in git or in the cluster, and after a while.",
    example: Example::Situation {
        when: "A Service asks for a port that Kubernetes does not have.",
        says: "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
    },
    remedy: "Correct the field that is named. For a quota or a webhook, ask whoever runs it.",
};

pub const IMMUTABLE: Explanation = Explanation {
    title: "The field cannot be changed",
    meaning: "Kubernetes lets this field be set only when the object is made. To change it the object would have to be deleted and \
              made anew, which Tidegate does not do by itself: the pods or the data behind it would go.",
    example: Example::Situation {
        when: "A commit changes the labels that a Deployment selects its pods by.",
        says: "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"web2\"}}: field is immutable",
    },
    remedy: "Give the object another name (the old one is pruned), take the change back, or delete the object by hand once you are \
             sure.",
};

pub const OWNERSHIP: Explanation = Explanation {
    title: "The object belongs to another tool or another environment",
    meaning: "The live object carries the marks of Helm, Argo CD, Flux, another ApplySet or another environment, or it is one of \
              Tidegate's own records. Two tools that write one object undo each other for ever, so it is left alone.",
    example: Example::Files(&[
        (
            "environments/dev/environment.yaml",
            b"apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [tidegate-system]
",
        ),
        (
            "environments/dev/record.yaml",
            b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tidegate-production}\n",
        ),
    ]),
    remedy: "Take it out of one of the two. To move it here, name it under `spec.adopt` of environment.yaml and stop the other tool \
             first.",
};

pub const DEPENDENCY: Explanation = Explanation {
    title: "An object that this one needs failed",
    meaning: "The object waits because another one, which it needs, could not be applied. The error of that other one is the cause; \
              this one follows by itself.",
    example: Example::Unused(
        "Objects that wait are shown as waiting, with the one that they wait for, and not as an error.",
    ),
    remedy: "Correct the object that failed, and both are applied.",
};

pub const PRUNE_BUDGET: Explanation = Explanation {
    title: "More objects left git than may be deleted at once",
    meaning: "A moved folder, a broken generator or a bad merge looks like a wish to delete. Beyond `prune.budget` (10 objects or \
              20 %), or when git asks for no object at all but what `createNamespaces` makes, nothing is deleted and somebody \
              is asked.",
    example: Example::Situation {
        when: "A commit removes 12 of an environment's 60 objects.",
        says: "12 of 60 objects left git, more than the prune budget of 10 objects or 20 % allows: nothing is deleted",
    },
    remedy: "Bring the files back, or raise `prune.budget` in the commit that removes them. To take the whole environment down, set \
             `decommission: true`.",
};

pub const HEALTH_DEADLINE: Explanation = Explanation {
    title: "Not healthy within its deadline",
    meaning: "The object was applied, and did not become healthy within `deadlines.healthy`. The message has the first reason that \
              its status or its pods give. Where a good commit is known, the environment goes back to it (E0411).",
    example: Example::Situation {
        when: "A release names an image that crashes at its start.",
        says: "not healthy within 3m: pod web-5c9d: container web: CrashLoopBackOff: it ended with code 1",
    },
    remedy: "Look at the pod that is named, then revert the commit or push a better one. Raise the deadline if it is merely slow.",
};

pub const FORBIDDEN: Explanation = Explanation {
    title: "The identity lacks a right",
    meaning: "The API server knows who we are and does not let this identity do it. Other objects are applied; this one is tried \
              again after a while.",
    example: Example::Situation {
        when: "The daemon's ServiceAccount may not write Roles.",
        says: "roles.rbac.authorization.k8s.io is forbidden: User \"system:serviceaccount:tidegate-system:tidegate\" cannot patch resource \"roles\"",
    },
    remedy: "Grant the verb on the kind to the daemon's identity, or take the object out of the environment. \
             `kubectl auth can-i VERB KIND --as USER` shows what it may.",
};

pub const CONFLICT: Explanation = Explanation {
    title: "The object changed again and again while it was written",
    meaning: "Every write carries the version of the object that it was decided on. Where somebody else writes faster than that, it \
              would never succeed.",
    example: Example::Unused(
        "A conflict is decided anew in the next pass; fields that somebody keeps changing are shown as fought over.",
    ),
    remedy: "Find the other writer in `managedFields` (`tidegate diff` names it) and stop it, or leave the field to it under `spec.ignore`.",
};

pub const APPLY_DEADLINE: Explanation = Explanation {
    title: "Not applied whole within its deadline",
    meaning: "Something keeps a part of the commit from being applied for longer than `deadlines.apply`: an object that is refused, a \
              wave that does not become healthy, a cluster that does not answer. It goes on trying.",
    example: Example::Situation {
        when: "Objects of wave 1 wait for a Deployment of wave 0 whose image does not exist.",
        says: "not applied whole within 1m: Deployment shop/web waits for wave 0",
    },
    remedy: "Remove the first cause, which the message names; `tidegate status ENVIRONMENT` lists the rest.",
};

pub const ROLLED_BACK: Explanation = Explanation {
    title: "A commit did not become healthy, and the last good one is enforced again",
    meaning: "Objects that the commit changed, or that were healthy before it, were not healthy within `deadlines.healthy`. The \
              environment went back to the last commit at which all of it was healthy, by an ordinary plan: what the commit added is \
              pruned within the budget, what it removed is made again. The commit is held: it is not tried again until git asks for \
              something else, whatever restarts meanwhile.",
    example: Example::Situation {
        when: "A release names an image that does not exist, and `deadlines.healthy` is 3m.",
        says: "9b03d7e is held, 4f1c2aa is enforced again: Deployment shop/web was not healthy in time: 0 of 1 replicas are available",
    },
    remedy: "Mend or revert the commit and push; any change of the environment's files is tried. With `onFailure: stay` in \
             environment.yaml an environment is reported and not rolled back.",
};

pub const ROLLOUT_REJECTED: Explanation = Explanation {
    title: "The new revision was turned down; what was live before still is",
    meaning: "A gate failed, the pods of the new colour were not ready in time, or a person ordered it. Before the switch the live \
              colour is untouched; in a bake traffic went back to it. The revision is held until git asks for another one.",
    example: Example::Situation {
        when: "The smoke gate of a policy expects a prediction of 20.35, and the new image answers 31.7.",
        says: "gate `smoke` failed (/prediction = 31.7, expected 20.35 ± 0.01); traffic never left blue (4f1c2aa), which serves with 2 of 2",
    },
    remedy: "`tidegate status` names the rule that does not hold, the fields that the revision changes, and the end of a failing \
             pod's log. The pods of the other colour stay for a while (`keepFailed`). Revert the commit or mend it with another \
             one; `tidegate retry` tries the same revision again.",
};

pub const ROLLOUT_HALTED: Explanation = Explanation {
    title: "A rollout is halted until a person has looked",
    meaning: "Somebody else changed where the traffic goes, the record of who is live was lost, or the new revision fails and there \
              is nothing well to go back to. Traffic was put back to where it is known to be safe, as far as there is such a place, \
              and nothing new is begun.",
    example: Example::Situation {
        when: "Somebody edits the selector of the Service by hand while green is live.",
        says: "halted until a person resumes it; green serves with 2 of 2",
    },
    remedy: "Find out who moved it (the Events of the Deployment name the step), look at what serves, then `tidegate resume` with a \
             reason, or commit another revision.",
};

pub const ROLLOUT_STUCK: Explanation = Explanation {
    title: "A rollout cannot go on",
    meaning: "The API server refuses a step (a quota, a webhook, a right that is missing), something that is not Tidegate's stands \
              where a colour belongs, a workload has colours and no policy matches it any more, or none of the pods that serve is \
              ready. Traffic stays where it is.",
    example: Example::Situation {
        when: "A quota of the namespace has no room for a second colour.",
        says: "the rollout does not go on: prepare: the API server refused: exceeded quota: compute, requested: pods=2",
    },
    remedy: "Do what the words ask for; the step is tried again by itself. Pods that are not ready say why in `tidegate tree` and in \
             their logs.",
};

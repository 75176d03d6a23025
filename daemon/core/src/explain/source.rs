//! Codes of what stands outside: the repository and the clusters.

use super::{Example, Explanation};

pub const UNREACHABLE: Explanation = Explanation {
    title: "The repository is out of reach or answers nonsense",
    meaning: "No connection, no right to read, or an answer that is not git's. The last good commit stays enforced, drift is still \
              repaired, and nothing is deleted.",
    example: Example::Situation {
        when: "The token for the repository has expired.",
        says: "https://git.example.com/acme/environments.git refused the token (HTTP 401)",
    },
    remedy: "Check the URL, the network and the credentials that the message is about; it is tried again by itself.",
};

pub const REWOUND: Explanation = Explanation {
    title: "The branch moved back, was deleted or is empty",
    meaning: "The new tip does not descend from what was applied: somebody forced a push or deleted the branch. To follow it could \
              undo weeks of changes at once, so the last good commit stays until a person agrees.",
    example: Example::Situation {
        when: "Somebody pushes an older commit by force.",
        says: "branch `main` of https://git.example.com/acme/environments.git moved from 9b03d7e to 4f1c2aa, which is not a descendant of it",
    },
    remedy: "Restore the branch. If the new history is wanted: `tidegate sync ENVIRONMENT --rewind COMMIT --reason TEXT`.",
};

pub const CLUSTER: Explanation = Explanation {
    title: "The cluster is out of reach or answers nonsense",
    meaning: "The API server could not be asked, did not let us in, or failed by itself. What could not be read counts as unknown, \
              never as absent, and nothing is deleted meanwhile.",
    example: Example::Situation {
        when: "The API server is being restarted.",
        says: "the API server is out of reach: connection refused",
    },
    remedy: "Check the address, the certificate and the credentials in the kubeconfig; it is tried again by itself. A kubeconfig that runs \
             a program for credentials (`exec`) is refused until whoever starts Tidegate allows the program with --allow-exec or \
             TIDEGATE_ALLOW_EXEC; nothing in git can.",
};

pub const MISSING: Explanation = Explanation {
    title: "The environment does not stand in git",
    meaning: "A command or a record names an environment without a folder. A folder that only disappears deletes nothing: it may have \
              been moved by mistake, so its objects stay, and `tidegate status` says that it is gone from git.",
    example: Example::Situation {
        when: "A command names an environment that no folder has.",
        says: "there is no environment `prodution`",
    },
    remedy: "Correct the name, or restore the folder. To take an environment down, commit `decommission: true`, wait until its objects are gone, then remove \
             the folder.",
};

pub const MOVED: Explanation = Explanation {
    title: "The environment was moved to another cluster and its objects stay in the old one",
    meaning: "`spec.cluster` names another cluster than before. The environment is applied there; what it owns in the cluster that it \
              left is neither looked after nor deleted, because a wrong line must not take an environment down.",
    example: Example::Situation {
        when: "A commit changes the kubeconfig context of an environment that is live.",
        says: "the environment was moved: what it owns in the cluster of before (the daemon's kubeconfig, context old) stays and is no longer looked after",
    },
    remedy: "To take the old ones down, point `cluster` back, commit `decommission: true`, wait until they are gone, then move the \
             environment. To keep them, delete its ConfigMap `tidegate-ENVIRONMENT` in the namespace tidegate-system of the old cluster.",
};

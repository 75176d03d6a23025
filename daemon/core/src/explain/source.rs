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

pub const LEDGER_BEHIND: Explanation = Explanation {
    title: "Records of the deploy log are not pushed",
    meaning: "The deploy log's repository has not taken records for a minute or more. Nothing waits for it: deploys, rollbacks and \
              repairs go on, and their records stand in the cluster, in their order, until they are in git. Of more than 1,000 that wait \
              only the count and a digest are kept, and the log says so itself.",
    example: Example::Situation {
        when: "The log's remote is down, or refuses the daemon's credentials.",
        says: "2 records of the deploy log are not pushed, the oldest since 2026-11-22 10:15:00Z: connection refused",
    },
    remedy: "Do what the words ask for: the remote, its credentials (`TIDEGATE_LEDGER_TOKEN`, `TIDEGATE_LEDGER_SSH_KEY`), a branch rule that \
             lets the daemon push to `deploylog/**`. It is tried again by itself, at least every 30 s.",
};

pub const LEDGER_ALTERED: Explanation = Explanation {
    title: "Somebody else wrote on the deploy log",
    meaning: "A branch of the deploy log is not as the daemon left it: it has commits that the daemon did not sign, was rewound, or is \
              gone. Nothing is overwritten: the branch stays as it is, and the log goes on in the next epoch, which begins with a record \
              of this and names the last commit that the daemon had pushed.",
    example: Example::Situation {
        when: "A person has pushed a commit to the daemon's branch.",
        says: "deploylog/prod-1f2e3d4c/shop/0 of the deploy log is not as it was left (a commit that nobody signed; found: \
               8c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c9d); records go on to deploylog/prod-1f2e3d4c/shop/1",
    },
    remedy: "Look who wrote there (`git log` of that branch, the forge's audit log), run `tidegate verify` on a clone, and take the right to \
             push to `deploylog/**` away from everybody but the daemon.",
};

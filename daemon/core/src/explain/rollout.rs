//! Codes of workloads that cannot roll out in colours as a policy asks.

use super::{Example, Explanation};

const ENVIRONMENT: (&str, &[u8]) = (
    "environments/dev/environment.yaml",
    b"apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
  policies: [blue-green]
",
);

const POLICY: (&str, &[u8]) = (
    "policies/blue-green.yaml",
    b"apiVersion: tidegate.dev/v1
kind: RolloutPolicy
metadata: {name: blue-green}
spec:
  match: {kinds: [Deployment]}
",
);

const SERVICE_OF_WEB: (&str, &[u8]) = (
    "environments/dev/service.yaml",
    b"apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
",
);

const WEB: (&str, &[u8]) = (
    "environments/dev/web.yaml",
    b"apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: web:1
          readinessProbe: {tcpSocket: {port: 8080}}
",
);

pub const POLICIES: Explanation = Explanation {
    title: "Several rollout policies match one workload",
    meaning: "One policy says how a workload rolls out: which gates have to pass, how long the new colour is watched, what is waited \
              for. With two of them nobody could tell which gates let a release through.",
    example: Example::Files(&[
        (
            "environments/dev/environment.yaml",
            b"apiVersion: tidegate.dev/v1
kind: Environment
metadata: {name: dev}
spec:
  cluster: {kubeconfig: {}}
  namespaces: [shop]
  policies: [blue-green, careful]
",
        ),
        POLICY,
        (
            "policies/careful.yaml",
            b"apiVersion: tidegate.dev/v1
kind: RolloutPolicy
metadata: {name: careful}
spec:
  match: {names: [web]}
",
        ),
        SERVICE_OF_WEB,
        WEB,
    ]),
    remedy: "Narrow `match` of the policies (`selector`, `names`) until one of them is for it, or take the others out of \
             `spec.policies` of the environment.",
};

pub const UNMATCHED: Explanation = Explanation {
    title: "A rollout policy matches nothing",
    meaning: "The environment names the policy and has no workload for it. What was meant to go through gates goes out as an ordinary \
              Deployment; mostly a label is misspelt.",
    example: Example::Files(&[
        ENVIRONMENT,
        (
            "policies/blue-green.yaml",
            b"apiVersion: tidegate.dev/v1
kind: RolloutPolicy
metadata: {name: blue-green}
spec:
  match: {names: [wbe]}
",
        ),
        SERVICE_OF_WEB,
        WEB,
    ]),
    remedy: "Correct the policy's `match` or the Deployment's labels, or take the policy out of `spec.policies`.",
};

pub const KIND: Explanation = Explanation {
    title: "A kind that does not roll out in colours",
    meaning: "A workload in colours runs twice for a while. The pods of a StatefulSet have identities and volumes that exist once, a \
              DaemonSet has one pod on each node, and a Job ends by itself; only Deployments can run beside themselves.",
    example: Example::Situation {
        when: "A policy says `match: {kinds: [StatefulSet]}`, and there is one.",
        says: "StatefulSet shop/orders-db: a StatefulSet does not roll out in colours: its pods have identities and volumes \
               that cannot exist twice",
    },
    remedy: "Take the kind out of `match.kinds`, or narrow the policy. Without a policy the object is applied as before.",
};

pub const SERVICE: Explanation = Explanation {
    title: "Which Service moves a workload's traffic cannot be told",
    meaning: "Traffic moves from one colour to the other by the selector of one Service, the pointer. It is the one that the policy \
              names, or the only one that selects the pods. Without one both colours would work at once; with several, some callers \
              would stay on the old colour; and one that is shared with another workload would lose that one's pods.",
    example: Example::Files(&[
        ENVIRONMENT,
        POLICY,
        (
            "environments/dev/metrics.yaml",
            b"apiVersion: v1
kind: Service
metadata: {name: web-metrics}
spec:
  selector: {app: web}
  ports: [{port: 9090}]
",
        ),
        SERVICE_OF_WEB,
        WEB,
    ]),
    remedy: "Give each further Service the annotation `tidegate.dev/role: follow` (it selects the colour that has the traffic) or \
             `tidegate.dev/role: both` (the pods of both, for metrics), or name the pointer in `traffic.service` of the policy.",
};

pub const TRAFFIC: Explanation = Explanation {
    title: "The Service cannot move traffic without lost requests",
    meaning: "Changing a Service's selector moves traffic only where it goes through the Service. Clients of a headless one hold \
              addresses of pods; load balancers that send to pods by address take the old ones out before the new ones are in; with \
              local traffic policies whole nodes drop out.",
    example: Example::Files(&[
        ENVIRONMENT,
        POLICY,
        (
            "environments/dev/service.yaml",
            b"apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: {service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
",
        ),
        WEB,
    ]),
    remedy: "Change the Service as the help of the message says, or take the workload out of the policy's `match`: it rolls out as \
             an ordinary Deployment then.",
};

pub const PODS: Explanation = Explanation {
    title: "Two sets of the workload's pods cannot run side by side",
    meaning: "While a release is proven, both colours run. Pods that take a port of their node, or mount a volume that one node holds \
              at a time, would keep each other from starting, and the new colour would wait for ever.",
    example: Example::Files(&[
        ENVIRONMENT,
        POLICY,
        SERVICE_OF_WEB,
        (
            "environments/dev/web.yaml",
            b"apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: web:1
          ports: [{containerPort: 8080, hostPort: 8080}]
          readinessProbe: {tcpSocket: {port: 8080}}
",
        ),
    ]),
    remedy: "Use a volume that many pods can mount and let a Service lead to the pods, or take the workload out of the policy's \
             `match`.",
};

pub const SIZING: Explanation = Explanation {
    title: "What sizes or protects the workload cannot be split between its colours",
    meaning: "Each colour has an autoscaler and a disruption budget of its own, copied from the one in git. Two for one workload work \
              against each other, one that is for other workloads too cannot be taken apart, and objects of other kinds that name \
              the Deployment cannot be told of two.",
    example: Example::Files(&[
        ENVIRONMENT,
        POLICY,
        (
            "environments/dev/budget.yaml",
            b"apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: everything}
spec:
  maxUnavailable: 1
  selector: {}
",
        ),
        SERVICE_OF_WEB,
        WEB,
    ]),
    remedy: "Size the workload with one HorizontalPodAutoscaler, give it one PodDisruptionBudget that selects only its pods, or take \
             it out of the policy's `match`.",
};

pub const NAME: Explanation = Explanation {
    title: "A name or label that a colour would have is taken, or too long",
    meaning: "The colours of a Deployment `web` are `web-blue` and `web-green`, told apart by the labels `tidegate.dev/app`, \
              `tidegate.dev/slot` and `tidegate.dev/revision`. These names and labels are Tidegate's to give, and label values have \
              at most 63 characters.",
    example: Example::Files(&[
        ENVIRONMENT,
        POLICY,
        (
            "environments/dev/service.yaml",
            b"apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web, tidegate.dev/slot: blue}
  ports: [{port: 80, targetPort: 8080}]
",
        ),
        WEB,
    ]),
    remedy: "Rename one of the two, or take the label out of git.",
};

pub const UNPROVEN: Explanation = Explanation {
    title: "The workload could not be proven before traffic moves to it",
    meaning: "Traffic moves to a colour when its pods are ready and its gates have passed. Without a readinessProbe every pod counts \
              as ready the moment it starts; without replicas, or while the Deployment is paused, there is no pod to ask.",
    example: Example::Files(&[
        ENVIRONMENT,
        POLICY,
        SERVICE_OF_WEB,
        (
            "environments/dev/web.yaml",
            b"apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: \"web:1\"}]}
",
        ),
    ]),
    remedy: "Add a readinessProbe that succeeds once requests can be answered, and ask for one replica at least.",
};

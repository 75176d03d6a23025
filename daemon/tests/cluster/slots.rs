//! The objects of slots, as a real API server and its scheduler see them: accepted as they are, written again without effect,
//! and side by side on one node.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_core::desired::{discover, load};
use tidegate_core::policy::PolicyFolder;
use tidegate_core::render::encode_string_data;
use tidegate_core::rollout::Slot;
use tidegate_core::schema::Catalogue;
use tidegate_core::tree::FileTree;
use tidegate_core::workload::{Workload, split};

use crate::support::{World, check, environment, eventually};

const POLICY: &str = "apiVersion: tidegate.dev/v1
kind: RolloutPolicy
metadata: {name: blue-green}
spec:
  match: {names: [web]}
";

/// Its pods may not stand on one node with each other: a second colour would never get a node where there is only one.
const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {team: shop}}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - topologyKey: kubernetes.io/hostname
              labelSelector: {matchLabels: {app: web}}
      topologySpreadConstraints:
        - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}
      containers:
        - name: main
          image: docker.io/local/pause:1
          imagePullPolicy: IfNotPresent
          readinessProbe: {tcpSocket: {port: 8080}}
          envFrom: [{configMapRef: {name: settings}}]
          env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: database, key: password}}}]
      volumes:
        - {name: settings, projected: {sources: [{configMap: {name: settings}}, {secret: {name: database}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {LEVEL: info}
---
apiVersion: v1
kind: Secret
metadata: {name: database}
stringData: {password: hunter2}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {minReplicas: 1, maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}
";

/// What git says of the workload, read as the daemon reads it.
fn workload(name: &str) -> Arc<Workload> {
    let mut tree = FileTree::default();
    let settings = environment(name, name, "  policies: [blue-green]\n");
    tree.insert(format!("environments/{name}/environment.yaml"), settings.as_bytes());
    tree.insert(format!("environments/{name}/web.yaml"), WEB.as_bytes());
    tree.insert("policies/blue-green.yaml", POLICY.as_bytes());
    let environment = discover(&tree).remove(0).environment.unwrap();
    let policies = PolicyFolder::read(&tree).select(&environment.policies).unwrap();
    let loaded = load(&tree, &environment, Catalogue::kubernetes_1_35().as_ref());
    assert_eq!(loaded.problems, []);
    let objects: Vec<_> = loaded.objects.iter().map(encode_string_data).collect();
    let split = split(&objects, &policies.rollouts);
    assert_eq!(split.problems, []);
    split.workloads[0].clone()
}

/// Everything that a slot is made of, at this size.
fn objects(workload: &Workload, slot: Slot, replicas: u32) -> Vec<Value> {
    let render = workload.slot(slot, "0000000");
    let mut deployment = render.deployment;
    deployment["spec"]["replicas"] = json!(replicas);
    render.configs.into_iter().chain([deployment]).chain(workload.sizing(slot)).collect()
}

fn apply(world: &World, objects: &[Value], further: &[&str]) -> Result<String, String> {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let flags = ["apply", "--server-side", "--field-manager=tidegate", "--validate=strict", "-f", "-"];
    let arguments: Vec<&str> = flags.into_iter().chain(further.iter().copied()).collect();
    world.kube.run_with(&arguments, &list.to_string())
}

#[test]
fn the_objects_of_both_slots_are_accepted_and_their_pods_stand_side_by_side() {
    let world = World::new("slot-objects");
    world.kube.must(&["create", "namespace", &world.name]);
    let workload = workload(&world.name);
    let all: Vec<Value> = Slot::ALL.iter().flat_map(|slot| objects(&workload, *slot, 1)).collect();
    let mut service = workload.service_body();
    service["spec"]["selector"] = json!(workload.base_selector());
    service["spec"]["selector"]["tidegate.dev/slot"] = json!("blue");
    let with_service: Vec<Value> = all.iter().cloned().chain([service]).collect();
    let answer = apply(&world, &with_service, &["--dry-run=server"]).unwrap();
    assert_eq!(answer.lines().filter(|line| line.ends_with("(server dry run)")).count(), 11, "{answer}");

    apply(&world, &all, &[]).unwrap();
    let generation = |name: &str| world.kube.field("deployment", &world.name, name, "/metadata/generation");
    for slot in ["blue", "green"] {
        eventually(&format!("the pod of {slot} has a node"), || {
            let selector = format!("--selector=tidegate.dev/slot={slot},app=web");
            let node =
                ["get", "pods", "-n", &world.name, &selector, "-o", "jsonpath={.items[*].spec.nodeName}"];
            let node = world.kube.run(&node)?;
            check(!node.is_empty(), world.kube.run(&["get", "pods", "-n", &world.name, "-o", "wide"])?)
        });
    }
    let before = (generation("web-blue"), generation("web-green"));
    apply(&world, &all, &[]).unwrap();
    assert_eq!((generation("web-blue"), generation("web-green")), before, "the same again changes nothing");

    let mut copy = all[0].clone();
    copy["data"] = json!({ "LEVEL": "debug" });
    let refusal = apply(&world, &[copy], &[]).unwrap_err();
    assert!(refusal.contains("immutable"), "{refusal}");
    world.kube.leave(&world.name);
}

//! Everything that keeps a workload from rolling out in colours: its code, its place, its reason.

use serde_json::{Value, json};

use super::shop::{Shop, autoscaler, budget, config_map, service};
use crate::policy::Mode;
use crate::problem::Code;

const POD: &str = "/spec/template/spec";

fn says(shop: &Shop, code: Code, place: &str, reason: &str) {
    let message = shop.refusal(code);
    assert!(message.starts_with(&format!("environments/dev/{place}.yaml:1:1: error[")), "{message}");
    assert!(message.contains(reason), "{message}");
}

fn other(kind: &str, name: &str) -> Value {
    let mut other = super::shop::deployment();
    other["kind"] = json!(kind);
    other["metadata"]["name"] = json!(name);
    other["spec"]["template"]["metadata"]["labels"] = json!({ "app": "other", "part-of": "shop" });
    other
}

#[test]
fn kinds_other_than_deployments() {
    for (kind, api, reason) in [
        (
            "StatefulSet",
            "apps/v1",
            "a StatefulSet does not roll out in colours: its pods have identities and volumes that cannot exist twice",
        ),
        ("DaemonSet", "apps/v1", "one pod on each node"),
        ("Job", "batch/v1", "runs to its end"),
        ("Deployment", "example.com/v1", "only Deployments of the group `apps`"),
    ] {
        let mut object = other(kind, "web");
        object["apiVersion"] = json!(api);
        let mut shop = Shop { objects: vec![object], ..Shop::new() };
        shop.policies[0].matches.kinds = [kind.to_owned()].into();
        says(&shop, Code::RolloutKind, &format!("{}-web", kind.to_lowercase()), reason);
    }
}

#[test]
fn no_service_or_none_that_leads() {
    let alone = Shop { objects: vec![super::shop::deployment()], ..Shop::new() };
    says(&alone, Code::RolloutService, "deployment-web", "no Service selects its pods");
    let follower =
        Shop::new().set("Service", "web", "/metadata/annotations", json!({ "tidegate.dev/role": "follow" }));
    says(&follower, Code::RolloutService, "deployment-web", "says that it does not lead: `web`");
    let empty = Shop::new().set("Service", "web", "/spec/selector", json!({}));
    says(&empty, Code::RolloutService, "deployment-web", "no Service selects its pods");
}

#[test]
fn several_services_without_a_role_are_listed() {
    let shop = Shop::new().with(service("metrics"));
    says(
        &shop,
        Code::RolloutService,
        "deployment-web",
        "which of them moves the traffic is not said: `metrics`, `web`",
    );
    let named = Shop::new().with(service("metrics")).mode(Mode::Service { service: Some("web".to_owned()) });
    says(
        &named,
        Code::RolloutService,
        "deployment-web",
        "beside `web` further Services select its pods and do not say their role: `metrics`",
    );
    let role =
        shop.set("Service", "metrics", "/metadata/annotations", json!({ "tidegate.dev/role": "lead" }));
    says(&role, Code::FieldValue, "service-metrics", "`tidegate.dev/role: lead` is no role");
}

#[test]
fn a_named_service_that_is_missing_or_is_not_the_workloads() {
    let named = |name: &str| Mode::Service { service: Some(name.to_owned()) };
    let missing = Shop::new().mode(named("wbe"));
    says(
        &missing,
        Code::RolloutService,
        "deployment-web",
        "the Service `wbe`, which is to move its traffic, is not in git",
    );
    let stranger = Shop::new()
        .with(service("api"))
        .set("Service", "api", "/spec/selector", json!({ "app": "api" }))
        .mode(named("api"));
    says(
        &stranger,
        Code::RolloutService,
        "service-api",
        "it does not select the pods of Deployment shop/web",
    );
    let unwilling = Shop::new()
        .set("Service", "web", "/metadata/annotations", json!({ "tidegate.dev/role": "both" }))
        .mode(named("web"));
    says(&unwilling, Code::RolloutService, "service-web", "says that it does not lead");
}

#[test]
fn a_service_that_leads_to_others_too() {
    let shop = Shop::new()
        .with(other("StatefulSet", "cache"))
        .web("/spec/template/metadata/labels/part-of", json!("shop"))
        .set("Service", "web", "/spec/selector", json!({ "part-of": "shop" }));
    says(
        &shop,
        Code::RolloutService,
        "service-web",
        "it selects the pods of Deployment shop/web and of StatefulSet shop/cache",
    );
}

#[test]
fn services_whose_traffic_the_selector_does_not_move() {
    let web = |pointer: &str, value: Value| Shop::new().set("Service", "web", pointer, value);
    let balanced = |shop: Shop| shop.set("Service", "web", "/spec/type", json!("LoadBalancer"));
    let annotated = |key: &str, value: &str| balanced(web("/metadata/annotations", json!({ key: value })));
    let nlb = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type";
    let auto = || balanced(web("/spec/loadBalancerClass", json!("eks.amazonaws.com/nlb")));
    for (shop, reason) in [
        (web("/spec/clusterIP", json!("None")), "it is headless"),
        (web("/spec/publishNotReadyAddresses", json!(true)), "pods that are not ready"),
        (web("/spec/type", json!("ExternalName")), "an alias in DNS"),
        (web("/spec/internalTrafficPolicy", json!("Local")), "`internalTrafficPolicy: Local`"),
        (balanced(web("/spec/externalTrafficPolicy", json!("Local"))), "`externalTrafficPolicy: Local`"),
        (annotated(nlb, "ip"), "sends to pods by address"),
        (
            annotated("service.beta.kubernetes.io/aws-load-balancer-type", "nlb-ip"),
            "sends to pods by address",
        ),
        (auto(), "sends to pods by address"),
    ] {
        says(&shop, Code::RolloutTraffic, "service-web", reason);
    }
    annotated(nlb, "instance").workload();
    auto().set("Service", "web", "/metadata/annotations", json!({ nlb: "instance" })).workload();
    web("/spec/externalTrafficPolicy", json!("Local")).workload();
    let follower = Shop::new()
        .with(service("public"))
        .set(
            "Service",
            "public",
            "/metadata/annotations",
            json!({ "tidegate.dev/role": "follow", nlb: "ip" }),
        )
        .set("Service", "public", "/spec/type", json!("LoadBalancer"));
    says(&follower, Code::RolloutTraffic, "service-public", "sends to pods by address");
}

#[test]
fn load_balancers_that_send_to_the_pods_behind_the_service() {
    let target = "alb.ingress.kubernetes.io/target-type";
    let ingress = |annotations: Value| {
        Shop::new().with(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": { "name": "web", "annotations": annotations },
            "spec": { "defaultBackend": { "service": { "name": "web", "port": { "number": 80 } } } },
        }))
    };
    says(
        &ingress(json!({ target: "ip" })),
        Code::RolloutTraffic,
        "service-web",
        "Ingress shop/web leads to its pods by address",
    );
    ingress(json!({ target: "instance" })).workload();
    let own = ingress(json!({})).set("Service", "web", "/metadata/annotations", json!({ target: "ip" }));
    says(&own, Code::RolloutTraffic, "service-web", "Ingress shop/web leads to its pods by address");
    let binding = |kind: &str| {
        Shop::new().with(json!({
            "apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding", "metadata": { "name": "web" },
            "spec": { "serviceRef": { "name": "web", "port": 80 }, "targetType": kind },
        }))
    };
    says(
        &binding("ip"),
        Code::RolloutTraffic,
        "service-web",
        "TargetGroupBinding shop/web leads to its pods by address",
    );
    binding("instance").workload();
}

#[test]
fn pods_that_take_something_of_their_node() {
    let network = Shop::new().web(&format!("{POD}/hostNetwork"), json!(true));
    says(&network, Code::RolloutPods, "deployment-web", "the network of their node");
    let port = Shop::new().web(&format!("{POD}/containers/0/ports/0/hostPort"), json!(8080));
    says(&port, Code::RolloutPods, "deployment-web", "port 8080 of their node");
    Shop::new().web(&format!("{POD}/containers/0/ports/0/hostPort"), json!(0)).workload();
}

#[test]
fn volumes_that_one_node_holds_at_a_time() {
    let volumes = json!([{ "name": "v", "persistentVolumeClaim": { "claimName": "uploads" } }]);
    let shop = || Shop::new().web(&format!("{POD}/volumes"), volumes.clone());
    let claim = |modes: Value| {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "uploads" },
            "spec": { "accessModes": modes },
        })
    };
    says(&shop(), Code::RolloutPods, "deployment-web", "the claim `uploads`, which is not in git");
    for mode in ["ReadWriteOnce", "ReadWriteOncePod"] {
        let once = shop().with(claim(json!([mode])));
        says(&once, Code::RolloutPods, "deployment-web", "which only one node or pod can hold");
    }
    shop().with(claim(json!(["ReadWriteMany"]))).workload();
}

#[test]
fn what_sizes_a_workload_and_cannot_be_split() {
    let second = Shop::new().with(autoscaler("one")).with(autoscaler("two"));
    says(&second, Code::RolloutSizing, "horizontalpodautoscaler-two", "several autoscalers size it");
    let keda = Shop::new().with(json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": { "name": "web" },
        "spec": { "scaleTargetRef": { "name": "web" } },
    }));
    says(&keda, Code::RolloutSizing, "scaledobject-web", "a ScaledObject cannot be split between them");
    let vpa = Shop::new().with(json!({
        "apiVersion": "autoscaling.k8s.io/v1", "kind": "VerticalPodAutoscaler", "metadata": { "name": "web" },
        "spec": { "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" } },
    }));
    says(&vpa, Code::RolloutSizing, "verticalpodautoscaler-web", "a VerticalPodAutoscaler cannot be split");
}

#[test]
fn budgets_that_are_for_others_too() {
    let own = json!({ "matchLabels": { "app": "web" } });
    let two = Shop::new().with(budget("one", &own)).with(budget("two", &own));
    says(&two, Code::RolloutSizing, "poddisruptionbudget-two", "several budgets select its pods");
    let all = Shop::new().with(budget("all", &json!({})));
    says(&all, Code::RolloutSizing, "poddisruptionbudget-all", "every pod of the namespace");
    let shared = json!({ "matchExpressions": [{ "key": "app", "operator": "Exists" }] });
    let shared = Shop::new().with(other("Deployment", "cache")).with(budget("shared", &shared));
    says(&shared, Code::RolloutSizing, "poddisruptionbudget-shared", "and of Deployment shop/cache");
    let strange = json!({ "matchLabels": { "app": "cache" } });
    let strange = Shop::new().with(budget("strange", &strange)).split();
    assert_eq!(strange.ordinary.len(), 1, "one of others stays ordinary");
}

#[test]
fn names_that_are_taken_or_too_long() {
    let taken = Shop::new().with(other("Deployment", "web-green"));
    says(
        &taken,
        Code::RolloutName,
        "deployment-web-green",
        "its name is that of a colour of Deployment shop/web",
    );
    let scaler = Shop::new().with(autoscaler("load")).with(autoscaler("load-blue")).set(
        "HorizontalPodAutoscaler",
        "load-blue",
        "/spec/scaleTargetRef/name",
        json!("other"),
    );
    says(
        &scaler,
        Code::RolloutName,
        "horizontalpodautoscaler-load-blue",
        "the copy of HorizontalPodAutoscaler shop/load",
    );
    let long = |length: usize| {
        let name = "w".repeat(length);
        let mut shop = Shop::new().web("/metadata/name", json!(name));
        shop.policies[0].matches.names = [name].into();
        shop
    };
    long(57).workload();
    assert!(long(58).refusal(Code::RolloutName).contains("its name has 58 characters"));
    let config = "c".repeat(240);
    let volumes = json!([{ "name": "v", "configMap": { "name": config } }]);
    let config = Shop::new().web(&format!("{POD}/volumes"), volumes).with(config_map(&config, "x"));
    assert!(config.refusal(Code::RolloutName).contains("its name is too long"));
}

#[test]
fn labels_that_are_ours_to_set() {
    for label in ["tidegate.dev/app", "tidegate.dev/slot", "tidegate.dev/revision"] {
        let pods = Shop::new().web("/spec/template/metadata/labels", json!({ "app": "web", label: "x" }));
        says(&pods, Code::RolloutName, "deployment-web", &format!("its pods have the label `{label}`"));
        let selector =
            Shop::new().set("Service", "web", "/spec/selector", json!({ "app": "web", label: "blue" }));
        says(&selector, Code::RolloutName, "service-web", &format!("its selector names `{label}`"));
    }
}

#[test]
fn workloads_that_could_not_be_proven() {
    let probe = Shop::new().web(&format!("{POD}/containers/0/readinessProbe"), Value::Null);
    says(&probe, Code::RolloutUnproven, "deployment-web", "none of its containers has a readinessProbe");
    let none = Shop::new().web("/spec/replicas", json!(0));
    says(&none, Code::RolloutUnproven, "deployment-web", "it has no replicas");
    let paused = Shop::new().web("/spec/paused", json!(true));
    says(&paused, Code::RolloutUnproven, "deployment-web", "it is paused");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let shop = Shop { objects: vec![super::shop::deployment()], ..Shop::new() }
        .web("/spec/replicas", json!(0))
        .web(&format!("{POD}/hostNetwork"), json!(true));
    let codes: Vec<Code> = shop.refused().into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, [Code::RolloutService, Code::RolloutPods, Code::RolloutUnproven]);
}

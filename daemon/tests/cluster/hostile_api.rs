//! An API server that lies, hangs, cuts and refuses: the real one, behind a proxy that spoils its answers. Nothing is
//! deleted on what could not be read, it is said, nothing is asked without end, and the first good answer goes on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::scene::{field_is, gone, problems, record, throughout};
use crate::support::{
    Api, Call, Daemon, Fault, FaultProxy, World, check, config_map, eventually, status_of, within,
};

/// A live environment with the ConfigMaps `a` and `b`, its daemon behind a proxy, and a ConfigMap of somebody else.
struct Behind {
    daemon: Daemon,
    proxy: FaultProxy,
    api: Api,
    world: World,
}

impl Behind {
    fn live(name: &str) -> Self {
        let world = World::new(name);
        world.kube.must(&["create", "namespace", name]);
        world.kube.apply(name, &config_map("bystander", "k", "v"));
        let api = Api::connect(&world.kube);
        let commit = world.commit(
            "one",
            &[
                ("environment.yaml", &world.environment("")),
                ("a.yaml", &config_map("a", "k", "one")),
                ("b.yaml", &config_map("b", "k", "one")),
            ],
        );
        let proxy = FaultProxy::start(&world.kube.kubeconfig());
        let daemon = Daemon::start(&world.repo.url(), &proxy.kubeconfig(), &[]);
        world.wait_for("live", &commit);
        Self { daemon, proxy, api, world }
    }

    fn config_map(&self, name: &str) -> serde_json::Value {
        self.api.get(&format!("/api/v1/namespaces/{}/configmaps/{name}", self.world.name))
    }

    /// Removes `b` and changes `a`.
    fn commit(&self) -> String {
        self.world.repo.remove(&format!("environments/{}/b.yaml", self.world.name));
        self.world.commit("two", &[("a.yaml", &config_map("a", "k", "two"))])
    }

    /// The commit is live, and nothing else has changed.
    fn assert_done(&self, commit: &str) {
        self.world.wait_for("live", commit);
        assert_eq!(self.config_map("a")["data"]["k"], "two");
        gone(&self.world, "configmap", &self.world.name, "b");
        assert_eq!(self.config_map("bystander")["data"]["k"], "v");
        let deletes = self.proxy.calls();
        for call in deletes.iter().filter(|call| call.method == "DELETE" && !call.path.contains("/leases/")) {
            assert!(call.path.ends_with("/configmaps/b") && call.body.contains("\"uid\""), "{call:?}");
        }
    }
}

/// While every request meets the fault, a commit arrives; nothing happens to what is there, the log says why, and the
/// commit is carried out once all is well.
fn endures(name: &str, fault: &Fault, said: &str) {
    let behind = Behind::live(name);
    let (a, b) = (behind.config_map("a"), behind.config_map("b"));
    let everything = fault.clone();
    behind.proxy.script(move |_| everything.clone());
    let commit = behind.commit();
    throughout(Duration::from_millis(2_500), "nothing is touched", || {
        behind.config_map("a") == a && behind.config_map("b") == b
    });
    let log = behind.daemon.log();
    assert!(log.contains(said), "{name}: the log says `{said}`: {log}");
    behind.proxy.pass();
    behind.assert_done(&commit);
}

fn side_by_side(cases: &[(&str, Fault, &str)]) {
    std::thread::scope(|scope| {
        for (name, fault, said) in cases {
            scope.spawn(move || endures(name, fault, said));
        }
    });
}

fn page(code: u16) -> Fault {
    let body = "<html><h1>Please sign in</h1></html>".to_owned();
    Fault::Answer { code, headers: "Content-Type: text/html\r\n".to_owned(), body }
}

#[test]
fn an_api_server_that_does_not_let_us_in_is_said_and_nothing_is_touched() {
    side_by_side(&[
        ("apf-401", Fault::Status(401), "this 401 is a test's"),
        ("apf-403", Fault::Status(403), "this 403 is a test's"),
    ]);
}

#[test]
fn an_api_server_that_fails_or_hangs_up_is_said_and_nothing_is_touched() {
    side_by_side(&[
        ("apf-500", Fault::Status(500), "this 500 is a test's"),
        ("apf-lost", Fault::LostRequest, "out of reach"),
    ]);
}

#[test]
fn a_login_page_and_half_an_answer_are_no_empty_lists() {
    side_by_side(&[
        ("apf-html", page(200), "the answer is not what was asked for"),
        ("apf-half", Fault::Half, "out of reach"),
    ]);
}

#[test]
fn empty_objects_in_place_of_every_answer_are_no_empty_cluster() {
    let body = "{}".to_owned();
    let headers = "Content-Type: application/json\r\n".to_owned();
    endures("apf-braces", &Fault::Answer { code: 200, headers, body }, "WARN");
}

/// How often and when each object was applied for real.
fn applies(proxy: &FaultProxy) -> BTreeMap<String, Vec<Instant>> {
    let mut applies: BTreeMap<String, Vec<Instant>> = BTreeMap::new();
    let is_apply =
        |call: &&Call| call.method == "PATCH" && call.is_write() && !call.path.contains("tidegate-system");
    for call in proxy.calls().iter().filter(is_apply) {
        applies.entry(call.path.rsplit('/').next().unwrap().to_owned()).or_default().push(call.at);
    }
    applies
}

/// A new environment with these ConfigMaps, its daemon behind a proxy with this script.
fn installing(
    name: &str,
    objects: &[&str],
    script: impl FnMut(&Call) -> Fault + Send + 'static,
) -> (Daemon, FaultProxy, World, String) {
    let world = World::new(name);
    world.kube.must(&["create", "namespace", name]);
    world.repo.write(&format!("environments/{name}/environment.yaml"), &world.environment(""));
    for object in objects {
        let file = format!("environments/{name}/{object}.yaml");
        world.repo.write(&file, &config_map(object, "k", "v"));
    }
    let commit = world.repo.commit("one");
    let proxy = FaultProxy::start(&world.kube.kubeconfig());
    proxy.script(script);
    let daemon = Daemon::start(&world.repo.url(), &proxy.kubeconfig(), &[]);
    (daemon, proxy, world, commit)
}

#[test]
fn conflicts_are_tried_again_and_one_without_end_is_said_and_holds_up_no_other_object() {
    let mut left =
        BTreeMap::from([("once".to_owned(), 1), ("often".to_owned(), 4), ("ever".to_owned(), u32::MAX)]);
    let (_daemon, proxy, world, commit) =
        installing("apf-409", &["once", "often", "ever", "never"], move |call| {
            let object = call.path.rsplit('/').next().unwrap_or_default();
            match left.get_mut(object) {
                Some(count) if call.method == "PATCH" && call.is_write() && *count > 0 => {
                    *count -= 1;
                    Fault::Status(409)
                }
                Some(_) | None => Fault::Pass,
            }
        });
    for object in ["once", "often", "never"] {
        field_is(&world, "configmap", "apf-409", object, "/data/k", "v");
    }
    record(&world, "apf-409", "it is said", |status| {
        !problems(status, "E0409").is_empty() && status.to_string().contains("this 409 is a test's")
    });
    throughout(Duration::from_secs(3), "it does not spin", || applies(&proxy)["ever"].len() < 60);
    proxy.pass();
    world.wait_for("live", &commit);
}

#[test]
fn retry_after_is_kept_up_to_a_limit_and_nonsense_is_not_believed() {
    let cases = [("one", "1"), ("thirty", "30"), ("day", "86400"), ("soon", "soon"), ("none", "")];
    let mut answered: Vec<String> = Vec::new();
    let names: Vec<&str> = cases.iter().map(|(name, _)| *name).collect();
    let (_daemon, proxy, world, commit) = installing("apf-429", &names, move |call| {
        let object = call.path.rsplit('/').next().unwrap_or_default().to_owned();
        let Some((_, after)) = cases.iter().find(|(name, _)| *name == object) else { return Fault::Pass };
        if call.method != "PATCH" || answered.contains(&object) {
            return Fault::Pass;
        }
        answered.push(object);
        let mut status: serde_json::Value = serde_json::from_str(&status_of(429)).unwrap();
        let mut headers = "Content-Type: application/json\r\n".to_owned();
        if !after.is_empty() {
            headers.push_str(&format!("Retry-After: {after}\r\n"));
            let seconds = after.parse::<u32>().map_or_else(|_| (*after).into(), serde_json::Value::from);
            status["details"] = serde_json::json!({ "retryAfterSeconds": seconds });
        }
        Fault::Answer { code: 429, headers, body: status.to_string() }
    });
    world.wait_for("live", &commit);
    let applies = applies(&proxy);
    let pause = |object: &str| applies[object][1] - applies[object][0];
    assert!(pause("one") >= Duration::from_secs(1) && pause("one") < Duration::from_secs(8), "{applies:?}");
    for long in ["thirty", "day"] {
        assert!(
            pause(long) >= Duration::from_secs(10) && pause(long) < Duration::from_secs(20),
            "{applies:?}"
        );
    }
    for soon in ["soon", "none"] {
        assert!(pause(soon) < Duration::from_secs(8), "{applies:?}");
    }
    assert!(cases.iter().all(|(object, _)| applies[*object].len() == 2), "each was sent twice: {applies:?}");
}

#[test]
fn watches_that_are_cut_again_and_again_miss_no_drift_and_do_not_spin() {
    let behind = Behind::live("apf-cut");
    behind
        .proxy
        .script(|call| if call.is_watch() { Fault::Cut(Duration::from_millis(100)) } else { Fault::Pass });
    // Those that run are cut with the daemon's connections.
    let Behind { mut daemon, proxy, world, .. } = behind;
    daemon.kill();
    daemon.restart();
    eventually("it watches", || {
        check(proxy.calls().iter().filter(|call| call.is_watch()).count() > 8, "not yet")
    });
    let mark = proxy.mark();
    for value in ["wrong", "worse"] {
        let patch = format!(r#"{{"data":{{"k":"{value}"}}}}"#);
        world.kube.must(&["patch", "configmap", "a", "-n", "apf-cut", "--type=merge", "-p", &patch]);
        field_is(&world, "configmap", "apf-cut", "a", "/data/k", "one");
        std::thread::sleep(Duration::from_secs(2));
    }
    let mut watches: BTreeMap<String, usize> = BTreeMap::new();
    for call in proxy.calls_since(mark).iter().filter(|call| call.is_watch()) {
        *watches.entry(call.path.clone()).or_default() += 1;
    }
    // Each lives for a tenth of a second and comes again after a pause.
    assert!(watches.values().all(|count| *count < 60), "{watches:?}");
    drop(daemon);
}

#[test]
fn a_watch_that_falls_silent_is_given_up_within_two_minutes_and_misses_no_drift() {
    let behind = Behind::live("apf-silent");
    behind.proxy.script(|call| {
        if call.is_watch() { Fault::Silence(Duration::from_millis(100)) } else { Fault::Pass }
    });
    // Those that run are not heard of again.
    let Behind { mut daemon, proxy, world, .. } = behind;
    daemon.kill();
    daemon.restart();
    eventually("it watches", || {
        check(
            proxy.calls().iter().any(|call| call.is_watch() && call.path == "/api/v1/configmaps"),
            "not yet",
        )
    });
    std::thread::sleep(Duration::from_secs(3));
    let patch = r#"{"data":{"k":"unseen"}}"#;
    world.kube.must(&["patch", "configmap", "a", "-n", "apf-silent", "--type=merge", "-p", patch]);
    let start = Instant::now();
    throughout(Duration::from_secs(5), "nobody has heard of it", || {
        world.kube.field("configmap", "apf-silent", "a", "/data/k") == "unseen"
    });
    proxy.script(|_| Fault::Pass);
    within(Duration::from_secs(150), "a new watch finds it", || {
        check(world.kube.field("configmap", "apf-silent", "a", "/data/k") == "one", daemon.log())
    });
    println!("found after {:?}", start.elapsed());
    drop(daemon);
}

#[test]
fn a_watch_whose_past_is_gone_begins_with_a_list_and_nothing_is_taken_for_deleted() {
    let behind = Behind::live("apf-410");
    let event = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status_of(410));
    let headers = "Content-Type: application/json\r\n".to_owned();
    let mut watches = 0;
    behind.proxy.script(move |call| {
        if !call.is_watch() || call.path != "/api/v1/configmaps" {
            return Fault::Pass;
        }
        watches += 1;
        match watches {
            1..=2 => Fault::Status(410),
            3..=4 => Fault::Answer { code: 200, headers: headers.clone(), body: event.clone() },
            _ => Fault::Pass,
        }
    });
    let before = (behind.config_map("a"), behind.config_map("b"));
    let Behind { mut daemon, proxy, api, world } = behind;
    daemon.kill();
    daemon.restart();
    let mark = proxy.mark();
    let lists = || {
        let calls = proxy.calls_since(mark);
        calls.iter().filter(|call| call.path == "/api/v1/configmaps" && !call.is_watch()).count()
    };
    eventually("it lists again after each", || check(lists() >= 3, format!("{} lists", lists())));
    let at = |name: &str| api.get(&format!("/api/v1/namespaces/apf-410/configmaps/{name}"));
    assert_eq!((at("a"), at("b")), before);
    let wrong = r#"{"data":{"k":"wrong"}}"#;
    world.kube.must(&["patch", "configmap", "a", "-n", "apf-410", "--type=merge", "-p", wrong]);
    field_is(&world, "configmap", "apf-410", "a", "/data/k", "one");
    drop(daemon);
}

#[test]
fn a_list_whose_next_page_has_expired_is_begun_again_and_never_taken_for_whole() {
    let behind = Behind::live("apf-pages");
    let before = (behind.config_map("a"), behind.config_map("b"));
    let Behind { mut daemon, proxy, api, world } = behind;
    let mut expired = 0;
    proxy.script(move |call| {
        if call.query.contains("continue=") && expired < 3 {
            expired += 1;
            return Fault::Status(410);
        }
        if call.query.contains("limit=") && !call.path.ends_with("/leases") {
            Fault::Pages(1)
        } else {
            Fault::Pass
        }
    });
    daemon.kill();
    daemon.restart();
    let pages = || proxy.calls().iter().filter(|call| call.query.contains("continue=")).count();
    eventually("it turned pages", || check(pages() > 4, format!("{}", pages())));
    let at = |name: &str| api.get(&format!("/api/v1/namespaces/apf-pages/configmaps/{name}"));
    assert_eq!((at("a"), at("b")), before, "nothing was written");
    world.repo.remove("environments/apf-pages/b.yaml");
    let commit = world.commit("two", &[("a.yaml", &config_map("a", "k", "two"))]);
    world.wait_for("live", &commit);
    assert!(at("b").is_null());
    drop(daemon);
}

#[test]
fn a_list_that_leaves_out_everything_makes_nothing_anew_and_forgets_nothing() {
    let behind = Behind::live("apf-empty");
    let before = (behind.config_map("a"), behind.config_map("b"));
    let Behind { mut daemon, proxy, api, world } = behind;
    let body = r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}"#;
    proxy.script(move |call| {
        let lies = call.path == "/api/v1/configmaps" && !call.is_watch();
        let headers = "Content-Type: application/json\r\n".to_owned();
        if lies { Fault::Answer { code: 200, headers, body: body.to_owned() } } else { Fault::Pass }
    });
    daemon.kill();
    daemon.restart();
    let mark = proxy.mark();
    eventually("it has listed", || {
        check(proxy.calls_since(mark).iter().any(|call| call.path == "/api/v1/configmaps"), "not yet")
    });
    let at = |name: &str| api.get(&format!("/api/v1/namespaces/apf-empty/configmaps/{name}"));
    throughout(Duration::from_secs(1), "nothing is made anew", || (at("a"), at("b")) == before);
    world.repo.remove("environments/apf-empty/b.yaml");
    let commit = world.commit("two", &[("a.yaml", &config_map("a", "k", "two"))]);
    world.wait_for("live", &commit);
    assert!(at("b").is_null(), "what left git goes all the same");
    assert_eq!(at("a")["metadata"]["uid"], before.0["metadata"]["uid"]);
    drop(daemon);
}

#[test]
fn answers_that_trickle_in_are_waited_for() {
    let trickle = Fault::Slow { bytes: 16 * 1024, pause: Duration::from_millis(30) };
    let (_daemon, _proxy, world, commit) = installing("apf-slow", &["a"], move |_| trickle.clone());
    within(Duration::from_secs(30), "live", || {
        let status = world.status();
        check(status["state"] == "live" && status["seen"]["id"] == commit.as_str(), format!("{status:#}"))
    });
}

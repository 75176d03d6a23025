//! Gates against servers on loopback that hang, lie, flood, redirect and hang up; one test for each line of the table of
//! what fails and what is unknown (DESIGN.md, "Gates") that needs no cluster.

mod server;

use std::net::SocketAddr;
use std::time::Duration;

use tidegate_core::gate::http::Tally;
use tidegate_core::gate::{Judgement, Miss};
use tidegate_core::location::Location;
use tidegate_core::policy::{HttpAnswer, HttpRequest, LoadGate};
use tidegate_core::rollout::Verdict;
use tokio::time::Instant;

use self::server::{Behaviour, Server};
use super::door::Door;
use super::load::{Plan, drive};
use super::request::Prepared;
use super::{http, session, tcp};

/// Of one request: long for a server on loopback, short for one that hangs.
const DEADLINE: Duration = Duration::from_secs(2);

fn request() -> HttpRequest {
    let (method, path) = ("GET".to_owned(), "/".to_owned());
    HttpRequest { method, path, headers: [].into(), body: None, port: None }
}

fn prepared(deadline: Duration) -> Prepared {
    Prepared::new(&request(), "api.shop.svc", deadline).unwrap()
}

fn doors(addresses: &[SocketAddr]) -> Vec<Door> {
    let doors =
        addresses.iter().zip('a'..).map(|(address, name)| Door::address(format!("api-{name}"), *address));
    doors.collect()
}

/// So many requests to these, within so long.
async fn asked(addresses: &[SocketAddr], planned: usize, limit: Duration) -> Judgement {
    let rule = Location::file("policies/p.yaml");
    let expect = HttpAnswer::default();
    let mut tally = Tally::new(&expect, &rule);
    let until = Instant::now() + limit;
    http::request(&doors(addresses), &prepared(DEADLINE), planned, until, &mut tally).await;
    tally.judge(u64::try_from(planned).unwrap())
}

async fn asked_once(behaviour: Behaviour) -> Judgement {
    let server = Server::start(behaviour).await;
    asked(&[server.address], 1, Duration::from_secs(20)).await
}

/// An address on which nobody listens.
async fn deserted() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_good_answer_passes_and_every_request_has_a_connection_of_its_own() {
    let server = Server::start(Behaviour::Answer(200, "ok")).await;
    let judged = asked(&[server.address], 5, Duration::from_secs(20)).await;
    assert_eq!((judged.verdict, judged.samples), (Verdict::Pass, 5), "{judged:?}");
    assert_eq!(server.connections(), 5);
}

#[tokio::test]
async fn requests_go_round_over_all_pods() {
    let (one, other) = (
        Server::start(Behaviour::Answer(200, "ok")).await,
        Server::start(Behaviour::Answer(500, "no")).await,
    );
    let judged = asked(&[one.address, other.address], 4, Duration::from_secs(20)).await;
    assert_eq!((one.connections(), other.connections()), (2, 2));
    assert_eq!(judged.verdict, Verdict::Fail);
    assert_eq!(judged.summary, "2 of 4 requests failed, the first: pod api-b answered 500: no");
}

#[tokio::test]
async fn a_ready_pod_that_refuses_fails() {
    let judged = asked(&[deserted().await], 1, Duration::from_secs(20)).await;
    assert_eq!(
        (judged.verdict, judged.summary.as_str()),
        (Verdict::Fail, "pod api-a refused the connection")
    );
}

#[tokio::test]
async fn one_that_accepts_and_never_answers_fails_at_the_deadline() {
    let begun = Instant::now();
    let judged = asked_once(Behaviour::Hang).await;
    assert_eq!(
        (judged.verdict, judged.summary.as_str()),
        (Verdict::Fail, "pod api-a did not answer within 2 s")
    );
    assert!(
        begun.elapsed() >= DEADLINE && begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn one_that_drips_its_headers_or_its_body_without_end_fails_at_the_deadline() {
    for behaviour in [Behaviour::DripHeaders, Behaviour::DripBody] {
        let judged = asked_once(behaviour).await;
        assert_eq!(
            (judged.verdict, judged.summary.as_str()),
            (Verdict::Fail, "pod api-a did not answer within 2 s")
        );
    }
}

#[tokio::test]
async fn one_that_hangs_up_before_the_answer_is_over_fails() {
    for behaviour in [Behaviour::HangUp, Behaviour::HalfAnAnswer] {
        let judged = asked_once(behaviour).await;
        assert_eq!(judged.verdict, Verdict::Fail);
        assert!(
            judged.summary.ends_with("closed the connection before its answer was over"),
            "{}",
            judged.summary
        );
    }
}

#[tokio::test]
async fn one_that_does_not_speak_http_fails() {
    let judged = asked_once(Behaviour::Raw("SSH-2.0-OpenSSH_9.2\r\n")).await;
    assert_eq!(judged.verdict, Verdict::Fail);
    assert!(judged.summary.contains("answered what is not HTTP"), "{}", judged.summary);
}

#[tokio::test]
async fn endless_headers_are_given_up_and_fail() {
    let server = Server::start(Behaviour::EndlessHeaders).await;
    let judged = asked(&[server.address], 1, Duration::from_secs(20)).await;
    assert_eq!(judged.verdict, Verdict::Fail);
    assert!(judged.summary.contains("answered what is not HTTP"), "{}", judged.summary);
    assert!(server.sent() < 16 * 1024 * 1024, "{} bytes were taken", server.sent());
}

#[tokio::test]
async fn a_hundred_megabytes_are_not_read_and_fail() {
    let server = Server::start(Behaviour::Flood).await;
    let judged = asked(&[server.address], 1, Duration::from_secs(20)).await;
    assert_eq!(
        (judged.verdict, judged.summary.as_str()),
        (Verdict::Fail, "pod api-a answered more than 1048576 bytes")
    );
    // What the kernel took on both sides is more than what was read.
    assert!(server.sent() < 32 * 1024 * 1024, "{} bytes were taken", server.sent());
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nobody_follows_it() {
    let metadata = Server::start(Behaviour::Answer(200, "secret")).await;
    let redirect = Server::start(Behaviour::Redirect(metadata.address)).await;
    let judged = asked(&[redirect.address], 1, Duration::from_secs(20)).await;
    assert_eq!(judged.verdict, Verdict::Fail);
    assert!(judged.summary.contains("answered 302"), "{}", judged.summary);
    assert_eq!(metadata.connections(), 0);
}

#[tokio::test]
async fn what_the_end_of_the_gate_cuts_short_is_unknown() {
    let slow = Server::start(Behaviour::Slow(Duration::from_millis(400))).await;
    let judged = asked(&[slow.address], 1_000, Duration::from_secs(1)).await;
    assert_eq!(judged.verdict, Verdict::Unknown);
    assert!(
        judged.summary.contains("of 1000 requests were answered well, then the time was over"),
        "{}",
        judged.summary
    );
}

#[tokio::test]
async fn an_address_that_is_not_there_is_out_of_reach_and_unknown() {
    // The kernel has no way to connect there.
    let nowhere: SocketAddr = "255.255.255.255:80".parse().unwrap();
    let judged = asked(&[nowhere], 1, Duration::from_secs(20)).await;
    assert_eq!(judged.verdict, Verdict::Unknown, "{}", judged.summary);
    assert!(judged.summary.contains("is out of reach"), "{}", judged.summary);
}

#[tokio::test]
async fn a_port_that_accepts_is_told_from_one_that_does_not() {
    let server = Server::start(Behaviour::Hang).await;
    let tried = tcp::try_all(&doors(&[server.address, deserted().await]), Instant::now() + DEADLINE).await;
    assert_eq!(tried, [("api-a".to_owned(), Ok(())), ("api-b".to_owned(), Err(Miss::Refused))]);
}

fn load(rate: u32, millis: u64) -> LoadGate {
    let (status, duration) = ((200..400).collect(), Duration::from_millis(millis));
    LoadGate { request: request(), status, rate, duration, max_errors: 0.0, p95: None }
}

async fn driven(behaviour: Behaviour, rate: u32, millis: u64) -> (Judgement, u64, usize) {
    let server = Server::start(behaviour).await;
    let gate = load(rate, millis);
    // However busy this machine is, the last request is sent as well.
    let late = Duration::from_secs(u64::from(rate < 100) * 10);
    let mut plan = Plan::new(&gate, Instant::now() + Duration::from_secs(20));
    plan.late = late;
    let doors = doors(&[server.address]);
    let (tally, sent) = drive(&doors, &prepared(DEADLINE), &gate, &plan, 4).await;
    (tally.judge(&gate, &Location::file("p.yaml"), plan.total, sent), sent, server.connections())
}

#[tokio::test]
async fn a_load_sends_what_it_plans_at_its_rate_over_few_connections() {
    let begun = Instant::now();
    let (judged, sent, connections) = driven(Behaviour::Answer(200, "ok"), 50, 1_000).await;
    assert_eq!((judged.verdict, sent), (Verdict::Pass, 50), "{judged:?}");
    assert!(connections <= 4, "{connections}");
    assert!(
        begun.elapsed() >= Duration::from_millis(980),
        "the last one is due after 980 ms: {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_load_counts_errors() {
    let (judged, sent, _) = driven(Behaviour::Answer(503, "no"), 50, 200).await;
    assert_eq!(judged.verdict, Verdict::Fail);
    assert!(judged.summary.contains(&format!("{sent} of {sent} requests failed")), "{}", judged.summary);
}

#[tokio::test]
async fn a_load_that_its_pods_are_too_slow_for_proves_nothing() {
    let (judged, sent, connections) = driven(Behaviour::Slow(Duration::from_millis(300)), 200, 1_000).await;
    assert_eq!(judged.verdict, Verdict::Unknown, "{judged:?}");
    assert!(sent < 100 && connections <= 4, "a closed loop: {sent} over {connections}");
}

#[tokio::test]
async fn a_load_on_a_server_that_hangs_up_after_each_answer_goes_on() {
    let (judged, sent, connections) = driven(Behaviour::AnswerAndHangUp, 50, 400).await;
    assert_eq!((judged.verdict, sent), (Verdict::Pass, 20), "{judged:?}");
    assert!(connections >= 20, "{connections}");
}

#[tokio::test]
async fn a_session_is_open_until_the_other_side_ends_it() {
    let server = Server::start(Behaviour::Answer(200, "ok")).await;
    let mut session = session::Session::open(&doors(&[server.address])[0]).await.ok().unwrap();
    assert_eq!(session.ask(&prepared(DEADLINE)).await.unwrap().status, 200);
    assert_eq!(session.ask(&prepared(DEADLINE)).await.unwrap().status, 200);
    assert!(session.is_open());
    assert_eq!(server.connections(), 1);
}

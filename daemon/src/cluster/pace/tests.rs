//! The pace against servers made up here, in paused time.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::join_all;
use tidegate_core::schedule::WINDOW_START;
use tower::ServiceExt;

use super::*;

/// A server that bears `bears` requests side by side and refuses the others; each takes 10 ms.
#[derive(Clone, Default)]
struct Server {
    bears: u32,
    under_way: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
    refused: Arc<AtomicU32>,
    served: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn answer(self, request: Request<String>) -> Result<Response<Full<Bytes>>, BoxError> {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        if now > self.bears {
            self.refused.fetch_add(1, Ordering::SeqCst);
            let answer = Response::builder().status(429).header("retry-after", "7").body(Full::from("busy"));
            return answer.map_err(BoxError::from);
        }
        self.served.lock().unwrap_or_else(PoisonError::into_inner).push(request.into_body());
        Ok(Response::new(Full::from("{}")))
    }

    fn client(
        &self,
        pace: &Arc<Pace>,
    ) -> Paced<
        impl Service<Request<String>, Response = Response<Full<Bytes>>, Error = BoxError, Future: Send + 'static>
        + Clone
        + use<>,
    > {
        let server = self.clone();
        let service = tower::service_fn(move |request| server.clone().answer(request));
        PaceLayer { pace: pace.clone() }.layer(service)
    }

    fn count(counter: &AtomicU32) -> u32 {
        counter.load(Ordering::SeqCst)
    }
}

impl<S: Clone> Clone for Paced<S> {
    fn clone(&self) -> Self {
        Self { pace: self.pace.clone(), inner: self.inner.clone() }
    }
}

fn request(uri: &str, who: &str) -> Request<String> {
    Request::get(uri).body(who.to_owned()).unwrap_or_default()
}

fn line(name: &str) -> Place {
    Place::Line(Arc::from(name))
}

async fn body_of(answer: Response<Text>) -> Value {
    let bytes =
        answer.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_window_is_under_way() {
    let server = Server { bears: 1_000, ..Server::default() };
    let client = server.client(&Arc::default());
    join_all((0..500).map(|_| client.clone().oneshot(request("/api", "a")))).await;
    let most = Server::count(&server.most);
    // It grows by one per window: 32 + 33 + … + 43 are about 450.
    assert!((WINDOW_START..WINDOW_START + 14).contains(&most), "{most}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_bears_little_is_soon_asked_no_more_than_that() {
    let server = Server { bears: 4, ..Server::default() };
    let client = server.client(&Arc::default());
    let asked = || client.clone().oneshot(request("/api", "a"));
    join_all((0..500).map(|_| asked())).await;
    server.refused.store(0, Ordering::SeqCst);
    server.most.store(0, Ordering::SeqCst);
    join_all((0..500).map(|_| asked())).await;
    let (refused, most) = (Server::count(&server.refused), Server::count(&server.most));
    assert!(most <= 5, "{most} side by side");
    assert!(
        (1..=60).contains(&refused),
        "{refused} of 500 refused: it looks for room now and then, and no more"
    );
}

#[tokio::test(start_paused = true)]
async fn an_environment_with_one_request_does_not_wait_for_all_of_the_others() {
    let pace: Arc<Pace> = Arc::default();
    let server = Server { bears: 1_000, ..Server::default() };
    let client = server.client(&pace);
    let many =
        in_line("big".to_owned(), join_all((0..400).map(|_| client.clone().oneshot(request("/api", "big")))));
    let one = in_line("small".to_owned(), async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        client.clone().oneshot(request("/api", "small")).await
    });
    let (many, one) = tokio::join!(many, one);
    assert!(one.is_ok() && many.iter().all(Result::is_ok));
    let order = server.served.lock().unwrap_or_else(PoisonError::into_inner);
    let position = order.iter().position(|who| who == "small");
    assert!(position.is_some_and(|position| position < 100), "{position:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_only_written_down_lets_changes_go_first_and_has_its_turns_all_the_same() {
    let server = Server { bears: 1_000, ..Server::default() };
    let client = server.client(&Arc::default());
    let ask = |who: &'static str| client.clone().oneshot(request("/api", who));
    let changes = in_line("busy".to_owned(), join_all((0..400).map(|_| ask("change"))));
    let notes = in_line("done".to_owned(), async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        after_others(join_all((0..100).map(|_| ask("note")))).await
    });
    let (changes, notes) = tokio::join!(changes, notes);
    assert!(changes.iter().chain(&notes).all(Result::is_ok));
    let order = server.served.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = order.iter().skip(WINDOW_START as usize).take(240);
    let notes = waited.filter(|who| *who == "note").count();
    assert!((20..=40).contains(&notes), "about every eighth turn, not {notes} of 240");
}

#[tokio::test(start_paused = true)]
async fn what_is_only_written_down_has_every_second_turn_once_it_has_waited_long() {
    let pace: Arc<Pace> = Arc::default();
    let mut taken = Vec::new();
    for _ in 0..WINDOW_START {
        taken.push(pace.admit(line("a")).await);
    }
    let mut note = Box::pin(pace.admit(Place::After));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut note).await.is_err(), "there is no room");
    assert_eq!(pace.lock().after_every(), AFTER_EVERY);
    tokio::time::advance(AFTER_PATIENCE).await;
    assert_eq!(pace.lock().after_every(), AFTER_EVERY_LATE);
    taken.pop();
    assert!(tokio::time::timeout(Duration::from_secs(1), note).await.is_ok());
    assert_eq!(pace.lock().after_every(), AFTER_EVERY);
}

#[tokio::test(start_paused = true)]
async fn watches_and_leases_do_not_wait() {
    let pace: Arc<Pace> = Arc::default();
    let server = Server { bears: 1_000, ..Server::default() };
    let mut taken = Vec::new();
    for _ in 0..WINDOW_START {
        taken.push(pace.admit(line("a")).await);
    }
    let limit = Duration::from_mins(1);
    let ask =
        |uri: &'static str| tokio::time::timeout(limit, server.client(&pace).oneshot(request(uri, "b")));
    assert!(ask("/api/v1/configmaps?labelSelector=x&watch=true").await.is_ok());
    assert!(ask("/apis/coordination.k8s.io/v1/namespaces/tidegate-system/leases/a").await.is_ok());
    assert!(ask("/api/v1/configmaps").await.is_err(), "there is no room");
    taken.pop();
    assert!(ask("/api/v1/configmaps").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_no_more_takes_no_turn() {
    let pace: Arc<Pace> = Arc::default();
    let mut taken = Vec::new();
    for _ in 0..WINDOW_START {
        taken.push(pace.admit(line("a")).await);
    }
    for _ in 0..10 {
        let waited = tokio::time::timeout(Duration::from_secs(1), pace.admit(line("gone"))).await;
        assert!(waited.is_err());
    }
    taken.clear();
    let all = join_all((0..WINDOW_START).map(|_| pace.admit(line("b"))));
    assert!(tokio::time::timeout(Duration::from_secs(1), all).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_ends_and_gives_its_turn_back() {
    let pace: Arc<Pace> = Arc::default();
    let service = tower::service_fn(|_: Request<String>| async {
        std::future::pending::<()>().await;
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::from("{}")))
    });
    let client = PaceLayer { pace: pace.clone() }.layer(service);
    let answer = client.oneshot(request("/api", "a")).await;
    assert!(answer.is_err_and(|error| error.to_string().contains("no answer within")));
    let inner = pace.lock();
    assert_eq!((inner.under_way, inner.window.size()), (0, WINDOW_START / 2));
}

#[tokio::test(start_paused = true)]
async fn the_seconds_of_the_header_stand_in_the_status_that_kube_reads() {
    let server = Server::default();
    let answer = server.client(&Arc::default()).oneshot(request("/api", "a")).await;
    let status = match answer {
        Ok(answer) => body_of(answer).await,
        Err(_) => Value::Null,
    };
    assert_eq!(status["details"]["retryAfterSeconds"], 7, "{status}");
    assert_eq!((&status["code"], &status["message"]), (&json!(429), &json!("busy")));
    let own = br#"{"kind":"Status","details":{"retryAfterSeconds":3}}"#;
    let kept = with_retry_after(own, StatusCode::TOO_MANY_REQUESTS, Some(7));
    assert_eq!(kept["details"]["retryAfterSeconds"], 3);
    let garbage = with_retry_after(b"<html>", StatusCode::SERVICE_UNAVAILABLE, None);
    assert_eq!(garbage.pointer("/details/retryAfterSeconds"), None);
}

#[tokio::test(start_paused = true)]
async fn an_aggregated_api_that_is_down_is_no_load() -> Result<(), Infallible> {
    let pace: Arc<Pace> = Arc::default();
    let service = tower::service_fn(|_: Request<String>| async {
        let mut answer = Response::new(Full::<Bytes>::from("service unavailable"));
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        Ok::<_, BoxError>(answer)
    });
    let client = PaceLayer { pace: pace.clone() }.layer(service);
    let _ = client.oneshot(request("/apis/metrics.k8s.io", "a")).await;
    assert_eq!(pace.lock().window.size(), WINDOW_START);
    Ok(())
}

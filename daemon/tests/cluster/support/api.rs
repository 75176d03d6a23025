//! The API server by its own paths: reads and writes in a millisecond or two, for tests that need hundreds of them.

use std::sync::OnceLock;

use futures::StreamExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::WatchEvent;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Kube;

/// One runtime for everything asynchronous in these tests; connections live as long as it.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

/// A client with every right.
#[derive(Clone)]
pub struct Api {
    client: Client,
}

impl Api {
    pub fn connect(kube: &Kube) -> Self {
        Self { client: client(&kube.kubeconfig()) }
    }

    /// The status and the JSON of the answer.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder().method(method).uri(path).header("content-type", kind);
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        runtime().block_on(async {
            let response = self.client.send(request.body(bytes.into()).unwrap()).await.unwrap();
            let code = response.status().as_u16();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
        })
    }

    /// Hands every event of a watch over, in order, until the guard is dropped. The API server leaves nothing out.
    pub fn watch(&self, path: &str, mut seen: impl FnMut(WatchEvent<Value>) + Send + 'static) -> DropGuard {
        let request = Request::builder().uri(path).body(Vec::new()).unwrap();
        let (client, end) = (self.client.clone(), CancellationToken::new());
        let ended = end.clone();
        runtime().spawn(async move {
            let mut events = Box::pin(client.request_events::<Value>(request).await.unwrap());
            loop {
                tokio::select! {
                    () = ended.cancelled() => return,
                    event = events.next() => match event {
                        Some(event) => seen(event.unwrap()),
                        None => return,
                    }
                }
            }
        });
        end.drop_guard()
    }

    /// The object at a path; null when it does not exist.
    pub fn get(&self, path: &str) -> Value {
        let (code, answer) = self.call("GET", path, None);
        if code == 404 {
            return Value::Null;
        }
        assert_eq!(code, 200, "GET {path}: {answer:#}");
        answer
    }
}

/// A client of its own for a kubeconfig, on the runtime of these tests.
pub fn client(kubeconfig: &std::path::Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    runtime().block_on(async {
        let options = KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        config.default_retry = false;
        Client::try_from(config).unwrap()
    })
}

//! A server on loopback that behaves as it is told. It reads the head of each request, and answers by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What it does with each request.
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    Answer(u16, &'static str),
    AnswerAndHangUp,
    Slow(Duration),
    Redirect(SocketAddr),
    Raw(&'static str),
    Hang,
    HangUp,
    HalfAnAnswer,
    DripHeaders,
    DripBody,
    EndlessHeaders,
    Flood,
}

/// A running server; ended when dropped.
pub struct Server {
    pub address: SocketAddr,
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    sent: AtomicU64,
}

impl Server {
    pub async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        let shared = counts.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let counts = shared.clone();
                connections.spawn(async move {
                    let mut connection = Connection { stream, counts };
                    // Whoever hangs up ends it.
                    while connection.read_head().await && connection.behave(behaviour).await.is_some() {}
                });
            }
        });
        Self { address, counts, _tasks: tasks }
    }

    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }

    pub fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }
}

struct Connection {
    stream: TcpStream,
    counts: Arc<Counts>,
}

impl Connection {
    async fn read_head(&mut self) -> bool {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut byte).await {
                Ok(1) => head.extend_from_slice(&byte),
                _ => return false,
            }
        }
        true
    }

    async fn send(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()?;
        self.counts.sent.fetch_add(u64::try_from(bytes.len()).unwrap(), Ordering::Relaxed);
        Some(())
    }

    async fn answer(&mut self, status: u16, further: &str, body: &str) -> Option<()> {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n{further}\r\n{body}");
        self.send(answer.as_bytes()).await
    }

    /// None when the connection is over.
    async fn behave(&mut self, behaviour: Behaviour) -> Option<()> {
        match behaviour {
            Behaviour::Answer(status, body) => self.answer(status, "", body).await,
            Behaviour::AnswerAndHangUp => {
                self.answer(200, "", "ok").await;
                None
            }
            Behaviour::Slow(pause) => {
                sleep(pause).await;
                self.answer(200, "", "ok").await
            }
            Behaviour::Redirect(to) => self.answer(302, &format!("Location: http://{to}/\r\n"), "").await,
            Behaviour::Raw(text) => {
                self.send(text.as_bytes()).await?;
                std::future::pending().await
            }
            Behaviour::Hang => std::future::pending().await,
            Behaviour::HangUp => None,
            Behaviour::HalfAnAnswer => {
                self.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
                None
            }
            Behaviour::DripHeaders => {
                self.send(b"HTTP/1.1 200 OK\r\n").await?;
                loop {
                    self.send(b"X: y\r\n").await?;
                    sleep(Duration::from_millis(200)).await;
                }
            }
            Behaviour::DripBody => {
                self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
                loop {
                    self.send(b"1\r\nx\r\n").await?;
                    sleep(Duration::from_millis(200)).await;
                }
            }
            Behaviour::EndlessHeaders => {
                self.send(b"HTTP/1.1 200 OK\r\n").await?;
                let line = format!("X-{}: y\r\n", "z".repeat(4_000));
                loop {
                    self.send(line.as_bytes()).await?;
                }
            }
            Behaviour::Flood => {
                let length = 100 * 1024 * 1024;
                self.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes()).await?;
                let chunk = vec![b'x'; 64 * 1024];
                for _ in 0..length / chunk.len() {
                    self.send(&chunk).await?;
                }
                Some(())
            }
        }
    }
}

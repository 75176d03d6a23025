//! Clients that try to hold the endpoints, over real connections.

use std::io::{Error, Result};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// Longest wait for what should come at once.
const AT_ONCE: Duration = Duration::from_secs(5);

async fn start() -> Result<SocketAddr> {
    let web = Web { metrics: Arc::default(), ready: Arc::default() };
    let (bound, _) =
        serve("127.0.0.1:0".parse().map_err(Error::other)?, web, CancellationToken::new()).await?;
    Ok(bound)
}

/// Sends this and reads the answer to its end.
async fn ask(address: SocketAddr, request: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    // Whoever is cut with something unread gets a reset after the answer.
    let _ = tokio::time::timeout(AT_ONCE, stream.read_to_end(&mut answer)).await.map_err(Error::other)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

const HEALTHZ: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn two_hundred_idle_connections_keep_no_probe_out() -> Result<()> {
    let address = start().await?;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(address).await?);
    }
    let begin = Instant::now();
    let answer = ask(address, HEALTHZ).await?;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"), "{answer}");
    assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
    // The oldest was cut for the newer ones: no more are open than may be.
    let mut oldest = idle.remove(0);
    let read = tokio::time::timeout(AT_ONCE, oldest.read(&mut [0; 8])).await.map_err(Error::other)?;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    Ok(())
}

#[tokio::test]
async fn a_client_that_sends_a_byte_per_second_is_cut() -> Result<()> {
    let address = start().await?;
    let mut stream = TcpStream::connect(address).await?;
    let begin = Instant::now();
    let mut cut = false;
    for byte in HEALTHZ.iter().cycle().take(30) {
        if stream.write_all(&[*byte]).await.is_err() {
            cut = true;
            break;
        }
        let read = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut [0; 1024])).await;
        if let Ok(Ok(0) | Err(_)) = read {
            cut = true;
            break;
        }
    }
    assert!(cut, "it may go on after {:?}", begin.elapsed());
    assert!(begin.elapsed() < HEAD_DEADLINE + AT_ONCE, "{:?}", begin.elapsed());
    Ok(())
}

#[tokio::test]
async fn requests_that_are_too_large_are_refused() -> Result<()> {
    let address = start().await?;
    let head = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(2 * HEAD_CAP));
    let answer = ask(address, head.as_bytes()).await?;
    assert!(answer.starts_with("HTTP/1.1 431 ") || answer.is_empty(), "{answer}");
    for framing in ["Content-Length: 1000000000", "Content-Length: x", "Transfer-Encoding: chunked"] {
        let head = format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        let answer = ask(address, head.as_bytes()).await?;
        assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains("# EOF"), "{framing}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_scraper_keeps_its_connection_for_the_next_request() -> Result<()> {
    let address = start().await?;
    let mut stream = TcpStream::connect(address).await?;
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await?;
        let mut answer = [0; 1024];
        let count = tokio::time::timeout(AT_ONCE, stream.read(&mut answer)).await.map_err(Error::other)??;
        assert!(count > 0, "it was closed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

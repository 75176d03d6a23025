//! The tiers together, as real processes with a real PostgreSQL (Debian's, started by `deploy/demo/postgres.sh`).
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

const SHOP: &str = env!("CARGO_BIN_EXE_shop");

/// Longer than the applications' own deadlines.
const PATIENCE: Duration = Duration::from_secs(10);

struct Postgres {
    port: u16,
    folder: PathBuf,
}

impl Postgres {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // In a folder of its own, because the script removes the empty folder above the data too.
        let folder = std::env::temp_dir().join(format!("shop-tiers-{}", std::process::id())).join("postgres");
        let database = Self { port: free, folder };
        database.script("up");
        database
    }

    fn script(&self, verb: &str) {
        let status = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/postgres.sh"))
            .arg(verb)
            .env("DATABASE_ADDRESS", "127.0.0.1")
            .env("DATABASE_CLIENTS", "127.0.0.1/32")
            .env("DATABASE_PORT", self.port.to_string())
            .env("DATABASE_FOLDER", &self.folder)
            .status()
            .unwrap();
        assert!(status.success(), "postgres.sh {verb}: {status}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.script("down");
    }
}

struct Tier {
    process: Child,
    /// Kept open, as a container's is.
    _stdout: BufReader<ChildStdout>,
    port: u16,
}

impl Tier {
    fn start(role: &str, variables: &[(&str, String)]) -> Self {
        let mut process = Command::new(SHOP)
            .arg(role)
            .env("PORT", "0")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let port = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Self { process, _stdout: stdout, port }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn get(&self, path: &str) -> Output {
        Command::new(SHOP).args(["get", &self.url(path)]).output().unwrap()
    }

    fn body(&self, path: &str) -> String {
        String::from_utf8(self.get(path).stdout).unwrap()
    }

    fn becomes(&self, path: &str, success: bool) {
        let begun = Instant::now();
        while self.get(path).status.success() != success {
            assert!(begun.elapsed() < PATIENCE, "{path} answers {}", self.body(path));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Tier {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_page_lists_the_items_of_the_database_and_readiness_follows_the_database() {
    let database = Postgres::start();
    let api = Tier::start(
        "api",
        &[
            ("DATABASE_HOST", "127.0.0.1".to_owned()),
            ("DATABASE_PORT", database.port.to_string()),
            ("VERSION", "2.0.0".to_owned()),
        ],
    );
    let web = Tier::start("web", &[("API_URL", api.url("")), ("VERSION", "3.0.0".to_owned())]);
    web.becomes("/readyz", true);
    let page = web.body("/");
    assert!(page.contains("Letter box<td>89.00<td>5") && page.contains("web 3.0.0, api 2.0.0"), "{page}");

    database.script("down");
    web.becomes("/readyz", false);
    assert!(web.body("/readyz").contains("failed to connect to the database"), "{}", web.body("/readyz"));
    assert!(web.body("/").contains("The shop is closed"));
    assert!(api.get("/healthz").status.success(), "a lost database is no reason to restart");

    database.script("up");
    web.becomes("/readyz", true);
    assert!(web.body("/").contains("Letter box"));
}

#[test]
fn sigterm_lets_the_requests_in_flight_finish_and_ends_with_success() {
    let mut tier = Tier::start("house-price", &[("DELAY", "1s".to_owned())]);
    let (sender, answer) = std::sync::mpsc::channel();
    let url = tier.url("/predict");
    std::thread::spawn(move || {
        let output = Command::new(SHOP).args(["get", &url]).output().unwrap();
        sender.send(String::from_utf8(output.stderr).unwrap()).unwrap();
    });
    // The request has to be on its way; its answer takes a second.
    std::thread::sleep(Duration::from_millis(300));
    let pid = tier.process.id().to_string();
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    // GET on a POST route: an answer of the application, not a broken connection.
    let message = answer.recv_timeout(PATIENCE).unwrap();
    assert!(message.contains("answered 405"), "{message}");
    assert!(tier.process.wait().unwrap().success());
}

//! The daemon as a process: started, asked for its metrics, ended.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    folder: TempDir,
    program: PathBuf,
    repo: String,
    kubeconfig: PathBuf,
    port: u16,
}

impl Daemon {
    /// Starts the program on a repository, with nothing of this machine's settings.
    pub fn start(program: &Path, repo: &str, kubeconfig: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let child = spawn(program, repo, kubeconfig, folder.path(), port)?;
        let (program, repo, kubeconfig) = (program.to_owned(), repo.to_owned(), kubeconfig.to_owned());
        Ok(Self { child, folder, program, repo, kubeconfig, port })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as an init system would, and starts it again with the cache that it left.
    pub fn restart(&mut self) -> Result<()> {
        let id = self.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().context("failed to run kill")?;
        self.child.wait()?;
        self.child = spawn(&self.program, &self.repo, &self.kubeconfig, self.folder.path(), self.port)?;
        Ok(())
    }

    /// The end of its log, for when something went wrong.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Waits until it has read its repository.
    pub async fn wait_until_ready(&self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if self.get("/readyz").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the daemon is not ready within {} s:\n{}", limit.as_secs(), self.last_words())
    }

    /// Waits until its metrics call so many environments live.
    pub async fn wait_until_live(&self, environments: usize, limit: Duration) -> Result<Instant> {
        let start = Instant::now();
        let mut live = 0;
        while start.elapsed() < limit {
            live = self.live().await.unwrap_or(0);
            if live >= environments {
                return Ok(Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!(
            "{live} of {environments} environments are live within {} s:\n{}",
            limit.as_secs(),
            self.last_words()
        )
    }

    async fn live(&self) -> Result<usize> {
        let text = self.get("/metrics").await?;
        let live = |line: &&str| line.starts_with("tidegate_environment_live{") && line.ends_with(" 1");
        Ok(text.lines().filter(live).count())
    }

    async fn get(&self, path: &str) -> Result<String> {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn spawn(program: &Path, repo: &str, kubeconfig: &Path, folder: &Path, port: u16) -> Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new(program);
    command.env_clear();
    for name in ["PATH", "HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .args(["run", "--branch", "main", "--repo", repo])
        .arg("--cache-dir")
        .arg(folder.join("cache"))
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .env("KUBECONFIG", kubeconfig)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("TIDEGATE_LOG", std::env::var("BENCH_LOG").unwrap_or_else(|_| "warn".to_owned()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| format!("failed to start {}", program.display()))
}

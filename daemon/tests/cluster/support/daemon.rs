//! The real binary: as a daemon in the background, and as a command.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    folder: TempDir,
    arguments: Vec<String>,
    kubeconfig: PathBuf,
    filter: String,
    /// A program that becomes the daemon, with its arguments.
    wrapper: Vec<String>,
}

/// What tests log, unless they ask for more.
const FILTER: &str = "info,tidegate=debug,kube=warn,kube_runtime=error";

/// What a command printed.
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}

impl Daemon {
    pub fn start(repo: &str, kubeconfig: &Path, flags: &[&str]) -> Self {
        Self::start_logging(repo, kubeconfig, flags, FILTER)
    }

    /// Starts with its cache on a file system of its own, of so many bytes.
    pub fn start_on_disk(repo: &str, kubeconfig: &Path, cache: &Path, bytes: u32) -> Self {
        let cache = cache.display().to_string();
        let mount = format!("mount -t tmpfs -o size={bytes} tmpfs {cache} && exec \"$@\"");
        let wrapper = ["unshare", "--mount", "sh", "-c", &mount, "sh"].map(str::to_owned).to_vec();
        Self::start_wrapped(repo, kubeconfig, &["--cache-dir", &cache], FILTER, wrapper)
    }

    /// Starts as what a program becomes that is given the daemon's own words after these.
    pub fn start_under(program: &[&str], repo: &str, kubeconfig: &Path, flags: &[&str]) -> Self {
        let wrapper = program.iter().map(|word| (*word).to_owned()).collect();
        Self::start_wrapped(repo, kubeconfig, flags, FILTER, wrapper)
    }

    /// Starts with another filter of log lines.
    pub fn start_logging(repo: &str, kubeconfig: &Path, flags: &[&str], filter: &str) -> Self {
        Self::start_wrapped(repo, kubeconfig, flags, filter, Vec::new())
    }

    fn start_wrapped(
        repo: &str,
        kubeconfig: &Path,
        flags: &[&str],
        filter: &str,
        wrapper: Vec<String>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = vec!["run".into(), "--listen".into(), "127.0.0.1:0".into()];
        if !flags.contains(&"--follow") && !flags.contains(&"--repo") {
            arguments.extend(["--repo".into(), repo.into(), "--branch".into(), "main".into()]);
        }
        if !flags.contains(&"--cache-dir") {
            arguments.extend(["--cache-dir".into(), folder.path().join("cache").display().to_string()]);
        }
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let child = spawn(&wrapper, &arguments, kubeconfig, folder.path(), filter);
        Self {
            child,
            folder,
            arguments,
            kubeconfig: kubeconfig.to_owned(),
            filter: filter.to_owned(),
            wrapper,
        }
    }

    /// Everything that it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Where it logs.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again with the same cache, as an init system would.
    pub fn restart(&mut self) {
        self.child =
            spawn(&self.wrapper, &self.arguments, &self.kubeconfig, self.folder.path(), &self.filter);
    }

    /// SIGTERM; how long it took to end, and its exit code.
    pub fn terminate(&mut self) -> (Duration, i32) {
        let start = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        (start.elapsed(), status.code().unwrap_or(-1))
    }

    /// Sends the process a signal, as `kill` names it: `-STOP`, `-CONT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.pid().to_string()]).status();
        assert!(status.unwrap().success());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The text of `/metrics`, fetched as Prometheus would.
    pub fn http(&self, path: &str) -> String {
        use std::io::{Read as _, Write as _};
        let log = self.log();
        let line = log.lines().find(|line| line.contains("bound=")).expect("it says where it listens");
        let address = line.split("bound=").nth(1).unwrap().split_whitespace().next().unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{}", self.log());
        }
    }
}

fn spawn(wrapper: &[String], arguments: &[String], kubeconfig: &Path, folder: &Path, filter: &str) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    command(wrapper, kubeconfig)
        .args(arguments)
        .env("TIDEGATE_LOG", filter)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Runs a command to its end.
pub fn tidegate(kubeconfig: &Path, arguments: &[&str]) -> Output {
    let output = command(&[], kubeconfig).args(arguments).output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The binary with nothing of this machine's settings.
fn command(wrapper: &[String], kubeconfig: &Path) -> Command {
    let binary = [env!("CARGO_BIN_EXE_tidegate").to_owned()];
    let mut words = wrapper.iter().chain(&binary);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).env_clear();
    for name in ["PATH", "HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("KUBECONFIG", kubeconfig)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("LC_ALL", "C.UTF-8").env("USER", "tester");
    command
}

//! An `sshd` on loopback with its own keys, running as whoever runs the tests.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server; it is killed when dropped.
pub struct SshServer {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl SshServer {
    /// Starts a server that lets our own key in.
    pub fn start() -> Self {
        Self::with("AcceptEnv GIT_PROTOCOL\n")
    }

    /// Starts a server that ignores what it is told of git's protocol, as most are configured: it speaks version 0.
    pub fn start_old() -> Self {
        Self::with("")
    }

    fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["host", "user", "stranger"] {
            keygen(&at(name));
        }
        std::fs::copy(at("user.pub"), at("authorized")).expect("copied");
        // Released right before it is used; a test that loses this race fails loudly.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("an address")
            .port();
        let host_key = std::fs::read_to_string(at("host.pub")).expect("a key");
        std::fs::write(at("known_hosts"), format!("[127.0.0.1]:{port} {host_key}")).expect("written");
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n{more}",
            at("host").display(),
            at("authorized").display()
        );
        std::fs::write(at("sshd_config"), config).expect("written");
        // As root, sshd wants the folder that its package makes at boot.
        let _ = std::fs::create_dir("/run/sshd");
        let child = Command::new("/usr/sbin/sshd")
            .arg("-D")
            .arg("-e")
            .arg("-f")
            .arg(at("sshd_config"))
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(at("log")).expect("a log"))
            .spawn()
            .expect("sshd runs");
        let server = Self { child, port, folder };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "sshd does not answer: {}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// The URL of a repository of this machine.
    pub fn url(&self, path: &Path) -> String {
        let user = Command::new("id").arg("-un").output().expect("id runs").stdout;
        let user = String::from_utf8(user).expect("a name");
        format!("ssh://{}@127.0.0.1:{}{}", user.trim(), self.port, path.display())
    }

    /// A file of the server: the keys `user` and `stranger`, and `known_hosts`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What sshd said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keygen(path: &Path) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen runs");
    assert!(status.success());
}

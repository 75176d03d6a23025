//! nginx in front of a plain http server, with a certificate of an authority made for the test.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running nginx; it is ended when dropped.
pub struct TlsFront {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl TlsFront {
    /// Ends TLS in front of an `http://…` address.
    pub fn start(upstream: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority -keyout {} -out {}",
            at("ca.key"),
            at("ca.crt")
        ));
        openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server -keyout {} -out {}",
            at("server.key"),
            at("server.csr")
        ));
        std::fs::write(at("names"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
            .expect("written");
        openssl(&format!(
            "x509 -req -days 2 -CAcreateserial -in {} -CA {} -CAkey {} -extfile {} -out {}",
            at("server.csr"),
            at("ca.crt"),
            at("ca.key"),
            at("names"),
            at("server.crt")
        ));
        // Released right before it is used; a test that loses this race fails loudly.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("an address")
            .port();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", at(kind)))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {};\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\
             server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {};\n\
             location / {{ proxy_pass {upstream}; }} }} }}\n",
            at("pid"),
            at("server.crt"),
            at("server.key")
        );
        std::fs::write(at("nginx.conf"), config).expect("written");
        let child = Command::new("/usr/sbin/nginx")
            .args(["-p", &at(""), "-c", &at("nginx.conf"), "-e", &at("log")])
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx runs");
        let front = Self { child, port, folder };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = std::fs::read_to_string(front.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "nginx does not answer: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        front
    }

    /// The URL of a repository.
    pub fn url(&self, repository: &str) -> String {
        format!("https://127.0.0.1:{}/{repository}", self.port)
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).output().expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

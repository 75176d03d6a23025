//! One run of a program for credentials: with a cleared environment, no input, a deadline, and a cap on what it prints. Not its meaning: see [`super::credential`].

use std::time::Duration;

use tokio::process::Command;

use super::credential::{Credential, Version, read};
use crate::programs::find;
use crate::programs::run::{Bounds, Cut, Ended, run};

/// Longest run; below the deadline of the request that waits for it.
pub const RUN_DEADLINE: Duration = Duration::from_secs(15);
/// Longest answer; chains of certificates are far shorter.
pub const ANSWER_CAP: u64 = 64 * 1024;
/// What is read of its complaints; the rest must not block it.
const COMPLAINT_CAP: u64 = 4 * 1024;
/// What is shown of them.
const COMPLAINT_CHARS: usize = 300;
/// What it sees of the daemon's environment, besides what the kubeconfig names: where programs and their settings are.
const ENVIRONMENT: [&str; 2] = ["PATH", "HOME"];

/// A program that may be run.
#[derive(Debug, Clone)]
pub struct Program {
    /// An absolute path, or a name that `PATH` finds.
    pub command: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables that the kubeconfig names.
    pub environment: Vec<(String, String)>,
    /// What it is told.
    pub question: String,
    /// How it must answer.
    pub version: Version,
}

/// Why a program gave no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// No such program.
    #[error("there is no such program")]
    Absent,
    /// It could not be started, or its output not be read.
    #[error("{0}")]
    Io(String),
    /// It did not end.
    #[error("it did not end within {} s", RUN_DEADLINE.as_secs())]
    Hangs,
    /// It printed without end.
    #[error("it printed more than {} KiB", ANSWER_CAP / 1024)]
    Babbles,
    /// It failed, with what it said.
    #[error("it failed ({status}){said}")]
    Failed {
        /// How it ended.
        status: String,
        /// The first of what it said, with what leads to it; may be empty.
        said: String,
    },
    /// It printed something else.
    #[error("{0}")]
    Answer(String),
}

impl Program {
    /// Runs it once, and reads its answer.
    pub async fn ask(&self) -> Result<Credential, RunError> {
        let path = find(&self.command).ok_or(RunError::Absent)?;
        let mut command = Command::new(path);
        command.args(&self.arguments).env_clear();
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("KUBERNETES_EXEC_INFO", &self.question);
        let bounds =
            Bounds { deadline: RUN_DEADLINE, output_bytes: ANSWER_CAP, complaint_bytes: COMPLAINT_CAP };
        let Ended { status, output, complaints } = run(&mut command, bounds).await?;
        if !status.success() {
            let said = shown(&complaints);
            let said = if said.is_empty() { said } else { format!(": {said}") };
            return Err(RunError::Failed { status: status.to_string(), said });
        }
        read(&output, self.version).map_err(RunError::Answer)
    }
}

impl From<Cut> for RunError {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Io(why) => Self::Io(why),
            Cut::Hangs => Self::Hangs,
            Cut::Babbles => Self::Babbles,
        }
    }
}

/// What a program complained of, on one line.
fn shown(complaints: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaints);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().filter(|c| !c.is_control()).take(COMPLAINT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Program {
        Program {
            command: "/bin/sh".to_owned(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: vec![("NAMED".to_owned(), "by the kubeconfig".to_owned())],
            question: "the question".to_owned(),
            version: Version::V1,
        }
    }

    const ANSWER: &str = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"TOKEN"}}"#;

    #[tokio::test]
    async fn the_program_sees_what_the_kubeconfig_names_and_nothing_of_the_daemon() {
        let print = ANSWER.replace("TOKEN", "'$(env | cut -d= -f1 | sort | tr '\\n' '.')'");
        let credential = shell(&format!("echo '{print}'")).ask().await.expect("it answers");
        let token = credential.token.expect("a token");
        let mut seen: Vec<&str> = token.expose().split('.').filter(|name| !name.is_empty()).collect();
        // What shells set by themselves.
        seen.retain(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name));
        let known = ["HOME", "KUBERNETES_EXEC_INFO", "NAMED", "PATH"];
        assert!(seen.iter().all(|name| known.contains(name)), "{seen:?}");
        assert!(seen.contains(&"NAMED") && seen.contains(&"KUBERNETES_EXEC_INFO"), "{seen:?}");
    }

    #[tokio::test]
    async fn endless_output_is_cut_and_the_program_ended() {
        let start = Instant::now();
        assert_eq!(shell("exec yes hunter2").ask().await.err(), Some(RunError::Babbles));
        assert!(start.elapsed() < RUN_DEADLINE);
        // Complaints without end neither block it nor are they kept.
        let noisy = shell("yes hunter2 | head -c 9000000 >&2; exit 3").ask().await.expect_err("it fails");
        assert!(noisy.to_string().len() < 500, "{noisy}");
    }

    // With the clock of the runtime paused, a wait for nothing but time is over at once.
    #[tokio::test(start_paused = true)]
    async fn a_program_that_does_not_end_is_left_at_the_deadline() {
        assert_eq!(shell("exec sleep 600").ask().await.err(), Some(RunError::Hangs));
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_with_everything_that_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pid");
        let program = shell(&format!("sleep 600 & echo $! > {}; wait", file.display()));
        assert!(tokio::time::timeout(Duration::from_secs(2), program.ask()).await.is_err(), "it hangs");
        let pid = std::fs::read_to_string(&file).expect("it was started");
        ends(pid.trim()).await;
    }

    #[tokio::test]
    async fn what_a_program_leaves_behind_when_it_has_answered_is_ended_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pid");
        let script = format!("sleep 600 >/dev/null 2>&1 & echo $! > {}; echo '{ANSWER}'", file.display());
        assert!(shell(&script).ask().await.expect("it answers").token.is_some());
        let pid = std::fs::read_to_string(&file).expect("it was started");
        ends(pid.trim()).await;
    }

    async fn ends(pid: &str) {
        let mut left = 100;
        while is_running(pid) && left > 0 {
            left -= 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(!is_running(pid), "it runs on");
    }

    fn is_running(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
    }

    #[tokio::test]
    async fn failures_are_told_with_what_the_program_said() {
        let failed = shell("echo 'no \u{1b}[31msession' >&2; exit 7").ask().await.expect_err("it fails");
        assert_eq!(failed.to_string(), "it failed (exit status: 7): no [31msession");
        let garbage = shell("echo hunter2").ask().await.expect_err("that is no answer").to_string();
        assert!(garbage.contains("not JSON") && !garbage.contains("hunter2"), "{garbage}");
        let absent = Program { command: "/nowhere/aws".to_owned(), ..shell("") };
        assert_eq!(absent.ask().await.err(), Some(RunError::Absent));
    }
}

//! One run of a program for credentials: in a process group of its own, with a cleared environment, no input, a deadline,
//! and a cap on what it prints. Not its meaning: see [`super::credential`].

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::credential::{Credential, Version, read};
use crate::programs::find;

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
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut running = Running(command.spawn().map_err(|error| io(&error))?);
        let answer = match tokio::time::timeout(RUN_DEADLINE, running.end()).await {
            Ok(answer) => answer?,
            Err(_) => return Err(RunError::Hangs),
        };
        read(&answer, self.version).map_err(RunError::Answer)
    }
}

/// A program that is ended, with everything that it started, when nobody waits for it any more.
struct Running(Child);

impl Running {
    /// What it printed, once it has ended well.
    async fn end(&mut self) -> Result<Vec<u8>, RunError> {
        let (Some(output), Some(complaints)) = (self.0.stdout.take(), self.0.stderr.take()) else {
            return Err(RunError::Io("it has no standard streams".to_owned()));
        };
        let mut answer = Vec::new();
        let mut output = output.take(ANSWER_CAP.saturating_add(1));
        let answered = async {
            output.read_to_end(&mut answer).await.map_err(|error| io(&error))?;
            // Nobody reads on: it must not be waited for.
            if answer.len() as u64 > ANSWER_CAP { Err(RunError::Babbles) } else { Ok(()) }
        };
        let (complaint, ()) = tokio::try_join!(async { Ok(first_of(complaints).await) }, answered)?;
        self.ended().await?;
        self.end_group();
        let status = self.0.wait().await.map_err(|error| io(&error))?;
        if status.success() {
            return Ok(answer);
        }
        let said = if complaint.is_empty() { complaint } else { format!(": {complaint}") };
        Err(RunError::Failed { status: status.to_string(), said })
    }
}

impl Running {
    /// Its number, and that of its group. None once it was waited for: the number may be somebody else's by then.
    fn group(&self) -> Option<Pid> {
        self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    /// Returns when it has ended by itself. It keeps its number until it is waited for.
    async fn ended(&self) -> Result<(), RunError> {
        let Some(program) = self.group() else { return Ok(()) };
        let wait = move || waitid(WaitId::Pid(program), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        match tokio::task::spawn_blocking(wait).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(RunError::Io(error.to_string())),
            Err(error) => Err(RunError::Io(error.to_string())),
        }
    }

    /// Ends what is left of it: it was asked for an answer, not to leave a server behind.
    fn end_group(&self) {
        if let Some(group) = self.group() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_group();
    }
}

fn io(error: &std::io::Error) -> RunError {
    RunError::Io(error.to_string())
}

/// The first of what a program complains of, on one line; all of it is read, so that it never blocks.
async fn first_of(mut complaints: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let _ = (&mut complaints).take(COMPLAINT_CAP).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut complaints, &mut tokio::io::sink()).await;
    let text = String::from_utf8_lossy(&kept);
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

//! One run of a program from its start to its end: in a process group of its own, without input, within a deadline and a cap on
//! what it prints. Not its meaning, nor its environment: those are the caller's.
//!
//! Whoever stops waiting (a deadline, a dropped future) ends the program with everything that it started.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// What a run may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// From its start to its end.
    pub deadline: Duration,
    /// Bytes that it may print; with more it is ended.
    pub output_bytes: u64,
    /// Bytes that are kept of its complaints; the rest is read and dropped, so that it never blocks.
    pub complaint_bytes: u64,
}

/// A program that came to its end by itself.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it printed.
    pub output: Vec<u8>,
    /// The first of what it complained of.
    pub complaints: Vec<u8>,
}

/// Why a program did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// It could not be started, or its output not be read.
    Io(String),
    /// It did not end within its deadline.
    Hangs,
    /// It printed more than it may.
    Babbles,
}

/// Runs a program to its end.
pub async fn run(command: &mut Command, bounds: Bounds) -> Result<Ended, Cut> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut running = Running(command.spawn().map_err(|error| io(&error))?);
    match tokio::time::timeout(bounds.deadline, running.end(bounds)).await {
        Ok(ended) => ended,
        Err(_) => Err(Cut::Hangs),
    }
}

/// A program that is ended, with everything that it started, when nobody waits for it any more.
struct Running(Child);

impl Running {
    async fn end(&mut self, bounds: Bounds) -> Result<Ended, Cut> {
        let (Some(output), Some(complaints)) = (self.0.stdout.take(), self.0.stderr.take()) else {
            return Err(Cut::Io("it has no standard streams".to_owned()));
        };
        let mut answer = Vec::new();
        let mut output = output.take(bounds.output_bytes.saturating_add(1));
        let answered = async {
            output.read_to_end(&mut answer).await.map_err(|error| io(&error))?;
            // Nobody reads on: it must not be waited for.
            if answer.len() as u64 > bounds.output_bytes { Err(Cut::Babbles) } else { Ok(()) }
        };
        let complained = async { Ok(first_of(complaints, bounds.complaint_bytes).await) };
        let (complaints, ()) = tokio::try_join!(complained, answered)?;
        self.ended().await?;
        self.end_group();
        let status = self.0.wait().await.map_err(|error| io(&error))?;
        Ok(Ended { status, output: answer, complaints })
    }

    /// Its number, and that of its group. None once it was waited for: the number may be somebody else's by then.
    fn group(&self) -> Option<Pid> {
        self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    /// Returns when it has ended by itself. It keeps its number until it is waited for.
    async fn ended(&self) -> Result<(), Cut> {
        let Some(program) = self.group() else { return Ok(()) };
        let wait = move || waitid(WaitId::Pid(program), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        match tokio::task::spawn_blocking(wait).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Cut::Io(error.to_string())),
            Err(error) => Err(Cut::Io(error.to_string())),
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

fn io(error: &std::io::Error) -> Cut {
    Cut::Io(error.to_string())
}

/// The first bytes; all of them are read.
async fn first_of(mut complaints: impl AsyncRead + Unpin, most: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    let _ = (&mut complaints).take(most).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut complaints, &mut tokio::io::sink()).await;
    kept
}

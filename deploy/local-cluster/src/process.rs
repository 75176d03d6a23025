//! Programs that outlive their starter: started detached, recorded by process id, start time and boot, found
//! again and ended by that record alone, never by name.
//!
//! The program records itself (a shell writes the record and becomes the program), so a starter that is killed
//! at any moment leaves no program without a record. Until the record is there the shell holds the cluster's lock,
//! so nobody looks for records too early.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::command::command;
use crate::files::{self, Access};
use crate::wait::Limit;

const RECORD_LIMIT: Limit = Limit::new("the record of a started program", 10, 5);
const END_LIMIT: Limit = Limit::new("the end of a killed program", 20, 10);

/// `exec` keeps the process id and the start time, so both are right for the program.
const RECORD_SCRIPT: &str = r#"record=$1; shift
start=$(cut -d ' ' -f 22 /proc/$$/stat)
echo "$$ $start $(cat /proc/sys/kernel/random/boot_id)" > "$record.new" && mv "$record.new" "$record" || exit 1
exec "$@" < /dev/null"#;

/// A program that keeps running.
#[derive(Debug)]
pub struct Program {
    pub name: String,
    pub words: Vec<String>,
    /// Files that it reads only at its start: with other content it is another program.
    pub configuration: Vec<PathBuf>,
}

impl Program {
    /// Everything that makes a running program the wanted one.
    fn identity(&self) -> Result<String> {
        let Self { name: _, words, configuration } = self;
        let mut identity = words.join("\n");
        for file in configuration {
            let content =
                fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
            identity.push('\n');
            identity.push_str(&content);
        }
        Ok(identity)
    }
}

/// The programs of one cluster: their records and logs.
#[derive(Debug)]
pub struct Programs {
    records: PathBuf,
    logs: PathBuf,
    lock: Option<File>,
}

/// One process, told apart from a later one with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    process: i32,
    start: u64,
    boot: String,
}

impl Programs {
    pub fn open(state: &Path) -> Result<Self> {
        let programs = Self { records: state.join("run"), logs: state.join("log"), lock: None };
        files::create_folder(&programs.records)?;
        files::create_folder(&programs.logs)?;
        Ok(programs)
    }

    /// For who starts programs: with the cluster's lock, which a start shares until its record is written.
    pub fn locked(state: &Path, lock: &File) -> Result<Self> {
        let lock = lock.try_clone().context("failed to share the lock of a cluster")?;
        Ok(Self { lock: Some(lock), ..Self::open(state)? })
    }

    /// Makes sure that exactly this program runs: one with other words or configuration is ended first.
    pub fn ensure(&self, program: &Program) -> Result<()> {
        let identity_file = self.records.join(format!("{}.identity", program.name));
        let identity = program.identity()?;
        if self.is_running(&program.name) {
            if fs::read_to_string(&identity_file).is_ok_and(|running| running == identity) {
                return Ok(());
            }
            self.end(&program.name)?;
        }
        files::write(&identity_file, &identity, Access::Public)?;
        self.start(program)
    }

    fn start(&self, program: &Program) -> Result<()> {
        let record = self.record_path(&program.name);
        files::remove_if_there(&record)?;
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log(&program.name));
        let log = log.with_context(|| format!("failed to open the log of {}", program.name))?;
        let input = match &self.lock {
            Some(lock) => Stdio::from(lock.try_clone().context("failed to share the lock of a cluster")?),
            None => Stdio::null(),
        };
        // setsid: neither an interrupt key nor the end of the terminal reaches the program.
        let status = command("setsid")
            .args(["--fork", "sh", "-c", RECORD_SCRIPT, "record"])
            .arg(&record)
            .args(&program.words)
            .stdin(input)
            .stdout(log.try_clone().context("failed to share a log")?)
            .stderr(Stdio::from(log))
            .current_dir("/")
            .status()
            .with_context(|| format!("failed to start {}", program.name))?;
        if !status.success() {
            bail!("failed to start {}: {status}", program.name);
        }
        RECORD_LIMIT.wait(|| Ok(record.exists().then_some(())))
    }

    pub fn is_running(&self, name: &str) -> bool {
        self.record(name).is_some_and(|record| record.is_alive())
    }

    /// The process id of a running program.
    pub fn process_id(&self, name: &str) -> Option<i32> {
        self.record(name).filter(Record::is_alive).map(|record| record.process)
    }

    /// Kills the program if it runs and waits until it and its children are gone.
    ///
    /// The children are those of a node, whose first process dies with it (`unshare --kill-child`) and takes every
    /// process of the node along.
    pub fn end(&self, name: &str) -> Result<()> {
        let Some(record) = self.record(name).filter(Record::is_alive) else { return Ok(()) };
        let mut family = children_of(record.process);
        family.push(record.clone());
        let id = Pid::from_raw(record.process).context("a recorded process id that cannot be")?;
        // Already gone is as good as killed.
        let _ = kill_process(id, Signal::KILL);
        END_LIMIT
            .wait(|| Ok((!family.iter().any(Record::is_alive)).then_some(())))
            .with_context(|| format!("failed to end {name}"))
    }

    /// The names of all programs ever recorded here.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.records) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".process").map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    /// The last line that the program logged, for the error that says it ended.
    pub fn last_words(&self, name: &str) -> String {
        let log = fs::read(self.log(name)).unwrap_or_default();
        String::from_utf8_lossy(&log).lines().next_back().unwrap_or("it logged nothing").to_owned()
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    fn record_path(&self, name: &str) -> PathBuf {
        self.records.join(format!("{name}.process"))
    }

    fn record(&self, name: &str) -> Option<Record> {
        Record::parse(&fs::read_to_string(self.record_path(name)).ok()?)
    }
}

impl Record {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let process = words.next()?.parse().ok()?;
        let start = words.next()?.parse().ok()?;
        Some(Self { process, start, boot: words.next()?.to_owned() })
    }

    fn is_alive(&self) -> bool {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        boot.trim() == self.boot
            && Stat::of(self.process).is_some_and(|stat| stat.start == self.start && !stat.is_over())
    }
}

/// What `/proc/<id>/stat` says of a process.
struct Stat {
    state: String,
    parent: i32,
    threads: u32,
    start: u64,
}

impl Stat {
    fn of(process: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
    }

    /// Dead and not yet reaped. While other threads still end, so does nothing that they share: a server's port
    /// is still taken although its first thread is a zombie.
    fn is_over(&self) -> bool {
        self.state == "Z" && self.threads <= 1
    }

    /// The name in parentheses may hold anything, so the fields count from its end (proc(5): 3, 4, 20 and 22).
    fn parse(text: &str) -> Option<Self> {
        let (_, after_name) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        Some(Self {
            state: (*fields.first()?).to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            threads: fields.get(17)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }
}

fn children_of(parent: i32) -> Vec<Record> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, Stat::of(process)?)))
        .filter(|(_, stat)| stat.parent == parent)
        .map(|(process, stat)| Record { process, start: stat.start, boot: boot.trim().to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_past_a_name_with_spaces_and_parentheses() {
        let line = "7 (a) b (c)) S 3 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.state.as_str(), stat.parent, stat.start), ("S", 3, 4242));
    }

    #[test]
    fn a_zombie_with_living_threads_is_not_over() {
        let line = |threads: u8| format!("7 (a) Z 3 7 7 0 -1 0 1 0 0 0 0 0 0 0 20 0 {threads} 0 4242 1 1");
        assert!(!Stat::parse(&line(2)).unwrap().is_over());
        assert!(Stat::parse(&line(1)).unwrap().is_over());
    }

    #[test]
    fn a_record_of_another_boot_is_not_alive() {
        let me = i32::try_from(std::process::id()).unwrap();
        let start = Stat::of(me).unwrap().start;
        assert!(!Record { process: me, start, boot: "another".into() }.is_alive());
    }
}

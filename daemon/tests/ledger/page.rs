//! The page for auditors, done as it says: its commands are run by a shell that finds git and nothing of ours, and what the page shows
//! of their output is what they print, line by line. `…` stands for what the page leaves out of a line.
//!
//! What is shown is written anew by `UPDATE_GOLDENS=1 cargo test -p tidegate --test ledger`; long lines are cut.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::Cloned;
use crate::story::story;

const PAGE: &str = "../policies/how-to/read-the-deploy-log.md";
/// Of longer lines the page shows the beginning.
const WIDTH: usize = 200;

/// Runs commands as the page's reader would; everything that they print.
fn run(folder: &Path, commands: &str, variables: &[(&str, &str)]) -> String {
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", commands]).current_dir(folder).env_clear();
    shell.env("PATH", std::env::var_os("PATH").expect("a PATH")).env("HOME", folder).env("LC_ALL", "C.UTF-8");
    shell.env("GIT_CONFIG_NOSYSTEM", "1").env("TZ", "UTC").envs(variables.iter().copied());
    let ran = shell.output().expect("bash");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = format!("{}{}", said(&ran.stdout), said(&ran.stderr));
    assert!(ran.status.success(), "{commands}\n{all}");
    all
}

/// A line as the page shows it.
fn shown(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.trim_end().to_owned();
    }
    line.chars().take(WIDTH).chain(['…']).collect()
}

/// The page with what its commands print in place of what it shows; the number of commands.
fn play(page: &str) -> (String, usize) {
    let cloned = Cloned::of(&story());
    let signers = cloned.signers();
    let log = format!("file://{}", cloned.scene.bare().display());
    let tip = cloned.commits.get(4).expect("a commit");
    let variables = [("LOG", log.as_str()), ("SIGNERS", signers.as_str()), ("TIP", tip.as_str())];
    let reader = tempfile::tempdir().expect("a folder");
    let mut folder = reader.path().to_owned();
    let (mut played, mut printed, mut commands) = (String::new(), String::new(), 0);
    let mut kind = None;
    let mut block = String::new();
    for line in page.lines() {
        match (line.strip_prefix("```"), kind) {
            (Some(begins), None) => {
                kind = Some(if begins == "sh" { "sh" } else { "text" });
                assert!(["sh", "text"].contains(&begins), "a block of {begins} has no meaning in this page");
                let _ = writeln!(played, "{line}");
                block.clear();
            }
            (Some(_), Some("sh")) => {
                let foreign = block.lines().find(|command| !command.starts_with("git "));
                assert_eq!(foreign, None, "the page needs git alone");
                printed = run(&folder, &block, &variables);
                commands += block.lines().count();
                // The page's first command makes the clone, and its next line says to go into it.
                if folder == reader.path() {
                    folder = PathBuf::from(reader.path()).join("deploylog");
                }
                let _ = writeln!(played, "{block}{line}");
                kind = None;
            }
            (Some(_), Some(_)) => {
                let lines = printed.lines().map(|line| shown(line) + "\n").collect::<String>();
                let _ = writeln!(played, "{lines}{line}");
                kind = None;
            }
            (None, Some(_)) => {
                let _ = writeln!(block, "{line}");
            }
            (None, None) => {
                let _ = writeln!(played, "{line}");
            }
        }
    }
    assert_eq!(kind, None, "a fence is left open");
    (played, commands)
}

#[test]
fn the_deploy_log_is_read_with_git_alone_as_its_page_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).expect("the page");
    let (played, commands) = play(&page);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, &played).expect("written");
        return;
    }
    let differs = page.lines().zip(played.lines()).find(|(page, played)| page != played);
    assert!(page == played, "the page shows something else; UPDATE_GOLDENS=1 writes it anew: {differs:#?}");
    assert!(commands > 15, "{commands} commands");
}

//! The how-to pages, done as they say: their files are written, their commands run, and what they show is compared.
//!
//! A block of YAML is the file that the line before it ends with. A block of commands is run by bash in the clone. A block of
//! text stands for lines of what the commands before it printed, with `…` for whatever differs from run to run.

use std::path::Path;
use std::process::Command;

use crate::support::{World, shop};

/// A block between two fences.
struct Block<'a> {
    kind: &'a str,
    /// The last line of prose before it.
    before: &'a str,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let (mut found, mut open): (Vec<Block<'_>>, Option<Block<'_>>) = (Vec::new(), None);
    let mut before = "";
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => found.push(block),
            (Some(kind), None) => open = Some(Block { kind, before, text: String::new(), line: number + 1 }),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) if !line.trim().is_empty() => before = line,
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is left open");
    found
}

/// The file that a line of prose ends with: "… `policies/prices.yaml`:".
fn file_of(before: &str) -> &str {
    let name = before.strip_suffix("`:").and_then(|rest| rest.rsplit_once('`'));
    name.unwrap_or_else(|| panic!("no file is named before a block of YAML: {before}")).1
}

/// Runs commands as the page's reader would; everything that they print.
fn run(world: &World, commands: &str, programs: &Path) -> String {
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", commands]).current_dir(world.repo.work());
    shell.env("PATH", path).env("KUBECONFIG", world.kube.kubeconfig()).env("TIDEGATE_REPO", world.repo.url());
    shell.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C.UTF-8");
    for role in ["AUTHOR", "COMMITTER"] {
        shell.env(format!("GIT_{role}_NAME"), "Ada").env(format!("GIT_{role}_EMAIL"), "ada@example.com");
    }
    let ran = shell.output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = format!("{}{}", said(&ran.stdout), said(&ran.stderr));
    assert!(ran.status.success(), "{commands}\n{all}");
    all
}

/// Whether a line is what the page shows of it.
fn is_shown(shown: &str, line: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    for part in parts {
        match rest.find(part.trim_start_matches(' ')) {
            Some(at) => rest = rest.get(at + part.trim_start_matches(' ').len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.is_empty() || shown.ends_with('…')
}

fn play(page: &str, name: &str) {
    let world = World::new(name);
    shop::image(&world.kube);
    let programs = tempfile::tempdir().unwrap();
    let link = |program: &Path, name: &str| {
        std::os::unix::fs::symlink(program, programs.path().join(name)).unwrap();
    };
    link(Path::new(env!("CARGO_BIN_EXE_tidegate")), "tidegate");
    link(&world.kube.cluster().kubectl(), "kubectl");
    world.repo.commit("an empty repository");
    let _daemon = world.daemon();
    let mut printed = String::new();
    let mut shown = 0;
    for Block { kind, before, text, line } in blocks(page) {
        match kind {
            "yaml" => world.repo.write(file_of(before), &text),
            "sh" => printed = run(&world, &text, programs.path()),
            "text" => {
                for line in text.lines() {
                    let is_there = printed.lines().any(|printed| is_shown(line, printed));
                    assert!(is_there, "{line}\nis not in\n{printed}");
                    shown += 1;
                }
            }
            other => panic!("line {line}: a block of {other} has no meaning in these pages"),
        }
    }
    assert!(shown > 0, "the page shows nothing of what happens");
}

#[test]
fn my_first_rollout_goes_as_its_page_says() {
    play(include_str!("../../../policies/how-to/my-first-rollout.md"), "first");
}

#[test]
fn a_gate_is_written_as_its_page_says() {
    play(include_str!("../../../policies/how-to/write-a-gate.md"), "gated");
}

#[test]
fn a_running_service_is_adopted_as_its_page_says() {
    play(include_str!("../../../policies/how-to/adopt-a-running-service.md"), "adopted");
}

#[test]
fn a_line_is_shown_with_whatever_stands_for_an_ellipsis() {
    assert!(is_shown("a … c", "a b c") && is_shown("a …", "a b c") && is_shown("a", "a"));
    assert!(is_shown("prices-blue   2/2 …", "prices-blue   2/2     2            2           5s"));
    for wrong in ["a", "b … c", "a … d", "a … b"] {
        assert!(!is_shown(wrong, "a b c"), "{wrong}");
    }
}

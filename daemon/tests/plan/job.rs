//! The job of README.md that posts a plan on a pull request: its very commands, in a clone as a CI makes it. In place of
//! `gh` stands a program that knows the three calls of the job and keeps the comment in a file.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::git_repo::{GitRepo, run};
use crate::repository::{config_map, environment};

/// Keeps `comment` and `calls` in its own folder; whatever else it is asked ends the job.
const GH: &str = r#"#!/bin/sh
here=$(dirname "$0")
comments=repos/acme/environments/issues
case "$*" in
"api $comments/12/comments --paginate --jq .[] | select(.body | startswith(\"<!-- tidegate:plan -->\")) | .id")
  echo list >> "$here/calls"
  # An older comment of somebody else is there too, and is not ours.
  if [ -f "$here/comment" ] && head -n 1 "$here/comment" | grep -q '^<!-- tidegate:plan -->'; then echo 7; fi ;;
"api --silent -X PATCH $comments/comments/7 -F body=@plan.md")
  echo edit >> "$here/calls"
  cp plan.md "$here/comment" ;;
"api --silent $comments/12/comments -F body=@plan.md")
  echo post >> "$here/calls"
  cp plan.md "$here/comment" ;;
*)
  echo "not a call of the job: $*" >&2
  exit 9 ;;
esac
"#;

/// The commands, as they stand in README.md.
fn commands() -> String {
    let readme = include_str!("../../../README.md");
    let mut blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let job = blocks.find(|block| block.contains("tidegate plan --base")).expect("README has the job");
    format!("{job}\n")
}

/// A clone of `feature` and the programs that the job calls.
struct Job {
    repo: GitRepo,
    programs: tempfile::TempDir,
}

impl Job {
    fn of(repo: GitRepo) -> Self {
        let programs = tempfile::tempdir().expect("a folder");
        let gh = programs.path().join("gh");
        std::fs::write(&gh, GH).expect("written");
        std::fs::set_permissions(&gh, std::fs::Permissions::from_mode(0o755)).expect("made executable");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tidegate"), programs.path().join("tidegate"))
            .expect("linked");
        Self { repo, programs }
    }

    /// The pull request's clone, as `fetch-depth: 0` makes it: all branches, its own checked out.
    fn clone(&self) -> PathBuf {
        let clone = self.repo.parent().join("ci");
        if clone.exists() {
            std::fs::remove_dir_all(&clone).expect("removed");
        }
        let origin = format!("file://{}", self.repo.origin().display());
        run(self.repo.parent(), &["clone", "-q", "--branch", "feature", &origin, "ci"]);
        clone
    }

    /// Runs the job once; its exit code, and the calls that it made of `gh`.
    fn run(&self, shell: &[&str], base: &str) -> (i32, Vec<String>) {
        let _ = std::fs::remove_file(self.programs.path().join("calls"));
        let script = self.programs.path().join("job");
        std::fs::write(&script, commands()).expect("written");
        let path = std::env::var("PATH").unwrap_or_default();
        let (program, arguments) = shell.split_first().expect("a shell");
        let output = Command::new(program)
            .args(arguments)
            .arg(&script)
            .current_dir(self.clone())
            .env_clear()
            .env("PATH", format!("{}:{path}", self.programs.path().display()))
            .env("HOME", self.programs.path())
            .env("LC_ALL", "C.UTF-8")
            .envs([("BASE_BRANCH", base), ("REPOSITORY", "acme/environments"), ("PULL_REQUEST", "12")])
            .output()
            .expect("the shell runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("not a call of the job"), "{said}");
        let calls = std::fs::read_to_string(self.programs.path().join("calls")).unwrap_or_default();
        (output.status.code().unwrap_or(-1), calls.lines().map(str::to_owned).collect())
    }

    fn comment(&self) -> String {
        std::fs::read_to_string(self.programs.path().join("comment")).unwrap_or_default()
    }
}

/// As CI systems start the shell of a step.
const SHELLS: [&[&str]; 2] = [&["bash", "--noprofile", "--norc", "-eo", "pipefail"], &["sh", "-e"]];

fn calls(all: &[&str]) -> Vec<String> {
    all.iter().map(|&call| call.to_owned()).collect()
}

/// `main` with one environment, and `feature` with a change to it.
fn example() -> GitRepo {
    let repo = GitRepo::empty();
    repo.write("environments/staging/environment.yaml", environment("staging", ""));
    repo.write("environments/staging/map.yaml", config_map("map", "one"));
    repo.commit_all("as it is");
    repo.git(&["checkout", "-q", "-b", "feature"]);
    commit(&repo, "environments/staging/map.yaml", &config_map("map", "two"));
    repo
}

fn commit(repo: &GitRepo, path: &str, text: &str) {
    repo.write(path, text);
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "-q", "-m", "one more"]);
    repo.git(&["push", "-q", "-f", "origin", "feature"]);
}

#[test]
fn the_job_of_the_readme_posts_a_plan_once_and_edits_it_afterwards() {
    for shell in SHELLS {
        let job = Job::of(example());
        assert_eq!(job.run(shell, "main"), (0, calls(&["list", "post"])), "{shell:?}");
        let first = job.comment();
        assert!(first.contains("ConfigMap staging/map: updated") && first.contains("two"), "{first}");
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: second-thoughts}\n";
        commit(&job.repo, "environments/staging/more.yaml", map);
        assert_eq!(job.run(shell, "main"), (0, calls(&["list", "edit"])), "{shell:?}");
        assert!(job.comment().contains("second-thoughts"), "{}", job.comment());
    }
}

#[test]
fn the_job_of_the_readme_fails_when_head_has_errors_and_posts_them() {
    for shell in SHELLS {
        let job = Job::of(example());
        commit(&job.repo, "environments/staging/map.yaml", "kind: [\n");
        assert_eq!(job.run(shell, "main"), (2, calls(&["list", "post"])), "{shell:?}");
        assert!(job.comment().contains("environments/staging/map.yaml:"), "{}", job.comment());
    }
}

#[test]
fn the_job_of_the_readme_leaves_the_comment_alone_when_there_is_no_plan() {
    for shell in SHELLS {
        let job = Job::of(example());
        assert_eq!(job.run(shell, "main").0, 0);
        let before = job.comment();
        let (code, made) = job.run(shell, "absent");
        assert!(code != 0 && made == calls(&["list"]), "{shell:?}: {code} {made:?}");
        assert_eq!(job.comment(), before);
    }
}

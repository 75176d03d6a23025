//! `log`, `at`, `show` and `verify` by the real program, in clones that `git clone` made.
//!
//! Goldens are written anew by `UPDATE_GOLDENS=1 cargo test -p tidegate --test ledger`.

use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use tidegate_core::ledger::Outcome;

use crate::scene::{Scene, git, make_key, succeed};
use crate::story::{second, story};

/// What a command printed.
pub struct Printed {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Printed {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

/// Runs the real command in a folder, with nothing of this machine's settings.
pub fn tidegate(folder: &Path, arguments: &[&str]) -> Printed {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output()
        .expect("the program was built for this test");
    Printed {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// A log of a made-up year in a bare repository, and a clone of it.
pub struct Cloned {
    pub scene: Scene,
    pub clone: PathBuf,
    pub commits: Vec<String>,
}

impl Cloned {
    pub fn of(outcomes: &[Outcome]) -> Self {
        // The keys, and with them all ids of commits, are the same each time.
        let scene = Scene::with_known_key();
        let written = scene.write(outcomes);
        let commits = written.iter().map(|inscribed| inscribed.commit.to_string()).collect();
        let mut cloned = Self { clone: PathBuf::new(), scene, commits };
        cloned.clone = cloned.make("clone", &[]);
        cloned
    }

    pub fn make(&self, name: &str, flags: &[&str]) -> PathBuf {
        let url = format!("file://{}", self.scene.bare().display());
        let arguments = [&["clone", "--quiet", "--no-checkout"], flags, &[&url, name]].concat();
        succeed(git(self.scene.folder.path(), &arguments));
        self.scene.folder.path().join(name)
    }

    pub fn signers(&self) -> String {
        let file = self.scene.folder.path().join("allowed_signers");
        std::fs::write(&file, format!("deploylog@tidegate.invalid {}\n", self.scene.key.public))
            .expect("a file");
        file.to_str().expect("a path").to_owned()
    }
}

/// Compares with a file beside this one, or writes it.
pub fn is_golden(name: &str, text: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ledger/goldens").join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, text).expect("written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = golden.lines().zip(text.lines()).find(|(golden, text)| golden != text);
    assert!(golden == text, "{name} differs; UPDATE_GOLDENS=1 writes it anew: {differs:#?}");
}

#[test]
fn what_people_read_of_a_log() {
    let cloned = Cloned::of(&story());
    let said = |arguments: &[&str]| {
        let printed = tidegate(&cloned.clone, arguments);
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{arguments:?}");
        printed.stdout
    };
    is_golden("log.txt", &said(&["log"]));
    is_golden("log.csv", &said(&["log", "-o", "csv"]));
    is_golden("at.txt", &said(&["at", "2026-09-03T02:00Z", "--env", "prod"]));
    is_golden("at-under-way.txt", &said(&["at", "2026-09-05", "11:58", "UTC"]));
    for number in ["3", "4", "5", "6"] {
        is_golden(&format!("show-{number}.txt"), &said(&["show", number]));
    }
    is_golden("verify.txt", &said(&["verify"]));
    let signers = cloned.signers();
    let tip = cloned.commits.last().expect("a commit").as_str();
    is_golden("verify-known.txt", &said(&["verify", "--allowed-signers", &signers, "--tip", tip]));
    assert_eq!(said(&["log", "-o", "table"]), said(&["log"]));
}

#[test]
fn the_log_is_filtered_by_everything_that_is_asked_for() {
    let cloned = Cloned::of(&story());
    let numbers = |arguments: &[&str]| {
        let printed = tidegate(&cloned.clone, &[&["log", "-o", "json"], arguments].concat());
        assert_eq!(printed.code, 0, "{arguments:?}: {}", printed.stderr);
        let log = printed.json();
        assert_eq!(log["schema"], "tidegate.log/v1");
        let records = log["records"].as_array().expect("a list").clone();
        records.iter().map(|row| row["record"]["seq"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    let all: Vec<u64> = (0..story().len() as u64).rev().collect();
    assert_eq!(numbers(&[]), all);
    assert_eq!(numbers(&["--env", "prod"]), all);
    assert_eq!(numbers(&["--env", "prod-eks/prod", "-n", "2"]), all[..2]);
    assert_eq!(numbers(&["--app", "web"]), [2]);
    assert_eq!(numbers(&["--result", "failed"]), [6, 3]);
    assert_eq!(numbers(&["--result", "rolled-back", "--kind", "deploy"]), [5]);
    assert_eq!(numbers(&["--kind", "drift"]), [4]);
    assert_eq!(numbers(&["--commit", "CCCC"]), [3]);
    assert_eq!(numbers(&["--since", "2026-09-04", "--until", "2026-09-04"]), [4]);
    assert_eq!(numbers(&["--until", "3 Sep 2026 UTC"]), [3, 2, 1, 0]);
    assert_eq!(numbers(&["--since", "2026-09-05 14:00 Europe/Berlin"]), [6, 5]);
    assert_eq!(numbers(&["--since", "2026-09-05 14:01 Europe/Berlin"]), [6]);
    assert_eq!(numbers(&["--app", "shop/none"]), Vec::<u64>::new());
    let none = tidegate(&cloned.clone, &["log", "--app", "none"]);
    assert_eq!(
        (none.stdout.as_str(), none.stderr.as_str()),
        ("", "no record of prod in prod-eks answers that\n")
    );
    for format in ["jsonl", "yaml", "csv"] {
        assert_eq!(tidegate(&cloned.clone, &["log", "--app", "none", "-o", format]).code, 0);
    }
    let lines = tidegate(&cloned.clone, &["log", "-o", "jsonl"]).stdout;
    assert_eq!(lines.lines().count(), all.len());
}

#[test]
fn wrong_questions_are_answered_with_what_to_do() {
    let cloned = Cloned::of(&story()[..2]);
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty");
    succeed(git(folder.path(), &["init", "--quiet", "empty"]));
    let url = "https://git.example/log.git";
    for (place, arguments, code, words) in [
        (folder.path(), &["log"][..], 5, "git repository"),
        (folder.path(), &["verify", "--repo", url], 5, "git clone --no-checkout URL"),
        (&empty, &["verify"], 5, "refs/heads/deploylog/*:refs/remotes/origin/deploylog/*"),
        (&empty, &["at", "now"], 5, "there is no deploy log in ."),
        (&cloned.clone, &["log", "--env", "dev"], 2, "there are logs of: prod in prod-eks"),
        (&cloned.clone, &["at", "now", "--env", "other/prod"], 2, "no log of the environment `other/prod`"),
        (&cloned.clone, &["verify", "--env", "dev"], 2, "there are logs of: prod in prod-eks"),
        (&cloned.clone, &["at", "the day of days"], 64, "`the day of days` is not a time: try"),
        (&cloned.clone, &["log", "--since", "9/3/2026"], 64, "--since: `9/3/2026` may be two dates"),
        (&cloned.clone, &["log", "--since", "1h", "--until", "2h"], 64, "--since is later than --until"),
        (&cloned.clone, &["log", "--commit", "nowhere"], 64, "is no commit that this clone knows"),
        (&cloned.clone, &["log", "--result", "good"], 64, "succeeded, failed, rolled_back"),
        (&cloned.clone, &["show", "zzz"], 2, "no record of prod in prod-eks is called `zzz`"),
        (&cloned.clone, &["show", "01"], 64, "2 records are called `01`"),
        (&cloned.clone, &["verify", "--tip", "xyz"], 64, "at least 7"),
        (&cloned.clone, &["verify", "--allowed-signers", "none"], 2, "--allowed-signers none: No such file"),
        (&cloned.clone, &["at", "now", "-o", "csv"], 64, "`-o csv` is for `tidegate log`"),
    ] {
        let printed = tidegate(place, arguments);
        assert_eq!((printed.code, printed.stdout.as_str()), (code, ""), "{arguments:?}: {}", printed.stderr);
        assert!(printed.stderr.contains(words), "{arguments:?}: {}", printed.stderr);
    }
}

#[test]
fn a_clone_without_a_log_is_told_how_to_get_one() {
    let folder = tempfile::tempdir().expect("a folder");
    succeed(git(folder.path(), &["init", "--quiet", "."]));
    for arguments in [&["verify"][..], &["log"], &["at", "now"], &["show", "1"]] {
        let printed = tidegate(folder.path(), arguments);
        assert_eq!((printed.code, printed.stdout.as_str()), (5, ""), "{arguments:?}");
        is_golden("no-log.txt", &printed.stderr);
    }
}

#[test]
fn a_log_is_found_from_below_bare_by_a_flag_and_in_another_folder() {
    let cloned = Cloned::of(&story()[..2]);
    let below = cloned.clone.join("a/b");
    std::fs::create_dir_all(&below).expect("a folder");
    let bare = cloned.scene.bare();
    let bare = bare.to_str().expect("a path");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let expected = tidegate(&cloned.clone, &["log"]).stdout;
    assert!(expected.lines().count() == 3, "{expected}");
    assert_eq!(tidegate(&below, &["log"]).stdout, expected);
    assert_eq!(tidegate(Path::new(bare), &["log"]).stdout, expected);
    assert_eq!(tidegate(elsewhere.path(), &["log", "--repo", bare]).stdout, expected);
}

#[test]
fn a_record_is_printed_as_it_stands_in_its_commit() {
    let cloned = Cloned::of(&story());
    let line = tidegate(&cloned.clone, &["show", "3", "-o", "json"]).stdout;
    let body = succeed(git(&cloned.clone, &["log", "-1", "--format=%b", &cloned.commits[3]]));
    assert_eq!(Some(line.trim_end()), body.lines().next());
    // The next record names it.
    let digest = tidegate_core::ledger::digest(line.trim_end());
    let next = tidegate(&cloned.clone, &["show", "#4", "-o", "json"]).json();
    assert_eq!(next["prev"], digest.as_str());
    let commit = cloned.commits[3].get(..10).expect("its beginning");
    let by_commit = tidegate(&cloned.clone, &["show", commit, "-o", "json"]);
    assert_eq!(by_commit.stdout, line);
}

#[test]
fn verify_names_the_first_bad_record_and_never_calls_less_a_whole_log() {
    let cloned = Cloned::of(&story());
    let signers = cloned.signers();
    let stranger = make_key(cloned.scene.folder.path(), "stranger");
    let other = cloned.scene.folder.path().join("stranger.pub");
    let other = other.to_str().expect("a path");
    let clone = cloned.clone.clone();
    let printed = tidegate(&clone, &["verify", "--allowed-signers", other]);
    assert_eq!(printed.code, 7, "{}", printed.stdout);
    assert!(
        printed.stdout.contains("record 0 (commit ")
            && printed.stdout.contains("is signed by the key SHA256:")
    );
    let _ = stranger;
    // The end is cut off in the repository; whoever clones it anew remembers a commit.
    cloned.scene.point(gix::ObjectId::from_hex(cloned.commits[4].as_bytes()).expect("an id"));
    let cut = cloned.make("cut", &[]);
    let last = cloned.commits.last().expect("a commit").as_str();
    let unaware = tidegate(&cut, &["verify", "--allowed-signers", &signers]);
    assert_eq!(unaware.code, 0, "{}", unaware.stdout);
    assert!(unaware.stdout.contains("not proven: that nothing was cut off at the end"), "{}", unaware.stdout);
    for tip in [last, last.get(..8).expect("its beginning")] {
        let aware = tidegate(&cut, &["verify", "--tip", tip]);
        assert_eq!(aware.code, 7, "{}", aware.stdout);
        assert!(aware.stdout.contains("an end was cut off or replaced"), "{}", aware.stdout);
    }
    let earlier = tidegate(&cut, &["verify", "--tip", &cloned.commits[2]]);
    assert_eq!(earlier.code, 0, "{}", earlier.stdout);
    // A record is told otherwise, by somebody without the key.
    let told = cloned.scene.commit(gix::ObjectId::from_hex(cloned.commits[3].as_bytes()).expect("an id"));
    let mut commits: Vec<_> =
        cloned.commits[..3].iter().map(|id| gix::ObjectId::from_hex(id.as_bytes())).collect();
    commits.push(gix::ObjectId::from_hex(cloned.commits[3].as_bytes()));
    let mut commits: Vec<_> = commits.into_iter().map(|id| cloned.scene.commit(id.expect("an id"))).collect();
    let changed = told.message.to_string().replacen("failed", "passed", 1);
    commits[3].message = changed.into();
    cloned.scene.rewrite(commits, None);
    let altered = cloned.make("altered", &[]);
    let printed = tidegate(&altered, &["verify", "-o", "json"]);
    assert_eq!(printed.code, 7, "{}", printed.stdout);
    let verdict = printed.json();
    assert_eq!((&verdict["ok"], &verdict["logs"][0]["bad"]["seq"]), (&false.into(), &3.into()));
    let shown = tidegate(&altered, &["verify"]).stdout;
    is_golden("verify-bad.txt", &shown);
    let shallow = cloned.make("shallow", &["--depth=2", "--no-single-branch"]);
    let printed = tidegate(&shallow, &["verify"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (5, ""), "{}", printed.stderr);
    assert!(printed.stderr.contains("git fetch --unshallow"), "{}", printed.stderr);
}

#[test]
fn logs_of_several_environments_are_one_by_time() {
    let cloned = Cloned::of(&story());
    let mut other = Scene::with_known_key();
    other.branch = "deploylog/dev-eks/dev/0".parse().expect("a branch");
    other.write_in("dev-eks", &story());
    let url = other.bare();
    let refspec = "refs/heads/deploylog/*:refs/remotes/dev/deploylog/*";
    succeed(git(&cloned.clone, &["fetch", "--quiet", url.to_str().expect("a path"), refspec]));
    let log = tidegate(&cloned.clone, &["log", "-o", "json"]).json();
    let rows = log["records"].as_array().expect("a list");
    assert_eq!(rows.len(), 2 * story().len());
    let finished = |row: &serde_json::Value| {
        row["record"]["times"]["finished"].as_str().and_then(|time| time.parse::<Timestamp>().ok())
    };
    assert!(rows.iter().map(finished).is_sorted_by(|one, other| one >= other));
    let at = tidegate(&cloned.clone, &["at", "2026-09-03T02:00Z", "-o", "json"]).json();
    let environments: Vec<_> = at["environments"].as_array().expect("a list").iter().collect();
    assert_eq!(environments.iter().map(|one| &one["environment"]).collect::<Vec<_>>(), ["dev", "prod"]);
    assert_eq!(environments[1]["apps"][0]["app"], "shop/api");
    let several = tidegate(&cloned.clone, &["show", "3"]);
    assert_eq!(several.code, 64, "{}", several.stderr);
    assert_eq!(tidegate(&cloned.clone, &["show", "3", "--env", "dev"]).code, 0);
    let tips = ["verify", "--tip", &cloned.commits[3], "--tip", &cloned.commits[1]];
    assert_eq!(tidegate(&cloned.clone, &tips).code, 0);
    let strange = tidegate(&cloned.clone, &["verify", "--tip", "0123456789abcdef0123456789abcdef01234567"]);
    assert_eq!(strange.code, 7, "{}", strange.stdout);
}

#[test]
fn texts_of_others_reach_neither_the_terminal_nor_a_spreadsheet_as_more_than_text() {
    let mut outcomes = story();
    let hostile = "=cmd|' /C calc'!A0\u{1b}[2J\n\u{202e}x,\"y\"";
    outcomes[1].reason = hostile.to_owned();
    if let Some(source) = &mut outcomes[1].source {
        source.subject = hostile.to_owned();
    }
    if let Some(change) = &mut outcomes[1].change {
        change.author = hostile.to_owned();
    }
    let cloned = Cloned::of(&outcomes);
    for arguments in [
        &["log"][..],
        &["log", "-o", "csv"],
        &["log", "-o", "json"],
        &["log", "-o", "yaml"],
        &["show", "1"],
        &["show", "1", "-o", "json"],
        &["at", "now"],
    ] {
        let printed = tidegate(&cloned.clone, &[arguments, &["--color", "never"]].concat());
        assert_eq!(printed.code, 0, "{arguments:?}: {}", printed.stderr);
        let unseen = |c: char| (c.is_control() && !['\n', '\r'].contains(&c)) || c == '\u{202e}';
        assert!(!printed.stdout.contains(unseen), "{arguments:?}: {:?}", printed.stdout);
    }
    let sheet = tidegate(&cloned.clone, &["log", "-o", "csv"]).stdout;
    assert!(!sheet.contains(",=cmd") && !sheet.contains("\"=cmd") && sheet.contains("'=cmd"), "{sheet}");
    assert_eq!(sheet.lines().count(), story().len() + 1, "no line is forged");
    assert_eq!(second(0), story()[0].times.finished);
}

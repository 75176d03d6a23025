//! What a plan looks like, to the byte.

use std::path::{Path, PathBuf};

use crate::repository::example;
use crate::{tidegate, tidegate_with};

/// Compares with a file beside this one, or writes it.
fn is_golden(name: &str, text: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan/goldens").join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, text).expect("written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = golden.lines().zip(text.lines()).find(|(golden, text)| golden != text);
    assert!(golden == text, "{name} differs; UPDATE_GOLDENS=1 writes it anew: {differs:#?}");
}

#[test]
fn a_plan_as_text() {
    let repo = example();
    let plan = tidegate(&repo.work(), &["plan"]);
    assert_eq!(plan.code, 2, "dev has errors: {}", plan.stderr);
    is_golden("plan.txt", &plan.stdout);
}

#[test]
fn a_plan_as_json() {
    let repo = example();
    let plan = tidegate(&repo.work(), &["plan", "-o", "json"]);
    assert_eq!(plan.json()["schema"], "tidegate.plan/v1");
    is_golden("plan.json", &plan.stdout);
}

#[test]
fn a_plan_as_a_comment_on_a_pull_request() {
    let repo = example();
    let plan = tidegate(&repo.work(), &["plan", "--markdown"]);
    is_golden("plan.md", &plan.stdout);
}

#[test]
fn no_form_of_a_plan_holds_a_value_of_a_secret() {
    let repo = example();
    for form in [&["plan"][..], &["plan", "--markdown"], &["plan", "-o", "json"], &["plan", "-o", "yaml"]] {
        let plan = tidegate(&repo.work(), form);
        // As it is, in base64, and as a digest.
        for word in ["hunter2", "aHVudGVyMi", "sha:"] {
            assert!(
                !plan.stdout.contains(word) && !plan.stderr.contains(word),
                "{word} in {form:?}: {}",
                plan.stdout
            );
        }
        assert!(
            plan.stdout.contains("data.password"),
            "{form:?}: the change itself is shown: {}",
            plan.stdout
        );
    }
}

#[test]
fn the_same_commits_give_the_same_bytes_whatever_the_place_time_zone_and_locale() {
    let (one, other) = (example(), example());
    let here = tidegate(&one.work(), &["plan", "-o", "json"]);
    let settings = [("TZ", "Pacific/Auckland"), ("LC_ALL", "tr_TR.UTF-8"), ("LANG", "tr_TR.UTF-8")];
    let there = tidegate_with(&other.work(), &settings, &["plan", "-o", "json"]);
    assert_eq!(here.stdout, there.stdout);
}

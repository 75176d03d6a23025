//! The comment on a pull request: short, and closed against what stands in it.

use super::{config_map, dev};
use crate::review::markdown::{Comment, MARKER, MAX_BYTES, markdown};
use crate::review::{EnvironmentReview, Review};

fn comment(environments: Vec<EnvironmentReview>) -> String {
    let review = Review { plan_id: crate::ids::Digest::of(b""), environments };
    markdown(&Comment { review: &review, base: "main (1234567)", head: "x|`<b>@team", notes: &[], live: &[] })
}

/// What stands outside of fenced blocks and code spans.
fn outside(text: &str) -> String {
    let mut fence: Option<String> = None;
    let mut out = String::new();
    for line in text.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) if line.trim_end() == *open => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => {
                let plain: String = line.split('`').step_by(2).collect();
                assert_eq!(line.matches('`').count() % 2, 0, "{line}");
                out.push_str(&plain);
                out.push('\n');
            }
        }
    }
    assert_eq!(fence, None, "every block is closed");
    out
}

#[test]
fn nothing_leaves_its_block() {
    let hostile = "\"@team ``` ````` </details> <script>alert(1)</script> | [x](http://evil.example) \\n```\\n# big\\n~~~\\n\"";
    let text = config_map("a", hostile);
    let text = comment(vec![dev(("", ""), ("", &text)), dev(("", &text), ("", &config_map("a", "b")))]);
    let outside = outside(&text);
    for word in ["@", "script", "evil", "# big", "~~~"] {
        assert!(!outside.replace("### Tidegate", "").contains(word), "{word}: {outside}");
    }
    assert!(text.starts_with(MARKER));
    assert_eq!(outside.matches("<details").count(), outside.matches("</details>").count());
}

#[test]
fn a_name_in_html_is_escaped() {
    let review =
        EnvironmentReview { name: "<img src=x>&".to_owned(), ..dev(("", ""), ("", &config_map("a", "v"))) };
    let text = comment(vec![review]);
    assert!(text.contains("<code>&lt;img src=x&gt;&amp;</code>"), "{text}");
}

#[test]
fn a_comment_stays_short_and_counts_what_it_leaves_out() {
    let large: String = (0..3_000)
        .map(|n| format!("    line {n} of a file that is far too long\n"))
        .collect::<Vec<_>>()
        .concat();
    let map = |text: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: big}}\ndata:\n  file: |\n{text}")
    };
    let text = comment(vec![dev(("", ""), ("", &map(&large)))]);
    assert!(text.len() < MAX_BYTES, "{}", text.len());
    assert!(text.contains("lines are left out here"), "{text}");
    assert!(text.contains("line 2999"), "both ends stay");
}

#[test]
fn deletes_are_never_left_out_without_a_count() {
    let maps = |count: usize| -> String {
        (0..count)
            .map(|n| config_map(&format!("a-rather-long-name-of-an-object-{n}"), "v") + "---\n")
            .collect()
    };
    let settings = "  prune: {enabled: true, budget: {max: 5000, percent: 100}}\n";
    let review = dev((settings, &maps(1_001)), (settings, &maps(1)));
    let text = comment(vec![review]);
    assert!(text.len() < MAX_BYTES, "{}", text.len());
    let shown = text.lines().filter(|line| line.contains(": deleted")).count();
    assert!(shown > 100, "{shown}");
    let words = format!("\n**… and {} more deletes**; `tidegate plan` lists them all\n", 1_000 - shown);
    assert!(text.contains(&words), "{shown} {text}");
}

#[test]
fn deletes_and_replaces_are_shown_in_full_before_anything_else_takes_room() {
    let job = |n: usize, tag: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: j{n}}}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      \
             containers: [{{name: c, image: 'x:{tag}'}}]\n---\n"
        )
    };
    let maps = |from: usize, text: &str| -> String {
        let data = (0..30).map(|line| format!("    {text} {line}\n")).collect::<Vec<_>>().concat();
        let map = |n: usize| {
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}}}\ndata:\n  big: |\n{data}---\n")
        };
        (from..500).map(map).collect()
    };
    let jobs = |tag: &str| -> String { (0..60).map(|n| job(n, tag)).collect() };
    let settings = "  prune: {enabled: true, budget: {max: 5000, percent: 100}}\n";
    let review =
        dev((settings, &(maps(0, "old") + &jobs("1"))), (settings, &(maps(300, "new") + &jobs("2"))));
    let text = comment(vec![review]);
    assert!(text.len() < MAX_BYTES, "{}", text.len());
    assert_eq!(text.matches(": deleted  #").count(), 300);
    assert_eq!(text.matches(": replaced: deleted and created anew").count(), 60);
    assert_eq!(text.matches(".image: x:1 -> x:2 (cannot change)").count(), 60, "with their fields");
    assert!(text.contains("lines are left out here"), "what is cut is the rest");
}

#[test]
fn nothing_to_say_is_said_in_a_few_lines() {
    let text = comment(vec![dev(("", ""), ("", ""))]);
    assert!(text.contains("### Tidegate plan: no changes in 1 environment"), "{text}");
    assert!(text.lines().count() < 8, "{text}");
}

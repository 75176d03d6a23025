//! A plan as text for a terminal.

use tidegate_core::review::lines::{self, Line, Sign};
use tidegate_core::review::live::Live;
use tidegate_core::review::visible::visible;
use tidegate_core::review::{Action, EnvironmentReview, Note, ObjectChange, Review, Standing};

use super::sides::Comparison;
use crate::cli::options::Global;
use crate::cli::problems;
use crate::cli::style::{Style, Tone};

/// Lines of one change; longer ones are cut in the middle. Deletes and replaces never are.
const CHANGE_LINES: usize = 120;
/// Lines of what is created.
const CREATE_LINES: usize = 40;

/// The whole plan.
pub fn text(global: &Global, comparison: &Comparison, review: &Review, live: &[Live]) -> String {
    let style = global.style();
    let arrow = style.pick("→", "->");
    let mut text =
        format!("{} {arrow} {}\n", visible(&comparison.base_label()), visible(&comparison.head_label()));
    for note in &comparison.notes {
        text.push_str(&format!("{} {}\n", style.paint(Tone::Notice, "note:"), visible(note)));
    }
    for environment in &review.environments {
        text.push('\n');
        text.push_str(&of_environment(environment, comparison, style));
    }
    for live in live {
        text.push('\n');
        text.push_str(&of_live(live, style));
    }
    text.push_str(&format!("\n{}\n", style.paint(Tone::Strong, &review.line())));
    text.push_str(&format!("plan {}\n", style.paint(Tone::Dim, review.plan_id.as_str())));
    text
}

fn of_environment(review: &EnvironmentReview, comparison: &Comparison, style: Style) -> String {
    let (tone, mark) = match review.standing {
        _ if review.counts.errors > 0 => (Tone::Bad, style.pick("✖", "x")),
        Standing::Unchanged => (Tone::Good, style.pick("✔", "=")),
        Standing::Changed | Standing::Added | Standing::Removed | Standing::Broken | Standing::Unknown => {
            (Tone::Notice, "~")
        }
    };
    let name = style.paint(Tone::Strong, &visible(&review.name));
    let mut text = format!("{} {name}: {}\n", style.paint(tone, mark), review.line());
    for problem in &review.problems {
        text.push_str(&indented(&problems::render(problem, Some(&comparison.files), style)));
    }
    if !review.base_problems.is_empty() {
        text.push_str(&format!("  base has {}:\n", problems::count(&review.base_problems)));
        for problem in &review.base_problems {
            // The files at hand are those of head.
            text.push_str(&indented(&problems::render(problem, None, style)));
        }
    }
    for Note { text: note, location } in &review.notes {
        let place =
            location.as_ref().map(|place| format!("  {}", style.paint(Tone::Place, &place.to_string())));
        text.push_str(&format!("  note: {}{}\n", visible(note), place.unwrap_or_default()));
    }
    if !review.settings.is_empty() {
        text.push_str("  ~ environment.yaml\n");
        let all: Vec<Line> = review.settings.iter().flat_map(lines::of_edit).collect();
        text.extend(lines::cut(all, CHANGE_LINES).iter().map(|line| written(line, style)));
    }
    text.extend(review.rollouts.iter().flat_map(lines::of_rollout).map(|line| written(&line, style)));
    text.extend(review.changes.iter().flat_map(of_change).map(|line| written(&line, style)));
    text
}

fn of_change(change: &ObjectChange) -> Vec<Line> {
    let all = lines::of_change(change);
    match change.action {
        Action::Delete | Action::Replace { .. } | Action::Keep { .. } => all,
        Action::Create => lines::cut(all, CREATE_LINES),
        Action::Update => lines::cut(all, CHANGE_LINES),
    }
}

fn written(line: &Line, style: Style) -> String {
    let Line { sign, level, text, place } = line;
    let (tone, sign) = match sign {
        Sign::New => (Tone::Good, "+"),
        Sign::Old => (Tone::Bad, "-"),
        Sign::Changed => (Tone::Notice, "~"),
        Sign::Plain => (Tone::Dim, " "),
    };
    let indent = "  ".repeat(*level);
    let place =
        if place.is_empty() { String::new() } else { format!("  {}", style.paint(Tone::Place, place)) };
    format!("  {indent}{} {text}{place}\n", style.paint(tone, sign))
}

fn of_live(live: &Live, style: Style) -> String {
    let Live { environment, cluster, at, unreachable, asked, objects, problems: found } = live;
    let mut text = format!(
        "{} {environment} in {}, at {}, {} asked about\n",
        style.paint(Tone::Strong, "live"),
        visible(cluster),
        lines::second(*at),
        lines::count(*asked, "object")
    );
    if let Some(why) = unreachable {
        text.push_str(&format!("  {} {}\n", style.paint(Tone::Bad, "not asked:"), visible(why)));
    }
    for problem in found {
        text.push_str(&indented(&problems::render(problem, None, style)));
    }
    for object in objects {
        text.push_str(&written(&lines::live_heading(object), style));
        text.extend(object.drift.iter().map(|drift| written(&lines::of_drift(drift), style)));
        for problem in &object.problems {
            text.push_str(&indented(&indented(&problems::render(problem, None, style))));
        }
    }
    if unreachable.is_none() && found.is_empty() && objects.is_empty() {
        text.push_str("  no drift, and nothing is refused\n");
    }
    text
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["  ", line, "\n"]).collect()
}

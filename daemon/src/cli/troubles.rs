//! What keeps an environment from being live, as its record says it: problems with their places, objects with their
//! reasons. For `status` and for the end of a `wait`.

use tidegate_core::status::{EnvironmentStatus, ObjectStatus};
use tidegate_core::tree::FileTree;

use super::problems;
use super::style::{Style, Tone};

/// Everything that is wrong, indented by two; `files` gives the lines of the places when it has the files.
pub fn troubles(status: &EnvironmentStatus, files: Option<&FileTree>, style: Style) -> String {
    let mut text = String::new();
    for problem in &status.problems.items {
        for line in problems::render(problem, files, style).lines() {
            text.push_str(&format!("  {line}\n"));
        }
    }
    more(&mut text, status.problems.total, status.problems.items.len(), "problems");
    for ObjectStatus { object, state, reason, location } in &status.objects.items {
        let place = location
            .as_ref()
            .map(|location| format!("  {}", style.paint(Tone::Place, &location.to_string())))
            .unwrap_or_default();
        text.push_str(&format!("  {state} {object}: {reason}{place}\n"));
    }
    more(&mut text, status.objects.total, status.objects.items.len(), "objects");
    text
}

fn more(text: &mut String, total: usize, shown: usize, what: &str) {
    if total > shown {
        text.push_str(&format!("  … and {} more {what}\n", total - shown));
    }
}

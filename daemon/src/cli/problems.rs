//! How problems are printed: the message, the place with the line of the file, related places, what to do.

use tidegate_core::problem::{Problem, Severity};
use tidegate_core::review::visible::visible;
use tidegate_core::tree::FileTree;

use super::style::{Style, Tone};

/// Longest excerpt of a line that is shown.
const EXCERPT_CAP: usize = 120;

/// One problem as people read it; `files` gives the excerpt when it has the file.
pub fn render(problem: &Problem, files: Option<&FileTree>, style: Style) -> String {
    let Problem { severity, code, message, location, related, object, field: _, notes, help } = problem;
    let (tone, word) = match severity {
        Severity::Error => (Tone::Bad, "error"),
        Severity::Warning => (Tone::Notice, "warning"),
    };
    let about = object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
    let mut text = format!(
        "{}: {}\n",
        style.paint(tone, &format!("{word}[{code}]")),
        visible(&format!("{about}{message}"))
    );
    if let Some(location) = location {
        text.push_str(&format!("  --> {}\n", style.paint(Tone::Place, &visible(&location.to_string()))));
        if let Some(line) = files.and_then(|files| excerpt(files, &location.file, location.position.line)) {
            let number = location.position.line;
            text.push_str(&format!("{number:>5} | {}\n", visible(&line)));
        }
    }
    for other in related {
        let place = style.paint(Tone::Place, &visible(&other.location.to_string()));
        text.push_str(&format!("  = {}: {place}\n", visible(&other.note)));
    }
    for note in notes {
        for (index, line) in note.lines().enumerate() {
            let sign = if index == 0 { "  = " } else { "      " };
            text.push_str(&format!("{sign}{}\n", visible(line)));
        }
    }
    if let Some(help) = help {
        text.push_str(&format!("  {}: {}\n", style.paint(Tone::Strong, "help"), visible(help)));
    }
    text
}

/// `2 errors, 1 warning`.
pub fn count(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let warnings = problems.len() - errors;
    let plural = |n: usize, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
    match (errors, warnings) {
        (_, 0) => plural(errors, "error"),
        (0, _) => plural(warnings, "warning"),
        (_, _) => format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")),
    }
}

/// The line of a file, unless it may hold a Secret's value.
fn excerpt(files: &FileTree, path: &str, line: u32) -> Option<String> {
    // With --subpath, places begin at the root of the repository and files do not.
    let bytes = files.get(path).or_else(|| {
        files.iter().find(|(file, _)| path.ends_with(&format!("/{file}"))).map(|(_, bytes)| bytes)
    })?;
    let text = std::str::from_utf8(bytes).ok()?;
    // Whatever the spacing and the quotes: a file that speaks of Secrets shows none of its lines.
    if text.contains("Secret") || text.contains("stringData") {
        return None;
    }
    // What stands under `substitute` may stand in a Secret of another file.
    let speaks = |file: &[u8]| std::str::from_utf8(file).is_ok_and(|text| text.contains("Secret"));
    if text.contains("substitute") && files.iter().any(|(_, bytes)| speaks(bytes)) {
        return None;
    }
    let line = text.lines().nth(usize::try_from(line.checked_sub(1)?).ok()?)?;
    let shown: String = line.chars().take(EXCERPT_CAP).collect();
    Some(if shown.len() < line.len() { format!("{shown}…") } else { shown })
}

#[cfg(test)]
mod tests {
    use tidegate_core::location::{Location, Position};
    use tidegate_core::problem::Code;

    use super::super::style::Style;
    use super::*;

    fn place(file: &str, line: u32, column: u32) -> Location {
        Location { file: file.into(), position: Position { line, column } }
    }

    #[test]
    fn a_problem_with_all_its_parts_is_a_block_that_nothing_in_it_can_break() {
        let problem = Problem::error(Code::RolloutRejected, "gate `smoke` failed; traffic never left blue")
            .at(place("policies/blue-green.yaml", 21, 7))
            .related("changed by 9b03d7e, ConfigMap shop/api data.A: \"0\" -> \"5\"", place("api.yaml", 4, 7))
            .note("4 of 4 requests failed\u{1b}[31m")
            .note("pod api-green-x7, the end of the log of main:\nloads\nKeyError: 'model_v' (x 211)")
            .help("git revert 9b03d7e");
        let golden = "\
error[E0407]: gate `smoke` failed; traffic never left blue
  --> policies/blue-green.yaml:21:7
  = changed by 9b03d7e, ConfigMap shop/api data.A: \"0\" -> \"5\": api.yaml:4:7
  = 4 of 4 requests failed\\u{1b}[31m
  = pod api-green-x7, the end of the log of main:
      loads
      KeyError: 'model_v' (x 211)
  help: git revert 9b03d7e
";
        assert_eq!(render(&problem, None, Style::plain()), golden);
    }
}

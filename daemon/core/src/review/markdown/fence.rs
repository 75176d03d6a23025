//! Code spans and fenced blocks that their content cannot leave.

use crate::review::lines::{Line, Sign};
use crate::review::visible::{cut_middle, visible};

/// Characters of one code span, and of one whose characters have many bytes.
const SPAN_CHARS: usize = 120;
const WIDE_SPAN_CHARS: usize = 30;
/// Longer runs of backticks are written as a count.
const MAX_RUN: usize = 8;
/// Backticks of the shortest fence.
const SHORTEST: usize = 3;

/// The longest run of backticks.
fn backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

/// A text as a code span, for a line or a cell of a table.
pub(super) fn span(text: &str) -> String {
    // Backticks are no use to a reader here, and a span of many is hard to read.
    let shown = visible(text);
    let text = cut_middle(&shown, SPAN_CHARS);
    let text = if text.len() > 2 * SPAN_CHARS { cut_middle(&shown, WIDE_SPAN_CHARS) } else { text };
    let text = text.replace('`', "'");
    // A pipe ends a cell even within code, unless it is escaped.
    format!("`{}`", text.replace('|', "\\|"))
}

/// The text without absurd runs of backticks, which would make the fence as long.
fn tame(line: &str) -> String {
    if backticks(line) <= MAX_RUN {
        return line.to_owned();
    }
    let mut out = String::new();
    let mut run = 0;
    let write = |out: &mut String, run: usize| match run {
        0..=MAX_RUN => out.push_str(&"`".repeat(run)),
        run => out.push_str(&format!("({run} backticks)")),
    };
    for c in line.chars() {
        if c == '`' {
            run += 1;
            continue;
        }
        write(&mut out, std::mem::take(&mut run));
        out.push(c);
    }
    write(&mut out, run);
    out
}

/// Lines as a fenced block of this language.
pub(super) fn block(language: &str, lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| tame(line)).collect();
    let longest = lines.iter().map(|line| backticks(line)).max().unwrap_or_default();
    let fence = "`".repeat(SHORTEST.max(longest + 1));
    let mut out = format!("{fence}{language}\n");
    for line in &lines {
        out.push_str(line);
        out.push('\n');
    }
    out.push_str(&fence);
    out.push('\n');
    out
}

/// A line as it stands in a block of the language `diff`, whose colours go by the first character. What is counted to fit is what is
/// written: a count of backticks may be longer than they are.
pub(super) fn written(line: &Line) -> String {
    let Line { sign, level, text, place } = line;
    let sign = match sign {
        Sign::New => '+',
        Sign::Old => '-',
        Sign::Changed => '!',
        Sign::Plain => ' ',
    };
    let indent = "  ".repeat(*level);
    let place = if place.is_empty() { String::new() } else { format!("  # {place}") };
    tame(&format!("{sign} {indent}{text}{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_one_line_of_one_cell() {
        assert_eq!(span("a|b`c\n@team <b>"), "`a\\|b'c\\n@team <b>`");
    }

    #[test]
    fn a_fence_is_longer_than_any_run_of_backticks_in_it() {
        let text = block("diff", &["+ ````".to_owned(), "```".to_owned()]);
        assert_eq!(text, "`````diff\n+ ````\n```\n`````\n");
        let absurd = block("", &[format!("a {} b", "`".repeat(400))]);
        assert_eq!(absurd, "```\na (400 backticks) b\n```\n");
    }

    #[test]
    fn a_line_is_counted_as_long_as_it_is_written() {
        let line = written(&Line::new(Sign::New, 0, &"````````` ".repeat(100)));
        assert_eq!(block("", std::slice::from_ref(&line)).len(), "```\n".len() * 2 + line.len() + 1);
        assert!(line.contains("(9 backticks)"), "{line}");
    }
}

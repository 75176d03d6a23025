//! Texts of others, made safe and short: findings stand in annotations, logs and terminals.

use std::time::Duration;

use crate::review::visible::{cut_middle, visible};
use crate::rollout::SUMMARY_CAP;

/// A value or a threshold is cut here, in characters.
const VALUE_CAP: usize = 100;
/// What is quoted of a body or a message is cut here, in characters.
const QUOTE_CAP: usize = 160;

/// A value as people see it.
pub fn value(text: &str) -> String {
    cut_middle(&visible(text), VALUE_CAP)
}

/// An excerpt of what somebody else said.
pub fn quote(text: &str) -> String {
    cut_middle(&visible(text.trim()), QUOTE_CAP)
}

/// One sentence with nothing unseen in it, at most [`SUMMARY_CAP`] bytes; its end is cut.
pub fn summary(text: &str) -> String {
    start(&visible(text), SUMMARY_CAP)
}

/// A sentence and the end of a longer text, at most [`SUMMARY_CAP`] bytes together: the longer text loses its beginning.
pub fn with_end(sentence: &str, longer: &str) -> String {
    let longer: Vec<String> =
        longer.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(visible).collect();
    if longer.is_empty() {
        return summary(sentence);
    }
    let sentence = start(&visible(sentence), SUMMARY_CAP / 2);
    let room = SUMMARY_CAP.saturating_sub(sentence.len() + 2);
    format!("{sentence}: {}", end(&longer.join(" / "), room))
}

/// Milliseconds, or seconds with one digit from ten of them on.
pub fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        millis if millis < 10_000 && !millis.is_multiple_of(1_000) => format!("{millis} ms"),
        _ if duration.subsec_millis() < 50 => format!("{} s", duration.as_secs()),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

/// The beginning, at most so many bytes, an ellipsis included.
fn start(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub('…'.len_utf8());
    let cut = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", text.get(..cut).unwrap_or_default())
}

/// The end, at most so many bytes, an ellipsis included.
fn end(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let from = text.len() - most.saturating_sub('…'.len_utf8()).min(text.len());
    let cut = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    format!("…{}", text.get(cut..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_one_line_of_at_most_600_bytes() {
        let long = summary(&"ä".repeat(1_000));
        assert!(long.len() <= SUMMARY_CAP && long.ends_with('…'), "{}", long.len());
        assert_eq!(summary("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
    }

    #[test]
    fn a_log_keeps_its_end_and_its_lines_are_told_apart() {
        let log = (1..=500).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        let told = with_end("Job x failed", &log);
        assert!(told.len() <= SUMMARY_CAP && told.starts_with("Job x failed: …"), "{told}");
        assert!(told.ends_with("line 499 / line 500"), "{told}");
        assert_eq!(with_end("Job x failed", " \n\n"), "Job x failed");
        assert_eq!(with_end("s", "a\r\n\u{7}b"), "s: a / \\u{7}b");
        let sentence = with_end(&"s".repeat(900), "the end");
        assert!(sentence.len() <= SUMMARY_CAP && sentence.ends_with("the end"), "{sentence}");
    }

    #[test]
    fn durations_are_read_at_a_glance() {
        let shown = |millis| duration(Duration::from_millis(millis));
        assert_eq!(shown(7), "7 ms");
        assert_eq!(shown(1_318), "1318 ms");
        assert_eq!(shown(2_000), "2 s");
        assert_eq!(shown(12_340), "12.3 s");
        assert_eq!(shown(0), "0 s");
    }
}

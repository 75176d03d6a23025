//! Texts of others made visible: nothing in them can move a cursor, hide, turn the direction of reading, or end a line.

/// The text with everything that is not seen written as an escape.
pub fn visible(text: &str) -> String {
    if !text.contains(is_unseen) {
        return text.to_owned();
    }
    text.chars().flat_map(|c| if is_unseen(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Control characters, line ends of Unicode, and format characters: zero width, direction, tags.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with at most `most` characters: its middle is cut, and it is said how much.
pub fn cut_middle(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let kept = most / 2;
    let start: String = text.chars().take(kept).collect();
    let end: String = text.chars().skip(count - kept).collect();
    format!("{start}…({} characters)…{end}", count - 2 * kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_written_out() {
        assert_eq!(
            visible("a\u{1b}[31m\n\u{202e}b\u{200b}\u{85}"),
            "a\\u{1b}[31m\\n\\u{202e}b\\u{200b}\\u{85}"
        );
        assert_eq!(visible("naïve – ✔ 日本"), "naïve – ✔ 日本");
    }

    #[test]
    fn a_long_text_keeps_both_its_ends() {
        assert_eq!(cut_middle("abcdefghij", 4), "ab…(6 characters)…ij");
        assert_eq!(cut_middle("äöü", 3), "äöü");
    }
}

//! How a scalar is written in a file, and how a text is written in its stead. For edits that leave everything else alone.

use std::ops::Range;

use serde_yaml::granit_parser::{Event, Parser, ScalarStyle};

use super::parse::position;
use super::scalar::{Meaning, is_base_sixty, meaning};
use crate::location::Position;

/// A scalar on one line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its bytes, quotes included, from the beginning of the file.
    pub range: Range<usize>,
    /// How it is quoted.
    pub style: Style,
    /// What it says, escapes resolved.
    pub text: String,
}

/// How a scalar is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Not at all.
    Plain,
    /// `'…'`.
    Single,
    /// `"…"`.
    Double,
}

impl Written {
    /// The scalar that begins at a place; none for blocks, for what goes over several lines, and where no scalar begins.
    pub fn at(file: &[u8], place: Position) -> Option<Self> {
        let whole = std::str::from_utf8(file).ok()?;
        let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
        let skipped = whole.len() - text.len();
        for next in Parser::new_from_str(text) {
            // What comes after a broken line is not read; who edits has parsed the file before.
            let (event, span) = next.ok()?;
            let Event::Scalar(said, style, ..) = event else { continue };
            if position(&span.start) != place {
                continue;
            }
            let range = span.byte_range()?;
            let raw = text.get(range.clone())?;
            let raw = if style == ScalarStyle::Plain { raw.trim_end() } else { raw };
            let (style, whole) = match style {
                ScalarStyle::Plain => (Style::Plain, raw == said),
                ScalarStyle::SingleQuoted => (Style::Single, is_quoted(raw, '\'')),
                ScalarStyle::DoubleQuoted => (Style::Double, is_quoted(raw, '"')),
                ScalarStyle::Literal | ScalarStyle::Folded => return None,
            };
            let start = range.start + skipped;
            let one_line = !raw.is_empty() && !raw.contains(['\n', '\r']);
            return (whole && one_line).then(|| Self {
                range: start..start + raw.len(),
                style,
                text: said.into_owned(),
            });
        }
        None
    }

    /// The text as it is written here: quoted as before, and in double quotes where that would say something else.
    pub fn replacement(&self, text: &str) -> String {
        // A number stays one: who reads it as a text takes it as it is written.
        let was_text = meaning(&self.text) == Meaning::Text;
        match self.style {
            Style::Plain if is_plain(text) && (!was_text || is_text(text)) => text.to_owned(),
            Style::Single if !text.chars().any(needs_escape) => format!("'{}'", text.replace('\'', "''")),
            Style::Plain | Style::Single | Style::Double => double_quoted(text),
        }
    }
}

fn is_quoted(raw: &str, quote: char) -> bool {
    raw.len() >= 2 && raw.starts_with(quote) && raw.ends_with(quote)
}

fn is_text(text: &str) -> bool {
    meaning(text) == Meaning::Text && !is_base_sixty(text)
}

/// Whether a text may stand without quotes anywhere. Narrower than YAML, so that no context makes a difference.
fn is_plain(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | ':' | '@' | '+' | '-');
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_'))
        && text.chars().all(good)
        && !text.ends_with(':')
}

fn needs_escape(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if needs_escape(c) => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, line: u32, column: u32) -> Option<(String, Style, String)> {
        let written = Written::at(text.as_bytes(), Position { line, column })?;
        Some((text.get(written.range)?.to_owned(), written.style, written.text))
    }

    #[test]
    fn the_bytes_of_a_scalar_are_found_whatever_stands_around_it() {
        let found = |raw: &str, style, text: &str| Some((raw.to_owned(), style, text.to_owned()));
        assert_eq!(at("a: b   # c\n", 1, 4), found("b", Style::Plain, "b"));
        assert_eq!(at("é: {ü: \"x\\n\", y: 1}\r\n", 1, 8), found("\"x\\n\"", Style::Double, "x\n"));
        assert_eq!(at("a: &x 'it''s'\n", 1, 7), found("'it''s'", Style::Single, "it's"));
        assert_eq!(at("- !!str 80 \n", 1, 9), found("80", Style::Plain, "80"));
        assert_eq!(at("\u{feff}a: b\n", 1, 4), found("b", Style::Plain, "b"));
    }

    #[test]
    fn blocks_long_texts_and_nothing_are_not_one_scalar_on_a_line() {
        for text in
            ["a: |\n  b\n", "a: >-\n  b\n", "a: b\n  c\n", "a: \"b\n  c\"\n", "a:\n", "a: [b]\n", "a: *b\n"]
        {
            assert_eq!(at(text, 1, 4), None, "{text}");
        }
        assert_eq!(at("a: b\n", 2, 1), None);
    }

    #[test]
    fn texts_are_quoted_as_before_and_more_where_they_must_be() {
        let written = |style, text: &str| Written { range: 0..0, style, text: text.to_owned() };
        let plain = written(Style::Plain, "v1");
        for text in ["v2", "1.2.3", "registry:5000/a/b@sha256:0a"] {
            assert_eq!(plain.replacement(text), text);
        }
        for text in ["1.20", "yes", "12:30", "a b", "#x", "", "-", "a:", "x: y", "&a", "[", "null"] {
            assert_eq!(plain.replacement(text), format!("\"{text}\""));
        }
        assert_eq!(written(Style::Plain, "80").replacement("81"), "81", "a number stays one");
        assert_eq!(written(Style::Single, "a").replacement("it's"), "'it''s'");
        assert_eq!(written(Style::Single, "a").replacement("a\tb"), "\"a\\u0009b\"");
        assert_eq!(written(Style::Double, "a").replacement("a\"\\b"), "\"a\\\"\\\\b\"");
    }
}

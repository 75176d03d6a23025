//! Colours, glyphs and formats of the terminal. Colour never stands alone: there is always a word or a glyph too.

use std::io::IsTerminal;

use tidegate_core::health::HealthState;
use tidegate_core::review::visible::visible;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb; CLICOLOR_FORCE forces it.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[value(alias = "table")]
    Text,
    /// One JSON document with a `schema`.
    Json,
    /// The same as YAML.
    Yaml,
    /// One JSON document per line and event.
    Jsonl,
    /// Comma-separated values, for spreadsheets; of `log` only.
    Csv,
}

/// What a word is about; decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Good, or added.
    Good,
    /// Bad, or removed.
    Bad,
    /// Changed, or waiting.
    Notice,
    /// A place in a file.
    Place,
    /// Unimportant.
    Dim,
    /// A heading.
    Strong,
}

impl Tone {
    const ALL: [Self; 6] = [Self::Good, Self::Bad, Self::Notice, Self::Place, Self::Dim, Self::Strong];

    /// What follows the escape character.
    fn code(self) -> &'static str {
        match self {
            Self::Good => "[32m",
            Self::Bad => "[31m",
            Self::Notice => "[33m",
            Self::Place => "[36m",
            Self::Dim => "[2m",
            Self::Strong => "[1m",
        }
    }
}

/// The columns of the terminal that stdout is; none where it is no terminal.
pub fn terminal_width() -> Option<usize> {
    let stdout = std::io::stdout();
    let size = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok()).flatten();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Begins what moves a terminal.
const ESCAPE: char = '\u{1b}';
/// Ends every tone.
const RESET: &str = "[0m";

/// Whether what follows an escape character is one of the tones.
fn is_ours(rest: &str) -> bool {
    rest.starts_with(RESET) || Tone::ALL.iter().any(|tone| rest.starts_with(tone.code()))
}

/// How this terminal is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colour: bool,
    unicode: bool,
}

impl Style {
    /// For stdout, by the flag and the environment.
    pub fn for_stdout(choice: ColorChoice) -> Self {
        Self::new(choice, std::io::stdout().is_terminal())
    }

    /// For stderr, by the flag and the environment.
    pub fn for_stderr(choice: ColorChoice) -> Self {
        Self::new(choice, std::io::stderr().is_terminal())
    }

    /// Without colour, for goldens.
    pub fn plain() -> Self {
        Self { colour: false, unicode: true }
    }

    fn new(choice: ColorChoice, terminal: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let colour = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if set("NO_COLOR") => false,
            ColorChoice::Auto if set("CLICOLOR_FORCE") => true,
            ColorChoice::Auto => terminal && std::env::var("TERM").is_ok_and(|term| term != "dumb"),
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        let unicode =
            locale.is_none_or(|locale| locale.to_ascii_uppercase().replace('-', "").contains("UTF8"));
        Self { colour, unicode }
    }

    /// The text in its tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = tone.code();
        format!("\u{1b}{code}{text}\u{1b}{RESET}")
    }

    /// The text as it may reach a terminal. Files, clusters and git servers say what they like: only line ends and our
    /// own colours stay what they are, everything else that is not seen is written as an escape.
    pub fn harmless(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for (index, line) in text.split('\n').enumerate() {
            out.push_str(if index == 0 { "" } else { "\n" });
            for (index, part) in line.split(ESCAPE).enumerate() {
                if index > 0 {
                    out.push_str(&if self.colour && is_ours(part) {
                        ESCAPE.to_string()
                    } else {
                        visible("\u{1b}")
                    });
                }
                out.push_str(&visible(part));
            }
        }
        out
    }

    /// The mark of a health state, with its tone.
    pub fn health(self, state: HealthState) -> (Tone, &'static str) {
        match state {
            HealthState::Healthy => (Tone::Good, self.pick("✔", "ok")),
            HealthState::Progressing => (Tone::Notice, self.pick("◌", "..")),
            HealthState::Degraded => (Tone::Bad, self.pick("✖", "x")),
            HealthState::Suspended => (Tone::Notice, self.pick("‖", "||")),
            HealthState::Unknown => (Tone::Dim, "?"),
        }
    }

    /// `unicode` where the locale can show it, else `ascii`.
    pub fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_colours_and_line_ends_reach_a_terminal() {
        let coloured = Style { colour: true, unicode: true };
        let ours: String = Tone::ALL.iter().map(|tone| coloured.paint(*tone, "wörd\n")).collect();
        assert_eq!(coloured.harmless(&ours), ours);
        let hostile = "a\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\r\u{202e}b\u{1b}";
        let written = "a\\u{1b}[2J\\u{1b}]0;t\\u{7}\\u{9b}31m\\r\\u{202e}b\\u{1b}";
        assert_eq!(coloured.harmless(hostile), written);
        assert_eq!(
            Style::plain().harmless("\u{1b}[31mred"),
            "\\u{1b}[31mred",
            "where nothing is coloured, nothing is"
        );
    }
}

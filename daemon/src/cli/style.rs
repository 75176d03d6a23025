//! Colours, glyphs and formats of the terminal. Colour never stands alone: there is always a word or a glyph too.

use std::io::IsTerminal;

use tidegate_core::health::HealthState;

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
    Text,
    /// One JSON document with a `schema`.
    Json,
    /// The same as YAML.
    Yaml,
    /// One JSON document per line and event.
    Jsonl,
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
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Notice => "33",
            Tone::Place => "36",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// The mark of a health state, with its tone.
    pub fn health(self, state: HealthState) -> (Tone, &'static str) {
        match state {
            HealthState::Healthy => (Tone::Good, self.pick("✔", "ok")),
            HealthState::Progressing => (Tone::Notice, self.pick("◌", "..")),
            HealthState::Degraded => (Tone::Bad, self.pick("✖", "x")),
            HealthState::Suspended => (Tone::Notice, self.pick("॥", "||")),
            HealthState::Unknown => (Tone::Dim, "?"),
        }
    }

    /// `unicode` where the locale can show it, else `ascii`.
    pub fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }
}

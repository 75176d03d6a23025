//! Flags that every command takes, and printing by them.

use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use serde_json::Value;
use tidegate_core::review::visible::is_unseen;

use super::style::{ColorChoice, Format, Style};
use crate::cluster::connect::Means;
use crate::cluster::exec::{Programs, program_name};

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The repository: a folder, a bare repository or a URL
    #[arg(long, global = true, env = "TIDEGATE_REPO", value_name = "PATH or URL")]
    pub repo: Option<String>,
    /// Where [`Global::repo`] comes from.
    #[arg(skip)]
    pub repo_given: Given,
    /// The folder in the repository that holds `environments/`
    #[arg(long, global = true, env = "TIDEGATE_SUBPATH", default_value = "", value_name = "FOLDER")]
    pub subpath: String,
    /// The kubeconfig of environments that name none, and of commands that ask a cluster
    #[arg(long, global = true, env = "KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig
    #[arg(long, global = true, env = "TIDEGATE_CONTEXT")]
    pub context: Option<String>,
    /// A program that kubeconfigs may run for credentials (`exec`): the path or name that stands in them; may be repeated
    #[arg(
        long,
        global = true,
        env = "TIDEGATE_ALLOW_EXEC",
        value_name = "PROGRAM",
        value_delimiter = ',',
        value_parser = program_name
    )]
    pub allow_exec: Vec<String>,
    /// How data is printed
    #[arg(short, long = "output", global = true, value_enum, default_value = "text")]
    pub output: Format,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub color: ColorChoice,
    /// Say less on stderr
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Longest time that the command may take, e.g. `90s` or `10m`; for `run` only with --once
    #[arg(long, global = true, default_value = "10m", value_parser = duration)]
    pub timeout: Duration,
}

/// Where a setting comes from: a flag is meant for this very command, a variable for all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Given {
    /// A default, or nothing.
    #[default]
    Nowhere,
    /// The process's environment.
    Variable,
    /// The command line.
    Flag,
}

impl Given {
    /// Where this argument of a command comes from.
    pub fn of(matches: &ArgMatches, argument: &str) -> Self {
        match matches.value_source(argument) {
            Some(ValueSource::CommandLine) => Self::Flag,
            Some(ValueSource::EnvVariable) => Self::Variable,
            Some(_) | None => Self::Nowhere,
        }
    }
}

impl Global {
    /// How clusters may be reached.
    pub fn means(&self) -> Means {
        let programs = Programs::new(self.allow_exec.iter().cloned());
        Means { kubeconfig: self.kubeconfig.clone(), programs }
    }

    /// The style of stdout.
    pub fn style(&self) -> Style {
        Style::for_stdout(self.color)
    }

    /// The style of stderr.
    pub fn error_style(&self) -> Style {
        Style::for_stderr(self.color)
    }

    /// Prints data: `text` for people, `data` for programs. A closed pipe ends the process quietly. What explains the codes in
    /// the text is said once after it.
    pub fn print(&self, text: &str, data: &Value) {
        let printed = match self.output {
            // A sheet is only asked for where there is one; for the others it is refused before they begin.
            Format::Text | Format::Csv => self.style().harmless(text),
            Format::Json => format!("{}\n", escaped(&format!("{data:#}"))),
            Format::Jsonl => format!("{}\n", escaped(&data.to_string())),
            Format::Yaml => tidegate_core::render::value_to_yaml(data),
        };
        print(&printed);
        if self.output == Format::Text
            && let Some(further) = super::explain::further(text)
        {
            self.say(&further);
        }
    }

    /// Says something on stderr, unless `--quiet`.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.complain(text);
        }
    }

    /// Says on stderr what nobody may miss.
    pub fn complain(&self, text: &str) {
        eprintln!("{}", self.error_style().harmless(text.trim_end()));
    }
}

/// JSON in which everything that is not seen is an escape of JSON, and so says the same.
pub fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // Below the space, only the line ends between the values are left: JSON escapes the others itself.
        if c < ' ' || !is_unseen(c) {
            out.push(c);
            continue;
        }
        let mut units = [0; 2];
        out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
    }
    out
}

/// Writes to stdout; a reader that went away is no error.
pub fn print(text: &str) {
    use std::io::Write as _;
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}

/// A duration such as `90s`, `10m`, `1h30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| format!("`{text}` is no duration; write 30s, 5m or 1h30m"))?;
    Duration::try_from(span).map_err(|_| "a duration cannot be negative".to_owned())
}

/// So many bytes of a reason are kept.
const MOST_REASON: usize = 1000;

/// Why somebody does something: the record is read later by others, so it cannot be empty.
pub fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say why; whoever reads the record later wants to know".to_owned()),
        // It is kept beside what decisions need, where room is limited.
        text if text.len() > MOST_REASON => {
            Err(format!("it has {} bytes, and at most {MOST_REASON} are kept", text.len()))
        }
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_unseen_characters() {
        let data =
            serde_json::json!({ "a\u{202e}": ["\u{1b}[2J\n", "\u{9b}\u{7f}", "naïve 日本 😀", "\u{e0041}"] });
        let text = escaped(&format!("{data:#}"));
        assert!(!text.contains(|c: char| c != '\n' && is_unseen(c)), "{text:?}");
        assert!(text.contains("naïve 日本 😀"));
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), data);
    }
}

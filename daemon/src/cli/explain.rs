//! `tidegate explain [code]`: what a code means, offline. Examples are run as they are printed, so that they say what is said.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidegate_core::explain::{self, EXAMPLE_ENVIRONMENT, Example, Explanation};
use tidegate_core::problem::{Code, Problem};
use tidegate_core::schema::suggest;

use super::exit::{Exit, Failure};
use super::options::{Global, print};
use super::problems;
use super::style::{Format, Style, Tone};

/// Columns of the text.
const WIDTH: usize = 100;

/// Which code.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The code, e.g. E0301; without it, all of them in one line each
    pub code: Option<String>,
}

/// Prints one explanation, or the list of codes.
pub fn run(global: &Global, args: &ExplainArgs) -> Result<Exit, Failure> {
    let codes = match &args.code {
        Some(text) => vec![find(text)?],
        None => Code::ALL.to_vec(),
    };
    match (global.output, codes.as_slice()) {
        // Not by `Global::print`, which would point back here.
        (Format::Text, [code]) if args.code.is_some() => print(&text(*code, global.style())),
        (Format::Text, codes) => print(&list(codes, global.style())),
        (Format::Json | Format::Yaml | Format::Jsonl | Format::Csv, codes) => global.print("", &data(codes)),
    }
    Ok(Exit::Ok)
}

/// Where the codes of a text are explained; none when there are none. Said once, at the end of a listing.
pub fn further(text: &str) -> Option<String> {
    let after = |word: &'static str| text.split(word).skip(1);
    let codes: BTreeSet<Code> = after("error[")
        .chain(after("warning["))
        .filter_map(|rest| Code::ALL.iter().find(|code| rest.starts_with(&format!("{code}]"))))
        .copied()
        .collect();
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    match names.as_slice() {
        [] => None,
        [code] => Some(format!("`tidegate explain {code}` says more")),
        names => Some(format!("`tidegate explain CODE` says more of {}", names.join(", "))),
    }
}

/// The code that is meant: in any case, and also without its letter.
fn find(text: &str) -> Result<Code, Failure> {
    let digits = text.trim().trim_start_matches(['e', 'E']);
    let same = |code: &&Code| code.as_str().trim_start_matches('E') == digits;
    if let Some(code) = Code::ALL.iter().find(same) {
        return Ok(*code);
    }
    let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    let near = suggest::nearest(text.trim(), Code::ALL.iter().map(|code| code.as_str()));
    let near = near.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
    Err(Failure::new(
        Exit::Usage,
        format!("there is no code `{shown}`\n  help: {near}`tidegate explain` lists all codes"),
    ))
}

fn list(codes: &[Code], style: Style) -> String {
    let line = |code: &Code| {
        format!("{}  {}\n", style.paint(Tone::Strong, code.as_str()), explain::explain(*code).title)
    };
    codes.iter().map(line).collect()
}

fn text(code: Code, style: Style) -> String {
    let Explanation { title, meaning, example, remedy } = explain::explain(code);
    let heading = |text: &str| style.paint(Tone::Strong, text);
    let mut text = format!("{}\n\n{}", heading(&format!("{code}: {title}")), wrapped(meaning));
    match example {
        Example::Files(files) => {
            let tree = explain::tree(files);
            for (path, bytes) in *files {
                text.push_str(&format!("\n{} {path}\n", heading("Example:")));
                text.push_str(&indented(&String::from_utf8_lossy(bytes)));
            }
            text.push_str(&format!("\n{}\n", heading("It says:")));
            for problem in produced(code, files) {
                text.push_str(&indented(&problems::render(&problem, Some(&tree), style)));
            }
        }
        Example::Situation { when, says } => {
            text.push_str(&format!("\n{} {}\n", heading("Example:"), wrapped(when).trim_end()));
            text.push_str(&format!(
                "\n{}\n{}",
                heading("It says:"),
                indented(&format!("error[{code}]: {says}\n"))
            ));
        }
        Example::Unused(instead) => {
            text.push_str(&format!("\n{}\n{}", heading("Not reported by this version:"), wrapped(instead)));
        }
    }
    text.push_str(&format!("\n{}\n{}", heading("What to do:"), wrapped(remedy)));
    text
}

/// What the files give, this code's first.
fn produced(code: Code, files: &[(&str, &[u8])]) -> Vec<Problem> {
    let mut found = explain::problems(files);
    found.sort_by_key(|problem| problem.code != code);
    found
}

fn data(codes: &[Code]) -> Value {
    let one = |code: &Code| {
        let Explanation { title, meaning, example, remedy } = explain::explain(*code);
        json!({ "code": code, "title": title, "meaning": meaning, "example": example_data(*code, example), "remedy": remedy })
    };
    json!({ "schema": "tidegate.explain/v1", "codes": codes.iter().map(one).collect::<Vec<_>>() })
}

fn example_data(code: Code, example: &Example) -> Value {
    match example {
        Example::Files(files) => {
            let file = |(path, bytes): &(&str, &[u8])| json!({ "path": path, "text": String::from_utf8_lossy(bytes) });
            json!({
                "files": files.iter().map(file).collect::<Vec<_>>(), "environment": EXAMPLE_ENVIRONMENT,
                "problems": produced(code, files),
            })
        }
        Example::Situation { when, says } => json!({ "when": when, "says": says }),
        Example::Unused(instead) => json!({ "unused": instead }),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n").replace("    \n", "\n")).collect()
}

fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            lines.push('\n');
            column = 0;
        }
        if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests;

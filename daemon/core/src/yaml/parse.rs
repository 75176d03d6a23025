//! From bytes to documents: encoding, budgets, and one pass over the parser's events. Nothing here recurses.

use std::sync::Arc;

use serde_yaml::granit_parser::{ErrorKind, Event, Marker, Parser, ScanError};

use super::builder::Builder;
use super::{Budget, Document};
use crate::location::{Location, Position};
use crate::problem::{Code, Problem};

/// Syntax errors after which a file is not read further.
const MAX_BROKEN_DOCUMENTS: usize = 100;

/// Reads the documents of a file (YAML or JSON), and everything that is wrong with it.
///
/// A document with a syntax error is left out and the next one is read. A document with another error (a key that
/// stands twice, …) is kept as far as it could be read, so that what else is wrong with it can be said in the same pass.
pub fn parse(file: &Arc<str>, bytes: &[u8], budget: &Budget) -> (Vec<Document>, Vec<Problem>) {
    match decode(file, bytes, budget) {
        Ok(text) => read_documents(file, text, budget),
        Err(problem) => (Vec::new(), vec![*problem]),
    }
}

fn decode<'b>(file: &Arc<str>, bytes: &'b [u8], budget: &Budget) -> Result<&'b str, Box<Problem>> {
    if bytes.len() > budget.bytes {
        let message =
            format!("the file has {} bytes, more than the {} that are read", bytes.len(), budget.bytes);
        return Err(Box::new(Problem::error(Code::YamlBudget, message).at(Location::file(file))));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let position = end_position(&String::from_utf8_lossy(valid));
        let problem = Problem::error(Code::YamlEncoding, "the file is not UTF-8")
            .at(Location { file: file.clone(), position });
        Box::new(problem.help("save it as UTF-8"))
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The position just after a text.
fn end_position(text: &str) -> Position {
    let line = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let last = text.rsplit('\n').next().unwrap_or_default();
    Position { line: saturate(line), column: saturate(last.chars().count() + 1) }
}

fn read_documents(file: &Arc<str>, text: &str, budget: &Budget) -> (Vec<Document>, Vec<Problem>) {
    let options = serde_yaml::granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: budget.depth,
        block_nesting_limit: budget.depth,
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder::new(file.clone(), *budget);
    let mut documents = Vec::new();
    let mut broken = 0;
    while let Some(next) = parser.next_event() {
        match next {
            Ok((Event::DocumentEnd, _)) => documents.extend(builder.finish()),
            Ok((event, span)) => {
                if let Err(problem) = builder.event(event, &span) {
                    builder.problems.push(*problem);
                    break;
                }
            }
            Err(error) => {
                builder.abandon();
                builder.problems.push(syntax_problem(file, &error));
                broken += 1;
                if broken >= MAX_BROKEN_DOCUMENTS || !parser.proceed_next_document().unwrap_or(false) {
                    break;
                }
            }
        }
    }
    (documents, builder.problems)
}

fn syntax_problem(file: &Arc<str>, error: &ScanError) -> Problem {
    let message = error.info();
    let too_deep = matches!(error.kind(), ErrorKind::RecursionLimitExceeded);
    let code = if too_deep { Code::YamlBudget } else { Code::YamlSyntax };
    let problem = Problem::error(code, message.trim_end_matches('.').to_owned())
        .at(Location { file: file.clone(), position: position(error.marker()) });
    if message.to_lowercase().contains("tab") {
        return problem.help("indent with spaces");
    }
    problem
}

/// The parser counts columns from 0.
pub fn position(marker: &Marker) -> Position {
    Position { line: saturate(marker.line()).max(1), column: saturate(marker.col() + 1) }
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

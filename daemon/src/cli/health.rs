//! `tidegate health -f <file|->`: the health of objects as they stand in a file, by the rules that environments are judged by.

mod input;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_core::health::{Health, HealthState, assess};
use tidegate_core::problem::Problem;
use tidegate_core::tree::FileTree;

use super::exit::{Exit, Failure};
use super::options::Global;
use super::problems;
use super::style::Style;

/// Bytes of one file. All objects of a large cluster as `kubectl get -o json` prints them stay below.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// The name of standard input.
const STDIN: &str = "-";

/// What to judge.
#[derive(Debug, clap::Args)]
pub struct HealthArgs {
    /// A file of objects, YAML or JSON, Lists too, as `kubectl get -o yaml` prints them; `-` is standard input; several are allowed
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Exit with 0 only if all are healthy, with 4 if that may come by waiting, else with 3
    #[arg(long)]
    pub exit_code: bool,
}

/// One object with its health.
struct Judged {
    kind: String,
    namespace: String,
    name: String,
    health: Health,
}

/// Reads, judges and prints.
pub fn run(global: &Global, args: &HealthArgs) -> Result<Exit, Failure> {
    let mut judged = Vec::new();
    let mut files = FileTree::default();
    let mut problems = Vec::new();
    for path in &args.files {
        let bytes = read(path)?;
        let name: Arc<str> =
            if is_stdin(path) { Arc::from("stdin") } else { Arc::from(path.display().to_string()) };
        match input::objects(&name, &bytes) {
            Ok(objects) => judged.extend(objects.iter().map(judge)),
            Err(found) => {
                files.insert(name, bytes);
                problems.extend(found);
            }
        }
    }
    if !problems.is_empty() {
        return Err(bad_input(global, &problems, &files));
    }
    global.print(&text(&judged, global.style()), &data(&judged));
    Ok(if args.exit_code { exit(&judged) } else { Exit::Ok })
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIN
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Invalid, format!("failed to read {}: {error}", path.display()))
    };
    let mut bytes = Vec::new();
    // One byte more than is taken, so that a cut file is never read as a whole one.
    if is_stdin(path) {
        std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        let message =
            format!("{} has more than {MAX_BYTES} bytes; ask for fewer objects at once", path.display());
        return Err(Failure::new(Exit::Invalid, message));
    }
    Ok(bytes)
}

fn bad_input(global: &Global, problems: &[Problem], files: &FileTree) -> Failure {
    let style = global.error_style();
    let text: String = problems.iter().map(|problem| problems::render(problem, Some(files), style)).collect();
    Failure::new(Exit::Invalid, format!("{text}{}", problems::count(problems)))
}

fn judge(object: &Value) -> Judged {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    Judged {
        kind: text("/kind"),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
        health: assess(object),
    }
}

/// As one answer for scripts: what waiting cannot help comes first.
fn exit(judged: &[Judged]) -> Exit {
    let mut exit = Exit::Ok;
    for Judged { health, .. } in judged {
        match health.state {
            HealthState::Healthy => {}
            HealthState::Progressing => exit = Exit::TimedOut,
            HealthState::Degraded | HealthState::Suspended | HealthState::Unknown => return Exit::Failed,
        }
    }
    exit
}

fn text(judged: &[Judged], style: Style) -> String {
    if judged.is_empty() {
        return "no objects\n".to_owned();
    }
    let line = |Judged { kind, namespace, name, health: Health { state, reason } }: &Judged| {
        let (tone, mark) = style.health(*state);
        let state = style.paint(tone, &format!("{mark:<2} {:<12}", format!("{state:?}")));
        let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        // What a file says is shown without the characters that could change a terminal.
        let said = |text: &str| text.replace(char::is_control, " ");
        format!("{state} {}\n", said(&format!("{kind} {place}{name}: {reason}")))
    };
    judged.iter().map(line).collect()
}

fn data(judged: &[Judged]) -> Value {
    let item = |Judged { kind, namespace, name, health: Health { state, reason } }: &Judged| json!({ "kind": kind, "namespace": namespace, "name": name, "status": state, "reason": reason });
    json!({ "schema": "tidegate.health/v1", "items": judged.iter().map(item).collect::<Vec<_>>() })
}

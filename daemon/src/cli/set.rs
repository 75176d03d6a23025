//! `tidegate set image` and `tidegate set substitute`: one value in the files of an environment, everything else left as it
//! is. For pipelines that release with one line and a commit.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tidegate_core::edit::{self, Edit, ImageRequest, Refusal, SubstituteRequest};
use tidegate_core::review::visible::visible;
use tidegate_core::schema::Catalogue;

use super::exit::{Exit, Failure};
use super::options::Global;
use super::problems;
use super::style::{Style, Tone};
use crate::source::Revision;
use crate::world::{ENVIRONMENTS, Scopes, World};

/// How the file is called that takes the place of the edited one. The dot keeps a daemon that follows the folder from
/// reading it.
const TEMPORARY: &str = ".tidegate-set-";
/// How often a work tree that somebody else edits is looked at.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// What to set.
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// Which value
    #[command(subcommand)]
    pub what: What,
}

/// Which value.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// The image of a container, wherever git asks for it: a manifest, a patch, or a substituted name
    Image(Assignment),
    /// The value of a name under `spec.substitute`
    Substitute(Assignment),
}

/// An environment and what becomes what.
#[derive(Debug, clap::Args)]
pub struct Assignment {
    /// The environment
    pub environment: String,
    /// For an image: CONTAINER, OBJECT, KIND/OBJECT or KIND/OBJECT/CONTAINER, `=` and the image; else NAME=VALUE
    #[arg(value_name = "TARGET=VALUE")]
    pub assignment: String,
    /// The repository or a folder in it [default: what --repo names; else the folder that we are in]
    pub path: Option<PathBuf>,
}

/// Edits one value and says which.
pub async fn run(global: &Global, args: &SetArgs) -> Result<Exit, Failure> {
    let (What::Image(asked) | What::Substitute(asked)) = &args.what;
    let Some((target, value)) = asked.assignment.split_once('=').filter(|(target, _)| !target.is_empty())
    else {
        return Err(Failure::new(Exit::Usage, "write TARGET=VALUE, e.g. web=registry.example.com/web:1.2.0"));
    };
    let root = root(global, asked.path.as_deref())?;
    // Held until the process ends, however it ends: of two edits at once, the second one reads what the first one wrote.
    let _lock = lock(global, &root.join(ENVIRONMENTS)).await?;
    let here = Global { subpath: String::new(), ..global.clone() };
    let world = super::world::read(&here, Some(&root), None).await?;
    if !matches!(world.revision, Revision::Folder(_)) {
        return Err(no_folder());
    }
    let environment = asked.environment.as_str();
    readable(global, &world, environment)?;
    let edit = match &args.what {
        What::Image(_) => {
            let scopes = Scopes { cluster: None, catalogue: Catalogue::kubernetes_1_35() };
            edit::set_image(&world.files, &scopes, ImageRequest { environment, target, image: value })
        }
        What::Substitute(_) => {
            let request = SubstituteRequest { environment, name: target, value };
            edit::set_substitute(&world.files, request)
        }
    };
    let edit = edit.map_err(|refusal| refused(global, &refusal))?;
    if !edit.is_nothing {
        write(&root.join(&*edit.location.file), &world, &edit)?;
    }
    say(global, &edit);
    Ok(Exit::Ok)
}

/// The folder whose files are edited; it holds `environments/` itself, below the sub-path where there is one.
fn root(global: &Global, path: Option<&Path>) -> Result<PathBuf, Failure> {
    let place = PathBuf::from(super::world::place(global, path)).join(&global.subpath);
    super::world::root(&place).ok_or_else(no_folder)
}

fn no_folder() -> Failure {
    Failure::new(
        Exit::Usage,
        "files are edited in a folder that holds `environments/`\n  help: check the repository out and name its folder",
    )
}

/// Waits until no other edit of this work tree is on its way. Editors know nothing of it: the file is compared once more
/// before it is written.
async fn lock(global: &Global, folder: &Path) -> Result<Option<File>, Failure> {
    let Ok(lock) = File::open(folder) else { return Ok(None) };
    let waiting = async {
        loop {
            match lock.try_lock() {
                Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL).await,
                // Some file systems have no locks; everything else still holds there.
                Ok(()) | Err(std::fs::TryLockError::Error(_)) => return,
            }
        }
    };
    let late = |_| {
        let message = format!("another `tidegate set` is still at work in {}", folder.display());
        Failure::new(Exit::TimedOut, message)
    };
    tokio::time::timeout(global.timeout, waiting).await.map(|()| Some(lock)).map_err(late)
}

/// Files that cannot be read (a symlink, say) are no files that are missing: what is used where is not known without them.
fn readable(global: &Global, world: &World, environment: &str) -> Result<(), Failure> {
    let found = match world.environments.get(environment).map(|target| &target.environment) {
        Some(Ok(_)) => return Ok(()),
        Some(Err(found)) => found.clone(),
        None => world.problems_of(environment),
    };
    if found.is_empty() {
        return Ok(());
    }
    let style = global.error_style();
    let text: String =
        found.iter().map(|problem| problems::render(problem, Some(&world.files), style)).collect();
    Err(Failure::new(Exit::Invalid, format!("{text}nothing is edited")))
}

/// The whole file or nothing of it, with the rights that it had, and only if nobody else wrote it meanwhile.
fn write(path: &Path, world: &World, edit: &Edit) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Invalid, format!("failed to write {}: {error}", path.display()))
    };
    let known = world.files.get(&edit.location.file);
    if std::fs::read(path).map_err(failed)?.as_slice() != known.unwrap_or_default() {
        let message = format!("{} was changed meanwhile; nothing is written", path.display());
        return Err(Failure::new(Exit::Refused, message));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    remove_leftovers(folder);
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder).map_err(failed)?;
    file.write_all(&edit.bytes).map_err(failed)?;
    let before = std::fs::metadata(path).map_err(failed)?;
    // Only root can give files away, and only root would take them from others by this.
    let _ = std::os::unix::fs::fchown(file.as_file(), Some(before.uid()), Some(before.gid()));
    file.as_file().set_permissions(before.permissions()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}

/// What an edit left behind that was killed. Nobody else is at work here, because this one has the lock.
fn remove_leftovers(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let is_left = |entry: &std::fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with(TEMPORARY)
            && entry.file_type().is_ok_and(|kind| kind.is_file())
    };
    for entry in entries.flatten().filter(is_left) {
        // It is only litter: what keeps it from being removed is of no concern here.
        let _ = std::fs::remove_file(entry.path());
    }
}

fn say(global: &Global, edit: &Edit) {
    let Edit { location, range: _, text: _, bytes: _, lines, is_nothing } = edit;
    let style = global.style();
    let text = if *is_nothing {
        format!("no changes: {location} says so already\n")
    } else {
        format!(
            "{}\n{}\n{}\n",
            style.paint(Tone::Place, &location.to_string()),
            style.paint(Tone::Bad, &format!("-{}", lines.before)),
            style.paint(Tone::Good, &format!("+{}", lines.after)),
        )
    };
    let data = json!({
        "schema": "tidegate.set/v1", "changed": !is_nothing, "location": location, "before": lines.before,
        "after": lines.after,
    });
    global.print(&text, &data);
}

fn refused(global: &Global, refusal: &Refusal) -> Failure {
    Failure::new(Exit::Invalid, told(refusal, global.error_style()))
}

fn told(refusal: &Refusal, style: Style) -> String {
    let Refusal { message, location, candidates, help } = refusal;
    let mut text = format!("{}: {}\n", style.paint(Tone::Bad, "error"), visible(message));
    if let Some(location) = location {
        text.push_str(&format!("  --> {}\n", style.paint(Tone::Place, &location.to_string())));
    }
    for candidate in candidates {
        text.push_str(&format!("  = {}\n", visible(candidate)));
    }
    if let Some(help) = help {
        text.push_str(&format!("  {}: {}\n", style.paint(Tone::Strong, "help"), visible(help)));
    }
    text
}

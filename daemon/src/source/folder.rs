//! The files of a followed work tree (`tidegate run --follow <folder>`): the inner development loop.
//!
//! Not a git reader: what is ignored by git is read all the same. Symlinks are never followed, dot files never read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_core::ids::Digest;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::tree::FileTree;

use super::config::Limits;
use super::error::SourceError;
use super::mirror::{Listing, TreeIds};
use super::paths::{distinct, is_below, join, plain, prefix};
use super::revision::{Partial, Snapshot};
use super::snapshot::{too_much, unfit};

/// How many scans stay readable: the newest, and the one that someone may be working on.
const SCANS_KEPT: usize = 2;

/// Which folder is followed.
#[derive(Debug, Clone)]
pub struct FolderConfig {
    /// The root of the work tree.
    pub path: PathBuf,
    /// The folder inside it that counts as the root; empty for the root itself.
    pub subpath: String,
    /// How often the files are read when no change is told of.
    pub poll_interval: Duration,
    /// What is too much or too large.
    pub limits: Limits,
    /// Where to look at first, relative to the root; empty: everywhere. A work tree holds much that is none of ours (build
    /// output, for one). What is asked for beyond it is looked at from then on.
    pub only: Vec<String>,
}

impl FolderConfig {
    /// The folders that Tidegate reads, with the usual limits.
    pub fn new(path: impl Into<PathBuf>, subpath: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            subpath: subpath.into(),
            poll_interval: Duration::from_secs(10),
            limits: Limits::default(),
            only: vec!["environments".to_owned(), "policies".to_owned()],
        }
    }
}

/// A followed folder and what was read of it last.
#[derive(Debug)]
pub struct Folder {
    config: FolderConfig,
    /// Further paths that were asked for, when the configuration does not say "everywhere".
    further: Mutex<BTreeSet<String>>,
    scans: Mutex<VecDeque<Arc<Scan>>>,
}

/// All that stood in the folder at one moment.
#[derive(Debug)]
struct Scan {
    digest: Digest,
    prefix: String,
    tree: FileTree,
    /// What could not be read; a problem only for those who ask for its path.
    odd: BTreeMap<String, Problem>,
}

impl Folder {
    /// A folder that nothing was read of yet.
    pub fn new(config: FolderConfig) -> Self {
        Self { config, further: Mutex::default(), scans: Mutex::default() }
    }

    /// What it was configured with.
    pub fn config(&self) -> &FolderConfig {
        &self.config
    }

    /// Reads everything and gives the digest of it.
    pub fn scan(&self) -> Result<Digest, Problem> {
        let subpath = plain(&self.config.subpath)?;
        let scan = Walk::new(&self.config, &subpath, self.looked_at()).run()?;
        let digest = scan.digest.clone();
        let mut scans = self.scans();
        if scans.back().is_none_or(|last| last.digest != digest) {
            scans.push_back(Arc::new(scan));
        }
        while scans.len() > SCANS_KEPT {
            scans.pop_front();
        }
        Ok(digest)
    }

    /// The files at or below these paths, as the scan of that digest saw them; all problems at once.
    pub fn read(&self, digest: &Digest, paths: &[String]) -> Result<Snapshot, Vec<Problem>> {
        self.read_partly(digest, paths)?.whole()
    }

    /// The files at or below these paths, and what stands there that cannot be read.
    pub fn read_partly(&self, digest: &Digest, paths: &[String]) -> Result<Partial, Vec<Problem>> {
        let paths = distinct(paths)?;
        let mut scan = self.find(digest).map_err(|problem| vec![problem])?;
        if self.look_at(&paths) {
            // What was not looked at before is read now; the next scan's digest covers it.
            let newest = self.scan().map_err(|problem| vec![problem])?;
            scan = self.find(&newest).map_err(|problem| vec![problem])?;
        }
        let wanted = |path: &str| paths.iter().any(|folder| is_below(path, folder));
        let problems: Vec<Problem> =
            scan.odd.iter().filter(|(path, _)| wanted(path)).map(|(_, problem)| problem.clone()).collect();
        let tree = scan.tree.iter().filter(|(path, _)| wanted(path)).collect();
        Ok(Partial { snapshot: Snapshot { tree, prefix: scan.prefix.clone() }, problems })
    }

    /// Digests of these paths.
    pub fn tree_ids(&self, digest: &Digest, paths: &[String]) -> Result<TreeIds, Problem> {
        let scan = self.find(digest)?;
        let mut ids = TreeIds::new();
        for path in paths {
            let folder = plain(path)?;
            let files = scan.tree.iter().filter(|(path, _)| is_below(path, &folder));
            let odd = scan.odd.iter().filter(|(path, _)| is_below(path, &folder));
            ids.insert(path.clone(), digest_of(files, odd));
        }
        Ok(ids)
    }

    /// The folders directly below a path, and what stands there in place of one.
    pub fn folders(&self, digest: &Digest, path: &str) -> Result<Listing, Problem> {
        let scan = self.find(digest)?;
        let parent = plain(path)?;
        let inside = |path: &str| -> Option<String> {
            let rest =
                if parent.is_empty() { path } else { path.strip_prefix(&parent)?.strip_prefix('/')? };
            Some(rest.to_owned())
        };
        let folders: BTreeSet<String> = scan
            .tree
            .iter()
            .filter_map(|(path, _)| inside(path)?.split_once('/').map(|(folder, _)| folder.to_owned()))
            .collect();
        let problems = scan
            .odd
            .iter()
            .filter(|(path, _)| inside(path).is_some_and(|rest| !rest.contains('/')))
            .map(|(_, problem)| problem.clone())
            .collect();
        Ok(Listing { folders: folders.into_iter().collect(), problems })
    }

    /// Where scans look; empty: everywhere.
    fn looked_at(&self) -> BTreeSet<String> {
        if self.config.only.is_empty() {
            return BTreeSet::new();
        }
        let further = self.further.lock().unwrap_or_else(PoisonError::into_inner);
        self.config.only.iter().chain(further.iter()).cloned().collect()
    }

    /// Adds paths to where scans look; true when one was not covered before.
    fn look_at(&self, paths: &[String]) -> bool {
        let looked_at = self.looked_at();
        if looked_at.is_empty() {
            return false;
        }
        let new: Vec<String> =
            paths.iter().filter(|path| !looked_at.iter().any(|over| is_below(path, over))).cloned().collect();
        let any = !new.is_empty();
        self.further.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
        any
    }

    fn find(&self, digest: &Digest) -> Result<Arc<Scan>, Problem> {
        let found = self.scans().iter().find(|scan| scan.digest == *digest).cloned();
        found.ok_or_else(|| {
            Problem::error(Code::SourceUnreachable, "the followed folder has changed since")
                .help("nothing to do: the newest files are taken next")
        })
    }

    fn scans(&self) -> MutexGuard<'_, VecDeque<Arc<Scan>>> {
        self.scans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The digest of files and of what could not be read; none when there is neither.
fn digest_of<'a>(
    files: impl Iterator<Item = (&'a str, &'a [u8])>,
    odd: impl Iterator<Item = (&'a String, &'a Problem)>,
) -> Option<String> {
    let mut text = String::new();
    // Lengths and digests instead of contents: no two different folders give the same text.
    for (path, bytes) in files {
        let _ = writeln!(text, "{} {path} {}", path.len(), Digest::of(bytes));
    }
    for (path, problem) in odd {
        let _ = writeln!(text, "{} {path} !{}", path.len(), Digest::of(problem.message.as_bytes()));
    }
    (!text.is_empty()).then(|| Digest::of(text.as_bytes()).to_string())
}

/// One scan on its way.
struct Walk<'c> {
    config: &'c FolderConfig,
    looked_at: BTreeSet<String>,
    prefix: String,
    tree: FileTree,
    odd: BTreeMap<String, Problem>,
    entries: usize,
    bytes: u64,
}

impl<'c> Walk<'c> {
    fn new(config: &'c FolderConfig, subpath: &str, looked_at: BTreeSet<String>) -> Self {
        let prefix = prefix(subpath);
        Self {
            config,
            looked_at,
            prefix,
            tree: FileTree::default(),
            odd: BTreeMap::new(),
            entries: 0,
            bytes: 0,
        }
    }

    fn run(mut self) -> Result<Scan, Problem> {
        let root = self.config.path.canonicalize().map_err(|error| local(&self.config.path, &error))?;
        let root = root.join(&self.prefix);
        let mut waiting = vec![(root, String::new(), 0_usize)];
        while let Some((folder, path, depth)) = waiting.pop() {
            if depth > self.config.limits.depth {
                let over = format!("folders lie more than {} deep", self.config.limits.depth);
                self.odd.insert(path.clone(), too_much(&self.shown(&path), &over));
                continue;
            }
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                // Gone since its parent was read.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && depth > 0 => continue,
                Err(error) => return Err(local(&folder, &error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| local(&folder, &error))?;
                if let Some(below) = self.entry(&entry, &path)? {
                    waiting.push((entry.path(), below, depth + 1));
                }
            }
        }
        let Self { prefix, tree, odd, .. } = self;
        let digest = Digest::of(digest_of(tree.iter(), odd.iter()).unwrap_or_default().as_bytes());
        Ok(Scan { digest, prefix, tree, odd })
    }

    /// Reads one entry; gives the path of a folder that is to be read too.
    fn entry(&mut self, entry: &fs::DirEntry, folder: &str) -> Result<Option<String>, Problem> {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            return Ok(None);
        }
        self.entries += 1;
        if self.entries > self.config.limits.files {
            let over = format!("it holds more than {} files and folders", self.config.limits.files);
            return Err(too_much(&self.config.path.display().to_string(), &over)
                .help("follow a smaller folder with --subpath"));
        }
        let path = join(folder, &name.to_string_lossy());
        let within = |over: &String| is_below(&path, over) || is_below(over, &path);
        if !self.looked_at.is_empty() && !self.looked_at.iter().any(within) {
            return Ok(None);
        }
        let kind = entry.file_type().map_err(|error| local(&entry.path(), &error))?;
        let problem = if name.to_str().is_none_or(|name| name.chars().any(char::is_control)) {
            Some("an entry whose name is not plain text")
        } else if kind.is_dir() {
            return Ok(Some(path));
        } else if kind.is_symlink() {
            Some("a symlink")
        } else if kind.is_file() {
            self.file(&entry.path(), path.clone())?;
            None
        } else {
            Some("neither file nor folder")
        };
        if let Some(what) = problem {
            self.odd.insert(path.clone(), unfit(&self.shown(&path), what));
        }
        Ok(None)
    }

    fn file(&mut self, place: &Path, path: String) -> Result<(), Problem> {
        let limits = &self.config.limits;
        let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let mut bytes = Vec::new();
        let read = File::options()
            .read(true)
            .custom_flags(nofollow)
            .open(place)
            .and_then(|file| file.take(limits.file_bytes + 1).read_to_end(&mut bytes));
        match read {
            // An editor moved it away just now; word of that is on its way.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                let problem = local(place, &error);
                self.odd.insert(path, problem);
                return Ok(());
            }
            Ok(_) => {}
        }
        if bytes.len() as u64 > limits.file_bytes {
            let over = format!("it has more than {} bytes", limits.file_bytes);
            self.odd.insert(path.clone(), too_much(&self.shown(&path), &over));
            return Ok(());
        }
        self.bytes += bytes.len() as u64;
        if self.bytes > limits.total_bytes {
            let over = format!("it holds more than {} bytes", limits.total_bytes);
            return Err(too_much(&self.config.path.display().to_string(), &over)
                .help("follow a smaller folder with --subpath"));
        }
        self.tree.insert(path, bytes);
        Ok(())
    }

    fn shown(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

fn local(path: &Path, error: &std::io::Error) -> Problem {
    SourceError::Local { what: path.display().to_string(), reason: error.to_string() }.problem()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed() -> (tempfile::TempDir, Folder) {
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let place = root.path().join(path);
            fs::create_dir_all(place.parent().expect("a parent")).expect("made");
            fs::write(place, text).expect("written");
        };
        write("environments/dev/environment.yaml", "a");
        write("environments/dev/app.yaml", "b");
        write("policies/p.yaml", "c");
        write(".git/HEAD", "ref: refs/heads/main");
        write("environments/.hidden.yaml", "x");
        let limits = Limits { file_bytes: 100, ..Limits::default() };
        let poll_interval = Duration::from_secs(1);
        let config = FolderConfig {
            path: root.path().to_owned(),
            subpath: String::new(),
            poll_interval,
            limits,
            only: Vec::new(),
        };
        (root, Folder::new(config))
    }

    #[test]
    fn only_what_is_asked_for_is_looked_at() {
        let (root, folder) = followed();
        fs::create_dir_all(root.path().join("apps")).expect("made");
        fs::write(root.path().join("apps/a.yaml"), "a").expect("written");
        let config = FolderConfig { only: vec!["environments".to_owned()], ..folder.config().clone() };
        let folder = Folder::new(config);
        let digest = folder.scan().expect("scanned");
        let all = folder.read(&digest, &["environments".to_owned()]).expect("read");
        assert_eq!(paths(&all), ["environments/dev/app.yaml", "environments/dev/environment.yaml"]);
        let more = folder.read(&digest, &["environments/dev".to_owned(), "apps".to_owned()]).expect("read");
        assert_eq!(
            paths(&more),
            ["apps/a.yaml", "environments/dev/app.yaml", "environments/dev/environment.yaml"]
        );
        assert_ne!(folder.scan().expect("scanned"), digest, "what was asked for counts from now on");
    }

    fn paths(snapshot: &Snapshot) -> Vec<&str> {
        snapshot.tree.iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn a_followed_folder_is_read_without_git_and_dot_files() {
        let (_root, folder) = followed();
        let digest = folder.scan().expect("scanned");
        let all = folder.read(&digest, &[String::new()]).expect("read");
        assert_eq!(
            paths(&all),
            ["environments/dev/app.yaml", "environments/dev/environment.yaml", "policies/p.yaml"]
        );
        let some = folder.read(&digest, &["policies".to_owned()]).expect("read");
        assert_eq!(paths(&some), ["policies/p.yaml"]);
        assert_eq!(folder.folders(&digest, "environments").expect("listed").folders, ["dev"]);
    }

    #[test]
    fn a_change_gives_another_digest_and_changes_only_the_ids_above_it() {
        let (root, folder) = followed();
        let ids = |digest: &Digest| {
            let paths = ["environments/dev".to_owned(), "policies".to_owned(), "nowhere".to_owned()];
            folder.tree_ids(digest, &paths).expect("ids").into_values().collect::<Vec<_>>()
        };
        let first = folder.scan().expect("scanned");
        assert_eq!(folder.scan().expect("scanned"), first);
        fs::write(root.path().join("environments/dev/app.yaml"), "changed").expect("written");
        let second = folder.scan().expect("scanned");
        assert_ne!(first, second);
        let (before, after) = (ids(&first), ids(&second));
        assert_ne!(before[0], after[0]);
        assert_eq!(after[1], None, "nowhere");
        assert_eq!(before[2], after[2], "policies");
    }

    #[test]
    fn symlinks_and_huge_files_are_problems_of_those_who_read_them() {
        let (root, folder) = followed();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("environments/dev/leak.yaml"))
            .expect("linked");
        fs::write(root.path().join("policies/huge.yaml"), "x".repeat(101)).expect("written");
        let digest = folder.scan().expect("scanned");
        for (path, place) in
            [("environments", "environments/dev/leak.yaml"), ("policies", "policies/huge.yaml")]
        {
            let problems = folder.read(&digest, &[path.to_owned()]).expect_err("refused");
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].code, Code::TreeEntry);
            assert_eq!(
                problems[0].location.as_ref().map(|place| place.file.to_string()).as_deref(),
                Some(place)
            );
        }
        assert!(folder.read(&digest, &["environments/dev/app.yaml".to_owned()]).is_ok());
    }

    #[test]
    fn an_old_scan_stays_readable_for_one_more_change() {
        let (root, folder) = followed();
        let first = folder.scan().expect("scanned");
        for text in ["1", "2"] {
            fs::write(root.path().join("policies/p.yaml"), text).expect("written");
            let readable = folder.read(&first, &["policies".to_owned()]).is_ok();
            assert!(readable);
            folder.scan().expect("scanned");
        }
        assert!(folder.read(&first, &["policies".to_owned()]).is_err());
    }

    #[test]
    fn a_missing_folder_is_a_problem_and_never_an_empty_one() {
        let (root, folder) = followed();
        drop(root);
        assert_eq!(folder.scan().expect_err("gone").code, Code::SourceUnreachable);
    }
}

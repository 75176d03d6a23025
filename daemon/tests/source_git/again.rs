//! A property: a commit that is read after others gives what it gives to whoever has read nothing before. Histories are
//! generated: files, folders, links and submodules in each other's place, environments that share folders, wait for others,
//! are copied, broken or gone; commits are read in any order, as a branch that is moved back and forth makes them be read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use tidegate::reconcile::read_world;
use tidegate::source::{Mirror, Origin, Partial, Revision, Source, SourceConfig, SourceHandle};
use tidegate::world::{ENVIRONMENTS, Scopes, World};
use tidegate_core::desired::KnownFiles;
use tidegate_core::ids::{CommitId, Digest};
use tidegate_core::object::DesiredObject;
use tidegate_core::problem::Problem;
use tidegate_core::schema::Catalogue;
use tidegate_proptests::cases::Cases;
use tokio_util::sync::CancellationToken;

use crate::git_repo::{GitRepo, run};
use crate::{config, id};

/// A history takes about a second, most of it git's.
const CASES: Cases = Cases { sample: 16, full: 400 };

/// Where things stand. Some lie where others have a folder.
const PLACES: &[&str] = &[
    "environments/a/environment.yaml",
    "environments/a/app.yaml",
    "environments/a/deep/more.yaml",
    "environments/a-b/environment.yaml",
    "environments/a-b/app.yaml",
    "environments/b/environment.yaml",
    "environments/b/app.yaml",
    "environments/b",
    "environments/base/app.yaml",
    "environments/notes.yaml",
    "environments",
    "shared/app.yaml",
    "shared/deep/app.yaml",
    "shared",
    "README.md",
];

/// What is copied, moved and taken away as a whole.
const FOLDERS: &[&str] =
    &["environments/a", "environments/b", "environments/a-b", "environments/base", "shared", "environments"];

/// What environments say besides their names.
const SETTINGS: &[&str] = &[
    "",
    "  sources: [{manifests: .}, {manifests: ../base}]\n",
    "  sources: [{manifests: ../../shared}]\n",
    "  sources: [{manifests: .}, {manifests: ../../shared/app.yaml}]\n",
    "  sources: [{manifests: deep}]\n",
    "  sources: [{manifests: ../nowhere}]\n",
    "  dependsOn: [b]\n",
    "  dependsOn: [a]\n",
    "  nonsense: 1\n",
];

const MANIFESTS: &[&str] = &[
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: '1'}\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: '2'}\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {a: '1'}\n---\n{}\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: z, nonsense: 1}\n",
    "a: [\n",
];

/// One change of what a commit holds.
#[derive(Debug, Clone)]
enum Change {
    Write { place: Index, text: Index },
    Link { place: Index },
    Submodule { place: Index },
    Remove { place: Index },
    RemoveFolder { folder: Index },
    Copy { from: Index, to: Index, moved: bool },
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq)]
enum Standing {
    Text(String),
    Link,
    Submodule,
}

type Files = BTreeMap<String, Standing>;

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        8 => (index(), index()).prop_map(|(place, text)| Change::Write { place, text }),
        1 => index().prop_map(|place| Change::Link { place }),
        1 => index().prop_map(|place| Change::Submodule { place }),
        2 => index().prop_map(|place| Change::Remove { place }),
        1 => index().prop_map(|folder| Change::RemoveFolder { folder }),
        2 => (index(), index(), any::<bool>()).prop_map(|(from, to, moved)| Change::Copy { from, to, moved }),
    ]
}

/// Puts something at a path; what it cannot stand beside goes.
fn put(files: &mut Files, path: &str, standing: Standing) {
    let below =
        |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    files.retain(|other, _| !below(other, path) && !below(path, other));
    files.insert(path.to_owned(), standing);
}

fn text(path: &str, text: Index) -> String {
    match path.strip_suffix("/environment.yaml") {
        Some(folder) => environment(folder, text.get::<&str>(SETTINGS)),
        None => (*text.get::<&str>(MANIFESTS)).to_owned(),
    }
}

fn environment(folder: &str, settings: &str) -> String {
    let name = folder.rsplit('/').next().unwrap_or_default();
    format!(
        "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  \
         cluster: {{kubeconfig: {{}}}}\n  namespaces: [{name}]\n{settings}"
    )
}

fn change_files(files: &mut Files, change: &Change) {
    match change {
        Change::Write { place, text: words } => {
            let path = *place.get::<&str>(PLACES);
            put(files, path, Standing::Text(text(path, *words)));
        }
        Change::Link { place } => put(files, place.get::<&str>(PLACES), Standing::Link),
        Change::Submodule { place } => put(files, place.get::<&str>(PLACES), Standing::Submodule),
        Change::Remove { place } => drop(files.remove(*place.get::<&str>(PLACES))),
        Change::RemoveFolder { folder } => {
            let begin = format!("{}/", folder.get(FOLDERS));
            files.retain(|path, _| !path.starts_with(&begin));
        }
        Change::Copy { from, to, moved } => {
            let (from, to) = (*from.get(FOLDERS), *to.get(FOLDERS));
            let begin = format!("{from}/");
            let copied: Vec<(String, Standing)> = files
                .iter()
                .filter_map(|(path, standing)| {
                    Some((format!("{to}/{}", path.strip_prefix(&begin)?), standing.clone()))
                })
                .collect();
            if *moved {
                files.retain(|path, _| !path.starts_with(&begin));
            }
            for (path, standing) in copied {
                put(files, &path, standing);
            }
        }
    }
}

/// What a repository begins with: two environments that share a folder, and one beside them.
fn beginning() -> Files {
    let mut files = Files::new();
    let settings = [("a", SETTINGS[1]), ("b", SETTINGS[2]), ("a-b", SETTINGS[0])];
    for (name, settings) in settings {
        let folder = format!("environments/{name}");
        let text = environment(&folder, settings);
        put(&mut files, &format!("{folder}/environment.yaml"), Standing::Text(text));
    }
    for place in ["environments/a/app.yaml", "environments/base/app.yaml", "shared/app.yaml"] {
        put(&mut files, place, Standing::Text(MANIFESTS[0].to_owned()));
    }
    files
}

/// The commits as `git fast-import` takes them: each names all of its files.
fn stream(commits: &[Files]) -> String {
    let mut stream = String::new();
    let data = |stream: &mut String, text: &str| {
        let _ = writeln!(stream, "data {}\n{text}", text.len());
    };
    for (number, files) in commits.iter().enumerate() {
        let _ = writeln!(stream, "commit refs/heads/main\nmark :{}", number + 1);
        let _ = writeln!(stream, "committer Ada Example <ada@example.org> {} +0000", 1_700_000_000 + number);
        data(&mut stream, "a change");
        stream.push_str("deleteall\n");
        for (path, standing) in files {
            match standing {
                Standing::Text(text) => {
                    let _ = writeln!(stream, "M 100644 inline {path}");
                    data(&mut stream, text);
                }
                Standing::Link => {
                    let _ = writeln!(stream, "M 120000 inline {path}");
                    data(&mut stream, "/etc/passwd");
                }
                Standing::Submodule => {
                    let _ = writeln!(stream, "M 160000 {} {path}", "1234567890".repeat(4));
                }
            }
        }
        stream.push('\n');
    }
    stream
}

/// Makes the commits, and gives their ids.
fn import(repo: &GitRepo, commits: &[Files]) -> Vec<CommitId> {
    let mut import = Command::new("git")
        .args(["fast-import", "--quiet", "--force"])
        .current_dir(repo.origin())
        .stdin(Stdio::piped())
        .spawn()
        .expect("git runs");
    import.stdin.take().expect("piped").write_all(stream(commits).as_bytes()).expect("written");
    assert!(import.wait().expect("it ends").success());
    let ids = run(&repo.origin(), &["rev-list", "--reverse", "main"]);
    ids.lines().map(id).collect()
}

/// Everything that can be known of a commit.
#[derive(Debug, PartialEq)]
struct Seen {
    files: Vec<(String, Digest)>,
    problems: Vec<Problem>,
    environments: Vec<(String, Digest, Result<Rendered, Vec<Problem>>)>,
}

#[derive(Debug, PartialEq)]
struct Rendered {
    plan: Digest,
    objects: Vec<Arc<DesiredObject>>,
    warnings: Vec<Problem>,
}

fn look(world: Result<World, Vec<Problem>>) -> Result<Seen, Vec<Problem>> {
    let world = world?;
    let scopes = Scopes { cluster: None, catalogue: Catalogue::kubernetes_1_35() };
    let environments = world.environments.values().map(|target| {
        let set = target.load(&scopes).map(|set| Rendered {
            plan: set.plan_id,
            objects: set.objects,
            warnings: set.warnings,
        });
        (target.name.clone(), target.inputs.clone(), set)
    });
    let files = world.files.files_below("").map(|(path, file)| (path.to_owned(), file.digest().clone()));
    Ok(Seen {
        files: files.collect(),
        environments: environments.collect(),
        problems: world.problems.clone(),
    })
}

/// The commit, read after whatever was read before.
async fn after_others(
    source: &SourceHandle,
    commit: &CommitId,
    known: &mut KnownFiles,
) -> Result<Seen, Vec<Problem>> {
    let revision = Revision::Commit(commit.clone());
    let partial = read_world(source, &revision, known).await;
    look(partial.map(|partial| World::again(revision, None, partial, known)))
}

/// The commit, read by somebody who has read nothing before.
fn anew(config: &SourceConfig, commit: &CommitId) -> Result<Seen, Vec<Problem>> {
    let read = |paths: &[String]| -> Result<Partial, Vec<Problem>> {
        Mirror::new(config.clone(), CancellationToken::new()).read_partly(commit, paths)
    };
    let mut paths = vec![ENVIRONMENTS.to_owned()];
    let world = read(&paths).and_then(|partial| {
        paths.extend(World::further_paths(&partial.snapshot.tree, &mut KnownFiles::default()));
        let partial = read(&paths)?;
        Ok(World::new(Revision::Commit(commit.clone()), None, partial))
    });
    look(world)
}

/// Reads commits of a history in this order; what differs from reading each of them anew.
async fn differing(commits: &[Files], order: &[Index], tight: bool) -> Option<String> {
    let (repo, cache) = (GitRepo::empty(), tempfile::tempdir().expect("a folder"));
    let ids = import(&repo, commits);
    let mut config = config(repo.origin().to_str().expect("a path"), &cache);
    config.poll_interval = Duration::from_hours(1);
    if tight {
        config.limits.files = 14;
        config.limits.total_bytes = 1_200;
        config.limits.depth = 2;
    }
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let source = Source::spawn(Origin::Git(config.clone()), stop);
    let mut states = source.subscribe();
    let polled = tokio::time::timeout(Duration::from_mins(1), states.wait_for(|state| state.head.is_some()));
    drop(polled.await.expect("in time").expect("it runs"));
    let mut known = KnownFiles::default();
    let mut way = String::new();
    for index in order {
        let number = index.index(ids.len());
        let commit = index.get(&ids);
        let _ = write!(way, "{number} ");
        let (found, expected) = (after_others(&source, commit, &mut known).await, anew(&config, commit));
        if found != expected {
            return Some(format!(
                "read {way}:\n{found:#?}\ninstead of\n{expected:#?}\nof {:#?}",
                commits[number]
            ));
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 200, ..CASES.config() })]

    #[test]
    fn a_commit_gives_the_same_after_others_as_to_whoever_has_read_nothing_before(
        changes in proptest::collection::vec(proptest::collection::vec(change(), 0..4), 1..8),
        order in proptest::collection::vec(any::<Index>(), 1..16),
        tight in proptest::bool::weighted(0.3),
    ) {
        let mut files = beginning();
        let mut commits = vec![files.clone()];
        for changes in &changes {
            for change in changes {
                change_files(&mut files, change);
            }
            commits.push(files.clone());
        }
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let differing = runtime.block_on(differing(&commits, &order, tight));
        prop_assert!(differing.is_none(), "{}", differing.unwrap_or_default());
    }
}

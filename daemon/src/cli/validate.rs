//! `tidegate validate [path]`: everything that can be known about environments without a cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;
use tidegate_core::location::Location;
use tidegate_core::object::ObjectId;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::schema::Catalogue;

use super::exit::{Exit, Failure};
use super::options::Global;
use super::problems;
use super::style::{Style, Tone};
use crate::cluster::connect::Access;
use crate::reconcile::access_of;
use crate::world::{DesiredSet, POLICIES, Scopes, World, prefixed};

/// What to check.
#[derive(Debug, clap::Args)]
pub struct ValidateArgs {
    /// The repository or a folder in it, its files as they are, uncommitted changes included [default: what the flag --repo
    /// names, the newest commit if it is bare or a URL; else the folder that we are in or below, if it has environments;
    /// else what TIDEGATE_REPO names]
    pub path: Option<PathBuf>,
    /// Check this commit instead of the files
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    /// Only this environment
    #[arg(long)]
    pub env: Option<String>,
}

/// What was found of one environment.
struct Checked {
    name: String,
    objects: usize,
    unchecked: Vec<String>,
    problems: Vec<Problem>,
    set: Option<DesiredSet>,
}

/// Checks, prints, and answers whether all is well.
pub async fn run(global: &Global, args: &ValidateArgs) -> Result<Exit, Failure> {
    let world = super::world::read(global, args.path.as_deref(), args.reference.as_deref()).await?;
    super::world::say_revision(global, &world);
    let scopes = Scopes { cluster: None, catalogue: Catalogue::kubernetes_1_35() };
    let wanted = |name: &String| args.env.as_ref().is_none_or(|env| env == name);
    let mut checked: Vec<Checked> = world
        .environments
        .keys()
        .filter(|name| wanted(name))
        .map(|name| check(&world, name, &scopes))
        .collect();
    claimed_twice(&mut checked);
    if checked.is_empty() {
        let Some(name) = &args.env else { return Err(super::render::no_environments(global, &world)) };
        let problem = crate::world::unknown_environment(name, &world);
        return Err(Failure::new(Exit::Invalid, problems::render(&problem, None, global.error_style())));
    }
    let policies = if args.env.is_none() { world.policy_problems() } else { Vec::new() };
    let errors = checked.iter().flat_map(|checked| &checked.problems).chain(&policies).any(Problem::is_error);
    global.print(&text(global, &world, &checked, &policies), &data(&world, &checked, &policies));
    Ok(if errors { Exit::Invalid } else { Exit::Ok })
}

fn check(world: &World, name: &str, scopes: &Scopes<'_>) -> Checked {
    let empty =
        |problems| Checked { name: name.to_owned(), objects: 0, unchecked: Vec::new(), problems, set: None };
    let Some(target) = world.environments.get(name) else { return empty(Vec::new()) };
    match target.load(scopes) {
        Ok(set) => Checked {
            name: name.to_owned(),
            objects: set.objects.len(),
            unchecked: set.unchecked.clone(),
            problems: set.warnings.clone(),
            set: Some(set),
        },
        Err(problems) => empty(problems),
    }
}

/// Two environments of one cluster that define the same object would take it from each other.
fn claimed_twice(checked: &mut [Checked]) {
    let mut owners: BTreeMap<(Access, ObjectId), (String, Location)> = BTreeMap::new();
    for environment in checked {
        let Some(set) = &environment.set else { continue };
        let access = access_of(&set.environment);
        for object in &set.objects {
            let key = (access.clone(), object.reference.id());
            let Some((other, first)) = owners.get(&key) else {
                owners.insert(key, (environment.name.clone(), object.location()));
                continue;
            };
            let problem = Problem::error(Code::Ownership, format!("environment `{other}` defines it too"))
                .object(&object.reference)
                .at(object.location())
                .related(format!("in `{other}`"), first.clone())
                .help("take it out of one of them, or give each a namespace of its own");
            environment.problems.extend(prefixed(vec![problem], &set.prefix));
        }
    }
}

/// Each problem once: one of a policy concerns every environment that names it.
fn text(global: &Global, world: &World, checked: &[Checked], policies: &[Problem]) -> String {
    let style = global.style();
    let mut text = String::new();
    let known = world.policy_problems();
    let of_policies = |problem: &&Problem| known.contains(problem);
    let of_environments = || checked.iter().flat_map(|environment| &environment.problems);
    let mut shown: Vec<&Problem> = policies.iter().collect();
    for problem in of_environments().filter(of_policies) {
        if !shown.contains(&problem) {
            shown.push(problem);
        }
    }
    shown.extend(of_environments().filter(|problem| !of_policies(problem)));
    for problem in shown {
        text.push_str(&problems::render(problem, Some(&world.files), style));
        text.push('\n');
    }
    if !policies.is_empty() {
        text.push_str(&verdict_of_policies(world, policies, style));
    }
    for Checked { name, objects, unchecked, problems: found, set } in checked {
        let errors = found.iter().filter(|problem| problem.is_error()).count();
        let (tone, mark) = if errors > 0 {
            (Tone::Bad, style.pick("✖", "x"))
        } else {
            (Tone::Good, style.pick("✔", "ok"))
        };
        let verdict = match (errors, objects) {
            (0, 1) => "1 object".to_owned(),
            (0, objects) => format!("{objects} objects"),
            (_, _) => problems::count(found),
        };
        let warnings = if errors == 0 && !found.is_empty() {
            format!(", {}", problems::count(found))
        } else {
            String::new()
        };
        text.push_str(&format!("{} {name}: {verdict}{warnings}\n", style.paint(tone, mark)));
        if set.as_ref().is_some_and(|set| set.environment.decommission) {
            text.push_str(&format!(
                "  decommission: everything that it owns in its cluster will be deleted; `tidegate diff {name}` lists it, and \
                 what is kept\n"
            ));
        }
        if !unchecked.is_empty() {
            let kinds = unchecked.join(", ");
            text.push_str(&format!("  not checked against a schema: {kinds}\n"));
        }
    }
    text
}

/// One line on `policies/`, where anything is wrong there.
fn verdict_of_policies(world: &World, found: &[Problem], style: Style) -> String {
    let (tone, mark) = if found.iter().any(Problem::is_error) {
        (Tone::Bad, style.pick("✖", "x"))
    } else {
        (Tone::Good, style.pick("✔", "ok"))
    };
    format!("{} {}{POLICIES}/: {}\n", style.paint(tone, mark), world.prefix, problems::count(found))
}

fn data(world: &World, checked: &[Checked], policies: &[Problem]) -> serde_json::Value {
    let environments: Vec<_> = checked
        .iter()
        .map(|Checked { name, objects, unchecked, problems, set }| {
            let valid = !problems.iter().any(Problem::is_error);
            let decommission = set.as_ref().is_some_and(|set| set.environment.decommission);
            json!({
                "name": name, "valid": valid, "objects": objects, "decommission": decommission, "unchecked": unchecked,
                "problems": problems,
            })
        })
        .collect();
    let policies = json!({ "count": world.policies.len(), "problems": policies });
    json!({ "schema": "tidegate.validate/v1", "environments": environments, "policies": policies })
}

//! `tidegate render <env>`: what would be sent, byte for byte the same on any host. Values of Secrets are masked.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tidegate_core::object::DesiredObject;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::render::{mask_secrets, to_yaml};
use tidegate_core::schema::Catalogue;

use super::exit::{Exit, Failure};
use super::options::Global;
use super::problems;
use crate::source::Revision;
use crate::world::{DesiredSet, Scopes, World};

/// Masks in renders are digests without a key of their own: the same value gives the same mask, so that two renders can
/// be compared; a short digest of a secret worth the name cannot be turned back.
const MASK_KEY: &[u8] = b"tidegate.render/v1";

/// What to render.
#[derive(Debug, clap::Args)]
pub struct RenderArgs {
    /// The environment
    pub environment: String,
    /// The repository or a folder in it, its files as they are, uncommitted changes included [default: what the flag --repo
    /// names, the newest commit if it is bare or a URL; else the folder that we are in or below, if it has environments;
    /// else what TIDEGATE_REPO names]
    pub path: Option<PathBuf>,
    /// Render this commit instead of the files
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
}

/// Renders and prints.
pub async fn run(global: &Global, args: &RenderArgs) -> Result<Exit, Failure> {
    let world = super::world::read(global, args.path.as_deref(), args.reference.as_deref()).await?;
    super::world::say_revision(global, &world);
    let set = load(global, &world, &args.environment)?;
    let masked: Vec<Arc<DesiredObject>> = set
        .objects
        .iter()
        .map(|object| {
            let value = mask_secrets(object.value(), MASK_KEY);
            Arc::new(DesiredObject::clone(object).with_value(value))
        })
        .collect();
    let values: Vec<_> = masked.iter().map(|object| object.value()).collect();
    let data = json!({
        "schema": "tidegate.render/v1", "environment": args.environment, "planId": set.plan_id, "objects": values,
    });
    global.print(&to_yaml(&masked), &data);
    Ok(Exit::Ok)
}

/// The failure of a repository that has no environment at all.
pub fn no_environments(global: &Global, world: &World) -> Failure {
    let place = match &world.revision {
        Revision::Commit(commit) => format!("at {}", commit.short()),
        // It was said already which one.
        Revision::Folder(_) => "in this folder".to_owned(),
    };
    let problem = Problem::error(Code::EnvironmentMissing, format!("there are no environments {place}"))
        .help("an environment is a folder `environments/<name>` with an `environment.yaml`");
    Failure::new(Exit::Invalid, problems::render(&problem, None, global.error_style()))
}

/// The objects of one environment, or its problems on stderr.
pub fn load(global: &Global, world: &World, name: &str) -> Result<DesiredSet, Failure> {
    let style = global.error_style();
    let Some(target) = world.environments.get(name) else {
        let problem = crate::world::unknown_environment(name, world);
        return Err(Failure::new(Exit::Invalid, problems::render(&problem, None, style)));
    };
    let scopes = Scopes { cluster: None, catalogue: Catalogue::kubernetes_1_35() };
    target.load(&scopes).map_err(|all| {
        let mut text: String =
            all.iter().map(|problem| problems::render(problem, Some(&world.files), style)).collect();
        text.push_str(&format!("{name}: {}", problems::count(&all)));
        Failure::new(Exit::Invalid, text)
    })
}

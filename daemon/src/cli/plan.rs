//! `tidegate plan [env]`: what a change in git would do, before it is merged.
//!
//! Two parts that are never mixed: what two commits of a clone say, the same on any host and without a cluster; and with
//! `--live`, what the clusters say about it now.

mod live;
mod sides;
mod text;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tidegate_core::problem::Problem;
use tidegate_core::review::live::Live;
use tidegate_core::review::markdown::{Comment, markdown};
use tidegate_core::review::{Review, review};

use super::exit::{Exit, Failure};
use super::options::{Given, Global, print};
use super::problems;
use crate::source::{LocalClone, Named};
use sides::{Comparison, Wanted};

/// What to compare.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// The environment; all of them when none is named
    pub environment: Option<String>,
    /// The clone, or a folder in it [default: what --repo names, else the folder that we are in]
    pub path: Option<PathBuf>,
    /// The commit to compare with: a branch, tag or id, exactly as it is [default: the newest commit that the default branch
    /// and head have in common, which is what a merge starts from]
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// The commit that would be applied
    #[arg(long, value_name = "REF", default_value = "HEAD")]
    pub head: String,
    /// Ask the clusters too: a server-side dry-run, and hand-made changes that would be overwritten
    #[arg(long)]
    pub live: bool,
    /// Print Markdown for a pull request, shorter than 60 kB
    #[arg(long, conflicts_with = "output")]
    pub markdown: bool,
    /// Exit with 1 when something changes
    #[arg(long)]
    pub exit_code: bool,
}

/// Compares, asks, prints.
pub async fn run(global: &Global, args: &PlanArgs) -> Result<Exit, Failure> {
    let comparison = read(global, args).await?;
    let all = review(&comparison.environments);
    let wanted = |name: &str| args.environment.as_ref().is_none_or(|env| env == name);
    let review = all.only(wanted);
    if review.environments.is_empty() {
        return Err(no_environment(global, args, &comparison));
    }
    let mut lives = Vec::new();
    if args.live {
        for environment in &review.environments {
            let compared = comparison.environments.iter().find(|compared| compared.name == environment.name);
            let asked = environment.has_changes() || args.environment.is_some();
            if let Some(compared) = compared.filter(|_| asked) {
                lives.extend(live::ask(global, compared, environment).await);
            }
        }
    }
    let live: Vec<Live> = lives.iter().map(|answer| answer.live.clone()).collect();
    if args.markdown {
        print(&markdown(&Comment {
            review: &review,
            base: &comparison.base_label(),
            head: &comparison.head_label(),
            notes: &comparison.notes,
            live: &live,
        }));
    } else {
        let text = text::text(global, &comparison, &review, &live);
        global.print(&text, &data(&comparison, &review, args.live.then_some(&live)));
    }
    Ok(exit(args, &review, &lives))
}

/// Reads both commits where blocking is no harm, within the time that the command may take.
async fn read(global: &Global, args: &PlanArgs) -> Result<Comparison, Failure> {
    let here = Path::new(".");
    let place = match (&args.path, &global.repo, global.repo_given) {
        (Some(path), _, _) => path.clone(),
        // The variable is there for the daemon's sake; whoever stands in a clone means this.
        (None, Some(_), Given::Variable) if LocalClone::open(here).is_ok() => here.to_owned(),
        (None, Some(repo), Given::Variable | Given::Flag | Given::Nowhere) => PathBuf::from(repo),
        (None, None, _) => here.to_owned(),
    };
    let shown = place.display().to_string();
    let wanted =
        Wanted { place, subpath: global.subpath.clone(), base: args.base.clone(), head: args.head.clone() };
    let reading = tokio::task::spawn_blocking(move || sides::compare(&wanted));
    match tokio::time::timeout(global.timeout, reading).await {
        Ok(Ok(Ok(comparison))) => Ok(comparison),
        Ok(Ok(Err(all))) => {
            let style = global.error_style();
            let text: String = all.iter().map(|problem| problems::render(problem, None, style)).collect();
            Err(Failure::new(Exit::OutOfReach, text))
        }
        Ok(Err(_)) => Err(Failure::new(Exit::OutOfReach, format!("reading {shown} crashed"))),
        Err(_) => Err(Failure::new(Exit::TimedOut, format!("{shown} could not be read in time"))),
    }
}

fn no_environment(global: &Global, args: &PlanArgs, comparison: &Comparison) -> Failure {
    let message = match &args.environment {
        Some(name) => format!("there is no environment `{name}` at base or head"),
        None => "there is no environment at base or head".to_owned(),
    };
    let known: Vec<&str> = comparison.environments.iter().map(|one| one.name.as_str()).collect();
    let known = if known.is_empty() {
        "an environment is a folder `environments/<name>` with an `environment.yaml`; --subpath names the folder that holds `environments/`".to_owned()
    } else {
        format!("environments: {}", known.join(", "))
    };
    let problem = Problem::error(tidegate_core::problem::Code::EnvironmentMissing, message).help(known);
    Failure::new(Exit::Invalid, problems::render(&problem, None, global.error_style()))
}

fn data(comparison: &Comparison, review: &Review, live: Option<&Vec<Live>>) -> Value {
    let named = |named: &Named| json!({ "name": named.name, "commit": named.commit });
    let mut data = json!({
        "schema": "tidegate.plan/v1",
        "planId": review.plan_id,
        "base": named(&comparison.base),
        "head": named(&comparison.head),
        "notes": comparison.notes,
        "summary": review.line(),
        "counts": review.counts(),
        "environments": review.environments,
    });
    if let (Some(live), Some(fields)) = (live, data.as_object_mut()) {
        fields.insert("live".to_owned(), json!(live));
    }
    data
}

fn exit(args: &PlanArgs, review: &Review, live: &[live::Answer]) -> Exit {
    let refused = live.iter().any(|answer| {
        let objects = answer.live.objects.iter().flat_map(|object| &object.problems);
        answer.live.problems.iter().chain(objects).any(Problem::is_error)
    });
    if review.counts().errors > 0 || refused {
        return Exit::Invalid;
    }
    if let Some(exit) = live.iter().find_map(|answer| answer.exit) {
        return exit;
    }
    if args.exit_code && review.changed() > 0 { Exit::Changes } else { Exit::Ok }
}

//! `tidegate tree [env[/object]]`: the live objects of an environment with what they own, down to pods, and the first
//! reason why something is not well.

use serde_json::{Value, json};
use tidegate_core::health::{Health, HealthState, environment_health};

use super::exit::{Exit, Failure};
use super::family::{self, Family, Member, first_failing};
use super::options::Global;
use super::style::{Style, Tone};
use super::target::{self, exit_with, say_away};

/// What to show.
#[derive(Debug, clap::Args)]
pub struct TreeArgs {
    /// ENVIRONMENT, ENVIRONMENT/OBJECT or ENVIRONMENT/KIND/OBJECT; all environments when none is named
    #[arg(value_name = "ENVIRONMENT[/OBJECT]")]
    pub target: Option<String>,
}

/// One environment as it is shown.
struct Shown {
    name: String,
    family: Family,
}

/// Reads and prints.
pub async fn run(global: &Global, args: &TreeArgs) -> Result<Exit, Failure> {
    let (name, object) =
        match args.target.as_deref().map(|target| target.split_once('/').unwrap_or((target, ""))) {
            Some((name, object)) => (Some(name), object),
            None => (None, ""),
        };
    let (mut shown, away) = read(global, name).await?;
    if !object.is_empty() {
        for environment in &mut shown {
            only(environment, object)?;
        }
    }
    // What could not be read is not nothing.
    let none_known = shown.is_empty() && !away.is_empty();
    let text = if none_known { String::new() } else { text(&shown, global.style()) };
    global.print(&text, &data(&shown));
    say_away(global, &away);
    Ok(exit_with(&away, Exit::Ok))
}

async fn read(global: &Global, name: Option<&str>) -> Result<(Vec<Shown>, Vec<target::Away>), Failure> {
    let read = family::of(global, name).await?;
    let shown = read.found.into_iter().map(|(name, family)| Shown { name, family });
    Ok((shown.collect(), read.away))
}

/// Leaves the objects of this name, wherever they stand in the tree.
fn only(shown: &mut Shown, object: &str) -> Result<(), Failure> {
    let (kind, name) = object.split_once('/').map_or((None, object), |(kind, name)| (Some(kind), name));
    let is_meant = |member: &Member| {
        member.id.name == name && kind.is_none_or(|kind| kind.eq_ignore_ascii_case(&member.id.kind))
    };
    let all: Vec<&Member> = shown.family.members.iter().flat_map(Member::all).collect();
    let found: Vec<Member> =
        all.iter().filter(|member| is_meant(member)).map(|member| (*member).clone()).collect();
    if found.is_empty() {
        let names: Vec<&str> = all.iter().map(|member| member.id.name.as_str()).collect();
        let near = tidegate_core::schema::suggest::nearest(name, names.into_iter());
        let help = near.map(|near| format!("\n  help: did you mean `{near}`?")).unwrap_or_default();
        return Err(Failure::new(Exit::Invalid, format!("`{}` has no object `{object}`{help}", shown.name)));
    }
    shown.family.members = found;
    Ok(())
}

fn health(shown: &Shown) -> Health {
    environment_health(shown.family.members.iter().map(|member| (member.id.clone(), member.health.clone())))
}

fn text(shown: &[Shown], style: Style) -> String {
    if shown.is_empty() {
        return "no environments: no daemon has recorded any in this cluster yet\n".to_owned();
    }
    let mut text = String::new();
    for environment in shown {
        let (tone, mark) = style.health(health(environment).state);
        let members = &environment.family.members;
        let first = first_failing(members).map(|member| format!(": {}: {}", member.id, member.health.reason));
        let name = style.paint(Tone::Strong, &environment.name);
        text.push_str(&format!(
            "{} {name}{}\n",
            style.paint(tone, mark),
            printable(&first.unwrap_or_default())
        ));
        branches(&mut text, members, "", style);
        if environment.family.truncated {
            text.push_str("  … and more than is read at once\n");
        }
    }
    text
}

/// Recurses as deep as the tree, whose depth is limited.
fn branches(text: &mut String, members: &[Member], indent: &str, style: Style) {
    for (index, member) in members.iter().enumerate() {
        let last = index + 1 == members.len();
        let (branch, below) = if last {
            (style.pick("└─ ", "`- "), "   ")
        } else {
            (style.pick("├─ ", "|- "), style.pick("│  ", "|  "))
        };
        let Member { id, uid: _, health: Health { state, reason }, children } = member;
        let (tone, mark) = style.health(*state);
        // Of what is well there is nothing to say.
        let reason = if *state == HealthState::Healthy { String::new() } else { format!(": {reason}") };
        let mark = style.paint(tone, mark);
        text.push_str(&format!("{indent}{branch}{mark} {}\n", printable(&format!("{id}{reason}"))));
        branches(text, children, &format!("{indent}{below}"), style);
    }
}

/// Without the characters that could change a terminal: messages come from the cluster.
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn data(shown: &[Shown]) -> Value {
    let environment = |shown: &Shown| {
        let Health { state, reason } = health(shown);
        let members = &shown.family.members;
        let first = first_failing(members)
            .map(|member| json!({ "object": member.id, "reason": member.health.reason }));
        json!({
            "name": shown.name, "status": state, "reason": reason, "firstFailing": first,
            "objects": members.iter().map(node).collect::<Vec<_>>(), "truncated": shown.family.truncated,
        })
    };
    json!({ "schema": "tidegate.tree/v1", "environments": shown.iter().map(environment).collect::<Vec<_>>() })
}

fn node(member: &Member) -> Value {
    let Member { id, uid, health: Health { state, reason }, children } = member;
    json!({
        "group": id.group, "kind": id.kind, "namespace": id.namespace, "name": id.name, "uid": uid, "status": state,
        "reason": reason, "children": children.iter().map(node).collect::<Vec<_>>(),
    })
}

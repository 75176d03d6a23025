//! Who asks: for the records that `suspend`, `resume` and `sync --rewind` leave. Not proof of who it was; the API
//! server's audit log has that.

use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, Client};
use tokio::process::Command;

use crate::cluster::call::once;

/// Git answers from files; a home on a slow network does not hold the command up for longer.
const GIT_DEADLINE: Duration = Duration::from_secs(2);
/// Longer names are cut: they stand on one line of `status`.
const NAME_CAP: usize = 100;

/// The person's name as git or this machine knows it, and the identity that the cluster sees, e.g.
/// `Ada Ops (kubernetes-admin)`.
pub async fn person(client: &Client) -> String {
    let (name, identity) = tokio::join!(name(), identity(client));
    named(name.as_deref(), identity.as_deref())
}

fn named(name: Option<&str>, identity: Option<&str>) -> String {
    match (name.and_then(clean), identity.and_then(clean)) {
        (Some(name), Some(identity)) if name != identity => format!("{name} ({identity})"),
        (Some(name), _) => name,
        (None, Some(identity)) => identity,
        (None, None) => "an unknown person".to_owned(),
    }
}

/// The author of this person's commits, else who is logged in.
async fn name() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["config", "--get", "user.name"]).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let author = match tokio::time::timeout(GIT_DEADLINE, git.output()).await {
        Ok(Ok(output)) if output.status.success() => clean(&String::from_utf8_lossy(&output.stdout)),
        Ok(Ok(_) | Err(_)) | Err(_) => None,
    };
    let variable = |name: &&str| std::env::var(name).ok().as_deref().and_then(clean);
    author.or_else(|| ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(variable))
}

/// Who the API server takes us for; servers before 1.28 do not say.
async fn identity(client: &Client) -> Option<String> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = once(api.create(&kube::api::PostParams::default(), &SelfSubjectReview::default())).await;
    review.ok()?.status?.user_info?.username
}

/// On one line and of a sensible length; none when nothing is left.
fn clean(text: &str) -> Option<String> {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(NAME_CAP).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_named_by_all_that_is_known_of_them() {
        let named = |name: &str, identity: &str| named(Some(name), Some(identity));
        assert_eq!(named("Ada\n", "kubernetes-admin"), "Ada (kubernetes-admin)");
        assert_eq!(named("ada", "ada"), "ada");
        assert_eq!(named(" ", "system:serviceaccount:ci:deployer"), "system:serviceaccount:ci:deployer");
        assert_eq!(named("Ada", ""), "Ada");
        assert_eq!(named("", "\u{7}"), "an unknown person");
    }
}

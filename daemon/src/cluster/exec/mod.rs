//! Programs that a kubeconfig names for credentials (`exec`), as the cloud providers' command lines are.
//!
//! None is run unless the operator of this process allows it by name ([`Programs`]): not the kubeconfig, and nothing in git,
//! decides what runs on the daemon's machine. One that is allowed runs bounded in time and output, with an environment of
//! its own, and is asked nothing by anybody ([`run`]); its answer is read by the letter ([`credential`]) and kept until it
//! expires or is refused ([`keep`]). Neither its answer nor a part of it is in any message.

pub mod credential;
pub mod keep;
pub mod run;

use std::collections::BTreeSet;

use kube::config::{ExecConfig, ExecInteractiveMode};

use self::credential::{Version, question};
use self::run::Program;

/// The longest name of a program that a message shows.
const SHOWN_CHARS: usize = 200;

/// The programs that the operator allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programs(BTreeSet<String>);

impl Programs {
    /// These and no others; each is compared with the kubeconfig's `command` letter by letter.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// True when the operator named exactly this.
    pub fn allow(&self, command: &str) -> bool {
        self.0.contains(command)
    }
}

/// Reads a name of a program as operators give it: an absolute path, or a name that is looked up in `PATH`.
pub fn program_name(text: &str) -> Result<String, String> {
    let is_bare = !text.contains('/') && !matches!(text, "" | "." | "..");
    if text.starts_with('/') || is_bare {
        return Ok(text.to_owned());
    }
    Err("give an absolute path, or the name of a program that PATH finds".to_owned())
}

/// Why the program of a kubeconfig is not run.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The operator did not name it.
    #[error(
        "runs the program `{0}` for credentials (`exec`), which is refused: allow it by --allow-exec {0}, or by \
         TIDEGATE_ALLOW_EXEC, where tidegate is started"
    )]
    NotAllowed(String),
    /// It wants to talk to somebody.
    #[error(
        "runs a program (`exec`) with `interactiveMode: Always`, which is refused: nobody is there to answer"
    )]
    Interactive,
    /// The kubeconfig does not say what is needed.
    #[error("has an `exec` that cannot be used: {0}")]
    Unusable(&'static str),
}

/// The program of a kubeconfig, where the operator allows it.
pub fn allowed(exec: &ExecConfig, programs: &Programs) -> Result<Program, Refusal> {
    let command = exec.command.as_deref().ok_or(Refusal::Unusable("it has no `command`"))?;
    if !programs.allow(command) {
        return Err(Refusal::NotAllowed(shown(command)));
    }
    match exec.interactive_mode {
        Some(ExecInteractiveMode::Always) => return Err(Refusal::Interactive),
        Some(ExecInteractiveMode::Never | ExecInteractiveMode::IfAvailable) | None => {}
    }
    let version = exec.api_version.as_deref().and_then(Version::read).ok_or(Refusal::Unusable(
        "its `apiVersion` must be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1",
    ))?;
    let pairs = exec.env.iter().flatten();
    Ok(Program {
        command: command.to_owned(),
        arguments: exec.args.clone().unwrap_or_default(),
        environment: pairs
            .filter_map(|pair| Some((pair.get("name")?.clone(), pair.get("value")?.clone())))
            .collect(),
        question: question(version, exec.cluster.as_ref()),
        version,
    })
}

fn shown(command: &str) -> String {
    command.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(command: &str) -> ExecConfig {
        ExecConfig {
            command: Some(command.to_owned()),
            api_version: Some("client.authentication.k8s.io/v1".to_owned()),
            ..ExecConfig::default()
        }
    }

    #[test]
    fn a_program_is_allowed_by_exactly_the_name_that_the_kubeconfig_gives() {
        let programs = Programs::new(["aws".to_owned(), "/usr/local/bin/login".to_owned()]);
        assert!(allowed(&exec("aws"), &programs).is_ok());
        assert!(allowed(&exec("/usr/local/bin/login"), &programs).is_ok());
        for other in
            ["/usr/bin/aws", "/tmp/aws", "login", "aws ", "./aws", "AWS", "/usr/local/bin/../bin/login"]
        {
            let refused = allowed(&exec(other), &programs).err().map(|refusal| refusal.to_string());
            let refused = refused.unwrap_or_default();
            assert!(refused.contains(&format!("--allow-exec {other}")), "{other}: {refused}");
        }
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        assert!(matches!(allowed(&exec("aws"), &Programs::default()), Err(Refusal::NotAllowed(_))));
    }

    #[test]
    fn a_program_that_talks_to_people_or_an_unknown_version_is_refused() {
        let programs = Programs::new(["aws".to_owned()]);
        let asks = ExecConfig { interactive_mode: Some(ExecInteractiveMode::Always), ..exec("aws") };
        assert!(matches!(allowed(&asks, &programs), Err(Refusal::Interactive)));
        let old = "client.authentication.k8s.io/v1alpha1";
        let old = ExecConfig { api_version: Some(old.to_owned()), ..exec("aws") };
        assert!(matches!(allowed(&old, &programs), Err(Refusal::Unusable(_))));
        let nothing = ExecConfig { command: None, ..exec("aws") };
        assert!(matches!(allowed(&nothing, &programs), Err(Refusal::Unusable(_))));
    }

    #[test]
    fn an_operator_names_paths_from_the_root_or_bare_names() {
        assert!(program_name("/usr/bin/aws").is_ok() && program_name("aws").is_ok());
        for wrong in ["", ".", "..", "bin/aws", "./aws"] {
            assert!(program_name(wrong).is_err(), "{wrong}");
        }
    }
}

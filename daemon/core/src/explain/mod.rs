//! The catalogue of codes: what each one means, an example that gives it, and what to do. For `tidegate explain`.
//!
//! Texts only, and the way to run an example through the same functions that read a commit. A new [`Code`] does not
//! compile before it stands in [`explain`].

mod cluster;
mod config;
mod example;
mod files;
mod rollout;
mod schema;
mod source;

use crate::problem::Code;

pub use example::{EXAMPLE_ENVIRONMENT, problems, tree};

/// What a code means to the person who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// One line, without a full stop.
    pub title: &'static str,
    /// Why this is a problem, and what Tidegate does about it. Whole sentences.
    pub meaning: &'static str,
    /// How it comes about.
    pub example: Example,
    /// What to do. Whole sentences.
    pub remedy: &'static str,
}

/// How a code comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Example {
    /// Files of a repository that give it, by path. Where `environments/dev/environment.yaml` is not among them, it is
    /// [`EXAMPLE_ENVIRONMENT`].
    Files(&'static [(&'static str, &'static [u8])]),
    /// It takes more than files: what happens, and what is said then.
    Situation {
        /// What happens. A whole sentence.
        when: &'static str,
        /// The message, as it is printed after the code.
        says: &'static str,
    },
    /// Nothing in this version reports it; says what stands in its place. A whole sentence.
    Unused(&'static str),
}

/// What a code means.
pub fn explain(code: Code) -> &'static Explanation {
    match code {
        Code::YamlSyntax => &files::SYNTAX,
        Code::YamlDuplicateKey => &files::DUPLICATE_KEY,
        Code::YamlBudget => &files::BUDGET,
        Code::YamlEncoding => &files::ENCODING,
        Code::YamlAmbiguous => &files::AMBIGUOUS,
        Code::YamlUnsupported => &files::UNSUPPORTED,
        Code::NotAnObject => &files::NOT_AN_OBJECT,
        Code::DuplicateObject => &files::DUPLICATE_OBJECT,
        Code::GenerateName => &files::GENERATE_NAME,
        Code::ConfigField => &config::FIELD,
        Code::EnvironmentName => &config::NAME,
        Code::SourcePath => &config::SOURCE_PATH,
        Code::Substitution => &config::SUBSTITUTION,
        Code::Patch => &config::PATCH,
        Code::DependsOn => &config::DEPENDS_ON,
        Code::NotSupported => &config::NOT_SUPPORTED,
        Code::TreeEntry => &config::TREE_ENTRY,
        Code::PolicyName => &config::POLICY_NAME,
        Code::UnknownField => &schema::UNKNOWN_FIELD,
        Code::FieldValue => &schema::FIELD_VALUE,
        Code::MissingField => &schema::MISSING_FIELD,
        Code::UnknownKind => &schema::UNKNOWN_KIND,
        Code::NamespaceNotAllowed => &schema::NAMESPACE,
        Code::ClusterScopedNotAllowed => &schema::CLUSTER_SCOPED,
        Code::DeprecatedVersion => &schema::DEPRECATED,
        Code::WaveOrder => &schema::WAVE_ORDER,
        Code::Guardrail => &config::GUARDRAIL,
        Code::Rejected => &cluster::REJECTED,
        Code::Immutable => &cluster::IMMUTABLE,
        Code::Ownership => &cluster::OWNERSHIP,
        Code::DependencyFailed => &cluster::DEPENDENCY,
        Code::PruneBudget => &cluster::PRUNE_BUDGET,
        Code::HealthDeadline => &cluster::HEALTH_DEADLINE,
        Code::Forbidden => &cluster::FORBIDDEN,
        Code::Conflict => &cluster::CONFLICT,
        Code::ApplyDeadline => &cluster::APPLY_DEADLINE,
        Code::RolledBack => &cluster::ROLLED_BACK,
        Code::RolloutRejected => &cluster::ROLLOUT_REJECTED,
        Code::RolloutHalted => &cluster::ROLLOUT_HALTED,
        Code::RolloutStuck => &cluster::ROLLOUT_STUCK,
        Code::SourceUnreachable => &source::UNREACHABLE,
        Code::SourceRewound => &source::REWOUND,
        Code::ClusterUnreachable => &source::CLUSTER,
        Code::EnvironmentMissing => &source::MISSING,
        Code::ClusterMoved => &source::MOVED,
        Code::LedgerBehind => &source::LEDGER_BEHIND,
        Code::LedgerAltered => &source::LEDGER_ALTERED,
        Code::RolloutPolicies => &rollout::POLICIES,
        Code::RolloutUnmatched => &rollout::UNMATCHED,
        Code::RolloutKind => &rollout::KIND,
        Code::RolloutService => &rollout::SERVICE,
        Code::RolloutTraffic => &rollout::TRAFFIC,
        Code::RolloutPods => &rollout::PODS,
        Code::RolloutSizing => &rollout::SIZING,
        Code::RolloutName => &rollout::NAME,
        Code::RolloutUnproven => &rollout::UNPROVEN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Severity;

    #[test]
    fn every_code_says_what_it_means_and_what_to_do() {
        for code in Code::ALL {
            let Explanation { title, meaning, example: _, remedy } = explain(*code);
            assert!(!title.is_empty() && !title.ends_with('.'), "{code}: {title}");
            assert!(meaning.len() > 60 && meaning.ends_with('.'), "{code}: {meaning}");
            assert!(remedy.len() > 30 && remedy.ends_with('.'), "{code}: {remedy}");
        }
    }

    #[test]
    fn no_two_codes_share_an_explanation() {
        let titles: std::collections::BTreeSet<&str> =
            Code::ALL.iter().map(|code| explain(*code).title).collect();
        assert_eq!(titles.len(), Code::ALL.len());
    }

    #[test]
    fn every_example_of_files_gives_its_code_and_no_other_error() {
        let mut run = 0;
        for code in Code::ALL {
            let Example::Files(files) = explain(*code).example else { continue };
            let found = problems(files);
            let others: Vec<String> = found
                .iter()
                .filter(|problem| problem.severity == Severity::Error && problem.code != *code)
                .map(ToString::to_string)
                .collect();
            assert!(found.iter().any(|problem| problem.code == *code), "{code} is not given: {found:#?}");
            assert_eq!(others, Vec::<String>::new(), "{code}");
            assert!(found.iter().all(|problem| problem.location.is_some()), "{code}: {found:#?}");
            run += 1;
        }
        assert!(run >= 24, "{run} examples were run");
    }

    #[test]
    fn the_environment_beside_the_examples_is_good() {
        let manifest = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n".as_slice();
        assert_eq!(problems(&[("environments/dev/a.yaml", manifest)]), []);
    }
}

//! The folder `policies/` of one commit, and what an environment takes from it.
//!
//! A broken file breaks the environments that name a policy of it, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::read::{self, PolicyFile};
use super::{HealthRule, Policies, Policy, RolloutPolicy, window_names};
use crate::desired::Placed;
use crate::ids::Digest;
use crate::location::Location;
use crate::problem::{Code, Problem};
use crate::schema::suggest;
use crate::tree::FileTree;

/// The folder that holds the policies; folders in it are read too.
pub const FOLDER: &str = "policies";
/// Policies of one commit.
const MAX_POLICIES: usize = 1000;
/// Names that are told where one is unknown.
const KNOWN_SHOWN: usize = 20;
/// How files end that are read.
const ENDINGS: [&str; 3] = [".yaml", ".yml", ".json"];

/// All policies of one commit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PolicyFolder {
    files: BTreeMap<Arc<str>, Vec<Problem>>,
    policies: BTreeMap<String, Named>,
}

/// A policy that has a name, whatever else is wrong with it.
#[derive(Debug, Clone, PartialEq)]
struct Named {
    location: Location,
    policy: Option<Policy>,
}

/// What a name has to be the name of.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    /// Any policy, as environments name them.
    Any,
    /// What a gate waits for.
    Window,
}

/// What was read last; the same files are not parsed again.
#[derive(Debug, Default)]
pub struct KnownPolicies {
    last: Option<(Digest, Arc<PolicyFolder>)>,
}

impl KnownPolicies {
    /// The folder of these files.
    pub fn read(&mut self, tree: &FileTree) -> Arc<PolicyFolder> {
        let digest = tree.digest_below(FOLDER);
        match &self.last {
            Some((last, folder)) if *last == digest => folder.clone(),
            Some(_) | None => {
                let folder = Arc::new(PolicyFolder::read(tree));
                self.last = Some((digest, folder.clone()));
                folder
            }
        }
    }
}

impl PolicyFolder {
    /// Reads every file of the folder.
    pub fn read(tree: &FileTree) -> Self {
        let mut folder = Self::default();
        for (path, bytes) in tree.below(FOLDER).filter(|(path, _)| is_policy(path)) {
            let path: Arc<str> = Arc::from(path);
            let PolicyFile { documents, problems } = read::file(&path, bytes);
            folder.files.insert(path, problems);
            for read::PolicyDocument { name, location, policy } in documents {
                folder.add(name, Named { location, policy });
            }
        }
        folder.check_windows();
        folder
    }

    fn add(&mut self, name: String, named: Named) {
        if let Some(first) = self.policies.get(&name) {
            let problem = Problem::error(Code::PolicyName, format!("two policies are called `{name}`"));
            let problem = problem.at(named.location.clone()).related("the first one", first.location.clone());
            let problem =
                problem.help("environments name policies whatever their kind: give each its own name");
            // Which of the two an environment means is not known, so neither may be used.
            let files = BTreeSet::from([first.location.file.clone(), named.location.file.clone()]);
            for file in files {
                self.report(&file, problem.clone());
            }
        } else if self.policies.len() < MAX_POLICIES {
            self.policies.insert(name, named);
        } else {
            let message = format!("there are more than {MAX_POLICIES} policies");
            let problem = Problem::error(Code::YamlBudget, message).at(named.location.clone());
            self.report(&named.location.file.clone(), problem);
        }
    }

    fn report(&mut self, file: &Arc<str>, problem: Problem) {
        let problems = self.files.entry(file.clone()).or_default();
        problems.push(problem);
        problems.sort_by(|left, right| left.location.cmp(&right.location));
    }

    /// Gates name windows; a name that nothing has would keep traffic from moving for ever.
    fn check_windows(&mut self) {
        let mut problems = Vec::new();
        for named in self.policies.values() {
            let Some(Policy::Rollout(policy)) = &named.policy else { continue };
            for (name, gate) in window_names(policy) {
                let problem = match self.policies.get(name) {
                    Some(Named { policy: Some(Policy::Window(_)) | None, location: _ }) => continue,
                    Some(Named { policy: Some(_), location }) => {
                        let message =
                            format!("`{name}` is no ChangeWindow, and a gate waits for windows only");
                        Problem::error(Code::PolicyName, message).related("what it is", location.clone())
                    }
                    None => self.unknown(name, Wanted::Window),
                };
                problems.push((gate.location.file.clone(), problem.at(gate.location.clone())));
            }
        }
        for (file, problem) in problems {
            self.report(&file, problem);
        }
    }

    /// Adds the windows that the gates of a policy name; the files that they stand in.
    fn bring_windows(&self, rollout: &RolloutPolicy, policies: &mut Policies) -> BTreeSet<Arc<str>> {
        let mut files = BTreeSet::new();
        for (name, _) in window_names(rollout) {
            let Some(Named { location, policy }) = self.policies.get(name) else { continue };
            files.insert(location.file.clone());
            if let Some(Policy::Window(window)) = policy {
                policies.gate_windows.insert(name.clone(), window.clone());
            }
        }
        files
    }

    fn unknown(&self, name: &str, wanted: Wanted) -> Problem {
        let (what, many) = match wanted {
            Wanted::Any => ("policy", "policies"),
            Wanted::Window => ("ChangeWindow", "ChangeWindows"),
        };
        let problem = Problem::error(Code::PolicyName, format!("there is no {what} `{name}` in {FOLDER}/"));
        let is_wanted = |named: &Named| match (wanted, &named.policy) {
            (Wanted::Any, _) | (Wanted::Window, Some(Policy::Window(_)) | None) => true,
            (Wanted::Window, Some(_)) => false,
        };
        let known = self.policies.iter().filter(|(_, named)| is_wanted(named));
        let known: Vec<&str> = known.map(|(name, _)| name.as_str()).collect();
        let help = match (suggest::nearest(name, known.iter().copied()), self.nameless().next()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(file)) => format!("it may stand in {file}, which cannot be read"),
            (None, None) if known.is_empty() => format!("{FOLDER}/ holds no {many}"),
            (None, None) => {
                format!("known: {}", known.into_iter().take(KNOWN_SHOWN).collect::<Vec<_>>().join(", "))
            }
        };
        problem.help(help)
    }

    /// Files with an error that keeps even the name of a policy from being known.
    fn nameless(&self) -> impl Iterator<Item = &Arc<str>> {
        let broken = self.files.iter().filter(|(_, problems)| problems.iter().any(Problem::is_error));
        let is_named = |file: &Arc<str>| self.policies.values().any(|named| named.location.file == *file);
        broken.map(|(file, _)| file).filter(move |file| !is_named(file))
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Everything that is wrong in the folder, in order of the places.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.files.values().flatten().cloned().collect();
        problems.sort_by(|left, right| left.location.cmp(&right.location));
        problems.dedup();
        problems
    }

    /// What an environment names, in its order; or everything that keeps it from having it.
    pub fn select(&self, names: &[Placed<String>]) -> Result<Policies, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut files = BTreeSet::new();
        let mut policies = Policies::default();
        for Placed { value: name, location: place } in names {
            if let Some(Named { location, policy }) = self.policies.get(name) {
                files.insert(location.file.clone());
                problems
                    .extend(second_rule(policy.as_ref(), &policies).map(|problem| problem.at(place.clone())));
                policies.extend(policy.as_ref());
                if let Some(Policy::Rollout(policy)) = policy {
                    files.extend(self.bring_windows(policy, &mut policies));
                }
            } else {
                problems.push(self.unknown(name, Wanted::Any).at(place.clone()));
                // It may stand in a file that could not be read.
                let broken = self.files.iter().filter(|(_, problems)| problems.iter().any(Problem::is_error));
                files.extend(broken.map(|(file, _)| file.clone()));
            }
        }
        let found = files.iter().filter_map(|file| self.files.get(file)).flatten().cloned();
        problems.extend(found);
        problems.sort_by(|left, right| left.location.cmp(&right.location));
        problems.dedup();
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        policies.warnings = problems;
        Ok(policies)
    }
}

/// The problem of a health rule for a kind that has one already.
fn second_rule(policy: Option<&Policy>, policies: &Policies) -> Option<Problem> {
    let Some(Policy::HealthRule(rule)) = policy else { return None };
    let is_same = |first: &&Arc<HealthRule>| first.group == rule.group && first.kind == rule.kind;
    let first = policies.health_rules.iter().find(is_same)?;
    let message = format!("`{}` and `{}` are both the health rule of {}", first.name, rule.name, rule.kind);
    let problem = Problem::error(Code::ConfigField, message).related("the first one", first.location.clone());
    Some(problem.related("the second one", rule.location.clone()).help("name one of them"))
}

fn is_policy(path: &str) -> bool {
    let below = path.strip_prefix(FOLDER).unwrap_or(path);
    let hidden = below.split('/').any(|part| part.starts_with('.'));
    !hidden && ENDINGS.iter().any(|ending| path.ends_with(ending))
}

//! What is wrong, where, and what to do: the one shape of every error that people see.
//!
//! Not for programming errors, and not the API server's raw replies (the shell turns those into problems).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::location::Location;
use crate::object::ObjectRef;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The environment is not applied (or the object is not).
    Error,
    /// Applied all the same, and reported.
    Warning,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Stable codes of problems. A code is never reused for another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)+
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as it is printed, e.g. `E0101`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

codes! {
    /// The bytes are not YAML.
    YamlSyntax = "E0101",
    /// A mapping has the same key twice.
    YamlDuplicateKey = "E0102",
    /// A budget on bytes, nodes, depth or aliases is exceeded.
    YamlBudget = "E0103",
    /// The bytes are not UTF-8.
    YamlEncoding = "E0104",
    /// An unquoted scalar that YAML 1.1 and 1.2 read differently stands where a text belongs.
    YamlAmbiguous = "E0105",
    /// A mapping key is not a text, or a value cannot stand in JSON.
    YamlUnsupported = "E0106",
    /// A document is not a Kubernetes object (apiVersion, kind, metadata.name).
    NotAnObject = "E0110",
    /// The same object stands twice in one environment.
    DuplicateObject = "E0111",
    /// `generateName` has no place in desired state.
    GenerateName = "E0112",
    /// A field of one of our own files is unknown, missing or of the wrong type.
    ConfigField = "E0201",
    /// The environment's name is not that of its folder.
    EnvironmentName = "E0202",
    /// A source does not exist or leaves the repository.
    SourcePath = "E0203",
    /// `${NAME}` is not defined, or badly written.
    Substitution = "E0204",
    /// A patch matches nothing, or fails.
    Patch = "E0205",
    /// `dependsOn` names an unknown environment or forms a cycle.
    DependsOn = "E0206",
    /// The environment uses something that this version does not do.
    NotSupported = "E0207",
    /// A symlink, submodule or unreadable entry inside a read path.
    TreeEntry = "E0208",
    /// A policy is named that does not exist, or two have one name.
    PolicyName = "E0209",
    /// A field is unknown to the kind's schema.
    UnknownField = "E0301",
    /// A field has the wrong type or value.
    FieldValue = "E0302",
    /// A required field is missing.
    MissingField = "E0303",
    /// The kind or its version is unknown.
    UnknownKind = "E0304",
    /// The namespace is not on the environment's list.
    NamespaceNotAllowed = "E0305",
    /// The cluster-scoped kind is not on the environment's list.
    ClusterScopedNotAllowed = "E0306",
    /// The API version is deprecated or removed.
    DeprecatedVersion = "E0307",
    /// A Namespace or definition comes in a later wave than what needs it.
    WaveOrder = "E0308",
    /// A rule of a Guardrail does not hold.
    Guardrail = "E0309",
    /// The API server refused the object.
    Rejected = "E0401",
    /// A field is immutable.
    Immutable = "E0402",
    /// The object belongs to another tool or another environment.
    Ownership = "E0403",
    /// An object that this one needs failed.
    DependencyFailed = "E0404",
    /// The prune budget is exceeded.
    PruneBudget = "E0405",
    /// Not healthy within its deadline.
    HealthDeadline = "E0406",
    /// A gate failed, or pods were not ready in time: the revision was turned down, and what was live before still is.
    RolloutRejected = "E0407",
    /// The identity lacks a right.
    Forbidden = "E0408",
    /// The object changed again and again while it was written.
    Conflict = "E0409",
    /// Not applied whole within its deadline.
    ApplyDeadline = "E0410",
    /// A commit did not become healthy; the last good one is enforced again.
    RolledBack = "E0411",
    /// Traffic of a workload was moved by somebody else, or nothing well is left to go back to: people have to look.
    RolloutHalted = "E0412",
    /// A rollout cannot go on: the API server refuses a step, or something stands in its way.
    RolloutStuck = "E0413",
    /// The source repository is out of reach or answers nonsense.
    SourceUnreachable = "E0501",
    /// The branch was rewound, force-pushed, deleted or is empty.
    SourceRewound = "E0502",
    /// The cluster is out of reach or answers nonsense.
    ClusterUnreachable = "E0503",
    /// The environment left git without `decommission: true`.
    EnvironmentMissing = "E0504",
    /// The environment names another cluster than before; its objects stay in the old one.
    ClusterMoved = "E0505",
    /// Records of the deploy log are not pushed.
    LedgerBehind = "E0506",
    /// Somebody else wrote on the deploy log.
    LedgerAltered = "E0507",
    /// Several rollout policies match one workload.
    RolloutPolicies = "E0601",
    /// A rollout policy matches nothing.
    RolloutUnmatched = "E0602",
    /// A kind that does not roll out in colours.
    RolloutKind = "E0603",
    /// Which Service moves a workload's traffic cannot be told.
    RolloutService = "E0604",
    /// The Service cannot move traffic without lost requests.
    RolloutTraffic = "E0605",
    /// Two sets of the workload's pods cannot run side by side.
    RolloutPods = "E0606",
    /// What sizes or protects the workload cannot be split between its colours.
    RolloutSizing = "E0607",
    /// A name or label that a colour would have is taken, or too long.
    RolloutName = "E0608",
    /// The workload could not be proven before traffic moves to it.
    RolloutUnproven = "E0609",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong. Messages are one sentence without a full stop; no Secret value ever stands in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The stable code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// Where in git, when a place asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Other places that belong to it, each with what stands there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
    /// The object that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
    /// The dotted path of the field, e.g. `spec.template.spec.containers[0].image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What else there is to say, each on a line of its own, or on several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// A second place that a problem concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// What stands there, e.g. `first defined here`.
    pub note: String,
    /// The place.
    pub location: Location,
}

impl Problem {
    /// An error without a place yet.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            location: None,
            related: Vec::new(),
            object: None,
            field: None,
            notes: Vec::new(),
            help: None,
        }
    }

    /// A warning without a place yet.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// Says something more.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names the object.
    #[must_use]
    pub fn object(mut self, object: &ObjectRef) -> Self {
        self.object = Some(object.clone());
        self
    }

    /// Names the field by its dotted path.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds a second place.
    #[must_use]
    pub fn related(mut self, note: impl Into<String>, location: Location) -> Self {
        self.related.push(Related { note: note.into(), location });
        self
    }

    /// True for errors, false for warnings.
    pub fn is_error(&self) -> bool {
        match self.severity {
            Severity::Error => true,
            Severity::Warning => false,
        }
    }
}

impl fmt::Display for Problem {
    /// `error[E0101]: message` on one line, with the place in front when there is one (the form editors jump to).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}[{}]: ", self.code)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.message)
    }
}

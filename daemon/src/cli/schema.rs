//! `tidegate schema`: the JSON Schemas of the files that people write, to be put beside them for editors, and of what programs
//! read most: plans, health, and the record of an environment.

use super::exit::Exit;
use super::options::print;

const ENVIRONMENT: &str = include_str!("../../schemas/environment.schema.json");
const CHANGE_WINDOW: &str = include_str!("../../schemas/change-window.schema.json");
const GUARDRAIL: &str = include_str!("../../schemas/guardrail.schema.json");
const HEALTH_RULE: &str = include_str!("../../schemas/health-rule.schema.json");
const ROLLOUT_POLICY: &str = include_str!("../../schemas/rollout-policy.schema.json");
const HEALTH: &str = include_str!("../../schemas/health.schema.json");
const PLAN: &str = include_str!("../../schemas/plan.schema.json");
const RECORD: &str = include_str!("../../schemas/record.schema.json");

/// Which file.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// The file or output
    #[arg(value_enum, default_value = "environment")]
    pub of: Of,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Of {
    /// The file `environment.yaml`
    Environment,
    /// The policy `kind: RolloutPolicy`
    RolloutPolicy,
    /// The policy `kind: ChangeWindow`
    ChangeWindow,
    /// The policy `kind: Guardrail`
    Guardrail,
    /// The policy `kind: HealthRule`
    HealthRule,
    /// What `health -o json` prints
    Health,
    /// What `plan -o json` prints
    Plan,
    /// How one environment stands: its record in the cluster, and in `status -o json`
    Record,
}

/// Prints it as it is committed.
pub fn run(args: &SchemaArgs) -> Exit {
    print(match args.of {
        Of::Environment => ENVIRONMENT,
        Of::RolloutPolicy => ROLLOUT_POLICY,
        Of::ChangeWindow => CHANGE_WINDOW,
        Of::Guardrail => GUARDRAIL,
        Of::HealthRule => HEALTH_RULE,
        Of::Health => HEALTH,
        Of::Plan => PLAN,
        Of::Record => RECORD,
    });
    Exit::Ok
}

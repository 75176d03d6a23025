//! `tidegate schema`: the JSON Schema of the file that people write, to be put beside it for editors, and of what programs
//! read most: plans, health, and the record of an environment.

use super::exit::Exit;
use super::options::print;

const ENVIRONMENT: &str = include_str!("../../schemas/environment.schema.json");
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
        Of::Health => HEALTH,
        Of::Plan => PLAN,
        Of::Record => RECORD,
    });
    Exit::Ok
}

//! `tidegate schema`: the JSON Schema of a file that people write, to be put beside it for editors.

use super::exit::Exit;
use super::options::print;

const ENVIRONMENT: &str = include_str!("../../schemas/environment.schema.json");

/// Which file.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// The kind of file
    #[arg(value_enum, default_value = "environment")]
    pub file: File,
}

/// A kind of file that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum File {
    /// `environment.yaml`.
    Environment,
}

/// Prints it as it is committed.
pub fn run(args: &SchemaArgs) -> Exit {
    match args.file {
        File::Environment => print(ENVIRONMENT),
    }
    Exit::Ok
}

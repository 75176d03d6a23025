//! `tidegate completion <shell>`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::exit::Exit;

/// Which shell.
#[derive(Debug, clap::Args)]
pub struct CompletionArgs {
    /// The shell to complete in
    pub shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionArgs) -> Exit {
    let mut command = super::Cli::command();
    // Into memory first: a reader that goes away is no mistake of ours.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "tidegate", &mut script);
    super::options::print(&String::from_utf8_lossy(&script));
    Exit::Ok
}

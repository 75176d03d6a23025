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
    clap_complete::generate(args.shell, &mut command, "tidegate", &mut std::io::stdout());
    Exit::Ok
}

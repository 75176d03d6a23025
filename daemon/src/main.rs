//! The binary `tidegate`: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use tidegate::cli::exit::Exit;
use tidegate::cli::explain::further;
use tidegate::cli::{Cli, execute};

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors; a broken pipe on them is nobody's problem.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { Exit::Ok.code() });
        }
    };
    // The only TLS: rustls with aws-lc-rs. Installed before the first connection, so that nothing else can be.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("a TLS provider was installed before ours");
        return ExitCode::from(Exit::Usage.code());
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("failed to start: {error}");
            return ExitCode::from(Exit::Usage.code());
        }
    };
    let global = cli.global.clone();
    let ended = runtime.block_on(execute(cli));
    // Blocking reads of git that nobody waits for any more must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    match ended {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            global.complain(&failure.message);
            if let Some(further) = further(&failure.message) {
                global.say(&further);
            }
            ExitCode::from(failure.exit.code())
        }
    }
}

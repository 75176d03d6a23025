//! `tidegate run`: the daemon.

mod ledger;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::ledger::LedgerArgs;
use super::exit::{Exit, Failure};
use super::options::{Given, Global, duration};
use crate::run::{Ended, Options, run as run_daemon};
use crate::source::{
    Credentials, FolderConfig, Origin, PlainHttp, Secret, SourceConfig, SourceUrl, SshSettings, Token,
};
use crate::telemetry::{LogFormat, init_logs};

/// The shortest pause between two polls.
const POLL_MIN: Duration = Duration::from_millis(100);
/// The longest one.
const POLL_MAX: Duration = Duration::from_hours(24);

/// How the daemon runs.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The branch to follow [default: the one that the remote's HEAD names]
    #[arg(long, env = "TIDEGATE_BRANCH")]
    pub branch: Option<String>,
    /// How often the remote is asked for its tip (jittered); local repositories are watched as well
    #[arg(long, env = "TIDEGATE_POLL_INTERVAL", default_value = "10s", value_parser = poll_interval)]
    pub poll_interval: Duration,
    /// Follow the uncommitted files of a work tree instead of a repository
    #[arg(long, env = "TIDEGATE_FOLLOW", value_name = "FOLDER")]
    pub follow: Option<PathBuf>,
    /// Where [`RunArgs::follow`] comes from.
    #[arg(skip)]
    pub follow_given: Given,
    /// Where /healthz, /readyz and /metrics are served; `none` serves nothing
    #[arg(long, env = "TIDEGATE_LISTEN", default_value = "127.0.0.1:9440", value_name = "ADDRESS")]
    pub listen: String,
    /// How log lines look
    #[arg(long, env = "TIDEGATE_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// The daemon's cache; deleting it loses nothing [default: the user's cache folder]
    #[arg(long, env = "TIDEGATE_CACHE_DIR", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
    /// The name of this replica [default: the host's name and a digest of the cache folder]
    #[arg(long, env = "TIDEGATE_REPLICA")]
    pub replica: Option<String>,
    /// An address (or address/prefix) that gates may ask although it is loopback, link-local or the API server's; may be repeated
    #[arg(long, env = "TIDEGATE_ALLOW_GATE_ADDRESS", value_name = "ADDRESS", value_delimiter = ',')]
    pub allow_gate_address: Vec<tidegate_core::gate::AddressRange>,
    #[command(flatten)]
    pub ledger: LedgerArgs,
    /// Converge once and exit: 0 all live, 2 invalid, 3 not healthy, 4 out of time, 5 out of reach
    #[arg(long)]
    pub once: bool,
}

/// Runs until SIGTERM, SIGINT or, with `--once`, until everything has settled.
pub async fn run(global: &Global, args: RunArgs) -> Result<Exit, Failure> {
    init_logs(args.log_format);
    let cache = args.cache_dir.clone().unwrap_or_else(default_cache);
    std::fs::create_dir_all(&cache)
        .map_err(|error| Failure::new(Exit::Usage, format!("--cache-dir {}: {error}", cache.display())))?;
    let _lock = lock(&cache)?;
    let listen = match args.listen.as_str() {
        "none" => None,
        text => Some(text.parse::<SocketAddr>().map_err(|error| {
            Failure::new(
                Exit::Usage,
                format!("--listen {text}: {error}; write an address and a port, e.g. 0.0.0.0:9440"),
            )
        })?),
    };
    let origin = origin(global, &args, &cache)?;
    let replica = args.replica.clone().unwrap_or_else(|| replica(&cache));
    let options = Options {
        ledger: args.ledger.settings(&origin, &cache, &replica)?,
        origin,
        listen,
        replica,
        means: global.means(),
        gate_addresses: args.allow_gate_address.clone().into(),
        once: args.once.then_some(global.timeout),
    };
    let shutdown = CancellationToken::new();
    end_on_signals(&shutdown)?;
    let ended = run_daemon(options, shutdown).await;
    let ended =
        ended.map_err(|error| Failure::new(Exit::Usage, format!("--listen {}: {error}", args.listen)))?;
    conclude(global, ended)
}

fn conclude(global: &Global, ended: Ended) -> Result<Exit, Failure> {
    let (states, settled) = match ended {
        Ended::Signal => return Ok(Exit::Ok),
        Ended::NoSource(problem) => return Err(Failure::new(Exit::OutOfReach, problem.to_string())),
        Ended::Settled(states) => (states, true),
        Ended::TimedOut(states) => (states, false),
    };
    for (name, state) in &states {
        global.say(&format!("{name}: {state}"));
    }
    let any = |wanted: &str| states.values().any(|state| state == wanted);
    Ok(if any("unreachable") {
        Exit::OutOfReach
    } else if !settled {
        Exit::TimedOut
    } else if any("failed") {
        Exit::Invalid
    } else if any("degraded") || any("rolled-back") {
        Exit::Failed
    } else if any("waiting") || any("suspended") {
        Exit::Refused
    } else {
        Exit::Ok
    })
}

fn origin(global: &Global, args: &RunArgs, cache: &Path) -> Result<Origin, Failure> {
    let usage = |text: &str| Err(Failure::new(Exit::Usage, text));
    let repo = match (&args.follow, &global.repo, args.follow_given, global.repo_given) {
        (None, None, _, _) => return usage("say what to follow: --repo <URL or path>, or --follow <folder>"),
        (None, Some(repo), _, _) | (Some(_), Some(repo), Given::Variable, Given::Flag) => repo,
        (Some(folder), None, _, _) | (Some(folder), Some(_), Given::Flag, Given::Variable) => {
            return Ok(Origin::Folder(FolderConfig::new(folder.clone(), global.subpath.clone())));
        }
        (Some(_), Some(_), Given::Variable, Given::Variable) => {
            return usage("TIDEGATE_REPO and TIDEGATE_FOLLOW are both set; say --repo or --follow");
        }
        (Some(_), Some(_), Given::Flag | Given::Variable | Given::Nowhere, _) => {
            return usage("--repo and --follow exclude each other: a daemon follows one of them");
        }
    };
    let url = SourceUrl::parse(repo, PlainHttp::LoopbackOnly)
        .map_err(|error| Failure::new(Exit::Usage, format!("--repo: {error}")))?;
    let mut config = SourceConfig::new(url, cache.join("mirror"));
    config.branch.clone_from(&args.branch);
    config.subpath.clone_from(&global.subpath);
    config.poll_interval = args.poll_interval;
    config.credentials = credentials().map_err(|text| Failure::new(Exit::Usage, text))?;
    Ok(Origin::Git(config))
}

/// Credentials for git, from the environment: a token (or a file with it), an ssh key and known hosts.
pub fn credentials() -> Result<Credentials, String> {
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let token = match (std::env::var("TIDEGATE_GIT_TOKEN"), path("TIDEGATE_GIT_TOKEN_FILE")) {
        (Ok(token), _) if !token.is_empty() => Some(Token::Text(Secret::new(token))),
        (_, Some(file)) => Some(Token::File(file)),
        (_, None) => None,
    };
    let ssh =
        SshSettings { key_file: path("TIDEGATE_SSH_KEY"), known_hosts: path("TIDEGATE_SSH_KNOWN_HOSTS") };
    Ok(Credentials { token, ssh })
}

fn default_cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("tidegate/daemon")
}

/// One daemon per cache folder: two would share a mirror and a name.
fn lock(cache: &Path) -> Result<std::fs::File, Failure> {
    let path = cache.join("lock");
    let failed = |error: std::io::Error| Failure::new(Exit::Usage, format!("{}: {error}", path.display()));
    let file = std::fs::File::create(&path).map_err(failed)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(Failure::new(
            Exit::Usage,
            format!("another daemon uses {}; give this one its own --cache-dir", cache.display()),
        )),
    }
}

/// The same after a restart, so that a daemon that was killed takes its own Lease over at once.
fn replica(cache: &Path) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let host: String =
        host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let place = cache.canonicalize().unwrap_or_else(|_| cache.to_owned());
    let digest = tidegate_core::ids::Digest::of(place.as_os_str().as_encoded_bytes());
    let short = digest.as_str().get(..8).unwrap_or_default();
    format!("{}-{short}", host.trim_matches('-'))
}

fn end_on_signals(shutdown: &CancellationToken) -> Result<(), Failure> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind)
            .map_err(|error| Failure::new(Exit::Usage, format!("failed to listen for signals: {error}")))?;
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                tracing::info!("ending");
                shutdown.cancel();
            }
        });
    }
    Ok(())
}

/// How often a remote may be asked: without a floor a slip would be a flood, beyond the ceiling nothing is followed.
fn poll_interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if (POLL_MIN..=POLL_MAX).contains(&interval) { Ok(interval) } else { Err("use 100ms to 1d".to_owned()) }
}

//! The command `local-cluster`. Results go to standard output, progress and errors to standard error.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use local_cluster::image::{self, Image};
use local_cluster::parts::Parts;
use local_cluster::{Audit, Cluster, Options, prerequisites, root, status};

/// A real Kubernetes on this machine, for tests and for the demo.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Args)]
struct Named {
    /// Name of the cluster
    #[arg(long, default_value = "demo")]
    name: String,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Bring a cluster up, or what is missing of it; the first time builds Kubernetes
    Up(Up),
    /// End and remove a cluster
    Down(Named),
    /// Show the clusters of this machine and what runs of them
    Status {
        /// Only this cluster
        #[arg(long)]
        name: Option<String>,
    },
    /// Load a docker-archive into every node
    LoadImage {
        archive: PathBuf,
        #[command(flatten)]
        cluster: Named,
    },
    /// Print the path of an administrator's kubeconfig
    Kubeconfig(Named),
    /// Print the path of the cluster's kubectl
    Kubectl,
    /// Make a cluster's DNS answer a further name
    Dns {
        dns_name: String,
        address: IpAddr,
        #[command(flatten)]
        cluster: Named,
    },
    /// Build all programs into the cache, and nothing else
    Build,
    /// List missing Debian packages
    Prerequisites {
        /// Install them with apt-get, by sudo if need be
        #[arg(long)]
        install: bool,
    },
    /// Make an image of one static program, as a docker-archive
    PackImage(PackImage),
}

#[derive(Debug, Args)]
struct Up {
    #[command(flatten)]
    cluster: Named,
    /// Slice of addresses (0 to 7); the lowest free one if not given
    #[arg(long)]
    index: Option<u8>,
    #[arg(long, default_value_t = 1)]
    nodes: u8,
    /// Log every request to the API server
    #[arg(long)]
    audit: bool,
    /// A further name for pods to resolve (NAME=IP), repeatable
    #[arg(long, value_parser = parse_name)]
    dns: Vec<(String, IpAddr)>,
    /// A further flag for the API server, repeatable
    #[arg(long, allow_hyphen_values = true)]
    api_server_argument: Vec<String>,
    /// A further flag for the controller manager, repeatable
    #[arg(long, allow_hyphen_values = true)]
    controller_manager_argument: Vec<String>,
}

#[derive(Debug, Args)]
struct PackImage {
    /// Full name with a tag: docker.io/local/name:tag
    #[arg(long)]
    name: String,
    /// A static executable
    #[arg(long)]
    binary: PathBuf,
    /// The docker-archive to write
    #[arg(long)]
    out: PathBuf,
    /// An environment variable (KEY=VALUE), repeatable
    #[arg(long, value_parser = parse_variable)]
    env: Vec<(String, String)>,
    /// A word of the command, repeatable; the program alone if not given
    #[arg(long, allow_hyphen_values = true)]
    entrypoint: Vec<String>,
}

fn parse_name(text: &str) -> Result<(String, IpAddr)> {
    let (name, address) = text.split_once('=').context("expected NAME=IP")?;
    Ok((name.to_owned(), address.parse().with_context(|| format!("{address} is not an IP address"))?))
}

fn parse_variable(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').context("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    match run(Cli::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local-cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Up(up) => run_up(up),
        Verb::Down(Named { name }) => {
            root::become_root()?;
            local_cluster::down(&name)
        }
        Verb::Status { name } => show_status(name.as_deref()),
        Verb::LoadImage { archive, cluster } => {
            root::become_root()?;
            Cluster::attach(&cluster.name)?.load_image(&archive)
        }
        Verb::Kubeconfig(Named { name }) => {
            print(&format!("{}\n", local_cluster::kubeconfig(&name)?.display()));
            Ok(())
        }
        Verb::Kubectl => {
            print(&format!("{}\n", Parts::ensure()?.kubernetes("kubectl").display()));
            Ok(())
        }
        Verb::Dns { dns_name, address, cluster } => {
            root::become_root()?;
            Cluster::attach(&cluster.name)?.add_name(&dns_name, address)
        }
        Verb::Build => Parts::ensure().map(drop),
        Verb::Prerequisites { install: true } => prerequisites::install(),
        Verb::Prerequisites { install: false } => show_missing(),
        Verb::PackImage(PackImage { name, binary, out, env, entrypoint }) => {
            image::pack(&Image { name, binary, entrypoint, environment: env }, &out)
        }
    }
}

fn run_up(up: Up) -> Result<()> {
    let Up { cluster, index, nodes, audit, dns, api_server_argument, controller_manager_argument } = up;
    root::require_way_to_root()?;
    prerequisites::require_programs()?;
    if !prerequisites::is_root() {
        // As the caller, whose cache it is.
        Parts::ensure()?;
    }
    root::become_root()?;
    let audit = if audit { Audit::Metadata } else { Audit::Off };
    let options = Options {
        name: cluster.name,
        index,
        nodes,
        audit,
        dns,
        api_server_arguments: api_server_argument,
        controller_manager_arguments: controller_manager_argument,
    };
    let cluster = Cluster::up(&options)?;
    print(&format!("{}\n", cluster.kubeconfig().display()));
    Ok(())
}

fn show_status(name: Option<&str>) -> Result<()> {
    let all = status::read(name)?;
    if let (Some(name), true) = (name, all.is_empty()) {
        bail!("there is no cluster {name}");
    }
    if all.is_empty() {
        print("no clusters\n");
    }
    for status in all {
        print(&status.to_string());
    }
    Ok(())
}

fn show_missing() -> Result<()> {
    let missing = prerequisites::missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    print(&format!("{}\n", missing.join("\n")));
    bail!("missing packages; as root: {}", prerequisites::install_command(&missing))
}

/// Writes to stdout; a reader that went away is no error.
fn print(text: &str) {
    use std::io::Write as _;
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}

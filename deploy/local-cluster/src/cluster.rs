//! The life of a cluster: up, attach, use, down.
//!
//! `up` is a list of steps that each look first and act only where something is missing, so calling it again
//! resumes whatever an interrupted call left. `down` takes away by names that follow from the cluster's index, so it
//! needs nothing but the record.

use std::fs::File;
use std::net::IpAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::address::{MAX_NODES, Slice};
use crate::command::{mortal_command, run_with_input};
use crate::control_plane::ControlPlane;
use crate::names::Names;
use crate::network::Network;
use crate::node::Node;
use crate::parts::Parts;
use crate::prerequisites;
use crate::process::Programs;
use crate::progress::say;
use crate::root;
use crate::state::{Record, State};
use crate::wait::Limit;

const API_LIMIT: Limit = Limit::new("the API server's readiness", 90, 100);
const NODES_LIMIT: Limit = Limit::new("the readiness of all nodes", 120, 100);
const SERVICES_LIMIT: Limit = Limit::new("the default service account and the metrics API", 60, 100);
const ADDONS_LIMIT: Limit = Limit::new("creating the objects of CoreDNS and metrics-server", 60, 200);

/// Whether the API server logs requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Audit {
    #[default]
    Off,
    /// One line of JSON for each request: who, what, when, the answer's code.
    Metadata,
}

/// What a cluster shall be.
#[derive(Debug, Clone)]
pub struct Options {
    pub name: String,
    /// The slice of addresses; the lowest free one if not given.
    pub index: Option<u8>,
    pub nodes: u8,
    pub audit: Audit,
    /// Names that CoreDNS answers besides those of the cluster.
    pub dns: Vec<(String, IpAddr)>,
    /// Further flags of the API server.
    pub api_server_arguments: Vec<String>,
    /// Further flags of the controller manager; a flag that is given twice counts as it is given here.
    pub controller_manager_arguments: Vec<String>,
}

impl Options {
    /// One node, nothing special.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            index: None,
            nodes: 1,
            audit: Audit::Off,
            dns: Vec::new(),
            api_server_arguments: Vec::new(),
            controller_manager_arguments: Vec::new(),
        }
    }
}

/// A cluster of this machine.
#[derive(Debug, Clone)]
pub struct Cluster {
    state: State,
    record: Record,
    parts: Parts,
}

impl Cluster {
    /// Brings the cluster up, or what is missing of it; returns when all its nodes are ready.
    pub fn up(options: &Options) -> Result<Self> {
        ensure!((1..=MAX_NODES).contains(&options.nodes), "a cluster has 1 to {MAX_NODES} nodes");
        let state = State::of(&options.name)?;
        root::require_root()?;
        prerequisites::require_programs()?;
        let parts = Parts::ensure()?;
        let started = Instant::now();
        let lock = state.lock()?;
        let record = claim(&state, options)?;
        state.write_parts(&parts)?;
        let cluster = Self { state, record, parts };
        cluster.start(options, &lock).with_context(|| {
            format!("failed to bring cluster {} up; logs are in {}", options.name, cluster.logs().display())
        })?;
        say(&format!("cluster {} is up ({:.1} s)", options.name, started.elapsed().as_secs_f64()));
        Ok(cluster)
    }

    fn start(&self, options: &Options, lock: &File) -> Result<()> {
        let programs = Programs::locked(self.state.folder(), lock)?;
        let network = Network::new(self.slice()?, self.state.folder());
        let plane = ControlPlane::prepare(&self.state, &self.record, &self.parts)?;
        lend_kubeconfig(&self.kubeconfig())?;
        say(&format!("cluster {}: network and control plane", self.name()));
        network.ensure_host()?;
        let names = self.names();
        names.ensure(&options.dns)?;
        programs.ensure(&plane.etcd()?)?;
        programs.ensure(&plane.api_server()?)?;
        for number in 1..=self.record.nodes {
            self.node(number).ensure(&plane, &network, &programs)?;
        }
        self.wait_for_api(&programs)?;
        programs.ensure(&plane.controller_manager())?;
        programs.ensure(&plane.scheduler())?;
        say(&format!("cluster {}: nodes and add-ons", self.name()));
        let addons = plane.addons()?;
        thread::scope(|scope| {
            let applied = scope.spawn(|| self.apply(&addons));
            let ready = NODES_LIMIT.wait(|| Ok(self.all_nodes_are_ready()?.then_some(())));
            applied.join().unwrap_or_else(|_| bail!("applying the add-ons ended abnormally"))?;
            ready
        })?;
        programs.ensure(&plane.coredns(&names.path())?)?;
        programs.ensure(&plane.metrics_server()?)?;
        SERVICES_LIMIT.wait(|| Ok(self.services_are_ready()?.then_some(())))
    }

    /// Ends early when a program did: a wrong flag, or an address that somebody else has.
    fn wait_for_api(&self, programs: &Programs) -> Result<()> {
        let ended = API_LIMIT.wait(|| {
            let ended = ["etcd", "kube-apiserver"].into_iter().find(|name| !programs.is_running(name));
            if ended.is_some() {
                return Ok(Some(ended));
            }
            self.kubectl_output(&["get", "--raw", "/readyz"])?;
            Ok(Some(None))
        })?;
        match ended {
            Some(name) => bail!("{name} ended: {}", programs.last_words(name)),
            None => Ok(()),
        }
    }

    /// The objects need API groups that a fresh server takes a moment to announce.
    fn apply(&self, addons: &str) -> Result<()> {
        ADDONS_LIMIT.wait(|| {
            let mut apply = self.kubectl_command();
            apply.args([
                "apply",
                "--server-side",
                "--force-conflicts",
                "--field-manager=local-cluster",
                "-f",
                "-",
            ]);
            run_with_input(&mut apply, addons).map(Some)
        })?;
        Ok(())
    }

    fn all_nodes_are_ready(&self) -> Result<bool> {
        const READY: &str =
            r#"jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
        let states = self.kubectl_output(&["get", "nodes", "-o", READY])?;
        let ready = states.lines().filter(|state| *state == "True").count();
        let take_images = (1..=self.record.nodes).all(|number| self.node(number).takes_images());
        Ok(take_images && ready >= usize::from(self.record.nodes))
    }

    /// Whether a pod may be created and discovery is whole: without the aggregated API every client that lists
    /// all kinds gets an error for its group.
    fn services_are_ready(&self) -> Result<bool> {
        const AVAILABLE: &str = r#"jsonpath={.status.conditions[?(@.type=="Available")].status}"#;
        self.kubectl_output(&["get", "serviceaccount", "default", "--namespace", "default"])?;
        Ok(self.kubectl_output(&["get", "apiservice", "v1beta1.metrics.k8s.io", "-o", AVAILABLE])? == "True")
    }

    /// The running cluster `name`.
    pub fn attach(name: &str) -> Result<Self> {
        let (state, record) = existing(name)?;
        let parts = match state.parts().filter(Parts::exist) {
            Some(parts) => parts,
            None => Parts::ensure()?,
        };
        Ok(Self { state, record, parts })
    }

    /// Ends and removes everything of this cluster.
    pub fn down(self) -> Result<()> {
        down(self.name())
    }

    pub fn name(&self) -> &str {
        self.state.name()
    }

    pub fn slice(&self) -> Result<Slice> {
        self.record.slice()
    }

    pub fn nodes(&self) -> u8 {
        self.record.nodes
    }

    /// The host's address as pods see it: where a test serves something to them.
    pub fn host_address(&self) -> Result<IpAddr> {
        Ok(IpAddr::V4(self.slice()?.host()))
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        kubeconfig_in(&self.state)
    }

    /// The kubectl of the cluster's version.
    pub fn kubectl(&self) -> PathBuf {
        self.parts.kubernetes("kubectl")
    }

    /// Runs kubectl as administrator; its output, or an error with what it said.
    pub fn kubectl_output(&self, words: &[&str]) -> Result<String> {
        run_with_input(self.kubectl_command().args(words), "")
    }

    fn kubectl_command(&self) -> std::process::Command {
        let mut kubectl = mortal_command(self.kubectl());
        // Not the caller's configuration: only this cluster's. A cache of discovery would outlive the cluster.
        kubectl.arg("--kubeconfig").arg(self.kubeconfig()).arg("--request-timeout=20s");
        kubectl.arg("--cache-dir").arg(self.state.path("kubectl-cache")).env_remove("KUBECONFIG");
        kubectl
    }

    /// Where the programs of the control plane log; those of nodes log in the nodes' folders.
    pub fn logs(&self) -> PathBuf {
        self.state.path("log")
    }

    /// The log of requests, if the cluster is up with `Audit::Metadata`.
    pub fn audit_log(&self) -> Option<PathBuf> {
        self.record.audit.then(|| self.state.path("audit.log"))
    }

    /// Loads a docker-archive into every node.
    pub fn load_image(&self, archive: &Path) -> Result<()> {
        (1..=self.record.nodes).try_for_each(|number| self.node(number).load_image(archive))
    }

    /// Makes CoreDNS answer `name` with `address`, from the next second on.
    pub fn add_name(&self, name: &str, address: IpAddr) -> Result<()> {
        let _lock = self.state.lock()?;
        self.names().ensure(&[(name.to_owned(), address)])
    }

    fn names(&self) -> Names {
        Names::new(&self.state)
    }

    fn node(&self, number: u8) -> Node<'_> {
        Node::new(&self.state, number)
    }
}

/// The kubeconfig of the cluster `name`, found without its programs.
pub fn kubeconfig(name: &str) -> Result<PathBuf> {
    existing(name).map(|(state, _)| kubeconfig_in(&state))
}

fn kubeconfig_in(state: &State) -> PathBuf {
    state.path("admin.kubeconfig")
}

fn existing(name: &str) -> Result<(State, Record)> {
    let state = State::of(name)?;
    let record = state
        .record()
        .with_context(|| format!("there is no cluster {name}; `local-cluster up --name {name}` makes it"))?;
    Ok((state, record))
}

/// The record of the cluster, with what these options add to an existing one.
fn claim(state: &State, options: &Options) -> Result<Record> {
    let Options { name: _, index, nodes, audit, dns: _, api_server_arguments, controller_manager_arguments } =
        options;
    let audit = *audit == Audit::Metadata;
    let mut record = state.claim_index(*index, |index| Record {
        index,
        nodes: *nodes,
        audit,
        api_server_arguments: api_server_arguments.clone(),
        controller_manager_arguments: controller_manager_arguments.clone(),
    })?;
    record.nodes = record.nodes.max(*nodes);
    record.audit |= audit;
    if !api_server_arguments.is_empty() {
        record.api_server_arguments.clone_from(api_server_arguments);
    }
    if !controller_manager_arguments.is_empty() {
        record.controller_manager_arguments.clone_from(controller_manager_arguments);
    }
    state.write_record(&record)?;
    Ok(record)
}

/// Under sudo the kubeconfig belongs to who called it: what follows needs no root.
fn lend_kubeconfig(path: &Path) -> Result<()> {
    let id = |name: &str| std::env::var(name).ok().and_then(|id| id.parse::<u32>().ok());
    if let (Some(user), Some(group)) = (id("SUDO_UID"), id("SUDO_GID")) {
        chown(path, Some(user), Some(group)).with_context(|| format!("failed to lend {}", path.display()))?;
    }
    Ok(())
}

/// Ends and removes everything of the cluster `name`; nothing to do is no error.
pub fn down(name: &str) -> Result<()> {
    let state = State::of(name)?;
    root::require_root()?;
    let _lock = state.lock()?;
    if !state.folder().exists() {
        return Ok(());
    }
    let programs = Programs::open(state.folder())?;
    for program in programs.names() {
        programs.end(&program)?;
    }
    for number in 1..=MAX_NODES {
        Node::new(&state, number).remove_group()?;
    }
    if let Some(record) = state.record() {
        Network::new(record.slice()?, state.folder()).remove()?;
    }
    state.remove()
}

//! Logs (text or JSON) and metrics of the daemon. Not the status record: that is kept in the cluster.

use std::io::IsTerminal;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One readable line per event.
    Text,
    /// One JSON object per line.
    Json,
}

/// What is logged unless somebody asks for more. kube's watcher warns at every attempt; ours say it once.
const FILTER: &str = "info,kube=warn,kube_runtime=error";

/// Starts logging to stderr; `TIDEGATE_LOG` takes the filters of `RUST_LOG`.
pub fn init_logs(format: LogFormat) {
    let filter = EnvFilter::try_from_env("TIDEGATE_LOG").unwrap_or_else(|_| EnvFilter::new(FILTER));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_timer(UtcTimer)
                    .with_target(false)
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_writer(std::io::stderr),
            )
            .try_init(),
        LogFormat::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_timer(UtcTimer)
                    .with_target(false)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
    };
    // A second start (tests in one process) keeps the first logger.
    drop(started);
}

/// Times as RFC 3339 in UTC with milliseconds.
struct UtcTimer;

impl tracing_subscriber::fmt::time::FormatTime for UtcTimer {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{:.3}", jiff::Timestamp::now())
    }
}

/// The label of everything that is counted per environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EnvironmentLabel {
    /// The environment's name.
    pub environment: String,
}

/// The label of what is measured per cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClusterLabel {
    /// The cluster, as environments name it.
    pub cluster: String,
}

/// What happened to an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ActionLabels {
    /// The environment's name.
    pub environment: String,
    /// `create`, `change`, `repair`, `delete`, …
    pub action: String,
    /// `done`, `conflict`, `refused` or `unknown`.
    pub outcome: String,
}

/// A phase of a workload's rollout.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PhaseLabels {
    /// The environment's name.
    pub environment: String,
    /// The workload, as namespace and name.
    pub workload: String,
    /// The row of the phase table.
    pub phase: String,
}

/// A step of a workload's rollout.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StepLabels {
    /// The environment's name.
    pub environment: String,
    /// The workload, as namespace and name.
    pub workload: String,
    /// The row of the phase table.
    pub phase: String,
    /// `done`, `ended` (somebody else wrote) or `refused`.
    pub outcome: String,
}

/// What a gate said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GateLabels {
    /// The environment's name.
    pub environment: String,
    /// The workload, as namespace and name.
    pub workload: String,
    /// The gate's name in its policy.
    pub gate: String,
    /// `pass`, `fail` or `unknown`.
    pub verdict: String,
}

/// Everything that `/metrics` shows; names are stable.
pub struct Metrics {
    /// The registry that encodes them.
    pub registry: Registry,
    /// Polls of the source repository.
    pub polls: Counter,
    /// Polls that failed.
    pub poll_failures: Counter,
    /// Passes per environment.
    pub passes: Family<EnvironmentLabel, Counter>,
    /// Executed actions.
    pub actions: Family<ActionLabels, Counter>,
    /// Objects that an environment owns.
    pub objects: Family<EnvironmentLabel, Gauge>,
    /// 1 when the environment is live at the newest commit, else 0.
    pub live: Family<EnvironmentLabel, Gauge>,
    /// Rollbacks to the last good commit.
    pub rollbacks: Family<EnvironmentLabel, Counter>,
    /// 1 while a commit is held after a rollback, else 0.
    pub held: Family<EnvironmentLabel, Gauge>,
    /// Repairs of drift.
    pub drift_repairs: Family<EnvironmentLabel, Counter>,
    /// Problems that stand.
    pub problems: Family<EnvironmentLabel, Gauge>,
    /// 1 for the phase that a workload is in.
    pub rollout_phase: Family<PhaseLabels, Gauge>,
    /// Steps of rollouts.
    pub rollout_steps: Family<StepLabels, Counter>,
    /// What gates have said, where it was news.
    pub gate_answers: Family<GateLabels, Counter>,
    /// Records of the deploy log that are not pushed yet.
    pub ledger_waiting: Family<EnvironmentLabel, Gauge>,
    /// 1 while the oldest of them waits for longer than a push takes, else 0.
    pub ledger_behind: Family<EnvironmentLabel, Gauge>,
    /// 1 once somebody else wrote on the deploy log, else 0.
    pub ledger_altered: Family<EnvironmentLabel, Gauge>,
    /// Requests that an API server is thought to bear at a time.
    pub requests_borne: Family<ClusterLabel, Gauge>,
    /// Seconds from the sight of a commit until everything of it was applied.
    pub apply_seconds: Family<EnvironmentLabel, Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.05, 2.0, 14));
        let mut metrics = Self {
            registry: Registry::with_prefix("tidegate"),
            polls: Counter::default(),
            poll_failures: Counter::default(),
            passes: Family::default(),
            actions: Family::default(),
            objects: Family::default(),
            live: Family::default(),
            rollbacks: Family::default(),
            held: Family::default(),
            drift_repairs: Family::default(),
            problems: Family::default(),
            rollout_phase: Family::default(),
            rollout_steps: Family::default(),
            gate_answers: Family::default(),
            ledger_waiting: Family::default(),
            ledger_behind: Family::default(),
            ledger_altered: Family::default(),
            requests_borne: Family::default(),
            apply_seconds: Family::new_with_constructor(seconds),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("source_polls", "Polls of the source repository", self.polls.clone());
        registry.register("source_poll_failures", "Polls that failed", self.poll_failures.clone());
        registry.register("passes", "Reconcile passes", self.passes.clone());
        registry.register("actions", "Executed actions by outcome", self.actions.clone());
        registry.register("objects", "Objects that an environment owns", self.objects.clone());
        registry.register("environment_live", "1 when live at the newest commit", self.live.clone());
        registry.register("rollbacks", "Rollbacks to the last good commit", self.rollbacks.clone());
        registry.register("environment_held", "1 while a commit is held", self.held.clone());
        registry.register(
            "drift_repairs",
            "Objects brought back to what git asks for",
            self.drift_repairs.clone(),
        );
        registry.register("problems", "Problems that stand", self.problems.clone());
        registry.register(
            "rollout_phase",
            "1 for the phase that a workload is in",
            self.rollout_phase.clone(),
        );
        registry.register("rollout_steps", "Steps of rollouts by outcome", self.rollout_steps.clone());
        registry.register(
            "gate_answers",
            "What gates have said, where it was news",
            self.gate_answers.clone(),
        );
        registry.register(
            "ledger_waiting",
            "Records of the deploy log that are not pushed yet",
            self.ledger_waiting.clone(),
        );
        registry.register(
            "ledger_behind",
            "1 while records wait longer than a push takes",
            self.ledger_behind.clone(),
        );
        registry.register(
            "ledger_altered",
            "1 once somebody else wrote on the deploy log",
            self.ledger_altered.clone(),
        );
        registry.register(
            "api_requests_borne",
            "Requests that an API server is thought to bear at a time",
            self.requests_borne.clone(),
        );
        registry.register(
            "apply_seconds",
            "From sight of a commit to all of it applied",
            self.apply_seconds.clone(),
        );
    }

    /// The text that Prometheus scrapes.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# failed to encode metrics: {error}\n"),
        }
    }
}

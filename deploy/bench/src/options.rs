//! What is measured, and how large.

use std::path::PathBuf;

/// Benchmarks of Tidegate beside a raw client, on a Kubernetes of their own. Prints tables in Markdown.
#[derive(Debug, clap::Parser)]
pub struct Options {
    /// What to measure
    #[arg(long = "part", env = "BENCH", value_enum, value_delimiter = ',', default_values_t = Part::ALL)]
    pub parts: Vec<Part>,
    /// Apps of four objects each
    #[arg(long, env = "SIZE", default_value_t = 100)]
    pub size: usize,
    /// Environments that the apps are spread over [default: one for each app]
    #[arg(long, env = "ENVIRONMENTS")]
    pub environments: Option<usize>,
    /// Seconds that the idle daemon is looked at
    #[arg(long, env = "IDLE_SECONDS", default_value_t = 60)]
    pub idle_seconds: u64,
    /// Edits by hand
    #[arg(long, env = "EDITS", default_value_t = 100)]
    pub edits: usize,
    /// Requests that must be answered during rollouts, in colours and plainly: 1000000 for the long form of P9
    #[arg(long, env = "REQUESTS", default_value_t = 30_000)]
    pub requests: u64,
    /// Requests a second during rollouts
    #[arg(long, env = "RATE", default_value_t = 500)]
    pub rate: u32,
    /// Records of the deploy log
    #[arg(long, env = "RECORDS", default_value_t = 50_000)]
    pub records: u32,
    /// The archive of the image of the shop, for rollouts
    #[arg(long, env = "BENCH_IMAGE")]
    pub image: Option<PathBuf>,
    /// The daemon's program
    #[arg(long, env = "BENCH_DAEMON")]
    pub daemon: PathBuf,
    /// Name of the cluster, which is started for the benchmark and ended with it
    #[arg(long, env = "BENCH_CLUSTER", default_value = "bench")]
    pub cluster: String,
}

/// The measurements, by the names that DESIGN and COMPARE use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Commit to all applied and healthy
    P1,
    /// Idle cost
    P2,
    /// Memory
    P3,
    /// Drift to repair
    P4,
    /// One commit that touches one environment of many
    P5,
    /// Sick neighbours
    P6,
    /// Storm of commits
    P7,
    /// Switch of a rollout
    P8,
    /// Requests that fail in rollouts
    P9,
    /// Rollback of a rollout
    P10,
    /// The deploy log: append, check, what ran when
    P11,
    /// Start
    P13,
}

impl Part {
    /// All of them.
    const ALL: [Self; 12] = [
        Self::P1,
        Self::P2,
        Self::P3,
        Self::P4,
        Self::P5,
        Self::P6,
        Self::P7,
        Self::P8,
        Self::P9,
        Self::P10,
        Self::P11,
        Self::P13,
    ];

    /// True for those that compare with what a raw client installs and updates.
    pub fn needs_raw_client(self) -> bool {
        match self {
            Self::P1 | Self::P4 => true,
            Self::P2
            | Self::P3
            | Self::P5
            | Self::P6
            | Self::P7
            | Self::P8
            | Self::P9
            | Self::P10
            | Self::P11
            | Self::P13 => false,
        }
    }

    /// True for those that measure an installation of P1.
    pub fn needs_installation(self) -> bool {
        match self {
            Self::P1 | Self::P2 | Self::P3 | Self::P4 | Self::P5 | Self::P13 => true,
            Self::P6 | Self::P7 | Self::P8 | Self::P9 | Self::P10 | Self::P11 => false,
        }
    }

    /// True for those that ask a cluster.
    pub fn needs_cluster(self) -> bool {
        match self {
            Self::P11 => false,
            Self::P1
            | Self::P2
            | Self::P3
            | Self::P4
            | Self::P5
            | Self::P6
            | Self::P7
            | Self::P8
            | Self::P9
            | Self::P10
            | Self::P13 => true,
        }
    }

    /// True for those that one run of rollouts measures together.
    pub fn is_of_rollouts(self) -> bool {
        match self {
            Self::P8 | Self::P9 | Self::P10 => true,
            Self::P1
            | Self::P2
            | Self::P3
            | Self::P4
            | Self::P5
            | Self::P6
            | Self::P7
            | Self::P11
            | Self::P13 => false,
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::P1 => "p1",
            Self::P2 => "p2",
            Self::P3 => "p3",
            Self::P4 => "p4",
            Self::P5 => "p5",
            Self::P6 => "p6",
            Self::P7 => "p7",
            Self::P8 => "p8",
            Self::P9 => "p9",
            Self::P10 => "p10",
            Self::P11 => "p11",
            Self::P13 => "p13",
        })
    }
}

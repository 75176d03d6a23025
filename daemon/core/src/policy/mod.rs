//! What `policies/*.yaml` says. Only types and their defaults stand beside this page; the reading is in the `read` modules.
//!
//! Not here: what follows from a policy ([`crate::rollout`] decides, the shell asks gates).

mod gate;
mod rollout;

pub use gate::{
    Expectation, Gate, GateKind, HttpAnswer, HttpGate, HttpRequest, JobGate, Json, JsonCheck, LbHealthGate,
    LoadGate, Port, PrometheusGate, PrometheusSource, ScalarType, TcpGate, TcpTarget, Tolerance, Traffic,
};
pub use rollout::{
    Bake, Deadlines, LabelExpression, LabelOperator, LabelSelector, Match, Mode, Reach, RolloutPolicy,
};

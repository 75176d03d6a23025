//! How `status` shows workloads that roll out in colours: the name in git, its slots, its gates, what it waits for.

use jiff::Timestamp;
use tidegate_core::health::HealthState;
use tidegate_core::rollout::{GateStatus, Slot, SlotStatus, Verdict, WorkloadState, WorkloadStatus};

use super::style::{Style, Tone};

#[cfg(test)]
mod tests;

/// So many characters of a revision are shown.
const REVISION: usize = 7;

/// One block for each; nothing for those that are live, unless all is shown.
pub fn text(workloads: &[WorkloadStatus], full: bool, style: Style) -> String {
    text_at(workloads, full, style, Timestamp::now())
}

/// The same at a time of which the times that are left count.
fn text_at(workloads: &[WorkloadStatus], full: bool, style: Style, now: Timestamp) -> String {
    let shown = workloads.iter().filter(|workload| full || workload.state != WorkloadState::Live);
    shown.map(|workload| block(workload, style, now)).collect()
}

fn block(workload: &WorkloadStatus, style: Style, now: Timestamp) -> String {
    let WorkloadStatus {
        workload: reference,
        state,
        phase,
        reason,
        next,
        until,
        serves,
        desired: _,
        slots,
        gates,
        can_go_back,
        rejected: _,
        failure: _,
    } = workload;
    let (tone, mark) = style.health(health(*state));
    let word = style.paint(tone, &format!("{mark} {state}"));
    let mut text = format!("  {reference}: {word} ({}): {reason}\n", phase.as_str());
    let held = |slot: Slot| Some((slot, slots.get(slot).as_ref()?));
    let held: Vec<(Slot, &SlotStatus)> = Slot::ALL.into_iter().filter_map(held).collect();
    let width = held.iter().map(|(_, held)| held.name.chars().count()).max().unwrap_or_default();
    for (slot, held) in held {
        text.push_str(&slot_line(slot, held, width, *serves == Some(slot), style));
    }
    for gate in gates {
        text.push_str(&gate_line(gate, style, now));
    }
    if let Some(next) = next {
        let left = until.map(|until| format!(", {} left", left(until, now))).unwrap_or_default();
        text.push_str(&format!("    next: {next}{left}\n"));
    }
    if let Some(rollback) = rollback(*state, *can_go_back) {
        text.push_str(&format!("    rollback: {rollback}\n"));
    }
    text
}

/// Whether traffic could go back; nothing while none has moved.
const fn rollback(state: WorkloadState, can_go_back: bool) -> Option<&'static str> {
    match state {
        _ if can_go_back => Some("ready"),
        WorkloadState::Baking => Some("nothing that is ready to go back to"),
        WorkloadState::Live | WorkloadState::Degraded => Some("by `git revert`; no standby is ready"),
        WorkloadState::Moving | WorkloadState::Waiting | WorkloadState::Rejected | WorkloadState::Halted => {
            None
        }
    }
}

fn slot_line(slot: Slot, held: &SlotStatus, width: usize, serves: bool, style: Style) -> String {
    let SlotStatus { name, revision, commit, replicas, ready } = held;
    let cut = |text: &str| text.chars().take(REVISION).collect::<String>();
    let at = if commit.is_empty() { String::new() } else { format!(" at {}", cut(commit)) };
    let serves = if serves { style.paint(Tone::Strong, "  serves") } else { String::new() };
    format!("    {slot:<6} {name:<width$}  {}{at}  {ready} of {replicas} ready{serves}\n", cut(revision))
}

fn gate_line(gate: &GateStatus, style: Style, now: Timestamp) -> String {
    let GateStatus { name, stage: _, verdict, value, threshold, samples, summary, at: _, until } = gate;
    let (state, word) = match verdict {
        Some(Verdict::Pass) => (HealthState::Healthy, "pass"),
        Some(Verdict::Fail) => (HealthState::Degraded, "fail"),
        Some(Verdict::Unknown) => (HealthState::Unknown, "unknown"),
        None => (HealthState::Suspended, "not asked yet"),
    };
    let (tone, mark) = style.health(state);
    let mut text = format!("    gate {name}: {}", style.paint(tone, &format!("{mark} {word}")));
    if let Some(value) = value {
        text.push_str(&format!("  {value}"));
    }
    if let Some(threshold) = threshold {
        text.push_str(&format!(" ({threshold})"));
    }
    if *samples > 0 {
        let plural = if *samples == 1 { "" } else { "s" };
        text.push_str(&format!(", {samples} sample{plural}"));
    }
    if let Some(until) = until {
        text.push_str(&format!(", {} left", left(*until, now)));
    }
    if !summary.is_empty() {
        text.push_str(&format!(": {}", summary.lines().next().unwrap_or_default()));
    }
    text.push('\n');
    text
}

const fn health(state: WorkloadState) -> HealthState {
    match state {
        WorkloadState::Live => HealthState::Healthy,
        WorkloadState::Moving | WorkloadState::Baking => HealthState::Progressing,
        WorkloadState::Waiting => HealthState::Suspended,
        WorkloadState::Rejected | WorkloadState::Halted | WorkloadState::Degraded => HealthState::Degraded,
    }
}

fn left(until: Timestamp, now: Timestamp) -> String {
    let seconds = until.duration_since(now).as_secs().max(0);
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) }
}

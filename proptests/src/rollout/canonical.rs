//! One form for all states that nothing in the world can tell apart: it makes the number of states finite, and small. Each rule
//! says why nobody can tell.

use std::hash::{Hash as _, Hasher as _};

use tidegate_core::rollout::{Reason, Record, Slot, Stage, Write};

use super::daemon::Daemon;
use super::explore::Fingerprint;
use super::fresh::{Fresh, Target, target};
use super::objects::{ANOTHER_BAKE, Left, Objects, Own, make_old};
use super::world::{World, is_move};

impl World {
    /// The form. `renews`: reads may become fresh again, as they do in one of the mistakes.
    #[must_use]
    pub fn canonical(mut self, renews: bool) -> Self {
        let bake = self.objects.record().filter(|record| record.is_baking()).map(|record| record.switched_at);
        self.objects.canonical();
        for daemon in &mut self.daemons {
            let taken = std::mem::replace(daemon, Daemon::Idle);
            *daemon = canonical_daemon(taken, bake, renews);
        }
        // Daemons have no names.
        self.daemons.sort_by_cached_key(|daemon| {
            let mut hasher = Fingerprint::default();
            daemon.hash(&mut hasher);
            hasher.finish()
        });
        self.late = self.late.take().and_then(|(mut write, fresh)| {
            canonical_write(&mut write, bake);
            fresh.is(target(&write)).then(|| (write.clone(), relevant(&[write], fresh)))
        });
        self
    }
}

impl Objects {
    fn canonical(&mut self) {
        if let Some(record) = self.pointer.as_mut().and_then(|pointer| pointer.record.as_mut()) {
            canonical_record(record);
        }
        let is_baking = self.record().is_some_and(Record::is_baking);
        for slot in Slot::ALL {
            let object = self.slots.get_mut(slot);
            // Whoever had a connection to the pods lost it with them.
            if object.own == Own::None {
                object.left = Left::No;
            }
            if object.own != Own::Ready {
                object.has_surplus = false;
            }
            // Asked for only while a bake is open.
            object.is_evidence_deleted &= is_baking;
            if let Some(held) = &mut object.deployment
                && !is_baking
            {
                // No bake is open: what was said in any is about another one from now on.
                held.evidence.iter_mut().for_each(make_old);
            }
        }
    }
}

fn canonical_record(record: &mut Record) {
    // Reasons are for people.
    if let Some(rejected) = &mut record.rejected {
        rejected.reason = Reason::NeverReady;
    }
    // The time of the switch is asked for only while its bake is open.
    if !record.is_baking() {
        record.switched_at = ANOTHER_BAKE;
    }
}

fn canonical_write(write: &mut Write, bake: Option<jiff::Timestamp>) {
    match write {
        Write::Point { record, .. } => {
            record.epoch = 0;
            if let Some(rejected) = &mut record.rejected {
                rejected.reason = Reason::NeverReady;
            }
        }
        Write::Evidence { evidence, .. } => match evidence.stage {
            Stage::Baking(at) if Some(at) != bake => make_old(evidence),
            Stage::Baking(_) | Stage::BeforeSwitch => {}
        },
        Write::Mark { .. }
        | Write::MarkFollowers
        | Write::Recheck(_)
        | Write::Epoch
        | Write::Follow(_)
        | Write::Recreate(_)
        | Write::Scale { .. }
        | Write::Delete(_)
        | Write::Release(_)
        | Write::Uncolour(_)
        | Write::DeletePointer
        | Write::Forget
        | Write::Autoscaler { .. }
        | Write::FreezeAutoscaler
        | Write::ReplaceBudget
        | Write::Colour(_)
        | Write::MakeUncoloured { .. }
        | Write::DeleteUncoloured
        | Write::Prepare { .. } => {}
    }
}

/// A write whose guard no longer holds is refused, and ends its step: nobody can tell a daemon that is about to send it from
/// one that is at nothing.
fn canonical_daemon(daemon: Daemon, bake: Option<jiff::Timestamp>, renews: bool) -> Daemon {
    match daemon {
        Daemon::Idle => Daemon::Idle,
        Daemon::Reading(mut seen, fresh) => {
            seen.canonical();
            Daemon::Reading(seen, fresh)
        }
        Daemon::Asking(mut question, fresh) => {
            if let Stage::Baking(at) = question.stage
                && Some(at) != bake
            {
                question.stage = Stage::Baking(ANOTHER_BAKE);
            }
            let slot_is_old = !*fresh.slots.get(question.slot);
            let is_old = match question.stage {
                Stage::BeforeSwitch => slot_is_old,
                Stage::Baking(_) => !fresh.pointer,
            };
            if is_old && !renews {
                return Daemon::Idle;
            }
            let mut kept = Fresh::ALL;
            kept.set(Target::Slot(question.slot), !slot_is_old);
            match question.stage {
                Stage::BeforeSwitch => {}
                Stage::Baking(_) => kept.set(Target::Pointer, fresh.pointer),
            }
            Daemon::Asking(question, if renews { fresh } else { kept })
        }
        Daemon::Writing(mut writes, fresh) => {
            for write in &mut writes {
                canonical_write(write, bake);
            }
            let refused = writes.iter().position(|write| !fresh.is(target(write)));
            if let Some(kept) = refused
                && !renews
            {
                writes.truncate(kept);
            }
            while matches!(writes.last(), Some(Write::Recheck(_))) && !renews {
                writes.pop();
            }
            if writes.is_empty() {
                return Daemon::Idle;
            }
            let fresh = if renews { fresh } else { relevant(&writes, fresh) };
            Daemon::Writing(writes, fresh)
        }
    }
}

/// Whether what is never written has changed, nobody asks.
fn relevant(writes: &[Write], fresh: Fresh) -> Fresh {
    let mut kept = Fresh::ALL;
    for write in writes {
        let at = target(write);
        if at != Target::Nothing {
            kept.set(at, fresh.is(at));
        }
    }
    let is_last = Slot::ALL.into_iter().any(|slot| is_move(writes, slot));
    kept.raced = fresh.raced && is_last;
    kept.grown = fresh.grown && writes.iter().any(|write| matches!(write, Write::Point { .. }));
    kept
}

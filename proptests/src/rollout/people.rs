//! What people do beside git: they edit and delete what they should not, and order what they may.

use std::sync::Arc;

use tidegate_core::rollout::{Command, Order, Revision, Selection, Slot};

use super::fresh::Target;
use super::objects::{NOW, Objects};
use super::world::{Limits, Ways, World, less};

impl World {
    pub(super) fn people_edit(&self, next: &mut Ways) {
        if self.left.edits == 0 {
            return;
        }
        let mut edit = |what: &dyn Fn() -> String, target: Target, change: &dyn Fn(&mut Objects)| {
            let world = self.with(|world| {
                less(&mut world.left.edits);
                change(&mut world.objects);
                world.changed(target);
                if let Target::Slot(slot) = target {
                    world.races(slot);
                }
            });
            next.push(what, Ok(world));
        };
        if self.objects.pointer.is_some() {
            for selection in [Selection::Foreign, Selection::Only(Slot::Blue), Selection::Only(Slot::Green)] {
                edit(&|| format!("people select {selection:?}"), Target::Pointer, &|objects| {
                    objects.select(selection);
                });
            }
            edit(&|| "people delete the pointer".to_owned(), Target::Pointer, &|objects| {
                objects.select(Selection::Nothing);
                objects.pointer = None;
            });
        }
        for slot in Slot::ALL {
            let Some(held) = &self.objects.slots.get(slot).deployment else { continue };
            edit(&|| format!("people delete {slot}"), Target::Slot(slot), &|objects| {
                let object = objects.slots.get_mut(slot);
                object.is_evidence_deleted = true;
                object.kept = object.deployment.take().map(|held| (held.revision, held.attempt));
            });
            if held.replicas > 0 {
                edit(&|| format!("people scale {slot} to 0"), Target::Slot(slot), &|objects| {
                    if let Some(held) = &mut objects.slots.get_mut(slot).deployment {
                        held.replicas = 0;
                        held.is_current = false;
                    }
                });
            }
        }
    }

    /// Every order that might mean something, and with it those that come too late.
    pub(super) fn people_order(&self, limits: &Limits, next: &mut Ways) {
        let Some(record) = self.objects.record().filter(|record| record.order.is_none()) else { return };
        if self.left.orders == 0 {
            return;
        }
        let rejected = record.rejected.as_ref().map(|rejected| rejected.revision);
        let revisions: Vec<Revision> =
            (0..limits.revisions).map(|revision| Revision::new(u128::from(revision))).collect();
        for command in [Command::Abort, Command::Promote, Command::RollBack, Command::Resume, Command::Retry]
        {
            for revision in &revisions {
                let is_about_it = match command {
                    Command::Resume => revision == &Revision::new(0),
                    Command::Retry => rejected == Some(*revision),
                    Command::Abort | Command::Promote | Command::RollBack => true,
                };
                if !is_about_it {
                    continue;
                }
                let order = Order {
                    command,
                    revision: *revision,
                    person: Arc::from(""),
                    reason: Arc::from(""),
                    at: NOW,
                };
                let world = self.with(|world| {
                    less(&mut world.left.orders);
                    if let Some(record) =
                        world.objects.pointer.as_mut().and_then(|pointer| pointer.record.as_mut())
                    {
                        record.order = Some(order);
                    }
                    world.changed(Target::Pointer);
                });
                next.push(|| format!("people order {command:?} {revision}"), Ok(world));
            }
        }
    }
}

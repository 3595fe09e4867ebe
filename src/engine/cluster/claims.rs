//! Who owns a slot: the claim with the higher epoch wins.

use super::node::{Flags, Handle, NodeId};
use super::slots::SlotSet;
use super::{Effect, Turn};

impl Turn<'_> {
    /// A primary says that these slots are its own, since `epoch`. Slots that nobody claims, or whose owner's epoch is
    /// lower, become the sender's. If that took my last slot, or my primary's, I follow the sender.
    pub(super) fn weigh_claims(&mut self, sender: Handle, epoch: u64, claimed: &SlotSet) {
        let myself = self.cluster.myself;
        if sender == myself {
            return self.notice(String::from("Discarding UPDATE message about myself."));
        }
        let current = if self.cluster.me().is_primary() { Some(myself) } else { self.cluster.me().primary };
        let (mut lost_to_sender, mut lost) = (false, 0);
        let mut dirty = Vec::new();
        let own = self.cluster.node(sender).slots.clone();
        if !self.cluster.unclaimed.is_empty() {
            own.iter().filter(|slot| claimed.contains(*slot)).for_each(|slot| {
                self.cluster.unclaimed.remove(slot);
            });
        }
        for slot in claimed.minus(&own).iter() {
            let owner = self.cluster.owner(slot);
            // Who takes a slot over by hand finishes that by hand.
            if self.cluster.importing.contains_key(&slot) {
                continue;
            }
            let newer = |owner: Handle| self.cluster.node(owner).epoch < epoch;
            if !self.cluster.is_unclaimed(slot) && !owner.is_some_and(newer) {
                continue;
            }
            if owner == Some(myself) {
                dirty.push(slot);
            }
            if owner.is_some() && owner == current {
                lost_to_sender = true;
                lost += 1;
            }
            self.take_slot(slot);
            self.cluster.give_slot(sender, slot);
            self.cluster.todo.save = true;
            self.cluster.todo.update_state = true;
            self.cluster.todo.fsync = true;
        }
        for slot in own.minus(claimed).iter() {
            self.cluster.unclaimed.insert(slot);
        }
        let all_gone = current.is_some_and(|current| self.cluster.node(current).slots.is_empty());
        let above = self.cluster.me().primary.and_then(|primary| self.cluster.node(primary).primary);
        if lost_to_sender && all_gone && (self.settings.replica_migration || claimed.len() == lost) {
            let node = self.cluster.node(sender);
            let text = format!(
                "Configuration change detected. Reconfiguring myself as a replica of {} ({})",
                node.id, node.human_name
            );
            self.notice(text);
            self.follow_and_save(sender);
        } else if let Some(above) = above.filter(|above| *above != myself) {
            let node = self.cluster.node(above);
            let text = format!(
                "I'm a sub-replica! Reconfiguring myself as a replica of grandmaster {} ({})",
                node.id, node.human_name
            );
            self.notice(text);
            self.follow_and_save(above);
        } else {
            self.effects.extend(dirty.into_iter().map(Effect::DropKeys));
        }
    }

    fn follow_and_save(&mut self, primary: Handle) {
        self.follow(primary);
        self.cluster.todo.save = true;
        self.cluster.todo.update_state = true;
        self.cluster.todo.fsync = true;
    }

    /// Two primaries have the same epoch: the one with the smaller name takes a new one. In the end all differ, whatever
    /// brought the clash about, so that claims can always be weighed.
    pub(super) fn settle_epoch_clash(&mut self, sender: Handle) {
        let (me, node) = (self.cluster.me(), self.cluster.node(sender));
        if node.epoch != me.epoch || !node.is_primary() || !me.is_primary() || node.id <= me.id {
            return;
        }
        self.cluster.current_epoch += 1;
        self.cluster.me_mut().epoch = self.cluster.current_epoch;
        self.effects.push(Effect::Save { fsync: true });
    }

    /// Takes all slots of a node.
    pub fn take_all_slots(&mut self, handle: Handle) {
        let slots: Vec<u16> = self.cluster.node(handle).slots.iter().collect();
        slots.into_iter().for_each(|slot| self.take_slot(slot));
    }

    /// The sender is a replica, of the node called `primary` if I know that one.
    pub(super) fn note_replica(&mut self, sender: Handle, primary: NodeId) {
        if self.cluster.node(sender).is_primary() {
            self.take_all_slots(sender);
            let node = self.cluster.node_mut(sender);
            node.flags.clear(Flags::PRIMARY.with(Flags::MIGRATE_TO));
            node.flags.set(Flags::REPLICA);
            self.cluster.todo.save = true;
            self.cluster.todo.update_state = true;
        }
        let Some(primary) = self.cluster.find(primary) else { return };
        if self.cluster.node(sender).primary != Some(primary) {
            if let Some(before) = self.cluster.node(sender).primary {
                self.cluster.remove_replica(before, sender);
            }
            self.cluster.add_replica(primary, sender);
            self.cluster.node_mut(sender).primary = Some(primary);
            let shard = self.cluster.node(primary).shard;
            self.learn_shard(sender, shard);
            self.cluster.todo.save = true;
        }
    }

    /// The shard of a node has become known. My primary's is mine.
    pub(super) fn learn_shard(&mut self, handle: Handle, shard: NodeId) {
        if self.cluster.set_shard(handle, shard) {
            self.cluster.todo.save = true;
        }
        let myself = self.cluster.myself;
        if myself != handle && self.cluster.me().primary == Some(handle) && self.cluster.set_shard(myself, shard) {
            self.cluster.todo.save = true;
            self.cluster.todo.fsync = true;
        }
    }
}

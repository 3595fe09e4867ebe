//! Replica migration: a primary with several replicas lends one to a primary that has none left.

use super::Turn;
use super::node::{Flags, Handle};
use crate::base::Millis;

/// How long a primary must have been alone.
const DELAY: Millis = Millis(5000);

impl Turn<'_> {
    /// `most`: the largest number of working replicas that a primary has; mine has as many. Of all the replicas of such
    /// primaries the one with the smallest name goes, so that no two go at once.
    pub(super) fn move_to_orphan(&mut self, most: usize) {
        let Some(primary) = self.cluster.me().primary.filter(|_| self.cluster.ok) else { return };
        let well = |replica: &&Handle| {
            let node = self.cluster.node(**replica);
            !node.has_failed() && !node.is_suspected()
        };
        if self.cluster.node(primary).replicas.iter().filter(well).count() <= self.settings.migration_barrier {
            return;
        }
        let (mut target, mut candidate) = (None, self.cluster.myself);
        for handle in self.cluster.handles() {
            let node = self.cluster.node(handle);
            let working = if node.is_primary() { self.cluster.working_replicas(handle) } else { 0 };
            let orphan = !node.is_replica() && !node.has_failed() && node.flags.any(Flags::MIGRATE_TO) && working == 0;
            if working == most {
                let smallest = node.replicas.iter().copied().min_by_key(|replica| self.cluster.node(*replica).id);
                candidate = smallest
                    .into_iter()
                    .chain([candidate])
                    .min_by_key(|it| self.cluster.node(*it).id)
                    .unwrap_or(candidate);
            }
            if orphan && target.is_none() && !node.slots.is_empty() {
                target = Some(handle);
            }
            let now = self.now;
            let node = self.cluster.node_mut(handle);
            match orphan {
                false => node.orphaned_at = Millis::ZERO,
                true if node.orphaned_at == Millis::ZERO => node.orphaned_at = now,
                true => {}
            }
        }
        let Some(target) = target.filter(|_| candidate == self.cluster.myself) else { return };
        let node = self.cluster.node(target);
        if self.now.since(node.orphaned_at) > DELAY {
            let id = node.id;
            self.notice(format!("Migrating to orphaned master {id}"));
            self.follow(target);
        }
    }
}

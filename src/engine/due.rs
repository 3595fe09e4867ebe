//! When an instance next has something to do by itself, so that an idle stretch of virtual time can be skipped.

use super::Instance;
use crate::base::Millis;

impl Instance {
    /// The earliest moment at which a tick would do anything; a moment that has passed means: at the next tick. None:
    /// nothing ever happens here without a request. O(keys with an expiry).
    pub fn next_due(&self) -> Option<Millis> {
        let blocked = self.clients.values().filter_map(|client| client.blocked.as_ref()?.deadline);
        let dbs = if self.active_expire && self.expires_keys() { self.dbs.as_slice() } else { &[] };
        let expiring = dbs.iter().flat_map(|db| {
            let names = (0..db.volatile_len()).filter_map(|index| db.volatile_at(index));
            // A key is gone once the clock is past its moment.
            names.filter_map(|name| db.slot(name)?.expires_at()).map(|at| at + Millis(1))
        });
        let paused = self.pause.map(|pause| pause.until);
        let paused = paused.into_iter().chain(self.failover_pause);
        let paused = paused.chain(self.migration.as_ref().map(|migration| migration.deadline));
        let cluster = self.cluster.as_ref().map(|cluster| cluster.cron_at);
        blocked
            .chain(expiring)
            .chain(paused)
            .chain(cluster)
            .chain(self.next_persistence())
            .chain(self.next_replication())
            .min()
    }
}

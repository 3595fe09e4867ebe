//! When an instance next has something to do by itself, so that an idle stretch of virtual time can be skipped.

use super::Instance;
use crate::base::Millis;

impl Instance {
    /// The earliest moment at which a tick would do anything; a moment that has passed means: at the next tick. None:
    /// nothing ever happens here without a request. Cheap unless the key that was to expire first has changed.
    pub fn next_due(&mut self) -> Option<Millis> {
        let expires = self.active_expire && self.expires_keys();
        let dbs = if expires { self.dbs.as_mut_slice() } else { &mut [] };
        // A key is gone once the clock is past its moment.
        let expiring = dbs.iter_mut().filter_map(|db| Some(db.earliest_expiry()? + Millis(1))).min();
        let blocked = self.clients.values().filter_map(|client| client.blocked.as_ref()?.deadline);
        let untracked = self.trackers.clients > 0 && !self.cron_paused && self.has_too_many_tracked();
        let paused = self.pause.map(|pause| pause.until);
        let paused = paused.into_iter().chain(self.failover_pause);
        let paused = paused.chain(self.migration.as_ref().map(|migration| migration.deadline));
        let cluster = self.cluster.as_ref().map(|cluster| cluster.cron_at);
        blocked
            .chain(expiring)
            .chain(paused)
            .chain(cluster)
            .chain(untracked.then_some(self.now))
            .chain(self.next_idle_end())
            .chain(self.next_persistence())
            .chain(self.next_shutdown())
            .chain(self.next_replication())
            .min()
    }
}

#[cfg(test)]
mod tests {
    use crate::base::Millis;
    use crate::engine::testing::Lab;

    // Where only ticks happen at which something is due, `timeout` never ended anybody.
    #[test]
    fn the_end_of_a_silent_client_is_due() {
        let mut lab = Lab::new(1);
        lab.ask(&["CONFIG", "SET", "timeout", "60"]);
        assert_eq!(lab.instance.next_due(), Some(Millis::from_secs(lab.now.secs() + 61)));
        lab.ask(&["SUBSCRIBE", "news"]);
        assert_eq!(lab.instance.next_due(), None, "a listener may be silent");
    }
}

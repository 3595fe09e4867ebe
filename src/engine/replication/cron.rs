//! What replication does by the clock, once a second: time-outs, acknowledgements, PINGs, saves that wait for replicas.

use super::attach::State;
use super::follow::Phase;
use super::{notice, warning};
use crate::base::Millis;
use crate::engine::client::ClientId;
use crate::engine::persist::Child;
use crate::engine::{Env, Instance, Outbox, Output};

const SECOND: Millis = Millis(1000);
/// While a failover waits for a replica.
const HURRY: Millis = Millis(100);

impl Instance {
    /// When replication has something to do by itself; None: never.
    pub fn next_replication(&self) -> Option<Millis> {
        let replication = &self.replication;
        let follows = replication.primary.is_some();
        let has_replicas = !replication.replicas.is_empty() || replication.failover.is_some();
        if follows || has_replicas || replication.has_waiters() {
            return Some(replication.next_cron);
        }
        let ttl = self.config.int("repl-backlog-ttl").max(0) as u64;
        let freed = replication.no_replicas_since + Millis::from_secs(ttl + 1);
        (replication.backlog.is_some() && ttl > 0).then_some(freed.max(replication.next_cron))
    }

    pub(in crate::engine) fn tick_replication(&mut self, env: &mut Env, out: &mut Outbox) {
        if env.now < self.replication.next_cron {
            return;
        }
        self.update_failover(env, out);
        self.watch_primary(env, out);
        self.send_periodic_ack(out);
        self.ping_replicas(out);
        self.drop_late_replicas(env.now, out);
        self.free_backlog(env, out);
        self.save_for_replicas_if_due(env, out);
        self.remove_sync_file(env, out);
        self.replication.cron_runs += 1;
        let pause = if self.replication.failover.is_some() { HURRY } else { SECOND };
        self.replication.next_cron = env.now + pause;
    }

    /// Gives up on a primary that says nothing, and dials again.
    fn watch_primary(&mut self, env: &mut Env, out: &mut Outbox) {
        let now = env.now;
        let timeout = self.config.int("repl-timeout").max(0) as u64;
        let late = |since: Millis| now.secs().saturating_sub(since.secs()) > timeout;
        let Some(primary) = &self.replication.primary else { return };
        let silent = late(primary.transfer_io);
        match &primary.phase {
            Phase::Transfer(_) if silent => {
                warning(
                    out,
                    "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' parameter in redis.conf to a larger value.",
                );
                self.cancel_sync(out);
                self.reconnect_after_failure(now, out);
            }
            Phase::Connected if self.last_io().is_some_and(late) => {
                warning(out, "MASTER timeout: no data nor PING received...");
                self.drop_stream(out);
                self.lose_primary(now, out);
            }
            Phase::Connect => {
                notice(out, format!("Connecting to MASTER {}:{}", primary.host, primary.port));
                self.connect_to_primary(now, out);
            }
            phase if silent && (*phase == Phase::Connecting || primary.is_in_handshake()) => {
                warning(out, "Timeout connecting to the MASTER...");
                self.cancel_sync(out);
                self.reconnect_after_failure(now, out);
            }
            _ => {}
        }
    }

    fn ping_replicas(&mut self, out: &mut Outbox) {
        let period = self.config.int("repl-ping-replica-period").max(1) as u64;
        let due = self.replication.cron_runs.is_multiple_of(period) && !self.replication.replicas.is_empty();
        if due && !self.is_replica() && !self.holds_stream_still() {
            self.feed_words(&["PING"], out);
        }
        // Who waits for its snapshot hears that the primary lives; so does it not count as part of the stream.
        let direct = matches!(self.persist.child, Some(Child::Save { to_replicas: true, .. }));
        let waiting = self.attached().filter(|(_, replica)| match replica.state {
            State::WaitBgsaveStart => true,
            State::WaitBgsaveEnd => !direct,
            _ => false,
        });
        waiting.for_each(|(client, _)| out.push(Output::Raw(client.id, b"\n".to_vec())));
    }

    fn drop_late_replicas(&mut self, now: Millis, out: &mut Outbox) {
        let timeout = self.config.int("repl-timeout").max(0) as u64;
        let late = self.attached().filter(|(_, replica)| {
            replica.state == State::Online
                && !replica.before_psync
                && now.secs().saturating_sub(replica.ack_time.secs()) > timeout
        });
        let late: Vec<ClientId> = late.map(|(client, _)| client.id).collect();
        for id in late {
            warning(out, format!("Disconnecting timedout replica (streaming sync): {}", self.name_of_replica(id)));
            self.close_client(id, out);
        }
    }

    /// Without replicas for `repl-backlog-ttl` seconds a primary keeps no backlog, and so no history that could be gone on
    /// with: what changes from now on is counted nowhere.
    fn free_backlog(&mut self, env: &mut Env, out: &mut Outbox) {
        let ttl = self.config.int("repl-backlog-ttl").max(0) as u64;
        let replication = &mut self.replication;
        let idle = env.now.secs().saturating_sub(replication.no_replicas_since.secs());
        if replication.backlog.is_none()
            || !replication.replicas.is_empty()
            || replication.primary.is_some()
            || ttl == 0
            || idle <= ttl
        {
            return;
        }
        replication.rename(env.rng);
        replication.backlog = None;
        notice(out, format!("Replication backlog freed after {ttl} seconds without connected replicas."));
    }

    /// An RDB file that was only made for replicas does not stay where nothing is meant to be kept.
    fn remove_sync_file(&mut self, env: &mut Env, out: &mut Outbox) {
        if !self.replication.sync_file {
            return;
        }
        let wanted = !self.config.save.is_empty() || self.config.appendonly;
        let needed = self.attached().any(|(_, replica)| replica.state != State::Online);
        if !self.config.flag("rdb-del-sync-files") || wanted {
            self.replication.sync_file = false;
        } else if !needed && self.persist.child.is_none() {
            self.replication.sync_file = false;
            notice(out, "Removing the RDB file used to feed replicas in a persistence-less instance");
            let path = self.rdb_path();
            let _ = env.disk.remove(&path);
        }
    }
}

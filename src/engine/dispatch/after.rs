//! What every step ends with, and what time brings: waiting clients are served, changes are handed on, deadlines are kept.

use crate::base::Bytes;
use crate::engine::acl::log::Context;
use crate::engine::call::{Call, Propagate};
use crate::engine::client::{Client, ClientId};
use crate::engine::{Env, Instance, Outbox};
use crate::resp::Reply;

impl Instance {
    /// Serves waiting clients, then hands what was propagated to persistence and replicas.
    pub(in crate::engine) fn after_step(&mut self, env: &mut Env, out: &mut Outbox) {
        if !self.scripting.gone.is_empty() {
            for id in std::mem::take(&mut self.scripting.gone) {
                self.hang_up(id);
            }
        }
        if self.pause.is_some_and(|pause| pause.until <= env.now) {
            self.pause = None;
            self.resume_postponed();
        }
        if self.failover_pause.is_some_and(|until| until <= env.now) {
            self.failover_pause = None;
            self.resume_postponed();
        }
        while self.serve_waiting(env, out) {}
        if !self.persist.loading {
            if !self.propagated.is_empty() {
                self.feed_propagated(out);
            }
            if self.persist.aof.listens() {
                self.append_propagated(env, out);
            }
        }
        if !self.propagated.is_empty() {
            self.propagated.clear();
        }
        self.flush_broadcasts(out);
        let offset = self.replication.offset;
        for id in self.carried_out.drain(..) {
            if let Some(client) = self.clients.get_mut(&id) {
                client.written_offset = offset;
            }
        }
        if self.replication.has_waiters() || self.replication.failover_waits() {
            self.serve_waiters(env, out);
        }
    }

    /// One thing that the last request brought about; false if there is nothing left to do. As in Redis all who wait for
    /// a key are served before one of them goes on with what it sent meanwhile.
    fn serve_waiting(&mut self, env: &mut Env, out: &mut Outbox) -> bool {
        if !self.woken.is_empty() {
            for (id, reply) in std::mem::take(&mut self.woken) {
                self.end_wait(id, reply, out);
            }
        } else if let Some((db, key)) = self.waiting.next_ready() {
            for id in self.waiting.queue(db, &key) {
                self.retry(env, id, &key, out);
            }
        } else if self.migration.is_some() {
            return false;
        } else if let Some(id) = self.waiting.resumed.pop_front() {
            let client = self.clients.get_mut(&id).filter(|client| client.blocked.is_none() && !client.postponed);
            if let Some(args) = client.and_then(|client| client.waiting.pop_front()) {
                self.waiting.resumed.push_front(id);
                self.carry_out(env, id, &args, out);
            }
        } else {
            return false;
        }
        true
    }

    /// Runs the request of a blocked client again, now that `key` has changed.
    fn retry(&mut self, env: &mut Env, id: ClientId, key: &Bytes, out: &mut Outbox) {
        let Some(blocked) = self.clients.get(&id).and_then(|client| client.blocked.clone()) else { return };
        let value = self.dbs[blocked.db].peek(key, env.now).map(|slot| &slot.value);
        if !blocked.is_woken_by(value) {
            return;
        }
        let entry = self.entry_of(&blocked.args).expect("it was found when it blocked");
        // The user may have lost the right to it meanwhile.
        if let Err(denied) = self.permit(id, entry, &blocked.args, Context::TopLevel) {
            let refusal = self.noperm(id, denied, entry, &blocked.args);
            self.stats.commands[entry.index].rejected += 1;
            self.unblock(id);
            let reply = self.reject(id, Some(entry.command), refusal);
            self.say(id, reply, out);
            self.waiting.resumed.push_back(id);
            return;
        }
        let (protocol, no_touch) = (self.clients[&id].protocol, self.clients[&id].no_touch);
        let mark = self.propagated.len();
        self.current = Some(id);
        let mut call = Call {
            args: &blocked.args,
            command: entry.command,
            index: entry.index,
            server: self,
            now: env.now,
            rng: env.rng,
            disk: env.disk,
            out,
            client: id,
            db: blocked.db,
            protocol,
            may_block: true,
            no_touch,
            again: true,
            redacted: 0,
            pretended_us: 0,
            propagate: Propagate::AsRequested,
        };
        let reply = Instance::perform(&mut call).unwrap_or_else(Reply::from);
        self.wrap_unit(mark, &blocked.args);
        if reply != Reply::None {
            self.unblock(id);
            self.say(id, reply, out);
            self.flush_invalidations(out);
            self.waiting.resumed.push_back(id);
        }
        self.current = None;
    }

    /// Ends a client's wait, without a reply.
    pub(in crate::engine) fn unblock(&mut self, id: ClientId) {
        if let Some(blocked) = self.clients.get_mut(&id).and_then(|client| client.blocked.take()) {
            self.waiting.remove(id, &blocked);
            self.replication.forget_waiter(id);
        }
    }

    /// Lets everybody go on whom a pause held back.
    pub(in crate::engine) fn resume_postponed(&mut self) {
        let held: Vec<ClientId> =
            self.clients.values().filter(|client| client.postponed).map(|client| client.id).collect();
        for id in held {
            if let Some(client) = self.clients.get_mut(&id) {
                client.postponed = false;
                self.waiting.resumed.push_back(id);
            }
        }
    }

    /// What serverCron does.
    pub(in crate::engine) fn tick(&mut self, env: &mut Env, out: &mut Outbox) {
        let deadline = |client: &Client| client.blocked.as_ref().and_then(|blocked| blocked.deadline);
        let late = self.clients.values().filter_map(|client| Some((deadline(client)?, client.id)));
        let mut late: Vec<_> = late.filter(|(at, _)| *at <= env.now).collect();
        late.sort();
        for (_, id) in late {
            if let Some(blocked) = self.clients.get(&id).and_then(|client| client.blocked.as_ref()) {
                let reply = self.acks_so_far(id).unwrap_or_else(|| blocked.timeout_reply.clone());
                self.end_wait(id, reply, out);
            }
        }
        if self.active_expire && self.expires_keys() {
            self.expire_cycle(env.now, out);
        }
        if self.config.timeout_secs > 0 && !self.cron_paused {
            self.close_idle(out);
        }
        if self.eviction_pool.under_way {
            self.make_room(env.now, env.rng, out);
        }
        if self.trackers.clients > 0 && !self.cron_paused {
            self.limit_trackers(self.config.int("tracking-table-max-keys") as usize);
        }
        self.flush_invalidations(out);
        self.cluster_turn(env, out, |turn| turn.cron());
        self.end_late_migration(env.now, out);
        self.after_step(env, out);
        self.tick_replication(env, out);
        self.after_step(env, out);
        self.tick_persistence(env, out);
        self.tick_shutdown(env, out);
        if self.replication.has_waiters() {
            // What has just been synced may be what somebody waits for.
            self.after_step(env, out);
        }
    }

    /// Answers a blocked client with `reply`; what it sent meanwhile is carried out at the end of the step.
    pub(in crate::engine) fn end_wait(&mut self, id: ClientId, reply: Reply, out: &mut Outbox) {
        let args = self.clients.get(&id).and_then(|client| client.blocked.as_ref()).map(|blocked| blocked.args.clone());
        self.unblock(id);
        if let Some(Ok(entry)) = args.as_deref().map(|args| self.entry_of(args)) {
            self.stats.commands_processed += 1;
            self.stats.commands[entry.index].calls += 1;
            self.stats.commands[entry.index].failed += u64::from(reply.is_error());
        }
        if let Reply::Error(text) = &reply {
            let text = text.clone();
            self.count_error(&text);
        }
        self.say(id, reply, out);
        self.waiting.resumed.push_back(id);
    }
}

//! From a request to its reply: look up, refuse or queue, perform, propagate, serve those who waited.

use super::call::{Call, Propagate};
use super::client::{ClientId, ReplyMode};
use super::command::{self, Command, Outcome};
use super::commands;
use super::refusal::{self, Refusal};
use super::{Env, Instance, Outbox, Output};
use crate::base::Bytes;
use crate::resp::{Protocol, Reply};

impl Instance {
    pub(super) fn request(&mut self, env: &mut Env, id: ClientId, args: Vec<Bytes>, out: &mut Outbox) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if args.is_empty() {
            return;
        }
        if client.blocked.is_some() {
            client.waiting.push_back(args);
            return;
        }
        client.last_seen_at = env.now;
        let reply = self.answer(env, id, &args, out);
        self.say(id, reply, out);
        self.after_step(env, out);
    }

    /// Finds, checks, queues or performs.
    fn answer(&mut self, env: &mut Env, id: ClientId, args: &[Bytes], out: &mut Outbox) -> Reply {
        let command = match commands::find(args).and_then(|command| check_arity(command, args).map(|()| command)) {
            Ok(command) => command,
            Err(refusal) => return self.reject(id, refusal),
        };
        if let Err(refusal) = self.admit(env, id, command, args, out) {
            self.stats.commands[commands::index(command)].rejected += 1;
            return self.reject(id, refusal);
        }
        let client = self.clients.get_mut(&id).expect("checked by request");
        if let Some(transaction) = &mut client.transaction
            && !command.flags.has(command::NOT_QUEUED)
        {
            transaction.queue.push((command, args.to_vec()));
            return Reply::QUEUED;
        }
        client.last_command = Some(command);
        let (db, protocol) = (client.db, client.protocol);
        let mut call = Call {
            args,
            command,
            server: self,
            now: env.now,
            rng: env.rng,
            disk: env.disk,
            out,
            client: id,
            db,
            protocol,
            may_block: true,
            propagate: Propagate::AsRequested,
        };
        Instance::perform(&mut call).unwrap_or_else(Reply::from)
    }

    /// Reasons to refuse a command that is well formed.
    fn admit(
        &mut self,
        env: &mut Env,
        id: ClientId,
        command: &'static Command,
        _args: &[Bytes],
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        // Room is made for every command, reads too; only those that need memory are refused where none can be had.
        if !self.make_room(env.now, env.rng, out) && self.needs_memory(id, command) {
            return Err(refusal::OOM);
        }
        let client = &self.clients[&id];
        if client.protocol == Protocol::Resp2 && client.is_subscriber() && !allowed_to_subscribers(command) {
            return Err(Refusal::from(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                command.name.to_ascii_lowercase()
            )));
        }
        Ok(())
    }

    /// A refusal before the command ran: it also breaks a transaction that is being queued.
    fn reject(&mut self, id: ClientId, refusal: Refusal) -> Reply {
        if let Some(transaction) = self.clients.get_mut(&id).and_then(|client| client.transaction.as_mut()) {
            transaction.broken = true;
        }
        self.count_error(&refusal);
        refusal.into()
    }

    fn count_error(&mut self, refusal: &Refusal) {
        self.stats.error_replies += 1;
        let code = refusal.0.split(' ').next().unwrap_or_default().to_owned();
        *self.stats.errors.entry(code).or_default() += 1;
    }

    /// Runs the handler of an admitted command, counts it, and propagates what it changed.
    pub(super) fn perform(call: &mut Call) -> Outcome {
        let index = commands::index(call.command);
        let dirty_before = call.server.dirty;
        let mark = call.server.propagated.len();
        let outcome = (call.command.run)(call);
        call.server.stats.commands_processed += 1;
        let stat = &mut call.server.stats.commands[index];
        stat.calls += 1;
        let failed = match &outcome {
            Err(refusal) => Some(refusal.clone()),
            Ok(_) => None,
        };
        if let Some(refusal) = failed {
            stat.failed += 1;
            call.server.count_error(&refusal);
        }
        let changed = call.server.dirty != dirty_before;
        let _ = mark;
        match std::mem::take(&mut call.propagate) {
            Propagate::AsRequested if changed => call.server.propagate(call.db, call.args.to_vec()),
            Propagate::Always => call.server.propagate(call.db, call.args.to_vec()),
            Propagate::Instead(list) if changed => {
                list.into_iter().for_each(|args| call.server.propagate(call.db, args));
            }
            _ => {}
        }
        outcome
    }

    /// Puts a reply into the outbox, as the client's reply mode allows.
    pub(super) fn say(&mut self, id: ClientId, reply: Reply, out: &mut Outbox) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        match client.reply_mode {
            ReplyMode::On => {}
            ReplyMode::Off => return,
            ReplyMode::SkipNext => {
                client.reply_mode = ReplyMode::Skip;
                return;
            }
            ReplyMode::Skip => {
                client.reply_mode = ReplyMode::On;
                return;
            }
        }
        match reply {
            Reply::None => {}
            Reply::Many(replies) => out.extend(replies.into_iter().map(|reply| Output::Reply(id, reply))),
            reply => out.push(Output::Reply(id, reply)),
        }
    }

    /// Serves waiting clients, then hands what was propagated to persistence and replicas.
    fn after_step(&mut self, env: &mut Env, out: &mut Outbox) {
        while let Some((db, key)) = self.waiting.next_ready() {
            for id in self.waiting.queue(db, &key) {
                self.retry(env, id, &key, out);
            }
        }
        self.propagated.clear();
    }

    /// Runs the request of a blocked client again, now that `key` has changed.
    fn retry(&mut self, env: &mut Env, id: ClientId, key: &Bytes, out: &mut Outbox) {
        let Some(blocked) = self.clients.get(&id).and_then(|client| client.blocked.clone()) else { return };
        let served = self.dbs[blocked.db]
            .peek(key, env.now)
            .is_some_and(|slot| super::blocked::serves(blocked.kind, &slot.value));
        if !served {
            return;
        }
        let command = commands::find(&blocked.args).expect("it was found when it blocked");
        let protocol = self.clients[&id].protocol;
        let mut call = Call {
            args: &blocked.args,
            command,
            server: self,
            now: env.now,
            rng: env.rng,
            disk: env.disk,
            out,
            client: id,
            db: blocked.db,
            protocol,
            may_block: true,
            propagate: Propagate::AsRequested,
        };
        let reply = Instance::perform(&mut call).unwrap_or_else(Reply::from);
        if reply == Reply::None {
            return;
        }
        self.unblock(id);
        self.say(id, reply, out);
        self.run_waiting(env, id, out);
    }

    /// Ends a client's wait, without a reply.
    pub(super) fn unblock(&mut self, id: ClientId) {
        if let Some(blocked) = self.clients.get_mut(&id).and_then(|client| client.blocked.take()) {
            self.waiting.remove(id, &blocked);
        }
    }

    /// Requests that a client sent while it was blocked.
    fn run_waiting(&mut self, env: &mut Env, id: ClientId, out: &mut Outbox) {
        while let Some(client) = self.clients.get_mut(&id)
            && client.blocked.is_none()
            && let Some(args) = client.waiting.pop_front()
        {
            let reply = self.answer(env, id, &args, out);
            self.say(id, reply, out);
        }
    }

    pub(super) fn hang_up(&mut self, id: ClientId) {
        self.unblock(id);
        self.unwatch(id);
        if let Some(client) = self.clients.remove(&id) {
            for channel in &client.channels {
                self.pubsub.channels.entry(channel.clone()).or_default().remove(&id);
            }
            for pattern in &client.patterns {
                self.pubsub.patterns.entry(pattern.clone()).or_default().remove(&id);
            }
        }
    }

    /// Forgets what a client watches.
    pub(super) fn unwatch(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.watch_broken = false;
        for watched in std::mem::take(&mut client.watched) {
            let place = (watched.db, watched.key);
            if let Some(watchers) = self.watchers.get_mut(&place) {
                watchers.retain(|watcher| *watcher != id);
                if watchers.is_empty() {
                    self.watchers.remove(&place);
                }
            }
        }
    }

    pub(super) fn break_watches(&mut self, db: usize, key: &[u8]) {
        let Some(watchers) = self.watchers.get(&(db, Bytes::copy(key))) else { return };
        for id in watchers {
            if let Some(client) = self.clients.get_mut(id) {
                client.watch_broken = true;
            }
        }
    }

    /// What serverCron does.
    pub(super) fn tick(&mut self, env: &mut Env, out: &mut Outbox) {
        let late: Vec<ClientId> = self
            .clients
            .values()
            .filter(|client| client.blocked.as_ref().is_some_and(|b| b.deadline.is_some_and(|at| at <= env.now)))
            .map(|client| client.id)
            .collect();
        for id in late {
            let reply = self.clients[&id].blocked.as_ref().expect("filtered").timeout_reply.clone();
            self.unblock(id);
            self.say(id, reply, out);
            self.run_waiting(env, id, out);
        }
        self.expire_cycle(env.now, out);
        self.after_step(env, out);
    }
}

fn check_arity(command: &Command, args: &[Bytes]) -> Result<(), Refusal> {
    let arity = commands::arity(command);
    let fits = if arity < 0 { args.len() >= arity.unsigned_abs() as usize } else { args.len() == arity as usize };
    if fits { Ok(()) } else { Err(refusal::wrong_arity(&command.name.replace(' ', "|"))) }
}

fn allowed_to_subscribers(command: &Command) -> bool {
    matches!(
        command.name,
        "PING"
            | "SUBSCRIBE"
            | "PSUBSCRIBE"
            | "SSUBSCRIBE"
            | "UNSUBSCRIBE"
            | "PUNSUBSCRIBE"
            | "SUNSUBSCRIBE"
            | "QUIT"
            | "RESET"
    )
}

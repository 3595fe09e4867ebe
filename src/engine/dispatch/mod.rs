//! From a request to its reply: look up, refuse or queue, perform, propagate, serve those who waited.

mod admit;
mod after;

use super::call::{Call, Propagate};
use super::client::{ClientId, ReplyMode};
use super::command::{self, Group, Outcome};
use super::commands::{self, Entry};
use super::refusal::Refusal;
use super::{ANY_DB, Env, Input, Instance, Outbox, Output, Propagated};
use crate::base::{Bytes, quote};
use crate::resp::Reply;
use admit::check_arity;

impl Instance {
    pub(in crate::engine) fn request(&mut self, env: &mut Env, id: ClientId, args: &[Bytes], out: &mut Outbox) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if args.is_empty() {
            return;
        }
        if client.blocked.is_some() || client.postponed {
            client.waiting.push_back(args.to_vec());
            return;
        }
        client.last_seen_at = env.now;
        if self.migration.is_some() && self.hold_for_migration(id, args) {
            return;
        }
        self.carry_out(env, id, args, out);
        if self.eviction_pool.under_way {
            self.make_room(env.now, env.rng, out);
        }
        env.now += std::mem::take(&mut self.slept);
        self.now = env.now;
        self.after_step(env, out);
    }

    /// What somebody else sends while the script of `runs` keeps the server busy. Of the client itself nothing is heard until
    /// the script has ended.
    pub(in crate::engine) fn meanwhile(&mut self, env: &mut Env, runs: ClientId, input: Input, out: &mut Outbox) {
        match input {
            Input::Connect(id) => self.welcome(id, None, out),
            Input::ConnectFrom(id, ends) => self.welcome(id, Some(ends), out),
            Input::Hangup(id) if id == runs => self.scripting.gone.push(id),
            Input::Hangup(id) => self.hang_up(id),
            Input::Request(id, args) if !args.is_empty() => {
                let Some(client) = self.clients.get_mut(&id) else { return };
                if id == runs || client.blocked.is_some() || client.postponed {
                    client.waiting.push_back(args);
                    return;
                }
                client.last_seen_at = env.now;
                let (current, mark) = (self.current, self.command_mark);
                self.carry_out(env, id, &args, out);
                (self.current, self.command_mark) = (current, mark);
            }
            _ => {}
        }
    }

    /// One request from look-up to reply.
    fn carry_out(&mut self, env: &mut Env, id: ClientId, args: &[Bytes], out: &mut Outbox) {
        self.current = Some(id);
        self.carried_out.push(id);
        let outer = std::mem::replace(&mut self.unit_mark, self.propagated.len());
        let reply = self.answer(env, id, args, out);
        self.wrap_unit(self.unit_mark, args);
        self.unit_mark = outer;
        self.forget_asking(id);
        let pushed = self.pushes_to(id, out);
        self.say(id, reply, out);
        if !pushed.is_empty() {
            out.extend(pushed);
        }
        if self.clients.get(&id).is_some_and(|client| client.closing) {
            out.push(Output::Close(id));
            self.hang_up(id);
        }
        self.flush_invalidations(out);
        self.current = None;
    }

    /// ASKING counts for the next command only, which may be a whole transaction.
    fn forget_asking(&mut self, id: ClientId) {
        if self.cluster.is_some()
            && let Some(client) = self.clients.get_mut(&id).filter(|client| client.asking)
            && client.transaction.is_none()
            && client.last_command.is_none_or(|command| command.name != "ASKING")
        {
            client.asking = false;
        }
    }

    /// Takes out what the command pushed to its own client: that comes behind the reply (a PUBLISH to oneself in EXEC).
    fn pushes_to(&mut self, id: ClientId, out: &mut Outbox) -> Vec<Output> {
        let start = self.command_mark.min(out.len());
        let is_push = |output: &mut Output| matches!(output, Output::Push(to, _) if *to == id);
        if out.len() == start { Vec::new() } else { out.extract_if(start.., is_push).collect() }
    }

    /// Finds, checks, queues or performs.
    fn answer(&mut self, env: &mut Env, id: ClientId, args: &[Bytes], out: &mut Outbox) -> Reply {
        self.command_mark = out.len();
        let entry = match self.entry_of(args) {
            Ok(entry) => entry,
            Err(refusal) => return self.security_stop(id, args).unwrap_or_else(|| self.reject(id, None, refusal)),
        };
        let client = self.clients.get_mut(&id).expect("checked by request");
        client.last_command = Some(entry.command);
        let admitted = check_arity(entry, args).and_then(|()| self.admit(env, id, entry, args, out));
        if let Err(refusal) = admitted {
            self.stats.commands[entry.index].rejected += 1;
            return self.reject(id, Some(entry.command), refusal);
        }
        if self.holds_back() && self.is_held_back(id, entry.command, args) {
            let client = self.clients.get_mut(&id).expect("checked by request");
            client.postponed = true;
            client.waiting.push_front(args.to_vec());
            return Reply::None;
        }
        let flags = self.flags_of(entry.command, args);
        let client = self.clients.get_mut(&id).expect("checked by request");
        if let Some(transaction) = &mut client.transaction
            && !entry.command.flags.has(command::NOT_QUEUED)
        {
            // What cannot be carried out any more need not be remembered.
            if !transaction.broken && !client.watch_broken {
                transaction.queue.push((entry, args.to_vec()));
                transaction.flags = transaction.flags.with(flags);
            }
            return Reply::QUEUED;
        }
        self.command_mark = out.len();
        let (db, protocol, no_touch) = (client.db, client.protocol, client.no_touch);
        // The reader of an append only file must not wait: what stands behind in the file would wait with it.
        let may_block = !self.persist.loading;
        let mut call = Call {
            args,
            command: entry.command,
            index: entry.index,
            server: self,
            now: env.now,
            rng: env.rng,
            disk: env.disk,
            out,
            client: id,
            db,
            protocol,
            may_block,
            no_touch,
            again: false,
            redacted: 0,
            pretended_us: 0,
            propagate: Propagate::AsRequested,
        };
        let outcome = Instance::perform(&mut call);
        if let Some(tracking) = self.clients.get_mut(&id).and_then(|client| client.tracking.as_deref_mut())
            && tracking.caching
            && !entry.command.name.starts_with("CLIENT ")
            && self.clients[&id].transaction.is_none()
        {
            // CLIENT CACHING counts for one command only.
            let client = self.clients.get_mut(&id).expect("looked up above");
            client.tracking.as_deref_mut().expect("looked up above").caching = false;
        }
        outcome.unwrap_or_else(Reply::from)
    }

    /// The command that `args` calls, by the names that `rename-command` has left. Err: there is none, in Redis' words.
    pub fn entry_of(&self, args: &[Bytes]) -> Result<&'static Entry, Refusal> {
        let renamed = &self.config.renamed;
        match renamed.is_empty() {
            true => commands::entry_of(args),
            false => match renamed.get(&args[0].to_ascii_uppercase()) {
                None => commands::entry_of(args),
                Some(Some(index)) => commands::resolve(commands::nth(*index), args),
                Some(None) => Err(commands::unknown(args)),
            },
        }
    }

    pub(in crate::engine) fn count_error(&mut self, text: &str) {
        self.stats.error_replies += 1;
        let code = text.split(' ').next().unwrap_or_default();
        if let Some(count) = self.stats.errors.get_mut(code) {
            *count += 1;
        } else {
            self.stats.errors.insert(code.to_owned(), 1);
        }
    }

    /// Runs the handler of an admitted command, counts it, and propagates what it changed.
    pub(in crate::engine) fn perform(call: &mut Call) -> Outcome {
        let dirty_before = call.server.dirty;
        let began_us = call.server.lap_us.take().unwrap_or_else(|| call.server.hooks.micros());
        let outcome = (call.command.run)(call);
        let error = match &outcome {
            Err(refusal) => Some(&refusal.0),
            Ok(Reply::Error(text)) => Some(text),
            Ok(_) => None,
        };
        // An error that ended a script has been counted where it arose.
        let counted = std::mem::take(&mut call.server.scripting.error_counted);
        if let Some(text) = error {
            call.server.stats.commands[call.index].failed += 1;
            if !counted {
                call.server.count_error(text);
            }
        }
        // A client that now waits has not finished its command.
        let waits = matches!(outcome, Ok(Reply::None))
            && call.server.clients.get(&call.client).is_some_and(|client| client.blocked.is_some());
        if !waits {
            call.server.stats.commands_processed += 1;
            call.server.stats.commands[call.index].calls += 1;
            if call.server.hooks.stopwatch.is_some() || call.pretended_us > 0 {
                let now_us = call.server.hooks.micros();
                call.server.lap_us = call.server.pipelined.then_some(now_us);
                let micros = now_us.saturating_sub(began_us) + call.pretended_us;
                Instance::clock_command(call, micros);
            }
        }
        if !call.server.monitors.is_empty()
            && !call.again
            && !call.command.flags.any(command::SKIP_MONITOR.with(command::ADMIN))
        {
            Instance::announce(call);
        }
        let changed = call.server.dirty != dirty_before;
        match std::mem::take(&mut call.propagate) {
            _ if !call.server.propagates() => {}
            Propagate::ToReplicas => call.server.propagate_to_replicas(call.db, call.args.to_vec()),
            Propagate::AsRequested if changed => call.server.propagate(call.db, call.args.to_vec()),
            Propagate::Always => call.server.propagate(call.db, call.args.to_vec()),
            Propagate::Instead(list) if changed => {
                list.into_iter().for_each(|args| call.server.propagate(call.db, args));
            }
            _ => {}
        }
        if call.server.trackers.clients > 0
            && call.command.flags.has(command::READONLY)
            && call.command.group != Group::Scripting
        {
            Instance::track_reads(call);
        }
        outcome
    }

    /// Shows the command to those who MONITOR.
    pub(in crate::engine) fn announce(call: &mut Call) {
        if call.server.monitors.is_empty() {
            return;
        }
        let Some(me) = call.server.clients.get(&call.client) else { return };
        let mut line = format!("{}.{:03}000 [{} ", call.now.secs(), call.now.0 % 1000, me.db);
        line.push_str(&if call.server.scripting.active.is_some() {
            String::from("lua")
        } else if me.unix {
            format!("unix:{}", me.addr.trim_end_matches(":0"))
        } else {
            me.addr.clone()
        });
        line.push(']');
        for (index, arg) in call.args.iter().enumerate() {
            line.push(' ');
            if index < 64 && call.redacted & (1 << index) != 0 {
                line.push_str("\"(redacted)\"");
            } else {
                quote::repr_to(&mut line, arg);
            }
        }
        for monitor in &call.server.monitors {
            call.out.push(Output::Push(*monitor, Reply::Status(line.clone().into())));
        }
    }

    /// Remembers what a tracking client has read.
    fn track_reads(call: &mut Call) {
        let Some(tracking) = call.server.clients.get(&call.client).and_then(|client| client.tracking.as_deref()) else {
            return;
        };
        let wanted = if tracking.opt_in { tracking.caching } else { !(tracking.opt_out && tracking.caching) };
        if tracking.broadcast || !wanted {
            return;
        }
        let places = call.command.key_places(call.args);
        let keys = places.iter().map(|place| &call.args[*place]);
        call.server.remember_reads(call.client, keys);
    }

    /// Several commands that one request caused are propagated as a transaction.
    fn wrap_unit(&mut self, mark: usize, args: &[Bytes]) {
        if self.propagated.len() <= mark + 1 {
            return;
        }
        // These stumble over keys that have nothing to do with each other.
        if args[0].eq_ignore_ascii_case(b"SCAN") || args[0].eq_ignore_ascii_case(b"RANDOMKEY") {
            return;
        }
        let frame = |word| Propagated { db: ANY_DB, args: vec![Bytes::from(word)], to_aof: true };
        self.propagated.insert(mark, frame("MULTI"));
        self.propagated.push(frame("EXEC"));
    }

    /// Puts a reply into the outbox, as the client's reply mode allows. Pushes are no replies: they always go out.
    pub(in crate::engine) fn say(&mut self, id: ClientId, reply: Reply, out: &mut Outbox) {
        self.tell_broken_watches(out);
        let Some(client) = self.clients.get_mut(&id) else { return };
        let silent = match client.reply_mode {
            ReplyMode::On => false,
            ReplyMode::Off => true,
            ReplyMode::SkipNext => {
                client.reply_mode = ReplyMode::Skip;
                true
            }
            ReplyMode::Skip => {
                client.reply_mode = ReplyMode::On;
                true
            }
        };
        let mut tell = |reply: Reply| {
            if !silent || matches!(reply, Reply::Push(_)) {
                out.push(Output::Reply(id, reply));
            }
        };
        match reply {
            Reply::None => {}
            Reply::Many(replies) => replies.into_iter().for_each(tell),
            reply => tell(reply),
        }
    }
}

//! From a request to its reply: look up, refuse or queue, perform, propagate, serve those who waited.

use super::acl::log::Context;
use super::call::{Call, Propagate};
use super::client::{Client, ClientId, ReplyMode, Watched};
use super::cluster::redirect::is_redirection;
use super::command::{self, Command, Flags, Group, Outcome};
use super::commands::{self, Entry};
use super::refusal::{self, Refusal};
use super::{ANY_DB, Env, Input, Instance, Outbox, Output, Propagated};
use crate::base::{Bytes, quote};
use crate::resp::{Protocol, Reply};

impl Instance {
    pub(super) fn request(&mut self, env: &mut Env, id: ClientId, args: &[Bytes], out: &mut Outbox) {
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
                transaction.queue.push((entry.command, args.to_vec()));
                transaction.flags = transaction.flags.with(flags);
            }
            return Reply::QUEUED;
        }
        self.command_mark = out.len();
        let (db, protocol, no_touch) = (client.db, client.protocol, client.no_touch);
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
            may_block: true,
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

    /// Reasons to refuse a command that is well formed, in Redis' order.
    fn admit(
        &mut self,
        env: &mut Env,
        id: ClientId,
        entry: &'static Entry,
        args: &[Bytes],
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        // What the primary has carried out a replica carries out, whatever it thinks of it.
        let client = &self.clients[&id];
        if self.persist.loading || client.is_primary() {
            return Ok(());
        }
        let command = entry.command;
        let flags = self.flags_of(command, args);
        if command.flags.has(command::PROTECTED) {
            let name = command.name.split(' ').next().unwrap_or_default();
            let parameter = if name == "DEBUG" { "enable-debug-command" } else { "enable-module-command" };
            if !self.allows_protected(id, parameter) {
                return Err(refusal::protected(name, parameter));
            }
        }
        let client = &self.clients[&id];
        if !client.authenticated && self.acl.requires_login() && !command.flags.has(command::NO_AUTH) {
            return Err(refusal::NOAUTH);
        }
        if client.transaction.is_some() && command.flags.has(command::NO_MULTI) {
            return Err(Refusal::new("ERR Command not allowed inside a transaction"));
        }
        if !client.user.unrestricted {
            let context = if client.transaction.is_some() { Context::Multi } else { Context::TopLevel };
            self.permit(id, entry, args, context).map_err(|denied| self.noperm(id, denied, entry, args))?;
        }
        self.check_slots(id, command, args)?;
        if let Some(active) = &self.scripting.active
            && active.is_slow()
            && !command.flags.has(command::ALLOW_BUSY)
        {
            return Err(active.busy());
        }
        // Room is made for every command, reads too; only those that need memory are refused where none can be had.
        let room = self.make_room(env.now, env.rng, out);
        // The keys that made room are no part of what the command does.
        self.unit_mark = self.propagated.len();
        if self.trackers.clients > 0 {
            let max_keys = self.config.int("tracking-table-max-keys") as usize;
            self.limit_trackers(max_keys);
            // Of evicted keys clients hear before the reply, else they would take it for newer.
            self.flush_invalidations(out);
        }
        self.scripting.out_of_memory = !room;
        if !room && (flags.has(command::DENYOOM) || self.needs_memory(id, command)) {
            return Err(refusal::OOM);
        }
        if (flags.has(command::WRITE) || command.name == "PING")
            && let Some(refusal) = self.misconf()
        {
            return Err(refusal);
        }
        self.admit_write_by_role(id, command, flags)?;
        let client = &self.clients[&id];
        if client.protocol == Protocol::Resp2 && client.is_subscriber() && !allowed_to_subscribers(command) {
            return Err(Refusal::from(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                command.full_name()
            )));
        }
        // EXEC goes on without the primary only if everything in it does.
        let needs_primary = command.name == "EXEC"
            && client.transaction.iter().flat_map(|it| &it.queue).any(|(queued, _)| !queued.flags.has(command::STALE));
        self.admit_by_role(id, if needs_primary { flags.without(command::STALE) } else { flags })
    }

    /// As which command this one is to be judged: scripts say themselves what they may do.
    pub(super) fn flags_of(&self, command: &Command, args: &[Bytes]) -> Flags {
        match command.group {
            Group::Scripting => commands::scripting::flags_of(&self.scripting, command, args),
            _ => command.flags,
        }
    }

    /// What an `enable-...` parameter says: nobody may, everybody, or those who connect from the same machine.
    pub fn allows_protected(&self, id: ClientId, parameter: &str) -> bool {
        match &*self.config.text(parameter) {
            b"yes" => true,
            b"local" => self.clients[&id].is_local(),
            _ => false,
        }
    }

    /// A web browser was tricked into talking to us: the connection ends without a word.
    fn security_stop(&mut self, id: ClientId, args: &[Bytes]) -> Option<Reply> {
        if !args[0].eq_ignore_ascii_case(b"host:") && !args[0].eq_ignore_ascii_case(b"post") {
            return None;
        }
        self.clients.get_mut(&id)?.closing = true;
        Some(Reply::None)
    }

    /// Whether CLIENT PAUSE lets this command wait.
    /// Whether there may be a reason to let requests wait.
    fn holds_back(&self) -> bool {
        self.pause.is_some() || self.failover_pause.is_some() || self.persist.ending.is_some()
    }

    fn is_held_back(&self, id: ClientId, command: &Command, args: &[Bytes]) -> bool {
        if self.clients[&id].is_primary() || self.clients[&id].is_replica() {
            return false;
        }
        let pause = self.pause.filter(|pause| pause.until > self.now);
        let handover = self.failover_pause.is_some_and(|until| until > self.now) || self.persist.ending.is_some();
        if pause.is_none() && !handover {
            return false;
        }
        let mut flags = self.flags_of(command, args);
        if command.name == "EXEC"
            && let Some(transaction) = &self.clients[&id].transaction
        {
            flags = flags.with(transaction.flags);
        }
        pause.is_some_and(|pause| pause.all) || flags.any(command::WRITE.with(command::MAY_REPLICATE))
    }

    /// A refusal before the command ran: it also breaks a transaction that is being queued.
    fn reject(&mut self, id: ClientId, command: Option<&Command>, refusal: Refusal) -> Reply {
        let refusal = if command.is_some_and(|command| command.name == "EXEC") {
            self.discard(id);
            if is_redirection(&refusal) {
                self.count_error(&refusal.0);
                return refusal.into();
            }
            let why = refusal.0.strip_prefix("ERR ").unwrap_or(&refusal.0);
            Refusal::from(format!("EXECABORT Transaction discarded because of: {why}"))
        } else {
            if let Some(transaction) = self.clients.get_mut(&id).and_then(|client| client.transaction.as_mut()) {
                transaction.broken = true;
            }
            refusal
        };
        self.count_error(&refusal.0);
        refusal.into()
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
    pub(super) fn perform(call: &mut Call) -> Outcome {
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
    pub(super) fn say(&mut self, id: ClientId, reply: Reply, out: &mut Outbox) {
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

    /// Serves waiting clients, then hands what was propagated to persistence and replicas.
    pub(super) fn after_step(&mut self, env: &mut Env, out: &mut Outbox) {
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
        let protocol = self.clients[&id].protocol;
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
            no_touch: false,
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
    pub(super) fn unblock(&mut self, id: ClientId) {
        if let Some(blocked) = self.clients.get_mut(&id).and_then(|client| client.blocked.take()) {
            self.waiting.remove(id, &blocked);
            self.replication.forget_waiter(id);
        }
    }

    /// Lets everybody go on whom a pause held back.
    pub(super) fn resume_postponed(&mut self) {
        let held: Vec<ClientId> =
            self.clients.values().filter(|client| client.postponed).map(|client| client.id).collect();
        for id in held {
            if let Some(client) = self.clients.get_mut(&id) {
                client.postponed = false;
                self.waiting.resumed.push_back(id);
            }
        }
    }

    /// Forgets what a client watches, also that a watched key has changed.
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

    /// Ends a client's transaction without carrying it out.
    pub(super) fn discard(&mut self, id: ClientId) {
        self.unwatch(id);
        if let Some(client) = self.clients.get_mut(&id) {
            client.transaction = None;
        }
    }

    /// A key was changed or removed: those who watch it learn of it at their EXEC.
    pub(super) fn break_watches(&mut self, db: usize, key: &[u8]) {
        let Some(watchers) = self.watchers.get(&(db, Bytes::copy(key))) else { return };
        let gone = self.dbs[db].slot(key).is_none();
        for id in watchers {
            let Some(client) = self.clients.get_mut(id) else { continue };
            let watched = client.watched.iter_mut().find(|watched| watched.db == db && *watched.key == *key);
            match watched {
                // It was past its expiry when WATCH came: that it is removed now changes nothing.
                Some(watched) if watched.was_expired && gone => watched.was_expired = false,
                _ => {
                    if self.tracing && !client.watch_broken {
                        self.broken_watches.push((*id, db, Bytes::copy(key)));
                    }
                    client.watch_broken = true;
                }
            }
        }
    }

    /// EXEC found that a watched key's time has come, though nobody has removed it yet.
    pub(super) fn watch_expired(&mut self, id: ClientId, watched: Watched) {
        if self.tracing {
            self.broken_watches.push((id, watched.db, watched.key));
        }
    }

    /// What serverCron does.
    pub(super) fn tick(&mut self, env: &mut Env, out: &mut Outbox) {
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
    pub(super) fn end_wait(&mut self, id: ClientId, reply: Reply, out: &mut Outbox) {
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

fn check_arity(entry: &Entry, args: &[Bytes]) -> Result<(), Refusal> {
    let fits = match usize::try_from(entry.arity) {
        Ok(words) => args.len() == words,
        Err(_) => args.len() >= entry.arity.unsigned_abs() as usize,
    };
    if fits { Ok(()) } else { Err(refusal::wrong_arity(&entry.command.full_name())) }
}

fn allowed_to_subscribers(command: &Command) -> bool {
    const ALLOWED: [&str; 9] = [
        "PING",
        "SUBSCRIBE",
        "PSUBSCRIBE",
        "SSUBSCRIBE",
        "UNSUBSCRIBE",
        "PUNSUBSCRIBE",
        "SUNSUBSCRIBE",
        "QUIT",
        "RESET",
    ];
    ALLOWED.contains(&command.name)
}

//! Which commands are refused or held back before they run, in Redis' order.

use crate::base::Bytes;
use crate::engine::acl::log::Context;
use crate::engine::client::ClientId;
use crate::engine::cluster::redirect::is_redirection;
use crate::engine::command::{self, Command, Flags, Group};
use crate::engine::commands::{self, Entry};
use crate::engine::refusal::{self, Refusal};
use crate::engine::{Env, Instance, Outbox};
use crate::resp::{Protocol, Reply};

impl Instance {
    /// Reasons to refuse a command that is well formed, in Redis' order.
    pub(super) fn admit(
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
        let flags = self.judged_as(id, command, args);
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
        if !room && (flags.has(command::DENYOOM) || self.would_grow_queue(id, command)) {
            return Err(refusal::OOM);
        }
        if (flags.has(command::WRITE) || command.name == "PING")
            && let Some(refusal) = self.misconf()
        {
            return Err(refusal);
        }
        self.admit_write_by_role(flags)?;
        let client = &self.clients[&id];
        if client.protocol == Protocol::Resp2 && client.is_subscriber() && !allowed_to_subscribers(command) {
            return Err(Refusal::from(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                command.full_name()
            )));
        }
        self.admit_by_role(id, flags)
    }

    /// The flags by which a command is admitted: those of EXEC are those of all that it would run.
    fn judged_as(&self, id: ClientId, command: &Command, args: &[Bytes]) -> Flags {
        let flags = self.flags_of(command, args);
        let Some(transaction) = self.clients[&id].transaction.as_ref().filter(|_| command.name == "EXEC") else {
            return flags;
        };
        // It goes on without the primary only if everything in it does.
        let stale = transaction.queue.iter().all(|(queued, _)| queued.command.flags.has(command::STALE));
        let flags = flags.with(transaction.flags);
        if stale { flags } else { flags.without(command::STALE) }
    }

    /// As which command this one is to be judged: scripts say themselves what they may do.
    pub(in crate::engine) fn flags_of(&self, command: &Command, args: &[Bytes]) -> Flags {
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
    pub(super) fn security_stop(&mut self, id: ClientId, args: &[Bytes]) -> Option<Reply> {
        if !args[0].eq_ignore_ascii_case(b"host:") && !args[0].eq_ignore_ascii_case(b"post") {
            return None;
        }
        self.clients.get_mut(&id)?.closing = true;
        Some(Reply::None)
    }

    /// Whether there may be a reason to let requests wait.
    pub(super) fn holds_back(&self) -> bool {
        self.pause.is_some() || self.failover_pause.is_some() || self.persist.ending.is_some()
    }

    /// Whether CLIENT PAUSE, a handover to another primary or the coming end lets this command wait.
    pub(super) fn is_held_back(&self, id: ClientId, command: &Command, args: &[Bytes]) -> bool {
        if self.clients[&id].is_primary() || self.clients[&id].is_replica() {
            return false;
        }
        let pause = self.pause.filter(|pause| pause.until > self.now);
        let handover = self.failover_pause.is_some_and(|until| until > self.now) || self.persist.ending.is_some();
        if pause.is_none() && !handover {
            return false;
        }
        let flags = self.judged_as(id, command, args);
        pause.is_some_and(|pause| pause.all) || flags.any(command::WRITE.with(command::MAY_REPLICATE))
    }

    /// A refusal before the command ran: it also breaks a transaction that is being queued.
    pub(super) fn reject(&mut self, id: ClientId, command: Option<&Command>, refusal: Refusal) -> Reply {
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
}

pub(super) fn check_arity(entry: &Entry, args: &[Bytes]) -> Result<(), Refusal> {
    if entry.takes(args.len()) { Ok(()) } else { Err(refusal::wrong_arity(&entry.command.full_name())) }
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

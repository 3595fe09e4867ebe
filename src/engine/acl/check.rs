//! The checks of a running instance: before a command, when users change, and the log of what was refused.

use super::User;
use super::log::{Context, LogEntry, Reason};
use super::selector::Denied;
use crate::base::Bytes;
use crate::engine::client::{Client, ClientId};
use crate::engine::commands::Entry;
use crate::engine::hooks::Buffers;
use crate::engine::refusal::Refusal;
use crate::engine::{Instance, Outbox};
use std::sync::Arc;

impl Denied {
    /// What Redis says of it, without the code word `NOPERM`. `verbose` names the key or channel (ACL DRYRUN).
    pub fn message(self, user: &User, entry: &Entry, args: &[Bytes], verbose: bool) -> String {
        let name = user.name.printed();
        match self {
            Denied::Command => {
                format!("User {name} has no permissions to run the '{}' command", entry.command.full_name())
            }
            Denied::Key(place) if verbose => {
                format!("User {name} has no permissions to access the '{}' key", args[place].printed())
            }
            Denied::Key(_) => String::from("No permissions to access a key"),
            Denied::Channel(place) if verbose => {
                format!("User {name} has no permissions to access the '{}' channel", args[place].printed())
            }
            Denied::Channel(_) => String::from("No permissions to access a channel"),
        }
    }
}

impl Instance {
    /// Whether a client may run a command with these arguments; a refusal is counted and logged. Everything that runs a
    /// command for a client asks here: the dispatcher, EXEC, a blocked request that is tried again, scripts.
    pub fn permit(&mut self, id: ClientId, entry: &Entry, args: &[Bytes], context: Context) -> Result<(), Denied> {
        match self.clients.get(&id) {
            Some(client) if !client.user.unrestricted => self.check_user(id, entry, args, context),
            _ => Ok(()),
        }
    }

    fn check_user(&mut self, id: ClientId, entry: &Entry, args: &[Bytes], context: Context) -> Result<(), Denied> {
        let user = Arc::clone(&self.clients[&id].user);
        let Err(denied) = user.check(entry, args) else { return Ok(()) };
        let (reason, object) = match denied {
            Denied::Command => (Reason::Command, Bytes::from(entry.command.full_name())),
            Denied::Key(place) => (Reason::Key, args[place].clone()),
            Denied::Channel(place) => (Reason::Channel, args[place].clone()),
        };
        self.log_denied(id, reason, context, user.name.clone(), object, args);
        Err(denied)
    }

    /// The refusal that a client gets for a command that is not allowed.
    pub fn noperm(&self, id: ClientId, denied: Denied, entry: &Entry, args: &[Bytes]) -> Refusal {
        let message = denied.message(&self.clients[&id].user, entry, args, false);
        Refusal::from(format!("NOPERM {message}"))
    }

    /// Counts and logs a refusal.
    pub fn log_denied(
        &mut self,
        id: ClientId,
        reason: Reason,
        context: Context,
        user: Bytes,
        object: Bytes,
        args: &[Bytes],
    ) {
        let now = self.now;
        let client = self.clients[&id].describe(now, Some(args), Buffers::usual(Some(args)));
        let entry = LogEntry { id: 0, count: 1, reason, context, object, user, client, created: now, updated: now };
        self.acl.log.add(entry, self.config.int("acllog-max-len") as usize);
    }

    /// Puts a user in, new or in place of the one of that name: who is logged in as them goes on under the new rules, but
    /// for listeners of channels that are no longer allowed.
    pub fn put_user(&mut self, user: User, out: &mut Outbox) {
        let before = self.acl.user(&user.name).cloned();
        let user = self.acl.put(user);
        let Some(before) = before else { return };
        let narrower = loses_channels(&user, &before);
        let loses = |client: &&Client| narrower && client.user.name == user.name && listens_in_vain(client, &user);
        let lost: Vec<ClientId> = self.clients.values().filter(loses).map(|client| client.id).collect();
        for client in self.clients.values_mut().filter(|client| client.user.name == user.name) {
            client.user = Arc::clone(&user);
        }
        lost.into_iter().for_each(|id| self.drop_client(id, out));
    }

    /// Removes users and ends the connections of those who are logged in as them; how many there were.
    pub fn remove_users(&mut self, names: &[Bytes], out: &mut Outbox) -> usize {
        let gone: Vec<Arc<User>> = names.iter().filter_map(|name| self.acl.remove(name)).collect();
        for user in &gone {
            self.drop_clients_of(user, out);
        }
        gone.len()
    }

    /// Ends all connections that are logged in as `user`. Whoever is being answered right now gets the answer first, as
    /// nobody any more.
    pub(super) fn drop_clients_of(&mut self, user: &User, out: &mut Outbox) {
        let theirs: Vec<ClientId> =
            self.clients.values().filter(|client| client.user.name == user.name).map(|client| client.id).collect();
        let nobody = Arc::clone(self.acl.default_user());
        for id in theirs {
            if let Some(client) = self.clients.get_mut(&id) {
                (client.user, client.authenticated) = (Arc::clone(&nobody), false);
            }
            self.drop_client(id, out);
        }
    }
}

/// Whether a channel that was allowed before may be no longer.
fn loses_channels(user: &User, before: &User) -> bool {
    if user.selectors().iter().any(|selector| selector.has_all_channels()) {
        return false;
    }
    let kept = |channel| user.selectors().iter().any(|selector| selector.channels.contains(channel));
    before.selectors().iter().any(|it| it.has_all_channels() || !it.channels.iter().all(kept))
}

/// Whether a client listens to a channel or pattern that its user may not listen to.
fn listens_in_vain(client: &Client, user: &User) -> bool {
    let allowed = |name: &Bytes, literal| user.selectors().iter().any(|it| it.allows_channel(name, literal));
    client.patterns.iter().any(|pattern| !allowed(pattern, true))
        || client.channels.iter().chain(&client.shard_channels).any(|channel| !allowed(channel, false))
}

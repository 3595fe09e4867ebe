//! Who serves a request: this node, or the one that the client is sent to.
//!
//! A node forwards nothing. It looks at the keys of a command (of all commands, at EXEC): they must be in one slot, the
//! slot must be its own, and while a slot moves the keys must be here.

use super::node::{Handle, Node};
use super::slots::slot_of;
use super::state::Cluster;
use crate::base::Bytes;
use crate::engine::client::{Client, ClientId};
use crate::engine::command::{self, Command, Keys};
use crate::engine::config::Config;
use crate::engine::keyspace::Db;
use crate::engine::refusal::Refusal;
use crate::engine::{Instance, Outbox};
use crate::resp::Reply;

/// Why a node does not serve a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Elsewhere {
    CrossSlot,
    /// Some keys of a slot that moves are here, some are not.
    TryAgain,
    Ask(u16, Handle),
    Moved(u16, Handle),
    Down,
    DownForWrites,
    Unbound,
}

/// What a connection has said of itself that matters here.
#[derive(Clone, Copy)]
pub struct Asker {
    /// READONLY.
    pub readonly: bool,
    /// ASKING came just before.
    pub asking: bool,
}

impl Asker {
    pub fn of(client: &Client) -> Asker {
        Asker { readonly: client.readonly, asking: client.asking }
    }
}

impl Elsewhere {
    pub fn refusal(self, cluster: &Cluster, config: &Config) -> Refusal {
        let at = |word: &str, slot: u16, handle: Handle| {
            let node = cluster.node(handle);
            Refusal::from(format!("{word} {slot} {}:{}", endpoint(node, config), node.port))
        };
        match self {
            Elsewhere::CrossSlot => Refusal::new("CROSSSLOT Keys in request don't hash to the same slot"),
            Elsewhere::TryAgain => Refusal::new("TRYAGAIN Multiple keys request during rehashing of slot"),
            Elsewhere::Down => Refusal::new("CLUSTERDOWN The cluster is down"),
            Elsewhere::DownForWrites => Refusal::new("CLUSTERDOWN The cluster is down and only accepts read commands"),
            Elsewhere::Unbound => Refusal::new("CLUSTERDOWN Hash slot not served"),
            Elsewhere::Ask(slot, node) => at("ASK", slot, node),
            Elsewhere::Moved(slot, node) => at("MOVED", slot, node),
        }
    }

    /// What a script is told that wants a key which is not here.
    pub fn in_script(self) -> Refusal {
        Refusal::new(match self {
            Elsewhere::DownForWrites => {
                "ERR Script attempted to execute a write command while the cluster is down and readonly"
            }
            Elsewhere::Down => "ERR Script attempted to execute a command while the cluster is down",
            Elsewhere::CrossSlot => "ERR Script attempted to access keys that do not hash to the same slot",
            _ => "ERR Script attempted to access a non local key in a cluster node",
        })
    }
}

/// How a node is named to clients, as `cluster-preferred-endpoint-type` says.
pub fn endpoint<'a>(node: &'a Node, config: &Config) -> std::borrow::Cow<'a, str> {
    match &*config.text("cluster-preferred-endpoint-type") {
        b"hostname" if node.hostname.is_empty() => "?".into(),
        b"hostname" => node.hostname.as_str().into(),
        b"unknown-endpoint" => "".into(),
        _ => node.host.as_str().into(),
    }
}

/// Whether a command can have keys at all.
pub fn may_have_keys(command: &Command) -> bool {
    !matches!(command.keys, Keys::None) || command.flags.has(command::MOVABLEKEYS) || command.name == "EXEC"
}

/// Whether a refusal sends the client elsewhere, or away.
pub fn is_redirection(refusal: &Refusal) -> bool {
    const WORDS: [&str; 5] = ["MOVED ", "ASK ", "CROSSSLOT ", "TRYAGAIN ", "CLUSTERDOWN "];
    WORDS.iter().any(|word| refusal.0.starts_with(word))
}

impl Cluster {
    /// Whether this node serves `commands` together, for a client that is `asker`; the slot of their keys. `flags`:
    /// what they do.
    pub fn serves<'a>(
        &self,
        asker: Asker,
        flags: command::Flags,
        commands: impl Iterator<Item = (&'a Command, &'a [Bytes])>,
        db: &Db,
        config: &Config,
    ) -> Result<Option<u16>, Elsewhere> {
        let mut first: Option<(u16, Handle, &Bytes)> = None;
        let (mut several, mut missing, mut present) = (false, false, false);
        let (mut migrating, mut importing) = (false, false);
        let (mut sharded, mut migrate) = (false, false);
        for (command, args) in commands {
            sharded = matches!(command.name, "SSUBSCRIBE" | "SUNSUBSCRIBE" | "SPUBLISH");
            migrate = command.name == "MIGRATE";
            for place in key_places(command, args) {
                let Some(key) = args.get(place) else { continue };
                let slot = slot_of(key);
                match first {
                    None => {
                        let owner = self.owner(slot).ok_or(Elsewhere::Unbound)?;
                        first = Some((slot, owner, key));
                        migrating = owner == self.myself && self.migrating.contains_key(&slot);
                        importing = !migrating && self.importing.contains_key(&slot);
                    }
                    Some((same, ..)) if same != slot => return Err(Elsewhere::CrossSlot),
                    Some((_, _, name)) => several |= importing && name != key,
                }
                if (migrating || importing) && !sharded {
                    let here = db.slot(key).is_some();
                    present |= here;
                    missing |= !here;
                }
            }
        }
        // Without keys any node will do.
        let Some((slot, owner, _)) = first else { return Ok(None) };
        if !self.ok {
            if sharded {
                if !config.flag("cluster-allow-pubsubshard-when-down") {
                    return Err(Elsewhere::Down);
                }
            } else if !config.flag("cluster-allow-reads-when-down") {
                return Err(Elsewhere::Down);
            } else if flags.has(command::WRITE) {
                return Err(Elsewhere::DownForWrites);
            }
        }
        if (migrating || importing) && migrate {
            return Ok(Some(slot));
        }
        if migrating && missing {
            return Err(if present { Elsewhere::TryAgain } else { Elsewhere::Ask(slot, self.migrating[&slot]) });
        }
        if importing && (asker.asking || flags.has(command::ASKING)) {
            return if several && missing { Err(Elsewhere::TryAgain) } else { Ok(Some(slot)) };
        }
        let me = self.me();
        let reads = (asker.readonly || sharded) && !flags.has(command::WRITE);
        if owner == self.myself || reads && me.is_replica() && me.primary == Some(owner) {
            return Ok(Some(slot));
        }
        Err(Elsewhere::Moved(slot, owner))
    }
}

/// Where the keys stand; nearly always there is one, found without a list.
fn key_places(command: &Command, args: &[Bytes]) -> impl Iterator<Item = usize> {
    let one = matches!(command.keys, Keys::Range { first: 1, last: 1, .. });
    let list = if one { Vec::new() } else { command.key_places(args) };
    one.then_some(1).into_iter().chain(list)
}

impl Instance {
    /// Refuses what another node has to serve. For a command that is about to be carried out or queued.
    pub(in crate::engine) fn check_slots(
        &self,
        id: ClientId,
        command: &'static Command,
        args: &[Bytes],
    ) -> Result<(), Refusal> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        if !may_have_keys(command) {
            return Ok(());
        }
        let client = &self.clients[&id];
        let (asker, db, config) = (Asker::of(client), &self.dbs[0], &self.config);
        let verdict = match &client.transaction {
            Some(transaction) if command.name == "EXEC" => {
                let queue = transaction.queue.iter().map(|(entry, args)| (entry.command, args.as_slice()));
                cluster.serves(asker, transaction.flags, queue, db, config)
            }
            _ if command.name == "EXEC" => Ok(None),
            _ => cluster.serves(asker, self.flags_of(command, args), std::iter::once((command, args)), db, config),
        };
        verdict.map(drop).map_err(|elsewhere| elsewhere.refusal(cluster, config))
    }

    /// The same for a command of a script, whose keys may be others than it declared. Unless the script may use several
    /// slots, they must be in the slot of those.
    pub(in crate::engine) fn check_slots_of_script(
        &mut self,
        id: ClientId,
        command: &'static Command,
        args: &[Bytes],
    ) -> Result<(), Refusal> {
        let Some(cluster) = self.cluster.as_deref().filter(|_| may_have_keys(command)) else { return Ok(()) };
        let asker = Asker::of(&self.clients[&id]);
        let one = std::iter::once((command, args));
        let slot =
            cluster.serves(asker, command.flags, one, &self.dbs[0], &self.config).map_err(Elsewhere::in_script)?;
        let (Some(slot), Some(active)) = (slot, &mut self.scripting.active) else { return Ok(()) };
        if !active.any_slot && *active.slot.get_or_insert(slot) != slot {
            return Err(Elsewhere::CrossSlot.in_script());
        }
        Ok(())
    }

    /// Clients that wait for a key of a slot that has gone elsewhere are sent after it.
    pub(super) fn redirect_blocked(&mut self, out: &mut Outbox) {
        let Some(cluster) = &self.cluster else { return };
        let mut ended = Vec::new();
        for client in self.clients.values() {
            let Some(blocked) = &client.blocked else { continue };
            let Some(key) = blocked.keys.first() else { continue };
            let slot = slot_of(key);
            let elsewhere = match cluster.owner(slot) {
                _ if !cluster.ok => Elsewhere::Down,
                Some(owner) if owner == cluster.myself => continue,
                _ if cluster.importing.contains_key(&slot) => continue,
                None => Elsewhere::Unbound,
                Some(owner) => {
                    let me = cluster.me();
                    let reads = client.last_command.is_some_and(|command| !command.flags.has(command::WRITE));
                    if client.readonly && reads && me.is_replica() && me.primary == Some(owner) {
                        continue;
                    }
                    Elsewhere::Moved(slot, owner)
                }
            };
            ended.push((client.id, elsewhere.refusal(cluster, &self.config)));
        }
        for (id, refusal) in ended {
            self.end_wait(id, Reply::from(refusal), out);
        }
    }
}

//! One turn of a node: what it may read and what it may ask for; and the instance's side of that.

use super::node::{Flags, Handle};
use super::slots::slot_of;
use super::state::Cluster;
use crate::base::{Bytes, Millis, Rng};
use crate::engine::config::Config;
use crate::engine::link::Links;
use crate::engine::notify::Class;
use crate::engine::{Env, Input, Instance, Outbox, Output, pubsub};
use crate::resp::Reply;

/// What the bus says it listens on, and the rest of the configuration that turns look at.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub node_timeout: Millis,
    /// 0: half the node timeout.
    pub ping_interval: Millis,
    pub full_coverage: bool,
    pub replica_migration: bool,
    pub migration_barrier: usize,
    pub validity_factor: u64,
    pub no_failover: bool,
    pub ping_replica_period: Millis,
    pub announce_host: String,
    /// The first address that `bind` names, unless that is any.
    pub bound_host: String,
    pub hostname: String,
    pub human_name: String,
    pub port: u16,
    pub tls_port: u16,
    pub bus_port: u16,
    pub link_limit_bytes: u64,
    /// How much of the replication stream this node has.
    pub offset: i64,
    /// As a replica: for how long nothing has come from the primary.
    pub data_age: Millis,
    /// As a replica: follows somebody.
    pub has_primary: bool,
}

impl Settings {
    fn of(config: &Config) -> Settings {
        let number = |name: &str| config.int(name).max(0) as u64;
        let text = |name: &str| config.text(name).lossy().into_owned();
        let announced = |name: &str, or: u16| if number(name) > 0 { number(name) as u16 } else { or };
        Settings {
            node_timeout: Millis(number("cluster-node-timeout")),
            ping_interval: Millis(number("cluster-ping-interval")),
            full_coverage: config.flag("cluster-require-full-coverage"),
            replica_migration: config.flag("cluster-allow-replica-migration"),
            migration_barrier: number("cluster-migration-barrier") as usize,
            validity_factor: number("cluster-replica-validity-factor"),
            no_failover: config.flag("cluster-replica-no-failover"),
            ping_replica_period: Millis::from_secs(number("repl-ping-replica-period")),
            announce_host: text("cluster-announce-ip"),
            bound_host: bound_host(&text("bind")),
            hostname: text("cluster-announce-hostname"),
            human_name: text("cluster-announce-human-nodename"),
            port: announced("cluster-announce-port", config.port),
            tls_port: announced("cluster-announce-tls-port", number("tls-port") as u16),
            bus_port: announced("cluster-announce-bus-port", bus_port(config)),
            link_limit_bytes: number("cluster-link-sendbuf-limit"),
            ..Settings::default()
        }
    }
}

fn bound_host(bind: &str) -> String {
    let mut words = bind.split(' ').map(|word| word.trim_start_matches('-'));
    words.find(|word| !matches!(*word, "" | "*" | "0.0.0.0" | "::" | "::*" | "::1")).unwrap_or_default().to_owned()
}

/// Where the bus listens.
pub fn bus_port(config: &Config) -> u16 {
    match config.int("cluster-port") {
        0 => config.port.saturating_add(10_000),
        port => port as u16,
    }
}

/// What a turn wants of the instance.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Follow the server at this address.
    Follow(String, u16),
    /// Follow nobody.
    StopFollowing,
    EmptyData,
    /// Let writes of clients wait, until this moment at most.
    PauseWrites(Millis),
    Unpause,
    /// This node does not serve the slot any more: its shard channels end.
    SlotGone(u16),
    /// Keys of this slot are somebody else's now.
    DropKeys(u16),
    /// A message from another node, for clients here.
    Publish {
        sharded: bool,
        channel: Bytes,
        message: Bytes,
    },
    /// Write nodes.conf now.
    Save {
        fsync: bool,
    },
}

pub struct Turn<'a> {
    pub cluster: &'a mut Cluster,
    pub settings: Settings,
    pub now: Millis,
    pub rng: &'a mut Rng,
    pub links: &'a mut Links,
    pub out: &'a mut Outbox,
    pub effects: Vec<Effect>,
}

impl Turn<'_> {
    /// Takes a slot from its owner. What listens to its channels here is told.
    pub fn take_slot(&mut self, slot: u16) {
        if self.cluster.take_slot(slot).is_some() {
            self.effects.push(Effect::SlotGone(slot));
        }
    }

    /// Makes this node a replica of `primary`.
    pub fn follow(&mut self, primary: Handle) {
        let myself = self.cluster.myself;
        if self.cluster.me().is_primary() {
            let me = self.cluster.me_mut();
            me.flags.clear(Flags::PRIMARY.with(Flags::MIGRATE_TO));
            me.flags.set(Flags::REPLICA);
            self.cluster.migrating.clear();
            self.cluster.importing.clear();
        } else if let Some(before) = self.cluster.me().primary {
            self.cluster.remove_replica(before, myself);
        }
        self.cluster.me_mut().primary = Some(primary);
        let shard = self.cluster.node(primary).shard;
        if self.cluster.set_shard(myself, shard) {
            self.cluster.todo.save = true;
        }
        self.cluster.add_replica(primary, myself);
        let node = self.cluster.node(primary);
        self.effects.push(Effect::Follow(node.host.clone(), node.port));
        self.reset_manual_failover();
    }

    /// What must be done before the step ends.
    fn end(&mut self) {
        let todo = std::mem::take(&mut self.cluster.todo);
        let replica = self.cluster.me().is_replica();
        if todo.manual_failover && replica {
            self.check_manual_failover();
            self.stand_for_election();
        } else if todo.failover {
            self.stand_for_election();
        }
        if todo.update_state {
            self.update_state();
        }
        let more = self.cluster.todo;
        if todo.save || more.save {
            self.effects.push(Effect::Save { fsync: todo.fsync || more.fsync });
        }
        self.cluster.todo.save = false;
        self.cluster.todo.fsync = false;
    }
}

impl Instance {
    /// Carries out one turn of this node, with what follows from it. None: cluster mode is off.
    pub fn cluster_turn<T>(&mut self, env: &mut Env, out: &mut Outbox, act: impl FnOnce(&mut Turn) -> T) -> Option<T> {
        let mut cluster = self.cluster.take()?;
        let settings = self.cluster_settings(&mut cluster, env.now);
        let mut turn = Turn {
            cluster: &mut cluster,
            settings,
            now: env.now,
            rng: env.rng,
            links: &mut self.links,
            out,
            effects: Vec::new(),
        };
        let result = act(&mut turn);
        let (effects, settings) = (std::mem::take(&mut turn.effects), turn.settings);
        cluster.settings = Some((self.config.revision(), settings));
        self.cluster = Some(cluster);
        self.carry_out_effects(env, effects, out);
        Some(result)
    }

    /// Every message of the bus is a turn: what the configuration says of it is read once for each change of that.
    fn cluster_settings(&self, cluster: &mut Cluster, now: Millis) -> Settings {
        let revision = self.config.revision();
        let kept = cluster.settings.take().filter(|(of, _)| *of == revision);
        let (_, mut settings) = kept.unwrap_or_else(|| (revision, Settings::of(&self.config)));
        settings.offset = self.replication_offset() as i64;
        settings.data_age = self.silence_of_primary(now);
        settings.has_primary = self.replication.primary.is_some();
        settings
    }

    /// The end of a step: what turns have left to do.
    pub(in crate::engine) fn end_cluster_step(&mut self, env: &mut Env, out: &mut Outbox) {
        let Some(cluster) = &self.cluster else { return };
        let todo = cluster.todo;
        if todo.failover || todo.manual_failover || todo.update_state || todo.save {
            let state_before = cluster.ok;
            self.cluster_turn(env, out, |turn| turn.end());
            if self.cluster.as_ref().is_some_and(|cluster| cluster.ok != state_before) {
                self.redirect_blocked(out);
            }
        }
    }

    fn carry_out_effects(&mut self, env: &mut Env, effects: Vec<Effect>, out: &mut Outbox) {
        for effect in effects {
            match effect {
                Effect::Follow(host, port) => self.replicate_from(&host, port, env, out),
                Effect::StopFollowing => self.promote(env, out),
                Effect::EmptyData => self.empty(0..self.dbs.len()),
                Effect::PauseWrites(until) => self.failover_pause = Some(until),
                Effect::Unpause => self.failover_pause = self.failover_pause.map(|_| Millis::ZERO),
                Effect::SlotGone(slot) => self.end_shard_channels(slot, out),
                Effect::DropKeys(slot) => self.drop_keys_of_slot(slot, out),
                Effect::Publish { sharded: false, channel, message } => {
                    self.pubsub.publish(&channel, &message, out);
                }
                Effect::Publish { sharded: true, channel, message } => {
                    self.pubsub.publish_sharded(&channel, &message, out);
                }
                Effect::Save { fsync } => self.save_nodes_conf_or_die(env, fsync, out),
            }
        }
    }

    /// The bus has brought something.
    pub(in crate::engine) fn bus_input(&mut self, env: &mut Env, input: Input, out: &mut Outbox) {
        self.cluster_turn(env, out, |turn| match input {
            Input::LinkUp(link) => turn.link_up(link),
            Input::LinkCameIn(link, peer) => turn.link_came_in(link, peer),
            Input::LinkBytes(link, bytes) => turn.link_bytes(link, &bytes),
            Input::LinkDown(link) => turn.lost(link),
            _ => {}
        });
    }

    /// For how long nothing has come from my primary.
    fn silence_of_primary(&self, now: Millis) -> Millis {
        // Redis counts whole seconds here.
        let last = self.last_io().or(self.down_since()).unwrap_or(Millis::ZERO);
        Millis::from_secs(now.secs().saturating_sub(last.secs()))
    }

    /// Clients that listen to a channel of a slot that this node no longer serves are told that they do not any more.
    fn end_shard_channels(&mut self, slot: u16, out: &mut Outbox) {
        let gone: Vec<Bytes> =
            self.pubsub.shard_channels.keys().filter(|channel| slot_of(channel) == slot).cloned().collect();
        for channel in gone {
            for id in self.pubsub.shard_channels.remove(&channel).unwrap_or_default() {
                let Some(client) = self.clients.get_mut(&id) else { continue };
                client.shard_channels.remove(&channel);
                let left = Reply::Int(client.shard_channels.len() as i64);
                let parts = vec![Reply::bulk(pubsub::Kind::Shard.undo_verb()), Reply::Bulk(channel.clone()), left];
                out.push(Output::Push(id, Reply::Push(parts)));
            }
        }
    }

    /// The slot is another node's now, and what is left of it here is of no use.
    fn drop_keys_of_slot(&mut self, slot: u16, out: &mut Outbox) {
        let keys: Vec<Bytes> = self.dbs[0].keys_of_slot(slot).cloned().collect();
        for key in keys {
            self.dbs[0].remove(&key);
            self.propagate(0, self.deletion("lazyfree-lazy-server-del", &key));
            self.touch(0, &key);
            self.notify(0, Class::Generic, "del", &key, out);
            self.dirty += 1;
        }
    }
}

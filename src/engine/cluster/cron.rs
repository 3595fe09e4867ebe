//! Ten times a second: make links, ping, notice who is silent, stand for election; and whether the cluster is up.

use super::Turn;
use super::message::Kind;
use super::node::{Flags, Handle, Node, NodeId};
use crate::base::Millis;

/// A primary that comes back waits this long before it takes writes, so that it hears first what has changed.
const WRITABLE_DELAY: Millis = Millis(2000);
/// How long a primary that was among a minority waits, at least and at most.
const REJOIN_MIN: u64 = 500;
const REJOIN_MAX: u64 = 5000;

/// How often the cron does its round.
const PERIOD: Millis = Millis(100);

impl Turn<'_> {
    /// One round, if it is time for one.
    pub fn cron(&mut self) {
        if self.now < self.cluster.cron_at {
            return;
        }
        self.cluster.cron_at = self.now + PERIOD;
        self.cluster.rounds += 1;
        self.announce();
        self.make_links();
        if self.cluster.rounds.is_multiple_of(10) {
            self.ping_oldest();
        }
        let round = self.watch_nodes();
        let me = self.cluster.me();
        if me.is_replica()
            && !self.settings.has_primary
            && let Some(primary) = me.primary
        {
            let node = self.cluster.node(primary);
            if !node.flags.any(Flags::NOADDR) {
                self.effects.push(super::Effect::Follow(node.host.clone(), node.port));
            }
        }
        self.end_late_manual_failover();
        if self.cluster.me().is_replica() {
            self.check_manual_failover();
            self.stand_for_election();
            if round.orphans > 0 && round.most >= 2 && round.mine == round.most && self.settings.replica_migration {
                self.move_to_orphan(round.most);
            }
        }
        if round.changed || !self.cluster.ok {
            self.update_state();
        }
    }

    /// What the configuration says of this node.
    pub fn announce(&mut self) {
        let settings = &self.settings;
        let me = self.cluster.me_mut();
        (me.port, me.tls_port, me.bus_port) = (settings.port, settings.tls_port, settings.bus_port);
        if !settings.announce_host.is_empty() {
            me.host.clone_from(&settings.announce_host);
        }
        let mut changed = me.hostname != settings.hostname || me.human_name != settings.human_name;
        if changed {
            (me.hostname, me.human_name) = (settings.hostname.clone(), settings.human_name.clone());
        }
        let flags = me.flags;
        me.flags.clear(Flags::NOFAILOVER);
        if settings.no_failover {
            me.flags.set(Flags::NOFAILOVER);
        }
        if me.flags != flags {
            changed = true;
            self.cluster.todo.update_state = true;
        }
        self.cluster.todo.save |= changed;
    }

    fn make_links(&mut self) {
        self.cut_full_links();
        let patience = self.settings.node_timeout.max(Millis(1000));
        self.cluster.suspects = 0;
        for handle in self.cluster.handles() {
            let node = self.cluster.node(handle);
            if node.flags.any(Flags::MYSELF.with(Flags::NOADDR)) {
                continue;
            }
            let (suspected, late) =
                (node.is_suspected(), node.in_handshake() && self.now.since(node.created_at) > patience);
            let linked = node.link.is_some();
            self.cluster.suspects += usize::from(suspected);
            if late {
                self.delete(handle);
            } else if !linked {
                self.dial(handle);
            }
        }
    }

    /// Once a second: of five random nodes, the one that I heard from longest ago.
    fn ping_oldest(&mut self) {
        let mut oldest: Option<(Millis, Handle)> = None;
        for _ in 0..5 {
            let handle = self.cluster.random(self.rng);
            let node = self.cluster.node(handle);
            let busy = node.link.is_none() || node.ping_sent != Millis::ZERO;
            if busy || node.flags.any(Flags::MYSELF.with(Flags::HANDSHAKE)) {
                continue;
            }
            if oldest.is_none_or(|(at, _)| at > node.pong_received) {
                oldest = Some((node.pong_received, handle));
            }
        }
        if let Some((_, handle)) = oldest
            && let Some(link) = self.cluster.node(handle).link
        {
            self.ping(link, Kind::Ping);
        }
    }

    fn watch_nodes(&mut self) -> Round {
        let mut round = Round::default();
        for handle in self.cluster.handles() {
            let node = self.cluster.node(handle);
            if node.flags.any(Flags::MYSELF.with(Flags::NOADDR).with(Flags::HANDSHAKE)) {
                continue;
            }
            let me = self.cluster.me();
            if me.is_replica() && node.is_primary() && !node.has_failed() {
                let working = self.cluster.working_replicas(handle);
                if working == 0 && !node.slots.is_empty() && node.flags.any(Flags::MIGRATE_TO) {
                    round.orphans += 1;
                }
                round.most = round.most.max(working);
                if me.primary == Some(handle) {
                    round.mine = working;
                }
            }
            round.changed |= self.watch(handle);
        }
        round
    }

    /// Pings one node if it is time, and suspects it if it has been silent for too long. Whether that changed something.
    fn watch(&mut self, handle: Handle) -> bool {
        let (now, timeout) = (self.now, self.settings.node_timeout);
        let half = Millis(timeout.0 / 2);
        let node = self.cluster.node(handle);
        let waits = node.ping_sent != Millis::ZERO;
        let silent = now.since(node.ping_sent).min(now.since(node.data_received));
        if let Some(link) = node.link
            && let Some(bus) = self.cluster.links.get(&link)
            && now.since(bus.created_at) > timeout
            && waits
            && silent > half
        {
            // Perhaps it is only the connection: the next round makes a new one.
            self.cut(link);
        }
        let node = self.cluster.node(handle);
        let interval = if self.settings.ping_interval == Millis::ZERO { half } else { self.settings.ping_interval };
        let idle = !waits && now.since(node.pong_received) > interval;
        let handover = self.cluster.manual.ends_at.is_some()
            && self.cluster.me().is_primary()
            && self.cluster.manual.replica == Some(handle);
        if let Some(link) = node.link
            && (idle || handover)
        {
            self.ping(link, Kind::Ping);
            return false;
        }
        if !waits || silent <= timeout || node.flags.any(Flags::PFAIL.with(Flags::FAIL)) {
            return false;
        }
        self.cluster.node_mut(handle).flags.set(Flags::PFAIL);
        if self.cluster.me().is_primary() && self.cluster.size == 1 {
            // Nobody else has a vote.
            self.fail_if_agreed(handle);
        }
        true
    }

    /// Whether this node serves requests: every slot has a working owner (or full coverage is not asked for), and a
    /// majority of the primaries can be reached.
    pub fn update_state(&mut self) {
        self.cluster.todo.update_state = false;
        let now = self.now;
        let first = *self.cluster.first_update.get_or_insert(now);
        let primary = self.cluster.me().is_primary();
        if primary && !self.cluster.ok && now.since(first) < WRITABLE_DELAY {
            return;
        }
        let voters = |node: &&Node| node.is_primary() && !node.slots.is_empty();
        let nodes = || self.cluster.iter().map(|(_, node)| node);
        let size = nodes().filter(voters).count();
        let reachable = nodes().filter(voters).filter(|node| !node.flags.any(Flags::FAIL.with(Flags::PFAIL))).count();
        let covered: usize = nodes().filter(|node| !node.has_failed()).map(|node| node.slots.len()).sum();
        let mut ok = !self.settings.full_coverage || covered == super::slots::SLOTS;
        self.cluster.size = size;
        if reachable < self.cluster.quorum() {
            ok = false;
            self.cluster.minority_at = now;
        }
        if ok == self.cluster.ok {
            return;
        }
        let rejoin = Millis(self.settings.node_timeout.0.clamp(REJOIN_MIN, REJOIN_MAX));
        if ok && primary && now.since(self.cluster.minority_at) < rejoin {
            return;
        }
        self.log(if ok {
            String::from("* Cluster state changed: ok")
        } else {
            String::from("# Cluster state changed: fail")
        });
        self.cluster.ok = ok;
    }

    /// CLUSTER MEET. False: no address, or no port.
    pub fn meet(&mut self, host: &str, port: i64, bus_port: i64) -> bool {
        // The parser of addresses, no socket.
        let Ok(address) = host.parse::<core::net::IpAddr>() else { return false };
        let (Ok(port), Ok(bus_port)) = (u16::try_from(port), u16::try_from(bus_port)) else { return false };
        if port == 0 || bus_port == 0 {
            return false;
        }
        let host = address.to_string();
        let same =
            |node: &Node| node.in_handshake() && node.host == host && (node.port, node.bus_port) == (port, bus_port);
        if self.cluster.iter().any(|(_, node)| same(node)) {
            return true;
        }
        let flags = Flags::HANDSHAKE.with(Flags::MEET);
        let mut node = Node::new(NodeId::random(self.rng), flags, self.now, self.rng);
        (node.host, node.port, node.bus_port) = (host, port, bus_port);
        self.cluster.add(node);
        true
    }
}

/// What a look at all nodes found.
#[derive(Default)]
struct Round {
    changed: bool,
    /// Primaries that had replicas and have none that works.
    orphans: usize,
    /// The most working replicas that one primary has, and how many mine has.
    most: usize,
    mine: usize,
}

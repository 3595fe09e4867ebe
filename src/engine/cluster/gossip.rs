//! What a node tells the others: PING, PONG and MEET with what it has heard of some nodes, and the other messages.

use super::Turn;
use super::message::{Body, Extension, Gossip, Kind, Message};
use super::node::{Flags, Handle, Node, NodeId};
use super::slots::SET_BYTES;
use crate::engine::link::LinkId;

/// Who hears a PONG that nobody asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    All,
    /// My primary's replicas, and mine.
    Siblings,
}

impl Turn<'_> {
    /// A message with everything that all messages say, as bytes.
    fn compose(&self, kind: Kind, force: bool, body: Body) -> Vec<u8> {
        let me = self.cluster.me();
        let primary = me.primary.map(|handle| self.cluster.node(handle));
        let source = primary.filter(|_| me.is_replica()).unwrap_or(me);
        Message {
            kind,
            current_epoch: self.cluster.current_epoch,
            config_epoch: source.epoch,
            offset: self.settings.offset.max(0) as u64,
            sender: me.id,
            slots: source.slots.wire(),
            primary: primary.map_or(NodeId::NONE, |primary| primary.id),
            host: self.settings.announce_host.clone(),
            port: self.settings.port,
            tls_port: self.settings.tls_port,
            bus_port: self.settings.bus_port,
            flags: me.flags,
            ok: self.cluster.ok,
            paused: me.is_primary() && self.cluster.manual.ends_at.is_some(),
            force,
            body,
        }
        .encode()
    }

    /// Sends PING, PONG or MEET over a link.
    ///
    /// A tenth of the known nodes is told of, at least three, and every node that I suspect: with N/10 nodes in each of
    /// the packets that two nodes exchange within the node timeout, news of a failure reaches a majority within the time
    /// for which a report of it is valid.
    pub(super) fn ping(&mut self, link: LinkId, kind: Kind) {
        let Some(bus) = self.cluster.links.get(&link) else { return };
        let to = bus.node;
        self.cluster.pings += 1;
        if kind == Kind::Ping
            && !link.came_in()
            && let Some(to) = to
        {
            self.cluster.node_mut(to).ping_sent = self.now;
        }
        let gossip = self.gossip();
        let bytes = self.compose(kind, false, Body::Gossip(gossip, self.extensions()));
        self.send(link, kind, bytes);
    }

    fn gossip(&mut self) -> Vec<Gossip> {
        let this_ping = self.cluster.pings;
        // Neither this node nor the one that is spoken to.
        let mut fresh = self.cluster.count().saturating_sub(2);
        let wanted = (self.cluster.count() / 10).max(3).min(fresh);
        let mut chosen = Vec::with_capacity(wanted + self.cluster.suspects);
        let mut tries = wanted * 3;
        while fresh > 0 && chosen.len() < wanted && tries > 0 {
            tries -= 1;
            let handle = self.cluster.random(self.rng);
            let node = self.cluster.node(handle);
            // Suspects come at the end, all of them.
            if handle == self.cluster.myself || node.is_suspected() {
                continue;
            }
            let stranger = node.flags.any(Flags::HANDSHAKE.with(Flags::NOADDR));
            if stranger || node.link.is_none() && node.slots.is_empty() {
                fresh -= 1;
                continue;
            }
            if node.gossiped_in == this_ping {
                continue;
            }
            self.cluster.node_mut(handle).gossiped_in = this_ping;
            chosen.push(heard_of(self.cluster.node(handle)));
            fresh -= 1;
        }
        let suspected = |node: &Node| node.is_suspected() && !node.flags.any(Flags::HANDSHAKE.with(Flags::NOADDR));
        let suspects = self.cluster.iter().filter(|(_, node)| suspected(node));
        chosen.extend(suspects.take(self.cluster.suspects).map(|(_, node)| heard_of(node)));
        chosen
    }

    fn extensions(&self) -> Vec<Extension> {
        let me = self.cluster.me();
        let mut extensions = Vec::with_capacity(1);
        if !me.hostname.is_empty() {
            extensions.push(Extension::Hostname(me.hostname.clone()));
        }
        if !me.human_name.is_empty() {
            extensions.push(Extension::HumanName(me.human_name.clone()));
        }
        let now = self.now.secs();
        let forgotten = self.cluster.forgotten.iter().filter(|(_, until)| **until >= now);
        extensions.extend(forgotten.map(|(id, until)| Extension::Forgotten(*id, until - now)));
        extensions.push(Extension::Shard(me.shard));
        extensions
    }

    /// Tells everybody something, over the links that there are.
    fn broadcast(&mut self, kind: Kind, bytes: &[u8]) {
        for handle in self.cluster.handles() {
            let node = self.cluster.node(handle);
            if node.flags.any(Flags::MYSELF.with(Flags::HANDSHAKE)) {
                continue;
            }
            if let Some(link) = node.link {
                self.send(link, kind, bytes.to_vec());
            }
        }
    }

    /// PONGs that answer no PING: news travels at once instead of with the next ping.
    pub(super) fn broadcast_pong(&mut self, audience: Audience) {
        let (myself, primary) = (self.cluster.myself, self.cluster.me().primary);
        for handle in self.cluster.handles() {
            let node = self.cluster.node(handle);
            let Some(link) = node.link else { continue };
            let sibling = node.is_replica()
                && node.primary.is_some()
                && (node.primary == Some(myself) || node.primary == primary);
            if handle != myself && !node.in_handshake() && (audience == Audience::All || sibling) {
                self.ping(link, Kind::Pong);
            }
        }
    }

    pub(super) fn send_fail(&mut self, about: NodeId) {
        let bytes = self.compose(Kind::Fail, false, Body::Fail(about));
        self.broadcast(Kind::Fail, &bytes);
    }

    /// Asks all for their vote.
    pub(super) fn request_votes(&mut self) {
        let force = self.cluster.manual.ends_at.is_some();
        let bytes = self.compose(Kind::AuthRequest, force, Body::Nothing);
        self.broadcast(Kind::AuthRequest, &bytes);
    }

    /// A message without contents to one node, if there is a link to it.
    pub(super) fn send_bare(&mut self, to: Handle, kind: Kind) {
        if let Some(link) = self.cluster.node(to).link {
            let bytes = self.compose(kind, false, Body::Nothing);
            self.send(link, kind, bytes);
        }
    }

    /// Tells a node who owns the slots that it or its primary claims wrongly.
    pub(super) fn send_update(&mut self, to: Handle, owner: Handle) {
        let Some(link) = self.cluster.node(to).link else { return };
        let node = self.cluster.node(owner);
        let mut slots: [u8; SET_BYTES] = *node.slots.wire();
        for (byte, unclaimed) in slots.iter_mut().zip(self.cluster.unclaimed.wire()) {
            *byte &= !unclaimed;
        }
        let bytes =
            self.compose(Kind::Update, false, Body::Update { epoch: node.epoch, owner: node.id, slots: &slots });
        self.send(link, Kind::Update, bytes);
    }

    /// Carries a message to the other nodes: to all, or (`sharded`) to those of my shard.
    pub fn publish(&mut self, sharded: bool, channel: &[u8], message: &[u8]) {
        let kind = if sharded { Kind::PublishShard } else { Kind::Publish };
        let bytes = self.compose(kind, false, Body::Publish(channel, message));
        if !sharded {
            return self.broadcast(kind, &bytes);
        }
        let shard = self.cluster.shards.get(&self.cluster.me().shard).cloned().unwrap_or_default();
        for handle in shard {
            let node = self.cluster.node(handle);
            if node.flags.any(Flags::MYSELF.with(Flags::HANDSHAKE)) {
                continue;
            }
            if let Some(link) = node.link {
                self.send(link, kind, bytes.clone());
            }
        }
    }
}

fn heard_of(node: &Node) -> Gossip {
    Gossip {
        id: node.id,
        ping_sent: node.ping_sent.secs() as u32,
        pong_received: node.pong_received.secs() as u32,
        host: node.host.clone(),
        port: node.port,
        bus_port: node.bus_port,
        flags: node.flags,
        tls_port: node.tls_port,
    }
}

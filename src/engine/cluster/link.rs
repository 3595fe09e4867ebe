//! Links of the bus: one that I dialled to each node, over which I ping and am answered, and those that came in.

use super::message::{Kind, announced_len};
use super::node::Handle;
use super::{Turn, notice};
use crate::base::Millis;
use crate::engine::Output;
use crate::engine::link::{Address, LinkId, Owner};
use std::collections::BTreeMap;

/// A link that stands or is being made.
#[derive(Clone, Debug)]
pub struct BusLink {
    /// Who is at the other end; of a link that came in only known once it has spoken.
    pub node: Option<Handle>,
    pub created_at: Millis,
    /// False while it is being made: what is sent meanwhile waits in `queued`.
    pub up: bool,
    pub queued: Vec<Vec<u8>>,
    /// The beginning of a message whose rest has not come yet.
    pub received: Vec<u8>,
    /// Where a link came in from.
    pub peer: String,
}

pub type BusLinks = BTreeMap<LinkId, BusLink>;

impl Turn<'_> {
    /// Opens a link to a node.
    pub(super) fn dial(&mut self, handle: Handle) {
        let node = self.cluster.node(handle);
        let address = Address { host: node.host.clone(), port: node.bus_port };
        let link = self.links.dial(Owner::Bus, address, self.out);
        let (created_at, queued, received) = (self.now, Vec::new(), Vec::new());
        let peer = String::new();
        let new = BusLink { node: Some(handle), created_at, up: false, queued, received, peer };
        self.cluster.links.insert(link, new);
        self.cluster.node_mut(handle).link = Some(link);
    }

    /// Sends a whole message, if the link is still there.
    pub(super) fn send(&mut self, link: LinkId, kind: Kind, bytes: Vec<u8>) {
        let Some(bus) = self.cluster.links.get_mut(&link) else { return };
        self.cluster.sent[kind as usize] += 1;
        if bus.up {
            self.out.push(Output::LinkSend(link, bytes));
        } else {
            bus.queued.push(bytes);
        }
    }

    /// Ends a link.
    pub(super) fn cut(&mut self, link: LinkId) {
        self.links.close(link, self.out);
        self.lost(link);
    }

    /// A link has ended: the node at its other end has none any more.
    pub(super) fn lost(&mut self, link: LinkId) {
        let Some(handle) = self.cluster.links.remove(&link).and_then(|bus| bus.node) else { return };
        let node = self.cluster.node_mut(handle);
        if node.link == Some(link) {
            node.link = None;
        } else if node.inbound == Some(link) {
            node.inbound = None;
        }
    }

    /// Removes a node, with its links and with everything that says anything about it.
    pub fn delete(&mut self, handle: Handle) {
        let node = self.cluster.node(handle);
        for link in [node.link, node.inbound].into_iter().flatten() {
            self.cut(link);
        }
        for slot in self.cluster.forget(handle) {
            self.effects.push(super::Effect::SlotGone(slot));
        }
    }

    /// A link that I dialled stands: what waited goes out, then a PING, or the MEET that the node was to be greeted with.
    pub(super) fn link_up(&mut self, link: LinkId) {
        let Some(bus) = self.cluster.links.get_mut(&link) else { return };
        bus.up = true;
        let queued = std::mem::take(&mut bus.queued);
        let Some(handle) = bus.node else { return };
        self.out.extend(queued.into_iter().map(|bytes| Output::LinkSend(link, bytes)));
        let waited_since = self.cluster.node(handle).ping_sent;
        let meet = self.cluster.node(handle).flags.any(super::node::Flags::MEET);
        self.ping(link, if meet { Kind::Meet } else { Kind::Ping });
        let node = self.cluster.node_mut(handle);
        if waited_since != Millis::ZERO {
            // It has been silent since before the link broke: a new link is no excuse.
            node.ping_sent = waited_since;
        }
        node.flags.clear(super::node::Flags::MEET);
    }

    pub(super) fn link_came_in(&mut self, link: LinkId, peer: String) {
        let (created_at, queued, received) = (self.now, Vec::new(), Vec::new());
        self.cluster.links.insert(link, BusLink { node: None, created_at, up: true, queued, received, peer });
    }

    /// Bytes came: every whole message among them is acted on.
    pub(super) fn link_bytes(&mut self, link: LinkId, bytes: &[u8]) {
        let Some(bus) = self.cluster.links.get_mut(&link) else { return };
        if bus.received.is_empty() && bytes.first_chunk().and_then(announced_len) == Some(bytes.len()) {
            // One whole message, as it is nearly always.
            return self.take_message(link, bytes);
        }
        bus.received.extend_from_slice(bytes);
        while let Some(bus) = self.cluster.links.get_mut(&link)
            && let Some(start) = bus.received.first_chunk()
        {
            let Some(len) = announced_len(start) else {
                let from = if bus.peer.is_empty() { String::new() } else { format!(" from {}", bus.peer) };
                self.log(format!("# Bad message length or signature received on the Cluster bus{from}."));
                return self.cut(link);
            };
            if bus.received.len() < len {
                return;
            }
            let rest = bus.received.split_off(len);
            let message = std::mem::replace(&mut bus.received, rest);
            self.take_message(link, &message);
        }
    }

    /// Ends the links whose backlog has grown beyond `cluster-link-sendbuf-limit`.
    pub(super) fn cut_full_links(&mut self) {
        let limit = self.settings.link_limit_bytes;
        if limit == 0 {
            return;
        }
        let waiting = |bus: &BusLink| bus.queued.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
        let full: Vec<LinkId> =
            self.cluster.links.iter().filter(|(_, bus)| waiting(bus) > limit).map(|(link, _)| *link).collect();
        for link in full {
            let bus = &self.cluster.links[&link];
            let id = bus.node.map(|handle| self.cluster.node(handle).id.to_string()).unwrap_or_default();
            let text = format!(
                "# Freeing cluster link(to node {id}, used memory: {}) due to exceeding send buffer memory limit.",
                waiting(bus)
            );
            self.log(text);
            self.cut(link);
            self.cluster.full_links += 1;
        }
    }

    /// A line of the log, its level's mark first.
    pub(super) fn log(&mut self, line: String) {
        self.out.push(Output::Log(line));
    }

    pub fn notice(&mut self, line: String) {
        self.out.push(notice(line));
    }
}

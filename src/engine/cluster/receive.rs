//! What a node makes of a message, in the order in which Redis looks at it: who sends, its epochs, then the message.

use super::message::{self, Body, Extension, Fault, Gossip, Kind, Message};
use super::node::{Flags, Handle, Node, NodeId};
use super::slots::SlotSet;
use super::{Effect, Turn};
use crate::base::{Bytes, Millis};
use crate::engine::link::LinkId;

impl Turn<'_> {
    /// Acts on one whole message.
    pub(super) fn take_message(&mut self, link: LinkId, bytes: &[u8]) {
        let number = message::kind_of(bytes);
        if let Some(count) = self.cluster.received.get_mut(usize::from(number)) {
            *count += 1;
        }
        match message::decode(bytes) {
            Ok(message) => self.act_on(link, &message),
            Err(fault) => self.complain(fault, number, bytes.len()),
        }
    }

    fn complain(&mut self, fault: Fault, number: u16, len: usize) {
        let name = Kind::of(number).map_or("unknown", Kind::name);
        match fault {
            Fault::Version => {}
            Fault::Kind(number) => self.log(format!("# Received unknown packet type: {number}")),
            Fault::Length(expected) => {
                self.log(format!("# Received invalid {name} packet of length {len} but expected length {expected}"))
            }
            Fault::Padding(found) => {
                self.log(format!("# Received a {name} packet without proper padding ({found} bytes)"));
            }
            Fault::Extensions => self.log(format!(
                "# Received invalid {name} packet with extension data that exceeds total packet length ({len})"
            )),
        }
    }

    fn act_on(&mut self, link: LinkId, message: &Message) {
        let sender = self.sender_of(link, message);
        if let Some(sender) = sender {
            self.cluster.node_mut(sender).data_received = self.now;
            if !self.cluster.node(sender).in_handshake() {
                self.note_epochs(sender, message);
            }
        }
        match (&message.body, message.kind) {
            (Body::Gossip(gossip, extensions), _) => self.take_ping(link, sender, message, gossip, extensions),
            (Body::Fail(about), _) => self.take_fail(sender, message.sender, *about),
            (_, kind) => {
                if let Some(sender) = sender {
                    self.take_other(link, sender, message, kind);
                }
            }
        }
    }

    /// Who sent this, if I know that node. A link that came in is bound to its node by the first message.
    fn sender_of(&mut self, link: LinkId, message: &Message) -> Option<Handle> {
        let bound = self.cluster.links.get(&link)?.node;
        if let Some(node) = bound.filter(|node| !self.cluster.node(*node).in_handshake()) {
            return Some(node);
        }
        let sender = self.cluster.find(message.sender)?;
        if bound.is_none() {
            if let Some(before) = self.cluster.node(sender).inbound {
                self.cut(before);
            }
            self.cluster.node_mut(sender).inbound = Some(link);
            if let Some(bus) = self.cluster.links.get_mut(&link) {
                bus.node = Some(sender);
            }
        }
        Some(sender)
    }

    fn note_epochs(&mut self, sender: Handle, message: &Message) {
        self.cluster.current_epoch = self.cluster.current_epoch.max(message.current_epoch);
        let now = self.now;
        let node = self.cluster.node_mut(sender);
        (node.offset, node.offset_at) = (message.offset as i64, now);
        if message.config_epoch > node.epoch {
            node.epoch = message.config_epoch;
            self.cluster.todo.save = true;
            self.cluster.todo.fsync = true;
        }
        let manual = &self.cluster.manual;
        if manual.ends_at.is_some()
            && message.paused
            && manual.primary_offset.is_none()
            && self.cluster.me().is_replica()
            && self.cluster.me().primary == Some(sender)
        {
            self.cluster.manual.primary_offset = Some(message.offset as i64);
            self.cluster.todo.manual_failover = true;
            self.notice(format!("Received replication offset for paused master manual failover: {}", message.offset));
        }
    }

    // -- PING, PONG, MEET --------------------------------------------------------------------------------------------

    fn take_ping(
        &mut self,
        link: LinkId,
        sender: Option<Handle>,
        message: &Message,
        gossip: &[Gossip],
        extensions: &[Extension],
    ) {
        let kind = message.kind;
        if kind != Kind::Pong {
            self.learn_my_address(link, kind);
            if sender.is_none() && kind == Kind::Meet {
                self.meet_back(link, message);
                self.take_gossip(None, gossip);
            }
            self.ping(link, Kind::Pong);
        }
        let Some(bus) = self.cluster.links.get(&link) else { return };
        if let Some(node) = bus.node.filter(|_| !link.came_in())
            && !self.check_identity(link, node, sender, message)
        {
            return;
        }
        if let Some(sender) = sender {
            let node = self.cluster.node_mut(sender);
            node.flags.clear(Flags::NOFAILOVER);
            node.flags.set(Flags(message.flags.0 & Flags::NOFAILOVER.0));
            if kind == Kind::Ping && !node.in_handshake() && self.learn_address(sender, link, message) {
                self.cluster.todo.save = true;
                self.cluster.todo.update_state = true;
            }
        }
        if kind == Kind::Pong && !link.came_in() {
            self.note_pong(link);
        }
        let Some(sender) = sender else { return };
        if message.primary == NodeId::NONE {
            self.cluster.make_primary(sender);
        } else {
            self.note_replica(sender, message.primary);
        }
        self.compare_slots(sender, message);
        if self.cluster.me().is_primary()
            && self.cluster.node(sender).is_primary()
            && message.config_epoch == self.cluster.me().epoch
        {
            self.settle_epoch_clash(sender);
        }
        self.take_gossip(Some(sender), gossip);
        self.take_extensions(sender, extensions);
    }

    /// Nobody knows its own address until somebody has reached it there.
    fn learn_my_address(&mut self, link: LinkId, kind: Kind) {
        if !self.settings.announce_host.is_empty() || (kind != Kind::Meet && !self.cluster.me().host.is_empty()) {
            return;
        }
        let Some(bus) = self.cluster.links.get(&link) else { return };
        // Who reached me from this computer did so at a loopback address; else the address that I am bound to.
        let mine = match bus.peer.as_str() {
            peer if peer.starts_with("127.") => String::from("127.0.0.1"),
            peer if peer == "::1" => peer.to_owned(),
            _ => self.settings.bound_host.clone(),
        };
        if !mine.is_empty() && mine != self.cluster.me().host {
            self.notice(format!("IP address for this node updated to {mine}"));
            self.cluster.me_mut().host = mine;
            self.cluster.todo.save = true;
        }
    }

    /// A stranger greets me: its name will be known when it answers my own ping.
    fn meet_back(&mut self, link: LinkId, message: &Message) {
        let mut node = Node::new(NodeId::random(self.rng), Flags::HANDSHAKE, self.now, self.rng);
        node.host = self.host_of(link, message);
        (node.port, node.tls_port, node.bus_port) = (message.port, message.tls_port, message.bus_port);
        self.cluster.add(node);
        self.cluster.todo.save = true;
    }

    /// Where a message comes from: what it says of itself, else the other end of the link.
    fn host_of(&self, link: LinkId, message: &Message) -> String {
        match message.host.as_str() {
            "" => self.cluster.links.get(&link).map(|bus| bus.peer.clone()).unwrap_or_default(),
            host => host.to_owned(),
        }
    }

    /// An answer over a link that I dialled: is it who I think it is? False: the link is gone.
    fn check_identity(&mut self, link: LinkId, node: Handle, sender: Option<Handle>, message: &Message) -> bool {
        if self.cluster.node(node).in_handshake() {
            if let Some(sender) = sender {
                // Met under another address before.
                if self.learn_address(sender, link, message) {
                    self.cluster.todo.save = true;
                    self.cluster.todo.update_state = true;
                }
                self.delete(node);
                return false;
            }
            if message.sender == NodeId::NONE {
                self.delete(node);
                return false;
            }
            self.cluster.rename(node, message.sender);
            let known = self.cluster.node_mut(node);
            known.flags.clear(Flags::HANDSHAKE);
            known.flags.set(Flags(message.flags.0 & Flags::PRIMARY.with(Flags::REPLICA).0));
            self.cluster.todo.save = true;
        } else if self.cluster.node(node).id != message.sender {
            // Somebody else has this address now.
            let known = self.cluster.node_mut(node);
            known.flags.set(Flags::NOADDR);
            known.host = String::new();
            (known.port, known.tls_port, known.bus_port) = (0, 0, 0);
            self.cut(link);
            self.cluster.todo.save = true;
            return false;
        }
        true
    }

    /// Whether the sender's address is another one than I thought. Only a link that it dialled tells.
    fn learn_address(&mut self, sender: Handle, link: LinkId, message: &Message) -> bool {
        if self.cluster.node(sender).link == Some(link) {
            return false;
        }
        let host = self.host_of(link, message);
        let host = if host.is_empty() { self.cluster.node(sender).host.clone() } else { host };
        let node = self.cluster.node_mut(sender);
        if (node.port, node.tls_port, node.bus_port) == (message.port, message.tls_port, message.bus_port)
            && node.host == host
        {
            return false;
        }
        node.host = host;
        (node.port, node.tls_port, node.bus_port) = (message.port, message.tls_port, message.bus_port);
        node.flags.clear(Flags::NOADDR);
        let text =
            format!("Address updated for node {} ({}), now {}:{}", node.id, node.human_name, node.host, node.port);
        let (old_link, address) = (node.link, (node.host.clone(), node.port));
        if let Some(link) = old_link {
            self.cut(link);
        }
        self.notice(text);
        if self.cluster.me().is_replica() && self.cluster.me().primary == Some(sender) {
            self.effects.push(Effect::Follow(address.0, address.1));
        }
        true
    }

    fn note_pong(&mut self, link: LinkId) {
        let Some(node) = self.cluster.links.get(&link).and_then(|bus| bus.node) else { return };
        let now = self.now;
        let known = self.cluster.node_mut(node);
        known.pong_received = now;
        known.ping_sent = Millis::ZERO;
        if known.is_suspected() {
            known.flags.clear(Flags::PFAIL);
            self.cluster.todo.save = true;
            self.cluster.todo.update_state = true;
        } else if known.has_failed() {
            self.clear_failure(node);
        }
    }

    /// What the sender, or its primary, claims, against what I hold for true.
    fn compare_slots(&mut self, sender: Handle, message: &Message) {
        let node = self.cluster.node(sender);
        let holder = if node.is_primary() { Some(sender) } else { node.primary };
        let Some(holder) = holder else { return };
        if self.cluster.node(holder).slots.wire() == message.slots {
            return;
        }
        let claimed = SlotSet::from_wire(message.slots);
        if self.cluster.node(sender).is_primary() {
            self.weigh_claims(sender, message.config_epoch, &claimed);
        }
        let newer = |slot: u16| {
            let owner = self.cluster.owner(slot)?;
            let known = owner != sender && !self.cluster.is_unclaimed(slot);
            (known && self.cluster.node(owner).epoch > message.config_epoch).then_some(owner)
        };
        // What it owns in my eyes too cannot be a quarrel.
        if let Some(owner) = claimed.minus(&self.cluster.node(sender).slots).iter().find_map(newer) {
            self.send_update(sender, owner);
        }
    }

    fn take_gossip(&mut self, sender: Option<Handle>, gossip: &[Gossip]) {
        for heard in gossip {
            match self.cluster.find(heard.id) {
                Some(node) => self.hear_of(sender, node, heard),
                None => self.hear_of_stranger(sender, heard),
            }
        }
    }

    fn hear_of(&mut self, sender: Option<Handle>, node: Handle, heard: &Gossip) {
        let failing = Flags::FAIL.with(Flags::PFAIL);
        if let Some(sender) = sender.filter(|sender| self.cluster.node(*sender).is_primary())
            && node != self.cluster.myself
        {
            if heard.flags.any(failing) {
                self.report_failure(node, sender);
                self.fail_if_agreed(node);
            } else {
                self.withdraw_report(node, sender);
            }
        }
        let well = !heard.flags.any(failing);
        if well && self.cluster.node(node).ping_sent == Millis::ZERO && self.failure_reports(node) == 0 {
            // Another one's pong is as good as mine, unless its clock is ahead.
            let pong = Millis::from_secs(u64::from(heard.pong_received));
            let known = self.cluster.node_mut(node);
            if pong <= self.now + Millis(500) && pong > known.pong_received {
                known.pong_received = pong;
            }
        }
        let known = self.cluster.node(node);
        let moved = known.host != heard.host
            || (known.port, known.tls_port, known.bus_port) != (heard.port, heard.tls_port, heard.bus_port);
        let has_address = !heard.host.is_empty() && !heard.flags.any(Flags::NOADDR);
        if known.flags.any(failing) && has_address && well && moved {
            // I cannot reach it, another can: it has a new address.
            if let Some(link) = known.link {
                self.cut(link);
            }
            let known = self.cluster.node_mut(node);
            known.host.clone_from(&heard.host);
            (known.port, known.tls_port, known.bus_port) = (heard.port, heard.tls_port, heard.bus_port);
            known.flags.clear(Flags::NOADDR);
        }
    }

    fn hear_of_stranger(&mut self, sender: Option<Handle>, heard: &Gossip) {
        // A name with other letters would be no name in nodes.conf.
        let named = NodeId::parse(&heard.id.0).is_some();
        if sender.is_none()
            || !named
            || heard.flags.any(Flags::NOADDR)
            || heard.host.is_empty()
            || self.cluster.is_forgotten(heard.id, self.now.secs())
        {
            return;
        }
        let mut node = Node::new(heard.id, heard.flags, self.now, self.rng);
        // Nobody else can be me: from a nodes.conf with two of them no node starts.
        node.flags.clear(Flags::MYSELF);
        node.host.clone_from(&heard.host);
        (node.port, node.tls_port, node.bus_port) = (heard.port, heard.tls_port, heard.bus_port);
        let handle = self.cluster.add(node);
        self.cluster.join_shard(handle);
    }

    fn take_extensions(&mut self, sender: Handle, extensions: &[Extension]) {
        let (mut hostname, mut human_name, mut shard) = (String::new(), String::new(), None);
        for extension in extensions {
            match extension {
                Extension::Hostname(name) => hostname.clone_from(name),
                Extension::HumanName(name) => human_name.clone_from(name),
                Extension::Shard(id) => shard = Some(*id),
                Extension::Forgotten(id, ttl) => self.forget_too(*id, *ttl),
                Extension::Unknown(kind) => self.log(format!("# Received unknown extension type {kind}")),
            }
        }
        // The sender may just have been forgotten.
        let Some(sender) = self.cluster.find_known(sender) else { return };
        let node = self.cluster.node_mut(sender);
        if node.hostname != hostname || node.human_name != human_name {
            (node.hostname, node.human_name) = (hostname, human_name);
            self.cluster.todo.save = true;
        }
        let shard = shard.unwrap_or_else(|| self.cluster.node(self.cluster.primary_of(sender)).shard);
        self.learn_shard(sender, shard);
    }

    /// Another node has forgotten this one: so do I, for as long.
    fn forget_too(&mut self, id: NodeId, ttl: u64) {
        let Some(node) = self.cluster.find(id) else { return };
        let me = self.cluster.me();
        if node == self.cluster.myself || me.is_replica() && me.primary == Some(node) {
            return;
        }
        self.cluster.forgotten.insert(id, self.now.secs().saturating_add(ttl));
        self.delete(node);
        self.cluster.todo.save = true;
        self.cluster.todo.update_state = true;
    }

    // -- the other messages ------------------------------------------------------------------------------------------

    fn take_fail(&mut self, sender: Option<Handle>, name: NodeId, about: NodeId) {
        let Some(sender) = sender else {
            return self.notice(format!("Ignoring FAIL message from unknown node {name} about {about}"));
        };
        let Some(node) = self.cluster.find(about) else { return };
        let failing = self.cluster.node(node);
        if failing.flags.any(Flags::FAIL.with(Flags::MYSELF)) {
            return;
        }
        let by = &self.cluster.node(sender).human_name;
        let text = format!("FAIL message received from {name} ({by}) about {about} ({})", failing.human_name);
        self.notice(text);
        let now = self.now;
        let failing = self.cluster.node_mut(node);
        failing.flags.set(Flags::FAIL);
        failing.flags.clear(Flags::PFAIL);
        failing.failed_at = now;
        self.cluster.todo.save = true;
        self.cluster.todo.update_state = true;
    }

    fn take_other(&mut self, link: LinkId, sender: Handle, message: &Message, kind: Kind) {
        match (kind, &message.body) {
            (Kind::AuthRequest, _) => self.vote(sender, message),
            (Kind::AuthAck, _) => self.count_vote(sender, message.current_epoch),
            (Kind::MfStart, _) => self.begin_pause(link, sender),
            (Kind::Update, Body::Update { epoch, owner, slots }) => {
                let Some(owner) = self.cluster.find(*owner) else { return };
                if self.cluster.node(owner).epoch >= *epoch {
                    return;
                }
                self.cluster.make_primary(owner);
                self.cluster.node_mut(owner).epoch = *epoch;
                self.cluster.todo.save = true;
                self.cluster.todo.fsync = true;
                self.weigh_claims(owner, *epoch, &SlotSet::from_wire(slots));
            }
            (Kind::Publish | Kind::PublishShard, Body::Publish(channel, text)) => {
                let (channel, message) = (Bytes::copy(channel), Bytes::copy(text));
                self.effects.push(Effect::Publish { sharded: kind == Kind::PublishShard, channel, message });
            }
            _ => {}
        }
    }
}

//! What a node knows of another node, or of itself.

use super::slots::SlotSet;
use crate::base::{Millis, Rng};
use crate::engine::link::LinkId;
use std::fmt;

/// The name of a node or of a shard: 40 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 40]);

impl NodeId {
    /// All zero: where a message names no node.
    pub const NONE: NodeId = NodeId([0; 40]);

    /// None unless it is 40 digits and small letters.
    pub fn parse(text: &[u8]) -> Option<NodeId> {
        let fits = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        text.iter().all(fits).then(|| text.try_into().ok().map(NodeId)).flatten()
    }

    pub fn random(rng: &mut Rng) -> NodeId {
        NodeId::parse(rng.hex40().as_bytes()).expect("40 hex digits")
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("")
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a node is, in the bits that the bus carries.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Flags(pub u16);

impl Flags {
    pub const PRIMARY: Flags = Flags(1);
    pub const REPLICA: Flags = Flags(1 << 1);
    /// Does not answer me: possibly failing.
    pub const PFAIL: Flags = Flags(1 << 2);
    /// A majority of primaries says that it does not answer.
    pub const FAIL: Flags = Flags(1 << 3);
    pub const MYSELF: Flags = Flags(1 << 4);
    /// Met, but not yet heard from: its name is made up.
    pub const HANDSHAKE: Flags = Flags(1 << 5);
    /// Its address is unknown.
    pub const NOADDR: Flags = Flags(1 << 6);
    /// The first message to it shall be a MEET.
    pub const MEET: Flags = Flags(1 << 7);
    /// A primary that had replicas: others may move to it when it has none left.
    pub const MIGRATE_TO: Flags = Flags(1 << 8);
    /// A replica that does not stand for election.
    pub const NOFAILOVER: Flags = Flags(1 << 9);

    pub const fn with(self, more: Flags) -> Flags {
        Flags(self.0 | more.0)
    }

    pub const fn any(self, flags: Flags) -> bool {
        self.0 & flags.0 != 0
    }

    pub fn set(&mut self, flags: Flags) {
        self.0 |= flags.0;
    }

    pub fn clear(&mut self, flags: Flags) {
        self.0 &= !flags.0;
    }

    /// The words of CLUSTER NODES and nodes.conf, in their order. The wire keeps Redis' words for roles.
    const WORDS: [(Flags, &'static str); 8] = [
        (Flags::MYSELF, "myself"),
        (Flags::PRIMARY, "master"),
        (Flags::REPLICA, "slave"),
        (Flags::PFAIL, "fail?"),
        (Flags::FAIL, "fail"),
        (Flags::HANDSHAKE, "handshake"),
        (Flags::NOADDR, "noaddr"),
        (Flags::NOFAILOVER, "nofailover"),
    ];

    pub fn words(self) -> String {
        let mut text = String::new();
        self.put_words(&mut text);
        text
    }

    pub fn put_words(self, text: &mut String) {
        let mut gap = "";
        for (_, word) in Flags::WORDS.iter().filter(|(flag, _)| self.any(*flag)) {
            text.push_str(gap);
            text.push_str(word);
            gap = ",";
        }
        if gap.is_empty() {
            text.push_str("noflags");
        }
    }

    /// The reverse of `words`. None: an unknown word.
    pub fn parse(words: &str) -> Option<Flags> {
        let mut flags = Flags::default();
        for word in words.split(',').filter(|word| !word.eq_ignore_ascii_case("noflags")) {
            flags.set(Flags::WORDS.iter().find(|(_, known)| word.eq_ignore_ascii_case(known))?.0);
        }
        Some(flags)
    }
}

/// Where a node stands in `Cluster`; holds as long as the node is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Handle(pub u16);

/// A node as this one knows it. Moments are 0 where nothing has happened yet.
#[derive(Clone, Debug)]
pub struct Node {
    pub id: NodeId,
    /// The primary and its replicas share it.
    pub shard: NodeId,
    pub flags: Flags,
    /// Of a primary: the epoch in which it got its slots, as last heard.
    pub epoch: u64,
    pub slots: SlotSet,
    /// In the order in which they came.
    pub replicas: Vec<Handle>,
    /// None of a replica: its primary is not known here.
    pub primary: Option<Handle>,
    pub created_at: Millis,
    /// When the ping was sent whose answer is awaited; 0 if none is.
    pub ping_sent: Millis,
    pub pong_received: Millis,
    pub data_received: Millis,
    pub failed_at: Millis,
    /// When I last voted for a replica of this primary.
    pub voted_at: Millis,
    /// Since when it is a primary without working replicas.
    pub orphaned_at: Millis,
    /// How much of the replication stream it had when it last wrote, and when that was.
    pub offset: i64,
    pub offset_at: Millis,
    pub host: String,
    pub hostname: String,
    pub human_name: String,
    pub port: u16,
    pub tls_port: u16,
    pub bus_port: u16,
    /// The link that I dialled.
    pub link: Option<LinkId>,
    /// The link that it dialled.
    pub inbound: Option<LinkId>,
    /// Which primaries said that it fails, and when last.
    pub fail_reports: Vec<(Handle, Millis)>,
    /// The number of the ping that told of it last.
    pub gossiped_in: u64,
}

impl Node {
    pub fn new(id: NodeId, flags: Flags, now: Millis, rng: &mut Rng) -> Node {
        Node {
            id,
            shard: NodeId::random(rng),
            flags,
            epoch: 0,
            slots: SlotSet::default(),
            replicas: Vec::new(),
            primary: None,
            created_at: now,
            ping_sent: Millis::ZERO,
            pong_received: Millis::ZERO,
            data_received: Millis::ZERO,
            failed_at: Millis::ZERO,
            voted_at: Millis::ZERO,
            orphaned_at: Millis::ZERO,
            offset: 0,
            offset_at: Millis::ZERO,
            host: String::new(),
            hostname: String::new(),
            human_name: String::new(),
            port: 0,
            tls_port: 0,
            bus_port: 0,
            link: None,
            inbound: None,
            fail_reports: Vec::new(),
            gossiped_in: 0,
        }
    }

    pub fn is_primary(&self) -> bool {
        self.flags.any(Flags::PRIMARY)
    }

    pub fn is_replica(&self) -> bool {
        self.flags.any(Flags::REPLICA)
    }

    pub fn has_failed(&self) -> bool {
        self.flags.any(Flags::FAIL)
    }

    pub fn is_suspected(&self) -> bool {
        self.flags.any(Flags::PFAIL)
    }

    pub fn in_handshake(&self) -> bool {
        self.flags.any(Flags::HANDSHAKE)
    }
}

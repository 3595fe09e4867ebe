//! Connections between servers: what an instance dials, and who dials its cluster bus.
//!
//! Replication, the cluster bus and MIGRATE talk over links. A link carries bytes in both directions, in order, or ends;
//! the lab's network delays, cuts and heals links, `redlab serve` makes each a TCP connection. A server that another one
//! dials at its client port sees an ordinary client (`Input::Connect`); only the bus port has links that come in.

use super::{Outbox, Output};
use std::collections::BTreeMap;

/// A link of one instance. Numbers of links that it dialled come from itself, those of links that came in have
/// `LinkId::CAME_IN` set and come from outside, so the two never meet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

impl LinkId {
    pub const CAME_IN: u64 = 1 << 63;

    /// Whether somebody else opened it.
    pub fn came_in(self) -> bool {
        self.0 & LinkId::CAME_IN != 0
    }
}

/// Where a server listens. The bus of a cluster node has a port of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

/// Which part of the instance a link belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Replication: the link to the primary.
    Replication,
    /// The cluster bus, of links that were dialled and of all that came in.
    Bus,
    /// MIGRATE.
    Migrate,
}

/// The links of one instance that stand or are being made.
#[derive(Clone, Debug, Default)]
pub struct Links {
    next: u64,
    owners: BTreeMap<LinkId, Owner>,
}

impl Links {
    /// Opens a link to `address`. `Input::LinkUp` or `LinkDown` answers, later.
    pub fn dial(&mut self, owner: Owner, address: Address, out: &mut Outbox) -> LinkId {
        self.next += 1;
        let link = LinkId(self.next);
        self.owners.insert(link, owner);
        out.push(Output::Dial(link, address));
        link
    }

    /// Ends a link; nothing more is heard of it.
    pub fn close(&mut self, link: LinkId, out: &mut Outbox) {
        if self.owners.remove(&link).is_some() {
            out.push(Output::LinkClose(link));
        }
    }

    /// Whose link it is; None of one that was closed meanwhile.
    pub fn owner(&self, link: LinkId) -> Option<Owner> {
        self.owners.get(&link).copied()
    }

    /// Notes a link that came in to the bus port.
    pub fn came_in(&mut self, link: LinkId) {
        self.owners.insert(link, Owner::Bus);
    }

    /// Notes that a link has ended by itself.
    pub fn ended(&mut self, link: LinkId) {
        self.owners.remove(&link);
    }
}

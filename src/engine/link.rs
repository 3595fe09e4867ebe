//! Connections between servers: what an instance dials, and who dials its cluster bus.
//!
//! Replication, the cluster bus and MIGRATE talk over links. A link carries bytes in both directions, in order, or ends;
//! the lab's network delays, cuts and heals links, `redlab serve` makes each a TCP connection. A server that another one
//! dials at its client port sees an ordinary client (`Input::Connect`); only the bus port has links that come in.

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

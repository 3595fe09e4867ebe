//! Replication: a primary's changes as a stream of bytes, and the replicas that follow it.
//!
//! As in Redis each data set's history has a name (the replication id) and a length in bytes (the offset). A replica dials
//! its primary's client port, says who it is, and asks to go on at the offset that it has reached; the primary answers with
//! the missing bytes, or with a whole snapshot. What a replica gets it hands on byte for byte, so that after a failover
//! everybody can go on from where they stood: the new primary remembers the old id up to the offset at which it took over.

use super::link::LinkId;
use super::{Env, Instance, Outbox};
use crate::base::{Millis, Rng};

/// The id of no history.
pub const NO_ID: &str = "0000000000000000000000000000000000000000";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Primary,
    Replica,
}

/// What an instance knows of its place in replication.
#[derive(Clone, Debug)]
pub struct Replication {
    /// Names the history of changes that this instance's data set is part of.
    pub id: String,
    /// The history that it was part of until `second_offset`, before a failover; `NO_ID` if none.
    pub id2: String,
    /// The first offset that `id2` is no longer valid for; -1 without one.
    pub second_offset: i64,
    /// Bytes of the history so far.
    pub offset: u64,
    /// None: a primary.
    pub primary: Option<Primary>,
}

/// The primary that this instance follows.
#[derive(Clone, Debug)]
pub struct Primary {
    pub host: String,
    pub port: u16,
    pub link: Option<LinkId>,
    /// The handshake is done and the stream flows.
    pub up: bool,
    /// When the last byte came from it.
    pub last_io: Millis,
}

impl Replication {
    pub fn new(rng: &mut Rng) -> Replication {
        let id = rng.hex40();
        Replication { id, id2: NO_ID.to_owned(), second_offset: -1, offset: 0, primary: None }
    }
}

impl Instance {
    pub fn role(&self) -> Role {
        if self.replication.primary.is_some() { Role::Replica } else { Role::Primary }
    }

    /// Bytes of the history that this data set is at: what it has sent as a primary, what it has applied as a replica.
    pub fn replication_offset(&self) -> u64 {
        self.replication.offset
    }

    /// Whether the stream from the primary flows; false for a primary.
    pub fn link_up(&self) -> bool {
        self.replication.primary.as_ref().is_some_and(|primary| primary.up)
    }

    /// When something last came from the primary, over a link that is up.
    pub fn last_io(&self) -> Option<Millis> {
        self.replication.primary.as_ref().filter(|primary| primary.up).map(|primary| primary.last_io)
    }

    /// What REPLICAOF HOST PORT does: follows another primary from now on. The data set stays until the new primary has
    /// said how to go on. Nothing happens if it follows that one already.
    pub fn replicate_from(&mut self, host: &str, port: u16, env: &mut Env, out: &mut Outbox) {
        let _ = (env, out);
        self.replication.primary =
            Some(Primary { host: host.to_owned(), port, link: None, up: false, last_io: Millis::ZERO });
    }

    /// What REPLICAOF NO ONE does: a primary from now on, with a history of its own that begins where the old one ends.
    pub fn promote(&mut self, env: &mut Env, out: &mut Outbox) {
        let _ = (env, out);
        self.replication.primary = None;
    }
}

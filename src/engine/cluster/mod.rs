//! Redis Cluster: nodes that share 16384 hash slots, know each other by gossip, and replace a dead primary by a vote.
//!
//! Reading order: `slots` and `node` are words; `state` is what a node holds for true; `message` and `link` are the bus.
//! `cron` and `gossip` speak, `receive` listens, `claims` settles who owns a slot. `failure` finds dead nodes, `election`
//! and `manual` replace them, `orphan` lends replicas. `conf` is nodes.conf. On the side of clients `redirect` decides
//! who serves a request and `keys` knows which keys a slot has. The commands stand in `engine::commands::cluster`.
//!
//! A node acts in turns: an input, what it changes, what is said because of it. A turn sees its settings and may ask the
//! instance for what is not the cluster's (`Effect`): to replicate, to pause clients, to drop keys. Behaviour: Redis 7.2's
//! cluster.c. Not there: TLS and module messages.

pub mod slots;

pub mod node;

pub mod state;

pub mod message;

pub mod link;

pub mod gossip;

pub mod cron;

mod receive;

mod claims;

mod failure;

pub mod election;

pub mod manual;

mod orphan;

pub mod conf;

pub mod plan;

pub mod keys;

pub mod redirect;

pub mod words;

mod turn;

pub use node::{Flags, Handle, Node, NodeId};
pub use state::Cluster;
pub use turn::{Effect, Settings, Turn, bus_port};

/// A line of the log at the level `notice`.
fn notice(line: String) -> crate::engine::Output {
    crate::engine::Output::Log(format!("* {line}"))
}

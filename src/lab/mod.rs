//! The lab's machine as a pure value: redis-server processes, their terminals' connections, one clock, one disk.
//!
//! Read `world` first: it owns everything and lets time pass. `start` is `redis-server ARGS`; `disk` says what survives
//! which accident; `look` makes the snapshots that panes and checks see. `timeline` keeps the journal of all inputs: a
//! world is its topology and its journal, so undo, redo, forks and resuming are replays. Nothing in here knows what
//! time it is outside, and the same topology with the same inputs gives the same bytes on every machine.
//!
//! A terminal's request reaches its server and is answered within the same instant. Between servers there is a network
//! (`network`, and `wires` to its servers) with delay, loss and cuts.

mod access;
#[cfg(test)]
mod crash;
pub mod database;
mod digest;
pub mod disk;
mod history;
pub mod journal;
mod look;
mod look_cluster;
mod network;
pub mod orders;
mod parcel;
mod process;
mod start;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod topology;
#[cfg(test)]
mod torn;
mod wires;
pub mod world;

pub use database::Database;
pub use journal::Input;
pub use timeline::Timeline;
pub use topology::{Cron, Server, Sql, Topology};
pub use world::{ADDRESS, World};

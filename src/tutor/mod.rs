//! The learner in a lesson.

pub mod backend;

pub use backend::{Backend, ConnectionId, Incoming, Signal, Spawned};

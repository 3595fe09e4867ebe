//! The machines behind the port `Backend`: the embedded one, and (with a later issue) real redis-server processes.

pub mod embedded;
pub mod lesson;
pub mod sql;
mod storm;
pub mod world;

pub use embedded::Embedded;

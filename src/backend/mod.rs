//! The machines behind the port `Backend`: the embedded one, a server somewhere to be a client of, and (with a later issue)
//! real redis-server processes.

pub mod embedded;
pub mod lesson;
pub mod remote;
pub mod sql;
mod storm;

pub use embedded::Embedded;
pub use remote::Remote;

//! The machines behind the port `Backend`: the embedded one, a server somewhere to be a client of, and (with a later issue)
//! real redis-server processes.

pub mod embedded;
pub mod lesson;
pub mod remote;
pub mod sql;
mod storm;

pub use embedded::Embedded;
pub use remote::Remote;

use crate::base::Millis;
use crate::lab::Topology;
use crate::lab::topology::Server;

/// A machine to play with: one server in memory on port 6379, whose clock begins at the real time.
pub fn sandbox() -> Embedded {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let clock = since.map_or(Millis::ZERO, |since| Millis(since.as_millis() as u64));
    let server = Server::new("redis", 6379, "save \"\"\n");
    Embedded::new(&Topology { clock, seed: clock.0, instances: vec![server], ..Topology::default() })
}

//! Words that every ring speaks: bytes, time, seeded randomness, and Redis' small text rules.

pub mod bytes;
pub mod carry;
pub mod float;
pub mod glob;
mod long_double;
pub mod quote;
mod recent_map;
pub mod rng;
pub mod sha;
pub mod sip;
pub mod slot;
pub mod time;
pub mod words;

pub use bytes::Bytes;
pub use recent_map::RecentMap;
pub use rng::Rng;
pub use time::Millis;

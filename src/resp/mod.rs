//! RESP, the Redis serialization protocol: the reply as a value, its bytes on the wire, and its text in redis-cli.

pub mod decode;
pub mod encode;
pub mod render;
pub mod reply;

pub use reply::{Protocol, Reply};

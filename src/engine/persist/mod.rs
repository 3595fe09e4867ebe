//! What outlives the process: RDB files, the append only file, and when each is written.

pub mod crc64;
pub mod lzf;
pub mod rdb;

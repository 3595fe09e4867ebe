//! Keyspace events: the classes that notify-keyspace-events switches on, and their publication.

/// A class of keyspace events; its letter is the one of `notify-keyspace-events`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Class {
    /// g
    Generic = 1 << 2,
    /// $
    String = 1 << 3,
    /// l
    List = 1 << 4,
    /// s
    Set = 1 << 5,
    /// h
    Hash = 1 << 6,
    /// z
    Zset = 1 << 7,
    /// x
    Expired = 1 << 8,
    /// e
    Evicted = 1 << 9,
    /// t
    Stream = 1 << 10,
    /// m
    KeyMiss = 1 << 11,
    /// n
    New = 1 << 14,
}

/// K: publish to `__keyspace@<db>__:<key>`.
pub const KEYSPACE: u32 = 1;
/// E: publish to `__keyevent@<db>__:<event>`.
pub const KEYEVENT: u32 = 1 << 1;

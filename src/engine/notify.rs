//! Keyspace events: the classes that notify-keyspace-events switches on, their letters, and their publication.

use super::{Instance, KeyTrace, Outbox, Output};
use crate::base::Bytes;

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
    /// d
    Module = 1 << 13,
    /// n
    New = 1 << 14,
}

/// K: publish to `__keyspace@<db>__:<key>`.
pub const KEYSPACE: u32 = 1;
/// E: publish to `__keyevent@<db>__:<event>`.
pub const KEYEVENT: u32 = 1 << 1;
/// A: everything but key misses and new keys.
pub const ALL: u32 = Class::Generic as u32
    | Class::String as u32
    | Class::List as u32
    | Class::Set as u32
    | Class::Hash as u32
    | Class::Zset as u32
    | Class::Expired as u32
    | Class::Evicted as u32
    | Class::Stream as u32
    | Class::Module as u32;

/// In the order in which CONFIG GET writes them.
const LETTERS: [(char, u32); 14] = [
    ('g', Class::Generic as u32),
    ('$', Class::String as u32),
    ('l', Class::List as u32),
    ('s', Class::Set as u32),
    ('h', Class::Hash as u32),
    ('z', Class::Zset as u32),
    ('x', Class::Expired as u32),
    ('e', Class::Evicted as u32),
    ('t', Class::Stream as u32),
    ('d', Class::Module as u32),
    ('n', Class::New as u32),
    ('K', KEYSPACE),
    ('E', KEYEVENT),
    ('m', Class::KeyMiss as u32),
];

/// The classes that `letters` name; None if one of them names nothing.
pub fn parse(letters: &[u8]) -> Option<u32> {
    letters.iter().try_fold(0, |classes, letter| {
        if *letter == b'A' {
            return Some(classes | ALL);
        }
        let (_, class) = LETTERS.iter().find(|(known, _)| *known as u32 == u32::from(*letter))?;
        Some(classes | class)
    })
}

/// `classes` as CONFIG GET writes them: `A` for all together, then the rest.
pub fn letters(classes: u32) -> String {
    let whole = classes & ALL == ALL;
    let mut text = String::from(if whole { "A" } else { "" });
    // Beside `A` Redis writes no `n` either, although `A` does not include it.
    let hidden = if whole { ALL | Class::New as u32 } else { 0 };
    let rest = LETTERS.iter().filter(|(_, class)| classes & class & !hidden != 0);
    text.extend(rest.map(|(letter, _)| letter));
    text
}

impl Instance {
    /// Publishes a keyspace event and traces it.
    pub fn notify(&mut self, db: usize, class: Class, event: &'static str, key: &[u8], out: &mut Outbox) {
        if self.tracing && !matches!(class, Class::New | Class::KeyMiss) {
            out.push(Output::Trace(KeyTrace { db, key: Bytes::copy(key), event }));
        }
        if self.config.notify & class as u32 == 0 {
            return;
        }
        if self.config.notify & KEYSPACE != 0 {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.pubsub.publish(&channel, event.as_bytes(), out);
        }
        if self.config.notify & KEYEVENT != 0 {
            self.pubsub.publish(format!("__keyevent@{db}__:{event}").as_bytes(), key, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_back_in_redis_order() {
        assert_eq!(letters(parse(b"KEA").unwrap()), "AKE");
        assert_eq!(letters(parse(b"Ex").unwrap()), "xE");
        assert_eq!(letters(parse(b"AKEm").unwrap()), "AKEm");
        assert_eq!(letters(parse(b"mngK").unwrap()), "gnKm");
        assert_eq!(letters(parse(b"AKn").unwrap()), "AK");
        assert_eq!(letters(parse(b"").unwrap()), "");
        assert_eq!(parse(b"Kq"), None);
    }
}

//! How much memory Redis would use: a model, so that the same commands give the same numbers on every machine.
//!
//! It counts what Redis 7.2 on 64 bits with its own jemalloc would allocate: object headers, string headers, dictionary
//! entries and buckets, each rounded up to the allocator's size class. Large collections are estimated from a few of
//! their elements, as MEMORY USAGE does. Left out: spare room that Redis keeps in strings it has grown, and fragmentation.
//!
//! `Db` keeps the sum of its keys up to date while `maxmemory` is set (see `Db::track_memory`); else it is summed on demand.

use super::Instance;
use super::keyspace::{Db, Slot};
use super::value::{Hash, List, Set, Str, Stream, Value, Zset, stream::Node, string::parse_int};

/// What a server holds before it has any key or client, in bytes: measured on 7.0.15.
pub const STARTUP: u64 = 1_016_000;
/// A connection with its buffers, where nobody tells what they really take.
const CLIENT: u64 = 22_000;

const OBJECT: usize = 16;
const DICT: usize = 56;
const DICT_ENTRY: usize = 24;
const BUCKET: usize = 8;
const QUICKLIST: usize = 40;
const QUICKLIST_NODE: usize = 32;
const LISTPACK_FRAME: usize = 7;
/// The skip list's frame and its first node, which has all 32 levels.
const SKIPLIST: usize = 16 + 32 + 640;
/// A node's score, pointers and 1.33 levels on average.
const SKIPLIST_NODE: usize = 48;

/// How many elements stand for a large collection, unless asked for more.
pub const SAMPLES: usize = 5;

/// What the allocator hands out for `len` bytes: classes of 8 up to 64, then four to each doubling.
pub fn size_class(len: usize) -> usize {
    if len <= 64 {
        return len.max(1).next_multiple_of(8);
    }
    len.next_multiple_of(len.next_power_of_two() / 8)
}

/// A string by itself: header, text, final zero. `small` where its header may be the one-byte kind.
pub fn sds(len: usize, small: bool) -> usize {
    let header = match len {
        0..32 if small => 1,
        0..256 => 3,
        256..65_536 => 5,
        65_536..4_294_967_296 => 9,
        _ => 17,
    };
    size_class(header + len + 1)
}

/// An element of a listpack.
fn packed(text: &[u8]) -> usize {
    let size = match parse_int(text) {
        Some(0..=127) => 1,
        Some(-4096..=4095) => 2,
        Some(n) if i16::try_from(n).is_ok() => 3,
        Some(-8_388_608..=8_388_607) => 4,
        Some(n) if i32::try_from(n).is_ok() => 5,
        Some(_) => 9,
        None => {
            text.len()
                + if text.len() < 64 {
                    1
                } else if text.len() < 4096 {
                    2
                } else {
                    5
                }
        }
    };
    // The way back: seven bits of the entry's size to a byte.
    size + (usize::BITS as usize - size.leading_zeros() as usize).div_ceil(7)
}

/// What `key` and its value take, as MEMORY USAGE answers; `samples` elements of a large collection are looked at, 0: all.
pub fn usage(key: &[u8], slot: &Slot, samples: usize) -> usize {
    sds(key.len(), true) + DICT_ENTRY + value(&slot.value, samples)
}

fn value(value: &Value, samples: usize) -> usize {
    let samples = if samples == 0 { usize::MAX } else { samples };
    match value {
        Value::String(string) => text(string),
        Value::List(list) => list_size(list, samples),
        Value::Set(set) => set_size(set, samples),
        Value::Hash(hash) => hash_size(hash, samples),
        Value::Zset(zset) => zset_size(zset, samples),
        Value::Stream(stream) => stream_size(stream, samples),
    }
}

/// A string beside its object header, without that.
pub fn embedded(len: usize) -> usize {
    size_class(OBJECT + 3 + len + 1) - OBJECT
}

fn text(string: &Str) -> usize {
    match string {
        Str::Int(_) => OBJECT,
        Str::Embstr(bytes) => OBJECT + embedded(bytes.len()),
        Str::Raw(bytes) => OBJECT + sds(bytes.len(), false),
    }
}

/// The sum of `size` over `len` elements, told from the first `samples` of them.
fn estimate<T>(elements: impl Iterator<Item = T>, len: usize, samples: usize, size: impl Fn(T) -> usize) -> usize {
    let (mut seen, mut sum) = (0, 0);
    for element in elements.take(samples) {
        sum += size(element);
        seen += 1;
    }
    (sum * len).checked_div(seen).unwrap_or(0)
}

fn buckets(len: usize) -> usize {
    len.next_power_of_two().max(4) * BUCKET
}

fn list_size(list: &List, samples: usize) -> usize {
    let bytes = estimate(list.iter(), list.len(), samples, |item| packed(item));
    let (nodes, _) = list.nodes();
    if list.encoding() == "listpack" {
        return OBJECT + size_class(LISTPACK_FRAME + bytes);
    }
    let nodes = nodes.max(1);
    OBJECT + QUICKLIST + nodes * (QUICKLIST_NODE + size_class(LISTPACK_FRAME + bytes / nodes))
}

fn set_size(set: &Set, samples: usize) -> usize {
    match set.encoding() {
        "hashtable" => {
            let each = |member: crate::base::Bytes| sds(member.len(), true) + 16;
            OBJECT + DICT + buckets(set.len()) + estimate(set.iter(), set.len(), samples, each)
        }
        "intset" => {
            let widest = [set.nth(0), set.nth(set.len().saturating_sub(1))];
            let width = widest.iter().flatten().filter_map(|n| parse_int(n)).map(int_width).max().unwrap_or(2);
            OBJECT + size_class(8 + set.len() * width)
        }
        _ => {
            let bytes = estimate(set.iter(), set.len(), samples, |member| packed(&member));
            OBJECT + size_class(LISTPACK_FRAME + bytes)
        }
    }
}

fn int_width(n: i64) -> usize {
    match n {
        _ if i16::try_from(n).is_ok() => 2,
        _ if i32::try_from(n).is_ok() => 4,
        _ => 8,
    }
}

fn hash_size(hash: &Hash, samples: usize) -> usize {
    if hash.encoding() == "hashtable" {
        let each = |(field, value): (&crate::base::Bytes, &crate::base::Bytes)| {
            sds(field.len(), true) + sds(value.len(), true) + DICT_ENTRY
        };
        return OBJECT + DICT + buckets(hash.len()) + estimate(hash.iter(), hash.len(), samples, each);
    }
    let bytes = estimate(hash.iter(), hash.len(), samples, |(field, value)| packed(field) + packed(value));
    OBJECT + size_class(LISTPACK_FRAME + bytes)
}

fn zset_size(zset: &Zset, samples: usize) -> usize {
    if zset.encoding() == "skiplist" {
        let each = |(member, _): (&crate::base::Bytes, f64)| sds(member.len(), true) + DICT_ENTRY + SKIPLIST_NODE;
        return OBJECT + SKIPLIST + DICT + buckets(zset.len()) + estimate(zset.iter(), zset.len(), samples, each);
    }
    let each = |(member, score): (&crate::base::Bytes, f64)| {
        packed(member) + packed(crate::base::float::text(score).as_bytes())
    };
    OBJECT + size_class(LISTPACK_FRAME + estimate(zset.iter(), zset.len(), samples, each))
}

/// A radix tree with ids as keys, by Redis' own estimate of it.
fn rax(keys: usize, nodes: usize) -> usize {
    keys * 16 + nodes * (4 + 30 * 8)
}

fn stream_size(stream: &Stream, samples: usize) -> usize {
    const STREAM: usize = 80;
    const GROUP: usize = 40;
    const PENDING: usize = 24;
    const CONSUMER: usize = 32;
    // The last listpack has room for more: 4 kB are set aside when it is made.
    let last = |node: &Node| size_class(node.size().max(4096));
    let nodes = stream.nodes();
    let full = nodes.len().saturating_sub(1);
    let lists = estimate(nodes.values().take(full), full, samples, |node| size_class(node.size()))
        + nodes.values().next_back().map_or(0, last);
    // Pending lists are sparse trees: about two nodes to a key, and one that is always there.
    let pending = |keys: usize| rax(keys, 2 * keys + 1);
    let groups = stream.groups().values().map(|group| {
        let consumers = group.consumers().iter();
        let consumers = consumers.map(|(name, it)| CONSUMER + name.len() + pending(it.pending().len()));
        GROUP + pending(group.pending().len()) + PENDING * group.pending().len() + consumers.sum::<usize>()
    });
    OBJECT + STREAM + rax(nodes.len(), stream.rax_nodes()) + lists + groups.sum::<usize>()
}

/// The tables of a database beside its keys: buckets, and the entries of those that expire.
pub fn tables(db: &Db) -> u64 {
    // There are fewer buckets than keys while memory is short.
    let main = if db.is_empty() { 0 } else { buckets(db.len()).min(db.buckets() * BUCKET) };
    let volatile = db.volatile_len();
    let expires = if volatile == 0 { 0 } else { buckets(volatile) + volatile * DICT_ENTRY };
    (main + expires) as u64
}

impl Instance {
    /// What INFO shows as used_memory, in bytes. O(keys) unless `maxmemory` is set.
    pub fn used_memory(&self) -> u64 {
        let clients = self.client_memory.map_or(self.clients.len() as u64 * CLIENT, |it| it.normal);
        STARTUP + clients + self.dbs.iter().map(Db::used_memory).sum::<u64>()
    }

    /// Puts the growth of the tables of keys off that would take more than `max` bytes in all (`dictExpandAllowed`).
    pub(super) fn hold_tables(&mut self, used: u64, max: u64) {
        self.eviction_pool.holds_tables = false;
        for db in &mut self.dbs {
            // Old and new table stand side by side for a while.
            let held = db.is_full() && used + (db.buckets() * 2 * BUCKET) as u64 > max;
            db.put_off_growth(held);
            self.eviction_pool.holds_tables |= held;
        }
    }

    /// What the data set takes of it.
    pub fn used_memory_dataset(&self) -> u64 {
        self.dbs.iter().map(|db| db.used_memory() - tables(db)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Bytes, Millis};
    use crate::engine::dict::HashSeed;

    #[test]
    fn sizes_are_rounded_as_jemalloc_does() {
        for (len, class) in [(1, 8), (8, 8), (23, 24), (64, 64), (65, 80), (81, 96), (113, 128), (129, 160), (160, 160)]
        {
            assert_eq!(size_class(len), class, "{len}");
        }
        for (len, class) in [(128, 128), (256, 256), (257, 320), (513, 640), (1000, 1024), (1025, 1280), (4097, 5120)] {
            assert_eq!(size_class(len), class, "{len}");
        }
    }

    #[test]
    fn a_short_string_takes_what_memory_usage_says() {
        let mut db = Db::new(HashSeed(1, 2));
        for (key, text, usage) in [("foo", "bar", 56), ("n", "5", 48)] {
            db.insert(&Bytes::from(key), Value::String(Str::new(Bytes::from(text))), 0, false);
            assert_eq!(super::usage(key.as_bytes(), db.slot(key.as_bytes()).unwrap(), 0), usage, "{key}");
        }
    }

    #[test]
    fn the_running_sum_agrees_with_a_fresh_one() {
        let mut rng = crate::base::Rng::new(3);
        let mut db = Db::new(HashSeed(1, 2));
        db.track_memory();
        for _ in 0..2000 {
            let key = Bytes::from(format!("key:{}", rng.below(100)));
            match rng.below(4) {
                0 => drop(db.remove(&key)),
                1 => drop(db.set_expiry(&key, Some(Millis(7)))),
                _ => {
                    let text = Bytes::from("x".repeat(rng.below(200)));
                    db.insert(&key, Value::String(Str::new(text)), 0, false);
                    db.measure(&key);
                }
            }
        }
        let tracked = db.used_memory();
        db.forget_memory();
        assert_eq!(tracked, db.used_memory());
    }
}

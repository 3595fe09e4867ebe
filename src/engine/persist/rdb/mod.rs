//! RDB files, and the payloads of DUMP: values as bytes.
//!
//! We write version 10, which Redis 7.0 and all later ones load, and read everything up to 7.2's version 11. A file is
//! `REDIS0010`, aux fields, then for each database an index, sizes and its keys, an end mark and a checksum. Nothing in a
//! file is trusted: what is damaged is refused with a reason, and never costs more memory than the file is long, times a
//! small factor.

pub mod packed;
pub mod read;
mod stream;
pub mod write;

pub use read::{Fault, LoadOptions, Loaded, load, load_into, restore_functions, restore_value};
pub use write::{Pace, Position, SaveOptions, dump_functions, dump_value, save, save_with};

/// The version that we write.
pub const VERSION: u16 = 10;
/// The newest version that we read.
pub const NEWEST: u16 = 11;

/// Types of values.
pub mod kind {
    pub const STRING: u8 = 0;
    pub const LIST: u8 = 1;
    pub const SET: u8 = 2;
    pub const ZSET: u8 = 3;
    pub const HASH: u8 = 4;
    /// Scores in binary.
    pub const ZSET_2: u8 = 5;
    pub const MODULE_2: u8 = 7;
    pub const HASH_ZIPMAP: u8 = 9;
    pub const LIST_ZIPLIST: u8 = 10;
    pub const SET_INTSET: u8 = 11;
    pub const ZSET_ZIPLIST: u8 = 12;
    pub const HASH_ZIPLIST: u8 = 13;
    pub const LIST_QUICKLIST: u8 = 14;
    pub const STREAM_LISTPACKS: u8 = 15;
    pub const HASH_LISTPACK: u8 = 16;
    pub const ZSET_LISTPACK: u8 = 17;
    pub const LIST_QUICKLIST_2: u8 = 18;
    pub const STREAM_LISTPACKS_2: u8 = 19;
    pub const SET_LISTPACK: u8 = 20;
    pub const STREAM_LISTPACKS_3: u8 = 21;
}

/// What stands in the place of a type and is none.
pub mod opcode {
    pub const FUNCTION2: u8 = 245;
    /// Of release candidates of 7.0: refused.
    pub const FUNCTION_PRE_GA: u8 = 246;
    pub const MODULE_AUX: u8 = 247;
    pub const IDLE: u8 = 248;
    pub const FREQ: u8 = 249;
    pub const AUX: u8 = 250;
    pub const RESIZEDB: u8 = 251;
    pub const EXPIRETIME_MS: u8 = 252;
    pub const EXPIRETIME: u8 = 253;
    pub const SELECTDB: u8 = 254;
    pub const EOF: u8 = 255;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Bytes, Millis, Rng};
    use crate::engine::config::Config;
    use crate::engine::config::Limits;
    use crate::engine::dict::HashSeed;
    use crate::engine::keyspace::Db;
    use crate::engine::value::stream::{Group, Id, Pending};
    use crate::engine::value::{Hash, List, Set, Str, Stream, Value, Zset};

    const SEED: HashSeed = HashSeed(1, 2);
    const NOW: Millis = Millis(1_000_000);

    fn options(config: &Config) -> LoadOptions {
        LoadOptions::of(config, NOW, SEED)
    }

    fn text(rng: &mut Rng) -> Bytes {
        match rng.below(4) {
            0 => Bytes::from((rng.next_u64() as i64 >> rng.below(64)).to_string()),
            1 => Bytes::from(vec![b'a' + rng.below(3) as u8; rng.below(200)]),
            _ => (0..rng.below(30)).map(|_| rng.below(256) as u8).collect(),
        }
    }

    /// One of every type in every encoding, with random contents.
    fn values(rng: &mut Rng, config: &Config) -> Vec<Value> {
        let limits = &config.limits;
        let mut values = Vec::new();
        for size in [1, 5, 100, 700] {
            values.push(Value::String(Str::new(text(rng))));
            let items: Vec<Bytes> = (0..size).map(|_| text(rng)).collect();
            values.push(Value::List(Box::new(List::build(items.clone(), limits))));
            let mut ints = Set::new(SEED);
            for n in 0..size {
                ints.insert(Bytes::from((n as i64 * 77_777_777).to_string()), limits);
            }
            values.push(Value::Set(Box::new(ints)));
            let mut set = Set::new(SEED);
            set.extend(items.clone(), limits);
            values.push(Value::Set(Box::new(set)));
            let mut hash = Hash::new(SEED);
            items.iter().for_each(|it| drop(hash.set(it.clone(), text(rng), limits)));
            values.push(Value::Hash(Box::new(hash)));
            let mut zset = Zset::new(SEED);
            let scores = [0.0, -0.0, 1.5, f64::INFINITY, f64::NEG_INFINITY, 1e300, -3.0, 0.1];
            for it in &items {
                zset.insert(it.clone(), scores[rng.below(8)], limits);
            }
            values.push(Value::Zset(Box::new(zset)));
            values.push(Value::Stream(Box::new(stream(rng, size, &items, limits))));
        }
        values
    }

    /// A stream with gaps, and groups that have read some of it.
    fn stream(rng: &mut Rng, size: usize, items: &[Bytes], limits: &Limits) -> Stream {
        let mut stream = Stream::new();
        for (index, item) in items.iter().enumerate() {
            let id = Id::new(900 + index as u64 / 3, 1 + index as u64 % 3);
            stream.push(id, &[item.clone(), text(rng), Bytes::from("n"), item.clone()], limits);
        }
        for gone in 0..size / 10 {
            stream.delete(&[Id::new(900 + gone as u64, 2)]);
        }
        for name in ["mail", "audit"] {
            let mut group = Group::new(Id::new(950, 0), (name == "mail").then_some(7));
            group.add_consumer(&Bytes::from("idle"), NOW);
            group.add_consumer(&Bytes::from("busy"), NOW);
            group.consumer_mut(b"busy").unwrap().active_at = Some(NOW);
            group.consumer_mut(b"idle").unwrap().active_at = Some(NOW);
            for entry in stream.iter().take(20).filter(|entry| entry.id.seq > 1) {
                let consumer = Bytes::from("busy");
                group.assign(entry.id, Pending { consumer, delivered_at: NOW, deliveries: 3 });
            }
            stream.add_group(&Bytes::from(name), group);
        }
        stream
    }

    /// Contents and encoding, in an order that does not depend on the hash table.
    fn shown(value: &Value) -> String {
        let mut parts: Vec<String> = match value {
            Value::String(string) => vec![format!("{:?}", string.to_bytes())],
            Value::List(list) => return format!("{:?}", list.iter().collect::<Vec<_>>()),
            Value::Set(set) => set.iter().map(|it| format!("{it:?}")).collect(),
            Value::Hash(hash) => hash.iter().map(|it| format!("{it:?}")).collect(),
            Value::Zset(zset) => zset.iter().map(|it| format!("{it:?}")).collect(),
            Value::Stream(stream) => {
                let entries: Vec<_> = stream.iter().map(|entry| (entry.id, entry.fields())).collect();
                let totals = (stream.last_id, stream.first_id(), stream.max_deleted_id, stream.entries_added);
                let shape: Vec<_> = stream.nodes().iter().map(|(id, node)| (id, node.size(), node.total())).collect();
                return format!("{entries:?} {totals:?} {shape:?} {} {:?}", stream.rax_nodes(), stream.groups());
            }
        };
        parts.sort();
        format!("{} {parts:?}", value.encoding())
    }

    fn world(rng: &mut Rng, config: &Config) -> Vec<Db> {
        let mut dbs: Vec<Db> = (0..16).map(|_| Db::new(SEED)).collect();
        for (index, value) in values(rng, config).into_iter().enumerate() {
            let key = Bytes::from(format!("key:{index}"));
            let db = &mut dbs[if index % 7 == 0 { 9 } else { 0 }];
            db.insert(&key, value, 900, false);
            if index % 3 == 0 {
                db.set_expiry(&key, Some(Millis(NOW.0 + index as u64)));
            }
        }
        dbs
    }

    fn all(dbs: &[Db]) -> Vec<String> {
        let mut lines: Vec<String> = dbs
            .iter()
            .enumerate()
            .flat_map(|(db, it)| it.iter().map(move |(key, slot)| (db, key, slot)))
            .map(|(db, key, slot)| format!("{db} {key:?} {:?} {}", slot.expires_at(), shown(&slot.value)))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn a_data_set_survives_in_every_encoding() {
        let mut rng = Rng::new(21);
        for (policy, compress) in [("noeviction", "yes"), ("allkeys-lru", "no"), ("allkeys-lfu", "yes")] {
            let mut config = Config::default();
            config.set("maxmemory-policy", policy).unwrap();
            config.set("rdbcompression", compress).unwrap();
            let before = world(&mut rng, &config);
            let bytes = save(&before, &SaveOptions::of(&config, NOW, 1000));
            let mut after: Vec<Db> = (0..16).map(|_| Db::new(SEED)).collect();
            let loaded = load(&bytes, &mut after, &options(&config)).unwrap();
            assert_eq!((loaded.keys, loaded.len), (28, bytes.len()));
            assert_eq!(loaded.aux("redis-ver"), Some(&Bytes::from(crate::engine::VERSION)));
            assert_eq!(all(&before), all(&after));
        }
    }

    #[test]
    fn dump_gives_the_bytes_of_redis() {
        // From redis-server 7.0.15.
        let limits = &Config::default().limits;
        let dumped = dump_value(&Value::String(Str::new(Bytes::from("10"))), limits);
        assert_eq!(dumped, b"\x00\xc0\x0a\x0a\x00\x6e\x9f\x57\x45\x0e\xae\x63\xbb");
    }

    #[test]
    fn a_value_is_restored_and_damage_to_it_is_seen() {
        let config = Config::default();
        let mut rng = Rng::new(22);
        for value in values(&mut rng, &config) {
            let payload = dump_value(&value, &config.limits);
            let again = restore_value(&payload, &options(&config)).unwrap();
            assert_eq!(shown(&again), shown(&value));
            for _ in 0..6 {
                let mut bad = payload.clone();
                let at = rng.below(bad.len());
                bad[at] ^= 1 << rng.below(8);
                assert!(restore_value(&bad, &options(&config)).is_err());
            }
        }
    }

    #[test]
    fn no_damage_to_a_file_makes_the_reader_panic() {
        let config = Config::default();
        let mut rng = Rng::new(23);
        let bytes = save(&world(&mut rng, &config), &SaveOptions::of(&config, NOW, 0));
        let check = |bytes: &[u8]| {
            let mut dbs: Vec<Db> = (0..16).map(|_| Db::new(SEED)).collect();
            load(bytes, &mut dbs, &options(&config))
        };
        for len in (0..bytes.len()).step_by(bytes.len() / 60) {
            assert_eq!(check(&bytes[..len]).unwrap_err(), Fault::Short, "{len}");
        }
        for _ in 0..100 {
            let mut bad = bytes.clone();
            // Without a checksum the damage gets as far as it can.
            let crc = bad.len() - 8;
            bad[crc..].fill(0);
            for _ in 0..1 + rng.below(4) {
                let at = 9 + rng.below(crc - 9);
                bad[at] = rng.below(256) as u8;
            }
            let _ = check(&bad);
        }
        let mut bad = bytes.clone();
        let last = bad.len() - 1;
        bad[last] ^= 1;
        assert!(matches!(check(&bad), Err(Fault::Checksum { .. })));
        assert_eq!(check(b"RODIS0010xxx"), Err(Fault::Signature));
        assert_eq!(check(b"REDIS0012xxx"), Err(Fault::Version(12)));
    }

    #[test]
    fn what_is_past_its_expiry_is_left_out_on_request() {
        let config = Config::default();
        let mut dbs = vec![Db::new(SEED)];
        dbs[0].insert(&Bytes::from("k"), Value::String(Str::Int(1)), 0, false);
        dbs[0].set_expiry(b"k", Some(NOW));
        let bytes = save(&dbs, &SaveOptions::of(&config, NOW, 0));
        for (now, drop_expired, left) in [(NOW, true, 1), (NOW + Millis(1), true, 0), (NOW + Millis(1), false, 1)] {
            let mut dbs = vec![Db::new(SEED)];
            let options = LoadOptions { now, drop_expired, ..options(&config) };
            let loaded = load(&bytes, &mut dbs, &options).unwrap();
            assert_eq!((dbs[0].len(), loaded.expired), (left, 1 - left));
        }
    }
}

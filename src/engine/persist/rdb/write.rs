//! Writing RDB: a whole data set, or one value for DUMP.

use super::packed::{Listpack, intset_of};
use super::{VERSION, kind, opcode};
use crate::base::{Bytes, Millis, float};
use crate::engine;
use crate::engine::config::{Config, Eviction, Limits};
use crate::engine::keyspace::{Db, Slot};
use crate::engine::persist::crc64::crc64;
use crate::engine::persist::lzf::Compressor;
use crate::engine::value::stream::{Id, Stream};
use crate::engine::value::string::parse_int;
use crate::engine::value::{Hash, List, Set, Str, Value, Zset};

/// What a file says besides its keys, and how it says it.
#[derive(Clone, Copy, Debug)]
pub struct SaveOptions {
    pub now: Millis,
    /// It is the base of an append only file.
    pub aof_base: bool,
    pub used_memory: u64,
    pub compress: bool,
    pub checksum: bool,
    pub eviction: Eviction,
    pub limits: Limits,
    /// Where the data set stands in a history of changes, if it is part of one.
    pub stream: Option<Position>,
    /// How a child of the server writes.
    pub pace: Option<Pace>,
}

/// What a child does beside writing: it tells how many keys it has written, and takes its time if it is told to.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub report: fn(u64),
    /// Stands still for so many microseconds.
    pub sleep: Option<fn(u64)>,
    /// `rdb-key-save-delay`.
    pub delay_us: u64,
}

impl Pace {
    /// It sleeps when this much has come together.
    const NAP_US: u64 = 1000;

    fn written(&self, keys: u64) {
        (self.report)(keys);
        let naps_before = |keys: u64| keys.saturating_mul(self.delay_us) / Pace::NAP_US;
        if let (Some(sleep), more @ 1..) = (self.sleep, naps_before(keys) - naps_before(keys - 1)) {
            sleep(more * Pace::NAP_US);
        }
    }
}

/// A place in a replication stream: with it a restarted server can go on with a partial resynchronization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The database that the stream stands in.
    pub db: usize,
    /// The history's name, 40 hex digits.
    pub id: [u8; 40],
    pub offset: u64,
}

impl SaveOptions {
    pub fn of(config: &Config, now: Millis, used_memory: u64) -> SaveOptions {
        SaveOptions {
            now,
            aof_base: false,
            used_memory,
            compress: config.flag("rdbcompression"),
            checksum: config.flag("rdbchecksum"),
            eviction: config.eviction,
            limits: config.limits,
            stream: None,
            pace: None,
        }
    }
}

/// The bytes of an RDB file with all of `dbs`. O(size of the data set).
pub fn save(dbs: &[Db], options: &SaveOptions) -> Vec<u8> {
    save_with(dbs, &[], options)
}

/// As `save`, with the sources of function libraries.
pub fn save_with(dbs: &[Db], functions: &[Bytes], options: &SaveOptions) -> Vec<u8> {
    let mut writer = Writer::new(options.compress, options.limits);
    writer.out.extend_from_slice(format!("REDIS{VERSION:04}").as_bytes());
    writer.aux("redis-ver", engine::VERSION);
    writer.aux("redis-bits", "64");
    writer.aux("ctime", &options.now.secs().to_string());
    writer.aux("used-mem", &options.used_memory.to_string());
    if let Some(Position { db, id, offset }) = &options.stream {
        writer.aux("repl-stream-db", &db.to_string());
        writer.aux("repl-id", &String::from_utf8_lossy(id));
        writer.aux("repl-offset", &offset.to_string());
    }
    writer.aux("aof-base", if options.aof_base { "1" } else { "0" });
    functions.iter().for_each(|code| writer.function(code));
    let mut keys = 0;
    for (index, db) in dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
        writer.out.push(opcode::SELECTDB);
        writer.len(index as u64);
        writer.out.push(opcode::RESIZEDB);
        writer.len(db.len() as u64);
        writer.len(db.volatile_len() as u64);
        for (key, slot) in db.iter() {
            writer.head(slot, options);
            writer.out.push(kind_of(&slot.value));
            writer.text(key);
            writer.value(&slot.value);
            keys += 1;
            if let Some(pace) = &options.pace {
                pace.written(keys);
            }
        }
    }
    writer.out.push(opcode::EOF);
    let crc = if options.checksum { crc64(0, &writer.out) } else { 0 };
    writer.out.extend_from_slice(&crc.to_le_bytes());
    writer.out
}

/// What DUMP answers: type, value, version, checksum. RESTORE of any Redis since 7.0 takes it.
pub fn dump_value(value: &Value, limits: &Limits) -> Vec<u8> {
    let mut writer = Writer::new(true, *limits);
    writer.out.push(kind_of(value));
    writer.value(value);
    writer.payload()
}

/// What FUNCTION DUMP answers: the sources of libraries, version, checksum.
pub fn dump_functions(codes: &[Bytes], limits: &Limits) -> Vec<u8> {
    let mut writer = Writer::new(true, *limits);
    codes.iter().for_each(|code| writer.function(code));
    writer.payload()
}

fn kind_of(value: &Value) -> u8 {
    match (value, value.encoding()) {
        (Value::String(_), _) => kind::STRING,
        (Value::List(_), _) => kind::LIST_QUICKLIST_2,
        (Value::Set(_), "intset") => kind::SET_INTSET,
        // 7.0 does not know sets in listpacks.
        (Value::Set(_), _) => kind::SET,
        (Value::Hash(_), "listpack") => kind::HASH_LISTPACK,
        (Value::Hash(_), _) => kind::HASH,
        (Value::Zset(_), "listpack") => kind::ZSET_LISTPACK,
        (Value::Zset(_), _) => kind::ZSET_2,
        // 7.0 does not know when a consumer was last active.
        (Value::Stream(_), _) => kind::STREAM_LISTPACKS_2,
    }
}

struct Writer {
    out: Vec<u8>,
    compressor: Option<Compressor>,
    limits: Limits,
}

impl Writer {
    fn new(compress: bool, limits: Limits) -> Writer {
        Writer { out: Vec::new(), compressor: compress.then(Compressor::default), limits }
    }

    /// What was written, with the version and the checksum that end a payload of DUMP.
    fn payload(mut self) -> Vec<u8> {
        self.out.extend_from_slice(&VERSION.to_le_bytes());
        let crc = crc64(0, &self.out);
        self.out.extend_from_slice(&crc.to_le_bytes());
        self.out
    }

    fn aux(&mut self, name: &str, value: &str) {
        self.out.push(opcode::AUX);
        self.text(name.as_bytes());
        self.text(value.as_bytes());
    }

    fn function(&mut self, code: &[u8]) {
        self.out.push(opcode::FUNCTION2);
        self.text(code);
    }

    /// What stands before a key's type.
    fn head(&mut self, slot: &Slot, options: &SaveOptions) {
        if let Some(at) = slot.expires_at() {
            self.out.push(opcode::EXPIRETIME_MS);
            self.out.extend_from_slice(&at.0.to_le_bytes());
        }
        match options.eviction {
            Eviction::Lru { .. } => {
                self.out.push(opcode::IDLE);
                self.len(options.now.secs().saturating_sub(slot.access.into()));
            }
            Eviction::Lfu { .. } => self.out.extend([opcode::FREQ, slot.access as u8]),
            _ => {}
        }
    }

    fn len(&mut self, len: u64) {
        match len {
            0..64 => self.out.push(len as u8),
            64..16_384 => self.out.extend([0x40 | (len >> 8) as u8, len as u8]),
            16_384..=0xffff_ffff => {
                self.out.push(0x80);
                self.out.extend_from_slice(&(len as u32).to_be_bytes());
            }
            _ => {
                self.out.push(0x81);
                self.out.extend_from_slice(&len.to_be_bytes());
            }
        }
    }

    /// A string: as a small integer, compressed, or as it is.
    fn text(&mut self, text: &[u8]) {
        if text.len() <= 11
            && let Some(n) = parse_int(text)
            && self.small_int(n)
        {
            return;
        }
        if text.len() > 20 && self.compressed(text) {
            return;
        }
        self.len(text.len() as u64);
        self.out.extend_from_slice(text);
    }

    /// False if `n` needs more than four bytes.
    fn small_int(&mut self, n: i64) -> bool {
        let bytes = n.to_le_bytes();
        let (code, width) = match n {
            -128..=127 => (0, 1),
            -32_768..=32_767 => (1, 2),
            -2_147_483_648..=2_147_483_647 => (2, 4),
            _ => return false,
        };
        self.out.push(0xc0 | code);
        self.out.extend_from_slice(&bytes[..width]);
        true
    }

    fn compressed(&mut self, text: &[u8]) -> bool {
        let Some(compressor) = &mut self.compressor else { return false };
        let mut packed = Vec::new();
        if !compressor.compress(text, text.len() - 4, &mut packed) {
            return false;
        }
        self.out.push(0xc3);
        self.len(packed.len() as u64);
        self.len(text.len() as u64);
        self.out.extend_from_slice(&packed);
        true
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::String(Str::Int(n)) => {
                if !self.small_int(*n) {
                    let text = n.to_string();
                    self.len(text.len() as u64);
                    self.out.extend_from_slice(text.as_bytes());
                }
            }
            Value::String(string) => self.text(&string.text()),
            Value::List(list) => self.list(list),
            Value::Set(set) => self.set(set),
            Value::Hash(hash) => self.hash(hash),
            Value::Zset(zset) => self.zset(zset),
            Value::Stream(stream) => self.stream(stream),
        }
    }

    /// A list of nodes, each of them a listpack as large as list-max-listpack-size allows.
    fn list(&mut self, list: &List) {
        let (most_bytes, most_items) = match self.limits.list_max_listpack_size {
            size if size > 0 => (8192, size as usize),
            size => (4096 << (size.saturating_neg() - 1).clamp(0, 4), usize::MAX),
        };
        let whole = list.encoding() == "listpack";
        let mut nodes: Vec<Listpack> = vec![Listpack::default()];
        for item in list.iter() {
            let node = nodes.last().expect("begun with one");
            let full = node.len() + item.len() + 8 > most_bytes || node.count() >= most_items;
            if full && !node.is_empty() && !whole {
                nodes.push(Listpack::default());
            }
            nodes.last_mut().expect("begun with one").push(item);
        }
        self.len(nodes.len() as u64);
        for node in nodes {
            // 2: a listpack; 1 would be one large element as it is.
            self.len(2);
            let bytes = node.finish();
            self.text(&bytes);
        }
    }

    fn set(&mut self, set: &Set) {
        if set.encoding() == "intset" {
            let ints: Vec<i64> = set.iter().filter_map(|member| parse_int(&member)).collect();
            return self.text(&intset_of(&ints));
        }
        self.len(set.len() as u64);
        set.iter().for_each(|member| self.text(&member));
    }

    fn hash(&mut self, hash: &Hash) {
        if hash.encoding() == "listpack" {
            let mut pack = Listpack::default();
            for (field, value) in hash.iter() {
                pack.push(field);
                pack.push(value);
            }
            return self.text(&pack.finish());
        }
        self.len(hash.len() as u64);
        for (field, value) in hash.iter() {
            self.text(field);
            self.text(value);
        }
    }

    fn zset(&mut self, zset: &Zset) {
        if zset.encoding() == "listpack" {
            let mut pack = Listpack::default();
            for (member, score) in zset.iter() {
                pack.push(member);
                push_score(&mut pack, score);
            }
            return self.text(&pack.finish());
        }
        self.len(zset.len() as u64);
        // From the highest rank down, as Redis does: its loader then always inserts at the front.
        for (member, score) in zset.range_back(0..zset.len()) {
            self.text(member);
            self.out.extend_from_slice(&score.to_bits().to_le_bytes());
        }
    }

    fn id(&mut self, id: Id) {
        self.len(id.ms);
        self.len(id.seq);
    }

    fn stream(&mut self, stream: &Stream) {
        self.len(stream.nodes().len() as u64);
        for (id, node) in stream.nodes() {
            self.text(&id.to_be_bytes());
            self.text(&node.to_listpack());
        }
        self.len(stream.len() as u64);
        self.id(stream.last_id);
        self.id(stream.first_id());
        self.id(stream.max_deleted_id);
        self.len(stream.entries_added);
        self.len(stream.groups().len() as u64);
        for (name, group) in stream.groups() {
            self.text(name);
            self.id(group.last_id);
            // "Not known" is -1 in Redis.
            self.len(group.entries_read.unwrap_or(u64::MAX));
            self.len(group.pending().len() as u64);
            for (id, pending) in group.pending() {
                self.out.extend_from_slice(&id.to_be_bytes());
                self.out.extend_from_slice(&pending.delivered_at.0.to_le_bytes());
                self.len(pending.deliveries);
            }
            self.len(group.consumers().len() as u64);
            for (name, consumer) in group.consumers() {
                self.text(name);
                self.out.extend_from_slice(&consumer.seen_at.0.to_le_bytes());
                self.len(consumer.pending().len() as u64);
                consumer.pending().iter().for_each(|id| self.out.extend_from_slice(&id.to_be_bytes()));
            }
        }
    }
}

/// A whole number that a double holds exactly is an integer; -0 is not.
fn push_score(pack: &mut Listpack, score: f64) {
    let whole = score as i64;
    if whole as f64 == score && whole.unsigned_abs() <= 1 << 52 && !(score == 0.0 && score.is_sign_negative()) {
        pack.push_int(whole);
    } else {
        pack.push(float::text(score).as_bytes());
    }
}

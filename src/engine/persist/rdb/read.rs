//! Reading RDB: versions 1 to 11, every encoding that was ever written, and what to say about damage.

use super::{NEWEST, kind, opcode, packed, stream};
use crate::base::{Bytes, Millis, float};
use crate::engine::config::{Config, Limits};
use crate::engine::dict::HashSeed;
use crate::engine::evict;
use crate::engine::keyspace::Db;
use crate::engine::persist::crc64::crc64;
use crate::engine::persist::lzf;
use crate::engine::value::{Hash, List, Set, Str, Value, Zset};

/// Why a file or payload is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin with REDIS and a version.
    Signature,
    Version(u32),
    /// It ends where something must follow.
    Short,
    /// What stands at this offset cannot be.
    Corrupt(usize, &'static str),
    Checksum {
        expected: u64,
        got: u64,
    },
    DuplicateKey(Bytes, usize),
    /// It has a database beyond `databases`.
    TooManyDatabases(usize),
    /// Values or data of modules: there are none here.
    Module,
}

impl Fault {
    /// Whether redis-server ends right here, without another word, because its redis-check-rdb finds the same fault. (What
    /// that prints about every part of the file is left out.)
    pub fn is_final(&self) -> bool {
        matches!(self, Fault::Short | Fault::Corrupt(..) | Fault::Checksum { .. })
    }

    /// What redis-server logs before it ends.
    pub fn log_lines(&self) -> Vec<String> {
        match self {
            Fault::Signature => vec![String::from("# Wrong signature trying to load DB from file")],
            Fault::Version(version) => vec![format!("# Can't handle RDB format version {version}")],
            Fault::Short => vec![
                String::from("# Short read or OOM loading DB. Unrecoverable error, aborting now."),
                String::from(
                    "# Internal error in RDB reading offset 0, function at rdb.c:3365 -> Unexpected EOF reading RDB file",
                ),
            ],
            Fault::Corrupt(offset, what) => {
                vec![format!("# Internal error in RDB reading offset {offset}: {what}")]
            }
            Fault::Checksum { expected, got } => vec![
                format!("# Wrong RDB checksum expected: ({expected:x}) but got ({got:x}). Aborting now."),
                String::from("# Internal error in RDB reading offset 0, function at rdb.c:3341 -> RDB CRC error"),
            ],
            Fault::DuplicateKey(key, db) => {
                vec![format!("# RDB has duplicated key '{}' in DB {db}", key.lossy())]
            }
            Fault::TooManyDatabases(databases) => vec![format!(
                "# FATAL: Data file was created with a Redis server configured to handle more than {databases} databases. Exiting"
            )],
            Fault::Module => {
                vec![String::from("# The RDB file contains module data I can't load: there are no modules here")]
            }
        }
    }
}

/// How to load.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    pub now: Millis,
    /// Leave out what is past its expiry: a primary does, with an RDB file but not with the base of an AOF.
    pub drop_expired: bool,
    /// Take what has a wrong checksum (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    pub skip_checksum: bool,
    pub seed: HashSeed,
    pub limits: Limits,
    pub lru: bool,
    pub lfu: bool,
}

impl LoadOptions {
    pub fn of(config: &Config, now: Millis, seed: HashSeed) -> LoadOptions {
        let lru = matches!(config.eviction, crate::engine::config::Eviction::Lru { .. });
        let lfu = config.eviction.is_lfu();
        LoadOptions { now, drop_expired: true, skip_checksum: false, seed, limits: config.limits, lru, lfu }
    }
}

/// What came out of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    pub keys: usize,
    pub expired: usize,
    /// Keys with an empty collection, which no version of Redis should have written.
    pub empty: usize,
    /// Name and value, in the file's order.
    pub aux: Vec<(Bytes, Bytes)>,
    /// Code of function libraries.
    pub functions: Vec<Bytes>,
    /// How many bytes of the input it was.
    pub len: usize,
    /// It was written without a checksum.
    pub unchecked: bool,
}

impl Loaded {
    pub fn aux(&self, name: &str) -> Option<&Bytes> {
        self.aux.iter().find(|(it, _)| *it == *name.as_bytes()).map(|(_, value)| value)
    }
}

/// Loads the file `bytes` into `dbs`, which are empty. On Err they hold what stood before the damage.
pub fn load(bytes: &[u8], dbs: &mut [Db], options: &LoadOptions) -> Result<Loaded, Fault> {
    let mut loaded = Loaded::default();
    load_into(bytes, dbs, options, &mut loaded).map(|()| loaded)
}

/// As `load`; `loaded` tells also of what came before the damage.
pub fn load_into(bytes: &[u8], dbs: &mut [Db], options: &LoadOptions, loaded: &mut Loaded) -> Result<(), Fault> {
    let mut reader = Reader { bytes, at: 0, options };
    let magic = reader.take(9)?;
    if &magic[..5] != b"REDIS" {
        return Err(Fault::Signature);
    }
    let version = std::str::from_utf8(&magic[5..]).ok().and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    if !(1..=u32::from(NEWEST)).contains(&version) {
        return Err(Fault::Version(version));
    }
    let mut db = 0;
    let (mut expires_at, mut idle, mut freq) = (None, None, None);
    loop {
        let code = reader.byte()?;
        match code {
            opcode::EXPIRETIME => {
                let secs = i32::from_le_bytes(reader.array()?);
                expires_at = Some(i64::from(secs) * 1000);
            }
            opcode::EXPIRETIME_MS => expires_at = Some(i64::from_le_bytes(reader.array()?)),
            opcode::FREQ => freq = Some(reader.byte()?),
            opcode::IDLE => idle = Some(reader.len()?),
            opcode::EOF => break,
            opcode::SELECTDB => {
                db = reader.len()? as usize;
                if db >= dbs.len() {
                    return Err(Fault::TooManyDatabases(dbs.len()));
                }
            }
            opcode::RESIZEDB => {
                let (keys, volatile) = (reader.len()? as usize, reader.len()? as usize);
                // A key takes three bytes at least: a number beyond that is a lie.
                let most = reader.rest().len() / 3;
                dbs[db].reserve(keys.min(most), volatile.min(most));
            }
            opcode::AUX => {
                let pair = (reader.text()?, reader.text()?);
                loaded.aux.push(pair);
            }
            opcode::FUNCTION2 => loaded.functions.push(reader.text()?),
            opcode::MODULE_AUX => return Err(Fault::Module),
            code => {
                let key = reader.text()?;
                let value = reader.value(code)?;
                let expiry = expires_at.take();
                let access = reader.access(idle.take(), freq.take());
                if value.is_empty() && !matches!(value, Value::String(_)) {
                    loaded.empty += 1;
                    continue;
                }
                let due = expiry.map(|at| Millis(at.max(1) as u64));
                if options.drop_expired && due.is_some_and(|due| options.now > due) {
                    loaded.expired += 1;
                    continue;
                }
                if dbs[db].insert(&key, value, access, false).is_some() {
                    return Err(Fault::DuplicateKey(key, db));
                }
                if due.is_some() {
                    dbs[db].set_expiry(&key, due);
                }
                loaded.keys += 1;
            }
        }
    }
    if version >= 5 {
        let computed = crc64(0, &bytes[..reader.at]);
        let stored = u64::from_le_bytes(reader.array()?);
        // 0: written with `rdbchecksum no`.
        loaded.unchecked = stored == 0;
        if stored != 0 && stored != computed && !options.skip_checksum {
            return Err(Fault::Checksum { expected: stored, got: computed });
        }
    }
    loaded.len = reader.at;
    Ok(())
}

/// What stands before the version and the checksum that end a payload. Err: one of them is wrong, in Redis' words.
fn checked<'a>(payload: &'a [u8], options: &LoadOptions) -> Result<&'a [u8], &'static str> {
    const BAD_FOOTER: &str = "ERR DUMP payload version or checksum are wrong";
    let (front, crc) = payload.split_last_chunk::<8>().ok_or(BAD_FOOTER)?;
    let (body, version) = front.split_last_chunk::<2>().ok_or(BAD_FOOTER)?;
    let sound = options.skip_checksum || u64::from_le_bytes(*crc) == crc64(0, front);
    if u16::from_le_bytes(*version) <= NEWEST && sound { Ok(body) } else { Err(BAD_FOOTER) }
}

/// The value in a payload of DUMP. Err: in Redis' words for RESTORE.
pub fn restore_value(payload: &[u8], options: &LoadOptions) -> Result<Value, &'static str> {
    const BAD_DATA: &str = "ERR Bad data format";
    let mut reader = Reader { bytes: checked(payload, options)?, at: 0, options };
    let code = reader.byte().map_err(|_| BAD_DATA)?;
    match reader.value(code) {
        Ok(value) if reader.rest().is_empty() && (!value.is_empty() || matches!(value, Value::String(_))) => Ok(value),
        _ => Err(BAD_DATA),
    }
}

/// The sources in a payload of FUNCTION DUMP. Err: in Redis' words for FUNCTION RESTORE.
pub fn restore_functions(payload: &[u8], options: &LoadOptions) -> Result<Vec<Bytes>, &'static str> {
    let mut reader = Reader { bytes: checked(payload, options)?, at: 0, options };
    let mut codes = Vec::new();
    while !reader.rest().is_empty() {
        match reader.byte().map_err(|_| "ERR can not read data type")? {
            opcode::FUNCTION2 => {
                codes.push(reader.text().map_err(|_| "ERR Failed loading library code")?);
            }
            opcode::FUNCTION_PRE_GA => return Err("ERR Pre-GA function format not supported"),
            _ => return Err("ERR given type is not a function"),
        }
    }
    Ok(codes)
}

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    pub(super) options: &'a LoadOptions,
}

/// A length, or how the string that follows is encoded.
enum Len {
    Plain(u64),
    Encoded(u8),
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (front, _) = self.rest().split_at_checked(count).ok_or(Fault::Short)?;
        self.at += count;
        Ok(front)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (front, _) = self.rest().split_first_chunk::<N>().ok_or(Fault::Short)?;
        self.at += N;
        Ok(*front)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn corrupt<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault::Corrupt(self.at, what))
    }

    fn len_or_code(&mut self) -> Result<Len, Fault> {
        let head = self.byte()?;
        Ok(Len::Plain(match head >> 6 {
            0 => head.into(),
            1 => u64::from(head & 0x3f) << 8 | u64::from(self.byte()?),
            2 if head == 0x80 => u32::from_be_bytes(self.array()?).into(),
            2 if head == 0x81 => u64::from_be_bytes(self.array()?),
            2 => return self.corrupt("Unknown length encoding in rdbLoadLen()"),
            _ => return Ok(Len::Encoded(head & 0x3f)),
        }))
    }

    pub(super) fn len(&mut self) -> Result<u64, Fault> {
        match self.len_or_code()? {
            Len::Plain(len) => Ok(len),
            Len::Encoded(_) => self.corrupt("a length was expected"),
        }
    }

    /// A number of elements, each of which takes at least `least` bytes.
    pub(super) fn count(&mut self, least: usize) -> Result<usize, Fault> {
        let count = self.len()? as usize;
        if count.checked_mul(least).is_none_or(|bytes| bytes > self.rest().len()) {
            return Err(Fault::Short);
        }
        Ok(count)
    }

    pub(super) fn text(&mut self) -> Result<Bytes, Fault> {
        match self.len_or_code()? {
            Len::Plain(len) => self.take(usize::try_from(len).map_err(|_| Fault::Short)?).map(Bytes::from),
            Len::Encoded(3) => {
                let (packed, len) = (self.len()? as usize, self.len()? as usize);
                let input = self.take(packed)?;
                let text = lzf::decompress(input, len);
                text.map(Bytes::from).map_or_else(|| self.corrupt("Invalid LZF compressed string"), Ok)
            }
            Len::Encoded(code) => Ok(Bytes::from(self.int(code)?.to_string())),
        }
    }

    fn int(&mut self, code: u8) -> Result<i64, Fault> {
        Ok(match code {
            0 => i8::from_le_bytes(self.array()?).into(),
            1 => i16::from_le_bytes(self.array()?).into(),
            2 => i32::from_le_bytes(self.array()?).into(),
            _ => return self.corrupt("Unknown RDB string encoding type"),
        })
    }

    /// What `Slot::access` is to be.
    fn access(&self, idle: Option<u64>, freq: Option<u8>) -> u32 {
        let secs = self.options.now.secs();
        match (idle, freq) {
            (_, freq) if self.options.lfu => evict::used(freq.unwrap_or(evict::LFU_INIT), self.options.now),
            (Some(idle), _) if self.options.lru => secs.saturating_sub(idle) as u32,
            _ => secs as u32,
        }
    }

    fn value(&mut self, code: u8) -> Result<Value, Fault> {
        match code {
            kind::STRING => self.text().map(|text| Value::String(Str::new(text))),
            kind::LIST => {
                let count = self.count(1)?;
                let items = (0..count).map(|_| self.text()).collect::<Result<Vec<_>, _>>()?;
                Ok(self.list(items))
            }
            kind::LIST_ZIPLIST => {
                let items = self.packed(packed::ziplist, "List ziplist integrity check failed.")?;
                Ok(self.list(items))
            }
            kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => self.quicklist(code),
            kind::SET => {
                let count = self.count(1)?;
                let members = (0..count).map(|_| self.text()).collect::<Result<Vec<_>, _>>()?;
                self.set(members)
            }
            kind::SET_INTSET => {
                let ints = self.packed(packed::intset, "Intset integrity check failed.")?;
                self.set(ints.into_iter().map(|n| Bytes::from(n.to_string())).collect())
            }
            kind::SET_LISTPACK => {
                let members = self.packed(packed::listpack, "Set listpack integrity check failed.")?;
                self.set(members)
            }
            kind::HASH => {
                let count = self.count(2)?;
                let flat = (0..count * 2).map(|_| self.text()).collect::<Result<Vec<_>, _>>()?;
                self.hash(flat)
            }
            kind::HASH_ZIPMAP => {
                self.packed(packed::zipmap, "Zipmap integrity check failed.").and_then(|it| self.hash(it))
            }
            kind::HASH_ZIPLIST => {
                self.packed(packed::ziplist, "Hash ziplist integrity check failed.").and_then(|it| self.hash(it))
            }
            kind::HASH_LISTPACK => {
                self.packed(packed::listpack, "Hash listpack integrity check failed.").and_then(|it| self.hash(it))
            }
            kind::ZSET | kind::ZSET_2 => self.zset_of_doubles(code),
            kind::ZSET_ZIPLIST => {
                self.packed(packed::ziplist, "Zset ziplist integrity check failed.").and_then(|it| self.zset(it))
            }
            kind::ZSET_LISTPACK => {
                self.packed(packed::listpack, "Zset listpack integrity check failed.").and_then(|it| self.zset(it))
            }
            kind::STREAM_LISTPACKS | kind::STREAM_LISTPACKS_2 | kind::STREAM_LISTPACKS_3 => stream::read(self, code),
            kind::MODULE_2 => Err(Fault::Module),
            _ => self.corrupt("Unknown RDB encoding type"),
        }
    }

    /// A string that holds one of the packed forms.
    fn packed<T>(&mut self, parse: fn(&[u8]) -> Option<Vec<T>>, what: &'static str) -> Result<Vec<T>, Fault> {
        let text = self.text()?;
        parse(&text).map_or_else(|| self.corrupt(what), Ok)
    }

    fn quicklist(&mut self, code: u8) -> Result<Value, Fault> {
        let nodes = self.count(1)?;
        let mut items = Vec::new();
        for _ in 0..nodes {
            // 1: the one element of a node as it is; 2: a listpack.
            let container = if code == kind::LIST_QUICKLIST_2 { self.len()? } else { 2 };
            match container {
                1 => items.push(self.text()?),
                2 if code == kind::LIST_QUICKLIST_2 => {
                    items.extend(self.packed(packed::listpack, "Listpack integrity check failed.")?);
                }
                2 => items.extend(self.packed(packed::ziplist, "Ziplist integrity check failed.")?),
                _ => return self.corrupt("Quicklist integrity check failed."),
            }
        }
        Ok(self.list(items))
    }

    fn list(&self, items: Vec<Bytes>) -> Value {
        Value::List(Box::new(List::build(items, &self.options.limits)))
    }

    fn set(&self, members: Vec<Bytes>) -> Result<Value, Fault> {
        let limits = &self.options.limits;
        let first = members.first().cloned().unwrap_or_default();
        let mut set = Set::for_members(&first, members.len(), self.options.seed, limits);
        for member in members {
            if !set.insert(member, limits) {
                return self.corrupt("Duplicate set members detected");
            }
        }
        Ok(Value::Set(Box::new(set)))
    }

    fn hash(&self, flat: Vec<Bytes>) -> Result<Value, Fault> {
        let limits = &self.options.limits;
        let mut hash = Hash::new(self.options.seed);
        hash.expect(&flat, limits);
        let mut flat = flat.into_iter();
        while let Some(field) = flat.next() {
            let Some(value) = flat.next() else { return self.corrupt("a field of a hash has no value") };
            if hash.set(field, value, limits).is_some() {
                return self.corrupt("Duplicate hash fields detected");
            }
        }
        Ok(Value::Hash(Box::new(hash)))
    }

    fn zset(&self, flat: Vec<Bytes>) -> Result<Value, Fault> {
        let mut pairs = Vec::with_capacity(flat.len() / 2);
        let mut flat = flat.into_iter();
        while let Some(member) = flat.next() {
            match flat.next().and_then(|score| float::parse(&score)) {
                Some(score) if !score.is_nan() => pairs.push((member, score)),
                _ => return self.corrupt("Zset with a member without a score"),
            }
        }
        self.zset_of(pairs)
    }

    fn zset_of_doubles(&mut self, code: u8) -> Result<Value, Fault> {
        let count = self.count(2)?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let member = self.text()?;
            let score = if code == kind::ZSET_2 { f64::from_le_bytes(self.array()?) } else { self.old_double()? };
            if score.is_nan() {
                return self.corrupt("Zset with NAN score detected");
            }
            pairs.push((member, score));
        }
        self.zset_of(pairs)
    }

    /// A double as text behind its length; three lengths stand for what is no number.
    fn old_double(&mut self) -> Result<f64, Fault> {
        match self.byte()? {
            255 => Ok(f64::NEG_INFINITY),
            254 => Ok(f64::INFINITY),
            253 => Ok(f64::NAN),
            len => {
                let text = self.take(len.into())?;
                float::parse(text).map_or_else(|| self.corrupt("a score is not a number"), Ok)
            }
        }
    }

    fn zset_of(&self, pairs: Vec<(Bytes, f64)>) -> Result<Value, Fault> {
        let limits = &self.options.limits;
        let mut zset = Zset::new(self.options.seed);
        let longest = pairs.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
        zset.expect(pairs.len(), longest, limits);
        for (member, score) in pairs {
            if zset.insert(member, score, limits).is_some() {
                return self.corrupt("Zset with duplicate elements detected");
            }
        }
        Ok(Value::Zset(Box::new(zset)))
    }
}

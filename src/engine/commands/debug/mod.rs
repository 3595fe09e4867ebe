//! DEBUG: what Redis' own tests need.
//!
//! One command with its own words rather than a container: that is how Redis has it, and its arity says so. Absent: RESTART and
//! CRASH-AND-RECOVER (nothing starts an instance again but who started it), MALLCTL (a server without jemalloc has none), and
//! what reaches into the cluster bus.

mod look;

use crate::base::{Bytes, Millis, glob, sha};
use crate::engine::command::{ADMIN, Command, LOADING, NOSCRIPT, Outcome, PROTECTED, STALE, SYSCMD};
use crate::engine::persist::rdb;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::{Str, Value};
use crate::engine::{Call, Instance, Output, Switches, VERSION, commands, config, keyspace};
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[Command {
    name: "DEBUG",
    syntax: "subcommand:hidden [argument:hidden ...]",
    summary: "Do what tests need and nobody else should.",
    flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE).with(PROTECTED).with(SYSCMD),
    run: debug,
    ..Command::SERVER
}];

fn debug(call: &mut Call) -> Outcome {
    let word = call.args[1].to_ascii_uppercase();
    let more = call.args.len() - 2;
    match (&*word, more) {
        (b"SLEEP", 1) => sleep(call),
        (b"SET-ACTIVE-EXPIRE", 1) => {
            call.server.active_expire = call.int(2)? != 0;
            Ok(Reply::OK)
        }
        (b"OBJECT", 1 | 2) => look::object(call),
        (b"DIGEST", 0) => Ok(Reply::status_of(sha::hex(&call.server.digest()))),
        (b"DIGEST-VALUE", _) => digest_value(call),
        (b"POPULATE", 1..=3) => populate(call),
        (b"RELOAD", _) => reload(call),
        (b"LOADAOF", 0) => reload(call),
        (b"SET-DISABLE-DENY-SCRIPTS", 1) => {
            call.server.scripting.allows_all = call.int(2)? != 0;
            Ok(Reply::OK)
        }
        (b"STRINGMATCH-LEN", 2) => {
            let pattern = &call.args[3];
            let text = vec![b'a'; call.int(2)?.max(0) as usize];
            Ok(Reply::flag(glob::matches(pattern, &text)))
        }
        (b"CHANGE-REPL-ID", 0) => {
            call.server.replication.rename(call.rng);
            Ok(Reply::OK)
        }
        (b"PROTOCOL", 1) => protocol(call),
        (b"ERROR", 1) => Err(Refusal::from(call.args[2].printed().into_owned())),
        (b"LOG", 1) => {
            let line = format!("# DEBUG LOG: {}", call.args[2].printed());
            call.out.push(Output::Log(line));
            Ok(Reply::OK)
        }
        (b"HTSTATS", 1..) => look::tables(call),
        (b"HTSTATS-KEY", 1..) => look::table_of_key(call),
        (b"PAUSE-CRON", 1) => {
            call.server.cron_paused = number(call, 2) != 0;
            Ok(Reply::OK)
        }
        (b"LISTPACK", 1) => look::listpack(call),
        (b"QUICKLIST", 1 | 2) => look::quicklist(call),
        (b"SDSLEN", 1) => look::strings(call),
        (b"STRUCTSIZE", 0) => Ok(look::sizes()),
        (b"CLIENT-EVICTION", 0) => look::clients(call),
        (b"REPLYBUFFER", 2) => reply_buffer(call),
        (b"QUICKLIST-PACKED-THRESHOLD", 1) => packed_threshold(call),
        (b"SET-SKIP-CHECKSUM-VALIDATION", 1) => {
            call.server.switches.skip_checksum = number(call, 2) != 0;
            Ok(Reply::OK)
        }
        (b"AOF-FLUSH-SLEEP", 1) => {
            call.server.switches.aof_flush_sleep_us = number(call, 2).max(0) as u64;
            Ok(Reply::OK)
        }
        (b"CONFIG-REWRITE-FORCE-ALL", 0) => super::config::rewrite_file(call, true),
        (b"REPLICATE", 1..) => {
            call.server.propagate_to_replicas(call.db, call.args[2..].to_vec());
            Ok(Reply::OK)
        }
        (b"STRINGMATCH-TEST", 0) => {
            match_patterns(call);
            Ok(Reply::status("Apparently Redis did not crash: test passed"))
        }
        // What is given away here comes back when the instance ends.
        (b"LEAK", 1) => Ok(Reply::OK),
        (b"SEGFAULT" | b"PANIC" | b"ASSERT" | b"OOM", _) => Ok(crash(call, &word)),
        (b"HELP", 0) => Ok(help()),
        _ => Err(commands::wrong_subcommand(call)),
    }
}

/// As atoi(3): 0 for what is no number.
fn number(call: &Call, at: usize) -> i64 {
    call.int(at).unwrap_or(0)
}

/// The process ends where it stands: nothing is saved, synced or answered.
fn crash(call: &mut Call, word: &[u8]) -> Reply {
    call.out.push(Output::Log(format!("# Redis {VERSION} crashed: DEBUG {}", word.escape_ascii())));
    call.out.push(Output::Exit);
    Reply::None
}

/// Ten thousand random patterns against random texts.
fn match_patterns(call: &mut Call) {
    let word = |call: &mut Call| -> Vec<u8> {
        (0..call.rng.below(32)).map(|_| b"abc*?[]^-\\\0\xff"[call.rng.below(12)]).collect()
    };
    for _ in 0..10_000 {
        let (pattern, text) = (word(call), word(call));
        glob::matches(&pattern, &text);
    }
}

fn reply_buffer(call: &mut Call) -> Outcome {
    if call.is(2, "PEAK-RESET-TIME") {
        call.server.switches.reply_peak_kept = if call.is(3, "NEVER") {
            None
        } else if call.is(3, "RESET") {
            Switches::default().reply_peak_kept
        } else {
            u64::try_from(call.int(3)?).ok().map(Millis)
        };
    } else if call.is(2, "RESIZING") {
        call.server.switches.reply_resizing = number(call, 3) != 0;
    } else {
        return Err(commands::wrong_subcommand(call));
    }
    Ok(Reply::OK)
}

/// From which size on an element has a node of its own: no element here is large enough for one, which 4 GB is the bound of.
fn packed_threshold(call: &Call) -> Outcome {
    const REFUSED: Refusal = Refusal::new("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
    let bytes = config::value::bytes_of(&call.args[2]).ok_or(REFUSED)?;
    if bytes > (1 << 32) - (1 << 20) { Err(REFUSED) } else { Ok(Reply::OK) }
}

fn sleep(call: &mut Call) -> Outcome {
    let seconds = crate::base::float::parse(&call.args[2]).ok_or(refusal::NOT_FLOAT)?;
    let micros = (seconds.max(0.0) * 1e6) as u64;
    match call.server.hooks.sleep {
        Some(sleep) => {
            sleep(micros);
            call.server.slept += Millis(micros / 1000);
        }
        // Virtual time cannot pass within a step: whoever asks something has to wait until the server would have woken up.
        None => {
            call.pretended_us = micros;
            let span = Millis(micros / 1000);
            if call.may_block && span > Millis::ZERO {
                super::client::hold_everybody(call, span, true);
                return call.block(&[], "", span, Reply::OK);
            }
        }
    }
    Ok(Reply::OK)
}

fn digest_value(call: &mut Call) -> Outcome {
    let digest = |key: &Bytes| {
        let digest = call.db_ref().peek(key, call.now).map_or([0; 20], |slot| value_digest(slot, [0; 20]));
        Reply::status_of(sha::hex(&digest))
    };
    Ok(Reply::Array(call.args[2..].iter().map(digest).collect()))
}

fn populate(call: &mut Call) -> Outcome {
    let count = call.int(2)?;
    let count = u64::try_from(count).map_err(|_| refusal::NOT_POSITIVE)?;
    let prefix = call.args.get(3).cloned().unwrap_or_else(|| Bytes::from("key"));
    let size = if call.args.len() > 4 { Some(call.int(4)?.max(0) as usize) } else { None };
    for number in 0..count {
        let mut key = prefix.clone();
        key.extend(format!(":{number}").as_bytes());
        if call.db_ref().slot(&key).is_some() {
            continue;
        }
        let mut value = Bytes::from(format!("value:{number}"));
        if let Some(size) = size {
            value.resize(size, 0);
        }
        call.insert(&key, Value::String(Str::new(value)));
        call.touched(&key);
    }
    Ok(Reply::OK)
}

/// Writes the data set down and reads it back, as a restart would. NOFLUSH keeps what is there, which must then not be in
/// the file too, unless MERGE lets the file's win; NOSAVE reads the file that is there.
fn reload(call: &mut Call) -> Outcome {
    const FAILED: Refusal = Refusal::new("ERR Error trying to load the RDB dump, check server logs.");
    let (mut save, mut flush, mut merge) = (true, true, false);
    for at in 2..call.args.len() {
        match call.args[at].to_ascii_uppercase().as_slice() {
            b"MERGE" => merge = true,
            b"NOFLUSH" => flush = false,
            b"NOSAVE" => save = false,
            _ => return Err(Refusal::new("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")),
        }
    }
    let path = call.server.config.path(&call.server.config.text("dbfilename").lossy());
    let server = &mut *call.server;
    if save {
        let image = server.rdb_image(&rdb::SaveOptions::of(&server.config, call.now, 0));
        call.disk.write(&path, &image).map_err(|_| FAILED)?;
    }
    let image = call.disk.read(&path).map_err(|_| FAILED)?;
    let mut dbs: Vec<keyspace::Db> = server.dbs.iter().map(|_| keyspace::Db::new(server.seed)).collect();
    // With an append only file what has expired stays until it is removed by a DEL, which stands in that file too. A write to
    // a key that was only dropped here would be read as one to the value that had expired.
    let drop_expired = !server.config.appendonly;
    let options = rdb::LoadOptions { drop_expired, ..rdb::LoadOptions::of(&server.config, call.now, server.seed) };
    let loaded = rdb::load(&image, &mut dbs, &options).map_err(|_| FAILED)?;
    if flush {
        server.scripting.libraries = Default::default();
        server.load_functions(&loaded.functions, false).map_err(|_| FAILED)?;
        server.dbs = dbs;
        return Ok(Reply::OK);
    }
    let taken = |index: usize, key: &[u8]| server.dbs[index].slot(key).is_some();
    if !merge && dbs.iter().enumerate().any(|(index, db)| db.iter().any(|(key, _)| taken(index, key))) {
        return Err(FAILED);
    }
    server.load_functions(&loaded.functions, merge).map_err(|_| FAILED)?;
    for (mine, read) in server.dbs.iter_mut().zip(&dbs) {
        for (key, slot) in read.iter() {
            mine.insert(key, slot.value.clone(), slot.access, false);
            mine.set_expiry(key, slot.expires_at());
        }
    }
    Ok(Reply::OK)
}

/// One example of each kind of reply.
fn protocol(call: &Call) -> Outcome {
    let word = call.args[2].to_ascii_lowercase();
    let numbers = |range: std::ops::Range<i64>| range.map(Reply::Int).collect();
    let pairs = || (0..3).map(|n| (Reply::Int(n), Reply::Bool(n == 1))).collect();
    Ok(match &*word {
        b"string" => Reply::bulk("Hello World"),
        b"integer" => Reply::Int(12345),
        b"double" => Reply::Double(3_141.0 / 1_000.0),
        b"null" => Reply::Nil,
        b"array" => Reply::Array(numbers(0..3)),
        b"set" => Reply::Set(numbers(0..3)),
        b"map" => Reply::Map(pairs()),
        b"push" => Reply::Push(std::iter::once(Reply::bulk("server-cpu-usage")).chain([Reply::Int(42)]).collect()),
        b"attrib" => {
            let popularity = Reply::Array(vec![Reply::bulk("key:123"), Reply::Int(90)]);
            let attributes = vec![(Reply::bulk("key-popularity"), popularity)];
            Reply::Attributed(Box::new((attributes, Reply::bulk("Some real reply following the attribute"))))
        }
        b"bignum" => Reply::BigNumber(Bytes::from("1234567999999999999999999999999999999")),
        b"true" => Reply::Bool(true),
        b"false" => Reply::Bool(false),
        b"verbatim" => Reply::Verbatim("txt", Bytes::from("This is a verbatim\nstring")),
        _ => {
            return Err(Refusal::new(
                "ERR Wrong protocol type name. Please use one of the following: string|integer|double|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    })
}

fn xor(digest: &mut [u8; 20], with: [u8; 20]) {
    digest.iter_mut().zip(with).for_each(|(byte, other)| *byte ^= other);
}

/// Adds `bytes` so that the order of additions counts.
fn mix(digest: &mut [u8; 20], bytes: &[u8]) {
    xor(digest, sha::sha1(bytes));
    *digest = sha::sha1(digest);
}

/// Adds the fingerprint of a value, and that it expires, to `digest`.
fn value_digest(slot: &keyspace::Slot, mut digest: [u8; 20]) -> [u8; 20] {
    let kind: u32 = match &slot.value {
        Value::String(_) => 0,
        Value::List(_) => 1,
        Value::Set(_) => 2,
        Value::Zset(_) => 3,
        Value::Hash(_) => 4,
        Value::Stream(_) => 6,
    };
    mix(&mut digest, &kind.to_be_bytes());
    match &slot.value {
        Value::String(text) => mix(&mut digest, &text.text()),
        Value::List(list) => list.iter().for_each(|element| mix(&mut digest, element)),
        Value::Set(set) => set.iter().for_each(|member| xor(&mut digest, sha::sha1(&member))),
        Value::Zset(zset) => zset.iter().for_each(|(member, score)| {
            let mut each = [0; 20];
            mix(&mut each, member);
            mix(&mut each, crate::base::float::text(score).as_bytes());
            xor(&mut digest, sha::sha1(&each));
        }),
        Value::Hash(hash) => hash.iter().for_each(|(field, value)| {
            let mut each = [0; 20];
            mix(&mut each, field);
            mix(&mut each, value);
            xor(&mut digest, sha::sha1(&each));
        }),
        Value::Stream(stream) => stream.iter().for_each(|entry| {
            mix(&mut digest, format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
            entry.fields().iter().for_each(|element| mix(&mut digest, element));
        }),
    }
    if slot.expires_at().is_some() {
        xor(&mut digest, sha::sha1(b"!!expire!!"));
    }
    digest
}

impl Instance {
    /// A fingerprint of all keys and values, whatever their order.
    pub fn digest(&self) -> [u8; 20] {
        let mut all = [0; 20];
        for (index, db) in self.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
            mix(&mut all, &(index as u32).to_be_bytes());
            for (key, slot) in db.iter() {
                let mut each = [0; 20];
                mix(&mut each, key);
                xor(&mut all, value_digest(slot, each));
            }
        }
        all
    }
}

fn help() -> Reply {
    commands::help(
        "DEBUG",
        &[
            "CHANGE-REPL-ID",
            "    Change the replication IDs of the instance.",
            "DIGEST",
            "    Output a hex signature representing the current DB content.",
            "DIGEST-VALUE <key> [<key> ...]",
            "    Output a hex signature of the values of all the specified keys.",
            "ERROR <string>",
            "    Return a Redis protocol error with <string> as message. Useful for clients",
            "    unit tests to simulate Redis errors.",
            "LOG <message>",
            "    Write <message> to the server log.",
            "OBJECT <key>",
            "    Show low level info about `key` and associated value.",
            "POPULATE <count> [<prefix>] [<size>]",
            "    Create <count> string keys named key:<num>. If <prefix> is specified then",
            "    it is used instead of the 'key' prefix. These are not propagated to",
            "    replicas. Cluster slots are not respected so keys not belonging to the",
            "    current node can be created in cluster mode.",
            "PROTOCOL <type>",
            "    Reply with a test value of the specified type. <type> can be: string,",
            "    integer, double, null, array, set, map, attrib, push, verbatim, true,",
            "    false.",
            "RELOAD [option ...]",
            "    Save the RDB on disk and reload it back to memory. Valid <option> values:",
            "SET-ACTIVE-EXPIRE <0|1>",
            "    Setting it to 0 disables expiring keys (and hash-fields) in background ",
            "SET-DISABLE-DENY-SCRIPTS <0|1>",
            "    Allow execution of deny-script commands inside script (for testing).",
            "SLEEP <seconds>",
            "    Stop the server for <seconds>. Decimals allowed.",
            "STRINGMATCH-LEN <len> <pattern>",
            "    Run stringmatchlen() against a string of the given length.",
        ],
    )
}

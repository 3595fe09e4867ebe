//! What a server reads from disks and from DUMP payloads.

use crate::commands;
use crate::harness::{Target, Went, fuzz, shape, went};
use crate::machine::{Machine, START};
use redlab::base::{Bytes, Rng};
use redlab::engine::dict::HashSeed;
use redlab::engine::disk::{Disk, MemoryDisk};
use redlab::engine::keyspace::Db;
use redlab::engine::persist::crc64::crc64;
use redlab::engine::persist::lzf;
use redlab::engine::persist::rdb::{self, LoadOptions, SaveOptions, packed};
use redlab::engine::value::Value;
use redlab::lab::journal::{self, Entries};
use redlab::lab::{Input, Timeline, Topology};
use redlab::resp::Reply;

const SEED: HashSeed = HashSeed(1, 2);

/// A machine with values of all kinds and encodings.
fn furnished(config: &str, seed: u64) -> Machine {
    let mut machine = Machine::new(config);
    let mut rng = Rng::new(seed);
    for _ in 0..150 {
        let words = commands::writing(&mut rng);
        let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
        machine.ask(&words);
    }
    let long = "a longer text that compresses well, well, well, well, well, well, well, well, well, well".repeat(2);
    for words in [
        &["SET", "text", &long][..],
        &["RPUSH", "big", &long, "1", "-70000", "5000000000", "x"],
        &["XGROUP", "CREATE", "s:g", "g", "$", "MKSTREAM"],
        &["XADD", "s:g", "1-1", "a", "1", "b", "2"],
        &["XADD", "s:g", "1-2", "a", "1", "b", "2"],
        &["XREADGROUP", "GROUP", "g", "alice", "STREAMS", "s:g", ">"],
        &["XACK", "s:g", "g", "1-1"],
        &["PFADD", "hll", "a", "b", "c"],
        &["PEXPIREAT", "text", "1900000000000"],
        &["FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)"],
    ] {
        machine.ask(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
    }
    machine
}

fn options(now: redlab::base::Millis) -> LoadOptions {
    LoadOptions::of(&crate::machine::configured(""), now, SEED)
}

/// The input with a checksum that fits, because a wrong one hides everything behind it.
fn sealed(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    let at = bytes.len().saturating_sub(8);
    let crc = crc64(0, &bytes[..at]);
    bytes.truncate(at);
    bytes.extend(crc.to_le_bytes());
    bytes
}

fn dbs() -> Vec<Db> {
    (0..4).map(|_| Db::new(SEED)).collect()
}

/// Looks at everything that a loaded value has.
fn walk(value: &Value) -> usize {
    let parts = match value {
        Value::String(text) => text.len(),
        Value::List(list) => list.iter().count().max(list.iter().rev().count()),
        Value::Set(set) => set.iter().count(),
        Value::Hash(hash) => hash.iter().count(),
        Value::Zset(zset) => zset.iter().count(),
        Value::Stream(stream) => stream.iter().map(|entry| entry.fields().len()).sum(),
    };
    parts.min(value.len())
}

fn rdb_file(input: &[u8]) -> Went {
    let bytes = sealed(input);
    let mut loaded = dbs();
    let outcome = rdb::load(&bytes, &mut loaded, &options(START));
    let keys: usize = loaded.iter().map(Db::len).sum();
    let kinds: Vec<&str> =
        loaded.iter().flat_map(|db| db.iter()).map(|(_, slot)| slot.value.encoding()).take(4).collect();
    loaded.iter().flat_map(|db| db.iter()).for_each(|(_, slot)| assert!(walk(&slot.value) <= slot.value.len()));
    if outcome.is_ok() {
        let save = SaveOptions::of(&crate::machine::configured(""), START, 0);
        let image = rdb::save(&loaded, &save);
        let mut again = dbs();
        let back = rdb::load(&image, &mut again, &options(START));
        assert!(back.is_ok(), "what was loaded and saved is not loaded again: {back:?}");
        assert_eq!(keys, again.iter().map(Db::len).sum::<usize>());
        let image_again = rdb::save(&again, &save);
        assert_eq!(image.len(), image_again.len(), "saved, loaded and saved again, it has another size");
    }
    let fault = outcome.as_ref().err().map(|fault| shape(&fault.log_lines().concat()));
    went(outcome.is_ok(), (keys.min(6), kinds, fault))
}

#[test]
fn rdb_files_of_any_bytes() {
    let seeds = || {
        let mut seeds: Vec<Vec<u8>> = Vec::new();
        for (seed, config) in [
            (1, ""),
            (2, "list-max-listpack-size 2\nhash-max-listpack-entries 1\nzset-max-listpack-entries 1"),
            (3, "rdbcompression no\nset-max-intset-entries 1"),
        ] {
            let mut machine = furnished(config, seed);
            machine.ask(&[b"SAVE"]);
            seeds.push(machine.disk.read("dump.rdb").expect("it was saved"));
            // Small ones: a change hits what matters.
            for (key, slot) in machine.instance.dbs[0].iter().take(60) {
                let mut one = dbs();
                one[0].insert(key, slot.value.clone(), 0, false);
                seeds.push(rdb::save(&one, &SaveOptions::of(&machine.instance.config, START, 0)));
            }
        }
        seeds
    };
    let words = &["REDIS0011", "REDIS0010", "\u{fe}\0", "\u{1}", "redis-ver", "repl-stream-db"];
    fuzz(&Target { name: "rdb", seeds, words, run: rdb_file });
}

fn restore(input: &[u8]) -> Went {
    let bytes = sealed(input);
    let limits = crate::machine::configured("").limits;
    match rdb::restore_value(&bytes, &options(START)) {
        Err(error) => went(false, (error, input.first())),
        Ok(value) => {
            assert!(!value.is_empty() || matches!(value, Value::String(_) | Value::Stream(_)));
            let parts = walk(&value);
            let dump = rdb::dump_value(&value, &limits);
            let again = rdb::restore_value(&dump, &options(START)).expect("it takes what it dumped");
            assert_eq!(walk(&again), parts);
            assert_eq!(again.len(), value.len());
            assert_eq!(dump, rdb::dump_value(&again, &limits), "dumped again, it has other bytes");
            went(true, (value.encoding(), parts.min(5), input.first()))
        }
    }
}

/// What the commands make of a value that somebody else has made.
fn restored(input: &[u8]) -> Went {
    thread_local! {
        static MACHINE: Machine = Machine::new("");
    }
    let mut machine = MACHINE.with(Clone::clone);
    let payload = sealed(input);
    let reply = machine.ask(&[b"RESTORE", b"k", b"0", &payload]);
    if reply.is_error() {
        return restore(input);
    }
    let mut rng = Rng::new(input.len() as u64);
    for _ in 0..8 {
        let words = commands::on_key(b"k", &mut rng);
        let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
        machine.ask(&words);
    }
    restore(input)
}

fn dumps() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (seed, config) in [
        (1, ""),
        (
            2,
            "list-max-listpack-size 2\nhash-max-listpack-entries 1\nzset-max-listpack-entries 1\nset-max-intset-entries 1\nstream-node-max-entries 2",
        ),
    ] {
        let machine = furnished(config, seed);
        for (_, slot) in machine.instance.dbs[0].iter().take(80) {
            seeds.push(rdb::dump_value(&slot.value, &machine.instance.config.limits));
        }
    }
    // Encodings that this server reads and does not write: a payload of each kind, with something like its contents.
    let ziplist = b"\x19\x00\x00\x00\x16\x00\x00\x00\x02\x00\x00\xf3\x02\x02\x00\x08bbbbbb\xff";
    let listpack = b"\x0d\x00\x00\x00\x02\x00\x81a\x02\x81b\x02\xff";
    let zipmap = b"\x01\x01a\x01\x00b\xff";
    for kind in 0..=22u8 {
        for body in
            [&ziplist[..], listpack, zipmap, b"\x02\x00\x00\x00\x01\x00\x00\x00\x05\x00", b"\x01\x01a\x01b", b"\x00"]
        {
            let mut payload = vec![kind, body.len() as u8];
            payload.extend(body);
            payload.extend(11u16.to_le_bytes());
            payload.extend([0; 8]);
            seeds.push(payload.clone());
            let mut counted = vec![kind, 1, body.len() as u8];
            counted.extend(body);
            counted.extend(11u16.to_le_bytes());
            counted.extend([0; 8]);
            seeds.push(counted);
            let mut held = vec![kind, 1, 2, body.len() as u8];
            held.extend(body);
            held.extend(11u16.to_le_bytes());
            held.extend([0; 8]);
            seeds.push(held);
        }
    }
    seeds
}

#[test]
fn dump_payloads_of_any_bytes() {
    let words = &["\u{0b}\0", "\u{80}\0\0\0\u{1}", "\u{81}", "\u{c3}", "\u{c0}", "\u{e1}"];
    fuzz(&Target { name: "restore", seeds: dumps, words, run: restored });
}

fn functions(input: &[u8]) -> Went {
    thread_local! {
        static MACHINE: Machine = Machine::new("");
    }
    let bytes = sealed(input);
    match rdb::restore_functions(&bytes, &options(START)) {
        Err(error) => went(false, error),
        Ok(codes) => {
            let mut machine = MACHINE.with(Clone::clone);
            let reply = machine.ask(&[b"FUNCTION", b"RESTORE", &bytes]);
            let dump = machine.ask(&[b"FUNCTION", b"DUMP"]);
            if let (false, Reply::Bulk(dump)) = (reply.is_error(), dump) {
                assert_eq!(machine.ask(&[b"FUNCTION", b"RESTORE", &dump, b"FLUSH"]), Reply::OK);
            }
            went(!reply.is_error(), (codes.len().min(4), format!("{reply:?}").replace(char::is_numeric, "")))
        }
    }
}

#[test]
fn libraries_of_any_bytes() {
    let seeds = || {
        let mut machine = Machine::new("");
        let code = b"#!lua name=lib\nredis.register_function{function_name='f', callback=function(k, a) return a end, flags={'no-writes'}}";
        machine.ask(&[b"FUNCTION", b"LOAD", code]);
        let Reply::Bulk(dump) = machine.ask(&[b"FUNCTION", b"DUMP"]) else { panic!("it has a function") };
        vec![dump.to_vec()]
    };
    let words = &["#!lua", " name=", "\n", "redis.register_function", "'f'", "{", "}", "flags=", "'no-writes'"];
    fuzz(&Target { name: "functions", seeds, words, run: functions });
}

const AOF: &str = "appendonly yes\nappendfsync no";
const BASE: &str = "appendonlydir/appendonly.aof.1.base.aof";
const INCR: &str = "appendonlydir/appendonly.aof.1.incr.aof";
const MANIFEST: &[u8] = b"file appendonly.aof.1.base.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";

fn aof(input: &[u8]) -> Went {
    let mut disk = MemoryDisk::default();
    // An RDB file may stand at the front of the base, and commands may follow it.
    let half = if input.len().is_multiple_of(3) { input.len() } else { 0 };
    disk.write(BASE, &input[..half]).expect("memory");
    disk.write(INCR, &input[half..]).expect("memory");
    disk.write("appendonlydir/appendonly.aof.manifest", MANIFEST).expect("memory");
    match Machine::boot(AOF, disk, START) {
        Err((log, _)) => went(false, log.lines().rev().take(2).map(shape).collect::<Vec<_>>()),
        Ok(machine) => {
            let keys: usize = machine.instance.dbs.iter().map(Db::len).sum();
            let again = Machine::boot(AOF, machine.disk.clone(), START);
            let again = again.unwrap_or_else(|(log, _)| panic!("a second start on the same files fails: {log}"));
            assert_eq!(machine.data(), again.data(), "a second start on the same files finds other data");
            went(true, ("loaded", keys.min(9)))
        }
    }
}

#[test]
fn append_only_files_of_any_bytes() {
    let seeds = || {
        let mut seeds = Vec::new();
        for (seed, preamble) in [(1, "no"), (2, "no"), (3, "yes")] {
            let mut machine = Machine::boot(AOF, MemoryDisk::default(), START).expect("an empty disk");
            machine.ask(&[b"CONFIG", b"SET", b"aof-use-rdb-preamble", preamble.as_bytes()]);
            let mut rng = Rng::new(seed);
            for _ in 0..30 {
                let words = commands::writing(&mut rng);
                machine.ask(&words.iter().map(|word| &**word).collect::<Vec<_>>());
            }
            machine.ask(&[b"BGREWRITEAOF"]);
            machine.now = redlab::base::Millis(machine.now.0 + 1_000_000);
            machine.step(redlab::engine::Input::Tick);
            seeds.extend(
                machine
                    .disk
                    .files
                    .iter()
                    .filter(|(name, _)| name.contains("appendonly.aof."))
                    .map(|(_, it)| it.clone()),
            );
        }
        seeds.push(b"*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n#TS:1700000000\r\n*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n*1\r\n$4\r\nEXEC\r\n".to_vec());
        seeds
    };
    let words = &[
        "*1\r\n$5\r\nMULTI\r\n",
        "*1\r\n$4\r\nEXEC\r\n",
        "*3\r\n$3\r\nSET\r\n",
        "$1\r\na\r\n",
        "#TS:1\r\n",
        "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n",
        "REDIS0011",
        "*1\r\n$8\r\nSHUTDOWN\r\n",
    ];
    fuzz(&Target { name: "aof", seeds, words, run: aof });
}

fn packs(input: &[u8]) -> Went {
    let counts = [
        packed::listpack(input).map(|all| all.len()),
        packed::ziplist(input).map(|all| all.len()),
        packed::zipmap(input).map(|all| all.len()),
        packed::intset(input).map(|all| all.len()),
    ];
    if let Some(elements) = packed::listpack(input) {
        let mut pack = packed::Listpack::default();
        elements.iter().for_each(|element| pack.push(element));
        let again = packed::listpack(&pack.finish()).expect("it reads what it wrote");
        assert_eq!(elements, again);
    }
    let plain =
        lzf::decompress(input.get(1..).unwrap_or_default(), usize::from(input.first().copied().unwrap_or(0)) * 8);
    let mut out = Vec::new();
    if lzf::Compressor::default().compress(input, input.len(), &mut out) {
        assert_eq!(lzf::decompress(&out, input.len()).as_deref(), Some(input));
    }
    went(counts.iter().any(Option::is_some) || plain.is_some(), (counts, plain.map(|plain| plain.len() / 64)))
}

#[test]
fn packed_values_of_any_bytes() {
    let seeds = || {
        let mut pack = packed::Listpack::default();
        for element in ["a", "1", "-70000", "5000000000", "x", "128", "4096"] {
            pack.push(element.as_bytes());
        }
        pack.push(&[b'y'; 5000]);
        let mut out = vec![60];
        assert!(lzf::Compressor::default().compress(&[b'z'; 480], 480, &mut out));
        vec![
            pack.finish(),
            b"\x19\x00\x00\x00\x16\x00\x00\x00\x02\x00\x00\xf3\x02\x02\x00\x08bbbbbb\xff".to_vec(),
            b"\x02\x01a\x01\x00b\x01c\x02\x00dd\xff".to_vec(),
            packed::intset_of(&[1, -2, 70_000, 5_000_000_000]),
            out,
        ]
    };
    fuzz(&Target { name: "packed", seeds, words: &["\u{ff}", "\u{fe}\0\0\0\u{1}", "\u{f0}", "\u{e0}"], run: packs });
}

/// A string of any bytes as a HyperLogLog.
fn sketch(input: &[u8]) -> Went {
    thread_local! {
        static MACHINE: Machine = Machine::new("");
    }
    let mut machine = MACHINE.with(Clone::clone);
    machine.ask(&[b"SET", b"h", input]);
    let count = machine.ask(&[b"PFCOUNT", b"h"]);
    let added = machine.ask(&[b"PFADD", b"h", b"a", b"b", b"c"]);
    let decoded = machine.ask(&[b"PFDEBUG", b"DECODE", b"h"]);
    if input.len().is_multiple_of(8) {
        machine.ask(&[b"PFMERGE", b"other", b"h"]);
        machine.ask(&[b"PFDEBUG", b"GETREG", b"h"]);
        machine.ask(&[b"PFDEBUG", b"TODENSE", b"h"]);
        machine.ask(&[b"PFCOUNT", b"h", b"other"]);
    }
    let error = |reply: &Reply| if let Reply::Error(text) = reply { Some(text.to_string()) } else { None };
    went(
        !count.is_error() && !added.is_error(),
        (error(&count), error(&added), format!("{decoded:?}").len().min(400) / 8),
    )
}

#[test]
fn sketches_of_any_bytes() {
    let seeds = || {
        let mut machine = Machine::new("");
        let mut seeds = Vec::new();
        for count in [1, 3, 40, 300] {
            for index in 0..count {
                machine.ask(&[b"PFADD", b"h", format!("user:{index}").as_bytes()]);
            }
            let Reply::Bulk(text) = machine.ask(&[b"GET", b"h"]) else { panic!("it is a string") };
            seeds.push(text.to_vec());
        }
        machine.ask(&[b"PFDEBUG", b"TODENSE", b"h"]);
        let Reply::Bulk(dense) = machine.ask(&[b"GET", b"h"]) else { panic!("it is a string") };
        seeds.push(dense.to_vec());
        seeds
    };
    let words = &["HYLL", "\u{1}\0\0\0", "\0\0\0\0", "\u{7f}", "\u{3f}", "\u{40}"];
    fuzz(&Target { name: "sketch", seeds, words, run: sketch });
}

fn journal_of(input: &[u8]) -> Went {
    let body = journal::body(input, 77).unwrap_or(input);
    let mut again = Vec::new();
    let mut count = 0;
    for entry in Entries::new(body).map_while(Result::ok) {
        entry.encode(&mut again);
        count += 1;
    }
    assert!(Entries::new(&again).map_while(Result::ok).count() == count);
    // A few of them are lived through.
    if count > 0 && input.len().is_multiple_of(4) {
        thread_local! {
            static TOPOLOGY: (Topology, u64) = (Topology::sandbox(), Topology::sandbox().fingerprint());
        }
        TOPOLOGY.with(|(topology, fingerprint)| {
            let whole = [&journal::head(*fingerprint)[..], &again].concat();
            let resumed = Timeline::resume(topology, None, &whole).expect("it was read above");
            let twice = Timeline::resume(topology, None, &resumed.journal()).expect("its own journal");
            assert_eq!(resumed.world().state_hash(), twice.world().state_hash());
        });
    }
    went(count > 0, (count.min(12), body.len() == input.len()))
}

#[test]
fn journals_of_any_bytes() {
    let seeds = || {
        let mut world = redlab::lab::Timeline::new(&redlab::lab::Topology::sandbox(), None);
        let connection = world.connect(6379, "alice").expect("it runs");
        world.send(connection, ["SET", "cart:42", "x"].map(Bytes::from).to_vec());
        world.pass(redlab::base::Millis(5));
        world.mark();
        world.power_cut();
        world.write_file("a.conf", b"port 1\n").expect("memory");
        world.undo();
        let whole = world.journal();
        let mut inputs = Vec::new();
        Input::encode(&Input::Mark, &mut inputs);
        vec![whole, inputs]
    };
    fuzz(&Target { name: "journal", seeds, words: &["alice", "\u{1}"], run: journal_of });
}

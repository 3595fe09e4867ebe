//! Persistence as a whole, on a disk in memory: what is there after a restart, and what is said.

use super::aof::State;
use crate::base::{Bytes, Millis, Rng};
use crate::engine::client::ClientId;
use crate::engine::config::{Config, file};
use crate::engine::disk::{Disk, MemoryDisk};
use crate::engine::{Env, Input, Instance, Output};
use crate::resp::Reply;

/// A server, its disk and its clock.
struct Bench {
    instance: Box<Instance>,
    disk: MemoryDisk,
    now: Millis,
    rng: Rng,
    log: Vec<String>,
}

const CLIENT: ClientId = ClientId(1);

impl Bench {
    fn start(config: &str, disk: MemoryDisk) -> Bench {
        Bench::try_start(config, disk, Millis::from_secs(1_900_000_000)).unwrap_or_else(|log| panic!("{log:?}"))
    }

    fn try_start(config: &str, mut disk: MemoryDisk, now: Millis) -> Result<Bench, Vec<String>> {
        let mut rng = Rng::new(5);
        let config: Config = file::from_text(config.as_bytes()).unwrap();
        let mut env = Env { now, rng: &mut rng, disk: &mut disk };
        let (instance, log) = Instance::boot(config, &mut env)?;
        let mut bench = Bench { instance, disk, now, rng, log };
        bench.input(Input::Connect(CLIENT));
        Ok(bench)
    }

    fn input(&mut self, input: Input) -> Vec<Reply> {
        let mut out = Vec::new();
        let mut env = Env { now: self.now, rng: &mut self.rng, disk: &mut self.disk };
        self.instance.step(&mut env, input, &mut out);
        let mut replies = Vec::new();
        for said in out {
            match said {
                Output::Reply(_, reply) => replies.push(reply),
                Output::Log(line) => self.log.push(line),
                Output::Exit => self.log.push(String::from("exit")),
                _ => {}
            }
        }
        replies
    }

    /// One command, its words split at blanks; its reply as text.
    fn run(&mut self, line: &str) -> String {
        let args = line.split(' ').map(|word| Bytes::from(word.trim_matches('"'))).collect();
        match self.input(Input::Request(CLIENT, args)).pop() {
            Some(Reply::Status(text) | Reply::Error(text)) => text.into_owned(),
            Some(Reply::Int(n)) => n.to_string(),
            Some(Reply::Bulk(text)) => text.lossy().into_owned(),
            Some(Reply::Nil) => String::from("nil"),
            Some(reply) => format!("{reply:?}"),
            None => String::from("no reply"),
        }
    }

    fn pass(&mut self, millis: u64) {
        let end = self.now + Millis(millis);
        while self.now < end {
            self.now += Millis(100);
            self.input(Input::Tick);
        }
    }

    fn text(&self, path: &str) -> String {
        String::from_utf8_lossy(&self.disk.read(path).unwrap_or_default()).into_owned()
    }

    fn said(&self, part: &str) -> bool {
        self.log.iter().any(|line| line.contains(part))
    }
}

const AOF: &str = "appendonly yes\nsave \"\"";

/// The commands of an append only file were carried out when the key had not expired yet. A start after that moment used to
/// hide it from them: what prolonged its life missed it, and so did the DEL before another value took its TTL over. Fuzzing
/// found it (tests/fuzz/dispatch.rs, episodes 133 and 142); no test had let time pass between stop and start.
#[test]
fn a_key_that_lives_longer_than_it_first_should_survives_a_late_start() {
    let config = "appendonly yes\nappendfsync always";
    let mut bench = Bench::start(config, MemoryDisk::default());
    bench.run("SET session:a1 alice EX 10");
    bench.run("EXPIRE session:a1 1000");
    bench.run("SET session:b2 bob EX 10");
    bench.run("DEL session:b2");
    bench.run("SET session:b2 carol KEEPTTL");
    bench.run("SET session:c3 dave EX 10");
    let mut later = Bench::try_start(config, bench.disk, bench.now + Millis(60_000)).unwrap();
    assert_eq!(later.run("GET session:a1"), "alice");
    assert_eq!(later.run("GET session:b2"), "carol");
    assert_eq!(later.run("GET session:c3"), "nil");
}

#[test]
fn save_points_save_when_both_time_and_changes_are_enough() {
    let mut bench = Bench::start("save 10 2", MemoryDisk::default());
    bench.run("SET a 1");
    bench.pass(30_000);
    assert_eq!(bench.disk.files.len(), 0);
    bench.run("SET b 1");
    bench.pass(200);
    bench.run("SET c 1");
    assert!(bench.said("* 2 changes in 10 seconds. Saving..."), "{:?}", bench.log);
    bench.pass(200);
    assert!(bench.said("* Background saving terminated with success"));
    assert_eq!(bench.instance.dirty, 1);
    let again = Bench::start("", bench.disk.clone());
    assert!(again.said("* DB loaded from disk"));
    assert_eq!(again.instance.dbs[0].len(), 2);
}

#[test]
fn a_background_save_holds_what_was_there_when_it_began() {
    let mut bench = Bench::start("save \"\"", MemoryDisk::default());
    bench.run("SET k before");
    assert_eq!(bench.run("BGSAVE"), "Background saving started");
    assert_eq!(bench.run("BGSAVE"), "ERR Background save already in progress");
    assert_eq!(bench.run("SAVE"), "ERR Background save already in progress");
    bench.run("SET k after");
    assert!(bench.disk.files.is_empty());
    bench.pass(200);
    assert_eq!(Bench::start("", bench.disk.clone()).run("GET k"), "before");
}

#[test]
fn shutdown_saves_as_the_save_points_say() {
    for (config, how, kept) in [
        ("save 3600 1", "SHUTDOWN", true),
        ("save 3600 1", "SHUTDOWN NOSAVE", false),
        ("save \"\"", "SHUTDOWN", false),
        ("save \"\"", "SHUTDOWN SAVE", true),
    ] {
        let mut bench = Bench::start(config, MemoryDisk::default());
        bench.run("SET k v");
        assert_eq!(bench.run(how), "no reply");
        assert_eq!(bench.log.last().unwrap(), "exit");
        let mut again = Bench::start(config, bench.disk.clone());
        assert_eq!(again.run("GET k"), if kept { "v" } else { "nil" }, "{config} {how}");
    }
    let mut bench = Bench::start("", MemoryDisk::default());
    assert_eq!(bench.run("SHUTDOWN SAVE NOSAVE"), "ERR syntax error");
    assert_eq!(bench.run("SHUTDOWN ABORT"), "ERR No shutdown in progress.");
}

#[test]
fn the_append_only_file_holds_each_command_before_its_reply() {
    let mut bench = Bench::start(AOF, MemoryDisk::default());
    assert_eq!(
        bench.log,
        [
            "* Creating AOF base file appendonly.aof.1.base.rdb on server start",
            "* Creating AOF incr file appendonly.aof.1.incr.aof on server start"
        ]
    );
    assert_eq!(
        bench.text("appendonlydir/appendonly.aof.manifest"),
        "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
    );
    bench.run("SET k v");
    bench.run("GET k");
    let expected = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
    assert_eq!(bench.text("appendonlydir/appendonly.aof.1.incr.aof"), expected);
    let mut again = Bench::start(AOF, bench.disk.clone());
    assert_eq!(again.run("GET k"), "v");
    assert!(again.said("* DB loaded from append only file"));
    assert!(again.said("* Opening AOF incr file appendonly.aof.1.incr.aof on server start"));
    assert_eq!(again.instance.dirty, 0);
}

#[test]
fn a_key_that_goes_by_itself_is_noted_as_its_lazyfree_parameter_says() {
    let mut bench = Bench::start(AOF, MemoryDisk::default());
    let appended = |bench: &Bench| bench.text("appendonlydir/appendonly.aof.1.incr.aof");
    for (lazy, word) in [("no", "DEL"), ("yes", "UNLINK")] {
        bench.run(&format!("CONFIG SET lazyfree-lazy-server-del {lazy} lazyfree-lazy-expire {lazy}"));
        for (made, goes) in [("SADD k 1 2", "SPOP k 2"), ("SET k v", "EXPIRE k -1"), ("SET k v", "GETEX k EXAT 1")] {
            bench.run(made);
            let before = appended(&bench).len();
            bench.run(goes);
            let noted = format!("*2\r\n${}\r\n{word}\r\n$1\r\nk\r\n", word.len());
            assert_eq!(appended(&bench)[before..], noted, "{goes}");
        }
    }
}

#[test]
fn an_aof_switched_on_in_the_file_starts_empty_beside_a_full_rdb_file() {
    let mut bench = Bench::start("", MemoryDisk::default());
    bench.run("SET k v");
    assert_eq!(bench.run("SAVE"), "OK");
    let mut trapped = Bench::start("appendonly yes", bench.disk.clone());
    assert_eq!(trapped.run("GET k"), "nil");
    // The right way: the running server writes its data into the first base.
    assert_eq!(bench.run("CONFIG SET appendonly yes"), "OK");
    assert_eq!(bench.instance.persist.aof.state, State::FirstRewrite);
    bench.run("SET during 1");
    bench.pass(200);
    assert_eq!(bench.instance.persist.aof.state, State::On);
    bench.run("SET after 1");
    let mut again = Bench::start("appendonly yes", bench.disk.clone());
    assert_eq!([again.run("GET k"), again.run("GET during"), again.run("GET after")], ["v", "1", "1"]);
    assert_eq!(bench.run("CONFIG SET appendonly no"), "OK");
    assert_eq!(bench.instance.persist.aof.state, State::Off);
}

#[test]
fn a_rewrite_makes_a_new_base_and_removes_what_it_replaces() {
    for preamble in ["yes", "no"] {
        let config = format!("{AOF}\naof-use-rdb-preamble {preamble}");
        let mut bench = Bench::start(&config, MemoryDisk::default());
        for n in 0..50 {
            bench.run(&format!("SET k {n}"));
        }
        bench.run("RPUSH l a b c");
        bench.run("HSET h f v");
        bench.run("SADD s 1 2 x");
        assert_eq!(bench.run("BGREWRITEAOF"), "Background append only file rewriting started");
        bench.run("SET during 1");
        bench.pass(200);
        assert!(bench.said("* Background AOF rewrite finished successfully"), "{:?}", bench.log);
        let suffix = if preamble == "yes" { "rdb" } else { "aof" };
        assert_eq!(
            bench.disk.list("appendonlydir").unwrap(),
            [&format!("appendonly.aof.2.base.{suffix}"), "appendonly.aof.2.incr.aof", "appendonly.aof.manifest"]
        );
        let mut again = Bench::start(&config, bench.disk.clone());
        assert_eq!([again.run("GET k"), again.run("GET during"), again.run("LLEN l")], ["49", "1", "3"]);
        assert_eq!([again.run("HGET h f"), again.run("SCARD s")], ["v", "3"]);
    }
}

#[test]
fn a_grown_aof_is_rewritten_by_itself() {
    let config = format!("{AOF}\nauto-aof-rewrite-min-size 1kb");
    let mut bench = Bench::start(&config, MemoryDisk::default());
    for n in 0..100 {
        bench.run(&format!("SET k {n}"));
    }
    bench.pass(500);
    assert!(bench.said("* Starting automatic rewriting of AOF on"), "{:?}", bench.log);
    assert!(bench.instance.persist.aof.size < 1024);
}

#[test]
fn a_torn_tail_is_cut_off_only_if_that_is_allowed_and_it_is_the_last_file() {
    let mut bench = Bench::start(AOF, MemoryDisk::default());
    bench.run("SET a 1");
    let whole = bench.disk.len("appendonlydir/appendonly.aof.1.incr.aof").unwrap();
    bench.run("SET b 2");
    let path = "appendonlydir/appendonly.aof.1.incr.aof";
    let mut torn = bench.disk.clone();
    let len = torn.len(path).unwrap();
    torn.truncate(path, len - 3).unwrap();
    let mut again = Bench::start(AOF, torn.clone());
    assert!(again.said(&format!("# !!! Truncating the AOF appendonly.aof.1.incr.aof at offset {whole} !!!")));
    assert_eq!([again.run("GET a"), again.run("GET b")], ["1", "nil"]);
    assert_eq!(again.disk.len(path), Some(whole));
    let strict = format!("{AOF}\naof-load-truncated no");
    let refused = Bench::try_start(&strict, torn, Millis(0)).err().unwrap();
    assert!(refused.last().unwrap().starts_with("# Unexpected end of file reading the append only file"));
    let mut broken = bench.disk.clone();
    broken.append(path, b"nonsense\r\n").unwrap();
    let refused = Bench::try_start(AOF, broken, Millis(0)).err().unwrap();
    assert!(refused.last().unwrap().starts_with("# Bad file format reading the append only file"));
}

#[test]
fn a_damaged_rdb_file_stops_the_start() {
    let mut bench = Bench::start("", MemoryDisk::default());
    bench.run("SET k v");
    bench.run("SAVE");
    let file = bench.disk.files.get_mut("dump.rdb").unwrap();
    let last = file.len() - 1;
    file[last] ^= 1;
    let refused = Bench::try_start("", bench.disk.clone(), Millis(0)).err().unwrap();
    let [.., checksum, last] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(checksum.starts_with("# Wrong RDB checksum expected: ("), "{refused:?}");
    assert_eq!(last, "# Internal error in RDB reading offset 0, function at rdb.c:3341 -> RDB CRC error");
}

#[test]
fn flushall_empties_the_rdb_file_too_if_there_are_save_points() {
    for (config, left) in [("save 3600 1", "nil"), ("save \"\"", "v")] {
        let mut bench = Bench::start(config, MemoryDisk::default());
        bench.run("SET k v");
        bench.run("SAVE");
        assert_eq!(bench.run("FLUSHALL"), "OK");
        assert_eq!(Bench::start(config, bench.disk.clone()).run("GET k"), left, "{config}");
    }
}

#[test]
fn a_failed_save_stops_writes_until_one_succeeds() {
    let mut bench = Bench::start("save 10 1", MemoryDisk::default());
    bench.run("SET k v");
    bench.disk.full = true;
    bench.pass(11_200);
    assert!(
        bench.said("# Write error while saving DB to the disk(rdbSaveRio): No space left on device"),
        "{:?}",
        bench.log
    );
    assert!(bench.said("# Background saving error"));
    assert!(bench.run("SET k w").starts_with("MISCONF Redis is configured to save RDB snapshots"));
    assert!(bench.run("PING").starts_with("MISCONF"));
    assert_eq!(bench.run("GET k"), "v");
    assert_eq!(bench.run("CONFIG SET stop-writes-on-bgsave-error no"), "OK");
    assert_eq!(bench.run("SET k x"), "OK");
    assert_eq!(bench.run("CONFIG SET stop-writes-on-bgsave-error yes"), "OK");
    bench.disk.full = false;
    // Redis waits for more than five seconds before it tries again.
    bench.pass(7_000);
    assert_eq!(bench.run("SET k y"), "OK");
}

#[test]
fn an_aof_that_cannot_be_written_stops_writes_or_with_always_the_server() {
    let mut bench = Bench::start(AOF, MemoryDisk::default());
    bench.run("SET k 1");
    let other = ClientId(2);
    bench.input(Input::Connect(other));
    for request in [&["MULTI"][..], &["SET", "k", "0"]] {
        bench.input(Input::Request(other, request.iter().map(|word| Bytes::from(*word)).collect()));
    }
    bench.disk.full = true;
    assert_eq!(bench.run("SET k 2"), "OK");
    assert!(bench.said("# Error writing to the AOF file: No space left on device"));
    assert_eq!(bench.run("SET k 3"), "MISCONF Errors writing to the AOF file: No space left on device");
    // What was queued while writes were still allowed counts as a write when it is to be carried out.
    let refused =
        "EXECABORT Transaction discarded because of: MISCONF Errors writing to the AOF file: No space left on device";
    assert_eq!(bench.input(Input::Request(other, vec![Bytes::from("EXEC")])), [Reply::error(refused)]);
    bench.disk.full = false;
    bench.pass(200);
    assert!(bench.said("* AOF write error looks solved, Redis can write again."));
    assert_eq!(bench.run("SET k 4"), "OK");
    assert_eq!(Bench::start(AOF, bench.disk.clone()).run("GET k"), "4");
    assert_eq!(bench.run("CONFIG SET appendfsync always"), "OK");
    bench.disk.full = true;
    bench.run("SET k 5");
    assert_eq!(bench.log.last().unwrap(), "exit");
}

#[test]
fn config_set_changes_all_or_nothing() {
    let mut bench = Bench::start("", MemoryDisk::default());
    assert_eq!(
        bench.run("CONFIG SET maxmemory 1mb appendfsync often"),
        "ERR CONFIG SET failed (possibly related to argument 'appendfsync') - argument(s) must be one of the following: everysec, always, no"
    );
    assert_eq!(bench.instance.config.maxmemory, 0);
    assert_eq!(bench.run("CONFIG SET maxmemory 1mb timeout 5"), "OK");
    assert_eq!((bench.instance.config.maxmemory, bench.instance.config.timeout_secs), (1 << 20, 5));
    for (line, text) in [
        ("CONFIG SET foo 1", "ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
        (
            "CONFIG SET databases 1",
            "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config",
        ),
        (
            "CONFIG SET dir /tmp",
            "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config",
        ),
        (
            "CONFIG SET timeout 1 timeout 2",
            "ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter",
        ),
        ("CONFIG SET timeout", "ERR wrong number of arguments for 'config|set' command"),
        ("CONFIG SET timeout 1 hz", "ERR syntax error"),
        ("CONFIG REWRITE", "ERR The server is running without a config file"),
    ] {
        assert_eq!(bench.run(line), text);
    }
}

#[test]
fn config_rewrite_writes_the_file_that_a_restart_reads() {
    let mut bench = Bench::start("", MemoryDisk::default());
    bench.disk.files.insert(String::from("redis.conf"), b"# mine\nmaxmemory 1mb\n".to_vec());
    bench.instance.config.file = Some(String::from("redis.conf"));
    bench.run("CONFIG SET maxmemory 3mb");
    assert_eq!(bench.run("CONFIG REWRITE"), "OK");
    let text = bench.text("redis.conf");
    assert!(text.starts_with("# mine\nmaxmemory 3mb\n"), "{text}");
    assert_eq!(bench.disk.files.len(), 1);
}

// The reader of the file waited for the key, and all that came behind was kept for later: the data was lost without a word.
#[test]
fn a_command_that_would_wait_does_not_keep_the_rest_of_the_file_from_being_read() {
    let mut bench = Bench::start(AOF, MemoryDisk::default());
    bench.run("SET a 1");
    let mut disk = bench.disk;
    let tail = b"*3\r\n$5\r\nBLPOP\r\n$7\r\nnothing\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n";
    disk.append("appendonlydir/appendonly.aof.1.incr.aof", tail).unwrap();
    assert_eq!(Bench::start(AOF, disk).run("GET b"), "2");
}

//! Random commands from the command table: every argument is made from its name in the syntax, now and then broken.

pub use crate::drawn::pick;
use crate::drawn::{Manner, NUMKEYS};
use redlab::base::{Bytes, Rng};
use redlab::engine::command::{ADMIN, Command, Group, WRITE};
use redlab::engine::commands;
use redlab::engine::syntax::{self, Item};
use std::sync::LazyLock;

/// A command with its syntax, read once.
struct Known {
    command: &'static Command,
    items: Vec<Item>,
}

static ALL: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let known = |index| {
        let command = commands::nth(index).command;
        Known { command, items: syntax::parse(command.syntax) }
    };
    (0..commands::count()).map(known).filter(|known| known.command.sub.is_empty()).collect()
});

/// Those that write data.
static WRITES: LazyLock<Vec<&'static Known>> = LazyLock::new(|| {
    let writes = |known: &&Known| {
        known.command.flags.has(WRITE) && !matches!(known.command.name, "FLUSHALL" | "FLUSHDB" | "MIGRATE" | "SWAPDB")
    };
    ALL.iter().filter(writes).collect()
});

/// What makes a server stand still, or writes files of its own choosing, is left out.
fn is_dangerous(name: &str) -> bool {
    matches!(name, "DEBUG" | "SHUTDOWN" | "CONFIG SET" | "MODULE LOAD" | "MODULE LOADEX")
}

/// Any command.
pub fn any(rng: &mut Rng) -> Vec<Bytes> {
    loop {
        let known = &ALL[rng.below(ALL.len())];
        let command = known.command;
        if is_dangerous(command.name) || (command.flags.has(ADMIN) && rng.below(6) > 0) {
            match rng.below(60) {
                0 => return debug(rng),
                1 => return config_set(rng),
                _ => continue,
            }
        }
        // What touches data is more interesting than what tells about it.
        let dull = matches!(command.group, Group::Server | Group::Connection | Group::Cluster) && rng.below(3) > 0;
        if !dull {
            return call(known, rng);
        }
    }
}

/// A command that writes.
pub fn writing(rng: &mut Rng) -> Vec<Bytes> {
    if rng.below(8) == 0 { adding(rng) } else { call(WRITES[rng.below(WRITES.len())], rng) }
}

/// A command with a key, about this one.
pub fn on_key(key: &[u8], rng: &mut Rng) -> Vec<Bytes> {
    loop {
        let mut words = call(&ALL[rng.below(ALL.len())], rng);
        let Ok(entry) = commands::entry_of(&words) else { continue };
        let places = entry.command.key_places(&words);
        if let Some(place) = places.first().filter(|_| !is_dangerous(entry.command.name)) {
            words[*place] = Bytes::copy(key);
            return words;
        }
    }
}

/// Many elements at once, so that values come to have their large encodings.
fn adding(rng: &mut Rng) -> Vec<Bytes> {
    let mut words: Vec<Bytes> = Vec::new();
    let (name, width) = [("RPUSH", 1), ("SADD", 1), ("HSET", 2), ("ZADD", 2), ("PFADD", 1), ("LPUSH", 1)][rng.below(6)];
    words.extend([Bytes::from(name), key(rng)]);
    let count = [3, 20, 150, 600][rng.below(4)];
    let digits = rng.below(2) == 0;
    for _ in 0..count {
        let number = Bytes::from((rng.below(2000) as i64 - 1000).to_string());
        let mut word = number.clone();
        if !digits {
            word.extend(b"x");
        }
        if rng.below(60) == 0 {
            word.extend(&vec![b'y'; rng.below(300)]);
        }
        match (name, width) {
            ("ZADD", _) => words.extend([number, word]),
            (_, 2) => words.extend([word, number]),
            _ => words.push(word),
        }
    }
    words
}

fn debug(rng: &mut Rng) -> Vec<Bytes> {
    let line = pick(
        &[
            "DEBUG SLEEP 0.01",
            "DEBUG SET-ACTIVE-EXPIRE 0",
            "DEBUG SET-ACTIVE-EXPIRE 1",
            "DEBUG OBJECT a",
            "DEBUG DIGEST",
            "DEBUG DIGEST-VALUE a b c",
            "DEBUG RELOAD",
            "DEBUG LOADAOF",
            "DEBUG STRINGMATCH-LEN 30 *a*a*b",
            "DEBUG CHANGE-REPL-ID",
            "DEBUG PROTOCOL map",
            "DEBUG PROTOCOL attrib",
            "DEBUG PROTOCOL bignum",
            "DEBUG ERROR x",
            "DEBUG LOG x",
            "DEBUG HTSTATS 0",
            "DEBUG LISTPACK a",
            "DEBUG QUICKLIST-PACKED-THRESHOLD 10b",
            "DEBUG HELP",
            "DEBUG PAUSE-CRON 0",
            "DEBUG",
            "DEBUG x",
        ],
        rng,
    );
    line.split(' ').map(Bytes::from).collect()
}

fn config_set(rng: &mut Rng) -> Vec<Bytes> {
    let line = pick(
        &[
            "maxmemory 0",
            "maxmemory 2mb",
            "maxmemory-policy allkeys-lru",
            "maxmemory-policy volatile-lfu",
            "maxmemory-policy noeviction",
            "maxmemory-policy allkeys-random",
            "maxmemory-policy volatile-ttl",
            "notify-keyspace-events KEA",
            "notify-keyspace-events AKEg$lshzxetdmn",
            "hash-max-listpack-entries 2",
            "set-max-intset-entries 2",
            "zset-max-listpack-value 4",
            "list-max-listpack-size 2",
            "list-max-listpack-size -1",
            "stream-node-max-entries 2",
            "stream-node-max-bytes 30",
            "appendonly yes",
            "appendonly no",
            "save \"\"",
            "lazyfree-lazy-user-del yes",
            "tracking-table-max-keys 2",
            "slowlog-log-slower-than 0",
            "latency-monitor-threshold 1",
            "maxclients 3",
            "maxclients 100",
            "timeout 1",
            "timeout 0",
            "requirepass \"\"",
            "min-replicas-to-write 0",
            "acllog-max-len 1",
            "slowlog-max-len 0",
            "rdbcompression no",
            "list-compress-depth 1",
            "proto-max-bulk-len 1mb",
            "client-query-buffer-limit 1mb",
            "lfu-decay-time 0",
            "lfu-log-factor 0",
            "hz 500",
            "set-max-listpack-entries 1",
            "maxmemory-clients 1mb",
            "active-expire-effort 10",
            "busy-reply-threshold 1",
        ],
        rng,
    );
    let (name, value) = line.split_once(' ').expect("written above");
    let value = if value == "\"\"" { "" } else { value };
    ["CONFIG", "SET", name, value].map(Bytes::from).to_vec()
}

const MANNER: Manner = Manner { optional: (2, 5), longest: 12, value };

fn call(known: &Known, rng: &mut Rng) -> Vec<Bytes> {
    let mut words: Vec<Bytes> = known.command.name.split(' ').map(Bytes::from).collect();
    let names = words.len();
    MANNER.sequence(&known.items, rng, &mut words);
    // A command is broken in a place or two, more often than it is right by chance.
    for _ in 0..[0, 0, 0, 0, 0, 1, 1, 2][rng.below(8)] {
        let at = names + rng.below((words.len() - names).max(1));
        match rng.below(5) {
            0 if at < words.len() => drop(words.remove(at)),
            1 => words.insert(at.min(words.len()), junk(rng)),
            2 if at < words.len() => words[at] = junk(rng),
            3 if at < words.len() => words[at] = number(rng),
            4 if at < words.len() => {
                let word = words[at].clone();
                words.insert(at, word);
            }
            _ => words.push(junk(rng)),
        }
    }
    words
}

pub fn key(rng: &mut Rng) -> Bytes {
    Bytes::from(pick(&["a", "b", "c", "d", "e", "f", "{a}g", "s:g", "none", "a longer key than fits inline", ""], rng))
}

fn number(rng: &mut Rng) -> Bytes {
    let text = match rng.below(6) {
        0 => (rng.next_u64() as i64).to_string(),
        1 => (rng.next_u64() as i64 >> rng.below(64)).to_string(),
        _ => pick(
            &[
                "0",
                "-0",
                "-1",
                "1",
                "2",
                "31",
                "32",
                "63",
                "64",
                "255",
                "256",
                "4294967295",
                "4294967296",
                "2147483647",
                "-2147483648",
                "9223372036854775807",
                "-9223372036854775808",
                "9223372036854775808",
                "18446744073709551615",
                "-9223372036854775807",
                "1048576",
                "8388608",
                "8388607",
                "1.5",
                "1e308",
                "-1e308",
                "5e-324",
                "inf",
                "-inf",
                "+inf",
                "nan",
                "-nan",
                "0x10",
                "1e",
                "  1",
                "1 ",
                "01",
                "3.0e3",
                "1e400",
            ],
            rng,
        )
        .to_owned(),
    };
    Bytes::from(text)
}

fn value(name: &str, rng: &mut Rng) -> Bytes {
    if rng.below(40) == 0 {
        return number(rng);
    }
    let text = match name {
        "key" | "source" | "destination" | "newkey" | "destkey" | "srckey" | "dstkey" | "key1" | "key2"
        | "sourcekey" | "key-for-get" => {
            return key(rng);
        }
        "numkeys" => NUMKEYS,
        "field" | "member" | "element" | "pivot" | "member1" | "member2" => pick(
            &[
                "a",
                "b",
                "c",
                "1",
                "2",
                "-30",
                "x y",
                "",
                "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
            ],
            rng,
        ),
        "increment" | "decrement" => pick(&["1", "-3", "10", "2.5", "9223372036854775807", "1e300", "-inf"], rng),
        "score" => pick(&["1", "2", "-1.5", "inf", "-inf", "3e2", "0", "-0", "1.7976931348623157e308", "5e-324"], rng),
        "min" => pick(&["-inf", "0", "(1", "-", "[a", "(b", "[", "(", "nan", "(nan"], rng),
        "max" => pick(&["+inf", "2", "(300", "+", "[c", "(c", "[", "("], rng),
        "start" | "stop" | "end" | "index" | "rank" => pick(
            &["0", "1", "-1", "2", "-2", "5", "100", "-100", "9223372036854775807", "-9223372036854775808", "-", "+"],
            rng,
        ),
        "offset" => pick(
            &[
                "0",
                "1",
                "-1",
                "7",
                "#1",
                "100",
                "4294967295",
                "8388607",
                "#9223372036854775807",
                "1000000",
                "-9223372036854775808",
            ],
            rng,
        ),
        "encoding" => pick(&["u1", "i8", "u63", "i64", "u64", "i0", "u65", "i1", "u0", "x3"], rng),
        "count" | "len" | "num-matches" | "maxlen" | "threshold" | "limit" | "min-idle-time" => {
            pick(&["1", "2", "3", "-2", "0", "10", "-1000", "9223372036854775807", "-9223372036854775808"], rng)
        }
        "seconds" | "milliseconds" | "ttl" => {
            pick(&["100", "1000000", "1", "0", "-1", "9223372036854775", "9223372036854775807"], rng)
        }
        "unix-time-seconds" => pick(&["4102444800", "1", "1700000001", "9223372036854775"], rng),
        "unix-time-milliseconds" => pick(&["4102444800000", "1", "1700000000500", "9223372036854775807"], rng),
        "pattern" => pick(&["*", "a*", "[hl]*", "?", "nothing", "b->*", "*->a", "#", "[^", "\\"], rng),
        "cursor" => pick(&["0", "0", "1", "64", "9223372036854775807", "18446744073709551615"], rng),
        "index-db" | "db" | "destination-db" | "index1" | "index2" => pick(&["0", "1", "2", "4", "-1"], rng),
        "bit" => pick(&["0", "1"], rng),
        "weight" => pick(&["1", "2", "0.5", "inf", "-inf", "0", "nan"], rng),
        "timeout" => pick(&["0.01", "0", "1", "-1", "1e18", "0.0001"], rng),
        "longitude" => pick(&["13.361389", "15.087269", "-180", "180", "181", "nan", "0"], rng),
        "latitude" => pick(&["38.115556", "37.502669", "85.05112878", "-85.05112878", "86", "0"], rng),
        "radius" | "width" | "height" => pick(&["1", "200", "0", "1e9", "1e300", "-1", "inf", "0.0001"], rng),
        "id" | "last-id" | "last-delivered-id" | "start-id" | "max-deleted-id" => pick(
            &[
                "0",
                "$",
                ">",
                "0-0",
                "1-1",
                "5-*",
                "*",
                "1-2",
                "18446744073709551615-18446744073709551615",
                "1700000000000-0",
                "-",
                "+",
                "0-1",
                "(1-1",
                "5-18446744073709551615",
            ],
            rng,
        ),
        "group" => pick(&["g", "g", "h", ""], rng),
        "consumer" | "newconsumer" => pick(&["alice", "bob", ""], rng),
        "entries-read" | "entries-added" => pick(&["0", "1", "-1", "3", "9223372036854775807"], rng),
        "channel" | "shardchannel" => pick(&["news", "news:a", "__keyspace@0__:a", "__keyevent@0__:set"], rng),
        "script" => return script(rng),
        "sha1" => "b5d2a9b1a4d7d3c4a7ff1a8a5b2ac5a5e0a1f2c3",
        "function" => pick(&["f", "g", "none"], rng),
        "function-code" => pick(
            &[
                "#!lua name=lib\nredis.register_function('f', function(k, a) return redis.call('INCR', k[1] or 'a') end)",
                "#!lua name=lib2\nredis.register_function{function_name='g', callback=function(k, a) return #k + #a end, flags={'no-writes'}}",
                "#!lua name=bad\nreturn redis.call('GET', 'a')",
                "#!lua\n",
                "x",
            ],
            rng,
        ),
        "library-name" | "library-name-pattern" => pick(&["lib", "lib2", "*", ""], rng),
        "serialized-value" => return payload(rng),
        "username" => pick(&["alice", "default", "bob", "x y"], rng),
        "password" => pick(&["secret", ""], rng),
        "rule" => pick(
            &[
                "on",
                "off",
                ">secret",
                "~a*",
                "+@all",
                "-@dangerous",
                "allkeys",
                "&*",
                "+get",
                "(+set ~b)",
                "nopass",
                "reset",
                "%R~c",
            ],
            rng,
        ),
        "protover" => pick(&["2", "3", "4", "x"], rng),
        "parameter" => pick(&["*", "max*", "save", "none", "dir"], rng),
        "connection-name" => pick(&["me", "", "two words"], rng),
        "client-id" => pick(&["1", "2", "3", "99"], rng),
        "host" => "127.0.0.1",
        "port" => pick(&["7000", "0", "70000", "no"], rng),
        "slot" | "start-slot" | "end-slot" => pick(&["0", "1", "16383", "16384", "-1"], rng),
        "operation" => pick(&["AND", "NOT"], rng),
        "command" | "command-name" => pick(&["GET", "set", "config|get", "none"], rng),
        "arg" | "message" | "value" | "data" | "string" => pick(
            &[
                "a",
                "hello",
                "10",
                "-7",
                "3.0",
                "",
                "\u{e9}\n",
                "a longer text that is no longer embedded beside its header",
                "9223372036854775807",
            ],
            rng,
        ),
        _ => pick(&["a", "hello", "10", "-7", "3.0", "\u{e9}\n", "b", "0", "1"], rng),
    };
    Bytes::from(text)
}

fn script(rng: &mut Rng) -> Bytes {
    Bytes::from(pick(
        &[
            "return 1",
            "return {1, 2.9, 'x', false, true, {ok='fine'}, {err='ERR no'}, nil, 5}",
            "return redis.call('SET', KEYS[1] or 'a', ARGV[1] or 'v')",
            "return redis.pcall('LPUSH', KEYS[1] or 'a', unpack(ARGV))",
            "return redis.call('GET', 'a')",
            "redis.setresp(3); return redis.call('HGETALL', KEYS[1] or 'a')",
            "redis.setresp(3); return redis.pcall('ZRANGE', KEYS[1] or 'a', 0, -1, 'WITHSCORES')",
            "return redis.error_reply('ERR mine')",
            "error({err='ERR other'})",
            "error('x')",
            "local t = {} t[1] = t return t",
            "return cjson.encode(redis.pcall('LRANGE', KEYS[1] or 'a', 0, -1))",
            "return cmsgpack.pack({1, 'a', {b=2.5}})",
            "redis.set_repl(redis.REPL_AOF); redis.call('INCR', 'a'); redis.set_repl(redis.REPL_ALL)",
            "redis.call('EXPIRE', KEYS[1] or 'a', 100); return redis.call('SPOP', KEYS[1] or 'a')",
            "for i = 1, 20 do redis.call('RPUSH', KEYS[1] or 'l', i) end return redis.call('LPOP', KEYS[1] or 'l', 3)",
            "return redis.sha1hex('') .. tostring(math.random(10))",
            "#!lua flags=no-writes\nreturn redis.call('SET', 'a', 1)",
            "#!lua flags=allow-oom,allow-stale\nreturn redis.status_reply('X')",
            "return redis.call('BLPOP', 'none', 0)",
            "return redis.call('PUBLISH', 'news', 'x')",
            "return redis.acl_check_cmd('SET', 'a', 'b')",
            "x = 1",
            "return tostring(redis.call('TIME')[1])",
            "return {double=1.5}",
            "return {map={a=1,b=2}}",
            "return {set={a=true}}",
            "return redis.pcall('XADD', KEYS[1] or 's:g', '*', 'a', 'b')",
            "return bit.band(0xffffffff, 1)",
            "return struct.pack('>I4', 7)",
            "syntax error",
        ],
        rng,
    ))
}

/// What DUMP answers, of a string.
fn payload(rng: &mut Rng) -> Bytes {
    use redlab::engine::value::{Str, Value};
    if rng.below(3) == 0 {
        return Bytes::from("broken");
    }
    let value = Value::String(Str::new(Bytes::from("restored")));
    Bytes::from(redlab::engine::persist::rdb::dump_value(&value, &redlab::engine::config::Config::default().limits))
}

fn junk(rng: &mut Rng) -> Bytes {
    Bytes::from(pick(
        &[
            "",
            "-1",
            "nan",
            "junk",
            "9223372036854775808",
            "LIMIT",
            "WITHSCORES",
            "1.5x",
            "\r\n",
            "COUNT",
            "BLOCK",
            "STREAMS",
            "GET",
            "NX",
            "XX",
            "EX",
            "0",
            "*",
            "~",
            "=",
            "(",
            "[",
            "+",
            "-",
            "\u{0}",
            "MAXLEN",
            "MATCH",
            "WEIGHTS",
            "BY",
            "STORE",
            "FROMMEMBER",
            "REV",
            "LEFT",
            "\u{ff}\u{fe}",
            "AGGREGATE",
            "TYPE",
            "ID",
            "KEYS",
        ],
        rng,
    ))
}

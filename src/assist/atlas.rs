//! The command atlas: what there is to know of each command, by groups, with an example that can be run.
//!
//! Everything but the sentence for a group and the examples comes from the command table. An example is a small scene; it belongs
//! to every command that occurs in it.

use crate::engine::command::{Command, Group};
use crate::engine::{commands, syntax};

/// A group of commands, and what it is for.
pub struct Chapter {
    pub group: Group,
    pub says: &'static str,
}

const fn chapter(group: Group, says: &'static str) -> Chapter {
    Chapter { group, says }
}

impl Chapter {
    pub fn name(&self) -> &'static str {
        self.group.name()
    }
}

/// The groups in reading order.
pub const CHAPTERS: &[Chapter] = &[
    chapter(Group::String, "One value behind one key: text, numbers, pages of a cache."),
    chapter(Group::Generic, "What works on keys of every type: delete, expire, rename, search."),
    chapter(Group::Hash, "Fields with values behind one key: a user, a session, a cart."),
    chapter(Group::List, "A row of values with two ends: queues, stacks, the last ten things."),
    chapter(Group::Set, "Members without order, each once: tags, visitors, who likes what."),
    chapter(Group::SortedSet, "Members in the order of a number: leaderboards, schedules."),
    chapter(Group::Transactions, "Several commands in one go, with nobody in between."),
    chapter(Group::Scripting, "Small programs that run inside of the server, in one go."),
    chapter(Group::PubSub, "Messages to whoever listens now; nothing is kept."),
    chapter(Group::Stream, "A log of entries that many can read, each at their own place."),
    chapter(Group::Bitmap, "Single bits of a string: yes or no for millions of things."),
    chapter(Group::HyperLogLog, "How many different things there were, nearly, in 12 kB."),
    chapter(Group::Geo, "Places on the earth, and what is near."),
    chapter(Group::Connection, "This connection: who it is, which database, which protocol."),
    chapter(Group::Server, "The server itself: configuration, persistence, users, what goes on."),
    chapter(Group::Cluster, "Nodes that share the keys between them by 16384 slots."),
];

/// Scenes, a command a line.
const SCENES: &[&[&str]] = &[
    &["SET session:a1 alice EX 1800", "GET session:a1", "TTL session:a1", "PERSIST session:a1", "TTL session:a1"],
    &[
        "SET page:home hello",
        "GETEX page:home EX 60",
        "EXPIRE page:home 600 GT",
        "PTTL page:home",
        "EXPIRETIME page:gone",
    ],
    &["SET stock:plum 5", "DECR stock:plum", "INCRBY stock:plum 10", "DECRBY stock:plum 3", "INCRBYFLOAT price 2.5"],
    &["INCR visits", "INCR visits", "GET visits"],
    &["MSET a:1 x a:2 y", "MGET a:1 a:2 a:3", "MSETNX a:2 z a:4 w"],
    &["SETEX code:7 60 4711", "SETNX code:7 other", "GETDEL code:7", "GET code:7"],
    &["SET note tea", "APPEND note time", "STRLEN note", "GETRANGE note 3 6", "SETRANGE note 0 T", "GETSET note new"],
    &["SET k:1 v", "EXISTS k:1 k:2", "TYPE k:1", "RENAME k:1 k:2", "COPY k:2 k:3", "DEL k:2", "UNLINK k:3"],
    &["MSET cart:1 a cart:2 b user:1 c", "KEYS cart:*", "SCAN 0 MATCH cart:* COUNT 100", "DBSIZE", "RANDOMKEY"],
    &["SET k v", "OBJECT ENCODING k", "DUMP k", "TOUCH k", "MEMORY USAGE k"],
    &["HSET cart:42 tea 1 mug 2", "HGET cart:42 mug", "HGETALL cart:42", "HINCRBY cart:42 tea 1", "HLEN cart:42"],
    &[
        "HSET user:1 name ann age 40",
        "HMGET user:1 name age",
        "HKEYS user:1",
        "HVALS user:1",
        "HDEL user:1 age",
        "HEXISTS user:1 age",
    ],
    &["RPUSH queue:mail a b c", "LPOP queue:mail", "LLEN queue:mail", "LRANGE queue:mail 0 -1", "RPOP queue:mail"],
    &[
        "LPUSH news one two three",
        "LTRIM news 0 1",
        "LINDEX news 0",
        "LSET news 0 new",
        "LINSERT news AFTER new newer",
        "LREM news 1 newer",
        "LPOS news new",
    ],
    &["RPUSH todo a b", "LMOVE todo doing LEFT RIGHT", "LRANGE doing 0 -1", "BLPOP todo 1", "LMPOP 1 doing LEFT"],
    &[
        "SADD seen:home ann bob",
        "SADD seen:cart bob",
        "SINTER seen:home seen:cart",
        "SUNION seen:home seen:cart",
        "SDIFF seen:home seen:cart",
        "SCARD seen:home",
        "SISMEMBER seen:home ann",
        "SMEMBERS seen:home",
    ],
    &[
        "SADD tags red blue",
        "SMISMEMBER tags red green",
        "SREM tags red",
        "SMOVE tags old blue",
        "SPOP old",
        "SINTERCARD 1 tags",
    ],
    &[
        "ZADD board 10 ann 30 bob",
        "ZINCRBY board 25 ann",
        "ZRANGE board 0 -1 REV WITHSCORES",
        "ZRANK board bob",
        "ZSCORE board ann",
        "ZCARD board",
    ],
    &[
        "ZADD jobs 100 mail 200 report",
        "ZRANGEBYSCORE jobs 0 150",
        "ZCOUNT jobs 0 150",
        "ZPOPMIN jobs",
        "ZREM jobs report",
    ],
    &["MULTI", "INCR account:balance", "INCR account:transactions", "EXEC"],
    &["MULTI", "SET stock 1", "DISCARD", "EXISTS stock"],
    &["SET stock 5", "WATCH stock", "MULTI", "DECR stock", "EXEC", "UNWATCH"],
    &[
        "EVAL \"return redis.call('INCRBY', KEYS[1], ARGV[1])\" 1 stock 5",
        "SCRIPT LOAD \"return 1\"",
        "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
    ],
    &["PUBLISH news hello", "PUBSUB CHANNELS", "PUBSUB NUMSUB news"],
    &[
        "XADD orders 1-1 item tea",
        "XADD orders 2-1 item mug",
        "XLEN orders",
        "XRANGE orders - +",
        "XREAD COUNT 1 STREAMS orders 0",
    ],
    &[
        "XADD orders 1-1 item tea",
        "XGROUP CREATE orders shop 0",
        "XREADGROUP GROUP shop ann STREAMS orders >",
        "XPENDING orders shop",
        "XACK orders shop 1-1",
    ],
    &[
        "SETBIT open:2030 7 1",
        "GETBIT open:2030 7",
        "BITCOUNT open:2030",
        "BITPOS open:2030 1",
        "BITFIELD hits INCRBY u8 0 1",
    ],
    &["PFADD visitors ann bob ann", "PFCOUNT visitors", "PFADD more eve", "PFMERGE all visitors more"],
    &[
        "GEOADD shops 13.36 52.51 tea 2.35 48.85 mugs",
        "GEODIST shops tea mugs km",
        "GEOSEARCH shops FROMMEMBER tea BYRADIUS 500 km ASC",
        "GEOPOS shops tea",
    ],
    &["PING", "ECHO hello", "CLIENT ID", "CLIENT SETNAME shop", "CLIENT GETNAME", "SELECT 1", "HELLO 3", "RESET"],
    &[
        "CONFIG GET maxmemory",
        "CONFIG SET maxmemory 100mb",
        "CONFIG GET maxmemory",
        "INFO keyspace",
        "TIME",
        "LASTSAVE",
    ],
    &["SET k v", "SELECT 1", "EXISTS k", "SWAPDB 0 1", "EXISTS k", "MOVE k 2", "FLUSHDB", "FLUSHALL"],
    &[
        "ACL SETUSER shop on >secret ~cart:* +@read",
        "ACL GETUSER shop",
        "ACL WHOAMI",
        "ACL DRYRUN shop GET cart:1",
        "ACL DRYRUN shop GET user:1",
        "ACL DELUSER shop",
    ],
    &["SLOWLOG LEN", "COMMAND COUNT", "COMMAND GETKEYS MSET a 1 b 2", "ROLE"],
];

/// What is known of a command. A page of the atlas, without the lessons, which the front end knows.
pub struct Page {
    pub name: &'static str,
    pub syntax: String,
    pub summary: &'static str,
    pub since: &'static str,
    pub complexity: &'static str,
    pub chapter: &'static Chapter,
    pub subcommands: Vec<&'static str>,
    /// A command a line; empty if there is no scene with it.
    pub example: &'static [&'static str],
}

fn chapter_of(command: &Command) -> &'static Chapter {
    CHAPTERS.iter().find(|chapter| chapter.group == command.group).unwrap_or(&CHAPTERS[1])
}

/// The page of a command, named in any case: `get`, `config set`.
pub fn page(name: &str) -> Option<Page> {
    let wanted = name.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_uppercase();
    let command = commands::table().get(wanted.as_str())?.command;
    Some(Page {
        name: command.name,
        syntax: syntax::text(&syntax::parse(command.syntax)),
        summary: command.summary,
        since: command.since,
        complexity: command.complexity,
        chapter: chapter_of(command),
        subcommands: command.sub.iter().map(|sub| sub.name).collect(),
        example: example(command.name),
    })
}

/// The shortest scene with the command.
fn example(name: &str) -> &'static [&'static str] {
    let calls = |line: &&&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let with = SCENES.iter().filter(|scene| scene.iter().any(|line| calls(&line)));
    with.min_by_key(|scene| scene.len()).copied().unwrap_or(&[])
}

/// The group of this name, `@string` or `string`.
pub fn named(name: &str) -> Option<&'static Chapter> {
    let wanted = name.trim().trim_start_matches('@').to_ascii_lowercase();
    CHAPTERS.iter().find(|chapter| chapter.name() == wanted)
}

/// Names and summaries of a group's commands, by name; subcommands stand on their container's page.
pub fn commands_of(chapter: &Chapter) -> Vec<(&'static str, &'static str)> {
    let all = commands::table().values().map(|entry| entry.command);
    all.filter(|command| command.group == chapter.group && !command.name.contains(' '))
        .map(|command| (command.name, command.summary))
        .collect()
}

/// Whether something that a lesson teaches (`SET EX`, `CONFIG REWRITE`) is about this command.
pub fn teaches(taught: &str, command: &str) -> bool {
    let upper = taught.chars().any(|c| c.is_ascii_uppercase());
    upper && (taught == command || taught.strip_prefix(command).is_some_and(|rest| rest.starts_with(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_of_the_table_has_a_chapter_and_every_command_a_page() {
        for entry in commands::table().values() {
            let group = entry.command.group;
            assert!(CHAPTERS.iter().any(|chapter| chapter.group == group), "{group:?}");
            assert_eq!(page(entry.command.name).map(|page| page.name), Some(entry.command.name));
        }
        assert!(CHAPTERS.iter().all(|chapter| !commands_of(chapter).is_empty()));
        assert!(named("@Sorted-Set").is_some() && named("sofas").is_none() && page("sofa").is_none());
    }

    #[test]
    fn scenes_call_commands_that_there_are_and_none_is_refused() {
        use crate::base::quote;
        for scene in SCENES {
            let mut lab = crate::engine::testing::Lab::new(7);
            for line in *scene {
                let words: Vec<String> =
                    quote::split(line.as_bytes()).unwrap().iter().map(|word| word.lossy().into_owned()).collect();
                let reply = lab.ask(&words.iter().map(String::as_str).collect::<Vec<_>>());
                assert!(!matches!(reply, crate::resp::Reply::Error(_)), "{line}: {reply:?}");
            }
        }
    }

    #[test]
    fn lessons_are_found_by_what_they_teach() {
        assert!(teaches("SET EX", "SET") && teaches("CONFIG SET", "CONFIG") && !teaches("SETEX", "SET"));
        assert!(!teaches("session", "SESSION"));
    }
}

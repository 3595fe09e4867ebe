//! The names of the keyspace, whatever they hold: DEL, RENAME, COPY, KEYS, SCAN and their kin.

use super::scan;
use crate::base::{Bytes, Millis, glob};
use crate::engine::call::Call;
use crate::engine::command::{ALL_KEYS, Command, DENYOOM, FAST, ONE_KEY, Outcome, READONLY, TWO_KEYS, WRITE};
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::resp::Reply;

const BASE: Command = Command { acl: &["keyspace"], ..Command::GENERIC };
const SUMMED: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];

pub const COMMANDS: &[Command] = &[
    Command {
        name: "COPY",
        syntax: "source destination [DB destination-db] [REPLACE]",
        summary: "Copy a value and its expiry to another key.",
        since: "6.2.0",
        complexity: "O(N), N the number of elements; O(1) for strings",
        flags: WRITE.with(DENYOOM),
        keys: TWO_KEYS,
        run: copy,
        ..BASE
    },
    Command {
        name: "DEL",
        syntax: "key [key ...]",
        summary: "Delete keys.",
        complexity: "O(N), N the number of keys and of the elements in their collections",
        flags: WRITE,
        keys: ALL_KEYS,
        tips: SUMMED,
        run: del,
        ..BASE
    },
    Command {
        name: "EXISTS",
        syntax: "key [key ...]",
        summary: "How many of these keys exist; one named twice counts twice.",
        complexity: "O(N), N the number of keys",
        history: &[("3.0.3", "Takes several keys.")],
        flags: READONLY.with(FAST),
        keys: ALL_KEYS,
        tips: SUMMED,
        run: exists,
        ..BASE
    },
    Command {
        name: "KEYS",
        syntax: "pattern",
        summary: "All names that match a pattern. Looks at every key: not for busy servers.",
        complexity: "O(N), N the number of keys in the database",
        flags: READONLY,
        acl: &["keyspace", "dangerous"],
        tips: &["request_policy:all_shards", "nondeterministic_output_order"],
        run: keys,
        ..BASE
    },
    Command {
        name: "MOVE",
        syntax: "key db",
        summary: "Move a key to another database.",
        flags: WRITE.with(FAST),
        keys: ONE_KEY,
        run: move_key,
        ..BASE
    },
    Command {
        name: "RANDOMKEY",
        syntax: "",
        summary: "The name of a random key.",
        flags: READONLY,
        tips: &["request_policy:all_shards", "response_policy:special", "nondeterministic_output"],
        run: randomkey,
        ..BASE
    },
    Command {
        name: "RENAME",
        syntax: "key newkey",
        summary: "Give a value another name, overwriting what had it.",
        flags: WRITE,
        keys: TWO_KEYS,
        run: |call| rename(call, false).map(|_| Reply::OK),
        ..BASE
    },
    Command {
        name: "RENAMENX",
        syntax: "key newkey",
        summary: "Give a value another name, if nothing has that name.",
        history: &[("3.2.0", "Both names may be the same.")],
        flags: WRITE.with(FAST),
        keys: TWO_KEYS,
        run: |call| rename(call, true).map(Reply::flag),
        ..BASE
    },
    Command {
        name: "SCAN",
        syntax: "cursor [MATCH pattern] [COUNT count] [TYPE type@6.0.0]",
        summary: "The names of the database, some at a time.",
        since: "2.8.0",
        complexity: "O(1) a call, O(N) for all N keys",
        history: &[("6.0.0", "`TYPE`.")],
        flags: READONLY,
        tips: &["nondeterministic_output", "request_policy:special", "response_policy:special"],
        run: scan_keys,
        ..BASE
    },
    Command {
        name: "TOUCH",
        syntax: "key [key ...]",
        summary: "Mark keys as just used; how many of them exist.",
        since: "3.2.1",
        complexity: "O(N), N the number of keys",
        flags: READONLY.with(FAST),
        keys: ALL_KEYS,
        tips: SUMMED,
        run: touch,
        ..BASE
    },
    Command {
        name: "TYPE",
        syntax: "key",
        summary: "What kind of value a key holds.",
        flags: READONLY.with(FAST),
        keys: ONE_KEY,
        run: kind,
        ..BASE
    },
    Command {
        name: "UNLINK",
        syntax: "key [key ...]",
        summary: "Delete keys; Redis frees their memory in the background.",
        since: "4.0.0",
        complexity: "O(1) for each key",
        flags: WRITE.with(FAST),
        keys: ALL_KEYS,
        tips: SUMMED,
        run: del,
        ..BASE
    },
];

fn del(call: &mut Call) -> Outcome {
    // Redis frees what has more parts than this in the background (LAZYFREE_THRESHOLD).
    const LAZY_FROM: usize = 64;
    let lazy = call.command.name == "UNLINK" || call.server.config.flag("lazyfree-lazy-user-del");
    let mut deleted = 0;
    for key in &call.args[1..] {
        if let Some(value) = call.remove(key) {
            call.server.stats.lazyfreed_objects += u64::from(lazy && value.parts() > LAZY_FROM);
            call.changed(Class::Generic, "del", key);
            deleted += 1;
        }
    }
    Ok(Reply::Int(deleted))
}

fn exists(call: &mut Call) -> Outcome {
    let keys = &call.args[1..];
    Ok(keys.iter().filter(|key| call.look(key).is_some()).count().into())
}

fn touch(call: &mut Call) -> Outcome {
    let keys = &call.args[1..];
    Ok(keys.iter().filter(|key| call.read_value(key).is_some()).count().into())
}

fn kind(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    Ok(Reply::status(call.look(key).map_or("none", |slot| slot.value.kind())))
}

fn keys(call: &mut Call) -> Outcome {
    let pattern = &call.args[1];
    let (now, all) = (call.now, pattern == "*");
    let matching = call.db_ref().iter().filter(|(key, slot)| {
        // Past its expiry it no longer exists; KEYS only looks, so it is not removed here.
        (all || glob::matches(pattern, key)) && !slot.is_expired(now)
    });
    Ok(Reply::Array(matching.map(|(key, _)| Reply::Bulk(key.clone())).collect()))
}

fn scan_keys(call: &mut Call) -> Outcome {
    let cursor = scan::cursor(&call.args[1])?;
    let options = scan::Options::parse(&call.args[2..], true)?;
    let mut found = Vec::new();
    let db = call.db_ref();
    let cursor = options.walk(cursor, |at| {
        let mut seen = 0;
        let next = db.scan(at, |key, _| {
            seen += 1;
            if options.matches(key) {
                found.push(key.clone());
            }
        });
        (next, seen)
    });
    found.retain(|key| {
        let wanted = |kind: &'static str| options.kind.is_none_or(|word| word.eq_ignore_ascii_case(kind.as_bytes()));
        call.slot(key).is_some_and(|slot| wanted(slot.value.kind()))
    });
    Ok(scan::reply(cursor, found.into_iter().map(Reply::Bulk).collect()))
}

fn randomkey(call: &mut Call) -> Outcome {
    // On a replica and during a pause nothing is removed by being looked at. If then all keys have an expiry, all may be past it:
    // after so many draws an expired key is the answer, as on Redis' replicas (its paused primaries go on drawing for ever).
    let mut draws_left = 100;
    let all_volatile = call.db_ref().volatile_len() == call.db_ref().len();
    while let Some((key, _)) = call.server.dbs[call.db].random(call.rng) {
        let key = key.clone();
        draws_left -= i32::from(all_volatile && !call.server.expires_keys());
        if draws_left == 0 || call.slot(&key).is_some() {
            return Ok(Reply::Bulk(key));
        }
    }
    Ok(Reply::Nil)
}

/// True if it was renamed; false if `only_if_free` and the new name is taken.
fn rename(call: &mut Call, only_if_free: bool) -> Result<bool, Refusal> {
    let (from, to) = (&call.args[1], &call.args[2]);
    if call.write_value(from).is_none() {
        return Err(refusal::NO_SUCH_KEY);
    }
    if from == to {
        return Ok(!only_if_free);
    }
    if call.write_value(to).is_some() {
        if only_if_free {
            return Ok(false);
        }
        call.remove(to);
    }
    let slot = call.db_mut().remove(from).expect("looked up above");
    let expires_at = slot.expires_at();
    place(call, to, slot.value, expires_at);
    call.touched(from);
    call.touched(to);
    call.notify(Class::Generic, "rename_from", from);
    call.notify(Class::Generic, "rename_to", to);
    call.dirty(1);
    Ok(true)
}

/// Puts a value that lived elsewhere under `key` of the call's database, where it counts as new: nobody has used it there.
fn place(call: &mut Call, key: &Bytes, value: crate::engine::value::Value, expires_at: Option<Millis>) {
    call.insert(key, value);
    call.set_expiry(key, expires_at);
}

/// Carries `act` out in another database.
fn within<T>(call: &mut Call, db: usize, act: impl FnOnce(&mut Call) -> T) -> T {
    let home = std::mem::replace(&mut call.db, db);
    let result = act(call);
    call.db = home;
    result
}

/// The number of a database. Err: not an integer, or no such database.
fn database(call: &Call, index: usize) -> Result<usize, Refusal> {
    let db = call.int(index)?;
    if i32::try_from(db).is_err() {
        return Err(Refusal::from(format!(
            "ERR value is out of range, value must between {} and {}",
            i32::MIN,
            i32::MAX
        )));
    }
    usize::try_from(db).ok().filter(|db| *db < call.server.dbs.len()).ok_or(refusal::DB_INDEX)
}

const SAME_OBJECT: Refusal = Refusal::new("ERR source and destination objects are the same");

fn move_key(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    if call.server.cluster.is_some() {
        return Err(Refusal::new("ERR MOVE is not allowed in cluster mode"));
    }
    let to = database(call, 2)?;
    if to == call.db {
        return Err(SAME_OBJECT);
    }
    if call.write_value(key).is_none() || within(call, to, |call| call.write_value(key).is_some()) {
        return Ok(Reply::Int(0));
    }
    let slot = call.db_mut().remove(key).expect("looked up above");
    let expires_at = slot.expires_at();
    within(call, to, |call| place(call, key, slot.value, expires_at));
    call.touched(key);
    within(call, to, |call| call.touched(key));
    call.notify(Class::Generic, "move_from", key);
    within(call, to, |call| call.notify(Class::Generic, "move_to", key));
    call.dirty(1);
    Ok(Reply::Int(1))
}

fn copy(call: &mut Call) -> Outcome {
    let (from, to) = (&call.args[1], &call.args[2]);
    let (mut db, mut replace) = (call.db, false);
    let mut at = 3;
    while at < call.args.len() {
        if call.is(at, "REPLACE") {
            replace = true;
        } else if call.is(at, "DB") && at + 1 < call.args.len() {
            at += 1;
            db = database(call, at)?;
        } else {
            return Err(refusal::SYNTAX);
        }
        at += 1;
    }
    if call.server.cluster.is_some() && (call.db != 0 || db != 0) {
        return Err(Refusal::new("ERR Copying to another database is not allowed in cluster mode"));
    }
    if db == call.db && from == to {
        return Err(SAME_OBJECT);
    }
    let Some(value) = call.read_value(from).cloned() else { return Ok(Reply::Int(0)) };
    let expires_at = call.expires_at(from);
    let copied = within(call, db, |call| {
        if call.write_value(to).is_some() {
            if !replace {
                return false;
            }
            call.remove(to);
        }
        place(call, to, value, expires_at);
        call.changed(Class::Generic, "copy_to", to);
        true
    });
    Ok(Reply::flag(copied))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::Lab;

    /// What `lines` publish, as `channel: message` without the fixed parts.
    fn events(lines: &[&str]) -> Vec<String> {
        let mut lab = Lab::new(1);
        lab.ask(&["CONFIG", "SET", "notify-keyspace-events", "EAn"]);
        lab.send("bob", &["PSUBSCRIBE", "__keyevent*"]);
        lab.take("bob");
        for line in lines {
            lab.ask(&line.split(' ').collect::<Vec<_>>());
        }
        let text =
            |reply: &Reply| if let Reply::Bulk(bytes) = reply { bytes.lossy().into_owned() } else { String::new() };
        let message = |reply: Reply| match reply {
            Reply::Push(parts) | Reply::Array(parts) => {
                let channel = text(&parts[2]);
                format!("{} {}", channel.trim_start_matches("__keyevent@").replace("__", ""), text(&parts[3]))
            }
            other => format!("{other:?}"),
        };
        lab.take("bob").into_iter().map(message).collect()
    }

    #[test]
    fn events_have_redis_names_and_order() {
        for (lines, expected) in [
            (&["SET a 1 EX 100"][..], &["0:new a", "0:set a", "0:expire a"][..]),
            (
                &["SET a 1", "SET b 2", "RENAME a b"],
                &["0:new a", "0:set a", "0:new b", "0:set b", "0:new b", "0:rename_from a", "0:rename_to b"],
            ),
            (&["SET a 1", "MOVE a 1"], &["0:new a", "0:set a", "1:new a", "0:move_from a", "1:move_to a"]),
            (&["SET a 1", "COPY a b"], &["0:new a", "0:set a", "0:new b", "0:copy_to b"]),
            (&["INCR a", "APPEND a x", "DEL a none"], &["0:new a", "0:incrby a", "0:append a", "0:del a"]),
            (&["SET a 1", "EXPIRE a -1"], &["0:new a", "0:set a", "0:del a"]),
            (&["SETBIT a 1 1", "SETBIT a 1 1", "PFADD h"], &["0:new a", "0:setbit a", "0:new h", "0:pfadd h"]),
        ] {
            assert_eq!(events(lines), expected, "{lines:?}");
        }
    }

    // It looked for a key that is not past its expiry, and while nothing expired there was none: it never came to an end.
    #[test]
    fn randomkey_ends_while_nothing_expires_although_all_keys_are_past_their_expiry() {
        let mut lab = Lab::new(3);
        lab.ask(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        lab.ask(&["SET", "session:a1", "alice", "PX", "1"]);
        lab.ask(&["CLIENT", "PAUSE", "100000", "WRITE"]);
        lab.now += Millis(10);
        assert_eq!(lab.ask(&["RANDOMKEY"]), Reply::bulk("session:a1"));
        assert_eq!(lab.ask(&["EXISTS", "session:a1"]), Reply::Int(0));
        lab.ask(&["CLIENT", "UNPAUSE"]);
        assert_eq!(lab.ask(&["RANDOMKEY"]), Reply::Nil);
    }

    #[test]
    fn a_scan_with_any_count_returns_every_key_once_while_nothing_changes() {
        let mut lab = Lab::new(2);
        for n in 0..300 {
            lab.ask(&["SET", &format!("key:{n}"), "v"]);
        }
        for count in ["1", "7", "50", "1000"] {
            let (mut cursor, mut seen) = (String::from("0"), std::collections::BTreeSet::new());
            loop {
                let Reply::Array(parts) = lab.ask(&["SCAN", &cursor, "COUNT", count]) else { panic!("an array") };
                let [Reply::Bulk(next), Reply::Array(found)] = &parts[..] else { panic!("cursor and keys") };
                for key in found {
                    let Reply::Bulk(key) = key else { panic!("a name") };
                    assert!(seen.insert(key.clone()), "{key:?} came twice with COUNT {count}");
                }
                cursor = next.lossy().into_owned();
                if cursor == "0" {
                    break;
                }
            }
            assert_eq!(seen.len(), 300, "COUNT {count}");
        }
    }
}

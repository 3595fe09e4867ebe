//! The server as a whole: its databases, its clock, its role.

use crate::base::{Bytes, Millis};
use crate::engine::call::Propagate;
use crate::engine::command::{ADMIN, Command, FAST, LOADING, NOSCRIPT, Outcome, READONLY, STALE, WRITE};
use crate::engine::refusal::{self, Refusal};
use crate::engine::{Call, Env, Instance, KeyTrace, Outbox, Output, VERSION};
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[
    Command {
        name: "DBSIZE",
        summary: "Count the keys of the current database.",
        flags: READONLY.with(FAST),
        acl: &["keyspace"],
        tips: &["request_policy:all_shards", "response_policy:agg_sum"],
        run: dbsize,
        ..Command::SERVER
    },
    Command {
        name: "FLUSHDB",
        syntax: "flush-type=[ASYNC@4.0.0 | SYNC@6.2.0]",
        summary: "Remove all keys of the current database.",
        complexity: "O(N)",
        history: &[("4.0.0", "`ASYNC`."), ("6.2.0", "`SYNC`.")],
        flags: WRITE,
        acl: &["keyspace", "dangerous"],
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        run: flushdb,
        ..Command::SERVER
    },
    Command {
        name: "FLUSHALL",
        syntax: "flush-type=[ASYNC@4.0.0 | SYNC@6.2.0]",
        summary: "Remove all keys of all databases.",
        complexity: "O(N)",
        history: &[("4.0.0", "`ASYNC`."), ("6.2.0", "`SYNC`.")],
        flags: WRITE,
        acl: &["keyspace", "dangerous"],
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        run: flushall,
        ..Command::SERVER
    },
    Command {
        name: "SWAPDB",
        syntax: "index1:integer index2:integer",
        summary: "Exchange the contents of two databases.",
        since: "4.0.0",
        complexity: "O(N)",
        flags: WRITE.with(FAST),
        acl: &["keyspace", "dangerous"],
        run: swapdb,
        ..Command::SERVER
    },
    Command {
        name: "TIME",
        summary: "Read the server's clock.",
        since: "2.6.0",
        flags: LOADING.with(STALE).with(FAST),
        tips: &["nondeterministic_output"],
        run: time,
        ..Command::SERVER
    },
    Command {
        name: "LOLWUT",
        syntax: "[VERSION version:integer]",
        summary: "See a drawing, and the version.",
        since: "5.0.0",
        flags: READONLY.with(FAST),
        run: lolwut,
        ..Command::SERVER
    },
    Command {
        name: "MONITOR",
        summary: "See every command that the server carries out.",
        flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
        run: monitor,
        ..Command::SERVER
    },
];

fn dbsize(call: &mut Call) -> Outcome {
    Ok(Reply::from(call.db_ref().len()))
}

/// ASYNC or SYNC, which make no difference where freeing memory takes no time.
fn check_flush(call: &Call) -> Result<(), Refusal> {
    match call.args {
        [_] => Ok(()),
        [_, _] if call.is(1, "ASYNC") || call.is(1, "SYNC") => Ok(()),
        _ => Err(refusal::SYNTAX),
    }
}

fn flushdb(call: &mut Call) -> Outcome {
    check_flush(call)?;
    let db = call.db;
    call.server.trace_flush(db..db + 1, call.out);
    call.server.empty(db..db + 1);
    call.propagate = Propagate::Always;
    Ok(Reply::OK)
}

fn flushall(call: &mut Call) -> Outcome {
    check_flush(call)?;
    let all = 0..call.server.dbs.len();
    call.server.trace_flush(all.clone(), call.out);
    call.server.empty(all);
    let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
    call.server.reset_rdb(&mut env, call.out);
    call.propagate = Propagate::Always;
    Ok(Reply::OK)
}

fn swapdb(call: &mut Call) -> Outcome {
    if call.server.cluster.is_some() {
        return Err(Refusal::new("ERR SWAPDB is not allowed in cluster mode"));
    }
    let index = |at, text| match call.int(at).map(i32::try_from) {
        Ok(Ok(index)) => Ok(usize::try_from(index).ok().filter(|index| *index < call.server.dbs.len())),
        _ => Err(Refusal::new(text)),
    };
    let first = index(1, "ERR invalid first DB index")?;
    let second = index(2, "ERR invalid second DB index")?;
    let (Some(first), Some(second)) = (first, second) else { return Err(refusal::DB_INDEX) };
    call.server.swap(first, second, call.now);
    call.server.trace("swapdb", first, second.to_string().as_bytes(), call.out);
    call.server.dirty += 1;
    call.propagate = Propagate::Always;
    Ok(Reply::OK)
}

impl Instance {
    /// Redis has no keyspace event for an emptied database; whoever traces is told of each that held keys.
    fn trace_flush(&mut self, dbs: std::ops::Range<usize>, out: &mut Outbox) {
        let full: Vec<usize> = dbs.filter(|db| !self.dbs[*db].is_empty()).collect();
        full.into_iter().for_each(|db| self.trace("flushdb", db, b"", out));
    }

    fn trace(&self, event: &'static str, db: usize, key: &[u8], out: &mut Outbox) {
        if self.tracing {
            out.push(Output::Trace(KeyTrace { db, key: Bytes::copy(key), event }));
        }
    }

    /// Removes all keys of some databases, for everybody who watches or tracks one.
    pub fn empty(&mut self, dbs: std::ops::Range<usize>) {
        for db in dbs {
            self.break_watches_in(db, None, Millis::ZERO);
            self.dirty += self.dbs[db].len() as u64;
            self.dbs[db].clear();
            self.waiting.touch_db(db);
        }
        self.invalidate_all();
    }

    fn swap(&mut self, first: usize, second: usize, now: Millis) {
        if first == second {
            return;
        }
        self.break_watches_in(first, Some(second), now);
        self.break_watches_in(second, Some(first), now);
        self.dbs.swap(first, second);
        // Clients stay in the database of their number: what they wait for may be there now.
        self.waiting.touch_db(first);
        self.waiting.touch_db(second);
    }

    /// Database `db` is emptied, or gets the contents of `other`: those who watch a key that was there or will be there
    /// learn of it.
    fn break_watches_in(&mut self, db: usize, other: Option<usize>, now: Millis) {
        let all = self.watchers.range((db, Bytes::new())..(db + 1, Bytes::new()));
        let all: Vec<(Bytes, Vec<_>)> = all.map(|((_, key), clients)| (key.clone(), clients.clone())).collect();
        for (key, clients) in all {
            let here = self.dbs[db].slot(&key).is_some();
            let there = other.and_then(|other| self.dbs[other].slot(&key));
            if !here && there.is_none() {
                continue;
            }
            let (coming, expired) = (there.is_some(), there.is_some_and(|slot| slot.is_expired(now)));
            for id in clients {
                let Some(client) = self.clients.get_mut(&id) else { continue };
                let Some(watched) = client.watched.iter_mut().find(|it| it.db == db && it.key == key) else { continue };
                match (watched.was_expired, coming, expired) {
                    // Past its expiry before, and gone now: nothing has changed.
                    (true, false, _) => watched.was_expired = false,
                    (true, true, true) => {}
                    (false, true, true) if !here => watched.was_expired = true,
                    _ => client.watch_broken = true,
                }
            }
        }
    }
}

fn time(call: &mut Call) -> Outcome {
    let micros = call.now.0 % 1000 * 1000;
    Ok(Reply::bulks([call.now.secs().to_string(), micros.to_string()]))
}

fn lolwut(call: &mut Call) -> Outcome {
    if call.args.len() >= 3 && call.is(1, "VERSION") {
        call.int(2)?;
    }
    Ok(Reply::Verbatim("txt", Bytes::from(format!("Redis ver. {VERSION}\n"))))
}

fn monitor(call: &mut Call) -> Outcome {
    if !call.may_block {
        return Err(Refusal::new("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    let me = call.client;
    if !call.me().monitor {
        call.me_mut().monitor = true;
        call.server.monitors.push(me);
    }
    Ok(Reply::OK)
}

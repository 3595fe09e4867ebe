//! Checks, the tutor and the proof on small planted lessons, run on the embedded machine.

use super::*;
use crate::backend::lesson::embedded;
use crate::check::table::KINDS;
use crate::lesson::Files;
use crate::tutor::{Effect, Tone};
use proptest::prelude::*;

const COURSE: &str = "id: t\nformat: 1\ntitle: T\nmodules:\n  - {title: M, lessons: [01-m/01-l]}\n";
const PAGE: &str = "---\ntitle: T\n---\n\n<!-- do: e -->\n";

/// A course with one exercise `e`: its YAML from `goals:` on is `exercise`.
fn course_of(exercise: &str) -> Files {
    let lab = format!(
        "id: t.l\nworld:\n  instances: {{redis: {{port: 6379, config: {{save: \"\", appendonly: \"no\"}}}}}}\n  sql: {{schema: [\"CREATE TABLE t (n INTEGER)\"]}}\n  terminals: {{shop: redis, ops: shell, db: sql}}\nexercises:\n  - id: e\n    title: E\n{exercise}"
    );
    vec![
        ("course.yaml".into(), COURSE.into()),
        ("01-m/01-l/lesson.md".into(), PAGE.into()),
        ("01-m/01-l/lab.yaml".into(), lab),
    ]
}

const REST: &str = "    hints: [a, b]\n    wrong: [{when: {saw: {cmd: NEVER}}, try: {shop: [PING]}, say: no}]\n    solutions: [{shop: [PING]}]\n";

fn lesson_of(exercise: &str) -> Arc<Lesson> {
    match Course::parse(&course_of(exercise)) {
        Ok(course) => course.lessons().next().unwrap().clone(),
        Err(faults) => panic!("{exercise}\n{faults:?}"),
    }
}

fn session_with(exercise: &str) -> crate::tutor::Session {
    crate::tutor::Session::open(&lesson_of(exercise), &embedded, None)
}

/// Types `TERMINAL: LINE` lines.
fn type_all(session: &mut crate::tutor::Session, lines: &[&str]) {
    for line in lines {
        let (terminal, text) = line.split_once(": ").unwrap_or(("shop", line));
        let terminal = ["shop", "ops", "db"].iter().position(|each| *each == terminal).unwrap();
        session.submit(terminal, text);
    }
}

fn told(session: &crate::tutor::Session) -> String {
    session.exercises()[0].feedback.as_ref().map(|told| lesson::plain_text(&told.say)).unwrap_or_default()
}

/// One kind of check: a goal, lines that leave it unmet with what is said then, and lines that meet it after that.
struct Planted {
    kind: &'static str,
    goal: &'static str,
    wrong: &'static [&'static str],
    says: &'static str,
    right: &'static [&'static str],
}

const fn planted(
    kind: &'static str,
    goal: &'static str,
    wrong: &'static [&'static str],
    says: &'static str,
    right: &'static [&'static str],
) -> Planted {
    Planted { kind, goal, wrong, says, right }
}

const PLANTED: &[Planted] = &[
    planted(
        "acl",
        "acl: {user: till, cmd: SET cache:a 1}",
        &["ACL SETUSER till on nopass ~cart:* +@all"],
        "`till` may not run `SET cache:a 1`: User till has no permissions to access the 'cache:a' key.",
        &["ACL SETUSER till ~cache:*"],
    ),
    planted(
        "acl",
        "acl: {user: till, cmd: FLUSHALL, may: false}",
        &["SET a 1"],
        "There is no user `till`.",
        &["ACL SETUSER till on nopass ~* +@read"],
    ),
    planted("key", "key: {name: a}", &["SET zzzzzz 1"], "There is no key `a`.", &["SET a 1"]),
    planted("key", "key: {name: a, exists: false}", &["SET a 1"], "`a` is there.", &["DEL a"]),
    planted("key", "key: {name: a, equals: x}", &["SET a y"], "`a` holds `y`.", &["SET a x"]),
    planted("key", "key: {name: a, not_equals: y}", &["SET a y"], "`a` holds `y`.", &["SET a x"]),
    planted("key", "key: {name: a, type: hash}", &["RPUSH a x"], "`a` is a list of `x`.", &["DEL a", "HSET a f v"]),
    planted("key", "key: {name: a, length: 2}", &["RPUSH a x"], "`a` has 1 items.", &["RPUSH a y"]),
    planted(
        "key",
        "key: {name: a, ttl: {between: [1, 60]}}",
        &["SET a 1"],
        "`a` has no time to live.",
        &["EXPIRE a 60"],
    ),
    planted("key", "key: {name: a, ttl: none}", &["SET a 1 EX 9"], "`a` lives for another 9 s.", &["PERSIST a"]),
    planted("key", "key: {name: a, encoding: int}", &["SET a x"], "`a` is encoded as embstr.", &["SET a 5"]),
    planted("key", "key: {name: a, fields: {f: v}}", &["HSET a g v"], "`a` has no field `f`.", &["HSET a f v"]),
    planted("key", "key: {name: a, fields: {f: v}}", &["HSET a f w"], "Field `f` of `a` is `w`.", &["HSET a f v"]),
    planted(
        "key",
        "key: {name: a, lacks: g, has: [f]}",
        &["HSET a f 1 g 1"],
        "`a` is a hash with `f 1`, `g 1`.",
        &["HDEL a g"],
    ),
    planted("key", "key: {name: a, members: [x, y]}", &["SADD a x"], "`a` is a set of `x`.", &["SADD a y"]),
    planted(
        "key",
        "key: {name: a, items: [x, y]}",
        &["RPUSH a y x"],
        "`a` is a list of `y`, `x`.",
        &["LPOP a", "RPUSH a y"],
    ),
    planted(
        "key",
        "key: {name: a, scores: {x: 1.5}}",
        &["ZADD a 2 x"],
        "`a` is a sorted set of `2 x`.",
        &["ZADD a 1.5 x"],
    ),
    planted(
        "key",
        "key: {name: a, expires_at: 2000000000}",
        &["SET a 1"],
        "`a` has no time to live.",
        &["EXPIREAT a 2000000000"],
    ),
    planted("int", "int: {name: a, min: 2, max: 3}", &["SET a 4"], "`a` holds `4`.", &["SET a 3"]),
    planted(
        "db",
        "db: {match: \"s:*\", size: 2}",
        &["SET s:1 x"],
        "Database 0 of `redis` holds 1 key like `s:*`.",
        &["SET s:2 x"],
    ),
    planted(
        "file",
        "file: {path: note.txt}",
        &["ops: ls"],
        "There is no file `note.txt`.",
        &["ops: echo hello > note.txt"],
    ),
    planted("client", "client: {terminal: shop, db: 1}", &["PING"], "`shop` is in database 0.", &["SELECT 1"]),
    planted(
        "client",
        "client: {terminal: shop, multi: true, queued: 1}",
        &["MULTI"],
        "`shop` has 0 commands queued.",
        &["PING"],
    ),
    planted(
        "client",
        "client: {terminal: shop, watching: [a]}",
        &["WATCH b"],
        "`shop` watches b.",
        &["UNWATCH", "WATCH a"],
    ),
    planted(
        "saw",
        "saw: {cmd: \"GET a\", reply: \"\\\"1\\\"\"}",
        &["GET a"],
        "`GET a` was answered `(nil)`.",
        &["SET a 1", "get  \"a\""],
    ),
    planted(
        "client",
        "client: {terminal: shop, multi: false, watching: []}",
        &["WATCH a"],
        "`shop` watches a.",
        &["UNWATCH"],
    ),
    planted(
        "stale_read",
        "stale_read: {key: a}",
        &["GET a", "SET a 1"],
        "There is no stale read in what was done.",
        &["GET a", "ops: redis-cli INCR a", "SET a 2"],
    ),
    planted(
        "lost_update",
        "not: {lost_update: {key: a}}",
        &["SET a 1", "ops: redis-cli SET a 2"],
        "`SET a 2` in `ops` overwrote what `SET a 1` in `shop` had made of `a`.",
        &[":undo 2", "SET a 1", "ops: redis-cli INCRBY a 1"],
    ),
    planted(
        "stale_read",
        "stale_read: {of: [sell.txt, sell.txt], orders: none}",
        &["ops: echo \"n = GET stock\" > sell.txt", "ops: echo \"SET stock {n-1}\" >> sell.txt"],
        "There is a stale read in 4 of 6 orders. Order 3 is one that should not be.",
        &["ops: echo \"DECR stock\" > sell.txt"],
    ),
    planted(
        "lost_update",
        "lost_update: {of: [sell.txt, [SET stock 5]], orders: some}",
        &["ops: echo \"GET stock\" > sell.txt"],
        "No lost update in any of 2 orders.",
        &["ops: echo \"SET stock 4\" > sell.txt"],
    ),
    planted(
        "lost_update",
        "lost_update: {of: [{terminal: shop}, [INCR stock]], orders: none}",
        &["GET stock", "SET stock 4"],
        "There is a lost update in 1 of 3 orders. Order 2 is one that should not be.",
        &[":undo 2", "INCRBY stock 4"],
    ),
    planted(
        "stale_read",
        "stale_read: {of: [sell.txt, sell.txt], orders: none}",
        &["ops: ls"],
        "There is no file `sell.txt` yet.",
        &["ops: echo \"DECR stock\" > sell.txt"],
    ),
    planted(
        "orders",
        "orders: {of: [sell.txt, sell.txt], expect: {key: {name: stock, equals: \"-2\"}}}",
        &["ops: echo \"SET stock -1\" > sell.txt"],
        "Not in order 1 of 2: `stock` holds `-1`.",
        &["ops: echo \"DECR stock\" > sell.txt"],
    ),
    planted(
        "orders",
        "orders: {of: [sell.txt, sell.txt], outcomes: 1}",
        &["ops: echo \"INCR stock\" > sell.txt"],
        "The 2 orders end in 2 different ways.",
        &["ops: echo \"SET stock 1\" > sell.txt"],
    ),
    planted(
        "saw",
        "saw: {cmd: MULTI, then: [{cmd: PING, reply: QUEUED}, {cmd: EXEC}]}",
        &["MULTI", "PING"],
        "`EXEC` is still to come, after `PING`.",
        &["EXEC"],
    ),
    planted("saw", "saw: {cmd: PING, count: 2}", &["PING"], "`PING` was seen once.", &["PING"]),
    planted(
        "saw",
        "saw: {cmd: PING, terminal: ops}",
        &["PING"],
        "`PING` has not been seen in `ops`.",
        &["ops: redis-cli PING"],
    ),
    planted(
        "saw",
        "saw: {cmd: PING, then: [{cmd: TIME}]}",
        &["TIME", "PING"],
        "`TIME` is still to come, after `PING`.",
        &["TIME"],
    ),
    planted("saw", "saw: {cmd: PING, after: 60}", &["PING"], "`PING` came too early.", &[":time +1m", "PING"]),
    planted("saw", "saw: {word: \":undo\"}", &["PING"], "`:undo` has not been seen.", &[":undo"]),
    planted(
        "saw",
        "saw: {output: \"*cannot*|*nothing*\"}",
        &["PING"],
        "a line that prints `cannot*|*nothing` has not been seen.",
        &["ops: echo nothing"],
    ),
    planted(
        "instance",
        "instance: {state: crashed}",
        &["PING"],
        "The server `redis` is running.",
        &["ops: kill -9 6379"],
    ),
    planted(
        "instance",
        "instance: {ended: power-cut, state: running}",
        &["ops: kill -9 6379", "ops: redis-server redis.conf"],
        "The server `redis` was killed.",
        &["ops: power-cut", "ops: redis-server redis.conf"],
    ),
    planted(
        "lost",
        "lost: {name: a}",
        &["SET a 1"],
        "`a` is there.",
        &["ops: kill -9 6379", "ops: redis-server redis.conf"],
    ),
    planted("expired", "expired: {name: a}", &["SET a 1 EX 5"], "`a` is there.", &[":time +6s", "GET a"]),
    planted(
        "evicted",
        "evicted: {match: \"c:*\", count: 2}",
        &["MSET c:1 x c:2 x s:1 x", "DEL c:1"],
        "On `redis` 0 keys like `c:*` were evicted in this exercise.",
        &["SET c:1 x", "CONFIG SET maxmemory-policy allkeys-lru maxmemory 1", "PING"],
    ),
    planted(
        "evicted",
        "evicted: {name: \"c:1\"}",
        &["SET c:1 x"],
        "`c:1` is there.",
        &["SET c:1 x", "CONFIG SET maxmemory-policy allkeys-lru maxmemory 1", "PING"],
    ),
    planted(
        "lost",
        "lost: {match: \"s:*\", count: 2}",
        &["MSET s:1 x s:2 y", "DEL s:1", "ops: kill -9 6379"],
        "On `redis` 0 keys like `s:*` were lost in a crash in this exercise.",
        &[
            "ops: redis-server redis.conf",
            "ops: redis-cli MSET s:1 x s:2 y",
            "ops: power-cut",
            "ops: redis-server redis.conf",
        ],
    ),
    planted(
        "deleted",
        "deleted: {match: \"*\", count: {at_least: 2}}",
        &["MSET a 1 b 2 c 3", "DEL a"],
        "On `redis` 1 key like `*` was removed by commands in this exercise.",
        &["FLUSHALL"],
    ),
    planted(
        "config",
        "config: {maxmemory: 2mb, maxmemory-policy: \"allkeys-?*\"}",
        &["CONFIG SET maxmemory 2097152"],
        "The server `redis` runs with `maxmemory-policy` set to `noeviction`.",
        &["CONFIG SET maxmemory-policy allkeys-lfu"],
    ),
    planted(
        "config",
        "config: {maxmemory: {between: [1000000, 9000000]}}",
        &["PING"],
        "The server `redis` runs with `maxmemory` set to `0`.",
        &["CONFIG SET maxmemory 2mb"],
    ),
    planted(
        "file_config",
        "file_config: {maxmemory: 2097152, appendonly: \"no\"}",
        &["CONFIG SET maxmemory 2mb"],
        "`redis.conf` has no line `maxmemory`.",
        &["ops: echo MAXMEMORY 2MB >> redis.conf"],
    ),
    planted(
        "file_config",
        "file_config: {appendonly: \"yes\"}",
        &["CONFIG SET appendonly yes"],
        "`redis.conf` says `appendonly no`.",
        &["CONFIG REWRITE"],
    ),
    planted("deleted", "deleted: {name: a}", &["SET a 1"], "`a` is there.", &["DEL a"]),
    planted(
        "sql",
        "sql: {query: \"SELECT count(*) FROM t\", equals: \"1\"}",
        &["db: SELECT 1;"],
        "The table answers `0`.",
        &["db: INSERT INTO t VALUES (1);"],
    ),
    planted(
        "probe",
        "probe: {run: {redis: [\"GET a\"]}, reply: \"\\\"1\\\"\"}",
        &["PING"],
        "We ran `GET a` and got `(nil)`.",
        &["SET a 1"],
    ),
    planted(
        "future",
        "future: {do: [{sleep: 60}], expect: {key: {name: a, exists: false}}}",
        &["SET a 1"],
        "Not if that happened now: `a` is there.",
        &["EXPIRE a 30"],
    ),
    planted("all", "all: [{key: {name: a}}, {key: {name: b}}]", &["SET a 1"], "There is no key `b`.", &["SET b 1"]),
    planted("any", "any: [{key: {name: a}}, {key: {name: b}}]", &["PING"], "There is no key `a`.", &["SET b 1"]),
    planted("not", "not: {key: {name: a}}", &["SET a 1"], "`a` is there.", &["DEL a"]),
];

#[test]
fn each_kind_of_check_says_what_it_saw_and_is_met_by_the_right_lines() {
    let mut odd = Vec::new();
    for each in PLANTED {
        // A second goal keeps the exercise open, so that a goal that holds at the start can be broken first.
        let goals =
            format!("    goals: [{{say: g, {}}}, {{say: h, key: {{name: never, equals: never}}}}]\n{REST}", each.goal);
        let mut session = session_with(&goals);
        type_all(&mut session, each.wrong);
        let (met, said) = (session.exercises()[0].goals[0].met, told(&session));
        if met || said != each.says {
            odd.push(format!("{}: after {:?} met {met}, said: {said}", each.goal, each.wrong));
        }
        type_all(&mut session, each.right);
        if !session.exercises()[0].goals[0].met {
            odd.push(format!("{}: not met after {:?}, said: {}", each.goal, each.right, told(&session)));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
}

#[test]
fn an_answer_is_judged_by_choice_and_by_truth() {
    let question = "    predict: {ask: q, choices: [two, three], right: 2}\n";
    for (check, first, says) in [
        ("answer: {right: true}", ":answer 1", "You answered `two`."),
        ("answer: {choice: 2}", ":answer 1", "You answered `two`."),
        ("answer: {right: true}", "PING", "The question is not answered yet: `:answer` and the number of your choice."),
    ] {
        let mut session = session_with(&format!("{question}    goals: [{{say: g, {check}}}]\n{REST}"));
        type_all(&mut session, &[first]);
        assert_eq!((session.exercises()[0].solved, told(&session).as_str()), (false, says), "{check} {first}");
        type_all(&mut session, &[":2"]);
        assert!(session.exercises()[0].solved, "{check}");
    }
}

#[test]
fn every_kind_of_the_table_is_planted_or_named_here() {
    // These are planted where there is what they need: a disk to be lost, several servers.
    let elsewhere = ["persist", "cluster", "slot", "replication"];
    for kind in KINDS {
        let asked = kind.name == "answer";
        let known = asked || elsewhere.contains(&kind.name) || PLANTED.iter().any(|each| each.kind == kind.name);
        assert!(known, "no planted wrong state for `{}`", kind.name);
    }
}

#[test]
fn every_example_of_the_reference_is_read() {
    for kind in KINDS {
        let question = "    predict: {ask: q, choices: [x, y], right: 1}\n";
        let example = kind.example.replace("alice,", "shop,").replace("terminal: alice", "terminal: shop");
        let example = example.replace("name: replica,", "name: redis,").replace("of: primary", "of: redis");
        let example = example.replace("owner: n2", "owner: redis");
        let goals = format!("{question}    goals: [{{say: g, {example}}}]\n{REST}");
        let faults = Course::parse(&course_of(&goals)).err();
        assert!(faults.is_none(), "{}: {faults:?}", kind.name);
    }
}

#[test]
fn nothing_is_said_before_anything_was_done() {
    let mut session = session_with(&format!("    goals: [{{say: g, key: {{name: a}}}}]\n{REST}"));
    assert_eq!(told(&session), "");
    session.submit(0, ":goals");
    session.submit(0, ":hint");
    assert_eq!(told(&session), "");
    session.submit(0, "PING");
    assert_eq!(told(&session), "There is no key `a`.");
}

#[test]
fn causes_are_found_in_the_history() {
    let goal = |goal: &str| session_with(&format!("    goals: [{{say: g, {goal}}}]\n{REST}"));
    let ttl = "key: {name: a, equals: x, ttl: {between: [1, 60]}}";
    for (check, lines, says) in [
        (
            ttl,
            &["SET a x EX 60", "SET a y"][..],
            "`a` has no time to live: your `SET a y` in `shop` at 09:00:00 removed it.",
        ),
        (
            "key: {name: a, equals: x}",
            &["SET a y EX 5", ":time +10s", "GET a"],
            "`a` was there, and expired at 09:00:05.",
        ),
        (
            "key: {name: a, equals: x}",
            &["SET a y", "DEL a"],
            "`a` was there; your `DEL a` in `shop` removed it at 09:00:00.",
        ),
        (
            "key: {name: a, equals: x}",
            &["SET a y", "SELECT 3", "FLUSHALL"],
            "`a` was there; your `FLUSHALL` in `shop` removed it at 09:00:00.",
        ),
        (
            "key: {name: a, equals: x}",
            &["SELECT 2", "SET a x"],
            "`a` is in database 2, not in 0. SELECT leads from one to the other.",
        ),
        (
            "key: {name: \"session:a1\", equals: x}",
            &["SET sesion:a1 x"],
            "There is a key `sesion:a1`. The one asked for is `session:a1`.",
        ),
        (
            "key: {name: a, equals: x}",
            &["SET a y", "ops: kill -9 6379", "ops: redis-server redis.conf"],
            "`a` was written at 09:00:00 and lost: the server was killed at 09:00:00.",
        ),
    ] {
        let mut session = goal(check);
        if lines[0].contains("EX 60") {
            // The first SET would solve it.
            session = session_with(&format!("    goals: [{{say: g, {check}}}, {{say: h, key: {{name: b}}}}]\n{REST}"));
        }
        type_all(&mut session, lines);
        let said = told(&session);
        // A moment may pass while a process starts.
        let said = said.replace("09:00:01", "09:00:00").replace("09:00:06", "09:00:05");
        assert_eq!(said, says, "{lines:?}");
    }
}

#[test]
fn the_write_that_made_exec_answer_nil_is_named() {
    let mut session = session_with(&format!("    goals: [{{say: g, key: {{name: a, equals: mine}}}}]\n{REST}"));
    type_all(&mut session, &["WATCH a", "MULTI", "SET a mine", "ops: redis-cli SET a other", "EXEC"]);
    assert_eq!(
        told(&session),
        "EXEC at 09:00:00 did nothing: your `SET a other` in `ops` had changed the watched `a` before. Read again, and try again."
    );
}

#[test]
fn a_broken_always_comes_first_and_undo_heals_it() {
    let goals = format!(
        "    setup: {{redis: [\"SET a 1\"]}}\n    goals:\n      - {{say: It is there., when: always, key: {{name: a}}}}\n      - {{say: g, key: {{name: a, equals: 2}}}}\n{REST}"
    );
    let mut session = session_with(&goals);
    type_all(&mut session, &["DEL a"]);
    let state = &session.exercises()[0];
    assert!(state.goals[0].broken);
    assert_eq!(state.feedback.as_ref().unwrap().tone, Tone::Broken);
    assert_eq!(told(&session), "`DEL a` broke a goal that holds all the time: It is there. `:undo` takes it back.");
    type_all(&mut session, &["SET a 2"]);
    assert!(!session.exercises()[0].solved, "it was broken on the way");
    type_all(&mut session, &[":undo 2", "SET a 2"]);
    assert!(session.exercises()[0].solved);
}

#[test]
fn latched_goals_stay_met_through_undo_and_others_do_not() {
    let goals = format!(
        "    goals:\n      - {{say: g, when: latched, saw: {{cmd: \"SET a\"}}}}\n      - {{say: h, key: {{name: a}}}}\n      - {{say: i, key: {{name: never}}}}\n{REST}"
    );
    let mut session = session_with(&goals);
    type_all(&mut session, &["SET a 1"]);
    let met =
        |session: &crate::tutor::Session| session.exercises()[0].goals.iter().map(|goal| goal.met).collect::<Vec<_>>();
    assert_eq!(met(&session), [true, true, false]);
    type_all(&mut session, &[":undo"]);
    assert_eq!(met(&session), [true, false, false]);
    type_all(&mut session, &[":redo"]);
    assert_eq!(met(&session), [true, true, false]);
    type_all(&mut session, &[":reset"]);
    assert_eq!(met(&session), [false, false, false]);
}

#[test]
fn undo_stops_at_the_first_moment_of_the_exercise() {
    let goals = format!("    setup: {{redis: [\"SET a 1\"]}}\n    goals: [{{say: g, key: {{name: never}}}}]\n{REST}");
    let mut session = session_with(&goals);
    type_all(&mut session, &["DEL a", ":undo 5", "GET a"]);
    assert_eq!(session.screen(0).last().unwrap().text(), "\"1\"");
}

#[test]
fn a_failed_future_is_kept_to_be_watched_and_leaves_the_world_alone() {
    let goals = format!(
        "    goals: [{{say: g, future: {{do: [power-cut, {{restart: redis}}, {{run: {{redis: [\"GET a\"]}}}}], expect: {{key: {{name: a}}}}}}}}]\n{REST}"
    );
    let mut session = session_with(&goals);
    type_all(&mut session, &["SET a 1"]);
    let feedback = session.exercises()[0].feedback.clone().unwrap();
    let shown = crate::tutor::lines_of(&feedback.future).iter().map(crate::console::Line::text).collect::<Vec<_>>();
    assert_eq!(
        shown,
        ["$ power-cut", "$ redis-server redis.conf", "127.0.0.1:6379> GET a", "(nil)", "There is no key `a`."]
    );
    assert_eq!(session.snapshot().instances[0].state, crate::snapshot::State::Running);
    type_all(&mut session, &["GET a"]);
    assert_eq!(session.screen(0).last().unwrap().text(), "\"1\"");
}

#[test]
fn hints_come_one_by_one_and_a_played_solution_counts_for_nothing() {
    let goals = "    goals: [{say: g, key: {name: a}}]\n    hints: [first, second]\n    wrong: [{when: {saw: {cmd: NEVER}}, try: {shop: [PING]}, say: no}]\n    solutions: [{shop: [\"SET a 1\"]}]\n";
    let mut session = session_with(goals);
    type_all(&mut session, &[":hint"]);
    assert_eq!(session.exercises()[0].hints_shown, ["first"]);
    type_all(&mut session, &[":hint", ":hint"]);
    assert_eq!(session.exercises()[0].hints_shown, ["first", "second"]);
    let response = session.submit(0, ":solve");
    let Some(Effect::ShowFuture { lines, .. }) = response.effects.first() else { panic!("{response:?}") };
    assert_eq!(
        lines.iter().map(crate::console::Line::text).collect::<Vec<_>>(),
        ["shop  127.0.0.1:6379> SET a 1", "OK"]
    );
    let state = &session.exercises()[0];
    assert!(state.solution_seen && !state.solved);
    assert!(session.snapshot().instances[0].dbs.is_empty());
}

#[test]
fn why_tells_who_wrote_and_who_removed() {
    let mut session = session_with(&format!("    goals: [{{say: g, key: {{name: never}}}}]\n{REST}"));
    type_all(&mut session, &["SET a 1 EX 9", "PERSIST a", "ops: redis-cli DEL a"]);
    let lines = session.submit(0, ":why a").lines.iter().map(|(_, line)| line.text()).collect::<Vec<_>>();
    let said = lines.join("\n");
    assert!(said.contains("09:00:00 written: your `SET a 1 EX 9` in `shop`"), "{said}");
    assert!(said.contains("09:00:00 deleted: your `DEL a` in `ops`"), "{said}");
    assert!(said.ends_with("Now: there is no key `a`."), "{said}");
}

#[test]
fn the_truth_of_a_question_is_what_running_it_prints() {
    let goals = format!(
        "    predict: {{ask: q, choices: [\"(integer) 1\", \"(integer) 2\"], run: {{redis: [\"INCR n\"]}}}}\n    goals: [{{say: g, answer: {{right: true}}}}]\n{REST}"
    );
    let mut session = session_with(&goals);
    type_all(&mut session, &["INCR n", ":answer 1"]);
    assert_eq!(session.exercises()[0].questions[0].right, Some(false));
    type_all(&mut session, &[":2"]);
    assert!(session.exercises()[0].solved);
    assert_eq!(session.submit(0, "GET n").lines.last().unwrap().1.text(), "\"1\"", "it ran in a copy");
}

#[test]
fn a_session_is_resumed_to_the_same_screens_world_and_progress() {
    let lesson = lesson_of(&format!("    goals: [{{say: g, key: {{name: never}}}}]\n{REST}"));
    let mut session = crate::tutor::Session::open(&lesson, &embedded, None);
    type_all(
        &mut session,
        &["SET a 1 EX 100", "MULTI", "INCR a", "ops: sleep 5", ":undo", "EXEC", "DEL zz", ":hint", ":terminal more"],
    );
    session.advance(crate::base::Millis(2345));
    type_all(&mut session, &["TTL a"]);
    let resumed = crate::tutor::Session::open(&lesson, &embedded, Some(session.saved()));
    for terminal in 0..session.terminals().len() {
        assert_eq!(resumed.screen(terminal), session.screen(terminal));
        assert_eq!(resumed.terminals()[terminal].prompt(), session.terminals()[terminal].prompt());
    }
    assert_eq!(resumed.exercises(), session.exercises());
    assert_eq!(resumed.snapshot(), session.snapshot());
    assert_eq!(resumed.saved(), session.saved());
}

// -- author errors ---------------------------------------------------------------------------------------------------

fn starter() -> Files {
    [
        ("course.yaml", include_str!("../../assets/starter/course.yaml")),
        ("01-start/01-hello/lesson.md", include_str!("../../assets/starter/lesson.md")),
        ("01-start/01-hello/lab.yaml", include_str!("../../assets/starter/lab.yaml")),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .to_vec()
}

/// All faults of a course, as `FILE:LINE: message (help)`.
fn faults_of(files: &Files) -> Vec<String> {
    let line = |fault: &Fault| {
        let file = fault.file.rsplit('/').next().unwrap_or("");
        format!("{file}:{}: {} ({})", fault.line, fault.message, fault.help.as_deref().unwrap_or(""))
    };
    match Course::parse(files) {
        Err(faults) => faults.iter().map(line).collect(),
        Ok(course) => {
            let taught = taught_before(&course);
            let proved =
                course.lessons().zip(&taught).flat_map(|(each, taught)| lesson(each, taught, &embedded).faults);
            proved.map(|fault| line(&fault)).collect()
        }
    }
}

#[test]
fn each_planted_fault_is_named_with_its_file_and_line() {
    // What to replace by what in a copy of the starter, and what has to be said.
    let planted: &[(&str, &str, &str)] = &[
        ("format: 1", "format: 2", "course.yaml:2: this program reads format 1"),
        (
            "      - 01-start/01-hello",
            "      - 01-start/02-gone",
            "course.yaml:8: `01-start/02-gone` has no lesson.md and lab.yaml",
        ),
        ("title: Hello\n", "titel: Hello\n", "lesson.md:2: the front matter has no `titel` (did you mean `title`?)"),
        (
            "<!-- do: forget -->",
            "<!-- do: forgot -->",
            "lesson.md:19: lab.yaml has no exercise `forgot` (did you mean `forget`?)",
        ),
        ("<!-- do: forget -->", "", "lab.yaml:25: the prose never comes to the exercise `forget`"),
        (
            "    title: Say hello",
            "    titel: Say hello",
            "lab.yaml:10: an exercise has no `titel` (did you mean `title`?)",
        ),
        ("id: start.hello", "id: start.hello\nid: again", "lab.yaml:3: `id` stands here twice"),
        (
            "key: {name: greeting, equals: hello}",
            "kye: {name: greeting}",
            "lab.yaml:14: `kye` is no kind of check (did you mean `key`?)",
        ),
        (
            "key: {name: greeting, equals: hello}",
            "key: {nam: greeting}",
            "lab.yaml:14: `key` has no `nam` (did you mean `name`?)",
        ),
        (
            "equals: hello, ttl: {between: [1, 60]}",
            "ttl: {betwen: [1, 60]}",
            "lab.yaml:31: expected a number, {between: [A, B]}",
        ),
        (
            "terminals: {shop: redis}",
            "terminals: {shop: rediss}",
            "lab.yaml:7: there is no instance `rediss` (did you mean `redis`?)",
        ),
        (
            "      - {shop: [\"MSET greeting hello\"]}",
            "      - {shopp: [\"MSET greeting hello\"]}",
            "lab.yaml:24: there is no terminal `shopp` (did you mean `shop`?)",
        ),
        ("clock: \"2030-01-01T09:00:00Z\"", "clock: noon", "lab.yaml:5: `noon` is no moment"),
        ("      - \"SET takes the key and the value.\"\n", "", "lab.yaml:20: an exercise needs at least two hints"),
        (
            "title: Say hello",
            "title: Say: hello",
            "lab.yaml:10: mapping values are not allowed in this context (quote a text",
        ),
        ("id: start.hello", "id: &x start.hello", "lab.yaml:2: anchors (&) and aliases (*) are not used"),
        // From here on the course can be read, and is proved wrong.
        (
            "    task: \"Write `hello` under `greeting`.\"",
            "    setup: {shop: [\"SET greeting hello\"]}",
            "lab.yaml:9: `greet` is solved before anything was done",
        ),
        (
            "{shop: [\"MSET greeting hello\"]}",
            "{shop: [\"MSET greeting hallo\"]}",
            "lab.yaml:24: solution 2 of `greet` does not solve it when earlier",
        ),
        (
            "    setup: {shop: [\"SET greeting hello\"]}\n",
            "",
            "lab.yaml:41: solution 1 of `forget` does not solve it when earlier",
        ),
        (
            "{shop: [\"EXPIRE greeting 60\"]}",
            "{shop: [\"GET greeting\", \"EXPIRE greeting 60\"]}",
            "lab.yaml:42: solution 1 of `forget` works without `GET greeting`: the goals are too loose",
        ),
        (
            "try: {shop: [\"SET hello greeting\"]}",
            "try: {shop: [\"SET greeting hello\"]}",
            "lab.yaml:16: this wrong attempt solves `greet`",
        ),
        (
            "try: {shop: [\"SET hello greeting\"]}",
            "try: {shop: [\"SET helo greeting\"]}",
            "lab.yaml:16: this wrong attempt does not get its own message (it gets: There is no key `greeting`.)",
        ),
        ("key: {name: greeting, equals: hello}", "saw: {cmd: \"*SET greeting hello\"}", ""),
        ("\"hello\"\n```", "\"hallo\"\n```", "lesson.md:13: `GET greeting` does not print what is shown"),
        (
            "> GET greeting\n",
            "> GET greeting\n# 345678901234567890123456789012345678901234567890123456789012345678901234567890\n",
            "lesson.md:14: this line of code is 80 columns wide, 76 fit",
        ),
        (
            "teaches: [SET, GET, EXPIRE]",
            "needs: [LPUSH]\nteaches: [SET, GET, EXPIRE]",
            "lab.yaml:3: no lesson before this one teaches `LPUSH`",
        ),
        ("equals: hello, ttl: {between: [1, 60]}", "encoding: embstr, not_equals: hullo, ttl: {at_most: 60}", ""),
        (
            "      - say: \"Two minutes later it is gone.\"",
            "      - say: h\n        not: {saw: {cmd: TIME}}\n      - say: \"Two minutes later it is gone.\"",
            "too strict",
        ),
        (
            "      - say: \"Two minutes later it is gone.\"",
            "      - say: h\n        saw: {cmd: \"*\", output: \"*secret*\"}\n      - say: \"Two minutes later it is gone.\"",
            "solution 1 of `forget` does not solve it",
        ),
        (
            "    goals:\n      - say: \"`greeting` holds `hello`.\"\n        key: {name: greeting, equals: hello}",
            "    goals:\n      - say: \"x\"\n        saw: {cmd: \"MSET|SET greeting hello\", db: 0}\n      - {say: y, when: always, key: {name: greeting}}",
            "lab.yaml:15: this goal is to hold always, and does not at the start",
        ),
    ];
    let mut odd = Vec::new();
    for (old, new, expected) in planted {
        let mut files = starter();
        assert!(files.iter().any(|(_, text)| text.contains(old)), "the starter has no `{old}`");
        files.iter_mut().for_each(|(_, text)| *text = text.replacen(old, new, 1));
        let faults = faults_of(&files);
        let fine =
            if expected.is_empty() { faults.is_empty() } else { faults.iter().any(|fault| fault.contains(expected)) };
        if !fine {
            odd.push(format!("{new}\n  expected {expected:?}\n  found {faults:#?}"));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
}

#[test]
fn a_literal_that_nobody_can_read_is_a_fault() {
    let goals = "    goals: [{say: Do it., key: {name: secret, equals: word}}]\n    hints: [a, b]\n    wrong: [{when: {key: {name: other}}, try: {shop: [\"SET other 1\"]}, say: no}]\n    solutions: [{shop: [\"SET secret word\"]}]\n";
    let faults = faults_of(&course_of(goals));
    assert!(
        faults.iter().any(|fault| fault.contains("this goal tests `secret`, which the learner never reads")),
        "{faults:?}"
    );
}

#[test]
fn all_faults_of_a_course_are_told_at_once() {
    let mut files = starter();
    files[1].1 = files[1].1.replace("do: greet", "do: gret");
    files[2].1 = files[2].1.replace("title: Say hello", "titel: x").replace("equals: hello, ttl", "equal: hello, ttl");
    assert!(faults_of(&files).len() >= 4, "{:?}", faults_of(&files));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_lessons_never_panic(
        file in 0usize..3, at in 0.0f64..1.0, cut in 0usize..40, insert in "[\\PC\\n\\t{}\\[\\]&*|>'\"#:\u{1b}-]{0,12}"
    ) {
        let mut files = starter();
        let text = &mut files[file].1;
        let mut start = (text.len() as f64 * at) as usize;
        while !text.is_char_boundary(start) { start -= 1; }
        let mut end = (start + cut).min(text.len());
        while !text.is_char_boundary(end) { end += 1; }
        text.replace_range(start..end, &insert);
        if let Err(faults) = Course::parse(&files) {
            prop_assert!(!faults.is_empty());
            let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
            for fault in &faults {
                let mut out = String::new();
                handler.render_report(&mut out, fault).unwrap();
            }
        }
    }

    #[test]
    fn any_text_as_yaml_or_markdown_never_panics(text in "[\\PC\\n\\t ]{0,200}") {
        let mut files = starter();
        files[1].1 = format!("---\ntitle: x\n---\n{text}");
        files[2].1 = text;
        let _ = Course::parse(&files);
    }
}

#[test]
fn a_huge_line_and_a_huge_answer_are_shown_in_part() {
    let mut session = session_with(&format!("    goals: [{{say: g, key: {{name: never}}}}]\n{REST}"));
    let line = format!("SET big {}", "x".repeat(5_000_000));
    session.submit(0, &line);
    let response = session.submit(0, "GET big");
    assert!(response.lines.iter().all(|(_, line)| line.text().len() < 70_000));
    assert!(response.lines.last().unwrap().1.text().ends_with("bytes more)"));
    session.submit(0, ":undo 2");
    assert!(session.snapshot().instances[0].dbs.is_empty());
}

/// All lessons are read, and the first module is done. Doing all of them is what `redlab check` is for, which CI runs in a
/// release build: in a debug build it takes minutes.
#[test]
fn the_bundled_course_is_read_and_its_beginning_proved() {
    let course = Course::bundled();
    let taught = taught_before(&course);
    let begin = course.modules[0].lessons.len();
    let faults: Vec<Fault> = std::thread::scope(|scope| {
        let proofs: Vec<_> = course
            .lessons()
            .zip(&taught)
            .take(begin)
            .map(|(each, taught)| scope.spawn(move || lesson(each, taught, &embedded).faults))
            .collect();
        proofs.into_iter().flat_map(|proof| proof.join().unwrap()).collect()
    });
    assert_eq!(faults, []);
    let read = course.lessons().zip(&taught).flat_map(|(each, taught)| reading::faults(each, taught));
    assert_eq!(read.collect::<Vec<_>>(), []);
}

/// Three cluster nodes that do not know each other.
const NODES: &str = "id: t.l\nworld:\n  instances:\n    n1: {port: 7001, config: {save: \"\", cluster-enabled: \"yes\", cluster-config-file: n1.conf~}}\n    n2: {port: 7002, config: {save: \"\", cluster-enabled: \"yes\", cluster-config-file: n2.conf~}}\n    n3: {port: 7003, config: {save: \"\", cluster-enabled: \"yes\", cluster-config-file: n3.conf~}}\n  terminals: {shop: n1, ops: shell, db: shell}\nexercises:\n  - id: e\n    title: E\n";

#[test]
fn each_fact_of_a_cluster_says_what_it_saw() {
    const MEET: &[&str] = &["CLUSTER MEET 127.0.0.1 7002", "ops: sleep 5"];
    for (goal, wrong, says, right) in [
        ("{state: ok}", &["PING"][..], "`n1` finds the cluster down.", &[][..]),
        ("{on: n1, known: 2}", &["PING"], "`n1` knows 1 nodes.", MEET),
        (
            "{on: n1, size: 1}",
            &["PING"],
            "`n1` counts 0 primaries with slots.",
            &["CLUSTER ADDSLOTS 5", "ops: sleep 5"],
        ),
        (
            "{on: n1, key: \"user:123\", owner: n1}",
            &["CLUSTER ADDSLOTS 5"],
            "For `n1` slot 12893 (of `user:123`) belongs to nobody.",
            &["CLUSTER ADDSLOTS 12893"],
        ),
        ("{on: n1, slot: 5, owner: n2}", &["CLUSTER ADDSLOTS 5"], "For `n1` slot 5 belongs to `n1`.", &[]),
        ("{on: n1, node: n2, role: primary}", &["PING"], "`n1` does not know `n2`.", MEET),
        ("{on: n1, node: n1, role: replica}", &["PING"], "`n1` is a primary.", &[]),
        ("{on: n1, node: n1, owns: 2}", &["CLUSTER ADDSLOTS 5"], "`n1` owns 1 slots.", &["CLUSTER ADDSLOTS 6"]),
        ("{on: n1, node: n1, epoch: 3}", &["PING"], "`n1` is in epoch 0.", &["CLUSTER SET-CONFIG-EPOCH 3"]),
        ("{on: n1, node: n1, replicas: 1}", &["PING"], "`n1` has 0 working replicas.", &[]),
        ("{on: n1, node: n1, health: failed}", &["PING"], "`n1` is online.", &[]),
        (
            "slot: {on: n1, number: 5, owner: n1}",
            &["CLUSTER ADDSLOTS 6"],
            "To `n1`, slot 5 belongs to nobody.",
            &["CLUSTER ADDSLOTS 5"],
        ),
        (
            "slot: {on: n1, of: \"user:123\", owner: nobody}",
            &["CLUSTER ADDSLOTS 12893"],
            "To `n1`, slot 12893 belongs to `n1`.",
            &["CLUSTER DELSLOTS 12893"],
        ),
    ] {
        let goal = if goal.starts_with('{') { format!("cluster: {goal}") } else { goal.to_owned() };
        let goals = format!(
            "    goals: [{{say: g, {goal}}}, {{say: h, key: {{on: n1, name: never, equals: never}}}}]\n    hints: [a, b]\n    wrong: [{{when: {{saw: {{on: n1, cmd: NEVER}}}}, try: {{shop: [PING]}}, say: no}}]\n    solutions: [{{shop: [PING]}}]\n"
        );
        let mut files = course_of("");
        files[2].1 = format!("{NODES}{goals}");
        let course = Course::parse(&files).unwrap_or_else(|faults| panic!("{goal}: {faults:?}"));
        let mut session = crate::tutor::Session::open(course.lessons().next().unwrap(), &embedded, None);
        type_all(&mut session, wrong);
        assert!(!session.exercises()[0].goals[0].met, "{goal}");
        assert_eq!(told(&session), says, "{goal}");
        type_all(&mut session, right);
        assert!(right.is_empty() || session.exercises()[0].goals[0].met, "{goal}: {}", told(&session));
    }
}

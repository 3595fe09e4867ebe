//! Each kind of check on a planted wrong state: what it says, and what meets it.

use super::*;

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
        "A line that prints `cannot` has not been seen.",
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
        ("{on: n1, node: n2, role: primary}", &["PING"], "`n1` does not know `n2`.", MEET),
        ("{on: n1, node: n1, role: replica}", &["PING"], "`n1` is a primary.", &[]),
        ("{on: n1, node: n1, owns: 2}", &["CLUSTER ADDSLOTS 5"], "`n1` owns 1 slots.", &["CLUSTER ADDSLOTS 6"]),
        ("{on: n1, node: n1, epoch: 3}", &["PING"], "`n1` is in epoch 0.", &["CLUSTER SET-CONFIG-EPOCH 3"]),
        ("{on: n1, node: n1, replicas: 1}", &["PING"], "`n1` has 0 working replicas.", &[]),
        ("{on: n1, node: n1, health: failed}", &["PING"], "`n1` is well.", &[]),
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

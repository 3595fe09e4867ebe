//! A small lesson and a hand-made world, so that frames do not change when a lesson's words do.

use crate::base::Millis;
use crate::console::{Class, Line};
use crate::lesson::{Course, Files, Inline};
use crate::snapshot::{Client, Db, Disk, File, Instance, Key, State, Value, World};
use crate::tui::model::{Look, Model, Scene, TerminalState, Write};
use crate::tui::theme::Kind;
use crate::tui::update::show_exercise;
use crate::tutor::{ExerciseState, GoalState};

pub const MORNING: Millis = Millis(1_893_488_400_000);

const MARKDOWN: &str = r#"---
title: Sessions that expire
---

A login should not last for ever. Give the session **half an hour**, and Redis counts down by itself.

<!-- do: login -->

`TTL` tells the seconds that are left. It answers `-1` for a key that never expires and `-2` for a key that is not there:

```redis
> TTL nobody
(integer) -2
```

> [!NOTE]
> A plain `SET` removes the time limit that was there.

| answer | means |
| --- | --- |
| -1 | no time limit |
| -2 | no such key |

<!-- do: look -->
"#;

const YAML: &str = r#"id: sessions.ttl
needs: []
teaches: [TTL]
world:
  clock: "2030-01-01T09:00:00Z"
  instances: {redis: {port: 6379, config: {save: "", appendonly: "no"}}}
  terminals: {alice: redis}
exercises:
  - id: login
    title: Log alice in for half an hour
    task: "Type `SET session:a1 alice EX 1800` and press Enter."
    goals:
      - say: "`session:a1` holds `alice`."
        key: {name: "session:a1", equals: alice}
    wrong:
      - when: {saw: {cmd: DEL}}
        try: {alice: ["DEL session:a1"]}
        say: "DEL takes away."
    hints: ["Which option of SET takes seconds?", "`SET session:a1 alice EX 1800`"]
    solutions: [{alice: ["SET session:a1 alice EX 1800"]}]
  - id: look
    title: How long is left?
    task: "Ask for the time that is left."
    goals:
      - say: "You asked for its TTL."
        when: latched
        saw: {cmd: "TTL session:a1"}
    wrong:
      - when: {saw: {cmd: DEL}}
        try: {alice: ["DEL session:a1"]}
        say: "DEL takes away."
    hints: ["It has three letters.", "`TTL session:a1`"]
    solutions: [{alice: ["TTL session:a1"]}]
"#;

pub fn course() -> Course {
    let files: Files = vec![
        (
            "course.yaml".into(),
            "id: test\nformat: 1\ntitle: Test\nmodules:\n  - id: sessions\n    title: Sessions\n    lessons: [01-sessions/02-ttl]\n"
                .into(),
        ),
        ("01-sessions/02-ttl/lesson.md".into(), MARKDOWN.into()),
        ("01-sessions/02-ttl/lab.yaml".into(), YAML.into()),
    ];
    Course::parse(&files).unwrap_or_else(|faults| {
        panic!("the fixture is a valid course: {:?}", faults.iter().map(|fault| &fault.message).collect::<Vec<_>>())
    })
}

pub fn key(name: &str, value: Value, expires_in: Option<u64>) -> Key {
    let (kind, encoding, length) = match &value {
        Value::String(text) => ("string", "embstr", text.len()),
        Value::Hash(fields) => ("hash", "listpack", fields.len()),
        Value::List(items) => ("list", "listpack", items.len()),
        _ => ("set", "listpack", 0),
    };
    Key {
        name: name.into(),
        kind,
        encoding,
        length,
        expires_at: expires_in.map(|secs| MORNING + Millis::from_secs(secs)),
        memory_bytes: 64,
        value,
    }
}

pub fn instance(keys: Vec<Key>, disk: Disk) -> Instance {
    let size = keys.len();
    Instance {
        name: "redis".into(),
        port: 6379,
        pid: 101,
        state: State::Running,
        dbs: if keys.is_empty() { Vec::new() } else { vec![Db { index: 0, keys, size }] },
        clients: vec![Client {
            id: 3,
            terminal: Some("alice".into()),
            db: 0,
            queued: None,
            watched: Vec::new(),
            subscriptions: 0,
            blocked: false,
            monitor: false,
            resp3: false,
            name: "".into(),
            user: "default".into(),
            authenticated: true,
        }],
        disk,
        config: Vec::new(),
        used_memory_bytes: 900_000,
        expired_keys: 0,
        users: Vec::new(),
        evicted_keys: 0,
        replication: None,
        cluster: None,
    }
}

/// The lesson at its first moment.
pub fn scene() -> Scene {
    let lesson = course().lessons().next().expect("the fixture has one lesson").clone();
    let exercises = lesson
        .exercises
        .iter()
        .map(|exercise| ExerciseState {
            id: exercise.id.clone(),
            title: exercise.title.clone(),
            task: exercise.task.clone(),
            goals: exercise
                .goals
                .iter()
                .map(|goal| GoalState { say: goal.say.clone(), met: false, latched: false, broken: false })
                .collect(),
            questions: Vec::new(),
            feedback: None,
            hints_shown: Vec::new(),
            hints_total: exercise.hints.len(),
            solved: false,
            solution_seen: false,
            started: true,
        })
        .collect();
    Scene {
        lesson,
        exercises,
        current: 0,
        done: false,
        world: World {
            now: MORNING,
            instances: vec![instance(Vec::new(), Disk::default())],
            files: Vec::new(),
            sql: Vec::new(),
            network: Default::default(),
        },
        terminals: vec![TerminalState {
            name: "alice".into(),
            prompt: "127.0.0.1:6379> ".into(),
            busy: false,
            asks: false,
        }],
        writes: Vec::new(),
        derived: Default::default(),
        orders: None,
    }
}

/// The first exercise done, keys of three kinds, one of them new, and AOF data in two layers.
pub fn later() -> Scene {
    let mut scene = scene();
    let keys = vec![
        key("cart:42", Value::Hash(vec![("apple".into(), "2".into()), ("tea".into(), "1".into())]), None),
        key("queue:mail", Value::List(vec!["welcome".into(), "receipt".into()]), None),
        key("session:a1", Value::String("alice".into()), Some(1800)),
    ];
    let file = |path: &str, len, durable_len| File { path: path.into(), len, durable_len, durable: len == durable_len };
    let disk = Disk {
        dir: "/home/lab".into(),
        files: vec![file("appendonlydir/appendonly.aof.1.incr.aof", 320, 200), file("dump.rdb", 104, 104)],
        changes_since_save: 2,
        last_save: Some(MORNING - Millis::from_secs(40)),
        save_points: vec![(60, 1000)],
        aof_enabled: true,
        appendfsync: "everysec".into(),
        aof_last_fsync: Some(MORNING - Millis(400)),
        ..Disk::default()
    };
    scene.world.instances = vec![instance(keys, disk)];
    scene.writes = [(60_000, "cart:42"), (30_000, "queue:mail"), (300, "session:a1")]
        .into_iter()
        .enumerate()
        .map(|(i, (ago, key))| Write {
            sequence: i as u64,
            at: MORNING - Millis(ago),
            instance: "redis".into(),
            db: 0,
            key: key.into(),
            event: "set".into(),
            by: Some(i as u64),
        })
        .collect();
    scene.exercises[0].solved = true;
    scene.exercises[0].goals[0].met = true;
    scene
}

pub fn model(size: (u16, u16)) -> Model {
    let look = Look { size, kind: Kind::Dark, ascii: false };
    let mut model = Model::new(look, scene(), vec![Vec::new()], Vec::new());
    show_exercise(&mut model);
    model
}

/// What the terminal prints for a line and its answer.
pub fn typed(text: &str, answer: Line) -> Vec<(usize, Line)> {
    vec![(0, Line::new(Class::Prompt, "127.0.0.1:6379> ").and(Class::Echo, text)), (0, answer)]
}

pub fn say(text: &str) -> Vec<Inline> {
    vec![Inline::plain(text)]
}

/// Two terminals: A watches and queues, B has written what A watches, and waits now.
pub fn two() -> Scene {
    use crate::resp::Reply;
    use crate::snapshot::{Event, What};
    use crate::tui::model::Derived;
    let mut scene = later();
    let names = ["alice".to_owned(), "bob".to_owned()];
    scene.terminals = names
        .iter()
        .map(|name| TerminalState {
            name: name.clone(),
            prompt: "127.0.0.1:6379> ".into(),
            busy: name == "bob",
            asks: false,
        })
        .collect();
    scene.terminals[0].prompt = "127.0.0.1:6379(TX)> ".into();
    let mut events: Vec<Event> = Vec::new();
    let mut happen = |what| {
        let sequence = events.len() as u64 + 1;
        events.push(Event { sequence, at: MORNING, instance: "redis".into(), what });
    };
    let command = |client, line: &str, reply| What::Command {
        client,
        terminal: Some(names[client as usize - 3].clone()),
        db: 0,
        args: line.split(' ').map(Into::into).collect(),
        reply,
    };
    happen(command(3, "WATCH stock", Reply::OK));
    happen(command(3, "GET stock", Reply::bulk("5")));
    happen(command(4, "SET stock 4", Reply::OK));
    happen(What::WatchBroken { client: 3, terminal: Some("alice".into()), db: 0, key: "stock".into(), by: Some(3) });
    happen(command(3, "MULTI", Reply::OK));
    happen(command(3, "SET stock 4", Reply::QUEUED));
    happen(command(4, "BLPOP queue:mail 0", Reply::None));
    let clients = &mut scene.world.instances[0].clients;
    clients.push(Client { id: 4, terminal: Some("bob".into()), blocked: true, ..clients[0].clone() });
    clients[0].queued = Some(vec![vec!["SET".into(), "stock".into(), "4".into()]]);
    clients[0].watched = vec![(0, "stock".into())];
    scene.derived = Derived::of(&look(&scene.world, &events, &names)).into();
    scene
}

/// A model with the two terminals of [`two`], each with something printed.
pub fn model_of_two(size: (u16, u16)) -> Model {
    let look = Look { size, kind: Kind::Dark, ascii: false };
    let line = |prompt: &str, text: &str| Line::new(Class::Prompt, prompt).and(Class::Echo, text);
    let alice = vec![line("127.0.0.1:6379(TX)> ", "SET stock 4"), Line::plain("QUEUED")];
    let bob = vec![line("127.0.0.1:6379> ", "BLPOP queue:mail 0")];
    Model::new(look, two(), vec![alice, bob], Vec::new())
}

/// Two servers, cache and sessions, after a power cut; three databases; two terminals that stand in different ones; a user.
pub fn shop() -> Scene {
    use crate::snapshot::{Event, User, What};
    use crate::tui::model::Derived;
    let mut scene = two();
    let mut cache = scene.world.instances[0].clone();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    cache.name = "cache".into();
    cache.dbs = vec![Db { index: 0, keys: vec![key("cache:9", Value::String("page".into()), None)], size: 1 }];
    cache.clients.clear();
    (cache.port, cache.evicted_keys) = (6380, 12);
    cache.used_memory_bytes = 1_900_000;
    cache.disk = Disk::default();
    cache.config = vec![
        pair("appendonly", "no"),
        pair("databases", "16"),
        pair("dir", "/home/lab/cache"),
        pair("maxmemory", "2000000"),
        pair("maxmemory-policy", "allkeys-lru"),
        pair("requirepass", ""),
    ];
    let redis = &mut scene.world.instances[0];
    redis.config = vec![
        pair("appendonly", "yes"),
        pair("databases", "16"),
        pair("dir", "/home/lab"),
        pair("maxmemory", "0"),
        pair("maxmemory-policy", "noeviction"),
        pair("requirepass", "geheim"),
    ];
    redis.dbs.push(Db { index: 3, keys: vec![key("cart:7", Value::String("tea".into()), Some(60))], size: 1 });
    redis.clients[1].db = 2;
    redis.clients[0].db = 3;
    let user = |name: &str, nopass, rules: &str| User { name: name.into(), on: true, nopass, rules: rules.into() };
    redis.users = vec![
        user("default", true, "user default on nopass sanitize-payload ~* &* +@all"),
        user("shop", false, "user shop on sanitize-payload #5e88 ~cart:* resetchannels -@all +get +set"),
    ];
    scene.world.instances.push(cache);
    let mut events: Vec<Event> = Vec::new();
    let mut happen = |instance: &str, what| {
        let sequence = events.len() as u64 + 1;
        events.push(Event { sequence, at: MORNING, instance: instance.into(), what });
    };
    let change = |key: &str, event: &str| What::Key { db: 0, key: key.into(), event: event.into(), by: None };
    for name in ["session:a1", "cart:42"] {
        happen("redis", change(name, "set"));
    }
    for n in 1..=9 {
        happen("cache", change(&format!("cache:{n}"), "set"));
    }
    for n in 1..=5 {
        happen("cache", change(&format!("cache:{n}"), "evicted"));
    }
    happen("", What::PowerCut);
    for (name, pid) in [("redis", 101), ("cache", 102)] {
        happen(name, What::Process { pid, state: State::Crashed, how: "power cut".into() });
        happen(name, What::Process { pid, state: State::Running, how: "started".into() });
    }
    let names = ["alice".to_owned(), "bob".to_owned()];
    scene.derived = Derived::of(&look(&scene.world, &events, &names)).into();
    scene
}

/// Two programs compared, and the order that loses an update replayed up to its third step.
pub fn compared() -> Scene {
    use crate::picture::orders::{Bar, Facts, Replay, Row};
    let row = |who, command: &str, reply: &str, notes: Vec<(bool, String)>| Row {
        who,
        command: command.into(),
        reply: reply.into(),
        notes,
    };
    let bar = |count, keys: &str, stale, lost, example| Bar {
        count,
        keys: keys.into(),
        ends: "A: OK  B: OK".into(),
        stale,
        lost,
        example,
    };
    let lost = "LOST UPDATE: what A wrote to stock in step 3 is gone, and B never saw it.";
    let mut scene = two();
    scene.orders = Some(Facts {
        names: vec!["sell.txt".into(), "sell.txt".into()],
        count: 6,
        of: None,
        bars: vec![bar(4, "stock \"4\"", 4, 4, 2), bar(2, "stock \"3\"", 0, 0, 1)],
        others: (0, 0),
        stale: 4,
        lost: 4,
        worst: Some((2, "ABAB".into())),
        replay: Some(Replay {
            number: 2,
            turns: vec![0, 1, 0, 1],
            rows: vec![
                row(0, "GET stock", "\"5\"", Vec::new()),
                row(1, "GET stock", "\"5\"", Vec::new()),
                row(0, "SET stock 4", "OK", Vec::new()),
                row(1, "SET stock 4", "OK", vec![(true, lost.into())]),
            ],
            steps: 4,
            end: Some("stock \"4\"  A: OK  B: OK".into()),
        }),
        changed: false,
    });
    scene
}

fn look<'a>(
    world: &'a crate::snapshot::World,
    events: &'a [crate::snapshot::Event],
    terminals: &'a [String],
) -> crate::picture::Look<'a> {
    crate::picture::Look { world, events, first_event: 0, terminals, here: 0, nodes_meant: false, orders: None }
}

/// Three primaries, one of them failed, its replica asking for votes; a slot that moves; the network stands still.
pub fn cluster() -> Scene {
    use crate::picture::cluster::{Facts, Node, Redirection, Vote};
    let mut scene = two();
    let node = |n: u16, slots: usize, of: Option<usize>| Node {
        id: format!("{n:040}"),
        name: format!("n{n}"),
        port: 7000 + n,
        mark: usize::from(n) - 1,
        replica: of.is_some(),
        of,
        epoch: u64::from(n),
        slots,
        running: Some(true),
        ..Node::default()
    };
    let mut nodes = vec![node(1, 5461, None), node(2, 5462, None), node(3, 5461, None), node(4, 0, Some(2))];
    (nodes[0].myself, nodes[0].keys, nodes[0].residents) = (true, 2, vec![0]);
    (nodes[2].failed, nodes[2].running) = (true, Some(false));
    nodes[1].thinks = vec!["epoch 6".into(), "suspects n3".into()];
    let facts = Facts {
        seen_by: "n1".into(),
        ok: false,
        epoch: 7,
        nodes,
        runs: vec![(0, 5460, 0), (5461, 10922, 1), (10923, 16383, 2)],
        moving: vec![(866, Some(0), Some(1))],
        hot: vec![(10778, 12), (866, 2)],
        used: 2,
        strangers: Vec::new(),
        votes: vec![Vote { who: "n4".into(), epoch: Some(7), votes: 1, needed: 2, rank: 0, starts_at: MORNING }],
        frozen: true,
        under_way: 9,
        messages: vec![("n4".into(), "n2".into(), "FAILOVER_AUTH_REQUEST".into())],
        cuts: Vec::new(),
        redirections: vec![Redirection {
            lane: Some(0),
            command: "GET user:1".into(),
            from: "n1".into(),
            ask: false,
            slot: 10778,
            to: "n2".into(),
        }],
    };
    let mut derived = (*scene.derived).clone();
    derived.cluster = vec![facts];
    scene.derived = derived.into();
    scene
}

//! One scenario on six redis-server processes and on six nodes of the lab: a cluster is made and filled, a primary is killed,
//! its replica takes over, the dead one comes back, a slot moves. What clients see, and what nodes log of it, has to be the
//! same in the same order.
//!
//! Node ids, ports and times are taken out. Epochs stay in. Left out is what depends on which of two messages is faster:
//! suspicion (`fail?`, which may last less than a look), the views while nodes meet or come back, connections.

use super::servers::wait_for_port;
use redlab::base::{Bytes, Millis};
use redlab::engine::cluster::slots::slot_of;
use redlab::port::Incoming;
use redlab::resp::decode::Replies;
use redlab::resp::{Reply, encode, render};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[path = "../cluster/lab.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod lab;

const NODES: usize = 6;
const CONFIG: &[(&str, &str)] =
    &[("cluster-node-timeout", "3000"), ("repl-diskless-sync-delay", "0"), ("logfile", "redis.log")];
/// How long anything may take, on the clock of the nodes.
const PATIENCE_MS: u64 = 20_000;
/// The time from look to look.
const LOOK_MS: u64 = 5;

/// Six nodes: three primaries, and a replica of each in the same order.
trait Six {
    fn port(&self, node: usize) -> u16;
    /// Requests of one connection, and their answers.
    fn ask_all(&mut self, node: usize, requests: &[&[&str]]) -> Vec<Reply>;
    fn ask(&mut self, node: usize, words: &[&str]) -> Reply {
        self.ask_all(node, &[words]).remove(0)
    }
    fn rest(&mut self, millis: u64);
    fn now_ms(&self) -> u64;
    /// kill -9.
    fn kill(&mut self, node: usize);
    fn start(&mut self, node: usize);
    fn log(&self, node: usize) -> String;
}

/// Processes on this machine.
struct Real {
    first: u16,
    dir: tempfile::TempDir,
    processes: Vec<Option<Child>>,
    began: Instant,
}

impl Real {
    /// None, with a line that says so, where redis-server is not installed.
    fn new() -> Option<Real> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut real =
            Real { first: free_ports(), dir, processes: (0..NODES).map(|_| None).collect(), began: Instant::now() };
        for node in 0..NODES {
            std::fs::create_dir(real.dir.path().join(node.to_string())).expect("a new folder");
            if !real.launch(node) {
                let required = std::env::var_os("REDLAB_REQUIRE_ORACLE").is_some();
                assert!(!required, "redis-server is not installed, and REDLAB_REQUIRE_ORACLE is set");
                eprintln!("SKIPPED: redis-server is not installed");
                return None;
            }
        }
        Some(real)
    }

    fn launch(&mut self, node: usize) -> bool {
        let port = self.port(node);
        let options = CONFIG.iter().flat_map(|(name, value)| [format!("--{name}"), String::from(*value)]);
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--cluster-enabled", "yes"])
            .args(options)
            .current_dir(self.dir.path().join(node.to_string()))
            .stdout(Stdio::null())
            .spawn();
        let Ok(process) = process else { return false };
        self.processes[node] = Some(process);
        wait_for_port(port);
        true
    }
}

/// The first of six ports in a row that are free, as are those of the bus.
fn free_ports() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let any = || TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
    let mut firsts = (0..100).map(|_| 10_000 + any() % 10_000);
    let fits = |first: &u16| (*first..first + NODES as u16).all(|port| is_free(port) && is_free(port + 10_000));
    firsts.find(fits).expect("free ports in a row")
}

impl Drop for Real {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            // It may have ended already; there is nothing to save.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Six for Real {
    fn port(&self, node: usize) -> u16 {
        self.first + node as u16
    }

    fn ask_all(&mut self, node: usize, requests: &[&[&str]]) -> Vec<Reply> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port(node))).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_millis(PATIENCE_MS))).expect("a positive time-out");
        let mut bytes = Vec::new();
        for words in requests {
            let args: Vec<Bytes> = words.iter().map(|word| Bytes::from(*word)).collect();
            encode::request(&mut bytes, &args);
        }
        stream.write_all(&bytes).expect("it reads");
        let (mut replies, mut buffer, mut found) = (Replies::new(), [0; 16 * 1024], Vec::new());
        while found.len() < requests.len() {
            if let Some(reply) = replies.next_reply().expect("it speaks RESP") {
                found.push(reply);
                continue;
            }
            let len = stream.read(&mut buffer).expect("it answers");
            assert!(len > 0, "node {node} hung up after {requests:?}");
            replies.feed(&buffer[..len]);
        }
        found
    }

    fn rest(&mut self, millis: u64) {
        std::thread::sleep(Duration::from_millis(millis));
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn kill(&mut self, node: usize) {
        let mut process = self.processes[node].take().expect("it runs");
        process.kill().expect("it runs");
        process.wait().expect("it was started here");
    }

    fn start(&mut self, node: usize) {
        assert!(self.launch(node), "it was there before");
    }

    fn log(&self, node: usize) -> String {
        std::fs::read_to_string(self.dir.path().join(format!("{node}/redis.log"))).expect("it logs")
    }
}

impl Six for lab::Lab {
    fn port(&self, node: usize) -> u16 {
        self.ports[node]
    }

    fn ask_all(&mut self, node: usize, requests: &[&[&str]]) -> Vec<Reply> {
        let connection = self.world.connect(self.ports[node], "").expect("it listens");
        for words in requests {
            self.world.send(connection, words.iter().map(|word| Bytes::from(*word)).collect());
        }
        let mut found = Vec::new();
        for _ in 0..PATIENCE_MS {
            found.extend(self.world.receive(connection).into_iter().filter_map(|incoming| match incoming {
                Incoming::Reply(reply) => Some(reply),
                _ => None,
            }));
            if found.len() == requests.len() {
                self.world.hang_up(connection);
                return found;
            }
            self.advance(1);
        }
        panic!("node {node} does not answer {requests:?}");
    }

    fn rest(&mut self, millis: u64) {
        self.advance(millis);
    }

    fn now_ms(&self) -> u64 {
        self.world.now().0
    }

    fn kill(&mut self, node: usize) {
        let port = self.ports[node];
        lab::Lab::kill(self, port);
    }

    fn start(&mut self, node: usize) {
        let port = self.ports[node];
        lab::Lab::start(self, port);
    }

    fn log(&self, node: usize) -> String {
        let bytes = self.world.read_file(&format!("{}/redis.log", self.ports[node])).expect("it logs");
        String::from_utf8(bytes).expect("text")
    }
}

/// Six nodes, their names, and what has been seen of them.
struct Story<'a> {
    six: &'a mut dyn Six,
    ids: Vec<String>,
    lines: Vec<String>,
}

impl Story<'_> {
    fn ask(&mut self, node: usize, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        render::tty(&self.six.ask(node, &words)).trim_end().to_owned()
    }

    fn text(&mut self, node: usize, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let Reply::Bulk(text) = self.six.ask(node, &words) else { panic!("{line} answers with a text") };
        text.lossy().into_owned()
    }

    /// With the names of nodes in place of ids and ports.
    fn named(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for node in 0..NODES {
            text = text.replace(&format!("127.0.0.1:{}", self.six.port(node)), &format!("node-{node}"));
            if let Some(id) = self.ids.get(node) {
                text = text.replace(id.as_str(), &format!("node-{node}"));
            }
        }
        text
    }

    /// Asks, and writes the answer down.
    fn tell(&mut self, node: usize, line: &str) {
        let answer = self.ask(node, line);
        let told = self.named(&format!("{node}> {line}\n{answer}"));
        self.lines.push(told);
    }

    /// What a node finds of all: whether the cluster is up; flags, primary, epoch and slots of each.
    fn view(&mut self, node: usize) -> String {
        // In a transaction, so that both are of the same moment.
        let requests: [&[&str]; 4] = [&["MULTI"], &["CLUSTER", "INFO"], &["CLUSTER", "NODES"], &["EXEC"]];
        let replies = self.six.ask_all(node, &requests);
        let Reply::Array(both) = &replies[3] else { panic!("EXEC answers with an array: {replies:?}") };
        let [Reply::Bulk(info), Reply::Bulk(nodes)] = both.as_slice() else { panic!("two texts: {both:?}") };
        let (info, nodes) = (info.lossy(), nodes.lossy());
        let state = info.lines().next().expect("it begins with the state").trim().to_owned();
        let mut rows: Vec<String> = nodes.lines().map(|line| self.row(line)).collect();
        rows.sort();
        format!("{state}\n{}", rows.join("\n"))
    }

    fn row(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let name = self.named(words[1].split('@').next().expect("an address"));
        let flags = words[2].replace("myself,", "");
        let slots: Vec<String> = words[8..].iter().map(|word| self.named(word)).collect();
        format!("{name} {flags} {} {} {}", self.named(words[3]), words[6], slots.join(" "))
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.six.now_ms() + PATIENCE_MS;
        while !done(self) {
            let now = self.six.now_ms();
            if now >= end {
                let views: Vec<String> = [1, 3].iter().map(|node| self.view(*node)).collect();
                panic!("{what}: not in {PATIENCE_MS} ms: {views:#?}\n{}", self.six.log(1));
            }
            self.six.rest(20);
        }
    }

    /// Writes down what nodes find, once that is so.
    #[track_caller]
    fn settle(&mut self, what: &str, nodes: &[usize], done: impl Fn(&str) -> bool) {
        self.until(what, |story| nodes.iter().all(|node| done(&story.view(*node))));
        for node in nodes {
            let told = format!("{what}, as node {node} finds it:\n{}", self.view(*node));
            self.lines.push(told);
        }
    }
}

/// The keys of the scenario, and the node that serves each at first.
fn keys() -> impl Iterator<Item = (String, usize)> {
    (0..60).map(|n| {
        let key = format!("cart:{n}");
        let owner = (0..3).rfind(|node| usize::from(slot_of(key.as_bytes())) >= node * 16384 / 3);
        (key, owner.expect("the first node's slots begin at 0"))
    })
}

fn create(story: &mut Story) {
    for node in 0..NODES {
        let id = story.text(node, "CLUSTER MYID");
        story.ids.push(id);
        story.tell(node, &format!("CLUSTER SET-CONFIG-EPOCH {}", node + 1));
        if node < 3 {
            let cut = |n: usize| n * 16384 / 3;
            story.tell(node, &format!("CLUSTER ADDSLOTSRANGE {} {}", cut(node), cut(node + 1) - 1));
        }
    }
    story.tell(0, "SET cart:0 early");
    for node in 1..NODES {
        let port = story.six.port(node);
        let answer = story.ask(0, &format!("CLUSTER MEET 127.0.0.1 {port}"));
        assert_eq!(answer, "OK");
    }
    let all_up =
        |view: &str| view.starts_with("cluster_state:ok") && !view.contains("handshake") && view.lines().count() == 7;
    story.settle("met", &[0, 1, 2, 3, 4, 5], all_up);
    for node in 3..NODES {
        let primary = story.ids[node - 3].clone();
        story.tell(node, &format!("CLUSTER REPLICATE {primary}"));
    }
    story.settle("replicas", &[0, 1, 2, 3, 4, 5], |view| all_up(view) && view.matches(" slave ").count() == 3);
    story.until("links", |story| (3..NODES).all(|node| story.text(node, "INFO").contains("master_link_status:up")));
}

fn load(story: &mut Story) {
    for (key, owner) in keys() {
        story.tell(owner, &format!("SET {key} {owner}"));
    }
    story.tell(0, "GET cart:1");
    story.tell(1, "GET cart:1");
    story.tell(2, "GET cart:1");
    story.tell(3, "GET cart:0");
    story.until("replicas", |story| (0..3).all(|node| story.ask(node, "DBSIZE") == story.ask(node + 3, "DBSIZE")));
    for node in 0..NODES {
        story.tell(node, "DBSIZE");
    }
    // Nobody is elected whose data is old: the replicas have heard from their primaries.
    story.six.rest(1_500);
}

/// The views of a primary, of the replica of the dead, and of another replica, each in its order.
fn failover(story: &mut Story) {
    const WATCHED: [usize; 3] = [1, 3, 4];
    let before = WATCHED.map(|node| story.view(node));
    let mut seen: Vec<Vec<String>> = before.iter().map(|view| vec![view.clone()]).collect();
    let own = keys().find(|(_, owner)| *owner == 1).expect("a third of the keys").0;
    story.six.kill(0);
    let end = story.six.now_ms() + PATIENCE_MS;
    let is_over = |view: &String| view.starts_with("cluster_state:ok") && view.contains("node-3 master - 7 0-5460");
    while !seen.iter().all(|views| views.last().is_some_and(is_over)) {
        assert!(story.six.now_ms() < end, "no failover: {seen:#?}\n{}", story.six.log(3));
        for (views, node) in seen.iter_mut().zip(WATCHED) {
            let view = story.view(node);
            if view.contains("fail?") || views.last() == Some(&view) {
                continue;
            }
            views.push(view);
            if node == 1 {
                let answer = story.ask(1, &format!("GET {own}"));
                views.push(format!("GET {own} at node 1: {answer}"));
                // The answer is no view: the next one is compared with what was seen before it.
                let view = views[views.len() - 2].clone();
                views.push(view);
            }
        }
        story.six.rest(LOOK_MS);
    }
    for (node, views) in WATCHED.iter().zip(seen) {
        story.lines.push(format!("the failover, as node {node} sees it:\n{}", views.join("\nthen\n")));
    }
    for (key, owner) in keys() {
        story.tell(if owner == 0 { 3 } else { owner }, &format!("GET {key}"));
    }
    story.tell(1, "GET cart:0");
    story.tell(3, "SET cart:0 late");
}

fn comeback(story: &mut Story) {
    story.six.start(0);
    let back = |view: &str| {
        view.starts_with("cluster_state:ok") && view.contains("node-0 slave node-3 7") && !view.contains("fail")
    };
    story.settle("the dead one is back", &[0, 1, 2, 3, 4, 5], back);
    story.until("its link", |story| story.text(0, "INFO").contains("master_link_status:up"));
    story.tell(0, "DBSIZE");
    story.tell(0, "GET cart:0");
}

/// A slot of node 1 goes to node 2, with a look at each step.
fn reshard(story: &mut Story) {
    let (key, _) = keys().find(|(_, owner)| *owner == 1).expect("a third of the keys");
    let (slot, tag) = (slot_of(key.as_bytes()), format!("{{{key}}}"));
    for n in 0..3 {
        story.tell(1, &format!("SET {tag}:{n} {n}"));
    }
    let (one, two) = (story.ids[1].clone(), story.ids[2].clone());
    story.tell(2, &format!("CLUSTER SETSLOT {slot} IMPORTING {one}"));
    story.tell(1, &format!("CLUSTER SETSLOT {slot} MIGRATING {two}"));
    story.settle("open", &[1, 2], |view| view.contains('['));
    story.tell(1, &format!("GET {tag}:0"));
    story.tell(1, &format!("GET {tag}:new"));
    story.tell(2, &format!("GET {tag}:0"));
    story.tell(1, &format!("CLUSTER COUNTKEYSINSLOT {slot}"));
    let port = story.six.port(2);
    let migrate = |story: &mut Story, key: &str| {
        let answer = story.ask(1, &format!("MIGRATE 127.0.0.1 {port} {key} 0 5000"));
        story.lines.push(format!("MIGRATE {key}: {answer}"));
    };
    migrate(story, &format!("{tag}:0"));
    migrate(story, &format!("{tag}:none"));
    story.tell(1, &format!("MGET {tag}:0 {tag}:1"));
    story.tell(1, &format!("MGET {tag}:0 {tag}:new"));
    story.tell(1, &format!("GET {tag}:0"));
    story.tell(1, &format!("CLUSTER SETSLOT {slot} NODE {two}"));
    for name in [format!("{tag}:1"), format!("{tag}:2"), key.clone()] {
        migrate(story, &name);
    }
    for node in [2, 1, 3] {
        story.tell(node, &format!("CLUSTER SETSLOT {slot} NODE {two}"));
    }
    let moved = format!(" {slot} ");
    let done = |view: &str| {
        let two = view
            .lines()
            .find(|line| line.starts_with("node-2"))
            .is_some_and(|line| format!("{line} ").contains(&moved));
        two && !view.contains('[')
    };
    story.settle("moved", &[0, 1, 2, 3, 4, 5], done);
    story.tell(1, &format!("GET {tag}:1"));
    story.tell(2, &format!("MGET {key} {tag}:0 {tag}:1 {tag}:2"));
    for node in 0..NODES {
        story.tell(node, "DBSIZE");
    }
}

/// What a node has logged of the cluster's life, without names and times.
fn logged(log: &str) -> Vec<String> {
    const KINDS: &[(&str, &str)] = &[
        ("Marking node", "a node has failed"),
        ("FAIL message received", "a node has failed"),
        ("Start of election delayed", "an election is to come"),
        ("Clear FAIL state", "a node has come back"),
        ("Failover auth granted", "a vote"),
        ("Configuration change detected. Reconfiguring myself as a replica", "a replica now"),
    ];
    const WHOLE: &[&str] = &[
        "Cluster state changed",
        "Starting a failover election",
        "Failover election won",
        "after successful failover",
        "New configEpoch set to",
        "configEpoch updated after importing",
    ];
    let mut kinds: Vec<String> = Vec::new();
    for line in log.lines() {
        let text = line.splitn(3, [' ']).last().unwrap_or_default();
        let kind = KINDS.iter().find(|(sign, _)| text.contains(sign)).map(|(_, kind)| String::from(*kind));
        let whole = || {
            let at = WHOLE.iter().any(|sign| text.contains(sign)).then(|| text.find(['*', '#']).map_or(0, |at| at + 2));
            at.map(|at| text[at..].to_owned())
        };
        if let Some(kind) = kind.or_else(whole)
            && kinds.last() != Some(&kind)
        {
            kinds.push(kind);
        }
    }
    kinds
}

fn tell_story(six: &mut dyn Six) -> Vec<String> {
    let mut story = Story { six, ids: Vec::new(), lines: Vec::new() };
    create(&mut story);
    load(&mut story);
    failover(&mut story);
    comeback(&mut story);
    reshard(&mut story);
    for node in 0..NODES {
        let log = logged(&story.six.log(node));
        story.lines.push(format!("the log of node {node}:\n{}", log.join("\n")));
    }
    story.lines
}

#[test]
fn six_processes_and_six_nodes_of_the_lab_live_through_the_same() {
    let config: String = CONFIG.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
    let ours = tell_story(&mut lab::Lab::new(1, NODES, &config, Millis(1)));
    assert!(ours.len() > 150, "{} lines", ours.len());
    let told = ours.join("\n");
    for sight in ["CLUSTERDOWN", "MOVED", "ASK ", "TRYAGAIN", "cluster_state:fail", "NOKEY", "a vote"] {
        assert!(told.contains(sight), "nothing of {sight}:\n{told}");
    }
    let Some(mut real) = Real::new() else { return };
    let theirs = tell_story(&mut real);
    println!("{} ms on six processes", real.now_ms());
    for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(ours, theirs, "line {at}: the lab, and redis-server");
    }
    assert_eq!(ours.len(), theirs.len());
}

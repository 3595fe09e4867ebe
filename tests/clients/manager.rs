//! The real `redis-cli --cluster` against nodes of `redlab serve`: a cluster's life from create to del-node, and repairs.

use crate::served::{PATIENCE, Served, connect, keys_on, redis_cli_is_here, wait_for};
use redis::RedisResult;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The cluster that redis-cli manages.
struct Managed {
    served: Served,
    _dir: Option<tempfile::TempDir>,
}

impl Managed {
    /// Separate empty nodes, with files that are synced.
    fn nodes(count: u16) -> Managed {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().to_str().expect("a plain path");
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--dir", path, "--nodes"];
        let served = Served::start(count, &[options.as_slice(), &[&count.to_string()]].concat());
        Managed { served, _dir: Some(dir) }
    }

    fn address(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.served.ports[node])
    }

    fn ask<T: redis::FromRedisValue>(&self, node: usize, line: &str) -> T {
        let reply: RedisResult<T> = self.try_ask(node, line);
        reply.unwrap_or_else(|error| panic!("{line} at node {node}: {error}"))
    }

    fn try_ask<T: redis::FromRedisValue>(&self, node: usize, line: &str) -> RedisResult<T> {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().expect("a name"));
        command.arg(words.collect::<Vec<_>>());
        command.query(&mut connect(self.served.ports[node], ""))
    }

    fn id(&self, node: usize) -> String {
        self.ask(node, "CLUSTER MYID")
    }

    /// `redis-cli --cluster WORDS`, which has to succeed; what it says.
    #[track_caller]
    fn manage(&self, words: &[&str]) -> String {
        self.manage_with(words, "")
    }

    /// The same, with answers to what it asks.
    #[track_caller]
    fn manage_with(&self, words: &[&str], answers: &str) -> String {
        let (done, said) = self.try_manage(words, answers);
        // What `fix` repairs it names so first.
        let clean = words[0] == "fix" || !said.contains("[ERR]");
        assert!(done && clean, "{words:?}: {said}");
        said
    }

    /// Whether it came to its end, and what it said.
    fn try_manage(&self, words: &[&str], answers: &str) -> (bool, String) {
        let began = Instant::now();
        let mut command = Command::new("redis-cli");
        command.arg("--cluster").args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it is installed");
        let mut stdin = process.stdin.take().expect("piped");
        stdin.write_all(answers.as_bytes()).expect("it reads");
        drop(stdin);
        let output = process.wait_with_output().expect("it was started here");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("{:6.2} s {}", began.elapsed().as_secs_f64(), words[0]);
        (output.status.success(), said)
    }

    /// Waits until all nodes agree and nothing is amiss.
    #[track_caller]
    fn check(&self) -> String {
        let start = Instant::now();
        loop {
            let output = Command::new("redis-cli").args(["--cluster", "check", &self.address(0)]).output();
            let said = String::from_utf8_lossy(&output.expect("it is installed").stdout).into_owned();
            let fine = said.contains("[OK] All nodes agree about slots configuration.")
                && said.contains("[OK] All 16384 slots covered.")
                && !said.contains("[WARNING]")
                && !said.contains("[ERR]");
            if fine {
                return said;
            }
            assert!(start.elapsed() < PATIENCE, "{said}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    fn load(&self, count: usize) {
        let nodes = self.served.ports.iter().take(3).map(|port| format!("redis://127.0.0.1:{port}/"));
        let mut client =
            redis::cluster::ClusterClient::new(nodes).expect("addresses").get_connection().expect("it is up");
        for n in 0..count {
            let () = redis::cmd("SET").arg(format!("cart:{n}")).arg(n).query(&mut client).expect("a write");
        }
    }

    fn read_back(&self, count: usize) {
        let node = format!("redis://{}/", self.address(0));
        let mut client =
            redis::cluster::ClusterClient::new(vec![node]).expect("addresses").get_connection().expect("it is up");
        for n in 0..count {
            let value: Option<usize> = redis::cmd("GET").arg(format!("cart:{n}")).query(&mut client).expect("a read");
            assert_eq!(value, Some(n), "cart:{n}");
        }
    }

    /// How many slots a node has, in its own eyes.
    fn slots_of(&self, node: usize) -> usize {
        let nodes: String = self.ask(node, "CLUSTER NODES");
        let own = nodes.lines().find(|line| line.contains("myself")).expect("it knows itself");
        let ranges = own.split(' ').skip(8).filter(|word| !word.starts_with('['));
        let len = |range: &str| -> usize {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            last.parse::<usize>().expect("a slot") - first.parse::<usize>().expect("a slot") + 1
        };
        ranges.map(len).sum()
    }

    fn slot(&self, key: &str) -> usize {
        self.ask(0, &format!("CLUSTER KEYSLOT {key}"))
    }
}

#[test]
fn redis_cli_leads_a_cluster_from_create_to_del_node() {
    if !redis_cli_is_here() {
        return;
    }
    let it = Managed::nodes(8);
    let all: Vec<String> = (0..6).map(|node| it.address(node)).collect();
    let mut words = vec!["create"];
    words.extend(all.iter().map(String::as_str));
    words.extend(["--cluster-replicas", "1", "--cluster-yes"]);
    let said = it.manage(&words);
    assert!(said.contains("[OK] All 16384 slots covered."), "{said}");
    it.check();
    it.load(300);

    let (first, second) = (it.id(0), it.id(1));
    let address = it.address(0);
    it.manage(&[
        "reshard",
        &address,
        "--cluster-from",
        &first,
        "--cluster-to",
        &second,
        "--cluster-slots",
        "100",
        "--cluster-yes",
    ]);
    assert_eq!((it.slots_of(0), it.slots_of(1)), (5361, 5562));
    let said = it.check();
    assert!(said.contains("[OK] 300 keys in 3 masters."), "{said}");
    it.manage(&["rebalance", &address, "--cluster-threshold", "1"]);
    let spread = [0, 1, 2].map(|node| it.slots_of(node));
    assert!(spread.iter().all(|slots| (5460..=5463).contains(slots)), "{spread:?}");
    it.check();

    // A new primary, and a replica of it.
    it.manage(&["add-node", &it.address(6), &address]);
    // Whoever is told of slots has to know all nodes.
    let knows = |node: usize| it.ask::<String>(node, "CLUSTER INFO").contains("cluster_known_nodes:7");
    wait_for("the new node", || (0..7).all(knows));
    // And whoever gets slots has to find the cluster up.
    wait_for("the new node", || it.ask::<String>(6, "CLUSTER INFO").contains("cluster_state:ok"));
    it.check();
    let third = it.id(6);
    // An equal share would be a quarter of all slots; the weight keeps the test short.
    let light = format!("{third}=0.05");
    it.manage(&["rebalance", &address, "--cluster-use-empty-masters", "--cluster-weight", &light]);
    let moved = it.slots_of(6);
    assert!((260..=280).contains(&moved), "{moved}");
    it.manage(&["add-node", &it.address(7), &address, "--cluster-slave", "--cluster-master-id", &third]);
    wait_for("the new replica", || {
        let info: String = it.ask(7, "INFO replication");
        info.contains("role:slave") && info.contains("master_link_status:up")
    });
    let said = it.check();
    assert!(said.contains("[OK] 300 keys in 4 masters."), "{said}");
    assert_eq!(keys_on(it.served.ports[6]), keys_on(it.served.ports[7]));

    // Whoever has slots is not removed.
    let refused =
        Command::new("redis-cli").args(["--cluster", "del-node", &address, &third]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&refused.stdout).contains("is not empty! Reshard data away and try again."));
    it.manage(&["rebalance", &address, "--cluster-threshold", "1", "--cluster-weight", &format!("{third}=0")]);
    assert_eq!(it.slots_of(6), 0);
    let replica = it.id(7);
    it.manage(&["del-node", &address, &replica]);
    it.manage(&["del-node", &address, &third]);
    let said = it.check();
    assert!(said.contains("[OK] 300 keys in 3 masters."), "{said}");
    assert!(it.ask::<String>(6, "CLUSTER INFO").contains("cluster_known_nodes:1"), "it was reset");
    it.read_back(300);

    let said = it.manage(&["call", &address, "PING"]);
    assert_eq!(said.matches("PONG").count(), 6, "{said}");
    it.manage(&["set-timeout", &address, "4000"]);
    it.manage(&["info", &address]);
}

#[test]
fn redis_cli_repairs_a_cluster() {
    if !redis_cli_is_here() {
        return;
    }
    let it = Managed { served: Served::cluster(), _dir: None };
    it.check();
    it.load(200);
    let ids = [0, 1, 2].map(|node| it.id(node));
    let address = it.address(0);

    // A move that was broken off, with keys on both sides.
    let (slot, from, to) = (it.slot("{cart:1}"), 0, 1);
    let tagged = |n: usize| format!("{{cart:1}}:{n}");
    let owner = (0..3).find(|node| it.try_ask::<()>(*node, "GET {cart:1}:0").is_ok()).expect("somebody owns it");
    let other = if owner == from { to } else { from };
    for n in 0..10 {
        let () = it.ask(owner, &format!("SET {} {n}", tagged(n)));
    }
    let () = it.ask(other, &format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[owner]));
    let () = it.ask(owner, &format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[other]));
    let target = it.served.ports[other];
    let moved = format!("MIGRATE 127.0.0.1 {target} {} 0 5000", tagged(0));
    assert_eq!(it.ask::<String>(owner, &moved), "OK");
    let said = String::from_utf8_lossy(
        &Command::new("redis-cli").args(["--cluster", "check", &address]).output().expect("it runs").stdout,
    )
    .into_owned();
    assert!(said.contains(&format!("[WARNING] The following slots are open: {slot}")), "{said}");
    let said = it.manage(&["fix", &address]);
    it.check();
    let counts = [owner, other].map(|node| it.ask::<usize>(node, &format!("CLUSTER COUNTKEYSINSLOT {slot}")));
    // With cart:1 itself. Where both have keys redis-cli 7.0 does not finish the move: the owner gets all back.
    assert_eq!(counts, [11, 0], "{said}");

    // Slots that nobody owns: without keys, with keys on one node, and with keys on two.
    let with_key = it.slot("cart:7");
    let is_empty =
        |slot: &usize| (0..3).all(|node| it.ask::<usize>(node, &format!("CLUSTER COUNTKEYSINSLOT {slot}")) == 0);
    let empty = (0..16384).find(is_empty).expect("200 keys leave slots empty");
    let both = it.slot("{cart:9}");
    let holder = (0..3).find(|node| it.try_ask::<()>(*node, "GET cart:9").is_ok()).expect("somebody owns it");
    let second = (holder + 1) % 3;
    let () = it.ask(second, &format!("CLUSTER SETSLOT {both} IMPORTING {}", ids[holder]));
    let mut visitor = connect(it.served.ports[second], "");
    let () = redis::cmd("ASKING").query(&mut visitor).expect("always allowed");
    let () = redis::cmd("SET").arg("{cart:9}:stray").arg(1).query(&mut visitor).expect("it imports the slot");
    for slot in [with_key, empty, both] {
        for node in 0..3 {
            // Who heard of it from its owner already has none to delete.
            let _: RedisResult<()> = it.try_ask(node, &format!("CLUSTER DELSLOTS {slot}"));
        }
    }
    wait_for("the loss to be known", || it.ask::<String>(1, "CLUSTER INFO").contains("cluster_state:fail"));
    // It asks each time, whatever --cluster-yes says.
    let (mut done, said) = it.try_manage(&["fix", &address], "yes\nyes\nyes\n");
    assert!(said.contains("The following uncovered slots have no keys across the cluster"), "{said}");
    assert!(said.contains("The following uncovered slots have keys in just one node"), "{said}");
    assert!(said.contains("The following uncovered slots have keys in multiple nodes"), "{said}");
    // It does not wait until all have heard that the slots are covered: the node that keys are taken from may still hold the
    // cluster for down, and MIGRATE is refused, by redis-server too. Then it has to be run once more.
    wait_for("the repair", || {
        done = done || it.try_manage(&["fix", &address], "yes\nyes\nyes\n").0;
        done
    });
    it.check();
    wait_for("the cluster", || (0..3).all(|node| it.ask::<String>(node, "CLUSTER INFO").contains("cluster_state:ok")));
    it.read_back(200);
    let total: usize = it.served.ports[..3].iter().map(|port| keys_on(*port)).sum();
    assert_eq!(total, 211);
}

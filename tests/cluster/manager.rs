//! `redis-cli --cluster` as the lab's shell has it, from eight empty nodes to a cluster that grew and shrank.

use redlab::backend::embedded::Embedded;
use redlab::base::Millis;
use redlab::console::Terminal;
use redlab::lab::topology::{Server, Topology};
use redlab::port::{Backend, NetworkChange};

struct Shell {
    backend: Embedded,
    terminal: Terminal,
}

impl Shell {
    /// Empty nodes on the ports from 7000 on.
    fn of(nodes: u16) -> Shell {
        let node = |port: u16| {
            let own = format!(
                "cluster-enabled yes\ncluster-config-file nodes-{port}.conf\ndbfilename {port}.rdb\nsave \"\"\n"
            );
            Server::new(
                &format!("n{port}"),
                port,
                &format!("{own}repl-diskless-sync-delay 0\ncluster-node-timeout 1000\n"),
            )
        };
        let instances = (7000..7000 + nodes).map(node).collect();
        let backend = Embedded::new(&Topology { instances, ..Topology::default() });
        Shell { backend, terminal: Terminal::new("ops") }
    }

    fn say(&mut self, line: &str) -> Vec<String> {
        self.terminal.submit(line, &mut self.backend).lines.iter().map(|line| line.text()).collect()
    }

    fn id_of(&mut self, port: u16) -> String {
        self.say(&format!("redis-cli -p {port} --raw CLUSTER MYID")).remove(0)
    }

    /// Nodes pass on what they know some times a second.
    fn rest(&mut self) {
        self.backend.advance(Millis(4000));
    }

    fn formed() -> Shell {
        let mut shell = Shell::of(8);
        let nodes: Vec<String> = (7000..7006).map(|port| format!("127.0.0.1:{port}")).collect();
        let shown =
            shell.say(&format!("redis-cli --cluster create {} --cluster-replicas 1 --cluster-yes", nodes.join(" ")));
        assert_eq!(shown.last().map(String::as_str), Some("[OK] All 16384 slots covered."), "{shown:#?}");
        shell.rest();
        shell
    }

    #[track_caller]
    fn check_is_clean(&mut self) -> Vec<String> {
        let shown = self.say("redis-cli --cluster check 127.0.0.1:7000");
        assert!(shown.contains(&"[OK] All nodes agree about slots configuration.".into()), "{shown:#?}");
        assert!(shown.contains(&"[OK] All 16384 slots covered.".into()), "{shown:#?}");
        assert!(!shown.iter().any(|line| line.contains("WARNING") || line.contains("ERR")), "{shown:#?}");
        shown
    }
}

#[test]
fn create_asks_before_it_changes_anything() {
    let mut shell = Shell::of(3);
    let shown = shell.say("redis-cli --cluster create 127.0.0.1:7000 127.0.0.1:7001 127.0.0.1:7002");
    assert_eq!(
        shown[1..4],
        ["Master[0] -> Slots 0 - 5460", "Master[1] -> Slots 5461 - 10922", "Master[2] -> Slots 10923 - 16383"]
    );
    assert_eq!(shell.terminal.prompt(), "Can I set the above configuration? (type 'yes' to accept): ");
    assert_eq!(shell.say("no"), ["*** Aborting..."]);
    assert_eq!(shell.terminal.prompt(), "$ ");
    assert!(shell.say("redis-cli -p 7000 --raw CLUSTER INFO").contains(&"cluster_slots_assigned:0".into()));
    let shown = shell.say("redis-cli --cluster create 127.0.0.1:7000 127.0.0.1:7001");
    assert!(shown[2].contains("not possible with 2 nodes and 0 replicas per node."), "{shown:#?}");
}

#[test]
fn a_cluster_grows_and_shrinks_without_losing_a_key() {
    let mut shell = Shell::formed();
    for n in 0..60 {
        shell.say(&format!("redis-cli -c -p 7000 SET cart:{n} {n}"));
    }
    let shown = shell.say("redis-cli --cluster add-node 127.0.0.1:7006 127.0.0.1:7000");
    assert_eq!(shown.last().map(String::as_str), Some("[OK] New node added correctly."), "{shown:#?}");
    shell.rest();
    let new = shell.id_of(7006);
    let shown = shell.say(&format!(
        "redis-cli --cluster reshard 127.0.0.1:7000 --cluster-from all --cluster-to {new} --cluster-slots 300 --cluster-yes"
    ));
    // redis-cli's rounding: of the largest source 101, of each of the other two 99.
    assert_eq!(shown.iter().filter(|line| line.starts_with("Moving slot ")).count(), 299);
    shell.rest();
    let shown = shell.check_is_clean();
    assert!(
        shown.iter().any(|line| line.starts_with("127.0.0.1:7006") && line.contains("| 299 slots |")),
        "{shown:#?}"
    );
    assert!(shown.contains(&"[OK] 60 keys in 4 masters.".into()), "{shown:#?}");
    let refused = shell.say(&format!("redis-cli --cluster del-node 127.0.0.1:7000 {new}"));
    assert_eq!(refused.last().unwrap(), "[ERR] Node 127.0.0.1:7006 is not empty! Reshard data away and try again.");
    let home = shell.id_of(7000);
    // With its last slot it becomes a replica, which is no error (redis#9223).
    let shown = shell.say(&format!(
        "redis-cli --cluster reshard 127.0.0.1:7000 --cluster-from {new} --cluster-to {home} --cluster-slots 299 --cluster-yes"
    ));
    assert!(!shown.iter().any(|line| line.contains("error")), "{shown:#?}");
    shell.rest();
    shell.say(&format!("redis-cli --cluster del-node 127.0.0.1:7000 {new}"));
    shell.rest();
    let shown = shell.check_is_clean();
    assert!(shown.contains(&"[OK] 60 keys in 3 masters.".into()), "{shown:#?}");
    let shown = shell.say("redis-cli --cluster rebalance 127.0.0.1:7000 --cluster-threshold 1");
    assert!(shown.iter().any(|line| line.starts_with(">>> Rebalancing across 3 nodes.")), "{shown:#?}");
    shell.rest();
    shell.check_is_clean();
    for n in 0..60 {
        assert_eq!(shell.say(&format!("redis-cli -c -p 7001 --raw GET cart:{n}")), [n.to_string()]);
    }
}

#[test]
fn reshard_asks_for_what_was_not_said() {
    let mut shell = Shell::formed();
    let (to, from) = (shell.id_of(7000), shell.id_of(7001));
    shell.say("redis-cli --cluster reshard 127.0.0.1:7000");
    assert_eq!(shell.terminal.prompt(), "How many slots do you want to move (from 1 to 16384)? ");
    shell.say("2");
    assert_eq!(shell.terminal.prompt(), "What is the receiving node ID? ");
    let shown = shell.say(&to);
    assert_eq!(shown[0], "Please enter all the source node IDs.");
    assert_eq!(shell.terminal.prompt(), "Source node #1: ");
    shell.say(&from);
    let shown = shell.say("done");
    assert_eq!(shown.last().unwrap(), &format!("    Moving slot 5462 from {from}"));
    assert_eq!(shell.terminal.prompt(), "Do you want to proceed with the proposed reshard plan (yes/no)? ");
    let shown = shell.say("yes");
    assert_eq!(shown, [5461, 5462].map(|slot| format!("Moving slot {slot} from 127.0.0.1:7001 to 127.0.0.1:7000: ")));
    assert_eq!(shell.terminal.prompt(), "$ ");
}

#[test]
fn fix_closes_what_a_broken_migration_left_open() {
    let mut shell = Shell::formed();
    let (from, to) = (shell.id_of(7001), shell.id_of(7000));
    shell.say("redis-cli -p 7001 SET {user:1}:a 1");
    let slot = shell.say("redis-cli -p 7000 --raw CLUSTER KEYSLOT {user:1}:a").remove(0);
    let (owner, other, owner_id, other_id) = match slot.parse::<u32>().unwrap() {
        5461..=10922 => (7001, 7000, &from, &to),
        _ => panic!("the key was chosen for the second node, not for slot {slot}"),
    };
    shell.say(&format!("redis-cli -p {other} CLUSTER SETSLOT {slot} IMPORTING {owner_id}"));
    shell.say(&format!("redis-cli -p {owner} CLUSTER SETSLOT {slot} MIGRATING {other_id}"));
    let shown = shell.say("redis-cli --cluster check 127.0.0.1:7000");
    assert!(shown.contains(&format!("[WARNING] The following slots are open: {slot}.")), "{shown:#?}");
    let shown = shell.say("redis-cli --cluster fix 127.0.0.1:7000");
    assert!(shown.iter().any(|line| line.starts_with(">>> Case 1: Moving slot")), "{shown:#?}");
    shell.rest();
    shell.check_is_clean();
    assert_eq!(shell.say("redis-cli -p 7000 --raw GET {user:1}:a"), ["1"]);
}

#[test]
fn fix_asks_for_each_kind_of_fault_and_takes_no_answer_for_two() {
    // The yes to the first question was taken for an answer to the second: what it was about had been mended meanwhile, so
    // the first was not asked again when the program ran on.
    let mut shell = Shell::formed();
    shell.say("redis-cli -p 7000 -c SET user:1 ann");
    let slot = shell.say("redis-cli -p 7000 --raw CLUSTER KEYSLOT user:1").remove(0);
    for port in 7000..7006 {
        shell.say(&format!("redis-cli -p {port} CLUSTER DELSLOTS 0"));
        shell.say(&format!("redis-cli -p {port} CLUSTER DELSLOTS {slot}"));
    }
    shell.say("redis-cli --cluster fix 127.0.0.1:7000");
    assert!(shell.terminal.prompt().starts_with("Fix these slots by covering with a random node?"));
    shell.say("yes");
    assert!(shell.terminal.prompt().starts_with("Fix these slots by covering with those nodes?"));
    assert_eq!(shell.say("no").last().map(String::as_str), Some("*** Aborting..."));
    // Ctrl-C at a question gives the program up.
    shell.say("redis-cli --cluster fix 127.0.0.1:7000");
    assert!(shell.terminal.asks());
    shell.terminal.interrupt(&mut shell.backend);
    assert_eq!(shell.terminal.prompt(), "$ ");
    shell.say("redis-cli --cluster fix 127.0.0.1:7000");
    shell.say("yes");
    shell.rest();
    shell.check_is_clean();
}

#[test]
fn numbers_that_make_no_sense_are_refused_at_once() {
    let mut shell = Shell::formed();
    let ids: Vec<String> = (7000..7003).map(|port| format!("{}=0", shell.id_of(port))).collect();
    // Nobody would take the slots: it was looked for somebody for ever.
    let shown = shell.say(&format!("redis-cli --cluster rebalance 127.0.0.1:7000 --cluster-weight {}", ids.join(" ")));
    assert!(shown.last().is_some_and(|line| line.starts_with("*** The weights come to nothing")), "{shown:#?}");
    let shown =
        shell.say(&format!("redis-cli --cluster create 127.0.0.1:7006 127.0.0.1:7007 --cluster-replicas {}", u64::MAX));
    assert!(shown.iter().any(|line| line.contains("is not possible")), "{shown:#?}");
}

#[test]
fn a_call_reaches_all_and_faults_are_named() {
    let mut shell = Shell::formed();
    let mut shown = shell.say("redis-cli --cluster call 127.0.0.1:7000 PING --cluster-only-masters");
    shown.sort();
    assert_eq!(shown, ["127.0.0.1:7000: PONG", "127.0.0.1:7001: PONG", "127.0.0.1:7002: PONG", ">>> Calling PING"]);
    assert_eq!(shell.say("redis-cli --cluster frob")[0], "Unknown --cluster subcommand");
    assert!(shell.say("redis-cli --cluster check")[0].starts_with("[ERR] Wrong number of arguments"));
    assert_eq!(
        shell.say("redis-cli --cluster info 127.0.0.1:7999")[0],
        "Could not connect to Redis at 127.0.0.1:7999: Connection refused"
    );
}

/// The last lines of what a shop printed that was open meanwhile.
fn report(shown: &[String]) -> &[String] {
    let at = shown.iter().rposition(|line| line.starts_with("shop: ")).unwrap_or_else(|| panic!("{shown:#?}"));
    &shown[at..]
}

#[test]
fn a_shop_that_stays_open_is_refused_nothing_while_slots_move() {
    let mut shell = Shell::formed();
    shell.say("redis-cli --cluster add-node 127.0.0.1:7006 127.0.0.1:7000");
    shell.rest();
    shell.say("shop-open 7000 sleep 5");
    let new = shell.id_of(7006);
    let shown = shell.say(&format!(
        "shop-open 7000 redis-cli --cluster reshard 127.0.0.1:7000 --cluster-from all --cluster-to {new} --cluster-slots 3000 --cluster-yes"
    ));
    let report = report(&shown);
    assert!(report[0].starts_with("shop: 29 sales in 2.9 s, 58 requests"), "{report:#?}");
    assert_eq!(report[2], "refused: 0; answered wrongly: 0");
    assert_eq!(report[3], "sales answered with OK, of all days: 79; there now: 79");
    let moved = shell.say("grep -c MOVED sales.log").remove(0);
    assert!(report[1].starts_with(&format!("sent on: {moved} times by MOVED")) && moved != "0", "{report:#?} {moved}");
}

#[test]
fn a_shop_notices_a_dead_node_until_its_replica_has_taken_over() {
    let mut shell = Shell::formed();
    shell.say("shop-open 7000 sleep 10");
    shell.say("kill -9 7001");
    let shown = shell.say("shop-open 7000 sleep 10");
    let report = report(&shown);
    assert!(!report[2].starts_with("refused: 0;"), "{report:#?}");
    assert!(report[3].starts_with("first refusal: "), "{report:#?}");
    let again = shell.say("shop-open 7000 sleep 3");
    assert_eq!(self::report(&again)[2], "refused: 0; answered wrongly: 0", "{again:#?}");
    for (line, says) in
        [("shop-open", "usage: shop-open PORT"), ("shop-open 7999 date", "shop-open: Could not connect")]
    {
        let shown = shell.say(line);
        assert!(shown.iter().any(|line| line.starts_with(says)), "{line}: {shown:#?}");
    }
}

#[test]
fn a_frozen_network_keeps_nobody_waiting_for_ever() {
    let mut shell = Shell::formed();
    let (from, to) = (shell.id_of(7000), shell.id_of(7001));
    // Slot 0 goes first, and has a key that MIGRATE has to carry over.
    shell.say("redis-cli -p 7000 SET cart:82949 plum");
    shell.backend.network(NetworkChange::Freeze(true)).unwrap();
    let shown = shell.say(&format!(
        "shop-open 7000 redis-cli --cluster reshard 127.0.0.1:7000 --cluster-from {from} --cluster-to {to} --cluster-slots 1 --cluster-yes"
    ));
    assert!(shown.contains(&"Node 127.0.0.1:7000 does not answer".into()), "{shown:#?}");
}

#[test]
fn an_election_is_seen_message_by_message() {
    // Of every ten steps nine were attempts to connect to the dead node and their refusals.
    let mut shell = Shell::formed();
    shell.say("kill -9 7001");
    let mut told = Vec::new();
    while told.len() < 1000 && !told.iter().any(|line: &String| line.contains("AUTH_ACK")) {
        let step = shell.backend.network(NetworkChange::Step(Millis(60_000))).unwrap();
        told.push(step.expect("nodes of a cluster are never silent for a minute"));
    }
    let at =
        |what: &str| told.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {told:#?}"));
    assert!(at("fail?") < at(": FAIL ") && at(": FAIL ") < at("AUTH_REQUEST") && at("AUTH_REQUEST") < at("AUTH_ACK"));
    assert!(!told.iter().any(|line| line.contains("connection refused") || line.ends_with(": connect")), "{told:#?}");
}

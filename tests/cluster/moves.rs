//! Slots on their way from one primary to another, as redis-cli moves them: one command after the other, any of which may be the
//! last; and the repair of what such a move has left, by `redis-cli --cluster fix` of the lab's shell.

use crate::lab::Lab;
use redlab::base::{Bytes, Millis, Rng};
use redlab::console::Terminal;
use redlab::engine::cluster::slots::slot_of;
use redlab::lab::World;
use redlab::port::{Backend, ConnectionId, Incoming};
use redlab::resp::{Reply, render};
use redlab::snapshot;
use std::collections::BTreeMap;

/// How long MIGRATE waits for its target.
const MIGRATE_MS: &str = "500";

/// A slot that is being moved.
#[derive(Clone, Debug)]
pub struct Move {
    pub slot: u16,
    pub from: u16,
    pub to: u16,
    ids: [String; 2],
    /// Who is told of the new owner in the end, in this order.
    told: Vec<u16>,
    step: Step,
    /// Asked, and not yet answered.
    asked: Option<ConnectionId>,
}

#[derive(Clone, Debug)]
enum Step {
    Import,
    Open,
    List,
    Carry(Vec<Bytes>),
    Tell(usize),
}

/// What has become of a move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Went {
    On,
    Done,
    /// A command was refused, or whoever was asked is gone: redis-cli ends there.
    Broken,
}

impl Move {
    /// All three must run.
    pub fn new(lab: &Lab, slot: u16, from: u16, to: u16) -> Move {
        let primary = |port: &u16| lab.node(*port).is_some_and(|cluster| cluster.me().is_primary());
        let others = lab.ports.iter().copied().filter(primary).filter(|port| ![from, to].contains(port));
        let told = [to, from].into_iter().chain(others).collect();
        Move { slot, from, to, ids: [lab.id(from), lab.id(to)], told, step: Step::Import, asked: None }
    }

    /// Sends the next command, or looks for the answer to the last one.
    pub fn go_on(&mut self, lab: &mut Lab) -> Went {
        let connection = match self.asked.take() {
            Some(connection) => connection,
            None => {
                let (port, words) = self.command();
                let Ok(connection) = lab.world.connect(port, "") else { return Went::Broken };
                lab.world.send(connection, words);
                connection
            }
        };
        let reply = match lab.world.receive(connection).into_iter().next() {
            None => {
                self.asked = Some(connection);
                return Went::On;
            }
            Some(Incoming::Reply(reply)) => reply,
            Some(_) => return Went::Broken,
        };
        lab.world.hang_up(connection);
        self.take(reply)
    }

    /// Lets go of it, whatever has been done so far.
    pub fn abandon(self, lab: &mut Lab) {
        if let Some(connection) = self.asked {
            lab.world.hang_up(connection);
        }
    }

    fn command(&self) -> (u16, Vec<Bytes>) {
        let slot = self.slot.to_string();
        let [from, to] = &self.ids;
        let set = |state: &str, id: &str| ["CLUSTER", "SETSLOT", &slot, state, id].map(Bytes::from).to_vec();
        match &self.step {
            Step::Import => (self.to, set("IMPORTING", from)),
            Step::Open => (self.from, set("MIGRATING", to)),
            Step::List => (self.from, ["CLUSTER", "GETKEYSINSLOT", &slot, "10"].map(Bytes::from).to_vec()),
            Step::Carry(keys) => {
                let port = self.to.to_string();
                let words = ["MIGRATE", "127.0.0.1", &port, "", "0", MIGRATE_MS, "KEYS"].map(Bytes::from);
                (self.from, words.into_iter().chain(keys.iter().cloned()).collect())
            }
            Step::Tell(at) => (self.told[*at], set("NODE", to)),
        }
    }

    fn take(&mut self, reply: Reply) -> Went {
        if reply.is_error() {
            return Went::Broken;
        }
        self.step = match (&self.step, reply) {
            (Step::Import, _) => Step::Open,
            (Step::Open | Step::Carry(_), _) => Step::List,
            (Step::List, Reply::Array(keys)) if !keys.is_empty() => {
                let name = |key| if let Reply::Bulk(name) = key { name } else { panic!("a key's name: {key:?}") };
                Step::Carry(keys.into_iter().map(name).collect())
            }
            (Step::List, _) => Step::Tell(0),
            (Step::Tell(at), _) if at + 1 == self.told.len() => return Went::Done,
            (Step::Tell(at), _) => Step::Tell(at + 1),
        };
        Went::On
    }
}

/// Whether a node that runs holds any slot to be on its way.
pub fn any_open(lab: &Lab) -> bool {
    let mut nodes = lab.ports.iter().filter_map(|port| lab.node(*port));
    nodes.any(|cluster| !cluster.migrating.is_empty() || !cluster.importing.is_empty())
}

/// Whether a node that runs holds the slot to be on its way.
pub fn is_open(lab: &Lab, slot: u16) -> bool {
    let open = |port: &u16| {
        let cluster = lab.node(*port)?;
        Some(cluster.migrating.contains_key(&slot) || cluster.importing.contains_key(&slot))
    };
    lab.ports.iter().filter_map(open).any(|open| open)
}

/// What an operator does by hand where `redis-cli --cluster fix` gives up.
///
/// A node may still hand over a slot that has become another's since: redis-cli "can't fix" that if somebody else hands it over
/// too. And a node that imports a slot does not hear who owns it now: if it knows no owner, it refuses the keys.
pub fn help_by_hand(lab: &mut Lab) {
    for port in lab.ports.clone() {
        let Some(cluster) = lab.node(port).filter(|cluster| cluster.me().is_primary()) else { continue };
        let mine = |slot: u16| cluster.owner(slot) == Some(cluster.myself);
        let stale: Vec<u16> = cluster.migrating.keys().copied().filter(|slot| !mine(*slot)).collect();
        let unknown = cluster.importing.keys().copied().filter(|slot| cluster.owner(*slot).is_none());
        let unknown: Vec<u16> = unknown.collect();
        for slot in stale {
            lab.ask(port, &format!("CLUSTER SETSLOT {slot} STABLE"));
        }
        for slot in unknown {
            if let Some(owner) = lab.ports.iter().copied().find(|port| lab.owner(*port, slot) == Some(*port)) {
                let id = lab.id(owner);
                lab.ask(port, &format!("CLUSTER SETSLOT {slot} NODE {id}"));
            }
        }
    }
}

/// The lab's shell stands before the world like this.
struct Machine<'a>(&'a mut World);

impl Backend for Machine<'_> {
    fn now(&self) -> Millis {
        self.0.now()
    }

    fn advance(&mut self, span: Millis) {
        self.0.advance(span);
    }

    fn connect(&mut self, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        self.0.connect(port, terminal)
    }

    fn send(&mut self, connection: ConnectionId, args: Vec<Bytes>) {
        self.0.send(connection, args);
    }

    fn receive(&mut self, connection: ConnectionId) -> Vec<Incoming> {
        self.0.receive(connection)
    }

    fn hang_up(&mut self, connection: ConnectionId) {
        self.0.hang_up(connection);
    }

    fn snapshot(&self) -> snapshot::World {
        self.0.snapshot()
    }
}

/// `redis-cli --cluster fix`, and what it printed; then a rest.
///
/// It has nodes take epochs (BUMPEPOCH) of which the others hear only with the next pings. Whoever imports a slot before that may
/// take the same epoch; of the two, the one that had the slot before may win when that is settled, just when it is told that
/// the slot is not its own any more. Then nobody claims the slot and its keys are gone: so it is in Redis.
pub fn fix(lab: &mut Lab) -> Vec<String> {
    let line = format!("redis-cli --cluster fix 127.0.0.1:{} --cluster-yes", lab.ports[0]);
    let printed = Terminal::new("ops").submit(&line, &mut Machine(&mut lab.world)).lines;
    lab.advance(3_000);
    printed.iter().map(|line| line.text()).collect()
}

/// A client of the whole cluster: it goes where it is sent, and comes back where it shall try again.
#[derive(Default)]
pub struct Client {
    connections: BTreeMap<u16, ConnectionId>,
}

impl Client {
    /// The answer to a command about one key, asked at `port` first.
    pub fn ask(&mut self, lab: &mut Lab, mut port: u16, words: &[&str]) -> String {
        let mut asking = false;
        for _ in 0..1_000 {
            if asking {
                self.ask_at(lab, port, &["ASKING"]);
            }
            let answer = self.ask_at(lab, port, words);
            let sent_to = |sign: &str| answer.strip_prefix(sign)?.rsplit_once(':')?.1.parse::<u16>().ok();
            asking = sent_to("(error) ASK ").is_some();
            match sent_to("(error) ASK ").or(sent_to("(error) MOVED ")) {
                Some(other) => {
                    port = other;
                    lab.advance(1);
                }
                None if answer.starts_with("(error) TRYAGAIN") => lab.advance(1),
                None => return answer,
            }
        }
        panic!("{words:?} is sent on and on{}", lab.story());
    }

    fn ask_at(&mut self, lab: &mut Lab, port: u16, words: &[&str]) -> String {
        let connection =
            *self.connections.entry(port).or_insert_with(|| lab.world.connect(port, "").expect("it listens"));
        lab.world.send(connection, words.iter().map(|word| Bytes::from(*word)).collect());
        for _ in 0..10_000 {
            match lab.world.receive(connection).into_iter().next() {
                Some(Incoming::Reply(reply)) => return render::tty(&reply).trim_end().to_owned(),
                // It stands still while keys travel.
                _ => lab.advance(1),
            }
        }
        panic!("{port} does not answer {words:?}{}", lab.story());
    }
}

const KEYS: usize = 8;

/// Nothing fails but the hand that moves slots: it stops at any step, and perhaps begins again, while clients write. What was
/// acknowledged is there, then and after the repair.
fn world_in_which_only_moves_stop(seed: u64) {
    let mut lab = Lab::formed(seed, 3, 1, "cluster-node-timeout 2000\nrepl-diskless-sync-delay 0", Millis(1));
    let mut rng = Rng::new(seed ^ 0x510f);
    let (mut client, mut values) = (Client::default(), [0u64; KEYS]);
    let (mut current, mut printed): (Option<Move>, _) = (None, Vec::new());
    for _ in 0..80 {
        match &mut current {
            Some(_) if rng.below(12) == 0 => current.take().expect("just seen").abandon(&mut lab),
            Some(moved) => match moved.go_on(&mut lab) {
                Went::On => {}
                Went::Done => current = None,
                Went::Broken => current = None,
            },
            None => {
                let slot = slot_of(format!("cart:{}", rng.below(KEYS)).as_bytes());
                // No reshard begins before what another has left open is closed: redis-cli refuses to.
                if any_open(&lab) {
                    printed = fix(&mut lab);
                }
                let owners: Vec<u16> =
                    [7001, 7002, 7003].into_iter().filter(|port| lab.owner(*port, slot) == Some(*port)).collect();
                let to = 7001 + rng.below(3) as u16;
                if let [from] = owners[..]
                    && from != to
                {
                    current = Some(Move::new(&lab, slot, from, to));
                }
            }
        }
        for _ in 0..2 {
            let index = rng.below(KEYS);
            let (port, key) = (7001 + rng.below(3) as u16, format!("cart:{index}"));
            let read = client.ask(&mut lab, port, &["GET", &key]);
            let expected = if values[index] == 0 { String::from("(nil)") } else { format!("\"{}\"", values[index]) };
            assert_eq!(read, expected, "seed {seed}: {key} {current:?} {printed:#?}{}", lab.story());
            let value = values[index] + 1;
            assert_eq!(client.ask(&mut lab, port, &["SET", &key, &value.to_string()]), "OK", "seed {seed}: {key}");
            values[index] = value;
        }
        let pause = rng.below(40) as u64;
        lab.advance(pause);
    }
    if let Some(moved) = current.take() {
        moved.abandon(&mut lab);
    }
    lab.advance(2_000);
    printed.extend(fix(&mut lab));
    for (index, value) in values.iter().enumerate().filter(|(_, value)| **value > 0) {
        let key = format!("cart:{index}");
        assert!(!is_open(&lab, slot_of(key.as_bytes())), "seed {seed}: {key} {printed:#?}{}", lab.story());
        let read = client.ask(&mut lab, 7001, &["GET", &key]);
        assert_eq!(read, format!("\"{value}\""), "seed {seed}: {key} after the repair {printed:#?}{}", lab.story());
    }
}

#[test]
fn moves_that_stop_anywhere_lose_nothing() {
    for seed in crate::storms::seeds().step_by(5) {
        world_in_which_only_moves_stop(seed);
    }
}

//! A world of the lab in which anything happens: commands, crashes, power cuts, edits, cuts of the network, undo.
//!
//! What must hold besides that nothing panics: a fork that gets the same inputs is the same world; a snapshot changes
//! nothing; and the journal makes the same world again.

use crate::commands;
use crate::harness::{Watch, episodes};
use redlab::base::{Bytes, Millis, Rng, quote};
use redlab::lab::{Server, Timeline, Topology};
use redlab::port::{ConnectionId, NetworkChange, Signal};
use redlab::snapshot::State;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

const FEW: u64 = 6;
const INPUTS: usize = 120;
const PORTS: [u16; 3] = [6379, 6380, 6381];

fn topology(rng: &mut Rng) -> Topology {
    let configs = [
        "appendonly yes\nappendfsync everysec\ndatabases 4",
        "save 60 1\nreplicaof 127.0.0.1 6379\ndatabases 4",
        "save \"\"\nmaxmemory 2mb\nmaxmemory-policy allkeys-lru",
        "appendonly yes\nappendfsync always\nreplicaof 127.0.0.1 6379",
        "save 900 1 5 10\nrdbcompression no",
    ];
    let names = ["redis", "copy", "other"];
    let server = |index: usize, config: &str| Server::new(names[index], PORTS[index], config);
    let instances = (0..PORTS.len()).map(|index| server(index, configs[rng.below(configs.len())])).collect();
    let latency = Millis(rng.below(3) as u64 * 40);
    Topology { instances, latency, torn_tails: rng.below(2) == 0, seed: rng.next_u64(), ..Topology::default() }
}

struct Story {
    world: Timeline,
    rng: Rng,
    connections: Vec<ConnectionId>,
    lines: Vec<String>,
}

impl Story {
    fn one_thing_happens(&mut self) {
        let name = |index: usize| PORTS[index].to_string();
        let (a, b) = (self.rng.below(3), self.rng.below(3));
        match self.rng.below(48) {
            0 | 1 => {
                let ms = [1, 100, 1_000, 20_000, 90_000][self.rng.below(5)];
                self.note(format!("sleep {ms}"));
                self.world.sleep(Millis(ms));
            }
            2 => {
                let snapshot = self.world.world().snapshot();
                let Some(instance) =
                    snapshot.instances.iter().find(|it| it.port == PORTS[a] && it.state == State::Running)
                else {
                    return;
                };
                let signal = if self.rng.below(2) == 0 { Signal::Kill } else { Signal::Term };
                self.note(format!("{signal:?} {}", instance.name));
                let _ = self.world.signal(instance.pid, signal);
            }
            3 | 4 => {
                self.note(format!("start {a}"));
                self.world.spawn(&[format!("{}.conf", ["redis", "copy", "other"][a])]);
            }
            5 if self.rng.below(3) == 0 => {
                self.note(String::from("power cut"));
                self.world.power_cut();
            }
            6 | 7 if a != b => {
                let change = match self.rng.below(5) {
                    0 => NetworkChange::Cut(name(a), name(b)),
                    1 => NetworkChange::Heal(name(a), name(b)),
                    2 => NetworkChange::HealAll,
                    3 => NetworkChange::Delay(name(a), name(b), Millis(self.rng.below(500) as u64)),
                    _ => NetworkChange::Loss(name(a), name(b), self.rng.below(60) as u32),
                };
                self.note(format!("{change:?}"));
                let _ = self.world.network(change);
            }
            8 => {
                self.note(String::from("mark"));
                self.world.mark();
            }
            9 => {
                self.note(String::from("undo"));
                self.world.undo();
            }
            10 => {
                self.note(String::from("redo"));
                self.world.redo();
            }
            11 => {
                let text = commands::pick(
                    &["port 6379\nsave 1 1\n", "port x\n", "", "appendonly yes\nport 6379\n"],
                    &mut self.rng,
                );
                self.note(format!("write redis.conf {text:?}"));
                let _ = self.world.write_file("redis.conf", text.as_bytes());
            }
            12 => {
                if let Ok(connection) = self.world.connect(PORTS[a], "alice") {
                    self.note(format!("connect {a}"));
                    self.connections.push(connection);
                }
            }
            13 if !self.connections.is_empty() => {
                let at = self.rng.below(self.connections.len());
                self.note(format!("hang up {at}"));
                self.world.hang_up(self.connections.remove(at));
            }
            _ if !self.connections.is_empty() => {
                let connection = self.connections[self.rng.below(self.connections.len())];
                let words = if self.rng.below(3) == 0 {
                    commands::any(&mut self.rng)
                } else {
                    commands::writing(&mut self.rng)
                };
                self.note(format!("{}> {}", connection.0, quote::line_of(&words)));
                self.world.send(connection, words);
                self.world.receive(connection);
            }
            _ => {}
        }
    }

    fn note(&mut self, line: String) {
        self.lines.push(line);
    }

    fn check(&mut self, topology: &Topology) {
        let world = self.world.world();
        let hash = world.state_hash();
        let snapshot = world.snapshot();
        assert_eq!(hash, world.state_hash(), "a snapshot changed something");
        let (mut one, mut other) = (world.clone(), world.clone());
        for fork in [&mut one, &mut other] {
            fork.advance(Millis(2_000));
            for connection in &self.connections {
                fork.send(*connection, vec![Bytes::from("SPOP"), Bytes::from("a"), Bytes::from("2")]);
            }
            fork.advance(Millis(61_000));
        }
        assert_eq!(one.state_hash(), other.state_hash(), "two forks with the same inputs differ");
        assert_eq!(hash, self.world.world().state_hash(), "a fork changed what it was made from");
        assert!(snapshot == self.world.world().snapshot());
        let again = Timeline::resume(topology, None, &self.world.journal()).expect("its own journal");
        assert_eq!(hash, again.world().state_hash(), "the journal makes another world");
    }
}

fn episode(seed: u64) -> usize {
    let watch = Watch::begin("worlds", &seed.to_le_bytes());
    let mut rng = Rng::new(seed);
    let topology = topology(&mut rng);
    let world = Timeline::new(&topology, None);
    let mut story = Story { world, rng, connections: Vec::new(), lines: Vec::new() };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for port in PORTS {
            if let Ok(connection) = story.world.connect(port, "alice") {
                story.connections.push(connection);
            }
        }
        for index in 0..INPUTS {
            story.one_thing_happens();
            if index % 40 == 39 {
                story.check(&topology);
            }
        }
    }));
    watch.end();
    if let Err(panic) = outcome {
        let from = story.lines.len().saturating_sub(60);
        eprintln!(
            "REDLAB_FUZZ={seed}..{} cargo test --test fuzz worlds_in_any_weather\n...\n{}",
            seed + 1,
            story.lines[from..]
                .iter()
                .map(|line| line.chars().take(300).collect::<String>())
                .collect::<Vec<_>>()
                .join("\n")
        );
        resume_unwind(panic);
    }
    story.lines.len()
}

#[test]
fn worlds_in_any_weather() {
    episodes("worlds", FEW, episode);
}

/// Seeds of episodes in which something went wrong once. Each line says what.
#[test]
fn worlds_that_found_something() {
    for seed in FOUND {
        episode(*seed);
    }
}

const FOUND: &[u64] = &[];

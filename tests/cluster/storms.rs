//! Storms: clusters under random kills, cuts, delays and losses, with clients that write; by seed.
//!
//! At any time: votes and epochs are as `ledger` says, and of those who claim a slot as their own one has the highest
//! epoch; a replica that is as far in the history as its primary has what its primary has. Once the weather is fine again, all
//! agree within a bound, each primary has an epoch of its own, every replica has what its primary has, and nothing is lost that
//! all nodes of a shard had. `REDLAB_SEEDS=FIRST..LAST` runs others; a failure names its seed.
//!
//! In storms with an even seed somebody moves slots meanwhile, step by step, and gives up where a step fails. Redis promises
//! nothing of the keys of such a slot: the new owner's replica may not have them yet, and neither it nor the old owner's replica
//! knows that the slot is on its way. So those keys may be lost; all others may not, and `redis-cli --cluster fix` closes what
//! was left open.

use crate::lab::Lab;
use crate::ledger::{Ledger, epochs_differ};
use crate::moves::{self, Move, Went};
use redlab::base::{Millis, Rng};
use redlab::engine::cluster::slots::slot_of;

const TIMEOUT: u64 = 1_000;
const STEPS: usize = 60;
const KEYS: usize = 12;
/// The slots of so many of them move, where slots move.
const MOVING: usize = 6;

struct Storm {
    lab: Lab,
    rng: Rng,
    ledger: Ledger,
    /// The last value written to each key, the last one acknowledged, and the last one that a whole shard had.
    written: [u64; KEYS],
    acknowledged: [u64; KEYS],
    safe: [u64; KEYS],
    slots_move: bool,
    moving: Option<Move>,
    moves_done: usize,
}

fn key(index: usize) -> String {
    format!("cart:{index}")
}

impl Storm {
    fn new(seed: u64) -> Storm {
        let config = format!(
            "cluster-node-timeout {TIMEOUT}\nappendonly yes\nappendfsync always\nrepl-diskless-sync-delay 0\nrepl-timeout 5"
        );
        let lab = Lab::formed(seed, 3, 1, &config, Millis(1));
        Storm {
            lab,
            rng: Rng::new(seed ^ 0x5704),
            ledger: Ledger::default(),
            written: [0; KEYS],
            acknowledged: [0; KEYS],
            safe: [0; KEYS],
            slots_move: seed.is_multiple_of(2),
            moving: None,
            moves_done: 0,
        }
    }

    fn any_port(&mut self) -> u16 {
        self.lab.ports[self.rng.below(self.lab.ports.len())]
    }

    fn one_thing_happens(&mut self) {
        let (a, b) = (self.any_port(), self.any_port());
        let (a_name, b_name) = (a.to_string(), b.to_string());
        match self.rng.below(10) {
            0 if self.lab.is_running(a) => self.lab.kill(a),
            0 | 1 if !self.lab.is_running(a) => self.lab.start(a),
            2 | 3 if a != b => self.lab.world.partition(&a_name, &b_name).expect("servers of the lab"),
            4 if a != b => self.lab.world.heal(&a_name, &b_name).expect("servers of the lab"),
            5 if a != b => {
                let delay = Millis(1 + self.rng.below(400) as u64);
                self.lab.world.set_delay(&a_name, &b_name, delay).expect("servers of the lab");
            }
            6 if a != b => {
                let percent = self.rng.below(40) as u32;
                self.lab.world.set_loss(&a_name, &b_name, percent).expect("servers of the lab");
            }
            7 => self.lab.world.heal_all(),
            8 if self.lab.is_running(a) => drop(self.lab.try_words(a, &["CLUSTER", "FAILOVER"])),
            _ => {}
        }
        for _ in 0..4 {
            self.write();
        }
        let mut pause = 1 + self.rng.below(700) as u64;
        while self.slots_move && pause > 0 {
            self.move_on();
            let step = pause.min(1 + self.rng.below(100) as u64);
            self.lab.advance(step);
            pause -= step;
        }
        self.lab.advance(pause);
    }

    /// The next step of the move that is under way, or the first of another.
    fn move_on(&mut self) {
        match &mut self.moving {
            Some(_) if self.rng.below(40) == 0 => self.moving.take().expect("just seen").abandon(&mut self.lab),
            Some(moving) => match moving.go_on(&mut self.lab) {
                Went::On => {}
                Went::Done => {
                    self.moves_done += 1;
                    self.moving = None;
                }
                Went::Broken => self.moving = None,
            },
            None => {
                let slot = slot_of(key(self.rng.below(MOVING)).as_bytes());
                let (from, to) = (self.any_port(), self.any_port());
                let is_primary = |port: u16| self.lab.node(port).is_some_and(|cluster| cluster.me().is_primary());
                if self.lab.owner(from, slot) == Some(from)
                    && from != to
                    && is_primary(to)
                    && !moves::any_open(&self.lab)
                {
                    self.moving = Some(Move::new(&self.lab, slot, from, to));
                }
            }
        }
    }

    /// A client writes the next number to a key, at whichever node claims the key for itself.
    fn write(&mut self) {
        let index = self.rng.below(KEYS);
        let slot = slot_of(key(index).as_bytes());
        let claims = |port: &u16| self.lab.owner(*port, slot) == Some(*port);
        let claimers: Vec<u16> = self.lab.ports.iter().copied().filter(claims).collect();
        if claimers.is_empty() {
            return;
        }
        let port = claimers[self.rng.below(claimers.len())];
        self.written[index] += 1;
        let value = self.written[index].to_string();
        let mut reply = self.lab.words(port, &["SET", &key(index), &value]);
        if let Some((_, to)) = reply.strip_prefix("(error) ASK ").and_then(|rest| rest.rsplit_once(':')) {
            let to = to.parse().expect("a port");
            self.lab.words(to, &["ASKING"]);
            reply = self.lab.words(to, &["SET", &key(index), &value]);
        }
        if reply == "OK" {
            self.acknowledged[index] = self.written[index];
        }
    }

    fn value(&self, port: u16, index: usize) -> u64 {
        let Some(instance) = self.lab.world.instance(port) else { return 0 };
        let slot = instance.dbs[0].slot(key(index).as_bytes());
        let text = slot.map(|slot| format!("{:?}", slot.value)).unwrap_or_default();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    }

    /// What must hold at any time.
    fn check(&mut self, seed: u64) {
        if let Err(broken) = self.ledger.keep(&self.lab) {
            panic!("seed {seed}: {broken}{}", self.lab.story());
        }
        let moved = (0..MOVING).filter(|_| self.slots_move).map(|index| slot_of(key(index).as_bytes()));
        for slot in [0, 5461, 12893].into_iter().chain(moved) {
            let claims = self.lab.ports.iter().filter(|port| self.lab.owner(**port, slot) == Some(**port));
            let claims = claims.map(|port| self.lab.node(*port).expect("it claims").me());
            let mut claims: Vec<(u64, String)> = claims.map(|me| (me.epoch, me.id.to_string())).collect();
            claims.sort_unstable();
            if let [.., second, first] = &claims[..] {
                // The epoch of a move is taken without asking, and may be that of an election.
                let taken = self.slots_move && !(self.ledger.elected(second) && self.ledger.elected(first));
                let clear = first.0 > second.0 || taken;
                assert!(clear, "seed {seed}: slot {slot} has two owners in epoch {}{}", first.0, self.lab.story());
            }
        }
        for port in &self.lab.ports {
            self.check_replica(*port, seed);
        }
        for index in 0..KEYS {
            let slot = slot_of(key(index).as_bytes());
            // A shard is safe when all six nodes run and each member has the value.
            let members: Vec<u16> = self.shard_of(slot);
            if members.len() == 2 && !(self.slots_move && index < MOVING) {
                let least = members.iter().map(|port| self.value(*port, index)).min().unwrap_or(0);
                self.safe[index] = self.safe[index].max(least);
            }
        }
    }

    /// Of the same history, the same length is the same data.
    fn check_replica(&self, port: u16, seed: u64) {
        let place = |port: u16| {
            let instance = self.lab.world.instance(port)?;
            Some((instance.replication.id.as_str(), instance.replication_offset()))
        };
        let Some(primary) = self.lab.owner_followed(port) else { return };
        let in_step = self.lab.world.instance(port).is_some_and(|instance| instance.link_up());
        if !in_step || place(port) != place(primary) {
            return;
        }
        for index in 0..KEYS {
            let (here, there) = (self.value(port, index), self.value(primary, index));
            assert_eq!(
                here,
                there,
                "seed {seed}: {} at {port} and at {primary}, {:?}\n{}",
                key(index),
                place(port),
                self.lab.story()
            );
        }
    }

    /// The primary of a slot and its replica, if both run and agree; fewer otherwise.
    fn shard_of(&self, slot: u16) -> Vec<u16> {
        let claims = self.lab.ports.iter().copied().filter(|port| self.lab.owner(*port, slot) == Some(*port));
        let claims: Vec<u16> = claims.collect();
        let [primary] = claims[..] else { return Vec::new() };
        let follows = |port: &u16| self.lab.owner_followed(*port) == Some(primary);
        std::iter::once(primary).chain(self.lab.ports.iter().copied().filter(follows)).collect()
    }

    fn calm(&mut self, seed: u64) {
        self.lab.world.heal_all();
        for port in self.lab.ports.clone() {
            if !self.lab.is_running(port) {
                self.lab.start(port);
            }
        }
        let moved = (0..MOVING).filter(|_| self.slots_move).map(|index| slot_of(key(index).as_bytes()));
        let looked_at: Vec<u16> = [0, 5460, 5462, 10920, 10923, 16383].into_iter().chain(moved).collect();
        let owners = |lab: &Lab, port: u16| -> Vec<Option<u16>> {
            looked_at.iter().map(|slot| lab.owner(port, *slot)).collect()
        };
        let agreed = |lab: &Lab| {
            let first = owners(lab, 7001);
            let open = looked_at.iter().any(|slot| moves::is_open(lab, *slot));
            !open && !first.contains(&None) && lab.ports.iter().all(|port| owners(lab, *port) == first)
        };
        if self.slots_move {
            self.mend(seed, |lab| lab.is_up() && agreed(lab));
        }
        let fine = self.lab.until(60_000, |lab| lab.is_up() && agreed(lab));
        assert!(fine, "seed {seed}: no agreement a minute after the storm{}", self.lab.story());
        // A connection that the storm has broken may only now be given up, a failover that was asked for may still happen.
        self.lab.advance(10_000);
        let again = self.lab.until(30_000, |lab| lab.is_up() && agreed(lab));
        assert!(again, "seed {seed}: it does not come to rest{}", self.lab.story());
        let before = owners(&self.lab, 7001);
        self.lab.advance(10_000);
        assert!(
            agreed(&self.lab) && owners(&self.lab, 7001) == before,
            "seed {seed}: it does not last{}",
            self.lab.story()
        );
        assert!(self.lab.until(30_000, Lab::is_up), "seed {seed}: a replica has no primary{}", self.lab.story());
        assert!(epochs_differ(&self.lab), "seed {seed}: two primaries have one epoch{}", self.lab.story());
        self.lab.advance(2_000);
        self.check(seed);
        for index in 0..KEYS {
            let members = self.shard_of(slot_of(key(index).as_bytes()));
            let values: Vec<u64> = members.iter().map(|port| self.value(*port, index)).collect();
            assert!(
                values.windows(2).all(|pair| pair[0] == pair[1]),
                "seed {seed}: {members:?} have {values:?} of {}",
                key(index)
            );
            assert!(
                values[0] >= self.safe[index],
                "seed {seed}: {} is {} though the whole shard had {} (acknowledged: {})",
                key(index),
                values[0],
                self.safe[index],
                self.acknowledged[index]
            );
        }
    }
}

impl Storm {
    /// Has `redis-cli --cluster fix` close what moves have left open, once the roles have settled.
    fn mend(&mut self, seed: u64, done: impl Fn(&Lab) -> bool) {
        if let Some(moving) = self.moving.take() {
            moving.abandon(&mut self.lab);
        }
        if self.lab.until(30_000, &done) {
            return;
        }
        let mut printed = Vec::new();
        for _ in 0..6 {
            if self.lab.until(5_000, &done) {
                return;
            }
            moves::help_by_hand(&mut self.lab);
            printed = moves::fix(&mut self.lab);
        }
        panic!("seed {seed}: redis-cli cannot mend it: {printed:#?}{}", self.lab.story());
    }
}

fn storm(seed: u64) -> Storm {
    let mut storm = Storm::new(seed);
    for _ in 0..STEPS {
        storm.one_thing_happens();
        storm.check(seed);
    }
    storm.calm(seed);
    storm
}

/// `REDLAB_SEEDS=1..1000`, or a few.
pub fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("REDLAB_SEEDS").ok();
    let range = asked.as_deref().and_then(|text| text.split_once(".."));
    range.and_then(|(first, last)| Some(first.parse().ok()?..last.parse().ok()?)).unwrap_or(1..7)
}

#[test]
fn clusters_weather_storms() {
    for seed in seeds() {
        let shared = storm(seed).ledger.shared_epochs();
        if !shared.is_empty() {
            println!("seed {seed}: epochs that two had: {shared:?}");
        }
    }
}

/// Storm 1527 failed: 7005 and 7006 both had slots in epoch 11. Each was elected in it: 7006 with the votes of 7001 and of 7005,
/// whom its request reached late, when 7005 had just been elected in the same epoch. A real server votes then too, so it was
/// the check that asked for too much; see `ledger`, and `failover::who_has_won_an_epoch_may_still_vote_in_it`.
#[test]
fn storm_1527_has_an_epoch_that_two_have_won() {
    assert_eq!(storm(1527).ledger.shared_epochs(), [11]);
}

/// In storm 1632 a primary became a replica, by CLUSTER FAILOVER, while a key was under way in MIGRATE, and removed it then, as a
/// replica: it differed from its primary at the same offset.
#[test]
fn storm_1632_moves_a_key_while_its_owner_changes() {
    storm(1632);
}

#[test]
fn a_storm_is_the_same_each_time() {
    let end = || {
        let mut storm = Storm::new(77);
        (0..20).for_each(|_| storm.one_thing_happens());
        storm.lab.story()
    };
    assert_eq!(end(), end());
}

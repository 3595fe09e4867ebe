//! Making room when memory is full, and what that needs to know of each key: when or how often it was used.
//!
//! Every access stamps the key (`accessed`): with the second, or under the LFU policies with a counter that grows
//! logarithmically and decays by the minute. When `maxmemory` is exceeded before a command, keys go until it is not:
//! the best of a pool of 16 candidates, which each round refills from `maxmemory-samples` random keys of each database.
//! Redis walks along neighbouring buckets of its table where we draw each sample anew; it so finds two or three hundredths fewer
//! of the right keys (tests/oracle/eviction.rs).

use super::client::ClientId;
use super::command::Command;
use super::config::{Config, Eviction};
use super::keyspace::{Db, Slot};
use super::notify::Class;
use super::{Instance, Outbox};
use crate::base::{Bytes, Millis, Rng};

/// Where the counter of a new key begins, so that it is not evicted at once.
pub const LFU_INIT: u8 = 5;
const POOL_MAX: usize = 16;

/// The stamp of a key that is made now.
pub fn fresh(config: &Config, now: Millis) -> u32 {
    if config.eviction.is_lfu() { used(LFU_INIT, now) } else { now.secs() as u32 }
}

/// The stamp of a key whose LFU counter is `counter` now.
pub fn used(counter: u8, now: Millis) -> u32 {
    minutes(now) << 16 | u32::from(counter)
}

/// The stamp of a key that is used now, whose stamp was `before`.
pub fn accessed(config: &Config, before: u32, now: Millis, rng: &mut Rng) -> u32 {
    if !config.eviction.is_lfu() {
        return now.secs() as u32;
    }
    let counter = frequency(before, now, config.lfu_decay_minutes);
    let odds = usize::from(counter.saturating_sub(LFU_INIT)) * config.lfu_log_factor as usize + 1;
    let grows = counter < u8::MAX && rng.below(odds) == 0;
    used(counter + u8::from(grows), now)
}

fn minutes(now: Millis) -> u32 {
    (now.secs() / 60) as u32 & 0xffff
}

/// The LFU counter now, 0..=255, less one for each `decay_minutes` since the stamp; 0 minutes: never less.
pub fn frequency(stamp: u32, now: Millis, decay_minutes: u32) -> u8 {
    let (now, then) = (minutes(now), stamp >> 16);
    // Redis' minutes begin again at 0 after 65535, and it counts the turn as one less.
    let elapsed = if now >= then { now - then } else { 0xffff - then + now };
    let decayed = elapsed.checked_div(decay_minutes).unwrap_or(0);
    (stamp & 0xff).saturating_sub(decayed) as u8
}

/// Seconds since the access that left `stamp`.
pub fn idle_secs(stamp: u32, now: Millis) -> u64 {
    now.secs().saturating_sub(u64::from(stamp))
}

impl Eviction {
    /// Whether it looks at the access stamps: then no value is shared between keys.
    pub fn tracks_access(self) -> bool {
        matches!(self, Eviction::Lru { .. } | Eviction::Lfu { .. })
    }

    /// Whether only keys with an expiry may go.
    fn volatile_only(self) -> bool {
        match self {
            Eviction::Lru { volatile } | Eviction::Lfu { volatile } | Eviction::Random { volatile } => volatile,
            Eviction::Ttl => true,
            Eviction::None => false,
        }
    }
}

/// A key that may go: the higher the score, the sooner.
#[derive(Clone, Debug)]
struct Candidate {
    score: u64,
    db: usize,
    key: Bytes,
}

/// What the sampling remembers from one round to the next.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// By score, the best last.
    candidates: Vec<Candidate>,
    /// The random policies take a key from each database in turn.
    next_db: usize,
    /// Memory is still over the limit, and there was no more time: the periodic task and the next command go on.
    pub under_way: bool,
    /// Tables of keys that ought to grow do not, for want of memory.
    pub holds_tables: bool,
}

impl Pool {
    fn offer(&mut self, score: u64, db: usize, key: &Bytes) {
        let at = self.candidates.partition_point(|other| other.score < score);
        let candidate = Candidate { score, db, key: key.clone() };
        if self.candidates.len() < POOL_MAX {
            self.candidates.insert(at, candidate);
        } else if at > 0 {
            // Full: the worst makes room for a better one.
            self.candidates.remove(0);
            self.candidates.insert(at - 1, candidate);
        }
    }
}

impl Instance {
    /// Evicts until memory is below maxmemory, or for as long as `maxmemory-eviction-tenacity` allows by the stopwatch; false
    /// if memory is over the limit and nothing may go.
    pub fn make_room(&mut self, now: Millis, rng: &mut Rng, out: &mut Outbox) -> bool {
        let max = self.config.maxmemory;
        // A replica holds what its primary holds.
        if max == 0 || (self.is_replica() && self.config.flag("replica-ignore-maxmemory")) {
            if std::mem::take(&mut self.eviction_pool.holds_tables) {
                self.dbs.iter_mut().for_each(|db| db.put_off_growth(false));
            }
            self.stats.memory_fits(now);
            return true;
        }
        self.dbs.iter_mut().for_each(Db::track_memory);
        self.eviction_pool.under_way = false;
        let used = self.used_memory();
        self.hold_tables(used, max);
        if used <= max {
            self.stats.memory_fits(now);
            return true;
        }
        let began_us = self.hooks.micros();
        let done = self.evict_until(max, began_us, now, rng, out);
        self.note_latency("eviction-cycle", began_us, now);
        if done && !self.eviction_pool.under_way {
            self.stats.memory_fits(now);
        } else {
            self.stats.over_memory_since.get_or_insert(now);
        }
        done
    }

    fn evict_until(&mut self, max: u64, began_us: u64, now: Millis, rng: &mut Rng, out: &mut Outbox) -> bool {
        let mut evicted = 0u32;
        while self.used_memory() > max {
            let Some((db, key)) = self.victim(now, rng) else { return false };
            self.evict(db, &key, out);
            evicted += 1;
            if evicted.is_multiple_of(16)
                && self.hooks.micros() - began_us > time_limit_us(self.config.int("maxmemory-eviction-tenacity"))
            {
                self.eviction_pool.under_way = true;
                break;
            }
        }
        true
    }

    /// Whether `command` would lengthen a transaction's queue, which takes memory whatever is queued: refused while it is full.
    pub(super) fn would_grow_queue(&self, id: ClientId, command: &Command) -> bool {
        self.clients[&id].transaction.is_some() && !matches!(command.name, "EXEC" | "DISCARD" | "QUIT" | "RESET")
    }

    fn evict(&mut self, db: usize, key: &Bytes, out: &mut Outbox) {
        let began_us = self.hooks.micros();
        self.dbs[db].remove(key);
        self.note_latency("eviction-del", began_us, self.now);
        self.stats.evicted_keys += 1;
        self.propagate(db, self.deletion("lazyfree-lazy-eviction", key));
        self.touch(db, key);
        self.notify(db, Class::Evicted, "evicted", key, out);
    }

    fn victim(&mut self, now: Millis, rng: &mut Rng) -> Option<(usize, Bytes)> {
        match self.config.eviction {
            Eviction::None => None,
            Eviction::Random { volatile } => self.random_victim(volatile, rng),
            _ => self.best_victim(now, rng),
        }
    }

    fn random_victim(&mut self, volatile: bool, rng: &mut Rng) -> Option<(usize, Bytes)> {
        for _ in 0..self.dbs.len() {
            let at = self.eviction_pool.next_db % self.dbs.len();
            self.eviction_pool.next_db = at + 1;
            let db = &self.dbs[at];
            let key = if volatile { db.random_volatile(rng) } else { db.random(rng).map(|(key, _)| key) };
            if let Some(key) = key {
                return Some((at, key.clone()));
            }
        }
        None
    }

    /// The pool's best that is still there, after a round of sampling; more rounds if the pool held only ghosts.
    fn best_victim(&mut self, now: Millis, rng: &mut Rng) -> Option<(usize, Bytes)> {
        let volatile = self.config.eviction.volatile_only();
        loop {
            if !self.fill_pool(volatile, now, rng) {
                return None;
            }
            while let Some(best) = self.eviction_pool.candidates.pop() {
                let slot = self.dbs.get(best.db).and_then(|db| db.slot(&best.key));
                if slot.is_some_and(|slot| !volatile || slot.expires_at().is_some()) {
                    return Some((best.db, best.key));
                }
            }
        }
    }

    /// One round of sampling; false if no database has a key that may go.
    fn fill_pool(&mut self, volatile: bool, now: Millis, rng: &mut Rng) -> bool {
        let (config, pool) = (&self.config, &mut self.eviction_pool);
        let mut any = false;
        for (at, db) in self.dbs.iter().enumerate() {
            let len = if volatile { db.volatile_len() } else { db.len() };
            any |= len > 0;
            let samples = config.maxmemory_samples;
            for i in 0..samples.min(len) {
                // Few keys are looked at one by one: a draw could miss the best of them.
                let index = if len <= samples { i } else { rng.below(len) };
                let found = if volatile {
                    db.volatile_at(index).and_then(|key| db.slot(key).map(|slot| (key, slot)))
                } else {
                    db.nth(index)
                };
                if let Some((key, slot)) = found {
                    pool.offer(score(config, slot, now), at, key);
                }
            }
        }
        any
    }
}

/// How long one round of evictions may take, by `maxmemory-eviction-tenacity`, 0..=100: linear up to half a millisecond at
/// 10, then 15 % more for each, without limit at 100 (`evictionTimeLimitUs`).
fn time_limit_us(tenacity: i64) -> u64 {
    match tenacity {
        ..=10 => 50 * tenacity.max(0) as u64,
        11..=99 => (500.0 * 1.15f64.powi(tenacity as i32 - 10)) as u64,
        _ => u64::MAX,
    }
}

fn score(config: &Config, slot: &Slot, now: Millis) -> u64 {
    match config.eviction {
        Eviction::Lfu { .. } => 255 - u64::from(frequency(slot.access, now, config.lfu_decay_minutes)),
        Eviction::Ttl => u64::MAX - slot.expires_at().map_or(u64::MAX, |at| at.0),
        _ => idle_secs(slot.access, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::Lab;
    use crate::engine::{Input, refusal};
    use crate::resp::Reply;

    #[test]
    fn the_counter_decays_by_the_minute_and_grows_ever_more_slowly() {
        let mut config = Config::default();
        config.set("maxmemory-policy", "allkeys-lfu").unwrap();
        let mut rng = Rng::new(1);
        let now = Millis::from_secs(1_000_000);
        let mut stamp = fresh(&config, now);
        for _ in 0..1000 {
            stamp = accessed(&config, stamp, now, &mut rng);
        }
        let after_1000 = frequency(stamp, now, 1);
        assert!((10..30).contains(&after_1000), "Redis' table says 18 after 1000 hits: {after_1000}");
        assert_eq!(frequency(stamp, now + Millis::from_secs(180), 1), after_1000 - 3);
        assert_eq!(frequency(stamp, now + Millis::from_secs(180), 0), after_1000);
    }

    #[test]
    fn a_key_under_a_new_name_or_in_another_database_has_not_been_used() {
        let mut lab = Lab::new(7);
        lab.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", "0"]);
        for line in [&["SET", "k", "v"][..], &["GET", "k"], &["GET", "k"], &["RENAME", "k", "j"]] {
            lab.ask(line);
        }
        assert_eq!(lab.ask(&["OBJECT", "FREQ", "j"]), Reply::Int(5));
        for line in [&["GET", "j"][..], &["MOVE", "j", "1"], &["SELECT", "1"]] {
            lab.ask(line);
        }
        assert_eq!(lab.ask(&["OBJECT", "FREQ", "j"]), Reply::Int(5));
    }

    #[test]
    fn the_pool_keeps_the_best_sixteen() {
        let mut pool = Pool::default();
        for n in 0..100u64 {
            pool.offer((n * 37) % 100, 0, &Bytes::from(n.to_string()));
        }
        let scores: Vec<u64> = pool.candidates.iter().map(|candidate| candidate.score).collect();
        assert_eq!(scores, (84..100).collect::<Vec<_>>());
    }

    /// A lab with `count` keys of 1000 bytes, each used a second after the one before, and room for half of them.
    fn full_lab(policy: &str, count: usize) -> Lab {
        let mut lab = Lab::new(7);
        let text = "x".repeat(1000);
        for n in 0..count {
            lab.ask(&["SET", &format!("key:{n}"), &text]);
            lab.now += Millis::from_secs(1);
        }
        let used = lab.instance.used_memory();
        let half = used - lab.instance.used_memory_dataset() / 2;
        lab.ask(&["CONFIG", "SET", "maxmemory-policy", policy]);
        lab.ask(&["CONFIG", "SET", "maxmemory", &half.to_string()]);
        lab
    }

    #[test]
    fn the_least_recently_used_keys_go_first_and_memory_stays_below_the_limit() {
        let mut lab = full_lab("allkeys-lru", 200);
        lab.ask(&["GET", "key:0"]);
        lab.ask(&["PING"]);
        let instance = &lab.instance;
        assert!(instance.used_memory() <= instance.config.maxmemory);
        let alive = |range: std::ops::Range<usize>| {
            range.filter(|n| instance.dbs[0].slot(format!("key:{n}").as_bytes()).is_some()).count()
        };
        let (old, young) = (alive(0..100), alive(100..200));
        assert!(young > 3 * old, "of the older half {old} are left, of the younger {young}");
        assert_eq!(instance.stats.evicted_keys as usize, 200 - old - young);
    }

    #[test]
    fn volatile_policies_spare_keys_without_an_expiry_and_refuse_writes_when_none_is_left() {
        let mut lab = full_lab("volatile-ttl", 20);
        assert_eq!(lab.ask(&["SET", "k", "v"]), Reply::from(refusal::OOM));
        assert_eq!(lab.instance.dbs[0].len(), 20);
        assert_eq!(lab.ask(&["GET", "none"]), Reply::Nil, "reads are served");
        assert_eq!(lab.ask(&["DEL", "key:3"]), Reply::Int(1), "and what frees memory");
        for n in 4..18 {
            lab.ask(&["EXPIRE", &format!("key:{n}"), &(1000 - n).to_string()]);
        }
        assert_eq!(lab.ask(&["SET", "k", "v"]), Reply::OK);
        let db = &lab.instance.dbs[0];
        assert!(db.slot(b"key:17").is_none(), "the nearest to its end went first");
        assert!(db.slot(b"key:0").is_some() && db.slot(b"key:19").is_some());
    }

    /// The clock of a thread that is always a millisecond on.
    fn hasty() -> u64 {
        thread_local!(static NOW: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });
        NOW.set(NOW.get() + 1000);
        NOW.get()
    }

    #[test]
    fn evicting_is_spread_over_several_rounds_where_time_passes() {
        let mut lab = full_lab("allkeys-random", 200);
        assert_eq!(lab.ask(&["CONFIG", "SET", "maxmemory", "0"]), Reply::OK);
        lab.instance.hooks.stopwatch = Some(hasty);
        lab.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        let left = lab.instance.dbs[0].len();
        assert!(lab.instance.eviction_pool.under_way && left > 0, "{left}");
        assert_eq!(lab.ask(&["SET", "k", "v"]), Reply::OK, "nobody is refused meanwhile");
        assert_eq!(lab.instance.dbs[0].len(), left - 16 + 1 - 16, "before it and after it");
        lab.step(Input::Tick);
        assert!(lab.instance.dbs[0].len() < left - 16 + 1 - 16);
        lab.ask(&["CONFIG", "SET", "maxmemory-eviction-tenacity", "100"]);
        lab.step(Input::Tick);
        assert_eq!(lab.instance.dbs[0].len(), 0);
        assert_eq!([time_limit_us(0), time_limit_us(10), time_limit_us(20)], [0, 500, 2022]);
    }

    /// CONFIG SET maxmemory used to evict in the midst of the request, so that in a transaction the commands behind it found
    /// other keys than the ones before it; and evictions were told as one transaction with the command that needed the room.
    #[test]
    fn evictions_are_no_part_of_the_request_that_calls_for_them() {
        let mut lab = Lab::new(1);
        lab.ask(&["CONFIG", "SET", "appendonly", "yes", "maxmemory-policy", "allkeys-lru"]);
        lab.now += Millis(2000);
        lab.step(Input::Tick);
        for words in [["MULTI"].as_slice(), &["INCR", "x"], &["CONFIG", "SET", "maxmemory", "1"], &["INCR", "x"]] {
            lab.ask(words);
        }
        assert_eq!(lab.ask(&["EXEC"]), Reply::Array(vec![Reply::Int(1), Reply::OK, Reply::Int(2)]));
        assert_eq!(lab.appended(), ["MULTI", "SELECT 0", "INCR x", "INCR x", "EXEC", "DEL x"]);
    }

    /// What a table of keys takes was reckoned from their number, so that 4,097 keys called for twice the buckets at once; Redis
    /// puts that off while memory is short, and evicts nothing for it.
    #[test]
    fn a_table_does_not_grow_while_memory_is_short() {
        let mut lab = Lab::new(1);
        lab.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
        lab.ask(&["DEBUG", "POPULATE", "4096", "cart", "1"]);
        let limit = lab.instance.used_memory() + 10 * 1024;
        lab.ask(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
        for key in ["order:1", "order:2"] {
            assert_eq!(lab.ask(&["SET", key, "x"]), Reply::OK);
        }
        assert_eq!((lab.instance.dbs[0].len(), lab.instance.dbs[0].buckets()), (4098, 4096));
        lab.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        lab.ask(&["SET", "order:3", "x"]);
        assert_eq!((lab.instance.dbs[0].len(), lab.instance.dbs[0].buckets()), (4099, 8192));
    }

    #[test]
    fn info_tells_how_long_memory_was_over_its_limit() {
        let mut lab = full_lab("noeviction", 20);
        assert!(lab.ask(&["SET", "k", "v"]).is_error());
        lab.now += Millis(1500);
        let times = |lab: &mut Lab| {
            let (Reply::Bulk(text) | Reply::Verbatim(_, text)) = lab.ask(&["INFO", "stats"]) else { panic!("no text") };
            let text = text.lossy().into_owned();
            ["total_eviction_exceeded_time", "current_eviction_exceeded_time"].map(|name| {
                let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                value.and_then(|value| value.parse::<u64>().ok()).expect("a number")
            })
        };
        assert_eq!(times(&mut lab), [1500, 1500]);
        lab.ask(&["FLUSHALL"]);
        lab.ask(&["SET", "k", "v"]);
        assert_eq!(times(&mut lab), [1500, 0]);
    }

    #[test]
    fn noeviction_refuses_transactions_that_would_write() {
        let mut lab = full_lab("noeviction", 20);
        lab.ask(&["MULTI"]);
        assert!(lab.ask(&["SET", "k", "v"]).is_error());
        assert!(lab.ask(&["EXEC"]).is_error());
        assert_eq!(lab.instance.dbs[0].len(), 20);
    }
}

//! Expiry: when a key stops existing.
//!
//! Redis removes an expired key at two moments: when someone looks it up (lazy, in `Call`) and in the sampling pass of
//! its periodic task (active, here). The pass looks at 20 keys with an expiry in each database, and again as long as more
//! than a tenth of them had expired; it goes on where the last one stopped. A replica waits for its primary's DEL.

use super::{Instance, Outbox};
use crate::base::Millis;

/// ACTIVE_EXPIRE_CYCLE_KEYS_PER_LOOP and ACTIVE_EXPIRE_CYCLE_ACCEPTABLE_STALE (percent) at active-expire-effort 1.
const KEYS_PER_LOOP: usize = 20;
const ACCEPTABLE_STALE: usize = 10;
/// ACTIVE_EXPIRE_CYCLE_SLOW_TIME_PERC, a quarter, of a tenth of a second.
const PASS_US: u64 = 25_000;

impl Instance {
    /// One pass over all databases, with all that follows from each expired key. Where there is a stopwatch it ends after 25
    /// ms, as Redis' does, and the next pass begins with the database it came to; else it is bounded by the keys there are.
    pub fn expire_cycle(&mut self, now: Millis, out: &mut Outbox) {
        if !self.expires_keys() {
            return;
        }
        let began_us = self.hooks.micros();
        let from = std::mem::take(&mut self.expire_from);
        'pass: for at in 0..self.dbs.len() {
            let db = (from + at) % self.dbs.len();
            while self.expire_loop(db, now, out) {
                if self.hooks.micros() - began_us > PASS_US {
                    self.expire_from = db;
                    break 'pass;
                }
            }
        }
        self.note_latency("expire-cycle", began_us, now);
    }

    /// Looks at 20 keys; true if so many had expired that it is worth to look on.
    fn expire_loop(&mut self, db: usize, now: Millis, out: &mut Outbox) -> bool {
        let look_at = self.dbs[db].volatile_len().min(KEYS_PER_LOOP);
        let mut expired = 0;
        for _ in 0..look_at {
            let place = &mut self.dbs[db];
            // A removal puts the last key into the gap: the cursor goes downwards, so none is passed over.
            let len = place.volatile_len();
            let at =
                if place.expire_cursor == 0 || place.expire_cursor > len { len - 1 } else { place.expire_cursor - 1 };
            place.expire_cursor = at;
            let key = place.volatile_at(at).expect("below the length");
            if place.slot(key).is_some_and(|slot| slot.is_expired(now)) {
                let key = key.clone();
                self.expire(db, &key, out);
                expired += 1;
            }
        }
        look_at > 0 && expired * 100 > look_at * ACCEPTABLE_STALE
    }
}

#[cfg(test)]
mod tests {
    use crate::base::Millis;
    use crate::engine::Input;
    use crate::engine::testing::{Lab, transcript};

    #[test]
    fn one_tick_removes_all_that_expired_together_though_nobody_looks() {
        let mut lab = Lab::new(3);
        for n in 0..500 {
            lab.ask(&["SET", &format!("key:{n}"), "v", "PX", if n % 5 == 0 { "900000" } else { "100" }]);
        }
        lab.now += Millis(101);
        lab.step(Input::Tick);
        assert_eq!(lab.instance.stats.expired_keys, 400);
        assert_eq!(lab.instance.dbs[0].len(), 100);
    }

    /// The clock of a thread that is always ten milliseconds on.
    fn hasty() -> u64 {
        thread_local!(static NOW: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });
        NOW.set(NOW.get() + 10_000);
        NOW.get()
    }

    #[test]
    fn where_time_passes_a_pass_ends_after_25_milliseconds_and_the_next_goes_on() {
        let mut lab = Lab::new(3);
        for n in 0..200 {
            lab.ask(&["SET", &format!("key:{n}"), "v", "PX", "100"]);
        }
        lab.instance.hooks.stopwatch = Some(hasty);
        lab.ask(&["CONFIG", "SET", "latency-monitor-threshold", "25"]);
        lab.now += Millis(101);
        lab.step(Input::Tick);
        let left = lab.instance.dbs[0].len();
        assert!((1..200).contains(&left), "{left}");
        assert!(lab.instance.latency.events.contains_key("expire-cycle"));
        for _ in 0..200 {
            lab.step(Input::Tick);
        }
        assert_eq!(lab.instance.dbs[0].len(), 0);
    }

    #[test]
    fn a_key_lives_until_its_moment_has_passed() {
        transcript(
            "
            > SET k v PX 1000
            OK
            > .sleep 1000
            > GET k
            \"v\"
            > .sleep 1
            > GET k
            (nil)
            > EXISTS k
            (integer) 0
            ",
        );
    }
}

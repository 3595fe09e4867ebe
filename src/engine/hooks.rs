//! What a real process can lend an instance beyond `Env`: a stopwatch, a nap, its size.
//!
//! All are absent in the lab, where a command takes no time: SLOWLOG, LATENCY and the `usec` of commandstats then show
//! only what DEBUG SLEEP pretends to have taken. `redlab serve` sets them.

use super::{Input, Output};
use crate::resp::Protocol;

/// The other clients, for a script that has been running for longer than `busy-reply-threshold`.
pub trait Outside {
    /// What has come from them since it was last asked.
    fn arrived(&mut self) -> Vec<Input>;
    /// Hands out what they are told, each in the protocol that they speak.
    fn tell(&mut self, said: Vec<(Protocol, Output)>);
}

/// Plain functions, so that an instance stays a value that can be cloned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hooks {
    /// Microseconds since some moment in the past.
    pub stopwatch: Option<fn() -> u64>,
    /// Stands still for so many microseconds (DEBUG SLEEP).
    pub sleep: Option<fn(u64)>,
    /// Resident set size of the process in bytes.
    pub rss: Option<fn() -> u64>,
    pub pid: Option<u32>,
}

impl Hooks {
    pub fn micros(&self) -> u64 {
        self.stopwatch.map_or(0, |stopwatch| stopwatch())
    }
}

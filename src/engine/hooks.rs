//! What a real process can lend an instance beyond `Env`: a stopwatch, a nap, its size.
//!
//! All are absent in the lab, where a command takes no time: SLOWLOG, LATENCY and the `usec` of commandstats then show
//! only what DEBUG SLEEP pretends to have taken. `redlab serve` sets them.

use super::config::Config;
use super::{ClientId, Input, Output};
use crate::base::Bytes;
use crate::resp::Protocol;

/// The other clients, for a script that has been running for longer than `busy-reply-threshold`.
pub trait Outside {
    /// What has come from them since it was last asked.
    fn arrived(&mut self) -> Vec<Input>;
    /// How full a client's buffers are.
    fn buffers(&self, id: ClientId) -> Buffers;
    /// Hands out what they are told, each in the protocol that they speak.
    fn tell(&mut self, said: Vec<(Protocol, Output)>);
}

/// The buffers of a connection, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffers {
    /// Sent by the client, and no whole request yet.
    pub query: usize,
    /// What the query buffer can hold.
    pub query_size: usize,
    /// What waits to be written.
    pub reply: usize,
    pub reply_size: usize,
    /// The most that has stood in it of late.
    pub reply_peak: usize,
}

/// What an instance's clients take together with their buffers, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientMemory {
    /// Of all but replicas.
    pub normal: u64,
    pub replicas: u64,
}

impl Buffers {
    /// A client without its buffers.
    pub const CLIENT: usize = 776;
    /// Redis keeps so much of what is to be written in one place, and the rest in a list of pieces of this size.
    const PIECE: usize = 16 * 1024;

    /// As redis-server would show them of a client that sends a small `request` just now, or none for a while.
    pub fn usual(request: Option<&[Bytes]>) -> Buffers {
        let query_size = if request.is_some() { 20474 } else { 0 };
        Buffers { query: 0, query_size, reply: 0, reply_size: 1024, reply_peak: 0 }
    }

    /// CLIENT LIST's `obl`, `oll` and `omem`.
    pub fn output(&self) -> (usize, usize, usize) {
        let listed = self.reply.saturating_sub(Buffers::PIECE);
        (self.reply - listed, listed.div_ceil(Buffers::PIECE), listed)
    }
}

/// Plain functions, so that an instance stays a value that can be cloned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hooks {
    /// Microseconds since some moment in the past.
    pub stopwatch: Option<fn() -> u64>,
    /// Stands still for so many microseconds (DEBUG SLEEP).
    pub sleep: Option<fn(u64)>,
    /// What the process takes of the machine.
    pub usage: Option<fn() -> Usage>,
    /// Real children, for what is done in the background.
    pub processes: Option<Processes>,
    pub pid: Option<u32>,
    /// Whether everything could be listened on that the second configuration names and the first does not.
    pub could_listen: Option<fn(&Config, &Config) -> bool>,
    /// What the loop has done so far that gives this instance its inputs.
    pub event_loop: Option<fn() -> LoopStats>,
}

/// fork(2) and what belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Processes {
    /// The child's process id, or None in the child itself. Err: the reason.
    pub fork: fn() -> Result<Option<u32>, String>,
    pub own_pid: fn() -> u32,
    /// Ends the child, whose work was done, or who has failed and says why.
    pub leave: fn(Option<&str>) -> !,
    /// Whether a child has ended, and if so, whether well. A child that has been asked for with this answer is no more.
    pub ended: fn(u32) -> Option<bool>,
    /// Ends a child, and waits for that.
    pub kill: fn(u32),
    /// In the child: so many keys are written.
    pub report: fn(u64),
    /// How far the last child has come, or had when it ended.
    pub progress: fn() -> Progress,
}

/// How far a child is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Keys written.
    pub keys: u64,
    /// Bytes of memory that it no longer shares with the server, when that was last looked at, and at most.
    pub copied: u64,
    pub copied_max: u64,
    /// How long ago that was, in seconds.
    pub copied_age_secs: u64,
}

/// Memory in bytes, times in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub resident: u64,
    /// Of the whole machine.
    pub memory: u64,
    pub system: u64,
    pub user: u64,
    pub children_system: u64,
    pub children_user: u64,
}

/// Turns of an event loop, durations in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopStats {
    pub cycles: u64,
    pub us: u64,
    /// Of that, for requests.
    pub commands_us: u64,
    /// Of that, for the periodic task.
    pub cron_us: u64,
    pub longest_us: u64,
    /// Most commands in one turn.
    pub commands_max: u64,
    /// Of late.
    pub cycles_per_sec: u64,
    pub us_per_cycle: u64,
    pub commands_per_sec: u64,
    /// Bytes from clients, and to them.
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub reads: u64,
    pub writes: u64,
    /// Of late.
    pub bytes_in_per_sec: u64,
    pub bytes_out_per_sec: u64,
}

impl Hooks {
    pub fn micros(&self) -> u64 {
        self.stopwatch.map_or(0, |stopwatch| stopwatch())
    }
}

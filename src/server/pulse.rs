//! What the event loop has done: counters for INFO, kept beside the loop because no instance knows of it.

use crate::engine::hooks::LoopStats;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Instant;

/// As many samples as Redis keeps for what it calls instantaneous: 1.6 seconds of ten a second.
const SAMPLES: usize = 16;

#[derive(Default)]
struct Pulse {
    stats: LoopStats,
    commands: u64,
    samples: VecDeque<(Instant, LoopStats, u64)>,
}

thread_local! {
    // A loop and the instances it serves live on one thread, and `Hooks` takes plain functions.
    static PULSE: RefCell<Pulse> = RefCell::default();
    static TRAFFIC: Cell<Traffic> = const { Cell::new(Traffic { bytes_in: 0, bytes_out: 0, reads: 0, writes: 0 }) };
}

/// What went through the sockets of clients.
#[derive(Clone, Copy, Default)]
struct Traffic {
    bytes_in: u64,
    bytes_out: u64,
    reads: u64,
    writes: u64,
}

/// A client's socket has been read.
pub fn read(bytes: usize) {
    let traffic = TRAFFIC.get();
    TRAFFIC.set(Traffic { bytes_in: traffic.bytes_in + bytes as u64, reads: traffic.reads + 1, ..traffic });
}

/// A client's socket has been written to.
pub fn wrote(bytes: usize) {
    let traffic = TRAFFIC.get();
    TRAFFIC.set(Traffic { bytes_out: traffic.bytes_out + bytes as u64, writes: traffic.writes + 1, ..traffic });
}

/// One turn of the loop.
pub struct Turn {
    began: Instant,
    commands_before: u64,
    commands_done: Instant,
    cron_us: u64,
}

impl Turn {
    /// `commands`: how many the served instances have carried out so far.
    pub fn begin(commands: u64) -> Turn {
        let began = Instant::now();
        Turn { began, commands_before: commands, commands_done: began, cron_us: 0 }
    }

    /// All requests that had come are answered.
    pub fn commands_done(&mut self) {
        self.commands_done = Instant::now();
    }

    /// The periodic task ran, and began at `since`.
    pub fn ticked(&mut self, since: Instant) {
        self.cron_us = since.elapsed().as_micros() as u64;
        PULSE.with_borrow_mut(|pulse| {
            let sample = (since, with_traffic(pulse.stats), pulse.commands);
            pulse.samples.push_back(sample);
            if pulse.samples.len() > SAMPLES {
                pulse.samples.pop_front();
            }
        });
    }

    pub fn end(self, commands: u64) {
        let us = (self.began.elapsed().as_micros() as u64).max(1);
        PULSE.with_borrow_mut(|pulse| {
            let stats = &mut pulse.stats;
            stats.cycles += 1;
            stats.us += us;
            stats.longest_us = stats.longest_us.max(us);
            stats.cron_us += self.cron_us.max(u64::from(self.cron_us > 0));
            let done = commands.saturating_sub(self.commands_before);
            if done > 0 {
                stats.commands_us += (self.commands_done.duration_since(self.began).as_micros() as u64).max(1);
            }
            stats.commands_max = stats.commands_max.max(done);
            pulse.commands = commands;
        });
    }
}

fn with_traffic(stats: LoopStats) -> LoopStats {
    let Traffic { bytes_in, bytes_out, reads, writes } = TRAFFIC.get();
    LoopStats { bytes_in, bytes_out, reads, writes, ..stats }
}

/// The counters, with the rates of the last 1.6 seconds.
pub fn stats() -> LoopStats {
    PULSE.with_borrow(|pulse| {
        let mut stats = with_traffic(pulse.stats);
        if let (Some((from, first, commands)), Some((to, last, more))) = (pulse.samples.front(), pulse.samples.back()) {
            let ms = to.duration_since(*from).as_millis().max(1) as u64;
            let cycles = last.cycles - first.cycles;
            stats.cycles_per_sec = cycles * 1000 / ms;
            stats.us_per_cycle = (last.us - first.us) / cycles.max(1);
            stats.bytes_in_per_sec = (last.bytes_in - first.bytes_in) * 1000 / ms;
            stats.bytes_out_per_sec = (last.bytes_out - first.bytes_out) * 1000 / ms;
            // CONFIG RESETSTAT sets the count back.
            stats.commands_per_sec = more.saturating_sub(*commands) * 1000 / ms;
        }
        stats
    })
}

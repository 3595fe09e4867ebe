//! Which commands took long: the slow log, the latency events, and the histograms of INFO latencystats.
//!
//! Durations come from `Hooks::stopwatch`; without one a command takes no time.

use super::stats::CommandStat;
use super::{Call, Instance};
use crate::base::{Bytes, Millis};
use std::collections::{BTreeMap, VecDeque};

/// Arguments beyond this many, and bytes beyond that many of one, are left out.
const ARGS_SHOWN: usize = 32;
const BYTES_SHOWN: usize = 128;

#[derive(Clone, Debug)]
pub struct Slow {
    pub id: u64,
    pub at: Millis,
    pub micros: u64,
    pub args: Vec<Bytes>,
    pub addr: String,
    pub name: Bytes,
}

/// The newest first.
#[derive(Clone, Debug, Default)]
pub struct SlowLog {
    pub entries: VecDeque<Slow>,
    next_id: u64,
}

impl SlowLog {
    pub fn push(&mut self, mut entry: Slow, max_len: usize) {
        entry.id = self.next_id;
        self.next_id += 1;
        self.entries.push_front(entry);
        self.entries.truncate(max_len);
    }
}

/// Arguments as the slow log keeps them.
pub fn shortened(args: &[Bytes], redacted: u64) -> Vec<Bytes> {
    let shown = if args.len() > ARGS_SHOWN { ARGS_SHOWN - 1 } else { args.len() };
    let mut kept: Vec<Bytes> = args[..shown]
        .iter()
        .enumerate()
        .map(|(index, arg)| {
            if index < 64 && redacted & (1 << index) != 0 {
                return Bytes::from("(redacted)");
            }
            if arg.len() <= BYTES_SHOWN {
                return arg.clone();
            }
            let mut text = Bytes::copy(&arg[..BYTES_SHOWN]);
            text.extend(format!("... ({} more bytes)", arg.len() - BYTES_SHOWN).as_bytes());
            text
        })
        .collect();
    if shown < args.len() {
        kept.push(Bytes::from(format!("... ({} more arguments)", args.len() - shown)));
    }
    kept
}

/// Samples that one event keeps.
const SAMPLES: usize = 160;

/// The samples of one latency event, oldest first: second and milliseconds; one a second, the worst of it.
#[derive(Clone, Debug, Default)]
pub struct Event {
    pub samples: VecDeque<(u64, u64)>,
    pub max_ms: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Latency {
    pub events: BTreeMap<&'static str, Event>,
}

impl Latency {
    /// Notes that `event` took `ms`, if that is at least the threshold (0: nothing is noted).
    pub fn sample(&mut self, event: &'static str, now: Millis, ms: u64, threshold_ms: u64) {
        if threshold_ms == 0 || ms < threshold_ms {
            return;
        }
        let event = self.events.entry(event).or_default();
        event.max_ms = event.max_ms.max(ms);
        if let Some((at, worst)) = event.samples.back_mut()
            && *at == now.secs()
        {
            *worst = (*worst).max(ms);
            return;
        }
        event.samples.push_back((now.secs(), ms));
        if event.samples.len() > SAMPLES {
            event.samples.pop_front();
        }
    }
}

impl Instance {
    /// Notes how long something other than a command took that began at `began_us` by the stopwatch.
    pub(super) fn note_latency(&mut self, event: &'static str, began_us: u64, now: Millis) {
        let ms = self.hooks.micros().saturating_sub(began_us) / 1000;
        if ms > 0 {
            let threshold_ms = self.config.int("latency-monitor-threshold") as u64;
            self.latency.sample(event, now, ms, threshold_ms);
        }
    }

    /// Books `micros` that the command of `call` took.
    pub(super) fn clock_command(call: &mut Call, micros: u64) {
        let stat: &mut CommandStat = &mut call.server.stats.commands[call.index];
        stat.usec += micros;
        stat.histogram.add(micros);
        if let Ok(slower_than) = u64::try_from(call.server.config.slowlog_log_slower_than)
            && micros >= slower_than
            && !call.command.flags.has(super::command::SKIP_SLOWLOG)
        {
            let (addr, name) = {
                let me = call.me();
                (me.addr.clone(), me.name.clone())
            };
            let args = shortened(call.args, call.redacted);
            let entry = Slow { id: 0, at: call.now, micros, args, addr, name };
            let max_len = call.server.config.slowlog_max_len;
            call.server.slowlog.push(entry, max_len);
        }
        if micros < 1000 {
            return;
        }
        let threshold_ms = call.server.config.int("latency-monitor-threshold") as u64;
        let event = if call.command.flags.has(super::command::FAST) { "fast-command" } else { "command" };
        call.server.latency.sample(event, call.now, micros / 1000, threshold_ms);
    }
}

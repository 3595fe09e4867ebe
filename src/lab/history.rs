//! What happened, in order: the past that checks, `:why` and the timeline look at.
//!
//! Events stand in chunks that copies of a world share, so a fork or a checkpoint costs nothing per event.

use crate::snapshot::Event;
use std::sync::Arc;

const CHUNK: usize = 256;

/// Events with consecutive sequence numbers, from 1.
#[derive(Clone, Debug, Default)]
pub struct History {
    full: Vec<Arc<Vec<Event>>>,
    open: Vec<Event>,
}

impl History {
    /// The sequence number of the last event; 0 if there is none.
    pub fn last(&self) -> u64 {
        (self.full.len() * CHUNK + self.open.len()) as u64
    }

    /// `event` must carry the next number.
    pub fn push(&mut self, event: Event) {
        debug_assert_eq!(event.sequence, self.last() + 1);
        self.open.push(event);
        if self.open.len() == CHUNK {
            self.full.push(Arc::new(std::mem::take(&mut self.open)));
        }
    }

    /// All events after `sequence`, oldest first.
    pub fn since(&self, sequence: u64) -> impl Iterator<Item = &Event> {
        let chunk = (sequence as usize / CHUNK).min(self.full.len());
        let skip = sequence as usize - (chunk * CHUNK).min(sequence as usize);
        self.full[chunk..].iter().flat_map(|chunk| chunk.iter()).chain(&self.open).skip(skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::What;

    #[test]
    fn since_finds_the_events_behind_any_number() {
        let mut history = History::default();
        for sequence in 1..=1000 {
            history.push(Event { sequence, at: Default::default(), instance: String::new(), what: What::PowerCut });
        }
        for from in [0, 1, 255, 256, 257, 511, 512, 999, 1000, 1001, 5000] {
            let found: Vec<u64> = history.since(from).map(|event| event.sequence).collect();
            assert_eq!(found, (from + 1..=1000).collect::<Vec<_>>(), "since {from}");
        }
    }
}

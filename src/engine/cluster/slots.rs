//! Sets of hash slots.
//!
//! A set is kept as the bus writes it: one bit for each slot, the lowest first in each byte. Most nodes of a cluster are
//! replicas without slots, so an empty set takes no memory.

use std::cell::OnceCell;
use std::fmt::Write;

pub use crate::base::slot::{SLOTS, crc16, hashed_part, slot_of};

/// Bytes of a set on the bus.
pub const SET_BYTES: usize = SLOTS / 8;

/// A set of slots. Slots must be below 16384.
#[derive(Clone, Default, Debug)]
pub struct SlotSet {
    /// None: empty.
    bits: Option<Box<[u8; SET_BYTES]>>,
    count: u16,
    /// What `text` last said of it. A node writes down all nodes when the slots of one have changed.
    text: OnceCell<Box<str>>,
}

impl PartialEq for SlotSet {
    fn eq(&self, other: &SlotSet) -> bool {
        self.bits == other.bits
    }
}

impl Eq for SlotSet {}

static NO_SLOTS: [u8; SET_BYTES] = [0; SET_BYTES];

impl SlotSet {
    /// As it stands in a message.
    pub fn from_wire(bytes: &[u8; SET_BYTES]) -> SlotSet {
        let count = bytes.iter().map(|byte| byte.count_ones() as u16).sum();
        SlotSet { bits: (count > 0).then(|| Box::new(*bytes)), count, text: OnceCell::new() }
    }

    pub fn wire(&self) -> &[u8; SET_BYTES] {
        self.bits.as_deref().unwrap_or(&NO_SLOTS)
    }

    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn contains(&self, slot: u16) -> bool {
        self.bits.as_deref().is_some_and(|bits| bits[usize::from(slot / 8)] & (1 << (slot % 8)) != 0)
    }

    /// Whether it was not in.
    pub fn insert(&mut self, slot: u16) -> bool {
        let bits = self.bits.get_or_insert_with(|| Box::new(NO_SLOTS));
        let byte = &mut bits[usize::from(slot / 8)];
        let new = *byte & (1 << (slot % 8)) == 0;
        *byte |= 1 << (slot % 8);
        self.count += u16::from(new);
        self.text.take();
        new
    }

    /// Whether it was in.
    pub fn remove(&mut self, slot: u16) -> bool {
        let Some(bits) = &mut self.bits else { return false };
        let byte = &mut bits[usize::from(slot / 8)];
        let was = *byte & (1 << (slot % 8)) != 0;
        *byte &= !(1 << (slot % 8));
        self.count -= u16::from(was);
        self.text.take();
        if self.count == 0 {
            self.bits = None;
        }
        was
    }

    /// Those of this set that are not in `other`.
    pub fn minus(&self, other: &SlotSet) -> SlotSet {
        let mut rest = *self.wire();
        rest.iter_mut().zip(other.wire()).for_each(|(byte, gone)| *byte &= !gone);
        SlotSet::from_wire(&rest)
    }

    pub fn iter(&self) -> Iter<'_> {
        Iter { bytes: self.bits.as_deref().map_or(&[], |bits| &bits[..]), base: 0, word: 0 }
    }

    /// Runs of neighbouring slots, both ends included.
    pub fn ranges(&self) -> Vec<(u16, u16)> {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        let mut add = |first: u16, last: u16| match ranges.last_mut() {
            Some((_, end)) if *end + 1 == first => *end = last,
            _ => ranges.push((first, last)),
        };
        let mut at = 0;
        for chunk in self.bits.iter().flat_map(|bits| bits.chunks_exact(8)) {
            let mut word = word_of(chunk);
            // Whole words of one kind are the rule: a node's slots stand together.
            if word == u64::MAX {
                add(at, at + 63);
                word = 0;
            }
            while word != 0 {
                let bit = word.trailing_zeros();
                let run = (word >> bit).trailing_ones();
                add(at + bit as u16, at + (bit + run) as u16 - 1);
                word &= u64::MAX.checked_shl(bit + run).unwrap_or(0);
            }
            at += 64;
        }
        ranges
    }

    /// `0-5460 5462`, as CLUSTER NODES writes it.
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let mut text = String::new();
            for (first, last) in self.ranges() {
                let gap = if text.is_empty() { "" } else { " " };
                // Writing to a String cannot fail.
                let _ = if first == last { write!(text, "{gap}{first}") } else { write!(text, "{gap}{first}-{last}") };
            }
            text.into_boxed_str()
        })
    }
}

fn word_of(chunk: &[u8]) -> u64 {
    u64::from_le_bytes(chunk.try_into().expect("eight bytes each"))
}

/// The slots of a set, in order.
pub struct Iter<'a> {
    bytes: &'a [u8],
    /// The first slot of the next word.
    base: u16,
    /// What is left of the current one.
    word: u64,
}

impl Iterator for Iter<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        while self.word == 0 {
            let (chunk, rest) = self.bytes.split_at_checked(8)?;
            (self.word, self.bytes) = (word_of(chunk), rest);
            self.base += 64;
        }
        let bit = self.word.trailing_zeros() as u16;
        self.word &= self.word - 1;
        Some(self.base - 64 + bit)
    }
}

impl FromIterator<u16> for SlotSet {
    fn from_iter<I: IntoIterator<Item = u16>>(slots: I) -> SlotSet {
        let mut set = SlotSet::default();
        for slot in slots {
            set.insert(slot);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_what_was_put_in() {
        let mut set: SlotSet = [0, 1, 2, 7, 8, 100, 16382, 16383].into_iter().collect();
        assert_eq!(set.text(), "0-2 7-8 100 16382-16383");
        assert_eq!(SlotSet::from_wire(set.wire()), set);
        assert_eq!(set.iter().collect::<SlotSet>(), set);
        assert_eq!(set.minus(&(0..8192).collect()).text(), "16382-16383");
        let all: SlotSet = (0..SLOTS as u16).collect();
        assert_eq!((all.text(), all.iter().count()), ("0-16383", SLOTS));
        assert_eq!((63..129).chain([200]).collect::<SlotSet>().text(), "63-128 200");
        assert!(!set.insert(7) && set.remove(7) && !set.remove(7));
        assert_eq!((set.len(), set.contains(7), set.contains(8)), (7, false, true));
        [0, 1, 2, 8, 100, 16382, 16383].into_iter().for_each(|slot| assert!(set.remove(slot)));
        assert_eq!(set, SlotSet::default());
    }
}

//! The backlog: the last bytes of the stream, for replicas that come back after a cut.

use std::collections::VecDeque;

/// Holds `capacity` bytes at most; the oldest make room.
#[derive(Clone, Debug)]
pub struct Backlog {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// The offset of the next byte of the stream; offsets begin at 1.
    next_offset: u64,
}

impl Backlog {
    /// An empty one. The first byte that it gets has the offset behind `offset`.
    pub fn new(capacity: usize, offset: u64) -> Backlog {
        Backlog { bytes: VecDeque::new(), capacity, next_offset: offset + 1 }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.next_offset += bytes.len() as u64;
        let kept = &bytes[bytes.len().saturating_sub(self.capacity)..];
        let surplus = (self.bytes.len() + kept.len()).saturating_sub(self.capacity);
        self.bytes.drain(..surplus);
        self.bytes.extend(kept);
    }

    pub fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        let surplus = self.bytes.len().saturating_sub(capacity);
        self.bytes.drain(..surplus);
    }

    /// How many bytes it holds.
    pub fn held(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The offset of the oldest byte.
    pub fn first_offset(&self) -> u64 {
        self.next_offset - self.held()
    }

    /// The stream from `offset` on; None if that is too old, or still to come.
    pub fn since(&self, offset: i64) -> Option<Vec<u8>> {
        let offset = u64::try_from(offset).ok()?;
        let from = offset.checked_sub(self.first_offset())?;
        (from <= self.held()).then(|| self.bytes.range(from as usize..).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_the_last_bytes_and_knows_their_offsets() {
        let mut backlog = Backlog::new(8, 100);
        assert_eq!((backlog.first_offset(), backlog.held()), (101, 0));
        assert_eq!(backlog.since(101).as_deref(), Some(&b""[..]));
        backlog.push(b"abcde");
        backlog.push(b"fghij");
        assert_eq!((backlog.first_offset(), backlog.held()), (103, 8));
        assert_eq!(backlog.since(103).as_deref(), Some(&b"cdefghij"[..]));
        assert_eq!(backlog.since(110).as_deref(), Some(&b"j"[..]));
        assert_eq!(backlog.since(111).as_deref(), Some(&b""[..]));
        assert_eq!((backlog.since(102), backlog.since(112), backlog.since(-1)), (None, None, None));
        backlog.push(b"0123456789");
        assert_eq!(backlog.since(113).as_deref(), Some(&b"23456789"[..]));
        backlog.resize(2);
        assert_eq!((backlog.first_offset(), backlog.held()), (119, 2));
    }
}

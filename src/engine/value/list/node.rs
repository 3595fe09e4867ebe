//! A node of a list: elements side by side, and the bytes that they would take as a listpack.

use crate::base::Bytes;
use crate::engine::config::Limits;
use crate::engine::value::listpack::{self, FRAME};
use std::collections::VecDeque;
use std::ops::Range;

/// With a limit in elements, a node may still not take more bytes than this.
pub(super) const SAFE_BYTES: usize = 8192;
/// What Redis takes an element to cost beyond its own length when it looks whether a node has room.
pub(super) const ELEMENT_OVERHEAD: usize = 8;

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) items: VecDeque<Bytes>,
    /// What a listpack of these items would take.
    pub(super) bytes: usize,
}

impl Default for Node {
    fn default() -> Node {
        Node { items: VecDeque::new(), bytes: FRAME }
    }
}

impl Node {
    pub(super) fn of(item: Bytes) -> Node {
        let mut node = Node::default();
        node.push_back(item);
        node
    }

    pub(super) fn push_back(&mut self, item: Bytes) {
        self.bytes += listpack::size(&item);
        self.items.push_back(item);
    }

    pub(super) fn push_front(&mut self, item: Bytes) {
        self.bytes += listpack::size(&item);
        self.items.push_front(item);
    }

    pub(super) fn insert(&mut self, at: usize, item: Bytes) {
        self.bytes += listpack::size(&item);
        self.items.insert(at, item);
    }

    pub(super) fn pop_front(&mut self) -> Option<Bytes> {
        let item = self.items.pop_front()?;
        self.bytes -= listpack::size(&item);
        Some(item)
    }

    pub(super) fn pop_back(&mut self) -> Option<Bytes> {
        let item = self.items.pop_back()?;
        self.bytes -= listpack::size(&item);
        Some(item)
    }

    pub(super) fn replace(&mut self, at: usize, item: Bytes) {
        self.bytes += listpack::size(&item);
        let old = std::mem::replace(&mut self.items[at], item);
        self.bytes -= listpack::size(&old);
    }

    pub(super) fn remove_range(&mut self, range: Range<usize>) {
        self.bytes -= self.items.drain(range).map(|item| listpack::size(&item)).sum::<usize>();
    }

    pub(super) fn split_off(&mut self, at: usize) -> Node {
        let items = self.items.split_off(at);
        let bytes: usize = items.iter().map(|item| listpack::size(item)).sum();
        self.bytes -= bytes;
        Node { items, bytes: bytes + FRAME }
    }

    pub(super) fn append(&mut self, mut tail: Node) {
        self.bytes += tail.bytes - FRAME;
        self.items.append(&mut tail.items);
    }

    /// Removes up to `most` items equal to `item`; how many it were.
    pub(super) fn remove_equal(&mut self, item: &[u8], most: usize, from_tail: bool) -> usize {
        let equal = self.items.iter().filter(|it| ***it == *item).count();
        let (skipped, gone) =
            if from_tail { (equal.saturating_sub(most), equal.min(most)) } else { (0, equal.min(most)) };
        if gone == 0 {
            return 0;
        }
        let mut seen = 0;
        self.items.retain(|it| {
            if **it != *item {
                return true;
            }
            seen += 1;
            seen <= skipped || seen > skipped + gone
        });
        self.bytes -= gone * listpack::size(item);
        gone
    }

    pub(super) fn has_room(&self, item: &[u8], limits: &Limits) -> bool {
        !exceeds(limits, self.bytes + item.len() + ELEMENT_OVERHEAD, self.items.len() + 1)
    }

    pub(super) fn may_merge(&self, other: &Node, limits: &Limits) -> bool {
        !exceeds(limits, self.bytes + other.bytes - FRAME, self.items.len() + other.items.len())
    }
}

/// The most bytes and the most elements of a node; one of them is without limit.
pub(super) fn node_limit(limits: &Limits) -> (usize, usize) {
    match limits.list_max_listpack_size {
        count @ 0.. => (usize::MAX, (count as usize).max(1)),
        level => (4096 << (-level - 1).min(4), usize::MAX),
    }
}

pub(super) fn exceeds(limits: &Limits, bytes: usize, count: usize) -> bool {
    match node_limit(limits) {
        (bytes_max, usize::MAX) => bytes > bytes_max,
        (_, count_max) => bytes > SAFE_BYTES || count > count_max,
    }
}

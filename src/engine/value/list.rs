//! Lists: a `quicklist` of nodes, or a single node reported as `listpack` while it is small.
//!
//! A node holds elements up to the limit of `list-max-listpack-size`: a number of them, or with a negative value a size
//! in bytes, counted as a listpack would take them (which is why each node keeps that sum). Where nodes are split and
//! merged decides when a list may become a `listpack` again, so that is done as Redis does it.

mod node;

use crate::base::Bytes;
use crate::engine::config::Limits;
use node::{Node, exceeds, node_limit};
use std::collections::VecDeque;
use std::ops::Range;

#[derive(Clone, Debug, Default)]
pub struct List(Form);

#[derive(Clone, Debug)]
enum Form {
    Packed(Node),
    /// No node is empty.
    Quick {
        nodes: VecDeque<Node>,
        len: usize,
    },
}

impl Default for Form {
    fn default() -> Form {
        Form::Packed(Node::default())
    }
}

impl List {
    /// A list of `items` in the encoding that suits it: what SORT ... STORE and loading a file make.
    pub fn build(items: impl IntoIterator<Item = Bytes>, limits: &Limits) -> List {
        let mut list = List(Form::Quick { nodes: VecDeque::new(), len: 0 });
        items.into_iter().for_each(|item| list.push_raw(item, End::Tail, limits));
        list.shrink_below(limits, 1);
        list
    }

    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Packed(_) => "listpack",
            Form::Quick { .. } => "quicklist",
        }
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Packed(node) => node.items.len(),
            Form::Quick { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many nodes there are, and the bytes their listpacks would take: for DEBUG OBJECT and the memory model.
    pub fn nodes(&self) -> (usize, usize) {
        let (front, back) = self.slices();
        (front.len() + back.len(), front.iter().chain(back).map(|node| node.bytes).sum())
    }

    fn slices(&self) -> (&[Node], &[Node]) {
        match &self.0 {
            Form::Packed(node) => (std::slice::from_ref(node), &[]),
            Form::Quick { nodes, .. } => nodes.as_slices(),
        }
    }

    /// The node and the offset in it of element `index`, which exists.
    fn place(&self, index: usize) -> (usize, usize) {
        let Form::Quick { nodes, len } = &self.0 else { return (0, index) };
        if index < len / 2 {
            let mut left = index;
            for (at, node) in nodes.iter().enumerate() {
                if left < node.items.len() {
                    return (at, left);
                }
                left -= node.items.len();
            }
        } else {
            let mut behind = len - index;
            for (at, node) in nodes.iter().enumerate().rev() {
                if behind <= node.items.len() {
                    return (at, node.items.len() - behind);
                }
                behind -= node.items.len();
            }
        }
        (nodes.len(), 0)
    }

    pub fn get(&self, index: usize) -> Option<&Bytes> {
        if index >= self.len() {
            return None;
        }
        let (node, offset) = self.place(index);
        match &self.0 {
            Form::Packed(node) => node.items.get(offset),
            Form::Quick { nodes, .. } => nodes[node].items.get(offset),
        }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Bytes> {
        let (front, back) = self.slices();
        front.iter().chain(back).flat_map(|node| node.items.iter())
    }

    /// The elements from `index` on.
    pub fn iter_from(&self, index: usize) -> impl Iterator<Item = &Bytes> {
        let (at, offset) = if index < self.len() { self.place(index) } else { (usize::MAX, 0) };
        let (front, back) = self.slices();
        let skipped = at.min(front.len());
        let nodes = front[skipped..].iter().chain(back[(at - skipped).min(back.len())..].iter());
        let mut nodes = nodes.map(|node| &node.items);
        let first = nodes.next().map(|items| items.range(offset..));
        first.into_iter().flatten().chain(nodes.flatten())
    }

    // -- growing -----------------------------------------------------------------------------------------------------

    /// Chooses the encoding before elements of these lengths are added, all of them at once as Redis does.
    pub fn expect<'a>(&mut self, items: impl IntoIterator<Item = &'a Bytes>, limits: &Limits) {
        let Form::Packed(node) = &mut self.0 else { return };
        let (mut bytes, mut count) = (node.bytes, node.items.len());
        for item in items {
            bytes += item.len();
            count += 1;
        }
        if exceeds(limits, bytes, count) {
            let node = std::mem::take(node);
            let len = node.items.len();
            let nodes = if len > 0 { VecDeque::from([node]) } else { VecDeque::new() };
            self.0 = Form::Quick { nodes, len };
        }
    }

    /// Adds one element at an end.
    pub fn push(&mut self, item: Bytes, end: End, limits: &Limits) {
        self.expect([&item], limits);
        self.push_raw(item, end, limits);
    }

    pub fn push_back(&mut self, item: Bytes, limits: &Limits) {
        self.push(item, End::Tail, limits);
    }

    /// Adds elements at an end, one after the other: at the head, the last comes to stand first.
    pub fn push_all(&mut self, items: &[Bytes], end: End, limits: &Limits) {
        self.expect(items, limits);
        for item in items {
            self.push_raw(item.clone(), end, limits);
        }
    }

    fn push_raw(&mut self, item: Bytes, end: End, limits: &Limits) {
        let node = match &mut self.0 {
            Form::Packed(node) => node,
            Form::Quick { nodes, len } => {
                *len += 1;
                let outer = if end == End::Head { nodes.front_mut() } else { nodes.back_mut() };
                match outer {
                    Some(node) if node.has_room(&item, limits) => node,
                    _ if end == End::Head => return nodes.push_front(Node::of(item)),
                    _ => return nodes.push_back(Node::of(item)),
                }
            }
        };
        if end == End::Head { node.push_front(item) } else { node.push_back(item) }
    }

    /// Inserts `item` before or behind the element at `index`. Call `expect` before.
    pub fn insert(&mut self, index: usize, item: Bytes, after: bool, limits: &Limits) {
        let (at, offset) = self.place(index);
        let (nodes, len) = match &mut self.0 {
            Form::Packed(node) => return node.insert(offset + usize::from(after), item),
            Form::Quick { nodes, len } => (nodes, len),
        };
        *len += 1;
        let node = &mut nodes[at];
        if node.has_room(&item, limits) {
            return node.insert(offset + usize::from(after), item);
        }
        let at_end = if after { offset + 1 == node.items.len() } else { offset == 0 };
        if at_end {
            let neighbour = if after { Some(at + 1) } else { at.checked_sub(1) };
            match neighbour.and_then(|at| nodes.get_mut(at)) {
                Some(node) if node.has_room(&item, limits) && after => node.push_front(item),
                Some(node) if node.has_room(&item, limits) => node.push_back(item),
                _ => nodes.insert(at + usize::from(after), Node::of(item)),
            }
            return;
        }
        let mut tail = node.split_off(offset + usize::from(after));
        // Redis keeps the half that holds the pivot as the centre of the merges that follow.
        let centre = if after {
            tail.push_front(item);
            at
        } else {
            node.push_back(item);
            at + 1
        };
        nodes.insert(at + 1, tail);
        merge_around(nodes, centre, limits);
    }

    /// Replaces the element at `index`, which exists.
    pub fn set(&mut self, index: usize, item: Bytes, limits: &Limits) {
        self.expect([&item], limits);
        let (at, offset) = self.place(index);
        match &mut self.0 {
            Form::Packed(node) => node.replace(offset, item),
            Form::Quick { nodes, .. } => nodes[at].replace(offset, item),
        }
        self.shrink(limits);
    }

    // -- shrinking ---------------------------------------------------------------------------------------------------

    pub fn pop(&mut self, end: End, limits: &Limits) -> Option<Bytes> {
        let item = match &mut self.0 {
            Form::Packed(node) => return if end == End::Head { node.pop_front() } else { node.pop_back() },
            Form::Quick { nodes, len } => {
                let outer = if end == End::Head { nodes.front_mut() } else { nodes.back_mut() }?;
                let item = if end == End::Head { outer.pop_front() } else { outer.pop_back() };
                if outer.items.is_empty() {
                    if end == End::Head {
                        nodes.pop_front()
                    } else {
                        nodes.pop_back()
                    };
                }
                *len -= 1;
                item
            }
        };
        self.shrink(limits);
        item
    }

    /// Removes `range`, cut to what there is.
    pub fn remove_range(&mut self, range: Range<usize>, limits: &Limits) {
        let range = range.start..range.end.min(self.len());
        if range.is_empty() {
            return;
        }
        let (first, mut offset) = self.place(range.start);
        match &mut self.0 {
            Form::Packed(node) => node.remove_range(range),
            Form::Quick { nodes, len } => {
                *len -= range.len();
                let (mut behind, mut left) = (first, range.len());
                while left > 0 {
                    let node = &mut nodes[behind];
                    let gone = left.min(node.items.len() - offset);
                    node.remove_range(offset..offset + gone);
                    behind += 1;
                    (left, offset) = (left - gone, 0);
                }
                // The first and the last of them may have kept something. All others go at once: one by one each would
                // move all that stand behind.
                let kept = |at: usize| usize::from(!nodes[at].items.is_empty());
                let (from, to) = (first + kept(first), behind - kept(behind - 1));
                nodes.drain(from..to.max(from));
            }
        }
        self.shrink(limits);
    }

    /// Removes up to `most` elements equal to `item`, looking from an end; how many it were.
    pub fn remove_equal(&mut self, item: &[u8], most: usize, from: End, limits: &Limits) -> usize {
        let from_tail = from == End::Tail;
        let gone = match &mut self.0 {
            Form::Packed(node) => node.remove_equal(item, most, from_tail),
            Form::Quick { nodes, len } => {
                let mut gone = 0;
                let count = nodes.len();
                for step in 0..count {
                    let at = if from_tail { count - 1 - step } else { step };
                    gone += nodes[at].remove_equal(item, most - gone, from_tail);
                    if gone == most {
                        break;
                    }
                }
                nodes.retain(|node| !node.items.is_empty());
                *len -= gone;
                gone
            }
        };
        if gone > 0 {
            self.shrink(limits);
        }
        gone
    }

    /// Goes back to one listpack once half of the limit is enough: not at the limit itself, where a list that grows and
    /// shrinks by one would be converted each time.
    fn shrink(&mut self, limits: &Limits) {
        self.shrink_below(limits, 2);
    }

    fn shrink_below(&mut self, limits: &Limits, divisor: usize) {
        let Form::Quick { nodes, .. } = &mut self.0 else { return };
        let (bytes_max, count_max) = node_limit(limits);
        match nodes.len() {
            0 => self.0 = Form::default(),
            1 if nodes[0].bytes <= bytes_max / divisor && nodes[0].items.len() <= count_max / divisor => {
                self.0 = Form::Packed(nodes.pop_front().expect("there is one"));
            }
            _ => {}
        }
    }
}

/// After a split: joins neighbours of node `centre` that fit into one, in Redis' order of trying.
fn merge_around(nodes: &mut VecDeque<Node>, mut centre: usize, limits: &Limits) {
    let mut join = |left: usize| {
        let fits = left + 1 < nodes.len() && nodes[left].may_merge(&nodes[left + 1], limits);
        if fits {
            let right = nodes.remove(left + 1).expect("checked above");
            nodes[left].append(right);
        }
        fits
    };
    if centre >= 2 && join(centre - 2) {
        centre -= 1;
    }
    join(centre + 1);
    if centre >= 1 && join(centre - 1) {
        centre -= 1;
    }
    join(centre);
}

/// One end of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Head,
    Tail,
}

impl End {
    /// LEFT or RIGHT, as LMOVE and LMPOP call them.
    pub fn named(word: &[u8]) -> Option<End> {
        if word.eq_ignore_ascii_case(b"LEFT") {
            Some(End::Head)
        } else if word.eq_ignore_ascii_case(b"RIGHT") {
            Some(End::Tail)
        } else {
            None
        }
    }

    pub fn word(self) -> &'static str {
        if self == End::Head { "LEFT" } else { "RIGHT" }
    }
}

#[cfg(test)]
mod tests;

//! The order of a large sorted set: a skip list in an arena, whose links know how many elements they skip.
//!
//! Heights are drawn from a generator of its own, so that equal histories give equal lists. Nodes are indexes into one
//! vector and their links a run of another, so a clone is three copies.

use super::order;
use crate::base::Bytes;
use std::cmp::Ordering;

const HEAD: u32 = 0;
/// No node: nothing points at the head.
const END: u32 = 0;
const HEIGHT_MAX: usize = 24;

#[derive(Clone, Debug)]
struct Node {
    score: f64,
    member: Bytes,
    back: u32,
    /// Where its links begin; of a free node, the next free one of its height.
    links: u32,
    height: u8,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    /// How many steps of the lowest level this link takes; to the end, how many nodes are left.
    span: u32,
}

#[derive(Clone, Debug)]
pub struct SkipList {
    nodes: Vec<Node>,
    links: Vec<Link>,
    /// Removed nodes of each height, to be used again: 0 is none.
    free: [u32; HEIGHT_MAX + 1],
    len: usize,
    height: usize,
    last: u32,
    chance: u64,
}

impl SkipList {
    pub fn new(seed: u64) -> SkipList {
        let head = Node { score: 0.0, member: Bytes::new(), back: END, links: 0, height: HEIGHT_MAX as u8 };
        SkipList {
            nodes: vec![head],
            links: vec![Link { next: END, span: 0 }; HEIGHT_MAX],
            free: [END; HEIGHT_MAX + 1],
            len: 0,
            height: 1,
            last: HEAD,
            chance: seed | 1,
        }
    }

    fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    fn link(&self, at: u32, level: usize) -> Link {
        self.links[self.nodes[at as usize].links as usize + level]
    }

    fn link_mut(&mut self, at: u32, level: usize) -> &mut Link {
        &mut self.links[self.nodes[at as usize].links as usize + level]
    }

    /// One in four goes a level higher (xorshift64).
    fn draw_height(&mut self) -> usize {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let quarters = (self.chance.wrapping_mul(0x2545_f491_4f6c_dd1d)).leading_zeros() as usize / 2;
        (quarters + 1).min(HEIGHT_MAX)
    }

    /// On each level the last node for which `before` holds, and how many nodes stand before or at it.
    fn path(&self, before: impl Fn(f64, &[u8]) -> bool) -> [(u32, u32); HEIGHT_MAX] {
        let mut path = [(HEAD, 0); HEIGHT_MAX];
        let (mut at, mut rank) = (HEAD, 0);
        for level in (0..self.height).rev() {
            loop {
                let link = self.link(at, level);
                if link.next == END || !before(self.node(link.next).score, &self.node(link.next).member) {
                    break;
                }
                (at, rank) = (link.next, rank + link.span);
            }
            path[level] = (at, rank);
        }
        path
    }

    /// Adds an element that is not there.
    pub fn insert(&mut self, score: f64, member: Bytes) {
        let path = self.path(|s, m| order((s, m), (score, &member)) == Ordering::Less);
        let height = self.draw_height();
        while self.height < height {
            let len = self.len as u32;
            *self.link_mut(HEAD, self.height) = Link { next: END, span: len };
            self.height += 1;
        }
        let new = self.place(score, member, height);
        let rank = path[0].1;
        for (level, &(before, before_rank)) in path.iter().enumerate().take(self.height) {
            let link = self.link_mut(before, level);
            if level >= height {
                link.span += 1;
                continue;
            }
            let (next, span) = (link.next, link.span);
            *link = Link { next: new, span: rank - before_rank + 1 };
            *self.link_mut(new, level) = Link { next, span: span - (rank - before_rank) };
        }
        self.nodes[new as usize].back = path[0].0;
        match self.link(new, 0).next {
            END => self.last = new,
            next => self.nodes[next as usize].back = new,
        }
        self.len += 1;
    }

    /// A node for an element, a used one if one of that height is free.
    fn place(&mut self, score: f64, member: Bytes, height: usize) -> u32 {
        let free = self.free[height];
        if free != END {
            let node = &mut self.nodes[free as usize];
            self.free[height] = node.back;
            (node.score, node.member) = (score, member);
            return free;
        }
        let links = self.links.len() as u32;
        self.links.resize(self.links.len() + height, Link { next: END, span: 0 });
        self.nodes.push(Node { score, member, back: END, links, height: height as u8 });
        self.nodes.len() as u32 - 1
    }

    /// Removes an element that is there.
    pub fn remove(&mut self, score: f64, member: &[u8]) {
        let path = self.path(|s, m| order((s, m), (score, member)) == Ordering::Less);
        let gone = self.link(path[0].0, 0).next;
        debug_assert!(gone != END && *self.node(gone).member == *member, "the dict and the order hold the same");
        for (level, &(before, _)) in path.iter().enumerate().take(self.height) {
            let link = self.link(before, level);
            *self.link_mut(before, level) = if link.next == gone {
                let skipped = self.link(gone, level);
                Link { next: skipped.next, span: link.span + skipped.span - 1 }
            } else {
                Link { next: link.next, span: link.span - 1 }
            };
        }
        match self.link(gone, 0).next {
            END => self.last = path[0].0,
            next => self.nodes[next as usize].back = path[0].0,
        }
        while self.height > 1 && self.link(HEAD, self.height - 1).next == END {
            self.height -= 1;
        }
        let height = usize::from(self.node(gone).height);
        let node = &mut self.nodes[gone as usize];
        node.member = Bytes::new();
        node.back = std::mem::replace(&mut self.free[height], gone);
        self.len -= 1;
    }

    /// How many elements stand before one that is there.
    pub fn rank(&self, score: f64, member: &[u8]) -> usize {
        self.partition(|s, m| order((s, m), (score, member)) == Ordering::Less)
    }

    pub fn partition(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        self.path(before)[0].1 as usize
    }

    /// The node that has `count` elements up to and including itself; the head for 0.
    fn seek(&self, count: usize) -> u32 {
        let (mut at, mut left) = (HEAD, count);
        for level in (0..self.height).rev() {
            loop {
                let link = self.link(at, level);
                if link.next == END || link.span as usize > left {
                    break;
                }
                (at, left) = (link.next, left - link.span as usize);
            }
        }
        at
    }

    pub fn iter_from(&self, rank: usize) -> impl Iterator<Item = (&Bytes, f64)> {
        let mut at = self.seek(rank);
        std::iter::from_fn(move || {
            at = self.link(at, 0).next;
            (at != END).then(|| (&self.node(at).member, self.node(at).score))
        })
        .fuse()
    }

    /// Backwards, beginning with the element before `end`.
    pub fn iter_back_from(&self, end: usize) -> impl Iterator<Item = (&Bytes, f64)> {
        let mut at = if end >= self.len { self.last } else { self.seek(end) };
        std::iter::from_fn(move || {
            let node = (at != HEAD).then(|| self.node(at))?;
            at = node.back;
            Some((&node.member, node.score))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use std::collections::BTreeSet;

    #[test]
    fn it_agrees_with_a_sorted_vector() {
        let mut rng = Rng::new(5);
        let mut list = SkipList::new(9);
        let mut model: BTreeSet<(i64, Bytes)> = BTreeSet::new();
        for _ in 0..4000 {
            let item = (rng.below(20) as i64, Bytes::from(format!("m{}", rng.below(60))));
            if model.contains(&item) {
                list.remove(item.0 as f64, &item.1);
                model.remove(&item);
            } else {
                list.insert(item.0 as f64, item.1.clone());
                model.insert(item);
            }
            let at = rng.below(model.len() + 1);
            let expected: Vec<_> = model.iter().skip(at).map(|(score, name)| (name, *score as f64)).collect();
            assert_eq!(list.iter_from(at).collect::<Vec<_>>(), expected);
            let back: Vec<_> = model.iter().take(at).rev().map(|(score, name)| (name, *score as f64)).collect();
            assert_eq!(list.iter_back_from(at).collect::<Vec<_>>(), back);
            if let Some((score, name)) = model.iter().nth(at) {
                assert_eq!(list.rank(*score as f64, name), at);
            }
        }
        assert!(list.nodes.len() <= 2000, "removed nodes are used again");
    }
}

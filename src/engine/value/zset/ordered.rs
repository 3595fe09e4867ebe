//! The order of a large sorted set: a B+ tree whose nodes know how many elements are below them.
//!
//! Redis keeps a skip list here, which a clone could not copy without walking it and which waits for memory at every step.
//! Leaves of some dozens of elements stand in one piece of memory each, so a look-up misses the cache a few times only.
//! Nobody outside can tell: ranks, ranges and their order are all that shows.

use super::order;
use crate::base::Bytes;
use smallvec::SmallVec;

/// Elements of a leaf at most, and children of an inner node.
const WIDTH: usize = 64;
/// A node with fewer is joined with its neighbour where both fit into one with room to spare.
const SPARSE: usize = WIDTH / 4;

type Item = (f64, Bytes);

#[derive(Clone, Debug)]
enum Node {
    Leaf(Vec<Item>),
    Inner(Vec<Child>),
}

#[derive(Clone, Debug)]
struct Child {
    /// Not behind anything in `node`, and behind everything in the children before. It need not be an element (any more).
    from: Item,
    count: usize,
    node: Node,
}

#[derive(Clone, Debug)]
pub struct Ordered {
    root: Node,
    len: usize,
}

fn is_before(item: &Item, other: (f64, &[u8])) -> bool {
    order((item.0, &item.1), other).is_lt()
}

impl Node {
    fn width(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Inner(children) => children.len(),
        }
    }

    fn count(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Inner(children) => children.iter().map(|child| child.count).sum(),
        }
    }

    /// Adds an element that is not there. What had to be split off, to stand right behind this node.
    fn insert(&mut self, item: Item) -> Option<Child> {
        match self {
            Node::Leaf(items) => {
                let at = items.partition_point(|known| is_before(known, (item.0, &item.1)));
                items.insert(at, item);
                // Elements that come in order, as counters and times do, leave full leaves behind.
                let cut = if at + 1 == items.len() { WIDTH } else { WIDTH / 2 };
                (items.len() > WIDTH).then(|| {
                    let tail = items.split_off(cut);
                    Child { from: tail[0].clone(), count: tail.len(), node: Node::Leaf(tail) }
                })
            }
            Node::Inner(children) => {
                let at = child_of(children, (item.0, &item.1));
                let child = &mut children[at];
                child.count += 1;
                if let Some(split) = child.node.insert(item) {
                    child.count -= split.count;
                    children.insert(at + 1, split);
                }
                (children.len() > WIDTH).then(|| {
                    let tail = children.split_off(WIDTH / 2);
                    let from = tail[0].from.clone();
                    let node = Node::Inner(tail);
                    Child { from, count: node.count(), node }
                })
            }
        }
    }

    /// Removes an element that is there.
    fn remove(&mut self, item: (f64, &[u8])) {
        match self {
            Node::Leaf(items) => {
                let at = items.partition_point(|known| is_before(known, item));
                debug_assert!(
                    items.get(at).is_some_and(|found| *found.1 == *item.1),
                    "the dict and the order hold the same"
                );
                items.remove(at);
            }
            Node::Inner(children) => {
                let at = child_of(children, item);
                children[at].count -= 1;
                children[at].node.remove(item);
                if children[at].node.width() < SPARSE {
                    join(children, at);
                }
            }
        }
    }
}

/// Which child holds `item`, or would.
fn child_of(children: &[Child], item: (f64, &[u8])) -> usize {
    children[1..].partition_point(|child| order((child.from.0, &child.from.1), item).is_le())
}

/// Joins the sparse child `at` with a neighbour if the two fit into one node with some room; an empty one goes anyway.
fn join(children: &mut Vec<Child>, at: usize) {
    if children[at].count == 0 && children.len() > 1 {
        children.remove(at);
        return;
    }
    let left = if at + 1 < children.len() { at } else { at.saturating_sub(1) };
    let fits =
        children.get(left + 1).is_some_and(|next| next.node.width() + children[left].node.width() <= WIDTH * 3 / 4);
    if !fits {
        return;
    }
    let right = children.remove(left + 1);
    children[left].count += right.count;
    match (&mut children[left].node, right.node) {
        (Node::Leaf(items), Node::Leaf(more)) => items.extend(more),
        (Node::Inner(nodes), Node::Inner(more)) => nodes.extend(more),
        _ => unreachable!("all leaves are equally deep"),
    }
}

impl Ordered {
    pub fn new() -> Ordered {
        Ordered { root: Node::Leaf(Vec::new()), len: 0 }
    }

    /// Adds an element that is not there. O(log n).
    pub fn insert(&mut self, score: f64, member: Bytes) {
        self.len += 1;
        if let Some(split) = self.root.insert((score, member)) {
            let first = std::mem::replace(&mut self.root, Node::Inner(Vec::new()));
            // Nobody compares with the first child's.
            let first = Child { from: (f64::NEG_INFINITY, Bytes::new()), count: self.len - split.count, node: first };
            self.root = Node::Inner(vec![first, split]);
        }
    }

    /// Removes an element that is there. O(log n).
    pub fn remove(&mut self, score: f64, member: &[u8]) {
        self.len -= 1;
        self.root.remove((score, member));
        while let Node::Inner(children) = &mut self.root
            && children.len() == 1
        {
            self.root = children.pop().expect("there is one").node;
        }
    }

    /// How many elements stand before one that is there.
    pub fn rank(&self, score: f64, member: &[u8]) -> usize {
        self.partition(|s, m| order((s, m), (score, member)).is_lt())
    }

    /// How many elements stand before the first for which `before` is false; see `Zset::partition`.
    pub fn partition(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(items) => return rank + items.partition_point(|(score, member)| before(*score, member)),
                Node::Inner(children) => {
                    let at = children[1..].partition_point(|child| before(child.from.0, &child.from.1));
                    rank += children[..at].iter().map(|child| child.count).sum::<usize>();
                    node = &children[at].node;
                }
            }
        }
    }

    /// Beginning with the element of this rank.
    pub fn iter_from(&self, rank: usize) -> impl Iterator<Item = (&Bytes, f64)> {
        // What is still to be visited: children behind the path, then the rest of the leaf.
        let mut behind: SmallVec<[&[Child]; 8]> = SmallVec::new();
        let (mut node, mut skip) = (&self.root, rank.min(self.len));
        let mut items = loop {
            match node {
                Node::Leaf(items) => break items[skip..].iter(),
                Node::Inner(children) => {
                    let mut at = 0;
                    while skip >= children[at].count && at + 1 < children.len() {
                        skip -= children[at].count;
                        at += 1;
                    }
                    behind.push(&children[at + 1..]);
                    node = &children[at].node;
                }
            }
        };
        std::iter::from_fn(move || {
            loop {
                if let Some((score, member)) = items.next() {
                    return Some((member, *score));
                }
                let (first, rest) = loop {
                    match behind.pop()?.split_first() {
                        Some(split) => break split,
                        None => continue,
                    }
                };
                behind.push(rest);
                let mut node = &first.node;
                while let Node::Inner(children) = node {
                    let (first, rest) = children.split_first()?;
                    behind.push(rest);
                    node = &first.node;
                }
                if let Node::Leaf(leaf) = node {
                    items = leaf.iter();
                }
            }
        })
    }

    /// Backwards, beginning with the element before the one of rank `end`.
    pub fn iter_back_from(&self, end: usize) -> impl Iterator<Item = (&Bytes, f64)> {
        let mut before: SmallVec<[&[Child]; 8]> = SmallVec::new();
        let (mut node, mut keep) = (&self.root, end.min(self.len));
        let mut items = loop {
            match node {
                Node::Leaf(items) => break items[..keep].iter().rev(),
                Node::Inner(children) => {
                    let mut at = 0;
                    while keep > children[at].count {
                        keep -= children[at].count;
                        at += 1;
                    }
                    before.push(&children[..at]);
                    node = &children[at].node;
                }
            }
        };
        std::iter::from_fn(move || {
            loop {
                if let Some((score, member)) = items.next() {
                    return Some((member, *score));
                }
                let (last, rest) = loop {
                    match before.pop()?.split_last() {
                        Some(split) => break split,
                        None => continue,
                    }
                };
                before.push(rest);
                let mut node = &last.node;
                while let Node::Inner(children) = node {
                    let (last, rest) = children.split_last()?;
                    before.push(rest);
                    node = &last.node;
                }
                if let Node::Leaf(leaf) = node {
                    items = leaf.iter().rev();
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use std::collections::BTreeSet;

    /// Elements below `node`, after a look at everything that must hold there.
    fn checked(node: &Node, depth: usize, depths: &mut BTreeSet<usize>) -> Vec<Item> {
        match node {
            Node::Leaf(items) => {
                depths.insert(depth);
                assert!(items.len() <= WIDTH);
                items.clone()
            }
            Node::Inner(children) => {
                assert!(!children.is_empty() && children.len() <= WIDTH);
                let mut all: Vec<Item> = Vec::new();
                for (at, child) in children.iter().enumerate() {
                    let items = checked(&child.node, depth + 1, depths);
                    assert_eq!(child.count, items.len());
                    let from = (child.from.0, &*child.from.1);
                    assert!(at == 0 || all.iter().all(|item| is_before(item, from)));
                    assert!(at == 0 || !items.iter().any(|item| is_before(item, from)));
                    all.extend(items);
                }
                all
            }
        }
    }

    /// The seeds differ in how large the set grows before it shrinks to nothing.
    #[test]
    fn it_agrees_with_a_sorted_set() {
        for (seed, size) in [(5, 60), (6, 700), (7, 6000)] {
            let mut rng = Rng::new(seed);
            let mut tree = Ordered::new();
            let mut model: BTreeSet<(i64, Bytes)> = BTreeSet::new();
            for step in 0..size * 4 {
                let item = (rng.below(20) as i64, Bytes::from(format!("m{}", rng.below(size))));
                let shrinks = step > size * 2;
                let item = if shrinks {
                    model.iter().nth(rng.below(model.len().max(1))).cloned().unwrap_or(item)
                } else {
                    item
                };
                if model.remove(&item) {
                    tree.remove(item.0 as f64, &item.1);
                } else if !shrinks {
                    tree.insert(item.0 as f64, item.1.clone());
                    model.insert(item);
                }
                if step % (size / 16) != 0 {
                    continue;
                }
                let mut depths = BTreeSet::new();
                checked(&tree.root, 0, &mut depths);
                assert_eq!(depths.len(), 1, "all leaves are equally deep");
                let at = rng.below(model.len() + 1);
                let expected: Vec<_> = model.iter().skip(at).map(|(score, name)| (name, *score as f64)).collect();
                assert_eq!(tree.iter_from(at).collect::<Vec<_>>(), expected);
                let mut back: Vec<_> = model.iter().take(at).map(|(score, name)| (name, *score as f64)).collect();
                back.reverse();
                assert_eq!(tree.iter_back_from(at).collect::<Vec<_>>(), back);
                if let Some((score, name)) = model.iter().nth(at) {
                    assert_eq!(tree.rank(*score as f64, name), at);
                }
            }
        }
    }

    #[test]
    fn elements_in_order_fill_their_leaves() {
        let mut tree = Ordered::new();
        for n in 0..WIDTH * 10 {
            tree.insert(n as f64, Bytes::from("m"));
        }
        let Node::Inner(children) = &tree.root else { panic!("more than one leaf") };
        assert_eq!(children.len(), 10);
    }
}

//! How many nodes Redis' radix tree has: XINFO STREAM shows it, and memory follows from it.
//!
//! We keep a stream's nodes in a B-tree. The radix tree over the same 16-byte keys has a node for each fork, one for each
//! end, and one for each run of bytes between two of these; it has no other form, however the keys came and went. So the
//! number follows from the neighbours of a key alone.

use super::Id;
use std::collections::BTreeMap;

const KEY_LEN: usize = 16;

fn common(a: &[u8; KEY_LEN], b: &[u8; KEY_LEN]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// How many nodes more the tree over `keys` has once `id`, which is not among them, is. An empty tree has one node.
pub fn growth<V>(keys: &BTreeMap<Id, V>, id: Id) -> usize {
    let key = id.to_be_bytes();
    let before = |id: Id| keys.range(..id).next_back().map(|(id, _)| id.to_be_bytes());
    let behind = |id: Id| keys.range(id..).find(|(other, _)| **other != id).map(|(id, _)| id.to_be_bytes());
    let (left, right) = (before(id), behind(id));
    // The new key leaves the tree at the byte in which it differs from the nearest other one.
    let Some(fork) = left.iter().chain(&right).map(|other| common(&key, other)).max() else { return 1 };
    let prefixed = |fill: u8| {
        let mut bound = [fill; KEY_LEN];
        bound[..fork].copy_from_slice(&key[..fork]);
        Id::from_be_bytes(bound)
    };
    let (low, high) = (prefixed(0), prefixed(0xff));
    let first = keys.range(low..=high).next().map_or(key, |(id, _)| id.to_be_bytes());
    let last = keys.range(low..=high).next_back().map_or(key, |(id, _)| id.to_be_bytes());
    let tail = usize::from(fork + 1 < KEY_LEN);
    if first[fork] != last[fork] {
        // The fork is there already.
        return 1 + tail;
    }
    // A run of bytes is split: what stands before the fork, the fork, what stands behind it.
    let run_end = if first == last { KEY_LEN } else { common(&first, &last) };
    let outside = [before(low), behind(high)];
    let run_start = outside.iter().flatten().map(|other| common(&key, other) + 1).max().unwrap_or(0);
    let pieces = usize::from(fork > run_start) + 1 + usize::from(run_end > fork + 1);
    pieces - 1 + 1 + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    /// The tree counted out: forks, ends and runs.
    fn count(keys: &[[u8; KEY_LEN]], depth: usize) -> usize {
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return 1 };
        let fork = common(first, last);
        let run = usize::from(fork > depth);
        if fork == KEY_LEN {
            return run + 1;
        }
        let children = keys.chunk_by(|a, b| a[fork] == b[fork]);
        run + 1 + children.map(|child| count(child, fork + 1)).sum::<usize>()
    }

    #[test]
    fn the_count_follows_keys_that_come_and_go() {
        let mut rng = Rng::new(8);
        let mut keys: BTreeMap<Id, ()> = BTreeMap::new();
        let mut nodes = 1;
        for round in 0..4000 {
            let wide = if round % 3 == 0 { 1 << 40 } else { 700 };
            let id = Id::new(rng.below(wide) as u64, rng.below(4) as u64);
            if keys.remove(&id).is_some() {
                nodes -= growth(&keys, id);
            } else {
                nodes += growth(&keys, id);
                keys.insert(id, ());
            }
            if round % 400 == 399 {
                let all: Vec<_> = keys.keys().map(|id| id.to_be_bytes()).collect();
                assert_eq!(nodes, count(&all, 0), "{round}");
            }
        }
    }

    #[test]
    fn one_key_makes_a_run_and_its_end() {
        assert_eq!(1 + growth(&BTreeMap::<Id, ()>::new(), Id::new(1, 1)), 2);
    }
}

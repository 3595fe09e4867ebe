//! Sorted sets: members ordered by (score, member).
//!
//! A small one is a sorted vector, reported as `listpack`. Past `zset-max-listpack-entries` members, or with one longer
//! than `zset-max-listpack-value`, it is a dict from member to score beside a tree that knows ranks, reported as `skiplist`.
//! Every range, by index, score or text, is a range of ranks: its ends are found with `partition`.

mod ordered;

use crate::base::{Bytes, Rng};
use crate::engine::config::Limits;
use crate::engine::dict::{Chains, Dict, HashSeed};
use ordered::Ordered;
use std::cmp::Ordering;
use std::ops::Range;

/// No score is NaN.
#[derive(Clone, Debug)]
pub struct Zset(Form);

#[derive(Clone, Debug)]
enum Form {
    Small(Vec<(Bytes, f64)>, HashSeed),
    Large { scores: Dict<f64>, order: Ordered },
}

/// The order of a sorted set: by score, then byte by byte.
pub fn order(a: (f64, &[u8]), b: (f64, &[u8])) -> Ordering {
    a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then_with(|| a.1.cmp(b.1))
}

impl Zset {
    pub fn new(seed: HashSeed) -> Zset {
        Zset(Form::Small(Vec::new(), seed))
    }

    /// A sorted set of `members`, which stand in order and are different, in the encoding that suits it.
    pub fn build(members: Vec<(Bytes, f64)>, seed: HashSeed, limits: &Limits) -> Zset {
        let longest = members.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let count = members.len();
        // A listpack keeps whole numbers as integers, which have no negative zero.
        let fits = count <= limits.zset_max_listpack_entries && longest <= limits.zset_max_listpack_value;
        let members = if fits { members.into_iter().map(|(name, s)| (name, s + 0.0)).collect() } else { members };
        let mut zset = Zset(Form::Small(members, seed));
        zset.expect(count, longest, limits);
        zset
    }

    /// Chooses the encoding for about `expected` members in all, the longest of `longest` bytes.
    pub fn expect(&mut self, expected: usize, longest: usize, limits: &Limits) {
        if expected > limits.zset_max_listpack_entries || longest > limits.zset_max_listpack_value {
            self.make_large();
        }
    }

    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Small(..) => "listpack",
            Form::Large { .. } => "skiplist",
        }
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Small(members, _) => members.len(),
            Form::Large { scores, .. } => scores.len(),
        }
    }

    /// Of its table, if it has one. O(n).
    pub fn chains(&self) -> Option<Chains> {
        if let Form::Large { scores: table, .. } = &self.0 { Some(table.chains()) } else { None }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// See `Dict::warm`.
    pub fn warm<'a>(&self, members: impl Iterator<Item = &'a [u8]>) {
        if let Form::Large { scores, .. } = &self.0 {
            scores.warm(members);
        }
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Form::Small(members, _) => members.iter().find(|(name, _)| **name == *member).map(|(_, score)| *score),
            Form::Large { scores, .. } => scores.get(member).copied(),
        }
    }

    /// Adds or moves `member`; its score before, if it was there. `score` must not be NaN. O(log n).
    pub fn insert(&mut self, member: Bytes, score: f64, limits: &Limits) -> Option<f64> {
        debug_assert!(!score.is_nan(), "commands refuse NaN");
        if let Form::Small(members, _) = &mut self.0 {
            let old = members.iter().position(|(name, _)| *name == member);
            let fits =
                members.len() < limits.zset_max_listpack_entries && member.len() <= limits.zset_max_listpack_value;
            if old.is_some() || fits {
                let before = old.map(|at| members.remove(at).1);
                // A listpack keeps whole numbers as integers, which have no negative zero.
                let score = score + 0.0;
                let at = members.partition_point(|(name, known)| order((*known, name), (score, &member)).is_lt());
                members.insert(at, (member, score));
                return before;
            }
        }
        self.make_large();
        let Form::Large { scores, order } = &mut self.0 else { unreachable!("made large above") };
        if let Some(known) = scores.get_mut(&member) {
            let before = std::mem::replace(known, score);
            if before.to_bits() != score.to_bits() {
                order.remove(before, &member);
                order.insert(score, member);
            }
            return Some(before);
        }
        order.insert(score, member.clone());
        scores.insert(member, score);
        None
    }

    /// The score of the removed member. O(log n).
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Form::Small(members, _) => {
                let at = members.iter().position(|(name, _)| **name == *member)?;
                Some(members.remove(at).1)
            }
            Form::Large { scores, order } => {
                let score = scores.remove(member)?;
                order.remove(score, member);
                Some(score)
            }
        }
    }

    /// Removes the members of these ranks, in their order.
    pub fn remove_range(&mut self, ranks: Range<usize>) -> Vec<(Bytes, f64)> {
        let ranks = ranks.start..ranks.end.min(self.len());
        if ranks.is_empty() {
            return Vec::new();
        }
        match &mut self.0 {
            Form::Small(members, _) => members.drain(ranks).collect(),
            Form::Large { scores, order } => {
                let gone: Vec<(Bytes, f64)> =
                    order.iter_from(ranks.start).take(ranks.len()).map(|(name, score)| (name.clone(), score)).collect();
                for (name, score) in &gone {
                    order.remove(*score, name);
                    scores.remove(name);
                }
                gone
            }
        }
    }

    /// The number of members before `member`. O(log n).
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        match &self.0 {
            Form::Small(members, _) => members.iter().position(|(name, _)| **name == *member),
            Form::Large { scores, order } => scores.get(member).map(|score| order.rank(*score, member)),
        }
    }

    /// How many members stand before the first for which `before` is false. `before` must be true for a beginning of
    /// the order and false for the rest. O(log n).
    pub fn partition(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        match &self.0 {
            Form::Small(members, _) => members.partition_point(|(name, score)| before(*score, name)),
            Form::Large { order, .. } => order.partition(before),
        }
    }

    /// The member of a rank. O(log n).
    pub fn nth(&self, rank: usize) -> Option<(&Bytes, f64)> {
        self.range(rank..rank.saturating_add(1)).next()
    }

    /// In rank order.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, f64)> {
        self.range(0..self.len())
    }

    /// The members of these ranks, ascending. O(log n) to begin.
    pub fn range(&self, ranks: Range<usize>) -> impl Iterator<Item = (&Bytes, f64)> {
        let ranks = ranks.start.min(self.len())..ranks.end.min(self.len());
        let count = ranks.len();
        let (small, large) = match &self.0 {
            Form::Small(members, _) => (Some(members[ranks.start..].iter().map(|(name, score)| (name, *score))), None),
            Form::Large { order, .. } => (None, Some(order.iter_from(ranks.start))),
        };
        small.into_iter().flatten().chain(large.into_iter().flatten()).take(count)
    }

    /// The members of these ranks, descending. O(log n) to begin.
    pub fn range_back(&self, ranks: Range<usize>) -> impl Iterator<Item = (&Bytes, f64)> {
        let ranks = ranks.start.min(self.len())..ranks.end.min(self.len());
        let count = ranks.len();
        let (small, large) = match &self.0 {
            Form::Small(members, _) => {
                (Some(members[..ranks.end].iter().rev().map(|(name, score)| (name, *score))), None)
            }
            Form::Large { order, .. } => (None, Some(order.iter_back_from(ranks.end))),
        };
        small.into_iter().flatten().chain(large.into_iter().flatten()).take(count)
    }

    /// The member at `index` of any order that holds until the next change. O(1).
    pub fn any(&self, index: usize) -> Option<(&Bytes, f64)> {
        match &self.0 {
            Form::Small(members, _) => members.get(index).map(|(name, score)| (name, *score)),
            Form::Large { scores, .. } => scores.nth(index).map(|(name, score)| (name, *score)),
        }
    }

    pub fn random(&self, rng: &mut Rng) -> Option<(&Bytes, f64)> {
        self.any(rng.below(self.len()))
    }

    /// One step of a scan: one bucket of a table, all of a small set. The next cursor; 0 at the end.
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(&'a Bytes, f64)) -> u64 {
        match &self.0 {
            Form::Small(members, _) => {
                members.iter().for_each(|(name, score)| visit(name, *score));
                0
            }
            Form::Large { scores, .. } => scores.scan(cursor, |name, score| visit(name, *score)),
        }
    }

    pub fn make_large(&mut self) {
        let Form::Small(members, seed) = &mut self.0 else { return };
        let mut scores = Dict::new(*seed);
        scores.reserve(members.len() + 1);
        let mut order = Ordered::new();
        for (name, score) in members.drain(..) {
            order.insert(score, name.clone());
            scores.insert(name, score);
        }
        self.0 = Form::Large { scores, order };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn limits() -> Limits {
        Limits {
            zset_max_listpack_entries: 10,
            zset_max_listpack_value: 12,
            ..crate::engine::config::Config::default().limits
        }
    }

    fn in_order(model: &BTreeMap<Bytes, f64>) -> Vec<(Bytes, f64)> {
        let mut members: Vec<_> = model.iter().map(|(name, score)| (name.clone(), *score)).collect();
        members.sort_by(|(a, x), (b, y)| x.total_cmp(y).then(a.cmp(b)));
        members
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]
        #[test]
        fn a_sorted_set_is_in_order_in_either_encoding(steps in proptest::collection::vec((0u8..6, 0u8..40, -4i32..5), 1..200), a in 0usize..50, b in 0usize..50) {
            let limits = limits();
            let (mut zset, mut model) = (Zset::new(HashSeed(3, 4)), BTreeMap::new());
            for (what, name, score) in steps {
                let name = Bytes::from(format!("m{name}"));
                let score = if score == 4 { f64::INFINITY } else { f64::from(score) / 2.0 };
                match what {
                    0 => prop_assert_eq!(zset.remove(&name), model.remove(&name)),
                    1 if model.len() > 30 => {
                        let gone = zset.remove_range(3..6);
                        for (name, score) in &gone {
                            prop_assert_eq!(model.remove(name), Some(*score));
                        }
                        prop_assert_eq!(gone.len(), 3);
                    }
                    _ => prop_assert_eq!(zset.insert(name.clone(), score, &limits), model.insert(name, score)),
                }
                prop_assert_eq!(zset.len(), model.len());
                if model.len() > 10 {
                    prop_assert_eq!(zset.encoding(), "skiplist");
                }
            }
            let members = in_order(&model);
            let found: Vec<_> = zset.iter().map(|(name, score)| (name.clone(), score)).collect();
            prop_assert_eq!(&found, &members);
            for (rank, (name, score)) in members.iter().enumerate() {
                prop_assert_eq!(zset.rank(name), Some(rank));
                prop_assert_eq!(zset.score(name), Some(*score));
                prop_assert_eq!(zset.nth(rank), Some((name, *score)));
            }
            let (a, b) = (a.min(b).min(members.len()), a.max(b).min(members.len()));
            prop_assert!(zset.range(a..b).map(|(name, _)| name).eq(members[a..b].iter().map(|(name, _)| name)));
            prop_assert!(zset.range_back(a..b).map(|(name, _)| name).eq(members[a..b].iter().rev().map(|(name, _)| name)));
            for bound in [-2.0, 0.0, 1.0, f64::INFINITY] {
                let below = members.iter().filter(|(_, score)| *score < bound).count();
                prop_assert_eq!(zset.partition(|score, _| score < bound), below);
            }
            let built = Zset::build(members.clone(), HashSeed(3, 4), &limits);
            prop_assert!(built.iter().map(|(name, _)| name).eq(members.iter().map(|(name, _)| name)));
            prop_assert_eq!(built.encoding(), if members.len() > 10 { "skiplist" } else { "listpack" });
        }
    }

    #[test]
    fn a_clone_goes_its_own_way() {
        let limits = limits();
        let mut zset = Zset::new(HashSeed(0, 0));
        for n in 0..100 {
            zset.insert(Bytes::from(format!("m{n}")), f64::from(n), &limits);
        }
        let before = zset.clone();
        zset.remove_range(10..90);
        assert_eq!((before.len(), zset.len()), (100, 20));
        assert_eq!(before.nth(50).map(|(name, _)| name.clone()), Some(Bytes::from("m50")));
    }
}

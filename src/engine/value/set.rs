//! Sets of byte strings.

use crate::base::Bytes;
use crate::engine::dict::{Dict, HashSeed};

#[derive(Clone, Debug)]
pub struct Set {
    members: Dict<()>,
}

impl Set {
    pub fn new(seed: HashSeed) -> Set {
        Set { members: Dict::new(seed) }
    }
    pub fn encoding(&self) -> &'static str {
        "listpack"
    }
    pub fn len(&self) -> usize {
        self.members.len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// True if `member` was not there.
    pub fn insert(&mut self, member: Bytes) -> bool {
        self.members.insert(member, ()).is_none()
    }
    pub fn iter(&self) -> impl Iterator<Item = Bytes> + '_ {
        self.members.keys().cloned()
    }
}

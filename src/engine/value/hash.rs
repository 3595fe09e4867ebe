//! Hashes: fields and values.

use crate::base::Bytes;
use crate::engine::dict::{Dict, HashSeed};

#[derive(Clone, Debug)]
pub struct Hash {
    fields: Dict<Bytes>,
}

impl Hash {
    pub fn new(seed: HashSeed) -> Hash {
        Hash { fields: Dict::new(seed) }
    }
    pub fn encoding(&self) -> &'static str {
        "listpack"
    }
    pub fn len(&self) -> usize {
        self.fields.len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn get(&self, field: &[u8]) -> Option<&Bytes> {
        self.fields.get(field)
    }
    pub fn set(&mut self, field: Bytes, value: Bytes) -> Option<Bytes> {
        self.fields.insert(field, value)
    }
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.fields.iter()
    }
}

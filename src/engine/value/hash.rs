//! Hashes: fields and values.
//!
//! A small hash is a vector of pairs in order of insertion, reported as `listpack`: looking through 128 short fields is
//! cheaper than hashing one. Past `hash-max-listpack-entries` fields, or with a field or value longer than
//! `hash-max-listpack-value`, it becomes a hash table and stays one, as in Redis.

use crate::base::{Bytes, Rng};
use crate::engine::config::Limits;
use crate::engine::dict::{Dict, HashSeed};

#[derive(Clone, Debug)]
pub struct Hash(Form);

#[derive(Clone, Debug)]
enum Form {
    Small(Vec<(Bytes, Bytes)>, HashSeed),
    Table(Dict<Bytes>),
}

impl Hash {
    pub fn new(seed: HashSeed) -> Hash {
        Hash(Form::Small(Vec::new(), seed))
    }

    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Small(..) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Small(pairs, _) => pairs.len(),
            Form::Table(dict) => dict.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, field: &[u8]) -> Option<&Bytes> {
        match &self.0 {
            Form::Small(pairs, _) => pairs.iter().find(|(name, _)| **name == *field).map(|(_, value)| value),
            Form::Table(dict) => dict.get(field),
        }
    }

    pub fn get_mut(&mut self, field: &[u8]) -> Option<&mut Bytes> {
        match &mut self.0 {
            Form::Small(pairs, _) => pairs.iter_mut().find(|(name, _)| **name == *field).map(|(_, value)| value),
            Form::Table(dict) => dict.get_mut(field),
        }
    }

    pub fn contains(&self, field: &[u8]) -> bool {
        self.get(field).is_some()
    }

    /// Sets `field`; the value it had before.
    pub fn set(&mut self, field: Bytes, value: Bytes, limits: &Limits) -> Option<Bytes> {
        if field.len().max(value.len()) > limits.hash_max_listpack_value {
            self.make_table(1);
        }
        let pairs = match &mut self.0 {
            Form::Table(dict) => return dict.insert(field, value),
            Form::Small(pairs, _) => pairs,
        };
        if let Some((_, old)) = pairs.iter_mut().find(|(name, _)| *name == field) {
            return Some(std::mem::replace(old, value));
        }
        pairs.push((field, value));
        if pairs.len() > limits.hash_max_listpack_entries {
            self.make_table(0);
        }
        None
    }

    /// Chooses the encoding before `fields` (name, value, name, value ...) are set one by one: as Redis, it does not
    /// wait to see which of them are new.
    pub fn expect(&mut self, fields: &[Bytes], limits: &Limits) {
        let more = fields.len() / 2;
        if more > limits.hash_max_listpack_entries
            || fields.iter().any(|text| text.len() > limits.hash_max_listpack_value)
        {
            self.make_table(more);
        }
    }

    pub fn remove(&mut self, field: &[u8]) -> Option<Bytes> {
        match &mut self.0 {
            Form::Small(pairs, _) => {
                let at = pairs.iter().position(|(name, _)| **name == *field)?;
                Some(pairs.remove(at).1)
            }
            Form::Table(dict) => dict.remove(field),
        }
    }

    /// Fields and values: of a small hash in order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        let (small, table) = match &self.0 {
            Form::Small(pairs, _) => (Some(pairs.iter().map(|(field, value)| (field, value))), None),
            Form::Table(dict) => (None, Some(dict.iter())),
        };
        small.into_iter().flatten().chain(table.into_iter().flatten())
    }

    /// The pair at `index` of an order that holds until the next change.
    pub fn nth(&self, index: usize) -> Option<(&Bytes, &Bytes)> {
        match &self.0 {
            Form::Small(pairs, _) => pairs.get(index).map(|(field, value)| (field, value)),
            Form::Table(dict) => dict.nth(index),
        }
    }

    pub fn random(&self, rng: &mut Rng) -> Option<(&Bytes, &Bytes)> {
        self.nth(rng.below(self.len()))
    }

    /// One step of a scan: one bucket of a table, all of a small hash. The next cursor; 0 at the end.
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(&'a Bytes, &'a Bytes)) -> u64 {
        match &self.0 {
            Form::Small(pairs, _) => {
                pairs.iter().for_each(|(field, value)| visit(field, value));
                0
            }
            Form::Table(dict) => dict.scan(cursor, visit),
        }
    }

    fn make_table(&mut self, more: usize) {
        let Form::Small(pairs, seed) = &mut self.0 else { return };
        let mut dict = Dict::new(*seed);
        dict.reserve(pairs.len() + more);
        for (field, value) in pairs.drain(..) {
            dict.insert(field, value);
        }
        self.0 = Form::Table(dict);
    }
}

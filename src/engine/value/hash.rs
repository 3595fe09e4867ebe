//! Hashes: fields and values.
//!
//! A small hash is a vector of pairs in order of insertion, reported as `listpack`: looking through 128 short fields is
//! cheaper than hashing one. Past `hash-max-listpack-entries` fields, or with a field or value longer than
//! `hash-max-listpack-value`, it becomes a hash table and stays one, as in Redis.

use crate::base::{Bytes, Rng};
use crate::engine::config::Limits;
use crate::engine::dict::{Chains, Dict, HashSeed};

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

    /// Of its table, if it has one. O(n).
    pub fn chains(&self) -> Option<Chains> {
        if let Form::Table(table) = &self.0 { Some(table.chains()) } else { None }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// See `Dict::warm`.
    pub fn warm<'a>(&self, fields: impl Iterator<Item = &'a [u8]>) {
        if let Form::Table(dict) = &self.0 {
            dict.warm(fields);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn limits() -> Limits {
        Limits {
            hash_max_listpack_entries: 8,
            hash_max_listpack_value: 10,
            ..crate::engine::config::Config::default().limits
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]
        #[test]
        fn a_hash_is_a_map_in_either_encoding(steps in proptest::collection::vec((0u8..3, 0u8..14, 0u16..2000), 1..150)) {
            let limits = limits();
            let (mut hash, mut model) = (Hash::new(HashSeed(1, 2)), BTreeMap::new());
            let mut converted = false;
            for (what, field, value) in steps {
                let (field, value) = (Bytes::from(format!("f{field}")), Bytes::from("9".repeat(usize::from(value % 12))));
                if what == 0 {
                    prop_assert_eq!(hash.remove(&field), model.remove(&field));
                } else {
                    converted |= value.len() > 10;
                    prop_assert_eq!(hash.set(field.clone(), value.clone(), &limits), model.insert(field, value));
                }
                converted |= model.len() > 8;
                prop_assert_eq!(hash.encoding(), if converted { "hashtable" } else { "listpack" });
                prop_assert_eq!(hash.len(), model.len());
            }
            let pairs: BTreeMap<Bytes, Bytes> = hash.iter().map(|(field, value)| (field.clone(), value.clone())).collect();
            prop_assert_eq!(&pairs, &model);
            let by_index: BTreeMap<_, _> = (0..hash.len()).filter_map(|at| hash.nth(at)).collect();
            prop_assert_eq!(by_index.len(), model.len());
            prop_assert!(model.iter().all(|(field, value)| hash.get(field) == Some(value)));
        }
    }
}

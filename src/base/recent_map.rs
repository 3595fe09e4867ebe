//! A map in order of its keys that finds the entry looked up last again at once.
//!
//! A server looks the same client up a dozen times for each of its commands, and the next command is often the same
//! client's: all but the first of these cost a comparison.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Index;

/// Entries stand in a slab, so their positions outlast insertions and removals of others.
#[derive(Clone, Debug)]
pub struct RecentMap<K: Copy, V> {
    positions: BTreeMap<K, usize>,
    slots: Vec<Option<V>>,
    free: Vec<usize>,
    recent: Cell<Option<(K, usize)>>,
}

impl<K: Ord + Copy, V> Default for RecentMap<K, V> {
    fn default() -> Self {
        RecentMap { positions: BTreeMap::new(), slots: Vec::new(), free: Vec::new(), recent: Cell::new(None) }
    }
}

impl<K: Ord + Copy, V> RecentMap<K, V> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.positions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    #[inline]
    fn position(&self, key: &K) -> Option<usize> {
        if let Some((recent, position)) = self.recent.get()
            && recent == *key
        {
            return Some(position);
        }
        let position = *self.positions.get(key)?;
        self.recent.set(Some((*key, position)));
        Some(position)
    }

    pub fn contains_key(&self, key: &K) -> bool {
        self.position(key).is_some()
    }

    #[inline]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.slots[self.position(key)?].as_ref()
    }

    #[inline]
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let position = self.position(key)?;
        self.slots[position].as_mut()
    }

    /// The value that was there before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(position) = self.position(&key) {
            return self.slots[position].replace(value);
        }
        let position = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[position] = Some(value);
        self.positions.insert(key, position);
        None
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let position = self.positions.remove(key)?;
        self.recent.set(None);
        self.free.push(position);
        self.slots[position].take()
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.positions.keys()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.positions.iter().map(|(key, position)| (key, self.slots[*position].as_ref().expect("positions are taken")))
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// In no particular order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.slots.iter_mut().flatten()
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        let gone: Vec<K> = self.iter().filter(|(key, value)| !keep(key, value)).map(|(key, _)| *key).collect();
        for key in gone {
            self.remove(&key);
        }
    }
}

impl<K: Ord + Copy, V> Index<&K> for RecentMap<K, V> {
    type Output = V;
    #[inline]
    fn index(&self, key: &K) -> &V {
        self.get(key).expect("the key is in the map")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_a_btree_map_says() {
        let mut rng = crate::base::Rng::new(7);
        let (mut map, mut model) = (RecentMap::new(), BTreeMap::new());
        for step in 0..5000u64 {
            let key = rng.next_u64() % 20;
            match rng.next_u64() % 4 {
                0 => assert_eq!(map.insert(key, step), model.insert(key, step)),
                1 => assert_eq!(map.remove(&key), model.remove(&key)),
                2 => assert_eq!(map.get(&key), model.get(&key)),
                _ => assert_eq!(map.get_mut(&key), model.get_mut(&key)),
            }
            assert_eq!(map.len(), model.len());
        }
        map.retain(|key, _| key % 2 == 0);
        model.retain(|key, _| key % 2 == 0);
        assert!(map.iter().eq(model.iter()));
        assert!(map.keys().eq(model.keys()) && map.values().eq(model.values()));
    }
}

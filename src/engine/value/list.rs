//! Lists.

use crate::base::Bytes;
use std::collections::VecDeque;

#[derive(Clone, Debug, Default)]
pub struct List {
    items: VecDeque<Bytes>,
}

impl List {
    pub fn encoding(&self) -> &'static str {
        "listpack"
    }
    pub fn len(&self) -> usize {
        self.items.len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn push_back(&mut self, item: Bytes) {
        self.items.push_back(item);
    }
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.items.iter()
    }
}

//! Streams: entries in the order of their ids, and the groups that read them.
//!
//! Entries lie in nodes of listpacks, laid out as Redis lays them out: how many an approximate XTRIM removes, what DUMP
//! writes and what XINFO counts all follow from where one node ends and the next begins.

mod group;
mod id;
mod node;
mod rax;

pub use group::{Consumer, Group, Pending};
pub use id::{Id, Seq};
pub use node::{Entry, Node};

use crate::base::Bytes;
use crate::engine::config::Limits;
use std::collections::BTreeMap;

/// Redis lets no listpack grow beyond this, whatever stream-node-max-bytes says; nor one entry.
pub const LISTPACK_MAX: usize = 1 << 30;

/// A stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// By the id of the first entry that each was made for.
    nodes: BTreeMap<Id, Node>,
    /// How many nodes Redis' radix tree over `nodes` has, less the root that it has when empty.
    rax_nodes: usize,
    length: u64,
    first_id: Id,
    /// The highest id that was ever added or set.
    pub last_id: Id,
    /// The highest id that XDEL removed.
    pub max_deleted_id: Id,
    /// How many entries were ever added.
    pub entries_added: u64,
    groups: BTreeMap<Bytes, Group>,
}

/// What XTRIM and XADD cut off: all that goes beyond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    MaxLen(u64),
    MinId(Id),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trim {
    pub bound: Bound,
    /// Only whole nodes go.
    pub approximate: bool,
    /// No more than so many entries go; None: no limit.
    pub limit: Option<u64>,
}

/// What a file says of a stream besides its nodes and groups.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    pub length: u64,
    pub last_id: Id,
    /// Since RDB type 19; None: told from the entries.
    pub newer: Option<(Id, Id, u64)>,
}

impl Stream {
    pub fn new() -> Stream {
        Stream::default()
    }

    /// A stream from a file. Err: what is wrong with it.
    pub fn from_nodes(nodes: BTreeMap<Id, Node>, totals: Totals) -> Result<Stream, &'static str> {
        let mut stream = Stream { length: totals.length, last_id: totals.last_id, ..Stream::default() };
        for (id, node) in nodes {
            stream.insert_node(id, node);
        }
        let live: usize = stream.nodes.values().map(Node::live).sum();
        if live as u64 != totals.length {
            return Err("Stream length inconsistent with rax entries");
        }
        match totals.newer {
            Some((first, deleted, added)) => {
                (stream.first_id, stream.max_deleted_id, stream.entries_added) = (first, deleted, added);
            }
            None => {
                stream.entries_added = totals.length;
                stream.find_first();
            }
        }
        Ok(stream)
    }

    /// Entries that are not deleted.
    pub fn len(&self) -> usize {
        self.length as usize
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The first entry that is there, 0-0 if none is. Kept by Redis beside the entries; a file may say otherwise.
    pub fn first_id(&self) -> Id {
        self.first_id
    }

    /// The nodes, by their ids.
    pub fn nodes(&self) -> &BTreeMap<Id, Node> {
        &self.nodes
    }

    /// Nodes of Redis' radix tree, as XINFO STREAM counts them.
    pub fn rax_nodes(&self) -> usize {
        self.rax_nodes + 1
    }

    /// The groups, by name.
    pub fn groups(&self) -> &BTreeMap<Bytes, Group> {
        &self.groups
    }

    pub fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.groups.get_mut(name)
    }

    /// Makes a group; false if there is one of that name.
    pub fn add_group(&mut self, name: &Bytes, group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.groups.insert(name.clone(), group);
        true
    }

    pub fn remove_group(&mut self, name: &[u8]) -> bool {
        self.groups.remove(name).is_some()
    }

    // -- entries -----------------------------------------------------------------------------------------------------

    /// The entries from `start` to `end`, both included. O(log nodes) to begin.
    pub fn range(&self, start: Id, end: Id) -> impl Iterator<Item = Entry<'_>> {
        let first = self.nodes.range(..=start).next_back().map_or(start, |(id, _)| *id);
        self.nodes
            .range(first..)
            .flat_map(|(master, node)| node.entries(*master))
            .skip_while(move |entry| entry.id < start)
            .take_while(move |entry| entry.id <= end)
            .filter(|entry| !entry.is_deleted())
    }

    /// The entries from `end` down to `start`.
    pub fn range_back(&self, start: Id, end: Id) -> impl Iterator<Item = Entry<'_>> {
        self.nodes
            .range(..=end)
            .rev()
            .flat_map(|(master, node)| node.entries_back(*master))
            .skip_while(move |entry| entry.id > end)
            .take_while(move |entry| entry.id >= start)
            .filter(|entry| !entry.is_deleted())
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.range(Id::MIN, Id::MAX)
    }

    pub fn get(&self, id: Id) -> Option<Entry<'_>> {
        self.range(id, id).next()
    }

    /// The last entry that is there.
    pub fn last_live(&self) -> Option<Id> {
        self.range_back(Id::MIN, Id::MAX).next().map(|entry| entry.id)
    }

    /// The first entry, even if it is deleted; the highest id of all if there is none.
    pub fn first_of_all(&self) -> Id {
        self.nodes.iter().find_map(|(master, node)| node.entries(*master).next()).map_or(Id::MAX, |entry| entry.id)
    }

    /// Adds an entry with an id above `last_id`; `fields` are names and values in turn.
    pub fn push(&mut self, id: Id, fields: &[Bytes], limits: &Limits) {
        let max_bytes = match limits.stream_node_max_bytes {
            0 => LISTPACK_MAX,
            bytes => bytes.min(LISTPACK_MAX),
        };
        let added: usize = fields.iter().map(|element| element.len()).sum();
        let max_entries = limits.stream_node_max_entries;
        match self.nodes.iter_mut().next_back() {
            Some((master, node))
                if node.size() + added < max_bytes && (max_entries == 0 || node.total() < max_entries) =>
            {
                node.push(*master, id, fields);
            }
            _ => {
                let mut node = Node::new(fields);
                node.push(id, id, fields);
                self.insert_node(id, node);
            }
        }
        self.length += 1;
        self.entries_added = self.entries_added.wrapping_add(1);
        self.last_id = id;
        if self.length == 1 {
            self.first_id = id;
        }
    }

    /// Removes entries; how many of them were there. What XDEL does besides.
    pub fn delete(&mut self, ids: &[Id]) -> usize {
        let mut deleted = 0;
        for id in ids {
            if self.delete_one(*id) {
                self.max_deleted_id = self.max_deleted_id.max(*id);
                deleted += 1;
            }
        }
        if deleted > 0 && (self.length == 0 || ids.contains(&self.first_id)) {
            self.find_first();
        }
        deleted
    }

    fn delete_one(&mut self, id: Id) -> bool {
        let Some((master, place)) = self.get(id).map(|entry| (entry.master, entry.place())) else { return false };
        let node = self.nodes.get_mut(&master).expect("the entry was found in it");
        if node.live() == 1 {
            self.remove_node(master);
        } else {
            node.delete(&[place]);
        }
        self.length -= 1;
        true
    }

    /// Cuts off the oldest entries; how many that were.
    pub fn trim(&mut self, trim: &Trim) -> u64 {
        let mut deleted = 0;
        while let Some((&master, node)) = self.nodes.first_key_value() {
            if trim.bound.is_kept(self.length) {
                break;
            }
            let live = node.live() as u64;
            if trim.limit.is_some_and(|limit| deleted + live > limit) {
                break;
            }
            let whole = match trim.bound {
                Bound::MaxLen(most) => self.length - live >= most,
                Bound::MinId(least) => node.entries_back(master).next().is_some_and(|last| last.id < least),
            };
            if whole {
                self.remove_node(master);
                self.length -= live;
                deleted += live;
                continue;
            }
            if !trim.approximate {
                let places: Vec<usize> = {
                    let live = node.entries(master).filter(|entry| !entry.is_deleted());
                    match trim.bound {
                        Bound::MaxLen(most) => {
                            live.take((self.length - most) as usize).map(|entry| entry.place()).collect()
                        }
                        Bound::MinId(least) => {
                            live.take_while(|entry| entry.id < least).map(|entry| entry.place()).collect()
                        }
                    }
                };
                self.nodes.get_mut(&master).expect("looked up above").delete(&places);
                self.length -= places.len() as u64;
                deleted += places.len() as u64;
            }
            break;
        }
        if self.length == 0 || deleted > 0 {
            self.find_first();
        }
        deleted
    }

    fn insert_node(&mut self, id: Id, node: Node) {
        // Only a damaged file can bring an id twice.
        let before = self.nodes.get(&id).map_or(0, Node::live);
        self.remove_node(id);
        self.length = self.length.saturating_sub(before as u64);
        self.rax_nodes += rax::growth(&self.nodes, id);
        self.nodes.insert(id, node);
    }

    fn remove_node(&mut self, id: Id) {
        if self.nodes.remove(&id).is_some() {
            self.rax_nodes -= rax::growth(&self.nodes, id);
        }
    }

    fn find_first(&mut self) {
        let first = self.iter().next().map(|entry| entry.id);
        self.first_id = first.unwrap_or(Id::MIN);
    }

    // -- what a group has still to read ------------------------------------------------------------------------------

    /// Whether an entry that XDEL removed stands behind `start`: then entries cannot be counted by subtraction.
    fn has_gap_from(&self, start: Id) -> bool {
        let deleted = self.max_deleted_id;
        self.length > 0 && deleted != Id::MIN && self.first_id <= deleted && start <= deleted
    }

    /// How many entries were added up to `id`; None if that cannot be told.
    pub fn entries_up_to(&self, id: Id) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.length == 0 && id <= self.last_id {
            return Some(self.entries_added);
        }
        if id >= self.last_id {
            return (id == self.last_id).then_some(self.entries_added);
        }
        if self.max_deleted_id != Id::MIN && self.max_deleted_id >= self.first_id {
            return None;
        }
        let before = self.entries_added.saturating_sub(self.length);
        match id.cmp(&self.first_id) {
            std::cmp::Ordering::Less => Some(before),
            std::cmp::Ordering::Equal => Some(before.wrapping_add(1)),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// How many entries a group has not read; None if that cannot be told.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        let read = match group.entries_read {
            Some(read) if !self.has_gap_from(group.last_id) => read,
            _ => self.entries_up_to(group.last_id)?,
        };
        Some((self.entries_added as i64).wrapping_sub(read as i64))
    }

    /// Moves a group on to entry `id`, which it has been given, and counts it.
    pub fn advance(&mut self, group: &[u8], id: Id) {
        let counted = !self.has_gap_from(id);
        let estimate = self.entries_up_to(id);
        let added = self.entries_added;
        let Some(group) = self.groups.get_mut(group) else { return };
        match group.entries_read {
            Some(read) if counted => group.entries_read = Some(read.wrapping_add(1)),
            _ if added > 0 => group.entries_read = estimate,
            _ => {}
        }
        group.last_id = id;
    }
}

impl Bound {
    /// Whether a stream of that length is short enough whatever its ids are.
    fn is_kept(self, length: u64) -> bool {
        matches!(self, Bound::MaxLen(most) if length <= most)
    }
}

#[cfg(test)]
mod tests;

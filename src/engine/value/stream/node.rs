//! A node of a stream: up to stream-node-max-entries entries in a listpack, as Redis lays them out.
//!
//! The first elements count the entries that are there and those that are deleted, and give the field names of the first
//! entry. An entry follows the other: flags, its id relative to the node's, names and values (values alone where the names
//! are those of the first entry), and how many elements these are, so that one can go backwards. A deleted entry stays
//! and only gets a flag; it goes with its node.

use super::Id;
use crate::base::Bytes;
use crate::engine::value::listpack::{self, FRAME};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// The entries behind one key of the radix tree.
#[derive(Clone, Debug)]
pub struct Node {
    live: usize,
    deleted: usize,
    /// The names of the first entry.
    names: Vec<Bytes>,
    /// What the names take as elements.
    names_len: usize,
    /// The entries, as elements of a listpack.
    entries: Vec<u8>,
    /// How many elements `entries` has.
    elements: usize,
}

/// An entry where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub id: Id,
    /// The id of its node.
    pub master: Id,
    node: &'a Node,
    flags: i64,
    /// Where its flags stand.
    at: usize,
    /// Where the names, or their number, or the values begin.
    body: usize,
}

impl Node {
    /// A node for an entry with these fields (name, value, name, value ...), still without it.
    pub fn new(fields: &[Bytes]) -> Node {
        let names: Vec<Bytes> = fields.iter().step_by(2).cloned().collect();
        Node { live: 0, deleted: 0, names_len: encoded_len(&names), names, entries: Vec::new(), elements: 0 }
    }

    /// Entries that are not deleted.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Entries, those that are deleted included.
    pub fn total(&self) -> usize {
        self.live + self.deleted
    }

    /// Bytes of the whole listpack.
    pub fn size(&self) -> usize {
        let counts = [self.live as i64, self.deleted as i64, self.names.len() as i64, 0];
        let head: usize = counts.iter().map(|n| listpack::int_size(*n)).sum();
        FRAME + head + self.names_len + self.entries.len()
    }

    /// Puts an entry behind the others. `master` is the node's own id.
    pub fn push(&mut self, master: Id, id: Id, fields: &[Bytes]) {
        let same = fields.len() == self.names.len() * 2 && fields.iter().step_by(2).eq(&self.names);
        let out = &mut self.entries;
        listpack::push_int(out, if same { SAME_FIELDS } else { 0 });
        listpack::push_int(out, id.ms.wrapping_sub(master.ms) as i64);
        listpack::push_int(out, id.seq.wrapping_sub(master.seq) as i64);
        let elements = if same {
            fields.iter().skip(1).step_by(2).for_each(|value| listpack::push(out, value));
            3 + fields.len() / 2
        } else {
            listpack::push_int(out, (fields.len() / 2) as i64);
            fields.iter().for_each(|element| listpack::push(out, element));
            4 + fields.len()
        };
        listpack::push_int(out, elements as i64);
        self.elements += elements + 1;
        self.live += 1;
    }

    /// All entries in order, the deleted ones too.
    pub fn entries(&self, master: Id) -> impl Iterator<Item = Entry<'_>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let entry = self.entry(master, at)?;
            at = entry.end()?;
            Some(entry)
        })
    }

    /// All entries, last first.
    pub fn entries_back(&self, master: Id) -> impl Iterator<Item = Entry<'_>> {
        let mut end = self.entries.len();
        std::iter::from_fn(move || {
            let mut at = listpack::before(&self.entries, end)?;
            let (count, _) = listpack::next(&self.entries, at)?;
            for _ in 0..count.int()? {
                at = listpack::before(&self.entries, at)?;
            }
            end = at;
            self.entry(master, at)
        })
    }

    fn entry(&self, master: Id, at: usize) -> Option<Entry<'_>> {
        let (flags, ms_at) = listpack::next(&self.entries, at)?;
        let (ms, seq_at) = listpack::next(&self.entries, ms_at)?;
        let (seq, body) = listpack::next(&self.entries, seq_at)?;
        let id = Id::new(master.ms.wrapping_add(ms.int()? as u64), master.seq.wrapping_add(seq.int()? as u64));
        Some(Entry { id, master, node: self, flags: flags.int()?, at, body })
    }

    /// Deletes the entries whose flags stand at `places`; none of them is deleted yet.
    pub fn delete(&mut self, places: &[usize]) {
        for at in places {
            // The flags are a number below 128: one byte as it is.
            self.entries[*at] |= DELETED as u8;
        }
        self.live -= places.len();
        self.deleted += places.len();
    }

    /// The whole listpack, as it stands in files.
    pub fn to_listpack(&self) -> Vec<u8> {
        let mut head = Vec::new();
        for n in [self.live, self.deleted, self.names.len()] {
            listpack::push_int(&mut head, n as i64);
        }
        self.names.iter().for_each(|name| listpack::push(&mut head, name));
        listpack::push_int(&mut head, 0);
        listpack::frame(&[&head, &self.entries], 4 + self.names.len() + self.elements)
    }

    /// Reads what `to_listpack` writes. None if it is no listpack or not of this form.
    pub fn from_listpack(bytes: &[u8]) -> Option<Node> {
        let (all, count) = listpack::unframe(bytes)?;
        let mut at = 0;
        let int = |at: &mut usize| -> Option<usize> {
            let (element, end) = listpack::next(all, *at)?;
            *at = end;
            usize::try_from(element.int()?).ok()
        };
        let (live, deleted, fields) = (int(&mut at)?, int(&mut at)?, int(&mut at)?);
        let names_at = at;
        let mut names = Vec::new();
        for _ in 0..fields {
            let (name, end) = listpack::next(all, at)?;
            names.push(name.to_bytes());
            at = end;
        }
        let names_len = at - names_at;
        if int(&mut at)? != 0 {
            return None;
        }
        let elements = count.checked_sub(fields)?.checked_sub(4)?;
        let node = Node { live, deleted, names, names_len, entries: all[at..].to_vec(), elements };
        node.is_sound().then_some(node)
    }

    /// Whether its entries are complete and as many as its counts say.
    fn is_sound(&self) -> bool {
        let (mut at, mut live, mut deleted) = (0, 0, 0);
        while at < self.entries.len() {
            let Some(entry) = self.entry(Id::MIN, at) else { return false };
            let Some(end) = entry.checked_end() else { return false };
            if !(0..4).contains(&entry.flags) {
                return false;
            }
            *if entry.is_deleted() { &mut deleted } else { &mut live } += 1;
            at = end;
        }
        live == self.live && deleted == self.deleted
    }
}

fn encoded_len(texts: &[Bytes]) -> usize {
    let mut out = Vec::new();
    texts.iter().for_each(|text| listpack::push(&mut out, text));
    out.len()
}

impl<'a> Entry<'a> {
    pub fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    /// For `Node::delete`.
    pub fn place(&self) -> usize {
        self.at
    }

    fn has_names(&self) -> bool {
        self.flags & SAME_FIELDS == 0
    }

    /// How many fields it has, and where the first element of them stands.
    fn fields_at(&self) -> Option<(usize, usize)> {
        if !self.has_names() {
            return Some((self.node.names.len(), self.body));
        }
        let (count, at) = listpack::next(&self.node.entries, self.body)?;
        Some((usize::try_from(count.int()?).ok()?, at))
    }

    /// Where the next entry begins.
    fn end(&self) -> Option<usize> {
        let (fields, mut at) = self.fields_at()?;
        let elements = if self.has_names() { fields.checked_mul(2)? } else { fields };
        // The count of elements stands behind them.
        for _ in 0..=elements {
            at = listpack::next(&self.node.entries, at)?.1;
        }
        Some(at)
    }

    /// As `end`, of an entry from outside: None if the count behind it is wrong.
    fn checked_end(&self) -> Option<usize> {
        let (fields, _) = self.fields_at()?;
        let expected = if self.has_names() { fields.checked_mul(2)?.checked_add(4)? } else { fields + 3 };
        let end = self.end()?;
        let (count, _) = listpack::next(&self.node.entries, listpack::before(&self.node.entries, end)?)?;
        (count.int()? == expected as i64).then_some(end)
    }

    /// Names and values in order: name, value, name, value.
    pub fn fields(&self) -> Vec<Bytes> {
        let Some((fields, mut at)) = self.fields_at() else { return Vec::new() };
        let mut flat = Vec::with_capacity(fields * 2);
        let mut next = || -> Option<Bytes> {
            let (element, end) = listpack::next(&self.node.entries, at)?;
            at = end;
            Some(element.to_bytes())
        };
        for index in 0..fields {
            let name = if self.has_names() { next() } else { self.node.names.get(index).cloned() };
            flat.extend(name);
            flat.extend(next());
        }
        flat
    }
}

//! Sets of byte strings.
//!
//! Three forms, as in Redis 7.2: `intset`, sorted integers; `listpack`, a few short members in order of insertion; else
//! `hashtable`. A set only ever grows out of a form, it never goes back by itself.

use crate::base::{Bytes, Rng};
use crate::engine::config::Limits;
use crate::engine::dict::{Dict, HashSeed};
use crate::engine::value::string::parse_int;

#[derive(Clone, Debug)]
pub struct Set(Form, HashSeed);

#[derive(Clone, Debug)]
enum Form {
    /// Ascending.
    Ints(Vec<i64>),
    Small(Vec<Bytes>),
    Table(Dict<()>),
}

impl Set {
    pub fn new(seed: HashSeed) -> Set {
        Set(Form::Ints(Vec::new()), seed)
    }

    /// An empty set that begins as `listpack`, whatever comes into it.
    pub fn small(seed: HashSeed) -> Set {
        Set(Form::Small(Vec::new()), seed)
    }

    /// An empty set in the form that suits `first` as one of about `expected` members.
    pub fn for_members(first: &[u8], expected: usize, seed: HashSeed, limits: &Limits) -> Set {
        let form = if expected <= limits.set_max_intset_entries && parse_int(first).is_some() {
            Form::Ints(Vec::new())
        } else if expected <= limits.set_max_listpack_entries {
            Form::Small(Vec::new())
        } else {
            let mut dict = Dict::new(seed);
            dict.reserve(expected);
            Form::Table(dict)
        };
        Set(form, seed)
    }

    /// Makes room for `expected` members in all, which may need another form.
    pub fn expect(&mut self, expected: usize, limits: &Limits) {
        let too_many = match &self.0 {
            Form::Ints(_) => expected > limits.set_max_intset_entries,
            Form::Small(_) => expected > limits.set_max_listpack_entries,
            Form::Table(_) => false,
        };
        if too_many {
            self.make_table(expected);
        }
    }

    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Ints(_) => "intset",
            Form::Small(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Ints(ints) => ints.len(),
            Form::Small(members) => members.len(),
            Form::Table(dict) => dict.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.0 {
            Form::Ints(ints) => parse_int(member).is_some_and(|n| ints.binary_search(&n).is_ok()),
            Form::Small(members) => members.iter().any(|known| **known == *member),
            Form::Table(dict) => dict.contains(member),
        }
    }

    /// True if `member` was not there.
    pub fn insert(&mut self, member: Bytes, limits: &Limits) -> bool {
        match &mut self.0 {
            Form::Ints(ints) => {
                let Some(n) = parse_int(&member) else { return self.insert_text_among_ints(member, limits) };
                let Err(at) = ints.binary_search(&n) else { return false };
                ints.insert(at, n);
                if ints.len() > limits.set_max_intset_entries {
                    self.make_table(0);
                }
                true
            }
            Form::Small(members) => {
                if members.contains(&member) {
                    return false;
                }
                if members.len() < limits.set_max_listpack_entries && member.len() <= limits.set_max_listpack_value {
                    members.push(member);
                } else {
                    self.make_table(1).insert(member, ());
                }
                true
            }
            Form::Table(dict) => dict.insert(member, ()).is_none(),
        }
    }

    pub fn extend(&mut self, members: impl IntoIterator<Item = Bytes>, limits: &Limits) {
        for member in members {
            self.insert(member, limits);
        }
    }

    fn insert_text_among_ints(&mut self, member: Bytes, limits: &Limits) -> bool {
        let Form::Ints(ints) = &self.0 else { unreachable!("called for integers only") };
        let longest = |n: Option<&i64>| n.map_or(0, |n| n.to_string().len());
        let longest = longest(ints.first()).max(longest(ints.last())).max(member.len());
        if ints.len() < limits.set_max_listpack_entries && longest <= limits.set_max_listpack_value {
            let mut members: Vec<Bytes> = ints.iter().map(|n| text_of(*n)).collect();
            members.push(member);
            self.0 = Form::Small(members);
        } else {
            self.make_table(1).insert(member, ());
        }
        true
    }

    /// True if `member` was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Form::Ints(ints) => {
                let at = parse_int(member).and_then(|n| ints.binary_search(&n).ok());
                at.map(|at| ints.remove(at)).is_some()
            }
            Form::Small(members) => {
                let at = members.iter().position(|known| **known == *member);
                at.map(|at| members.remove(at)).is_some()
            }
            Form::Table(dict) => dict.remove(member).is_some(),
        }
    }

    /// The members: integers ascending, few in order of insertion, many in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = Bytes> + '_ {
        let (ints, small, table) = match &self.0 {
            Form::Ints(ints) => (Some(ints.iter().map(|n| text_of(*n))), None, None),
            Form::Small(members) => (None, Some(members.iter().cloned()), None),
            Form::Table(dict) => (None, None, Some(dict.keys().cloned())),
        };
        ints.into_iter().flatten().chain(small.into_iter().flatten()).chain(table.into_iter().flatten())
    }

    /// The member at `index` of an order that holds until the next change.
    pub fn nth(&self, index: usize) -> Option<Bytes> {
        match &self.0 {
            Form::Ints(ints) => ints.get(index).map(|n| text_of(*n)),
            Form::Small(members) => members.get(index).cloned(),
            Form::Table(dict) => dict.nth(index).map(|(member, ())| member.clone()),
        }
    }

    pub fn random(&self, rng: &mut Rng) -> Option<Bytes> {
        self.nth(rng.below(self.len()))
    }

    /// One step of a scan: one bucket of a table, all of a small set. The next cursor; 0 at the end.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(Bytes)) -> u64 {
        match &self.0 {
            Form::Table(dict) => dict.scan(cursor, |member, ()| visit(member.clone())),
            _ => {
                self.iter().for_each(visit);
                0
            }
        }
    }

    /// Goes back to `intset` if every member is an integer and there are few enough: for results of set operations.
    pub fn into_ints_if_small(self, limits: &Limits) -> Set {
        if matches!(self.0, Form::Ints(_)) || self.len() > limits.set_max_intset_entries {
            return self;
        }
        let ints: Option<Vec<i64>> = self.iter().map(|member| parse_int(&member)).collect();
        let Some(mut ints) = ints else { return self };
        ints.sort_unstable();
        Set(Form::Ints(ints), self.1)
    }

    fn make_table(&mut self, more: usize) -> &mut Dict<()> {
        if !matches!(self.0, Form::Table(_)) {
            let mut dict = Dict::new(self.1);
            dict.reserve((self.len() + 1).max(more));
            for member in self.iter() {
                dict.insert(member, ());
            }
            self.0 = Form::Table(dict);
        }
        let Form::Table(dict) = &mut self.0 else { unreachable!("made one above") };
        dict
    }
}

fn text_of(n: i64) -> Bytes {
    let mut buffer = [0u8; 20];
    let mut at = buffer.len();
    let mut rest = n.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if n < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    Bytes::copy(&buffer[at..])
}

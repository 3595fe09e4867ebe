//! Sets of byte strings.
//!
//! Three forms, as in Redis 7.2: `intset`, sorted integers; `listpack`, a few short members in order of insertion; else
//! `hashtable`. A set only ever grows out of a form, it never goes back by itself.

use crate::base::{Bytes, Rng};
use crate::engine::config::Limits;
use crate::engine::dict::{Chains, Dict, HashSeed};
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

    /// Of its table, if it has one. O(n).
    pub fn chains(&self) -> Option<Chains> {
        if let Form::Table(table) = &self.0 { Some(table.chains()) } else { None }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// See `Dict::warm`.
    pub fn warm<'a>(&self, members: impl Iterator<Item = &'a [u8]>) {
        if let Form::Table(dict) = &self.0 {
            dict.warm(members);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn limits() -> Limits {
        Limits {
            set_max_intset_entries: 6,
            set_max_listpack_entries: 8,
            set_max_listpack_value: 10,
            ..crate::engine::config::Config::default().limits
        }
    }

    /// What 7.2 says of a set that grew by `member` to `len` members.
    fn encoding_after(before: &'static str, member: &[u8], len: usize) -> &'static str {
        let is_int = parse_int(member).is_some();
        match before {
            "intset" if is_int && len > 6 => "hashtable",
            "intset" if is_int => "intset",
            "intset" | "listpack" if len <= 8 && member.len() <= 10 => "listpack",
            _ => "hashtable",
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]
        #[test]
        fn a_set_is_a_set_in_each_of_its_encodings(steps in proptest::collection::vec((0u8..4, 0i64..14, 0u8..20), 1..150)) {
            let limits = limits();
            let (mut set, mut model) = (Set::new(HashSeed(1, 2)), BTreeSet::new());
            for (what, n, kind) in steps {
                let member = match kind {
                    0 => Bytes::from(format!("a rather long member {n}")),
                    1..=3 => Bytes::from(format!("m{n}")),
                    _ => Bytes::from((n - 7).to_string()),
                };
                if what == 0 {
                    prop_assert_eq!(set.remove(&member), model.remove(&member));
                } else {
                    let before = set.encoding();
                    let new = model.insert(member.clone());
                    prop_assert_eq!(set.insert(member.clone(), &limits), new);
                    let expected = if new { encoding_after(before, &member, model.len()) } else { before };
                    prop_assert_eq!(set.encoding(), expected);
                }
                prop_assert_eq!(set.len(), model.len());
            }
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), model.clone());
            prop_assert_eq!((0..set.len()).filter_map(|at| set.nth(at)).collect::<BTreeSet<_>>(), model.clone());
            prop_assert!(model.iter().all(|member| set.contains(member)));
        }
    }

    #[test]
    fn integers_are_written_as_they_were_given() {
        for n in [0, 7, -7, 10, 1_000_000, i64::MAX, i64::MIN] {
            assert_eq!(text_of(n), Bytes::from(n.to_string()));
        }
    }

    #[test]
    fn a_scan_finds_what_stays_while_the_set_grows_and_shrinks() {
        let limits = limits();
        let member = |n: usize| Bytes::from(format!("m{n}"));
        for seed in 0..30 {
            let mut rng = crate::base::Rng::new(seed);
            let mut set = Set::new(HashSeed(seed, 1));
            set.extend((0..60).map(member), &limits);
            let (mut seen, mut cursor) = (BTreeSet::new(), 0);
            loop {
                cursor = set.scan(cursor, |member| {
                    seen.insert(member);
                });
                if cursor == 0 {
                    break;
                }
                let others = 1000..1000 + rng.below(600);
                if rng.below(2) == 0 {
                    set.extend(others.map(member), &limits);
                } else {
                    for n in others {
                        set.remove(&member(n));
                    }
                }
            }
            assert!((0..60).all(|n| seen.contains(&member(n))), "seed {seed}");
        }
    }
}

//! A stream against a plain list of its entries.

use super::*;
use crate::base::Rng;
use crate::engine::config::Config;
use proptest::prelude::*;

type Model = BTreeMap<Id, Vec<Bytes>>;

fn limits(entries: usize, bytes: usize) -> Limits {
    Limits { stream_node_max_entries: entries, stream_node_max_bytes: bytes, ..Config::default().limits }
}

fn fields(kind: u8, n: u64) -> Vec<Bytes> {
    let word = |text: &str| Bytes::from(text);
    match kind % 4 {
        0 => vec![word("temp"), Bytes::from(n.to_string())],
        1 => vec![word("temp"), word("high"), word("door"), word("open")],
        2 => vec![word("-7"), Bytes::from(vec![b'x'; n as usize % 90])],
        _ => vec![Bytes::new(), Bytes::new()],
    }
}

fn listed<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Vec<(Id, Vec<Bytes>)> {
    entries.map(|entry| (entry.id, entry.fields())).collect()
}

fn agree(stream: &Stream, model: &Model) {
    let all: Vec<_> = model.iter().map(|(id, fields)| (*id, fields.clone())).collect();
    assert_eq!(listed(stream.iter()), all);
    let mut back = listed(stream.range_back(Id::MIN, Id::MAX));
    back.reverse();
    assert_eq!(back, all);
    assert_eq!(stream.len(), all.len());
    assert_eq!(stream.first_id(), all.first().map_or(Id::MIN, |(id, _)| *id));
    assert_eq!(stream.last_live(), all.last().map(|(id, _)| *id));
    assert_eq!(stream.nodes().values().map(Node::live).sum::<usize>(), all.len());
}

#[derive(Clone, Debug)]
enum Step {
    Push(u64, u8),
    Delete(usize),
    Trim(usize, bool, Option<u64>),
    Cut(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u64..400, any::<u8>()).prop_map(|(gap, kind)| Step::Push(gap, kind)),
        2 => any::<usize>().prop_map(Step::Delete),
        1 => (0usize..60, any::<bool>(), proptest::option::of(1u64..30)).prop_map(|(len, rough, limit)| Step::Trim(len, rough, limit)),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(at, rough)| Step::Cut(at, rough)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_stream_is_the_list_of_its_entries(steps in proptest::collection::vec(step(), 1..250), entries in 1usize..12, bytes in 40usize..600) {
        let limits = limits(entries, bytes);
        let (mut stream, mut model) = (Stream::new(), Model::new());
        let mut added = 0;
        for step in steps {
            match step {
                Step::Push(gap, kind) => {
                    let last = stream.last_id;
                    let id = if kind % 3 == 0 { Id::new(last.ms, last.seq + gap) } else { Id::new(last.ms + gap, gap % 5) };
                    let fields = fields(kind, gap);
                    stream.push(id, &fields, &limits);
                    model.insert(id, fields);
                    added += 1;
                    prop_assert!(stream.nodes().values().all(|node| node.total() <= entries));
                }
                Step::Delete(at) => {
                    let id = model.keys().nth(at % model.len().max(1)).copied().unwrap_or(Id::new(7, 7));
                    let there = model.remove(&id).is_some();
                    prop_assert_eq!(stream.delete(&[id, id]), usize::from(there));
                }
                Step::Trim(len, approximate, limit) => {
                    let limit = limit.filter(|_| approximate);
                    let gone = stream.trim(&Trim { bound: Bound::MaxLen(len as u64), approximate, limit }) as usize;
                    let over = model.len().saturating_sub(len);
                    prop_assert!(gone == over || approximate && gone < over, "{} of {}", gone, over);
                    prop_assert!(limit.is_none_or(|limit| gone as u64 <= limit));
                    (0..gone).for_each(|_| drop(model.pop_first()));
                }
                Step::Cut(at, approximate) => {
                    let least = model.keys().nth(at % model.len().max(1)).copied().unwrap_or(Id::MIN);
                    let gone = stream.trim(&Trim { bound: Bound::MinId(least), approximate, limit: None }) as usize;
                    let over = model.range(..least).count();
                    prop_assert!(gone == over || approximate && gone < over, "{} of {}", gone, over);
                    (0..gone).for_each(|_| drop(model.pop_first()));
                }
            }
            agree(&stream, &model);
            prop_assert_eq!(stream.entries_added, added);
            let ids: Vec<Id> = model.keys().copied().collect();
            if ids.len() > 3 {
                let (a, b) = (ids[1], ids[ids.len() - 2]);
                let inner: Vec<_> = model.range(a..=b).map(|(id, fields)| (*id, fields.clone())).collect();
                prop_assert_eq!(listed(stream.range(a, b)), inner.clone());
                let mut back = listed(stream.range_back(a, b));
                back.reverse();
                prop_assert_eq!(back, inner);
            }
        }
    }
}

#[test]
fn no_damage_to_a_node_makes_it_panic() {
    let limits = limits(20, 4096);
    let mut rng = Rng::new(12);
    for _ in 0..3000 {
        let mut stream = Stream::new();
        for n in 0..1 + rng.below(12) as u64 {
            stream.push(Id::new(5 + n, 1), &fields(rng.below(256) as u8, n), &limits);
        }
        stream.delete(&[Id::new(6, 1)]);
        let (id, node) = stream.nodes().first_key_value().unwrap();
        let mut bytes = node.to_listpack();
        for _ in 0..rng.below(4) {
            let at = 6 + rng.below(bytes.len() - 6);
            bytes[at] = rng.below(256) as u8;
        }
        let Some(node) = Node::from_listpack(&bytes) else { continue };
        assert_eq!(node.to_listpack(), bytes, "what is read is written as it was");
        let totals = Totals { length: node.live() as u64, last_id: Id::new(rng.below(20) as u64, 0), newer: None };
        let Ok(mut stream) = Stream::from_nodes(BTreeMap::from([(*id, node)]), totals) else { continue };
        let _ = (listed(stream.iter()), listed(stream.range_back(Id::MIN, Id::MAX)), stream.first_of_all());
        let ids: Vec<Id> = stream.iter().map(|entry| entry.id).collect();
        for n in 0..4 {
            stream.push(Id::new(n * 7, 0), &fields(0, n), &limits);
        }
        stream.trim(&Trim { bound: Bound::MinId(Id::new(8, 0)), approximate: rng.below(2) == 0, limit: None });
        stream.delete(&ids);
        stream.trim(&Trim { bound: Bound::MaxLen(0), approximate: false, limit: None });
        let _ = listed(stream.iter());
    }
}

#[test]
fn what_a_group_has_not_read_is_told_as_long_as_nothing_hides_it() {
    let limits = limits(100, 4096);
    let mut stream = Stream::new();
    let group = |stream: &Stream, at: u64, read: Option<u64>| stream.lag(&Group::new(Id::new(at, 0), read));
    assert_eq!(group(&stream, 0, None), Some(0));
    for n in 1..=5 {
        stream.push(Id::new(n, 0), &fields(0, n), &limits);
    }
    assert_eq!(group(&stream, 0, None), Some(5));
    assert_eq!(group(&stream, 1, None), Some(4));
    assert_eq!(group(&stream, 3, None), None);
    assert_eq!(group(&stream, 3, Some(3)), Some(2));
    assert_eq!(group(&stream, 5, None), Some(0));
    stream.delete(&[Id::new(4, 0)]);
    assert_eq!(group(&stream, 3, Some(3)), None, "one of the entries ahead is gone");
    stream.trim(&Trim { bound: Bound::MaxLen(1), approximate: false, limit: None });
    assert_eq!(group(&stream, 3, None), Some(1));
}

//! A list beside a plain vector, and when its encoding changes.

use super::*;
use crate::engine::value::listpack::{self, FRAME};
use proptest::prelude::*;

fn limits(size: i64) -> Limits {
    Limits { list_max_listpack_size: size, ..crate::engine::config::Config::default().limits }
}

#[derive(Clone, Debug)]
enum Step {
    Push(Vec<u16>, bool),
    Pop(bool),
    Insert(usize, u16, bool),
    Set(usize, u16),
    RemoveRange(usize, usize),
    RemoveEqual(u16, usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let item = 0u16..12;
    prop_oneof![
        4 => (proptest::collection::vec(item.clone(), 1..8), any::<bool>()).prop_map(|(items, head)| Step::Push(items, head)),
        2 => any::<bool>().prop_map(Step::Pop),
        3 => (0usize..200, item.clone(), any::<bool>()).prop_map(|(at, item, after)| Step::Insert(at, item, after)),
        1 => (0usize..200, item.clone()).prop_map(|(at, item)| Step::Set(at, item)),
        1 => (0usize..200, 0usize..9).prop_map(|(at, count)| Step::RemoveRange(at, count)),
        1 => (item, 0usize..4, any::<bool>()).prop_map(|(item, most, tail)| Step::RemoveEqual(item, most, tail)),
    ]
}

/// Short ones, long ones, integers.
fn text(n: u16) -> Bytes {
    match n % 3 {
        0 => Bytes::from(n.to_string()),
        1 => Bytes::from(format!("item:{n}")),
        _ => Bytes::from("long".repeat(usize::from(n) * 20)),
    }
}

fn end(head: bool) -> End {
    if head { End::Head } else { End::Tail }
}

/// The same step on a list and on a plain vector.
fn apply(list: &mut List, model: &mut Vec<Bytes>, step: &Step, limits: &Limits) {
    match step {
        Step::Push(items, head) => {
            let items: Vec<Bytes> = items.iter().map(|n| text(*n)).collect();
            list.push_all(&items, end(*head), limits);
            for item in items {
                model.insert(if *head { 0 } else { model.len() }, item);
            }
        }
        Step::Pop(head) => {
            let expected = match model.len() {
                0 => None,
                len => Some(model.remove(if *head { 0 } else { len - 1 })),
            };
            assert_eq!(list.pop(end(*head), limits), expected);
        }
        Step::Insert(at, item, after) if !model.is_empty() => {
            let at = at % model.len();
            list.expect([&text(*item)], limits);
            list.insert(at, text(*item), *after, limits);
            model.insert(at + usize::from(*after), text(*item));
        }
        Step::Set(at, item) if !model.is_empty() => {
            let at = at % model.len();
            list.set(at, text(*item), limits);
            model[at] = text(*item);
        }
        Step::RemoveRange(at, count) => {
            let start = (*at).min(model.len());
            let stop = (start + count).min(model.len());
            list.remove_range(start..start + count, limits);
            model.drain(start..stop);
        }
        Step::RemoveEqual(item, most, tail) => {
            let gone = list.remove_equal(&text(*item), *most, if *tail { End::Tail } else { End::Head }, limits);
            if *tail {
                model.reverse();
            }
            let mut left = *most;
            let before = model.len();
            model.retain(|it| {
                let matches = left > 0 && *it == text(*item);
                left -= usize::from(matches);
                !matches
            });
            if *tail {
                model.reverse();
            }
            assert_eq!(gone, before - model.len());
        }
        Step::Insert(..) | Step::Set(..) => {}
    }
}

fn sound(list: &List, model: &[Bytes]) {
    assert_eq!(list.len(), model.len());
    assert!(list.iter().eq(model.iter()));
    assert!(list.iter().rev().eq(model.iter().rev()));
    let (front, back) = list.slices();
    for node in front.iter().chain(back) {
        let bytes: usize = node.items.iter().map(|item| listpack::size(item)).sum();
        assert_eq!(node.bytes, FRAME + bytes);
        assert!(!node.items.is_empty() || list.encoding() == "listpack");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_list_is_a_sequence_whatever_its_nodes(size in prop_oneof![-5i64..0, 0i64..12], steps in proptest::collection::vec(step(), 1..120)) {
        let limits = limits(size);
        let (mut list, mut model) = (List::default(), Vec::new());
        for step in &steps {
            apply(&mut list, &mut model, step, &limits);
            sound(&list, &model);
        }
        for at in 0..model.len() {
            prop_assert_eq!(list.get(at), Some(&model[at]));
            prop_assert!(list.iter_from(at).eq(model[at..].iter()));
        }
        prop_assert_eq!(list.get(model.len()), None);
        let again = List::build(model.iter().cloned(), &limits);
        prop_assert!(again.iter().eq(model.iter()));
    }
}

#[test]
fn elements_take_what_a_listpack_gives_them() {
    for (item, bytes) in [
        ("0", 2),
        ("127", 2),
        ("128", 3),
        ("-1", 3),
        ("4096", 4),
        ("32768", 5),
        ("8388608", 6),
        ("2147483648", 10),
        ("007", 5),
        ("", 2),
    ] {
        assert_eq!(listpack::size(item.as_bytes()), bytes, "{item}");
    }
    assert_eq!(listpack::size(&[b'x'; 63]), 65);
    assert_eq!(listpack::size(&[b'x'; 64]), 67);
    assert_eq!(listpack::size(&[b'x'; 126]), 130);
    assert_eq!(listpack::size(&[b'x'; 4096]), 4103);
}

#[test]
fn a_list_becomes_a_quicklist_past_its_limit_and_a_listpack_again_below_half_of_it() {
    let limits = limits(4);
    let mut list = List::default();
    for n in 0..5 {
        assert_eq!(list.encoding(), "listpack");
        list.push_back(text(n), &limits);
    }
    assert_eq!((list.encoding(), list.nodes().0), ("quicklist", 2));
    list.pop(End::Tail, &limits);
    assert_eq!((list.encoding(), list.nodes().0), ("quicklist", 1));
    list.pop(End::Tail, &limits);
    assert_eq!(list.encoding(), "quicklist");
    list.pop(End::Tail, &limits);
    assert_eq!(list.encoding(), "listpack");
}

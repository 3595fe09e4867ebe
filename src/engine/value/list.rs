//! Lists: a `quicklist` of nodes, or a single node reported as `listpack` while it is small.
//!
//! A node holds elements up to the limit of `list-max-listpack-size`: a number of them, or with a negative value a size
//! in bytes, counted as a listpack would take them (which is why each node keeps that sum). Where nodes are split and
//! merged decides when a list may become a `listpack` again, so that is done as Redis does it.

use crate::base::Bytes;
use crate::engine::config::Limits;
use crate::engine::value::string::parse_int;
use std::collections::VecDeque;
use std::ops::Range;

/// What an empty listpack takes: its header and its end mark.
const EMPTY_BYTES: usize = 7;
/// With a limit in elements, a node may still not take more bytes than this.
const SAFE_BYTES: usize = 8192;
/// What Redis takes an element to cost beyond its own length when it looks whether a node has room.
const ELEMENT_OVERHEAD: usize = 8;

#[derive(Clone, Debug)]
struct Node {
    items: VecDeque<Bytes>,
    /// What a listpack of these items would take.
    bytes: usize,
}

impl Default for Node {
    fn default() -> Node {
        Node { items: VecDeque::new(), bytes: EMPTY_BYTES }
    }
}

impl Node {
    fn of(item: Bytes) -> Node {
        let mut node = Node::default();
        node.push_back(item);
        node
    }

    fn push_back(&mut self, item: Bytes) {
        self.bytes += packed_len(&item);
        self.items.push_back(item);
    }

    fn push_front(&mut self, item: Bytes) {
        self.bytes += packed_len(&item);
        self.items.push_front(item);
    }

    fn insert(&mut self, at: usize, item: Bytes) {
        self.bytes += packed_len(&item);
        self.items.insert(at, item);
    }

    fn pop_front(&mut self) -> Option<Bytes> {
        let item = self.items.pop_front()?;
        self.bytes -= packed_len(&item);
        Some(item)
    }

    fn pop_back(&mut self) -> Option<Bytes> {
        let item = self.items.pop_back()?;
        self.bytes -= packed_len(&item);
        Some(item)
    }

    fn replace(&mut self, at: usize, item: Bytes) {
        self.bytes += packed_len(&item);
        let old = std::mem::replace(&mut self.items[at], item);
        self.bytes -= packed_len(&old);
    }

    fn remove_range(&mut self, range: Range<usize>) {
        self.bytes -= self.items.drain(range).map(|item| packed_len(&item)).sum::<usize>();
    }

    fn split_off(&mut self, at: usize) -> Node {
        let items = self.items.split_off(at);
        let bytes: usize = items.iter().map(|item| packed_len(item)).sum();
        self.bytes -= bytes;
        Node { items, bytes: bytes + EMPTY_BYTES }
    }

    fn append(&mut self, mut tail: Node) {
        self.bytes += tail.bytes - EMPTY_BYTES;
        self.items.append(&mut tail.items);
    }

    /// Removes up to `most` items equal to `item`; how many it were.
    fn remove_equal(&mut self, item: &[u8], most: usize, from_tail: bool) -> usize {
        let equal = self.items.iter().filter(|it| ***it == *item).count();
        let (skipped, gone) =
            if from_tail { (equal.saturating_sub(most), equal.min(most)) } else { (0, equal.min(most)) };
        if gone == 0 {
            return 0;
        }
        let mut seen = 0;
        self.items.retain(|it| {
            if **it != *item {
                return true;
            }
            seen += 1;
            seen <= skipped || seen > skipped + gone
        });
        self.bytes -= gone * packed_len(item);
        gone
    }

    fn has_room(&self, item: &[u8], limits: &Limits) -> bool {
        !exceeds(limits, self.bytes + item.len() + ELEMENT_OVERHEAD, self.items.len() + 1)
    }

    fn may_merge(&self, other: &Node, limits: &Limits) -> bool {
        !exceeds(limits, self.bytes + other.bytes - EMPTY_BYTES, self.items.len() + other.items.len())
    }
}

/// The bytes an element takes in a listpack: an integer as few as it needs, a text with its length before it, and the
/// entry's own length behind it for walking backwards.
fn packed_len(item: &[u8]) -> usize {
    let int = if item.len() <= 20 { parse_int(item) } else { None };
    let entry = match int {
        Some(0..=127) => 1,
        Some(-4096..=4095) => 2,
        Some(-32_768..=32_767) => 3,
        Some(-8_388_608..=8_388_607) => 4,
        Some(-2_147_483_648..=2_147_483_647) => 5,
        Some(_) => 9,
        None if item.len() < 64 => 1 + item.len(),
        None if item.len() < 4096 => 2 + item.len(),
        None => 5 + item.len(),
    };
    let back = match entry {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    };
    entry + back
}

/// The most bytes and the most elements of a node; one of them is without limit.
fn node_limit(limits: &Limits) -> (usize, usize) {
    match limits.list_max_listpack_size {
        count @ 0.. => (usize::MAX, (count as usize).max(1)),
        level => (4096 << (-level - 1).min(4), usize::MAX),
    }
}

fn exceeds(limits: &Limits, bytes: usize, count: usize) -> bool {
    match node_limit(limits) {
        (bytes_max, usize::MAX) => bytes > bytes_max,
        (_, count_max) => bytes > SAFE_BYTES || count > count_max,
    }
}

#[derive(Clone, Debug, Default)]
pub struct List(Form);

#[derive(Clone, Debug)]
enum Form {
    Packed(Node),
    /// No node is empty.
    Quick {
        nodes: VecDeque<Node>,
        len: usize,
    },
}

impl Default for Form {
    fn default() -> Form {
        Form::Packed(Node::default())
    }
}

impl List {
    /// A list of `items` in the encoding that suits it: what SORT ... STORE and loading a file make.
    pub fn build(items: impl IntoIterator<Item = Bytes>, limits: &Limits) -> List {
        let mut list = List(Form::Quick { nodes: VecDeque::new(), len: 0 });
        items.into_iter().for_each(|item| list.push_raw(item, End::Tail, limits));
        list.shrink_below(limits, 1);
        list
    }

    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Packed(_) => "listpack",
            Form::Quick { .. } => "quicklist",
        }
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Packed(node) => node.items.len(),
            Form::Quick { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many nodes there are, and the bytes their listpacks would take: for DEBUG OBJECT and the memory model.
    pub fn nodes(&self) -> (usize, usize) {
        let (front, back) = self.slices();
        (front.len() + back.len(), front.iter().chain(back).map(|node| node.bytes).sum())
    }

    fn slices(&self) -> (&[Node], &[Node]) {
        match &self.0 {
            Form::Packed(node) => (std::slice::from_ref(node), &[]),
            Form::Quick { nodes, .. } => nodes.as_slices(),
        }
    }

    /// The node and the offset in it of element `index`, which exists.
    fn place(&self, index: usize) -> (usize, usize) {
        let Form::Quick { nodes, len } = &self.0 else { return (0, index) };
        if index < len / 2 {
            let mut left = index;
            for (at, node) in nodes.iter().enumerate() {
                if left < node.items.len() {
                    return (at, left);
                }
                left -= node.items.len();
            }
        } else {
            let mut behind = len - index;
            for (at, node) in nodes.iter().enumerate().rev() {
                if behind <= node.items.len() {
                    return (at, node.items.len() - behind);
                }
                behind -= node.items.len();
            }
        }
        (nodes.len(), 0)
    }

    pub fn get(&self, index: usize) -> Option<&Bytes> {
        if index >= self.len() {
            return None;
        }
        let (node, offset) = self.place(index);
        match &self.0 {
            Form::Packed(node) => node.items.get(offset),
            Form::Quick { nodes, .. } => nodes[node].items.get(offset),
        }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Bytes> {
        let (front, back) = self.slices();
        front.iter().chain(back).flat_map(|node| node.items.iter())
    }

    /// The elements from `index` on.
    pub fn iter_from(&self, index: usize) -> impl Iterator<Item = &Bytes> {
        let (at, offset) = if index < self.len() { self.place(index) } else { (usize::MAX, 0) };
        let (front, back) = self.slices();
        let skipped = at.min(front.len());
        let nodes = front[skipped..].iter().chain(back[(at - skipped).min(back.len())..].iter());
        let mut nodes = nodes.map(|node| &node.items);
        let first = nodes.next().map(|items| items.range(offset..));
        first.into_iter().flatten().chain(nodes.flatten())
    }

    // -- growing -----------------------------------------------------------------------------------------------------

    /// Chooses the encoding before elements of these lengths are added, all of them at once as Redis does.
    pub fn expect<'a>(&mut self, items: impl IntoIterator<Item = &'a Bytes>, limits: &Limits) {
        let Form::Packed(node) = &mut self.0 else { return };
        let (mut bytes, mut count) = (node.bytes, node.items.len());
        for item in items {
            bytes += item.len();
            count += 1;
        }
        if exceeds(limits, bytes, count) {
            let node = std::mem::take(node);
            let len = node.items.len();
            let nodes = if len > 0 { VecDeque::from([node]) } else { VecDeque::new() };
            self.0 = Form::Quick { nodes, len };
        }
    }

    /// Adds one element at an end.
    pub fn push(&mut self, item: Bytes, end: End, limits: &Limits) {
        self.expect([&item], limits);
        self.push_raw(item, end, limits);
    }

    pub fn push_back(&mut self, item: Bytes, limits: &Limits) {
        self.push(item, End::Tail, limits);
    }

    /// Adds elements at an end, one after the other: at the head, the last comes to stand first.
    pub fn push_all(&mut self, items: &[Bytes], end: End, limits: &Limits) {
        self.expect(items, limits);
        for item in items {
            self.push_raw(item.clone(), end, limits);
        }
    }

    fn push_raw(&mut self, item: Bytes, end: End, limits: &Limits) {
        let node = match &mut self.0 {
            Form::Packed(node) => node,
            Form::Quick { nodes, len } => {
                *len += 1;
                let outer = if end == End::Head { nodes.front_mut() } else { nodes.back_mut() };
                match outer {
                    Some(node) if node.has_room(&item, limits) => node,
                    _ if end == End::Head => return nodes.push_front(Node::of(item)),
                    _ => return nodes.push_back(Node::of(item)),
                }
            }
        };
        if end == End::Head { node.push_front(item) } else { node.push_back(item) }
    }

    /// Inserts `item` before or behind the element at `index`. Call `expect` before.
    pub fn insert(&mut self, index: usize, item: Bytes, after: bool, limits: &Limits) {
        let (at, offset) = self.place(index);
        let (nodes, len) = match &mut self.0 {
            Form::Packed(node) => return node.insert(offset + usize::from(after), item),
            Form::Quick { nodes, len } => (nodes, len),
        };
        *len += 1;
        let node = &mut nodes[at];
        if node.has_room(&item, limits) {
            return node.insert(offset + usize::from(after), item);
        }
        let at_end = if after { offset + 1 == node.items.len() } else { offset == 0 };
        if at_end {
            let neighbour = if after { Some(at + 1) } else { at.checked_sub(1) };
            match neighbour.and_then(|at| nodes.get_mut(at)) {
                Some(node) if node.has_room(&item, limits) && after => node.push_front(item),
                Some(node) if node.has_room(&item, limits) => node.push_back(item),
                _ => nodes.insert(at + usize::from(after), Node::of(item)),
            }
            return;
        }
        let mut tail = node.split_off(offset + usize::from(after));
        // Redis keeps the half that holds the pivot as the centre of the merges that follow.
        let centre = if after {
            tail.push_front(item);
            at
        } else {
            node.push_back(item);
            at + 1
        };
        nodes.insert(at + 1, tail);
        merge_around(nodes, centre, limits);
    }

    /// Replaces the element at `index`, which exists.
    pub fn set(&mut self, index: usize, item: Bytes, limits: &Limits) {
        self.expect([&item], limits);
        let (at, offset) = self.place(index);
        match &mut self.0 {
            Form::Packed(node) => node.replace(offset, item),
            Form::Quick { nodes, .. } => nodes[at].replace(offset, item),
        }
        self.shrink(limits);
    }

    // -- shrinking ---------------------------------------------------------------------------------------------------

    pub fn pop(&mut self, end: End, limits: &Limits) -> Option<Bytes> {
        let item = match &mut self.0 {
            Form::Packed(node) => return if end == End::Head { node.pop_front() } else { node.pop_back() },
            Form::Quick { nodes, len } => {
                let outer = if end == End::Head { nodes.front_mut() } else { nodes.back_mut() }?;
                let item = if end == End::Head { outer.pop_front() } else { outer.pop_back() };
                if outer.items.is_empty() {
                    if end == End::Head {
                        nodes.pop_front()
                    } else {
                        nodes.pop_back()
                    };
                }
                *len -= 1;
                item
            }
        };
        self.shrink(limits);
        item
    }

    /// Removes `range`, cut to what there is.
    pub fn remove_range(&mut self, range: Range<usize>, limits: &Limits) {
        let range = range.start..range.end.min(self.len());
        if range.is_empty() {
            return;
        }
        let (mut at, mut offset) = self.place(range.start);
        match &mut self.0 {
            Form::Packed(node) => node.remove_range(range),
            Form::Quick { nodes, len } => {
                *len -= range.len();
                let mut left = range.len();
                while left > 0 {
                    let node = &mut nodes[at];
                    let gone = left.min(node.items.len() - offset);
                    node.remove_range(offset..offset + gone);
                    if node.items.is_empty() {
                        nodes.remove(at);
                    } else {
                        at += 1;
                    }
                    (left, offset) = (left - gone, 0);
                }
            }
        }
        self.shrink(limits);
    }

    /// Removes up to `most` elements equal to `item`, looking from an end; how many it were.
    pub fn remove_equal(&mut self, item: &[u8], most: usize, from: End, limits: &Limits) -> usize {
        let from_tail = from == End::Tail;
        let gone = match &mut self.0 {
            Form::Packed(node) => node.remove_equal(item, most, from_tail),
            Form::Quick { nodes, len } => {
                let mut gone = 0;
                let count = nodes.len();
                for step in 0..count {
                    let at = if from_tail { count - 1 - step } else { step };
                    gone += nodes[at].remove_equal(item, most - gone, from_tail);
                    if gone == most {
                        break;
                    }
                }
                nodes.retain(|node| !node.items.is_empty());
                *len -= gone;
                gone
            }
        };
        if gone > 0 {
            self.shrink(limits);
        }
        gone
    }

    /// Goes back to one listpack once half of the limit is enough: not at the limit itself, where a list that grows and
    /// shrinks by one would be converted each time.
    fn shrink(&mut self, limits: &Limits) {
        self.shrink_below(limits, 2);
    }

    fn shrink_below(&mut self, limits: &Limits, divisor: usize) {
        let Form::Quick { nodes, .. } = &mut self.0 else { return };
        let (bytes_max, count_max) = node_limit(limits);
        match nodes.len() {
            0 => self.0 = Form::default(),
            1 if nodes[0].bytes <= bytes_max / divisor && nodes[0].items.len() <= count_max / divisor => {
                self.0 = Form::Packed(nodes.pop_front().expect("there is one"));
            }
            _ => {}
        }
    }
}

/// After a split: joins neighbours of node `centre` that fit into one, in Redis' order of trying.
fn merge_around(nodes: &mut VecDeque<Node>, mut centre: usize, limits: &Limits) {
    let mut join = |left: usize| {
        let fits = left + 1 < nodes.len() && nodes[left].may_merge(&nodes[left + 1], limits);
        if fits {
            let right = nodes.remove(left + 1).expect("checked above");
            nodes[left].append(right);
        }
        fits
    };
    if centre >= 2 && join(centre - 2) {
        centre -= 1;
    }
    join(centre + 1);
    if centre >= 1 && join(centre - 1) {
        centre -= 1;
    }
    join(centre);
}

/// One end of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Head,
    Tail,
}

impl End {
    /// LEFT or RIGHT, as LMOVE and LMPOP call them.
    pub fn named(word: &[u8]) -> Option<End> {
        if word.eq_ignore_ascii_case(b"LEFT") {
            Some(End::Head)
        } else if word.eq_ignore_ascii_case(b"RIGHT") {
            Some(End::Tail)
        } else {
            None
        }
    }

    pub fn word(self) -> &'static str {
        if self == End::Head { "LEFT" } else { "RIGHT" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let bytes: usize = node.items.iter().map(|item| packed_len(item)).sum();
            assert_eq!(node.bytes, EMPTY_BYTES + bytes);
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
            assert_eq!(packed_len(item.as_bytes()), bytes, "{item}");
        }
        assert_eq!(packed_len(&[b'x'; 63]), 65);
        assert_eq!(packed_len(&[b'x'; 64]), 67);
        assert_eq!(packed_len(&[b'x'; 126]), 130);
        assert_eq!(packed_len(&[b'x'; 4096]), 4103);
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
}

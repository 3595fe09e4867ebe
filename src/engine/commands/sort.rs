//! SORT and SORT_RO: the elements of a list, set or sorted set, in another order, or what they point to.
//!
//! BY and GET patterns name keys or hash fields: `*` stands for the element, `->` leads to a field, `#` is the element
//! itself. BY without `*` means: do not sort. Text is compared byte by byte, as Redis does in the C locale.

use crate::base::{Bytes, carry, float};
use crate::engine::call::Call;
use crate::engine::command::{Command, DENYOOM, Keys, MOVABLEKEYS, Outcome, READONLY, Spec, WRITE};
use crate::engine::commands;
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::{Hash, Kind, List, Str, Value, Zset};
use crate::resp::Reply;
use std::cmp::Ordering;

const BASE: Command = Command {
    acl: &["set", "sortedset", "list", "dangerous"],
    complexity: "O(N+M*log(M)), N the number of elements, M of those returned; O(N) without sorting",
    ..Command::GENERIC
};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "SORT",
        syntax: "key [BY by-pattern=pattern#1] [LIMIT limit=(offset count)] [GET get-pattern=pattern#1 [GET pattern \
                 ...]] order=[ASC | DESC] [sorting=ALPHA] [STORE destination#2]",
        summary: "Sort a collection, by itself or by other keys; return or store the result.",
        flags: WRITE.with(DENYOOM).with(MOVABLEKEYS),
        keys: Keys::Told { find: key_and_store, specs: &[Spec::At(1), Spec::Unknown, Spec::Unknown] },
        run: |call| sort(call, false),
        ..BASE
    },
    Command {
        name: "SORT_RO",
        syntax: "key [BY by-pattern=pattern#1] [LIMIT limit=(offset count)] [GET get-pattern=pattern#1 [GET pattern \
                 ...]] order=[ASC | DESC] [sorting=ALPHA]",
        summary: "Sort a collection, by itself or by other keys; return the result.",
        since: "7.0.0",
        flags: READONLY.with(MOVABLEKEYS),
        keys: Keys::Told { find: |_| vec![1], specs: &[Spec::At(1), Spec::Unknown] },
        run: |call| sort(call, true),
        ..BASE
    },
];

/// The key, and what stands behind the last STORE.
fn key_and_store(args: &[Bytes]) -> Vec<usize> {
    let mut store = None;
    let mut at = 2;
    while at < args.len() {
        let more = args.len() - at - 1;
        let is = |name: &str| args[at].eq_ignore_ascii_case(name.as_bytes());
        at += if is("LIMIT") {
            3
        } else if is("BY") || is("GET") {
            2
        } else if is("STORE") && more > 0 {
            store = Some(at + 1);
            2
        } else {
            1
        };
    }
    std::iter::once(1).chain(store).collect()
}

#[derive(Default)]
struct Options<'a> {
    descending: bool,
    alpha: bool,
    offset: i64,
    /// Negative: all.
    count: i64,
    by: Option<&'a Bytes>,
    get: Vec<&'a Bytes>,
    store: Option<&'a Bytes>,
}

impl<'a> Options<'a> {
    /// `sees_all`: the user may read any key, so also those that patterns lead to.
    fn parse(args: &'a [Bytes], read_only: bool, sees_all: bool) -> Result<Options<'a>, Refusal> {
        let mut options = Options { count: -1, ..Options::default() };
        let int = |text: &Bytes| crate::engine::value::string::parse_int(text).ok_or(refusal::NOT_INTEGER);
        let mut rest = args;
        while let [word, more @ ..] = rest {
            rest = match (&word.to_ascii_lowercase()[..], more) {
                (b"asc", after) => {
                    options.descending = false;
                    after
                }
                (b"desc", after) => {
                    options.descending = true;
                    after
                }
                (b"alpha", after) => {
                    options.alpha = true;
                    after
                }
                (b"limit", [offset, count, after @ ..]) => {
                    (options.offset, options.count) = (int(offset)?, int(count)?);
                    after
                }
                (b"store", [key, after @ ..]) if !read_only => {
                    options.store = Some(key);
                    after
                }
                (b"by", [pattern, ..]) if pattern.contains(&b'*') && !sees_all => {
                    return Err(Refusal::new("ERR BY option of SORT denied due to insufficient ACL permissions."));
                }
                (b"get", [_, ..]) if !sees_all => {
                    return Err(Refusal::new("ERR GET option of SORT denied due to insufficient ACL permissions."));
                }
                (b"by", [pattern, after @ ..]) => {
                    options.by = Some(pattern);
                    after
                }
                (b"get", [pattern, after @ ..]) => {
                    options.get.push(pattern);
                    after
                }
                _ => return Err(refusal::SYNTAX),
            };
        }
        Ok(options)
    }

    /// What is left of `len` elements by LIMIT: from and up to.
    fn window(&self, len: usize) -> (usize, usize) {
        let from = usize::try_from(self.offset.max(0)).unwrap_or(usize::MAX).min(len);
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        (from, from.saturating_add(count).min(len))
    }
}

fn sort(call: &mut Call, read_only: bool) -> Outcome {
    let key = &call.args[1];
    let entry = commands::nth(call.index);
    let sees_all = call.me().user.runs_reading_all_keys(entry, call.args);
    let mut options = Options::parse(&call.args[2..], read_only, sees_all)?;
    let mut sorted = true;
    let (mut elements, is_set) = match call.read_value(key) {
        None => (Vec::new(), false),
        Some(Value::List(list)) => (list.iter().cloned().collect(), false),
        Some(Value::Set(set)) => (set.iter().collect(), true),
        Some(Value::Zset(zset)) => (zset.iter().map(|(member, _)| member.clone()).collect::<Vec<_>>(), false),
        Some(_) => return Err(refusal::WRONGTYPE),
    };
    // As in Redis, a sorted set has its large encoding from then on.
    if let Some(zset) = call.peek_mut::<Zset>(key) {
        zset.make_large();
        call.measure(key);
    }
    if options.by.is_some_and(|by| !by.contains(&b'*')) {
        sorted = false;
        // A set has no order of its own: what is stored must not depend on how it is kept.
        if is_set && (options.store.is_some() || call.server.scripting.active.is_some()) {
            (sorted, options.alpha, options.by) = (true, true, None);
        }
    }
    if sorted {
        elements = in_order(call, elements, &options)?;
    } else if options.descending && !is_set {
        elements.reverse();
    }
    let (from, to) = options.window(elements.len());
    let wanted = &elements[from..to];
    let found: Vec<Option<Bytes>> = if options.get.is_empty() {
        wanted.iter().cloned().map(Some).collect()
    } else {
        let pairs = wanted.iter().flat_map(|element| options.get.iter().map(move |pattern| (element, pattern)));
        pairs.map(|(element, pattern)| pointed_to(call, pattern, element)).collect()
    };
    match options.store {
        None => Ok(Reply::Array(found.into_iter().map(Reply::from).collect())),
        Some(to) => Ok(store(call, to, found)),
    }
}

fn store(call: &mut Call, to: &Bytes, found: Vec<Option<Bytes>>) -> Reply {
    let (len, limits) = (found.len(), call.limits());
    let list = List::build(found.into_iter().map(Option::unwrap_or_default), &limits);
    call.store(to, list.into_value(), Class::List, "sortstore");
    call.dirty(len.saturating_sub(1));
    len.into()
}

/// What an element is sorted by.
enum Weight {
    Number(f64),
    /// None: BY points nowhere; such elements come first.
    Text(Option<Bytes>),
}

fn in_order(call: &mut Call, elements: Vec<Bytes>, options: &Options) -> Result<Vec<Bytes>, Refusal> {
    let mut weighed = Vec::with_capacity(elements.len());
    let mut bad = false;
    for element in elements {
        let by = match options.by {
            Some(pattern) => pointed_to(call, pattern, &element),
            None => Some(element.clone()),
        };
        let weight = match by {
            by if options.alpha => Weight::Text(by),
            None => Weight::Number(0.0),
            Some(text) => {
                let number = number(&text);
                bad |= number.is_none();
                Weight::Number(number.unwrap_or(0.0))
            }
        };
        weighed.push((weight, element));
    }
    if bad {
        return Err(Refusal::new("ERR One or more scores can't be converted into double"));
    }
    weighed.sort_by(|a, b| {
        let order = match (&a.0, &b.0) {
            (Weight::Number(x), Weight::Number(y)) => {
                x.partial_cmp(y).unwrap_or(Ordering::Equal).then_with(|| a.1.cmp(&b.1))
            }
            (Weight::Text(x), Weight::Text(y)) => x.cmp(y),
            _ => Ordering::Equal,
        };
        if options.descending { order.reverse() } else { order }
    });
    Ok(weighed.into_iter().map(|(_, element)| element).collect())
}

/// As strtod reads it: blanks before it do not count, nothing at all is 0, and a zero byte ends the text.
fn number(text: &[u8]) -> Option<f64> {
    let text = carry::before_zero(text).trim_ascii_start();
    if text.is_empty() { Some(0.0) } else { float::parse(text) }
}

/// What `pattern` means for `element`: the value of a key or of a hash field, or the element itself.
fn pointed_to(call: &mut Call, pattern: &[u8], element: &Bytes) -> Option<Bytes> {
    if pattern == b"#" {
        return Some(element.clone());
    }
    let star = pattern.iter().position(|byte| *byte == b'*')?;
    let behind = &pattern[star + 1..];
    // An arrow with nothing behind it is part of the name.
    let arrow = behind.windows(2).position(|pair| pair == b"->").filter(|at| at + 2 < behind.len());
    let (rest, field) = arrow.map_or((behind, None), |at| (&behind[..at], Some(&behind[at + 2..])));
    let key = [&pattern[..star], element, rest].concat();
    let value = call.read_value(&key)?;
    match field {
        Some(field) => Hash::of(value)?.get(field).cloned(),
        None => Str::of(value).map(Str::to_bytes),
    }
}

//! LCS: the longest common subsequence of two strings, by the textbook table.
//!
//! Which of several longest answers comes out follows from the way back through the table, as Redis walks it: on a match
//! both step back, else the first string if that keeps strictly more, else the second.

use super::{Str, max_len};
use crate::base::Bytes;
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::Kind;
use crate::engine::value::string::parse_int;
use crate::resp::Reply;

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    match_len: bool,
    least: i64,
}

/// A stretch that both strings share without gaps; positions are inclusive.
struct Range {
    a: (usize, usize),
    b: (usize, usize),
}

pub fn lcs(call: &mut Call) -> Outcome {
    let (first, second) = (&call.args[1], &call.args[2]);
    let (a, b) = (text(call, first), text(call, second));
    let (Some(a), Some(b)) = (a, b) else {
        return Err(Refusal::new("ERR The specified keys must contain string values"));
    };
    let options = options(&call.args[3..])?;
    if options.len && options.idx {
        return Err(Refusal::new("ERR If you want both the length and indexes, please just use IDX."));
    }
    let cells = (a.len() as u64 + 1) * (b.len() as u64 + 1);
    if cells * 4 > max_len(call) {
        return Err(Refusal::new("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"));
    }
    let table = Table::new(&a, &b);
    let len = table.at(a.len(), b.len()) as i64;
    if options.len {
        return Ok(Reply::Int(len));
    }
    let (common, ranges) = walk_back(&table, &a, &b);
    if !options.idx {
        return Ok(Reply::bulk(common));
    }
    let matches = ranges.iter().filter(|range| range.len() >= options.least).map(|range| {
        let pair = |(from, to): (usize, usize)| Reply::Array(vec![from.into(), to.into()]);
        let mut shown = vec![pair(range.a), pair(range.b)];
        if options.match_len {
            shown.push(Reply::Int(range.len()));
        }
        Reply::Array(shown)
    });
    let matches = Reply::Array(matches.collect());
    Ok(Reply::Map(vec![(Reply::bulk("matches"), matches), (Reply::bulk("len"), Reply::Int(len))]))
}

/// The string at `key`, empty if there is none; None if something else is there.
fn text(call: &mut Call, key: &Bytes) -> Option<Bytes> {
    call.read_value(key).map_or(Some(Bytes::new()), |value| Str::of(value).map(Str::to_bytes))
}

fn options(args: &[Bytes]) -> Result<Options, Refusal> {
    let mut options = Options::default();
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("IDX") {
            options.idx = true;
        } else if is("LEN") {
            options.len = true;
        } else if is("WITHMATCHLEN") {
            options.match_len = true;
        } else if is("MINMATCHLEN")
            && let Some(least) = rest.next()
        {
            options.least = parse_int(least).ok_or(refusal::NOT_INTEGER)?.max(0);
        } else {
            return Err(refusal::SYNTAX);
        }
    }
    Ok(options)
}

impl Range {
    fn len(&self) -> i64 {
        (self.a.1 - self.a.0 + 1) as i64
    }
}

/// Cell (i, j): the length of what the first i and the first j bytes have in common.
struct Table {
    cells: Vec<u32>,
    width: usize,
}

impl Table {
    fn new(a: &[u8], b: &[u8]) -> Table {
        let width = b.len() + 1;
        let mut table = Table { cells: vec![0; (a.len() + 1) * width], width };
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                let longest = if a[i - 1] == b[j - 1] {
                    table.at(i - 1, j - 1) + 1
                } else {
                    table.at(i - 1, j).max(table.at(i, j - 1))
                };
                table.cells[i * width + j] = longest;
            }
        }
        table
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }
}

/// The common text, and its stretches from the last to the first.
fn walk_back(table: &Table, a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<Range>) {
    let (mut common, mut ranges) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (a.len(), b.len());
    let mut open: Option<Range> = None;
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            (i, j) = (i - 1, j - 1);
            common.push(a[i]);
            match &mut open {
                Some(range) if range.a.0 == i + 1 && range.b.0 == j + 1 => (range.a.0, range.b.0) = (i, j),
                _ => ranges.extend(open.replace(Range { a: (i, i), b: (j, j) })),
            }
        } else {
            if table.at(i - 1, j) > table.at(i, j - 1) {
                i -= 1
            } else {
                j -= 1
            }
            ranges.extend(open.take());
        }
    }
    ranges.extend(open);
    common.reverse();
    (common, ranges)
}

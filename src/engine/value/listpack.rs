//! Listpacks: strings and integers one behind the other, as they stand in RDB files and in the nodes of a stream.
//!
//! A whole one is `total u32, count u16, (entry, length of entry backwards)*, 0xff`. The functions work on the entries
//! alone, so that a holder can keep them without the frame. What a string looks like as a number is kept as one.

use super::string::parse_int;
use crate::base::Bytes;

/// The bytes around the entries: total, count, end mark.
pub const FRAME: usize = 7;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element<'a> {
    Int(i64),
    Text(&'a [u8]),
}

impl Element<'_> {
    pub fn to_bytes(self) -> Bytes {
        match self {
            Element::Int(n) => Bytes::from(n.to_string()),
            Element::Text(text) => Bytes::copy(text),
        }
    }

    /// As a number; None for a string.
    pub fn int(self) -> Option<i64> {
        if let Element::Int(n) = self { Some(n) } else { None }
    }
}

// -- writing -----------------------------------------------------------------------------------------------------------

/// Appends `element`, as an integer if it reads as one.
pub fn push(out: &mut Vec<u8>, element: &[u8]) {
    match parse_int(element) {
        Some(n) => push_int(out, n),
        None => push_text(out, element),
    }
}

pub fn push_int(out: &mut Vec<u8>, n: i64) {
    let start = out.len();
    let bytes = n.to_le_bytes();
    match n {
        0..=127 => out.push(n as u8),
        -4096..=4095 => out.extend([0xc0 | (n >> 8 & 0x1f) as u8, n as u8]),
        -32_768..=32_767 => push_sized(out, 0xf1, &bytes[..2]),
        -8_388_608..=8_388_607 => push_sized(out, 0xf2, &bytes[..3]),
        -2_147_483_648..=2_147_483_647 => push_sized(out, 0xf3, &bytes[..4]),
        _ => push_sized(out, 0xf4, &bytes),
    }
    end_entry(out, start);
}

pub fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    let start = out.len();
    match text.len() {
        len @ 0..64 => out.push(0x80 | len as u8),
        len @ 64..4096 => out.extend([0xe0 | (len >> 8) as u8, len as u8]),
        len => push_sized(out, 0xf0, &(len as u32).to_le_bytes()),
    }
    out.extend_from_slice(text);
    end_entry(out, start);
}

fn push_sized(out: &mut Vec<u8>, head: u8, bytes: &[u8]) {
    out.push(head);
    out.extend_from_slice(bytes);
}

fn end_entry(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    // Seven bits a byte, the highest first; all but the first are marked, so that it can be read from its end.
    let width = back_length(len);
    for index in (0..width).rev() {
        let seven = (len >> (7 * index) & 127) as u8;
        out.push(if index + 1 == width { seven } else { seven | 128 });
    }
}

/// How many bytes the backward length of an entry of `len` bytes takes. The bounds are Redis' own, one off from 2^n.
fn back_length(len: usize) -> usize {
    match len {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// How many bytes `element` takes as an entry.
pub fn size(element: &[u8]) -> usize {
    if let Some(n) = parse_int(element) {
        return int_size(n);
    }
    let entry = element.len()
        + match element.len() {
            0..64 => 1,
            64..4096 => 2,
            _ => 5,
        };
    entry + back_length(entry)
}

/// How many bytes `n` takes as an entry.
pub fn int_size(n: i64) -> usize {
    1 + match n {
        0..=127 => 1,
        -4096..=4095 => 2,
        -32_768..=32_767 => 3,
        -8_388_608..=8_388_607 => 4,
        -2_147_483_648..=2_147_483_647 => 5,
        _ => 9,
    }
}

/// `entries` in their frame; `count` of them.
pub fn frame(entries: &[&[u8]], count: usize) -> Vec<u8> {
    let total = FRAME + entries.iter().map(|part| part.len()).sum::<usize>();
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&(total as u32).to_le_bytes());
    out.extend_from_slice(&(count.min(0xffff) as u16).to_le_bytes());
    entries.iter().for_each(|part| out.extend_from_slice(part));
    out.push(0xff);
    out
}

// -- reading -----------------------------------------------------------------------------------------------------------

/// The entry at `at` and where the next one begins. None at the end mark, behind the end, and where no entry can be.
pub fn next(bytes: &[u8], at: usize) -> Option<(Element<'_>, usize)> {
    let mut rest = bytes.get(at..)?;
    let head = take_len(&mut rest, 1)? as u8;
    let element = match head {
        0..=0x7f => Element::Int(head.into()),
        0x80..=0xbf => Element::Text(take(&mut rest, usize::from(head & 0x3f))?),
        0xc0..=0xdf => {
            let raw = i64::from(head & 0x1f) << 8 | take_len(&mut rest, 1)? as i64;
            Element::Int(if raw >= 1 << 12 { raw - (1 << 13) } else { raw })
        }
        0xe0..=0xef => {
            let len = usize::from(head & 0x0f) << 8 | take_len(&mut rest, 1)?;
            Element::Text(take(&mut rest, len)?)
        }
        0xf0 => {
            let len = take_len(&mut rest, 4)?;
            Element::Text(take(&mut rest, len)?)
        }
        0xf1 => Element::Int(take_int(&mut rest, 2)?),
        0xf2 => Element::Int(take_int(&mut rest, 3)?),
        0xf3 => Element::Int(take_int(&mut rest, 4)?),
        0xf4 => Element::Int(take_int(&mut rest, 8)?),
        _ => return None,
    };
    let len = bytes.len() - at - rest.len();
    let end = at + len + back_length(len);
    (end <= bytes.len()).then_some((element, end))
}

/// Where the entry begins that ends at `end`. None if none can.
pub fn before(bytes: &[u8], end: usize) -> Option<usize> {
    let mut len = 0;
    for width in 1..=5 {
        let byte = *bytes.get(end.checked_sub(width)?)?;
        len |= usize::from(byte & 127) << (7 * (width - 1));
        if byte & 128 == 0 {
            return end.checked_sub(width)?.checked_sub(len);
        }
    }
    None
}

/// The entries of a whole listpack, without its frame, and how many they are. None if a byte is not where it must be, the
/// backward lengths included.
pub fn unframe(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut rest = bytes;
    let total = take_len(&mut rest, 4)?;
    let count = take_len(&mut rest, 2)?;
    let (end, entries) = rest.split_last()?;
    if total != bytes.len() || *end != 0xff {
        return None;
    }
    let (mut at, mut seen) = (0, 0);
    while at < entries.len() {
        let (_, end) = next(entries, at)?;
        if before(entries, end) != Some(at) {
            return None;
        }
        (at, seen) = (end, seen + 1);
    }
    (count == 0xffff || count == seen).then_some((entries, seen))
}

/// Takes `count` bytes from the front.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    Some(front)
}

/// A little-endian number without sign.
fn take_len(rest: &mut &[u8], count: usize) -> Option<usize> {
    Some(take(rest, count)?.iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte)))
}

/// A little-endian two's complement number of `count` bytes.
fn take_int(rest: &mut &[u8], count: usize) -> Option<i64> {
    let raw = take(rest, count)?.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let shift = 64 - 8 * count as u32;
    Some((raw << shift) as i64 >> shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_sizes() -> Vec<Bytes> {
        let mut elements: Vec<Bytes> = Vec::new();
        for power in 0..63 {
            for n in [1i64 << power, (1 << power) - 1, -(1 << power), -(1 << power) - 1] {
                elements.push(Bytes::from(n.to_string()));
            }
        }
        for len in [0, 1, 63, 64, 127, 128, 4095, 4096, 16_380, 16_381, 16_382, 16_383, 70_000] {
            elements.push(Bytes::from(vec![b'x'; len]));
        }
        elements
    }

    #[test]
    fn entries_read_forwards_and_backwards_at_every_boundary_of_their_sizes() {
        let elements = all_sizes();
        let mut entries = Vec::new();
        elements.iter().for_each(|element| push(&mut entries, element));
        let whole = frame(&[&entries], elements.len());
        assert_eq!(unframe(&whole), Some((entries.as_slice(), elements.len())));
        let mut at = 0;
        let mut ends = Vec::new();
        for element in &elements {
            let (found, end) = next(&entries, at).unwrap();
            assert_eq!(found.to_bytes(), *element);
            assert_eq!(end - at, size(element));
            if let Element::Int(n) = found {
                assert_eq!(end - at, int_size(n), "{n}");
            }
            ends.push((at, end));
            at = end;
        }
        assert_eq!(next(&entries, at), None);
        for (start, end) in ends {
            assert_eq!(before(&entries, end), Some(start));
        }
        assert_eq!(before(&entries, 0), None);
    }

    #[test]
    fn a_wrong_way_back_is_damage() {
        let mut entries = Vec::new();
        push(&mut entries, b"text");
        push(&mut entries, b"5");
        let mut whole = frame(&[&entries], 2);
        assert!(unframe(&whole).is_some());
        let last = whole.len() - 2;
        whole[last] = 7;
        assert!(unframe(&whole).is_none());
    }
}

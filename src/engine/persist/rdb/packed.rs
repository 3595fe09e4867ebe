//! The compact forms that values have inside of RDB files: listpack, and its elders ziplist, zipmap and intset.
//!
//! Reading gives the elements in order, or None if a byte is not where it must be. Only listpacks are written.

use crate::base::Bytes;
use crate::engine::value::listpack;

// -- listpack ----------------------------------------------------------------------------------------------------------

/// A listpack being written.
#[derive(Default)]
pub struct Listpack {
    entries: Vec<u8>,
    count: usize,
}

impl Listpack {
    pub fn push(&mut self, element: &[u8]) {
        listpack::push(&mut self.entries, element);
        self.count += 1;
    }

    pub fn push_int(&mut self, n: i64) {
        listpack::push_int(&mut self.entries, n);
        self.count += 1;
    }

    /// The bytes it has now, without the end mark.
    pub fn len(&self) -> usize {
        self.entries.len() + listpack::FRAME - 1
    }

    pub fn count(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn finish(self) -> Vec<u8> {
        listpack::frame(&[&self.entries], self.count)
    }
}

pub fn listpack(bytes: &[u8]) -> Option<Vec<Bytes>> {
    let (entries, count) = listpack::unframe(bytes)?;
    let mut elements = Vec::with_capacity(count);
    let mut at = 0;
    while let Some((element, end)) = listpack::next(entries, at) {
        elements.push(element.to_bytes());
        at = end;
    }
    Some(elements)
}

/// Takes `count` bytes from the front.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    Some(front)
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    take(rest, 1).map(|bytes| bytes[0])
}

/// A little-endian two's complement number of `count` bytes.
fn take_int(rest: &mut &[u8], count: usize) -> Option<i64> {
    let bytes = take(rest, count)?;
    let raw = bytes.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let shift = 64 - 8 * count as u32;
    Some((raw << shift) as i64 >> shift)
}

fn take_len(rest: &mut &[u8], count: usize) -> Option<usize> {
    Some(take(rest, count)?.iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte)))
}

fn number(n: i64) -> Bytes {
    Bytes::from(n.to_string())
}

// -- ziplist: `total u32, last u32, count u16, (length of the entry before, encoding, data)*, 0xff` ---------------------

pub fn ziplist(bytes: &[u8]) -> Option<Vec<Bytes>> {
    let mut rest = bytes;
    let total = take_len(&mut rest, 4)?;
    take(&mut rest, 4)?;
    let count = take_len(&mut rest, 2)?;
    if total != bytes.len() {
        return None;
    }
    let mut elements = Vec::new();
    loop {
        match take_byte(&mut rest)? {
            0xff => break,
            0xfe => drop(take(&mut rest, 4)?),
            _ => {}
        }
        let head = take_byte(&mut rest)?;
        elements.push(match head {
            0..=0x3f => Bytes::from(take(&mut rest, usize::from(head))?),
            0x40..=0x7f => {
                let len = usize::from(head & 0x3f) << 8 | usize::from(take_byte(&mut rest)?);
                Bytes::from(take(&mut rest, len)?)
            }
            // The one number in here that is big-endian.
            0x80 => {
                let len = take(&mut rest, 4)?.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
                Bytes::from(take(&mut rest, len)?)
            }
            0xc0 => number(take_int(&mut rest, 2)?),
            0xd0 => number(take_int(&mut rest, 4)?),
            0xe0 => number(take_int(&mut rest, 8)?),
            0xf0 => number(take_int(&mut rest, 3)?),
            0xfe => number(take_int(&mut rest, 1)?),
            0xf1..=0xfd => number(i64::from(head & 0x0f) - 1),
            _ => return None,
        });
    }
    let counted = count == 0xffff || count == elements.len();
    (rest.is_empty() && counted).then_some(elements)
}

// -- zipmap: `count u8, (length, field, length, free u8, value, free bytes)*, 0xff` -------------------------------------

pub fn zipmap(bytes: &[u8]) -> Option<Vec<Bytes>> {
    fn length(rest: &mut &[u8]) -> Option<Option<usize>> {
        match take_byte(rest)? {
            0xff => Some(None),
            0xfe => take_len(rest, 4).map(Some),
            len => Some(Some(len.into())),
        }
    }
    let mut rest = bytes;
    take_byte(&mut rest)?;
    let mut elements = Vec::new();
    while let Some(len) = length(&mut rest)? {
        elements.push(Bytes::from(take(&mut rest, len)?));
        let len = length(&mut rest)??;
        let free = take_byte(&mut rest)?;
        elements.push(Bytes::from(take(&mut rest, len)?));
        take(&mut rest, free.into())?;
    }
    rest.is_empty().then_some(elements)
}

// -- intset: `width u32 (2, 4 or 8), count u32, integers ascending` -----------------------------------------------------

pub fn intset(bytes: &[u8]) -> Option<Vec<i64>> {
    let mut rest = bytes;
    let width = take_len(&mut rest, 4)?;
    let count = take_len(&mut rest, 4)?;
    if !matches!(width, 2 | 4 | 8) || rest.len() != width.checked_mul(count)? {
        return None;
    }
    let ints: Vec<i64> = (0..count).map_while(|_| take_int(&mut rest, width)).collect();
    ints.is_sorted_by(|a, b| a < b).then_some(ints)
}

/// The bytes of an intset; `ints` must be ascending.
pub fn intset_of(ints: &[i64]) -> Vec<u8> {
    let fits = |width: u32| {
        let bound = 1i128 << (8 * width - 1);
        ints.iter().all(|n| (-bound..bound).contains(&i128::from(*n)))
    };
    let width = [2, 4].into_iter().find(|width| fits(*width)).unwrap_or(8);
    let mut bytes = [width.to_le_bytes(), (ints.len() as u32).to_le_bytes()].concat();
    ints.iter().for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()[..width as usize]));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn old_forms_are_read() {
        // A ziplist of ["a", 1, 300].
        let mut list = vec![0, 0, 0, 0, 13, 0, 0, 0, 3, 0, 0, 1, b'a', 3, 0xf2, 2, 0xc0, 44, 1, 0xff];

        list[0] = list.len() as u8;
        assert_eq!(ziplist(&list), Some(vec!["a".into(), "1".into(), "300".into()]));
        let map = [1, 1, b'f', 2, 1, b'v', b'w', 0, 0xff];
        assert_eq!(zipmap(&map), Some(vec!["f".into(), "vw".into()]));
        let ints = [-1, 0, 40_000];
        assert_eq!(intset(&intset_of(&ints)), Some(ints.to_vec()));
    }

    #[test]
    fn no_bytes_make_a_reader_panic() {
        let mut rng = Rng::new(5);
        for round in 0..20_000 {
            let mut bytes: Vec<u8> = (0..rng.below(30)).map(|_| rng.below(256) as u8).collect();
            if bytes.len() >= 4 && round % 2 == 0 {
                let len = bytes.len() as u32;
                bytes[..4].copy_from_slice(&len.to_le_bytes());
            }
            let _ = (listpack(&bytes), ziplist(&bytes), zipmap(&bytes), intset(&bytes));
        }
    }
}

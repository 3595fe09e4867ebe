//! The sketch inside a HyperLogLog string, in Redis' own bytes: 16 of header, then 16384 registers of 6 bits.
//!
//! Header: `HYLL`, the form (0 dense, 1 sparse), three zero bytes, the cached count as 8 bytes little endian, whose highest
//! bit says that it is stale. Dense: the registers one behind the other, lowest bits first. Sparse: runs of registers with
//! the same rank, as opcodes: `00xxxxxx` x+1 zeros, `01xxxxxx yyyyyyyy` xy+1 zeros, `1vvvvvxx` x+1 times rank v+1.
//! It becomes dense for good when a rank is over 32 or the string would outgrow hll-sparse-max-bytes.
//!
//! The estimator is Ertl's ("New cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284).

use crate::base::Bytes;
use std::ops::Range;

pub const REGISTERS: usize = 1 << INDEX_BITS;
#[cfg(test)]
const DENSE_LEN: usize = HEADER + REGISTERS * 6 / 8;
pub const SPARSE_MAX_DEFAULT: usize = 3000;

const INDEX_BITS: u32 = 14;
/// Ranks are counted in the bits of the hash that the index leaves.
const RANK_BITS: u32 = 64 - INDEX_BITS;
const HEADER: usize = 16;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const SPARSE_RANK_MAX: u8 = 32;
const ZERO_RUN_MAX: usize = 64;
const RANK_RUN_MAX: usize = 4;

/// The sparse form does not cover the registers as it must.
#[derive(Debug, PartialEq)]
pub struct Corrupted;

/// Could these bytes be a sketch? Looks at the header, and at the length of a dense one.
pub fn looks_valid(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER
        && bytes.starts_with(b"HYLL")
        && (bytes[4] == SPARSE || bytes[4] == DENSE && bytes.len() == HEADER + REGISTERS * 6 / 8)
}

#[derive(Clone)]
pub struct Sketch {
    bytes: Vec<u8>,
}

/// A run of registers with one rank; 0 for registers that nothing has hit.
#[derive(Clone, Copy)]
struct Run {
    rank: u8,
    len: usize,
}

impl Run {
    /// The run that `opcodes` begin with, and how many bytes tell it.
    fn read(opcodes: &[u8]) -> Result<(Run, usize), Corrupted> {
        match *opcodes {
            [code, ..] if code & 0x80 != 0 => {
                Ok((Run { rank: (code >> 2 & 0x1f) + 1, len: usize::from(code & 3) + 1 }, 1))
            }
            [code, ..] if code & 0x40 == 0 => Ok((Run { rank: 0, len: usize::from(code & 0x3f) + 1 }, 1)),
            [code, low, ..] => Ok((Run { rank: 0, len: (usize::from(code & 0x3f) << 8 | usize::from(low)) + 1 }, 2)),
            _ => Err(Corrupted),
        }
    }

    fn write(self, to: &mut Vec<u8>) {
        let less_one = self.len.wrapping_sub(1);
        match self {
            Run { len: 0, .. } => {}
            Run { rank: 0, len } if len <= ZERO_RUN_MAX => to.push(less_one as u8),
            Run { rank: 0, .. } => to.extend([(less_one >> 8) as u8 | 0x40, less_one as u8]),
            Run { rank, .. } => to.push((rank - 1) << 2 | less_one as u8 | 0x80),
        }
    }
}

impl Sketch {
    /// An empty one: sparse, all registers in one run.
    pub fn new() -> Sketch {
        let mut bytes = vec![0; HEADER];
        bytes[..4].copy_from_slice(b"HYLL");
        bytes[4] = SPARSE;
        Run { rank: 0, len: REGISTERS }.write(&mut bytes);
        Sketch { bytes }
    }

    /// From a string for which `looks_valid`.
    pub fn of(bytes: &[u8]) -> Sketch {
        Sketch { bytes: bytes.to_vec() }
    }

    pub fn into_bytes(self) -> Bytes {
        Bytes::from(self.bytes)
    }

    pub fn is_dense(&self) -> bool {
        self.bytes[4] == DENSE
    }

    pub fn cached_count(&self) -> Option<u64> {
        let cached: [u8; 8] = self.bytes[8..HEADER].try_into().expect("8 bytes");
        let count = u64::from_le_bytes(cached);
        (count >> 63 == 0).then_some(count)
    }

    pub fn remember_count(&mut self, count: u64) {
        self.bytes[8..HEADER].copy_from_slice(&count.to_le_bytes());
    }

    pub fn forget_count(&mut self) {
        self.bytes[HEADER - 1] |= 0x80;
    }

    /// Adds an element; true if a register rose.
    pub fn add(&mut self, element: &[u8], max_bytes: usize) -> Result<bool, Corrupted> {
        let hash = murmur64a(element, 0xadc8_3b19);
        let register = hash as usize & (REGISTERS - 1);
        let rank = (hash >> INDEX_BITS | 1 << RANK_BITS).trailing_zeros() as u8 + 1;
        self.raise(register, rank, max_bytes)
    }

    /// Raises a register to `rank`; false if it was as high already.
    pub fn raise(&mut self, register: usize, rank: u8, max_bytes: usize) -> Result<bool, Corrupted> {
        if self.is_dense() {
            return Ok(self.raise_dense(register, rank));
        }
        if rank <= SPARSE_RANK_MAX
            && let Some(raised) = self.raise_sparse(register, rank, max_bytes)?
        {
            return Ok(raised);
        }
        self.make_dense()?;
        Ok(self.raise_dense(register, rank))
    }

    fn raise_dense(&mut self, register: usize, rank: u8) -> bool {
        let (at, shift) = (HEADER + register * 6 / 8, register * 6 % 8);
        let low = u16::from(self.bytes[at]);
        let high = self.bytes.get(at + 1).map_or(0, |byte| u16::from(*byte));
        let pair = low | high << 8;
        if u16::from(rank) <= pair >> shift & 63 {
            return false;
        }
        let pair = pair & !(63 << shift) | u16::from(rank) << shift;
        self.bytes[at] = pair as u8;
        if let Some(byte) = self.bytes.get_mut(at + 1) {
            *byte = (pair >> 8) as u8;
        }
        true
    }

    /// None: there is no room left, the sketch has to become dense first.
    fn raise_sparse(&mut self, register: usize, rank: u8, max_bytes: usize) -> Result<Option<bool>, Corrupted> {
        let (place, before, first, run) = self.run_of(register)?;
        if run.rank >= rank {
            return Ok(Some(false));
        }
        let mut split = Vec::with_capacity(5);
        Run { rank: run.rank, len: register - first }.write(&mut split);
        Run { rank, len: 1 }.write(&mut split);
        Run { rank: run.rank, len: first + run.len - register - 1 }.write(&mut split);
        if split.len() > place.len() && self.bytes.len() + split.len() - place.len() > max_bytes {
            return Ok(None);
        }
        self.bytes.splice(place, split);
        self.merge_neighbours(before);
        self.forget_count();
        Ok(Some(true))
    }

    /// Where the run stands that covers `register`, where the run before it begins, its first register, and the run.
    fn run_of(&self, register: usize) -> Result<(Range<usize>, usize, usize, Run), Corrupted> {
        let (mut at, mut before, mut first) = (HEADER, HEADER, 0);
        loop {
            let (run, len) = Run::read(&self.bytes[at..])?;
            if register < first + run.len {
                return Ok((at..at + len, before, first, run));
            }
            (before, at, first) = (at, at + len, first + run.len);
        }
    }

    /// Joins runs of the same rank behind a change: looks at five opcodes from `at` on, as Redis does.
    fn merge_neighbours(&mut self, mut at: usize) {
        for _ in 0..5 {
            let Ok((run, len)) = Run::read(&self.bytes[at..]) else { return };
            let next = at + len;
            if run.rank > 0
                && let Ok((other, _)) = Run::read(&self.bytes[next..])
                && other.rank == run.rank
                && run.len + other.len <= RANK_RUN_MAX
            {
                let mut joined = Vec::with_capacity(1);
                Run { rank: run.rank, len: run.len + other.len }.write(&mut joined);
                self.bytes.splice(at..next + 1, joined);
            } else {
                at = next;
            }
        }
    }

    pub fn make_dense(&mut self) -> Result<(), Corrupted> {
        if self.is_dense() {
            return Ok(());
        }
        let mut registers = [0; REGISTERS];
        self.merge_into(&mut registers)?;
        self.bytes.truncate(HEADER);
        self.bytes.resize(HEADER + REGISTERS * 6 / 8, 0);
        self.bytes[4] = DENSE;
        for (register, rank) in registers.into_iter().enumerate().filter(|(_, rank)| *rank > 0) {
            self.raise_dense(register, rank);
        }
        Ok(())
    }

    /// Raises `registers` to what this sketch has.
    pub fn merge_into(&self, registers: &mut [u8; REGISTERS]) -> Result<(), Corrupted> {
        if self.is_dense() {
            for (register, rank) in registers.iter_mut().enumerate() {
                let (at, shift) = (HEADER + register * 6 / 8, register * 6 % 8);
                let high = self.bytes.get(at + 1).map_or(0, |byte| u16::from(*byte));
                let own = (u16::from(self.bytes[at]) | high << 8) >> shift & 63;
                *rank = (*rank).max(own as u8);
            }
            return Ok(());
        }
        let (mut at, mut first) = (HEADER, 0);
        while at < self.bytes.len() {
            let (run, len) = Run::read(&self.bytes[at..])?;
            let covered = registers.get_mut(first..first + run.len).ok_or(Corrupted)?;
            covered.iter_mut().for_each(|rank| *rank = (*rank).max(run.rank));
            (at, first) = (at + len, first + run.len);
        }
        if first == REGISTERS { Ok(()) } else { Err(Corrupted) }
    }

    pub fn count(&self) -> Result<u64, Corrupted> {
        let mut registers = [0; REGISTERS];
        self.merge_into(&mut registers)?;
        Ok(estimate(&histogram(&registers)))
    }

    /// The opcodes of a sparse sketch as text: `Z:100 v:2,1 z:5`.
    pub fn decoded(&self) -> Option<String> {
        if self.is_dense() {
            return None;
        }
        let (mut at, mut words) = (HEADER, Vec::new());
        while at < self.bytes.len() {
            let (run, len) = Run::read(&self.bytes[at..]).ok()?;
            words.push(match (run.rank, len) {
                (0, 1) => format!("z:{}", run.len),
                (0, _) => format!("Z:{}", run.len),
                (rank, _) => format!("v:{rank},{}", run.len),
            });
            at += len;
        }
        Some(words.join(" "))
    }
}

/// How many registers have each rank.
pub fn histogram(registers: &[u8; REGISTERS]) -> [u32; 64] {
    let mut counts = [0; 64];
    registers.iter().for_each(|rank| counts[usize::from(rank & 63)] += 1);
    counts
}

pub fn estimate(histogram: &[u32; 64]) -> u64 {
    /// 1 / (2 ln 2)
    const ALPHA: f64 = 0.721_347_520_444_481_7;
    let m = REGISTERS as f64;
    let top = RANK_BITS as usize;
    let mut z = m * tau((m - f64::from(histogram[top + 1])) / m);
    for rank in (1..=top).rev() {
        z = (z + f64::from(histogram[rank])) * 0.5;
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    (ALPHA * m * m / z).round() as u64
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}

/// MurmurHash64A by Austin Appleby (public domain), the same on every machine.
fn murmur64a(data: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mut h = seed ^ (data.len() as u64).wrapping_mul(M);
    let (words, tail) = data.as_chunks::<8>();
    for word in words {
        let mut k = u64::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 47;
        h = (h ^ k.wrapping_mul(M)).wrapping_mul(M);
    }
    if !tail.is_empty() {
        let last = tail.iter().rev().fold(0, |k, byte| k << 8 | u64::from(*byte));
        h = (h ^ last).wrapping_mul(M);
    }
    h ^= h >> 47;
    h = h.wrapping_mul(M);
    h ^ h >> 47
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_and_dense_see_the_same_registers() {
        let (mut sparse, mut dense) = (Sketch::new(), Sketch::new());
        dense.make_dense().unwrap();
        for n in 0..400u32 {
            let element = n.to_string();
            let rose = sparse.add(element.as_bytes(), SPARSE_MAX_DEFAULT).unwrap();
            assert_eq!(rose, dense.add(element.as_bytes(), SPARSE_MAX_DEFAULT).unwrap());
        }
        assert!(!sparse.is_dense());
        assert_eq!(sparse.count(), dense.count());
        sparse.make_dense().unwrap();
        sparse.forget_count();
        dense.forget_count();
        assert_eq!(sparse.bytes, dense.bytes);
        assert_eq!(dense.bytes.len(), DENSE_LEN);
    }

    #[test]
    fn a_sparse_sketch_that_does_not_cover_all_registers_is_corrupted() {
        let mut short = Sketch::new();
        short.bytes.truncate(HEADER);
        assert_eq!(short.count(), Err(Corrupted));
        assert_eq!(short.add(b"x", SPARSE_MAX_DEFAULT), Err(Corrupted));
        short.bytes.push(0x40);
        assert_eq!(short.count(), Err(Corrupted));
    }
}

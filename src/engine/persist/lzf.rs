//! LZF, the compression of long strings in RDB files.
//!
//! A stream of literal runs (`000LLLLL`, L+1 bytes follow) and back references (`LLLooooo oooooooo`, L+2 bytes from o+1
//! before; L of 7 has one more length byte). The compressor looks for the latest place with the same three bytes, as
//! liblzf's fast setting does, so that DUMP gives the bytes that Redis gives.

const HASH_BITS: u32 = 16;
const MAX_LITERAL: usize = 32;
const MAX_OFFSET: usize = 1 << 13;
const MAX_LENGTH: usize = 264;

/// A compressor. It keeps its hash table between strings, because clearing it costs more than compressing a short one.
pub struct Compressor {
    /// Positions, counted over all strings ever compressed; 0 is none.
    table: Vec<u32>,
    begin: usize,
}

impl Default for Compressor {
    fn default() -> Compressor {
        Compressor { table: vec![0; 1 << HASH_BITS], begin: 1 }
    }
}

impl Compressor {
    /// Appends the compressed `input` to `out` if that takes at most `room` bytes; else leaves `out` alone and says false.
    pub fn compress(&mut self, input: &[u8], room: usize, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        if input.is_empty() || input.len() > u32::MAX as usize / 2 {
            return false;
        }
        if self.begin + input.len() + MAX_OFFSET > u32::MAX as usize {
            self.table.fill(0);
            self.begin = 1;
        }
        let fits = self.run(input, room, out, start);
        self.begin += input.len() + MAX_OFFSET + 1;
        if !fits {
            out.truncate(start);
        }
        fits
    }

    fn run(&mut self, input: &[u8], room: usize, out: &mut Vec<u8>, start: usize) -> bool {
        let end = input.len();
        let mut literals = 0;
        out.push(0);
        let mut at = 0;
        while at + 2 < end {
            let found = self.replace(input, at);
            let Some(from) = found.filter(|from| input[*from..*from + 3] == input[at..at + 3]) else {
                if out.len() - start >= room {
                    return false;
                }
                push_literal(out, input[at], &mut literals);
                at += 1;
                continue;
            };
            let offset = at - from - 1;
            if out.len() - start - usize::from(literals == 0) + 4 >= room {
                return false;
            }
            end_run(out, literals);
            let length = match_length(input, from, at);
            let code = length - 2;
            if code < 7 {
                out.push((offset >> 8) as u8 | (code as u8) << 5);
            } else {
                out.push((offset >> 8) as u8 | 7 << 5);
                out.push((code - 7) as u8);
            }
            out.push(offset as u8);
            literals = 0;
            out.push(0);
            at += length;
            if at + 2 >= end {
                break;
            }
            // Of what was matched only the last two positions are remembered: fast rather than thorough.
            self.replace(input, at - 2);
            self.replace(input, at - 1);
        }
        if out.len() - start + 3 > room {
            return false;
        }
        for byte in &input[at..] {
            push_literal(out, *byte, &mut literals);
        }
        end_run(out, literals);
        true
    }

    /// Puts `at` into the table; the place that stood there before, if it is close enough to refer to.
    fn replace(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let hash = u32::from(input[at]) << 16 | u32::from(input[at + 1]) << 8 | u32::from(input[at + 2]);
        let slot = (hash >> (24 - HASH_BITS)).wrapping_sub(hash.wrapping_mul(5)) & ((1 << HASH_BITS) - 1);
        let before = std::mem::replace(&mut self.table[slot as usize], (self.begin + at) as u32) as usize;
        // The very first byte is never referred to: liblzf cannot tell its place from an empty slot.
        let from = before.checked_sub(self.begin).filter(|from| *from > 0)?;
        (from < at && at - from - 1 < MAX_OFFSET).then_some(from)
    }
}

/// How many bytes from `at` on equal those from `from` on, at least 3, as far as liblzf looks.
fn match_length(input: &[u8], from: usize, at: usize) -> usize {
    let most = (input.len() - at - 2).min(MAX_LENGTH);
    let same = |index: usize| input[from + index] == input[at + index];
    let mut length = 2;
    if most > 16 {
        for _ in 0..16 {
            length += 1;
            if !same(length) {
                return length;
            }
        }
    }
    loop {
        length += 1;
        if length >= most || !same(length) {
            return length;
        }
    }
}

fn push_literal(out: &mut Vec<u8>, byte: u8, literals: &mut usize) {
    out.push(byte);
    *literals += 1;
    if *literals == MAX_LITERAL {
        end_run(out, *literals);
        *literals = 0;
        out.push(0);
    }
}

/// Writes the length of the open run into its head, or takes the head away if nothing followed.
fn end_run(out: &mut Vec<u8>, literals: usize) {
    if literals == 0 {
        out.pop();
    } else {
        let head = out.len() - literals - 1;
        out[head] = literals as u8 - 1;
    }
}

/// The `len` bytes that `input` stands for; None if it is damaged or stands for another number of bytes.
pub fn decompress(input: &[u8], len: usize) -> Option<Vec<u8>> {
    // Three bytes of input give at most `MAX_LENGTH` of output: a length beyond that is a lie, and not worth an allocation.
    if len.div_ceil(MAX_LENGTH / 3) > input.len() {
        return None;
    }
    let mut out = Vec::new();
    out.try_reserve_exact(len).ok()?;
    let mut rest = input.iter();
    while let Some(&control) = rest.next() {
        let control = usize::from(control);
        if control < MAX_LITERAL {
            let (run, behind) = rest.as_slice().split_at_checked(control + 1)?;
            out.extend_from_slice(run);
            rest = behind.iter();
        } else {
            let mut length = control >> 5;
            if length == 7 {
                length += usize::from(*rest.next()?);
            }
            let offset = (control & 31) << 8 | usize::from(*rest.next()?);
            let from = out.len().checked_sub(offset + 1)?;
            for index in 0..length + 2 {
                out.push(out[from + index]);
            }
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn what_is_compressed_comes_back() {
        let mut rng = Rng::new(3);
        let mut compressor = Compressor::default();
        for round in 0..200 {
            let alphabet = 1 + rng.below(20);
            let len = 1 + rng.below(if round % 50 == 0 { 40_000 } else { 400 });
            let text: Vec<u8> = (0..len).map(|_| rng.below(alphabet) as u8).collect();
            let mut out = vec![b'x'];
            if compressor.compress(&text, text.len(), &mut out) {
                assert!(out.len() <= text.len() + 1);
                assert_eq!(decompress(&out[1..], text.len()).as_deref(), Some(&text[..]));
            } else {
                assert_eq!(out, b"x");
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_redis() {
        // DUMP of a hundred `a` on redis-server 7.0.15: 01 'a' 'a' e0 57 00 01 'a' 'a'.
        let mut out = Vec::new();
        assert!(Compressor::default().compress(&[b'a'; 100], 96, &mut out));
        assert_eq!(out, [1, b'a', b'a', 0xe0, 0x57, 0, 1, b'a', b'a']);
    }

    #[test]
    fn damaged_input_is_refused() {
        let mut rng = Rng::new(4);
        for _ in 0..5000 {
            let input: Vec<u8> = (0..rng.below(40)).map(|_| rng.below(256) as u8).collect();
            let _ = decompress(&input, rng.below(300));
        }
        assert_eq!(decompress(&[0x20, 0], 3), None);
        assert_eq!(decompress(&[5, 1, 2], 6), None);
        assert_eq!(decompress(&[0], usize::MAX), None);
    }
}

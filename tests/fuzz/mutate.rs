//! Inputs made from inputs.

use redlab::base::Rng;

/// Longer inputs are cut: they cost time and find nothing that shorter ones would not.
const LONGEST: usize = 16 * 1024;

const NUMBERS: [u64; 22] = [
    0,
    1,
    2,
    7,
    8,
    0x3f,
    0x40,
    0x7f,
    0x80,
    0xfe,
    0xff,
    0x100,
    0x3fff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

const TEXTS: [&str; 18] = [
    "0",
    "-0",
    "-1",
    "1",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "0x10",
    "\r\n",
    "\n",
    "",
];

/// One of the pool, changed in one to several places.
pub fn one(pool: &[Vec<u8>], words: &[&str], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = pool[rng.below(pool.len())].clone();
    let most = 1 << rng.below(4);
    for _ in 0..1 + rng.below(most) {
        change(&mut bytes, pool, words, rng);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change(bytes: &mut Vec<u8>, pool: &[Vec<u8>], words: &[&str], rng: &mut Rng) {
    let at = rng.below(bytes.len() + 1);
    let range = |bytes: &Vec<u8>, rng: &mut Rng| {
        let start = rng.below(bytes.len() + 1);
        let most = if rng.below(3) == 0 { bytes.len() - start } else { (bytes.len() - start).min(16) };
        start..start + rng.below(most + 1)
    };
    match rng.below(14) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
        1 if at < bytes.len() => bytes[at] = rng.next_u64() as u8,
        2 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(if rng.below(2) == 0 { 1 } else { 255 }),
        3 => bytes.insert(at, rng.next_u64() as u8),
        4 => drop(bytes.drain(range(bytes, rng))),
        5 => {
            let copy = bytes[range(bytes, rng)].to_vec();
            bytes.splice(at..at, copy);
        }
        6 => {
            let copy = bytes[range(bytes, rng)].to_vec();
            for _ in 0..rng.below(40) {
                bytes.splice(at..at, copy.iter().copied());
                if bytes.len() > LONGEST {
                    break;
                }
            }
        }
        7 => bytes.truncate(at),
        8 | 9 => {
            let other = &pool[rng.below(pool.len())];
            let part = other[range(other, rng)].to_vec();
            let end = if rng.below(2) == 0 { at } else { (at + part.len()).min(bytes.len()) };
            bytes.splice(at..end, part);
        }
        10 => {
            let number = NUMBERS[rng.below(NUMBERS.len())];
            let width = 1 << rng.below(4);
            let whole = if rng.below(2) == 0 { number.to_le_bytes() } else { number.swap_bytes().to_le_bytes() };
            let part = if whole == number.to_le_bytes() { &whole[..width] } else { &whole[8 - width..] };
            let end = if rng.below(4) == 0 { at } else { (at + width).min(bytes.len()) };
            bytes.splice(at..end, part.iter().copied());
        }
        11 => {
            let text = TEXTS[rng.below(TEXTS.len())];
            // In place of the word that stands there, as often as not.
            let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
            let len = bytes[at..].iter().take_while(|byte| is_word(byte)).count();
            let end = if rng.below(2) == 0 { at + len } else { at };
            bytes.splice(at..end, text.bytes());
        }
        _ if !words.is_empty() => {
            let word = words[rng.below(words.len())];
            let end = if rng.below(3) == 0 { (at + word.len()).min(bytes.len()) } else { at };
            bytes.splice(at..end, word.bytes());
        }
        _ => {}
    }
}

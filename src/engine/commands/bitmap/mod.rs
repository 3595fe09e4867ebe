//! Strings as arrays of bits. Bit 0 is the highest bit of the first byte; what is beyond the end reads as 0.

mod field;

use super::string::{byte_range, max_len};
use crate::base::Bytes;
use crate::engine::call::Call;
use crate::engine::command::{Command, DENYOOM, FAST, Keys, ONE_KEY, Outcome, READONLY, WRITE};
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::string::parse_int;
use crate::engine::value::{Kind, Str};
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[
    Command {
        name: "BITCOUNT",
        syntax: "key range=[start end unit=[BYTE | BIT]@7.0.0]",
        summary: "How many bits are set, in a string or a part of it.",
        since: "2.6.0",
        complexity: "O(N), N the length of the part",
        history: &[("7.0.0", "`BYTE` and `BIT`.")],
        flags: READONLY,
        keys: ONE_KEY,
        run: bitcount,
        ..Command::BITMAP
    },
    Command {
        name: "BITFIELD",
        syntax: "key [operation=<GET get-block=(encoding offset) | write=([OVERFLOW overflow-block=<WRAP | SAT | \
                 FAIL>] write-operation=<SET set-block=(encoding offset value:integer) | INCRBY \
                 incrby-block=(encoding offset increment)>)> [<GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] \
                 <SET encoding offset value | INCRBY encoding offset increment>> ...]]",
        summary: "Read and write integers of any width inside of a string.",
        since: "3.2.0",
        complexity: "O(1) for each operation",
        flags: WRITE.with(DENYOOM),
        keys: ONE_KEY,
        run: |call| field::bitfield(call, false),
        ..Command::BITMAP
    },
    Command {
        name: "BITFIELD_RO",
        syntax: "key [GET get-block=(encoding offset) [GET encoding offset ...]]",
        summary: "Read integers of any width inside of a string.",
        since: "6.0.0",
        complexity: "O(1) for each operation",
        flags: READONLY.with(FAST),
        keys: ONE_KEY,
        run: |call| field::bitfield(call, true),
        ..Command::BITMAP
    },
    Command {
        name: "BITOP",
        syntax: "operation=<AND | OR | XOR | NOT> destkey key [key ...]",
        summary: "Combine strings bit by bit and store the result.",
        since: "2.6.0",
        complexity: "O(N), N the length of the longest string",
        flags: WRITE.with(DENYOOM),
        keys: Keys::Range { first: 2, last: -1, step: 1 },
        run: bitop,
        ..Command::BITMAP
    },
    Command {
        name: "BITPOS",
        syntax: "key bit:integer range=[start end-unit-block=[end unit=[BYTE | BIT]@7.0.0]]",
        summary: "Where the first bit stands that is set, or not set.",
        since: "2.8.7",
        complexity: "O(N), N the length of the part",
        history: &[("7.0.0", "`BYTE` and `BIT`.")],
        flags: READONLY,
        keys: ONE_KEY,
        run: bitpos,
        ..Command::BITMAP
    },
    Command {
        name: "GETBIT",
        syntax: "key offset",
        summary: "Read one bit.",
        since: "2.2.0",
        flags: READONLY.with(FAST),
        keys: ONE_KEY,
        run: getbit,
        ..Command::BITMAP
    },
    Command {
        name: "SETBIT",
        syntax: "key offset value:integer",
        summary: "Set or clear one bit; what it was before.",
        since: "2.2.0",
        flags: WRITE.with(DENYOOM),
        keys: ONE_KEY,
        run: setbit,
        ..Command::BITMAP
    },
];

/// The position of a bit; with `width`, `#n` means the n-th integer of that width.
fn bit_offset(call: &Call, index: usize, width: Option<u32>) -> Result<u64, Refusal> {
    let text = &call.args[index];
    let offset = match (width, text.strip_prefix(b"#")) {
        (Some(width), Some(digits)) => parse_int(digits).map(|n| n.wrapping_mul(i64::from(width))),
        _ => parse_int(text),
    };
    let offset = offset.and_then(|offset| u64::try_from(offset).ok()).filter(|offset| offset >> 3 < max_len(call));
    offset.ok_or(Refusal::new("ERR bit offset is not an integer or out of range"))
}

/// The bytes of `key` with room for bit `last`, and whether that made it or made it longer.
fn bytes_with_room<'a>(call: &'a mut Call, key: &Bytes, last: u64) -> Result<(&'a mut Bytes, bool), Refusal> {
    let len = (last >> 3) as usize + 1;
    let bytes = call.write_or_insert(key, || Str::Raw(Bytes::new()))?.raw_mut();
    let grown = bytes.len() < len;
    if grown {
        bytes.resize(len, 0);
    }
    Ok((bytes, grown))
}

fn setbit(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let offset = bit_offset(call, 2, None)?;
    let on = match parse_int(&call.args[3]) {
        Some(bit @ (0 | 1)) => bit == 1,
        _ => return Err(Refusal::new("ERR bit is not an integer or out of range")),
    };
    let (bytes, grown) = bytes_with_room(call, key, offset)?;
    let (byte, mask) = (&mut bytes[(offset >> 3) as usize], 0x80 >> (offset & 7));
    let before = *byte & mask != 0;
    *byte = if on { *byte | mask } else { *byte & !mask };
    if grown || before != on {
        call.changed(Class::String, "setbit", key);
    } else {
        // A number has become a text for it.
        call.measure(key);
    }
    Ok(Reply::flag(before))
}

fn getbit(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let offset = bit_offset(call, 2, None)?;
    let Some(string) = call.read::<Str>(key)? else { return Ok(Reply::Int(0)) };
    let byte = string.text().get((offset >> 3) as usize).copied().unwrap_or(0);
    Ok(Reply::flag(byte & (0x80 >> (offset & 7)) != 0))
}

/// Whether a range counts BITs, or BYTEs.
fn counts_bits(word: &[u8]) -> Result<bool, Refusal> {
    match &word.to_ascii_lowercase()[..] {
        b"bit" => Ok(true),
        b"byte" => Ok(false),
        _ => Err(refusal::SYNTAX),
    }
}

fn bitcount(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let args = call.args;
    // A missing key answers before the arguments are looked at.
    let Some(string) = call.read::<Str>(key)? else { return Ok(Reply::Int(0)) };
    let text = string.text();
    let number = |index: usize| parse_int(&args[index]).ok_or(refusal::NOT_INTEGER);
    let (start, end) = match args.len() {
        2 => (0, -1),
        4 | 5 => (number(2)?, number(3)?),
        _ => return Err(refusal::SYNTAX),
    };
    let by_bit = !(start < 0 && end < 0 && start > end) && args.len() == 5 && counts_bits(&args[4])?;
    let len = if by_bit { text.len() * 8 } else { text.len() };
    let Some((first, last)) = byte_range(start, end, len) else { return Ok(Reply::Int(0)) };
    let bits = if by_bit { (first, last) } else { (first * 8, last * 8 + 7) };
    Ok(count_ones(&text, bits).into())
}

/// Set bits among those from the first to the last of `bits`.
fn count_ones(text: &[u8], bits: (usize, usize)) -> usize {
    let (first, last) = (bits.0 >> 3, bits.1 >> 3);
    let all: usize = text[first..=last].iter().map(|byte| byte.count_ones() as usize).sum();
    let before = text[first] & !(0xff >> (bits.0 & 7));
    let behind = text[last] & (0x7f >> (bits.1 & 7));
    all - before.count_ones() as usize - behind.count_ones() as usize
}

fn bitpos(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let args = call.args;
    let number = |index: usize| parse_int(&args[index]).ok_or(refusal::NOT_INTEGER);
    let wanted = match number(2)? {
        0 => false,
        1 => true,
        _ => return Err(Refusal::new("ERR The bit argument must be 1 or 0.")),
    };
    let Some(string) = call.read::<Str>(key)? else { return Ok(Reply::Int(if wanted { -1 } else { 0 })) };
    let text = string.text();
    if args.len() > 6 {
        return Err(refusal::SYNTAX);
    }
    let start = if args.len() > 3 { number(3)? } else { 0 };
    let by_bit = args.len() == 6 && counts_bits(&args[5])?;
    let end = if args.len() > 4 { Some(number(4)?) } else { None };
    let len = if by_bit { text.len() * 8 } else { text.len() } as i64;
    let from_front = |at: i64| if at < 0 { at.saturating_add(len).max(0) } else { at };
    let (first, last) = (from_front(start), end.map_or(len - 1, from_front).min(len - 1));
    if first > last {
        return Ok(Reply::Int(-1));
    }
    let (first, last) = (first as usize, last as usize);
    let (first, last) = if by_bit { (first, last) } else { (first * 8, last * 8 + 7) };
    Ok(Reply::Int(match first_bit(&text, wanted, first, last) {
        Some(at) => at as i64,
        // Without an end the string goes on with zeros for ever.
        None if !wanted && end.is_none() => last as i64 + 1,
        None => -1,
    }))
}

/// The first bit that is `wanted` among those from `first` to `last`.
fn first_bit(text: &[u8], wanted: bool, first: usize, last: usize) -> Option<usize> {
    let dull = if wanted { 0 } else { 0xff };
    let mut at = first;
    while at <= last {
        if at & 7 == 0 && text[at >> 3] == dull {
            at += 8;
            continue;
        }
        if (text[at >> 3] & (0x80 >> (at & 7)) != 0) == wanted {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn bitop(call: &mut Call) -> Outcome {
    let (to, from) = (&call.args[2], &call.args[3..]);
    let combine: fn(u8, u8) -> u8 = match &call.args[1].to_ascii_lowercase()[..] {
        b"and" => |a, b| a & b,
        b"or" => |a, b| a | b,
        b"xor" => |a, b| a ^ b,
        b"not" if from.len() == 1 => |a, _| a,
        b"not" => return Err(Refusal::new("ERR BITOP NOT must be called with a single source key.")),
        _ => return Err(refusal::SYNTAX),
    };
    let mut sources = Vec::with_capacity(from.len());
    for key in from {
        sources.push(call.read::<Str>(key)?.map_or(Bytes::new(), Str::to_bytes));
    }
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let mut result = sources.swap_remove(0);
    result.resize(len, 0);
    for source in &sources {
        let padded = source.iter().copied().chain(std::iter::repeat(0));
        result.iter_mut().zip(padded).for_each(|(a, b)| *a = combine(*a, b));
    }
    if call.is(1, "NOT") {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    call.store(to, Str::Raw(result).into_value(), Class::String, "set");
    Ok(len.into())
}

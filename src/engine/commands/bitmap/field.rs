//! BITFIELD: integers of 1 to 64 bits, signed or not, at any bit of a string; and what happens when they overflow.

use super::{bit_offset, bytes_with_room};
use crate::base::Bytes;
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::Str;
use crate::engine::value::string::parse_int;
use crate::resp::Reply;

/// i8, u16, ...
#[derive(Clone, Copy)]
struct Width {
    signed: bool,
    /// 1..=64; of unsigned ones at most 63.
    bits: u32,
}

#[derive(Clone, Copy)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy)]
enum Act {
    Get,
    Set(i64),
    Add(i64),
}

struct Operation {
    act: Act,
    width: Width,
    offset: u64,
    overflow: Overflow,
}

pub fn bitfield(call: &mut Call, read_only: bool) -> Outcome {
    let key = &call.args[1];
    let operations = parse(call)?;
    let last_written = operations
        .iter()
        .filter(|operation| !matches!(operation.act, Act::Get))
        .map(|operation| operation.offset + u64::from(operation.width.bits) - 1)
        .max();
    let Some(last) = last_written else {
        let text = call.read::<Str>(key)?.map_or(Bytes::new(), Str::to_bytes);
        let read = |operation: &Operation| Reply::Int(load(&text, operation.offset, operation.width));
        return Ok(Reply::Array(operations.iter().map(read).collect()));
    };
    if read_only {
        return Err(Refusal::new("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    let (bytes, grown) = bytes_with_room(call, key, last)?;
    let mut changes = 0;
    let replies = operations.iter().map(|operation| perform(bytes, operation, grown, &mut changes)).collect();
    if changes > 0 {
        call.changed(Class::String, "setbit", key);
        call.dirty(changes - 1);
    } else {
        // Nothing fitted, but the text may be longer, or no number any more: Redis tells nobody either.
        call.measure(key);
    }
    Ok(Reply::Array(replies))
}

fn perform(bytes: &mut [u8], operation: &Operation, grown: bool, changes: &mut usize) -> Reply {
    let &Operation { act, width, offset, overflow } = operation;
    let before = load(bytes, offset, width);
    let fitted = match act {
        Act::Get => return Reply::Int(before),
        Act::Set(value) => width.fit(width.reading(value), overflow),
        Act::Add(by) => width.fit(i128::from(before) + i128::from(by), overflow),
    };
    let Some(after) = fitted else { return Reply::Nil };
    store(bytes, offset, width, after);
    if grown || before != after {
        *changes += 1;
    }
    Reply::Int(if matches!(act, Act::Set(_)) { before } else { after })
}

fn parse(call: &Call) -> Result<Vec<Operation>, Refusal> {
    let args = call.args;
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut at = 2;
    while at < args.len() {
        let more = args.len() - at - 1;
        if call.is(at, "OVERFLOW") && more >= 1 {
            overflow = match &args[at + 1].to_ascii_lowercase()[..] {
                b"wrap" => Overflow::Wrap,
                b"sat" => Overflow::Saturate,
                b"fail" => Overflow::Fail,
                _ => return Err(Refusal::new("ERR Invalid OVERFLOW type specified")),
            };
            at += 2;
            continue;
        }
        let (get, set, add) = (call.is(at, "GET"), call.is(at, "SET"), call.is(at, "INCRBY"));
        if !(get && more >= 2 || (set || add) && more >= 3) {
            return Err(refusal::SYNTAX);
        }
        let width = Width::parse(&args[at + 1])?;
        let offset = bit_offset(call, at + 2, Some(width.bits))?;
        let act = if get {
            Act::Get
        } else {
            let n = call.int(at + 3)?;
            if set { Act::Set(n) } else { Act::Add(n) }
        };
        operations.push(Operation { act, width, offset, overflow });
        at += if get { 3 } else { 4 };
    }
    Ok(operations)
}

impl Width {
    fn parse(text: &[u8]) -> Result<Width, Refusal> {
        let parsed = text.split_first().and_then(|(sign, digits)| {
            let signed = match sign {
                b'i' => true,
                b'u' => false,
                _ => return None,
            };
            let bits = u32::try_from(parse_int(digits)?).ok()?;
            (1..=if signed { 64 } else { 63 }).contains(&bits).then_some(Width { signed, bits })
        });
        parsed.ok_or(Refusal::new(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        ))
    }

    /// What SET means by `value`: for unsigned fields a negative number is the huge one of the same bits.
    fn reading(self, value: i64) -> i128 {
        if self.signed { i128::from(value) } else { i128::from(value as u64) }
    }

    /// `value` made to fit, as `overflow` says; None: it does not fit and shall not be written.
    fn fit(self, value: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = match self.signed {
            true => (-(1i128 << (self.bits - 1)), (1i128 << (self.bits - 1)) - 1),
            false => (0, (1i128 << self.bits) - 1),
        };
        if (min..=max).contains(&value) {
            return Some(value as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.of_bits(value as u64)),
            Overflow::Saturate => Some(value.clamp(min, max) as i64),
            Overflow::Fail => None,
        }
    }

    /// The number that the lowest bits of `raw` are.
    fn of_bits(self, raw: u64) -> i64 {
        let spare = 64 - self.bits;
        if self.signed { (raw << spare) as i64 >> spare } else { (raw << spare >> spare) as i64 }
    }
}

/// The integer at bit `offset`; bits beyond the end are 0.
fn load(bytes: &[u8], offset: u64, width: Width) -> i64 {
    let bit = |at: u64| bytes.get((at >> 3) as usize).map_or(0, |byte| u64::from(byte >> (7 - (at & 7)) & 1));
    let raw = (offset..offset + u64::from(width.bits)).fold(0, |raw, at| raw << 1 | bit(at));
    width.of_bits(raw)
}

fn store(bytes: &mut [u8], offset: u64, width: Width, value: i64) {
    for i in 0..u64::from(width.bits) {
        let at = offset + i;
        let on = value as u64 >> (u64::from(width.bits) - 1 - i) & 1 == 1;
        let (byte, mask) = (&mut bytes[(at >> 3) as usize], 0x80 >> (at & 7));
        *byte = if on { *byte | mask } else { *byte & !mask };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_at_any_bit_is_loaded_again_and_disturbs_nothing_else() {
        let mut rng = crate::base::Rng::new(8);
        for _ in 0..2000 {
            let signed = rng.below(2) == 0;
            let width = Width { signed, bits: 1 + rng.below(if signed { 64 } else { 63 }) as u32 };
            let offset = rng.below(40) as u64;
            let mut bytes: Vec<u8> = (0..16).map(|_| rng.below(256) as u8).collect();
            let before = bytes.clone();
            let value = width.of_bits(rng.next_u64());
            store(&mut bytes, offset, width, value);
            assert_eq!(load(&bytes, offset, width), value);
            let old = load(&before, offset, width);
            store(&mut bytes, offset, width, old);
            assert_eq!(bytes, before);
        }
    }

    #[test]
    fn overflow_wraps_saturates_or_fails() {
        let (i8, u2) = (Width { signed: true, bits: 8 }, Width { signed: false, bits: 2 });
        assert_eq!(i8.fit(128, Overflow::Wrap), Some(-128));
        assert_eq!(i8.fit(-200, Overflow::Saturate), Some(-128));
        assert_eq!(u2.fit(4, Overflow::Wrap), Some(0));
        assert_eq!(u2.fit(-1, Overflow::Saturate), Some(0));
        assert_eq!(u2.fit(4, Overflow::Fail), None);
    }
}

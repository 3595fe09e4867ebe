//! Counting distinct elements in at most 12 kB, with a standard error of 0.81 %.
//!
//! The sketch is an ordinary string in Redis' own format (`sketch`), so GET, SET and files carry it anywhere.

mod sketch;

use crate::base::Bytes;
use crate::engine::call::Call;
use crate::engine::command::{
    ADMIN, ALL_KEYS, Command, DENYOOM, FAST, Keys, MAY_REPLICATE, ONE_KEY, Outcome, READONLY, SYSCMD, WRITE,
};
use crate::engine::notify::Class;
use crate::engine::refusal::Refusal;
use crate::engine::value::{Kind, Str};
use crate::resp::Reply;
use sketch::{REGISTERS, Sketch};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "PFADD",
        syntax: "key [element [element ...]]",
        summary: "Add elements to a HyperLogLog; whether that changed its count.",
        since: "2.8.9",
        complexity: "O(1) for each element",
        flags: WRITE.with(DENYOOM).with(FAST),
        keys: ONE_KEY,
        run: pfadd,
        ..Command::HYPERLOGLOG
    },
    Command {
        name: "PFCOUNT",
        syntax: "key [key ...]",
        summary: "About how many distinct elements were added, to one HyperLogLog or to several together.",
        since: "2.8.9",
        complexity: "O(1) for one key; O(N) for N keys, with a large constant",
        flags: READONLY.with(MAY_REPLICATE),
        keys: ALL_KEYS,
        run: pfcount,
        ..Command::HYPERLOGLOG
    },
    Command {
        name: "PFDEBUG",
        syntax: "subcommand key",
        summary: "Look inside a HyperLogLog: GETREG, DECODE, ENCODING, TODENSE.",
        since: "2.8.9",
        complexity: "N/A",
        flags: WRITE.with(DENYOOM).with(ADMIN).with(SYSCMD),
        keys: Keys::Range { first: 2, last: 2, step: 1 },
        run: pfdebug,
        ..Command::HYPERLOGLOG
    },
    Command {
        name: "PFMERGE",
        syntax: "destkey [sourcekey:key [sourcekey ...]]",
        summary: "Add everything that HyperLogLogs have seen to another.",
        since: "2.8.9",
        complexity: "O(N), N the number of HyperLogLogs, with a large constant",
        flags: WRITE.with(DENYOOM),
        keys: ALL_KEYS,
        run: pfmerge,
        ..Command::HYPERLOGLOG
    },
    Command {
        name: "PFSELFTEST",
        syntax: "",
        summary: "Check that counting works.",
        since: "2.8.9",
        complexity: "N/A",
        flags: ADMIN.with(SYSCMD),
        run: |_| Ok(selftest()),
        ..Command::HYPERLOGLOG
    },
];

const CORRUPTED: Refusal = Refusal::new("INVALIDOBJ Corrupted HLL object detected");
const NOT_ONE: Refusal = Refusal::new("WRONGTYPE Key is not a valid HyperLogLog string value.");

/// The bytes of `string` if they can be a sketch.
fn checked(string: &Str) -> Result<&Bytes, Refusal> {
    match string {
        Str::Embstr(bytes) | Str::Raw(bytes) if sketch::looks_valid(bytes) => Ok(bytes),
        _ => Err(NOT_ONE),
    }
}

fn pfadd(call: &mut Call) -> Outcome {
    let (key, elements) = (&call.args[1], &call.args[2..]);
    let max = call.limits().hll_sparse_max_bytes;
    let (mut sketch, made) = match call.write::<Str>(key)? {
        Some(string) => (Sketch::of(checked(string)?), false),
        None => (Sketch::new(), true),
    };
    let mut updates = usize::from(made);
    for element in elements {
        updates += usize::from(sketch.add(element, max).map_err(|_| CORRUPTED)?);
    }
    if updates == 0 {
        return Ok(Reply::Int(0));
    }
    sketch.forget_count();
    call.put(key, Str::Raw(sketch.into_bytes()).into_value(), true);
    call.changed(Class::String, "pfadd", key);
    call.dirty(updates - 1);
    Ok(Reply::Int(1))
}

fn pfcount(call: &mut Call) -> Outcome {
    let keys = &call.args[1..];
    if let [key] = keys {
        return count_one(call, key);
    }
    let mut union = [0; REGISTERS];
    for key in keys {
        if let Some(string) = call.read::<Str>(key)? {
            Sketch::of(checked(string)?).merge_into(&mut union).map_err(|_| CORRUPTED)?;
        }
    }
    Ok(Reply::Int(sketch::estimate(&sketch::histogram(&union)) as i64))
}

/// The count is cached in the string itself: reading it may change the value, and then it is propagated.
fn count_one(call: &mut Call, key: &Bytes) -> Outcome {
    let Some(string) = call.read::<Str>(key)? else { return Ok(Reply::Int(0)) };
    let mut sketch = Sketch::of(checked(string)?);
    if let Some(count) = sketch.cached_count() {
        return Ok(Reply::Int(count as i64));
    }
    let count = sketch.count().map_err(|_| CORRUPTED)?;
    sketch.remember_count(count);
    if let Some(string) = call.peek_mut::<Str>(key) {
        *string = Str::Raw(sketch.into_bytes());
    }
    call.touched(key);
    call.dirty(1);
    Ok(Reply::Int(count as i64))
}

fn pfmerge(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let max_bytes = call.limits().hll_sparse_max_bytes;
    let mut union = [0; REGISTERS];
    let mut dense = false;
    for source in &call.args[1..] {
        if let Some(string) = call.read::<Str>(source)? {
            let sketch = Sketch::of(checked(string)?);
            dense |= sketch.is_dense();
            sketch.merge_into(&mut union).map_err(|_| CORRUPTED)?;
        }
    }
    let mut merged = match call.write::<Str>(key)? {
        Some(string) => Sketch::of(checked(string)?),
        None => Sketch::new(),
    };
    if dense {
        merged.make_dense().map_err(|_| CORRUPTED)?;
    }
    for (register, rank) in union.into_iter().enumerate().filter(|(_, rank)| *rank > 0) {
        merged.raise(register, rank, max_bytes).map_err(|_| CORRUPTED)?;
    }
    merged.forget_count();
    call.put(key, Str::Raw(merged.into_bytes()).into_value(), true);
    // It is announced as a PFADD, and has been so for ever.
    call.changed(Class::String, "pfadd", key);
    Ok(Reply::OK)
}

fn pfdebug(call: &mut Call) -> Outcome {
    let key = &call.args[2];
    let word = call.args[1].to_ascii_lowercase();
    let string = call.write::<Str>(key)?.ok_or(Refusal::new("ERR The specified key does not exist"))?;
    let mut sketch = Sketch::of(checked(string)?);
    match &word[..] {
        b"getreg" | b"todense" => {
            let converted = !sketch.is_dense();
            if converted {
                sketch.make_dense().map_err(|_| CORRUPTED)?;
                *string = Str::Raw(sketch.clone().into_bytes());
                call.touched(key);
                call.dirty(1);
            }
            if word == b"todense" {
                return Ok(Reply::flag(converted));
            }
            let mut registers = [0; REGISTERS];
            sketch.merge_into(&mut registers).map_err(|_| CORRUPTED)?;
            Ok(Reply::Array(registers.iter().map(|rank| Reply::Int(i64::from(*rank))).collect()))
        }
        b"decode" => sketch.decoded().map(Reply::bulk).ok_or(Refusal::new("ERR HLL encoding is not sparse")),
        b"encoding" => Ok(Reply::status(if sketch.is_dense() { "dense" } else { "sparse" })),
        _ => Err(Refusal::from(format!("ERR Unknown PFDEBUG subcommand '{}'", call.args[1].printed()))),
    }
}

/// Counts growing sets of generated elements and compares with what is known of them, as Redis does.
fn selftest() -> Reply {
    let mut sketch = Sketch::new();
    let mut next_check = 1u64;
    for n in 1..=100_000u64 {
        if sketch.add(&n.to_be_bytes(), sketch::SPARSE_MAX_DEFAULT).is_err() {
            return Reply::error("TESTFAILED sparse encoding is broken");
        }
        if n == next_check {
            let count = sketch.count().unwrap_or(0);
            // 0.81 % is one standard deviation; six of them, and one for rounding, are beyond bad luck.
            let tolerance = n as f64 * 0.0081 * 6.0 + 1.0;
            if (count as f64 - n as f64).abs() > tolerance {
                return Reply::error(format!("TESTFAILED Too big error. card:{n} abserr:{}", count.abs_diff(n)));
            }
            next_check *= 10;
        }
    }
    Reply::OK
}

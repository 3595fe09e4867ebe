//! The library `struct`: values packed as C would lay them out, as Roberto Ierusalimschy's library of that name does.

use super::api::{Ended, Thrown, function};
use super::args::{self, placed};
use super::convert;
use super::running::Running;
use mlua::{Lua, MultiValue, Table, Value};
use std::rc::Rc;

/// The most bytes of an integer, and the default alignment of `!`.
const MAX_INTEGER: i64 = 32;
const MAX_ALIGN: i64 = 8;
/// The most values that one call can return: Lua's stack ends there.
const MAX_RESULTS: usize = 7990;

pub fn table(lua: &Lua, running: &Rc<Running>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("pack", function(lua, running, pack)?)?;
    table.raw_set("unpack", function(lua, running, unpack)?)?;
    table.raw_set("size", function(lua, running, size)?)?;
    Ok(table)
}

/// Reads a format, option by option.
struct Format {
    text: Vec<u8>,
    at: usize,
    big_endian: bool,
    align: usize,
}

impl Format {
    fn new(mut text: Vec<u8>) -> Format {
        // As C text: up to the first zero.
        if let Some(end) = text.iter().position(|byte| *byte == 0) {
            text.truncate(end);
        }
        Format { text, at: 0, big_endian: false, align: 1 }
    }

    /// The next option and its size in bytes.
    fn next(&mut self) -> Result<Option<(u8, usize)>, Thrown> {
        let Some(option) = self.text.get(self.at).copied() else { return Ok(None) };
        self.at += 1;
        let size = match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'f' => 4,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > MAX_INTEGER {
                    return placed(format!("integral size {size} is larger than limit of {MAX_INTEGER}"));
                }
                size
            }
            _ => 0,
        };
        Ok(Some((option, size as usize)))
    }

    fn number(&mut self, default: i64) -> Result<i64, Thrown> {
        if !self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            return Ok(default);
        }
        let mut number = 0i64;
        while let Some(digit) = self.text.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            number = number * 10 + i64::from(digit - b'0');
            if number > i64::from(i32::MAX) {
                return placed("integral size overflow");
            }
            self.at += 1;
        }
        Ok(number)
    }

    /// Bytes to skip before an element of `size` bytes at `position`.
    fn padding(&self, position: usize, option: u8, size: usize) -> usize {
        if size == 0 || option == b'c' {
            return 0;
        }
        let size = size.min(self.align);
        // As in C, also where the size is no power of two.
        size.wrapping_sub(position & (size - 1)) & (size - 1)
    }

    /// Options that are about what follows.
    fn control(&mut self, option: u8) -> Result<(), Thrown> {
        match option {
            b' ' => {}
            b'>' => self.big_endian = true,
            b'<' => self.big_endian = false,
            b'!' => {
                let align = self.number(MAX_ALIGN)?;
                if align <= 0 || align & (align - 1) != 0 {
                    return placed(format!("alignment {align} is not a power of 2"));
                }
                self.align = align as usize;
            }
            option => {
                let text = format!("invalid format option '{}'", char::from(option));
                return Err(Thrown::Argument(1, text));
            }
        }
        Ok(())
    }

    /// Bytes of the least value first, as this format wants them.
    fn ordered<const N: usize>(&self, mut bytes: [u8; N]) -> [u8; N] {
        if self.big_endian {
            bytes.reverse();
        }
        bytes
    }
}

fn pack(lua: &Lua, _: &Running, mut args: MultiValue) -> Ended {
    let mut format = Format::new(args::text(&args, 1)?);
    // The original puts a nil behind its arguments, which its messages show.
    args.push_back(Value::Nil);
    let mut out = Vec::new();
    let mut arg = 2;
    while let Some((option, size)) = format.next()? {
        out.resize(out.len() + format.padding(out.len(), option, size), 0);
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let number = args::number(lua, &args, arg)?;
                arg += 1;
                let value = if number < 0.0 { convert::truncated(number) as u64 } else { unsigned(number) };
                let bytes = (0..size).map(|place| if place < 8 { (value >> (8 * place)) as u8 } else { 0 });
                let bytes: Vec<u8> = bytes.collect();
                if format.big_endian { out.extend(bytes.iter().rev()) } else { out.extend(bytes) }
            }
            b'x' => out.push(0),
            b'f' => {
                out.extend(format.ordered((args::number(lua, &args, arg)? as f32).to_le_bytes()));
                arg += 1;
            }
            b'd' => {
                out.extend(format.ordered(args::number(lua, &args, arg)?.to_le_bytes()));
                arg += 1;
            }
            b'c' | b's' => {
                let text = args::text(&args, arg)?;
                arg += 1;
                let size = if size == 0 { text.len() } else { size };
                if text.len() < size {
                    return Err(Thrown::Argument(arg, String::from("string too short")));
                }
                out.extend_from_slice(&text[..size]);
                if option == b's' {
                    out.push(0);
                }
            }
            option => format.control(option)?,
        }
    }
    Ok(vec![Value::String(lua.create_string(out)?)])
}

/// A cast to an unsigned integer as C does it on common processors.
fn unsigned(number: f64) -> u64 {
    const TOP: f64 = 9_223_372_036_854_775_808.0;
    if number < TOP { convert::truncated(number) as u64 } else { (convert::truncated(number - TOP) as u64) ^ (1 << 63) }
}

fn too_short() -> Thrown {
    Thrown::Argument(2, String::from("data string too short"))
}

fn unpack(lua: &Lua, _: &Running, args: MultiValue) -> Ended {
    let mut format = Format::new(args::text(&args, 1)?);
    let data = args::text(&args, 2)?;
    let start = args::integer_or(lua, &args, 3, 1)?;
    if start == 0 {
        return Err(Thrown::Argument(3, String::from("offset must be 1 or greater")));
    }
    // As in C a negative offset is a very large one.
    let mut at = (start as usize).wrapping_sub(1);
    let mut results: Vec<Value> = Vec::new();
    while let Some((option, size)) = format.next()? {
        at = at.wrapping_add(format.padding(at, option, size));
        let bytes = at.checked_add(size).and_then(|end| data.get(at..end)).ok_or_else(too_short)?;
        if results.len() >= MAX_RESULTS {
            return placed("stack overflow (too many results)");
        }
        let mut taken = size;
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                results.push(Value::Number(integer(bytes, format.big_endian, option.is_ascii_lowercase())));
            }
            b'x' => {}
            b'f' => {
                let bytes = format.ordered(bytes.try_into().expect("four of them"));
                results.push(Value::Number(f64::from(f32::from_le_bytes(bytes))));
            }
            b'd' => {
                let bytes = format.ordered(bytes.try_into().expect("eight of them"));
                results.push(Value::Number(f64::from_le_bytes(bytes)));
            }
            b'c' => {
                if size == 0 {
                    let before = results.pop().and_then(|value| args::number_of(lua, &value));
                    let Some(before) = before else { return placed("format 'c0' needs a previous size") };
                    taken = if before < 0.0 { convert::truncated(before) as usize } else { unsigned(before) as usize };
                }
                let text = at.checked_add(taken).and_then(|end| data.get(at..end)).ok_or_else(too_short)?;
                results.push(Value::String(lua.create_string(text)?));
            }
            b's' => {
                let Some(len) = data[at..].iter().position(|byte| *byte == 0) else {
                    return placed("unfinished string in data");
                };
                results.push(Value::String(lua.create_string(&data[at..at + len])?));
                taken = len + 1;
            }
            option => format.control(option)?,
        }
        at += taken;
    }
    results.push(Value::Number((at + 1) as f64));
    Ok(results)
}

/// Beyond eight bytes only the last eight count, as in C.
fn integer(bytes: &[u8], big_endian: bool, signed: bool) -> f64 {
    let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let mut value = if big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) };
    if !signed {
        return value as f64;
    }
    let mask = u64::MAX.wrapping_shl((bytes.len() as u32).wrapping_mul(8).wrapping_sub(1));
    if value & mask != 0 {
        value |= mask;
    }
    value as i64 as f64
}

fn size(_: &Lua, _: &Running, args: MultiValue) -> Ended {
    let mut format = Format::new(args::text(&args, 1)?);
    let mut total = 0;
    while let Some((option, size)) = format.next()? {
        total += format.padding(total, option, size);
        if option == b's' {
            return Err(Thrown::Argument(1, String::from("option 's' has no fixed size")));
        }
        if option == b'c' && size == 0 {
            return Err(Thrown::Argument(1, String::from("option 'c0' has no fixed size")));
        }
        if !option.is_ascii_alphanumeric() {
            format.control(option)?;
        }
        total += size;
    }
    Ok(vec![Value::Number(total as f64)])
}

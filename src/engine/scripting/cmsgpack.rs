//! The library `cmsgpack`: MessagePack, as lua-cmsgpack 0.4.0 writes and reads it.

use super::api::{Ended, Thrown, function};
use super::args::{self, placed};
use super::convert;
use super::running::Running;
use mlua::{Lua, MultiValue, Table, Value};
use std::rc::Rc;

/// Tables within tables are written this deep; below stands nil.
const MAX_NESTING: usize = 16;
/// Slots of Lua's stack that the original would use at most.
const MAX_STACK: usize = 7990;

pub fn table(lua: &Lua, running: &Rc<Running>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("pack", function(lua, running, pack)?)?;
    table.raw_set("unpack", function(lua, running, |lua, _, args| unpack(lua, &args, 0, 0))?)?;
    table.raw_set(
        "unpack_one",
        function(lua, running, |lua, _, args| {
            let offset = args::integer_or(lua, &args, 2, 0)?;
            unpack(lua, &args, 1, offset)
        })?,
    )?;
    table.raw_set(
        "unpack_limit",
        function(lua, running, |lua, _, args| {
            let (limit, offset) = (args::integer(lua, &args, 2)?, args::integer_or(lua, &args, 3, 0)?);
            unpack(lua, &args, limit, offset)
        })?,
    )?;
    table.raw_set("_NAME", "cmsgpack")?;
    table.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    table.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    Ok(table)
}

fn pack(lua: &Lua, _: &Running, args: MultiValue) -> Ended {
    if args.is_empty() {
        return Err(Thrown::Argument(0, String::from("MessagePack pack needs input.")));
    }
    let mut out = Vec::new();
    for value in &args {
        encode(&mut out, value, 0)?;
    }
    Ok(vec![Value::String(lua.create_string(out)?)])
}

fn encode(out: &mut Vec<u8>, value: &Value, level: usize) -> mlua::Result<()> {
    match value {
        Value::String(text) => {
            let text = text.as_bytes();
            match text.len() {
                len @ 0..32 => out.push(0xa0 | len as u8),
                len => head(out, len, Some(0xd9), 0xda, 0xdb),
            }
            out.extend_from_slice(&text);
        }
        Value::Boolean(yes) => out.push(if *yes { 0xc3 } else { 0xc2 }),
        Value::Integer(n) => integer(out, *n),
        Value::Number(n) if convert::truncated(*n) as f64 == *n => integer(out, convert::truncated(*n)),
        Value::Number(n) => {
            let narrow = *n as f32;
            if f64::from(narrow) == *n {
                out.push(0xca);
                out.extend(narrow.to_be_bytes());
            } else {
                out.push(0xcb);
                out.extend(n.to_be_bytes());
            }
        }
        Value::Table(table) if level < MAX_NESTING => encode_table(out, table, level)?,
        _ => out.push(0xc0),
    }
    Ok(())
}

/// The head of text or a collection of `len`: with one byte of length if there is such a kind, with two, or with four.
fn head(out: &mut Vec<u8>, len: usize, one: Option<u8>, two: u8, four: u8) {
    match (one, len) {
        (Some(one), 0..=0xff) => out.extend([one, len as u8]),
        (_, 0..=0xffff) => {
            out.push(two);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(four);
            out.extend((len as u32).to_be_bytes());
        }
    }
}

fn integer(out: &mut Vec<u8>, n: i64) {
    match n {
        -32..=127 => out.push(n as u8),
        128..=0xff => out.extend([0xcc, n as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend((n as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend((n as u32).to_be_bytes());
        }
        0x1_0000_0000.. => {
            out.push(0xcf);
            out.extend(n.to_be_bytes());
        }
        -128..-32 => out.extend([0xd0, n as u8]),
        -32_768..-128 => {
            out.push(0xd1);
            out.extend((n as i16).to_be_bytes());
        }
        -2_147_483_648..-32_768 => {
            out.push(0xd2);
            out.extend((n as i32).to_be_bytes());
        }
        _ => {
            out.push(0xd3);
            out.extend(n.to_be_bytes());
        }
    }
}

fn encode_table(out: &mut Vec<u8>, table: &Table, level: usize) -> mlua::Result<()> {
    let (mut count, mut most, mut is_array) = (0usize, 0i64, true);
    for pair in table.pairs::<Value, Value>() {
        count += 1;
        match pair?.0 {
            Value::Integer(n) if n > 0 && n <= i64::from(i32::MAX) => most = most.max(n),
            _ => is_array = false,
        }
    }
    if is_array && most == count as i64 {
        match count {
            0..=15 => out.push(0x90 | count as u8),
            _ => head(out, count, None, 0xdc, 0xdd),
        }
        for index in 1..=count {
            encode(out, &table.raw_get(index)?, level + 1)?;
        }
        return Ok(());
    }
    match count {
        0..=15 => out.push(0x80 | count as u8),
        _ => head(out, count, None, 0xde, 0xdf),
    }
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        encode(out, &key, level + 1)?;
        encode(out, &value, level + 1)?;
    }
    Ok(())
}

/// `limit` values from `offset` on, behind the offset of what follows; with neither, all of them and no offset.
fn unpack(lua: &Lua, args: &MultiValue, limit: i64, offset: i64) -> Ended {
    let data = args::text(args, 1)?;
    let all = limit == 0 && offset == 0;
    if offset < 0 || limit < 0 {
        return placed(format!(
            "Invalid request to unpack with offset of {} and limit of {}.",
            offset as i32,
            data.len() as i32
        ));
    }
    let Some(rest) = data.get(offset as usize..) else {
        return placed(format!("Start offset {} greater than input length {}.", offset as i32, data.len() as i32));
    };
    let mut cursor = Cursor { data: rest };
    let mut results = Vec::new();
    while !cursor.data.is_empty() && (all || (results.len() as i64) < limit) {
        results.push(cursor.value(lua, results.len())?);
    }
    if !all {
        let left = cursor.data.len();
        let next = if left == 0 { -1.0 } else { (data.len() - left) as f64 };
        results.insert(0, Value::Number(next));
    }
    Ok(results)
}

struct Cursor<'a> {
    data: &'a [u8],
}

/// What is being read: how many values it still lacks, and the key that waits for its value.
struct Open {
    table: Table,
    left: usize,
    is_map: bool,
    next_index: usize,
    key: Option<Value>,
}

enum Token<'a> {
    Value(Value),
    Text(&'a [u8]),
    Array(usize),
    Map(usize),
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Thrown> {
        let Some((front, rest)) = self.data.split_at_checked(count) else { return placed("Missing bytes in input.") };
        self.data = rest;
        Ok(front)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Thrown> {
        self.take(N).map(|bytes| bytes.try_into().expect("as many as were taken"))
    }

    fn len2(&mut self) -> Result<usize, Thrown> {
        self.array().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    fn len4(&mut self) -> Result<usize, Thrown> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    fn token(&mut self) -> Result<Token<'a>, Thrown> {
        let [code] = self.array()?;
        let number = |n: f64| Ok(Token::Value(Value::Number(n)));
        match code {
            0..=0x7f => number(f64::from(code)),
            0xe0..=0xff => number(f64::from(code as i8)),
            0x80..=0x8f => Ok(Token::Map(usize::from(code & 15))),
            0x90..=0x9f => Ok(Token::Array(usize::from(code & 15))),
            0xa0..=0xbf => self.take(usize::from(code & 31)).map(Token::Text),
            0xc0 => Ok(Token::Value(Value::Nil)),
            0xc2 | 0xc3 => Ok(Token::Value(Value::Boolean(code == 0xc3))),
            0xca => number(f64::from(f32::from_be_bytes(self.array()?))),
            0xcb => number(f64::from_be_bytes(self.array()?)),
            0xcc => number(f64::from(self.array::<1>()?[0])),
            0xcd => number(f64::from(u16::from_be_bytes(self.array()?))),
            0xce => number(f64::from(u32::from_be_bytes(self.array()?))),
            // The original hands it to Lua as a signed integer.
            0xcf | 0xd3 => number(i64::from_be_bytes(self.array()?) as f64),
            0xd0 => number(f64::from(self.array::<1>()?[0] as i8)),
            0xd1 => number(f64::from(i16::from_be_bytes(self.array()?))),
            0xd2 => number(f64::from(i32::from_be_bytes(self.array()?))),
            0xd9 => {
                let [len] = self.array()?;
                self.take(usize::from(len)).map(Token::Text)
            }
            0xda => {
                let len = self.len2()?;
                self.take(len).map(Token::Text)
            }
            0xdb => {
                let len = self.len4()?;
                self.take(len).map(Token::Text)
            }
            0xdc => self.len2().map(Token::Array),
            0xdd => self.len4().map(Token::Array),
            0xde => self.len2().map(Token::Map),
            0xdf => self.len4().map(Token::Map),
            _ => placed("Bad data format in input."),
        }
    }

    /// One value with all that is in it. `before`: how many values of this call stand on Lua's stack already.
    fn value(&mut self, lua: &Lua, before: usize) -> Result<Value, Thrown> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            if before + open.len() * 2 > MAX_STACK {
                return placed(
                    "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
                );
            }
            let mut done = match self.token()? {
                Token::Value(value) => value,
                Token::Text(text) => Value::String(lua.create_string(text)?),
                Token::Array(0) | Token::Map(0) => Value::Table(lua.create_table()?),
                Token::Array(len) => {
                    open.push(Open { table: lua.create_table()?, left: len, is_map: false, next_index: 1, key: None });
                    continue;
                }
                Token::Map(len) => {
                    open.push(Open { table: lua.create_table()?, left: len, is_map: true, next_index: 1, key: None });
                    continue;
                }
            };
            // Puts what is done where it belongs; what is complete with it is done in turn.
            loop {
                let Some(outer) = open.last_mut() else { return Ok(done) };
                if outer.is_map && outer.key.is_none() {
                    outer.key = Some(done);
                    break;
                }
                match outer.key.take() {
                    Some(Value::Nil) => return placed("table index is nil"),
                    Some(Value::Number(n)) if n.is_nan() => return placed("table index is NaN"),
                    Some(key) => outer.table.raw_set(key, done)?,
                    None => outer.table.raw_set(outer.next_index, done)?,
                }
                outer.next_index += 1;
                outer.left -= 1;
                if outer.left > 0 {
                    break;
                }
                done = Value::Table(open.pop().expect("looked at above").table);
            }
        }
    }
}

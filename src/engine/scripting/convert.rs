//! Values both ways: a reply as Lua sees it, and what a script returns as a reply.
//!
//! Under RESP2 Redis has only text, whole numbers, arrays, status and error; under RESP3 (`redis.setresp(3)`) also maps, sets,
//! doubles, booleans, big numbers and verbatim text, each a table with a field that names its kind.

use crate::base::{Bytes, carry, float};
use crate::engine::refusal::Refusal;
use crate::resp::{Protocol, Reply};
use mlua::{Lua, Table, Value};

/// How deep a table may be that a script returns.
const MAX_DEPTH: usize = 1000;
const TOO_DEEP: &str = "ERR reached lua stack limit";

/// A reply of a command as the script gets it. `protocol`: the one that the reply has been rendered for.
pub fn to_lua(lua: &Lua, reply: Reply, protocol: Protocol) -> mlua::Result<Value> {
    let text = |bytes: &[u8]| lua.create_string(bytes);
    let one = |field: &str, value: Value| -> mlua::Result<Value> {
        let table = lua.create_table()?;
        table.raw_set(field, value)?;
        Ok(Value::Table(table))
    };
    Ok(match reply {
        Reply::Bulk(bytes) => Value::String(text(&bytes)?),
        Reply::Int(n) => Value::Number(n as f64),
        Reply::Status(line) => one("ok", Value::String(text(line.as_bytes())?))?,
        Reply::Error(line) => return error_table(lua, &line, true).map(Value::Table),
        Reply::Nil | Reply::NilArray if protocol == Protocol::Resp3 => Value::Nil,
        Reply::Nil | Reply::NilArray => Value::Boolean(false),
        Reply::Array(items) | Reply::Push(items) => {
            let table = lua.create_table()?;
            for (index, item) in items.into_iter().enumerate() {
                table.raw_set(index + 1, to_lua(lua, item, protocol)?)?;
            }
            Value::Table(table)
        }
        Reply::Map(pairs) => {
            let table = lua.create_table()?;
            for (key, value) in pairs {
                table.raw_set(to_lua(lua, key, protocol)?, to_lua(lua, value, protocol)?)?;
            }
            one("map", Value::Table(table))?
        }
        Reply::Set(members) => {
            let table = lua.create_table()?;
            for member in members {
                table.raw_set(to_lua(lua, member, protocol)?, true)?;
            }
            one("set", Value::Table(table))?
        }
        Reply::Double(value) => one("double", Value::Number(value))?,
        Reply::LongDouble(digits) => one("double", Value::Number(digits.printed().parse().unwrap_or_default()))?,
        Reply::Bool(yes) => Value::Boolean(yes),
        Reply::BigNumber(digits) => one("big_number", Value::String(text(&digits)?))?,
        Reply::Verbatim(format, bytes) => {
            let table = lua.create_table()?;
            table.raw_set("string", text(&bytes)?)?;
            table.raw_set("format", text(format.as_bytes())?)?;
            one("verbatim_string", Value::Table(table))?
        }
        Reply::Attributed(both) => to_lua(lua, both.1, protocol)?,
        // Commands that answer several times or not at all are not allowed in scripts.
        Reply::Many(_) | Reply::None => Value::Nil,
    })
}

/// The table that stands for an error whose line is `text`. `counted`: INFO errorstats has it already.
pub fn error_table(lua: &Lua, text: &str, counted: bool) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let text = text.trim_end_matches(['\r', '\n']);
    table.raw_set("err", text)?;
    if counted {
        table.raw_set("ignore_error_stats_update", true)?;
    }
    Ok(table)
}

/// The error line of a text as `redis.error_reply` takes it: with its code word, which is ERR if there is none.
pub fn error_line(text: &[u8]) -> Vec<u8> {
    let Some(text) = text.strip_prefix(b"-") else { return [b"ERR ", text].concat() };
    let (code, message) = match text.iter().position(|byte| *byte == b' ') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (b"ERR".as_slice(), text),
    };
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let start = message.iter().position(|byte| !is_break(byte)).unwrap_or(message.len());
    let end = message.iter().rposition(|byte| !is_break(byte)).map_or(start, |at| at + 1);
    [code, b" ", &message[start..end]].concat()
}

/// What a script returned, as a reply. `counted` is set if it is an error that has been counted already.
pub fn to_reply(value: &Value, protocol: Protocol, counted: &mut bool) -> Reply {
    reply_at(value, protocol, counted, 0).unwrap_or_else(|_| Reply::error(TOO_DEEP))
}

/// An array that is being read: its table, the index that comes next, what has been read.
struct Open {
    table: Table,
    next: i64,
    items: Vec<Reply>,
}

/// Arrays within arrays are kept on a stack of our own: how deep they go is up to the script.
fn reply_at(value: &Value, protocol: Protocol, counted: &mut bool, depth: usize) -> mlua::Result<Reply> {
    let mut open: Vec<Open> = Vec::new();
    let mut value = value.clone();
    loop {
        let table = match &value {
            Value::Table(table) if depth + open.len() < MAX_DEPTH => Some(table),
            _ => None,
        };
        let mut done = match table {
            None => simple(&value, protocol),
            Some(table) => match table_reply(table, protocol, counted, depth + open.len())? {
                Some(reply) => reply,
                None => {
                    open.push(Open { table: table.clone(), next: 1, items: Vec::new() });
                    Reply::None
                }
            },
        };
        loop {
            let Some(outer) = open.last_mut() else { return Ok(done) };
            if done != Reply::None {
                outer.items.push(std::mem::replace(&mut done, Reply::None));
            }
            value = outer.table.raw_get(outer.next)?;
            outer.next += 1;
            if !value.is_nil() {
                break;
            }
            done = Reply::Array(open.pop().map_or_else(Vec::new, |outer| outer.items));
        }
    }
}

fn simple(value: &Value, protocol: Protocol) -> Reply {
    match value {
        Value::String(text) => Reply::Bulk(Bytes::copy(&text.as_bytes())),
        Value::Boolean(yes) if protocol == Protocol::Resp3 => Reply::Bool(*yes),
        Value::Boolean(true) => Reply::Int(1),
        Value::Integer(n) => Reply::Int(*n),
        Value::Number(n) => Reply::Int(truncated(*n)),
        Value::Table(_) => Reply::error(TOO_DEEP),
        _ => Reply::Nil,
    }
}

/// A cast as C does it on common processors: what does not fit is the smallest integer.
pub fn truncated(n: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&n) { n as i64 } else { i64::MIN }
}

/// What a table with a field that names its kind is; None: it is an array.
fn table_reply(table: &Table, protocol: Protocol, counted: &mut bool, depth: usize) -> mlua::Result<Option<Reply>> {
    // Maps and sets within each other are read by recursion, which costs more.
    let mut inner = |value: &Value| reply_at(value, protocol, counted, depth + 20);
    if let Value::String(text) = table.raw_get("err")? {
        let text = carry::printed(&text.as_bytes()).into_owned();
        *counted |= matches!(table.raw_get("ignore_error_stats_update")?, Value::Boolean(true));
        return Ok(Some(Refusal::from(text).into()));
    }
    if let Value::String(text) = table.raw_get("ok")? {
        let bytes = text.as_bytes();
        let text = carry::printed(&bytes);
        return Ok(Some(Reply::status_of(text.replace(['\r', '\n'], " "))));
    }
    match table.raw_get("double")? {
        Value::Number(n) => return Ok(Some(Reply::Double(n))),
        Value::Integer(n) => return Ok(Some(Reply::Double(n as f64))),
        _ => {}
    }
    if let Value::String(digits) = table.raw_get("big_number")? {
        let digits = digits.as_bytes();
        let blank = |byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte };
        return Ok(Some(Reply::BigNumber(digits.iter().map(blank).collect())));
    }
    if let Value::Table(verbatim) = table.raw_get("verbatim_string")?
        && let (Value::String(format), Value::String(text)) = (verbatim.raw_get("format")?, verbatim.raw_get("string")?)
    {
        let format = if *format.as_bytes() == *b"mkd" { "mkd" } else { "txt" };
        return Ok(Some(Reply::Verbatim(format, Bytes::copy(&text.as_bytes()))));
    }
    if let Value::Table(map) = table.raw_get("map")? {
        let mut pairs = Vec::new();
        for pair in map.pairs::<Value, Value>() {
            let (key, value) = pair?;
            pairs.push((inner(&key)?, inner(&value)?));
        }
        return Ok(Some(Reply::Map(pairs)));
    }
    if let Value::Table(set) = table.raw_get("set")? {
        let mut members = Vec::new();
        for pair in set.pairs::<Value, Value>() {
            members.push(inner(&pair?.0)?);
        }
        return Ok(Some(Reply::Set(members)));
    }
    Ok(None)
}

/// An argument of `redis.call` as the command gets it. None: it is neither text nor a number.
pub fn argument(value: &Value) -> Option<Bytes> {
    match value {
        Value::String(text) => Some(Bytes::copy(&text.as_bytes())),
        Value::Integer(n) => Some(Bytes::from(number(*n as f64))),
        Value::Number(n) => Some(Bytes::from(number(*n))),
        _ => None,
    }
}

/// Whole numbers that a double holds exactly without a point or an exponent.
fn number(n: f64) -> String {
    const SAFE: f64 = 4_611_686_018_427_387_904.0;
    if (-SAFE..=SAFE).contains(&n) && n.trunc() == n { (n as i64).to_string() } else { float::text(n) }
}

/// Text or a number as Lua's `tostring` gives it.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(carry::text(&text.as_bytes()).into_owned()),
        Value::Integer(n) => Some(n.to_string()),
        Value::Number(n) => Some(lua_number(*n)),
        _ => None,
    }
}

/// `%.14g`.
pub fn lua_number(n: f64) -> String {
    general(n, 14)
}

/// C's `%.{digits}g`.
pub fn general(n: f64, digits: usize) -> String {
    if n.is_nan() {
        return String::from(if n.is_sign_negative() { "-nan" } else { "nan" });
    }
    if n.is_infinite() {
        return String::from(if n < 0.0 { "-inf" } else { "inf" });
    }
    if n == 0.0 {
        return String::from(if n.is_sign_negative() { "-0" } else { "0" });
    }
    let digits = digits.max(1);
    let scientific = format!("{n:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("it is written with an exponent");
    let exponent: i32 = exponent.parse().expect("it is a number");
    let trim = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.unsigned_abs());
    }
    trim(&format!("{n:.*}", (digits as i32 - 1 - exponent) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_printf_does() {
        for (n, digits, text) in [
            (3.0, 14, "3"),
            (0.1, 14, "0.1"),
            (0.1, 17, "0.10000000000000001"),
            (1e14, 14, "1e+14"),
            (12_345_678_901_234.0, 14, "12345678901234"),
            (1e-5, 14, "1e-05"),
            (-1.5e300, 14, "-1.5e+300"),
            (100.0, 2, "1e+02"),
            (-0.0, 14, "-0"),
        ] {
            assert_eq!(general(n, digits), text);
        }
    }

    #[test]
    fn an_error_without_a_code_gets_one() {
        for (text, line) in [("-MY bad", "MY bad"), ("bad", "ERR bad"), ("-bad", "ERR bad"), ("-E a\r\n", "E a")] {
            assert_eq!(String::from_utf8(error_line(text.as_bytes())).unwrap(), line);
        }
    }
}

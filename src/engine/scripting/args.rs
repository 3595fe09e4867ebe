//! The arguments of a library function, checked as Lua's own helpers check them (`luaL_checklstring` and its kin).

use super::api::Thrown;
use super::convert;
use mlua::{Lua, MultiValue, Value};

/// `type()` of a value; of an argument that is not there, `no value`.
pub fn type_of(value: Option<&Value>) -> &'static str {
    match value {
        None => "no value",
        Some(Value::Integer(_)) => "number",
        Some(Value::LightUserData(_)) => "userdata",
        Some(value) => value.type_name(),
    }
}

pub fn wrong_type(args: &MultiValue, at: usize, wanted: &str) -> Thrown {
    Thrown::Argument(at, format!("{wanted} expected, got {}", type_of(args.get(at - 1))))
}

/// Argument `at`, counted from 1, as a number; text that is one will do.
pub fn number(lua: &Lua, args: &MultiValue, at: usize) -> Result<f64, Thrown> {
    let number = args.get(at - 1).and_then(|value| number_of(lua, value));
    number.ok_or_else(|| wrong_type(args, at, "number"))
}

pub fn number_of(lua: &Lua, value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Number(n) => Some(*n),
        Value::String(_) => lua.coerce_number(value.clone()).ok().flatten(),
        _ => None,
    }
}

pub fn integer(lua: &Lua, args: &MultiValue, at: usize) -> Result<i64, Thrown> {
    number(lua, args, at).map(convert::truncated)
}

/// `default` if the argument is nil or not there.
pub fn integer_or(lua: &Lua, args: &MultiValue, at: usize, default: i64) -> Result<i64, Thrown> {
    match args.get(at - 1) {
        None | Some(Value::Nil) => Ok(default),
        Some(_) => integer(lua, args, at),
    }
}

/// Text; a number as Lua writes it.
pub fn text(args: &MultiValue, at: usize) -> Result<Vec<u8>, Thrown> {
    match args.get(at - 1) {
        Some(Value::String(text)) => Ok(text.as_bytes().to_vec()),
        Some(value @ (Value::Integer(_) | Value::Number(_))) => {
            Ok(convert::text(value).unwrap_or_default().into_bytes())
        }
        _ => Err(wrong_type(args, at, "string")),
    }
}

pub fn placed<T>(text: impl Into<String>) -> Result<T, Thrown> {
    Err(Thrown::Placed(text.into()))
}

//! The library `cjson`: JSON, as lua-cjson 2.1.0 writes and reads it.

mod read;
mod write;

use super::api::{Ended, Native, Thrown, function};
use super::args;
use super::running::Running;
use crate::base::carry;
use mlua::{LightUserData, Lua, MultiValue, Table, Value};
use read::decode;
use std::rc::Rc;
use write::encode;

/// What a script can set; it stays set for the scripts that follow.
#[derive(Clone, Copy, Debug)]
struct Settings {
    sparse_convert: bool,
    sparse_ratio: i32,
    sparse_safe: i32,
    encode_depth: i32,
    decode_depth: i32,
    /// 0: NaN and infinity are errors; 1: they are written; 2: they become null.
    encode_invalid: u8,
    decode_invalid: bool,
    keep_buffer: bool,
    precision: i32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth: 1000,
            decode_depth: 1000,
            encode_invalid: 0,
            decode_invalid: true,
            keep_buffer: true,
            precision: 14,
        }
    }
}

/// Deeper than this Lua's stack does not reach in the original, whatever the settings say.
const STACK_DEPTH: i32 = 2600;

pub fn table(lua: &Lua, running: &Rc<Running>) -> mlua::Result<Table> {
    lua.set_app_data(Settings::default());
    let functions: [(&str, Native); 9] = [
        ("encode", encode),
        ("decode", decode),
        ("encode_sparse_array", |lua, _, args| {
            at_most(&args, 3)?;
            Ok(vec![
                flag(lua, &args, |it| &mut it.sparse_convert)?,
                number(lua, &args, 2, 0, i32::MAX, |it| &mut it.sparse_ratio)?,
                number(lua, &args, 3, 0, i32::MAX, |it| &mut it.sparse_safe)?,
            ])
        }),
        ("encode_max_depth", |lua, _, args| {
            at_most(&args, 1)?;
            Ok(vec![number(lua, &args, 1, 1, i32::MAX, |it| &mut it.encode_depth)?])
        }),
        ("decode_max_depth", |lua, _, args| {
            at_most(&args, 1)?;
            Ok(vec![number(lua, &args, 1, 1, i32::MAX, |it| &mut it.decode_depth)?])
        }),
        ("encode_number_precision", |lua, _, args| {
            at_most(&args, 1)?;
            Ok(vec![number(lua, &args, 1, 1, 14, |it| &mut it.precision)?])
        }),
        ("encode_keep_buffer", |lua, _, args| {
            at_most(&args, 1)?;
            Ok(vec![flag(lua, &args, |it| &mut it.keep_buffer)?])
        }),
        ("decode_invalid_numbers", |lua, _, args| {
            at_most(&args, 1)?;
            Ok(vec![flag(lua, &args, |it| &mut it.decode_invalid)?])
        }),
        ("encode_invalid_numbers", encode_invalid_numbers),
    ];
    let table = lua.create_table()?;
    for (name, act) in functions {
        table.raw_set(name, function(lua, running, act)?)?;
    }
    let shared = Rc::clone(running);
    table.raw_set("new", lua.create_function(move |lua, ()| self::table(lua, &shared))?)?;
    table.raw_set("null", LightUserData(std::ptr::null_mut()))?;
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    Ok(table)
}

fn settings(lua: &Lua) -> Settings {
    lua.app_data_ref::<Settings>().map_or_else(Settings::default, |it| *it)
}

fn change<R>(lua: &Lua, act: impl FnOnce(&mut Settings) -> R) -> R {
    let mut settings = settings(lua);
    let result = act(&mut settings);
    lua.set_app_data(settings);
    result
}

fn at_most(args: &MultiValue, most: usize) -> Result<(), Thrown> {
    if args.len() > most {
        return Err(Thrown::Argument(most + 1, String::from("found too many arguments")));
    }
    Ok(())
}

/// Reads, after setting it if there is an argument, a whole number between `least` and `most`.
fn number(
    lua: &Lua,
    args: &MultiValue,
    at: usize,
    least: i32,
    most: i32,
    field: fn(&mut Settings) -> &mut i32,
) -> Result<Value, Thrown> {
    if !matches!(args.get(at - 1), None | Some(Value::Nil)) {
        let value = args::integer(lua, args, at)? as i32;
        if !(least..=most).contains(&value) {
            return Err(Thrown::Argument(1, format!("expected integer between {least} and {most}")));
        }
        change(lua, |it| *field(it) = value);
    }
    Ok(Value::Number(f64::from(change(lua, |it| *field(it)))))
}

/// The index of a word among `options`, or of a boolean.
fn option(args: &MultiValue, options: &[&str]) -> Result<Option<usize>, Thrown> {
    match args.front() {
        None | Some(Value::Nil) => Ok(None),
        Some(Value::Boolean(yes)) => Ok(Some(usize::from(*yes))),
        Some(_) => {
            let word = args::text(args, 1)?;
            let found = options.iter().position(|option| option.as_bytes() == word);
            let unknown = || Thrown::Argument(1, format!("invalid option '{}'", carry::printed(&word)));
            found.ok_or_else(unknown).map(Some)
        }
    }
}

fn flag(lua: &Lua, args: &MultiValue, field: fn(&mut Settings) -> &mut bool) -> Result<Value, Thrown> {
    if let Some(index) = option(args, &["off", "on"])? {
        change(lua, |it| *field(it) = index == 1);
    }
    Ok(Value::Boolean(change(lua, |it| *field(it))))
}

fn encode_invalid_numbers(lua: &Lua, _: &Running, args: MultiValue) -> Ended {
    at_most(&args, 1)?;
    if let Some(index) = option(&args, &["off", "on", "null"])? {
        change(lua, |it| it.encode_invalid = index as u8);
    }
    Ok(vec![match settings(lua).encode_invalid {
        2 => Value::String(lua.create_string("null")?),
        on => Value::Boolean(on == 1),
    }])
}

fn only(args: &MultiValue) -> Result<&Value, Thrown> {
    match args.len() {
        1 => Ok(&args[0]),
        _ => Err(Thrown::Argument(1, String::from("expected 1 argument"))),
    }
}

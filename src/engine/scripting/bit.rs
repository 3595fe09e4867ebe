//! The library `bit`: operations on the low 32 bits of numbers, as Lua BitOp defines them.

use super::api::{Ended, Native, Thrown, function};
use super::args;
use super::running::Running;
use mlua::{Lua, MultiValue, Table, Value};
use std::rc::Rc;

pub fn table(lua: &Lua, running: &Rc<Running>) -> mlua::Result<Table> {
    let functions: [(&str, Native); 12] = [
        ("tobit", |lua, _, args| answer(bits(lua, &args, 1)?)),
        ("bnot", |lua, _, args| answer(!bits(lua, &args, 1)?)),
        ("band", |lua, _, args| fold(lua, &args, |a, b| a & b)),
        ("bor", |lua, _, args| fold(lua, &args, |a, b| a | b)),
        ("bxor", |lua, _, args| fold(lua, &args, |a, b| a ^ b)),
        ("lshift", |lua, _, args| shift(lua, &args, |bits, by| bits << by)),
        ("rshift", |lua, _, args| shift(lua, &args, |bits, by| bits >> by)),
        ("arshift", |lua, _, args| shift(lua, &args, |bits, by| (bits as i32 >> by) as u32)),
        ("rol", |lua, _, args| shift(lua, &args, u32::rotate_left)),
        ("ror", |lua, _, args| shift(lua, &args, u32::rotate_right)),
        ("bswap", |lua, _, args| answer(bits(lua, &args, 1)?.swap_bytes())),
        ("tohex", tohex),
    ];
    let table = lua.create_table()?;
    for (name, act) in functions {
        table.raw_set(name, function(lua, running, act)?)?;
    }
    Ok(table)
}

/// An argument's bits: rounded to a whole number and cut to 32 bits by the sum with 2^52 + 2^51.
fn bits(lua: &Lua, args: &MultiValue, at: usize) -> Result<u32, Thrown> {
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    let number = args::number(lua, args, at)?;
    Ok((number + MAGIC).to_bits() as u32)
}

fn answer(bits: u32) -> Ended {
    Ok(vec![Value::Number(f64::from(bits as i32))])
}

fn fold(lua: &Lua, args: &MultiValue, combine: fn(u32, u32) -> u32) -> Ended {
    let mut result = bits(lua, args, 1)?;
    for at in (2..=args.len()).rev() {
        result = combine(result, bits(lua, args, at)?);
    }
    answer(result)
}

fn shift(lua: &Lua, args: &MultiValue, act: fn(u32, u32) -> u32) -> Ended {
    let (value, by) = (bits(lua, args, 1)?, bits(lua, args, 2)? & 31);
    answer(act(value, by))
}

fn tohex(lua: &Lua, _: &Running, args: MultiValue) -> Ended {
    let value = bits(lua, &args, 1)?;
    let wanted = if args.len() < 2 { 8 } else { bits(lua, &args, 2)? as i32 };
    let text = if wanted < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
    let digits = wanted.unsigned_abs().min(8) as usize;
    Ok(vec![Value::String(lua.create_string(&text[8 - digits..])?)])
}

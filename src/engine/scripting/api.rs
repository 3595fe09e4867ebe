//! The table `redis`, and what Redis put into Lua's own tables.

use super::args::{self, number_of};
use super::machine::Registered;
use super::rand::Rand48;
use super::running::Running;
use super::script::ScriptFlags;
use super::{busy, call, convert, raw, script};
use crate::base::Bytes;
use crate::engine::{Output, VERSION};
use crate::resp::Protocol;
use mlua::{Function, Lua, MultiValue, Table, Value};
use std::rc::Rc;

/// How a function of the API ends: with results, or by throwing.
pub type Ended = Result<Vec<Value>, Thrown>;

/// A function that scripts call.
pub type Native = fn(&Lua, &Running, MultiValue) -> Ended;

#[derive(Debug)]
pub enum Thrown {
    /// A value as it is.
    Value(Value),
    /// An error table with this line (`luaPushError`, `luaError`).
    Line(String),
    /// Text with the place of the call before it (`luaL_error`).
    Placed(String),
    /// What is wrong with an argument (`luaL_argerror`).
    Argument(usize, String),
    /// The interpreter itself failed.
    Lua(mlua::Error),
}

impl From<mlua::Error> for Thrown {
    fn from(error: mlua::Error) -> Thrown {
        Thrown::Lua(error)
    }
}

/// A function of Lua that is written in Rust.
pub fn function(
    lua: &Lua,
    running: &Rc<Running>,
    act: fn(&Lua, &Running, MultiValue) -> Ended,
) -> mlua::Result<Function> {
    let shared = Rc::clone(running);
    let inner = lua.create_function(move |lua, args: MultiValue| ended(lua, act(lua, &shared, args)))?;
    let shared = Rc::clone(running);
    let packed = lua.create_function(move |lua, (table, count): (Table, usize)| {
        let args: mlua::Result<Vec<Value>> = (1..=count).map(|at| table.raw_get(at)).collect();
        ended(lua, act(lua, &shared, MultiValue::from_vec(args?)))
    })?;
    raw::relay(lua, inner, packed)
}

/// How a function ended, as `raw::relay` wants to be told.
fn ended(lua: &Lua, ended: Ended) -> mlua::Result<MultiValue> {
    let (how, what) = match ended {
        Ok(values) => {
            let mut results = MultiValue::from_vec(values);
            results.push_front(Value::Nil);
            return Ok(results);
        }
        Err(Thrown::Value(value)) => (Value::Boolean(false), value),
        Err(Thrown::Line(line)) => (Value::Boolean(false), Value::Table(convert::error_table(lua, &line, false)?)),
        Err(Thrown::Placed(text)) => (Value::Boolean(true), Value::String(lua.create_string(text)?)),
        Err(Thrown::Argument(at, text)) => (Value::Number(at as f64), Value::String(lua.create_string(text)?)),
        Err(Thrown::Lua(error)) => return Err(error),
    };
    Ok(MultiValue::from_vec(vec![how, what]))
}

/// `redis` as EVAL sees it.
pub fn eval_table(lua: &Lua, running: &Rc<Running>) -> mlua::Result<Table> {
    let table = common_table(lua, running)?;
    table.raw_set("breakpoint", function(lua, running, |_, _, _| Ok(vec![Value::Boolean(false)]))?)?;
    table.raw_set("debug", function(lua, running, |_, _, _| Ok(Vec::new()))?)?;
    table.raw_set("replicate_commands", function(lua, running, |_, _, _| Ok(vec![Value::Boolean(true)]))?)?;
    Ok(table)
}

/// `redis` as scripts and functions see it.
pub fn common_table(lua: &Lua, running: &Rc<Running>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let functions: [(&str, Native); 9] = [
        ("call", |lua, running, args| call::from_script(lua, running, args, true)),
        ("pcall", |lua, running, args| call::from_script(lua, running, args, false)),
        ("log", log),
        ("setresp", setresp),
        ("sha1hex", sha1hex),
        ("error_reply", error_reply),
        ("status_reply", status_reply),
        ("set_repl", set_repl),
        ("acl_check_cmd", call::acl_check_cmd),
    ];
    for (name, act) in functions {
        table.raw_set(name, function(lua, running, act)?)?;
    }
    for (name, value) in [("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", 2), ("REPL_REPLICA", 2), ("REPL_ALL", 3)] {
        table.raw_set(name, value)?;
    }
    log_levels_and_version(&table)?;
    Ok(table)
}

pub fn log_levels_and_version(table: &Table) -> mlua::Result<()> {
    for (level, name) in ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"].into_iter().enumerate() {
        table.raw_set(name, level)?;
    }
    let number = VERSION.split('.').fold(0, |number, part| number << 8 | part.parse::<u32>().unwrap_or(0));
    table.raw_set("REDIS_VERSION_NUM", number)?;
    table.raw_set("REDIS_VERSION", VERSION)
}

/// What the code of a library finds while it is loaded: `redis`, and in it little more than `register_function`.
pub fn loading_globals(lua: &Lua, running: &Rc<Running>) -> mlua::Result<Table> {
    let redis = lua.create_table()?;
    redis.raw_set("register_function", function(lua, running, register_function)?)?;
    redis.raw_set("log", function(lua, running, log)?)?;
    log_levels_and_version(&redis)?;
    redis.set_metatable(Some(unknown_global(lua)?))?;
    let globals = lua.create_table()?;
    globals.raw_set("redis", raw::veil(lua, &redis)?)?;
    globals.set_metatable(Some(unknown_global(lua)?))?;
    Ok(globals)
}

fn register_function(_: &Lua, running: &Running, args: MultiValue) -> Ended {
    let fault = |text: &str| Thrown::Line(format!("ERR {text}"));
    if !running.is_loading() {
        return Err(fault("redis.register_function can only be called on FUNCTION LOAD command"));
    }
    let function = match args.len() {
        1 => named_arguments(&args[0]),
        2 => positional_arguments(&args[0], &args[1]),
        _ => Err("wrong number of arguments to redis.register_function"),
    };
    running.register(function.map_err(fault)?).map_err(|text| fault(&text))?;
    Ok(Vec::new())
}

fn bytes(value: &Value) -> Option<Bytes> {
    match value {
        Value::String(text) => Some(Bytes::copy(&text.as_bytes())),
        value => convert::text(value).map(Bytes::from),
    }
}

fn positional_arguments(name: &Value, callback: &Value) -> Result<Registered, &'static str> {
    let name = bytes(name).ok_or("first argument to redis.register_function must be a string")?;
    let Value::Function(callback) = callback.clone() else {
        return Err("second argument to redis.register_function must be a function");
    };
    Ok(Registered { name, description: None, flags: ScriptFlags::default(), callback })
}

fn named_arguments(table: &Value) -> Result<Registered, &'static str> {
    let Value::Table(table) = table else {
        return Err(
            "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).",
        );
    };
    let (mut name, mut description, mut callback, mut flags) = (None, None, None, ScriptFlags::default());
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|_| "unknown argument given to redis.register_function")?;
        let key = bytes(&key).ok_or("named argument key given to redis.register_function is not a string")?;
        let is = |word: &str| key.eq_ignore_ascii_case(word.as_bytes());
        if is("function_name") {
            let text = bytes(&value);
            name = Some(text.ok_or("function_name argument given to redis.register_function must be a string")?);
        } else if is("description") {
            let text = bytes(&value);
            description = Some(text.ok_or("description argument given to redis.register_function must be a string")?);
        } else if is("callback") {
            let Value::Function(function) = value else {
                return Err("callback argument given to redis.register_function must be a function");
            };
            callback = Some(function);
        } else if is("flags") {
            let Value::Table(list) = value else {
                return Err("flags argument to redis.register_function must be a table representing function flags");
            };
            flags = function_flags(&list).ok_or("unknown flag given")?;
        } else {
            return Err("unknown argument given to redis.register_function");
        }
    }
    let name = name.ok_or("redis.register_function must get a function name argument")?;
    let callback = callback.ok_or("redis.register_function must get a callback argument")?;
    Ok(Registered { name, description, flags, callback })
}

fn function_flags(list: &Table) -> Option<ScriptFlags> {
    let mut flags = ScriptFlags::default();
    for index in 1.. {
        match list.get::<Value>(index).ok()? {
            Value::Nil => break,
            value => flags = flags.with(ScriptFlags::named(&bytes(&value)?.to_ascii_lowercase())?),
        }
    }
    Some(flags)
}

/// The metatable of globals: a name that is not there is an error, not nil.
pub fn unknown_global(lua: &Lua) -> mlua::Result<Table> {
    let meta = lua.create_table()?;
    let inner = lua.create_function(|lua, (_, name): (Value, Value)| {
        let text = match convert::text(&name) {
            Some(name) => format!("Script attempted to access nonexistent global variable '{name}'"),
            None => String::from("Second argument to luaProtectedTableError must be a string or number"),
        };
        Ok((true, lua.create_string(text)?))
    })?;
    meta.raw_set("__index", raw::relay(lua, inner.clone(), inner)?)?;
    Ok(meta)
}

/// Lua's `math` with Redis' own generator.
pub fn math_table(lua: &Lua, running: &Rc<Running>, math: &Table) -> mlua::Result<Table> {
    math.raw_set("random", function(lua, running, random)?)?;
    math.raw_set("randomseed", function(lua, running, randomseed)?)?;
    Ok(math.clone())
}

/// Asked every 100,000 instructions: nil to go on, or the error that ends the script.
pub fn may_go_on(lua: &Lua, running: &Rc<Running>) -> mlua::Result<Function> {
    let running = Rc::clone(running);
    lua.create_function(move |lua, ()| {
        let rounds = running.rounds.get() + 1;
        running.rounds.set(rounds);
        let line = if running.is_loading() {
            let began_us = running.began_us.get();
            let late = running.with(|call| busy::loads_too_long(Some((call, began_us)), rounds));
            let late = late.unwrap_or_else(|| busy::loads_too_long(None, rounds));
            late.then_some("ERR FUNCTION LOAD timeout")
        } else {
            let ends = running.with(|call| busy::must_end(call, rounds)).unwrap_or(false);
            ends.then_some(busy::KILLED)
        };
        line.map(|line| convert::error_table(lua, line, false)).transpose()
    })
}

/// luaL_checkint: the number, cut to 32 bits.
fn check_int(lua: &Lua, args: &MultiValue, at: usize) -> Result<i32, Thrown> {
    args::integer(lua, args, at).map(|n| n as i32)
}

fn random(lua: &Lua, running: &Running, args: MultiValue) -> Ended {
    let r = running.with(|call| call.server.scripting.rand.unit()).unwrap_or(0.0);
    let result = match args.len() {
        0 => r,
        1 => {
            let most = check_int(lua, &args, 1)?;
            if most < 1 {
                return Err(Thrown::Argument(1, String::from("interval is empty")));
            }
            (r * f64::from(most)).floor() + 1.0
        }
        2 => {
            let (least, most) = (check_int(lua, &args, 1)?, check_int(lua, &args, 2)?);
            if least > most {
                return Err(Thrown::Argument(2, String::from("interval is empty")));
            }
            (r * f64::from(most.wrapping_sub(least).wrapping_add(1))).floor() + f64::from(least)
        }
        _ => return Err(Thrown::Placed(String::from("wrong number of arguments"))),
    };
    Ok(vec![Value::Number(result)])
}

fn randomseed(lua: &Lua, running: &Running, args: MultiValue) -> Ended {
    let seed = check_int(lua, &args, 1)?;
    running.with(|call| call.server.scripting.rand = Rand48::seeded(seed));
    Ok(Vec::new())
}

pub fn log(lua: &Lua, running: &Running, args: MultiValue) -> Ended {
    let line = |text: &str| Thrown::Line(text.to_owned());
    if args.len() < 2 {
        return Err(line("ERR redis.log() requires two arguments or more."));
    }
    let level = number_of(lua, &args[0]).ok_or_else(|| line("ERR First argument must be a number (log level)."))?;
    let level = convert::truncated(level);
    if !(0..=3).contains(&level) {
        return Err(line("ERR Invalid debug level."));
    }
    let words: Vec<String> = args.iter().skip(1).filter_map(convert::text).collect();
    running.with(|call| {
        let wanted = call.server.config.text("loglevel").lossy().into_owned();
        let least = ["debug", "verbose", "notice", "warning"].iter().position(|name| *name == wanted).unwrap_or(2);
        if level as usize >= least {
            let mark = [".", "-", "*", "#"][level as usize];
            call.out.push(Output::Log(format!("{mark} {}", words.join(" "))));
        }
    });
    Ok(Vec::new())
}

fn setresp(lua: &Lua, running: &Running, args: MultiValue) -> Ended {
    if args.len() != 1 {
        return Err(Thrown::Line(String::from("ERR redis.setresp() requires one argument.")));
    }
    let protocol = match number_of(lua, &args[0]).map(convert::truncated) {
        Some(2) => Protocol::Resp2,
        Some(3) => Protocol::Resp3,
        _ => return Err(Thrown::Line(String::from("ERR RESP version must be 2 or 3."))),
    };
    running.with(|call| {
        if let Some(active) = &mut call.server.scripting.active {
            active.protocol = protocol;
        }
    });
    Ok(Vec::new())
}

fn sha1hex(lua: &Lua, _: &Running, args: MultiValue) -> Ended {
    let [value] = args.iter().collect::<Vec<_>>()[..] else {
        return Err(Thrown::Line(String::from("ERR wrong number of arguments")));
    };
    let text = lua.coerce_string(value.clone())?;
    let sha = script::sha_of(&text.map_or_else(Vec::new, |text| text.as_bytes().to_vec()));
    Ok(vec![Value::String(lua.create_string(sha)?)])
}

/// The one argument, if it is one and text. Else what is returned, not thrown.
fn only_text(lua: &Lua, args: &MultiValue) -> Result<mlua::LuaString, Ended> {
    match args.iter().collect::<Vec<_>>()[..] {
        [Value::String(text)] => Ok(text.clone()),
        _ => Err(convert::error_table(lua, "ERR wrong number or type of arguments", false)
            .map(|table| vec![Value::Table(table)])
            .map_err(Thrown::Lua)),
    }
}

fn error_reply(lua: &Lua, _: &Running, args: MultiValue) -> Ended {
    let text = match only_text(lua, &args) {
        Ok(text) => text,
        Err(ended) => return ended,
    };
    let text = text.as_bytes().to_vec();
    let dashed = if text.first() == Some(&b'-') { text } else { [b"-".as_slice(), &text].concat() };
    let table = lua.create_table()?;
    table.raw_set("err", lua.create_string(convert::error_line(&dashed))?)?;
    Ok(vec![Value::Table(table)])
}

fn status_reply(lua: &Lua, _: &Running, args: MultiValue) -> Ended {
    let text = match only_text(lua, &args) {
        Ok(text) => text,
        Err(ended) => return ended,
    };
    let table = lua.create_table()?;
    table.raw_set("ok", text)?;
    Ok(vec![Value::Table(table)])
}

fn set_repl(lua: &Lua, running: &Running, args: MultiValue) -> Ended {
    if args.len() != 1 {
        return Err(Thrown::Line(String::from("ERR redis.set_repl() requires one argument.")));
    }
    let flags = number_of(lua, &args[0]).map_or(0, convert::truncated);
    if !(0..=3).contains(&flags) {
        let text = "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
        return Err(Thrown::Line(String::from(text)));
    }
    running.with(|call| {
        if let Some(active) = &mut call.server.scripting.active {
            active.repl = flags as u8;
        }
    });
    Ok(Vec::new())
}

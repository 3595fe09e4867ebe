//! The interpreter: what scripts find in it, and how one is compiled and run.
//!
//! Globals are those of Redis' allow list, behind a veil: nothing that a script does stays for the next one, but for what
//! Redis lets stay (`KEYS` and `ARGV` of the last run, cjson's settings, the metatable of strings).

use super::raw;
use super::running::Running;
use super::script::Script;
use super::{Sha, api};
use crate::base::Bytes;
use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value};
use std::collections::BTreeMap;
use std::rc::Rc;

/// How much a script may hold, in bytes, where a process is not only a server: in the lab.
const LAB_MEMORY: usize = 64 << 20;
const SERVER_MEMORY: usize = 4 << 30;

pub struct Machine {
    pub lua: Lua,
    pub running: Rc<Running>,
    handler: Function,
    /// The globals of EVAL behind their veil, and what is behind it.
    eval: Table,
    eval_globals: Table,
    compiled: BTreeMap<Sha, Function>,
    memory_limit: usize,
}

/// Globals that come from Lua's own base library.
const BASE: [&str; 19] = [
    "xpcall",
    "tostring",
    "getfenv",
    "assert",
    "tonumber",
    "rawequal",
    "collectgarbage",
    "type",
    "select",
    "unpack",
    "gcinfo",
    "ipairs",
    "_VERSION",
    "setfenv",
    "error",
    "newproxy",
    "string",
    "table",
    "coroutine",
];

impl Machine {
    pub fn new(for_server: bool) -> mlua::Result<Machine> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(false))?;
        let memory_limit = if for_server { SERVER_MEMORY } else { LAB_MEMORY };
        lua.set_memory_limit(memory_limit)?;
        let running = Rc::new(Running::default());
        let common = common_globals(&lua, &running)?;
        let eval_globals = copy(&lua, &common)?;
        let redis = api::eval_table(&lua, &running)?;
        let (eval, eval_globals) = sealed(&lua, eval_globals, redis)?;
        let handler = raw::error_handler(&lua)?;
        lua.set_named_registry_value(raw::MAY_GO_ON, api::may_go_on(&lua, &running)?)?;
        Ok(Machine { lua, running, handler, eval, eval_globals, compiled: BTreeMap::new(), memory_limit })
    }

    /// The script as a function, compiled if this interpreter has not seen it. Err: in Lua's words.
    pub fn compiled(&mut self, sha: &Sha, script: &Script) -> Result<Function, String> {
        if let Some(function) = self.compiled.get(sha) {
            return Ok(function.clone());
        }
        let function = self.compile(script.source(), "@user_script", &self.eval)?;
        self.compiled.insert(*sha, function.clone());
        Ok(function)
    }

    fn compile(&self, source: &[u8], name: &str, env: &Table) -> Result<Function, String> {
        // Byte code is read as text, and refused as such: see `raw::compile`.
        let blank = if source.starts_with(b"\x1b") { b" ".as_slice() } else { b"" };
        let text = [blank, source].concat();
        let chunk = self.lua.load(text).set_name(name).set_mode(ChunkMode::Text).set_environment(env.clone());
        chunk.into_function().map_err(|error| match error {
            mlua::Error::SyntaxError { message, .. } => message,
            error => error.to_string(),
        })
    }

    /// Runs a script of EVAL. The value it returned; or false and its error.
    pub fn eval(&self, script: &Function, keys: &[Bytes], args: &[Bytes]) -> mlua::Result<(bool, Value)> {
        self.eval_globals.raw_set("KEYS", self.array(keys)?)?;
        self.eval_globals.raw_set("ARGV", self.array(args)?)?;
        raw::run(&self.lua, &self.eval, &self.handler, script, &[])
    }

    /// Whether a script has come to the end of its memory.
    pub fn exhausted(&self) -> bool {
        self.lua.used_memory() > self.memory_limit / 2
    }

    fn array(&self, items: &[Bytes]) -> mlua::Result<Table> {
        let table = self.lua.create_table_with_capacity(items.len(), 0)?;
        for item in items {
            table.raw_push(self.lua.create_string(item)?)?;
        }
        Ok(table)
    }
}

/// What EVAL and functions have in common.
fn common_globals(lua: &Lua, running: &Rc<Running>) -> mlua::Result<Table> {
    let base = lua.globals();
    let globals = lua.create_table()?;
    for name in BASE {
        globals.raw_set(name, base.raw_get::<Value>(name)?)?;
    }
    for (name, function) in raw::base_functions(lua)? {
        globals.raw_set(name, function)?;
    }
    base.raw_get::<Table>("table")?.raw_set("insert", raw::table_insert(lua)?)?;
    globals.raw_set("math", api::math_table(lua, running, &base.raw_get::<Table>("math")?)?)?;
    for name in ["string", "table", "coroutine", "math"] {
        globals.raw_set(name, raw::veil(lua, &globals.raw_get(name)?)?)?;
    }
    // What a script reaches by ("").format must be behind the veil too.
    if let Some(strings) = lua.type_metatable::<mlua::LuaString>() {
        strings.raw_set("__index", globals.raw_get::<Table>("string")?)?;
    }
    Ok(globals)
}

fn copy(lua: &Lua, table: &Table) -> mlua::Result<Table> {
    let copy = lua.create_table()?;
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        copy.raw_set(key, value)?;
    }
    Ok(copy)
}

/// Globals with `redis` among them behind their veil; unknown names are errors. Gives the veil and what it hides.
fn sealed(lua: &Lua, globals: Table, redis: Table) -> mlua::Result<(Table, Table)> {
    globals.raw_set("redis", raw::veil(lua, &redis)?)?;
    globals.set_metatable(Some(api::unknown_global(lua)?))?;
    let veil = raw::veil(lua, &globals)?;
    globals.raw_set("_G", &veil)?;
    Ok((veil, globals))
}

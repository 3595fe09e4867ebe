//! The interpreter: what scripts find in it, and how one is compiled and run.
//!
//! Globals are those of Redis' allow list, behind a veil: nothing that a script does stays for the next one, but for what
//! Redis lets stay (`KEYS` and `ARGV` of the last run, cjson's settings, the metatable of strings).

use super::library::Library;
use super::raw;
use super::running::Running;
use super::script::{Script, ScriptFlags};
use super::{Sha, api, bit, cjson, cmsgpack, convert, structs};
use crate::base::{Bytes, carry};
use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// How much a script may hold, in bytes, where a process is not only a server: in the lab.
const LAB_MEMORY: usize = 64 << 20;
const SERVER_MEMORY: usize = 4 << 30;

/// What `redis.register_function` was given.
pub struct Registered {
    pub name: Bytes,
    pub description: Option<Bytes>,
    pub flags: ScriptFlags,
    pub callback: Function,
}

pub struct Machine {
    pub lua: Lua,
    pub running: Rc<Running>,
    handler: Function,
    /// The globals of EVAL behind their veil, and what is behind it.
    eval: Table,
    eval_globals: Table,
    compiled: BTreeMap<Sha, Function>,
    /// The globals of functions: an empty table that reads as `while_loading` or as `function_globals`.
    functions: Table,
    function_globals: Table,
    while_loading: Table,
    /// Libraries that have been loaded into this interpreter.
    loaded: BTreeMap<Bytes, (Arc<Library>, BTreeMap<Bytes, Function>)>,
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
        let redis = api::common_table(&lua, &running)?;
        let (_, function_globals) = sealed(&lua, common, redis)?;
        let while_loading = api::loading_globals(&lua, &running)?;
        let functions = raw::veil(&lua, &lua.create_table()?)?;
        let handler = raw::error_handler(&lua)?;
        lua.set_named_registry_value(raw::MAY_GO_ON, api::may_go_on(&lua, &running)?)?;
        let (compiled, loaded) = (BTreeMap::new(), BTreeMap::new());
        let machine = Machine {
            lua,
            running,
            handler,
            eval,
            eval_globals,
            compiled,
            functions,
            function_globals,
            while_loading,
            loaded,
            memory_limit,
        };
        machine.functions_read(&machine.function_globals)?;
        Ok(machine)
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
        raw::run(&self.lua, &self.eval, Some(&self.handler), script, &[])
    }

    /// Lets the globals of functions read as `globals`.
    fn functions_read(&self, globals: &Table) -> mlua::Result<()> {
        let meta = self.functions.metatable().expect("a veil has one");
        meta.raw_set("__index", globals)
    }

    /// Runs the code of a library and gives what it registered. Err: in Redis' words.
    pub fn register(&mut self, code: &[u8]) -> Result<Vec<Registered>, String> {
        let compiled = self.compile(code, "@user_function", &self.functions);
        let function = compiled.map_err(|text| format!("Error compiling function: {text}"))?;
        let failed = |error: mlua::Error| format!("Error registering functions: {error}");
        self.functions_read(&self.while_loading).map_err(failed)?;
        self.running.begin_loading();
        let ended = raw::run(&self.lua, &self.functions, None, &function, &[]);
        let registered = self.running.end_loading();
        self.functions_read(&self.function_globals).map_err(failed)?;
        match ended.map_err(failed)? {
            (true, _) => Ok(registered),
            (false, error) => {
                let text = match &error {
                    Value::Table(table) => convert::text(&table.get::<Value>("err").unwrap_or(Value::Nil)),
                    Value::String(text) => Some(format!("ERR {}", carry::text(&text.as_bytes()))),
                    _ => None,
                };
                Err(format!("Error registering functions: {}", text.unwrap_or_default()))
            }
        }
    }

    pub fn keep(&mut self, library: &Arc<Library>, registered: Vec<Registered>) {
        let functions = registered.into_iter().map(|it| (it.name, it.callback)).collect();
        self.loaded.insert(library.name.clone(), (Arc::clone(library), functions));
    }

    pub fn forget(&mut self, library: &[u8]) {
        self.loaded.remove(library);
    }

    /// A function's body, its library loaded if this interpreter has not seen it. Err: in Redis' words.
    pub fn function(&mut self, library: &Arc<Library>, name: &[u8]) -> Result<Function, String> {
        if !self.loaded.get(&library.name).is_some_and(|(it, _)| Arc::ptr_eq(it, library)) {
            let registered = self.register(&library.code[library.code_start()..])?;
            self.keep(library, registered);
        }
        let function = self.loaded.get(&library.name).and_then(|(_, functions)| functions.get(name));
        function.cloned().ok_or_else(|| String::from("Function not found"))
    }

    /// Calls a function. The value it returned; or false and its error.
    pub fn call(&self, function: &Function, keys: &[Bytes], args: &[Bytes]) -> mlua::Result<(bool, Value)> {
        let (keys, args) = (self.array(keys)?, self.array(args)?);
        raw::run(&self.lua, &self.functions, Some(&self.handler), function, &[&keys, &args])
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
    globals.raw_set("cjson", cjson::table(lua, running)?)?;
    globals.raw_set("cmsgpack", cmsgpack::table(lua, running)?)?;
    globals.raw_set("bit", bit::table(lua, running)?)?;
    globals.raw_set("struct", structs::table(lua, running)?)?;
    for name in ["string", "table", "coroutine", "math", "cjson", "cmsgpack", "bit", "struct"] {
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

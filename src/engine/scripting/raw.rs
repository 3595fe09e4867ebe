//! The few functions that need Lua's C interface: what Redis changed in Lua itself, and errors that are not text.
//!
//! Redis patched a read-only mark into Lua's tables. Ours is a *veil*: an empty table whose metatable leads readers to the
//! real one and refuses writers; the base functions that look behind metatables (`next`, `rawget`, `setmetatable` ...) are
//! replaced by ones that know veils. `relay` lets a function written in Rust throw any Lua value. This is the only file with
//! `unsafe`: functions in it that Lua may leave by a jump own nothing that would have to be dropped.

use mlua::ffi::{self, lua_State};
use mlua::{Function, LightUserData, Lua, Result, Table, Value};
use std::ffi::{CStr, c_int};
use std::ptr;

/// Instructions between two questions to `Machine` whether a script may go on, as in Redis.
pub const PATIENCE: c_int = 100_000;
/// Where the function that is asked stands in Lua's registry.
pub const MAY_GO_ON: &str = "redlab.may_go_on";
const READ_ONLY: &CStr = c"Attempt to modify a readonly table";

/// Its address marks a veil's metatable: no script can make such a key.
static VEIL: u8 = 0;

fn veil_key() -> *mut std::ffi::c_void {
    (&raw const VEIL).cast_mut().cast()
}

/// A table that reads as `real` does and that no script can change. `getmetatable` shows `real`'s metatable, veiled too.
pub fn veil(lua: &Lua, real: &Table) -> Result<Table> {
    let meta = lua.create_table_with_capacity(1, 3)?;
    meta.raw_set(LightUserData(veil_key()), real)?;
    if let Some(shown) = real.metatable() {
        meta.raw_set(1, veil(lua, &shown)?)?;
    }
    meta.raw_set("__index", real)?;
    // SAFETY: `refuse_write` keeps to the rules of a C function.
    meta.raw_set("__newindex", unsafe { lua.create_c_function(refuse_write)? })?;
    let veil = lua.create_table()?;
    veil.set_metatable(Some(meta))?;
    Ok(veil)
}

/// The base functions that see behind metatables, as replacements that know veils; `pcall` as Redis changed it; `load` and
/// `loadstring` without byte code.
pub fn base_functions(lua: &Lua) -> Result<Vec<(&'static str, Function)>> {
    let all: [(&str, ffi::lua_CFunction); 9] = [
        ("next", next),
        ("pairs", pairs),
        ("rawget", rawget),
        ("rawset", rawset),
        ("getmetatable", getmetatable),
        ("setmetatable", setmetatable),
        ("pcall", pcall),
        ("load", load),
        ("loadstring", loadstring),
    ];
    // SAFETY: each keeps to the rules of a C function.
    all.into_iter().map(|(name, function)| Ok((name, unsafe { lua.create_c_function(function)? }))).collect()
}

/// `table.insert`, which writes without asking a metatable.
pub fn table_insert(lua: &Lua) -> Result<Function> {
    // SAFETY: it keeps to the rules of a C function.
    unsafe { lua.create_c_function(insert) }
}

/// The function that makes a table of an error, with where it happened (`__redis__err__handler`).
pub fn error_handler(lua: &Lua) -> Result<Function> {
    // SAFETY: it keeps to the rules of a C function.
    unsafe { lua.create_c_function(explain_error) }
}

/// A function of Lua that calls `inner` and throws what it says. `inner`'s first result says how: nil, it did not fail, and
/// the other results are the function's; false, the second result is thrown as it is; true, with the place of the call before
/// it (luaL_error); a number, as the fault of that argument (luaL_argerror).
///
/// A function of C has room for 8,000 values, and the arguments would stand there twice: many of them are given to `packed`
/// instead, as a table and their number.
pub fn relay(lua: &Lua, inner: Function, packed: Function) -> Result<Function> {
    // SAFETY: the stack holds both functions, which become the closure's upvalues.
    unsafe { lua.exec_raw((inner, packed), |state| ffi::lua_pushcclosure(state, relayed, 2)) }
}

/// More arguments than this are packed.
const MANY: c_int = 200;

/// Calls `function` with `env` as the global table and a look at the clock now and then. The result; or false and what was
/// thrown, as `handler` made it of that.
pub fn run(
    lua: &Lua,
    env: &Table,
    handler: Option<&Function>,
    function: &Function,
    args: &[&Table],
) -> Result<(bool, Value)> {
    let handler_index = if handler.is_some() { 2 } else { 0 };
    let count = args.len() as c_int;
    let mut words = mlua::MultiValue::with_capacity(3 + args.len());
    words.push_back(Value::Table(env.clone()));
    words.push_back(handler.map_or(Value::Nil, |handler| Value::Function(handler.clone())));
    words.push_back(Value::Function(function.clone()));
    args.iter().for_each(|table| words.push_back(Value::Table((*table).clone())));
    // SAFETY: the indices are those of the values just given; nothing here needs to be dropped.
    unsafe {
        lua.exec_raw(words, |state| {
            ffi::lua_pushvalue(state, 1);
            ffi::lua_replace(state, ffi::LUA_GLOBALSINDEX);
            ffi::lua_sethook(state, Some(ask), ffi::LUA_MASKCOUNT, PATIENCE);
            let status = ffi::lua_pcall(state, count, 1, handler_index);
            ffi::lua_sethook(state, None, 0, 0);
            ffi::lua_pushboolean(state, c_int::from(status == ffi::LUA_OK));
            ffi::lua_replace(state, 1);
            ffi::lua_remove(state, 2);
        })
    }
}

unsafe extern "C-unwind" fn relayed(state: *mut lua_State) -> c_int {
    unsafe {
        let mut count = ffi::lua_gettop(state);
        if count > MANY {
            ffi::lua_createtable(state, count, 0);
            ffi::lua_insert(state, 1);
            for at in (1..=count).rev() {
                ffi::lua_rawseti_(state, 1, at);
            }
            ffi::lua_pushnumber(state, f64::from(count));
            ffi::lua_pushvalue(state, ffi::lua_upvalueindex(2));
            count = 2;
        } else {
            ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        }
        ffi::lua_insert(state, 1);
        ffi::lua_call(state, count, ffi::LUA_MULTRET);
        match ffi::lua_type(state, 1) {
            ffi::LUA_TNIL => {
                ffi::lua_remove(state, 1);
                ffi::lua_gettop(state)
            }
            ffi::LUA_TNUMBER => {
                let argument = ffi::lua_tonumber(state, 1) as c_int;
                ffi::luaL_argerror(state, argument, ffi::lua_tostring(state, 2))
            }
            _ => {
                ffi::lua_settop(state, 2);
                if ffi::lua_toboolean(state, 1) != 0 {
                    ffi::luaL_where(state, 1);
                    ffi::lua_insert(state, 2);
                    ffi::lua_concat(state, 2);
                }
                ffi::lua_error(state)
            }
        }
    }
}

unsafe extern "C-unwind" fn ask(state: *mut lua_State, _: *mut ffi::lua_Debug) {
    unsafe {
        ffi::lua_getfield(state, ffi::LUA_REGISTRYINDEX, c"redlab.may_go_on".as_ptr());
        ffi::lua_call(state, 0, 1);
        if ffi::lua_type(state, -1) == ffi::LUA_TTABLE {
            // From now on at every line, so that a script that catches the error is ended all the same.
            ffi::lua_sethook(state, Some(ask), ffi::LUA_MASKLINE, 0);
            ffi::lua_error(state)
        }
        ffi::lua_settop(state, -2);
    }
}

unsafe extern "C-unwind" fn explain_error(state: *mut lua_State) -> c_int {
    unsafe {
        let mut place: ffi::lua_Debug = std::mem::zeroed();
        let mut known = ffi::lua_getstack(state, 1, &raw mut place) != 0;
        if known {
            ffi::lua_getinfo(state, c"Sl".as_ptr(), &raw mut place);
            // Of a function that is not written in Lua the place that called it is told.
            if *place.what.cast::<u8>() == b'C' {
                known = ffi::lua_getstack(state, 2, &raw mut place) != 0;
                if known {
                    ffi::lua_getinfo(state, c"Sl".as_ptr(), &raw mut place);
                }
            }
        }
        if ffi::lua_type(state, 1) != ffi::LUA_TTABLE {
            ffi::lua_createtable(state, 0, 3);
            ffi::lua_pushliteral(state, c"ERR ");
            if ffi::lua_isstring(state, 1) != 0 {
                ffi::lua_pushvalue(state, 1);
            } else {
                ffi::luaL_tolstring(state, 1, ptr::null_mut());
            }
            ffi::lua_concat(state, 2);
            ffi::lua_setfield(state, -2, c"err".as_ptr());
            ffi::lua_replace(state, 1);
        }
        if known {
            ffi::lua_pushstring(state, place.source);
            ffi::lua_setfield(state, 1, c"source".as_ptr());
            ffi::lua_pushnumber(state, f64::from(place.currentline));
            ffi::lua_setfield(state, 1, c"line".as_ptr());
        }
        ffi::lua_settop(state, 1);
        1
    }
}

unsafe extern "C-unwind" fn refuse_write(state: *mut lua_State) -> c_int {
    unsafe { ffi::luaL_error(state, READ_ONLY.as_ptr()) }
}

/// As `refuse_write`, without the place: what functions that are not written in Lua say.
unsafe fn refuse(state: *mut lua_State) -> ! {
    unsafe {
        ffi::lua_pushliteral(state, READ_ONLY);
        ffi::lua_error(state)
    }
}

/// Whether there is a veil at `index`; if so, what it hides is pushed.
unsafe fn lift(state: *mut lua_State, index: c_int) -> bool {
    unsafe {
        if ffi::lua_type(state, index) != ffi::LUA_TTABLE || ffi::lua_getmetatable(state, index) == 0 {
            return false;
        }
        ffi::lua_pushlightuserdata(state, veil_key());
        ffi::lua_rawget(state, -2);
        ffi::lua_remove(state, -2);
        if ffi::lua_type(state, -1) == ffi::LUA_TTABLE {
            return true;
        }
        ffi::lua_settop(state, -2);
        false
    }
}

/// Replaces a veil at `index` by what it hides.
unsafe fn unveil(state: *mut lua_State, index: c_int) {
    unsafe {
        if lift(state, index) {
            ffi::lua_replace(state, index);
        }
    }
}

unsafe extern "C-unwind" fn next(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::lua_settop(state, 2);
        unveil(state, 1);
        if ffi::lua_next(state, 1) != 0 {
            return 2;
        }
        ffi::lua_pushnil(state);
        1
    }
}

unsafe extern "C-unwind" fn pairs(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::lua_pushcclosure(state, next, 0);
        ffi::lua_pushvalue(state, 1);
        ffi::lua_pushnil(state);
        3
    }
}

unsafe extern "C-unwind" fn rawget(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::luaL_checkany(state, 2);
        ffi::lua_settop(state, 2);
        unveil(state, 1);
        ffi::lua_rawget(state, 1);
        1
    }
}

unsafe extern "C-unwind" fn rawset(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::luaL_checkany(state, 2);
        ffi::luaL_checkany(state, 3);
        ffi::lua_settop(state, 3);
        if lift(state, 1) {
            refuse(state)
        }
        ffi::lua_rawset(state, 1);
        1
    }
}

unsafe extern "C-unwind" fn getmetatable(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checkany(state, 1);
        if lift(state, 1) {
            ffi::lua_getmetatable(state, 1);
            ffi::lua_rawgeti_(state, -1, 1);
            return 1;
        }
        if ffi::lua_getmetatable(state, 1) == 0 {
            ffi::lua_pushnil(state);
            return 1;
        }
        ffi::luaL_getmetafield(state, 1, c"__metatable".as_ptr());
        if ffi::lua_type(state, -1) == ffi::LUA_TNIL {
            ffi::lua_settop(state, -2);
        }
        1
    }
}

unsafe extern "C-unwind" fn setmetatable(state: *mut lua_State) -> c_int {
    unsafe {
        let kind = ffi::lua_type(state, 2);
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        if kind != ffi::LUA_TNIL && kind != ffi::LUA_TTABLE {
            return ffi::luaL_argerror(state, 2, c"nil or table expected".as_ptr());
        }
        if lift(state, 1) {
            refuse(state)
        }
        if ffi::luaL_getmetafield(state, 1, c"__metatable".as_ptr()) != ffi::LUA_TNIL {
            return ffi::luaL_error(state, c"cannot change a protected metatable".as_ptr());
        }
        ffi::lua_settop(state, 2);
        ffi::lua_setmetatable(state, 1);
        1
    }
}

unsafe extern "C-unwind" fn insert(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        if lift(state, 1) {
            refuse(state)
        }
        let end = ffi::lua_objlen(state, 1) as c_int + 1;
        let at = match ffi::lua_gettop(state) {
            2 => end,
            3 => {
                let at = ffi::luaL_checkinteger(state, 2) as c_int;
                let last = if at > end { at } else { end };
                for place in (at + 1..=last).rev() {
                    ffi::lua_rawgeti_(state, 1, place - 1);
                    ffi::lua_rawseti_(state, 1, place);
                }
                at
            }
            _ => return ffi::luaL_error(state, c"wrong number of arguments to 'insert'".as_ptr()),
        };
        ffi::lua_rawseti_(state, 1, at);
        0
    }
}

/// As Redis changed it: of an error that is a table with text in `err`, the text is what is caught.
unsafe extern "C-unwind" fn pcall(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checkany(state, 1);
        let count = ffi::lua_gettop(state);
        ffi::lua_pushboolean(state, 1);
        ffi::lua_insert(state, 1);
        if ffi::lua_pcall(state, count - 1, ffi::LUA_MULTRET, 0) != ffi::LUA_OK {
            if ffi::lua_type(state, -1) == ffi::LUA_TTABLE {
                ffi::lua_getfield(state, -1, c"err".as_ptr());
                if ffi::lua_isstring(state, -1) != 0 {
                    ffi::lua_replace(state, -2);
                } else {
                    // Redis leaves both: the table and what its `err` is.
                }
            }
            ffi::lua_remove(state, 1);
            ffi::lua_pushboolean(state, 0);
            ffi::lua_insert(state, 1);
        }
        ffi::lua_gettop(state)
    }
}

unsafe extern "C-unwind" fn loadstring(state: *mut lua_State) -> c_int {
    unsafe {
        let text = ffi::luaL_checklstring(state, 1, ptr::null_mut());
        let name = ffi::luaL_optlstring(state, 2, text, ptr::null_mut());
        compile(state, 1, name)
    }
}

unsafe extern "C-unwind" fn load(state: *mut lua_State) -> c_int {
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TFUNCTION);
        let name = ffi::luaL_optlstring(state, 2, c"=(load)".as_ptr(), ptr::null_mut());
        ffi::lua_settop(state, 2);
        ffi::lua_pushliteral(state, c"");
        loop {
            ffi::lua_pushvalue(state, 1);
            if ffi::lua_pcall(state, 0, 1, 0) != ffi::LUA_OK {
                ffi::lua_pushnil(state);
                ffi::lua_insert(state, -2);
                return 2;
            }
            if ffi::lua_type(state, -1) == ffi::LUA_TNIL {
                break;
            }
            if ffi::lua_isstring(state, -1) == 0 {
                ffi::lua_pushnil(state);
                ffi::lua_pushliteral(state, c"reader function must return a string");
                return 2;
            }
            if ffi::lua_objlen(state, -1) == 0 {
                break;
            }
            ffi::lua_concat(state, 2);
        }
        ffi::lua_settop(state, 3);
        compile(state, 3, name)
    }
}

/// Compiles the text at `index`. Redis took byte code out of its Lua: it is read as text, and refused as such. A blank before
/// it keeps ours from seeing its mark.
unsafe fn compile(state: *mut lua_State, index: c_int, name: *const std::ffi::c_char) -> c_int {
    unsafe {
        let mut len = 0;
        let mut text = ffi::lua_tolstring(state, index, &raw mut len);
        if len > 0 && *text.cast::<u8>() == ffi::LUA_SIGNATURE[0] {
            ffi::lua_pushliteral(state, c" ");
            ffi::lua_pushvalue(state, index);
            ffi::lua_concat(state, 2);
            text = ffi::lua_tolstring(state, -1, &raw mut len);
        }
        if ffi::luaL_loadbuffer(state, text, len, name) == ffi::LUA_OK {
            return 1;
        }
        ffi::lua_pushnil(state);
        ffi::lua_insert(state, -2);
        2
    }
}

//! EVAL and its kin: a script and the keys it works on.

use crate::base::Bytes;
use crate::engine::call::{Call, Propagate};
use crate::engine::command::{
    Command, Flags, Keys, MAY_REPLICATE, NO_MANDATORY_KEYS, NOSCRIPT, Outcome, READONLY, SKIP_MONITOR, STALE,
};
use crate::engine::refusal::Refusal;
use crate::engine::scripting::{self, Run, Script, Scripting, Text, script};
use std::sync::Arc;

/// The keys stand behind their number.
pub const COUNTED_KEYS: Keys = Keys::Counted { count: 2, dest: None };
const FLAGS: Flags = NOSCRIPT.with(SKIP_MONITOR).with(NO_MANDATORY_KEYS).with(STALE);
const COMPLEXITY: &str = "Depends on the script that is executed.";

pub const COMMANDS: &[Command] = &[
    Command {
        name: "EVAL",
        syntax: "script numkeys [key [key ...]] [arg [arg ...]]",
        summary: "Run a Lua script, with no other client in between.",
        since: "2.6.0",
        complexity: COMPLEXITY,
        flags: FLAGS.with(MAY_REPLICATE),
        keys: COUNTED_KEYS,
        run: |call| eval(call, false),
        ..Command::SCRIPTING
    },
    Command {
        name: "EVAL_RO",
        syntax: "script numkeys [key [key ...]] [arg [arg ...]]",
        summary: "Run a Lua script that may only read.",
        since: "7.0.0",
        complexity: COMPLEXITY,
        flags: FLAGS.with(READONLY),
        keys: COUNTED_KEYS,
        run: |call| eval(call, true),
        ..Command::SCRIPTING
    },
    Command {
        name: "EVALSHA",
        syntax: "sha1 numkeys [key [key ...]] [arg [arg ...]]",
        summary: "Run a cached Lua script, by its SHA1.",
        since: "2.6.0",
        complexity: COMPLEXITY,
        flags: FLAGS.with(MAY_REPLICATE),
        keys: COUNTED_KEYS,
        run: |call| evalsha(call, false),
        ..Command::SCRIPTING
    },
    Command {
        name: "EVALSHA_RO",
        syntax: "sha1 numkeys [key [key ...]] [arg [arg ...]]",
        summary: "Run a cached Lua script that may only read, by its SHA1.",
        since: "7.0.0",
        complexity: COMPLEXITY,
        flags: FLAGS.with(READONLY),
        keys: COUNTED_KEYS,
        run: |call| evalsha(call, true),
        ..Command::SCRIPTING
    },
];

const NOSCRIPT_ERROR: Refusal = Refusal::new("NOSCRIPT No matching script. Please use EVAL.");

/// As which command a script is admitted: its own first line says more than the literal does.
pub fn flags_of(scripting: &Scripting, command: &Command, args: &[Bytes]) -> Flags {
    let Some(text) = args.get(1) else { return command.flags };
    let flags = match command.name {
        "EVAL" | "EVAL_RO" if text.starts_with(b"#!") => Script::new(text).ok().map(|script| script.flags),
        "EVALSHA" | "EVALSHA_RO" => {
            script::sha_named(text).and_then(|sha| scripting.scripts.get(&sha)).map(|script| script.flags)
        }
        _ => None,
    };
    flags.map_or(command.flags, |flags| flags.command_flags(command.flags))
}

/// How many keys a call of a script or function names. Err: in Redis' words.
pub fn number_of_keys(call: &Call) -> Result<usize, Refusal> {
    let number = call.int(2)?;
    if number > call.args.len() as i64 - 3 {
        return Err(Refusal::new("ERR Number of keys can't be greater than number of args"));
    }
    usize::try_from(number).map_err(|_| Refusal::new("ERR Number of keys can't be negative"))
}

fn eval(call: &mut Call, read_only: bool) -> Outcome {
    begin(call);
    let keys = number_of_keys(call)?;
    let sha = script::sha_of(&call.args[1]);
    let script = match call.server.scripting.scripts.get(&sha) {
        Some(script) => Arc::clone(script),
        None => load(call, &sha, &call.args[1])?,
    };
    enter(call, Text::Script(&sha, &script), keys, read_only)
}

fn evalsha(call: &mut Call, read_only: bool) -> Outcome {
    begin(call);
    let sha = script::sha_named(&call.args[1]).ok_or(NOSCRIPT_ERROR)?;
    let keys = number_of_keys(call)?;
    let script = call.server.scripting.scripts.get(&sha).cloned().ok_or(NOSCRIPT_ERROR)?;
    enter(call, Text::Script(&sha, &script), keys, read_only)
}

/// The script's commands are shown to MONITOR after the script, and propagated in its place.
pub fn begin(call: &mut Call) {
    call.propagate = Propagate::Nothing;
    crate::engine::Instance::announce(call);
}

/// Runs `text` with the arguments that stand behind the number of keys.
pub fn enter(call: &mut Call, text: Text, keys: usize, read_only: bool) -> Outcome {
    let (keys, args) = call.args[3..].split_at(keys);
    scripting::run(call, &Run { text, read_only, keys, args })
}

/// Compiles a script and keeps it. Err: in Redis' words.
pub fn load(call: &mut Call, sha: &scripting::Sha, body: &Bytes) -> Result<Arc<Script>, Refusal> {
    let script = Script::new(body).map_err(|text| Refusal::from(format!("ERR {text}")))?;
    scripting::compile(call, sha, &script)?;
    let script = Arc::new(script);
    call.server.scripting.scripts.insert(*sha, Arc::clone(&script));
    Ok(script)
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::transcript;

    #[test]
    fn a_script_runs_with_its_keys_and_arguments() {
        transcript(
            r#"
            > EVAL "return {KEYS[1], KEYS[2], ARGV[1]}" 2 cart:42 stock:7 one
            1) "cart:42"
            2) "stock:7"
            3) "one"
            > EVAL "redis.call('SET', KEYS[1], ARGV[1]); return redis.call('GET', KEYS[1])" 1 session:a1 alice
            "alice"
            > EVAL "return 1" 2 a
            (error) ERR Number of keys can't be greater than number of args
            > EVAL "return 1" -1
            (error) ERR Number of keys can't be negative
            > EVAL "return 1" x
            (error) ERR value is not an integer or out of range
            "#,
        );
    }

    #[test]
    fn values_become_replies() {
        transcript(
            r#"
            > EVAL "return 3.99" 0
            (integer) 3
            > EVAL "return {1, 2, nil, 4}" 0
            1) (integer) 1
            2) (integer) 2
            > EVAL "return {true, false, 'x', {ok='fine'}}" 0
            1) (integer) 1
            2) (nil)
            3) "x"
            4) fine
            > EVAL "return redis.error_reply('My Err')" 0
            (error) My Err
            > EVAL "return redis.error_reply('Err')" 0
            (error) ERR Err
            > EVAL "return redis.status_reply('fine')" 0
            fine
            "#,
        );
    }

    #[test]
    fn an_error_tells_where_it_was() {
        transcript(
            r#"
            > EVAL "return redis.call('INCR')" 0
            (error) ERR Wrong number of args calling Redis command from script script: 2a6c78a293171de9b91f489cb84e349915195c95, on @user_script:1.
            "#,
        );
    }

    #[test]
    fn globals_are_protected() {
        transcript(
            r#"
            > EVAL "return pcall(function() x = 1 end) and 1 or 2" 0
            (integer) 2
            > EVAL "return select(2, pcall(function() x = 1 end))" 0
            "user_script:1: Attempt to modify a readonly table"
            > EVAL "return select(2, pcall(function() return y end))" 0
            "user_script:1: Script attempted to access nonexistent global variable 'y'"
            > EVAL "return select(2, pcall(rawset, redis, 'call', 1))" 0
            "Attempt to modify a readonly table"
            > EVAL "return select(2, pcall(setmetatable, _G, {}))" 0
            "Attempt to modify a readonly table"
            > EVAL "return select(2, pcall(table.insert, string, 1))" 0
            "Attempt to modify a readonly table"
            > EVAL "local n = 0 for k in pairs(redis) do n = n + 1 end return n" 0
            (integer) 23
            "#,
        );
    }
}

//! One run of a script: what is checked before it, its result as a reply, what is cleared up after it.

use super::library::{self, Library};
use super::machine::{Machine, Registered};
use super::script::{Script, ScriptFlags};
use super::{Active, Sha, Spare, convert};
use crate::base::{Bytes, carry};
use crate::engine::Call;
use crate::engine::cluster::slots::slot_of;
use crate::engine::command::Outcome;
use crate::engine::refusal::Refusal;
use crate::resp::{Protocol, Reply};
use mlua::{Function, Value};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

/// Lends the command that runs a script to the functions which the script calls: they live in the interpreter, longer than
/// any command.
#[derive(Default)]
pub struct Running {
    call: Cell<Option<NonNull<Call<'static>>>>,
    /// What the library that is being loaded has registered so far.
    loading: RefCell<Option<Vec<Registered>>>,
    /// How often 100,000 instructions have gone by since the run began.
    pub rounds: Cell<u64>,
    /// How many commands have been called.
    pub calls: Cell<u64>,
    /// When the loading began, by the stopwatch.
    pub began_us: Cell<u64>,
}

impl Running {
    /// Runs `body` with `call` lent out. Nothing else may use it meanwhile: it is borrowed for that long.
    fn lend<R>(&self, call: &mut Call, body: impl FnOnce() -> R) -> R {
        struct Return<'a>(&'a Running);
        impl Drop for Return<'_> {
            fn drop(&mut self) {
                self.0.call.set(None);
            }
        }
        self.call.set(Some(NonNull::from(call).cast()));
        let _return = Return(self);
        body()
    }

    pub fn begin_loading(&self) {
        self.rounds.set(0);
        *self.loading.borrow_mut() = Some(Vec::new());
    }

    pub fn end_loading(&self) -> Vec<Registered> {
        self.loading.borrow_mut().take().unwrap_or_default()
    }

    pub fn is_loading(&self) -> bool {
        self.loading.borrow().is_some()
    }

    /// Adds a function of the library that is being loaded. Err: in Redis' words.
    pub fn register(&self, function: Registered) -> Result<(), String> {
        let mut loading = self.loading.borrow_mut();
        let Some(known) = loading.as_mut() else {
            return Err(String::from("redis.register_function can only be called on FUNCTION LOAD command"));
        };
        library::check_name(&function.name)?;
        if known.iter().any(|it| it.name == function.name) {
            return Err(String::from("Function already exists in the library"));
        }
        known.push(function);
        Ok(())
    }

    /// Lets `act` use the command. None: no script is running, or `act` is being called from within itself.
    pub fn with<R>(&self, act: impl FnOnce(&mut Call) -> R) -> Option<R> {
        let mut lent = self.call.take()?;
        // SAFETY: `lend` put it there, borrows it for longer than this call, and it was taken out: nobody else has it.
        let result = act(unsafe { lent.as_mut() });
        self.call.set(Some(lent));
        Some(result)
    }
}

/// What is to be run.
pub enum Text<'a> {
    Script(&'a Sha, &'a Script),
    Function(&'a Arc<Library>, &'a Bytes),
}

pub struct Run<'a> {
    pub text: Text<'a>,
    /// By EVAL_RO, EVALSHA_RO or FCALL_RO.
    pub read_only: bool,
    pub keys: &'a [Bytes],
    pub args: &'a [Bytes],
}

impl Run<'_> {
    fn name(&self) -> Bytes {
        match self.text {
            Text::Script(sha, _) => Bytes::copy(sha),
            Text::Function(_, name) => name.clone(),
        }
    }

    fn flags(&self) -> ScriptFlags {
        match self.text {
            Text::Script(_, script) => script.flags,
            Text::Function(library, name) => library.functions.get(name).map_or_else(Default::default, |it| it.flags),
        }
    }
}

/// Runs a script in the name of `call`. Err: it cannot be compiled, may not be run, or failed.
pub fn run(call: &mut Call, run: &Run) -> Outcome {
    let mut machine = borrow_machine(call)?;
    let outcome = run_in(&mut machine, call, run);
    // After it has come to the end of its memory an interpreter cannot be trusted.
    if !machine.exhausted() {
        call.server.scripting.machine = Spare(Some(machine));
    }
    outcome
}

/// Whether the text can be compiled. Err: as EVAL answers.
pub fn compile(call: &mut Call, sha: &Sha, script: &Script) -> Result<(), Refusal> {
    let mut machine = borrow_machine(call)?;
    let compiled = compiled(&mut machine, sha, script).map(|_| ());
    call.server.scripting.machine = Spare(Some(machine));
    compiled
}

fn borrow_machine(call: &mut Call) -> Result<Box<Machine>, Refusal> {
    let for_server = call.server.hooks.stopwatch.is_some();
    call.server.scripting.take_machine(for_server).map_err(|text| Refusal::from(format!("ERR {text}")))
}

fn compiled(machine: &mut Machine, sha: &Sha, script: &Script) -> Result<Function, Refusal> {
    let error = |text| Refusal::from(format!("ERR Error compiling script (new function): {text}"));
    machine.compiled(sha, script).map_err(error)
}

fn run_in(machine: &mut Machine, call: &mut Call, run: &Run) -> Outcome {
    let function = match run.text {
        Text::Script(sha, script) => compiled(machine, sha, script)?,
        Text::Function(library, name) => {
            let error = |text| Refusal::from(format!("ERR {text}"));
            machine.function(library, name).map_err(error)?
        }
    };
    may_begin(call, run)?;
    let flags = run.flags();
    let is_eval = matches!(run.text, Text::Script(..));
    call.server.scripting.active = Some(Box::new(Active {
        name: run.name(),
        is_eval,
        read_only: run.read_only || flags.has(ScriptFlags::NO_WRITES),
        allow_oom: flags.has(ScriptFlags::ALLOW_OOM),
        wrote: false,
        killed: false,
        any_slot: flags.has(ScriptFlags::COMPAT.with(ScriptFlags::ALLOW_CROSS_SLOT)),
        slot: run.keys.first().map(|key| slot_of(key)),
        db: call.me().db,
        protocol: Protocol::Resp2,
        repl: 3,
        began_us: call.server.hooks.micros(),
        slow: None,
    }));
    let running = Rc::clone(&machine.running);
    running.rounds.set(0);
    let ended = running.lend(call, || match run.text {
        Text::Script(..) => machine.eval(&function, run.keys, run.args),
        Text::Function(..) => machine.call(&function, run.keys, run.args),
    });
    let active = call.server.scripting.active.take();
    let protocol = active.map_or(Protocol::Resp2, |active| active.protocol);
    match ended {
        Ok((true, value)) => Ok(result(call, &value, protocol)),
        Ok((false, error)) => Err(failure(call, &run.name(), &error)),
        Err(error) => Err(Refusal::from(format!("ERR Error running script {}, {error}", run.name().printed()))),
    }
}

fn result(call: &mut Call, value: &Value, protocol: Protocol) -> Reply {
    let mut counted = false;
    let reply = convert::to_reply(value, protocol, &mut counted);
    call.server.scripting.error_counted = counted;
    reply
}

/// An error that ended the script, as the reply tells it: with the script and the place.
fn failure(call: &mut Call, name: &Bytes, error: &Value) -> Refusal {
    let Value::Table(table) = error else {
        let text = match error {
            Value::String(text) => carry::text(&text.as_bytes()).into_owned(),
            _ => String::from("execution failure"),
        };
        let text: String = text.chars().take(100).collect();
        return Refusal::from(format!("ERR Error running script {}, {text}", name.printed()));
    };
    let text_of = |field: &str| convert::text(&table.get::<Value>(field).unwrap_or(Value::Nil));
    let mut text = text_of("err").unwrap_or_default();
    if let (Some(source), Some(line)) = (text_of("source"), text_of("line")) {
        text.push_str(&format!(" script: {}, on {source}:{line}.", name.printed()));
    }
    call.server.scripting.error_counted = matches!(table.get("ignore_error_stats_update"), Ok(Value::Boolean(true)));
    Refusal::from(text)
}

/// Reasons not to begin a script that says what it does; of one that does not, its commands are judged one by one.
fn may_begin(call: &Call, run: &Run) -> Result<(), Refusal> {
    let flags = run.flags();
    if flags.has(ScriptFlags::COMPAT) {
        return Ok(());
    }
    if flags.has(ScriptFlags::NO_CLUSTER) && call.server.cluster.is_some() {
        return Err(Refusal::new("ERR Can not run script on cluster, 'no-cluster' flag is set."));
    }
    if !flags.has(ScriptFlags::NO_WRITES) {
        if let Some(refusal) = call.server.write_refusal() {
            let text = "READONLY Can not run script with write flag on readonly replica";
            return Err(if refusal.0.starts_with("READONLY") { Refusal::new(text) } else { refusal });
        }
        if let Some(refusal) = call.server.misconf() {
            let text = if refusal.0.contains("AOF") {
                let error = refusal.0.rsplit(": ").next().unwrap_or_default();
                format!(
                    "MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts. AOF error: {error}"
                )
            } else {
                String::from(
                    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts.",
                )
            };
            return Err(Refusal::from(text));
        }
        if run.read_only {
            return Err(Refusal::new("ERR Can not execute a script with write flag using *_ro command."));
        }
        if call.server.scripting.out_of_memory && !flags.has(ScriptFlags::ALLOW_OOM) {
            return Err(Refusal::new(
                "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
            ));
        }
    }
    Ok(())
}

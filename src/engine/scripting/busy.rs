//! A script that does not end: others are told BUSY, and may end it.
//!
//! Steps are synchronous, so nobody else is heard while a script runs. Every 100,000 instructions the interpreter asks here
//! whether to go on. A server (`redlab serve`) looks at its clock, and once `busy-reply-threshold` has passed it lets in what
//! others have sent: SCRIPT KILL, FUNCTION KILL, SHUTDOWN NOSAVE and what else is allowed then; all else gets BUSY. In the lab
//! no time passes during a command and nobody else can speak: a script gets an allowance of instructions and is then ended as
//! if SCRIPT KILL had come, also one that has written, and the log says so.

use super::Active;
use crate::engine::{Call, ClientId, Env, Outbox, Output};
use crate::resp::Protocol;

/// What a script may use up in the lab, in rounds of 100,000 instructions.
const LAB_ROUNDS: u64 = 300;
/// How long the code of a library may take to register its functions, in milliseconds and in rounds.
const LOAD_MS: u64 = 500;
const LOAD_ROUNDS: u64 = 100;

/// Whether the code of a library has taken too long; `began_us` by the stopwatch.
pub fn loads_too_long(call: Option<(&Call, u64)>, rounds: u64) -> bool {
    match call {
        Some((call, began_us)) if call.server.hooks.stopwatch.is_some() => {
            call.server.hooks.micros().saturating_sub(began_us) > LOAD_MS * 1000
        }
        _ => rounds > LOAD_ROUNDS,
    }
}

/// What the script is ended with.
pub const KILLED: &str = "ERR Script killed by user with SCRIPT KILL...";

/// As `must_end`, asked before each command: on a server every so often, and once the end has been asked for.
pub fn ends_between_calls(call: &mut Call, calls: u64) -> bool {
    let Some(active) = &call.server.scripting.active else { return false };
    active.killed || calls.is_multiple_of(256) && call.server.hooks.stopwatch.is_some() && must_end(call, 0)
}

/// Asked after each round. Whether the script has to end.
pub fn must_end(call: &mut Call, rounds: u64) -> bool {
    let server = call.server.hooks.stopwatch.is_some();
    let Some(active) = &call.server.scripting.active else { return false };
    if active.killed {
        return true;
    }
    if !server {
        return rounds >= LAB_ROUNDS && give_up(call);
    }
    if active.slow.is_none() && !became_slow(call) {
        return false;
    }
    hear_others(call);
    let killed = call.server.scripting.active.as_ref().is_some_and(|active| active.killed);
    if killed {
        call.out.push(Output::Log(String::from("* Lua script killed by user with SCRIPT KILL.")));
    }
    killed
}

fn give_up(call: &mut Call) -> bool {
    if let Some(active) = &mut call.server.scripting.active {
        active.killed = true;
        let line = format!(
            "# Script {} ended after {} million instructions: here nobody else can end it.",
            active.name.printed(),
            LAB_ROUNDS / 10
        );
        call.out.push(Output::Log(line));
    }
    true
}

/// Whether the script has now run for longer than the threshold.
fn became_slow(call: &mut Call) -> bool {
    let threshold_ms = call.server.config.int("busy-reply-threshold") as u64;
    let micros = call.server.hooks.micros();
    let Some(active) = &mut call.server.scripting.active else { return false };
    let elapsed_ms = micros.saturating_sub(active.began_us) / 1000;
    if threshold_ms == 0 || elapsed_ms < threshold_ms {
        return false;
    }
    active.slow = Some(call.args.to_vec());
    let word = if active.is_eval { "SCRIPT KILL" } else { "FUNCTION KILL" };
    call.out.push(Output::Log(format!(
        "# Slow script detected: still in execution after {elapsed_ms} milliseconds. You can try killing the script using the {word} command. Script name is: {}.",
        active.name.printed()
    )));
    true
}

/// Lets in what others have sent.
fn hear_others(call: &mut Call) {
    let Some(outside) = call.disk.outside() else { return };
    let inputs = outside.arrived();
    if inputs.is_empty() {
        return;
    }
    let mut out = Outbox::new();
    let runs = call.client;
    for input in inputs {
        let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
        call.server.meanwhile(&mut env, runs, input, &mut out);
    }
    let mut said = Vec::new();
    for output in out {
        match output {
            Output::Exit => {
                // The process ends with this step: nothing of the script matters any more.
                if let Some(active) = &mut call.server.scripting.active {
                    active.killed = true;
                }
                call.out.push(Output::Exit);
            }
            Output::Reply(id, _) | Output::Push(id, _) | Output::Raw(id, _) | Output::Close(id) => {
                said.push((protocol_of(call, id), output));
            }
            output => call.out.push(output),
        }
    }
    if let Some(outside) = call.disk.outside() {
        outside.tell(said);
    }
}

fn protocol_of(call: &Call, id: ClientId) -> Protocol {
    call.server.clients.get(&id).map_or(Protocol::Resp2, |client| client.protocol)
}

impl Active {
    /// Whether others are being told BUSY.
    pub fn is_slow(&self) -> bool {
        self.slow.is_some()
    }
}

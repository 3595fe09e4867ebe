//! Scripting: EVAL and its kin, SCRIPT, FUNCTION and FCALL.

mod eval;
mod function;
mod script;

use crate::base::Bytes;
use crate::engine::command::{Command, Flags};
use crate::engine::scripting::Scripting;

pub const EVAL: &[Command] = eval::COMMANDS;
pub const SCRIPT: &[Command] = script::COMMANDS;
pub const FUNCTION: &[Command] = function::COMMANDS;

/// As which command one of this group is admitted: scripts and functions say more of themselves than the literals do.
pub fn flags_of(scripting: &Scripting, command: &Command, args: &[Bytes]) -> Flags {
    if command.name.starts_with("FCALL") {
        function::flags_of(scripting, command, args)
    } else {
        eval::flags_of(scripting, command, args)
    }
}

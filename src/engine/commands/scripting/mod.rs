//! Scripting: EVAL and its kin, SCRIPT.

mod eval;
mod script;

use crate::engine::command::Command;

/// The literals of both families.
pub const EVAL: &[Command] = eval::COMMANDS;
pub const SCRIPT: &[Command] = script::COMMANDS;
pub use eval::flags_of;

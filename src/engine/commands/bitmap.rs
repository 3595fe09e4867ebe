//! Strings as arrays of bits.

use crate::engine::command::Command;

pub const COMMANDS: &[Command] = &[];

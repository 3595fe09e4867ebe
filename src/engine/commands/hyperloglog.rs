//! Counting distinct elements in 12 kB.

use crate::engine::command::Command;

pub const COMMANDS: &[Command] = &[];

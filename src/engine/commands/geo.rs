//! Positions on the earth, kept in sorted sets.

use crate::engine::command::Command;

pub const COMMANDS: &[Command] = &[];

//! EXPIRE, TTL and their kin.

use crate::engine::command::Command;

pub const COMMANDS: &[Command] = &[];

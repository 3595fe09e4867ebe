//! Streams: logs of entries with consumer groups.

use crate::engine::command::Command;

pub const COMMANDS: &[Command] = &[];

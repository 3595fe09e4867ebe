//! The keyspace as a whole and the names in it: DEL, RENAME, COPY, KEYS, SCAN and their kin.

use crate::engine::command::Command;

pub const COMMANDS: &[Command] = &[];

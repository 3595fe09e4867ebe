//! Which keys a command uses, and whether it reads or changes what is in them.

use crate::base::Bytes;
use crate::engine::command::Command;
use crate::engine::commands::key_flags;

/// What is done with a key. Neither: it is only looked at whether or how it is there (EXISTS, STRLEN).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Access {
    pub read: bool,
    pub write: bool,
}

impl Access {
    pub const READ: Access = Access { read: true, write: false };

    /// From the words of COMMAND GETKEYSANDFLAGS.
    fn of(flags: &str) -> Access {
        let says = |words: &[&str]| flags.split(' ').any(|flag| words.contains(&flag));
        Access { read: says(&["access"]), write: says(&["insert", "update", "delete"]) }
    }
}

/// The places of the keys in `args`, with what is done with each.
pub fn of(command: &Command, args: &[Bytes]) -> Vec<(usize, Access)> {
    let used = key_flags::of_call(command, args).into_iter();
    used.filter(|(_, flags)| *flags != "not_key").map(|(place, flags)| (place, Access::of(flags))).collect()
}

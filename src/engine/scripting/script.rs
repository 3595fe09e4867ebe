//! A script's text, and what its first line says: `#!lua flags=no-writes,allow-oom`.

use super::Sha;
use crate::base::{Bytes, carry, quote, sha};
use crate::engine::command::{DENYOOM, Flags, MAY_REPLICATE, STALE, WRITE};

/// A set of script flags.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct ScriptFlags(u8);

impl ScriptFlags {
    pub const NO_WRITES: ScriptFlags = ScriptFlags(1);
    pub const ALLOW_OOM: ScriptFlags = ScriptFlags(1 << 1);
    pub const ALLOW_STALE: ScriptFlags = ScriptFlags(1 << 2);
    pub const NO_CLUSTER: ScriptFlags = ScriptFlags(1 << 3);
    pub const ALLOW_CROSS_SLOT: ScriptFlags = ScriptFlags(1 << 5);
    /// A script without a first line of this kind: what it may do follows from what it does, as before Redis 7.
    pub const COMPAT: ScriptFlags = ScriptFlags(1 << 4);

    /// By name, in Redis' order.
    pub const NAMES: [(&'static str, ScriptFlags); 5] = [
        ("no-writes", ScriptFlags::NO_WRITES),
        ("allow-oom", ScriptFlags::ALLOW_OOM),
        ("allow-stale", ScriptFlags::ALLOW_STALE),
        ("no-cluster", ScriptFlags::NO_CLUSTER),
        ("allow-cross-slot-keys", ScriptFlags::ALLOW_CROSS_SLOT),
    ];

    pub fn has(self, flag: ScriptFlags) -> bool {
        self.0 & flag.0 != 0
    }

    pub fn with(self, more: ScriptFlags) -> ScriptFlags {
        ScriptFlags(self.0 | more.0)
    }

    pub fn named(name: &[u8]) -> Option<ScriptFlags> {
        ScriptFlags::NAMES.iter().find(|(it, _)| it.as_bytes() == name).map(|(_, flag)| *flag)
    }

    /// As which command EVAL or FCALL of such a script is to be admitted.
    pub fn command_flags(self, command: Flags) -> Flags {
        if self.has(ScriptFlags::COMPAT) {
            return command;
        }
        let mut flags = command.without(STALE.with(DENYOOM).with(WRITE).with(MAY_REPLICATE));
        if !self.has(ScriptFlags::ALLOW_OOM.with(ScriptFlags::NO_WRITES)) {
            flags = flags.with(DENYOOM);
        }
        if !self.has(ScriptFlags::NO_WRITES) {
            flags = flags.with(WRITE);
        }
        if self.has(ScriptFlags::ALLOW_STALE) {
            flags = flags.with(STALE);
        }
        flags
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    pub body: Bytes,
    pub flags: ScriptFlags,
    /// Where Lua begins: behind the first line, but for its end, so that line numbers stay right.
    pub start: usize,
}

impl Script {
    /// Reads the first line. Err: in Redis' words, without the code.
    pub fn new(body: &Bytes) -> Result<Script, String> {
        if !body.starts_with(b"#!") {
            return Ok(Script { body: body.clone(), flags: ScriptFlags::COMPAT, start: 0 });
        }
        let (start, words) = shebang(body, "Invalid script shebang", "Invalid engine in script shebang")?;
        if words[0] != *"#!lua" {
            return Err(format!("Unexpected engine in script shebang: {}", words[0].printed()));
        }
        let mut flags = ScriptFlags::default();
        for word in &words[1..] {
            let Some(list) = word.strip_prefix(b"flags=") else {
                return Err(format!("Unknown lua shebang option: {}", word.printed()));
            };
            if list.is_empty() {
                continue;
            }
            for name in list.split(|byte| *byte == b',') {
                let unknown = || format!("Unexpected flag in script shebang: {}", carry::printed(name));
                flags = flags.with(ScriptFlags::named(name).ok_or_else(unknown)?);
            }
        }
        Ok(Script { body: body.clone(), flags, start })
    }

    pub fn source(&self) -> &[u8] {
        &self.body[self.start..]
    }
}

/// The words of the first line, and where that ends. Err: `no_end` if it has none, `no_words` if it cannot be taken apart.
pub fn shebang(text: &[u8], no_end: &str, no_words: &str) -> Result<(usize, Vec<Bytes>), String> {
    let end = text.iter().position(|byte| *byte == b'\n').ok_or_else(|| no_end.to_owned())?;
    let words = quote::split(&text[..end]).unwrap_or_default();
    if words.is_empty() { Err(no_words.to_owned()) } else { Ok((end, words)) }
}

pub fn sha_of(body: &[u8]) -> Sha {
    hex(&sha::sha1(body))
}

fn hex(digest: &[u8; 20]) -> Sha {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|at| {
        let byte = digest[at / 2];
        DIGITS[usize::from(if at % 2 == 0 { byte >> 4 } else { byte & 15 })]
    })
}

/// The name that EVALSHA gives, in lower case. None: it cannot be one.
pub fn sha_named(name: &[u8]) -> Option<Sha> {
    let mut sha: Sha = name.try_into().ok()?;
    sha.make_ascii_lowercase();
    Some(sha)
}

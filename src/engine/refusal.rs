//! What Redis answers when it does not do something: exact texts, in one place.

use crate::resp::Reply;
use std::borrow::Cow;

/// An error reply, its code word first, without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub Cow<'static, str>);

impl Refusal {
    pub const fn new(text: &'static str) -> Refusal {
        Refusal(Cow::Borrowed(text))
    }
}

impl From<String> for Refusal {
    /// An error is one line: line breaks that a client's words brought in are cut at the end and blanks elsewhere.
    fn from(text: String) -> Refusal {
        let text = text.trim_matches(['\r', '\n']);
        Refusal(Cow::Owned(text.replace(['\r', '\n'], " ")))
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        Reply::Error(refusal.0)
    }
}

pub const WRONGTYPE: Refusal = Refusal::new("WRONGTYPE Operation against a key holding the wrong kind of value");
pub const SYNTAX: Refusal = Refusal::new("ERR syntax error");
pub const NOT_INTEGER: Refusal = Refusal::new("ERR value is not an integer or out of range");
pub const NOT_FLOAT: Refusal = Refusal::new("ERR value is not a valid float");
pub const NO_SUCH_KEY: Refusal = Refusal::new("ERR no such key");
pub const OUT_OF_RANGE: Refusal = Refusal::new("ERR index out of range");
pub const NOT_POSITIVE: Refusal = Refusal::new("ERR value is out of range, must be positive");
pub const DB_INDEX: Refusal = Refusal::new("ERR DB index is out of range");
pub const OOM: Refusal = Refusal::new("OOM command not allowed when used memory > 'maxmemory'.");
pub const EXECABORT: Refusal = Refusal::new("EXECABORT Transaction discarded because of previous errors.");

pub const NOAUTH: Refusal = Refusal::new("NOAUTH Authentication required.");
pub const WRONGPASS: Refusal = Refusal::new("WRONGPASS invalid username-password pair or user is disabled.");

pub fn wrong_arity(command: &str) -> Refusal {
    Refusal::from(format!("ERR wrong number of arguments for '{}' command", command.to_ascii_lowercase()))
}

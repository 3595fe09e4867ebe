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
pub const TOO_MANY_CLIENTS: Refusal = Refusal::new("ERR max number of clients reached");
pub const PROTECTED_MODE: Refusal = Refusal::new(
    "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.",
);
pub const WRONGPASS: Refusal = Refusal::new("WRONGPASS invalid username-password pair or user is disabled.");

/// `command` and `parameter`: DEBUG and `enable-debug-command`, MODULE and `enable-module-command`.
pub fn protected(command: &str, parameter: &str) -> Refusal {
    Refusal::from(format!(
        "ERR {command} command not allowed. If the {parameter} option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server."
    ))
}

pub fn wrong_arity(command: &str) -> Refusal {
    Refusal::from(format!("ERR wrong number of arguments for '{}' command", command.to_ascii_lowercase()))
}

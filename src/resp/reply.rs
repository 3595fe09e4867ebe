//! The reply as a value: RESP3 from the start, rendered down to RESP2 for clients that speak that.

use crate::base::Bytes;
use std::borrow::Cow;

/// Which protocol a connection speaks: HELLO 2 (the default) or HELLO 3.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

/// What a server says. The RESP2 form is given behind each kind that RESP2 does not have.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// `+OK`
    Status(Cow<'static, str>),
    /// `-ERR ...`: the whole line, with its code word, without `-`.
    Error(Cow<'static, str>),
    Int(i64),
    Bulk(Bytes),
    /// `_`; in RESP2 the null bulk `$-1`.
    Nil,
    /// `_`; in RESP2 the null array `*-1`.
    NilArray,
    Array(Vec<Reply>),
    /// `%`; in RESP2 a flat array.
    Map(Vec<(Reply, Reply)>),
    /// `~`; in RESP2 an array.
    Set(Vec<Reply>),
    /// `>`; in RESP2 an array.
    Push(Vec<Reply>),
    /// `,`; in RESP2 a bulk string with the same text.
    Double(f64),
    /// As `Double`, in digits of the server's choice: coordinates have seventeen behind the point.
    LongDouble(Bytes),
    /// `#t`; in RESP2 the integers 1 and 0.
    Bool(bool),
    /// `=txt:...`; in RESP2 a bulk string.
    Verbatim(&'static str, Bytes),
    /// `(`; in RESP2 a bulk string.
    BigNumber(Bytes),
    /// `|`: something said about the reply that follows it; in RESP2 that reply alone. A client that reads it lets the
    /// attributes go.
    Attributed(Box<(Vec<(Reply, Reply)>, Reply)>),
    /// Several replies to one request, in order: SUBSCRIBE a b. Never nested.
    Many(Vec<Reply>),
    /// No reply (yet): a blocked client, CLIENT REPLY OFF.
    None,
}

impl Reply {
    pub const OK: Reply = Reply::Status(Cow::Borrowed("OK"));
    pub const QUEUED: Reply = Reply::Status(Cow::Borrowed("QUEUED"));

    pub fn bulk(bytes: impl Into<Bytes>) -> Reply {
        Reply::Bulk(bytes.into())
    }

    pub fn status(text: &'static str) -> Reply {
        Reply::Status(Cow::Borrowed(text))
    }

    /// A status line made at run time.
    pub fn status_of(text: String) -> Reply {
        Reply::Status(Cow::Owned(text))
    }

    pub fn error(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply::Error(text.into())
    }

    /// 1 or 0, as most Redis commands answer yes and no.
    pub fn flag(yes: bool) -> Reply {
        Reply::Int(i64::from(yes))
    }

    pub fn bulks<B: Into<Bytes>>(items: impl IntoIterator<Item = B>) -> Reply {
        Reply::Array(items.into_iter().map(Reply::bulk).collect())
    }

    /// What a client that speaks `protocol` sees: under RESP2 the kinds it lacks are rendered down, as [`super::encode`] does.
    pub fn seen_by(self, protocol: Protocol) -> Reply {
        if protocol == Protocol::Resp3 {
            return self;
        }
        let all = |items: Vec<Reply>| items.into_iter().map(|item| item.seen_by(protocol)).collect();
        match self {
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => Reply::Array(all(items)),
            Reply::Many(replies) => Reply::Many(all(replies)),
            Reply::Map(pairs) => Reply::Array(all(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect())),
            Reply::Double(value) => Reply::Bulk(Bytes::from(crate::base::float::text(value))),
            Reply::Bool(yes) => Reply::Int(i64::from(yes)),
            Reply::Verbatim(_, bytes) | Reply::BigNumber(bytes) | Reply::LongDouble(bytes) => Reply::Bulk(bytes),
            Reply::Attributed(both) => both.1.seen_by(protocol),
            same => same,
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Reply::Error(_))
    }
}

impl From<i64> for Reply {
    fn from(n: i64) -> Reply {
        Reply::Int(n)
    }
}

impl From<usize> for Reply {
    fn from(n: usize) -> Reply {
        Reply::Int(n as i64)
    }
}

impl From<Bytes> for Reply {
    fn from(bytes: Bytes) -> Reply {
        Reply::Bulk(bytes)
    }
}

impl From<Option<Bytes>> for Reply {
    fn from(bytes: Option<Bytes>) -> Reply {
        bytes.map_or(Reply::Nil, Reply::Bulk)
    }
}

//! Reading the wire: a server's side ([`Requests`]) and a client's ([`Replies`]).
//!
//! Both are fed bytes as they come, in pieces of any size, and give whole messages. Requests follow Redis 7.2 in its limits and
//! error texts, also in what it does not check (the two bytes at the end of a line are skipped whatever they are). Neither
//! trusts a length: memory is taken only for bytes that have arrived.

use super::Reply;
use crate::base::{Bytes, carry, float, quote};
use std::borrow::Cow;

/// Lines (inline commands, counts) may be this long.
const LINE_MAX: usize = 64 * 1024;
/// Nested deeper, a reply is refused: no Redis command answers with that, and everything that walks a reply recurses.
const DEPTH_MAX: usize = 128;

/// What a server allows a client to send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `proto-max-bulk-len`, bytes of one argument.
    pub bulk_len: u64,
    /// The client still has to authenticate itself: at most 10 arguments of 16 KiB.
    pub unauthenticated: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bulk_len: 512 * 1024 * 1024, unauthenticated: false }
    }
}

/// Bytes that arrived, and how many of them are used up.
#[derive(Clone, Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    at: usize,
}

impl Buffer {
    fn feed(&mut self, bytes: &[u8]) {
        // Moving what is left to the front only when it is less than what is used up keeps this amortised O(1) a byte.
        if self.at > 0 && self.at >= self.bytes.len() - self.at {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Makes room for `len` bytes in all, not counting those used up, and gives back what is more than that.
    fn resize(&mut self, len: usize) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.shrink_to(len);
        // Where there is not so much memory the buffer grows with what really comes.
        let _ = self.bytes.try_reserve_exact(len.saturating_sub(self.bytes.len()));
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Takes `len` bytes and the two that end them; None until all are there.
    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(len)?;
        if self.bytes.len() < end.checked_add(2)? {
            return None;
        }
        let from = std::mem::replace(&mut self.at, end + 2);
        Some(&self.bytes[from..end])
    }
}

/// Room that is made for a client's first bytes, and below which a buffer is not trimmed (`PROTO_IOBUF_LEN`).
const ROOM: usize = 16 * 1024;
/// An argument from this size on gets its room at once; a larger buffer is trimmed to what was needed of late.
const BIG: usize = 32 * 1024;

/// Requests of one client, as they arrive.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    buffer: Buffer,
    /// Most bytes held since the last `trim`.
    peak: usize,
    /// Arguments that the current request still lacks; 0 between requests.
    missing: usize,
    bulk_len: Option<usize>,
    args: Vec<Bytes>,
    /// Bytes of `args`.
    args_len: usize,
}

/// The text of the error reply (`ERR Protocol error: ...`), after which a server closes the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProtocolError(pub String);

fn refuse<T>(what: &str) -> Result<T, ProtocolError> {
    Err(ProtocolError(format!("ERR Protocol error: {what}")))
}

impl Requests {
    pub fn new() -> Requests {
        Requests::default()
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        if self.buffer.bytes.capacity() < ROOM {
            self.buffer.bytes.reserve_exact(ROOM);
        }
        self.buffer.feed(bytes);
        self.peak = self.peak.max(self.buffered());
    }

    /// Bytes held that belong to no whole request yet.
    pub fn buffered(&self) -> usize {
        self.buffer.rest().len()
    }

    /// Bytes for which there is room.
    pub fn capacity(&self) -> usize {
        self.buffer.bytes.capacity()
    }

    /// Bytes of the arguments that have come whole of a request that has not.
    pub fn parsed(&self) -> usize {
        self.args_len
    }

    /// Gives memory back, to be called about once a second (`clientsCronResizeQueryBuffer`): all that is free if the client
    /// has been idle for more than two seconds, else of a large buffer what has not been needed since the last call.
    pub fn trim(&mut self, idle_secs: u64) {
        let announced = self.bulk_len.map_or(0, |len| len + 2);
        let (used, size) = (self.buffered(), self.capacity());
        if size - used > 4096 {
            if idle_secs > 2 {
                self.buffer.resize(used);
            } else if size > BIG && size / 2 > self.peak {
                self.buffer.resize(self.peak.max(announced));
            }
        }
        self.peak = used.max(announced);
    }

    /// All bytes held for a request that is not whole yet, with what each argument takes besides its text.
    pub fn held(&self) -> usize {
        self.buffered() + self.args_len + self.args.len() * size_of::<Bytes>()
    }

    /// The next whole request, never empty; None if more bytes are needed.
    pub fn next(&mut self, limits: Limits) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        let mut args = Vec::new();
        Ok(self.next_into(limits, &mut args)?.then_some(args))
    }

    /// As `next`, in place of what is in `args`, whose memory is used again; false if more bytes are needed.
    pub fn next_into(&mut self, limits: Limits, args: &mut Vec<Bytes>) -> Result<bool, ProtocolError> {
        args.clear();
        loop {
            let whole = if self.missing > 0 {
                self.multibulk(limits)?
            } else {
                match self.buffer.rest().first() {
                    None => return Ok(false),
                    Some(b'*') => self.count(limits)? && self.multibulk(limits)?,
                    Some(_) => self.inline()?,
                }
            };
            if !whole {
                return Ok(false);
            }
            self.args_len = 0;
            if !self.args.is_empty() {
                std::mem::swap(&mut self.args, args);
                return Ok(true);
            }
        }
    }

    fn inline(&mut self) -> Result<bool, ProtocolError> {
        let rest = self.buffer.rest();
        let end = position_before_zero(rest, b'\n');
        if end.unwrap_or(rest.len()) > LINE_MAX {
            return refuse("too big inline request");
        }
        let Some(end) = end else { return Ok(false) };
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        match quote::split(line) {
            Ok(args) => self.args = args,
            Err(_) => return refuse("unbalanced quotes in request"),
        }
        self.buffer.at += end + 1;
        Ok(true)
    }

    /// `*3`: how many arguments follow.
    fn count(&mut self, limits: Limits) -> Result<bool, ProtocolError> {
        if let Some((count, used)) = short_header(self.buffer.rest(), b'*')
            && count <= 10
        {
            self.missing = count;
            self.buffer.at += used;
            self.args.reserve(count);
            return Ok(true);
        }
        let Some(line) = self.line("too big mbulk count string")? else { return Ok(false) };
        let count = int(&line[1..]);
        let used = line.len() + 2;
        match count {
            Some(n) if n > 10 && n <= i64::from(i32::MAX) && limits.unauthenticated => {
                return refuse("unauthenticated multibulk length");
            }
            Some(n) if n <= i64::from(i32::MAX) => self.missing = n.max(0) as usize,
            _ => return refuse("invalid multibulk length"),
        }
        self.buffer.at += used;
        // An argument takes four bytes at least: no more room than what has come can need.
        self.args.reserve(self.missing.min(self.buffer.rest().len() / 4));
        Ok(true)
    }

    fn multibulk(&mut self, limits: Limits) -> Result<bool, ProtocolError> {
        while self.missing > 0 {
            // What nearly all arguments look like, whole and short, in one go.
            if self.bulk_len.is_none()
                && let rest = self.buffer.rest()
                && let Some((len, used)) = short_header(rest, b'$')
                && rest.len() >= used + len + 2
            {
                self.args.push(Bytes::copy(&rest[used..used + len]));
                self.args_len += len;
                self.buffer.at += used + len + 2;
                self.missing -= 1;
                continue;
            }
            let len = match self.bulk_len {
                Some(len) => len,
                None => match self.bulk_header(limits)? {
                    Some(len) => len,
                    None => return Ok(false),
                },
            };
            self.bulk_len = Some(len);
            let Some(bytes) = self.buffer.take(len) else { return Ok(false) };
            self.args_len += len;
            self.args.push(Bytes::copy(bytes));
            self.bulk_len = None;
            self.missing -= 1;
        }
        Ok(true)
    }

    /// `$5`: how long the next argument is.
    fn bulk_header(&mut self, limits: Limits) -> Result<Option<usize>, ProtocolError> {
        let Some(line) = self.line("too big bulk count string")? else { return Ok(None) };
        let used = line.len() + 2;
        let first = self.buffer.rest()[0];
        if first != b'$' {
            // Bytes beyond ASCII have no place in a text; everything else stands as it came.
            let shown = if first.is_ascii() { char::from(first) } else { '?' };
            return refuse(&format!("expected '$', got '{shown}'"));
        }
        match int(&line[1..]) {
            Some(n) if n >= 0 && n as u64 <= limits.bulk_len => {
                if n > 16384 && limits.unauthenticated {
                    return refuse("unauthenticated bulk length");
                }
                self.buffer.at += used;
                let len = n as usize;
                if len >= BIG && self.buffer.rest().len() < len + 2 && self.buffer.bytes.capacity() < len + 2 {
                    self.buffer.resize(len + 2);
                    self.peak = self.peak.max(len + 2);
                }
                Ok(Some(len))
            }
            _ => refuse("invalid bulk length"),
        }
    }

    /// The line that begins here, if it has come whole; not used up.
    fn line(&self, too_long: &str) -> Result<Option<&[u8]>, ProtocolError> {
        let rest = self.buffer.rest();
        let end = position_before_zero(rest, b'\r');
        if end.unwrap_or(rest.len()) > LINE_MAX {
            return refuse(too_long);
        }
        Ok(end.filter(|end| end + 2 <= rest.len()).map(|end| &rest[..end]))
    }
}

/// A line of `kind` and one or two digits, and how long it is: what nearly all lines look like. Whatever else there may be,
/// and every fault, goes the long way.
#[inline]
fn short_header(rest: &[u8], kind: u8) -> Option<(usize, usize)> {
    match *rest {
        [first, digit @ b'0'..=b'9', b'\r', _, ..] if first == kind => Some((usize::from(digit - b'0'), 4)),
        [first, tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', _, ..] if first == kind => {
            Some((usize::from(tens - b'0') * 10 + usize::from(ones - b'0'), 5))
        }
        _ => None,
    }
}

/// Where `wanted` is; as with C's strchr, a zero byte hides what is behind it.
fn position_before_zero(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|&byte| byte == wanted || byte == 0).filter(|&at| bytes[at] == wanted)
}

/// string2ll: canonical decimal, nothing else.
fn int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'0'] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    // Counted down, because i64::MIN has no positive twin.
    let below = digits.iter().try_fold(0i64, |n, byte| match byte {
        b'0'..=b'9' => n.checked_mul(10)?.checked_sub(i64::from(byte - b'0')),
        _ => None,
    })?;
    if negative { Some(below) } else { below.checked_neg() }
}

/// Replies of one server, as they arrive; RESP2 and RESP3.
#[derive(Clone, Debug, Default)]
pub struct Replies {
    buffer: Buffer,
    open: Vec<Open>,
}

/// An aggregate that still lacks items.
#[derive(Clone, Debug)]
struct Open {
    kind: u8,
    missing: usize,
    items: Vec<Reply>,
}

impl Replies {
    pub fn new() -> Replies {
        Replies::default()
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.feed(bytes);
    }

    /// The next whole reply; None if more bytes are needed. Err, in hiredis' words, if this is no RESP: give the
    /// connection up. Attributes are left out.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, String> {
        while let Some(element) = self.element()? {
            let mut done = match element {
                Element::Whole(reply) => reply,
                Element::Begins(open) if open.missing > 0 => {
                    if self.open.len() >= DEPTH_MAX {
                        return Err("Protocol error, too deeply nested reply".to_owned());
                    }
                    self.open.push(open);
                    continue;
                }
                Element::Begins(open) => match open.close() {
                    Some(reply) => reply,
                    None => continue,
                },
            };
            loop {
                let Some(open) = self.open.last_mut() else { return Ok(Some(done)) };
                open.items.push(done);
                open.missing -= 1;
                if open.missing > 0 {
                    break;
                }
                let whole = self.open.pop().expect("it was there a moment ago");
                match whole.close() {
                    Some(reply) => done = reply,
                    None => break,
                }
            }
        }
        Ok(None)
    }

    fn element(&mut self) -> Result<Option<Element>, String> {
        let rest = self.buffer.rest();
        let Some(&kind) = rest.first() else { return Ok(None) };
        if !b"+-:$*_%~>,#=(|!".contains(&kind) {
            return Err(format!("Protocol error, got {} as reply type byte", quote::repr(&[kind])));
        }
        let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return Ok(None);
        };
        let line = &rest[1..end];
        let after = self.buffer.at + end + 2;
        let whole = |reply| Ok(Some(Element::Whole(reply)));
        let result = match kind {
            b'$' | b'=' | b'!' => return self.blob(kind, after, end),
            b'*' | b'%' | b'~' | b'>' | b'|' => match int(line) {
                Some(-1) => whole(Reply::NilArray),
                Some(n) if (0..=i64::from(i32::MAX)).contains(&n) => {
                    let missing = n as usize * if matches!(kind, b'%' | b'|') { 2 } else { 1 };
                    Ok(Some(Element::Begins(Open { kind, missing, items: Vec::new() })))
                }
                _ => Err("Protocol error, bad multi-bulk length".to_owned()),
            },
            b'+' => whole(Reply::Status(carried(line))),
            b'-' => whole(Reply::Error(carried(line))),
            b':' => match int(line) {
                Some(n) => whole(Reply::Int(n)),
                None => Err("Bad integer value".to_owned()),
            },
            b'_' if line.is_empty() => whole(Reply::Nil),
            b'_' => Err("Bad nil value".to_owned()),
            b',' if line.to_ascii_lowercase().ends_with(b"nan") => whole(Reply::Double(f64::NAN)),
            b',' => match float::parse(line) {
                Some(value) if float::text(value).as_bytes() == line => whole(Reply::Double(value)),
                Some(_) => whole(Reply::LongDouble(Bytes::copy(line))),
                None => Err("Bad double value".to_owned()),
            },
            b'#' => match line {
                b"t" => whole(Reply::Bool(true)),
                b"f" => whole(Reply::Bool(false)),
                _ => Err("Bad bool value".to_owned()),
            },
            _ => whole(Reply::BigNumber(Bytes::copy(line))),
        };
        self.buffer.at = after;
        result
    }

    /// A string with its length before it; `after` is where its bytes begin.
    fn blob(&mut self, kind: u8, after: usize, header_end: usize) -> Result<Option<Element>, String> {
        let len = match int(&self.buffer.rest()[1..header_end]) {
            Some(-1) => {
                self.buffer.at = after;
                return Ok(Some(Element::Whole(Reply::Nil)));
            }
            Some(n) if n >= 0 => n as usize,
            _ => return Err("Bad bulk string length".to_owned()),
        };
        let mut ahead = Buffer { at: after, bytes: std::mem::take(&mut self.buffer.bytes) };
        let text = ahead.take(len).map(Bytes::copy);
        self.buffer.bytes = ahead.bytes;
        let Some(text) = text else { return Ok(None) };
        self.buffer.at = ahead.at;
        Ok(Some(Element::Whole(match (kind, &*text) {
            (b'$', _) => Reply::Bulk(text),
            (b'!', _) => Reply::Error(carried(&text)),
            (_, [b'm', b'k', b'd', b':', rest @ ..]) => Reply::Verbatim("mkd", Bytes::copy(rest)),
            (_, [_, _, _, b':', rest @ ..]) => Reply::Verbatim("txt", Bytes::copy(rest)),
            _ => return Err("Verbatim string 4 bytes of content type are missing or incorrectly encoded.".to_owned()),
        })))
    }
}

fn carried(line: &[u8]) -> Cow<'static, str> {
    Cow::Owned(carry::text(line).into_owned())
}

enum Element {
    Whole(Reply),
    Begins(Open),
}

impl Open {
    /// None for an attribute: it says something about the reply that follows, and is none itself.
    fn close(self) -> Option<Reply> {
        Some(match self.kind {
            b'|' => return None,
            b'*' => Reply::Array(self.items),
            b'~' => Reply::Set(self.items),
            b'>' => Reply::Push(self.items),
            _ => {
                let mut items = self.items.into_iter();
                let mut pairs = Vec::with_capacity(items.len() / 2);
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    pairs.push((key, value));
                }
                Reply::Map(pairs)
            }
        })
    }
}

#[cfg(test)]
mod tests;

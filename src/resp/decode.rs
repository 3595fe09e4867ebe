//! Reading the wire: a server's side ([`Requests`]) and a client's ([`Replies`]).
//!
//! Both are fed bytes as they come, in pieces of any size, and give whole messages. Requests follow Redis 7.2 in its limits and
//! error texts, also in what it does not check (the two bytes at the end of a line are skipped whatever they are). Neither
//! trusts a length: memory is taken only for bytes that have arrived.

use super::Reply;
use crate::base::{Bytes, float, quote};

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
        self.args.iter().map(|arg| arg.len()).sum()
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

    /// All bytes held for a request that is not whole yet.
    pub fn held(&self) -> usize {
        self.buffered() + self.args_len
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
        let Some(end) = position_before_zero(rest, b'\n') else {
            return if rest.len() > LINE_MAX { refuse("too big inline request") } else { Ok(false) };
        };
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
        match position_before_zero(rest, b'\r') {
            Some(end) if end + 2 <= rest.len() => Ok(Some(&rest[..end])),
            Some(_) => Ok(None),
            None if rest.len() > LINE_MAX => refuse(too_long),
            None => Ok(None),
        }
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
            b'+' => whole(Reply::Status(lossy(line).into())),
            b'-' => whole(Reply::Error(lossy(line).into())),
            b':' => match int(line) {
                Some(n) => whole(Reply::Int(n)),
                None => Err("Bad integer value".to_owned()),
            },
            b'_' if line.is_empty() => whole(Reply::Nil),
            b'_' => Err("Bad nil value".to_owned()),
            b',' if line.to_ascii_lowercase().ends_with(b"nan") => whole(Reply::Double(f64::NAN)),
            b',' => match float::parse(line) {
                Some(value) => whole(Reply::Double(value)),
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
            (b'!', _) => Reply::Error(lossy(&text).into()),
            (_, [b'm', b'k', b'd', b':', rest @ ..]) => Reply::Verbatim("mkd", Bytes::copy(rest)),
            (_, [_, _, _, b':', rest @ ..]) => Reply::Verbatim("txt", Bytes::copy(rest)),
            _ => return Err("Verbatim string 4 bytes of content type are missing or incorrectly encoded.".to_owned()),
        })))
    }
}

fn lossy(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
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
mod tests {
    use super::*;
    use crate::base::Rng;
    use crate::resp::{Protocol, encode};

    fn requests(bytes: &[u8]) -> Result<Vec<Vec<Bytes>>, String> {
        let mut requests = Requests::new();
        requests.feed(bytes);
        let mut all = Vec::new();
        while let Some(args) = requests.next(Limits::default()).map_err(|error| error.0)? {
            all.push(args);
        }
        Ok(all)
    }

    fn error(bytes: &[u8]) -> String {
        requests(bytes).expect_err("must be refused").replace("ERR Protocol error: ", "")
    }

    #[test]
    fn requests_come_in_both_forms_and_empty_ones_are_skipped() {
        let all = requests(b"PING\r\n\r\n*0\r\n*-1\r\nset 'a b' \"\\x41\"\n*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n").unwrap();
        let args = |words: &[&str]| words.iter().map(|&word| Bytes::from(word)).collect::<Vec<_>>();
        assert_eq!(all, [args(&["PING"]), args(&["set", "a b", "A"]), args(&["GET", "\r\n"])]);
    }

    #[test]
    fn the_buffer_grows_and_shrinks_as_that_of_redis() {
        let mut requests = Requests::new();
        requests.feed(b"PING\r\n");
        assert_eq!(requests.capacity(), ROOM);
        requests.next(Limits::default()).unwrap();
        // A large argument has its room before it has come, and keeps it while it may still come.
        requests.feed(b"*2\r\n$4\r\nECHO\r\n$400000\r\n");
        assert_eq!(requests.next(Limits::default()), Ok(None));
        assert_eq!((requests.buffered(), requests.capacity()), (0, 400_002));
        requests.trim(2);
        assert_eq!(requests.capacity(), 400_002);
        let text = b"x".repeat(400_000);
        requests.feed(&[&text, b"\r\n".as_slice()].concat());
        assert_eq!(requests.next(Limits::default()).unwrap().map(|args| args[1].len()), Some(400_000));
        // Of a large buffer is given back what was not needed between two looks ...
        requests.trim(0);
        requests.feed(b"*2\r\n$4\r\nECHO\r\n$100\r\n");
        requests.trim(0);
        assert!((20..1000).contains(&requests.capacity()), "{}", requests.capacity());
        // ... and of an idle client's all that is free.
        requests.feed(b"x");
        requests.trim(3);
        assert!(requests.capacity() < 100, "{}", requests.capacity());
        requests.feed(&[&text[1..100], b"\r\nPING\r\n".as_slice()].concat());
        assert_eq!(requests.next(Limits::default()).unwrap().map(|args| args[1].len()), Some(100));
        assert_eq!(requests.next(Limits::default()).unwrap().map(|args| args.len()), Some(1));
    }

    #[test]
    fn errors_have_redis_texts() {
        assert_eq!(error(b"*x\r\n"), "invalid multibulk length");
        assert_eq!(error(b"*2147483648\r\n"), "invalid multibulk length");
        assert_eq!(error(b"*+1\r\n"), "invalid multibulk length");
        assert_eq!(error(b"*1\r\nPING\r\n"), "expected '$', got 'P'");
        assert_eq!(error(b"*1\r\n$-1\r\n"), "invalid bulk length");
        assert_eq!(error(b"*1\r\n$536870913\r\n"), "invalid bulk length");
        assert_eq!(error(b"*1\r\n$ 1\r\n"), "invalid bulk length");
        assert_eq!(error(b"set 'a\r\n"), "unbalanced quotes in request");
        assert_eq!(error(&b"a".repeat(LINE_MAX + 1)), "too big inline request");
        assert_eq!(error(&[b"*".as_slice(), &b"1".repeat(LINE_MAX)].concat()), "too big mbulk count string");
        assert_eq!(error(&[b"*1\r\n$".as_slice(), &b"1".repeat(LINE_MAX)].concat()), "too big bulk count string");
    }

    #[test]
    fn a_client_without_a_password_may_send_little() {
        let limits = Limits { unauthenticated: true, ..Limits::default() };
        let refused = |bytes: &[u8]| {
            let mut requests = Requests::new();
            requests.feed(bytes);
            requests.next(limits).unwrap_err().0
        };
        assert_eq!(refused(b"*11\r\n"), "ERR Protocol error: unauthenticated multibulk length");
        assert_eq!(refused(b"*1\r\n$16385\r\n"), "ERR Protocol error: unauthenticated bulk length");
    }

    #[test]
    fn a_huge_length_takes_no_memory() {
        let mut requests = Requests::new();
        requests.feed(b"*2147483647\r\n$536870912\r\n");
        assert_eq!(requests.next(Limits::default()), Ok(None));
        assert!(requests.args.capacity() <= 4 && requests.buffered() == 0);
    }

    #[test]
    fn requests_in_any_pieces_are_the_same_requests() {
        let mut rng = Rng::new(21);
        for case in 0..500 {
            let sent: Vec<Vec<Vec<u8>>> =
                (0..1 + rng.below(4)).map(|_| (0..1 + rng.below(4)).map(|_| noise(&mut rng, 20)).collect()).collect();
            let mut wire = Vec::new();
            sent.iter().for_each(|args| encode::request(&mut wire, args));
            let (mut requests, mut got, mut at) = (Requests::new(), Vec::new(), 0);
            while at < wire.len() {
                let end = (at + 1 + rng.below(9)).min(wire.len());
                requests.feed(&wire[at..end]);
                at = end;
                while let Some(args) = requests.next(Limits::default()).unwrap() {
                    got.push(args.into_iter().map(Bytes::into_vec).collect::<Vec<_>>());
                }
            }
            assert_eq!(got, sent, "case {case}");
        }
    }

    fn noise(rng: &mut Rng, len_max: usize) -> Vec<u8> {
        (0..rng.below(len_max)).map(|_| rng.below(256) as u8).collect()
    }

    fn random_reply(rng: &mut Rng, depth: usize) -> Reply {
        let items = |rng: &mut Rng| (0..rng.below(4)).map(|_| random_reply(rng, depth + 1)).collect::<Vec<_>>();
        match rng.below(if depth < 4 { 13 } else { 9 }) {
            0 => Reply::Status(format!("S{}", rng.below(9)).into()),
            1 => Reply::Error(format!("ERR {}", rng.below(9)).into()),
            2 => Reply::Int(rng.next_u64() as i64),
            3 => Reply::Bulk(noise(rng, 30).into()),
            4 => Reply::Nil,
            5 => Reply::Double(f64::from_bits(rng.next_u64() & !(0x7ff << 52) | (1023 << 52))),
            6 => Reply::Bool(rng.below(2) == 0),
            7 => Reply::Verbatim("txt", noise(rng, 30).into()),
            8 => Reply::BigNumber(rng.next_u64().to_string().into()),
            9 => Reply::Array(items(rng)),
            10 => Reply::Set(items(rng)),
            11 => Reply::Push(items(rng)),
            _ => Reply::Map(items(rng).into_iter().map(|item| (item, random_reply(rng, depth + 1))).collect()),
        }
    }

    #[test]
    fn what_is_encoded_comes_back_the_same_in_any_pieces() {
        let mut rng = Rng::new(17);
        for case in 0..2000 {
            let sent = random_reply(&mut rng, 0);
            let mut wire = Vec::new();
            encode::reply(&mut wire, &sent, Protocol::Resp3);
            let (mut replies, mut got) = (Replies::new(), None);
            for piece in wire.chunks(1 + rng.below(40)) {
                assert!(got.is_none(), "case {case}: whole too early");
                replies.feed(piece);
                got = replies.next_reply().unwrap();
            }
            assert_eq!(got.as_ref(), Some(&sent), "case {case}");
        }
    }

    #[test]
    fn what_a_client_sees_is_what_its_protocol_carries() {
        let mut rng = Rng::new(19);
        for case in 0..2000 {
            let sent = random_reply(&mut rng, 0);
            for protocol in [Protocol::Resp2, Protocol::Resp3] {
                let mut wire = Vec::new();
                encode::reply(&mut wire, &sent, protocol);
                let mut replies = Replies::new();
                replies.feed(&wire);
                assert_eq!(replies.next_reply(), Ok(Some(sent.clone().seen_by(protocol))), "case {case}");
            }
        }
    }

    #[test]
    fn both_null_kinds_of_resp2_are_told_apart() {
        let mut replies = Replies::new();
        replies.feed(b"$-1\r\n*-1\r\n|1\r\n+ttl\r\n:5\r\n+OK\r\n");
        assert_eq!(replies.next_reply(), Ok(Some(Reply::Nil)));
        assert_eq!(replies.next_reply(), Ok(Some(Reply::NilArray)));
        assert_eq!(replies.next_reply(), Ok(Some(Reply::OK)), "an attribute is left out");
        replies.feed(b"HTTP/1.1\r\n");
        assert_eq!(replies.next_reply(), Err("Protocol error, got \"H\" as reply type byte".to_owned()));
    }

    #[test]
    fn no_bytes_panic() {
        let mut rng = Rng::new(23);
        for _ in 0..20_000 {
            let mut wire: Vec<u8> =
                (0..rng.below(40)).map(|_| b"*$+-:_%~>,#=(|!0123456789\r\n\r\n\r\n\0\"'ax"[rng.below(36)]).collect();
            if rng.below(4) == 0 {
                wire.extend(noise(&mut rng, 20));
            }
            let (mut requests, mut replies) = (Requests::new(), Replies::new());
            for piece in wire.chunks(1 + rng.below(12)) {
                requests.feed(piece);
                replies.feed(piece);
                while let Ok(Some(args)) = requests.next(Limits::default()) {
                    assert!(!args.is_empty());
                }
                while let Ok(Some(_)) = replies.next_reply() {}
            }
        }
        let mut deep = Replies::new();
        deep.feed(&b"*1\r\n".repeat(100_000));
        assert!(deep.next_reply().is_err());
    }
}

//! The journal: every input of a world, as compact bytes. With the topology it *is* the world.
//!
//! Format, version 1: the magic `redlab-journal 1\n`, the topology's fingerprint (8 bytes, little-endian), then entries.
//! An entry is a tag byte and its fields; numbers are LEB128, byte strings have their length before them. A `Mark` ends a
//! step of undo. Spans of running time between inputs are one `Pass`.

use crate::base::{Bytes, Millis};
use crate::port::{ConnectionId, NetworkChange, Signal};

const MAGIC: &[u8] = b"redlab-journal 1\n";

/// Anything that can be done to a world from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Time that ran by itself while somebody looked on.
    Pass(Millis),
    /// Time that somebody let pass: `sleep`, `:time`.
    Sleep(Millis),
    Connect {
        port: u16,
        terminal: String,
        /// To the machine's address in its network, not over loopback.
        outside: bool,
    },
    Send {
        connection: ConnectionId,
        args: Vec<Bytes>,
    },
    /// Picked up what had come.
    Receive(ConnectionId),
    HangUp(ConnectionId),
    Spawn(Vec<String>),
    Signal {
        pid: u32,
        signal: Signal,
    },
    PowerCut,
    Write {
        path: String,
        contents: Vec<u8>,
    },
    Remove(String),
    MakeDir(String),
    Sql(String),
    Mark,
    Network(NetworkChange),
}

/// Why a journal cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("not a journal of this version of the lab")]
    Foreign,
    #[error("the journal belongs to another world")]
    OtherWorld,
    #[error("the journal is damaged at byte {0}")]
    Damaged(usize),
}

impl Input {
    /// Whether it is something that a learner would take back: not time running by, not a connection or its mail.
    pub fn is_deed(&self) -> bool {
        !matches!(self, Input::Pass(_) | Input::Connect { .. } | Input::Receive(_) | Input::HangUp(_) | Input::Mark)
    }

    pub fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Input::Pass(span) => tagged(to, 1).number(span.0),
            Input::Sleep(span) => tagged(to, 2).number(span.0),
            Input::Connect { port, terminal, outside } => {
                tagged(to, if *outside { 23 } else { 3 }).number(u64::from(*port)).bytes(terminal.as_bytes())
            }
            Input::Send { connection, args } => {
                let writer = tagged(to, 4).number(connection.0).number(args.len() as u64);
                args.iter().fold(writer, |writer, arg| writer.bytes(arg))
            }
            Input::Receive(connection) => tagged(to, 5).number(connection.0),
            Input::HangUp(connection) => tagged(to, 6).number(connection.0),
            Input::Spawn(argv) => {
                let writer = tagged(to, 7).number(argv.len() as u64);
                argv.iter().fold(writer, |writer, arg| writer.bytes(arg.as_bytes()))
            }
            Input::Signal { pid, signal: Signal::Term } => tagged(to, 8).number(u64::from(*pid)),
            Input::Signal { pid, signal: Signal::Kill } => tagged(to, 9).number(u64::from(*pid)),
            Input::PowerCut => tagged(to, 10),
            Input::Write { path, contents } => tagged(to, 11).bytes(path.as_bytes()).bytes(contents),
            Input::Remove(path) => tagged(to, 12).bytes(path.as_bytes()),
            Input::MakeDir(path) => tagged(to, 13).bytes(path.as_bytes()),
            Input::Sql(statement) => tagged(to, 14).bytes(statement.as_bytes()),
            Input::Mark => tagged(to, 15),
            Input::Network(change) => encode_change(change, to),
        };
    }
}

fn encode_change<'a>(change: &NetworkChange, to: &'a mut Vec<u8>) -> Writer<'a> {
    let pair = |writer: Writer<'a>, a: &str, b: &str| writer.bytes(a.as_bytes()).bytes(b.as_bytes());
    match change {
        NetworkChange::Cut(a, b) => pair(tagged(to, 16), a, b),
        NetworkChange::Heal(a, b) => pair(tagged(to, 17), a, b),
        NetworkChange::HealAll => tagged(to, 18),
        NetworkChange::Delay(a, b, delay) => pair(tagged(to, 19), a, b).number(delay.0),
        NetworkChange::Loss(a, b, percent) => pair(tagged(to, 20), a, b).number(u64::from(*percent)),
        NetworkChange::Freeze(frozen) => tagged(to, 21).number(u64::from(*frozen)),
        NetworkChange::Step(limit) => tagged(to, 22).number(limit.0),
    }
}

struct Writer<'a>(&'a mut Vec<u8>);

fn tagged(to: &mut Vec<u8>, tag: u8) -> Writer<'_> {
    to.push(tag);
    Writer(to)
}

impl Writer<'_> {
    fn number(self, mut n: u64) -> Self {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
        self
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let writer = self.number(bytes.len() as u64);
        writer.0.extend_from_slice(bytes);
        writer
    }
}

/// The head of a journal written on a topology with this fingerprint.
pub fn head(fingerprint: u64) -> Vec<u8> {
    [MAGIC, &fingerprint.to_le_bytes()].concat()
}

/// The entries behind the head. Err: not ours, or of another topology.
pub fn body(journal: &[u8], fingerprint: u64) -> Result<&[u8], JournalError> {
    let rest = journal.strip_prefix(MAGIC).ok_or(JournalError::Foreign)?;
    let (found, entries) = rest.split_first_chunk().ok_or(JournalError::Foreign)?;
    if u64::from_le_bytes(*found) == fingerprint { Ok(entries) } else { Err(JournalError::OtherWorld) }
}

/// Reads entries one after the other.
pub struct Entries<'a> {
    all: &'a [u8],
    /// Where the next entry begins.
    pub at: usize,
}

impl<'a> Entries<'a> {
    pub fn new(all: &'a [u8]) -> Entries<'a> {
        Entries { all, at: 0 }
    }

    fn entry(&mut self) -> Option<Input> {
        Some(match self.byte()? {
            1 => Input::Pass(Millis(self.number()?)),
            2 => Input::Sleep(Millis(self.number()?)),
            tag @ (3 | 23) => {
                let (port, terminal) = (self.number()?.try_into().ok()?, self.text()?);
                Input::Connect { port, terminal, outside: tag == 23 }
            }
            4 => {
                let connection = ConnectionId(self.number()?);
                Input::Send { connection, args: self.many(|it| it.bytes().map(Bytes::copy))? }
            }
            5 => Input::Receive(ConnectionId(self.number()?)),
            6 => Input::HangUp(ConnectionId(self.number()?)),
            7 => Input::Spawn(self.many(Entries::text)?),
            8 => Input::Signal { pid: self.number()?.try_into().ok()?, signal: Signal::Term },
            9 => Input::Signal { pid: self.number()?.try_into().ok()?, signal: Signal::Kill },
            10 => Input::PowerCut,
            11 => Input::Write { path: self.text()?, contents: self.bytes()?.to_vec() },
            12 => Input::Remove(self.text()?),
            13 => Input::MakeDir(self.text()?),
            14 => Input::Sql(self.text()?),
            15 => Input::Mark,
            16 => Input::Network(NetworkChange::Cut(self.text()?, self.text()?)),
            17 => Input::Network(NetworkChange::Heal(self.text()?, self.text()?)),
            18 => Input::Network(NetworkChange::HealAll),
            19 => Input::Network(NetworkChange::Delay(self.text()?, self.text()?, Millis(self.number()?))),
            20 => Input::Network(NetworkChange::Loss(self.text()?, self.text()?, self.number()?.try_into().ok()?)),
            21 => Input::Network(NetworkChange::Freeze(self.number()? != 0)),
            22 => Input::Network(NetworkChange::Step(Millis(self.number()?))),
            _ => return None,
        })
    }

    fn many<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        // An item takes a byte at least: a damaged count cannot ask for more memory than the journal has.
        if count > (self.all.len() - self.at) as u64 {
            return None;
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.all.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(n);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let bytes = self.all.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }
}

/// An item is Err where no entry stands.
impl Iterator for Entries<'_> {
    type Item = Result<Input, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        (start < self.all.len()).then(|| self.entry().ok_or(JournalError::Damaged(start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_of_each() -> Vec<Input> {
        vec![
            Input::Connect { port: 6379, terminal: String::from("shop"), outside: false },
            Input::Connect { port: 6379, terminal: String::from("shop"), outside: true },
            Input::Send {
                connection: ConnectionId(300),
                args: vec![Bytes::from("SET"), Bytes::from(b"\x00\xff"), Bytes::new()],
            },
            Input::Receive(ConnectionId(1)),
            Input::Pass(Millis(u64::MAX)),
            Input::Sleep(Millis(1_800_000)),
            Input::Spawn(vec![String::from("redis.conf"), String::new()]),
            Input::Signal { pid: 1001, signal: Signal::Term },
            Input::Signal { pid: 1002, signal: Signal::Kill },
            Input::PowerCut,
            Input::Write { path: String::from("a/b"), contents: vec![0; 200] },
            Input::Remove(String::from("a/b")),
            Input::MakeDir(String::from("a")),
            Input::Sql(String::from("SELECT 'ä'")),
            Input::HangUp(ConnectionId(1)),
            Input::Mark,
            Input::Network(NetworkChange::Cut(String::from("a"), String::from("b"))),
            Input::Network(NetworkChange::Heal(String::from("a"), String::from("b"))),
            Input::Network(NetworkChange::HealAll),
            Input::Network(NetworkChange::Delay(String::from("a"), String::from("b"), Millis(200))),
            Input::Network(NetworkChange::Loss(String::from("a"), String::from("b"), 50)),
            Input::Network(NetworkChange::Freeze(true)),
            Input::Network(NetworkChange::Step(Millis(60_000))),
        ]
    }

    fn read(bytes: &[u8]) -> Result<Vec<Input>, JournalError> {
        Entries::new(bytes).collect()
    }

    #[test]
    fn every_input_comes_back_as_it_was_written() {
        let mut bytes = Vec::new();
        some_of_each().iter().for_each(|input| input.encode(&mut bytes));
        assert_eq!(read(&bytes), Ok(some_of_each()));
    }

    #[test]
    fn a_cut_or_altered_journal_is_an_error_and_never_a_panic() {
        let mut bytes = Vec::new();
        some_of_each().iter().for_each(|input| input.encode(&mut bytes));
        for cut in 0..bytes.len() {
            Entries::new(&bytes[..cut]).take_while(Result::is_ok).for_each(drop);
        }
        let mut rng = crate::base::Rng::new(7);
        for _ in 0..2000 {
            let mut altered = bytes.clone();
            let at = rng.below(altered.len());
            altered[at] = rng.next_u64() as u8;
            Entries::new(&altered).take_while(Result::is_ok).for_each(drop);
        }
        assert_eq!(read(&[99]), Err(JournalError::Damaged(0)));
        assert_eq!(read(&[10, 4, 1, 0xff, 0xff, 3]), Err(JournalError::Damaged(1)));
    }

    #[test]
    fn a_journal_of_another_world_or_version_is_refused() {
        let mut journal = head(42);
        Input::Mark.encode(&mut journal);
        assert_eq!(body(&journal, 42), Ok(&[15][..]));
        assert_eq!(body(&journal, 43), Err(JournalError::OtherWorld));
        assert_eq!(body(b"redlab-journal 9\n12345678", 42), Err(JournalError::Foreign));
        assert_eq!(body(b"", 42), Err(JournalError::Foreign));
    }
}

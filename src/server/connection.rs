//! One client's socket: bytes in, requests out; replies in, bytes out.

use super::listen::Stream;
use super::pulse;
use crate::base::Millis;
use crate::engine::hooks::Buffers;
use crate::resp::decode::Requests;
use std::io::{self, Read, Write};

/// What a read from a socket brought.
#[derive(PartialEq, Eq, Debug)]
pub enum Got {
    /// Fewer than there was room for: the socket is empty now.
    Bytes,
    /// As many as there was room for: there may be more.
    Full,
    Nothing,
    /// The other side is gone.
    End,
}

pub struct Connection {
    pub stream: Stream,
    /// Which of the served instances it belongs to.
    pub node: usize,
    pub requests: Requests,
    /// Encoded and not yet written; the first `written` bytes are out.
    pub out: Vec<u8>,
    written: usize,
    /// Nothing more is read; the connection ends once `out` is written.
    pub closing: bool,
    /// The poll has been asked to say when the socket can take more.
    pub waits_to_write: bool,
    /// `tcp-keepalive` has been seen to.
    pub kept_alive: bool,
    /// When it was last read from.
    pub read_at: Millis,
    /// Since when more waits to be written than the soft limit allows.
    pub over_soft_since: Option<Millis>,
}

/// A buffer that was needed for one large reply is not kept for ever.
const KEPT_BYTES: usize = 64 * 1024;

/// As `tot-mem` of CLIENT LIST counts it, without buffers.
const KEPT_OF_CLIENT: usize = 776;

impl Connection {
    pub fn new(stream: Stream, node: usize, now: Millis) -> Connection {
        let requests = Requests::new();
        Connection {
            stream,
            node,
            requests,
            out: Vec::new(),
            written: 0,
            closing: false,
            waits_to_write: false,
            kept_alive: false,
            read_at: now,
            over_soft_since: None,
        }
    }

    /// Reads once, at most `scratch.len()` bytes, into the requests.
    pub fn read(&mut self, scratch: &mut [u8]) -> Got {
        let (got, len) = self.read_raw(scratch);
        self.requests.feed(&scratch[..len]);
        got
    }

    /// Reads once into `scratch`, and how many bytes.
    pub fn read_raw(&mut self, scratch: &mut [u8]) -> (Got, usize) {
        loop {
            return match self.stream.read(scratch) {
                Ok(0) => (Got::End, 0),
                Ok(len) => {
                    pulse::read(len);
                    (if len == scratch.len() { Got::Full } else { Got::Bytes }, len)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (Got::Nothing, 0),
                Err(_) => (Got::End, 0),
            };
        }
    }

    pub fn buffers(&self) -> Buffers {
        Buffers {
            query: self.requests.buffered(),
            query_size: self.requests.capacity(),
            reply: self.pending(),
            reply_size: self.out.capacity(),
        }
    }

    /// What it takes, in bytes, with what the instance keeps of the client.
    pub fn memory(&self) -> u64 {
        (KEPT_OF_CLIENT + self.requests.capacity() + self.requests.parsed() + self.out.capacity()) as u64
    }

    /// Gives back what memory the client does not need; to be called about once a second.
    pub fn trim(&mut self, idle_secs: u64) {
        self.requests.trim(idle_secs);
        if idle_secs > 2 && self.out.is_empty() {
            self.out.shrink_to_fit();
        }
    }

    /// Bytes that wait to be written.
    pub fn pending(&self) -> usize {
        self.out.len() - self.written
    }

    /// Writes as much as the socket takes. Err: the other side is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => {
                    pulse::wrote(len);
                    self.written += len;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.out.shrink_to(KEPT_BYTES);
        self.written = 0;
        Ok(())
    }
}

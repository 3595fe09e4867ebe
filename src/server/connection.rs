//! One client's socket: bytes in, requests out; replies in, bytes out.

use super::listen::Stream;
use super::pulse;
use crate::base::Millis;
use crate::engine::Switches;
use crate::engine::hooks::Buffers;
use crate::resp::decode::Requests;
use std::cmp::Ordering;
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
    reply_room: ReplyRoom,
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

/// What an idle client keeps of its reply buffer, in bytes: half as much if it used less than that, twice as much if it used it
/// all (`clientsCronResizeOutputBuffer`).
struct ReplyRoom {
    kept: usize,
    /// The most of it that was used since `peak_since`.
    peak: usize,
    peak_since: Millis,
}

/// Least and most of it.
const REPLY_ROOM: (usize, usize) = (1024, 16 * 1024);

/// What became of a reply buffer.
#[derive(PartialEq, Eq, Debug)]
pub enum Resized {
    Shrunk,
    Grown,
    No,
}

impl ReplyRoom {
    /// A look about once a second, and at each tick where there are few clients.
    fn adapt(&mut self, now: Millis, switches: &Switches) -> Resized {
        let (least, most) = REPLY_ROOM;
        let (before, half) = (self.kept, self.kept / 2);
        if switches.reply_resizing {
            if half >= least && self.peak < half {
                self.kept = (self.peak + 1).max(least);
            } else if self.kept < most && self.peak == self.kept {
                self.kept = (self.kept * 2).min(most);
            }
        }
        if switches.reply_peak_kept.is_some_and(|span| now.since(self.peak_since) > span) {
            (self.peak, self.peak_since) = (0, now);
        }
        match self.kept.cmp(&before) {
            Ordering::Less => Resized::Shrunk,
            Ordering::Equal => Resized::No,
            Ordering::Greater => Resized::Grown,
        }
    }
}

impl Connection {
    pub fn new(stream: Stream, node: usize, now: Millis) -> Connection {
        let requests = Requests::new();
        Connection {
            stream,
            node,
            requests,
            out: Vec::new(),
            written: 0,
            reply_room: ReplyRoom { kept: REPLY_ROOM.1, peak: 0, peak_since: now },
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
            reply_size: self.reply_room.kept,
            reply_peak: self.reply_room.peak,
        }
    }

    /// What it takes, in bytes, with what an instance keeps of each client.
    pub fn memory(&self) -> u64 {
        (Buffers::CLIENT + self.requests.capacity() + self.requests.parsed() + self.out.capacity()) as u64
    }

    /// Gives back what memory the client does not need; to be called about once a second.
    pub fn trim(&mut self, idle_secs: u64, now: Millis, switches: &Switches) -> Resized {
        self.requests.trim(idle_secs);
        let resized = self.reply_room.adapt(now, switches);
        if idle_secs > 2 && self.out.is_empty() {
            self.out.shrink_to(self.reply_room.kept);
        }
        resized
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.forget_written();
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.reply_room.peak = self.reply_room.peak.max(self.out.len().min(self.reply_room.kept));
        self.out.clear();
        self.out.shrink_to(KEPT_BYTES);
        self.written = 0;
        Ok(())
    }

    /// Lets go of what has been written, if that is worth moving the rest: else a client that reads steadily and never catches
    /// up would cost ever more.
    fn forget_written(&mut self) {
        if self.written >= KEPT_BYTES && self.written >= self.pending() {
            self.out.drain(..self.written);
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    // All that was ever written stayed until everything was, and no limit saw it: only what waits counts.
    #[test]
    fn a_reader_that_never_catches_up_costs_little_more_than_what_it_has_not_read() {
        const MIB: usize = 1 << 20;
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let mut reader = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (stream, _) = listener.accept().expect("somebody calls");
        stream.set_nonblocking(true).expect("a socket");
        let mut connection = Connection::new(Stream::Tcp(mio::net::TcpStream::from_std(stream)), 0, Millis::ZERO);
        connection.out.resize(32 * MIB, b'x');
        let mut read = vec![0; MIB];
        for _ in 0..50 {
            connection.out.resize(connection.out.len() + MIB, b'x');
            connection.flush().expect("the reader is there");
            reader.read_exact(&mut read).expect("there is more to read");
        }
        assert!(connection.pending() > MIB);
        assert!(connection.out.len() <= 2 * connection.pending() + KEPT_BYTES, "{} bytes", connection.out.len());
    }

    #[test]
    fn a_reply_buffer_halves_when_little_of_it_is_used_and_doubles_when_all_is() {
        let switches = Switches::default();
        let mut room = ReplyRoom { kept: REPLY_ROOM.1, peak: 5000, peak_since: Millis::ZERO };
        assert_eq!((room.adapt(Millis(1000), &switches), room.kept), (Resized::Shrunk, 5001));
        assert_eq!(room.adapt(Millis(2000), &switches), Resized::No);
        room.peak = 5001;
        assert_eq!((room.adapt(Millis(3000), &switches), room.kept), (Resized::Grown, 10_002));
        room.peak = 10_002;
        assert_eq!((room.adapt(Millis(4000), &switches), room.kept), (Resized::Grown, REPLY_ROOM.1));
        // After five seconds the peak is forgotten.
        assert_eq!((room.adapt(Millis(5001), &switches), room.peak), (Resized::No, 0));
        assert_eq!((room.adapt(Millis(6000), &switches), room.kept), (Resized::Shrunk, REPLY_ROOM.0));
        room.peak = REPLY_ROOM.0;
        let still = Switches { reply_resizing: false, ..switches };
        assert_eq!(room.adapt(Millis(7000), &still), Resized::No);
    }
}

//! A Redis server somewhere, reached over TCP: the client half of the port `Backend`.
//!
//! Nothing but connections works here: no processes, files, undo or forks. Time is the real one, and `advance` waits.
//! While an answer is outstanding `receive` waits a moment for it, so that a caller which polls sees it at once.

use crate::base::{Bytes, Millis};
use crate::port::{Backend, ConnectionId, Incoming};
use crate::resp::decode::Replies;
use crate::resp::{Reply, encode};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long one look for an outstanding answer lasts.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Default)]
pub struct Remote {
    connections: BTreeMap<ConnectionId, Connection>,
    last: u64,
}

struct Connection {
    stream: TcpStream,
    replies: Replies,
    /// Requests without a reply yet.
    awaiting: usize,
    /// The server hung up, or spoke something else than RESP.
    ended: bool,
    told: bool,
}

impl Remote {
    pub fn new() -> Remote {
        Remote::default()
    }
}

fn open(host: &str, port: u16) -> Result<TcpStream, String> {
    let unknown = "Name or service not known";
    let addresses = (host, port).to_socket_addrs().map_err(|_| unknown.to_owned())?;
    let mut failure = unknown.to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(stream) => {
                let set = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(LOOK)));
                return set.map(|()| stream).map_err(|error| plain(&error));
            }
            Err(error) => failure = plain(&error),
        }
    }
    Err(failure)
}

/// The words of strerror(3), without Rust's error number.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "Connection refused".to_owned(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "Operation timed out".to_owned(),
        _ => error.to_string().split(" (os error").next().unwrap_or_default().to_owned(),
    }
}

impl Connection {
    fn read(&mut self) {
        let mut chunk = [0; 64 * 1024];
        if self.stream.set_nonblocking(self.awaiting == 0).is_err() {
            self.ended = true;
        }
        while !self.ended {
            match self.stream.read(&mut chunk) {
                Ok(0) => self.ended = true,
                Ok(len) => {
                    self.replies.feed(&chunk[..len]);
                    if len < chunk.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(_) => self.ended = true,
            }
        }
    }

    fn take(&mut self) -> Vec<Incoming> {
        let mut all = Vec::new();
        loop {
            match self.replies.next_reply() {
                Ok(Some(push @ Reply::Push(_))) => all.push(Incoming::Push(push)),
                Ok(Some(reply)) => {
                    self.awaiting = self.awaiting.saturating_sub(1);
                    all.push(Incoming::Reply(reply));
                }
                Ok(None) => break,
                Err(fault) => {
                    if !self.told {
                        all.push(Incoming::Push(Reply::error(fault)));
                    }
                    self.ended = true;
                    break;
                }
            }
        }
        if self.ended && !std::mem::replace(&mut self.told, true) {
            all.push(Incoming::Closed);
        }
        all
    }
}

impl Backend for Remote {
    fn now(&self) -> Millis {
        Millis(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64))
    }

    fn advance(&mut self, span: Millis) {
        std::thread::sleep(Duration::from_millis(span.0));
    }

    fn connect(&mut self, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        self.connect_to("127.0.0.1", port, terminal)
    }

    fn connect_to(&mut self, host: &str, port: u16, _: &str) -> Result<ConnectionId, String> {
        let stream =
            open(host, port).map_err(|reason| format!("Could not connect to Redis at {host}:{port}: {reason}"))?;
        self.last += 1;
        let id = ConnectionId(self.last);
        self.connections
            .insert(id, Connection { stream, replies: Replies::new(), awaiting: 0, ended: false, told: false });
        Ok(id)
    }

    fn send(&mut self, connection: ConnectionId, args: Vec<Bytes>) {
        let Some(connection) = self.connections.get_mut(&connection) else { return };
        let mut wire = Vec::new();
        encode::request(&mut wire, &args);
        let written = connection.stream.set_nonblocking(false).and_then(|()| connection.stream.write_all(&wire));
        match written {
            Ok(()) => connection.awaiting += 1,
            Err(_) => connection.ended = true,
        }
    }

    fn receive(&mut self, connection: ConnectionId) -> Vec<Incoming> {
        let Some(connection) = self.connections.get_mut(&connection) else { return Vec::new() };
        connection.read();
        connection.take()
    }

    fn hang_up(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
    }
}

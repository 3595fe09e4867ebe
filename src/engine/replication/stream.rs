//! The stream on the replica's side: what the primary sends is carried out, counted, and handed on as it came.

use super::{PRIMARY, link_of, notice, warning};
use crate::base::{Bytes, Millis};
use crate::engine::{Env, Instance, Outbox};
use crate::resp::decode::{Limits, Requests};

/// A stream that flows.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// The history that it is part of.
    pub id: String,
    /// Bytes of it that have been carried out.
    pub offset: u64,
    /// Bytes of it that have come.
    pub read_offset: u64,
    pub last_io: Millis,
    /// A primary that was asked by SYNC knows no acknowledgements.
    pub acknowledges: bool,
    requests: Requests,
    /// Bytes that have not been carried out and handed on yet: requests that are not whole, transactions without their EXEC.
    raw: Vec<u8>,
}

/// Where a stream broke off.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    pub id: String,
    pub offset: u64,
    pub db: usize,
}

impl Stream {
    pub fn new(id: String, offset: u64, acknowledges: bool, now: Millis) -> Stream {
        Stream {
            id,
            offset,
            read_offset: offset,
            last_io: now,
            acknowledges,
            requests: Requests::new(),
            raw: Vec::new(),
        }
    }
}

impl Instance {
    pub(super) fn apply_stream(&mut self, env: &mut Env, bytes: Vec<u8>, out: &mut Outbox) {
        let Some(stream) = &mut self.replication.stream else { return };
        stream.last_io = env.now;
        stream.read_offset += bytes.len() as u64;
        stream.requests.feed(&bytes);
        stream.raw.extend_from_slice(&bytes);
        // How much of `raw` has been carried out.
        let mut done = 0;
        loop {
            let Some(stream) = &mut self.replication.stream else { return };
            match stream.requests.next(Limits { bulk_len: u64::MAX, ..Limits::default() }) {
                Ok(Some(args)) => {
                    self.request(env, PRIMARY, &args, out);
                    let in_transaction = self.clients.get(&PRIMARY).is_none_or(|client| client.transaction.is_some());
                    let Some(stream) = &mut self.replication.stream else { return };
                    let read = stream.raw.len() - stream.requests.buffered();
                    // A transaction counts as a whole: a replica that comes back in its middle gets it all again.
                    if !in_transaction {
                        stream.offset += (read - done) as u64;
                        self.replication.offset += (read - done) as u64;
                        done = read;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    warning(out, format!("Protocol error from master: {}", error.0));
                    self.drop_stream(out);
                    self.replication.cached = None;
                    return self.lose_primary(env.now, out);
                }
            }
        }
        if let Some(stream) = &mut self.replication.stream {
            let applied: Vec<u8> = stream.raw.drain(..done).collect();
            self.send_stream(&applied, out);
        }
    }

    /// Remembers where the stream broke off, for the next attempt.
    pub(super) fn cache_stream(&mut self, out: &mut Outbox) {
        let Some(stream) = self.replication.stream.take() else { return };
        notice(out, "Caching the disconnected master state.");
        let db = self.clients.get(&PRIMARY).map_or(0, |client| client.db);
        self.hang_up(PRIMARY);
        self.replication.cached = Some(Cached { id: stream.id, offset: stream.offset, db });
        self.replication.down_since = self.now;
    }

    /// Ends a stream that flows, and remembers where.
    pub(super) fn drop_stream(&mut self, out: &mut Outbox) {
        if self.replication.stream.is_none() {
            return;
        }
        notice(out, "Connection with master lost.");
        self.cache_stream(out);
    }

    /// Closes the link to the primary and dials it anew.
    pub(super) fn lose_primary(&mut self, now: Millis, out: &mut Outbox) {
        if let Some(link) = link_of(&self.replication.primary) {
            self.links.close(link, out);
        }
        self.reconnect(now, out);
    }

    /// Tells the primary how far this replica is.
    pub(super) fn send_ack(&mut self, out: &mut Outbox) {
        let Some(stream) = &self.replication.stream else { return };
        let mut ack = vec![Bytes::from("REPLCONF"), Bytes::from("ACK"), Bytes::from(stream.offset.to_string())];
        if self.replication.fsynced_offset >= 0 {
            ack.extend([Bytes::from("FACK"), Bytes::from(self.replication.fsynced_offset.to_string())]);
        }
        self.say_to_primary(&ack, out);
    }

    /// Every second, to primaries that understand it.
    pub(super) fn send_periodic_ack(&mut self, out: &mut Outbox) {
        if self.replication.stream.as_ref().is_some_and(|stream| stream.acknowledges) {
            self.send_ack(out);
        }
    }
}

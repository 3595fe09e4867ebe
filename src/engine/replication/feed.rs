//! A primary's stream: what changes becomes bytes, for the backlog and for all replicas at once.

use super::attach::State;
use super::words;
use crate::base::Bytes;
use crate::engine::hooks::Buffers;
use crate::engine::{ANY_DB, Instance, Outbox, Output};
use crate::resp::encode;

impl Instance {
    /// Takes what the step propagated into the stream.
    pub(in crate::engine) fn feed_propagated(&mut self, out: &mut Outbox) {
        let replication = &mut self.replication;
        // What a replica gets it hands on as it came; its own writes are its own.
        if replication.primary.is_some() {
            return;
        }
        if replication.backlog.is_none() {
            // Nobody counts bytes, but WAITAOF wants to see that something changed.
            replication.offset += self.propagated.len() as u64;
            return;
        }
        let mut bytes = Vec::new();
        for entry in &self.propagated {
            if entry.db != ANY_DB && replication.selected_db != Some(entry.db) {
                replication.selected_db = Some(entry.db);
                encode::request(&mut bytes, &[Bytes::from("SELECT"), Bytes::from(entry.db.to_string())]);
            }
            encode::request(&mut bytes, &entry.args);
        }
        self.extend_stream(&bytes, out);
    }

    /// Puts a command of no database into the stream: PING, REPLCONF GETACK.
    pub(super) fn feed_words(&mut self, command: &[&str], out: &mut Outbox) {
        let mut bytes = Vec::new();
        encode::request(&mut bytes, &words(command));
        self.extend_stream(&bytes, out);
    }

    fn extend_stream(&mut self, bytes: &[u8], out: &mut Outbox) {
        self.replication.offset += bytes.len() as u64;
        self.send_stream(bytes, out);
    }

    /// Gives the next bytes of the stream to the backlog and all replicas; those that wait for a snapshot get them later.
    pub(super) fn send_stream(&mut self, bytes: &[u8], out: &mut Outbox) {
        if bytes.is_empty() {
            return;
        }
        if let Some(backlog) = &mut self.replication.backlog {
            backlog.push(bytes);
        }
        let mut late = Vec::new();
        for id in &self.replication.replicas {
            let client = self.clients.get_mut(id);
            let Some(replica) = client.and_then(|client| client.replica.as_deref_mut()) else { continue };
            match replica.state {
                State::Online if !replica.starts_on_ack => {
                    self.stats.replication_out += bytes.len() as u64;
                    out.push(Output::Raw(*id, bytes.to_vec()));
                }
                State::Online | State::WaitBgsaveEnd if !replica.rdb_only => {
                    replica.buffered.extend_from_slice(bytes);
                    late.push((*id, replica.buffered.len() as u64));
                }
                _ => {}
            }
        }
        for (id, pending) in late {
            if self.output_limit(id).is_exceeded(pending, None, self.now) {
                let buffers = Buffers { reply: pending as usize, ..Buffers::usual(None) };
                self.cut_off(id, buffers, out);
            }
        }
    }

    /// Asks all replicas how far they are.
    pub(in crate::engine) fn request_acks(&mut self, out: &mut Outbox) {
        self.replication.asks_for_acks = true;
        self.ask_for_acks(out);
    }

    /// Asks all replicas how far they are, if somebody waits for that.
    pub(super) fn ask_for_acks(&mut self, out: &mut Outbox) {
        if std::mem::take(&mut self.replication.asks_for_acks) && !self.is_replica() {
            self.feed_words(&["REPLCONF", "GETACK", "*"], out);
        }
    }

    /// How many replicas are up to date enough for `min-replicas-to-write`.
    pub fn good_replicas(&self) -> usize {
        let lag_max = self.config.min_replicas_max_lag_secs.max(0) as u64;
        let good = self.attached().filter(|(_, replica)| {
            replica.state == State::Online && self.now.secs().saturating_sub(replica.ack_time.secs()) <= lag_max
        });
        good.count()
    }
}

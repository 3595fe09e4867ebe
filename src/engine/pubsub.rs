//! Channels and patterns, and who listens.

use super::client::ClientId;
use super::{Outbox, Output};
use crate::base::Bytes;
use crate::resp::Reply;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default)]
pub struct PubSub {
    pub channels: BTreeMap<Bytes, BTreeSet<ClientId>>,
    pub patterns: BTreeMap<Bytes, BTreeSet<ClientId>>,
    pub shard_channels: BTreeMap<Bytes, BTreeSet<ClientId>>,
}

impl PubSub {
    /// Sends `message` to the listeners of `channel`; how many there were.
    pub fn publish(&self, channel: &[u8], message: &[u8], out: &mut Outbox) -> usize {
        let mut receivers = 0;
        for client in self.channels.get(channel).into_iter().flatten() {
            let parts = vec![Reply::bulk("message"), Reply::bulk(channel), Reply::bulk(message)];
            out.push(Output::Push(*client, Reply::Push(parts)));
            receivers += 1;
        }
        receivers
    }
}

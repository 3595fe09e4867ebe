//! Channels and patterns, and who listens.
//!
//! Shard channels are a space of their own. A message goes to the listeners of the channel in the order in which they
//! subscribed, then pattern by pattern to those whose pattern fits. What is sent is a push: RESP2 encodes it as an array.

use super::client::{Client, ClientId};
use super::{Outbox, Output};
use crate::base::{Bytes, glob};
use crate::resp::Reply;
use std::collections::BTreeMap;

/// Who listens to what; never with an empty list.
#[derive(Clone, Debug, Default)]
pub struct PubSub {
    pub channels: BTreeMap<Bytes, Vec<ClientId>>,
    pub patterns: BTreeMap<Bytes, Vec<ClientId>>,
    pub shard_channels: BTreeMap<Bytes, Vec<ClientId>>,
}

/// The three kinds of subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Channel,
    Pattern,
    Shard,
}

impl Kind {
    /// What the confirmation of a subscription is called.
    pub fn verb(self) -> &'static str {
        match self {
            Kind::Channel => "subscribe",
            Kind::Pattern => "psubscribe",
            Kind::Shard => "ssubscribe",
        }
    }

    pub fn undo_verb(self) -> &'static str {
        match self {
            Kind::Channel => "unsubscribe",
            Kind::Pattern => "punsubscribe",
            Kind::Shard => "sunsubscribe",
        }
    }
}

impl PubSub {
    fn listeners(&mut self, kind: Kind) -> &mut BTreeMap<Bytes, Vec<ClientId>> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shard_channels,
        }
    }

    pub fn add(&mut self, kind: Kind, name: &Bytes, client: ClientId) {
        self.listeners(kind).entry(name.clone()).or_default().push(client);
    }

    pub fn remove(&mut self, kind: Kind, name: &[u8], client: ClientId) {
        let all = self.listeners(kind);
        let Some(listeners) = all.get_mut(name) else { return };
        listeners.retain(|listener| *listener != client);
        if listeners.is_empty() {
            all.remove(name);
        }
    }

    /// Drops all subscriptions of a client.
    pub fn forget(&mut self, client: &Client) {
        for (kind, names) in [
            (Kind::Channel, &client.channels),
            (Kind::Pattern, &client.patterns),
            (Kind::Shard, &client.shard_channels),
        ] {
            names.iter().for_each(|name| self.remove(kind, name, client.id));
        }
    }

    /// Sends `message` to the listeners of `channel` and of patterns that fit it; how many there were.
    pub fn publish(&self, channel: &[u8], message: &[u8], out: &mut Outbox) -> usize {
        let mut receivers = send(self.channels.get(channel), &[b"message", channel, message], out);
        for (pattern, listeners) in &self.patterns {
            if glob::matches(pattern, channel) {
                receivers += send(Some(listeners), &[b"pmessage", pattern, channel, message], out);
            }
        }
        receivers
    }

    /// Sends `message` to the listeners of a shard channel; how many there were.
    pub fn publish_sharded(&self, channel: &[u8], message: &[u8], out: &mut Outbox) -> usize {
        send(self.shard_channels.get(channel), &[b"smessage", channel, message], out)
    }
}

fn send(listeners: Option<&Vec<ClientId>>, parts: &[&[u8]], out: &mut Outbox) -> usize {
    let Some(listeners) = listeners else { return 0 };
    for client in listeners {
        let parts = parts.iter().map(|part| Reply::bulk(*part)).collect();
        out.push(Output::Push(*client, Reply::Push(parts)));
    }
    listeners.len()
}

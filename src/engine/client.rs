//! What the instance remembers of a connection.

use super::blocked::Blocked;
use super::command::Command;
use crate::base::{Bytes, Millis};
use crate::resp::Protocol;
use std::collections::{BTreeSet, VecDeque};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub u64);

/// A transaction being queued.
#[derive(Clone, Default)]
pub struct Transaction {
    pub queue: Vec<(&'static Command, Vec<Bytes>)>,
    /// A command was refused while queueing: EXEC will answer EXECABORT.
    pub broken: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// The reply to CLIENT REPLY SKIP's next command is left out.
    SkipNext,
    Skip,
}

/// A key under WATCH.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watched {
    pub db: usize,
    pub key: Bytes,
    /// It was past its expiry already when WATCH came: its removal later is then no change.
    pub was_expired: bool,
}

#[derive(Clone)]
pub struct Client {
    pub id: ClientId,
    pub name: Bytes,
    pub lib_name: Bytes,
    pub lib_ver: Bytes,
    pub addr: String,
    pub laddr: String,
    pub db: usize,
    pub protocol: Protocol,
    pub user: String,
    pub authenticated: bool,
    pub connected_at: Millis,
    pub last_seen_at: Millis,
    pub last_command: Option<&'static Command>,
    pub transaction: Option<Transaction>,
    pub watched: Vec<Watched>,
    /// A watched key changed: EXEC will answer nil.
    pub watch_broken: bool,
    pub channels: BTreeSet<Bytes>,
    pub patterns: BTreeSet<Bytes>,
    pub shard_channels: BTreeSet<Bytes>,
    pub monitor: bool,
    pub reply_mode: ReplyMode,
    pub blocked: Option<Blocked>,
    /// Requests that came while this client was blocked or paused, in order.
    pub waiting: VecDeque<Vec<Bytes>>,
    pub no_evict: bool,
    pub no_touch: bool,
    pub closing: bool,
}

impl Client {
    pub fn new(id: ClientId, now: Millis) -> Client {
        Client {
            id,
            name: Bytes::new(),
            lib_name: Bytes::new(),
            lib_ver: Bytes::new(),
            addr: format!("127.0.0.1:{}", 50_000 + id.0 % 10_000),
            laddr: String::from("127.0.0.1:6379"),
            db: 0,
            protocol: Protocol::Resp2,
            user: String::from("default"),
            authenticated: false,
            connected_at: now,
            last_seen_at: now,
            last_command: None,
            transaction: None,
            watched: Vec::new(),
            watch_broken: false,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            shard_channels: BTreeSet::new(),
            monitor: false,
            reply_mode: ReplyMode::On,
            blocked: None,
            waiting: VecDeque::new(),
            no_evict: false,
            no_touch: false,
            closing: false,
        }
    }

    pub fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// In RESP2 a subscriber may only manage its subscriptions.
    pub fn is_subscriber(&self) -> bool {
        self.subscriptions() + self.shard_channels.len() > 0
    }
}

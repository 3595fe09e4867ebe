//! What the disks of nodes have put off: nodes.conf, to be on disk before anything is said that hangs on it.
//!
//! A sync takes milliseconds, all of them spent waiting, and a node waits for it as a process of its own would: until then it
//! reads nothing and says nothing, while the other nodes of this process go on. So the sync runs on a thread.

use super::event_loop::{FIRST_TOKEN, Log, Server};
use super::links::FIRST_LINK;
use crate::engine::Input;
use crate::engine::cluster::conf::last_words;
use crate::engine::disk::ReplaceError;
use mio::{Poll, Token, Waker};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Tells the loop that a sync has ended.
pub(super) const SYNCED: usize = usize::MAX;

/// The node whose sync has ended, and how.
type Synced = (usize, Result<(), ReplaceError>);

pub(super) struct Settling {
    waker: Arc<Waker>,
    /// By node: it waits for a sync.
    waits: Vec<bool>,
    /// How many wait.
    count: usize,
    ended: (Sender<Synced>, Receiver<Synced>),
    /// Sockets and listeners of nodes that wait, which had something to be read.
    parked: Vec<usize>,
    /// What such nodes are to be told.
    news: Vec<(usize, Input)>,
}

impl Settling {
    pub fn new(poll: &Poll, nodes: usize) -> io::Result<Settling> {
        let waker = Arc::new(Waker::new(poll.registry(), Token(SYNCED))?);
        let (waits, ended) = (vec![false; nodes], channel());
        Ok(Settling { waker, waits, count: 0, ended, parked: Vec::new(), news: Vec::new() })
    }

    /// Whether this node waits for its disk: it must not be given anything, nor anything of it be sent.
    pub fn waits(&self, index: usize) -> bool {
        self.waits[index]
    }

    /// Sees to it that a socket or listener is looked at again when its node goes on.
    pub fn park(&mut self, token: usize) {
        self.parked.push(token);
    }
}

impl Server {
    /// Begins the syncs that the turn of the loop has asked for.
    pub(super) fn begin_syncs(&mut self) {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let Some(work) = node.as_mut().and_then(|node| node.disk.unsettled()) else { continue };
            let (waker, ended) = (Arc::clone(&self.settling.waker), self.settling.ended.0.clone());
            self.settling.waits[index] = true;
            self.settling.count += 1;
            std::thread::spawn(move || {
                // If the loop has ended, nobody waits.
                let _ = ended.send((index, work()));
                let _ = waker.wake();
            });
        }
    }

    /// Lets the nodes go on whose syncs have ended; `wait`: all of them. Who cannot remember what it is about to say ends
    /// without having said it.
    pub(super) fn end_syncs(&mut self, wait: bool, log: &mut Log) {
        let mut any = false;
        while self.settling.count > 0 {
            let ended = &self.settling.ended.1;
            let synced = if wait { ended.recv().ok() } else { ended.try_recv().ok() };
            let Some((index, synced)) = synced else { break };
            self.settling.waits[index] = false;
            self.settling.count -= 1;
            any = true;
            if let Err(error) = synced {
                last_words(error).iter().for_each(|line| log(index, line));
                self.connections.retain(|_, connection| connection.node != index);
                self.links.forget(index);
                self.end(index);
            }
        }
        if any {
            // Who still waits is parked again.
            self.unread.append(&mut self.settling.parked);
            self.links.news.append(&mut self.settling.news);
        }
    }

    /// Whether a socket belongs to a node that waits for its disk.
    pub(super) fn token_waits(&self, token: usize) -> bool {
        if self.settling.count == 0 {
            return false;
        }
        let node = match token {
            token if token < FIRST_TOKEN => self.listeners.get(&token).map(|(node, _)| *node),
            FIRST_LINK.. => self.links.by_token.get(&token).map(|link| link.connection.node),
            _ => self.connections.get(&token).map(|connection| connection.node),
        };
        node.is_some_and(|node| self.settling.waits(node))
    }

    /// Takes what is to be told to nodes that can be told now.
    pub(super) fn take_news(&mut self) -> Vec<(usize, Input)> {
        let news = std::mem::take(&mut self.links.news);
        let (later, now) = news.into_iter().partition(|(index, _)| self.settling.waits(*index));
        let mut later: Vec<_> = later;
        self.settling.news.append(&mut later);
        now
    }
}

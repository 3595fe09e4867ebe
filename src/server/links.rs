//! Links between servers as TCP connections: what an instance dials, and what comes in to the port of its cluster bus.
//!
//! A link is read and written like a client's socket, but its bytes go to the engine as they are. That a dial failed is
//! told in the next turn of the loop, never from within the step that dialled.

use super::connection::{Connection, Got};
use super::event_loop::{Log, Server};
use super::listen::Stream;
use crate::base::Millis;
use crate::engine::Input;
use crate::engine::link::{Address, LinkId};
use mio::net::TcpStream;
use mio::{Interest, Token};
use std::collections::BTreeMap;
use std::io;
use std::net::ToSocketAddrs;

/// Tokens from here on are links, those below are clients.
pub(super) const FIRST_LINK: usize = 1 << 40;
/// A link is read so many times in one turn at most.
const READS_PER_TURN: usize = 16;

pub(super) struct Link {
    pub id: LinkId,
    pub connection: Connection,
    /// The connection stands; a dialled one takes its time.
    up: bool,
}

/// The links of all nodes.
#[derive(Default)]
pub(super) struct Links {
    pub by_token: BTreeMap<usize, Link>,
    tokens: BTreeMap<(usize, LinkId), usize>,
    made: usize,
    /// What is to be told to nodes in the next turn.
    pub news: Vec<(usize, Input)>,
    /// Ended, but not yet written to for the last time: that waits for what hangs on it to be on disk.
    closing: Vec<Link>,
}

impl Links {
    fn add(&mut self, node: usize, id: LinkId, stream: TcpStream, up: bool) -> usize {
        let token = FIRST_LINK + self.made;
        self.made += 1;
        self.by_token
            .insert(token, Link { id, connection: Connection::new(Stream::Tcp(stream), node, Millis::ZERO), up });
        self.tokens.insert((node, id), token);
        token
    }

    fn remove(&mut self, token: usize) -> Option<Link> {
        let link = self.by_token.remove(&token)?;
        self.tokens.remove(&(link.connection.node, link.id));
        Some(link)
    }

    /// Forgets the links of a node that has ended; their sockets close.
    pub fn forget(&mut self, node: usize) {
        self.by_token.retain(|_, link| link.connection.node != node);
        self.tokens.retain(|(of, _), _| *of != node);
        self.closing.retain(|link| link.connection.node != node);
    }

    pub fn token_of(&self, node: usize, id: LinkId) -> Option<usize> {
        self.tokens.get(&(node, id)).copied()
    }
}

impl Server {
    /// Begins to connect. A host that cannot be found, as much as a refusal, is a `LinkDown` later.
    pub(super) fn dial(&mut self, index: usize, id: LinkId, address: &Address) {
        if let Err(_unreachable) = self.try_dial(index, id, address) {
            self.links.news.push((index, Input::LinkDown(id)));
        }
    }

    fn try_dial(&mut self, index: usize, id: LinkId, address: &Address) -> io::Result<()> {
        let mut found = (address.host.as_str(), address.port).to_socket_addrs()?;
        let target = found.next().ok_or(io::ErrorKind::NotFound)?;
        let stream = TcpStream::connect(target)?;
        let token = self.links.add(index, id, stream, false);
        let link = self.links.by_token.get_mut(&token).expect("just added");
        self.poll.registry().register(
            link.connection.stream.source(),
            Token(token),
            Interest::READABLE | Interest::WRITABLE,
        )
    }

    /// Takes in what dialled a node's bus.
    pub(super) fn accept_link(&mut self, index: usize, stream: TcpStream, host: String, now: Millis, log: &mut Log) {
        self.links_accepted += 1;
        let id = LinkId(LinkId::CAME_IN | self.links_accepted);
        let token = self.links.add(index, id, stream, true);
        let link = self.links.by_token.get_mut(&token).expect("just added");
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(link.connection.stream.source(), Token(token), interest).is_ok() {
            self.step(index, now, Input::LinkCameIn(id, host), log);
        } else {
            self.links.remove(token);
        }
    }

    pub(super) fn send_over(&mut self, index: usize, id: LinkId, bytes: &[u8]) {
        if let Some(token) = self.links.token_of(index, id)
            && let Some(link) = self.links.by_token.get_mut(&token)
        {
            link.connection.out.extend_from_slice(bytes);
            self.dirty_links.push(token);
        }
    }

    /// Ends a link, after what was sent before.
    pub(super) fn close_link(&mut self, index: usize, id: LinkId) {
        if let Some(mut link) = self.links.token_of(index, id).and_then(|token| self.links.remove(token)) {
            let _ = self.poll.registry().deregister(link.connection.stream.source());
            self.links.closing.push(link);
        }
    }

    /// A link's turn: it may have come to stand, have brought bytes, or have ended.
    pub(super) fn link_turn(&mut self, token: usize, now: Millis, log: &mut Log) {
        if self.token_waits(token) {
            return self.settling.park(token);
        }
        let Some(link) = self.links.by_token.get_mut(&token) else { return };
        let (index, id) = (link.connection.node, link.id);
        if !link.up {
            match link.connection.stream.connected() {
                Ok(true) => {
                    link.up = true;
                    self.step(index, now, Input::LinkUp(id), log);
                }
                Ok(false) => return,
                Err(_refused) => return self.end_link(token, now, log),
            }
        }
        self.dirty_links.push(token);
        let mut scratch = std::mem::take(&mut self.scratch);
        for _ in 0..READS_PER_TURN {
            let Some(link) = self.links.by_token.get_mut(&token) else { break };
            let (got, len) = link.connection.read_raw(&mut scratch);
            if len > 0 {
                self.step(index, now, Input::LinkBytes(id, scratch[..len].to_vec()), log);
            }
            match got {
                Got::Full => continue,
                // Edge-triggered: a short read may hide the end that came with it.
                Got::Bytes => continue,
                Got::Nothing => {}
                Got::End => self.end_link(token, now, log),
            }
            self.scratch = scratch;
            return;
        }
        self.scratch = scratch;
        self.unread.push(token);
    }

    fn end_link(&mut self, token: usize, now: Millis, log: &mut Log) {
        if let Some(mut link) = self.links.remove(token) {
            let _ = self.poll.registry().deregister(link.connection.stream.source());
            self.step(link.connection.node, now, Input::LinkDown(link.id), log);
        }
    }

    /// Tells the nodes what could not be told within a step.
    pub(super) fn tell_news(&mut self, now: Millis, log: &mut Log) {
        for (index, input) in self.take_news() {
            self.step(index, now, input, log);
        }
    }

    /// Writes what links have to write.
    pub(super) fn flush_links(&mut self, now: Millis, log: &mut Log) {
        let settling = &self.settling;
        for mut link in self.links.closing.extract_if(.., |link| !settling.waits(link.connection.node)) {
            // The other side sees the end either way; what does not fit into the socket now is lost.
            let _ = link.connection.flush();
        }
        for token in std::mem::take(&mut self.dirty_links) {
            let Some(link) = self.links.by_token.get_mut(&token).filter(|link| link.up) else { continue };
            if self.settling.waits(link.connection.node) {
                self.dirty_links.push(token);
                continue;
            }
            if link.connection.flush().is_err() {
                self.end_link(token, now, log);
            }
        }
    }
}

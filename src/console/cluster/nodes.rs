//! Nodes as redis-cli sees them, and the way to them.

use super::args::{NO_ADDRESS, address};
use super::{Run, Step, Stop};
use crate::base::{Bytes, Millis};
use crate::console::redis::Options;
use crate::port::{Backend, ConnectionId, Incoming};
use crate::resp::Reply;
use std::collections::{BTreeMap, BTreeSet};

pub(super) use crate::base::slot::SLOTS;
/// So long a node may take to answer: a MIGRATE waits for another node.
const PATIENCE: Millis = Millis(60_000);

/// The way to the servers: a connection to each, kept for one run.
pub(super) struct Net<'a> {
    pub backend: &'a mut dyn Backend,
    pub login: &'a Options,
    connections: BTreeMap<(String, u16), ConnectionId>,
}

impl<'a> Net<'a> {
    pub fn new(backend: &'a mut dyn Backend, login: &'a Options) -> Net<'a> {
        Net { backend, login, connections: BTreeMap::new() }
    }

    pub fn hang_up(&mut self) {
        for connection in std::mem::take(&mut self.connections).into_values() {
            self.backend.hang_up(connection);
        }
    }

    /// Err: why not, in redis-cli's words.
    fn connection(&mut self, host: &str, port: u16) -> Result<ConnectionId, String> {
        let place = (host.to_owned(), port);
        if let Some(connection) = self.connections.get(&place) {
            return Ok(*connection);
        }
        // Not a terminal's own connection: what the program does is not what the learner typed.
        let refused = |reason: String| {
            let reason = reason.rsplit(": ").next().unwrap_or_default().to_owned();
            format!("Could not connect to Redis at {host}:{port}: {reason}")
        };
        let connection = self.backend.connect_to(host, port, "").map_err(refused)?;
        self.connections.insert(place, connection);
        if let Some((user, password)) = &self.login.auth {
            let words: Vec<&str> = ["AUTH"].into_iter().chain(user.as_deref()).chain([password.as_str()]).collect();
            let reply = self.ask(host, port, &words)?;
            if let Reply::Error(text) = reply {
                return Err(format!("Authentication failed: {text}"));
            }
        }
        Ok(connection)
    }

    /// Waits for the answer, letting time pass. Err: there is no way to the node, or none of its own.
    pub fn ask<W: AsRef<[u8]>>(&mut self, host: &str, port: u16, words: &[W]) -> Result<Reply, String> {
        let connection = self.connection(host, port)?;
        self.backend.send(connection, words.iter().map(|word| Bytes::from(word.as_ref())).collect());
        let until = self.backend.now() + PATIENCE;
        loop {
            for incoming in self.backend.receive(connection) {
                match incoming {
                    Incoming::Reply(reply) => return Ok(reply),
                    Incoming::Push(_) => {}
                    Incoming::Closed => {
                        self.connections.remove(&(host.to_owned(), port));
                        return Err(format!("Node {host}:{port} replied with error:\nServer closed the connection"));
                    }
                }
            }
            let now = self.backend.now();
            if now < until {
                self.backend.advance(Millis(1));
            }
            // The clock stands still while the learner holds the network's messages in hand.
            if self.backend.now() == now {
                return Err(format!("Node {host}:{port} does not answer"));
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub id: String,
    pub host: String,
    pub port: u16,
    /// As CLUSTER NODES shows them, without `myself`.
    pub flags: Vec<String>,
    pub slots: BTreeSet<usize>,
    /// The id of its primary.
    pub replicates: Option<String>,
    pub replicas: usize,
    /// Slot and the id of the other node.
    pub migrating: Vec<(usize, String)>,
    pub importing: Vec<(usize, String)>,
    /// What the node believes of all: who owns what, for comparison.
    pub beliefs: BTreeSet<(String, String)>,
    /// Planned by `create` and not yet told to the node.
    pub planned: bool,
}

impl Node {
    pub fn at(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub fn is_primary(&self) -> bool {
        self.replicates.is_none() && !self.flags.iter().any(|flag| flag == "slave")
    }

    /// Two or three lines: role, id and address; slots; whom it replicates.
    pub fn describe(&self, indent: usize) -> String {
        let spaces = " ".repeat(indent);
        let role = if self.is_primary() { 'M' } else { 'S' };
        let mut text = format!("{spaces}{role}: {} {}", self.id, self.at());
        if !self.planned || self.replicates.is_none() {
            let (slots, count) = (ranges(&self.slots), self.slots.len());
            text.push_str(&format!("\n{spaces}   slots:{slots} ({count} slots) {}", self.flags.join(",")));
        }
        match &self.replicates {
            Some(id) => text.push_str(&format!("\n{spaces}   replicates {id}")),
            None if self.replicas > 0 => {
                text.push_str(&format!("\n{spaces}   {} additional replica(s)", self.replicas))
            }
            None => {}
        }
        text
    }
}

/// `[0-5460],[10923]`
pub(super) fn ranges(slots: &BTreeSet<usize>) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &slot in slots {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == slot => *last = slot,
            _ => parts.push((slot, slot)),
        }
    }
    let text = |(from, to): &(usize, usize)| if from == to { format!("[{from}]") } else { format!("[{from}-{to}]") };
    parts.iter().map(text).collect::<Vec<_>>().join(",")
}

/// One line of CLUSTER NODES, and whether it is the asked node's own. None: it is not such a line.
fn line(text: &str) -> Option<(Node, bool)> {
    let mut fields = text.split(' ');
    let id = fields.next()?.to_owned();
    let (host, port) = address(&[fields.next()?.split(',').next()?.to_owned()])?;
    let flags: Vec<String> = fields.next()?.split(',').map(str::to_owned).collect();
    let primary = fields.next()?;
    let link = fields.nth(3)?;
    let myself = flags.iter().any(|flag| flag == "myself");
    let mut node = Node { id, host, port, ..Node::default() };
    node.flags = flags.into_iter().filter(|flag| flag != "myself").collect();
    if link == "disconnected" && !myself {
        node.flags.push(link.to_owned());
    }
    node.replicates = (primary != "-").then(|| primary.to_owned());
    for word in fields {
        if let Some(open) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
            if let Some((slot, to)) = open.split_once("->-") {
                node.migrating.push((slot.parse().ok()?, to.to_owned()));
            } else if let Some((slot, from)) = open.split_once("-<-") {
                node.importing.push((slot.parse().ok()?, from.to_owned()));
            }
            continue;
        }
        let (from, to) = word.split_once('-').unwrap_or((word, word));
        node.slots.extend(from.parse::<usize>().ok()?..=to.parse::<usize>().ok()?);
    }
    Some((node, myself))
}

impl Run<'_> {
    /// The node's answer; an error reply is its text, told as redis-cli tells it, and ends the run.
    pub fn command<W: AsRef<[u8]>>(&mut self, node: &Node, words: &[W]) -> Step<Reply> {
        match self.net.ask(&node.host, node.port, words) {
            Ok(Reply::Error(text)) => self.fail(format!("Node {} replied with error:\n{text}", node.at())),
            Ok(reply) => Ok(reply),
            Err(complaint) => self.fail(complaint),
        }
    }

    /// As `command`, where an error reply is an answer like another.
    pub fn try_command<W: AsRef<[u8]>>(&mut self, node: &Node, words: &[W]) -> Step<Reply> {
        let reply = self.net.ask(&node.host, node.port, words);
        reply.or_else(|complaint| self.fail(complaint))
    }

    /// What a node says of itself and of the others. Err: it cannot be reached, or is no cluster node.
    pub fn load(&mut self, host: &str, port: u16) -> Step<(Node, Vec<Node>)> {
        let place = Node { host: host.to_owned(), port, ..Node::default() };
        self.must_be_cluster_node(&place)?;
        let (Reply::Bulk(text) | Reply::Verbatim(_, text)) = self.command(&place, &["CLUSTER", "NODES"])? else {
            return self.fail(format!("Node {} answers CLUSTER NODES with no text", place.at()));
        };
        let (mut own, mut others, mut beliefs) = (None, Vec::new(), BTreeSet::new());
        for (node, myself) in text.lossy().lines().filter_map(line) {
            if !node.slots.is_empty() {
                beliefs.insert((node.id.clone(), ranges(&node.slots)));
            }
            if myself { own = Some(node) } else { others.push(node) }
        }
        let Some(mut own) = own else { return Err(Stop::Ended) };
        // By the address that was asked: a fresh node does not know its own.
        (own.host, own.port, own.beliefs) = (host.to_owned(), port, beliefs);
        Ok((own, others))
    }

    fn must_be_cluster_node(&mut self, place: &Node) -> Step {
        let info = self.command(place, &["INFO", "cluster"])?;
        let enabled =
            matches!(info, Reply::Bulk(text) | Reply::Verbatim(_, text) if text.lossy().contains("cluster_enabled:1"));
        if enabled {
            return Ok(());
        }
        self.fail(format!("[ERR] Node {} is not configured as a cluster node.", place.at()))
    }

    /// The whole cluster, the asked node first. Nodes that cannot be reached are left out.
    pub fn load_all(&mut self, words: &[String]) -> Step<Vec<Node>> {
        let Some((host, port)) = address(words) else {
            return self.fail(NO_ADDRESS);
        };
        let (first, others) = self.load(&host, port)?;
        let mut nodes = vec![first];
        self.unreachable = 0;
        for other in others {
            let unfit = ["noaddr", "disconnected", "fail"];
            if other.flags.iter().any(|flag| unfit.contains(&flag.as_str())) {
                self.unreachable += usize::from(other.is_primary() && !other.slots.is_empty());
                continue;
            }
            let before = self.lines.len();
            match self.load(&other.host, other.port) {
                Ok((node, _)) => nodes.push(node),
                Err(Stop::Ended) if self.lines.len() > before => self.unreachable += usize::from(other.is_primary()),
                Err(stop) => return Err(stop),
            }
        }
        for at in 0..nodes.len() {
            let Some(id) = nodes[at].replicates.clone() else { continue };
            match nodes.iter_mut().find(|node| node.id == id) {
                Some(primary) => primary.replicas += 1,
                None => {
                    let text = format!("*** WARNING: {} claims to be slave of unknown node ID {id}.", nodes[at].at());
                    self.warn(text);
                }
            }
        }
        Ok(nodes)
    }

    /// A node that knows no other and holds no key.
    pub fn must_be_empty(&mut self, node: &Node) -> Step {
        let mut text = String::new();
        for words in [&["INFO"][..], &["CLUSTER", "INFO"]] {
            if let Reply::Bulk(part) | Reply::Verbatim(_, part) = self.command(node, words)? {
                text.push_str(&part.lossy());
            }
        }
        if !text.contains("db0:") && text.contains("cluster_known_nodes:1\r\n") {
            return Ok(());
        }
        self.fail(format!(
            "[ERR] Node {} is not empty. Either the node already knows other nodes (check with CLUSTER NODES) or contains some key in database 0.",
            node.at()
        ))
    }

    /// Whether all nodes believe the same of who owns what.
    pub fn agree(&mut self, nodes: &[Node]) -> Step<bool> {
        let mut first = None;
        for node in nodes {
            let beliefs = self.load(&node.host, node.port)?.0.beliefs;
            if first.get_or_insert_with(|| beliefs.clone()) != &beliefs {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits, a second at a time, until they do.
    pub fn wait_for_join(&mut self, nodes: &[Node]) -> Step {
        const SECONDS_MAX: usize = 120;
        self.info("Waiting for the cluster to join");
        self.net.backend.advance(Millis(1000));
        let mut dots = String::new();
        while !self.agree(nodes)? {
            dots.push('.');
            if dots.len() > SECONDS_MAX {
                self.print(dots);
                return self
                    .fail("[ERR] The nodes do not come to agree: are all of them up, and can they reach each other?");
            }
            self.net.backend.advance(Millis(1000));
        }
        self.print(dots);
        Ok(())
    }

    pub fn show(&mut self, nodes: &[Node]) {
        nodes.iter().for_each(|node| self.print(node.describe(0)));
    }
}

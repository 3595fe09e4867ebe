//! A cluster in a lab world, and how tests talk to it.

use redlab::base::{Bytes, Millis};
use redlab::engine::cluster::Cluster;
use redlab::lab::{Server, Topology, World};
use redlab::port::{ConnectionId, Incoming, Signal};
use redlab::resp::{Reply, render};
use redlab::snapshot::{Event, What};
use std::collections::BTreeMap;

pub const FIRST_PORT: u16 = 7001;

/// As many lines of the log tell a story.
const LINES: usize = 150;

/// A world of cluster nodes.
#[derive(Clone)]
pub struct Lab {
    pub world: World,
    pub ports: Vec<u16>,
    connections: BTreeMap<u16, ConnectionId>,
}

impl Lab {
    /// `nodes` empty nodes that know nobody.
    pub fn new(seed: u64, nodes: usize, config: &str, latency: Millis) -> Lab {
        let ports: Vec<u16> = (0..nodes as u16).map(|n| FIRST_PORT + n).collect();
        let server = |port: &u16| {
            let config = format!("save \"\"\ncluster-enabled yes\ndir {port}\n{config}");
            Server::new(&port.to_string(), *port, &config)
        };
        let instances = ports.iter().map(server).collect();
        let topology = Topology { seed, instances, latency, ..Topology::default() };
        let world = World::new(&topology, None);
        Lab { world, ports, connections: BTreeMap::new() }
    }

    /// A cluster that is up: the first `primaries` nodes share the slots, the others follow them in turn.
    pub fn formed(seed: u64, primaries: usize, replicas: usize, config: &str, latency: Millis) -> Lab {
        let mut lab = Lab::new(seed, primaries * (1 + replicas), config, latency);
        lab.form(primaries);
        lab
    }

    pub fn form(&mut self, primaries: usize) {
        for (index, port) in self.ports.clone().into_iter().enumerate() {
            self.ask(port, &format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1));
            if index < primaries {
                let cut = |n: usize| n * 16384 / primaries;
                self.ask(port, &format!("CLUSTER ADDSLOTSRANGE {} {}", cut(index), cut(index + 1) - 1));
            }
            if index > 0 {
                self.ask(FIRST_PORT, &format!("CLUSTER MEET 127.0.0.1 {port}"));
            }
        }
        let all = self.ports.len();
        let met = self.until(60_000, |lab| lab.ports.iter().all(|port| lab.known(*port) == all));
        assert!(met, "all nodes know each other within a minute");
        for (index, port) in self.ports.clone().into_iter().enumerate().skip(primaries) {
            let primary = self.id(self.ports[index % primaries]);
            self.ask(port, &format!("CLUSTER REPLICATE {primary}"));
        }
        assert!(self.until(60_000, Lab::is_up), "the cluster is up within a minute: {}", self.story());
    }

    pub fn advance(&mut self, millis: u64) {
        self.world.advance(Millis(millis));
    }

    /// Lets time pass until `done`, looking ten times a second.
    pub fn until(&mut self, limit: u64, done: impl Fn(&Lab) -> bool) -> bool {
        let end = self.world.now() + Millis(limit);
        while !done(self) {
            if self.world.now() >= end {
                return false;
            }
            self.advance(100);
        }
        true
    }

    pub fn node(&self, port: u16) -> Option<&Cluster> {
        self.world.instance(port)?.cluster.as_deref()
    }

    pub fn known(&self, port: u16) -> usize {
        let known = self.node(port).into_iter().flat_map(Cluster::iter);
        known.filter(|(_, node)| !node.in_handshake()).count()
    }

    pub fn id(&self, port: u16) -> String {
        self.node(port).expect("it runs").me().id.to_string()
    }

    /// Every running node finds the cluster up, and every replica has got something from its primary.
    pub fn is_up(&self) -> bool {
        let running: Vec<u16> = self.ports.iter().copied().filter(|port| self.node(*port).is_some()).collect();
        running.iter().all(|port| {
            let up = self.node(*port).is_some_and(|cluster| cluster.ok);
            let replica = self.node(*port).is_some_and(|cluster| cluster.me().is_replica());
            up && (!replica || self.world.instance(*port).is_some_and(|instance| instance.link_up()))
        })
    }

    /// Kills a node, as `kill -9` does.
    pub fn kill(&mut self, port: u16) {
        let snapshot = self.world.snapshot();
        let pid = snapshot.instances.iter().find(|it| it.port == port).expect("a node of the lab").pid;
        self.world.signal(pid, Signal::Kill).expect("it runs");
        self.connections.remove(&port);
    }

    pub fn start(&mut self, port: u16) {
        let spawned = self.world.spawn(&[format!("{port}.conf")]);
        assert!(spawned.pid.is_some(), "{:?}", spawned.log);
    }

    pub fn is_running(&self, port: u16) -> bool {
        self.world.instance(port).is_some()
    }

    /// The port of the primary that the node on `port` follows.
    pub fn owner_followed(&self, port: u16) -> Option<u16> {
        let cluster = self.node(port)?;
        Some(cluster.node(cluster.me().primary?).port)
    }

    /// The port of the node that owns a slot in the eyes of `port`.
    pub fn owner(&self, port: u16, slot: u16) -> Option<u16> {
        let cluster = self.node(port)?;
        Some(cluster.node(cluster.owner(slot)?).port)
    }

    /// One command, with redis-cli's text as the answer.
    pub fn ask(&mut self, port: u16, line: &str) -> String {
        self.words(port, &line.split(' ').collect::<Vec<_>>())
    }

    pub fn words(&mut self, port: u16, words: &[&str]) -> String {
        match self.try_words(port, words) {
            Some(reply) => render::tty(&reply).trim_end().to_owned(),
            None => String::from("(no answer)"),
        }
    }

    /// None: the server is gone, or has not answered yet.
    pub fn try_words(&mut self, port: u16, words: &[&str]) -> Option<Reply> {
        let connection = match self.connections.get(&port) {
            Some(connection) => *connection,
            None => self.world.connect(port, "").ok()?,
        };
        self.connections.insert(port, connection);
        self.world.send(connection, words.iter().map(|word| Bytes::from(*word)).collect());
        let mut answer = None;
        for incoming in self.world.receive(connection) {
            match incoming {
                Incoming::Reply(reply) => answer = Some(reply),
                Incoming::Closed => drop(self.connections.remove(&port)),
                _ => {}
            }
        }
        answer
    }

    /// Whether a server has ever logged this.
    pub fn has_logged(&self, name: &str, text: &str) -> bool {
        let says = |what: &What| matches!(what, What::Log { line } if line.contains(text));
        self.world.events_since(0).any(|event| event.instance == name && says(&event.what))
    }

    /// What the servers last logged, and CLUSTER NODES of every node that runs: for a test that fails.
    pub fn story(&self) -> String {
        let logged = |event: &Event| match &event.what {
            What::Log { line } => Some(format!("\n{:>8} {} {line}", event.at.0 % 100_000_000, event.instance)),
            _ => None,
        };
        let lines: Vec<String> = self.world.events_since(0).filter_map(logged).collect();
        let mut text = lines[lines.len().saturating_sub(LINES)..].concat();
        for port in &self.ports {
            if let Some(cluster) = self.node(*port) {
                let all = cluster.describe_all(redlab::engine::cluster::conf::Reader::Client, Default::default());
                let instance = self.world.instance(*port).expect("it runs");
                let follows =
                    instance.replication.primary.as_ref().map(|it| format!("{}:{} ({})", it.host, it.port, it.word()));
                text.push_str(&format!(
                    "\n{port} ok={} epoch={} follows {follows:?}:\n{all}",
                    cluster.ok, cluster.current_epoch
                ));
            }
        }
        text
    }
}

//! `create`: slots dealt out evenly, replicas to primaries, and the nodes made known to each other.

use super::args::address;
use super::nodes::{Node, SLOTS};
use super::{Run, Step};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

impl Run<'_> {
    pub(super) fn create(&mut self) -> Step {
        let mut nodes = self.empty_nodes()?;
        let replicas = self.task.replicas;
        let primaries = nodes.len() / (replicas + 1);
        if primaries < 3 {
            return self.fail(format!(
                "*** ERROR: Invalid configuration for cluster creation.\n*** Redis Cluster requires at least 3 master nodes.\n*** This is not possible with {} nodes and {replicas} replicas per node.\n*** At least {} nodes are required.",
                nodes.len(),
                3 * (replicas + 1)
            ));
        }
        self.info(format!(">>> Performing hash slots allocation on {} nodes...", nodes.len()));
        let mut order = interleaved(&nodes);
        let mut spare: VecDeque<usize> = order.split_off(primaries).into();
        for (at, slots) in shares(primaries).into_iter().enumerate() {
            self.print(format!("Master[{at}] -> Slots {} - {}", slots.start, slots.end - 1));
            let node = &mut nodes[order[at]];
            (node.slots, node.planned) = (slots.collect(), true);
        }
        // Turned by one, as redis-cli does: with several hosts that spreads better.
        spare.rotate_left(1.min(spare.len()));
        self.deal(&mut nodes, &order, &mut spare);
        self.tell_of_hosts(&nodes);
        self.show(&nodes);
        self.confirm("Can I set the above configuration?")?;
        self.found(&nodes)
    }

    fn empty_nodes(&mut self) -> Step<Vec<Node>> {
        let mut nodes = Vec::new();
        for word in self.task.words.clone() {
            let Some((host, port)) = address(std::slice::from_ref(&word)) else {
                return self.fail(format!("Invalid address format: {word}"));
            };
            let (node, _) = self.load(&host, port)?;
            self.must_be_empty(&node)?;
            nodes.push(node);
        }
        Ok(nodes)
    }

    /// Gives every primary its replicas, of other hosts where there are; what is left over goes round.
    fn deal(&mut self, nodes: &mut [Node], primaries: &[usize], spare: &mut VecDeque<usize>) {
        let mut rounds = self.task.replicas;
        loop {
            for &primary in primaries {
                for _ in 0..rounds {
                    let elsewhere = spare.iter().position(|&at| nodes[at].host != nodes[primary].host);
                    let Some(replica) = spare.remove(elsewhere.unwrap_or(0)) else { return };
                    self.print(format!("Adding replica {} to {}", nodes[replica].at(), nodes[primary].at()));
                    (nodes[replica].replicates, nodes[replica].planned) = (Some(nodes[primary].id.clone()), true);
                }
            }
            if spare.is_empty() {
                return;
            }
            self.print("Adding extra replicas...");
            rounds = 1;
        }
    }

    /// redis-cli tries to keep replicas off the hosts of their primaries, and says where that is not to be had. With one host
    /// no other arrangement is better.
    fn tell_of_hosts(&mut self, nodes: &[Node]) {
        let host_of = |id: &str| nodes.iter().find(|node| node.id == id).map(|node| node.host.as_str());
        let mut siblings = BTreeSet::new();
        let (mut beside, mut together) = (false, false);
        for node in nodes {
            let Some(id) = &node.replicates else { continue };
            beside |= host_of(id) == Some(node.host.as_str());
            together |= !siblings.insert((id, &node.host));
        }
        if beside || together {
            self.info(">>> Trying to optimize slaves allocation for anti-affinity");
            self.warn(match beside {
                true => "[WARNING] Some slaves are in the same host as their master",
                false => "[WARNING] Some slaves of the same master are in the same host",
            });
        }
    }

    fn found(&mut self, nodes: &[Node]) -> Step {
        for node in nodes.iter().filter(|node| node.replicates.is_none()) {
            self.add_slots(node)?;
        }
        self.info(">>> Nodes configuration updated\n>>> Assign a different config epoch to each node");
        for (at, node) in nodes.iter().enumerate() {
            self.try_command(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()])?;
        }
        self.info(">>> Sending CLUSTER MEET messages to join the cluster");
        let first = &nodes[0];
        for node in &nodes[1..] {
            self.command(node, &["CLUSTER", "MEET", &first.host, &first.port.to_string()])?;
        }
        self.wait_for_join(nodes)?;
        for node in nodes {
            if let Some(primary) = &node.replicates {
                self.command(node, &["CLUSTER", "REPLICATE", primary])?;
            }
        }
        let all = self.load_all(&[first.at()])?;
        self.check(&all, false).map(drop)
    }

    fn add_slots(&mut self, node: &Node) -> Step {
        let words = ["CLUSTER".to_owned(), "ADDSLOTS".to_owned()].into_iter();
        let words: Vec<String> = words.chain(node.slots.iter().map(usize::to_string)).collect();
        self.command(node, &words).map(drop)
    }
}

/// One of each host in turn.
fn interleaved(nodes: &[Node]) -> Vec<usize> {
    let mut hosts: Vec<&str> = Vec::new();
    let mut by_host: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
    for (at, node) in nodes.iter().enumerate() {
        if !hosts.contains(&node.host.as_str()) {
            hosts.push(&node.host);
        }
        by_host.entry(&node.host).or_default().push_back(at);
    }
    let mut order = Vec::new();
    while order.len() < nodes.len() {
        order.extend(hosts.iter().filter_map(|host| by_host.get_mut(host)?.pop_front()));
    }
    order
}

/// The slots of each primary: as even as whole slots allow, rounded as redis-cli does, the last takes the rest.
fn shares(primaries: usize) -> Vec<std::ops::Range<usize>> {
    let share = SLOTS as f32 / primaries as f32;
    let (mut from, mut cursor) = (0, 0.0f32);
    (0..primaries)
        .map(|at| {
            let last = if at + 1 == primaries { SLOTS - 1 } else { (cursor + share - 1.0).round() as usize };
            let slots = from..last.max(from) + 1;
            (from, cursor) = (slots.end, cursor + share);
            slots
        })
        .collect()
}

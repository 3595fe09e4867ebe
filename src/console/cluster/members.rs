//! Nodes that come and go, and one command to all of them.

use super::args::{NO_ADDRESS, address};
use super::nodes::Node;
use super::{Run, Step};
use crate::resp::Reply;
use crate::resp::render;

impl Run<'_> {
    pub(super) fn add_node(&mut self) -> Step {
        let [new, existing] = &self.task.words.clone()[..] else { return Ok(()) };
        let (Some((host, port)), Some((known_host, known_port))) =
            (address(std::slice::from_ref(new)), address(std::slice::from_ref(existing)))
        else {
            return self.fail(NO_ADDRESS);
        };
        self.info(format!(">>> Adding node {host}:{port} to cluster {known_host}:{known_port}"));
        let nodes = self.load_all(std::slice::from_ref(existing))?;
        if !self.check(&nodes, false)? {
            return Err(super::Stop::Ended);
        }
        let primary = self.primary_for_replica(&nodes)?;
        if self.net.ask(&host, port, &["PING"]).is_err() {
            return self.fail(format!("[ERR] Sorry, can't connect to node {host}:{port}"));
        }
        let (node, _) = self.load(&host, port)?;
        self.must_be_empty(&node)?;
        let first = &nodes[0];
        if primary.is_none() {
            self.hand_functions_on(first, &node)?;
        }
        self.info(format!(">>> Send CLUSTER MEET to node {} to make it join the cluster.", node.at()));
        self.command(&node, &["CLUSTER", "MEET", &first.host, &first.port.to_string()])?;
        if let Some(primary) = primary {
            let all: Vec<Node> = nodes.iter().chain([&node]).cloned().collect();
            self.wait_for_join(&all)?;
            self.info(format!(">>> Configure node as replica of {}.", primary.at()));
            self.command(&node, &["CLUSTER", "REPLICATE", &primary.id])?;
        }
        self.ok("[OK] New node added correctly.");
        Ok(())
    }

    /// Whom the new node is to replicate; None if it is to be a primary.
    fn primary_for_replica(&mut self, nodes: &[Node]) -> Step<Option<Node>> {
        if !self.task.replica {
            return Ok(None);
        }
        let Some(id) = self.task.master_id.clone() else {
            let Some(primary) = with_fewest_replicas(nodes, "") else { return Ok(None) };
            self.print(format!("Automatically selected master {}", primary.at()));
            return Ok(Some(primary.clone()));
        };
        match nodes.iter().find(|node| node.id.eq_ignore_ascii_case(&id)) {
            Some(primary) => Ok(Some(primary.clone())),
            None => self.fail(format!("[ERR] No such master ID {id}")),
        }
    }

    /// A new primary gets the functions that the others have.
    fn hand_functions_on(&mut self, from: &Node, to: &Node) -> Step {
        self.info(">>> Getting functions from cluster");
        let Reply::Bulk(dump) = self.command(from, &["FUNCTION", "DUMP"])? else { return Ok(()) };
        self.info(format!(">>> Send FUNCTION LIST to {} to verify there is no functions in it", to.at()));
        if let Reply::Array(libraries) = self.command(to, &["FUNCTION", "LIST"])?
            && !libraries.is_empty()
        {
            return self.fail(
                ">>> New node already contains functions and can not be added to the cluster. Use FUNCTION FLUSH and try again.",
            );
        }
        self.info(format!(">>> Send FUNCTION RESTORE to {}", to.at()));
        self.command(to, &[b"FUNCTION".as_slice(), b"RESTORE", &dump]).map(drop)
    }

    pub(super) fn del_node(&mut self) -> Step {
        let [place, id] = &self.task.words.clone()[..] else { return Ok(()) };
        self.info(format!(">>> Removing node {id} from cluster {place}"));
        let nodes = self.load_all(std::slice::from_ref(place))?;
        let Some(gone) = nodes.iter().find(|node| node.id.eq_ignore_ascii_case(id)) else {
            return self.fail(format!("[ERR] No such node ID {id}"));
        };
        if !gone.slots.is_empty() {
            return self.fail(format!("[ERR] Node {} is not empty! Reshard data away and try again.", gone.at()));
        }
        self.info(">>> Sending CLUSTER FORGET messages to the cluster...");
        for node in nodes.iter().filter(|node| node.id != gone.id) {
            if node.replicates.as_deref() == Some(&gone.id)
                && let Some(primary) = with_fewest_replicas(&nodes, &gone.id)
            {
                self.info(format!(">>> {} as replica of {}", node.at(), primary.at()));
                self.command(node, &["CLUSTER", "REPLICATE", &primary.id])?;
            }
            self.command(node, &["CLUSTER", "FORGET", &gone.id])?;
        }
        self.info(">>> Sending CLUSTER RESET SOFT to the deleted node.");
        self.command(gone, &["CLUSTER", "RESET", "SOFT"]).map(drop)
    }

    pub(super) fn call(&mut self) -> Step {
        let words = self.task.words.clone();
        let nodes = self.load_all(&words[..1])?;
        self.info(format!(">>> Calling {}", words[1..].join(" ")));
        let (primaries, replicas) = (self.task.only_masters, self.task.only_replicas);
        for node in nodes.iter().filter(|node| !(primaries && !node.is_primary() || replicas && node.is_primary())) {
            match self.net.ask(&node.host, node.port, &words[1..]) {
                Ok(reply) => {
                    let text = String::from_utf8_lossy(&render::raw(&reply)).trim_end_matches('\n').to_owned();
                    self.print(format!("{}: {text}", node.at()));
                }
                Err(_) => self.print(format!("{}: Failed!", node.at())),
            }
        }
        Ok(())
    }

    pub(super) fn set_timeout(&mut self) -> Step {
        let [place, millis] = &self.task.words.clone()[..] else { return Ok(()) };
        if millis.parse().unwrap_or(0) < 100 {
            return self.fail("Setting a node timeout of less than 100 milliseconds is a bad idea.");
        }
        let nodes = self.load_all(std::slice::from_ref(place))?;
        self.info(">>> Reconfiguring node timeout in every cluster node...");
        let (mut good, mut bad) = (0, 0);
        for node in &nodes {
            let set = self.try_command(node, &["CONFIG", "SET", "cluster-node-timeout", millis])?;
            let done = if set.is_error() { set } else { self.try_command(node, &["CONFIG", "REWRITE"])? };
            match done {
                Reply::Error(text) => {
                    bad += 1;
                    self.bad(format!("ERR setting node-timeout for {}: {text}", node.at()));
                }
                _ => {
                    good += 1;
                    self.warn(format!("*** New timeout set for {}", node.at()));
                }
            }
        }
        self.info(format!(">>> New node timeout set. {good} OK, {bad} ERR."));
        Ok(())
    }
}

/// Of the primaries but `without`, one with the fewest replicas.
fn with_fewest_replicas<'a>(nodes: &'a [Node], without: &str) -> Option<&'a Node> {
    nodes.iter().filter(|node| node.is_primary() && node.id != without).min_by_key(|node| node.replicas)
}

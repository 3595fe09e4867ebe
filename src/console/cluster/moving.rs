//! Moving slots with their keys: one, as `reshard` and `fix` do, and many, as `rebalance` plans them.

use super::nodes::{Node, SLOTS};
use super::{Run, Step};
use crate::base::Millis;
use crate::resp::Reply;

/// Moving a slot with few keys takes about so long on one machine: half a dozen commands, one after the other.
const A_SLOT: Millis = Millis(1);

/// Whoever has given its last slot away has become a replica when it is told so itself.
const GAVE_ITS_LAST: &str = "ERR Please use SETSLOT only with masters.";

/// How a slot is moved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Opened on both sides, emptied, and given to its new owner.
    Whole,
    /// Only the keys: the slot's owner is settled elsewhere.
    KeysOnly,
}

impl Run<'_> {
    /// Moves a slot, telling its keys as dots if `told`.
    pub(super) fn move_slot(
        &mut self,
        nodes: &[Node],
        from: &Node,
        to: &Node,
        slot: usize,
        way: Way,
        told: bool,
    ) -> Step {
        let number = slot.to_string();
        if way == Way::Whole {
            self.command(to, &["CLUSTER", "SETSLOT", &number, "IMPORTING", &from.id])?;
            self.command(from, &["CLUSTER", "SETSLOT", &number, "MIGRATING", &to.id])?;
        }
        let dots = self.move_keys(from, to, slot);
        if told {
            let line = format!("Moving slot {slot} from {} to {}: ", from.at(), to.at());
            self.print(format!("{line}{}", ".".repeat(*dots.as_ref().unwrap_or(&0))));
        }
        dots?;
        if way == Way::KeysOnly {
            return Ok(());
        }
        // The new owner first: were the old one told first and the run ended here, nobody would own the slot.
        let others = nodes.iter().filter(|node| node.is_primary() && node.id != from.id && node.id != to.id);
        for node in [to, from].into_iter().chain(others) {
            let reply = self.try_command(node, &["CLUSTER", "SETSLOT", &number, "NODE", &to.id])?;
            if let Reply::Error(text) = reply
                && !(node.id == from.id && text.starts_with(GAVE_ITS_LAST))
            {
                return self.fail(format!("Node {} replied with error:\n{text}", node.at()));
            }
        }
        self.net.backend.advance(A_SLOT);
        Ok(())
    }

    /// How many keys went.
    fn move_keys(&mut self, from: &Node, to: &Node, slot: usize) -> Step<usize> {
        let pipeline = self.task.pipeline.unwrap_or(10).to_string();
        let timeout = self.task.timeout_ms.unwrap_or(60_000).to_string();
        let mut moved = 0;
        loop {
            let words = ["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &pipeline];
            let Reply::Array(keys) = self.command(from, &words)? else { return Ok(moved) };
            if keys.is_empty() {
                return Ok(moved);
            }
            let port = to.port.to_string();
            let mut words: Vec<Vec<u8>> =
                ["MIGRATE", &to.host, &port, "", "0", &timeout].map(|word| word.into()).into();
            if self.task.replace || self.task.name == "fix" {
                words.push(b"REPLACE".to_vec());
            }
            if let Some((user, password)) = self.net.login.auth.clone() {
                words.push(if user.is_some() { b"AUTH2".to_vec() } else { b"AUTH".to_vec() });
                words.extend(user.map(String::into_bytes));
                words.push(password.into_bytes());
            }
            words.push(b"KEYS".to_vec());
            moved += keys.len();
            words.extend(keys.into_iter().filter_map(|key| match key {
                Reply::Bulk(name) => Some(name.to_vec()),
                _ => None,
            }));
            if let Reply::Error(text) = self.try_command(from, &words)? {
                return self.fail(format!("[ERR] Calling MIGRATE: {text}"));
            }
        }
    }

    pub(super) fn reshard(&mut self) -> Step {
        let nodes = self.load_all(&self.task.words.clone())?;
        self.check(&nodes, false)?;
        if self.errors > 0 {
            return self.fail("*** Please fix your cluster problems before resharding");
        }
        let mut count = self.task.slots;
        while count == 0 || count > SLOTS {
            let answer = self.ask(&format!("How many slots do you want to move (from 1 to {SLOTS})? "))?;
            count = answer.parse().unwrap_or(0);
        }
        let to = match self.task.to.clone() {
            Some(id) => id,
            None => self.ask("What is the receiving node ID? ")?,
        };
        let Some(to) = self.for_resharding(&nodes, &to, None)? else { return Err(super::Stop::Ended) };
        let sources = self.sources(&nodes, &to)?;
        if sources.is_empty() {
            return self.fail("*** No source nodes given, operation aborted.");
        }
        self.print(format!("\nReady to move {count} slots.\n  Source nodes:"));
        sources.iter().for_each(|source| self.print(source.describe(4)));
        self.print(format!("  Destination node:\n{}\n  Resharding plan:", to.describe(4)));
        let plan = plan(&sources, count);
        for (source, slot) in &plan {
            self.print(format!("    Moving slot {slot} from {}", source.id));
        }
        if !self.task.yes && self.ask("Do you want to proceed with the proposed reshard plan (yes/no)? ")? != "yes" {
            return Err(super::Stop::Ended);
        }
        for (source, slot) in &plan {
            self.move_slot(&nodes, source, &to, *slot, Way::Whole, true)?;
        }
        Ok(())
    }

    /// The primary of this id, if it can give slots to `target` (or take some). None: told why not.
    fn for_resharding(&mut self, nodes: &[Node], id: &str, target: Option<&Node>) -> Step<Option<Node>> {
        let found = nodes.iter().find(|node| node.id.eq_ignore_ascii_case(id) && node.is_primary());
        let Some(node) = found else {
            return self.fail(format!("*** The specified node ({id}) is not known or not a master, please retry."));
        };
        if target.is_some_and(|target| target.id == node.id) {
            self.bad("*** It is not possible to use the target node as source node.");
            return Ok(None);
        }
        Ok(Some(node.clone()))
    }

    fn sources(&mut self, nodes: &[Node], to: &Node) -> Step<Vec<Node>> {
        let everybody = |nodes: &[Node]| -> Vec<Node> {
            nodes.iter().filter(|node| node.is_primary() && node.id != to.id).cloned().collect()
        };
        let mut sources = Vec::new();
        if let Some(list) = self.task.from.clone() {
            for id in list.split(',').filter(|id| !id.is_empty()) {
                if id == "all" {
                    return Ok(everybody(nodes));
                }
                sources.extend(self.for_resharding(nodes, id, Some(to))?);
            }
            return Ok(sources);
        }
        self.print(
            "Please enter all the source node IDs.\n  Type 'all' to use all the nodes as source nodes for the hash slots.\n  Type 'done' once you entered all the source nodes IDs.",
        );
        loop {
            match self.ask(&format!("Source node #{}: ", sources.len() + 1))?.as_str() {
                "done" => return Ok(sources),
                "all" => return Ok(everybody(nodes)),
                id => sources.extend(self.for_resharding(nodes, id, Some(to))?),
            }
        }
    }

    pub(super) fn rebalance(&mut self) -> Step {
        let nodes = self.load_all(&self.task.words.clone())?;
        let mut weights: Vec<f64> = nodes
            .iter()
            .map(|node| if node.slots.is_empty() && !self.task.use_empty_masters { 0.0 } else { 1.0 })
            .collect();
        for word in self.task.weights.clone() {
            let Some((name, weight)) = word.split_once('=') else {
                return self.fail(format!("*** invalid input {word}"));
            };
            let Some(at) = nodes.iter().position(|node| node.is_primary() && node.id.starts_with(&name.to_lowercase()))
            else {
                return self.fail(format!("*** No such master node {name}"));
            };
            weights[at] = weight.parse().ok().filter(|weight: &f64| *weight >= 0.0).unwrap_or(0.0);
        }
        let involved: Vec<(&Node, f64)> = nodes
            .iter()
            .zip(weights)
            .filter(|(node, _)| node.is_primary() && (self.task.use_empty_masters || !node.slots.is_empty()))
            .collect();
        self.check(&nodes, true)?;
        if self.errors > 0 {
            return self.fail("*** Please fix your cluster problems before rebalancing");
        }
        let total: f64 = involved.iter().map(|(_, weight)| weight).sum();
        // redis-cli would look for ever for a node that takes the slots.
        if !(total.is_finite() && total > 0.0) {
            return self.fail("*** The weights come to nothing: no node is left that could take slots");
        }
        let threshold = self.task.threshold.unwrap_or(2.0);
        let mut balances = Vec::new();
        let mut needed = false;
        for (node, weight) in &involved {
            let (has, wanted) = (node.slots.len() as i64, (SLOTS as f64 / total * weight) as i64);
            needed |= match has {
                0 => wanted > 1,
                _ => (100.0 - 100.0 * wanted as f64 / has as f64).abs() > threshold,
            } && threshold > 0.0;
            balances.push((*node, has - wanted));
        }
        if !needed {
            self.warn(format!("*** No rebalancing needed! All nodes are within the {threshold:.2}% threshold."));
            return Ok(());
        }
        // Rounding leaves slots over: who has too few anyway takes one more.
        let mut over: i64 = balances.iter().map(|(_, balance)| balance).sum();
        while over > 0 {
            for (_, balance) in balances.iter_mut().filter(|(_, balance)| *balance <= 0) {
                if over > 0 {
                    (*balance, over) = (*balance - 1, over - 1);
                }
            }
        }
        balances.sort_by_key(|(_, balance)| *balance);
        self.info(format!(">>> Rebalancing across {} nodes. Total weight = {total:.2}", involved.len()));
        self.even_out(&nodes, balances)
    }

    /// From those with too many slots to those with too few: the neediest first, from the richest.
    fn even_out(&mut self, nodes: &[Node], balances: Vec<(&Node, i64)>) -> Step {
        let mut left: Vec<(Node, i64)> = balances.into_iter().map(|(node, balance)| (node.clone(), balance)).collect();
        let (mut poor, mut rich) = (0, left.len().saturating_sub(1));
        while poor < rich {
            let count = left[poor].1.abs().min(left[rich].1.abs());
            if count > 0 {
                let (from, to) = (left[rich].0.clone(), left[poor].0.clone());
                self.print(format!("Moving {count} slots from {} to {}", from.at(), to.at()));
                let moves = plan(std::slice::from_ref(&from), count as usize);
                for (source, slot) in &moves {
                    if !self.task.simulate {
                        self.move_slot(nodes, source, &to, *slot, Way::Whole, false)?;
                    }
                    left[rich].0.slots.remove(slot);
                }
                self.print("#".repeat(moves.len()));
            }
            left[poor].1 += count;
            left[rich].1 -= count;
            if left[poor].1 == 0 {
                poor += 1;
            }
            if left[rich].1 == 0 {
                rich = rich.saturating_sub(1);
            }
        }
        Ok(())
    }
}

/// Which slots of `sources` go: of each a part like its part of all they have, from its lowest slot on; the largest source
/// takes what rounding leaves over.
fn plan(sources: &[Node], count: usize) -> Vec<(&Node, usize)> {
    let mut sources: Vec<&Node> = sources.iter().collect();
    sources.sort_by_key(|node| std::cmp::Reverse(node.slots.len()));
    let total: usize = sources.iter().map(|node| node.slots.len()).sum();
    let mut moves = Vec::new();
    for (at, node) in sources.into_iter().enumerate() {
        let part = count as f64 / total.max(1) as f64 * node.slots.len() as f64;
        let part = if at == 0 { part.ceil() } else { part.floor() } as usize;
        let room = count - moves.len();
        moves.extend(node.slots.iter().take(part.min(room)).map(|slot| (node, *slot)));
    }
    moves
}

//! `check` and `info`: what is there, and whether it fits together.

use super::nodes::{Node, SLOTS, ranges};
use super::{Run, Step};
use crate::resp::Reply;
use std::collections::{BTreeMap, BTreeSet};

impl Run<'_> {
    pub(super) fn tell_info(&mut self) -> Step {
        let nodes = self.load_all(&self.task.words.clone())?;
        self.tell_keys(&nodes)
    }

    /// `check`, and `fix` too, which mends what it finds. Whether all is well.
    pub(super) fn check_and_tell(&mut self) -> Step<bool> {
        let nodes = self.load_all(&self.task.words.clone())?;
        self.tell_keys(&nodes)?;
        self.check(&nodes, false)
    }

    fn tell_keys(&mut self, nodes: &[Node]) -> Step {
        let (mut primaries, mut keys) = (0, 0);
        for node in nodes.iter().filter(|node| node.is_primary()) {
            let Reply::Int(size) = self.command(node, &["DBSIZE"])? else { continue };
            let id = &node.id[..node.id.len().min(8)];
            let (at, slots, replicas) = (node.at(), node.slots.len(), node.replicas);
            self.print(format!("{at} ({id}...) -> {size} keys | {slots} slots | {replicas} slaves."));
            (primaries, keys) = (primaries + 1, keys + size);
        }
        self.ok(format!("[OK] {keys} keys in {primaries} masters."));
        self.print(format!("{:.2} keys per slot on average.", keys as f64 / SLOTS as f64));
        Ok(())
    }

    /// Looks at agreement, open slots and coverage; `fix` mends them. Whether all is well (again).
    pub(super) fn check(&mut self, nodes: &[Node], quiet: bool) -> Step<bool> {
        let fix = self.task.name == "fix";
        let Some(first) = nodes.first() else { return Ok(false) };
        self.info(format!(">>> Performing Cluster Check (using node {})", first.at()));
        if !quiet {
            self.show(nodes);
        }
        let mut well = self.agree(nodes)?;
        match well {
            true => self.ok("[OK] All nodes agree about slots configuration."),
            false => self.bad("[ERR] Nodes don't agree about configuration!"),
        }
        self.info(">>> Check for open slots...");
        let open = self.tell_open(nodes);
        well &= open.is_empty();
        if fix {
            for slot in open {
                self.fix_open_slot(nodes, slot)?;
                well = true;
            }
        }
        self.info(">>> Check slots coverage...");
        // Fixing has moved slots.
        let now = if fix { self.load_all(&[first.at()])? } else { nodes.to_vec() };
        let covered: BTreeSet<usize> = now.iter().flat_map(|node| node.slots.iter().copied()).collect();
        if covered.len() == SLOTS {
            self.ok(format!("[OK] All {SLOTS} slots covered."));
        } else {
            self.bad(format!("[ERR] Not all {SLOTS} slots are covered by nodes.\n"));
            well = false;
            if fix {
                let missing = (0..SLOTS).filter(|slot| !covered.contains(slot)).collect();
                self.fix_coverage(&now, missing)?;
                well = true;
            }
        }
        if self.task.search_multiple_owners {
            well &= self.look_for_several_owners(&now, fix)?;
        }
        Ok(well)
    }

    /// An error that does not end the run.
    pub(super) fn bad(&mut self, text: impl AsRef<str>) {
        self.errors += 1;
        self.warn(text);
    }

    fn tell_open(&mut self, nodes: &[Node]) -> BTreeSet<usize> {
        let mut open = BTreeSet::new();
        let list = |slots: &BTreeSet<usize>| slots.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        for node in nodes {
            for (state, slots) in [("migrating", &node.migrating), ("importing", &node.importing)] {
                let slots: BTreeSet<usize> = slots.iter().map(|(slot, _)| *slot).collect();
                if !slots.is_empty() {
                    let text = format!("[WARNING] Node {} has slots in {state} state {}.", node.at(), list(&slots));
                    self.bad(text);
                    open.extend(slots);
                }
            }
        }
        if !open.is_empty() {
            self.warn(format!("[WARNING] The following slots are open: {}.", list(&open)));
        }
        open
    }

    /// Nodes that own a slot or hold keys of it, of all slots that have several.
    fn look_for_several_owners(&mut self, nodes: &[Node], fix: bool) -> Step<bool> {
        self.info(">>> Check for multiple slot owners...");
        let mut owners: BTreeMap<usize, Vec<&Node>> = BTreeMap::new();
        for node in nodes.iter().filter(|node| node.is_primary()) {
            for slot in 0..SLOTS {
                if node.slots.contains(&slot) || self.keys_in_slot(node, slot)? > 0 {
                    owners.entry(slot).or_default().push(node);
                }
            }
        }
        owners.retain(|_, owners| owners.len() > 1);
        for (slot, owners) in &owners {
            self.bad(format!("[WARNING] Slot {slot} has {} owners:", owners.len()));
            owners.iter().for_each(|owner| self.warn(format!("    {}", owner.at())));
            if fix {
                self.fix_owners(nodes, *slot, owners)?;
            }
        }
        if owners.is_empty() || fix {
            self.ok("[OK] No multiple owners found.");
        }
        Ok(owners.is_empty() || fix)
    }

    pub(super) fn keys_in_slot(&mut self, node: &Node, slot: usize) -> Step<i64> {
        match self.command(node, &["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()])? {
            Reply::Int(count) => Ok(count),
            _ => Ok(0),
        }
    }

    pub(super) fn ranges_of(slots: &[usize]) -> String {
        ranges(&slots.iter().copied().collect())
    }
}

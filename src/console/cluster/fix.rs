//! `fix`: slots that a broken migration left open, slots that nobody owns, slots that several claim.

use super::moving::Way;
use super::nodes::Node;
use super::{Run, Step};

impl Run<'_> {
    /// Who cannot be reached may own what seems to be missing.
    fn must_reach_all(&mut self, what: &str) -> Step {
        if self.unreachable == 0 || self.task.fix_with_unreachable_masters {
            return Ok(());
        }
        let count = self.unreachable;
        self.fail(format!(
            "*** {what} with {count} unreachable masters is dangerous: redis-cli will assume that slots about masters that are not reachable are not covered, and will try to reassign them to the reachable nodes. This can cause data loss and is rarely what you want to do. If you really want to proceed use the --cluster-fix-with-unreachable-masters option."
        ))
    }

    fn set_slot(&mut self, at: &Node, slot: usize, words: &[&str]) -> Step {
        let slot = slot.to_string();
        let words: Vec<&str> = ["CLUSTER", "SETSLOT", &slot].into_iter().chain(words.iter().copied()).collect();
        self.command(at, &words).map(drop)
    }

    /// Gives a slot that is not assigned, or assigned elsewhere, to `owner`, with an epoch that wins.
    fn take_slot(&mut self, owner: &Node, slot: usize) -> Step {
        let number = slot.to_string();
        // Refused where it is not assigned, which is as good.
        self.try_command(owner, &["CLUSTER", "DELSLOTS", &number])?;
        self.command(owner, &["CLUSTER", "ADDSLOTS", &number])?;
        self.set_slot(owner, slot, &["STABLE"])?;
        self.command(owner, &["CLUSTER", "BUMPEPOCH"]).map(drop)
    }

    pub(super) fn fix_open_slot(&mut self, nodes: &[Node], slot: usize) -> Step {
        self.must_reach_all("Fixing open slots")?;
        self.info(format!(">>> Fixing open slot {slot}"));
        let primaries: Vec<&Node> = nodes.iter().filter(|node| node.is_primary()).collect();
        let mut keys = Vec::new();
        for node in &primaries {
            keys.push(self.keys_in_slot(node, slot)?);
        }
        let mut owners = Vec::new();
        for (node, keys) in primaries.iter().zip(&keys) {
            if node.slots.contains(&slot) {
                owners.push(*node);
            } else if *keys > 0 {
                self.warn(format!("*** Found keys about slot {slot} in non-owner node {}!", node.at()));
                owners.push(*node);
            }
        }
        let mut owner = if owners.len() == 1 { Some(owners[0]) } else { None };
        let open = |list: &[(usize, String)]| list.iter().any(|(open, _)| *open == slot);
        let mut migrating: Vec<&Node> = primaries.iter().filter(|node| open(&node.migrating)).copied().collect();
        let mut importing: Vec<&Node> =
            primaries.iter().filter(|node| open(&node.importing) && !open(&node.migrating)).copied().collect();
        for (node, keys) in primaries.iter().zip(&keys) {
            let known = migrating.iter().chain(&importing).chain(&owner).any(|other| other.id == node.id);
            if !known && *keys > 0 {
                self.warn(format!("*** Found keys about slot {slot} in node {}!", node.at()));
                importing.push(node);
            }
        }
        for (state, list) in [("migrating", &migrating), ("importing", &importing)] {
            if !list.is_empty() {
                self.print(format!("Set as {state} in: {}", places(list)));
            }
        }
        if owner.is_none() {
            self.info(">>> No single clear owner for the slot, selecting an owner by # of keys...");
            let most = primaries.iter().zip(&keys).max_by_key(|(node, keys)| (**keys, std::cmp::Reverse(node.port)));
            let Some((node, _)) = most else {
                return self.fail("[ERR] Can't select a slot owner. Impossible to fix.");
            };
            self.warn(format!("*** Configuring {} as the slot owner", node.at()));
            self.take_slot(node, slot)?;
            migrating.retain(|other| other.id != node.id);
            importing.retain(|other| other.id != node.id);
            owner = Some(node);
        }
        let owner = owner.expect("chosen above");
        for node in owners.iter().filter(|node| node.id != owner.id) {
            self.try_command(node, &["CLUSTER", "DELSLOTS", &slot.to_string()])?;
            self.set_slot(node, slot, &["NODE", &owner.id])?;
            self.set_slot(node, slot, &["IMPORTING", &owner.id])?;
            importing.retain(|other| other.id != node.id);
            importing.push(node);
            migrating.retain(|other| other.id != node.id);
        }
        self.close_slot(nodes, slot, owner, &migrating, &importing, &keys_of(&primaries, &keys))
    }

    /// The four shapes that an interrupted migration can have, as redis-cli numbers them.
    fn close_slot(
        &mut self,
        nodes: &[Node],
        slot: usize,
        owner: &Node,
        migrating: &[&Node],
        importing: &[&Node],
        keys_of: &dyn Fn(&Node) -> i64,
    ) -> Step {
        match (migrating, importing) {
            ([from], [to]) => {
                self.info(format!(">>> Case 1: Moving slot {slot} from {} to {}", from.at(), to.at()));
                self.move_slot(nodes, from, to, slot, Way::Whole, true)
            }
            ([], [_, ..]) => {
                self.info(format!(">>> Case 2: Moving all the {slot} slot keys to its owner {}", owner.at()));
                for node in importing.iter().filter(|node| node.id != owner.id) {
                    self.move_slot(nodes, node, owner, slot, Way::KeysOnly, true)?;
                    self.info(format!(">>> Setting {slot} as STABLE in {}", node.at()));
                    self.set_slot(node, slot, &["STABLE"])?;
                }
                for node in nodes.iter().filter(|node| node.is_primary() && node.id != owner.id) {
                    self.set_slot(node, slot, &["NODE", &owner.id])?;
                }
                Ok(())
            }
            ([from], [_, _, ..]) if importing.iter().all(|node| keys_of(node) == 0) => {
                let target = from.migrating.iter().find(|(open, _)| *open == slot).map(|(_, id)| id);
                match importing.iter().find(|node| Some(&node.id) == target) {
                    Some(to) => {
                        let (from_at, to_at) = (from.at(), to.at());
                        self.info(format!(
                            ">>> Case 3: Moving slot {slot} from {from_at} to {to_at} and closing it on all the other importing nodes."
                        ));
                        self.move_slot(nodes, from, to, slot, Way::Whole, true)?;
                    }
                    None => {
                        self.info(format!(">>> Case 3: Closing slot {slot} on both migrating and importing nodes."));
                        self.set_slot(from, slot, &["STABLE"])?;
                    }
                }
                for node in importing.iter().filter(|node| Some(&node.id) != target) {
                    self.set_slot(node, slot, &["STABLE"])?;
                }
                Ok(())
            }
            ([from], []) if from.id == owner.id || keys_of(from) == 0 => {
                self.info(format!(">>> Case 4: Closing slot {slot} on {}", from.at()));
                self.set_slot(from, slot, &["STABLE"])
            }
            _ => self.fail(format!(
                "[ERR] Sorry, redis-cli can't fix this slot yet (work in progress). Slot is set as migrating in {}, as importing in {}, owner is {}",
                places(migrating),
                places(importing),
                owner.at()
            )),
        }
    }

    /// Slots that no reachable node owns: to who holds their keys, else to any primary.
    pub(super) fn fix_coverage(&mut self, nodes: &[Node], missing: Vec<usize>) -> Step {
        self.must_reach_all("Fixing slots coverage")?;
        self.info(">>> Fixing slots coverage...");
        let primaries: Vec<&Node> = nodes.iter().filter(|node| node.is_primary()).collect();
        if primaries.is_empty() {
            return self.fail("[ERR] There is no primary that could be reached and take the slots.");
        }
        let (mut nowhere, mut one, mut several) = (Vec::new(), Vec::new(), Vec::new());
        for slot in missing {
            let mut holders = Vec::new();
            for node in &primaries {
                let count = self.keys_in_slot(node, slot)?;
                if count > 0 {
                    holders.push((count, *node));
                }
            }
            match holders.len() {
                0 => nowhere.push(slot),
                1 => one.push((slot, holders[0].1)),
                _ => several.push((slot, holders)),
            }
        }
        if !nowhere.is_empty() {
            self.print(format!(
                "The following uncovered slots have no keys across the cluster:\n{}",
                Self::ranges_of(&nowhere)
            ));
            self.confirm("Fix these slots by covering with a random node?")?;
            for (at, slot) in nowhere.iter().enumerate() {
                // Any primary will do: they take turns, so that a run can be repeated.
                let node = primaries[at % primaries.len()];
                self.info(format!(">>> Covering slot {slot} with {}", node.at()));
                self.take_slot(node, *slot)?;
            }
        }
        if !one.is_empty() {
            let slots: Vec<usize> = one.iter().map(|(slot, _)| *slot).collect();
            self.print(format!(
                "The following uncovered slots have keys in just one node:\n{}",
                Self::ranges_of(&slots)
            ));
            self.confirm("Fix these slots by covering with those nodes?")?;
            for (slot, node) in one {
                self.info(format!(">>> Covering slot {slot} with {}", node.at()));
                self.take_slot(node, slot)?;
            }
        }
        if !several.is_empty() {
            let slots: Vec<usize> = several.iter().map(|(slot, _)| *slot).collect();
            self.print(format!(
                "The following uncovered slots have keys in multiple nodes:\n{}",
                Self::ranges_of(&slots)
            ));
            self.confirm("Fix these slots by moving keys into a single node?")?;
            for (slot, holders) in several {
                let owner = holders.iter().max_by_key(|(count, _)| *count).expect("there are several").1;
                self.info(format!(">>> Covering slot {slot} moving keys to {}", owner.at()));
                self.take_slot(owner, slot)?;
                for (_, node) in holders.iter().filter(|(_, node)| node.id != owner.id) {
                    self.set_slot(node, slot, &["NODE", &owner.id])?;
                    self.set_slot(node, slot, &["IMPORTING", &owner.id])?;
                    self.move_slot(nodes, node, owner, slot, Way::KeysOnly, true)?;
                    self.set_slot(node, slot, &["STABLE"])?;
                }
            }
        }
        Ok(())
    }

    /// Several nodes claim a slot: who holds most keys keeps it.
    pub(super) fn fix_owners(&mut self, nodes: &[Node], slot: usize, owners: &[&Node]) -> Step {
        self.info(format!(">>> Fixing multiple owners for slot {slot}..."));
        let mut owner = (-1, owners[0]);
        for node in owners {
            let count = self.keys_in_slot(node, slot)?;
            if count > owner.0 {
                owner = (count, node);
            }
        }
        let owner = owner.1;
        self.info(format!(">>> Setting slot {slot} owner: {}", owner.at()));
        self.take_slot(owner, slot)?;
        for node in nodes.iter().filter(|node| node.is_primary() && node.id != owner.id) {
            self.set_slot(node, slot, &["NODE", &owner.id])?;
            if owners.iter().any(|other| other.id == node.id) {
                self.set_slot(node, slot, &["IMPORTING", &owner.id])?;
                self.move_slot(nodes, node, owner, slot, Way::KeysOnly, true)?;
                self.set_slot(node, slot, &["STABLE"])?;
            }
        }
        Ok(())
    }
}

fn places(nodes: &[&Node]) -> String {
    nodes.iter().map(|node| node.at()).collect::<Vec<_>>().join(",")
}

fn keys_of<'a>(nodes: &'a [&Node], keys: &'a [i64]) -> impl Fn(&Node) -> i64 + 'a {
    move |wanted| nodes.iter().zip(keys).find(|(node, _)| node.id == wanted.id).map_or(0, |(_, count)| *count)
}

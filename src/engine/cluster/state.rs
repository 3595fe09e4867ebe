//! What a node holds for true of its cluster: nodes, owners of slots, epochs.
//!
//! Owners and the nodes' own sets of slots say the same: both change only in `give_slot` and `take_slot`. A handle is good
//! as long as its node is known; `forget` removes every mention of one.

use super::election::{Election, ManualFailover};
use super::link::BusLinks;
use super::node::{Flags, Handle, Node, NodeId};
use super::slots::{SLOTS, SlotSet};
use super::turn::Settings;
use crate::base::{Millis, Rng};
use std::collections::BTreeMap;

/// What has to be done before the step ends.
#[derive(Clone, Copy, Default, Debug)]
pub struct Todo {
    pub failover: bool,
    pub manual_failover: bool,
    pub update_state: bool,
    pub save: bool,
    pub fsync: bool,
}

/// How many kinds of bus messages there are.
pub const KINDS: usize = 11;

#[derive(Clone, Debug)]
pub struct Cluster {
    nodes: Vec<Option<Box<Node>>>,
    by_id: BTreeMap<NodeId, Handle>,
    pub myself: Handle,
    owners: Vec<Option<Handle>>,
    /// Slots that I hand over, and to whom.
    pub migrating: BTreeMap<u16, Handle>,
    /// Slots that I take over, and from whom.
    pub importing: BTreeMap<u16, Handle>,
    /// Slots whose owner no longer claims them: nobody has claimed them since.
    pub unclaimed: SlotSet,
    pub current_epoch: u64,
    /// The epoch of my last vote.
    pub last_vote_epoch: u64,
    /// `cluster_state:ok`.
    pub ok: bool,
    /// Primaries with slots.
    pub size: usize,
    pub shards: BTreeMap<NodeId, Vec<Handle>>,
    /// Nodes that were forgotten, and the second until which nobody may bring them back.
    pub forgotten: BTreeMap<NodeId, u64>,
    pub election: Election,
    pub manual: ManualFailover,
    pub todo: Todo,
    pub links: BusLinks,
    /// Messages by kind.
    pub sent: [u64; KINDS],
    pub received: [u64; KINDS],
    /// Nodes in PFAIL at the last round of the cron.
    pub suspects: usize,
    pub full_links: u64,
    pub rounds: u64,
    /// When the next round is due.
    pub cron_at: Millis,
    pub pings: u64,
    /// When the state was first worked out: a primary that has just started waits a little before it takes writes.
    pub first_update: Option<Millis>,
    /// When I was last among a minority.
    pub minority_at: Millis,
    /// What the configuration says, as of this revision of it.
    pub(super) settings: Option<(u64, Settings)>,
}

impl Cluster {
    /// A node that knows nobody, not even itself: nodes.conf or `found` says who it is.
    pub(super) fn blank() -> Cluster {
        Cluster {
            nodes: Vec::new(),
            by_id: BTreeMap::new(),
            myself: Handle(0),
            owners: vec![None; SLOTS],
            migrating: BTreeMap::new(),
            importing: BTreeMap::new(),
            unclaimed: SlotSet::default(),
            current_epoch: 0,
            last_vote_epoch: 0,
            ok: false,
            size: 0,
            shards: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            election: Election::default(),
            manual: ManualFailover::default(),
            todo: Todo::default(),
            links: BusLinks::default(),
            sent: [0; KINDS],
            received: [0; KINDS],
            suspects: 0,
            full_links: 0,
            rounds: 0,
            cron_at: Millis::ZERO,
            pings: 0,
            first_update: None,
            minority_at: Millis::ZERO,
            settings: None,
        }
    }

    /// A primary that is alone in the world.
    pub fn found(now: Millis, rng: &mut Rng) -> Cluster {
        let mut cluster = Cluster::blank();
        let node = Node::new(NodeId::random(rng), Flags::MYSELF.with(Flags::PRIMARY), now, rng);
        cluster.myself = cluster.add(node);
        cluster.join_shard(cluster.myself);
        cluster
    }

    // -- nodes -------------------------------------------------------------------------------------------------------

    pub fn node(&self, handle: Handle) -> &Node {
        self.nodes[usize::from(handle.0)].as_deref().expect("a handle is good as long as its node is known")
    }

    pub fn node_mut(&mut self, handle: Handle) -> &mut Node {
        self.nodes[usize::from(handle.0)].as_deref_mut().expect("a handle is good as long as its node is known")
    }

    pub fn me(&self) -> &Node {
        self.node(self.myself)
    }

    pub fn me_mut(&mut self) -> &mut Node {
        self.node_mut(self.myself)
    }

    /// `handle`, if it still stands for a node.
    pub fn find_known(&self, handle: Handle) -> Option<Handle> {
        self.nodes.get(usize::from(handle.0))?.as_ref().map(|_| handle)
    }

    pub fn find(&self, id: NodeId) -> Option<Handle> {
        self.by_id.get(&id).copied()
    }

    /// Looks a name up that came from outside.
    pub fn lookup(&self, name: &[u8]) -> Option<Handle> {
        self.find(NodeId::parse(name)?)
    }

    /// Known nodes, those in handshake and this one among them.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// By name.
    pub fn handles(&self) -> Vec<Handle> {
        self.by_id.values().copied().collect()
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, &Node)> {
        self.by_id.values().map(|handle| (*handle, self.node(*handle)))
    }

    pub fn random(&self, rng: &mut Rng) -> Handle {
        // Nodes stand densely but for the few that were forgotten since.
        loop {
            let at = rng.below(self.nodes.len());
            if self.nodes[at].is_some() {
                return Handle(at as u16);
            }
        }
    }

    pub fn add(&mut self, node: Node) -> Handle {
        let free = self.nodes.iter().position(Option::is_none).unwrap_or(self.nodes.len());
        let handle = Handle(free as u16);
        self.by_id.insert(node.id, handle);
        let node = Some(Box::new(node));
        if free == self.nodes.len() {
            self.nodes.push(node)
        } else {
            self.nodes[free] = node
        }
        handle
    }

    /// Removes a node and every mention of it; it must have no links any more. Its slots are nobody's then: they are
    /// returned, for who listens to their channels.
    pub(super) fn forget(&mut self, handle: Handle) -> Vec<u16> {
        self.importing.retain(|_, from| *from != handle);
        self.migrating.retain(|_, to| *to != handle);
        let lost: Vec<u16> = self.node(handle).slots.iter().collect();
        for slot in &lost {
            self.take_slot(*slot);
        }
        self.leave_shard(handle);
        if self.manual.replica == Some(handle) {
            self.manual.replica = None;
        }
        if let Some(primary) = self.node(handle).primary {
            self.remove_replica(primary, handle);
        }
        let node = self.nodes[usize::from(handle.0)].take().expect("a handle is good as long as its node is known");
        self.by_id.remove(&node.id);
        for replica in node.replicas {
            self.node_mut(replica).primary = None;
        }
        for other in self.nodes.iter_mut().flatten() {
            other.fail_reports.retain(|(reporter, _)| *reporter != handle);
        }
        lost
    }

    /// The node's true name has become known.
    pub fn rename(&mut self, handle: Handle, id: NodeId) {
        let old = std::mem::replace(&mut self.node_mut(handle).id, id);
        self.by_id.remove(&old);
        self.by_id.insert(id, handle);
        self.join_shard(handle);
    }

    // -- shards ------------------------------------------------------------------------------------------------------

    pub fn join_shard(&mut self, handle: Handle) {
        let shard = self.shards.entry(self.node(handle).shard).or_default();
        if !shard.contains(&handle) {
            shard.push(handle);
        }
    }

    pub fn leave_shard(&mut self, handle: Handle) {
        let id = self.node(handle).shard;
        if let Some(shard) = self.shards.get_mut(&id) {
            shard.retain(|member| *member != handle);
            if shard.is_empty() {
                self.shards.remove(&id);
            }
        }
    }

    /// Whether that was news.
    pub fn set_shard(&mut self, handle: Handle, shard: NodeId) -> bool {
        if self.node(handle).shard == shard {
            return false;
        }
        self.leave_shard(handle);
        self.node_mut(handle).shard = shard;
        self.join_shard(handle);
        true
    }

    // -- roles -------------------------------------------------------------------------------------------------------

    pub fn add_replica(&mut self, primary: Handle, replica: Handle) {
        let node = self.node_mut(primary);
        if !node.replicas.contains(&replica) {
            node.replicas.push(replica);
            node.flags.set(Flags::MIGRATE_TO);
        }
    }

    pub fn remove_replica(&mut self, primary: Handle, replica: Handle) {
        let node = self.node_mut(primary);
        node.replicas.retain(|each| *each != replica);
        if node.replicas.is_empty() {
            node.flags.clear(Flags::MIGRATE_TO);
        }
    }

    /// The node is a primary from now on.
    pub fn make_primary(&mut self, handle: Handle) {
        if self.node(handle).is_primary() {
            return;
        }
        if let Some(primary) = self.node(handle).primary {
            self.remove_replica(primary, handle);
            if handle != self.myself {
                self.node_mut(handle).flags.set(Flags::MIGRATE_TO);
            }
        }
        let node = self.node_mut(handle);
        node.flags.clear(Flags::REPLICA);
        node.flags.set(Flags::PRIMARY);
        node.primary = None;
        self.todo.save = true;
        self.todo.update_state = true;
    }

    /// At the top of the chain of primaries above a node.
    pub fn primary_of(&self, handle: Handle) -> Handle {
        let mut top = handle;
        // A circle cannot last, but for a moment two nodes may each be told to follow the other.
        for _ in 0..self.count() {
            match self.node(top).primary {
                Some(primary) => top = primary,
                None => break,
            }
        }
        top
    }

    /// Replicas of a primary that have not failed.
    pub fn working_replicas(&self, primary: Handle) -> usize {
        self.node(primary).replicas.iter().filter(|replica| !self.node(**replica).has_failed()).count()
    }

    // -- slots -------------------------------------------------------------------------------------------------------

    pub fn owner(&self, slot: u16) -> Option<Handle> {
        self.owners[usize::from(slot)]
    }

    /// Whether nobody owns the slot, or its owner has stopped claiming it.
    pub fn is_unclaimed(&self, slot: u16) -> bool {
        self.owner(slot).is_none() || self.unclaimed.contains(slot)
    }

    /// Makes a node the owner of a slot that has none; false if it has one.
    pub fn give_slot(&mut self, handle: Handle, slot: u16) -> bool {
        if self.owner(slot).is_some() {
            return false;
        }
        self.owners[usize::from(slot)] = Some(handle);
        self.node_mut(handle).slots.insert(slot);
        if self.node(handle).slots.len() == 1
            && self.iter().any(|(_, node)| !node.is_replica() && !node.replicas.is_empty())
        {
            // The first slot of a new primary in a cluster with replicas: it wants one too.
            self.node_mut(handle).flags.set(Flags::MIGRATE_TO);
        }
        true
    }

    /// Takes a slot from its owner, if it has one.
    pub fn take_slot(&mut self, slot: u16) -> Option<Handle> {
        let owner = self.owners[usize::from(slot)].take()?;
        self.node_mut(owner).slots.remove(slot);
        self.unclaimed.remove(slot);
        Some(owner)
    }

    /// Runs of slots with the same owner.
    pub fn ranges(&self) -> Vec<(u16, u16, Handle)> {
        let mut ranges: Vec<(u16, u16, Handle)> = Vec::new();
        for (slot, owner) in self.owners.iter().enumerate() {
            let Some(owner) = *owner else { continue };
            let slot = slot as u16;
            match ranges.last_mut() {
                Some((_, last, same)) if *same == owner && *last + 1 == slot => *last = slot,
                _ => ranges.push((slot, slot, owner)),
            }
        }
        ranges
    }

    // -- epochs ------------------------------------------------------------------------------------------------------

    /// The highest epoch that I have heard of.
    pub fn max_epoch(&self) -> u64 {
        self.iter().map(|(_, node)| node.epoch).max().unwrap_or(0).max(self.current_epoch)
    }

    /// The epoch of my slots: as a replica, my primary's.
    pub fn my_epoch(&self) -> u64 {
        let me = self.me();
        me.primary.filter(|_| me.is_replica()).map_or(me.epoch, |primary| self.node(primary).epoch)
    }

    /// Takes a new epoch for my slots without asking anybody; false if mine is the highest already.
    pub fn bump_epoch(&mut self) -> bool {
        let mine = self.me().epoch;
        if mine != 0 && mine == self.max_epoch() {
            return false;
        }
        self.current_epoch += 1;
        self.me_mut().epoch = self.current_epoch;
        self.todo.save = true;
        self.todo.fsync = true;
        true
    }

    /// How many primaries make a majority.
    pub fn quorum(&self) -> usize {
        self.size / 2 + 1
    }

    // -- forgotten nodes ---------------------------------------------------------------------------------------------

    /// Whether the node was forgotten so lately that gossip must not bring it back. `secs`: now.
    pub fn is_forgotten(&mut self, id: NodeId, secs: u64) -> bool {
        self.forgotten.retain(|_, until| *until >= secs);
        self.forgotten.contains_key(&id)
    }
}

//! Who voted for whom and who was elected, as the servers log it: what Redis Cluster promises of epochs, and no more.
//!
//! Promised: a node votes once in an epoch, whatever happens to it meanwhile. Not promised: that an epoch is one node's.
//! Some epochs are taken without asking anybody (a slot was imported, two had the same epoch, TAKEOVER), and may be those of an
//! election elsewhere. And who is elected may still vote in the epoch of its own election, though its primary has voted in it
//! too: so a shard may vote twice, and two be elected. redis-server 7.2.6 does that as well. Whoever has the same epoch as
//! another takes a new one as soon as it hears of that (`clusterHandleConfigEpochCollision`).

use crate::lab::Lab;
use redlab::snapshot::What;
use std::collections::{BTreeMap, BTreeSet};

/// Of each epoch.
#[derive(Default)]
pub struct Ledger {
    /// By epoch and voter: for whom.
    votes: BTreeMap<(u64, String), String>,
    /// Epoch and id.
    elected: BTreeSet<(u64, String)>,
    /// Who was seen with slots in an epoch.
    owners: BTreeMap<u64, BTreeSet<String>>,
    read: u64,
    /// By name of the server.
    ids: BTreeMap<String, String>,
}

impl Ledger {
    /// Reads what has happened since. Err: a promise was broken.
    pub fn keep(&mut self, lab: &Lab) -> Result<(), String> {
        for port in lab.ports.iter().filter(|port| lab.is_running(**port)) {
            self.ids.insert(port.to_string(), lab.id(*port));
        }
        let mut read = self.read;
        for event in lab.world.events_since(self.read) {
            read = event.sequence;
            let (What::Log { line }, Some(id)) = (&event.what, self.ids.get(&event.instance)) else { continue };
            if let Some((_, granted)) = line.split_once("Failover auth granted to ")
                && let Some((candidate, epoch)) = granted.split_once(" () for epoch ")
            {
                let vote = (epoch.parse().expect("an epoch"), id.clone());
                if let Some(before) = self.votes.insert(vote, candidate.to_owned()) {
                    return Err(format!("{id} voted for {before} and for {candidate} in epoch {epoch}"));
                }
            } else if let Some(won) = line.strip_suffix(" after successful failover")
                && let Some((_, epoch)) = won.rsplit_once(' ')
            {
                self.elected.insert((epoch.parse().expect("an epoch"), id.clone()));
            }
        }
        self.read = read;
        for port in &lab.ports {
            let Some(me) = lab.node(*port).map(|cluster| cluster.me()) else { continue };
            if me.is_primary() && !me.slots.is_empty() && me.epoch > 0 {
                self.owners.entry(me.epoch).or_default().insert(me.id.to_string());
            }
        }
        self.owners.iter().try_for_each(|(epoch, owners)| self.judge(*epoch, owners))
    }

    /// Err: nothing that Redis does explains that all these had slots in this epoch.
    fn judge(&self, epoch: u64, owners: &BTreeSet<String>) -> Result<(), String> {
        let elected: Vec<&String> =
            owners.iter().filter(|id| self.elected.contains(&(epoch, String::from(*id)))).collect();
        let voted = |id: &&&String| self.votes.contains_key(&(epoch, id.to_string()));
        // Each of these has given its shard a second vote.
        let second_votes = elected.iter().filter(voted).count();
        match elected.len() {
            0 | 1 => Ok(()),
            winners if winners <= 1 + second_votes => Ok(()),
            _ => Err(format!("{elected:?} were elected in epoch {epoch}: {:?}", self.votes)),
        }
    }

    /// Whether this epoch and id are those of an election.
    pub fn elected(&self, of: &(u64, String)) -> bool {
        self.elected.contains(of)
    }

    /// Epochs in which more than one node has had slots.
    pub fn shared_epochs(&self) -> Vec<u64> {
        self.owners.iter().filter(|(_, owners)| owners.len() > 1).map(|(epoch, _)| *epoch).collect()
    }
}

/// Of all primaries with slots each has an epoch of its own.
pub fn epochs_differ(lab: &Lab) -> bool {
    let primaries = lab.ports.iter().filter_map(|port| Some(lab.node(*port)?.me()));
    let epochs: Vec<u64> = primaries.filter(|me| me.is_primary() && !me.slots.is_empty()).map(|me| me.epoch).collect();
    epochs.iter().collect::<BTreeSet<_>>().len() == epochs.len()
}

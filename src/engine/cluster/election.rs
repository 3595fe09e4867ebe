//! Elections: a replica of a failed primary asks the primaries for their votes, in an epoch of its own.
//!
//! A primary votes once for each epoch, and once for each failed primary within twice the node timeout, so in one epoch at
//! most one replica can have a majority. Replicas with more of the data ask earlier (their rank), which makes it likely,
//! not certain, that the best one wins.

use super::gossip::Audience;
use super::message::{Kind, Message};
use super::node::Handle;
use super::slots::SlotSet;
use super::{Effect, Turn};
use crate::base::Millis;

/// A replica's side of an election.
#[derive(Clone, Copy, Default, Debug)]
pub struct Election {
    /// When it began, or will begin; 0: there was none yet.
    pub starts_at: Millis,
    pub votes: usize,
    /// The votes have been asked for.
    pub asked: bool,
    /// Siblings with more data than I have.
    pub rank: usize,
    pub epoch: u64,
    pub hindrance: Option<Hindrance>,
    logged_at: Millis,
}

/// Why a replica does not take over (yet).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hindrance {
    DataAge,
    WaitingDelay,
    Expired,
    WaitingVotes,
}

/// CLUSTER FAILOVER, on both sides.
#[derive(Clone, Copy, Default, Debug)]
pub struct ManualFailover {
    /// One is under way until then.
    pub ends_at: Option<Millis>,
    /// On the primary: who takes over.
    pub replica: Option<Handle>,
    /// On the replica: the stream up to which it must have followed.
    pub primary_offset: Option<i64>,
    /// On the replica: it may ask for votes.
    pub ready: bool,
}

/// How often the same hindrance is logged.
const LOG_AGAIN: Millis = Millis(10_000);

impl Turn<'_> {
    /// How many replicas of my primary have more data than I.
    fn rank(&self) -> usize {
        let Some(primary) = self.cluster.me().primary else { return 0 };
        let ahead = |replica: &&Handle| {
            let node = self.cluster.node(**replica);
            **replica != self.cluster.myself
                && !node.flags.any(super::Flags::NOFAILOVER)
                && node.offset > self.settings.offset
        };
        self.cluster.node(primary).replicas.iter().filter(ahead).count()
    }

    fn hindered(&mut self, by: Hindrance) {
        let again = self.now.since(self.cluster.election.logged_at) < LOG_AGAIN;
        if self.cluster.election.hindrance == Some(by) && again {
            return;
        }
        self.cluster.election.hindrance = Some(by);
        // While the failure is fresh it would be noise: a vote takes a moment.
        let fresh = self.settings.node_timeout + Millis(5000);
        if let Some(primary) = self.cluster.me().primary {
            let node = self.cluster.node(primary);
            if node.has_failed() && self.now.since(node.failed_at) < fresh {
                return;
            }
        }
        let text = match by {
            Hindrance::DataAge => {
                "Disconnected from master for longer than allowed. Please check the \
                 'cluster-replica-validity-factor' configuration option."
            }
            Hindrance::WaitingDelay => "Waiting the delay before I can start a new failover.",
            Hindrance::Expired => "Failover attempt expired.",
            Hindrance::WaitingVotes => "Waiting for votes, but majority still not reached.",
        };
        self.cluster.election.logged_at = self.now;
        self.notice(format!("Currently unable to failover: {text}"));
        if matches!(by, Hindrance::WaitingVotes | Hindrance::Expired) {
            let (needed, votes) = (self.cluster.quorum(), self.cluster.election.votes);
            self.notice(format!("Needed quorum: {needed}. Number of votes received so far: {votes}"));
        }
    }

    /// What a replica does for its failed primary, step by step: plans an election, waits its turn, asks for votes, and
    /// takes over once it has them.
    pub(super) fn stand_for_election(&mut self) {
        self.cluster.todo.failover = false;
        let manual = self.cluster.manual.ends_at.is_some() && self.cluster.manual.ready;
        let me = self.cluster.me();
        let primary = me.primary.filter(|_| !me.is_primary()).map(|handle| self.cluster.node(handle));
        let wanted = primary.is_some_and(|primary| {
            (primary.has_failed() || manual) && !primary.slots.is_empty() && (!self.settings.no_failover || manual)
        });
        if !wanted {
            self.cluster.election.hindrance = None;
            return;
        }
        if !manual && self.is_too_old() {
            return self.hindered(Hindrance::DataAge);
        }
        let timeout = Millis(self.settings.node_timeout.0.saturating_mul(2).max(2000));
        let retry = Millis(timeout.0 * 2);
        // Negative while the election lies ahead.
        let age = self.now.since(self.cluster.election.starts_at);
        if age > retry {
            return self.plan_election();
        }
        if !self.cluster.election.asked && self.cluster.manual.ends_at.is_none() {
            let (rank, before) = (self.rank(), self.cluster.election.rank);
            if rank > before {
                // Somebody has more than I thought.
                let delay = Millis((rank - before) as u64 * 1000);
                self.cluster.election.starts_at += delay;
                self.cluster.election.rank = rank;
                self.notice(format!("Replica rank updated to #{rank}, added {} milliseconds of delay.", delay.0));
            }
        }
        if self.now < self.cluster.election.starts_at {
            return self.hindered(Hindrance::WaitingDelay);
        }
        if age > timeout {
            return self.hindered(Hindrance::Expired);
        }
        if !self.cluster.election.asked {
            self.cluster.current_epoch += 1;
            self.cluster.election.epoch = self.cluster.current_epoch;
            self.notice(format!("Starting a failover election for epoch {}.", self.cluster.current_epoch));
            self.request_votes();
            self.cluster.election.asked = true;
            self.cluster.todo.save = true;
            self.cluster.todo.update_state = true;
            self.cluster.todo.fsync = true;
        } else if self.cluster.election.votes >= self.cluster.quorum() {
            self.notice(String::from("Failover election won: I'm the new master."));
            let epoch = self.cluster.election.epoch;
            if self.cluster.me().epoch < epoch {
                self.cluster.me_mut().epoch = epoch;
                self.notice(format!("configEpoch set to {epoch} after successful failover"));
            }
            self.replace_primary();
        } else {
            self.hindered(Hindrance::WaitingVotes);
        }
    }

    /// Whether my copy is older than `cluster-replica-validity-factor` allows.
    fn is_too_old(&self) -> bool {
        let settings = &self.settings;
        let age = match settings.data_age {
            age if age > settings.node_timeout => age - settings.node_timeout,
            age => age,
        };
        let allowed = settings.ping_replica_period.0 + settings.node_timeout.0.saturating_mul(settings.validity_factor);
        settings.validity_factor > 0 && age.0 > allowed
    }

    fn plan_election(&mut self) {
        // Half a second, so that FAIL reaches all; some chance, so that siblings do not ask at once; a second for each
        // sibling that has more data.
        let delay = 500 + self.rng.below(500) as u64;
        let rank = self.rank();
        let election = &mut self.cluster.election;
        election.starts_at = self.now + Millis(delay + rank as u64 * 1000);
        (election.votes, election.asked, election.rank) = (0, false, rank);
        if self.cluster.manual.ends_at.is_some() {
            (election.starts_at, election.rank) = (self.now, 0);
            self.cluster.todo.failover = true;
        }
        let text = format!(
            "Start of election delayed for {} milliseconds (rank #{}, offset {}).",
            self.cluster.election.starts_at.since(self.now).0,
            self.cluster.election.rank,
            self.settings.offset
        );
        self.notice(text);
        self.broadcast_pong(Audience::Siblings);
    }

    /// Becomes what my primary was.
    pub(super) fn replace_primary(&mut self) {
        let myself = self.cluster.myself;
        let Some(before) = self.cluster.me().primary.filter(|_| !self.cluster.me().is_primary()) else { return };
        self.cluster.make_primary(myself);
        self.effects.push(Effect::StopFollowing);
        let slots: Vec<u16> = self.cluster.node(before).slots.iter().collect();
        for slot in slots {
            // The slot stays with this shard: whoever listens to its channels may go on.
            self.take_slot(slot);
            self.cluster.give_slot(myself, slot);
        }
        self.update_state();
        self.effects.push(Effect::Save { fsync: true });
        self.broadcast_pong(Audience::All);
        self.reset_manual_failover();
    }

    /// Somebody wants my vote.
    pub(super) fn vote(&mut self, candidate: Handle, request: &Message) {
        let me = self.cluster.me();
        if me.is_replica() || me.slots.is_empty() {
            return;
        }
        let node = self.cluster.node(candidate);
        let who = format!("{} ({})", node.id, node.human_name);
        let denied = |why: String| format!("# Failover auth denied to {who}: {why}");
        let epoch = self.cluster.current_epoch;
        let primary = node.primary.map(|handle| (handle, self.cluster.node(handle)));
        let pause = Millis(self.settings.node_timeout.0.saturating_mul(2));
        let refusal = if request.current_epoch < epoch {
            Some(denied(format!("reqEpoch ({}) < curEpoch({epoch})", request.current_epoch)))
        } else if self.cluster.last_vote_epoch == epoch {
            Some(denied(format!("already voted for epoch {epoch}")))
        } else if node.is_primary() {
            Some(denied(String::from("it is a master node")))
        } else if let Some((_, primary)) = primary {
            let voted = self.now.since(primary.voted_at);
            if !primary.has_failed() && !request.force {
                Some(denied(String::from("its master is up")))
            } else if voted < pause {
                let left = pause.0 - voted.0;
                Some(denied(format!("can't vote about this master before {left} milliseconds")))
            } else {
                let newer = |slot: &u16| {
                    let owner = self.cluster.owner(*slot).filter(|_| !self.cluster.is_unclaimed(*slot))?;
                    Some(self.cluster.node(owner).epoch).filter(|epoch| *epoch > request.config_epoch)
                };
                let claimed = SlotSet::from_wire(request.slots);
                let clash = claimed.iter().find_map(|slot| Some((slot, newer(&slot)?)));
                clash.map(|(slot, epoch)| {
                    denied(format!("slot {slot} epoch ({epoch}) > reqEpoch ({})", request.config_epoch))
                })
            }
        } else {
            Some(denied(String::from("I don't know its master")))
        };
        if let Some(line) = refusal {
            return self.log(line);
        }
        let (primary, _) = primary.expect("without one the vote is refused");
        self.cluster.last_vote_epoch = epoch;
        self.cluster.node_mut(primary).voted_at = self.now;
        self.cluster.todo.save = true;
        self.cluster.todo.fsync = true;
        self.send_bare(candidate, Kind::AuthAck);
        self.notice(format!("Failover auth granted to {who} for epoch {epoch}"));
    }

    /// A primary votes for me.
    pub(super) fn count_vote(&mut self, by: Handle, epoch: u64) {
        let node = self.cluster.node(by);
        if node.is_primary() && !node.slots.is_empty() && epoch >= self.cluster.election.epoch {
            self.cluster.election.votes += 1;
            self.cluster.todo.failover = true;
        }
    }
}

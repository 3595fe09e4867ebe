//! CLUSTER FAILOVER: a planned change of roles. The primary holds its clients' writes until the replica has all of the
//! stream; then the replica is elected, without anybody having failed.

use super::gossip::Audience;
use super::message::Kind;
use super::node::Handle;
use super::{Effect, Turn};
use crate::base::Millis;
use crate::engine::link::LinkId;
use crate::engine::refusal::{self, Refusal};

/// How long a manual failover may take.
const TIMEOUT: Millis = Millis(5000);
/// Clients are held for twice as long: a lost PONG must not let them write on.
const PAUSE: Millis = Millis(10_000);

/// The word behind CLUSTER FAILOVER.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    Agreed,
    /// Without the primary's consent: it may be dead.
    Force,
    /// Without anybody's.
    Takeover,
}

impl Manner {
    pub fn parse(word: Option<&[u8]>) -> Result<Manner, Refusal> {
        match word {
            None => Ok(Manner::Agreed),
            Some(word) if word.eq_ignore_ascii_case(b"FORCE") => Ok(Manner::Force),
            Some(word) if word.eq_ignore_ascii_case(b"TAKEOVER") => Ok(Manner::Takeover),
            Some(_) => Err(refusal::SYNTAX),
        }
    }
}

impl Turn<'_> {
    /// CLUSTER FAILOVER.
    pub fn fail_over(&mut self, manner: Manner) -> Result<(), Refusal> {
        if self.cluster.me().is_primary() {
            return Err(Refusal::new("ERR You should send CLUSTER FAILOVER to a replica"));
        }
        let Some(primary) = self.cluster.me().primary else {
            return Err(Refusal::new("ERR I'm a replica but my master is unknown to me"));
        };
        let node = self.cluster.node(primary);
        if manner == Manner::Agreed && (node.has_failed() || node.link.is_none()) {
            return Err(Refusal::new("ERR Master is down or failed, please use CLUSTER FAILOVER FORCE"));
        }
        self.reset_manual_failover();
        self.cluster.manual.ends_at = Some(self.now + TIMEOUT);
        match manner {
            Manner::Takeover => {
                self.notice(String::from("Taking over the master (user request)."));
                if self.cluster.bump_epoch() {
                    let epoch = self.cluster.me().epoch;
                    self.notice(format!("New configEpoch set to {epoch}"));
                }
                self.replace_primary();
            }
            Manner::Force => {
                self.notice(String::from("Forced failover user request accepted."));
                self.cluster.manual.ready = true;
            }
            Manner::Agreed => {
                self.notice(String::from("Manual failover user request accepted."));
                self.send_bare(primary, Kind::MfStart);
            }
        }
        Ok(())
    }

    /// On the primary: a replica asks me to stand still.
    pub(super) fn begin_pause(&mut self, link: LinkId, replica: Handle) {
        if self.cluster.node(replica).primary != Some(self.cluster.myself) {
            return;
        }
        self.reset_manual_failover();
        self.cluster.manual.ends_at = Some(self.now + TIMEOUT);
        self.cluster.manual.replica = Some(replica);
        self.effects.push(Effect::PauseWrites(self.now + PAUSE));
        let node = self.cluster.node(replica);
        let text = format!("Manual failover requested by replica {} ({}).", node.id, node.human_name);
        self.notice(text);
        // My offset does not move any more: the replica learns it from this.
        self.ping(link, Kind::Ping);
    }

    pub fn reset_manual_failover(&mut self) {
        if self.cluster.manual.replica.is_some() {
            self.effects.push(Effect::Unpause);
        }
        self.cluster.manual = Default::default();
    }

    pub(super) fn end_late_manual_failover(&mut self) {
        if self.cluster.manual.ends_at.is_some_and(|at| at < self.now) {
            self.log(String::from("# Manual failover timed out."));
            self.reset_manual_failover();
        }
    }

    /// On the replica: have I all of the stream now?
    pub(super) fn check_manual_failover(&mut self) {
        let manual = &mut self.cluster.manual;
        if manual.ends_at.is_none() || manual.ready {
            return;
        }
        let Some(offset) = manual.primary_offset else { return };
        if offset == self.settings.offset {
            manual.ready = true;
            self.cluster.todo.failover = true;
            self.notice(String::from("All master replication stream processed, manual failover can start."));
        }
    }

    /// All others are told what changed here.
    pub fn tell_all(&mut self) {
        self.broadcast_pong(Audience::All);
    }
}

//! FAILOVER: a primary hands its place to one of its replicas, without losing a write.
//!
//! Writes are paused; once a replica has everything, the primary becomes its replica and asks it, with PSYNC ... FAILOVER, to
//! be the primary.

use super::attach::{State, place_of};
use super::notice;
use crate::base::Millis;
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::refusal::{self, Refusal};
use crate::engine::{Env, Instance, Outbox, Pause};
use crate::resp::Reply;

/// A failover under way.
#[derive(Clone, Debug)]
pub(super) struct Failover {
    target: Option<(String, u16)>,
    deadline: Option<Millis>,
    force: bool,
    /// Some replica has everything: it is being asked to take over.
    in_progress: bool,
}

pub fn failover(call: &mut Call) -> Outcome {
    if call.server.config.flag("cluster-enabled") {
        return Err(Refusal::new("ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead."));
    }
    if call.args.len() == 2 && call.is(1, "ABORT") {
        if call.server.replication.failover.is_none() {
            return Err(Refusal::new("ERR No failover in progress."));
        }
        let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
        call.server.abort_failover("Failover manually aborted", &mut env, call.out);
        return Ok(Reply::OK);
    }
    let (mut timeout, mut target, mut force) = (None, None, false);
    let mut index = 1;
    while index < call.args.len() {
        let rest = call.args.len() - index - 1;
        if call.is(index, "TIMEOUT") && rest >= 1 && timeout.is_none() {
            let ms = call.int(index + 1)?;
            if ms <= 0 {
                return Err(Refusal::new("ERR FAILOVER timeout must be greater than 0"));
            }
            timeout = Some(Millis(ms as u64));
            index += 2;
        } else if call.is(index, "TO") && rest >= 2 && target.is_none() {
            target = Some((call.args[index + 1].lossy().into_owned(), call.int(index + 2)?));
            index += 3;
        } else if call.is(index, "FORCE") && !force {
            force = true;
            index += 1;
        } else {
            return Err(refusal::SYNTAX);
        }
    }
    if call.server.replication.failover.is_some() {
        return Err(Refusal::new("ERR FAILOVER already in progress."));
    }
    if call.server.is_replica() {
        return Err(Refusal::new("ERR FAILOVER is not valid when server is a replica."));
    }
    if call.server.replication.replicas.is_empty() {
        return Err(Refusal::new("ERR FAILOVER requires connected replicas."));
    }
    if force && (timeout.is_none() || target.is_none()) {
        return Err(Refusal::new("ERR FAILOVER with force option requires both a timeout and target HOST and IP."));
    }
    let target = target.map(|(host, port)| (host, u16::try_from(port).unwrap_or(0)));
    match &target {
        Some((host, port)) => {
            match call.server.state_of_replica(host, *port) {
                None => return Err(Refusal::new("ERR FAILOVER target HOST and PORT is not a replica.")),
                Some(State::Online) => {}
                Some(_) => return Err(Refusal::new("ERR FAILOVER target replica is not online.")),
            }
            notice(call.out, format!("FAILOVER requested to {host}:{port}."));
        }
        None => notice(call.out, "FAILOVER requested to any replica."),
    }
    let deadline = timeout.map(|timeout| call.now + timeout);
    call.server.replication.failover = Some(Failover { target, deadline, force, in_progress: false });
    call.server.replication.next_cron = call.now;
    call.server.pause = Some(Pause { until: Millis(u64::MAX), all: false });
    Ok(Reply::OK)
}

impl Instance {
    /// INFO's word.
    pub(super) fn failover_word(&self) -> &'static str {
        match &self.replication.failover {
            None => "no-failover",
            Some(failover) if failover.in_progress => "failover-in-progress",
            Some(_) => "waiting-for-sync",
        }
    }

    pub(super) fn is_failing_over(&self) -> bool {
        self.replication.failover.as_ref().is_some_and(|failover| failover.in_progress)
    }

    /// Whether the stream must not grow: a replica is to reach its end.
    pub(super) fn holds_stream_still(&self) -> bool {
        self.replication.failover.is_some() || self.failover_pause.is_some() || self.persist.ending.is_some()
    }

    fn state_of_replica(&self, host: &str, port: u16) -> Option<State> {
        let mut at = self.attached().filter(|(client, _)| place_of(client) == (host, port));
        at.next().map(|(_, replica)| replica.state)
    }

    /// Looks whether a replica has everything, or the time is up.
    pub(in crate::engine) fn update_failover(&mut self, env: &mut Env, out: &mut Outbox) {
        let Some(failover) = self.replication.failover.as_ref().filter(|failover| !failover.in_progress) else {
            return;
        };
        if failover.deadline.is_some_and(|deadline| deadline <= env.now) {
            match failover.target.clone().filter(|_| failover.force) {
                Some((host, port)) => {
                    notice(out, format!("FAILOVER to {host}:{port} time out exceeded, failing over."));
                    self.ask_to_take_over(&host, port, env, out);
                }
                None => self.abort_failover("Replica never caught up before timeout", env, out),
            }
            return;
        }
        let complete = self.replication.offset;
        let mut fitting = self.attached().filter(|(client, replica)| {
            let wanted = failover.target.as_ref().is_none_or(|(host, port)| place_of(client) == (host.as_str(), *port));
            wanted && replica.state == State::Online && replica.ack_offset == complete
        });
        let found = fitting.next().map(|(client, _)| place_of(client)).map(|(host, port)| (host.to_owned(), port));
        drop(fitting);
        if let Some((host, port)) = found {
            notice(out, format!("Failover target {host}:{port} is synced, failing over."));
            self.ask_to_take_over(&host, port, env, out);
        }
    }

    fn ask_to_take_over(&mut self, host: &str, port: u16, env: &mut Env, out: &mut Outbox) {
        if let Some(failover) = &mut self.replication.failover {
            failover.in_progress = true;
            failover.target = Some((host.to_owned(), port));
        }
        self.replicate_from(host, port, env, out);
    }

    /// The replica has taken over.
    pub(super) fn end_failover(&mut self) {
        if self.replication.failover.take().is_some() {
            self.end_pause();
        }
    }

    pub(super) fn abort_failover(&mut self, why: &str, env: &mut Env, out: &mut Outbox) {
        let Some(failover) = self.replication.failover.take() else { return };
        match &failover.target {
            Some((host, port)) => notice(out, format!("FAILOVER to {host}:{port} aborted: {why}")),
            None => notice(out, format!("FAILOVER to any replica aborted: {why}")),
        }
        if failover.in_progress {
            self.promote(env, out);
        }
        self.end_pause();
    }

    /// Lets writes go on, at the end of the step.
    fn end_pause(&mut self) {
        if let Some(pause) = &mut self.pause {
            pause.until = Millis::ZERO;
        }
    }
}

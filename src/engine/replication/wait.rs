//! WAIT and WAITAOF: until so many replicas have acknowledged what a connection wrote.
//!
//! Acknowledgements come every second by themselves; who waits has them asked for at once, by a REPLCONF GETACK in the stream.

use super::attach::State;
use crate::base::Millis;
use crate::engine::call::Call;
use crate::engine::client::ClientId;
use crate::engine::command::Outcome;
use crate::engine::commands::parse;
use crate::engine::refusal::Refusal;
use crate::engine::{Env, Instance, Outbox};
use crate::resp::Reply;

const NO_AOF: &str = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";

/// A client that waits for acknowledgements.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    client: ClientId,
    /// What has to be acknowledged.
    offset: u64,
    replicas: i64,
    /// WAITAOF: on the platter; and whether here too.
    aof: Option<bool>,
}

pub fn wait(call: &mut Call) -> Outcome {
    if call.server.is_replica() {
        return Err(Refusal::new(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.",
        ));
    }
    let replicas = call.int(1)?;
    let timeout = parse::timeout_ms(call, 2)?;
    stand(call, replicas, None, timeout)
}

pub fn waitaof(call: &mut Call) -> Outcome {
    let local = match call.int(1)? {
        0 => false,
        1 => true,
        _ => return Err(Refusal::new("ERR value is out of range, must be between 0 and 1")),
    };
    let replicas = call.int(2).ok().filter(|n| *n >= 0);
    let replicas = replicas.ok_or(match call.int(2) {
        Ok(_) => Refusal::new("ERR value is out of range, must be positive"),
        Err(refusal) => refusal,
    })?;
    let timeout = parse::timeout_ms(call, 3)?;
    if call.server.is_replica() {
        return Err(Refusal::new(
            "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.",
        ));
    }
    if local && !call.server.config.appendonly {
        return Err(Refusal::new(NO_AOF));
    }
    stand(call, replicas, Some(local), timeout)
}

/// Answers at once if it can, else waits.
fn stand(call: &mut Call, replicas: i64, aof: Option<bool>, timeout: Millis) -> Outcome {
    let waiter = Waiter { client: call.client, offset: call.me().written_offset, replicas, aof };
    if call.server.is_served(&waiter) || !call.may_block {
        return Ok(call.server.answer_to(&waiter));
    }
    call.server.replication.asks_for_acks = true;
    call.server.replication.waiters.push(waiter);
    call.block(&[], "", timeout, Reply::None)
}

/// Drops what a client waits for.
pub(super) fn forget(waiters: &mut Vec<Waiter>, client: ClientId) {
    waiters.retain(|waiter| waiter.client != client);
}

impl Instance {
    fn answer_to(&self, waiter: &Waiter) -> Reply {
        let acked = |of: fn(&super::attach::Replica) -> u64| {
            let online = self.attached().filter(|(_, replica)| replica.state == State::Online);
            Reply::from(online.filter(|(_, replica)| of(replica) >= waiter.offset).count())
        };
        match waiter.aof {
            None => acked(|replica| replica.ack_offset),
            Some(_) => {
                let local = Reply::Int(i64::from(self.replication.fsynced_offset >= waiter.offset as i64));
                Reply::Array(vec![local, acked(|replica| replica.aof_offset)])
            }
        }
    }

    fn is_served(&self, waiter: &Waiter) -> bool {
        match (self.answer_to(waiter), waiter.aof) {
            (Reply::Int(acked), _) => acked >= waiter.replicas,
            (Reply::Array(both), Some(local)) => match both.as_slice() {
                [Reply::Int(here), Reply::Int(acked)] => *acked >= waiter.replicas && *here >= i64::from(local),
                _ => false,
            },
            _ => false,
        }
    }

    /// What a client that waits for acknowledgements is answered when its time is up; None if it waits for something else.
    pub(in crate::engine) fn acks_so_far(&self, id: ClientId) -> Option<Reply> {
        let waiter = self.replication.waiters.iter().find(|waiter| waiter.client == id)?;
        Some(self.answer_to(waiter))
    }

    /// Answers those for whom enough replicas have acknowledged.
    pub(in crate::engine) fn serve_waiters(&mut self, env: &mut Env, out: &mut Outbox) {
        self.ask_for_acks(out);
        self.update_failover(env, out);
        for waiter in self.replication.waiters.clone() {
            if waiter.aof == Some(true) && !self.config.appendonly {
                self.end_wait(waiter.client, Reply::error(NO_AOF), out);
            } else if self.is_served(&waiter) {
                let reply = self.answer_to(&waiter);
                self.end_wait(waiter.client, reply, out);
            }
        }
    }
}

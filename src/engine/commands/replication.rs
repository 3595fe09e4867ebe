//! Replication: who follows whom, how far everybody is, and the commands with which servers talk to each other.

use crate::engine::Env;
use crate::engine::call::Call;
use crate::engine::command::*;
use crate::engine::refusal::Refusal;
use crate::engine::replication::{attach, failover, wait};
use crate::resp::Reply;

const ACKED: &[&str] = &["request_policy:all_shards", "response_policy:agg_min"];

pub const COMMANDS: &[Command] = &[
    Command {
        name: "WAIT",
        syntax: "numreplicas timeout:integer",
        summary: "Wait until replicas have received the writes of this connection.",
        since: "3.0.0",
        acl: &["connection"],
        tips: ACKED,
        run: wait::wait,
        ..Command::GENERIC
    },
    Command {
        name: "WAITAOF",
        syntax: "numlocal:integer numreplicas timeout:integer",
        summary: "Wait until the writes of this connection are in the append only files, here and of replicas.",
        since: "7.2.0",
        flags: NOSCRIPT,
        acl: &["connection"],
        tips: ACKED,
        run: wait::waitaof,
        ..Command::GENERIC
    },
    Command {
        name: "ROLE",
        summary: "Say whether this is a primary or a replica, and how far it is.",
        since: "2.8.12",
        flags: NOSCRIPT.with(LOADING).with(STALE).with(FAST),
        acl: &["admin", "dangerous"],
        run: role,
        ..Command::SERVER
    },
    Command {
        name: "REPLICAOF",
        syntax: "args=<host-port=(host port) | no-one=(NO ONE)>",
        summary: "Follow a primary, or follow nobody any more.",
        since: "5.0.0",
        flags: NO_ASYNC_LOADING.with(ADMIN).with(NOSCRIPT).with(STALE),
        run: replicaof,
        ..Command::SERVER
    },
    Command {
        name: "SLAVEOF",
        syntax: "args=<host-port=(host port) | no-one=(NO ONE)>",
        summary: "Follow a primary, or follow nobody any more.",
        deprecated: Some(("5.0.0", "`REPLICAOF`")),
        flags: NO_ASYNC_LOADING.with(ADMIN).with(NOSCRIPT).with(STALE),
        run: replicaof,
        ..Command::SERVER
    },
    Command {
        name: "FAILOVER",
        syntax: "[TO target=(host port [FORCE])] [ABORT] [TIMEOUT milliseconds]",
        summary: "Let a replica take over.",
        since: "6.2.0",
        flags: ADMIN.with(NOSCRIPT).with(STALE),
        run: failover::failover,
        ..Command::SERVER
    },
    Command {
        name: "PSYNC",
        syntax: "replicationid offset [argument:hidden ...]",
        summary: "Servers among themselves: go on with the stream, or get a snapshot first.",
        since: "2.8.0",
        complexity: "",
        flags: NO_ASYNC_LOADING.with(ADMIN).with(NO_MULTI).with(NOSCRIPT),
        run: attach::sync,
        ..Command::SERVER
    },
    Command {
        name: "SYNC",
        summary: "Servers among themselves, before 2.8: get a snapshot, then the stream.",
        complexity: "",
        flags: NO_ASYNC_LOADING.with(ADMIN).with(NO_MULTI).with(NOSCRIPT),
        run: attach::sync,
        ..Command::SERVER
    },
    Command {
        name: "REPLCONF",
        syntax: "[option:hidden value:hidden ...]",
        summary: "Servers among themselves: what a replica says of itself, and how far it is.",
        since: "3.0.0",
        flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE).with(ALLOW_BUSY).with(SYSCMD),
        run: attach::replconf,
        ..Command::SERVER
    },
];

fn role(call: &mut Call) -> Outcome {
    Ok(call.server.role_reply())
}

/// REPLICAOF, and SLAVEOF: the same under its old name.
fn replicaof(call: &mut Call) -> Outcome {
    if call.server.config.flag("cluster-enabled") {
        return Err(Refusal::new("ERR REPLICAOF not allowed in cluster mode."));
    }
    if call.server.failover_under_way() {
        return Err(Refusal::new("ERR REPLICAOF not allowed while failing over."));
    }
    let client = call.describe_me();
    if call.is(1, "NO") && call.is(2, "ONE") {
        if call.server.is_replica() {
            let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
            call.server.promote(&mut env, call.out);
            call.server.say_role(&format!("MASTER MODE enabled (user request from '{client}')"), call.out);
        }
        return Ok(Reply::OK);
    }
    if call.me().is_replica() {
        return Err(Refusal::new("ERR Command is not valid when client is a replica."));
    }
    let port = call.int(2).ok().and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(Refusal::new("ERR Invalid master port"))?;
    let host = call.args[1].lossy().into_owned();
    if call.server.follows(&host, port) {
        let same = "REPLICAOF would result into synchronization with the master we are already connected with. No operation performed.";
        call.server.say_role(same, call.out);
        return Ok(Reply::status("OK Already connected to specified master"));
    }
    let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
    call.server.replicate_from(&host, port, &mut env, call.out);
    call.server.say_role(&format!("REPLICAOF {host}:{port} enabled (user request from '{client}')"), call.out);
    Ok(Reply::OK)
}

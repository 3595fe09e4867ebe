//! CLUSTER: look at the cluster and change it; and what a connection says of itself to a node of one.
//!
//! `look` answers, `slots` assigns and moves, `nodes` meets, forgets and changes roles. What these do to the cluster is
//! written down in `engine::cluster`.

mod look;
mod nodes;
mod slots;

use crate::engine::cluster::slots::SLOTS;
use crate::engine::cluster::{Cluster, Handle, Turn};
use crate::engine::command::{ADMIN, Command, FAST, Flags, LOADING, NO_ASYNC_LOADING, NOSCRIPT, Outcome, STALE};
use crate::engine::refusal::Refusal;
use crate::engine::value::string::parse_int;
use crate::engine::{Call, Env, commands};
use crate::resp::Reply;

const UNSTEADY: &[&str] = &["nondeterministic_output"];
/// Of the subcommands that change something.
const CHANGES: Flags = ADMIN.with(STALE).with(NO_ASYNC_LOADING);
const SINCE_3: Command = Command { since: "3.0.0", ..Command::CLUSTER };
const CHANGE: Command = Command { flags: CHANGES, ..SINCE_3 };
const LOOK: Command = Command { flags: STALE, tips: UNSTEADY, ..SINCE_3 };

const REPLICAS: Command = Command {
    name: "CLUSTER REPLICAS",
    syntax: "node-id",
    summary: "List the replicas of a primary.",
    since: "5.0.0",
    complexity: "O(N), N the number of replicas",
    flags: ADMIN.with(STALE),
    tips: UNSTEADY,
    run: look::replicas,
    ..SINCE_3
};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "ASKING",
        summary: "The next command follows an ASK redirection.",
        since: "3.0.0",
        flags: FAST,
        acl: &["connection"],
        run: asking,
        ..Command::CLUSTER
    },
    Command {
        name: "READONLY",
        summary: "Let this connection read from a replica.",
        since: "3.0.0",
        flags: LOADING.with(STALE).with(FAST),
        acl: &["connection"],
        run: readonly,
        ..Command::CLUSTER
    },
    Command {
        name: "READWRITE",
        summary: "Send this connection to the primary for reads again.",
        since: "3.0.0",
        flags: LOADING.with(STALE).with(FAST),
        acl: &["connection"],
        run: readwrite,
        ..Command::CLUSTER
    },
    Command {
        name: "CLUSTER",
        summary: "Look at the cluster and change it.",
        since: "3.0.0",
        complexity: "Depends on the subcommand.",
        sub: &[
            Command {
                name: "CLUSTER ADDSLOTS",
                syntax: "slot [slot ...]",
                summary: "Make this node the owner of free slots.",
                complexity: "O(N), N the number of slots",
                run: slots::addslots,
                ..CHANGE
            },
            Command {
                name: "CLUSTER ADDSLOTSRANGE",
                syntax: "range=(start-slot end-slot) [start-slot end-slot ...]",
                summary: "Make this node the owner of ranges of free slots.",
                since: "7.0.0",
                complexity: "O(N), N the number of slots",
                run: slots::addslotsrange,
                ..CHANGE
            },
            Command {
                name: "CLUSTER BUMPEPOCH",
                summary: "Give this node's slots a new epoch, unless theirs is the highest already.",
                tips: UNSTEADY,
                run: nodes::bumpepoch,
                ..CHANGE
            },
            Command {
                name: "CLUSTER COUNT-FAILURE-REPORTS",
                syntax: "node-id",
                summary: "Count the primaries that lately said that a node fails.",
                complexity: "O(N), N the number of reports",
                flags: ADMIN.with(STALE),
                run: look::count_failure_reports,
                ..LOOK
            },
            Command {
                name: "CLUSTER COUNTKEYSINSLOT",
                syntax: "slot",
                summary: "Count the keys that this node has of a slot.",
                tips: &[],
                run: slots::countkeysinslot,
                ..LOOK
            },
            Command {
                name: "CLUSTER DELSLOTS",
                syntax: "slot [slot ...]",
                summary: "Forget who owns these slots.",
                complexity: "O(N), N the number of slots",
                run: slots::delslots,
                ..CHANGE
            },
            Command {
                name: "CLUSTER DELSLOTSRANGE",
                syntax: "range=(start-slot end-slot) [start-slot end-slot ...]",
                summary: "Forget who owns the slots of these ranges.",
                since: "7.0.0",
                complexity: "O(N), N the number of slots",
                run: slots::delslotsrange,
                ..CHANGE
            },
            Command {
                name: "CLUSTER FAILOVER",
                syntax: "options=[FORCE | TAKEOVER]",
                summary: "Let this replica take its primary's place.",
                run: nodes::failover,
                ..CHANGE
            },
            Command {
                name: "CLUSTER FLUSHSLOTS",
                summary: "Give up all slots of this node, which must be empty.",
                run: slots::flushslots,
                ..CHANGE
            },
            Command {
                name: "CLUSTER FORGET",
                syntax: "node-id",
                summary: "Remove a node from this one's table, and keep it out for a minute.",
                run: nodes::forget,
                ..CHANGE
            },
            Command {
                name: "CLUSTER GETKEYSINSLOT",
                syntax: "slot count",
                summary: "Names of keys that this node has of a slot.",
                complexity: "O(N), N the number of keys asked for",
                run: slots::getkeysinslot,
                ..LOOK
            },
            Command {
                name: "CLUSTER HELP",
                summary: "List the subcommands.",
                since: "5.0.0",
                flags: LOADING.with(STALE),
                tips: &[],
                run: help,
                ..LOOK
            },
            Command {
                name: "CLUSTER INFO",
                summary: "How this node finds the cluster: its state, slots, epochs, messages.",
                run: look::info,
                ..LOOK
            },
            Command {
                name: "CLUSTER KEYSLOT",
                syntax: "key:string",
                summary: "The slot of a key.",
                complexity: "O(N), N the length of the key",
                tips: &[],
                run: slots::keyslot,
                ..LOOK
            },
            Command {
                name: "CLUSTER LINKS",
                summary: "List the links of the cluster bus.",
                since: "7.0.0",
                complexity: "O(N), N the number of nodes",
                run: look::links,
                ..LOOK
            },
            Command {
                name: "CLUSTER MEET",
                syntax: "ip port [cluster-bus-port:integer@4.0.0]",
                summary: "Greet a node, so that both clusters become one.",
                history: &[("4.0.0", "The port of the bus may be given.")],
                run: nodes::meet,
                ..CHANGE
            },
            Command { name: "CLUSTER MYID", summary: "The name of this node.", tips: &[], run: look::myid, ..LOOK },
            Command {
                name: "CLUSTER MYSHARDID",
                summary: "The name of this node's shard.",
                since: "7.2.0",
                run: look::myshardid,
                ..LOOK
            },
            Command {
                name: "CLUSTER NODES",
                summary: "The nodes as this one knows them, a line each.",
                complexity: "O(N), N the number of nodes",
                run: look::nodes,
                ..LOOK
            },
            REPLICAS,
            Command {
                name: "CLUSTER REPLICATE",
                syntax: "node-id",
                summary: "Make this node a replica of a primary.",
                run: nodes::replicate,
                ..CHANGE
            },
            Command {
                name: "CLUSTER RESET",
                syntax: "reset-type=[HARD | SOFT]",
                summary: "Leave the cluster: forget nodes and slots, with HARD also name and epochs.",
                complexity: "O(N), N the number of nodes; a replica is emptied too",
                flags: ADMIN.with(NOSCRIPT).with(STALE),
                run: nodes::reset,
                ..SINCE_3
            },
            Command { name: "CLUSTER SAVECONFIG", summary: "Write nodes.conf now.", run: nodes::saveconfig, ..CHANGE },
            Command {
                name: "CLUSTER SET-CONFIG-EPOCH",
                syntax: "config-epoch:integer",
                summary: "Give a node that is alone its first epoch.",
                run: nodes::set_config_epoch,
                ..CHANGE
            },
            Command {
                name: "CLUSTER SETSLOT",
                syntax: "slot subcommand=<IMPORTING importing=node-id | MIGRATING migrating=node-id | NODE \
                         node=node-id | STABLE>",
                summary: "Begin, end or give up the move of a slot.",
                run: slots::setslot,
                ..CHANGE
            },
            Command {
                name: "CLUSTER SHARDS",
                summary: "The shards: slots, and the nodes that hold them.",
                since: "7.0.0",
                complexity: "O(N), N the number of nodes",
                flags: LOADING.with(STALE),
                run: look::shards,
                ..LOOK
            },
            Command {
                name: "CLUSTER SLAVES",
                summary: "The older name of CLUSTER REPLICAS.",
                since: "3.0.0",
                deprecated: Some(("5.0.0", "`CLUSTER REPLICAS`")),
                ..REPLICAS
            },
            Command {
                name: "CLUSTER SLOTS",
                summary: "Which node serves which range of slots.",
                complexity: "O(N), N the number of nodes",
                history: &[("4.0.0", "The ids of nodes."), ("7.0.0", "Further names and addresses of nodes.")],
                deprecated: Some(("7.0.0", "`CLUSTER SHARDS`")),
                flags: LOADING.with(STALE),
                run: look::slots,
                ..LOOK
            },
        ],
        ..Command::CLUSTER
    },
];

const DISABLED: Refusal = Refusal::new("ERR This instance has cluster support disabled");

/// What this node knows. Err: it is no node of a cluster.
fn cluster<'c>(call: &'c Call) -> Result<&'c Cluster, Refusal> {
    call.server.cluster.as_deref().ok_or(DISABLED)
}

/// Carries out a turn of this node. Err: it is no node of a cluster.
fn turn<T>(call: &mut Call, act: impl FnOnce(&mut Turn) -> T) -> Result<T, Refusal> {
    let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
    call.server.cluster_turn(&mut env, call.out, act).ok_or(DISABLED)
}

/// Notes that the state is to be worked out anew and nodes.conf to be written.
fn changed(turn: &mut Turn) {
    turn.cluster.todo.update_state = true;
    turn.cluster.todo.save = true;
}

fn slot_at(call: &Call, index: usize) -> Result<u16, Refusal> {
    let number = parse_int(&call.args[index]).filter(|slot| (0..SLOTS as i64).contains(slot));
    number.map(|slot| slot as u16).ok_or(Refusal::new("ERR Invalid or out of range slot"))
}

/// The node that argument `index` names. Err: Redis' words, which are not everywhere the same.
fn node_at(call: &Call, index: usize, unknown: &str) -> Result<Handle, Refusal> {
    let name = &call.args[index];
    cluster(call)?.lookup(name).ok_or_else(|| Refusal::from(format!("ERR {unknown} {}", name.printed())))
}

fn asking(call: &mut Call) -> Outcome {
    cluster(call)?;
    call.me_mut().asking = true;
    Ok(Reply::OK)
}

fn readonly(call: &mut Call) -> Outcome {
    cluster(call)?;
    call.me_mut().readonly = true;
    Ok(Reply::OK)
}

fn readwrite(call: &mut Call) -> Outcome {
    cluster(call)?;
    call.me_mut().readonly = false;
    Ok(Reply::OK)
}

fn help(call: &mut Call) -> Outcome {
    cluster(call)?;
    Ok(commands::help(
        "CLUSTER",
        &[
            "ADDSLOTS <slot> [<slot> ...]",
            "    Assign slots to current node.",
            "ADDSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
            "    Assign slots which are between <start-slot> and <end-slot> to current node.",
            "BUMPEPOCH",
            "    Advance the cluster config epoch.",
            "COUNT-FAILURE-REPORTS <node-id>",
            "    Return number of failure reports for <node-id>.",
            "COUNTKEYSINSLOT <slot>",
            "    Return the number of keys in <slot>.",
            "DELSLOTS <slot> [<slot> ...]",
            "    Delete slots information from current node.",
            "DELSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
            "    Delete slots information which are between <start-slot> and <end-slot> from current node.",
            "FAILOVER [FORCE|TAKEOVER]",
            "    Promote current replica node to being a master.",
            "FORGET <node-id>",
            "    Remove a node from the cluster.",
            "GETKEYSINSLOT <slot> <count>",
            "    Return key names stored by current node in a slot.",
            "FLUSHSLOTS",
            "    Delete current node own slots information.",
            "INFO",
            "    Return information about the cluster.",
            "KEYSLOT <key>",
            "    Return the hash slot for <key>.",
            "MEET <ip> <port> [<bus-port>]",
            "    Connect nodes into a working cluster.",
            "MYID",
            "    Return the node id.",
            "MYSHARDID",
            "    Return the node's shard id.",
            "NODES",
            "    Return cluster configuration seen by node. Output format:",
            "    <id> <ip:port@bus-port[,hostname]> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...",
            "REPLICATE <node-id>",
            "    Configure current node as replica to <node-id>.",
            "RESET [HARD|SOFT]",
            "    Reset current node (default: soft).",
            "SET-CONFIG-EPOCH <epoch>",
            "    Set config epoch of current node.",
            "SETSLOT <slot> (IMPORTING <node-id>|MIGRATING <node-id>|STABLE|NODE <node-id>)",
            "    Set slot state.",
            "REPLICAS <node-id>",
            "    Return <node-id> replicas.",
            "SAVECONFIG",
            "    Force saving cluster configuration on disk.",
            "SLOTS",
            "    Return information about slots range mappings. Each range is made of:",
            "    start, end, master and replicas IP addresses, ports and ids",
            "SHARDS",
            "    Return information about slot range mappings and the nodes associated with them.",
            "LINKS",
            "    Return information about all network links between this node and its peers.",
            "    Output format is an array where each array element is a map containing attributes of a link",
        ],
    ))
}

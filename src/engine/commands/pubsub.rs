//! Publish and subscribe: messages to whoever listens right now, and to nobody else.
//!
//! A subscription is answered once per channel, as a push. Nothing is stored: who comes later has missed it.

use crate::base::{Bytes, glob};
use crate::engine::call::Propagate;
use crate::engine::client::{Client, ClientId};
use crate::engine::command::{
    ALL_KEYS, Command, FAST, LOADING, MAY_REPLICATE, NOSCRIPT, ONE_KEY, Outcome, PUBSUB, STALE,
};
use crate::engine::commands;
use crate::engine::pubsub::Kind;
use crate::engine::refusal::Refusal;
use crate::engine::{Call, Env};
use crate::resp::Reply;
use std::collections::{BTreeMap, BTreeSet};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "SUBSCRIBE",
        syntax: "channel [channel ...]",
        summary: "Listen to channels.",
        since: "2.0.0",
        complexity: "O(N)",
        flags: PUBSUB.with(NOSCRIPT).with(LOADING).with(STALE),
        run: subscribe,
        ..Command::PUBSUB
    },
    Command {
        name: "UNSUBSCRIBE",
        syntax: "[channel [channel ...]]",
        summary: "Stop listening to channels.",
        since: "2.0.0",
        complexity: "O(N)",
        flags: PUBSUB.with(NOSCRIPT).with(LOADING).with(STALE),
        run: unsubscribe,
        ..Command::PUBSUB
    },
    Command {
        name: "PSUBSCRIBE",
        syntax: "pattern [pattern ...]",
        summary: "Listen to all channels whose names fit a pattern.",
        since: "2.0.0",
        complexity: "O(N)",
        flags: PUBSUB.with(NOSCRIPT).with(LOADING).with(STALE),
        run: psubscribe,
        ..Command::PUBSUB
    },
    Command {
        name: "PUNSUBSCRIBE",
        syntax: "[pattern [pattern ...]]",
        summary: "Stop listening to patterns.",
        since: "2.0.0",
        complexity: "O(N)",
        flags: PUBSUB.with(NOSCRIPT).with(LOADING).with(STALE),
        run: punsubscribe,
        ..Command::PUBSUB
    },
    Command {
        name: "PUBLISH",
        syntax: "channel message",
        summary: "Send a message to whoever listens to a channel.",
        since: "2.0.0",
        complexity: "O(N+M)",
        flags: PUBSUB.with(LOADING).with(STALE).with(FAST).with(MAY_REPLICATE),
        run: publish,
        ..Command::PUBSUB
    },
    Command {
        name: "SSUBSCRIBE",
        syntax: "shardchannel [shardchannel ...]",
        summary: "Listen to shard channels.",
        since: "7.0.0",
        complexity: "O(N)",
        flags: PUBSUB.with(NOSCRIPT).with(LOADING).with(STALE),
        keys: ALL_KEYS,
        run: ssubscribe,
        ..Command::PUBSUB
    },
    Command {
        name: "SUNSUBSCRIBE",
        syntax: "[shardchannel [shardchannel ...]]",
        summary: "Stop listening to shard channels.",
        since: "7.0.0",
        complexity: "O(N)",
        flags: PUBSUB.with(NOSCRIPT).with(LOADING).with(STALE),
        keys: ALL_KEYS,
        run: sunsubscribe,
        ..Command::PUBSUB
    },
    Command {
        name: "SPUBLISH",
        syntax: "shardchannel message",
        summary: "Send a message to whoever listens to a shard channel.",
        since: "7.0.0",
        complexity: "O(N)",
        flags: PUBSUB.with(LOADING).with(STALE).with(FAST).with(MAY_REPLICATE),
        keys: ONE_KEY,
        run: spublish,
        ..Command::PUBSUB
    },
    Command {
        name: "PUBSUB",
        summary: "Look at channels and their listeners.",
        since: "2.8.0",
        complexity: "Depends on the subcommand.",
        sub: &[
            Command {
                name: "PUBSUB CHANNELS",
                syntax: "[pattern]",
                summary: "List the channels that somebody listens to.",
                since: "2.8.0",
                complexity: "O(N)",
                flags: PUBSUB.with(LOADING).with(STALE),
                run: channels,
                ..Command::PUBSUB
            },
            Command {
                name: "PUBSUB HELP",
                summary: "List the subcommands.",
                since: "6.2.0",
                flags: LOADING.with(STALE),
                run: help,
                ..Command::PUBSUB
            },
            Command {
                name: "PUBSUB NUMPAT",
                summary: "Count the different patterns that are listened to.",
                since: "2.8.0",
                flags: PUBSUB.with(LOADING).with(STALE),
                run: numpat,
                ..Command::PUBSUB
            },
            Command {
                name: "PUBSUB NUMSUB",
                syntax: "[channel [channel ...]]",
                summary: "Count the listeners of channels.",
                since: "2.8.0",
                complexity: "O(N)",
                flags: PUBSUB.with(LOADING).with(STALE),
                run: numsub,
                ..Command::PUBSUB
            },
            Command {
                name: "PUBSUB SHARDCHANNELS",
                syntax: "[pattern]",
                summary: "List the shard channels that somebody listens to.",
                since: "7.0.0",
                complexity: "O(N)",
                flags: PUBSUB.with(LOADING).with(STALE),
                run: shardchannels,
                ..Command::PUBSUB
            },
            Command {
                name: "PUBSUB SHARDNUMSUB",
                syntax: "[shardchannel [shardchannel ...]]",
                summary: "Count the listeners of shard channels.",
                since: "7.0.0",
                complexity: "O(N)",
                flags: PUBSUB.with(LOADING).with(STALE),
                run: shardnumsub,
                ..Command::PUBSUB
            },
        ],
        ..Command::PUBSUB
    },
];

fn names(client: &mut Client, kind: Kind) -> &mut BTreeSet<Bytes> {
    match kind {
        Kind::Channel => &mut client.channels,
        Kind::Pattern => &mut client.patterns,
        Kind::Shard => &mut client.shard_channels,
    }
}

/// How many subscriptions a confirmation tells of: shard channels are counted by themselves.
fn count(client: &Client, kind: Kind) -> i64 {
    (if kind == Kind::Shard { client.shard_channels.len() } else { client.subscriptions() }) as i64
}

fn listen(call: &mut Call, kind: Kind) -> Outcome {
    let mut replies = Vec::with_capacity(call.args.len() - 1);
    for name in &call.args[1..] {
        let me = call.client;
        if names(call.me_mut(), kind).insert(name.clone()) {
            call.server.pubsub.add(kind, name, me);
        }
        let total = Reply::Int(count(call.me(), kind));
        replies.push(Reply::Push(vec![Reply::bulk(kind.verb()), Reply::Bulk(name.clone()), total]));
    }
    Ok(Reply::Many(replies))
}

fn leave(call: &mut Call, kind: Kind) -> Outcome {
    let given = &call.args[1..];
    let left: Vec<Bytes> =
        if given.is_empty() { names(call.me_mut(), kind).iter().cloned().collect() } else { given.to_vec() };
    let mut replies = Vec::with_capacity(left.len().max(1));
    for name in left {
        let me = call.client;
        if names(call.me_mut(), kind).remove(&name) {
            call.server.pubsub.remove(kind, &name, me);
        }
        let total = Reply::Int(count(call.me(), kind));
        replies.push(Reply::Push(vec![Reply::bulk(kind.undo_verb()), Reply::Bulk(name), total]));
    }
    if replies.is_empty() {
        let total = Reply::Int(count(call.me(), kind));
        replies.push(Reply::Push(vec![Reply::bulk(kind.undo_verb()), Reply::Nil, total]));
    }
    Ok(Reply::Many(replies))
}

fn subscribe(call: &mut Call) -> Outcome {
    listen(call, Kind::Channel)
}

fn unsubscribe(call: &mut Call) -> Outcome {
    leave(call, Kind::Channel)
}

fn psubscribe(call: &mut Call) -> Outcome {
    listen(call, Kind::Pattern)
}

fn punsubscribe(call: &mut Call) -> Outcome {
    leave(call, Kind::Pattern)
}

fn ssubscribe(call: &mut Call) -> Outcome {
    // Unlike SUBSCRIBE, which older clients use inside MULTI.
    if !call.may_block {
        return Err(Refusal::new("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"));
    }
    listen(call, Kind::Shard)
}

fn sunsubscribe(call: &mut Call) -> Outcome {
    leave(call, Kind::Shard)
}

fn publish(call: &mut Call) -> Outcome {
    call.propagate = across(call);
    let receivers = call.server.pubsub.publish(&call.args[1], &call.args[2], call.out);
    carry(call, false);
    Ok(Reply::from(receivers))
}

/// Replicas hear messages too; in a cluster the bus carries them.
fn across(call: &Call) -> Propagate {
    if call.server.config.flag("cluster-enabled") { Propagate::Nothing } else { Propagate::ToReplicas }
}

fn spublish(call: &mut Call) -> Outcome {
    call.propagate = across(call);
    let receivers = call.server.pubsub.publish_sharded(&call.args[1], &call.args[2], call.out);
    carry(call, true);
    Ok(Reply::from(receivers))
}

/// In a cluster messages also go to the other nodes, over the bus; those of shard channels within the shard.
fn carry(call: &mut Call, sharded: bool) {
    let (channel, message) = (&call.args[1], &call.args[2]);
    let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
    call.server.cluster_turn(&mut env, call.out, |turn| turn.publish(sharded, channel, message));
}

fn matching(listeners: &BTreeMap<Bytes, Vec<ClientId>>, pattern: Option<&Bytes>) -> Reply {
    let fits = |name: &&Bytes| pattern.is_none_or(|pattern| glob::matches(pattern, name));
    Reply::bulks(listeners.keys().filter(fits).cloned())
}

fn counted(listeners: &BTreeMap<Bytes, Vec<ClientId>>, names: &[Bytes]) -> Reply {
    let pair = |name: &Bytes| [Reply::Bulk(name.clone()), Reply::from(listeners.get(name).map_or(0, Vec::len))];
    Reply::Array(names.iter().flat_map(pair).collect())
}

fn channels(call: &mut Call) -> Outcome {
    one_pattern(call)?;
    Ok(matching(&call.server.pubsub.channels, call.args.get(2)))
}

fn shardchannels(call: &mut Call) -> Outcome {
    one_pattern(call)?;
    Ok(matching(&call.server.pubsub.shard_channels, call.args.get(2)))
}

/// The arity alone would let any number of patterns through.
fn one_pattern(call: &Call) -> Result<(), Refusal> {
    if call.args.len() <= 3 { Ok(()) } else { Err(commands::wrong_subcommand(call)) }
}

fn numpat(call: &mut Call) -> Outcome {
    Ok(Reply::from(call.server.pubsub.patterns.len()))
}

fn numsub(call: &mut Call) -> Outcome {
    Ok(counted(&call.server.pubsub.channels, &call.args[2..]))
}

fn shardnumsub(call: &mut Call) -> Outcome {
    Ok(counted(&call.server.pubsub.shard_channels, &call.args[2..]))
}

fn help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "PUBSUB",
        &[
            "CHANNELS [<pattern>]",
            "    Return the currently active channels matching a <pattern> (default: '*').",
            "NUMPAT",
            "    Return number of subscriptions to patterns.",
            "NUMSUB [<channel> ...]",
            "    Return the number of subscribers for the specified channels, excluding",
            "    pattern subscriptions(default: no channels).",
            "SHARDCHANNELS [<pattern>]",
            "    Return the currently active shard level channels matching a <pattern> (default: '*').",
            "SHARDNUMSUB [<shardchannel> ...]",
            "    Return the number of subscribers for the specified shard level channel(s)",
        ],
    ))
}

//! XINFO: streams, groups and consumers as they are.

use super::{entry_reply, id_reply, no_group};
use crate::base::{Bytes, Millis};
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::commands;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::Stream;
use crate::engine::value::stream::{Consumer, Group, Id, Pending};
use crate::resp::Reply;

fn map<const N: usize>(fields: [(&'static str, Reply); N]) -> Reply {
    Reply::Map(fields.map(|(name, value)| (Reply::bulk(name), value)).to_vec())
}

fn find<'c>(call: &'c mut Call) -> Result<&'c Stream, Refusal> {
    let key = &call.args[2];
    call.read::<Stream>(key)?.ok_or(refusal::NO_SUCH_KEY)
}

pub fn stream(call: &mut Call) -> Outcome {
    // The key is looked up first: its errors come before those of the options.
    find(call)?;
    let count = full_count(call)?;
    let stream = call.peek::<Stream>(&call.args[2]).expect("just looked up");
    let mut fields = vec![
        ("length", Reply::from(stream.len())),
        ("radix-tree-keys", Reply::from(stream.nodes().len())),
        ("radix-tree-nodes", Reply::from(stream.rax_nodes())),
        ("last-generated-id", id_reply(stream.last_id)),
        ("max-deleted-entry-id", id_reply(stream.max_deleted_id)),
        ("entries-added", Reply::Int(stream.entries_added as i64)),
        ("recorded-first-entry-id", id_reply(stream.first_id())),
    ];
    match count {
        None => {
            let first = stream.iter().next().map_or(Reply::Nil, |entry| entry_reply(&entry));
            let last = stream.range_back(Id::MIN, Id::MAX).next().map_or(Reply::Nil, |entry| entry_reply(&entry));
            fields.push(("groups", Reply::from(stream.groups().len())));
            fields.extend([("first-entry", first), ("last-entry", last)]);
        }
        Some(count) => {
            let entries = stream.iter().take(count).map(|entry| entry_reply(&entry)).collect();
            let groups = stream.groups().iter().map(|(name, group)| full_group(stream, name, group, count)).collect();
            fields.extend([("entries", Reply::Array(entries)), ("groups", Reply::Array(groups))]);
        }
    }
    Ok(Reply::Map(fields.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect()))
}

/// How many entries and pending entries FULL shows; None without FULL.
fn full_count(call: &Call) -> Result<Option<usize>, Refusal> {
    let words = call.args.len() - 3;
    if words == 0 {
        return Ok(None);
    }
    if words != 1 && words != 3 || !call.is(3, "FULL") || words == 3 && !call.is(4, "COUNT") {
        return Err(commands::wrong_subcommand(call));
    }
    let count = if words == 3 { call.int(5)? } else { 10 };
    Ok(Some(match count {
        0 => usize::MAX,
        ..0 => 10,
        _ => count as usize,
    }))
}

fn entries_read(group: &Group) -> Reply {
    group.entries_read.map_or(Reply::Nil, |read| Reply::Int(read as i64))
}

fn lag(stream: &Stream, group: &Group) -> Reply {
    stream.lag(group).map_or(Reply::Nil, Reply::Int)
}

fn full_group(stream: &Stream, name: &Bytes, group: &Group, count: usize) -> Reply {
    let pending = |(id, pending): (&Id, &Pending)| {
        Reply::Array(vec![
            id_reply(*id),
            Reply::Bulk(pending.consumer.clone()),
            Reply::Int(pending.delivered_at.0 as i64),
            Reply::Int(pending.deliveries as i64),
        ])
    };
    let consumers = group.consumers().iter().map(|(name, consumer)| full_consumer(group, name, consumer, count));
    map([
        ("name", Reply::Bulk(name.clone())),
        ("last-delivered-id", id_reply(group.last_id)),
        ("entries-read", entries_read(group)),
        ("lag", lag(stream, group)),
        ("pel-count", Reply::from(group.pending().len())),
        ("pending", Reply::Array(group.pending().iter().take(count).map(pending).collect())),
        ("consumers", Reply::Array(consumers.collect())),
    ])
}

fn full_consumer(group: &Group, name: &Bytes, consumer: &Consumer, count: usize) -> Reply {
    let pending = consumer.pending().iter().take(count).filter_map(|id| {
        let pending = group.pending().get(id)?;
        let (at, deliveries) = (pending.delivered_at.0 as i64, pending.deliveries as i64);
        Some(Reply::Array(vec![id_reply(*id), Reply::Int(at), Reply::Int(deliveries)]))
    });
    map([
        ("name", Reply::Bulk(name.clone())),
        ("seen-time", Reply::Int(consumer.seen_at.0 as i64)),
        ("active-time", Reply::Int(consumer.active_at.map_or(-1, |at| at.0 as i64))),
        ("pel-count", Reply::from(consumer.pending().len())),
        ("pending", Reply::Array(pending.collect())),
    ])
}

pub fn groups(call: &mut Call) -> Outcome {
    let stream = find(call)?;
    let all = stream.groups().iter().map(|(name, group)| {
        map([
            ("name", Reply::Bulk(name.clone())),
            ("consumers", Reply::from(group.consumers().len())),
            ("pending", Reply::from(group.pending().len())),
            ("last-delivered-id", id_reply(group.last_id)),
            ("entries-read", entries_read(group)),
            ("lag", lag(stream, group)),
        ])
    });
    Ok(Reply::Array(all.collect()))
}

pub fn consumers(call: &mut Call) -> Outcome {
    let (key, name, now) = (&call.args[2], &call.args[3], call.now);
    let group = find(call)?.groups().get(name).ok_or_else(|| no_group(name, key))?;
    let since = |at: Millis| now.0 as i64 - at.0 as i64;
    let all = group.consumers().iter().map(|(name, consumer)| {
        map([
            ("name", Reply::Bulk(name.clone())),
            ("pending", Reply::from(consumer.pending().len())),
            ("idle", Reply::Int(since(consumer.seen_at).max(0))),
            ("inactive", Reply::Int(consumer.active_at.map_or(-1, since))),
        ])
    });
    Ok(Reply::Array(all.collect()))
}

pub fn help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "XINFO",
        &[
            "CONSUMERS <key> <groupname>",
            "    Show consumers of <groupname>.",
            "GROUPS <key>",
            "    Show the stream consumer groups.",
            "STREAM <key> [FULL [COUNT <count>]",
            "    Show information about the stream.",
        ],
    ))
}

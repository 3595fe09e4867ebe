//! XLEN, XRANGE, XREVRANGE, XREAD and XREADGROUP.

use super::group::{claim_of, group_id_of};
use super::{entry_reply, id_reply, interval_end, interval_start, noted, strict_id, word};
use crate::base::{Bytes, Millis, carry};
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::commands::parse;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::Stream;
use crate::engine::value::stream::{Id, Pending};
use crate::resp::{Protocol, Reply};

pub fn xlen(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    Ok(Reply::from(call.read::<Stream>(key)?.map_or(0, Stream::len)))
}

pub fn xrange(call: &mut Call) -> Outcome {
    range(call, false)
}

pub fn xrevrange(call: &mut Call) -> Outcome {
    range(call, true)
}

fn range(call: &mut Call, backwards: bool) -> Outcome {
    let (from, to) = if backwards { (3, 2) } else { (2, 3) };
    let (start, end) = (interval_start(&call.args[from])?, interval_end(&call.args[to])?);
    let mut count = None;
    let mut at = 4;
    while at < call.args.len() {
        if !call.is(at, "COUNT") || at + 1 == call.args.len() {
            return Err(refusal::SYNTAX);
        }
        count = Some(call.int(at + 1)?.max(0) as usize);
        at += 2;
    }
    let key = &call.args[1];
    let Some(stream) = call.read::<Stream>(key)? else { return Ok(Reply::Array(Vec::new())) };
    if count == Some(0) {
        return Ok(Reply::NilArray);
    }
    let count = count.unwrap_or(usize::MAX);
    Ok(Reply::Array(match backwards {
        false => stream.range(start, end).take(count).map(|entry| entry_reply(&entry)).collect(),
        true => stream.range_back(start, end).take(count).map(|entry| entry_reply(&entry)).collect(),
    }))
}

/// Where a reader of one stream goes on.
#[derive(Clone, Copy)]
enum From {
    /// Behind this id; in a group: its consumer's own pending entries behind it.
    Behind(Id),
    /// `>`: what the group has given to nobody.
    New,
}

/// What XREAD and XREADGROUP are asked for.
struct Reading<'a> {
    timeout: Option<Millis>,
    /// How many entries of each stream.
    count: usize,
    keys: &'a [Bytes],
    ids: &'a [Bytes],
    /// Group and consumer.
    group: Option<(&'a Bytes, &'a Bytes)>,
    no_ack: bool,
}

impl<'a> Reading<'a> {
    fn parse(call: &Call<'a>, grouped: bool) -> Result<Reading<'a>, Refusal> {
        let args = call.args;
        let mut reading = Reading { timeout: None, count: usize::MAX, keys: &[], ids: &[], group: None, no_ack: false };
        let mut at = 1;
        while at < args.len() {
            let more = args.len() - at - 1;
            if call.is(at, "BLOCK") && more > 0 {
                if call.server.scripting.active.is_some() {
                    return Err(Refusal::from(format!(
                        "ERR {} command is not allowed with BLOCK option from scripts",
                        args[0].printed()
                    )));
                }
                at += 1;
                reading.timeout = Some(parse::timeout_ms(call, at)?);
            } else if call.is(at, "COUNT") && more > 0 {
                at += 1;
                reading.count =
                    Some(call.int(at)?).filter(|count| *count > 0).map_or(usize::MAX, |count| count as usize);
            } else if call.is(at, "STREAMS") && more > 0 {
                if more % 2 == 1 {
                    let (name, symbol) = if grouped { ("xreadgroup", '>') } else { ("xread", '$') };
                    return Err(Refusal::from(format!(
                        "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{symbol}' must be specified."
                    )));
                }
                (reading.keys, reading.ids) = args[at + 1..].split_at(more / 2);
                break;
            } else if call.is(at, "GROUP") && more > 1 {
                if !grouped {
                    return Err(Refusal::new(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                reading.group = Some((&args[at + 1], &args[at + 2]));
                at += 2;
            } else if call.is(at, "NOACK") {
                if !grouped {
                    return Err(Refusal::new(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                reading.no_ack = true;
            } else {
                return Err(refusal::SYNTAX);
            }
            at += 1;
        }
        if reading.keys.is_empty() {
            return Err(refusal::SYNTAX);
        }
        if grouped && reading.group.is_none() {
            return Err(Refusal::new("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(reading)
    }

    /// Where the reader goes on in stream `index`. Err: wrong type, no such group, no id.
    fn from(&self, call: &mut Call, index: usize) -> Result<From, Refusal> {
        let (key, id) = (&self.keys[index], &self.ids[index]);
        let stream = call.read::<Stream>(key)?;
        if let Some((group, _)) = self.group
            && !stream.as_ref().is_some_and(|stream| stream.groups().contains_key(group))
        {
            return Err(Refusal::from(format!(
                "NOGROUP No such key '{}' or consumer group '{}' in XREADGROUP with GROUP option",
                carry::printed(key),
                carry::printed(group)
            )));
        }
        match (id.as_ref(), self.group.is_some()) {
            (b"$", true) => Err(Refusal::new(
                "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer \
                 by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty \
                 result set.",
            )),
            (b"$", false) => Ok(From::Behind(stream.map_or(Id::MIN, |stream| stream.last_id))),
            (b">", true) => Ok(From::New),
            (b">", false) => Err(Refusal::new(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
            )),
            _ => Ok(match strict_id(id, 0)? {
                // As Redis notes `>`.
                Id::MAX if self.group.is_some() => From::New,
                id => From::Behind(id),
            }),
        }
    }
}

pub fn xread(call: &mut Call) -> Outcome {
    let reading = Reading::parse(call, false)?;
    let places = places(call, &reading)?;
    let mut found = Vec::new();
    for (key, from) in reading.keys.iter().zip(&places) {
        let From::Behind(last) = *from else { continue };
        let Some(stream) = call.read::<Stream>(key)? else { continue };
        if stream.last_live().is_none_or(|newest| newest <= last) {
            continue;
        }
        let Some(start) = last.next() else { continue };
        let entries = stream.range(start, Id::MAX).take(reading.count);
        found.push((key, Reply::Array(entries.map(|entry| entry_reply(&entry)).collect())));
    }
    finish(call, &reading, &places, found)
}

fn places(call: &mut Call, reading: &Reading) -> Result<Vec<From>, Refusal> {
    (0..reading.keys.len()).map(|index| reading.from(call, index)).collect()
}

/// Replies with what was found; waits if nothing was and it is asked for.
fn finish(call: &mut Call, reading: &Reading, places: &[From], found: Vec<(&Bytes, Reply)>) -> Outcome {
    if !found.is_empty() {
        let pairs = found.into_iter().map(|(key, entries)| (Reply::Bulk(key.clone()), entries));
        return Ok(match call.protocol {
            Protocol::Resp2 => Reply::Array(pairs.map(|(key, entries)| Reply::Array(vec![key, entries])).collect()),
            Protocol::Resp3 => Reply::Map(pairs.collect()),
        });
    }
    let Some(timeout) = reading.timeout else { return Ok(Reply::NilArray) };
    // `$` means the last id of now, also when the request is run again.
    let mut args = call.args.to_vec();
    let ids_at = args.len() - reading.ids.len();
    for (arg, place) in args[ids_at..].iter_mut().zip(places) {
        if let (b"$", From::Behind(id)) = (arg.as_ref(), place) {
            *arg = Bytes::from(id.to_string());
        }
    }
    call.block_as(args, reading.keys, "stream", reading.group.is_some(), timeout, Reply::NilArray)
}

pub fn xreadgroup(call: &mut Call) -> Outcome {
    let reading = Reading::parse(call, true)?;
    let places = places(call, &reading)?;
    let (group, consumer) = reading.group.expect("checked while parsing");
    let now = call.now;
    let mut found = Vec::new();
    let mut propagated = Vec::new();
    for (key, from) in reading.keys.iter().zip(&places) {
        let Some(stream) = call.read::<Stream>(key)? else { continue };
        let Some(last_id) = stream.groups().get(group).map(|group| group.last_id) else { continue };
        let has_new = stream.last_live().is_some_and(|newest| newest > last_id);
        if see(call, key, group, consumer)? && reading.no_ack {
            propagated.push(vec![word("XGROUP"), word("CREATECONSUMER"), key.clone(), group.clone(), consumer.clone()]);
        }
        let stream = call.peek_mut::<Stream>(key).expect("looked up above");
        let entries = match *from {
            From::Behind(last) => history(stream, group, consumer, last, reading.count, now),
            From::New if !has_new => continue,
            From::New => deliver(stream, key, &reading, now, &mut propagated),
        };
        found.push((key, Reply::Array(entries)));
        call.server.dirty += 1;
        call.measure(key);
    }
    call.propagate_as(propagated);
    finish(call, &reading, &places, found)
}

/// Notes that a consumer is at work in a group that exists; whether it is new.
pub(super) fn see(call: &mut Call, key: &Bytes, group: &Bytes, consumer: &Bytes) -> Result<bool, Refusal> {
    let now = call.now;
    let stream = call.peek_mut::<Stream>(key).expect("the caller has looked it up");
    let group = stream.group_mut(group).expect("the caller has looked it up");
    let new = group.add_consumer(consumer, now);
    group.consumer_mut(consumer).expect("just made sure of").seen_at = now;
    if new {
        noted(call, "xgroup-createconsumer", key);
    }
    Ok(new)
}

/// What a consumer has pending behind `last`, delivered once more.
fn history(stream: &mut Stream, group: &Bytes, consumer: &Bytes, last: Id, count: usize, now: Millis) -> Vec<Reply> {
    let Some(start) = last.next() else { return Vec::new() };
    let own = stream.groups().get(group).and_then(|group| group.consumers().get(consumer));
    let ids: Vec<Id> = own.map(|own| own.pending().range(start..).take(count).copied().collect()).unwrap_or_default();
    let mut replies = Vec::with_capacity(ids.len());
    for id in ids {
        match stream.get(id).map(|entry| entry_reply(&entry)) {
            Some(reply) => {
                replies.push(reply);
                stream.group_mut(group).expect("it has pending entries").redelivered(id, now);
            }
            // It was deleted from the stream meanwhile.
            None => replies.push(Reply::Array(vec![id_reply(id), Reply::NilArray])),
        }
    }
    replies
}

/// Hands out what the group has given to nobody yet.
fn deliver(
    stream: &mut Stream,
    key: &Bytes,
    reading: &Reading,
    now: Millis,
    propagated: &mut Vec<Vec<Bytes>>,
) -> Vec<Reply> {
    let (name, consumer) = reading.group.expect("the caller reads as a group");
    let Some(start) = stream.groups()[name].last_id.next() else { return Vec::new() };
    let taken: Vec<(Id, Reply)> =
        stream.range(start, Id::MAX).take(reading.count).map(|entry| (entry.id, entry_reply(&entry))).collect();
    let mut replies = Vec::with_capacity(taken.len());
    for (id, reply) in taken {
        stream.advance(name, id);
        replies.push(reply);
        if reading.no_ack {
            continue;
        }
        let group = stream.group_mut(name).expect("looked up by the caller");
        let pending = Pending { consumer: consumer.clone(), delivered_at: now, deliveries: 1 };
        group.assign(id, pending.clone());
        group.consumer_mut(consumer).expect("it has just read").active_at = Some(now);
        propagated.push(claim_of(key, name, id, &pending, group.last_id));
    }
    if reading.no_ack && !replies.is_empty() {
        propagated.push(group_id_of(key, name, &stream.groups()[name]));
    }
    replies
}

//! XPENDING, XCLAIM and XAUTOCLAIM: what was handed out and not acknowledged.

use super::group::{claim_of, group_id_of};
use super::read::see;
use super::{entry_reply, id_reply, interval_end, interval_start, no_key_or_group, strict_id};
use crate::base::{Bytes, Millis, carry};
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::commands::parse;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::Stream;
use crate::engine::value::stream::{Group, Id, Pending};
use crate::resp::Reply;

pub fn xpending(call: &mut Call) -> Outcome {
    let len = call.args.len();
    if len != 3 && !(6..=9).contains(&len) {
        return Err(refusal::SYNTAX);
    }
    let (key, name) = (&call.args[1], &call.args[2]);
    let now = call.now;
    let wanted = if len > 3 { Some(Wanted::parse(call)?) } else { None };
    let group = call.read::<Stream>(key)?.and_then(|stream| stream.groups().get(name));
    let group = group.ok_or_else(|| no_key_or_group(key, name))?;
    Ok(wanted.map_or_else(|| summary(group), |wanted| wanted.list(group, now)))
}

fn summary(group: &Group) -> Reply {
    let ends = (group.pending().first_key_value(), group.pending().last_key_value());
    let (Some((first, _)), Some((last, _))) = ends else {
        return Reply::Array(vec![Reply::Int(0), Reply::Nil, Reply::Nil, Reply::NilArray]);
    };
    let busy = group.consumers().iter().filter(|(_, consumer)| !consumer.pending().is_empty());
    let busy = busy.map(|(name, consumer)| {
        Reply::Array(vec![Reply::Bulk(name.clone()), Reply::bulk(consumer.pending().len().to_string())])
    });
    let count = Reply::from(group.pending().len());
    Reply::Array(vec![count, id_reply(*first), id_reply(*last), Reply::Array(busy.collect())])
}

/// Which pending entries XPENDING is to list.
struct Wanted<'a> {
    min_idle_ms: i64,
    start: Id,
    end: Id,
    count: usize,
    consumer: Option<&'a Bytes>,
}

impl<'a> Wanted<'a> {
    fn parse(call: &Call<'a>) -> Result<Wanted<'a>, Refusal> {
        let mut at = 3;
        let mut min_idle_ms = 0;
        if call.is(3, "IDLE") {
            min_idle_ms = call.int(4)?;
            if call.args.len() < 8 {
                return Err(refusal::SYNTAX);
            }
            at = 5;
        }
        let count = call.int(at + 2)?.max(0) as usize;
        let (start, end) = (interval_start(&call.args[at])?, interval_end(&call.args[at + 1])?);
        Ok(Wanted { min_idle_ms, start, end, count, consumer: call.args.get(at + 3) })
    }

    fn list(&self, group: &Group, now: Millis) -> Reply {
        let ids: Box<dyn Iterator<Item = Id>> = match self.consumer {
            _ if self.start > self.end => Box::new(std::iter::empty()),
            None => Box::new(group.pending().range(self.start..=self.end).map(|(id, _)| *id)),
            Some(name) => match group.consumers().get(name) {
                Some(consumer) => Box::new(consumer.pending().range(self.start..=self.end).copied()),
                None => Box::new(std::iter::empty()),
            },
        };
        let entries = ids.filter_map(|id| Some((id, group.pending().get(&id)?)));
        let idle = |pending: &Pending| now.0 as i64 - pending.delivered_at.0 as i64;
        let fits = entries.filter(|(_, pending)| self.min_idle_ms == 0 || idle(pending) >= self.min_idle_ms);
        let lines = fits.take(self.count).map(|(id, pending)| {
            Reply::Array(vec![
                id_reply(id),
                Reply::Bulk(pending.consumer.clone()),
                Reply::Int(idle(pending).max(0)),
                Reply::Int(pending.deliveries as i64),
            ])
        });
        Reply::Array(lines.collect())
    }
}

/// Options of XCLAIM.
#[derive(Default)]
struct Options {
    delivered_at: Option<i64>,
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: Id,
}

impl Options {
    fn parse(call: &Call, first: usize) -> Result<Options, Refusal> {
        let mut options = Options::default();
        let mut at = first;
        while at < call.args.len() {
            let more = at + 1 < call.args.len();
            let int = |text| parse::at_least(call, at + 1, i64::MIN, text);
            if call.is(at, "FORCE") {
                options.force = true;
            } else if call.is(at, "JUSTID") {
                options.just_id = true;
            } else if call.is(at, "IDLE") && more {
                let idle = int("ERR Invalid IDLE option argument for XCLAIM")?;
                options.delivered_at = Some((call.now.0 as i64).wrapping_sub(idle));
                at += 1;
            } else if call.is(at, "TIME") && more {
                options.delivered_at = Some(int("ERR Invalid TIME option argument for XCLAIM")?);
                at += 1;
            } else if call.is(at, "RETRYCOUNT") && more {
                let deliveries = int("ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                options.deliveries = u64::try_from(deliveries).ok();
                at += 1;
            } else if call.is(at, "LASTID") && more {
                options.last_id = strict_id(&call.args[at + 1], 0)?;
                at += 1;
            } else {
                let word = carry::printed(&call.args[at]);
                return Err(Refusal::from(format!("ERR Unrecognized XCLAIM option '{word}'")));
            }
            at += 1;
        }
        Ok(options)
    }

    /// When the claimed entries count as delivered: now, unless a moment before that was named.
    fn moment(&self, now: Millis) -> Millis {
        self.delivered_at.and_then(|at| u64::try_from(at).ok()).map(Millis).filter(|at| *at <= now).unwrap_or(now)
    }
}

pub fn xclaim(call: &mut Call) -> Outcome {
    let (key, name, consumer) = (&call.args[1], &call.args[2], &call.args[3]);
    if !call.read::<Stream>(key)?.is_some_and(|stream| stream.groups().contains_key(name)) {
        return Err(no_key_or_group(key, name));
    }
    let min_idle = parse::at_least(call, 4, i64::MIN, "ERR Invalid min-idle-time argument for XCLAIM")?.max(0);
    let ids: Vec<Id> = call.args[5..].iter().map_while(|text| Id::parse(text, 0)).collect();
    let options = Options::parse(call, 5 + ids.len())?;
    let now = call.now;
    let at = options.moment(now);
    let (mut replies, mut propagated) = (Vec::new(), Vec::new());
    let group = group_of(call, key, name);
    // Told by the XCLAIMs, if there are any.
    let moved = options.last_id > group.last_id;
    group.last_id = group.last_id.max(options.last_id);
    see(call, key, name, consumer)?;
    for id in ids {
        let stream = call.peek_mut::<Stream>(key).expect("looked up above");
        let Some(reply) = stream.get(id).map(|entry| if options.just_id { id_reply(id) } else { entry_reply(&entry) })
        else {
            if let Some(told) = release(stream, key, name, id) {
                propagated.push(told);
            }
            continue;
        };
        let group = stream.group_mut(name).expect("looked up above");
        let before = group.pending().get(&id);
        let idle = before.map(|pending| now.0 as i64 - pending.delivered_at.0 as i64);
        if before.is_none() && !options.force || min_idle > 0 && idle.is_some_and(|idle| idle < min_idle) {
            continue;
        }
        // FORCE makes an entry as if it had been delivered once before.
        let deliveries = before.map_or(1, |pending| pending.deliveries);
        let deliveries = options.deliveries.unwrap_or(deliveries + u64::from(!options.just_id));
        propagated.push(take(
            group,
            key,
            name,
            id,
            Pending { consumer: consumer.clone(), delivered_at: at, deliveries },
            now,
        ));
        replies.push(reply);
    }
    call.dirty(propagated.len());
    if moved && propagated.is_empty() {
        propagated.push(group_id_of(key, name, group_of(call, key, name)));
        call.dirty(1);
    }
    call.measure(key);
    call.propagate_as(propagated);
    Ok(Reply::Array(replies))
}

fn group_of<'c>(call: &'c mut Call, key: &Bytes, name: &Bytes) -> &'c mut Group {
    let stream = call.peek_mut::<Stream>(key).expect("looked up by the caller");
    stream.group_mut(name).expect("looked up by the caller")
}

/// Gives a pending entry to a consumer; what replicas are told of that.
fn take(group: &mut Group, key: &Bytes, name: &Bytes, id: Id, pending: Pending, now: Millis) -> Vec<Bytes> {
    let told = claim_of(key, name, id, &pending, group.last_id);
    let consumer = pending.consumer.clone();
    group.assign(id, pending);
    group.consumer_mut(&consumer).expect("it claims").active_at = Some(now);
    told
}

/// Forgets a pending entry whose entry is gone from the stream. Some: it was pending; what replicas are told.
fn release(stream: &mut Stream, key: &Bytes, name: &Bytes, id: Id) -> Option<Vec<Bytes>> {
    let group = stream.group_mut(name)?;
    let last_id = group.last_id;
    group.release(id).map(|pending| claim_of(key, name, id, &pending, last_id))
}

pub fn xautoclaim(call: &mut Call) -> Outcome {
    // Redis looks at so many pending entries for each that it may return.
    const ATTEMPTS: usize = 10;
    let min_idle = parse::at_least(call, 4, i64::MIN, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?.max(0);
    let start = interval_start(&call.args[5])?;
    let (mut count, mut just_id) = (100, false);
    let mut at = 6;
    while at < call.args.len() {
        if call.is(at, "COUNT") && at + 1 < call.args.len() {
            let n = parse::at_least(call, at + 1, 1, "ERR COUNT must be > 0")?;
            count = Some(n).filter(|n| *n <= i64::MAX / 16).ok_or(Refusal::new("ERR COUNT must be > 0"))? as usize;
            at += 1;
        } else if call.is(at, "JUSTID") {
            just_id = true;
        } else {
            return Err(refusal::SYNTAX);
        }
        at += 1;
    }
    let (key, name, consumer) = (&call.args[1], &call.args[2], &call.args[3]);
    if !call.read::<Stream>(key)?.is_some_and(|stream| stream.groups().contains_key(name)) {
        return Err(no_key_or_group(key, name));
    }
    see(call, key, name, consumer)?;
    let now = call.now;
    let stream = call.peek_mut::<Stream>(key).expect("looked up above");
    let mut waiting: Vec<Id> = {
        let all = stream.groups()[name].pending().range(start..);
        all.map(|(id, _)| *id).take(count.saturating_mul(ATTEMPTS).saturating_add(1)).collect()
    };
    // One more than is looked at: where the next call goes on.
    let beyond = if waiting.len() > count.saturating_mul(ATTEMPTS) { waiting.pop() } else { None };
    let (mut claimed, mut gone, mut propagated) = (Vec::new(), Vec::new(), Vec::new());
    let mut next = beyond;
    for id in waiting {
        if claimed.len() + gone.len() == count {
            next = Some(id);
            break;
        }
        let Some(reply) = stream.get(id).map(|entry| if just_id { id_reply(id) } else { entry_reply(&entry) }) else {
            propagated.extend(release(stream, key, name, id));
            gone.push(id_reply(id));
            continue;
        };
        let group = stream.group_mut(name).expect("looked up above");
        let before = &group.pending()[&id];
        if min_idle > 0 && now.0 as i64 - before.delivered_at.0 as i64 >= min_idle || min_idle == 0 {
            let deliveries = before.deliveries + u64::from(!just_id);
            let pending = Pending { consumer: consumer.clone(), delivered_at: now, deliveries };
            propagated.push(take(group, key, name, id, pending, now));
            claimed.push(reply);
        }
    }
    call.dirty(propagated.len());
    call.measure(key);
    call.propagate_as(propagated);
    Ok(Reply::Array(vec![id_reply(next.unwrap_or(Id::MIN)), Reply::Array(claimed), Reply::Array(gone)]))
}

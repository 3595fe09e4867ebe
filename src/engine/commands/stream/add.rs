//! XADD, XDEL, XTRIM and XSETID.

use super::{INVALID_ID, id_reply, noted, number, strict_id, word};
use crate::base::Bytes;
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::Stream;
use crate::engine::value::stream::{Bound, Id, LISTPACK_MAX, Seq, Trim};
use crate::resp::Reply;

/// What stands between the key and the fields of XADD, and behind the key of XTRIM.
struct Options {
    make_stream: bool,
    trim: Option<Trim>,
    /// Where the threshold of the trim stands.
    threshold_at: usize,
    /// Where the id stands, or the end of XTRIM's arguments.
    id_at: usize,
    /// None: `*`.
    id: Option<(u64, Seq)>,
}

impl Options {
    fn parse(call: &Call, adding: bool) -> Result<Options, Refusal> {
        let mut options = Options { make_stream: true, trim: None, threshold_at: 0, id_at: call.args.len(), id: None };
        let mut limit = None;
        let mut at = 2;
        while at < call.args.len() {
            let more = call.args.len() - 1 - at;
            if adding && *call.args[at] == *b"*" {
                options.id_at = at;
                break;
            } else if (call.is(at, "MAXLEN") || call.is(at, "MINID")) && more > 0 {
                at = options.bound(call, at)?;
            } else if call.is(at, "LIMIT") && more > 0 {
                at += 1;
                let most = u64::try_from(call.int(at)?);
                limit = Some(most.map_err(|_| Refusal::new("ERR The LIMIT argument must be >= 0."))?);
            } else if adding && call.is(at, "NOMKSTREAM") {
                options.make_stream = false;
            } else if adding {
                let typed = &call.args[at];
                options.id = Some(Id::parse_open(typed).ok_or(INVALID_ID)?);
                options.id_at = at;
                break;
            } else {
                return Err(refusal::SYNTAX);
            }
            at += 1;
        }
        options.limit(call, limit, adding)?;
        Ok(options)
    }

    /// Reads the threshold of the MAXLEN or MINID at `at`; where it stands.
    fn bound(&mut self, call: &Call, at: usize) -> Result<usize, Refusal> {
        if self.trim.is_some() {
            return Err(Refusal::new("ERR syntax error, MAXLEN and MINID options at the same time are not compatible"));
        }
        let sign = call.args[at + 1].as_ref();
        let signed = at + 2 < call.args.len() && (sign == b"~" || sign == b"=");
        let threshold_at = if signed { at + 2 } else { at + 1 };
        let bound = if call.is(at, "MAXLEN") {
            let most = u64::try_from(call.int(threshold_at)?);
            Bound::MaxLen(most.map_err(|_| Refusal::new("ERR The MAXLEN argument must be >= 0."))?)
        } else {
            Bound::MinId(strict_id(&call.args[threshold_at], 0)?)
        };
        self.trim = Some(Trim { bound, approximate: signed && sign == b"~", limit: None });
        self.threshold_at = threshold_at;
        Ok(threshold_at)
    }

    fn limit(&mut self, call: &Call, limit: Option<u64>, adding: bool) -> Result<(), Refusal> {
        let Some(trim) = &mut self.trim else {
            return match limit {
                Some(1..) => {
                    Err(Refusal::new("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"))
                }
                _ if adding => Ok(()),
                _ => Err(Refusal::new("ERR syntax error, XTRIM must be called with a trimming strategy")),
            };
        };
        // What a primary or an append only file says was limited already.
        if call.obeys() {
            return Ok(());
        }
        trim.limit = match limit {
            Some(_) if !trim.approximate => {
                return Err(Refusal::new("ERR syntax error, LIMIT cannot be used without the special ~ option"));
            }
            Some(most) => Some(most).filter(|most| *most > 0),
            // A hundred full nodes, so that no trim takes long.
            None if trim.approximate => match call.limits().stream_node_max_entries as u64 {
                0 => Some(10_000),
                entries => Some(entries.saturating_mul(100).min(1_000_000)),
            },
            None => None,
        };
        Ok(())
    }

    /// The request with what the trim came to in place of `~` and its threshold, so that it does the same anywhere.
    fn exact(&self, args: &mut [Bytes], stream: &Stream) {
        let Some(trim) = self.trim.filter(|trim| trim.approximate) else { return };
        args[self.threshold_at - 1] = word("=");
        args[self.threshold_at] = match trim.bound {
            Bound::MaxLen(_) => number(stream.len()),
            Bound::MinId(_) => number(stream.first_of_all()),
        };
    }
}

pub fn xadd(call: &mut Call) -> Outcome {
    let options = Options::parse(call, true)?;
    let key = &call.args[1];
    let fields = call.args.get(options.id_at + 1..).unwrap_or_default();
    if fields.is_empty() || fields.len() % 2 == 1 {
        return Err(refusal::wrong_arity("xadd"));
    }
    if options.id == Some((0, Seq::Given(0))) || options.id == Some((0, Seq::Missing)) {
        return Err(Refusal::new("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let (now, limits) = (call.now, call.limits());
    let last = match call.write::<Stream>(key)? {
        Some(stream) => stream.last_id,
        None if !options.make_stream => return Ok(Reply::Nil),
        None => Id::MIN,
    };
    let id = next_id(last, options.id, now.0)?;
    if fields.iter().map(|element| element.len()).sum::<usize>() > LISTPACK_MAX {
        return Err(Refusal::new("ERR Elements are too large to be stored"));
    }
    let stream = call.peek_or_insert(key, Stream::new)?;
    stream.push(id, fields, &limits);
    let trimmed = options.trim.map_or(0, |trim| stream.trim(&trim));
    if options.id.is_none_or(|(_, seq)| seq == Seq::Auto) || options.trim.is_some_and(|trim| trim.approximate) {
        let mut args = call.args.to_vec();
        args[options.id_at] = match options.id {
            Some((_, Seq::Given(_) | Seq::Missing)) => args[options.id_at].clone(),
            _ => number(id),
        };
        options.exact(&mut args, call.peek::<Stream>(key).expect("just added to"));
        call.propagate_as(vec![args]);
    }
    call.changed(Class::Stream, "xadd", key);
    if trimmed > 0 {
        call.notify(Class::Stream, "xtrim", key);
    }
    Ok(id_reply(id))
}

/// The id of a new entry behind `last`. Err: there is none, or the one asked for does not come behind it.
fn next_id(last: Id, wanted: Option<(u64, Seq)>, now_ms: u64) -> Result<Id, Refusal> {
    const TOO_SMALL: Refusal =
        Refusal::new("ERR The ID specified in XADD is equal or smaller than the target stream top item");
    if last == Id::MAX {
        return Err(Refusal::new("ERR The stream has exhausted the last possible ID, unable to add more items"));
    }
    let id = match wanted {
        None if now_ms > last.ms => Id::new(now_ms, 0),
        None => last.next().ok_or(TOO_SMALL)?,
        Some((ms, Seq::Auto)) if ms == last.ms => Id::new(ms, last.seq.checked_add(1).ok_or(TOO_SMALL)?),
        Some((ms, Seq::Auto | Seq::Missing)) => Id::new(ms, 0),
        Some((ms, Seq::Given(seq))) => Id::new(ms, seq),
    };
    if id <= last { Err(TOO_SMALL) } else { Ok(id) }
}

pub fn xdel(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    if call.write::<Stream>(key)?.is_none() {
        return Ok(Reply::Int(0));
    }
    let ids = call.args[2..].iter().map(|text| strict_id(text, 0)).collect::<Result<Vec<_>, _>>()?;
    let deleted = call.peek_mut::<Stream>(key).map_or(0, |stream| stream.delete(&ids));
    if deleted > 0 {
        call.changed(Class::Stream, "xdel", key);
        call.dirty(deleted - 1);
    }
    Ok(Reply::from(deleted))
}

pub fn xtrim(call: &mut Call) -> Outcome {
    let options = Options::parse(call, false)?;
    let key = &call.args[1];
    let trim = options.trim.expect("XTRIM without a bound was refused");
    let Some(stream) = call.write::<Stream>(key)? else { return Ok(Reply::Int(0)) };
    let trimmed = stream.trim(&trim);
    if trimmed > 0 {
        if trim.approximate {
            let mut args = call.args.to_vec();
            options.exact(&mut args, call.peek::<Stream>(key).expect("just trimmed"));
            call.propagate_as(vec![args]);
        }
        call.changed(Class::Stream, "xtrim", key);
        call.dirty(trimmed as usize - 1);
    }
    Ok(Reply::Int(trimmed as i64))
}

pub fn xsetid(call: &mut Call) -> Outcome {
    let id = strict_id(&call.args[2], 0)?;
    let (mut entries_added, mut max_deleted) = (None, None);
    let mut at = 3;
    while at < call.args.len() {
        let more = at + 1 < call.args.len();
        if call.is(at, "ENTRIESADDED") && more {
            let added = u64::try_from(call.int(at + 1)?);
            entries_added = Some(added.map_err(|_| Refusal::new("ERR entries_added must be positive"))?);
        } else if call.is(at, "MAXDELETEDID") && more {
            let deleted = strict_id(&call.args[at + 1], 0)?;
            if id < deleted {
                return Err(Refusal::new(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
            max_deleted = Some(deleted).filter(|deleted| *deleted != Id::MIN);
        } else {
            return Err(refusal::SYNTAX);
        }
        at += 2;
    }
    let key = &call.args[1];
    let stream = call.write::<Stream>(key)?.ok_or(refusal::NO_SUCH_KEY)?;
    if id < stream.max_deleted_id {
        return Err(Refusal::new("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"));
    }
    if stream.last_live().is_some_and(|last| id < last) {
        return Err(Refusal::new("ERR The ID specified in XSETID is smaller than the target stream top item"));
    }
    if !stream.is_empty() && entries_added.is_some_and(|added| stream.len() as u64 > added) {
        return Err(Refusal::new("ERR The entries_added specified in XSETID is smaller than the target stream length"));
    }
    stream.last_id = id;
    stream.entries_added = entries_added.unwrap_or(stream.entries_added);
    stream.max_deleted_id = max_deleted.unwrap_or(stream.max_deleted_id);
    noted(call, "xsetid", key);
    Ok(Reply::OK)
}

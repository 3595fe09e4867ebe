//! SET and GETEX: one grammar of options, one way to say when a key expires.

use super::Str;
use crate::base::{Bytes, Millis};
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::Kind;
use crate::engine::value::string::parse_int;
use crate::resp::Reply;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Millis,
}

/// When a key shall expire, as it was typed.
#[derive(Clone, Copy)]
struct Expiry<'a> {
    text: &'a [u8],
    unit: Unit,
    /// A moment (EXAT, PXAT), not a span (EX, PX).
    absolute: bool,
}

impl Expiry<'_> {
    /// The moment in ms. Err: not an integer; not positive or too large (`invalid expire time`).
    fn moment(&self, call: &Call) -> Result<Millis, Refusal> {
        let n = parse_int(self.text).ok_or(refusal::NOT_INTEGER)?;
        let scaled = if self.unit == Unit::Seconds { n.checked_mul(1000) } else { Some(n) };
        let base = if self.absolute { 0 } else { call.now.0 as i64 };
        let moment = scaled.filter(|_| n > 0).and_then(|ms| ms.checked_add(base));
        moment.map(|ms| Millis(ms as u64)).ok_or_else(|| invalid_expire_time(call))
    }
}

pub(in crate::engine::commands) fn invalid_expire_time(call: &Call) -> Refusal {
    Refusal::from(format!("ERR invalid expire time in '{}' command", call.command.name.to_ascii_lowercase()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Missing,
    Existing,
}

/// What may follow key and value of SET, or the key of GETEX.
#[derive(Default)]
struct Options<'a> {
    condition: Option<Condition>,
    get: bool,
    keep_ttl: bool,
    persist: bool,
    expiry: Option<Expiry<'a>>,
}

impl<'a> Options<'a> {
    /// Err: syntax error, also where two options exclude each other. The same option may come twice; the last counts.
    fn parse(args: &'a [Bytes], of_set: bool) -> Result<Options<'a>, Refusal> {
        let mut options = Options::default();
        // Which of EX, PX, EXAT, PXAT came: it may come again, but no other may join it.
        let mut clock: Option<(Unit, bool)> = None;
        let mut rest = args.iter();
        while let Some(word) = rest.next() {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if of_set && is("NX") && options.condition != Some(Condition::Existing) {
                options.condition = Some(Condition::Missing);
            } else if of_set && is("XX") && options.condition != Some(Condition::Missing) {
                options.condition = Some(Condition::Existing);
            } else if of_set && is("GET") {
                options.get = true;
            } else if of_set && is("KEEPTTL") && clock.is_none() {
                options.keep_ttl = true;
            } else if !of_set && is("PERSIST") && clock.is_none() {
                options.persist = true;
            } else {
                let (unit, absolute) = match () {
                    () if is("EX") => (Unit::Seconds, false),
                    () if is("PX") => (Unit::Millis, false),
                    () if is("EXAT") => (Unit::Seconds, true),
                    () if is("PXAT") => (Unit::Millis, true),
                    () => return Err(refusal::SYNTAX),
                };
                if options.keep_ttl || options.persist || clock.is_some_and(|other| other != (unit, absolute)) {
                    return Err(refusal::SYNTAX);
                }
                clock = Some((unit, absolute));
                let text = rest.next().ok_or(refusal::SYNTAX)?;
                options.expiry = Some(Expiry { text, unit, absolute });
            }
        }
        Ok(options)
    }
}

pub fn set(call: &mut Call) -> Outcome {
    let (key, value) = (&call.args[1], &call.args[2]);
    if call.args.len() == 3 {
        call.insert(key, Str::new(value.clone()).into_value());
        call.changed(Class::String, "set", key);
        return Ok(Reply::OK);
    }
    let options = Options::parse(&call.args[3..], true)?;
    let expires_at = options.expiry.map(|expiry| expiry.moment(call)).transpose()?;
    let before = if options.get { call.read::<Str>(key)?.map(Str::to_bytes) } else { None };
    let found = call.write_value(key).is_some();
    let refused = match options.condition {
        Some(Condition::Missing) => found,
        Some(Condition::Existing) => !found,
        None => false,
    };
    if refused {
        return Ok(before.into());
    }
    store(call, key, value, expires_at, options.keep_ttl);
    match options.expiry {
        // A moment in ms stands in the request already.
        Some(expiry) if expiry.absolute && expiry.unit == Unit::Millis => {}
        Some(_) => propagate_with_moment(call, expires_at),
        None if options.get => {
            let without_get = |&(i, arg): &(usize, &Bytes)| i < 3 || !arg.eq_ignore_ascii_case(b"GET");
            let kept = call.args.iter().enumerate().filter(without_get).map(|(_, arg)| arg.clone());
            call.propagate_as(vec![kept.collect()]);
        }
        None => {}
    }
    Ok(if options.get { before.into() } else { Reply::OK })
}

/// SETEX and PSETEX: key, span, value.
pub fn setex(call: &mut Call, unit: Unit) -> Outcome {
    let (key, value) = (&call.args[1], &call.args[3]);
    let expires_at = Expiry { text: &call.args[2], unit, absolute: false }.moment(call)?;
    call.write_value(key);
    store(call, key, value, Some(expires_at), false);
    propagate_set(call, value, expires_at);
    Ok(Reply::OK)
}

fn store(call: &mut Call, key: &Bytes, value: &Bytes, expires_at: Option<Millis>, keep_ttl: bool) {
    let string = Str::new(value.clone()).into_value();
    // Where an expiry follows, the old one stays until then: it changes, it is not dropped and made anew.
    call.put(key, string, keep_ttl || expires_at.is_some());
    call.changed(Class::String, "set", key);
    if expires_at.is_some() {
        call.set_expiry(key, expires_at);
        call.notify(Class::Generic, "expire", key);
    }
}

fn propagate_with_moment(call: &mut Call, expires_at: Option<Millis>) {
    if let Some(at) = expires_at {
        propagate_set(call, &call.args[2], at);
    }
}

/// A span would begin anew when the AOF is read or a replica gets it: they are told the moment.
fn propagate_set(call: &mut Call, value: &Bytes, at: Millis) {
    let moment = Bytes::from(at.0.to_string());
    let set = [Bytes::from("SET"), call.args[1].clone(), value.clone(), Bytes::from("PXAT"), moment];
    call.propagate_as(vec![set.to_vec()]);
}

pub fn getex(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let options = Options::parse(&call.args[2..], false)?;
    let Some(text) = call.read::<Str>(key)?.map(Str::to_bytes) else { return Ok(Reply::Nil) };
    if let Some(expiry) = options.expiry {
        let at = expiry.moment(call)?;
        if expiry.absolute && at <= call.now && call.server.expires_keys() {
            call.remove(key);
            call.changed(Class::Generic, "del", key);
            call.propagate_as(vec![call.server.deletion("lazyfree-lazy-expire", key)]);
        } else {
            call.set_expiry(key, Some(at));
            call.changed(Class::Generic, "expire", key);
            let moment = Bytes::from(at.0.to_string());
            call.propagate_as(vec![vec![Bytes::from("PEXPIREAT"), key.clone(), moment]]);
        }
    } else if options.persist && call.expires_at(key).is_some() {
        call.set_expiry(key, None);
        call.changed(Class::Generic, "persist", key);
        call.propagate_as(vec![vec![Bytes::from("PERSIST"), key.clone()]]);
    }
    Ok(Reply::Bulk(text))
}

//! DUMP and RESTORE: a value as bytes that any Redis reads back.

use crate::base::{Bytes, Millis};
use crate::engine::call::Call;
use crate::engine::command::{ASKING, Command, DENYOOM, ONE_KEY, Outcome, READONLY, SYSCMD, WRITE};
use crate::engine::evict;
use crate::engine::notify::Class;
use crate::engine::persist::rdb;
use crate::engine::refusal::{self, Refusal};
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[
    Command {
        name: "DUMP",
        syntax: "key",
        summary: "A value in the format of RDB files.",
        since: "2.6.0",
        complexity: "O(N*M), N the number of elements and M their size",
        flags: READONLY,
        acl: &["keyspace"],
        keys: ONE_KEY,
        tips: &["nondeterministic_output"],
        run: dump,
        ..Command::GENERIC
    },
    Command {
        name: "RESTORE",
        syntax: "key ttl serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] [IDLETIME seconds@5.0.0] [FREQ \
                 frequency@5.0.0]",
        summary: "Make a key from what DUMP answered.",
        since: "2.6.0",
        complexity: "O(N*M), N the number of elements and M their size; for sorted sets times log(N)",
        history: &[("3.0.0", "`REPLACE`."), ("5.0.0", "`ABSTTL`."), ("5.0.0", "`IDLETIME` and `FREQ`.")],
        flags: WRITE.with(DENYOOM),
        acl: &["keyspace", "dangerous"],
        keys: ONE_KEY,
        run: restore,
        ..Command::GENERIC
    },
    Command {
        name: "RESTORE-ASKING",
        syntax: "key ttl serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] [IDLETIME seconds@5.0.0] [FREQ \
                 frequency@5.0.0]",
        summary: "RESTORE into a slot that is being taken over: what MIGRATE sends.",
        since: "3.0.0",
        complexity: "O(N*M), N the number of elements and M their size; for sorted sets times log(N)",
        history: &[("3.0.0", "`REPLACE`."), ("5.0.0", "`ABSTTL`."), ("5.0.0", "`IDLETIME` and `FREQ`.")],
        flags: WRITE.with(DENYOOM).with(ASKING).with(SYSCMD),
        acl: &["keyspace", "dangerous"],
        keys: ONE_KEY,
        run: restore,
        ..Command::SERVER
    },
];

fn dump(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let limits = call.limits();
    Ok(call.read_value(key).map_or(Reply::Nil, |value| Reply::bulk(rdb::dump_value(value, &limits))))
}

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_secs: Option<i64>,
    frequency: Option<i64>,
}

impl Options {
    fn parse(call: &Call) -> Result<Options, Refusal> {
        let mut options = Options::default();
        let mut at = 4;
        while at < call.args.len() {
            let more = at + 1 < call.args.len();
            if call.is(at, "REPLACE") {
                options.replace = true;
            } else if call.is(at, "ABSTTL") {
                options.absolute = true;
            } else if call.is(at, "IDLETIME") && more && options.frequency.is_none() {
                at += 1;
                let idle = Some(call.int(at)?).filter(|secs| *secs >= 0);
                options.idle_secs = Some(idle.ok_or(Refusal::new("ERR Invalid IDLETIME value, must be >= 0"))?);
            } else if call.is(at, "FREQ") && more && options.idle_secs.is_none() {
                at += 1;
                let frequency = Some(call.int(at)?).filter(|n| (0..=255).contains(n));
                let text = "ERR Invalid FREQ value, must be >= 0 and <= 255";
                options.frequency = Some(frequency.ok_or(Refusal::new(text))?);
            } else {
                return Err(refusal::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }
}

fn restore(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let options = Options::parse(call)?;
    if !options.replace && call.write_value(key).is_some() {
        return Err(Refusal::new("BUSYKEY Target key name already exists."));
    }
    let ttl = u64::try_from(call.int(2)?).map_err(|_| Refusal::new("ERR Invalid TTL value, must be >= 0"))?;
    let skip_checksum = call.server.switches.skip_checksum;
    let load = rdb::LoadOptions { skip_checksum, ..rdb::LoadOptions::of(&call.server.config, call.now, call.seed()) };
    let value = rdb::restore_value(&call.args[3], &load).map_err(Refusal::new)?;
    let replaced = options.replace && call.remove(key).is_some();
    let at = match ttl {
        0 => None,
        _ if options.absolute => Some(Millis(ttl)),
        // Redis counts with 64 signed bits: beyond their end is long ago.
        _ => Some(Millis(call.now.0.checked_add(ttl).filter(|at| *at <= i64::MAX as u64).unwrap_or(1))),
    };
    if at.is_some_and(|at| at <= call.now) && call.server.expires_keys() {
        if replaced {
            call.changed(Class::Generic, "del", key);
            call.propagate_as(vec![call.server.deletion("lazyfree-lazy-server-del", key)]);
        }
        return Ok(Reply::OK);
    }
    call.insert(key, value);
    call.set_expiry(key, at);
    stamp(call, key, &options);
    call.changed(Class::Generic, "restore", key);
    if let Some(at) = at.filter(|_| !options.absolute) {
        let mut request = call.args.to_vec();
        request[2] = Bytes::from(at.0.to_string());
        request.push(Bytes::from("ABSTTL"));
        call.propagate_as(vec![request]);
    }
    Ok(Reply::OK)
}

/// When or how often the value was used where it came from, if the policy here keeps that.
fn stamp(call: &mut Call, key: &[u8], options: &Options) {
    let (now, lfu) = (call.now, call.server.config.eviction.is_lfu());
    let Some(slot) = call.db_mut().slot_mut(key) else { return };
    match *options {
        Options { frequency: Some(frequency), .. } if lfu => slot.access = evict::used(frequency as u8, now),
        Options { idle_secs: Some(idle), .. } if !lfu => {
            slot.access = now.secs().saturating_sub(idle as u64) as u32;
        }
        _ => {}
    }
}

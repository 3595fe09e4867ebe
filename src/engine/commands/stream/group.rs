//! XGROUP and XACK, and how what happens in a group is told to replicas.

use super::{loose_id, no_group, noted, number, strict_id, word};
use crate::base::Bytes;
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::commands;
use crate::engine::refusal::Refusal;
use crate::engine::value::Stream;
use crate::engine::value::stream::{Group, Id, Pending};
use crate::resp::Reply;

const NO_KEY: Refusal = Refusal::new(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to \
     create an empty stream automatically.",
);

/// Options of CREATE and SETID.
struct Options {
    make_stream: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn parse(call: &Call, creating: bool) -> Result<Options, Refusal> {
        let mut options = Options { make_stream: false, entries_read: None };
        let mut at = 5;
        while at < call.args.len() {
            if creating && call.is(at, "MKSTREAM") {
                options.make_stream = true;
                at += 1;
            } else if call.is(at, "ENTRIESREAD") && at + 1 < call.args.len() {
                let read = call.int(at + 1)?;
                if read < -1 {
                    return Err(Refusal::new("ERR value for ENTRIESREAD must be positive or -1"));
                }
                options.entries_read = u64::try_from(read).ok();
                at += 2;
            } else {
                return Err(commands::wrong_subcommand(call));
            }
        }
        Ok(options)
    }
}

pub fn create(call: &mut Call) -> Outcome {
    let options = Options::parse(call, true)?;
    let (key, name) = (&call.args[2], &call.args[3]);
    let stream = call.write::<Stream>(key)?;
    if stream.is_none() && !options.make_stream {
        return Err(NO_KEY);
    }
    let (missing, last_id) = (stream.is_none(), stream.map_or(Id::MIN, |stream| stream.last_id));
    let id = match call.args[4].as_ref() {
        b"$" => last_id,
        text => strict_id(text, 0)?,
    };
    if missing {
        call.insert(key, crate::engine::value::Value::Stream(Box::default()));
        call.touched(key);
    }
    let stream = call.peek_mut::<Stream>(key).expect("made if it was missing");
    if !stream.add_group(name, Group::new(id, options.entries_read)) {
        return Err(Refusal::new("BUSYGROUP Consumer Group name already exists"));
    }
    noted(call, "xgroup-create", key);
    Ok(Reply::OK)
}

/// The stream of an XGROUP subcommand, and whether its group exists. Err: the key does not exist.
fn target<'c>(call: &'c mut Call) -> Result<(&'c mut Stream, bool), Refusal> {
    let (key, group) = (&call.args[2], &call.args[3]);
    let stream = call.write::<Stream>(key)?.ok_or(NO_KEY)?;
    let known = stream.groups().contains_key(group);
    Ok((stream, known))
}

pub fn set_id(call: &mut Call) -> Outcome {
    let options = Options::parse(call, false)?;
    let (key, name) = (&call.args[2], &call.args[3]);
    let args = call.args;
    let (stream, known) = target(call)?;
    if !known {
        return Err(no_group(name, key));
    }
    let id = match args[4].as_ref() {
        b"$" => stream.last_id,
        text => loose_id(text, 0)?,
    };
    let group = stream.group_mut(name).expect("just looked up");
    (group.last_id, group.entries_read) = (id, options.entries_read);
    noted(call, "xgroup-setid", key);
    Ok(Reply::OK)
}

pub fn destroy(call: &mut Call) -> Outcome {
    let (key, name) = (&call.args[2], &call.args[3]);
    let (stream, _) = target(call)?;
    if !stream.remove_group(name) {
        return Ok(Reply::Int(0));
    }
    noted(call, "xgroup-destroy", key);
    // Those who wait in the group are to learn that it is gone.
    let db = call.db;
    call.server.waiting.touch(db, key);
    Ok(Reply::Int(1))
}

pub fn create_consumer(call: &mut Call) -> Outcome {
    let (key, name, consumer) = (&call.args[2], &call.args[3], &call.args[4]);
    let now = call.now;
    let (stream, _) = target(call)?;
    let group = stream.group_mut(name).ok_or_else(|| no_group(name, key))?;
    let created = group.add_consumer(consumer, now);
    if created {
        noted(call, "xgroup-createconsumer", key);
    }
    Ok(Reply::flag(created))
}

pub fn delete_consumer(call: &mut Call) -> Outcome {
    let (key, name, consumer) = (&call.args[2], &call.args[3], &call.args[4]);
    let (stream, _) = target(call)?;
    let group = stream.group_mut(name).ok_or_else(|| no_group(name, key))?;
    let pending = group.remove_consumer(consumer);
    if pending.is_some() {
        noted(call, "xgroup-delconsumer", key);
    }
    Ok(Reply::from(pending.unwrap_or(0)))
}

pub fn xack(call: &mut Call) -> Outcome {
    let (key, name) = (&call.args[1], &call.args[2]);
    if !call.read::<Stream>(key)?.is_some_and(|stream| stream.groups().contains_key(name)) {
        return Ok(Reply::Int(0));
    }
    let ids = call.args[3..].iter().map(|text| strict_id(text, 0)).collect::<Result<Vec<_>, _>>()?;
    let stream = call.peek_mut::<Stream>(key).expect("looked up above");
    let group = stream.group_mut(name).expect("looked up above");
    let acknowledged = ids.into_iter().filter(|id| group.release(*id).is_some()).count();
    call.dirty(acknowledged);
    call.measure(key);
    Ok(Reply::from(acknowledged))
}

pub fn help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "XGROUP",
        &[
            "CREATE <key> <groupname> <id|$> [option]",
            "    Create a new consumer group. Options are:",
            "    * MKSTREAM",
            "      Create the empty stream if it does not exist.",
            "    * ENTRIESREAD entries_read",
            "      Set the group's entries_read counter (internal use).",
            "CREATECONSUMER <key> <groupname> <consumer>",
            "    Create a new consumer in the specified group.",
            "DELCONSUMER <key> <groupname> <consumer>",
            "    Remove the specified consumer.",
            "DESTROY <key> <groupname>",
            "    Remove the specified group.",
            "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
            "    Set the current group ID and entries_read counter.",
        ],
    ))
}

// -- for replicas and the append only file -----------------------------------------------------------------------------

/// The XCLAIM that puts one pending entry where it is now; JUSTID spares the receiver the entry itself.
pub fn claim_of(key: &Bytes, group: &Bytes, id: Id, pending: &Pending, last_id: Id) -> Vec<Bytes> {
    vec![
        word("XCLAIM"),
        key.clone(),
        group.clone(),
        pending.consumer.clone(),
        word("0"),
        number(id),
        word("TIME"),
        number(pending.delivered_at.0),
        word("RETRYCOUNT"),
        number(pending.deliveries),
        word("FORCE"),
        word("JUSTID"),
        word("LASTID"),
        number(last_id),
    ]
}

/// The XGROUP SETID that tells how far a group has read.
pub fn group_id_of(key: &Bytes, name: &Bytes, group: &Group) -> Vec<Bytes> {
    let read = group.entries_read.map_or(word("-1"), number);
    vec![word("XGROUP"), word("SETID"), key.clone(), name.clone(), number(group.last_id), word("ENTRIESREAD"), read]
}

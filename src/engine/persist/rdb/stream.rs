//! Reading streams: types 15 (Redis 5), 19 (7.0) and 21 (7.2).
//!
//! Nodes as they are, totals, then each group with all that is pending in it and, consumer by consumer, whose that is.

use super::kind;
use super::read::{Fault, Reader};
use crate::base::{Bytes, Millis};
use crate::engine::value::stream::{Group, Id, Node, Pending, Stream, Totals};
use crate::engine::value::{Kind, Value};
use std::collections::BTreeMap;

/// The value behind a key of type `code`.
pub fn read(reader: &mut Reader, code: u8) -> Result<Value, Fault> {
    let newer = code != kind::STREAM_LISTPACKS;
    let mut nodes = BTreeMap::new();
    for _ in 0..reader.count(2)? {
        let key = reader.text()?;
        let Ok(key) = <[u8; 16]>::try_from(&key[..]) else {
            return reader.corrupt("Stream node key entry is not the size of a stream ID");
        };
        let text = reader.text()?;
        let Some(node) = Node::from_listpack(&text) else {
            return reader.corrupt("Stream listpack integrity check failed.");
        };
        if nodes.insert(Id::from_be_bytes(key), node).is_some() {
            return reader.corrupt("Listpack re-added with existing key");
        }
    }
    let length = reader.len()?;
    let last_id = id(reader)?;
    let newer_totals = if newer { Some((id(reader)?, id(reader)?, reader.len()?)) } else { None };
    let stream = Stream::from_nodes(nodes, Totals { length, last_id, newer: newer_totals });
    let mut stream = stream.or_else(|what| reader.corrupt(what))?;
    for _ in 0..reader.count(4)? {
        let (name, last_id) = (reader.text()?, id(reader)?);
        let entries_read = match newer {
            true => Some(reader.len()?).filter(|read| *read != u64::MAX),
            false => stream.entries_up_to(last_id),
        };
        let group = group(reader, code, Group::new(last_id, entries_read))?;
        if !stream.add_group(&name, group) {
            return reader.corrupt("Duplicated consumer group name");
        }
    }
    Ok(stream.into_value())
}

fn id(reader: &mut Reader) -> Result<Id, Fault> {
    Ok(Id::new(reader.len()?, reader.len()?))
}

fn raw_id(reader: &mut Reader) -> Result<Id, Fault> {
    reader.array().map(Id::from_be_bytes)
}

/// A moment; what lies before 1970 is none.
fn moment(reader: &mut Reader) -> Result<Option<Millis>, Fault> {
    let ms = i64::from_le_bytes(reader.array()?);
    Ok(u64::try_from(ms).ok().map(Millis))
}

/// What is pending in a group, and its consumers.
fn group(reader: &mut Reader, code: u8, mut group: Group) -> Result<Group, Fault> {
    let mut unowned = BTreeMap::new();
    for _ in 0..reader.count(25)? {
        let id = raw_id(reader)?;
        let delivered_at = moment(reader)?.unwrap_or_default();
        let pending = Pending { consumer: Bytes::new(), delivered_at, deliveries: reader.len()? };
        if unowned.insert(id, pending).is_some() {
            return reader.corrupt("Duplicated global PEL entry loading stream consumer group");
        }
    }
    for _ in 0..reader.count(10)? {
        let name = reader.text()?;
        let seen_at = moment(reader)?.unwrap_or_default();
        // Before 7.2 nothing better was kept.
        let active_at = if code == kind::STREAM_LISTPACKS_3 { moment(reader)? } else { Some(seen_at) };
        if !group.add_consumer(&name, seen_at) {
            return reader.corrupt("Duplicate stream consumer detected.");
        }
        group.consumer_mut(&name).expect("just added").active_at = active_at;
        for _ in 0..reader.count(16)? {
            let id = raw_id(reader)?;
            let Some(pending) = unowned.remove(&id) else {
                return reader.corrupt("Consumer entry not found in group global PEL");
            };
            group.assign(id, Pending { consumer: name.clone(), ..pending });
        }
    }
    if !unowned.is_empty() {
        return reader.corrupt("Stream CG PEL entry without consumer");
    }
    Ok(group)
}

//! Slots: who owns them, how they move, which keys they have.

use super::{changed, cluster, node_at, slot_at, turn};
use crate::engine::Call;
use crate::engine::cluster::Turn;
use crate::engine::cluster::slots::{SLOTS, SlotSet, slot_of};
use crate::engine::command::Outcome;
use crate::engine::refusal::{self, Refusal};
use crate::resp::Reply;

/// Whether slots come or go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Add,
    Delete,
}

pub fn addslots(call: &mut Call) -> Outcome {
    each(call, Way::Add)
}

pub fn delslots(call: &mut Call) -> Outcome {
    each(call, Way::Delete)
}

pub fn addslotsrange(call: &mut Call) -> Outcome {
    ranges(call, Way::Add)
}

pub fn delslotsrange(call: &mut Call) -> Outcome {
    ranges(call, Way::Delete)
}

fn each(call: &mut Call, way: Way) -> Outcome {
    cluster(call)?;
    let slots: Vec<u16> = (2..call.args.len()).map(|index| slot_at(call, index)).collect::<Result<_, _>>()?;
    let mut chosen = SlotSet::default();
    for slot in slots {
        check(call, &mut chosen, way, slot)?;
    }
    assign(call, &chosen, way)
}

fn ranges(call: &mut Call, way: Way) -> Outcome {
    cluster(call)?;
    if call.args.len() % 2 == 1 {
        return Err(refusal::wrong_arity(&call.command.full_name()));
    }
    let mut chosen = SlotSet::default();
    for index in (2..call.args.len()).step_by(2) {
        let (first, last) = (slot_at(call, index)?, slot_at(call, index + 1)?);
        if first > last {
            return Err(Refusal::from(format!("ERR start slot number {first} is greater than end slot number {last}")));
        }
        for slot in first..=last {
            check(call, &mut chosen, way, slot)?;
        }
    }
    assign(call, &chosen, way)
}

fn check(call: &Call, chosen: &mut SlotSet, way: Way, slot: u16) -> Result<(), Refusal> {
    let why = match (way, cluster(call)?.owner(slot)) {
        (Way::Delete, None) => "is already unassigned",
        (Way::Add, Some(_)) => "is already busy",
        _ if !chosen.insert(slot) => "specified multiple times",
        _ => return Ok(()),
    };
    Err(Refusal::from(format!("ERR Slot {slot} {why}")))
}

fn assign(call: &mut Call, chosen: &SlotSet, way: Way) -> Outcome {
    turn(call, |turn| {
        let myself = turn.cluster.myself;
        for slot in chosen.iter() {
            turn.cluster.importing.remove(&slot);
            match way {
                Way::Add => {
                    turn.cluster.give_slot(myself, slot);
                }
                Way::Delete => turn.take_slot(slot),
            }
        }
        changed(turn);
        Reply::OK
    })
}

pub fn flushslots(call: &mut Call) -> Outcome {
    cluster(call)?;
    if !call.server.dbs[0].is_empty() {
        return Err(Refusal::new("ERR DB must be empty to perform CLUSTER FLUSHSLOTS."));
    }
    turn(call, |turn| {
        turn.take_all_slots(turn.cluster.myself);
        changed(turn);
        Reply::OK
    })
}

pub fn keyslot(call: &mut Call) -> Outcome {
    cluster(call)?;
    Ok(Reply::Int(i64::from(slot_of(&call.args[2]))))
}

pub fn countkeysinslot(call: &mut Call) -> Outcome {
    cluster(call)?;
    let slot = call.int(2)?;
    if !(0..SLOTS as i64).contains(&slot) {
        return Err(Refusal::new("ERR Invalid slot"));
    }
    Ok(Reply::from(call.server.dbs[0].keys_in_slot(slot as u16)))
}

pub fn getkeysinslot(call: &mut Call) -> Outcome {
    cluster(call)?;
    let (slot, most) = (call.int(2)?, call.int(3)?);
    if !(0..SLOTS as i64).contains(&slot) || most < 0 {
        return Err(Refusal::new("ERR Invalid slot or number of keys"));
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    Ok(Reply::bulks(call.server.dbs[0].keys_of_slot(slot as u16).take(most).cloned()))
}

pub fn setslot(call: &mut Call) -> Outcome {
    let known = cluster(call)?;
    if known.me().is_replica() {
        return Err(Refusal::new("ERR Please use SETSLOT only with masters."));
    }
    let slot = slot_at(call, 2)?;
    let mine = known.owner(slot) == Some(known.myself);
    let words = call.args.len();
    if call.is(3, "MIGRATING") && words == 5 {
        if !mine {
            return Err(Refusal::from(format!("ERR I'm not the owner of hash slot {slot}")));
        }
        let to = primary_at(call, "I don't know about node")?;
        turn(call, |turn| {
            turn.cluster.migrating.insert(slot, to);
        })?;
    } else if call.is(3, "IMPORTING") && words == 5 {
        if mine {
            return Err(Refusal::from(format!("ERR I'm already the owner of hash slot {slot}")));
        }
        let from = primary_at(call, "I don't know about node")?;
        turn(call, |turn| {
            turn.cluster.importing.insert(slot, from);
        })?;
    } else if call.is(3, "STABLE") && words == 4 {
        turn(call, |turn| {
            turn.cluster.importing.remove(&slot);
            turn.cluster.migrating.remove(&slot);
        })?;
    } else if call.is(3, "NODE") && words == 5 {
        let to = primary_at(call, "Unknown node")?;
        let keys = call.server.dbs[0].keys_in_slot(slot);
        if mine && to != cluster(call)?.myself && keys > 0 {
            return Err(Refusal::from(format!(
                "ERR Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot."
            )));
        }
        turn(call, |turn| hand_over(turn, slot, to, keys))?;
    } else {
        return Err(Refusal::new("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP"));
    }
    turn(call, changed)?;
    Ok(Reply::OK)
}

fn primary_at(call: &Call, unknown: &str) -> Result<crate::engine::cluster::Handle, Refusal> {
    let handle = node_at(call, 4, unknown)?;
    if cluster(call)?.node(handle).is_replica() {
        return Err(Refusal::new("ERR Target node is not a master"));
    }
    Ok(handle)
}

/// SETSLOT NODE: the slot has a new owner.
fn hand_over(turn: &mut Turn, slot: u16, to: crate::engine::cluster::Handle, keys: usize) {
    let myself = turn.cluster.myself;
    let was_mine = turn.cluster.owner(slot) == Some(myself);
    if keys == 0 {
        turn.cluster.migrating.remove(&slot);
    }
    turn.take_slot(slot);
    turn.cluster.give_slot(to, slot);
    if was_mine && to != myself && turn.cluster.me().slots.is_empty() && turn.settings.replica_migration {
        let node = turn.cluster.node(to);
        let text = format!(
            "Configuration change detected. Reconfiguring myself as a replica of {} ({})",
            node.id, node.human_name
        );
        turn.notice(text);
        turn.follow(to);
        turn.cluster.todo.fsync = true;
    }
    if to == myself && turn.cluster.importing.contains_key(&slot) {
        // The move is done. A new epoch makes the others believe me; nobody is asked, because the operator knows that
        // the slot has no other owner.
        if turn.cluster.bump_epoch() {
            let epoch = turn.cluster.me().epoch;
            turn.notice(format!("New configEpoch set to {epoch}"));
            turn.notice(format!("configEpoch updated after importing slot {slot}"));
        }
        turn.cluster.importing.remove(&slot);
        turn.tell_all();
    }
}

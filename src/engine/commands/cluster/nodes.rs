//! Nodes: who is in the cluster, who follows whom, and in which epoch.

use super::{changed, cluster, node_at, turn};
use crate::engine::cluster::manual::Manner;
use crate::engine::cluster::{Effect, NodeId};
use crate::engine::command::Outcome;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::string::parse_int;
use crate::engine::{Call, Env};
use crate::resp::Reply;

pub fn meet(call: &mut Call) -> Outcome {
    cluster(call)?;
    if call.args.len() > 5 {
        return Err(crate::engine::commands::wrong_subcommand(call));
    }
    let number = |index: usize, what: &str| {
        let text = &call.args[index];
        parse_int(text).ok_or_else(|| Refusal::from(format!("ERR Invalid {what} port specified: {}", text.printed())))
    };
    let port = number(3, "base")?;
    let bus_port = if call.args.len() == 5 { number(4, "bus")? } else { port.saturating_add(10_000) };
    let host = call.args[2].lossy().into_owned();
    if !turn(call, |turn| turn.meet(&host, port, bus_port))? {
        return Err(Refusal::from(format!("ERR Invalid node address specified: {host}:{}", call.args[3].printed())));
    }
    Ok(Reply::OK)
}

pub fn forget(call: &mut Call) -> Outcome {
    let now = call.now.secs();
    let name = call.args[2].clone();
    let known = cluster(call)?;
    let Some(handle) = known.lookup(&name) else {
        let again = NodeId::parse(&name).is_some_and(|id| {
            let forgotten = known.forgotten.get(&id);
            forgotten.is_some_and(|until| *until >= now)
        });
        // Another node may have been told first.
        return if again { Ok(Reply::OK) } else { node_at(call, 2, "Unknown node").map(|_| Reply::OK) };
    };
    if handle == known.myself {
        return Err(Refusal::new("ERR I tried hard but I can't forget myself..."));
    }
    if known.me().is_replica() && known.me().primary == Some(handle) {
        return Err(Refusal::new("ERR Can't forget my master!"));
    }
    turn(call, |turn| {
        /// Seconds for which gossip does not bring a forgotten node back: time to tell all the others.
        const KEPT_OUT: u64 = 60;
        turn.cluster.forgotten.retain(|_, until| *until >= now);
        turn.cluster.forgotten.insert(turn.cluster.node(handle).id, now + KEPT_OUT);
        turn.delete(handle);
        changed(turn);
        Reply::OK
    })
}

pub fn replicate(call: &mut Call) -> Outcome {
    let handle = node_at(call, 2, "Unknown node")?;
    let known = cluster(call)?;
    if handle == known.myself {
        return Err(Refusal::new("ERR Can't replicate myself"));
    }
    if known.node(handle).is_replica() {
        return Err(Refusal::new("ERR I can only replicate a master, not a replica."));
    }
    if known.me().is_primary() && !(known.me().slots.is_empty() && call.server.dbs[0].is_empty()) {
        return Err(Refusal::new("ERR To set a master the node must be empty and without assigned slots."));
    }
    turn(call, |turn| {
        turn.follow(handle);
        changed(turn);
        Reply::OK
    })
}

pub fn failover(call: &mut Call) -> Outcome {
    cluster(call)?;
    if call.args.len() > 3 {
        return Err(crate::engine::commands::wrong_subcommand(call));
    }
    let manner = Manner::parse(call.args.get(2).map(|word| &**word))?;
    turn(call, |turn| turn.fail_over(manner))??;
    Ok(Reply::OK)
}

pub fn bumpepoch(call: &mut Call) -> Outcome {
    turn(call, |turn| {
        let bumped = turn.cluster.bump_epoch();
        let epoch = turn.cluster.me().epoch;
        if bumped {
            turn.notice(format!("New configEpoch set to {epoch}"));
        }
        Reply::status_of(format!("{} {epoch}", if bumped { "BUMPED" } else { "STILL" }))
    })
}

pub fn set_config_epoch(call: &mut Call) -> Outcome {
    let known = cluster(call)?;
    let epoch = call.int(2)?;
    let Ok(new) = u64::try_from(epoch) else {
        return Err(Refusal::from(format!("ERR Invalid config epoch specified: {epoch}")));
    };
    if known.count() > 1 {
        return Err(Refusal::new(
            "ERR The user can assign a config epoch only when the node does not know any other node.",
        ));
    }
    if known.me().epoch != 0 {
        return Err(Refusal::new("ERR Node config epoch is already non-zero"));
    }
    turn(call, |turn| {
        turn.cluster.me_mut().epoch = new;
        turn.notice(format!("configEpoch set to {new} via CLUSTER SET-CONFIG-EPOCH"));
        turn.cluster.current_epoch = turn.cluster.current_epoch.max(new);
        changed(turn);
        Reply::OK
    })
}

pub fn saveconfig(call: &mut Call) -> Outcome {
    cluster(call)?;
    let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
    let saved = call.server.save_nodes_conf(&mut env, true);
    saved.map_err(|line| {
        let why = line.rsplit_once(": ").map_or(line.as_str(), |(_, why)| why);
        Refusal::from(format!("ERR error saving the cluster node config: {why}"))
    })?;
    Ok(Reply::OK)
}

pub fn reset(call: &mut Call) -> Outcome {
    let known = cluster(call)?;
    if call.args.len() > 3 {
        return Err(crate::engine::commands::wrong_subcommand(call));
    }
    let hard = call.is(2, "HARD");
    if call.args.len() == 3 && !hard && !call.is(2, "SOFT") {
        return Err(refusal::SYNTAX);
    }
    if known.me().is_primary() && !call.server.dbs[0].is_empty() {
        return Err(Refusal::new("ERR CLUSTER RESET can't be called with master nodes containing keys"));
    }
    turn(call, |turn| {
        let myself = turn.cluster.myself;
        if turn.cluster.me().is_replica() {
            turn.cluster.make_primary(myself);
            turn.effects.push(Effect::StopFollowing);
            turn.effects.push(Effect::EmptyData);
        }
        turn.cluster.importing.clear();
        turn.cluster.migrating.clear();
        turn.reset_manual_failover();
        for handle in turn.cluster.handles() {
            turn.take_all_slots(handle);
        }
        for handle in turn.cluster.handles().into_iter().filter(|handle| *handle != myself) {
            turn.delete(handle);
        }
        turn.cluster.forgotten.clear();
        if hard {
            turn.cluster.current_epoch = 0;
            turn.cluster.last_vote_epoch = 0;
            turn.notice(String::from("configEpoch set to 0 via CLUSTER RESET HARD"));
            turn.cluster.leave_shard(myself);
            let (id, shard) = (NodeId::random(turn.rng), NodeId::random(turn.rng));
            turn.cluster.me_mut().epoch = 0;
            turn.cluster.me_mut().shard = shard;
            turn.cluster.rename(myself, id);
            turn.notice(format!("Node hard reset, now I'm {id}"));
        }
        changed(turn);
        turn.cluster.todo.fsync = true;
        Reply::OK
    })
}

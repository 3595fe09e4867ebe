//! CLIENT TRACKING and what belongs to it: which keys a client wants to hear of.

use super::on_off;
use crate::base::Bytes;
use crate::engine::Call;
use crate::engine::client::ClientId;
use crate::engine::command::Outcome;
use crate::engine::refusal::{self, Refusal};
use crate::engine::tracking::Tracking;
use crate::resp::Reply;

pub(super) fn tracking(call: &mut Call) -> Outcome {
    let mut wanted = Tracking::default();
    let mut prefixes: Vec<Bytes> = Vec::new();
    let mut at = 3;
    while at < call.args.len() {
        let more = at + 1 < call.args.len();
        if call.is(at, "REDIRECT") && more {
            at += 1;
            if wanted.redirect.is_some() {
                return Err(Refusal::new("ERR A client can only redirect to a single other client"));
            }
            let id = call.int(at)?;
            let id = u64::try_from(id).ok().map(ClientId).filter(|id| call.server.clients.contains_key(id));
            wanted.redirect = Some(id.ok_or(Refusal::new("ERR The client ID you want redirect to does not exist"))?);
        } else if call.is(at, "BCAST") {
            wanted.broadcast = true;
        } else if call.is(at, "OPTIN") {
            wanted.opt_in = true;
        } else if call.is(at, "OPTOUT") {
            wanted.opt_out = true;
        } else if call.is(at, "NOLOOP") {
            wanted.no_loop = true;
        } else if call.is(at, "PREFIX") && more {
            at += 1;
            prefixes.push(call.args[at].clone());
        } else {
            return Err(refusal::SYNTAX);
        }
        at += 1;
    }
    let me = call.client;
    if !on_off(call)? {
        call.server.untrack(me);
        return Ok(Reply::OK);
    }
    let before = call.me().tracking.as_deref().cloned();
    check_tracking(&wanted, &prefixes, before.as_ref())?;
    if wanted.broadcast {
        wanted.prefixes = before.as_ref().map(|it| it.prefixes.clone()).unwrap_or_default();
        wanted.prefixes.extend(if prefixes.is_empty() { vec![Bytes::new()] } else { prefixes });
    }
    if before.is_none() {
        call.server.trackers.clients += 1;
    }
    call.me_mut().tracking = Some(Box::new(wanted));
    Ok(Reply::OK)
}

/// Options that do not go together, with each other or with what is in force.
fn check_tracking(wanted: &Tracking, prefixes: &[Bytes], before: Option<&Tracking>) -> Result<(), Refusal> {
    if !wanted.broadcast && !prefixes.is_empty() {
        return Err(Refusal::new("ERR PREFIX option requires BCAST mode to be enabled"));
    }
    if before.is_some_and(|before| before.broadcast != wanted.broadcast) {
        return Err(Refusal::new(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
        ));
    }
    if wanted.broadcast && (wanted.opt_in || wanted.opt_out) {
        return Err(Refusal::new("ERR OPTIN and OPTOUT are not compatible with BCAST"));
    }
    if wanted.opt_in && wanted.opt_out {
        return Err(Refusal::new("ERR You can't specify both OPTIN mode and OPTOUT mode"));
    }
    if before.is_some_and(|before| wanted.opt_in && before.opt_out || wanted.opt_out && before.opt_in) {
        return Err(Refusal::new(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
        ));
    }
    let overlap = |a: &Bytes, b: &Bytes| a.starts_with(b) || b.starts_with(a);
    for (index, prefix) in prefixes.iter().enumerate() {
        let mut others = before.into_iter().flat_map(|before| &before.prefixes);
        let clash = others.find(|other| overlap(other, prefix)).map(|other| ("an existing", other));
        let clash = clash.or_else(|| {
            prefixes[index + 1..].iter().find(|other| overlap(other, prefix)).map(|other| ("another provided", other))
        });
        if let Some((which, other)) = clash {
            return Err(Refusal::from(format!(
                "ERR Prefix '{}' overlaps with {which} prefix '{}'. Prefixes for a single client must not overlap.",
                prefix.printed(),
                other.printed()
            )));
        }
    }
    Ok(())
}

pub(super) fn caching(call: &mut Call) -> Outcome {
    let (yes, no) = (call.is(2, "YES"), call.is(2, "NO"));
    let Some(tracking) = call.me_mut().tracking.as_deref_mut() else {
        return Err(Refusal::new(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    if yes && !tracking.opt_in {
        return Err(Refusal::new("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."));
    }
    if no && !tracking.opt_out {
        return Err(Refusal::new("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."));
    }
    if !yes && !no {
        return Err(refusal::SYNTAX);
    }
    tracking.caching = true;
    Ok(Reply::OK)
}

/// The client that messages are redirected to: 0 for none, -1 without tracking.
fn redirection(call: &Call) -> Reply {
    let tracking = call.me().tracking.as_deref();
    Reply::Int(tracking.map_or(-1, |tracking| tracking.redirect.map_or(0, |id| id.0 as i64)))
}

pub(super) fn getredir(call: &mut Call) -> Outcome {
    Ok(redirection(call))
}

pub(super) fn trackinginfo(call: &mut Call) -> Outcome {
    let redirect = redirection(call);
    let mut flags = Vec::new();
    let mut prefixes = Vec::new();
    match call.me().tracking.as_deref() {
        None => flags.push("off"),
        Some(tracking) => {
            let known = [
                (true, "on"),
                (tracking.broadcast, "bcast"),
                (tracking.opt_in, "optin"),
                (tracking.opt_in && tracking.caching, "caching-yes"),
                (tracking.opt_out, "optout"),
                (tracking.opt_out && tracking.caching, "caching-no"),
                (tracking.no_loop, "noloop"),
                (tracking.redirect_broken, "broken_redirect"),
            ];
            flags.extend(known.iter().filter(|(set, _)| *set).map(|(_, name)| *name));
            prefixes.extend(tracking.prefixes.iter().cloned());
        }
    }
    Ok(Reply::Map(vec![
        (Reply::bulk("flags"), Reply::Set(flags.into_iter().map(Reply::bulk).collect())),
        (Reply::bulk("redirect"), redirect),
        (Reply::bulk("prefixes"), Reply::bulks(prefixes)),
    ]))
}

//! CLIENT: looking at connections, naming, ending, pausing and waking them, and how they track keys.

mod tracking;

use super::connection::check_name;
use super::parse;
use crate::base::{Bytes, Millis};
use crate::engine::client::{Client, ClientId, ReplyMode};
use crate::engine::command::{ADMIN, Command, LOADING, NOSCRIPT, Outcome, STALE};
use crate::engine::refusal::{self, Refusal};
use crate::engine::{Call, Pause, commands};
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[Command {
    name: "CLIENT",
    summary: "Look at connections and manage them.",
    since: "2.4.0",
    complexity: "Depends on the subcommand.",
    sub: &[
        Command {
            name: "CLIENT CACHING",
            syntax: "mode=<YES | NO>",
            summary: "Say whether the keys of the next command are to be tracked.",
            since: "6.0.0",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            run: tracking::caching,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT GETNAME",
            summary: "Read the name of this connection.",
            since: "2.6.9",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            run: getname,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT GETREDIR",
            summary: "Read which connection gets the invalidations of this one.",
            since: "6.0.0",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            run: tracking::getredir,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT HELP",
            summary: "List the subcommands.",
            since: "5.0.0",
            flags: LOADING.with(STALE),
            run: help,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT ID",
            summary: "Read the number of this connection.",
            since: "5.0.0",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            run: id,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT INFO",
            summary: "Describe this connection.",
            since: "6.2.0",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            tips: &["nondeterministic_output"],
            run: info,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT KILL",
            syntax: "filter=<old-format=ip:port@-2.8.12 | new-format=<ID client-id?=client-id@2.8.12 | TYPE \
                     client-type?=<NORMAL | MASTER@3.2.0 | SLAVE | REPLICA@5.0.0 | PUBSUB>@2.8.12 | USER \
                     username?=username | ADDR addr?=ip:port | LADDR laddr?=ip:port@6.2.0 | SKIPME skipme?=<YES | \
                     NO>> [<ID client-id | TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB> | USER \
                     username | ADDR ip:port | LADDR ip:port | SKIPME <YES | NO>> ...]>",
            summary: "Close connections.",
            since: "2.4.0",
            complexity: "O(N)",
            history: &[
                ("2.8.12", "Filters instead of an address."),
                ("2.8.12", "`ID`."),
                ("3.2.0", "`TYPE master`."),
                ("5.0.0", "`TYPE replica`, with `slave` as its older name."),
                ("6.2.0", "`LADDR`."),
            ],
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            run: kill,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT LIST",
            syntax: "[TYPE client-type=<NORMAL | MASTER | REPLICA | PUBSUB>@5.0.0] [ID client-id@6.2.0 \
                     [client-id ...]]",
            summary: "Describe all connections.",
            since: "2.4.0",
            complexity: "O(N)",
            history: &[
                ("2.8.12", "The field `id`."),
                ("5.0.0", "`TYPE`."),
                ("6.0.0", "The field `user`."),
                ("6.2.0", "The fields `argv-mem`, `tot-mem`, `laddr` and `redir`, and `ID`."),
                ("7.0.0", "The fields `resp`, `multi-mem`, `rbs` and `rbp`."),
                ("7.0.3", "The field `ssub`."),
            ],
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            tips: &["nondeterministic_output"],
            run: list,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT NO-EVICT",
            syntax: "enabled=<ON | OFF>",
            summary: "Protect this connection from being closed for want of memory.",
            since: "7.0.0",
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            run: no_evict,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT NO-TOUCH",
            syntax: "enabled=<ON | OFF>",
            summary: "Let the commands of this connection leave no mark on access times.",
            since: "7.2.0",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            run: no_touch,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT PAUSE",
            syntax: "timeout:integer mode=[WRITE | ALL]@6.2.0",
            summary: "Make all clients wait for a while.",
            since: "3.0.0",
            history: &[("6.2.0", "`WRITE` and `ALL`.")],
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            run: pause,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT REPLY",
            syntax: "action=<ON | OFF | SKIP>",
            summary: "Switch the replies to this connection off and on.",
            since: "3.2.0",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            run: reply,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT SETINFO",
            syntax: "attr=<LIB-NAME libname | LIB-VER libver>",
            summary: "Tell the server which client library is in use.",
            since: "7.2.0",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            run: setinfo,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT SETNAME",
            syntax: "connection-name",
            summary: "Give this connection a name.",
            since: "2.6.9",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            run: setname,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT TRACKING",
            syntax: "status=<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] \
                     [OPTIN] [OPTOUT] [NOLOOP]",
            summary: "Be told when keys that were read here change.",
            since: "6.0.0",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            run: tracking::tracking,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT TRACKINGINFO",
            summary: "Read how this connection tracks keys.",
            since: "6.2.0",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            run: tracking::trackinginfo,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT UNBLOCK",
            syntax: "client-id unblock-type=[TIMEOUT | ERROR]",
            summary: "End the wait of a blocked client.",
            since: "5.0.0",
            complexity: "O(log N)",
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            run: unblock,
            ..Command::CONNECTION
        },
        Command {
            name: "CLIENT UNPAUSE",
            summary: "End a pause of the clients.",
            since: "6.2.0",
            complexity: "O(N)",
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            run: unpause,
            ..Command::CONNECTION
        },
    ],
    ..Command::CONNECTION
}];

fn id(call: &mut Call) -> Outcome {
    Ok(Reply::Int(call.client.0 as i64))
}

fn info(call: &mut Call) -> Outcome {
    let line = format!("{}\n", call.describe_me());
    Ok(Reply::Verbatim("txt", Bytes::from(line)))
}

fn list(call: &mut Call) -> Outcome {
    let all: Vec<&Client> = if call.args.len() == 2 {
        call.server.clients.values().collect()
    } else if call.args.len() == 4 && call.is(2, "TYPE") {
        let kind = kind_named(&call.args[3])?;
        call.server.clients.values().filter(|client| client.kind() == kind).collect()
    } else if call.args.len() > 3 && call.is(2, "ID") {
        let ids: Result<Vec<i64>, Refusal> = (3..call.args.len())
            .map(|index| call.int(index).map_err(|_| Refusal::new("ERR Invalid client ID")))
            .collect();
        ids?.into_iter().filter_map(|id| call.server.clients.get(&ClientId(u64::try_from(id).ok()?))).collect()
    } else {
        return Err(refusal::SYNTAX);
    };
    let all: Vec<ClientId> = all.into_iter().map(|client| client.id).collect();
    let mut text = String::new();
    for id in all {
        text.push_str(&call.describe_client(id));
        text.push('\n');
    }
    Ok(Reply::Verbatim("txt", Bytes::from(text)))
}

/// A type of connection by the word that CLIENT LIST and KILL take.
fn kind_named(word: &Bytes) -> Result<&'static str, Refusal> {
    let kinds = [
        ("normal", "normal"),
        ("slave", "replica"),
        ("replica", "replica"),
        ("pubsub", "pubsub"),
        ("master", "master"),
    ];
    let found = kinds.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, kind)| *kind).ok_or_else(|| Refusal::from(format!("ERR Unknown client type '{}'", word.printed())))
}

/// Which connections CLIENT KILL means: all that fit every filter given.
#[derive(Default)]
struct Filter {
    addr: Option<Bytes>,
    laddr: Option<Bytes>,
    kind: Option<&'static str>,
    id: Option<u64>,
    user: Option<Bytes>,
    skip_me: bool,
}

impl Filter {
    fn parse(call: &Call) -> Result<Filter, Refusal> {
        let mut filter = Filter { skip_me: true, ..Filter::default() };
        for at in (2..call.args.len()).step_by(2) {
            let Some(value) = call.args.get(at + 1) else { return Err(refusal::SYNTAX) };
            if call.is(at, "ID") {
                let id = call.int(at + 1).ok().filter(|id| *id > 0);
                let id = id.ok_or(Refusal::new("ERR client-id should be greater than 0"))?;
                filter.id = Some(id as u64);
            } else if call.is(at, "TYPE") {
                filter.kind = Some(kind_named(value)?);
            } else if call.is(at, "ADDR") {
                filter.addr = Some(value.clone());
            } else if call.is(at, "LADDR") {
                filter.laddr = Some(value.clone());
            } else if call.is(at, "USER") {
                if call.server.acl.user(value).is_none() {
                    return Err(Refusal::from(format!("ERR No such user '{}'", value.printed())));
                }
                filter.user = Some(value.clone());
            } else if call.is(at, "SKIPME") {
                filter.skip_me = match (call.is(at + 1, "YES"), call.is(at + 1, "NO")) {
                    (true, _) => true,
                    (_, true) => false,
                    _ => return Err(refusal::SYNTAX),
                };
            } else {
                return Err(refusal::SYNTAX);
            }
        }
        Ok(filter)
    }

    fn fits(&self, client: &Client, me: ClientId) -> bool {
        self.addr.as_ref().is_none_or(|addr| addr == client.addr.as_str())
            && self.laddr.as_ref().is_none_or(|laddr| laddr == client.laddr.as_str())
            && self.kind.is_none_or(|kind| kind == client.kind())
            && self.id.is_none_or(|id| id == client.id.0)
            && self.user.as_ref().is_none_or(|user| *user == client.user.name)
            && !(self.skip_me && client.id == me)
    }
}

fn kill(call: &mut Call) -> Outcome {
    let old_form = call.args.len() == 3;
    let filter =
        if old_form { Filter { addr: Some(call.args[2].clone()), ..Filter::default() } } else { Filter::parse(call)? };
    let me = call.client;
    let doomed = call.server.clients.values().filter(|client| filter.fits(client, me));
    let doomed: Vec<ClientId> = doomed.map(|client| client.id).collect();
    doomed.iter().for_each(|id| call.server.drop_client(*id, call.out));
    match (old_form, doomed.len()) {
        (true, 0) => Err(Refusal::new("ERR No such client")),
        (true, _) => Ok(Reply::OK),
        (false, killed) => Ok(Reply::from(killed)),
    }
}

fn setname(call: &mut Call) -> Outcome {
    check_name(&call.args[2])?;
    call.me_mut().name = call.args[2].clone();
    Ok(Reply::OK)
}

fn getname(call: &mut Call) -> Outcome {
    let name = call.me().name.clone();
    Ok(if name.is_empty() { Reply::Nil } else { Reply::Bulk(name) })
}

fn setinfo(call: &mut Call) -> Outcome {
    let (name, value) = (&call.args[2], &call.args[3]);
    let is_name = call.is(2, "LIB-NAME");
    if !is_name && !call.is(2, "LIB-VER") {
        return Err(Refusal::from(format!("ERR Unrecognized option '{}'", name.printed())));
    }
    if check_name(value).is_err() {
        let text = format!("ERR {} cannot contain spaces, newlines or special characters.", name.printed());
        return Err(Refusal::from(text));
    }
    let me = call.me_mut();
    *(if is_name { &mut me.lib_name } else { &mut me.lib_ver }) = value.clone();
    Ok(Reply::OK)
}

fn reply(call: &mut Call) -> Outcome {
    if call.is(2, "ON") {
        call.me_mut().reply_mode = ReplyMode::On;
        return Ok(Reply::OK);
    }
    if call.is(2, "OFF") {
        call.me_mut().reply_mode = ReplyMode::Off;
    } else if call.is(2, "SKIP") {
        if call.me().reply_mode != ReplyMode::Off {
            call.me_mut().reply_mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(refusal::SYNTAX);
    }
    Ok(Reply::None)
}

/// ON or OFF at argument 2.
fn on_off(call: &Call) -> Result<bool, Refusal> {
    match (call.is(2, "ON"), call.is(2, "OFF")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(refusal::SYNTAX),
    }
}

fn no_evict(call: &mut Call) -> Outcome {
    call.me_mut().no_evict = on_off(call)?;
    Ok(Reply::OK)
}

fn no_touch(call: &mut Call) -> Outcome {
    call.me_mut().no_touch = on_off(call)?;
    Ok(Reply::OK)
}

fn pause(call: &mut Call) -> Outcome {
    let all = match call.args.get(3) {
        None => true,
        Some(_) if call.is(3, "ALL") => true,
        Some(_) if call.is(3, "WRITE") => false,
        Some(_) => return Err(Refusal::new("ERR CLIENT PAUSE mode must be WRITE or ALL")),
    };
    let span = parse::timeout_ms(call, 2)?;
    hold_everybody(call, span, all);
    Ok(Reply::OK)
}

/// Lets all clients wait for `span`; without `all` only those that write.
pub fn hold_everybody(call: &mut Call, span: Millis, all: bool) {
    let until = call.now + span;
    // A second pause never shortens or loosens the first.
    let before = call.server.pause.filter(|pause| pause.until > call.now);
    call.server.pause = Some(Pause {
        until: before.map_or(until, |pause| pause.until.max(until)),
        all: all || before.is_some_and(|pause| pause.all),
    });
}

fn unpause(call: &mut Call) -> Outcome {
    if let Some(pause) = &mut call.server.pause {
        pause.until = Millis::ZERO;
    }
    Ok(Reply::OK)
}

fn unblock(call: &mut Call) -> Outcome {
    let error = match call.args.get(3) {
        None => false,
        Some(_) if call.is(3, "TIMEOUT") => false,
        Some(_) if call.is(3, "ERROR") => true,
        Some(_) => return Err(Refusal::new("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    let id = ClientId(call.int(2)?.max(0) as u64);
    let Some(blocked) = call.server.clients.get(&id).and_then(|client| client.blocked.as_ref()) else {
        return Ok(Reply::Int(0));
    };
    let reply = if error {
        Reply::error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
    } else {
        call.server.acks_so_far(id).unwrap_or_else(|| blocked.timeout_reply.clone())
    };
    call.server.woken.push((id, reply));
    Ok(Reply::Int(1))
}

fn help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "CLIENT",
        &[
            "CACHING (YES|NO)",
            "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
            "GETREDIR",
            "    Return the client ID we are redirecting to when tracking is enabled.",
            "GETNAME",
            "    Return the name of the current connection.",
            "ID",
            "    Return the ID of the current connection.",
            "INFO",
            "    Return information about the current client connection.",
            "KILL <ip:port>",
            "    Kill connection made from <ip:port>.",
            "KILL <option> <value> [<option> <value> [...]]",
            "    Kill connections. Options are:",
            "    * ADDR (<ip:port>|<unixsocket>:0)",
            "      Kill connections made from the specified address",
            "    * LADDR (<ip:port>|<unixsocket>:0)",
            "      Kill connections made to specified local address",
            "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
            "      Kill connections by type.",
            "    * USER <username>",
            "      Kill connections authenticated by <username>.",
            "    * SKIPME (YES|NO)",
            "      Skip killing current connection (default: yes).",
            "LIST [options ...]",
            "    Return information about client connections. Options:",
            "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
            "      Return clients of specified type.",
            "UNPAUSE",
            "    Stop the current client pause, resuming traffic.",
            "PAUSE <timeout> [WRITE|ALL]",
            "    Suspend all, or just write, clients for <timeout> milliseconds.",
            "REPLY (ON|OFF|SKIP)",
            "    Control the replies sent to the current connection.",
            "SETNAME <name>",
            "    Assign the name <name> to the current connection.",
            "SETINFO <option> <value>",
            "    Set client meta attr. Options are:",
            "    * LIB-NAME: the client lib name.",
            "    * LIB-VER: the client lib version.",
            "UNBLOCK <clientid> [TIMEOUT|ERROR]",
            "    Unblock the specified blocked client.",
            "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
            "         [OPTIN] [OPTOUT] [NOLOOP]",
            "    Control server assisted client side caching.",
            "TRACKINGINFO",
            "    Report tracking status for the current connection.",
            "NO-EVICT (ON|OFF)",
            "    Protect current client connection from eviction.",
            "NO-TOUCH (ON|OFF)",
            "    Will not touch LRU/LFU stats when this mode is on.",
        ],
    ))
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::transcript;

    // The longest pause was taken, and no client could ever end it: UNPAUSE would have had to wait as well.
    #[test]
    fn a_pause_ends_at_a_moment_that_there_is() {
        transcript(
            "
            > CLIENT PAUSE 9223372036854775807
            (error) ERR timeout is out of range
            > CLIENT PAUSE -1
            (error) ERR timeout is negative
            > CLIENT PAUSE soon
            (error) ERR timeout is not an integer or out of range
            > PING
            PONG
        ",
        );
    }
}

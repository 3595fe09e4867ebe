//! The connection itself: who is there, which protocol it speaks, which database it is in.

use crate::base::{Bytes, carry};
use crate::engine::Call;
use crate::engine::acl::log::{Context, Reason};
use crate::engine::command::{ALLOW_BUSY, Command, FAST, LOADING, NO_AUTH, NOSCRIPT, NOT_QUEUED, Outcome, STALE};
use crate::engine::refusal::{self, Refusal};
use crate::resp::{Protocol, Reply};
use std::sync::Arc;

pub const COMMANDS: &[Command] = &[
    Command {
        name: "AUTH",
        syntax: "[username@6.0.0] password",
        summary: "Say who you are, with a password.",
        complexity: "O(N)",
        history: &[("6.0.0", "A username may be given before the password.")],
        flags: NOSCRIPT.with(LOADING).with(STALE).with(FAST).with(NO_AUTH).with(ALLOW_BUSY),
        run: auth,
        ..Command::CONNECTION
    },
    Command {
        name: "HELLO",
        syntax: "arguments=[protover:integer [AUTH auth=(username password)] [SETNAME clientname]]",
        summary: "Choose the protocol, and log in or name the connection on the way.",
        since: "6.0.0",
        history: &[("6.2.0", "May be called without a version, to ask for what is in use.")],
        flags: NOSCRIPT.with(LOADING).with(STALE).with(FAST).with(NO_AUTH).with(ALLOW_BUSY),
        run: hello,
        ..Command::CONNECTION
    },
    Command {
        name: "PING",
        syntax: "[message]",
        summary: "Ask whether the server is there.",
        flags: FAST,
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        run: ping,
        ..Command::CONNECTION
    },
    Command {
        name: "ECHO",
        syntax: "message",
        summary: "Get back what was sent.",
        flags: LOADING.with(STALE).with(FAST),
        run: echo,
        ..Command::CONNECTION
    },
    Command {
        name: "SELECT",
        syntax: "index",
        summary: "Change to another numbered database.",
        flags: LOADING.with(STALE).with(FAST),
        run: select,
        ..Command::CONNECTION
    },
    Command {
        name: "QUIT",
        syntax: "[ignored:hidden ...]",
        summary: "Close the connection.",
        deprecated: Some(("7.2.0", "closing the connection")),
        flags: ALLOW_BUSY.with(NOSCRIPT).with(LOADING).with(STALE).with(FAST).with(NO_AUTH).with(NOT_QUEUED),
        run: quit,
        ..Command::CONNECTION
    },
    Command {
        name: "RESET",
        summary: "Put the connection back into the state of a new one.",
        since: "6.2.0",
        flags: NOSCRIPT.with(LOADING).with(STALE).with(FAST).with(NO_AUTH).with(ALLOW_BUSY).with(NOT_QUEUED),
        run: reset,
        ..Command::CONNECTION
    },
];

fn auth(call: &mut Call) -> Outcome {
    if call.args.len() > 3 {
        return Err(refusal::SYNTAX);
    }
    call.redact(1);
    let (user, password) = match call.args {
        [_, password] => {
            if call.server.acl.default_user().nopass {
                return Err(Refusal::new(
                    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
                ));
            }
            (&b"default"[..], password)
        }
        [_, user, password] => {
            call.redact(2);
            (&user[..], password)
        }
        _ => unreachable!("the arity was checked"),
    };
    log_in(call, user, password)?;
    Ok(Reply::OK)
}

fn log_in(call: &mut Call, name: &[u8], password: &[u8]) -> Result<(), Refusal> {
    if let Some(user) = call.server.acl.login(name, password) {
        let user = Arc::clone(user);
        let me = call.me_mut();
        (me.user, me.authenticated) = (user, true);
        return Ok(());
    }
    let context = if call.may_block { Context::TopLevel } else { Context::Multi };
    let (me, object, args) = (call.client, call.args[0].clone(), call.args);
    call.server.log_denied(me, Reason::Auth, context, Bytes::copy(name), object, args);
    Err(refusal::WRONGPASS)
}

fn hello(call: &mut Call) -> Outcome {
    let mut protocol = None;
    if call.args.len() > 1 {
        let version =
            call.int(1).map_err(|_| Refusal::new("ERR Protocol version is not an integer or out of range"))?;
        protocol = Some(match version {
            2 => Protocol::Resp2,
            3 => Protocol::Resp3,
            _ => return Err(Refusal::new("NOPROTO unsupported protocol version")),
        });
    }
    let (mut name, mut login) = (None, None);
    let mut at = 2;
    while at < call.args.len() {
        let more = call.args.len() - 1 - at;
        if call.is(at, "AUTH") && more >= 2 {
            call.redact(at + 1);
            call.redact(at + 2);
            login = Some((&call.args[at + 1], &call.args[at + 2]));
            at += 3;
        } else if call.is(at, "SETNAME") && more >= 1 {
            name = Some(&call.args[at + 1]);
            check_name(&call.args[at + 1])?;
            at += 2;
        } else {
            return Err(Refusal::from(format!("ERR Syntax error in HELLO option '{}'", call.args[at].printed())));
        }
    }
    if let Some((user, password)) = login {
        log_in(call, user, password)?;
    }
    if !call.me().authenticated {
        return Err(Refusal::new(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    let mode = if call.server.cluster.is_some() { "cluster" } else { "standalone" };
    let role = if call.server.is_replica() { "replica" } else { "master" };
    let me = call.me_mut();
    if let Some(name) = name {
        me.name = name.clone();
    }
    me.protocol = protocol.unwrap_or(me.protocol);
    let spoken = if me.protocol == Protocol::Resp3 { 3 } else { 2 };
    let id = me.id.0 as i64;
    let fields = [
        ("server", Reply::bulk("redis")),
        ("version", Reply::bulk(crate::engine::VERSION)),
        ("proto", Reply::Int(spoken)),
        ("id", Reply::Int(id)),
        ("mode", Reply::bulk(mode)),
        // The wire keeps Redis' word for a primary.
        ("role", Reply::bulk(role)),
        ("modules", Reply::Array(Vec::new())),
    ];
    Ok(Reply::Map(fields.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect()))
}

/// Whether `name` may be a connection's name: else CLIENT LIST could not be split at blanks.
pub fn check_name(name: &[u8]) -> Result<(), Refusal> {
    if carry::before_zero(name).iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(());
    }
    Err(Refusal::new("ERR Client names cannot contain spaces, newlines or special characters."))
}

fn ping(call: &mut Call) -> Outcome {
    if call.args.len() > 2 {
        return Err(refusal::wrong_arity("ping"));
    }
    let text = call.args.get(1).cloned();
    if call.protocol == Protocol::Resp2 && call.me().is_subscriber() {
        return Ok(Reply::Array(vec![Reply::bulk("pong"), Reply::Bulk(text.unwrap_or_else(Bytes::new))]));
    }
    Ok(text.map_or(Reply::status("PONG"), Reply::Bulk))
}

fn echo(call: &mut Call) -> Outcome {
    Ok(Reply::Bulk(call.args[1].clone()))
}

fn select(call: &mut Call) -> Outcome {
    let index = call.int(1)?;
    if i32::try_from(index).is_err() {
        return Err(Refusal::new("ERR value is out of range, value must between -2147483648 and 2147483647"));
    }
    if call.server.cluster.is_some() && index != 0 {
        return Err(Refusal::new("ERR SELECT is not allowed in cluster mode"));
    }
    let index = usize::try_from(index).ok().filter(|index| *index < call.server.dbs.len()).ok_or(refusal::DB_INDEX)?;
    call.me_mut().db = index;
    Ok(Reply::OK)
}

fn quit(call: &mut Call) -> Outcome {
    call.me_mut().closing = true;
    Ok(Reply::OK)
}

fn reset(call: &mut Call) -> Outcome {
    let me = call.client;
    call.server.reset_client(me);
    Ok(Reply::status("RESET"))
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::Lab;
    use crate::resp::Reply;

    /// What HELLO says of `field`.
    fn told(lab: &mut Lab, field: &str) -> Reply {
        let Reply::Array(parts) = lab.ask(&["HELLO"]) else { panic!("RESP2 has no maps") };
        let at = parts.iter().position(|part| *part == Reply::bulk(field)).expect("a field");
        parts[at + 1].clone()
    }

    #[test]
    fn hello_tells_the_role_and_the_mode_of_the_server() {
        let mut lab = Lab::new(1);
        assert_eq!(
            (told(&mut lab, "role"), told(&mut lab, "mode")),
            (Reply::bulk("master"), Reply::bulk("standalone"))
        );
        lab.ask(&["REPLICAOF", "127.0.0.1", "7000"]);
        assert_eq!(told(&mut lab, "role"), Reply::bulk("replica"));
    }
}

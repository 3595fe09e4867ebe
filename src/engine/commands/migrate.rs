//! MIGRATE: hands keys over to another server. What happens on the way stands in `engine::migrate`.

use crate::base::{Bytes, Millis};
use crate::engine::Call;
use crate::engine::command::{Command, Keys, MOVABLEKEYS, Outcome, Spec, WRITE};
use crate::engine::link::Address;
use crate::engine::migrate::Order;
use crate::engine::persist::rdb;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::string::parse_int;
use crate::resp::{Reply, encode};

pub const COMMANDS: &[Command] = &[Command {
    name: "MIGRATE",
    syntax: "host port key-selector=<key | empty-string=\"\"> destination-db timeout:integer [COPY@3.0.0] \
             [REPLACE@3.0.0] authentication=[AUTH auth=password@4.0.7 | AUTH2 auth2=(username password)@6.0.0] [KEYS \
             keys=key@3.0.6 [key ...]]",
    summary: "Hand keys over to another server, so that they are never in both or in none.",
    since: "2.6.0",
    complexity: "O(N*M) for the DUMP here, the RESTORE there and the way, N the number of elements and M their size",
    history: &[("3.0.0", "`COPY` and `REPLACE`."), ("3.0.6", "`KEYS`."), ("4.0.7", "`AUTH`."), ("6.0.0", "`AUTH2`.")],
    flags: WRITE.with(MOVABLEKEYS),
    acl: &["keyspace", "dangerous"],
    keys: Keys::Told { find: keys, specs: &[Spec::At(3), Spec::Behind { word: "KEYS", from: -2, last: -1 }] },
    tips: &["nondeterministic_output"],
    run: migrate,
    ..Command::GENERIC
}];

/// An option's word, and how many words belong to it.
const OPTIONS: [(&str, usize); 4] = [("COPY", 0), ("REPLACE", 0), ("AUTH", 1), ("AUTH2", 2)];

/// The single key, or those behind KEYS.
fn keys(args: &[Bytes]) -> Vec<usize> {
    if args.get(3).is_some_and(|key| key.is_empty()) {
        let mut at = 6;
        while let Some(word) = args.get(at) {
            if word.eq_ignore_ascii_case(b"KEYS") {
                return (at + 1..args.len()).collect();
            }
            let option = OPTIONS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
            at += 1 + option.map_or(0, |(_, more)| *more);
        }
    }
    if args.len() > 3 { vec![3] } else { Vec::new() }
}

#[derive(Default)]
struct Options {
    copy: bool,
    replace: bool,
    /// Password, or user and password.
    login: Vec<Bytes>,
    keys: Option<usize>,
}

impl Options {
    fn parse(call: &mut Call) -> Result<Options, Refusal> {
        let mut options = Options::default();
        let mut at = 6;
        while at < call.args.len() {
            let more = call.args.len() - 1 - at;
            if call.is(at, "COPY") {
                options.copy = true;
            } else if call.is(at, "REPLACE") {
                options.replace = true;
            } else if call.is(at, "AUTH") && more >= 1 {
                at += 1;
                call.redact(at);
                options.login = vec![call.args[at].clone()];
            } else if call.is(at, "AUTH2") && more >= 2 {
                call.redact(at + 1);
                call.redact(at + 2);
                options.login = call.args[at + 1..at + 3].to_vec();
                at += 2;
            } else if call.is(at, "KEYS") {
                if !call.args[3].is_empty() {
                    return Err(Refusal::new(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                options.keys = Some(at + 1);
                break;
            } else {
                return Err(refusal::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }
}

fn migrate(call: &mut Call) -> Outcome {
    let options = Options::parse(call)?;
    let timeout = call.int(5)?;
    let db = call.int(4)?;
    let timeout = Millis(u64::try_from(timeout).ok().filter(|ms| *ms > 0).unwrap_or(1000));
    let named = options.keys.map_or(&call.args[3..4], |first| &call.args[first..]);
    let mut present: Vec<Bytes> = Vec::new();
    for key in named {
        if call.read_value(key).is_some() {
            present.push(key.clone());
        }
    }
    if present.is_empty() {
        return Ok(Reply::status("NOKEY"));
    }
    if !call.may_block {
        // The server would have to stand still in the middle of a command.
        return Err(Refusal::new("ERR MIGRATE inside a transaction or a script is not possible here"));
    }
    let mut request = Vec::new();
    let mut put = |words: &[&[u8]]| encode::request(&mut request, words);
    if !options.login.is_empty() {
        let words: Vec<&[u8]> = std::iter::once(&b"AUTH"[..]).chain(options.login.iter().map(|word| &**word)).collect();
        put(&words);
    }
    put(&[b"SELECT", db.to_string().as_bytes()]);
    let restore: &[u8] = if call.server.cluster.is_some() { b"RESTORE-ASKING" } else { b"RESTORE" };
    let limits = call.limits();
    for key in &present {
        let ttl = call.expires_at(key).map_or(0, |at| at.since(call.now).0.max(1)).to_string();
        let Some(slot) = call.db_ref().slot(key) else { continue };
        let dump = rdb::dump_value(&slot.value, &limits);
        let words: [&[u8]; 5] = [restore, key, ttl.as_bytes(), &dump, b"REPLACE"];
        put(&words[..if options.replace { 5 } else { 4 }]);
    }
    let target = Address { host: call.args[1].lossy().into_owned(), port: port(&call.args[2]) };
    let order = Order {
        target,
        db: call.db,
        keys: present,
        copy: options.copy,
        timeout,
        request,
        preludes: 1 + usize::from(!options.login.is_empty()),
    };
    let waits = call.block(&[], "", Millis::ZERO, Reply::OK);
    call.server.begin_migration(call.client, order, call.now, call.out);
    waits
}

/// As atoi(3) reads it; a port that is none refuses the connection.
fn port(text: &[u8]) -> u16 {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    parse_int(&text[..digits]).and_then(|port| u16::try_from(port).ok()).unwrap_or(0)
}

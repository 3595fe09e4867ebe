//! A MIGRATE under way: keys travel to another server over a link, which answers for each of them.
//!
//! Redis blocks while that lasts: nobody else is served until the target has answered or the time is over. Here the client
//! waits, and what others send is held until then. The bus goes on meanwhile, and connections are not kept for later.

use super::client::ClientId;
use super::link::{Address, LinkId, Owner};
use super::notify::Class;
use super::{Env, Input, Instance, Outbox, Output};
use crate::base::{Bytes, Millis};
use crate::resp::Reply;

/// What MIGRATE asks for.
#[derive(Clone, Debug)]
pub struct Order {
    pub target: Address,
    pub db: usize,
    /// The keys that are sent, in order.
    pub keys: Vec<Bytes>,
    /// They stay here too.
    pub copy: bool,
    pub timeout: Millis,
    /// All requests: AUTH, SELECT, and a RESTORE for each key.
    pub request: Vec<u8>,
    /// How many answers come before those for keys, AUTH and SELECT.
    pub preludes: usize,
}

#[derive(Clone, Debug)]
pub struct Migration {
    client: ClientId,
    order: Order,
    link: LinkId,
    up: bool,
    /// Connect, or the next answer, by then.
    pub deadline: Millis,
    received: Vec<u8>,
    preludes_seen: usize,
    /// AUTH or SELECT was refused: no key counts as moved.
    shut_out: bool,
    answered: usize,
    moved: Vec<Bytes>,
    /// The first error that the target answered.
    error: Option<String>,
    retried: bool,
    /// Who sent something meanwhile, first come first.
    pub held: Vec<ClientId>,
}

/// Redis finds out that nobody listens only when it writes.
const NO_LISTENER: &str = "IOERR error or timeout writing to target instance";
const NO_CONNECTION: &str = "IOERR error or timeout connecting to the client";
const NO_ANSWER: &str = "IOERR error or timeout reading to target instance";

impl Instance {
    /// Begins; the client must be blocked already.
    pub fn begin_migration(&mut self, client: ClientId, order: Order, now: Millis, out: &mut Outbox) {
        let link = self.links.dial(Owner::Migrate, order.target.clone(), out);
        let deadline = now + order.timeout;
        self.migration = Some(Box::new(Migration {
            client,
            order,
            link,
            up: false,
            deadline,
            received: Vec::new(),
            preludes_seen: 0,
            shut_out: false,
            answered: 0,
            moved: Vec::new(),
            error: None,
            retried: false,
            held: Vec::new(),
        }));
    }

    /// The link to the target has brought something.
    pub(super) fn migration_input(&mut self, env: &mut Env, input: Input, out: &mut Outbox) {
        let Some(migration) = &mut self.migration else { return };
        match input {
            Input::LinkUp(link) if link == migration.link => {
                migration.up = true;
                migration.deadline = env.now + migration.order.timeout;
                out.push(Output::LinkSend(link, migration.order.request.clone()));
            }
            Input::LinkBytes(link, bytes) if link == migration.link => {
                migration.received.extend_from_slice(&bytes);
                self.read_answers(env, out);
            }
            Input::LinkDown(link) if link == migration.link => {
                let fresh = migration.answered == 0 && migration.error.is_none();
                if fresh && migration.up && !migration.retried {
                    // Perhaps the target has just been started again.
                    migration.retried = true;
                    migration.up = false;
                    migration.received.clear();
                    migration.preludes_seen = 0;
                    migration.deadline = env.now + migration.order.timeout;
                    let target = migration.order.target.clone();
                    let link = self.links.dial(Owner::Migrate, target, out);
                    self.migration.as_mut().expect("looked up above").link = link;
                } else {
                    let why = migration.failure();
                    self.end_migration(Some(why), out);
                }
            }
            _ => {}
        }
    }

    fn read_answers(&mut self, env: &Env, out: &mut Outbox) {
        while let Some(migration) = &mut self.migration
            && let Some(end) = migration.received.windows(2).position(|pair| pair == b"\r\n")
        {
            let line: Vec<u8> = migration.received.drain(..end + 2).take(end).collect();
            let error = line.strip_prefix(b"-").map(|text| String::from_utf8_lossy(text).into_owned());
            migration.deadline = env.now + migration.order.timeout;
            if migration.preludes_seen < migration.order.preludes {
                migration.preludes_seen += 1;
                migration.shut_out |= error.is_some();
            } else {
                let key = migration.order.keys[migration.answered].clone();
                migration.answered += 1;
                if error.is_none() && !migration.shut_out {
                    migration.moved.push(key);
                }
            }
            if let Some(text) = error {
                migration.error.get_or_insert(text);
            }
            if migration.answered == migration.order.keys.len() {
                self.end_migration(None, out);
            }
        }
    }

    /// Removes what has moved, answers, and lets the others go on. `broken`: why it did not come to its end.
    fn end_migration(&mut self, broken: Option<&'static str>, out: &mut Outbox) {
        let Some(migration) = self.migration.take() else { return };
        let db = migration.order.db;
        // In Redis nothing else happens during MIGRATE. Who has become a replica here meanwhile changes nothing by itself: its
        // new primary has the keys still.
        let moves = !migration.order.copy && !self.is_replica();
        if moves && !migration.moved.is_empty() {
            for key in &migration.moved {
                self.dbs[db].remove(key);
                self.touch(db, key);
                self.notify(db, Class::Generic, "del", key, out);
                self.dirty += 1;
            }
            let words = std::iter::once(Bytes::from("DEL")).chain(migration.moved.iter().cloned());
            self.propagate(db, words.collect());
        }
        self.links.close(migration.link, out);
        let reply = match (&migration.error, broken) {
            (Some(text), _) => Reply::error(format!("ERR Target instance replied with error: {text}")),
            (None, Some(why)) => Reply::error(why),
            (None, None) => Reply::OK,
        };
        self.end_wait(migration.client, reply, out);
        self.waiting.resumed.extend(migration.held);
    }

    /// Ends a migration whose target has been silent for too long.
    pub(super) fn end_late_migration(&mut self, now: Millis, out: &mut Outbox) {
        if let Some(migration) = self.migration.as_ref().filter(|migration| migration.deadline <= now) {
            let why = migration.failure();
            self.end_migration(Some(why), out);
        }
    }

    /// While keys travel nobody is served: what a client sends waits. Whether it does.
    pub(super) fn hold_for_migration(&mut self, id: ClientId, args: &[Bytes]) -> bool {
        let Some(migration) = &mut self.migration else { return false };
        let Some(client) = self.clients.get_mut(&id) else { return false };
        client.waiting.push_back(args.to_vec());
        if !migration.held.contains(&id) {
            migration.held.push(id);
        }
        true
    }
}

impl Migration {
    /// What a link that ended, or brings nothing, means by now.
    fn failure(&self) -> &'static str {
        let host = self.order.target.host.as_str();
        match self.up {
            true => NO_ANSWER,
            false if host == "localhost" || host.parse::<core::net::IpAddr>().is_ok() => NO_LISTENER,
            false => NO_CONNECTION,
        }
    }
}

//! `client`: what the connection of a terminal is in: its database, its transaction, what it watches.

use super::form::{Range, Reader, field, needed};
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict};
use crate::snapshot::{Client, World};

pub const CLIENT: Kind = Kind {
    name: "client",
    about: "The connection that a terminal has open.",
    fields: &[
        needed("terminal", "TERMINAL", "whose connection"),
        field("connected", "true | false", "whether there is one (true)"),
        field("db", "N", "the database it selected"),
        field("multi", "true | false", "it is in MULTI"),
        field("queued", "N or RANGE", "commands queued since MULTI"),
        field("watching", "[KEY]", "exactly these keys"),
        field("subscriptions", "N or RANGE", "channels and patterns"),
        field("blocked", "true | false", "it waits for an answer"),
    ],
    example: "client: {terminal: alice, multi: true, queued: 2}",
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`client`", kind.fields)?;
        Some(Assertion::of(ClientCheck {
            terminal: reader.terminal(fields.get("terminal")?)?,
            connected: reader.maybe(&fields, "connected", Reader::flag)?.unwrap_or(true),
            db: reader.maybe(&fields, "db", Reader::range)?,
            multi: reader.maybe(&fields, "multi", Reader::flag)?,
            queued: reader.maybe(&fields, "queued", Reader::range)?,
            watching: fields.get("watching").map(|node| reader.texts(node)),
            subscriptions: reader.maybe(&fields, "subscriptions", Reader::range)?,
            blocked: reader.maybe(&fields, "blocked", Reader::flag)?,
        }))
    },
};

#[derive(Clone, Debug)]
struct ClientCheck {
    terminal: String,
    connected: bool,
    db: Option<Range>,
    multi: Option<bool>,
    queued: Option<Range>,
    watching: Option<Vec<String>>,
    subscriptions: Option<Range>,
    blocked: Option<bool>,
}

fn client_of<'w>(world: &'w World, terminal: &str) -> Option<&'w Client> {
    let mut clients = world.instances.iter().flat_map(|instance| &instance.clients);
    clients.find(|client| client.terminal.as_deref() == Some(terminal))
}

impl Check for ClientCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let who = format!("`{}`", self.terminal);
        let Some(client) = client_of(probe.world(), &self.terminal) else {
            return Verdict::new(!self.connected, format!("{who} has no connection."));
        };
        if !self.connected {
            return Verdict::new(false, format!("{who} is connected."));
        }
        let queued = client.queued.as_ref().map_or(0, Vec::len);
        let watched: Vec<String> = client.watched.iter().map(|(_, key)| key.lossy().into_owned()).collect();
        let same = |keys: &Vec<String>| keys.len() == watched.len() && keys.iter().all(|key| watched.contains(key));
        let facts = [
            (self.db.is_none_or(|want| want.holds(client.db as i64)), format!("{who} is in database {}.", client.db)),
            (
                self.multi.is_none_or(|want| want == client.queued.is_some()),
                match client.queued {
                    Some(_) => format!("{who} is in a transaction."),
                    None => format!("{who} is in no transaction."),
                },
            ),
            (
                self.queued.is_none_or(|want| want.holds(queued as i64)),
                format!("{who} has {queued} command{} queued.", if queued == 1 { "" } else { "s" }),
            ),
            (
                self.watching.as_ref().is_none_or(same),
                match watched.is_empty() {
                    true => format!("{who} watches nothing."),
                    false => format!("{who} watches {}.", watched.join(", ")),
                },
            ),
            (
                self.subscriptions.is_none_or(|want| want.holds(client.subscriptions as i64)),
                format!(
                    "{who} has {} subscription{}.",
                    client.subscriptions,
                    if client.subscriptions == 1 { "" } else { "s" }
                ),
            ),
            (
                self.blocked.is_none_or(|want| want == client.blocked),
                format!(
                    "{who} {}.",
                    if client.blocked { "waits for an answer" } else { "does not wait for an answer" }
                ),
            ),
        ];
        match facts.into_iter().find(|(met, _)| !met) {
            Some((_, saw)) => Verdict::new(false, saw),
            None => Verdict::new(true, format!("{who} is connected.")),
        }
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::Terminal(self.terminal.clone())]
    }

    fn literals(&self) -> Vec<String> {
        self.watching.clone().unwrap_or_default()
    }
}

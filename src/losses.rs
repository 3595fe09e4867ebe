//! What each server was given to keep and what became of it, told from the history: the bookkeeping behind the twin pane.
//!
//! A key is *lost* if a client wrote it and it is not there now. Eviction, expiry, deletion and FLUSHDB stand in the history as
//! they happen. What a crash took does not: nobody sees a key vanish. So a crash puts everything that was there in doubt, and
//! the snapshot decides: what the restarted server has was on disk, what it lacks was not.

use crate::base::{Bytes, Millis};
use crate::snapshot::{Event, Instance, State, What, World};
use std::collections::BTreeMap;

/// Why a key is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Memory was short.
    Evicted,
    /// Its time came to its end.
    Expired,
    /// A command removed it.
    Deleted,
    /// FLUSHDB or FLUSHALL.
    Flushed,
    /// The power failed before it had reached the platter.
    PowerCut,
    /// The process was killed before it had handed it to the kernel.
    Killed,
    /// The server ended by itself without saving it.
    Ended,
}

impl Why {
    pub const ALL: [Why; 7] =
        [Why::Evicted, Why::Expired, Why::Deleted, Why::Flushed, Why::PowerCut, Why::Killed, Why::Ended];

    /// Behind a number: "12 evicted".
    pub fn words(self) -> &'static str {
        match self {
            Why::Evicted => "evicted",
            Why::Expired => "expired",
            Why::Deleted => "deleted",
            Why::Flushed => "flushed",
            Why::PowerCut => "not on the platter",
            Why::Killed => "killed before they were written",
            Why::Ended => "not saved at the end",
        }
    }
}

/// A key that was written and is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    pub db: usize,
    pub key: Bytes,
    pub why: Why,
    pub at: Millis,
}

/// The keys of one prefix, `session:*`, on one server. Counts are of keys, not of writes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// Up to the first colon, which belongs to it; the whole key if there is none.
    pub prefix: String,
    pub written: usize,
    pub there: usize,
    /// The server is down: whether they come back is not known.
    pub in_doubt: usize,
    /// How many were lost in each way; only ways that happened.
    pub lost: BTreeMap<Why, usize>,
}

/// One server's books.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub instance: String,
    pub port: u16,
    pub running: bool,
    /// By prefix.
    pub groups: Vec<Group>,
    /// By time, then key.
    pub losses: Vec<Loss>,
}

impl Account {
    pub fn written(&self) -> usize {
        self.groups.iter().map(|group| group.written).sum()
    }

    pub fn there(&self) -> usize {
        self.groups.iter().map(|group| group.there).sum()
    }

    pub fn lost(&self, why: Why) -> usize {
        self.groups.iter().filter_map(|group| group.lost.get(&why)).sum()
    }
}

/// What is known of one key.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    There,
    /// It was there when its server ended so.
    InDoubt(Why, Millis),
    Gone(Why, Millis),
}

/// Keys of one server by database.
type Books = BTreeMap<(usize, Bytes), Standing>;

/// The books of every server in `world`, from everything that happened so far. O(events * log keys).
pub fn accounts(world: &World, events: &[Event]) -> Vec<Account> {
    world.instances.iter().map(|instance| account(world, instance, events)).collect()
}

fn account(world: &World, instance: &Instance, events: &[Event]) -> Account {
    let mut books = Books::new();
    let mut power = false;
    for event in events {
        match &event.what {
            What::PowerCut => power = true,
            _ if event.instance != instance.name => {}
            What::Key { db, key, event: what, .. } => enter(&mut books, *db, key, what, event.at),
            What::Process { state: State::Running, .. } => power = false,
            What::Process { state, .. } => {
                let why = match (power, state) {
                    (true, _) => Why::PowerCut,
                    (_, State::Crashed) => Why::Killed,
                    _ => Why::Ended,
                };
                for standing in books.values_mut().filter(|standing| **standing == Standing::There) {
                    *standing = Standing::InDoubt(why, event.at);
                }
            }
            _ => {}
        }
    }
    let running = instance.state == State::Running;
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut losses = Vec::new();
    for ((db, key), standing) in books {
        let prefix = prefix_of(&key);
        let group = groups.entry(prefix.clone()).or_insert_with(|| Group { prefix, ..Group::default() });
        group.written += 1;
        let (why, at) = match standing {
            Standing::There => {
                group.there += 1;
                continue;
            }
            Standing::InDoubt(..) if !running => {
                group.in_doubt += 1;
                continue;
            }
            Standing::InDoubt(..) if is_there(world, instance, db, &key) => {
                group.there += 1;
                continue;
            }
            Standing::InDoubt(why, at) | Standing::Gone(why, at) => (why, at),
        };
        *group.lost.entry(why).or_default() += 1;
        losses.push(Loss { db, key, why, at });
    }
    losses.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
    let groups = groups.into_values().collect();
    Account { instance: instance.name.clone(), port: instance.port, running, groups, losses }
}

/// Writes one change into the books.
fn enter(books: &mut Books, db: usize, key: &Bytes, what: &str, at: Millis) {
    let gone = |why| Standing::Gone(why, at);
    let standing = match what {
        "flushdb" => {
            let keys = books.range_mut((db, Bytes::new())..(db + 1, Bytes::new()));
            keys.filter(|(_, standing)| !matches!(standing, Standing::Gone(..)))
                .for_each(|(_, it)| *it = gone(Why::Flushed));
            return;
        }
        "swapdb" => {
            let other = key.lossy().parse().unwrap_or(db);
            let all = std::mem::take(books);
            let moved = |at| {
                if at == db {
                    other
                } else if at == other {
                    db
                } else {
                    at
                }
            };
            *books = all.into_iter().map(|((at, key), standing)| ((moved(at), key), standing)).collect();
            return;
        }
        // Under its new name or number it is still there: that is no loss.
        "rename_from" | "move_from" => {
            books.remove(&(db, key.clone()));
            return;
        }
        "evicted" => gone(Why::Evicted),
        "expired" => gone(Why::Expired),
        "del" => gone(Why::Deleted),
        _ => Standing::There,
    };
    books.insert((db, key.clone()), standing);
}

/// Snapshots carry the first keys by name only; what lies behind them is taken to be there.
fn is_there(world: &World, instance: &Instance, db: usize, key: &Bytes) -> bool {
    let Some(found) = instance.dbs.iter().find(|each| each.index == db) else { return false };
    let beyond = found.keys.len() < found.size && found.keys.last().is_some_and(|last| *key > last.name);
    beyond || crate::snapshot::alive(&found.keys, world.now, key)
}

fn prefix_of(key: &Bytes) -> String {
    let text = key.lossy();
    match text.find(':') {
        Some(at) => format!("{}*", &text[..=at]),
        None => text.into_owned(),
    }
}

/// The books as lines of text, columns in line.
pub fn report(accounts: &[Account]) -> Vec<String> {
    let mut rows: Vec<[String; 4]> = Vec::new();
    for account in accounts {
        for (nth, group) in account.groups.iter().enumerate() {
            let name = if nth == 0 { format!("{} ({})", account.instance, account.port) } else { String::new() };
            let mut fate: Vec<String> = group.lost.iter().map(|(why, n)| format!("{n} {}", why.words())).collect();
            if group.in_doubt > 0 {
                fate.push(format!("{} in doubt: the server is down", group.in_doubt));
            }
            let fate = if fate.is_empty() { "nothing lost".to_owned() } else { fate.join(", ") };
            let kept = format!("{} of {} there", group.there, group.written);
            rows.push([name, group.prefix.clone(), kept, fate]);
        }
        if account.groups.is_empty() {
            let name = format!("{} ({})", account.instance, account.port);
            rows.push([name, String::new(), String::new(), "nothing was written to it".to_owned()]);
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (name, prefix, kept) = (width(0), width(1), width(2));
    rows.iter().map(|[a, b, c, d]| format!("{a:<name$}  {b:<prefix$}  {c:<kept$}  {d}").trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot;

    fn key(at: u64, name: &str, what: &str) -> Event {
        let what = What::Key { db: 0, key: name.into(), event: what.into(), by: None };
        Event { sequence: at, at: Millis(at), instance: "redis".into(), what }
    }

    fn process(at: u64, state: State) -> Event {
        let what = What::Process { pid: 1, state, how: String::new() };
        Event { sequence: at, at: Millis(at), instance: "redis".into(), what }
    }

    fn world(state: State, names: &[&str]) -> World {
        let key = |name: &&str| snapshot::Key {
            name: (**name).into(),
            kind: "string",
            encoding: "embstr",
            length: 1,
            expires_at: None,
            memory_bytes: 50,
            value: snapshot::Value::String("x".into()),
        };
        let keys: Vec<snapshot::Key> = names.iter().map(key).collect();
        let db = snapshot::Db { index: 0, size: keys.len(), keys };
        let instance = Instance {
            name: "redis".into(),
            port: 6379,
            pid: 1,
            state,
            dbs: vec![db],
            clients: Vec::new(),
            disk: Default::default(),
            config: Vec::new(),
            used_memory_bytes: 0,
            expired_keys: 0,
            users: Vec::new(),
            evicted_keys: 0,
            replication: None,
            cluster: None,
        };
        World { instances: vec![instance], ..World::default() }
    }

    #[test]
    fn each_way_to_lose_a_key_has_its_own_name() {
        let mut events = vec![
            key(1, "cache:1", "set"),
            key(2, "cache:2", "set"),
            key(3, "session:1", "set"),
            key(4, "session:2", "set"),
            key(5, "cache:1", "evicted"),
            key(6, "session:1", "expired"),
            key(7, "", "flushdb"),
            key(8, "session:3", "set"),
        ];
        let books = |events: &[Event], world: &World| report(&accounts(world, events));
        assert_eq!(
            books(&events, &world(State::Running, &["session:3"])),
            [
                "redis (6379)  cache:*    0 of 2 there  1 evicted, 1 flushed",
                "              session:*  1 of 3 there  1 expired, 1 flushed"
            ]
        );
        events.push(process(9, State::Crashed));
        assert_eq!(
            books(&events, &world(State::Crashed, &[]))[1],
            "              session:*  0 of 3 there  1 expired, 1 flushed, 1 in doubt: the server is down"
        );
        events.push(process(10, State::Running));
        assert_eq!(
            books(&events, &world(State::Running, &[]))[1],
            "              session:*  0 of 3 there  1 expired, 1 flushed, 1 killed before they were written"
        );
        assert_eq!(
            books(&events, &world(State::Running, &["session:3"]))[1].split("  ").last(),
            Some("1 expired, 1 flushed")
        );
    }

    #[test]
    fn a_power_cut_is_told_from_kill_9_and_a_key_written_again_is_no_loss() {
        let cut = Event { sequence: 3, at: Millis(3), instance: String::new(), what: What::PowerCut };
        let mut events =
            vec![key(1, "a", "set"), key(2, "b", "set"), cut, process(4, State::Crashed), process(5, State::Running)];
        let lost = |events: &[Event]| accounts(&world(State::Running, &[]), events)[0].clone();
        assert_eq!((lost(&events).lost(Why::PowerCut), lost(&events).there()), (2, 0));
        events.push(key(6, "a", "set"));
        assert_eq!((lost(&events).lost(Why::PowerCut), lost(&events).there(), lost(&events).written()), (1, 1, 2));
    }

    #[test]
    fn renamed_moved_and_swapped_keys_are_not_lost() {
        let mut swap = key(4, "1", "swapdb");
        swap.sequence = 4;
        let events = vec![key(1, "a", "set"), key(2, "a", "rename_from"), key(3, "b", "rename_to"), swap];
        let account = accounts(&world(State::Running, &[]), &events).remove(0);
        assert_eq!((account.written(), account.there(), account.losses.len()), (1, 1, 0));
    }
}

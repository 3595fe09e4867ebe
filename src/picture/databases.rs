//! The numbered databases of each server: what is in each, who stands in which, and what they all share; and the ACL users.
//!
//! Databases have no names and no limits of their own: memory, configuration, persistence and eviction belong to the server.

use super::{Look, keys, letter, timeline};
use crate::base::quote;
use crate::snapshot::{Instance, State};

/// One server's databases.
#[derive(Clone, Debug, PartialEq)]
pub struct House {
    pub instance: String,
    pub port: u16,
    pub state: State,
    /// How many databases there are (`databases` of the configuration).
    pub count: usize,
    /// Those that hold something or that somebody stands in, by number.
    pub rooms: Vec<Room>,
    pub used_memory_bytes: u64,
    /// 0: no limit.
    pub maxmemory_bytes: u64,
    pub policy: String,
    pub users: Vec<Guest>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Room {
    pub index: usize,
    pub keys: usize,
    /// Of the keys that were looked at; all of them, unless `some`.
    pub expires: usize,
    pub bytes: usize,
    /// There are more keys than were looked at.
    pub some: bool,
    /// The terminals whose connection has selected it.
    pub residents: Vec<usize>,
}

/// An ACL user.
#[derive(Clone, Debug, PartialEq)]
pub struct Guest {
    pub name: String,
    pub on: bool,
    pub nopass: bool,
    /// The rules without the name and without the passwords' hashes.
    pub rules: String,
}

pub fn of(look: &Look) -> Vec<House> {
    look.world.instances.iter().map(|instance| house(look, instance)).collect()
}

fn house(look: &Look, instance: &Instance) -> House {
    let mut rooms: Vec<Room> = instance
        .dbs
        .iter()
        .map(|db| Room {
            index: db.index,
            keys: db.size,
            expires: db.keys.iter().filter(|key| key.expires_at.is_some()).count(),
            bytes: db.keys.iter().map(|key| key.memory_bytes).sum(),
            some: db.size > db.keys.len(),
            residents: Vec::new(),
        })
        .collect();
    for client in &instance.clients {
        let Some(lane) = look.terminals.iter().position(|name| client.terminal.as_ref() == Some(name)) else {
            continue;
        };
        match rooms.iter_mut().find(|room| room.index == client.db) {
            Some(room) => room.residents.push(lane),
            None => rooms.push(Room { index: client.db, residents: vec![lane], ..Room::default() }),
        }
    }
    rooms.sort_by_key(|room| room.index);
    rooms.iter_mut().for_each(|room| room.residents.sort_unstable());
    House {
        instance: instance.name.clone(),
        port: instance.port,
        state: instance.state,
        count: parameter(instance, "databases").parse().unwrap_or(16),
        rooms,
        used_memory_bytes: instance.used_memory_bytes,
        maxmemory_bytes: parameter(instance, "maxmemory").parse().unwrap_or(0),
        policy: parameter(instance, "maxmemory-policy").to_owned(),
        users: instance
            .users
            .iter()
            .map(|user| Guest {
                name: quote::word_of(&user.name),
                on: user.on,
                nopass: user.nopass,
                rules: rules(&user.rules),
            })
            .collect(),
    }
}

/// The running value of a parameter; empty if the server does not run.
pub fn parameter<'a>(instance: &'a Instance, name: &str) -> &'a str {
    instance.config.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
}

/// `user alice on #5e88... ~cache:* +get` without what is told elsewhere or is nobody's business: `~cache:* +get`.
fn rules(line: &str) -> String {
    let words = line.split(' ').skip(2);
    let kept =
        words.filter(|word| !matches!(*word, "on" | "off" | "nopass" | "sanitize-payload") && !word.starts_with('#'));
    kept.collect::<Vec<_>>().join(" ")
}

/// `900 B`, `1.5 kB`, `2.0 MB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, f64); 3] = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let found = UNITS.iter().find(|(_, unit)| bytes as f64 >= *unit);
    found.map_or_else(|| format!("{bytes} B"), |(name, unit)| format!("{:.1} {name}", bytes as f64 / unit))
}

/// `12 keys, 3 of them expire, 1.2 kB`.
pub fn room_words(room: &Room) -> String {
    let at_least = if room.some { "at least " } else { "" };
    match room.keys {
        0 => "empty".to_owned(),
        1 => {
            format!("1 key, {} expires, {}", if room.expires > 0 { "it" } else { "it never" }, size(room.bytes as u64))
        }
        n => format!("{n} keys, {at_least}{} expire, {at_least}{}", room.expires, size(room.bytes as u64)),
    }
}

/// `used memory 1.1 MB of 2.0 MB, allkeys-lru`.
pub fn memory_words(used: u64, max: u64, policy: &str) -> String {
    match max {
        0 => format!("used memory {}, no limit", size(used)),
        max => format!("used memory {} of {}, {policy}", size(used), size(max)),
    }
}

/// `on, no password`.
pub fn guest_words(guest: &Guest) -> String {
    let on = if guest.on { "on" } else { "off" };
    let pass = if guest.nopass { "no password" } else { "with a password" };
    format!("{on}, {pass}: {}", if guest.rules.is_empty() { "no rules" } else { guest.rules.as_str() })
}

/// The databases in sentences.
pub fn words(look: &Look) -> Vec<String> {
    let mut lines = Vec::new();
    for (house, instance) in of(look).iter().zip(&look.world.instances) {
        lines.push(keys::head(instance));
        if house.state != State::Running {
            continue;
        }
        for room in &house.rooms {
            let here: Vec<String> =
                room.residents.iter().map(|lane| timeline::name(Some(*lane), look.terminals)).collect();
            let here = if here.is_empty() { String::new() } else { format!(" Here: {}.", here.join(", ")) };
            lines.push(format!("  db {}: {}.{here}", room.index, room_words(room)));
        }
        let empty = house.count.saturating_sub(house.rooms.len());
        lines.push(format!("  {empty} more databases are empty, of {}.", house.count));
        lines.push(format!(
            "  Shared by all of them: {}; configuration, persistence and eviction.",
            memory_words(house.used_memory_bytes, house.maxmemory_bytes, &house.policy)
        ));
        for guest in &house.users {
            lines.push(format!("  User {}: {}.", guest.name, guest_words(guest)));
        }
    }
    lines
}

/// The letters of terminals, `A B`.
pub fn letters(lanes: &[usize]) -> String {
    lanes.iter().map(|lane| letter(*lane).to_string()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_shown_without_what_is_secret_or_said_elsewhere() {
        let line = "user alice on sanitize-payload #5e884898da28 ~cache:* resetchannels -@all +get";
        assert_eq!(rules(line), "~cache:* resetchannels -@all +get");
        assert_eq!(rules("user default on nopass sanitize-payload ~* &* +@all"), "~* &* +@all");
    }

    #[test]
    fn sizes_are_said_in_the_unit_that_suits() {
        for (bytes, text) in [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_000_000, "2.0 MB")] {
            assert_eq!(size(bytes), text);
        }
    }
}

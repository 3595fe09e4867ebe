//! Pictures of the lab as facts: what the screen draws and the plain lab says in sentences, made once for both.
//!
//! A picture is derived by looking: from a [`snapshot::World`](crate::snapshot::World), the events that led to it and the names
//! of the terminals. Each file holds one picture, as data, and the words for it. How it looks is the screen's business.

pub mod cluster;
pub mod databases;
pub mod keys;
pub mod orders;
pub mod timeline;
pub mod twin;

use crate::snapshot::{Event, World};

/// One of the pictures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Picture {
    Keys,
    Disk,
    Timeline,
    Orders,
    Databases,
    Twin,
    Cluster,
    Sql,
}

/// A picture's name in `:show NAME`, its title, and what it shows.
pub struct Entry {
    pub picture: Picture,
    pub name: &'static str,
    pub title: &'static str,
    pub says: &'static str,
}

/// All pictures.
pub const PICTURES: &[Entry] = &[
    entry(Picture::Keys, "keys", "Keys", "the keys of each server, with their values and the time they have left"),
    entry(Picture::Disk, "disk", "Disk", "what is in memory, in the page cache and on the platter"),
    entry(
        Picture::Timeline,
        "timeline",
        "Timeline",
        "the commands of all terminals in order: what waits for EXEC, who watches what, whose write broke whose watch",
    ),
    entry(
        Picture::Orders,
        "orders",
        "Orders",
        "what comes of two programs in every order, in which a race is found, and one order replayed",
    ),
    entry(
        Picture::Databases,
        "databases",
        "Databases",
        "the numbered databases of each server, who stands in which, what they share; the ACL users",
    ),
    entry(
        Picture::Twin,
        "servers",
        "Servers",
        "the servers side by side: memory, settings that differ, what each has lost and why",
    ),
    entry(
        Picture::Cluster,
        "cluster",
        "Cluster",
        "nodes, slots, votes, redirections, and what each node knows; one message at a time while the network stands still",
    ),
    entry(Picture::Sql, "tables", "Tables", "the tables of the SQL database"),
];

const fn entry(picture: Picture, name: &'static str, title: &'static str, says: &'static str) -> Entry {
    Entry { picture, name, title, says }
}

impl Picture {
    /// The picture of this name; a beginning of it is enough.
    pub fn named(name: &str) -> Option<Picture> {
        let wanted = name.trim().to_ascii_lowercase();
        let found = PICTURES.iter().find(|entry| !wanted.is_empty() && entry.name.starts_with(&wanted));
        found.map(|entry| entry.picture)
    }

    pub fn entry(self) -> &'static Entry {
        PICTURES.iter().find(|entry| entry.picture == self).expect("every picture stands in the table (tested)")
    }

    pub fn title(self) -> &'static str {
        self.entry().title
    }
}

/// What pictures are made from.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    pub world: &'a World,
    /// Oldest first.
    pub events: &'a [Event],
    /// Where among them the current exercise began.
    pub first_event: usize,
    /// The names of the lab's terminals, in order: the first is A.
    pub terminals: &'a [String],
    /// The one that the learner is at.
    pub here: usize,
    /// Servers of the lesson are to be nodes of a cluster, running or not.
    pub nodes_meant: bool,
    /// What `:orders` has compared.
    pub orders: Option<orders::Played<'a>>,
}

/// The letter of the terminal with this index: A, B, C.
pub fn letter(terminal: usize) -> char {
    char::from(b'A' + u8::try_from(terminal % 26).unwrap_or(0))
}

/// A picture in sentences, one a line.
pub fn words(picture: Picture, look: &Look) -> Vec<String> {
    match picture {
        Picture::Keys => keys::words(look),
        Picture::Disk => keys::disk_words(look),
        Picture::Timeline => timeline::words(look),
        Picture::Orders => orders::words(look.orders),
        Picture::Databases => databases::words(look),
        Picture::Twin => twin::words(look),
        Picture::Cluster => cluster::words(look),
        Picture::Sql => keys::table_words(look),
    }
}

/// What `:show` says when it is asked for nothing, or for something that there is not.
pub fn list() -> Vec<String> {
    PICTURES.iter().map(|entry| format!(":show {}  {}.", entry.name, entry.says)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_has_a_name_of_its_own() {
        for entry in PICTURES {
            assert_eq!(Picture::named(entry.name), Some(entry.picture), "{}", entry.name);
            assert_eq!(entry.picture.entry().name, entry.name);
        }
        assert_eq!(Picture::named("time"), Some(Picture::Timeline));
        assert_eq!(Picture::named(""), None);
        assert_eq!(Picture::named("sofa"), None);
    }
}

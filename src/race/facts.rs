//! Finding races: from who touched which key when, and nothing else.
//!
//! Only the history counts, not what the values mean. A write that keeps what was there (INCR, LPUSH) loses nobody's update;
//! one that puts something else in its place does, if its author has not seen it. Protection needs no look at WATCH: where it
//! protected, EXEC answered nil and there was no write.

use super::{Kind, Race};
use crate::base::Bytes;

/// How a command met a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Touch {
    /// It told something of it.
    Read,
    /// It put something else in its place, or removed it, without looking: SET, DEL.
    Overwrite,
    /// It changed what is there, or saw what it replaced: INCR, LPUSH, GETSET, a script.
    Change,
}

/// One command at one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// The command's number in the history; accesses come in this order.
    pub sequence: u64,
    pub client: u64,
    pub instance: String,
    pub db: usize,
    pub key: Bytes,
    /// A field of a hash; None: all of the key.
    pub field: Option<Bytes>,
    pub touch: Touch,
    /// It is known that the client decided on this by what it had read.
    pub based: bool,
}

impl Access {
    fn meets(&self, other: &Access) -> bool {
        self.key == other.key
            && self.db == other.db
            && self.instance == other.instance
            && (self.field.is_none() || other.field.is_none() || self.field == other.field)
    }

    fn writes(&self) -> bool {
        self.touch != Touch::Read
    }
}

/// All races in a history. O(n) for each write at worst, up to the last time its client met the key.
pub fn races(accesses: &[Access]) -> Vec<Race> {
    let mut found = Vec::new();
    for (at, write) in accesses.iter().enumerate().filter(|(_, access)| access.writes()) {
        let overwrites = write.touch == Touch::Overwrite;
        if !overwrites && !write.based {
            continue;
        }
        // What others wrote since this client last met the key, the latest first.
        let mut others: Option<(u64, u64)> = None;
        let mut own = None;
        for earlier in accesses[..at].iter().rev().filter(|earlier| earlier.meets(write)) {
            // A read in the same transaction came too late to decide anything: its answer is in EXEC's.
            if earlier.client == write.client && earlier.sequence == write.sequence && !earlier.writes() {
                continue;
            }
            if earlier.client == write.client {
                own = Some(earlier);
                break;
            }
            if earlier.writes() {
                others =
                    Some(others.map_or((earlier.sequence, earlier.sequence), |(last, _)| (last, earlier.sequence)));
            }
        }
        let Some((last, first)) = others else { continue };
        let race = |kind, read, other| Race {
            kind,
            instance: write.instance.clone(),
            db: write.db,
            key: write.key.clone(),
            field: write.field.clone(),
            read,
            other,
            write: write.sequence,
        };
        if let Some(own) = own.filter(|own| own.touch == Touch::Read) {
            found.push(race(Kind::StaleRead, Some(own.sequence), first));
        }
        if overwrites {
            found.push(race(Kind::LostUpdate, None, last));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1 read stock`, `2 set stock`, `1 incr stock`, `1 based stock`: one access a word pair, numbered from 1.
    fn found(history: &[&str]) -> Vec<(Kind, Option<u64>, u64, u64)> {
        let accesses: Vec<Access> = history
            .iter()
            .enumerate()
            .map(|(at, line)| {
                let words: Vec<&str> = line.split(' ').collect();
                let (key, field) = words[2].split_once('.').map_or((words[2], None), |(key, field)| (key, Some(field)));
                Access {
                    sequence: at as u64 + 1,
                    client: words[0].parse().unwrap(),
                    instance: String::from("redis"),
                    db: 0,
                    key: key.into(),
                    field: field.map(Bytes::from),
                    touch: match words[1] {
                        "read" => Touch::Read,
                        "set" => Touch::Overwrite,
                        _ => Touch::Change,
                    },
                    based: words[1] == "based",
                }
            })
            .collect();
        races(&accesses).into_iter().map(|race| (race.kind, race.read, race.other, race.write)).collect()
    }

    #[test]
    fn a_write_by_an_outdated_read_is_both_stale_and_loses_an_update() {
        assert_eq!(
            found(&["1 read stock", "2 read stock", "1 set stock", "2 set stock"]),
            [(Kind::StaleRead, Some(2), 3, 4), (Kind::LostUpdate, None, 3, 4)]
        );
    }

    #[test]
    fn who_reads_again_has_seen_it() {
        assert_eq!(found(&["1 read stock", "2 set stock", "1 read stock", "1 set stock"]), []);
    }

    #[test]
    fn who_never_looked_loses_an_update_but_read_nothing_stale() {
        assert_eq!(found(&["2 set stock", "1 set stock"]), [(Kind::LostUpdate, None, 1, 2)]);
        assert_eq!(found(&["1 set stock", "2 incr stock", "1 set stock"]), [(Kind::LostUpdate, None, 2, 3)]);
    }

    #[test]
    fn a_change_in_place_loses_nothing() {
        assert_eq!(found(&["1 read stock", "2 incr stock", "1 incr stock"]), []);
        // ... but if it was decided upon by the read, the read was stale.
        assert_eq!(found(&["1 read stock", "2 incr stock", "1 based stock"]), [(Kind::StaleRead, Some(1), 2, 3)]);
    }

    #[test]
    fn other_keys_and_other_fields_are_not_in_the_way() {
        assert_eq!(found(&["1 read a", "2 set b", "1 set a"]), []);
        assert_eq!(found(&["1 read cart.pear", "2 set cart.plum", "1 set cart.pear"]), []);
        assert_eq!(found(&["1 read cart", "2 set cart.plum", "1 set cart.plum"]).len(), 2);
        assert_eq!(found(&["2 set cart.plum", "1 set cart"]), [(Kind::LostUpdate, None, 1, 2)]);
    }

    #[test]
    fn a_read_inside_the_transaction_protects_nothing() {
        let access = |sequence, client, touch| Access {
            sequence,
            client,
            instance: String::new(),
            db: 0,
            key: "stock".into(),
            field: None,
            touch,
            based: false,
        };
        let exec = [access(3, 1, Touch::Read), access(3, 1, Touch::Overwrite)];
        let history = [vec![access(1, 1, Touch::Read), access(2, 2, Touch::Overwrite)], exec.to_vec()].concat();
        let kinds: Vec<Kind> = races(&history).iter().map(|race| race.kind).collect();
        assert_eq!(kinds, [Kind::StaleRead, Kind::LostUpdate]);
    }

    #[test]
    fn ones_own_writes_are_nobodys_race() {
        assert_eq!(found(&["1 set stock", "1 set stock", "1 read stock", "1 set stock"]), []);
    }
}

//! `file` and `persist`: what lies on the disk, how much of it is safe, and what only the process knows.

use super::form::{Range, Reader, field, needed};
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict, instance_of};
use crate::snapshot::{File, World};

pub const FILE: Kind = Kind {
    name: "file",
    about: "A file of the lab's machine.",
    fields: &[
        needed("path", "PATH", "as `ls` shows it: `dump.rdb`, `appendonlydir/appendonly.aof.manifest`"),
        field("exists", "true | false", "whether it is there (true)"),
        field("durable", "true | false", "whether all of it is on the platter"),
        field("bytes", "N or RANGE", "its length"),
        field("contains", "TEXT", "text that stands in it"),
    ],
    example: "file: {path: dump.rdb, exists: true, durable: true}",
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`file`", kind.fields)?;
        Some(Assertion::of(FileCheck {
            path: reader.text(fields.get("path")?)?,
            exists: reader.maybe(&fields, "exists", Reader::flag)?.unwrap_or(true),
            durable: reader.maybe(&fields, "durable", Reader::flag)?,
            bytes: reader.maybe(&fields, "bytes", Reader::range)?,
            contains: reader.maybe(&fields, "contains", Reader::text)?,
        }))
    },
};

pub const PERSIST: Kind = Kind {
    name: "persist",
    about: "How far the data of an instance is from the disk.",
    fields: &[
        field("on", "INSTANCE", "which instance; needed if there are several"),
        field("changes", "N or RANGE", "changes that no RDB file holds yet"),
        field("saving", "true | false", "a snapshot is being written"),
        field("aof", "true | false", "the append-only file is on"),
        field("aof_incr_bytes", "N or RANGE", "length of the incremental file(s)"),
        field("aof_base_bytes", "N or RANGE", "length of the base file"),
        field("unsynced_bytes", "N or RANGE", "bytes of all its files that a power cut would take"),
    ],
    example: "persist: {changes: 0}",
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`persist`", kind.fields)?;
        let on = reader.on(&fields)?;
        let mut wants = Vec::new();
        for (name, what) in MEASURES {
            if let Some(node) = fields.get(name) {
                wants.push((*what, reader.range(node)?));
            }
        }
        for (name, what) in FLAGS {
            if let Some(node) = fields.get(name) {
                let yes = i64::from(reader.flag(node)?);
                wants.push((*what, Range { min: yes, max: yes }));
            }
        }
        if wants.is_empty() {
            reader.complain(fields.at, "`persist` says nothing", PERSIST.example);
            return None;
        }
        Some(Assertion::of(PersistCheck { on, wants }))
    },
};

const MEASURES: &[(&str, Measure)] = &[
    ("changes", Measure::Changes),
    ("aof_incr_bytes", Measure::IncrBytes),
    ("aof_base_bytes", Measure::BaseBytes),
    ("unsynced_bytes", Measure::UnsyncedBytes),
];
const FLAGS: &[(&str, Measure)] = &[("saving", Measure::Saving), ("aof", Measure::Aof)];

#[derive(Clone, Debug)]
struct FileCheck {
    path: String,
    exists: bool,
    durable: Option<bool>,
    bytes: Option<Range>,
    contains: Option<String>,
}

/// A file by the path that `ls` shows: below any instance's directory, or of the machine.
fn file_of<'w>(world: &'w World, path: &str) -> Option<&'w File> {
    let ends = |file: &&File| file.path == path || file.path.ends_with(&format!("/{path}"));
    world.files.iter().find(ends).or_else(|| world.instances.iter().flat_map(|each| &each.disk.files).find(ends))
}

impl Check for FileCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let path = &self.path;
        let Some(file) = file_of(probe.world(), path) else {
            return Verdict::new(!self.exists, format!("There is no file `{path}`."));
        };
        if !self.exists {
            return Verdict::new(false, format!("The file `{path}` is there."));
        }
        if self.durable.is_some_and(|wanted| wanted != file.durable) {
            let saw = match file.durable {
                true => format!("All of `{path}` is on the platter."),
                false => format!("{} of {} bytes of `{path}` are on the platter.", file.durable_len, file.len),
            };
            return Verdict::new(false, saw);
        }
        if self.bytes.is_some_and(|range| !range.holds(file.len as i64)) {
            return Verdict::new(false, format!("`{path}` has {} bytes.", file.len));
        }
        if let Some(text) = &self.contains {
            let found =
                probe.read_file(path).is_some_and(|bytes| String::from_utf8_lossy(&bytes).contains(text.as_str()));
            if !found {
                return Verdict::new(false, format!("`{path}` does not contain `{text}`."));
            }
        }
        Verdict::new(true, format!("The file `{path}` is there, with {} bytes.", file.len))
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::File(self.path.clone())]
    }

    fn literals(&self) -> Vec<String> {
        vec![self.path.clone()]
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Measure {
    Changes,
    IncrBytes,
    BaseBytes,
    UnsyncedBytes,
    Saving,
    Aof,
}

#[derive(Clone, Debug)]
struct PersistCheck {
    on: String,
    wants: Vec<(Measure, Range)>,
}

impl Check for PersistCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let Some(instance) = instance_of(probe.world(), &self.on) else {
            return Verdict::new(false, format!("There is no server `{}`.", self.on));
        };
        let disk = &instance.disk;
        let bytes = |ending: &str| -> u64 {
            disk.files.iter().filter(|file| file.path.ends_with(ending)).map(|file| file.len).sum()
        };
        let mut verdict = Verdict::new(true, String::new());
        for (measure, range) in &self.wants {
            let (n, saw) = match measure {
                Measure::Changes => {
                    let n = disk.changes_since_save;
                    (n, format!("{n} changes stand in no snapshot yet."))
                }
                Measure::IncrBytes => {
                    let n = bytes(".incr.aof");
                    (n, format!("The incremental file has {n} bytes."))
                }
                Measure::BaseBytes => {
                    let n = bytes(".base.rdb") + bytes(".base.aof");
                    (n, format!("The base file has {n} bytes."))
                }
                Measure::UnsyncedBytes => {
                    let n: u64 = disk.files.iter().map(|file| file.len.saturating_sub(file.durable_len)).sum();
                    (n + disk.aof_in_memory_bytes, format!("{n} bytes are not on the platter."))
                }
                Measure::Saving => {
                    let word = if disk.saving { "A" } else { "No" };
                    (u64::from(disk.saving), format!("{word} snapshot is being written."))
                }
                Measure::Aof => {
                    let word = if disk.aof_enabled { "on" } else { "off" };
                    (u64::from(disk.aof_enabled), format!("The append-only file is {word}."))
                }
            };
            verdict.saw = saw;
            if !range.holds(n as i64) {
                verdict.met = false;
                return verdict;
            }
        }
        verdict
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::Instance(self.on.clone())]
    }

    fn literals(&self) -> Vec<String> {
        Vec::new()
    }
}

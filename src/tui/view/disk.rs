//! Where the data is: memory, page cache, platter, and what each accident would take.
//!
//! A write that was answered is safe from `kill -9` once a file holds it, and from a power cut once that file is on the
//! platter. The bar of the last writes says so for each, oldest left.

use super::super::model::{Model, Write};
use super::super::text::{clean, cut, fit};
use super::super::theme::Role;
use super::keyspace::{span_words, state};
use crate::base::Millis;
use crate::snapshot::{Disk, File, Instance, State};
use ratatui::text::{Line, Span};

pub fn notes(model: &Model) -> String {
    let Some((i, _)) = model.here() else { return String::new() };
    let instance = &model.scene.world.instances[i];
    format!("{} :{} {}", clean(&instance.name), instance.port, state(instance.state))
}

/// How safe a write is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Safe {
    /// In the process only: any end but a clean one loses it.
    Memory,
    /// In a file, but the kernel holds it: a power cut loses it.
    Cache,
    Platter,
}

/// Where a change made at `at` is by now.
pub fn safety(disk: &Disk, at: Millis) -> Safe {
    let rdb = disk.files.iter().find(|file| is_snapshot(file));
    let in_rdb = disk.last_save.is_some_and(|saved| saved >= at) && rdb.is_some();
    if in_rdb && rdb.is_some_and(|file| file.durable) {
        return Safe::Platter;
    }
    if disk.aof_enabled {
        let appends: Vec<&File> = disk.files.iter().filter(|file| file.path.ends_with(".aof")).collect();
        let all_durable = !appends.is_empty() && appends.iter().all(|file| file.durable_len >= file.len);
        if disk.aof_in_memory_bytes == 0 && all_durable || disk.aof_last_fsync.is_some_and(|synced| synced > at) {
            return Safe::Platter;
        }
        if disk.aof_in_memory_bytes == 0 || in_rdb {
            return Safe::Cache;
        }
    }
    if in_rdb { Safe::Cache } else { Safe::Memory }
}

pub fn lines(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let Some((i, _)) = model.here() else { return vec![Line::styled("No server here.", theme.style(Role::Dim))] };
    let instance = &model.scene.world.instances[i];
    let disk = &instance.disk;
    let mut lines = layers(model, instance, columns);
    lines.push(Line::default());
    if instance.state == State::Running {
        lines.extend(window(model, instance, columns));
    }
    if instance.state != State::Running {
        return lines;
    }
    lines.push(Line::styled(cut(&settings(disk), columns, theme.symbols.cut), theme.style(Role::Dim)));
    if let Some(saves) = saves(model, disk) {
        lines.push(Line::styled(cut(&saves, columns, theme.symbols.cut), theme.style(Role::Dim)));
    }
    lines
}

/// The three layers, and per file how much of it is in which.
fn layers(model: &Model, instance: &Instance, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let row = |symbol: &str, name: &str, what: String, role: Role| {
        Line::from(vec![
            Span::styled(format!("{symbol} {}", fit(name, 12, theme.symbols.cut)), theme.style(role).bold()),
            Span::raw(cut(&what, columns.saturating_sub(14), theme.symbols.cut)),
        ])
    };
    let [platter, cache, memory] = theme.symbols.layers;
    let keys: usize = instance.dbs.iter().map(|db| db.size).sum();
    let held = if instance.state == State::Running {
        format!("{keys} key{}", if keys == 1 { "" } else { "s" })
    } else {
        "empty: the process is not running".to_owned()
    };
    let mut lines = vec![row(memory, "memory", held, Role::Text)];
    let waiting: Vec<&File> = instance.disk.files.iter().filter(|file| holds_data(file) && !file.durable).collect();
    let cached = match waiting.as_slice() {
        [] => "nothing waits to be written".to_owned(),
        files => files
            .iter()
            .map(|file| part(file, file.len.saturating_sub(file.durable_len)))
            .collect::<Vec<_>>()
            .join(", "),
    };
    lines.push(row(cache, "page cache", cached, if waiting.is_empty() { Role::Text } else { Role::Warn }));
    let durable: Vec<String> = instance
        .disk
        .files
        .iter()
        .filter(|file| holds_data(file) && (file.durable || file.durable_len > 0))
        .map(|file| part(file, file.durable_len))
        .collect();
    let kept = if durable.is_empty() { "no data files".to_owned() } else { durable.join(", ") };
    lines.push(row(platter, "platter", kept, Role::Good));
    lines
}

/// RDB and AOF files; the manifest and redis.conf say nothing about data.
fn holds_data(file: &File) -> bool {
    file.path.ends_with(".rdb") || file.path.ends_with(".aof")
}

/// An RDB file of its own, not the base of an AOF.
fn is_snapshot(file: &File) -> bool {
    file.path.ends_with(".rdb") && !file.path.ends_with(".base.rdb")
}

/// `dump.rdb 104 B`
fn part(file: &File, bytes: u64) -> String {
    // The three parts of an AOF by what they are; their numbers say nothing here.
    let name = match file.path.rsplit('/').next().unwrap_or(&file.path) {
        base if base.ends_with(".base.rdb") || base.ends_with(".base.aof") => "AOF base",
        log if log.ends_with(".incr.aof") => "AOF log",
        name => name,
    };
    format!("{} {bytes} B", clean(name))
}

/// The last writes and what an accident now would take.
fn window(model: &Model, instance: &Instance, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    // A command that changed several things is one write; what time took away is none.
    let mut writes: Vec<&Write> =
        model.scene.writes.iter().filter(|write| write.instance == instance.name && write.by.is_some()).collect();
    writes.dedup_by_key(|write| write.by);
    if writes.is_empty() {
        return vec![Line::styled(
            "No writes yet. Each one will stand here, and how safe it is.",
            theme.style(Role::Dim),
        )];
    }
    let room = columns.saturating_sub(16).max(4);
    let safe: Vec<Safe> = writes.iter().rev().take(room).rev().map(|write| safety(&instance.disk, write.at)).collect();
    let [platter, cache, memory] = theme.symbols.layers;
    let mut spans = vec![Span::styled("last writes ", theme.style(Role::Strong))];
    spans.extend(safe.iter().map(|safe| match safe {
        Safe::Platter => Span::styled(platter, theme.style(Role::Good)),
        Safe::Cache => Span::styled(cache, theme.style(Role::Warn)),
        Safe::Memory => Span::styled(memory, theme.style(Role::Bad)),
    }));
    spans.push(Span::styled(" now", theme.style(Role::Dim)));
    let lost = |below: Safe| safe.iter().filter(|safe| **safe < below).count();
    let verdict = |label: &str, lost: usize| {
        let (words, role) = match lost {
            0 => ("loses nothing".to_owned(), Role::Good),
            1 => ("loses the last write".to_owned(), Role::Bad),
            n if n == safe.len() => (format!("loses all {n} of these writes"), Role::Bad),
            n => (format!("loses the last {n} writes"), Role::Bad),
        };
        Line::from(vec![Span::raw(format!("{label:<12}")), Span::styled(words, theme.style(role))])
    };
    vec![Line::from(spans), verdict("kill -9", lost(Safe::Cache)), verdict("power cut", lost(Safe::Platter))]
}

fn settings(disk: &Disk) -> String {
    let rdb = if disk.save_points.is_empty() {
        "RDB: no save points".to_owned()
    } else {
        let points: Vec<String> =
            disk.save_points.iter().map(|(secs, changes)| format!("{changes} in {secs} s")).collect();
        format!("RDB after {}", points.join(" or "))
    };
    let aof = if disk.aof_enabled { format!("AOF: fsync {}", disk.appendfsync) } else { "AOF: off".to_owned() };
    format!("{aof}   {rdb}")
}

fn saves(model: &Model, disk: &Disk) -> Option<String> {
    let mut words = Vec::new();
    if disk.changes_since_save > 0 {
        let n = disk.changes_since_save;
        words.push(format!("{n} change{} since the last RDB", if n == 1 { "" } else { "s" }));
    }
    if let Some(at) = disk.last_save.filter(|at| at.0 > 0 && disk.files.iter().any(is_snapshot)) {
        words.push(format!("last save {} ago", span_words(model.scene.world.now.since(at))));
    }
    if disk.saving {
        words.push("saving now".into());
    }
    if disk.aof_rewriting {
        words.push("rewriting the AOF".into());
    }
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, len: u64, durable_len: u64) -> File {
        File { path: path.into(), len, durable_len, durable: len == durable_len }
    }

    #[test]
    fn without_files_everything_is_in_memory_only() {
        assert_eq!(safety(&Disk::default(), Millis(5)), Safe::Memory);
    }

    #[test]
    fn a_saved_rdb_holds_what_was_written_before_it_and_nothing_after() {
        let mut disk = Disk { last_save: Some(Millis(10)), files: vec![file("dump.rdb", 100, 100)], ..Disk::default() };
        assert_eq!(safety(&disk, Millis(10)), Safe::Platter);
        assert_eq!(safety(&disk, Millis(11)), Safe::Memory);
        disk.files = vec![file("dump.rdb", 100, 0)];
        assert_eq!(safety(&disk, Millis(10)), Safe::Cache);
    }

    #[test]
    fn the_base_of_an_aof_is_no_snapshot() {
        let disk = Disk {
            last_save: Some(Millis(10)),
            files: vec![file("appendonly.aof.1.base.rdb", 88, 88)],
            ..Disk::default()
        };
        assert_eq!(safety(&disk, Millis(9)), Safe::Memory);
    }

    #[test]
    fn an_aof_survives_a_kill_at_once_and_a_power_cut_after_fsync() {
        let mut disk = Disk {
            aof_enabled: true,
            aof_last_fsync: Some(Millis(10)),
            files: vec![file("appendonlydir/appendonly.aof.1.incr.aof", 80, 50)],
            ..Disk::default()
        };
        assert_eq!(safety(&disk, Millis(9)), Safe::Platter);
        assert_eq!(safety(&disk, Millis(11)), Safe::Cache);
        disk.files[0].durable_len = 80;
        assert_eq!(safety(&disk, Millis(11)), Safe::Platter);
    }
}

//! Help while typing: the grey continuation of the line, and TAB.

use super::model::{Completing, Model};
use crate::snapshot;

/// Lines longer than this get no help: nobody reads it, and it costs time.
const LINE_HELPED: usize = 4096;

/// The grey text behind the cursor; empty if there is none.
pub fn ghost(model: &Model) -> String {
    let Some(shell) = model.shell() else { return String::new() };
    let text = shell.input.text();
    let busy = model.scene.terminals.get(model.active).is_some_and(|t| t.busy);
    if !model.hints
        || busy
        || shell.input.search.is_some()
        || shell.input.cursor() != text.len()
        || text.len() > LINE_HELPED
    {
        return String::new();
    }
    if text.is_empty() {
        let first = shell.lines.iter().all(|line| line.text().trim().is_empty());
        return if first { "type here, then press Enter".to_owned() } else { String::new() };
    }
    String::new()
}

/// Takes the grey text over; false if it is no text to type.
pub fn accept(_model: &mut Model) -> bool {
    false
}

/// TAB: completes what can only mean one thing, else walks through what it may mean.
pub fn complete(model: &mut Model) {
    if let Some(mut walk) = model.completing.take() {
        walk.at = (walk.at + 1) % walk.words.len().max(1);
        put(model, &walk);
        model.completing = Some(walk);
        return;
    }
    let Some(shell) = model.shell() else { return };
    let (text, cursor) = (shell.input.text().to_owned(), shell.input.cursor());
    if text.len() > LINE_HELPED || cursor > text.len() {
        return;
    }
    let from = text[..cursor].rfind(' ').map_or(0, |i| i + 1);
    let words = candidates(model, &text[..cursor], from);
    if words.is_empty() {
        return;
    }
    let walk = Completing { from, words, at: 0 };
    put(model, &walk);
    if walk.words.len() > 1 {
        model.completing = Some(walk);
    }
}

fn put(model: &mut Model, walk: &Completing) {
    let Some(word) = walk.words.get(walk.at) else { return };
    let end = if walk.words.len() == 1 { " " } else { "" };
    let text = format!("{word}{end}");
    let from = walk.from;
    if let Some(shell) = model.shell_mut() {
        let cursor = shell.input.cursor();
        if from <= cursor {
            shell.input.replace(from, cursor, &text);
        }
    }
}

/// What the word from `from` to the end of `line` may become: `:` words, then names of keys.
fn candidates(model: &Model, line: &str, from: usize) -> Vec<String> {
    let word = &line[from..];
    if let Some(name) = word.strip_prefix(':').filter(|_| from == 0) {
        let known = crate::console::word::WORDS.iter().map(|entry| entry.name).filter(|known| known.starts_with(name));
        return known.map(|name| format!(":{name}")).collect();
    }
    if from == 0 {
        return Vec::new();
    }
    let Some((instance, db)) = model.here() else { return Vec::new() };
    key_names(&model.scene.world.instances[instance], db).filter(|name| name.starts_with(word)).take(50).collect()
}

/// The names of keys that can be typed as they stand.
fn key_names(instance: &snapshot::Instance, db: usize) -> impl Iterator<Item = String> + '_ {
    let keys = instance.dbs.iter().find(|d| d.index == db).map_or(&[][..], |db| db.keys.as_slice());
    keys.iter()
        .filter(|key| key.name.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\')))
        .map(|key| key.name.lossy().into_owned())
}

//! Help while typing: the grey continuation of the line, and TAB. What is known of commands comes from `assist`.

use super::model::{Completing, Model};
use crate::assist::{complete as assist, hint};
use crate::base::Bytes;
use crate::console::SHELL_WORDS;
use crate::console::word::{Entry, WORDS};

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
        let fresh = shell.lines.is_empty() && shell.input.history.is_empty();
        return if fresh { "type here, then press Enter".to_owned() } else { String::new() };
    }
    if let Some(rest) = text.strip_prefix(':') {
        let (name, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        let entry = WORDS.iter().find(|entry| entry.name == name).filter(|_| tail.is_empty());
        return entry.map_or(String::new(), |entry| {
            let gap = if rest.contains(' ') { "" } else { " " };
            format!("{gap}{}", entry.syntax).trim_end().to_owned()
        });
    }
    if at_redis(model) { hint::hint(text) } else { String::new() }
}

fn prompt(model: &Model) -> &str {
    model.scene.terminals.get(model.active).map_or("", |terminal| terminal.prompt.as_str())
}

fn at_redis(model: &Model) -> bool {
    !prompt(model).starts_with('$') && !prompt(model).starts_with("sql")
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
    if text.len() > LINE_HELPED || prompt(model).starts_with("sql") && !text.starts_with(':') {
        return;
    }
    let keys = key_names(model);
    let files: Vec<String> = model.scene.world.files.iter().map(|file| file.path.clone()).collect();
    let named = |entries: &'static [Entry]| entries.iter().map(|entry| (entry.name, entry.summary)).collect::<Vec<_>>();
    let (lab, shell) = (named(WORDS), named(SHELL_WORDS));
    let parameters: Vec<String> = model
        .here()
        .map(|(i, _)| model.scene.world.instances[i].config.iter().map(|(name, _)| name.clone()).collect())
        .unwrap_or_default();
    let vocabulary = assist::Vocabulary {
        keys: &keys,
        parameters: &parameters,
        lab: &lab,
        shell: &shell,
        files: &files,
        in_shell: prompt(model).starts_with('$'),
    };
    let found = assist::complete(&text, cursor, &vocabulary);
    let words: Vec<String> = found.candidates.into_iter().map(|candidate| candidate.text).collect();
    if words.is_empty() {
        return;
    }
    // More than one: what they have in common first, if that says more than what is typed.
    let walk = Completing { from: found.start, words, at: 0 };
    if let Some(shell) = model.shell_mut()
        && found.end > cursor
    {
        shell.input.replace(cursor, found.end, "");
    }
    put(model, &walk);
    if walk.words.len() > 1 {
        model.notice = Some(listed(&walk));
        model.completing = Some(walk);
    }
}

/// The first candidates, so that the learner sees what TAB walks through.
fn listed(walk: &Completing) -> String {
    let shown: Vec<&str> = walk.words.iter().take(12).map(String::as_str).collect();
    let more = walk.words.len().saturating_sub(shown.len());
    let tail = if more > 0 { format!("  and {more} more") } else { String::new() };
    format!("Tab walks: {}{tail}", shown.join("  "))
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

/// The names of the keys in the db that the active terminal is in.
fn key_names(model: &Model) -> Vec<Bytes> {
    let Some((instance, db)) = model.here() else { return Vec::new() };
    let dbs = &model.scene.world.instances[instance].dbs;
    dbs.iter().find(|d| d.index == db).map_or(Vec::new(), |db| db.keys.iter().map(|key| key.name.clone()).collect())
}

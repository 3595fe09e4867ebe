//! The line being typed: editing, history, search backwards.
//!
//! The text and its motions are rustyline's LineBuffer, so that the lab's input line and the plain prompt agree on what a
//! word is; kill, undo and history are here, since rustyline keeps those to itself.

use rustyline::line_buffer::{ChangeListener, DeleteListener, Direction, LineBuffer};
use rustyline::{At, Word};

/// Longest text that the line takes, in bytes.
pub const LINE_MAX_BYTES: usize = 1 << 20;
/// How many lines are remembered.
pub const HISTORY_MAX: usize = 1000;
const UNDO_MAX: usize = 100;

/// What an editing key does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edit {
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Backspace,
    Delete,
    KillWord,
    KillWordRight,
    KillToEnd,
    KillLine,
    Yank,
    Transpose,
    Undo,
    Older,
    Newer,
    Search,
}

/// An input line with its history.
pub struct Input {
    line: LineBuffer,
    killed: String,
    undo: Vec<(String, usize)>,
    pub history: Vec<String>,
    /// Where in the history the line comes from; None: it is new.
    at: Option<usize>,
    /// The new line, kept while the history is walked.
    draft: String,
    pub search: Option<Search>,
}

/// A search backwards through the history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Search {
    pub wanted: String,
    /// Index of the line found.
    pub found: Option<usize>,
    before: String,
}

impl Default for Input {
    fn default() -> Input {
        Input {
            line: LineBuffer::with_capacity(LINE_MAX_BYTES),
            killed: String::new(),
            undo: Vec::new(),
            history: Vec::new(),
            at: None,
            draft: String::new(),
            search: None,
        }
    }
}

impl Input {
    pub fn text(&self) -> &str {
        self.line.as_str()
    }

    /// Byte offset of the cursor.
    pub fn cursor(&self) -> usize {
        self.line.pos()
    }

    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Puts `text` at the cursor. False, and nothing happens, if the line would get longer than [`LINE_MAX_BYTES`].
    pub fn insert(&mut self, text: &str) -> bool {
        if self.line.len() + text.len() > LINE_MAX_BYTES {
            return false;
        }
        if let Some(search) = &mut self.search {
            search.wanted.push_str(text);
            self.find(None);
            return true;
        }
        // Letters typed one after the other are one step of undo, up to a blank.
        if text.len() > 1 || text == " " || self.undo.is_empty() {
            self.remember();
        }
        let at = self.line.pos();
        self.line.insert_str(at, text, &mut Nobody);
        self.line.set_pos(at + text.len());
        self.at = None;
        true
    }

    /// Replaces the bytes `from..to` by `text` and puts the cursor behind it.
    pub fn replace(&mut self, from: usize, to: usize, text: &str) {
        self.remember();
        self.line.replace(from..to, text, &mut Nobody);
        self.line.set_pos(from + text.len());
    }

    /// Replaces the whole line.
    pub fn set(&mut self, text: &str) {
        self.line.update(text, text.len(), &mut Nobody);
    }

    /// Empties the line and returns what stood there; it joins the history unless it is blank or the same as the last.
    pub fn take(&mut self) -> String {
        let text = self.line.as_str().to_owned();
        self.set("");
        self.undo.clear();
        self.at = None;
        self.search = None;
        self.record(&text);
        text
    }

    pub fn record(&mut self, text: &str) {
        if !text.trim().is_empty() && self.history.last().is_none_or(|last| last != text) {
            self.history.push(text.to_owned());
            if self.history.len() > HISTORY_MAX {
                self.history.remove(0);
            }
        }
    }

    /// Throws the line away.
    pub fn clear(&mut self) {
        self.remember();
        self.set("");
        self.at = None;
        self.search = None;
    }

    pub fn edit(&mut self, edit: Edit) {
        if self.search.is_some() && !matches!(edit, Edit::Search | Edit::Backspace) {
            self.search = None;
        }
        let line = &mut self.line;
        match edit {
            Edit::Left => _ = line.move_backward(1),
            Edit::Right => _ = line.move_forward(1),
            Edit::WordLeft => _ = line.move_to_prev_word(Word::Emacs, 1),
            Edit::WordRight => _ = line.move_to_next_word(At::AfterEnd, Word::Emacs, 1),
            Edit::Home => _ = line.move_buffer_start(),
            Edit::End => _ = line.move_buffer_end(),
            Edit::Backspace if self.search.is_some() => self.shorten_search(),
            Edit::Backspace => self.cutting(|line, cut| _ = line.backspace(1, cut), false),
            Edit::Delete => self.cutting(|line, cut| _ = line.delete(1, cut), false),
            Edit::KillWord => self.cutting(|line, cut| _ = line.delete_prev_word(Word::Big, 1, cut), true),
            Edit::KillWordRight => {
                self.cutting(|line, cut| _ = line.delete_word(At::AfterEnd, Word::Emacs, 1, cut), true);
            }
            Edit::KillToEnd => self.cutting(|line, cut| _ = line.kill_buffer(cut), true),
            Edit::KillLine => self.cutting(|line, cut| _ = line.discard_buffer(cut), true),
            Edit::Yank => {
                let text = self.killed.clone();
                self.insert(&text);
            }
            Edit::Transpose => {
                self.remember();
                self.line.transpose_chars(&mut Nobody);
            }
            Edit::Undo => {
                if let Some((text, pos)) = self.undo.pop() {
                    self.line.update(&text, pos, &mut Nobody);
                }
            }
            Edit::Older => self.walk(true),
            Edit::Newer => self.walk(false),
            Edit::Search => match self.search.as_ref().map(|search| search.found) {
                None => self.search = Some(Search { before: self.text().to_owned(), ..Search::default() }),
                Some(found) => self.find(found),
            },
        }
    }

    /// Leaves the search; true if there was one. `keep`: the line found stays, else the one before comes back.
    pub fn end_search(&mut self, keep: bool) -> bool {
        let Some(search) = self.search.take() else { return false };
        if !keep {
            self.set(&search.before);
        }
        true
    }

    fn shorten_search(&mut self) {
        if let Some(search) = &mut self.search {
            search.wanted.pop();
            self.find(None);
        }
    }

    /// Finds the newest line older than `below` that contains what is wanted.
    fn find(&mut self, below: Option<usize>) {
        let Some(search) = &mut self.search else { return };
        let end = below.unwrap_or(self.history.len()).min(self.history.len());
        let found = self.history[..end].iter().rposition(|line| line.contains(&search.wanted));
        if search.wanted.is_empty() {
            return;
        }
        if let Some(i) = found {
            search.found = Some(i);
            let text = self.history[i].clone();
            self.set(&text);
        } else if below.is_none() {
            search.found = None;
        }
    }

    fn walk(&mut self, older: bool) {
        let next = match (self.at, older) {
            (None, true) => self.history.len().checked_sub(1),
            (Some(i), true) => Some(i.saturating_sub(1)),
            (Some(i), false) if i + 1 < self.history.len() => Some(i + 1),
            (_, false) => None,
        };
        if self.at.is_none() {
            if next.is_none() {
                return;
            }
            self.draft = self.text().to_owned();
        }
        let text = match next {
            Some(i) => self.history[i].clone(),
            None => std::mem::take(&mut self.draft),
        };
        self.set(&text);
        self.at = next;
    }

    fn cutting(&mut self, cut: impl FnOnce(&mut LineBuffer, &mut Cut), keep: bool) {
        self.remember();
        let mut bin = Cut::default();
        cut(&mut self.line, &mut bin);
        if keep && !bin.0.is_empty() {
            self.killed = bin.0;
        }
        self.at = None;
    }

    fn remember(&mut self) {
        // A pasted line of a megabyte is not kept a hundred times over.
        if self.line.len() < 1 << 16 && self.undo.last().is_none_or(|(text, _)| text != self.line.as_str()) {
            self.undo.push((self.line.as_str().to_owned(), self.line.pos()));
            if self.undo.len() > UNDO_MAX {
                self.undo.remove(0);
            }
        }
    }
}

/// Listens to nothing.
struct Nobody;

impl DeleteListener for Nobody {
    fn delete(&mut self, _: usize, _: &str, _: Direction) {}
}

impl ChangeListener for Nobody {
    fn insert_char(&mut self, _: usize, _: char) {}
    fn insert_str(&mut self, _: usize, _: &str) {}
    fn replace(&mut self, _: usize, _: &str, _: &str) {}
}

/// Collects what is cut out.
#[derive(Default)]
struct Cut(String);

impl DeleteListener for Cut {
    fn delete(&mut self, _: usize, text: &str, _: Direction) {
        self.0.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Input {
        let mut input = Input::default();
        for c in text.chars() {
            input.insert(&c.to_string());
        }
        input
    }

    #[test]
    fn a_killed_word_can_be_put_back_elsewhere() {
        let mut input = typed("SET k alice");
        input.edit(Edit::KillWord);
        assert_eq!(input.text(), "SET k ");
        input.edit(Edit::Home);
        input.edit(Edit::Yank);
        assert_eq!((input.text(), input.cursor()), ("aliceSET k ", 5));
    }

    #[test]
    fn history_is_walked_and_the_draft_comes_back() {
        let mut input = typed("GET a");
        input.take();
        input.insert("GET b");
        input.take();
        input.insert("GE");
        input.edit(Edit::Older);
        assert_eq!(input.text(), "GET b");
        input.edit(Edit::Older);
        input.edit(Edit::Older);
        assert_eq!(input.text(), "GET a");
        input.edit(Edit::Newer);
        input.edit(Edit::Newer);
        assert_eq!(input.text(), "GE");
        input.edit(Edit::Newer);
        assert_eq!(input.text(), "GE");
    }

    #[test]
    fn search_finds_backwards_and_gives_up_cleanly() {
        let mut input = Input::default();
        for line in ["SET session:a 1", "GET x", "TTL session:a"] {
            input.record(line);
        }
        input.insert("dr");
        input.edit(Edit::Search);
        input.insert("sess");
        assert_eq!(input.text(), "TTL session:a");
        input.edit(Edit::Search);
        assert_eq!(input.text(), "SET session:a 1");
        input.edit(Edit::Search);
        assert_eq!(input.text(), "SET session:a 1");
        assert!(input.end_search(false));
        assert_eq!(input.text(), "dr");
    }

    #[test]
    fn undo_takes_back_a_word_at_a_time_and_a_kill() {
        let mut input = typed("GET key");
        input.edit(Edit::KillLine);
        assert_eq!(input.text(), "");
        input.edit(Edit::Undo);
        assert_eq!(input.text(), "GET key");
        input.edit(Edit::Undo);
        assert_eq!(input.text(), "GET");
    }

    #[test]
    fn a_line_is_refused_beyond_its_limit_and_nothing_changes() {
        let mut input = typed("x");
        assert!(!input.insert(&"y".repeat(LINE_MAX_BYTES)));
        assert_eq!(input.text(), "x");
        assert!(input.insert(&"é".repeat(1000)));
        input.edit(Edit::Backspace);
        assert_eq!(input.text().chars().count(), 1000);
    }

    #[test]
    fn the_same_line_twice_is_remembered_once_and_blanks_never() {
        let mut input = Input::default();
        for line in ["PING", "PING", "  ", "GET a"] {
            input.insert(line);
            input.take();
        }
        assert_eq!(input.history, ["PING", "GET a"]);
    }
}

//! A small editor for the files of the lab's machine, such as redis.conf: lines, a cursor, undo, save or leave.

use super::input::Edit;
use super::keys::{Code, Key};
use super::text::{clean, width};
use unicode_segmentation::UnicodeSegmentation;

/// Longest file that is edited, in bytes; larger ones are refused with a message.
pub const FILE_MAX_BYTES: usize = 1 << 20;
const UNDO_MAX: usize = 200;

pub struct Editor {
    pub path: String,
    pub lines: Vec<String>,
    /// Line, and byte offset in it.
    pub row: usize,
    pub at: usize,
    /// First line seen.
    pub top: usize,
    before: String,
    undo: Vec<(Vec<String>, usize, usize)>,
    cut: Vec<String>,
    /// Grows with every change of the text.
    pub version: u64,
    /// Lines (from 1) that a server would refuse, with its reason.
    pub faults: Vec<(usize, String)>,
    /// Where the last letter was typed, so that a word is one step of undo.
    typing: Option<(usize, usize)>,
    /// Esc was pressed although something changed: once more leaves.
    pub asking: bool,
}

impl Editor {
    pub fn new(path: &str, text: &str) -> Editor {
        let mut lines: Vec<String> = text.split('\n').map(|line| line.trim_end_matches('\r').to_owned()).collect();
        if lines.len() > 1 && lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        Editor {
            path: path.to_owned(),
            lines,
            row: 0,
            at: 0,
            top: 0,
            before: text.to_owned(),
            undo: Vec::new(),
            cut: Vec::new(),
            version: 0,
            faults: Vec::new(),
            typing: None,
            asking: false,
        }
    }

    /// The file, every line ended.
    pub fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    pub fn changed(&self) -> bool {
        self.text().trim_end_matches('\n') != self.before.replace('\r', "").trim_end_matches('\n')
    }

    /// A key that is bound to nothing else; false if it means nothing here.
    pub fn key(&mut self, key: Key) -> bool {
        self.asking = false;
        match key.code {
            Code::Char(c) if !key.ctrl && !key.alt => self.insert(&c.to_string()),
            Code::Enter => self.insert("\n"),
            Code::Backspace => self.backspace(),
            Code::Delete => {
                if self.at < self.lines[self.row].len() || self.row + 1 < self.lines.len() {
                    self.right();
                    self.backspace();
                }
            }
            Code::Left => self.left(),
            Code::Right => self.right(),
            Code::Up => self.go(self.row.saturating_sub(1)),
            Code::Down => self.go(self.row + 1),
            Code::PageUp => self.go(self.row.saturating_sub(15)),
            Code::PageDown => self.go(self.row + 15),
            Code::Home => self.at = 0,
            Code::End => self.at = self.lines[self.row].len(),
            _ => return false,
        }
        true
    }

    pub fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::Undo => {
                if let Some((lines, row, at)) = self.undo.pop() {
                    (self.lines, self.row, self.at) = (lines, row, at);
                    (self.typing, self.version) = (None, self.version + 1);
                }
            }
            Edit::KillLine => {
                self.remember();
                self.cut = vec![self.lines.remove(self.row)];
                if self.lines.is_empty() {
                    self.lines.push(String::new());
                }
                self.go(self.row);
            }
            Edit::Yank => {
                self.remember();
                for line in self.cut.clone().into_iter().rev() {
                    self.lines.insert(self.row, line);
                }
            }
            _ => {}
        }
    }

    /// Puts `text` at the cursor; line ends in it break the line. Nothing happens beyond [`FILE_MAX_BYTES`].
    pub fn insert(&mut self, text: &str) {
        let len: usize = self.lines.iter().map(|line| line.len() + 1).sum();
        if len + text.len() > FILE_MAX_BYTES {
            return;
        }
        let letter = text.len() == 1 && !text.trim().is_empty();
        if letter && self.typing == Some((self.row, self.at)) {
            self.version += 1;
        } else {
            self.remember();
        }
        let tail = self.lines[self.row].split_off(self.at);
        for (i, piece) in text.replace('\r', "\n").split('\n').enumerate() {
            if i > 0 {
                self.row += 1;
                self.lines.insert(self.row, String::new());
            }
            self.lines[self.row].push_str(piece);
        }
        self.at = self.lines[self.row].len();
        self.lines[self.row].push_str(&tail);
        self.typing = letter.then_some((self.row, self.at));
    }

    /// TAB: completes the directive that the line begins with, as far as it is the only one; else four blanks.
    pub fn complete(&mut self, directives: &[String]) {
        let typed = self.lines[self.row][..self.at].trim_start().to_ascii_lowercase();
        if typed.is_empty() || typed.contains(char::is_whitespace) {
            return self.insert("    ");
        }
        let fits: Vec<&String> = directives.iter().filter(|name| name.starts_with(&typed)).collect();
        let Some(first) = fits.first() else { return };
        let common =
            (typed.len()..=first.len()).rev().find(|end| fits.iter().all(|name| name.starts_with(&first[..*end])));
        let end = if fits.len() == 1 { " " } else { "" };
        let rest = format!("{}{end}", &first[typed.len()..common.unwrap_or(typed.len())]);
        if !rest.is_empty() {
            self.insert(&rest);
        }
    }

    /// To the next faulty line, around the end; false if there is none.
    pub fn next_fault(&mut self) -> bool {
        let next = self.faults.iter().find(|(line, _)| *line > self.row + 1).or(self.faults.first());
        let Some((line, _)) = next else { return false };
        let line = line.saturating_sub(1);
        self.go(line);
        self.at = self.lines[self.row].len();
        true
    }

    /// Why a server would refuse this line (from 0).
    pub fn fault(&self, row: usize) -> Option<&str> {
        self.faults.iter().find(|(line, _)| *line == row + 1).map(|(_, why)| why.as_str())
    }

    /// Columns from the left margin to the cursor.
    pub fn column(&self) -> usize {
        width(&clean(&self.lines[self.row][..self.at]))
    }

    /// Moves the first line seen so that the cursor's line is among `rows`.
    pub fn scroll(&mut self, rows: usize) {
        self.top = self.top.min(self.row).max((self.row + 1).saturating_sub(rows.max(1)));
    }

    fn backspace(&mut self) {
        if self.at == 0 {
            if self.row > 0 {
                self.remember();
                let line = self.lines.remove(self.row);
                self.row -= 1;
                self.at = self.lines[self.row].len();
                self.lines[self.row].push_str(&line);
            }
            return;
        }
        self.remember();
        let from = self.lines[self.row][..self.at].grapheme_indices(true).next_back().map_or(0, |(i, _)| i);
        self.lines[self.row].replace_range(from..self.at, "");
        self.at = from;
    }

    fn left(&mut self) {
        if self.at > 0 {
            self.at = self.lines[self.row][..self.at].grapheme_indices(true).next_back().map_or(0, |(i, _)| i);
        } else if self.row > 0 {
            self.go(self.row - 1);
            self.at = self.lines[self.row].len();
        }
    }

    fn right(&mut self) {
        match self.lines[self.row][self.at..].graphemes(true).next() {
            Some(grapheme) => self.at += grapheme.len(),
            None if self.row + 1 < self.lines.len() => {
                self.row += 1;
                self.at = 0;
            }
            None => {}
        }
    }

    /// To the line `row`, or the last, as near to the same place as its characters allow.
    fn go(&mut self, row: usize) {
        self.row = row.min(self.lines.len() - 1);
        let line = &self.lines[self.row];
        let at = self.at.min(line.len());
        self.at = (0..=at).rev().find(|i| line.is_char_boundary(*i)).unwrap_or(0);
    }

    fn remember(&mut self) {
        (self.typing, self.version) = (None, self.version + 1);
        self.undo.push((self.lines.clone(), self.row, self.at));
        // A large file is not kept two hundred times over.
        let len: usize = self.lines.iter().map(String::len).sum();
        if self.undo.len() > UNDO_MAX.min((1 << 24) / (len + 1)).max(1) {
            self.undo.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_back_as_it_was() {
        let editor = Editor::new("redis.conf", "port 6379\n\nsave \"\"\n");
        assert_eq!(editor.text(), "port 6379\n\nsave \"\"\n");
        assert!(!editor.changed());
    }

    #[test]
    fn typing_breaking_joining_and_undoing() {
        let mut editor = Editor::new("f", "ab\n");
        editor.key(Key::of(Code::Right));
        editor.key(Key::of(Code::Enter));
        assert_eq!(editor.lines, ["a", "b"]);
        editor.key(Key::of(Code::Backspace));
        assert_eq!(editor.lines, ["ab"]);
        editor.insert("x\ny");
        assert_eq!(editor.lines, ["ax", "yb"]);
        editor.edit(Edit::Undo);
        editor.edit(Edit::Undo);
        assert_eq!(editor.lines, ["a", "b"]);
        assert!(editor.changed());
    }

    #[test]
    fn lines_are_cut_and_put_back_and_the_last_one_stays_a_line() {
        let mut editor = Editor::new("f", "one\ntwo\n");
        editor.edit(Edit::KillLine);
        editor.edit(Edit::KillLine);
        assert_eq!(editor.lines, [""]);
        editor.edit(Edit::Yank);
        assert_eq!(editor.lines, ["two", ""]);
    }

    #[test]
    fn the_cursor_never_stands_inside_a_character() {
        let mut editor = Editor::new("f", "日本\nabc\n");
        for code in
            [Code::Down, Code::End, Code::Up, Code::Delete, Code::Left, Code::Backspace, Code::PageDown, Code::Home]
        {
            editor.key(Key::of(code));
            assert!(editor.lines[editor.row].is_char_boundary(editor.at), "{code:?}");
        }
    }

    #[test]
    fn a_word_is_one_step_of_undo() {
        let mut editor = Editor::new("f", "");
        for c in "port 7000".chars() {
            editor.key(Key::char(c));
        }
        editor.edit(Edit::Undo);
        assert_eq!(editor.text(), "port \n");
        editor.edit(Edit::Undo);
        editor.edit(Edit::Undo);
        assert_eq!(editor.text(), "");
    }

    #[test]
    fn tab_completes_a_directive_as_far_as_it_is_the_only_one() {
        let names: Vec<String> = ["maxmemory", "maxmemory-policy", "port"].map(String::from).into();
        let mut editor = Editor::new("redis.conf", "");
        editor.insert("maxm");
        editor.complete(&names);
        assert_eq!(editor.lines, ["maxmemory"]);
        editor.insert("-");
        editor.complete(&names);
        assert_eq!(editor.lines, ["maxmemory-policy "]);
        editor.insert("\nxyz");
        editor.complete(&names);
        assert_eq!(editor.lines[1], "xyz");
    }

    #[test]
    fn faults_are_walked_through_around_the_end() {
        let mut editor = Editor::new("redis.conf", "a\nb\nc\n");
        assert!(!editor.next_fault());
        editor.faults = vec![(1, "bad".into()), (3, "worse".into())];
        editor.next_fault();
        assert_eq!((editor.row, editor.fault(2)), (2, Some("worse")));
        editor.next_fault();
        assert_eq!(editor.row, 0);
        editor.faults = vec![(99, "gone".into())];
        editor.next_fault();
        assert_eq!(editor.row, 2);
    }
}

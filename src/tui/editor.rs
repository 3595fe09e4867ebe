//! A small editor for the files of the lab's machine, such as redis.conf: lines, a cursor, undo, save or leave.

use super::input::Edit;
use super::keys::{Code, Key};
use super::text::width;
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
            Code::Tab => self.insert("    "),
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
        self.remember();
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
    }

    /// Columns from the left margin to the cursor.
    pub fn column(&self) -> usize {
        width(&self.lines[self.row][..self.at])
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

    /// To the line `row`, or the last, as near to the same place as a grapheme allows.
    fn go(&mut self, row: usize) {
        self.row = row.min(self.lines.len() - 1);
        let line = &self.lines[self.row];
        let at = self.at.min(line.len());
        self.at = (0..=at).rev().find(|i| line.is_char_boundary(*i)).unwrap_or(0);
    }

    fn remember(&mut self) {
        self.undo.push((self.lines.clone(), self.row, self.at));
        if self.undo.len() > UNDO_MAX {
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
}

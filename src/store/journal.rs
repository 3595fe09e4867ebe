//! The journal of a running lesson: a head line, then one line of JSON for each thing that happened.

use super::{FORMAT, Trouble, keep_aside, replace};
use crate::tutor::{Entry, Saved};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    lesson: String,
    hash: String,
}

pub struct Journal {
    path: PathBuf,
    lesson: String,
    hash: String,
    file: Option<File>,
    /// How many entries stand in the file.
    written: usize,
}

/// Lesson ids are made of letters, digits, `-`, `_` and `.`; anything else of a foreign course cannot name another file.
pub fn path(home: &Path, lesson: &str) -> PathBuf {
    let safe: String =
        lesson.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    home.join("lessons").join(format!("{safe}.journal"))
}

/// What was kept of a lesson with this text. None: nothing, or of another text.
pub fn read(path: &Path, lesson: &str, hash: &str) -> Option<Saved> {
    let text = fs::read(path).ok()?;
    let saved = parse(&String::from_utf8_lossy(&text))?;
    (saved.lesson == lesson && saved.hash == hash).then_some(saved)
}

/// Lines up to the first that cannot be read: the end of the program may have torn the last one.
pub fn parse(text: &str) -> Option<Saved> {
    let mut lines = text.split_inclusive('\n');
    let head: Head = serde_json::from_str(lines.next()?).ok()?;
    if head.format > FORMAT {
        return None;
    }
    let whole = lines.take_while(|line| line.ends_with('\n'));
    let entries = whole.map_while(|line| serde_json::from_str::<Entry>(line).ok()).collect();
    Some(Saved { lesson: head.lesson, hash: head.hash, entries })
}

/// A journal as the text of its file.
pub fn text(saved: &Saved, entries: usize) -> String {
    let head = Head { format: FORMAT, lesson: saved.lesson.clone(), hash: saved.hash.clone() };
    let mut out = line(&head);
    saved.entries[..entries].iter().for_each(|entry| out.push_str(&line(entry)));
    out
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("entries are texts and numbers") + "\n"
}

impl Journal {
    pub fn new(home: &Path, saved: &Saved) -> Journal {
        Journal {
            path: path(home, &saved.lesson),
            lesson: saved.lesson.clone(),
            hash: saved.hash.clone(),
            file: None,
            written: 0,
        }
    }

    pub fn is_of(&self, saved: &Saved) -> bool {
        self.lesson == saved.lesson && self.hash == saved.hash && self.written <= settled(saved)
    }

    /// Brings the file up to `saved`. The first call replaces what was there by the same and more; later ones append.
    ///
    /// There is no fsync: the page cache outlives the program, and a power cut may take the last seconds of a lesson.
    pub fn append(&mut self, saved: &Saved) -> Result<(), Trouble> {
        let settled = settled(saved);
        let wrong = |error| Trouble::Write { path: self.path.clone(), error };
        let Some(file) = &mut self.file else {
            self.keep_other_aside()?;
            replace(&self.path, text(saved, settled).as_bytes())?;
            let file = OpenOptions::new().append(true).open(&self.path).map_err(wrong)?;
            restrict(&file).map_err(|error| Trouble::Write { path: self.path.clone(), error })?;
            self.file = Some(file);
            self.written = settled;
            return Ok(());
        };
        if settled == self.written {
            return Ok(());
        }
        let new: String = saved.entries[self.written..settled].iter().map(line).collect();
        match file.write_all(new.as_bytes()) {
            Ok(()) => {
                self.written = settled;
                Ok(())
            }
            Err(error) => {
                // A part of a line may stand there now: the next call writes the whole file anew.
                self.file = None;
                Err(Trouble::Write { path: self.path.clone(), error })
            }
        }
    }

    /// A journal of another text of the lesson, or one that cannot be read, is not overwritten.
    fn keep_other_aside(&self) -> Result<(), Trouble> {
        let Ok(bytes) = fs::read(&self.path) else { return Ok(()) };
        let known = parse(&String::from_utf8_lossy(&bytes));
        if known.is_none_or(|saved| saved.hash != self.hash) {
            keep_aside(&self.path)?;
        }
        Ok(())
    }
}

/// Running time still grows while it is the last entry: it is written when something follows.
fn settled(saved: &Saved) -> usize {
    saved.entries.len() - usize::from(matches!(saved.entries.last(), Some(Entry::Advance(_))))
}

/// What was typed may hold passwords: nobody else reads it.
fn restrict(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    let _ = file;
    Ok(())
}

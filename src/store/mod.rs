//! Progress on disk.
//!
//! ```text
//! progress.json               which exercises of which lesson are solved, and where the learner was
//! lessons/ID.journal          what was typed in the running lesson, one entry a line, appended before its answer is shown
//! ```
//!
//! progress.json is replaced as a whole, so that it is always the old one or the new one. A journal only grows; a line torn
//! by the end of the program or the machine is dropped when it is read. What cannot be read is kept aside under
//! another name, never overwritten; what a newer program wrote is left alone. One program at a time writes.

pub mod journal;
mod transfer;

pub use transfer::Exported;

use crate::learn::Shelf;
use crate::lesson::Lesson;
use crate::tutor::{Saved, Session};
use journal::Journal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The version of both kinds of file.
pub const FORMAT: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("Your progress cannot be kept: {path}: {error}. What you do now is lost when you leave; the lab itself goes on.", path = path.display())]
    Write { path: PathBuf, error: io::Error },
    #[error("{path} was written by a newer redlab (format {found}, this one knows {FORMAT}). It is left as it is: update redlab, or set REDLAB_HOME to another folder.", path = path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error("{path}: {error}", path = path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("Another redlab is open. What you do in this one is not kept.")]
    Busy,
    #[error("There is no home folder to keep progress in: set REDLAB_HOME to a folder.")]
    NoHome,
    #[error("{path} is no exported progress: {why}", path = path.display())]
    NotExported { path: PathBuf, why: String },
}

/// What is known of all lessons.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub format: u32,
    /// The id of the lesson that the learner was in.
    #[serde(default)]
    pub here: Option<String>,
    #[serde(default)]
    pub lessons: BTreeMap<String, Done>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Of the lesson's text, when it was last opened.
    pub hash: String,
    /// Ids of solved exercises. Once solved they stay, whatever is reset or edited.
    #[serde(default)]
    pub solved: BTreeSet<String>,
}

pub struct Store {
    home: PathBuf,
    progress: Progress,
    journal: Option<Journal>,
    lock: Lock,
    /// To be told once: something was kept aside.
    notice: Option<String>,
}

/// Which program may write.
enum Lock {
    /// This one, as long as the file is open.
    Held { _file: File },
    /// Another one, which goes on from what it knows: this one does not write even when that has ended.
    Others,
    /// It cannot be had now; it is tried for again.
    Missing,
}

impl Lock {
    fn take(home: &Path) -> Result<Lock, Trouble> {
        let path = home.join("lock");
        let trouble = |error| Trouble::Write { path: path.clone(), error };
        let file = fs::create_dir_all(home).and_then(|()| File::create(&path)).map_err(trouble)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock::Held { _file: file }),
            Err(TryLockError::WouldBlock) => Ok(Lock::Others),
            // Some file systems have no locks: whoever keeps progress there has one program at a time.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Lock::Held { _file: file })
            }
            Err(TryLockError::Error(error)) => Err(trouble(error)),
        }
    }
}

/// REDLAB_HOME, else the data folder of this system.
pub fn home() -> Result<PathBuf, Trouble> {
    use etcetera::BaseStrategy;
    if let Some(folder) = std::env::var_os("REDLAB_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(PathBuf::from(folder));
    }
    etcetera::choose_base_strategy().map(|strategy| strategy.data_dir().join("redlab")).map_err(|_| Trouble::NoHome)
}

impl Store {
    /// Opens what is in `home`, which need not exist yet. A store that cannot be written to still opens.
    pub fn open(home: &Path) -> Result<Store, Trouble> {
        let path = home.join("progress.json");
        let mut notice = None;
        let progress = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Progress::default(),
            Err(error) => return Err(Trouble::Read { path, error }),
            Ok(bytes) => match read_progress(&bytes) {
                Ok(progress) if progress.format > FORMAT => {
                    return Err(Trouble::Newer { path, found: progress.format });
                }
                Ok(progress) => progress,
                Err(why) => {
                    let aside = keep_aside(&path)?;
                    notice = Some(format!(
                        "{} could not be read ({why}). It is kept as {}; your list of solved exercises begins anew.",
                        path.display(),
                        aside.display()
                    ));
                    Progress::default()
                }
            },
        };
        Ok(Store {
            home: home.to_owned(),
            progress: Progress { format: FORMAT, ..progress },
            journal: None,
            lock: Lock::take(home).unwrap_or(Lock::Missing),
            notice,
        })
    }

    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Err: why nothing can be written.
    fn may_write(&mut self) -> Result<(), Trouble> {
        if matches!(self.lock, Lock::Missing) {
            self.lock = Lock::take(&self.home)?;
        }
        match self.lock {
            Lock::Others => Err(Trouble::Busy),
            _ => Ok(()),
        }
    }

    /// Forgets a lesson, or everything. Err: it could not be written, or another program would write it again.
    pub fn reset(&mut self, lesson: Option<&str>) -> Result<(), Trouble> {
        self.may_write()?;
        self.journal = None;
        let forgotten: Vec<String> = match lesson {
            Some(id) => vec![id.to_owned()],
            None => self.progress.lessons.keys().cloned().collect(),
        };
        for id in &forgotten {
            self.progress.lessons.remove(id);
            let path = journal::path(&self.home, id);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Trouble::Write { path, error }),
                _ => {}
            }
        }
        if lesson.is_none_or(|id| self.progress.here.as_deref() == Some(id)) {
            self.progress.here = None;
        }
        self.write_progress()
    }

    fn write_progress(&self) -> Result<(), Trouble> {
        let text = serde_json::to_string_pretty(&self.progress).expect("maps of texts are always JSON");
        replace(&self.home.join("progress.json"), text.as_bytes())
    }

    fn note(&mut self, session: &Session) -> Result<(), Trouble> {
        let lesson = session.lesson();
        let before = self.progress.clone();
        self.progress.here = Some(lesson.id.clone());
        let done = self.progress.lessons.entry(lesson.id.clone()).or_default();
        done.hash = lesson.hash.clone();
        done.solved.extend(session.exercises().iter().filter(|each| each.solved).map(|each| each.id.clone()));
        if self.progress == before {
            return Ok(());
        }
        let written = self.write_progress();
        if written.is_err() {
            // So that it is tried again.
            self.progress = before;
        }
        written
    }
}

impl Shelf for Store {
    fn load(&self, lesson: &Lesson) -> Option<Saved> {
        journal::read(&journal::path(&self.home, &lesson.id), &lesson.id, &lesson.hash)
    }

    fn keep(&mut self, session: &Session) -> Result<(), String> {
        self.may_write().map_err(|trouble| trouble.to_string())?;
        let saved = session.saved();
        if self.journal.as_ref().is_none_or(|journal| !journal.is_of(saved)) {
            self.journal = Some(Journal::new(&self.home, saved));
        }
        let journal = self.journal.as_mut().expect("just made");
        let appended = journal.append(saved);
        let noted = self.note(session);
        appended.and(noted).map_err(|trouble| trouble.to_string())?;
        match self.notice.take() {
            Some(notice) => Err(notice),
            None => Ok(()),
        }
    }

    fn here(&self) -> Option<String> {
        self.progress.here.clone()
    }

    fn solved(&self, lesson: &Lesson) -> usize {
        let Some(done) = self.progress.lessons.get(&lesson.id) else { return 0 };
        lesson.exercises.iter().filter(|exercise| done.solved.contains(&exercise.id)).count()
    }
}

/// A newer file may have another shape: its version is read first.
fn read_progress(bytes: &[u8]) -> Result<Progress, String> {
    let any: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let format = any.get("format").and_then(serde_json::Value::as_u64).ok_or("it has no format number")?;
    if format > u64::from(FORMAT) {
        return Ok(Progress { format: u32::try_from(format).unwrap_or(u32::MAX), ..Progress::default() });
    }
    serde_json::from_value(any).map_err(|error| error.to_string())
}

/// Renames a file that cannot be read to a name that is free; that name.
fn keep_aside(path: &Path) -> Result<PathBuf, Trouble> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let free = (1..).map(|n| path.with_file_name(format!("{name}.broken-{n}"))).find(|aside| !aside.exists());
    let aside = free.expect("some number is free");
    fs::rename(path, &aside).map_err(|error| Trouble::Write { path: path.to_owned(), error })?;
    Ok(aside)
}

/// Writes a file as a whole: readers and crashes see the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
    let folder = path.parent().expect("files of a store stand in a folder");
    let written = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        // The new name itself has to reach the disk too.
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    };
    written().map_err(|error| Trouble::Write { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests;

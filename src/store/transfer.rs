//! Export and import: all progress in one file, to take to another machine.

use super::{FORMAT, Progress, Store, Trouble, journal, replace};
use crate::tutor::Saved;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// The exported file: JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    pub redlab_progress: u32,
    pub progress: Progress,
    /// What was done in lessons, by which they are resumed.
    pub running: Vec<Saved>,
}

impl Store {
    pub fn export(&self) -> Exported {
        let read = |id: &String| {
            let bytes = fs::read(journal::path(&self.home, id)).ok()?;
            journal::parse(&String::from_utf8_lossy(&bytes))
        };
        let running = self.progress.lessons.keys().filter_map(read).collect();
        Exported { redlab_progress: FORMAT, progress: self.progress.clone(), running }
    }

    /// Adds what `file` says to what is here: solved stays solved; a lesson that is running here stays as it is.
    pub fn import(&mut self, file: &Path) -> Result<usize, Trouble> {
        self.may_write()?;
        let read = fs::read(file).map_err(|error| Trouble::Read { path: file.to_owned(), error })?;
        let not = |why: String| Trouble::NotExported { path: file.to_owned(), why };
        let any: serde_json::Value = serde_json::from_slice(&read).map_err(|error| not(error.to_string()))?;
        match any.get("redlab_progress").and_then(serde_json::Value::as_u64) {
            None => return Err(not("it does not say so".into())),
            Some(found) if found > u64::from(FORMAT) => {
                return Err(Trouble::Newer { path: file.to_owned(), found: u32::try_from(found).unwrap_or(u32::MAX) });
            }
            Some(_) => {}
        }
        let exported: Exported = serde_json::from_value(any).map_err(|error| not(error.to_string()))?;
        let mut new = 0;
        for (id, theirs) in exported.progress.lessons {
            let ours = self.progress.lessons.entry(id).or_default();
            if ours.hash.is_empty() {
                ours.hash = theirs.hash;
            }
            for exercise in theirs.solved {
                new += usize::from(ours.solved.insert(exercise));
            }
        }
        if self.progress.here.is_none() {
            self.progress.here = exported.progress.here;
        }
        for saved in exported.running {
            let path = journal::path(&self.home, &saved.lesson);
            if !path.exists() {
                replace(&path, journal::text(&saved, saved.entries.len()).as_bytes())?;
            }
        }
        self.write_progress()?;
        Ok(new)
    }
}

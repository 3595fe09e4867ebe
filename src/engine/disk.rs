//! The engine's port to files. The lab implements it over a simulated disk, `redlab serve` over the real one.

use std::fmt;

/// Why a file operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskError {
    NotFound,
    /// No space left on device.
    Full,
    Other(String),
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiskError::NotFound => f.write_str("No such file or directory"),
            DiskError::Full => f.write_str("No space left on device"),
            DiskError::Other(text) => f.write_str(text),
        }
    }
}

/// The steps in which a file is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Write,
    Sync,
    Rename,
    SyncDir,
}

/// In which step a file could not be replaced, and why.
pub type ReplaceError = (Step, DiskError);

/// A disk's own work that must be done before anybody hears of what hangs on it; it may run on another thread.
pub type Unsettled = Box<dyn FnOnce() -> Result<(), ReplaceError> + Send>;

/// Files below one instance's working directory. Paths are relative to it, with `/`.
///
/// `write`, `append` and `truncate` reach the page cache; only `fsync` makes contents survive a loss of power, and only
/// `fsync_dir` makes names (created, renamed, removed) survive it.
pub trait Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, DiskError>;
    /// Creates or replaces.
    fn write(&mut self, path: &str, contents: &[u8]) -> Result<(), DiskError>;
    /// Creates if missing.
    fn append(&mut self, path: &str, tail: &[u8]) -> Result<(), DiskError>;
    fn truncate(&mut self, path: &str, len: u64) -> Result<(), DiskError>;
    fn fsync(&mut self, path: &str) -> Result<(), DiskError>;
    /// `dir` is "" for the working directory itself.
    fn fsync_dir(&mut self, dir: &str) -> Result<(), DiskError>;
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError>;
    fn remove(&mut self, path: &str) -> Result<(), DiskError>;
    fn create_dir(&mut self, dir: &str) -> Result<(), DiskError>;
    /// Names of the files in `dir`, sorted.
    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError>;
    /// None if there is no such file.
    fn len(&self, path: &str) -> Option<u64>;

    /// Gives `path` these contents by way of the file `beside`, so that a crash leaves the old ones or the new ones. Durable:
    /// they survive a loss of power.
    fn replace(&mut self, path: &str, beside: &str, contents: &[u8], durable: bool) -> Result<(), ReplaceError> {
        let written = self.replace_stepwise(path, beside, contents, durable);
        if written.is_err() {
            // What cannot be removed either does no harm.
            let _ = self.remove(beside);
        }
        written
    }

    fn replace_stepwise(
        &mut self,
        path: &str,
        beside: &str,
        contents: &[u8],
        durable: bool,
    ) -> Result<(), ReplaceError> {
        self.write(beside, contents).map_err(|error| (Step::Write, error))?;
        if durable {
            self.fsync(beside).map_err(|error| (Step::Sync, error))?;
        }
        self.rename(beside, path).map_err(|error| (Step::Rename, error))?;
        if durable {
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
            self.fsync_dir(dir).map_err(|error| (Step::SyncDir, error))?;
        }
        Ok(())
    }

    /// `replace`, if need be later than now, but before anything is said of it.
    fn replace_soon(&mut self, path: &str, beside: &str, contents: &[u8], durable: bool) -> Result<(), ReplaceError> {
        self.replace(path, beside, contents, durable)
    }

    /// What `replace_soon` has put off, for whoever can do it together with that of other disks; it has to be done before anything
    /// that was said since leaves the process. A disk that puts nothing off has none.
    fn unsettled(&mut self) -> Option<Unsettled> {
        None
    }

    /// Who else waits while a script runs long. It comes by the way of the disk, which goes wherever a command goes; only
    /// `redlab serve` has one.
    fn outside(&mut self) -> Option<&mut dyn super::hooks::Outside> {
        None
    }
}

/// A disk in memory that forgets nothing and loses nothing: for tests and for a sandbox without files.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    pub files: std::collections::BTreeMap<String, Vec<u8>>,
    /// No space is left: nothing can be written any more.
    pub full: bool,
}

impl Disk for MemoryDisk {
    fn read(&self, path: &str) -> Result<Vec<u8>, DiskError> {
        self.files.get(path).cloned().ok_or(DiskError::NotFound)
    }
    fn write(&mut self, path: &str, contents: &[u8]) -> Result<(), DiskError> {
        if self.full {
            return Err(DiskError::Full);
        }
        self.files.insert(path.to_owned(), contents.to_vec());
        Ok(())
    }
    fn append(&mut self, path: &str, tail: &[u8]) -> Result<(), DiskError> {
        if self.full && !tail.is_empty() {
            return Err(DiskError::Full);
        }
        self.files.entry(path.to_owned()).or_default().extend_from_slice(tail);
        Ok(())
    }
    fn truncate(&mut self, path: &str, len: u64) -> Result<(), DiskError> {
        let file = self.files.get_mut(path).ok_or(DiskError::NotFound)?;
        file.resize(len as usize, 0);
        Ok(())
    }
    fn fsync(&mut self, path: &str) -> Result<(), DiskError> {
        if self.files.contains_key(path) { Ok(()) } else { Err(DiskError::NotFound) }
    }
    fn fsync_dir(&mut self, _dir: &str) -> Result<(), DiskError> {
        Ok(())
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let file = self.files.remove(from).ok_or(DiskError::NotFound)?;
        self.files.insert(to.to_owned(), file);
        Ok(())
    }
    fn remove(&mut self, path: &str) -> Result<(), DiskError> {
        self.files.remove(path).map(drop).ok_or(DiskError::NotFound)
    }
    fn create_dir(&mut self, _dir: &str) -> Result<(), DiskError> {
        Ok(())
    }
    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let names = self.files.keys().filter_map(|path| path.strip_prefix(&prefix));
        Ok(names.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }
    fn len(&self, path: &str) -> Option<u64> {
        self.files.get(path).map(|file| file.len() as u64)
    }
}

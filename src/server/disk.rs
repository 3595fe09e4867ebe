//! The engine's `Disk` port over real files below one directory.
//!
//! A file that is to be replaced durably (nodes.conf) waits for the end of the loop's turn: the nodes of this process then
//! sync theirs at the same time, as so many processes would, and only after that anything is sent.

use crate::engine::disk::{Disk, DiskError, ReplaceError, Step, Unsettled};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Files below `root`. Keeps what is appended to open: a log is written to once for each turn of the event loop.
#[derive(Debug)]
pub struct FileDisk {
    root: PathBuf,
    open: BTreeMap<String, File>,
    /// The files go when the process goes: there is nothing to sync.
    scratch: bool,
    /// By path: the name beside it and the contents that wait to replace it.
    replacing: BTreeMap<String, (String, Vec<u8>)>,
}

impl FileDisk {
    pub fn new(root: PathBuf) -> FileDisk {
        FileDisk { root, open: BTreeMap::new(), scratch: false, replacing: BTreeMap::new() }
    }

    /// Below a directory that is removed when the process ends, so that no file outlives a loss of power anyway.
    pub fn scratch(root: PathBuf) -> FileDisk {
        FileDisk { scratch: true, ..FileDisk::new(root) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn opened(&mut self, path: &str) -> Result<&mut File, DiskError> {
        if !self.open.contains_key(path) {
            let file = OpenOptions::new().create(true).append(true).open(self.path(path)).map_err(disk_error)?;
            self.open.insert(path.to_owned(), file);
        }
        Ok(self.open.get_mut(path).expect("inserted above"))
    }
}

fn disk_error(error: io::Error) -> DiskError {
    match error.kind() {
        io::ErrorKind::NotFound => DiskError::NotFound,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskError::Full,
        _ => DiskError::Other(error.to_string()),
    }
}

fn replace_synced(root: &Path, path: &str, beside: &str, contents: &[u8]) -> Result<(), ReplaceError> {
    let at = |step: Step| move |error: io::Error| (step, disk_error(error));
    let temp = root.join(beside);
    let mut file = File::create(&temp).map_err(at(Step::Write))?;
    file.write_all(contents).map_err(at(Step::Write))?;
    file.sync_all().map_err(at(Step::Sync))?;
    let path = root.join(path);
    fs::rename(temp, &path).map_err(at(Step::Rename))?;
    match path.parent().filter(|_| cfg!(unix)) {
        Some(dir) => File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(Step::SyncDir)),
        None => Ok(()),
    }
}

impl Disk for FileDisk {
    fn read(&self, path: &str) -> Result<Vec<u8>, DiskError> {
        fs::read(self.path(path)).map_err(disk_error)
    }

    fn write(&mut self, path: &str, contents: &[u8]) -> Result<(), DiskError> {
        self.open.remove(path);
        fs::write(self.path(path), contents).map_err(disk_error)
    }

    fn append(&mut self, path: &str, tail: &[u8]) -> Result<(), DiskError> {
        self.opened(path)?.write_all(tail).map_err(disk_error)
    }

    fn truncate(&mut self, path: &str, len: u64) -> Result<(), DiskError> {
        self.open.remove(path);
        let file = OpenOptions::new().write(true).open(self.path(path)).map_err(disk_error)?;
        file.set_len(len).map_err(disk_error)
    }

    fn fsync(&mut self, path: &str) -> Result<(), DiskError> {
        if self.scratch {
            return Ok(());
        }
        if let Some(file) = self.open.get(path) {
            return file.sync_data().map_err(disk_error);
        }
        File::open(self.path(path)).and_then(|file| file.sync_all()).map_err(disk_error)
    }

    fn fsync_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        // Only unix can open a directory; elsewhere names are durable without it.
        if cfg!(unix) && !self.scratch {
            File::open(self.path(dir)).and_then(|dir| dir.sync_all()).map_err(disk_error)
        } else {
            Ok(())
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.open.remove(from);
        self.open.remove(to);
        fs::rename(self.path(from), self.path(to)).map_err(disk_error)
    }

    fn remove(&mut self, path: &str) -> Result<(), DiskError> {
        self.open.remove(path);
        fs::remove_file(self.path(path)).map_err(disk_error)
    }

    fn create_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        fs::create_dir_all(self.path(dir)).map_err(disk_error)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(dir)).map_err(disk_error)? {
            let entry = entry.map_err(disk_error)?;
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn len(&self, path: &str) -> Option<u64> {
        fs::metadata(self.path(path)).ok().map(|meta| meta.len())
    }

    fn replace(&mut self, path: &str, beside: &str, contents: &[u8], durable: bool) -> Result<(), ReplaceError> {
        self.replacing.remove(path);
        self.replace_stepwise(path, beside, contents, durable)
    }

    fn replace_soon(&mut self, path: &str, beside: &str, contents: &[u8], durable: bool) -> Result<(), ReplaceError> {
        let durable = (durable && !self.scratch) || self.replacing.contains_key(path);
        if durable {
            self.replacing.insert(path.to_owned(), (beside.to_owned(), contents.to_vec()));
            return Ok(());
        }
        self.replace_stepwise(path, beside, contents, false)
    }

    fn unsettled(&mut self) -> Option<Unsettled> {
        if self.replacing.is_empty() {
            return None;
        }
        let (root, replacing) = (self.root.clone(), std::mem::take(&mut self.replacing));
        Some(Box::new(move || {
            let mut all = replacing.into_iter();
            all.try_for_each(|(path, (beside, contents))| replace_synced(&root, &path, &beside, &contents))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_files_behave_as_the_disk_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let mut real = FileDisk::new(dir.path().to_owned());
        let mut memory = crate::engine::disk::MemoryDisk::default();
        for disk in [&mut real as &mut dyn Disk, &mut memory] {
            assert_eq!(disk.read("a"), Err(DiskError::NotFound));
            disk.append("a", b"one").unwrap();
            disk.append("a", b"two").unwrap();
            disk.fsync("a").unwrap();
            assert_eq!(disk.read("a").unwrap(), b"onetwo");
            disk.truncate("a", 4).unwrap();
            disk.append("a", b"!").unwrap();
            disk.rename("a", "b").unwrap();
            disk.create_dir("d").unwrap();
            disk.write("d/c", b"deep").unwrap();
            disk.fsync_dir("d").unwrap();
            assert_eq!(disk.read("b").unwrap(), b"onet!");
            assert_eq!(disk.list("").unwrap(), ["b"]);
            assert_eq!(disk.list("d").unwrap(), ["c"]);
            assert_eq!(disk.len("d/c"), Some(4));
            disk.remove("b").unwrap();
            assert_eq!(disk.remove("b"), Err(DiskError::NotFound));
        }
    }

    #[test]
    fn what_waits_to_replace_a_file_replaces_it_when_it_is_settled() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = FileDisk::new(dir.path().to_owned());
        disk.replace("nodes.conf", "beside", b"first", true).unwrap();
        assert!(disk.unsettled().is_none());
        disk.replace_soon("nodes.conf", "beside", b"second", true).unwrap();
        // What need not last, but comes behind what must, must not be overtaken by it.
        disk.replace_soon("nodes.conf", "beside", b"third", false).unwrap();
        assert_eq!(disk.read("nodes.conf").unwrap(), b"first");
        disk.unsettled().expect("it waits")().unwrap();
        assert_eq!(disk.read("nodes.conf").unwrap(), b"third");
        assert_eq!(disk.list("").unwrap(), ["nodes.conf"]);
        disk.replace_soon("nowhere/nodes.conf", "nowhere/beside", b"x", true).unwrap();
        let failed = disk.unsettled().expect("it waits")();
        assert_eq!(failed, Err((Step::Write, DiskError::NotFound)));
        // A scratch disk syncs nothing, so nothing waits.
        let mut scratch = FileDisk::scratch(dir.path().to_owned());
        scratch.replace_soon("nodes.conf", "beside", b"fourth", true).unwrap();
        assert!(scratch.unsettled().is_none());
        assert_eq!(scratch.read("nodes.conf").unwrap(), b"fourth");
    }
}

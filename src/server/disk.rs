//! The engine's `Disk` port over real files below one directory.

use crate::engine::disk::{Disk, DiskError};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// Files below `root`. Keeps what is appended to open: a log is written to once for each turn of the event loop.
#[derive(Debug)]
pub struct FileDisk {
    root: PathBuf,
    open: BTreeMap<String, File>,
}

impl FileDisk {
    pub fn new(root: PathBuf) -> FileDisk {
        FileDisk { root, open: BTreeMap::new() }
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
        if let Some(file) = self.open.get(path) {
            return file.sync_data().map_err(disk_error);
        }
        File::open(self.path(path)).and_then(|file| file.sync_all()).map_err(disk_error)
    }

    fn fsync_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        // Only unix can open a directory; elsewhere names are durable without it.
        if cfg!(unix) { File::open(self.path(dir)).and_then(|dir| dir.sync_all()).map_err(disk_error) } else { Ok(()) }
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
}

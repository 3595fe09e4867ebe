//! The machine's disk: what the kernel shows, and what a loss of power would leave of it.
//!
//! There are three layers, each of which a different accident destroys. What a process holds in its own memory goes with
//! the process (`kill -9`). What it has written is in the **page cache**: every process sees it, and only a loss of power
//! destroys it. What was synced is on the **platter**.
//!
//! The model is ext4 with its defaults (`data=ordered`): contents reach the platter with fsync of the file, or by the
//! kernel's writeback 30 s after they were written; names (created, renamed, removed) with fsync of their directory or of
//! any file, because the file system has one journal, or 5 s later by themselves; a file renamed over another takes its
//! contents to the platter together with its new name (`auto_da_alloc`). A write either fits or fails as a whole.

use crate::base::{Millis, Rng};
use crate::engine::disk::{Disk as EnginePort, DiskError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// After this long the kernel writes dirty contents back (`vm.dirty_expire_centisecs`).
pub const WRITEBACK: Millis = Millis::from_secs(30);
/// After this long the file system commits its journal, names among it (ext4's `commit=5`).
pub const NAMES_COMMIT: Millis = Millis::from_secs(5);

/// What the platter holds of a file.
#[derive(Clone, Debug, PartialEq)]
enum Durable {
    /// The first so many bytes of the live contents: the usual case, a file that only grew.
    Prefix(usize),
    /// Other bytes than the live ones.
    Image(Arc<Vec<u8>>),
}

#[derive(Clone, Debug)]
struct Node {
    live: Arc<Vec<u8>>,
    durable: Durable,
    /// When the oldest contents that are not on the platter were written.
    dirty_since: Option<Millis>,
    /// Renamed over another file: its contents go to the platter with its name.
    flush_with_name: bool,
}

impl Node {
    fn new() -> Node {
        Node { live: Arc::default(), durable: Durable::Prefix(0), dirty_since: None, flush_with_name: false }
    }

    fn sync(&mut self) {
        self.durable = Durable::Prefix(self.live.len());
        self.dirty_since = None;
        self.flush_with_name = false;
    }

    fn durable_bytes(&self) -> &[u8] {
        match &self.durable {
            Durable::Prefix(len) => &self.live[..*len],
            Durable::Image(image) => image,
        }
    }

    /// Makes the platter's contents independent of the live ones, which are about to change within its prefix.
    fn detach(&mut self) {
        if let Durable::Prefix(len) = self.durable {
            self.durable = Durable::Image(Arc::new(self.live[..len].to_vec()));
        }
    }

    fn mark_dirty(&mut self, now: Millis) {
        self.dirty_since.get_or_insert(now);
    }
}

/// Names of files and directories; the root directory "" always exists.
#[derive(Clone, Debug, Default, PartialEq)]
struct Names {
    files: BTreeMap<String, u64>,
    dirs: BTreeSet<String>,
}

/// One disk for all processes of the machine. Paths are absolute, normalised, without the leading `/`.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    nodes: BTreeMap<u64, Node>,
    next_node: u64,
    live: Names,
    platter: Names,
    /// What may differ between the names in use and those on the platter, so that a commit costs what it changes: files,
    /// directories at all, contents that no name in use points to any more, and those that are to be synced with their name.
    touched: Vec<String>,
    dirs_touched: bool,
    orphans: Vec<u64>,
    renamed: Vec<u64>,
    names_dirty_since: Option<Millis>,
    /// Room for live contents, in bytes; None: endless.
    pub capacity_bytes: Option<u64>,
    /// Every change reaches the platter at once: while the world is being set up.
    pub write_through: bool,
    used_bytes: u64,
    now: Millis,
}

/// What `ls` and the disk pane need of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub len: u64,
    /// How many bytes a power cut leaves under this name.
    pub durable_len: u64,
    /// The platter holds the same bytes under this name.
    pub durable: bool,
}

impl Disk {
    pub fn new(now: Millis) -> Disk {
        Disk { now, ..Disk::default() }
    }

    /// Moves the disk's clock and writes back what is due.
    pub fn pass(&mut self, now: Millis) {
        self.now = now;
        if self.names_dirty_since.is_some_and(|since| since + NAMES_COMMIT <= now) {
            self.commit_names();
        }
        if self.next_writeback().is_some_and(|at| at <= now) {
            self.nodes
                .values_mut()
                .filter(|node| node.dirty_since.is_some_and(|s| s + WRITEBACK <= now))
                .for_each(Node::sync);
        }
    }

    fn next_writeback(&self) -> Option<Millis> {
        self.nodes.values().filter_map(|node| node.dirty_since).min().map(|since| since + WRITEBACK)
    }

    /// The machine loses its power: what is not on the platter is gone. With `torn`, of what was appended to a file and
    /// not synced a prefix of chance length may have made it: the kernel was perhaps just writing.
    pub fn power_cut(&mut self, torn: Option<&mut Rng>) {
        let mut torn = torn;
        self.live = self.platter.clone();
        self.names_dirty_since = None;
        self.touched.clear();
        self.dirs_touched = false;
        self.orphans.clear();
        self.renamed.clear();
        let kept: BTreeSet<u64> = self.live.files.values().copied().collect();
        self.nodes.retain(|id, _| kept.contains(id));
        for node in self.nodes.values_mut() {
            match &node.durable {
                Durable::Prefix(len) => {
                    let luck = torn.as_mut().map_or(0, |rng| rng.below(node.live.len() - len + 1));
                    let len = len + luck;
                    if len < node.live.len() {
                        Arc::make_mut(&mut node.live).truncate(len);
                    }
                }
                Durable::Image(image) => node.live = image.clone(),
            }
            node.sync();
        }
        self.used_bytes = self.nodes.values().map(|node| node.live.len() as u64).sum();
    }

    // -- looking -----------------------------------------------------------------------------------------------------

    pub fn read(&self, path: &str) -> Result<&[u8], DiskError> {
        if self.live.dirs.contains(path) || path.is_empty() {
            return Err(DiskError::Other(String::from("Is a directory")));
        }
        Ok(&self.node(path)?.live)
    }

    /// The bytes that a power cut would leave under `path`; None if it would leave no such file.
    pub fn read_platter(&self, path: &str) -> Option<&[u8]> {
        Some(self.nodes[self.platter.files.get(path)?].durable_bytes())
    }

    pub fn status(&self, path: &str) -> Option<Status> {
        let node = self.node(path).ok()?;
        let durable = self.read_platter(path);
        Some(Status {
            len: node.live.len() as u64,
            durable_len: durable.map_or(0, |bytes| bytes.len() as u64),
            durable: match (&node.durable, durable) {
                (Durable::Prefix(len), Some(_)) if self.platter.files.get(path) == self.live.files.get(path) => {
                    *len == node.live.len()
                }
                (_, Some(bytes)) => bytes == node.live.as_slice(),
                (_, None) => false,
            },
        })
    }

    /// All files below `dir` ("" for all), as full paths, sorted.
    pub fn files_below<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = &'a str> {
        self.live.files.keys().map(String::as_str).filter(move |path| is_below(path, dir))
    }

    /// Directories below `dir` that hold no file and no directory, as full paths, sorted.
    pub fn empty_dirs_below<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = &'a str> {
        let holds = |dir: &str| {
            self.files_below(dir).next().is_some() || self.live.dirs.iter().any(|other| is_below(other, dir))
        };
        self.live.dirs.iter().map(String::as_str).filter(move |other| is_below(other, dir) && !holds(other))
    }

    pub fn is_dir(&self, path: &str) -> bool {
        path.is_empty() || self.live.dirs.contains(path)
    }

    pub fn len(&self, path: &str) -> Option<u64> {
        self.node(path).ok().map(|node| node.live.len() as u64)
    }

    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    fn node(&self, path: &str) -> Result<&Node, DiskError> {
        let id = self.live.files.get(path).ok_or(DiskError::NotFound)?;
        Ok(&self.nodes[id])
    }

    // -- changing ----------------------------------------------------------------------------------------------------

    pub fn write(&mut self, path: &str, contents: &[u8]) -> Result<(), DiskError> {
        let before = self.len(path).unwrap_or(0);
        self.check_room((contents.len() as u64).saturating_sub(before))?;
        let (now, through) = (self.now, self.write_through);
        let node = self.open(path)?;
        node.detach();
        node.live = Arc::new(contents.to_vec());
        node.mark_dirty(now);
        if through {
            node.sync();
        }
        self.used_bytes = self.used_bytes + contents.len() as u64 - before;
        Ok(())
    }

    pub fn append(&mut self, path: &str, tail: &[u8]) -> Result<(), DiskError> {
        self.check_room(tail.len() as u64)?;
        let (now, through) = (self.now, self.write_through);
        let node = self.open(path)?;
        Arc::make_mut(&mut node.live).extend_from_slice(tail);
        if !tail.is_empty() {
            node.mark_dirty(now);
        }
        if through {
            node.sync();
        }
        self.used_bytes += tail.len() as u64;
        Ok(())
    }

    pub fn truncate(&mut self, path: &str, len: u64) -> Result<(), DiskError> {
        let before = self.node(path)?.live.len() as u64;
        self.check_room(len.saturating_sub(before))?;
        let (now, through) = (self.now, self.write_through);
        let node = self.open(path)?;
        if matches!(node.durable, Durable::Prefix(kept) if (len as usize) < kept) {
            node.detach();
        }
        Arc::make_mut(&mut node.live).resize(len as usize, 0);
        node.mark_dirty(now);
        if through {
            node.sync();
        }
        self.used_bytes = self.used_bytes + len - before;
        Ok(())
    }

    pub fn fsync(&mut self, path: &str) -> Result<(), DiskError> {
        let id = *self.live.files.get(path).ok_or(DiskError::NotFound)?;
        self.nodes.get_mut(&id).expect("names point to nodes").sync();
        self.commit_names();
        Ok(())
    }

    pub fn fsync_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        if !self.is_dir(dir) {
            return Err(DiskError::NotFound);
        }
        self.commit_names();
        Ok(())
    }

    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.check_parent(to)?;
        let id = self.live.files.remove(from).ok_or(DiskError::NotFound)?;
        if let Some(replaced) = self.live.files.insert(to.to_owned(), id)
            && replaced != id
        {
            self.nodes.get_mut(&id).expect("names point to nodes").flush_with_name = true;
            self.used_bytes -= self.nodes[&replaced].live.len() as u64;
            self.renamed.push(id);
            self.orphans.push(replaced);
        }
        self.touched.extend([from.to_owned(), to.to_owned()]);
        self.names_changed();
        Ok(())
    }

    pub fn remove(&mut self, path: &str) -> Result<(), DiskError> {
        let id = self.live.files.remove(path).ok_or(DiskError::NotFound)?;
        self.used_bytes -= self.nodes[&id].live.len() as u64;
        self.orphans.push(id);
        self.touched.push(path.to_owned());
        self.names_changed();
        Ok(())
    }

    /// Makes one directory; its parent must exist. Nothing happens if it exists.
    pub fn create_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        if self.is_dir(dir) {
            return Ok(());
        }
        self.check_parent(dir)?;
        self.live.dirs.insert(dir.to_owned());
        self.dirs_touched = true;
        self.names_changed();
        Ok(())
    }

    /// Removes `dir` and the directories in it. Err: there are files in it.
    pub fn remove_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        if !self.live.dirs.contains(dir) {
            return Err(DiskError::NotFound);
        }
        if self.files_below(dir).next().is_some() {
            return Err(DiskError::Other(String::from("Directory not empty")));
        }
        self.live.dirs.retain(|other| other != dir && !is_below(other, dir));
        self.dirs_touched = true;
        self.names_changed();
        Ok(())
    }

    /// Makes `dir` and what is missing above it.
    pub fn create_dirs(&mut self, dir: &str) -> Result<(), DiskError> {
        let ends = dir.match_indices('/').map(|(at, _)| at).chain([dir.len()]);
        ends.into_iter().try_for_each(|end| self.create_dir(&dir[..end]))
    }

    fn open(&mut self, path: &str) -> Result<&mut Node, DiskError> {
        if self.is_dir(path) {
            return Err(DiskError::Other(String::from("Is a directory")));
        }
        let id = match self.live.files.get(path) {
            Some(id) => *id,
            None => {
                self.check_parent(path)?;
                self.next_node += 1;
                self.nodes.insert(self.next_node, Node::new());
                self.live.files.insert(path.to_owned(), self.next_node);
                self.touched.push(path.to_owned());
                self.names_changed();
                self.live.files[path]
            }
        };
        Ok(self.nodes.get_mut(&id).expect("names point to nodes"))
    }

    fn check_parent(&self, path: &str) -> Result<(), DiskError> {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if self.is_dir(parent) { Ok(()) } else { Err(DiskError::NotFound) }
    }

    fn check_room(&self, more: u64) -> Result<(), DiskError> {
        match self.capacity_bytes {
            Some(capacity) if more > 0 && self.used_bytes + more > capacity => Err(DiskError::Full),
            _ => Ok(()),
        }
    }

    fn names_changed(&mut self) {
        if self.write_through {
            self.commit_names();
        } else {
            self.names_dirty_since.get_or_insert(self.now);
        }
    }

    fn commit_names(&mut self) {
        self.names_dirty_since = None;
        for path in std::mem::take(&mut self.touched) {
            match self.live.files.get(&path) {
                Some(id) => self.platter.files.insert(path, *id),
                None => self.platter.files.remove(&path),
            };
        }
        if std::mem::take(&mut self.dirs_touched) {
            self.platter.dirs = self.live.dirs.clone();
        }
        for id in std::mem::take(&mut self.orphans) {
            self.nodes.remove(&id);
        }
        for id in std::mem::take(&mut self.renamed) {
            if let Some(node) = self.nodes.get_mut(&id).filter(|node| node.flush_with_name) {
                node.sync();
            }
        }
        debug_assert_eq!(self.platter, self.live);
    }

    /// Everything that a later step could depend on, in a fixed order, for the world's state hash.
    pub(super) fn digest(&self, write: &mut dyn FnMut(&[u8])) {
        for (mark, names) in [(b"l", &self.live), (b"p", &self.platter)] {
            write(mark);
            names.dirs.iter().for_each(|dir| write(dir.as_bytes()));
            for (path, id) in &names.files {
                write(path.as_bytes());
                write(&id.to_le_bytes());
            }
        }
        for (id, node) in &self.nodes {
            write(&id.to_le_bytes());
            write(&node.live);
            write(node.durable_bytes());
            write(format!("{:?}{}", node.dirty_since, node.flush_with_name).as_bytes());
        }
        write(format!("{:?}{:?}{}", self.names_dirty_since, self.capacity_bytes, self.next_node).as_bytes());
    }
}

fn is_below(path: &str, dir: &str) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

/// `path` as seen from `base`: absolute, without `.` and `..`, without the leading `/`.
pub fn resolve(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = if path.starts_with('/') { Vec::new() } else { base.split('/').collect() };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

/// The disk as one process sees it, from its working directory.
pub struct From<'a> {
    pub disk: &'a mut Disk,
    pub dir: &'a str,
}

impl EnginePort for From<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, DiskError> {
        self.disk.read(&resolve(self.dir, path)).map(<[u8]>::to_vec)
    }
    fn write(&mut self, path: &str, contents: &[u8]) -> Result<(), DiskError> {
        self.disk.write(&resolve(self.dir, path), contents)
    }
    fn append(&mut self, path: &str, tail: &[u8]) -> Result<(), DiskError> {
        self.disk.append(&resolve(self.dir, path), tail)
    }
    fn truncate(&mut self, path: &str, len: u64) -> Result<(), DiskError> {
        self.disk.truncate(&resolve(self.dir, path), len)
    }
    fn fsync(&mut self, path: &str) -> Result<(), DiskError> {
        self.disk.fsync(&resolve(self.dir, path))
    }
    fn fsync_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        self.disk.fsync_dir(&resolve(self.dir, dir))
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.disk.rename(&resolve(self.dir, from), &resolve(self.dir, to))
    }
    fn remove(&mut self, path: &str) -> Result<(), DiskError> {
        self.disk.remove(&resolve(self.dir, path))
    }
    fn create_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        self.disk.create_dir(&resolve(self.dir, dir))
    }
    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        let dir = resolve(self.dir, dir);
        if !self.disk.is_dir(&dir) {
            return Err(DiskError::NotFound);
        }
        let skip = if dir.is_empty() { 0 } else { dir.len() + 1 };
        let names = self.disk.files_below(&dir).map(|path| &path[skip..]);
        Ok(names.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }
    fn len(&self, path: &str) -> Option<u64> {
        self.disk.len(&resolve(self.dir, path))
    }
}

#[cfg(test)]
mod tests;

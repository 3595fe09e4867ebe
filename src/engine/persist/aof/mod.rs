//! The append only file: every change, written down before its reply goes out.
//!
//! As in Redis 7 it is a directory with a manifest, a base (a snapshot) and incremental files (commands as RESP). What a
//! step changed is collected in `buffer` and written at the end of the step; `appendfsync` decides when what was written
//! is forced to the platter. A rewrite makes a new base in the background and a new incremental file beside it.

pub mod load;
pub mod manifest;
mod rewrite;

use super::Child;
use crate::base::{Bytes, Millis};
use crate::engine::config::{Config, Fsync};
use crate::engine::disk::DiskError;
use crate::engine::{Env, Instance, Outbox, Output};
use crate::resp::encode;
use manifest::Manifest;

/// A database index that stands for "none": what comes next names its database first.
const NO_DB: usize = usize::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum State {
    #[default]
    Off,
    On,
    /// Just switched on: the first base is being written, and what changes meanwhile goes into a temporary file.
    FirstRewrite,
}

#[derive(Clone, Debug)]
pub struct Aof {
    pub state: State,
    pub manifest: Manifest,
    /// What has not been written yet.
    pub buffer: Vec<u8>,
    selected_db: usize,
    /// The incremental file that is written to.
    path: String,
    /// Bytes of the current base and incremental file.
    pub size: u64,
    /// `size` right after the last rewrite or start.
    pub base_size: u64,
    /// Bytes of the incremental file, and how many of them were synced.
    incr_size: u64,
    synced_size: u64,
    /// When the last fsync was.
    pub last_fsync: Millis,
    /// The last second for which a time stamp was written.
    stamped: u64,
    pub last_write_error: Option<DiskError>,
    pub last_rewrite_ok: bool,
    pub rewrite_scheduled: bool,
    pub rewrites: u64,
    /// Seconds that the last rewrite took.
    pub last_rewrite_secs: Option<u64>,
}

impl Default for Aof {
    fn default() -> Aof {
        Aof {
            state: State::Off,
            manifest: Manifest::default(),
            buffer: Vec::new(),
            selected_db: NO_DB,
            path: String::new(),
            size: 0,
            base_size: 0,
            incr_size: 0,
            synced_size: 0,
            last_fsync: Millis::ZERO,
            stamped: 0,
            last_write_error: None,
            last_rewrite_ok: true,
            rewrite_scheduled: false,
            rewrites: 0,
            last_rewrite_secs: None,
        }
    }
}

impl Aof {
    /// Whether anybody wants to know what changes.
    pub fn listens(&self) -> bool {
        self.state != State::Off
    }

    /// Appends a command of database `db` (or of none: MULTI and EXEC) to the buffer.
    fn feed(&mut self, db: usize, args: &[Bytes], stamp: Option<u64>) {
        if let Some(secs) = stamp.filter(|secs| *secs > self.stamped) {
            self.stamped = secs;
            self.buffer.extend_from_slice(format!("#TS:{secs}\r\n").as_bytes());
        }
        if db != NO_DB && db != self.selected_db {
            let index = Bytes::from(db.to_string());
            encode::request(&mut self.buffer, &[Bytes::from("SELECT"), index]);
            self.selected_db = db;
        }
        encode::request(&mut self.buffer, args);
    }
}

/// `appendonlydir/NAME`.
fn path_of(config: &Config, name: &str) -> String {
    config.path(&format!("{}/{name}", config.text("appenddirname").lossy()))
}

fn stem_of(config: &Config) -> String {
    config.text("appendfilename").lossy().into_owned()
}

impl Instance {
    /// Takes what the step propagated into the AOF's buffer and writes it.
    pub(in crate::engine) fn append_propagated(&mut self, env: &mut Env, out: &mut Outbox) {
        let rewriting = matches!(self.persist.child, Some(Child::Rewrite { .. }));
        let aof = &mut self.persist.aof;
        if aof.state == State::On || (aof.state == State::FirstRewrite && rewriting) {
            let stamp = self.config.aof_timestamps.then_some(env.now.secs());
            for entry in self.propagated.iter().filter(|entry| entry.to_aof) {
                aof.feed(entry.db, &entry.args, stamp);
            }
        }
        self.flush_aof(env, out);
    }

    /// Writes the buffer, and syncs as `appendfsync` says.
    pub(super) fn flush_aof(&mut self, env: &mut Env, out: &mut Outbox) {
        self.write_and_sync(env, out);
        let aof = &self.persist.aof;
        if aof.state == State::On && aof.buffer.is_empty() && aof.synced_size == aof.incr_size {
            self.replication.fsynced_offset = self.replication.offset as i64;
        }
    }

    fn write_and_sync(&mut self, env: &mut Env, out: &mut Outbox) {
        let policy = self.config.appendfsync;
        let aof = &mut self.persist.aof;
        if aof.path.is_empty() || (aof.buffer.is_empty() && aof.synced_size == aof.incr_size) {
            return;
        }
        if !aof.buffer.is_empty() {
            if let (Some(sleep), us @ 1..) = (self.hooks.sleep, self.switches.aof_flush_sleep_us) {
                sleep(us);
            }
            if let Err(error) = env.disk.append(&aof.path, &aof.buffer) {
                return self.aof_write_failed(env, error, out);
            }
            if aof.last_write_error.take().is_some() {
                out.push(Output::Log(String::from("* AOF write error looks solved, Redis can write again.")));
            }
            aof.size += aof.buffer.len() as u64;
            aof.incr_size += aof.buffer.len() as u64;
            aof.buffer.clear();
        }
        if self.persist.child.is_some() && self.config.no_appendfsync_on_rewrite {
            return;
        }
        let aof = &mut self.persist.aof;
        let due = match policy {
            Fsync::Always => true,
            // Redis compares whole seconds.
            Fsync::EverySecond => env.now.secs() > aof.last_fsync.secs(),
            Fsync::No => false,
        };
        if due {
            aof.last_fsync = env.now;
            match env.disk.fsync(&aof.path) {
                Ok(()) => aof.synced_size = aof.incr_size,
                Err(error) if policy == Fsync::Always => {
                    out.push(Output::Log(format!(
                        "# Can't persist AOF for fsync error when the AOF fsync policy is 'always': {error}. Exiting..."
                    )));
                    out.push(Output::Exit);
                }
                Err(error) => aof.last_write_error = Some(error),
            }
        }
    }

    fn aof_write_failed(&mut self, env: &mut Env, error: DiskError, out: &mut Outbox) {
        let aof = &mut self.persist.aof;
        if aof.last_write_error.is_none() {
            out.push(Output::Log(format!("# Error writing to the AOF file: {error}")));
        }
        // Half a command at the end would make the file unreadable.
        let _ = env.disk.truncate(&aof.path, aof.incr_size);
        aof.last_write_error = Some(error);
        if self.config.appendfsync == Fsync::Always {
            // The reply has been promised to be on disk: better no server than a lie.
            out.push(Output::Log(String::from(
                "# Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...",
            )));
            out.push(Output::Exit);
        }
    }

    /// When the next fsync is due that the clock brings about; None: nothing waits for one.
    pub(super) fn next_fsync(&self) -> Option<Millis> {
        let aof = &self.persist.aof;
        let waits = self.config.appendfsync == Fsync::EverySecond && aof.synced_size != aof.incr_size;
        waits.then(|| Millis::from_secs(aof.last_fsync.secs() + 1))
    }

    /// Writes and syncs, whatever the policy: SHUTDOWN, and before the AOF is switched off.
    pub(super) fn sync_aof(&mut self, env: &mut Env, out: &mut Outbox) {
        self.flush_aof(env, out);
        let aof = &mut self.persist.aof;
        match env.disk.fsync(&aof.path) {
            Ok(()) => {
                aof.synced_size = aof.incr_size;
                aof.last_fsync = env.now;
            }
            Err(error) => out.push(Output::Log(format!("# Fail to fsync the AOF file: {error}."))),
        }
    }

    /// CONFIG SET appendonly yes. Err: it could not begin; the log says why.
    pub(in crate::engine) fn start_aof(&mut self, env: &mut Env, in_exec: bool, out: &mut Outbox) -> Result<(), ()> {
        self.persist.aof.state = State::FirstRewrite;
        self.replication.fsynced_offset = 0;
        self.persist.aof.last_fsync = env.now;
        self.persist.aof.last_write_error = None;
        let say = |out: &mut Outbox, text: &str| out.push(Output::Log(text.to_owned()));
        match &self.persist.child {
            Some(Child::Save { .. }) => {
                self.persist.aof.rewrite_scheduled = true;
                say(
                    out,
                    "* AOF was enabled but there is already another background operation. An AOF background was scheduled to start when possible.",
                );
                return Ok(());
            }
            Some(Child::Rewrite { .. }) => {
                say(
                    out,
                    "* AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and starting a rewrite now.",
                );
                self.kill_rewrite(env);
            }
            None => {}
        }
        if in_exec {
            self.persist.aof.rewrite_scheduled = true;
            say(out, "* AOF was enabled during a transaction. An AOF background was scheduled to start when possible.");
            return Ok(());
        }
        self.start_rewrite(env, out).inspect_err(|()| {
            self.persist.aof.state = State::Off;
            say(out, "# Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above logs for more info about the error.");
        })
    }

    /// CONFIG SET appendonly no.
    pub(in crate::engine) fn stop_aof(&mut self, env: &mut Env, out: &mut Outbox) {
        self.sync_aof(env, out);
        if matches!(self.persist.child, Some(Child::Rewrite { .. })) {
            self.kill_rewrite(env);
        }
        self.replication.fsynced_offset = -1;
        let aof = &mut self.persist.aof;
        aof.state = State::Off;
        aof.selected_db = NO_DB;
        aof.path.clear();
        aof.buffer.clear();
        aof.rewrite_scheduled = false;
        (aof.incr_size, aof.synced_size) = (0, 0);
    }

    /// Puts `manifest` into its file: a new file beside it, synced, then renamed over it.
    fn write_manifest(&self, env: &mut Env, manifest: &Manifest) -> Result<(), DiskError> {
        let name = format!("{}.manifest", stem_of(&self.config));
        let (path, beside) = (path_of(&self.config, &name), path_of(&self.config, &format!("temp-{name}")));
        env.disk.replace(&path, &beside, manifest.text().as_bytes(), true).map_err(|(_, error)| error)
    }

    /// At the end of the start: makes sure there is a file to append to. Err: what to log before exiting.
    pub(super) fn open_aof(&mut self, env: &mut Env) -> Result<Vec<String>, Vec<String>> {
        let mut log = Vec::new();
        let dir = self.config.text("appenddirname").lossy().into_owned();
        let cannot = |error: DiskError| vec![format!("# Can't open or create append-only dir {dir}: {error}")];
        env.disk.create_dir(&self.config.path(&dir)).map_err(cannot)?;
        let stem = stem_of(&self.config);
        let mut manifest = self.persist.aof.manifest.clone();
        if manifest.is_empty() {
            let rdb = self.config.flag("aof-use-rdb-preamble");
            let name = manifest.new_base(&stem, rdb);
            let image = self.base_image(env.now);
            let base_size = image.len() as u64;
            let path = path_of(&self.config, &name);
            let written = env.disk.write(&path, &image).and_then(|()| env.disk.fsync(&path));
            written.map_err(|error| vec![format!("# Write error writing append only file on disk: {error}")])?;
            self.persist.aof.base_size = base_size;
            self.persist.aof.size = base_size;
            log.push(format!("* Creating AOF base file {name} on server start"));
        }
        let (name, verb) = match manifest.incr.last() {
            Some(part) => (part.name.clone(), "Opening"),
            None => (manifest.new_incr(&stem), "Creating"),
        };
        let path = path_of(&self.config, &name);
        let opened = env.disk.append(&path, b"");
        opened.map_err(|error| vec![format!("# Can't open the append-only file {name}: {error}")])?;
        let kept = self.write_manifest(env, &manifest);
        kept.map_err(|error| vec![format!("# Fail to rename the temp AOF manifest file: {error}")])?;
        log.push(format!("* {verb} AOF incr file {name} on server start"));
        let aof = &mut self.persist.aof;
        aof.manifest = manifest;
        aof.incr_size = env.disk.len(&path).unwrap_or(0);
        aof.synced_size = aof.incr_size;
        aof.path = path;
        aof.state = State::On;
        aof.last_fsync = env.now;
        self.replication.fsynced_offset = 0;
        Ok(log)
    }
}

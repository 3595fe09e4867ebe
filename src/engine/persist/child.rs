//! A background process that writes the data set down: Redis forks, and the child sees the data as they were at that moment.
//!
//! Where nothing can fork (the lab) the bytes are made at that moment and kept; the file appears when a child would have
//! ended, so a crash in between leaves the old one. `redlab serve` lends a real fork (`hooks::Processes`): its child makes the
//! bytes, writes them into the temporary file and ends; all that is left to do then is to give the file its name.

use crate::base::Millis;
use crate::engine::config::Config;
use crate::engine::disk::DiskError;
use crate::engine::hooks::Progress;
use crate::engine::persist::rdb;
use crate::engine::{Env, Instance, Outbox, Output};
use std::sync::Arc;

/// Who does the work.
#[derive(Clone, Debug)]
pub enum Work {
    /// Done already: the file's bytes.
    Made(Arc<Vec<u8>>),
    /// A process, which writes the temporary file.
    Process(u32),
}

/// A background process at work; there is one at most.
#[derive(Clone, Debug)]
pub enum Child {
    Save {
        pid: u32,
        started_at: Millis,
        done_at: Millis,
        work: Work,
        /// It goes straight to replicas, and into no file.
        to_replicas: bool,
    },
    Rewrite {
        pid: u32,
        started_at: Millis,
        done_at: Millis,
        work: Work,
    },
}

/// A child that has been let go.
pub(in crate::engine) struct Begun {
    pub pid: u32,
    pub done_at: Millis,
    pub work: Work,
}

impl Child {
    /// When it ends, by the virtual clock; of a real process nobody knows.
    pub fn done_at(&self) -> Millis {
        match self {
            Child::Save { done_at, .. } | Child::Rewrite { done_at, .. } => *done_at,
        }
    }

    pub fn pid(&self) -> u32 {
        match self {
            Child::Save { pid, .. } | Child::Rewrite { pid, .. } => *pid,
        }
    }

    fn work(&self) -> &Work {
        match self {
            Child::Save { work, .. } | Child::Rewrite { work, .. } => work,
        }
    }

    /// Where it writes, in the working directory.
    pub(in crate::engine) fn file_name(&self) -> String {
        match self {
            Child::Save { pid, .. } => save_file(*pid),
            Child::Rewrite { pid, .. } => rewrite_file(*pid),
        }
    }
}

pub(in crate::engine) fn save_file(pid: u32) -> String {
    format!("temp-{pid}.rdb")
}

pub(in crate::engine) fn rewrite_file(pid: u32) -> String {
    format!("temp-rewriteaof-bg-{pid}.aof")
}

/// How long a child takes on the virtual clock: a fork, 200 MB a second, and `rdb-key-save-delay` microseconds a key,
/// the parameter that Redis' own tests slow a save down with.
fn time(config: &Config, keys: usize, bytes: usize) -> Millis {
    Millis(5 + bytes as u64 / 200_000 + delay_us(config, keys) / 1000)
}

fn delay_us(config: &Config, keys: usize) -> u64 {
    (config.int("rdb-key-save-delay").max(0) as u64).saturating_mul(keys as u64)
}

impl Instance {
    /// Lets a child make the bytes; `name` is that of the temporary file, given its process id.
    pub(in crate::engine) fn fork(
        &mut self,
        env: &mut Env,
        out: &mut Outbox,
        name: fn(u32) -> String,
        make: impl FnOnce(&Instance) -> Vec<u8>,
    ) -> Begun {
        let keys = self.dbs.iter().map(|db| db.len()).sum();
        self.persist.child_keys = keys as u64;
        let began_us = self.hooks.micros();
        match self.hooks.processes.map(|processes| (processes, (processes.fork)())) {
            Some((_, Ok(Some(pid)))) => {
                self.persist.forks += 1;
                self.persist.last_fork_us = self.hooks.micros().saturating_sub(began_us);
                return Begun { pid, done_at: env.now, work: Work::Process(pid) };
            }
            Some((processes, Ok(None))) => {
                // This is the child. Whatever happens, it must not go on as a second server.
                let (sleep, delay_us) = (self.hooks.sleep, delay_us(&self.config, 1));
                self.persist.pace = Some(rdb::Pace { report: processes.report, sleep, delay_us });
                let written = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let image = make(self);
                    // What was not written as RDB tells of no keys and takes its time here.
                    if let (Some(sleep), 0) = (sleep, (processes.progress)().keys) {
                        sleep(delay_us.saturating_mul(keys as u64));
                    }
                    write_temporary(env, &self.config, &name((processes.own_pid)()), &image)
                }));
                let error = match written {
                    Ok(Ok(())) => None,
                    Ok(Err(line)) => Some(line),
                    Err(_) => Some(String::from("# The child ended by a fault of its own")),
                };
                (processes.leave)(error.as_deref());
            }
            Some((_, Err(error))) => {
                out.push(Output::Log(format!(
                    "# Can't save in background: fork: {error}. Everybody has to wait for it."
                )));
            }
            None => {}
        }
        let image = make(self);
        let pid = self.persist.next_child();
        let done_at = env.now + time(&self.config, keys, image.len());
        Begun { pid, done_at, work: Work::Made(Arc::new(image)) }
    }

    /// Whether the child that is at work has ended; Some(false): it has failed.
    pub(in crate::engine) fn child_has_ended(&self, now: Millis) -> Option<bool> {
        let child = self.persist.child.as_ref()?;
        match (child.work(), self.hooks.processes) {
            (Work::Process(pid), Some(processes)) => (processes.ended)(*pid),
            (Work::Process(_), None) => Some(false),
            (Work::Made(_), _) => (child.done_at() <= now).then_some(true),
        }
    }

    /// How far the child is that is at work; nothing is known of one that is no process.
    pub(in crate::engine) fn child_progress(&self) -> Progress {
        match (self.persist.child.as_ref().map(Child::work), self.hooks.processes) {
            (Some(Work::Process(_)), Some(processes)) => (processes.progress)(),
            _ => Progress::default(),
        }
    }

    /// Ends the child, and removes what it has written.
    pub(in crate::engine) fn kill_child(&mut self, env: &mut Env) {
        let Some(child) = self.persist.child.take() else { return };
        if let (Work::Process(pid), Some(processes)) = (child.work(), self.hooks.processes) {
            (processes.kill)(*pid);
        }
        // It may not have come so far.
        let _ = env.disk.remove(&self.config.path(&child.file_name()));
    }

    /// What a child that has ended well has left: its temporary file, written here if it was no process. Err: logged.
    pub(in crate::engine) fn temporary_of(
        &self,
        name: &str,
        work: &Work,
        env: &mut Env,
        out: &mut Outbox,
    ) -> Result<(), ()> {
        match work {
            Work::Process(_) => Ok(()),
            Work::Made(image) => {
                write_temporary(env, &self.config, name, image).map_err(|line| out.push(Output::Log(line)))
            }
        }
    }

    /// The bytes that a child has made, which stand in `path` by now if it was a process.
    pub(in crate::engine) fn image_of(&self, work: &Work, path: &str, env: &Env) -> Option<Arc<Vec<u8>>> {
        match work {
            Work::Made(image) => Some(Arc::clone(image)),
            Work::Process(_) => env.disk.read(path).ok().map(Arc::new),
        }
    }
}

/// Writes a file beside the one whose place it will take, and syncs it. Err: what to log; nothing of it is left.
pub(in crate::engine) fn write_temporary(
    env: &mut Env,
    config: &Config,
    name: &str,
    image: &[u8],
) -> Result<(), String> {
    let path = config.path(name);
    let written = env.disk.write(&path, image).and_then(|()| env.disk.fsync(&path));
    written.map_err(|error| {
        let _ = env.disk.remove(&path);
        let rdb = name.ends_with(".rdb");
        match error {
            DiskError::NotFound if rdb => format!(
                "# Failed opening the temp RDB file {name} (in server root dir {}) for saving: {error}",
                config.text("dir").lossy()
            ),
            _ if rdb => format!("# Write error while saving DB to the disk(rdbSaveRio): {error}"),
            _ => format!("# Write error writing append only file on disk: {error}"),
        }
    })
}

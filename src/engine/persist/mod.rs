//! What outlives the process: RDB files, the append only file, and when each is written.
//!
//! Order for readers: this file (saves, save points), `child` (who does it in the background), `boot`, `shutdown`, `rdb`, `aof`.

pub mod aof;
pub mod boot;
pub mod child;
pub mod crc64;
pub mod lzf;
pub mod rdb;
pub mod shutdown;

#[cfg(test)]
mod tests;

use super::refusal::Refusal;
use super::{Env, Instance, Outbox, Output};
use crate::base::{Bytes, Millis};
use aof::{Aof, State};
pub use child::Child;
use child::{Begun, save_file, write_temporary};
use shutdown::Ending;
pub use shutdown::Shutdown;

#[derive(Clone, Debug)]
pub struct Persistence {
    pub aof: Aof,
    pub child: Option<Child>,
    /// The server's own process id, from which its children's follow.
    pub pid: u32,
    children: u32,
    pub last_save: Millis,
    pub last_bgsave_ok: bool,
    last_bgsave_try: Millis,
    /// `Instance::dirty` when the child began.
    dirty_before: u64,
    pub bgsave_scheduled: bool,
    /// The process is to end once its replicas have everything.
    pub ending: Option<Ending>,
    pub saves: u64,
    /// Real ones.
    pub forks: u64,
    /// Keys that there were when the last child began.
    pub child_keys: u64,
    /// Memory that the last children copied, in bytes: the save and the rewrite.
    last_save_copied: u64,
    last_rewrite_copied: u64,
    /// In a child: how it writes.
    pace: Option<rdb::Pace>,
    /// How long the last one took, in microseconds.
    pub last_fork_us: u64,
    /// Seconds that the last background save took.
    pub last_bgsave_secs: Option<u64>,
    /// The data is being loaded: nothing expires, nothing is refused, nothing is written down.
    pub loading: bool,
    pub last_load_expired: usize,
    pub last_load_keys: usize,
}

impl Persistence {
    /// At the start, which counts as a save.
    pub fn new(now: Millis) -> Persistence {
        Persistence {
            aof: Aof::default(),
            child: None,
            pid: 1,
            children: 0,
            last_save: now,
            last_bgsave_ok: true,
            last_bgsave_try: Millis::ZERO,
            dirty_before: 0,
            bgsave_scheduled: false,
            ending: None,
            saves: 0,
            forks: 0,
            child_keys: 0,
            last_save_copied: 0,
            last_rewrite_copied: 0,
            pace: None,
            last_fork_us: 0,
            last_bgsave_secs: None,
            loading: false,
            last_load_expired: 0,
            last_load_keys: 0,
        }
    }

    /// The process id of the next child.
    fn next_child(&mut self) -> u32 {
        self.children += 1;
        self.pid + self.children
    }
}

impl Instance {
    pub(in crate::engine) fn save_options(&self, now: Millis) -> rdb::SaveOptions {
        rdb::SaveOptions { stream: self.stream_position(), ..rdb::SaveOptions::of(&self.config, now, 1 << 20) }
    }

    /// The whole data set as an RDB file: functions and keys.
    pub(in crate::engine) fn rdb_image(&self, options: &rdb::SaveOptions) -> Vec<u8> {
        let options = rdb::SaveOptions { pace: self.persist.pace, ..*options };
        rdb::save_with(&self.dbs, &self.scripting.library_sources(), &options)
    }

    /// Takes the libraries of a file in, in place of those of the same name if `replace`. Err: what to log.
    pub(in crate::engine) fn load_functions(&mut self, codes: &[Bytes], replace: bool) -> Result<(), String> {
        let for_server = self.hooks.stopwatch.is_some();
        for code in codes {
            let loaded = self.scripting.load_library(code, replace, for_server);
            loaded.map_err(|error| format!("# Failed creating the library: {error}"))?;
        }
        Ok(())
    }

    pub(in crate::engine) fn load_options(&self, now: Millis) -> rdb::LoadOptions {
        rdb::LoadOptions::of(&self.config, now, self.seed)
    }

    pub(in crate::engine) fn rdb_path(&self) -> String {
        self.config.path(&self.config.text("dbfilename").lossy())
    }

    /// Gives a file that has been written beside the RDB file its place, so that at each moment there is a whole one. Err:
    /// logged.
    fn publish_rdb(&self, env: &mut Env, name: &str, out: &mut Outbox) -> Result<(), ()> {
        let (temporary, path) = (self.config.path(name), self.rdb_path());
        let moved = env.disk.rename(&temporary, &path).and_then(|()| env.disk.fsync_dir(&self.config.path("")));
        if let Err(error) = moved {
            let dir = self.config.text("dir");
            out.push(Output::Log(format!(
                "# Error moving temp DB file {name} on the final destination {path} (in server root dir {}): {error}",
                dir.lossy()
            )));
            let _ = env.disk.remove(&temporary);
            return Err(());
        }
        out.push(Output::Log(String::from("* DB saved on disk")));
        Ok(())
    }

    /// SAVE: at once. Err: logged.
    pub(in crate::engine) fn save(&mut self, env: &mut Env, out: &mut Outbox) -> Result<(), ()> {
        let image = self.rdb_image(&self.save_options(env.now));
        let name = save_file(self.persist.pid);
        write_temporary(env, &self.config, &name, &image).map_err(|line| out.push(Output::Log(line)))?;
        self.publish_rdb(env, &name, out)?;
        self.dirty = 0;
        self.persist.last_save = env.now;
        self.persist.last_bgsave_ok = true;
        Ok(())
    }

    /// BGSAVE: begins one; nothing else may be at work.
    pub(in crate::engine) fn start_bgsave(&mut self, env: &mut Env, out: &mut Outbox) {
        let options = self.save_options(env.now);
        let Begun { pid, done_at, work } = self.fork(env, out, save_file, |it| it.rdb_image(&options));
        let dirty = self.dirty;
        let persist = &mut self.persist;
        persist.saves += 1;
        persist.dirty_before = dirty;
        persist.last_bgsave_try = env.now;
        persist.bgsave_scheduled = false;
        persist.child = Some(Child::Save { pid, started_at: env.now, done_at, work, to_replicas: false });
        out.push(Output::Log(format!("* Background saving started by pid {pid}")));
    }

    /// A save straight to those replicas that wait for one; nothing else may be at work.
    pub(in crate::engine) fn start_transfer(
        &mut self,
        image: impl FnOnce(&Instance) -> Vec<u8>,
        env: &mut Env,
        out: &mut Outbox,
    ) {
        let Begun { pid, done_at, work } = self.fork(env, out, save_file, image);
        self.persist.child = Some(Child::Save { pid, started_at: env.now, done_at, work, to_replicas: true });
        out.push(Output::Log(format!("* Background RDB transfer started by pid {pid}")));
    }

    /// The child has ended; `well`: without an error.
    fn finish_bgsave(&mut self, well: bool, env: &mut Env, out: &mut Outbox) {
        self.persist.last_save_copied = self.child_progress().copied;
        let Some(Child::Save { pid, started_at, work, to_replicas, .. }) = self.persist.child.take() else { return };
        let name = save_file(pid);
        self.persist.last_bgsave_secs = Some(env.now.since(started_at).secs());
        if to_replicas {
            let temporary = self.config.path(&name);
            let image = self.image_of(&work, &temporary, env).filter(|_| well);
            // Nothing is there if the bytes never were in a file.
            let _ = env.disk.remove(&temporary);
            let end = if image.is_some() {
                "* Background RDB transfer terminated with success"
            } else {
                "# Background transfer error"
            };
            out.push(Output::Log(String::from(end)));
            return self.save_reached_replicas(image.as_ref(), true, env, out);
        }
        let written = if well { self.temporary_of(&name, &work, env, out) } else { Err(()) };
        let outcome = written.and_then(|()| self.publish_rdb(env, &name, out));
        let persist = &mut self.persist;
        persist.last_bgsave_ok = outcome.is_ok();
        if outcome.is_ok() {
            out.push(Output::Log(String::from("* Background saving terminated with success")));
            self.dirty = self.dirty.saturating_sub(persist.dirty_before);
            persist.last_save = env.now;
        } else {
            out.push(Output::Log(String::from("# Background saving error")));
        }
        let image = match outcome {
            Ok(()) if self.replicas_wait_for_save() => self.image_of(&work, &self.rdb_path(), env),
            _ => None,
        };
        self.save_reached_replicas(image.as_ref(), false, env, out);
    }

    /// What FLUSHALL does to the RDB file: a save at work is ended, and with save points the file is emptied at once.
    pub(in crate::engine) fn reset_rdb(&mut self, env: &mut Env, out: &mut Outbox) {
        if self.persist.loading {
            return;
        }
        if matches!(self.persist.child, Some(Child::Save { .. })) {
            self.kill_child(env);
            self.save_reached_replicas(None, false, env, out);
        }
        if !self.config.save.is_empty() {
            // The log has said why, if it could not be written.
            let _ = self.save(env, out);
        }
    }

    /// What serverCron does about persistence.
    pub(in crate::engine) fn tick_persistence(&mut self, env: &mut Env, out: &mut Outbox) {
        match (&self.persist.child, self.child_has_ended(env.now)) {
            (Some(Child::Save { .. }), Some(well)) => self.finish_bgsave(well, env, out),
            (Some(Child::Rewrite { .. }), Some(well)) => self.finish_rewrite(well, env, out),
            (Some(_), None) => {}
            (None, _) => self.start_what_is_due(env, out),
        }
        self.flush_aof(env, out);
    }

    /// Scheduled work, save points, the growth of the AOF: the first that applies.
    fn start_what_is_due(&mut self, env: &mut Env, out: &mut Outbox) {
        if self.persist.aof.rewrite_scheduled {
            let _ = self.start_rewrite(env, out);
            return;
        }
        if let Some((secs, changes)) = self.due_save_point(env.now) {
            out.push(Output::Log(format!("* {changes} changes in {secs} seconds. Saving...")));
            self.start_bgsave(env, out);
            return;
        }
        if let Some(growth) = self.due_growth() {
            out.push(Output::Log(format!("* Starting automatic rewriting of AOF on {growth}% growth")));
            let _ = self.start_rewrite(env, out);
            return;
        }
        if self.persist.bgsave_scheduled && self.may_try_again(env.now) {
            self.start_bgsave(env, out);
        }
    }

    /// After a failure Redis waits five seconds before the next attempt.
    fn may_try_again(&self, now: Millis) -> bool {
        self.persist.last_bgsave_ok || now.secs().saturating_sub(self.persist.last_bgsave_try.secs()) > 5
    }

    fn due_save_point(&self, now: Millis) -> Option<(u64, u64)> {
        let since = now.secs().saturating_sub(self.persist.last_save.secs());
        let due = |(secs, changes): &&(u64, u64)| self.dirty >= *changes && since > *secs;
        self.config.save.iter().find(due).copied().filter(|_| self.may_try_again(now))
    }

    /// Per cent by which the AOF has grown since the last rewrite, if that calls for another.
    fn due_growth(&self) -> Option<u64> {
        let aof = &self.persist.aof;
        let wanted = self.config.int("auto-aof-rewrite-percentage") as u64;
        if aof.state != State::On || wanted == 0 || aof.size <= self.config.int("auto-aof-rewrite-min-size") as u64 {
            return None;
        }
        let growth = (aof.size * 100 / aof.base_size.max(1)).saturating_sub(100);
        (growth >= wanted).then_some(growth)
    }

    /// The moment at which a tick has something to do for persistence; None: never.
    pub fn next_persistence(&self) -> Option<Millis> {
        let child = self.persist.child.as_ref().map(Child::done_at);
        if child.is_some() {
            return child.into_iter().chain(self.next_fsync()).min();
        }
        let aof = &self.persist.aof;
        if aof.rewrite_scheduled || self.persist.bgsave_scheduled || self.due_growth().is_some() {
            return Some(self.now);
        }
        let after_failure = if self.persist.last_bgsave_ok {
            Millis::ZERO
        } else {
            Millis::from_secs(self.persist.last_bgsave_try.secs() + 6)
        };
        let points = self.config.save.iter().filter(|(_, changes)| self.dirty >= *changes);
        let due =
            points.map(|(secs, _)| Millis::from_secs(self.persist.last_save.secs() + secs + 1).max(after_failure));
        due.chain(self.next_fsync()).min()
    }

    /// Why writes are refused at present: the last save or the last write to the AOF failed.
    pub fn misconf(&self) -> Option<Refusal> {
        if self.config.stop_writes_on_bgsave_error && !self.config.save.is_empty() && !self.persist.last_bgsave_ok {
            return Some(Refusal::new(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
            ));
        }
        let error = self.persist.aof.last_write_error.as_ref().filter(|_| self.persist.aof.listens())?;
        Some(Refusal::from(format!("MISCONF Errors writing to the AOF file: {error}")))
    }

    /// The section `# Persistence` of INFO: name and value, in Redis' order.
    pub fn persistence_info(&self, now: Millis) -> Vec<(&'static str, String)> {
        let persist = &self.persist;
        let aof = &persist.aof;
        let flag = |yes: bool| u8::from(yes).to_string();
        let status = |ok: bool| String::from(if ok { "ok" } else { "err" });
        let secs = |secs: Option<u64>| secs.map_or(String::from("-1"), |secs| secs.to_string());
        let (progress, total) = (self.child_progress(), persist.child_keys);
        let working = persist.child.is_some();
        let percent = if working { progress.keys as f64 / total.max(1) as f64 * 100.0 } else { 0.0 };
        let running = |wanted: fn(&Child) -> Option<Millis>| persist.child.as_ref().and_then(wanted);
        let saving = running(|child| if let Child::Save { started_at, .. } = child { Some(*started_at) } else { None });
        let rewriting =
            running(|child| if let Child::Rewrite { started_at, .. } = child { Some(*started_at) } else { None });
        let mut lines = vec![
            ("loading", flag(persist.loading)),
            ("async_loading", flag(false)),
            ("current_cow_peak", progress.copied_max.to_string()),
            ("current_cow_size", progress.copied.to_string()),
            ("current_cow_size_age", progress.copied_age_secs.to_string()),
            ("current_fork_perc", format!("{percent:.2}")),
            ("current_save_keys_processed", progress.keys.to_string()),
            ("current_save_keys_total", (if working { total } else { 0 }).to_string()),
            ("rdb_changes_since_last_save", self.dirty.to_string()),
            ("rdb_bgsave_in_progress", flag(saving.is_some())),
            ("rdb_last_save_time", persist.last_save.secs().to_string()),
            ("rdb_last_bgsave_status", status(persist.last_bgsave_ok)),
            ("rdb_last_bgsave_time_sec", secs(persist.last_bgsave_secs)),
            ("rdb_current_bgsave_time_sec", secs(saving.map(|at| now.since(at).secs()))),
            ("rdb_saves", persist.saves.to_string()),
            ("rdb_last_cow_size", persist.last_save_copied.to_string()),
            ("rdb_last_load_keys_expired", persist.last_load_expired.to_string()),
            ("rdb_last_load_keys_loaded", persist.last_load_keys.to_string()),
            ("aof_enabled", flag(aof.listens())),
            ("aof_rewrite_in_progress", flag(rewriting.is_some())),
            ("aof_rewrite_scheduled", flag(aof.rewrite_scheduled)),
            ("aof_last_rewrite_time_sec", secs(aof.last_rewrite_secs)),
            ("aof_current_rewrite_time_sec", secs(rewriting.map(|at| now.since(at).secs()))),
            ("aof_last_bgrewrite_status", status(aof.last_rewrite_ok)),
            ("aof_rewrites", aof.rewrites.to_string()),
            ("aof_rewrites_consecutive_failures", String::from("0")),
            ("aof_last_write_status", status(aof.last_write_error.is_none())),
            ("aof_last_cow_size", persist.last_rewrite_copied.to_string()),
            ("module_fork_in_progress", flag(false)),
            ("module_fork_last_cow_size", String::from("0")),
        ];
        if aof.listens() {
            lines.extend([
                ("aof_current_size", aof.size.to_string()),
                ("aof_base_size", aof.base_size.to_string()),
                ("aof_pending_rewrite", flag(false)),
                ("aof_buffer_length", aof.buffer.len().to_string()),
                ("aof_pending_bio_fsync", String::from("0")),
                ("aof_delayed_fsync", String::from("0")),
            ]);
        }
        lines
    }
}

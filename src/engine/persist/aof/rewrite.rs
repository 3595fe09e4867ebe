//! BGREWRITEAOF: a new base that says the same in fewer words, made while the server goes on.

use super::{NO_DB, State, path_of, stem_of};
use crate::base::{Bytes, Millis, float};
use crate::engine::persist::child::{Begun, Work, rewrite_file};
use crate::engine::persist::{Child, rdb};
use crate::engine::value::stream::Id;
use crate::engine::value::{Stream, Value};
use crate::engine::{Env, Instance, Outbox, Output};
use crate::resp::encode::request;

/// How many elements one command of a rewritten AOF carries at most (AOF_REWRITE_ITEMS_PER_CMD).
const ITEMS_A_COMMAND: usize = 64;

impl Instance {
    /// Begins a rewrite: a fork's view of the data set, and a new incremental file. Err: the log says why.
    pub(in crate::engine) fn start_rewrite(&mut self, env: &mut Env, out: &mut Outbox) -> Result<(), ()> {
        let failed = |instance: &mut Instance, out: &mut Outbox, line: String| {
            out.push(Output::Log(line));
            instance.persist.aof.last_rewrite_ok = false;
            Err(())
        };
        let dir = self.config.text("appenddirname").lossy().into_owned();
        if let Err(error) = env.disk.create_dir(&self.config.path(&dir)) {
            return failed(self, out, format!("# Can't open or create append-only dir {dir}: {error}"));
        }
        // The new file must name its database itself.
        self.persist.aof.selected_db = NO_DB;
        self.flush_aof(env, out);
        if self.persist.aof.state != State::Off
            && let Err(line) = self.open_next_incr(env, out)
        {
            return failed(self, out, line);
        }
        let now = env.now;
        let Begun { pid, done_at, work } = self.fork(env, out, rewrite_file, |it| it.base_image(now));
        let persist = &mut self.persist;
        persist.aof.rewrites += 1;
        persist.aof.rewrite_scheduled = false;
        persist.child = Some(Child::Rewrite { pid, started_at: env.now, done_at, work });
        out.push(Output::Log(format!("* Background append only file rewriting started by pid {pid}")));
        Ok(())
    }

    /// From now on changes go into a new file. Err: what to log.
    fn open_next_incr(&mut self, env: &mut Env, out: &mut Outbox) -> Result<(), String> {
        let stem = stem_of(&self.config);
        let mut manifest = self.persist.aof.manifest.clone();
        let first = self.persist.aof.state == State::FirstRewrite;
        let name = if first { format!("temp-{stem}.incr") } else { manifest.new_incr(&stem) };
        let path = path_of(&self.config, &name);
        env.disk.write(&path, b"").map_err(|error| format!("# Can't open the append-only file {name}: {error}"))?;
        if !self.persist.aof.path.is_empty() {
            // Redis syncs the old file only after the manifest names the new one: a loss of power in between can leave a
            // cut file that is not the last one, with which it refuses to start (lab::crash found it). We sync before.
            let _ = env.disk.fsync(&self.persist.aof.path);
            self.persist.aof.last_fsync = env.now;
        }
        if !first {
            let kept = self.write_manifest(env, &manifest);
            kept.map_err(|error| format!("# Fail to rename the temp AOF manifest file: {error}"))?;
        }
        out.push(Output::Log(format!("* Creating AOF incr file {name} on background rewrite")));
        let aof = &mut self.persist.aof;
        aof.manifest = manifest;
        aof.path = path;
        (aof.incr_size, aof.synced_size) = (0, 0);
        Ok(())
    }

    /// The child has ended: its file becomes the base, if it ended `well`.
    pub(in crate::engine::persist) fn finish_rewrite(&mut self, well: bool, env: &mut Env, out: &mut Outbox) {
        self.persist.last_rewrite_copied = self.child_progress().copied;
        let Some(Child::Rewrite { pid, started_at, work, .. }) = self.persist.child.take() else { return };
        self.persist.aof.last_rewrite_secs = Some(env.now.since(started_at).secs());
        let ended = String::from("# Background AOF rewrite terminated with error");
        let base = if well { self.publish_base(env, pid, &work, out) } else { Err(ended) };
        match base {
            Ok(base_size) => {
                let aof = &mut self.persist.aof;
                aof.last_rewrite_ok = true;
                if aof.state != State::Off {
                    aof.size = base_size + aof.incr_size;
                    aof.base_size = aof.size;
                }
                if aof.state == State::FirstRewrite {
                    aof.state = State::On;
                }
                out.push(Output::Log(String::from("* Background AOF rewrite finished successfully")));
                self.remove_history(env, out);
            }
            Err(line) => {
                out.push(Output::Log(line));
                let aof = &mut self.persist.aof;
                aof.last_rewrite_ok = false;
                if aof.state == State::FirstRewrite {
                    // Not on yet, and it has to be: try again.
                    aof.buffer.clear();
                    aof.rewrite_scheduled = true;
                    let _ = env.disk.remove(&aof.path);
                    aof.path.clear();
                }
            }
        }
    }

    /// The new base's size in bytes. Err: what to log.
    fn publish_base(&mut self, env: &mut Env, pid: u32, work: &Work, out: &mut Outbox) -> Result<u64, String> {
        let shown = rewrite_file(pid);
        let temporary = self.config.path(&shown);
        if self.temporary_of(&shown, work, env, out).is_err() {
            return Err(String::from("# Background AOF rewrite terminated with error"));
        }
        let size = env.disk.len(&temporary).unwrap_or(0);
        out.push(Output::Log(String::from("* Background AOF rewrite terminated with success")));
        let stem = stem_of(&self.config);
        let mut manifest = self.persist.aof.manifest.clone();
        let base = manifest.new_base(&stem, self.config.flag("aof-use-rdb-preamble"));
        let path = path_of(&self.config, &base);
        let moved = env.disk.rename(&temporary, &path);
        moved.map_err(|error| {
            format!("# Error trying to rename the temporary AOF base file {temporary} into {path}: {error}")
        })?;
        out.push(Output::Log(format!("* Successfully renamed the temporary AOF base file {shown} into {base}")));
        if self.persist.aof.state == State::FirstRewrite {
            let (before, name) = (self.persist.aof.path.clone(), manifest.new_incr(&stem));
            let path = path_of(&self.config, &name);
            let moved = env.disk.rename(&before, &path);
            moved.map_err(|error| {
                format!("# Error trying to rename the temporary AOF incr file {before} into {path}: {error}")
            })?;
            out.push(Output::Log(format!(
                "* Successfully renamed the temporary AOF incr file temp-{stem}.incr into {name}"
            )));
            self.persist.aof.path = path;
        }
        manifest.retire_incr();
        let kept = self.write_manifest(env, &manifest);
        kept.map_err(|error| format!("# Fail to rename the temp AOF manifest file: {error}"))?;
        self.persist.aof.manifest = manifest;
        Ok(size)
    }

    /// Deletes what the manifest calls history.
    pub(in crate::engine::persist) fn remove_history(&mut self, env: &mut Env, out: &mut Outbox) {
        if self.config.flag("aof-disable-auto-gc") || self.persist.aof.manifest.history.is_empty() {
            return;
        }
        for part in std::mem::take(&mut self.persist.aof.manifest.history) {
            out.push(Output::Log(format!("* Removing the history file {} in the background", part.name)));
            let _ = env.disk.remove(&path_of(&self.config, &part.name));
        }
        let manifest = self.persist.aof.manifest.clone();
        // If this fails the next start finds names without files, which history may be.
        let _ = self.write_manifest(env, &manifest);
    }

    /// Ends a rewrite without its result.
    pub(in crate::engine::persist) fn kill_rewrite(&mut self, env: &mut Env) {
        if matches!(self.persist.child, Some(Child::Rewrite { .. })) {
            self.kill_child(env);
            if self.persist.aof.state == State::FirstRewrite {
                let _ = env.disk.remove(&self.persist.aof.path);
                self.persist.aof.path.clear();
                self.persist.aof.buffer.clear();
            }
        }
    }

    /// The whole data set as the base of an AOF.
    pub(in crate::engine::persist) fn base_image(&self, now: Millis) -> Vec<u8> {
        if self.config.flag("aof-use-rdb-preamble") {
            let options = rdb::SaveOptions { aof_base: true, stream: None, ..self.save_options(now) };
            return self.rdb_image(&options);
        }
        let mut out = Vec::new();
        if self.config.flag("aof-timestamp-enabled") {
            out.extend_from_slice(format!("#TS:{}\r\n", now.secs()).as_bytes());
        }
        for code in self.scripting.library_sources() {
            request(&mut out, &[Bytes::from("FUNCTION"), Bytes::from("LOAD"), code]);
        }
        for (index, db) in self.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
            request(&mut out, &[Bytes::from("SELECT"), Bytes::from(index.to_string())]);
            for (key, slot) in db.iter() {
                commands_for(&mut out, key, &slot.value);
                if let Some(at) = slot.expires_at() {
                    request(&mut out, &[Bytes::from("PEXPIREAT"), key.clone(), Bytes::from(at.0.to_string())]);
                }
            }
        }
        out
    }
}

/// The commands that make `value` under `key`.
fn commands_for(out: &mut Vec<u8>, key: &Bytes, value: &Value) {
    let mut in_chunks = |name: &str, width: usize, words: Vec<Bytes>| {
        for chunk in words.chunks(ITEMS_A_COMMAND * width) {
            let mut args = vec![Bytes::from(name), key.clone()];
            args.extend_from_slice(chunk);
            request(out, &args);
        }
    };
    match value {
        Value::String(string) => request(out, &[Bytes::from("SET"), key.clone(), string.to_bytes()]),
        Value::List(list) => in_chunks("RPUSH", 1, list.iter().cloned().collect()),
        Value::Set(set) => in_chunks("SADD", 1, set.iter().collect()),
        Value::Hash(hash) => {
            in_chunks("HMSET", 2, hash.iter().flat_map(|(field, value)| [field.clone(), value.clone()]).collect())
        }
        Value::Zset(zset) => {
            let pairs = zset.iter().flat_map(|(member, score)| [Bytes::from(float::text(score)), member.clone()]);
            in_chunks("ZADD", 2, pairs.collect());
        }
        Value::Stream(stream) => commands_for_stream(out, key, stream),
    }
}

/// XADD for each entry, XSETID, and for each group XGROUP CREATE and what its consumers have pending.
fn commands_for_stream(out: &mut Vec<u8>, key: &Bytes, stream: &Stream) {
    let id = |id: Id| Bytes::from(id.to_string());
    let word = |word: &str| Bytes::from(word);
    for entry in stream.iter() {
        let head = [word("XADD"), key.clone(), id(entry.id)];
        request(out, &[&head[..], &entry.fields()].concat());
    }
    if stream.is_empty() {
        // An entry that is gone at once leaves an empty stream.
        request(
            out,
            &["XADD", "", "MAXLEN", "0", "0-1", "x", "y"].map(|it| if it.is_empty() { key.clone() } else { word(it) }),
        );
    }
    request(
        out,
        &[
            word("XSETID"),
            key.clone(),
            id(stream.last_id),
            word("ENTRIESADDED"),
            Bytes::from(stream.entries_added.to_string()),
            word("MAXDELETEDID"),
            id(stream.max_deleted_id),
        ],
    );
    for (name, group) in stream.groups() {
        let read = group.entries_read.map_or(word("-1"), |read| Bytes::from(read.to_string()));
        let (last, entries_read) = (id(group.last_id), word("ENTRIESREAD"));
        request(out, &[word("XGROUP"), word("CREATE"), key.clone(), name.clone(), last, entries_read, read]);
        for (consumer, _) in group.consumers().iter().filter(|(_, consumer)| consumer.pending().is_empty()) {
            let args = [word("XGROUP"), word("CREATECONSUMER"), key.clone(), name.clone(), consumer.clone()];
            request(out, &args);
        }
        for (entry, pending) in group.pending() {
            request(
                out,
                &[
                    word("XCLAIM"),
                    key.clone(),
                    name.clone(),
                    pending.consumer.clone(),
                    word("0"),
                    id(*entry),
                    word("TIME"),
                    Bytes::from(pending.delivered_at.0.to_string()),
                    word("RETRYCOUNT"),
                    Bytes::from(pending.deliveries.to_string()),
                    word("JUSTID"),
                    word("FORCE"),
                ],
            );
        }
    }
}

//! The start: what is on disk becomes the data set, as redis-server does between "Server initialized" and "Ready".
//!
//! With `appendonly yes` the AOF is loaded and nothing else: if there is none, the data set is empty, however full the RDB
//! file beside it may be. That is what a server does whose AOF was switched on in its config file instead of by CONFIG SET.

use super::rdb;
use crate::base::Millis;
use crate::engine::config::Config;
use crate::engine::{Env, Instance};

/// A started instance with the lines it logged; or the lines after which it exited.
pub type Boot = Result<(Box<Instance>, Vec<String>), Vec<String>>;

/// The data on the disk cannot be loaded; why, the log has been told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CannotLoad;

impl Instance {
    /// Starts an instance on what is on the disk. Lines begin with the mark of their level: `*` notice, `#` warning.
    pub fn boot(config: Config, env: &mut Env) -> Boot {
        let (mut instance, mut log) = Instance::begin(config, env)?;
        match instance.load(env, &mut log) {
            Ok(()) => Ok((instance, log)),
            Err(CannotLoad) => Err(log),
        }
    }

    /// The first half of `boot`, before the port is taken: the cluster's nodes, then the users.
    pub fn begin(config: Config, env: &mut Env) -> Boot {
        let mut instance = Box::new(Instance::new(config, env.now, env.rng));
        let mut log = Vec::new();
        if let Err(lines) = instance.boot_cluster(env, &mut log) {
            log.extend(lines);
            return Err(log);
        }
        instance.follow_config();
        match instance.load_users_at_start(env, &mut log) {
            Ok(()) => Ok((instance, log)),
            Err(()) => Err(log),
        }
    }

    /// The second half, between "Server initialized" and "Ready to accept connections": the data. Err: it cannot be loaded.
    pub fn load(&mut self, env: &mut Env, log: &mut Vec<String>) -> Result<(), CannotLoad> {
        self.load_data(env, log).map_err(|()| CannotLoad)?;
        self.claim_slots_of_data(env, log);
        Ok(())
    }

    fn load_data(&mut self, env: &mut Env, log: &mut Vec<String>) -> Result<(), ()> {
        let stats = self.stats.clone();
        let tracing = std::mem::replace(&mut self.tracing, false);
        self.persist.last_save = env.now;
        self.persist.loading = true;
        let outcome = self.load_files(env, log);
        self.persist.loading = false;
        self.tracing = tracing;
        self.stats = stats;
        self.dirty = 0;
        self.propagated.clear();
        outcome
    }

    fn load_files(&mut self, env: &mut Env, log: &mut Vec<String>) -> Result<(), ()> {
        let mut fatal = |lines: Vec<String>| log.extend(lines);
        self.load_manifest(env).map_err(&mut fatal)?;
        if !self.config.appendonly {
            return self.load_rdb(env, log);
        }
        if self.load_aof(env, log)? {
            log.push(String::from("* DB loaded from append only file: 0.000 seconds"));
        }
        let opened = self.open_aof(env).map_err(|lines| log.extend(lines))?;
        log.extend(opened);
        let mut out = Vec::new();
        self.remove_history(env, &mut out);
        log.extend(out.into_iter().filter_map(|said| match said {
            crate::engine::Output::Log(line) => Some(line),
            _ => None,
        }));
        Ok(())
    }

    fn load_rdb(&mut self, env: &mut Env, log: &mut Vec<String>) -> Result<(), ()> {
        let path = self.rdb_path();
        let bytes = match env.disk.read(&path) {
            Ok(bytes) => bytes,
            Err(crate::engine::disk::DiskError::NotFound) => return Ok(()),
            Err(error) => {
                log.push(format!("# Fatal error: can't open the RDB file {path} for reading: {error}"));
                log.push(String::from("# Fatal error loading the DB, check server logs. Exiting."));
                return Err(());
            }
        };
        // What a primary drops by itself a replica's primary drops for it.
        let options = rdb::LoadOptions { drop_expired: !self.is_replica(), ..self.load_options(env.now) };
        let mut loaded = rdb::Loaded::default();
        let outcome = rdb::load_into(&bytes, &mut self.dbs, &options, &mut loaded);
        log.extend(about(&loaded, env.now));
        match outcome {
            Ok(()) => {
                if loaded.unchecked && self.config.flag("rdbchecksum") {
                    log.push(String::from("* RDB file was saved with checksum disabled: no check performed."));
                }
                if let Err(line) = self.load_functions(&loaded.functions, false) {
                    log.push(line);
                    log.push(String::from("# Fatal error loading the DB, check server logs. Exiting."));
                    return Err(());
                }
                log.push(format!(
                    "* Done loading RDB, keys loaded: {}, keys expired: {}.",
                    loaded.keys, loaded.expired
                ));
                log.push(String::from("* DB loaded from disk: 0.000 seconds"));
                if let Some(position) = position(&loaded) {
                    self.resume_history(position);
                }
                self.persist.last_load_keys = loaded.keys;
                self.persist.last_load_expired = loaded.expired;
                Ok(())
            }
            Err(fault) => {
                log.extend(fault.log_lines());
                if !fault.is_final() {
                    log.push(String::from("# Fatal error loading the DB, check server logs. Exiting."));
                }
                Err(())
            }
        }
    }
}

/// Where the data set of a file stands in a history of changes.
fn position(loaded: &rdb::Loaded) -> Option<rdb::Position> {
    let id: [u8; 40] = loaded.aux("repl-id")?.as_ref().try_into().ok()?;
    let number = |name: &str| loaded.aux(name)?.lossy().parse::<u64>().ok();
    Some(rdb::Position { db: number("repl-stream-db").unwrap_or(0) as usize, id, offset: number("repl-offset")? })
}

/// What redis-server says about the aux fields of a file.
pub(in crate::engine) fn about(loaded: &rdb::Loaded, now: Millis) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(version) = loaded.aux("redis-ver") {
        lines.push(format!("* Loading RDB produced by version {}", version.lossy()));
    }
    let number = |name: &str| loaded.aux(name).and_then(|text| text.lossy().parse::<u64>().ok());
    if let Some(made_at) = number("ctime") {
        lines.push(format!("* RDB age {} seconds", now.secs().saturating_sub(made_at)));
    }
    if let Some(bytes) = number("used-mem") {
        lines.push(format!("* RDB memory usage when created {:.2} Mb", bytes as f64 / (1024.0 * 1024.0)));
    }
    if number("aof-base") == Some(1) {
        lines.push(String::from("* RDB is base AOF"));
    }
    lines
}

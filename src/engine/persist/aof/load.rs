//! Reading the append only file back: the base, then every incremental file, command by command.
//!
//! A file may end in the middle of a command or of a transaction: that is what a loss of power leaves. With
//! `aof-load-truncated yes` such a tail is cut off, if the file is the last one; anything else that is wrong is fatal.

use super::manifest::{Manifest, Part};
use super::{path_of, stem_of};
use crate::base::Bytes;
use crate::engine::client::{Client, ClientId};
use crate::engine::persist::rdb;
use crate::engine::{Env, Instance, Outbox, commands};

/// In whose name commands of the file are carried out.
const READER: ClientId = ClientId(u64::MAX);

/// How the reading of one file ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    Whole,
    Empty,
    Truncated,
    Failed,
}

impl Instance {
    /// Reads the manifest. Err: what to log before exiting.
    pub(in crate::engine::persist) fn load_manifest(&mut self, env: &mut Env) -> Result<(), Vec<String>> {
        let name = format!("{}.manifest", stem_of(&self.config));
        let Ok(text) = env.disk.read(&path_of(&self.config, &name)) else { return Ok(()) };
        match Manifest::parse(&text) {
            Ok(manifest) => self.persist.aof.manifest = manifest,
            Err((number, line, fault)) => {
                let mut log = vec![String::from("# \n*** FATAL AOF MANIFEST FILE ERROR ***\n")];
                if !line.is_empty() {
                    log.push(format!("# Reading the manifest file, at line {number}\n"));
                    log.push(format!("# >>> '{line}'\n"));
                }
                log.push(format!("# {fault}\n"));
                return Err(log);
            }
        }
        Ok(())
    }

    /// Loads all that the manifest names. Ok(false): there is none. Err: the log says why, exit.
    pub(in crate::engine::persist) fn load_aof(&mut self, env: &mut Env, log: &mut Vec<String>) -> Result<bool, ()> {
        self.adopt_old_file(env, log)?;
        let manifest = self.persist.aof.manifest.clone();
        if manifest.is_empty() {
            return Ok(false);
        }
        let parts: Vec<&Part> = manifest.base.iter().chain(&manifest.incr).collect();
        let mut total = 0;
        for part in &parts {
            match env.disk.len(&path_of(&self.config, &part.name)) {
                Some(len) => total += len,
                None => {
                    let name = &part.name;
                    log.push(format!("# Unable to obtain the AOF file {name} length. stat: No such file or directory"));
                    return Err(());
                }
            }
        }
        if total == 0 {
            return Ok(true);
        }
        let has_base = manifest.base.is_some();
        for (index, part) in parts.iter().enumerate() {
            let last = index + 1 == parts.len();
            let ended = self.load_part(env, &part.name, log);
            if ended == Ended::Truncated && !last {
                log.push(String::from("# Fatal error: the truncated file is not the last file"));
                return Err(());
            }
            match ended {
                Ended::Failed => return Err(()),
                // Redis says nothing about an empty file.
                Ended::Empty => {}
                Ended::Whole | Ended::Truncated => {
                    let kind = if index == 0 && has_base { "base" } else { "incr" };
                    log.push(format!("* DB loaded from {kind} file {}: 0.000 seconds", part.name));
                }
            }
        }
        let len = |part: &Part| env.disk.len(&path_of(&self.config, &part.name)).unwrap_or(0);
        self.persist.aof.base_size = manifest.base.as_ref().map_or(0, len);
        self.persist.aof.size = parts.iter().map(|part| len(part)).sum();
        Ok(true)
    }

    /// A single file of Redis before 7 moves into the directory and becomes the base.
    fn adopt_old_file(&mut self, env: &mut Env, log: &mut Vec<String>) -> Result<(), ()> {
        let stem = stem_of(&self.config);
        let old = self.config.path(&stem);
        let manifest = &self.persist.aof.manifest;
        let begun = manifest.incr.is_empty()
            && manifest.base.as_ref().is_some_and(|base| base.name == stem)
            && env.disk.len(&path_of(&self.config, &stem)).is_none();
        if env.disk.len(&old).is_none() || !(manifest.is_empty() || begun) {
            return Ok(());
        }
        let dir = self.config.text("appenddirname").lossy().into_owned();
        let base = Some(Part { name: stem.clone(), seq: 1 });
        let manifest = Manifest { base, base_seq: 1, ..Manifest::default() };
        let moved = env
            .disk
            .create_dir(&self.config.path(&dir))
            .and_then(|()| self.write_manifest(env, &manifest))
            .and_then(|()| env.disk.rename(&old, &path_of(&self.config, &stem)));
        if let Err(error) = moved {
            log.push(format!("# Error trying to move the old AOF file {stem} into dir {dir}: {error}"));
            return Err(());
        }
        log.push(format!("* Successfully migrated an old-style AOF file ({stem}) into the AOF directory ({dir})."));
        self.persist.aof.manifest = manifest;
        Ok(())
    }

    fn load_part(&mut self, env: &mut Env, name: &str, log: &mut Vec<String>) -> Ended {
        let path = path_of(&self.config, name);
        let bytes = match env.disk.read(&path) {
            Ok(bytes) if bytes.is_empty() => return Ended::Empty,
            Ok(bytes) => bytes,
            Err(error) => {
                log.push(format!("# Fatal error: can't open the append log file {name} for reading: {error}"));
                return Ended::Failed;
            }
        };
        let mut start = 0;
        if bytes.starts_with(b"REDIS") {
            match self.load_base(env, name, &bytes, log) {
                Some(len) => start = len,
                None => return Ended::Failed,
            }
        }
        let fault = self.replay(env, &bytes[start..]);
        let (fault, valid) = match fault {
            None => return Ended::Whole,
            Some((fault, valid)) => (fault, start + valid),
        };
        match fault {
            Fault::Format => {
                log.push(format!("# Bad file format reading the append only file {name}: make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>"));
                return Ended::Failed;
            }
            Fault::Unknown(command) => {
                log.push(format!("# Unknown command '{command}' reading the append only file {name}"));
                return Ended::Failed;
            }
            Fault::OpenTransaction => {
                log.push(format!("# Revert incomplete MULTI/EXEC transaction in AOF file {name}"));
            }
            Fault::Short => {}
        }
        if self.config.flag("aof-load-truncated") {
            log.push(format!("# !!! Warning: short read while loading the AOF file {name}!!!"));
            log.push(format!("# !!! Truncating the AOF {name} at offset {valid} !!!"));
            match env.disk.truncate(&path, valid as u64) {
                Ok(()) => {
                    log.push(format!("# AOF {name} loaded anyway because aof-load-truncated is enabled"));
                    return Ended::Truncated;
                }
                Err(error) => log.push(format!("# Error truncating the AOF file {name}: {error}")),
            }
        }
        log.push(format!("# Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration option to yes and restart the server."));
        Ended::Failed
    }

    /// The snapshot at the beginning of a file; its length. None: it is damaged, the log says how.
    fn load_base(&mut self, env: &mut Env, name: &str, bytes: &[u8], log: &mut Vec<String>) -> Option<usize> {
        let old_style = name == stem_of(&self.config);
        log.push(String::from(if old_style {
            "* Reading RDB preamble from AOF file..."
        } else {
            "* Reading RDB base file on AOF loading..."
        }));
        // What has expired stays until it is removed by a DEL in the file, or by us when all is loaded.
        let options = rdb::LoadOptions { drop_expired: false, ..self.load_options(env.now) };
        match rdb::load(bytes, &mut self.dbs, &options) {
            Ok(loaded) => {
                if let Err(line) = self.load_functions(&loaded.functions, false) {
                    log.push(line);
                    return None;
                }
                log.extend(super::super::boot::about(&loaded, env.now));
                if old_style {
                    log.push(String::from("* Reading the remaining AOF tail..."));
                }
                Some(loaded.len)
            }
            Err(fault) => {
                log.extend(fault.log_lines());
                let what = if old_style { "preamble of the AOF" } else { "base" };
                log.push(format!("# Error reading the RDB {what} file {name}, AOF loading aborted"));
                None
            }
        }
    }

    /// Carries out every command in `bytes`. What is wrong with the first that cannot be, and how much before it is good.
    fn replay(&mut self, env: &mut Env, bytes: &[u8]) -> Option<(Fault, usize)> {
        let mut reader = Client::new(READER, env.now);
        reader.authenticated = true;
        self.clients.insert(READER, reader);
        let mut out = Outbox::new();
        let (mut at, mut before_multi) = (0, 0);
        let fault = loop {
            let valid = at;
            match command(bytes, &mut at) {
                Ok(None) => {
                    let open = self.clients.get(&READER).is_some_and(|client| client.transaction.is_some());
                    break open.then_some((Fault::OpenTransaction, before_multi));
                }
                Ok(Some(args)) => {
                    if self.select(&args) {
                        continue;
                    }
                    if commands::entry_of(&args).is_err() {
                        break Some((Fault::Unknown(args[0].lossy().into_owned()), valid));
                    }
                    if args[0].eq_ignore_ascii_case(b"MULTI") {
                        before_multi = valid;
                    }
                    self.request(env, READER, &args, &mut out);
                    out.clear();
                }
                Err(fault) => break Some((fault, valid)),
            }
        };
        self.hang_up(READER);
        fault
    }
}

impl Instance {
    /// SELECT, the commonest command of these files, without the way through the command table.
    fn select(&mut self, args: &[Bytes]) -> bool {
        let [name, index] = args else { return false };
        let index = if name.eq_ignore_ascii_case(b"SELECT") { index.lossy().parse().ok() } else { None };
        let reader = self.clients.get_mut(&READER).filter(|client| client.transaction.is_none());
        match (index, reader) {
            (Some(index), Some(reader)) if index < self.dbs.len() => {
                reader.db = index;
                true
            }
            _ => false,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Fault {
    Short,
    Format,
    Unknown(String),
    /// The end comes between MULTI and EXEC.
    OpenTransaction,
}

/// The command at `at`, which moves behind it; comments are skipped. Ok(None): the end.
fn command(bytes: &[u8], at: &mut usize) -> Result<Option<Vec<Bytes>>, Fault> {
    let head = loop {
        match line(bytes, at) {
            None => return Ok(None),
            Some(line) if line[0] == b'#' => {}
            Some(line) => break line,
        }
    };
    if head[0] != b'*' {
        return Err(Fault::Format);
    }
    if head.len() == 1 {
        return Err(Fault::Short);
    }
    let count = leading_int(&head[1..]);
    if count < 1 {
        return Err(Fault::Format);
    }
    let mut args = Vec::with_capacity((count as usize).min((bytes.len() - *at) / 4 + 1));
    for _ in 0..count {
        let head = line(bytes, at).ok_or(Fault::Short)?;
        if head[0] != b'$' {
            return Err(Fault::Format);
        }
        let len = usize::try_from(leading_int(&head[1..])).map_err(|_| Fault::Short)?;
        let rest = &bytes[*at..];
        // Two more: the line break behind it, whatever it holds.
        if rest.len() < len.saturating_add(2) {
            return Err(Fault::Short);
        }
        args.push(Bytes::from(&rest[..len]));
        *at += len + 2;
    }
    Ok(Some(args))
}

/// The next line with its end, as fgets(3) reads it. None: nothing is left.
fn line<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let rest = &bytes[*at..];
    let len = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
    *at += len;
    (len > 0).then_some(&rest[..len])
}

/// atoi(3): the number that a text begins with, 0 if it begins with none.
fn leading_int(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let n = digits.fold(0i64, |n, digit| n.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -n } else { n }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn every_cut_of_a_file_is_a_short_read_or_a_clean_end() {
        let mut bytes = Vec::new();
        crate::resp::encode::request(&mut bytes, &["SET", "k", &"v".repeat(120)]);
        let first = bytes.len();
        bytes.extend_from_slice(b"#TS:1893456000\r\n");
        let stamped = bytes.len();
        crate::resp::encode::request(&mut bytes, &["DEL", "k"]);
        let ends = [0, first, stamped, bytes.len()];
        for len in 0..=bytes.len() {
            let mut at = 0;
            let outcome = loop {
                match command(&bytes[..len], &mut at) {
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(()),
                    Err(fault) => break Err(fault),
                }
            };
            let clean = ends.contains(&len) || (first..stamped).contains(&len);
            match outcome {
                Ok(()) => assert!(clean, "{len}"),
                // `*` and a carriage return alone is no number: so says Redis too.
                Err(fault) => assert!(!clean && fault == Fault::Short, "{len} {fault:?}"),
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let mut rng = Rng::new(9);
        for _ in 0..5000 {
            let bytes: Vec<u8> = (0..rng.below(40)).map(|_| b"*$#\r\n0123-ab"[rng.below(12)]).collect();
            let mut at = 0;
            while let Ok(Some(_)) = command(&bytes, &mut at) {}
        }
    }
}

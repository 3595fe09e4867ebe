//! `redis-server ARGS`: from a command line to a running process, or to the reason why not, in the server's words.
//!
//! As in Redis: the first argument is the config file unless it begins with `-`; `--name value` pairs are appended to the
//! file's text as further lines; the whole is parsed, then the port is taken, then the data is loaded.

use super::disk::{self, Disk};
use super::process::Process;
use super::world::{ADDRESS, World};
use crate::base::{Bytes, Millis, quote};
use crate::engine::config::{Config, file};
use crate::engine::{Env, Instance, VERSION};
use crate::port::Spawned;
use crate::snapshot::{State, What};

/// Files as the config parser reads them: from the shell's directory.
struct Files<'a> {
    disk: &'a Disk,
    home: &'a str,
}

impl file::Files for Files<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.disk.read(&disk::resolve(self.home, path)).map(<[u8]>::to_vec).map_err(|error| error.to_string())
    }

    fn beside(&self, pattern: &str) -> Vec<String> {
        let (dir, prefix) = pattern.rsplit_once('/').map_or(("", ""), |(dir, _)| (dir, &pattern[..dir.len() + 1]));
        let dir = disk::resolve(self.home, dir);
        let skip = if dir.is_empty() { 0 } else { dir.len() + 1 };
        let names = self.disk.files_below(&dir).map(|path| &path[skip..]);
        names.filter(|name| !name.contains('/')).map(|name| format!("{prefix}{name}")).collect()
    }
}

impl World {
    /// Runs `redis-server` with `argv` in the shell's directory.
    pub fn spawn(&mut self, argv: &[String]) -> Spawned {
        if let Some(line) = only_asks(argv) {
            return Spawned { pid: None, log: vec![line] };
        }
        let pid = self.next_pid;
        self.next_pid += 1;
        let mut log = Vec::new();
        let begun = self.begin(argv, pid, &mut log);
        Spawned { pid: begun.then_some(pid), log }
    }

    /// Everything from the config to the open port; false if it ended on the way.
    fn begin(&mut self, argv: &[String], pid: u32, log: &mut Vec<String>) -> bool {
        let file = config_file(argv, &self.home);
        let config = match self.read_config(argv, file.as_deref()) {
            Ok(config) => config,
            Err(mut lines) => {
                // The only complaint that goes through the log: all others go to standard error.
                if let [line] = lines.as_mut_slice() {
                    *line = self.stamp(pid, 'C', &format!("# {line}"));
                }
                log.extend(lines);
                self.refused(pid, file.as_deref(), argv, "its config was refused");
                return false;
            }
        };
        let port = config.port;
        let mode = if config.cluster_enabled { "cluster" } else { "standalone" };
        let mut say = vec![
            ('C', String::from("* oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo")),
            ('C', format!("* Redis version={VERSION}, bits=64, commit=00000000, modified=0, pid={pid}, just started")),
            ('C', configured(argv)),
            ('M', String::from("* monotonic clock: POSIX clock_gettime")),
            ('M', format!("* Running mode={mode}, port={port}.")),
        ];
        let dir = disk::resolve("", &config.text("dir").lossy());
        let logfile = Some(config.text("logfile").lossy().into_owned()).filter(|path| !path.is_empty());
        let logfile = logfile.map(|path| disk::resolve(&dir, &path));
        let locked = self.nodes_conf_is_locked(&config);
        let mut view = disk::From { disk: &mut self.disk, dir: "" };
        let mut env = Env { now: self.now, rng: &mut self.rng, disk: &mut view };
        let begun = locked.map_or_else(|| Instance::begin(config, &mut env), |line| Err(vec![line]));
        let fault = match &begun {
            Err(lines) => Some((lines.clone(), "its users or its cluster's nodes cannot be loaded")),
            Ok((instance, lines)) => self.cannot_listen(&instance.config).map(|more| {
                let why = if port == 0 { "nothing to listen on" } else { "port in use" };
                (lines.iter().cloned().chain(more).collect(), why)
            }),
        };
        if let Some((lines, why)) = fault {
            say.extend(lines.into_iter().map(|line| ('M', line)));
            let lines = say.into_iter().map(|(role, line)| self.stamp(pid, role, &line));
            match logfile {
                Some(path) => self.append_log(&path, &lines.collect::<Vec<_>>()),
                None => log.extend(lines),
            }
            self.refused(pid, file.as_deref(), argv, why);
            return false;
        }
        let (instance, lines) = begun.expect("a fault would have been told");
        say.extend(lines.into_iter().map(|line| ('M', line)));
        say.push(('M', String::from("* Server initialized")));
        let at = self.slot_for(port, file.as_deref());
        let process = &mut self.processes[at];
        process.pid = pid;
        process.port = port;
        process.argv = argv.to_vec();
        process.config_file = file;
        (process.dir, process.logfile) = (dir, logfile);
        process.started_at = self.now;
        process.next_client = 2;
        let first = self.history.last();
        say.iter().for_each(|(role, line)| self.log_as(at, *role, line));
        let booted = self.boot(at, instance);
        if booted {
            self.log(at, "* Ready to accept connections tcp");
        }
        if self.processes[at].logfile.is_none() {
            let lines = self.history.since(first).filter_map(|event| match &event.what {
                What::Log { line } => Some(line.clone()),
                _ => None,
            });
            log.extend(lines);
        }
        booted
    }

    /// A node of a cluster locks its nodes.conf: what another says that finds it locked.
    fn nodes_conf_is_locked(&self, config: &Config) -> Option<String> {
        let path = |config: &Config| config.path(&config.text("cluster-config-file").lossy());
        let own = config.cluster_enabled.then(|| path(config))?;
        let running = self.processes.iter().filter_map(|process| process.instance.as_deref());
        let mut nodes = running.filter(|instance| instance.config.cluster_enabled);
        nodes.any(|node| path(&node.config) == own).then(|| {
            format!(
                "# Sorry, the cluster configuration file {} is already used by a different Redis Cluster node. Please \
                 make sure that different nodes use different cluster configuration files.",
                config.text("cluster-config-file").lossy()
            )
        })
    }

    /// Why a server cannot listen where its configuration wants it to; None: it can.
    fn cannot_listen(&self, config: &Config) -> Option<Vec<String>> {
        let port = config.port;
        if port == 0 {
            let nowhere = config.text("unixsocket").is_empty();
            return nowhere.then(|| vec![String::from("# Configured to not listen anywhere, exiting.")]);
        }
        let taken = self.processes.iter().any(|process| process.is_running() && process.port == port);
        let bind = config.text("bind").lossy().into_owned();
        let fault = bind.split_whitespace().find_map(|word| {
            // With a minus before it, an address that this machine does not have is no fault.
            let (address, optional) = word.strip_prefix('-').map_or((word, false), |address| (address, true));
            let reason = match address {
                _ if taken => "bind: Address already in use",
                "*" | "::*" | "0.0.0.0" | "::" | "127.0.0.1" | "::1" | "localhost" | ADDRESS => return None,
                _ if optional => return None,
                _ if address.bytes().all(|byte| byte.is_ascii_digit() || b".:".contains(&byte)) => {
                    "bind: Cannot assign requested address"
                }
                _ => "Name or service not known",
            };
            Some(format!("# Warning: Could not create server TCP listening socket {address}:{port}: {reason}"))
        });
        Some(vec![fault?, format!("# Failed listening on port {port} (tcp), aborting.")])
    }

    /// Err: what redis-server prints.
    fn read_config(&self, argv: &[String], config_file: Option<&str>) -> Result<Config, Vec<String>> {
        let mut argv = argv.to_vec();
        if let Some(path) = config_file {
            // Redis remembers and names the file by its full path.
            argv[0] = format!("/{path}");
        }
        let mut config = file::from_args(&argv, &Files { disk: &self.disk, home: &self.home })?;
        config.start_in(&format!("/{}", self.home));
        let dir = disk::resolve("", &config.text("dir").lossy());
        if self.disk.is_dir(&dir) { Ok(config) } else { Err(self.no_such_dir(&argv, config_file)) }
    }

    /// The complaint about a `dir` that is not there, with the line that names it.
    fn no_such_dir(&self, argv: &[String], config_file: Option<&str>) -> Vec<String> {
        let mut text = config_file.and_then(|path| self.disk.read(path).ok()).unwrap_or_default().to_vec();
        text.extend(file::option_lines(if config_file.is_some() { &argv[1..] } else { argv }));
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().map(str::trim).enumerate();
        let (number, line) = lines.filter(|(_, line)| is_setting(line, "dir")).last().unwrap_or_default();
        vec![
            String::new(),
            format!("*** FATAL CONFIG FILE ERROR (Redis {VERSION}) ***"),
            format!("Reading the configuration file, at line {}", number + 1),
            format!(">>> '{line}'"),
            String::from("No such file or directory"),
        ]
    }

    /// Lets an instance load its data and puts it into the process; false if it cannot.
    fn boot(&mut self, at: usize, mut instance: Box<Instance>) -> bool {
        let mut view = disk::From { disk: &mut self.disk, dir: "" };
        let mut lines = Vec::new();
        let mut env = Env { now: self.now, rng: &mut self.rng, disk: &mut view };
        let instance = instance.load(&mut env, &mut lines).is_ok().then_some(instance);
        let process = &mut self.processes[at];
        process.state = if instance.is_some() { State::Running } else { State::Failed };
        process.instance = instance.map(|mut instance| {
            instance.tracing = true;
            instance.persist.pid = process.pid;
            instance.hooks.pid = Some(process.pid);
            instance
        });
        process.stirred();
        let (name, pid, state) = (process.name.clone(), process.pid, process.state);
        let how = match state {
            State::Running => format!("redis-server {}", process.argv.join(" ")),
            _ => String::from("cannot load its data"),
        };
        self.note(&name, What::Process { pid, state, how });
        lines.iter().for_each(|line| self.log(at, line));
        state == State::Running
    }

    // -- slots -------------------------------------------------------------------------------------------------------

    /// The slot that a process with this config file or port belongs into; a new one if there is none.
    fn slot_for(&mut self, port: u16, file: Option<&str>) -> usize {
        if let Some(at) = self.known_slot(port, file) {
            return at;
        }
        let stem = file.and_then(|path| path.rsplit('/').next()?.split('.').next());
        let mut name = stem.map_or_else(|| format!("redis-{port}"), str::to_owned);
        if self.processes.iter().any(|process| process.name == name) {
            name = format!("{name}-{port}");
        }
        self.processes.push(Process::new(&name, port, file.map(str::to_owned), &self.home));
        self.processes.len() - 1
    }

    /// The slot with the same config file, else with the same port, among those whose process is not running.
    fn known_slot(&self, port: u16, file: Option<&str>) -> Option<usize> {
        let mut free = self.processes.iter().enumerate().filter(|(_, process)| !process.is_running());
        let same_file = |process: &Process| file.is_some() && process.config_file.as_deref() == file;
        free.clone()
            .find(|(_, process)| same_file(process) && process.port == port)
            .or_else(|| free.clone().find(|(_, process)| same_file(process)))
            .or_else(|| free.find(|(_, process)| process.port == port))
            .map(|(at, _)| at)
    }

    /// Notes a process that ended before it began, in the slot of its config file if nothing runs there.
    fn refused(&mut self, pid: u32, file: Option<&str>, argv: &[String], why: &str) {
        let mut free = self.processes.iter_mut().filter(|process| !process.is_running());
        let slot = free.find(|process| file.is_some() && process.config_file.as_deref() == file);
        let name = slot.map_or_else(String::new, |process| {
            process.state = State::Failed;
            process.pid = pid;
            process.argv = argv.to_vec();
            process.name.clone()
        });
        self.note(&name, What::Process { pid, state: State::Failed, how: why.to_owned() });
    }

    // -- the log -----------------------------------------------------------------------------------------------------

    /// A line of a running server's log: into the history, and into its log file if it has one.
    pub(super) fn log(&mut self, at: usize, text: &str) {
        self.log_as(at, 'M', text);
    }

    fn log_as(&mut self, at: usize, role: char, text: &str) {
        let process = &self.processes[at];
        let line = self.stamp(process.pid, role, text);
        let name = process.name.clone();
        if let Some(path) = process.logfile.clone() {
            self.append_log(&path, std::slice::from_ref(&line));
        }
        self.note(&name, What::Log { line });
    }

    fn append_log(&mut self, path: &str, lines: &[String]) {
        for line in lines {
            // A log that cannot be written is lost without a word, as in Redis.
            let _ = self.disk.append(path, format!("{line}\n").as_bytes());
        }
    }

    /// `1001:M 01 Jan 2030 09:00:00.000 * TEXT`. `text` begins with the mark of its level; without one it is a notice.
    fn stamp(&self, pid: u32, role: char, text: &str) -> String {
        let marked = matches!(text.as_bytes(), [b'.' | b'-' | b'*' | b'#', b' ', ..]);
        format!("{pid}:{role} {} {}{text}", date(self.now), if marked { "" } else { "* " })
    }
}

/// The answer to arguments that start nothing.
fn only_asks(argv: &[String]) -> Option<String> {
    match argv {
        [one] if one == "-v" || one == "--version" => {
            Some(format!("Redis server v={VERSION} sha=00000000:0 malloc=libc bits=64 build=0"))
        }
        _ => None,
    }
}

fn configured(argv: &[String]) -> String {
    if argv.is_empty() {
        String::from(
            "# Warning: no config file specified, using the default config. In order to specify a config file use redis-server /path/to/redis.conf",
        )
    } else {
        String::from("* Configuration loaded")
    }
}

/// The full path of the config file on a command line.
fn config_file(argv: &[String], home: &str) -> Option<String> {
    argv.first().filter(|first| !first.starts_with('-')).map(|file| disk::resolve(home, file))
}

fn is_setting(line: &str, name: &str) -> bool {
    line.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case(name))
}

/// Where a server with this config file works, before anybody has parsed it: `dir`, from the shell's directory.
pub(super) fn working_dir(config: &str, home: &str) -> String {
    let words =
        config.lines().rev().find(|line| is_setting(line, "dir")).and_then(|line| quote::split(line.as_bytes()).ok());
    let dir: Option<Bytes> = words.and_then(|words| words.into_iter().nth(1));
    dir.map_or_else(|| home.to_owned(), |dir| disk::resolve(home, &dir.lossy()))
}

/// A moment as Redis writes it into its log, in UTC: `01 Jan 2030 09:00:00.000`.
pub fn date(moment: Millis) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let secs = moment.secs();
    // Days since 0000-03-01, so that a leap day is the last of its year; 400 years have 146097 days.
    let days = secs / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, turn) = if month < 10 { (month + 2, 0) } else { (month - 10, 1) };
    let year = year + era * 400 + turn;
    let (hour, minute, second) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
    format!("{day:02} {} {year} {hour:02}:{minute:02}:{second:02}.{:03}", MONTHS[month as usize], moment.0 % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (millis, text) in [
            (0, "01 Jan 1970 00:00:00.000"),
            (951_782_400_000, "29 Feb 2000 00:00:00.000"),
            (1_709_251_199_999, "29 Feb 2024 23:59:59.999"),
            (1_709_251_200_000, "01 Mar 2024 00:00:00.000"),
            (1_893_488_400_000, "01 Jan 2030 09:00:00.000"),
            (4_107_542_399_000, "28 Feb 2100 23:59:59.000"),
            (4_107_542_400_000, "01 Mar 2100 00:00:00.000"),
        ] {
            assert_eq!(date(Millis(millis)), text);
        }
    }
}

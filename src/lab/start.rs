//! `redis-server ARGS`: from a command line to a running process, or to the reason why not, in the server's words.
//!
//! As in Redis: the first argument is the config file unless it begins with `-`; `--name value` pairs are appended to the
//! file's text as further lines; the whole is parsed, then the port is taken, then the data is loaded.

use super::disk;
use super::process::Process;
use super::world::World;
use crate::base::{Bytes, Millis, quote};
use crate::engine::config::Config;
use crate::engine::{Instance, Outbox};
use crate::port::Spawned;
use crate::snapshot::{State, What};

/// The version that the lab's redis-server calls itself.
pub const VERSION: &str = "7.2.6";

/// What a command line asks for.
#[derive(Debug, PartialEq)]
struct Asked {
    /// Full path.
    config_file: Option<String>,
    /// The file's text, then a line for each option.
    config: String,
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
        let asked = match self.read_command_line(argv) {
            Ok(asked) => asked,
            Err(line) => {
                log.push(self.stamp(pid, 'C', &line));
                self.refused(pid, "", argv, "cannot read its config file");
                return false;
            }
        };
        let config = match self.parse_config(&asked.config) {
            Ok(config) => config,
            Err(lines) => {
                log.extend(lines);
                self.refused(pid, "", argv, "error in its config");
                return false;
            }
        };
        let mut say = vec![
            ('C', String::from("* oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo")),
            ('C', format!("* Redis version={VERSION}, bits=64, commit=00000000, modified=0, pid={pid}, just started")),
            ('C', configured(argv)),
            ('M', format!("* Running mode=standalone, port={}.", config.port)),
        ];
        let taken = self.processes.iter().any(|process| process.is_running() && process.port == config.port);
        if taken {
            let port = config.port;
            say.push((
                'M',
                format!(
                    "# Warning: Could not create server TCP listening socket *:{port}: bind: Address already in use"
                ),
            ));
            say.push(('M', format!("# Failed listening on port {port} (tcp), aborting.")));
            log.extend(say.into_iter().map(|(role, line)| self.stamp(pid, role, &line)));
            let name = self.slot_name(config.port, &asked);
            self.refused(pid, &name, argv, "port in use");
            return false;
        }
        say.push(('M', String::from("* Server initialized")));
        let at = self.slot_for(config.port, &asked);
        let logfile = logfile(&asked.config);
        let process = &mut self.processes[at];
        process.pid = pid;
        process.port = config.port;
        process.argv = argv.to_vec();
        process.config_file = asked.config_file;
        process.dir = working_dir(&asked.config, &self.home);
        process.logfile = logfile.map(|path| disk::resolve(&process.dir, &path));
        process.started_at = self.now;
        process.next_client = 2;
        let first = self.history.last();
        say.iter().for_each(|(role, line)| self.log_as(at, *role, line));
        self.boot(at, config);
        self.log(at, "* Ready to accept connections tcp");
        if self.processes[at].logfile.is_none() {
            let lines = self.history.since(first).filter_map(|event| match &event.what {
                What::Log { line } => Some(line.clone()),
                _ => None,
            });
            log.extend(lines);
        }
        true
    }

    /// Puts a fresh instance into the process and lets it load its data.
    fn boot(&mut self, at: usize, config: Config) {
        let out = Outbox::new();
        let mut instance = Instance::new(config, self.now, &mut self.rng);
        instance.tracing = true;
        let process = &mut self.processes[at];
        process.instance = Some(Box::new(instance));
        process.state = State::Running;
        process.stirred();
        let (name, pid) = (process.name.clone(), process.pid);
        let how = format!("redis-server {}", process.argv.join(" "));
        self.note(&name, What::Process { pid, state: State::Running, how });
        self.absorb(at, None, out);
    }

    fn read_command_line(&self, argv: &[String]) -> Result<Asked, String> {
        let (file, options) = match argv.split_first() {
            Some((first, rest)) if !first.starts_with('-') => (Some(first), rest),
            _ => (None, argv),
        };
        let mut config = String::new();
        let config_file = file.map(|file| disk::resolve(&self.home, file));
        if let Some(path) = &config_file {
            let text = self
                .disk
                .read(path)
                .map_err(|error| format!("# Fatal error, can't open config file '/{path}': {error}"))?;
            config = String::from_utf8_lossy(text).into_owned();
        }
        if !options.is_empty() {
            config.push('\n');
            config.push_str(&option_lines(options));
        }
        Ok(Asked { config_file, config })
    }

    /// Err: what goes to standard error.
    fn parse_config(&self, text: &str) -> Result<Config, Vec<String>> {
        let mut config = Config::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words = quote::split(line.as_bytes()).unwrap_or_default();
            let fault = match words.first().map(|word| word.to_ascii_lowercase()).as_deref() {
                Some(b"port") if words.len() == 2 => match words[1].lossy().parse() {
                    Ok(port) => {
                        config.port = port;
                        None
                    }
                    Err(_) => Some("argument couldn't be parsed into an integer"),
                },
                Some(b"dir") if words.len() == 2 => {
                    let dir = disk::resolve(&self.home, &words[1].lossy());
                    (!self.disk.is_dir(&dir)).then_some("No such file or directory")
                }
                Some(_) if words.len() > 1 => None,
                _ => Some("Bad directive or wrong number of arguments"),
            };
            if let Some(fault) = fault {
                return Err(vec![
                    String::new(),
                    format!("*** FATAL CONFIG FILE ERROR (Redis {VERSION}) ***"),
                    format!("Reading the configuration file, at line {}", number + 1),
                    format!(">>> '{line}'"),
                    fault.to_owned(),
                ]);
            }
        }
        Ok(config)
    }

    // -- slots -------------------------------------------------------------------------------------------------------

    /// The slot that a process with this config file or port belongs into; a new one if there is none.
    fn slot_for(&mut self, port: u16, asked: &Asked) -> usize {
        if let Some(at) = self.known_slot(port, asked) {
            return at;
        }
        let name = self.slot_name(port, asked);
        self.processes.push(Process::new(&name, port, asked.config_file.clone(), &self.home));
        self.processes.len() - 1
    }

    /// The slot with the same config file, else with the same port, among those whose process is not running.
    fn known_slot(&self, port: u16, asked: &Asked) -> Option<usize> {
        let mut free = self.processes.iter().enumerate().filter(|(_, process)| !process.is_running());
        let same_file = |process: &Process| asked.config_file.is_some() && process.config_file == asked.config_file;
        free.clone()
            .find(|(_, process)| same_file(process) && process.port == port)
            .or_else(|| free.clone().find(|(_, process)| same_file(process)))
            .or_else(|| free.find(|(_, process)| process.port == port))
            .map(|(at, _)| at)
    }

    /// The lesson's name of the slot, or one made of the config file's name or the port.
    fn slot_name(&self, port: u16, asked: &Asked) -> String {
        if let Some(at) = self.known_slot(port, asked) {
            return self.processes[at].name.clone();
        }
        let stem = asked.config_file.as_ref().and_then(|path| path.rsplit('/').next()?.split('.').next());
        let name = stem.map_or_else(|| format!("redis-{port}"), str::to_owned);
        if self.processes.iter().any(|process| process.name == name) { format!("{name}-{port}") } else { name }
    }

    /// Notes a process that ended before it began. It gets a slot only if it has one to itself.
    fn refused(&mut self, pid: u32, name: &str, argv: &[String], why: &str) {
        let file = argv.first().filter(|first| !first.starts_with('-')).map(|file| disk::resolve(&self.home, file));
        let slot = self.processes.iter_mut().find(|process| {
            !process.is_running() && (process.name == name || (file.is_some() && process.config_file == file))
        });
        let name = slot.map_or_else(
            || name.to_owned(),
            |process| {
                process.state = State::Failed;
                process.pid = pid;
                process.argv = argv.to_vec();
                process.name.clone()
            },
        );
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
            // A log that cannot be written is lost without a word, as in Redis.
            let _ = self.disk.append(&path, format!("{line}\n").as_bytes());
        }
        self.note(&name, What::Log { line });
    }

    /// `1001:M 01 Jan 2030 09:00:00.000 * TEXT`. `text` begins with the mark of its level; without one it is a notice.
    fn stamp(&self, pid: u32, role: char, text: &str) -> String {
        let marked = matches!(text.as_bytes(), [b'.' | b'-' | b'*' | b'#', b' ', ..]);
        format!("{pid}:{role} {} {}{text}", date(self.now), if marked { "" } else { "* " })
    }

    /// SIGTERM: the clean end.
    pub(super) fn terminate(&mut self, at: usize) {
        self.end(at, State::Stopped, "kill");
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

/// `--port 6380 --save ""` as lines of a config file.
fn option_lines(options: &[String]) -> String {
    let mut text = String::new();
    for (at, option) in options.iter().enumerate() {
        if let Some(name) = option.strip_prefix("--") {
            if at > 0 {
                text.push('\n');
            }
            text.push_str(name);
        } else {
            text.push(' ');
            text.push_str(&quote::repr(option.as_bytes()));
        }
    }
    text.push('\n');
    text
}

/// The last value that a config text gives to a directive with one argument.
fn setting(config: &str, name: &str) -> Option<String> {
    let mut lines = config.lines().rev().filter_map(|line| {
        let words: Vec<Bytes> = quote::split(line.trim().as_bytes()).ok()?;
        match words.as_slice() {
            [word, value] if word.eq_ignore_ascii_case(name.as_bytes()) => Some(value.lossy().into_owned()),
            _ => None,
        }
    });
    lines.next()
}

/// Where a server with this config works: `dir`, from the shell's directory. A full path.
pub(super) fn working_dir(config: &str, home: &str) -> String {
    setting(config, "dir").map_or_else(|| home.to_owned(), |dir| disk::resolve(home, &dir))
}

fn logfile(config: &str) -> Option<String> {
    setting(config, "logfile").filter(|path| !path.is_empty())
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

    #[test]
    fn options_become_lines_of_the_config() {
        let options = ["--port", "6380", "--save", "", "--save", "60", "1"].map(String::from);
        assert_eq!(option_lines(&options), "port \"6380\"\nsave \"\"\nsave \"60\" \"1\"\n");
        assert_eq!(setting(&option_lines(&options), "PORT").as_deref(), Some("6380"));
    }
}

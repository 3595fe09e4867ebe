//! redis.conf and the command line of redis-server.
//!
//! Options are lines appended to the file's text, as in Redis: `--port 7000 --save ""` is read as two more lines, so the
//! last one that sets a parameter wins. `save` is the exception: the first one takes the defaults away, the others add up.

use super::{Config, table, value};
use crate::base::{Bytes, glob, quote};
use crate::engine::{VERSION, acl, commands};
use std::collections::BTreeMap;

/// How the outside shows files to the parser: the text of one, or why not; and the names that a pattern may match.
pub trait Files {
    /// Err: as strerror(3) says it.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;
    /// The paths in the directory of `pattern`, written as `pattern` writes it, sorted.
    fn beside(&self, pattern: &str) -> Vec<String>;
}

/// No files at all: for configurations that stand on the command line.
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _path: &str) -> Result<Vec<u8>, String> {
        Err(String::from("No such file or directory"))
    }
    fn beside(&self, _pattern: &str) -> Vec<String> {
        Vec::new()
    }
}

/// How deep files may include others; Redis would run into the end of its stack.
const DEEPEST_INCLUDE: usize = 16;

/// Why redis-server does not start: what it prints, line by line.
pub type Refused = Vec<String>;

/// The configuration that `redis-server ARGV` (without the program's name) starts with.
pub fn from_args(argv: &[String], files: &dyn Files) -> Result<Config, Refused> {
    from_args_over(Config::default(), argv, files)
}

/// As `from_args`, on top of `config`.
pub fn from_args_over(config: Config, argv: &[String], files: &dyn Files) -> Result<Config, Refused> {
    let mut reader = Reader { config, files, save_seen: false, module_setting: false };
    let (file, options) = match argv.split_first() {
        Some((first, rest)) if !first.starts_with('-') => (Some(first.as_str()), rest),
        _ => (None, argv),
    };
    let mut text = match file {
        Some(path) => reader.text_of(path)?,
        None => Vec::new(),
    };
    text.extend(option_lines(options));
    reader.read(&text, 0)?;
    if reader.module_setting {
        return Err(vec![String::from(
            "Module Configuration detected without loadmodule directive or no ApplyConfig call: aborting",
        )]);
    }
    let mut config = reader.config;
    if config.cluster_enabled && config.databases > 1 {
        config.set("databases", "1").expect("1 is a number of databases");
    }
    config.file = file.map(str::to_owned);
    Ok(config)
}

/// The configuration that a text alone describes: what a config file with these contents gives.
pub fn from_text(text: &[u8]) -> Result<Config, Refused> {
    let mut reader = Reader { config: Config::default(), files: &NoFiles, save_seen: false, module_setting: false };
    reader.read(text, 0)?;
    Ok(reader.config)
}

/// What is wrong with each line of a config file by itself: the line's number from 1, and the reason as redis-server gives it
/// when it refuses to start (it stops at the first). Files that are included are not looked into.
pub fn faults(text: &[u8]) -> Vec<(usize, String)> {
    let mut reader = Reader { config: Config::default(), files: &NoFiles, save_seen: false, module_setting: false };
    let mut faults = Vec::new();
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = trim(line);
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        let outcome = match quote::split(line) {
            Ok(words) if words.is_empty() || words[0].eq_ignore_ascii_case(b"include") && words.len() == 2 => continue,
            Ok(words) => reader.directive(&words),
            Err(_) => Err(String::from("Unbalanced quotes in configuration line")),
        };
        faults.extend(outcome.err().map(|reason| (number + 1, reason)));
    }
    faults
}

struct Reader<'a> {
    config: Config,
    files: &'a dyn Files,
    save_seen: bool,
    /// A parameter with a dot in its name: one of a module, and there are none.
    module_setting: bool,
}

impl Reader<'_> {
    /// The text of a file, or of all that a pattern matches, one behind the other.
    fn text_of(&self, path: &str) -> Result<Vec<u8>, Refused> {
        let open = |path: &str| {
            self.files
                .read(path)
                .map_err(|error| vec![format!("Fatal error, can't open config file '{path}': {error}")])
        };
        if !path.contains(['*', '?', '[']) {
            return open(path);
        }
        let matching =
            self.files.beside(path).into_iter().filter(|name| glob::matches(path.as_bytes(), name.as_bytes()));
        let mut text = Vec::new();
        for name in matching {
            text.extend(open(&name)?);
        }
        Ok(text)
    }

    fn read(&mut self, text: &[u8], depth: usize) -> Result<(), Refused> {
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = trim(line);
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let outcome = match quote::split(line) {
                Ok(words) if words.is_empty() => continue,
                Ok(words) if words[0].eq_ignore_ascii_case(b"include") && words.len() == 2 => {
                    if depth >= DEEPEST_INCLUDE {
                        return Err(vec![String::from("Fatal error, config files include each other without end")]);
                    }
                    let text = self.text_of(&words[1].lossy())?;
                    self.read(&text, depth + 1)?;
                    continue;
                }
                Ok(words) => self.directive(&words),
                Err(_) => Err(String::from("Unbalanced quotes in configuration line")),
            };
            outcome.map_err(|reason| refused(number + 1, line, &reason))?;
        }
        Ok(())
    }

    /// One line that is no `include`. Err: the reason.
    fn directive(&mut self, words: &[Bytes]) -> Result<(), String> {
        let Some((parameter, _)) = table::find(&words[0]) else {
            self.module_setting |= words[0].contains(&b'.');
            return self.other(words);
        };
        let multi = parameter.flags.has(table::MULTI);
        if !multi && words.len() != 2 {
            return Err(String::from("wrong number of arguments"));
        }
        let mut values = words[1..].to_vec();
        // One quoted word may hold them all: "900 1 300 10".
        if let [one] = values.as_slice()
            && multi
            && !one.is_empty()
        {
            values = quote::split(one).unwrap_or_default();
        }
        if parameter.kind == table::Kind::Save {
            return self.save(parameter, &values);
        }
        self.config.set_words(parameter, &values)
    }

    fn save(&mut self, parameter: &'static table::Parameter, values: &[Bytes]) -> Result<(), String> {
        let new = value::parse(parameter, values, &Bytes::new())?;
        let old = self.config.text_of(parameter);
        let resets = !self.save_seen || matches!(values, [one] if one.is_empty());
        self.save_seen = true;
        let both = if resets { new.lossy().into_owned() } else { format!("{} {}", old.lossy(), new.lossy()) };
        self.config.set_text(parameter, &Bytes::from(both.trim()))
    }

    /// Directives that are no parameters, and what is left of older versions. Err: not known.
    fn other(&mut self, words: &[Bytes]) -> Result<(), String> {
        let name = words[0].to_ascii_lowercase();
        let name = std::str::from_utf8(&name).unwrap_or_default();
        match name {
            "list-max-ziplist-entries" | "list-max-ziplist-value" | "lua-replicate-commands" if words.len() == 2 => {
                Ok(())
            }
            "rename-command" if words.len() == 3 => self.rename(&words[1], &words[2]),
            "user" if words.len() >= 2 => self.user(words),
            // No modules: accepted, so that a real file loads.
            "loadmodule" if words.len() >= 2 => Ok(()),
            "sentinel" if words.len() > 1 => Err(String::from("sentinel directive while not in sentinel mode")),
            "sentinel" => Ok(()),
            _ if name.contains('.') && words.len() < 2 => Err(String::from("Module config specified without value")),
            _ if name.contains('.') => Ok(()),
            _ => Err(String::from("Bad directive or wrong number of arguments")),
        }
    }

    /// `rename-command OLD NEW`: takes effect on what the lines before have left. NEW may be empty.
    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), String> {
        let renamed = &mut self.config.renamed;
        let called =
            |renamed: &BTreeMap<Vec<u8>, Option<usize>>, name: &[u8]| match renamed.get(&name.to_ascii_uppercase()) {
                Some(known) => *known,
                None => commands::by_name(name).map(|entry| entry.index),
            };
        let index = called(renamed, old).ok_or_else(|| String::from("No such command in rename-command"))?;
        renamed.insert(old.to_ascii_uppercase(), None);
        if !new.is_empty() {
            if called(renamed, new).is_some() {
                return Err(String::from("Target command name already exists"));
            }
            renamed.insert(new.to_ascii_uppercase(), Some(index));
        }
        Ok(())
    }

    fn user(&mut self, words: &[Bytes]) -> Result<(), String> {
        match acl::check_declaration(words, &self.config.users) {
            Ok(user) => {
                self.config.users.push(user);
                Ok(())
            }
            Err((at, error)) => Err(format!("Error in user declaration '{}': {}", words[at].lossy(), error.text())),
        }
    }
}

fn refused(number: usize, line: &[u8], reason: &str) -> Refused {
    vec![
        String::new(),
        format!("*** FATAL CONFIG FILE ERROR (Redis {VERSION}) ***"),
        format!("Reading the configuration file, at line {number}"),
        format!(">>> '{}'", String::from_utf8_lossy(line)),
        reason.to_owned(),
    ]
}

pub(super) fn trim(mut line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| b" \t\r\n".contains(byte);
    while let [first, rest @ ..] = line
        && blank(first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && blank(last)
    {
        line = rest;
    }
    line
}

/// `--port 7000 --save ""` as lines to be appended to a config file.
pub fn option_lines(options: &[String]) -> Vec<u8> {
    let mut lines = String::new();
    if !options.is_empty() {
        lines.push('\n');
    }
    // Whether an option's name still waits for its first value: then even `--x` is one.
    let mut complete = true;
    for (at, option) in options.iter().enumerate() {
        let is_save = option.eq_ignore_ascii_case("--save");
        let next = options.get(at + 1);
        match option.strip_prefix("--") {
            Some(name) if complete => {
                if lines.len() > 1 {
                    lines.push('\n');
                }
                lines.push_str(name);
                lines.push(' ');
                complete = quote::split(option.as_bytes()).is_ok_and(|words| words.len() > 1);
                if !complete && is_save && next.is_none_or(|next| next.starts_with("--")) {
                    lines.push_str("\"\"");
                    complete = true;
                }
            }
            _ => {
                quote::repr_to(&mut lines, option.as_bytes());
                lines.push(' ');
                complete = true;
            }
        }
    }
    lines.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    struct Map(BTreeMap<&'static str, &'static str>);

    impl Files for Map {
        fn read(&self, path: &str) -> Result<Vec<u8>, String> {
            let text = self.0.get(path).ok_or_else(|| String::from("No such file or directory"))?;
            Ok(text.as_bytes().to_vec())
        }
        fn beside(&self, _pattern: &str) -> Vec<String> {
            self.0.keys().map(|name| (*name).to_owned()).collect()
        }
    }

    fn started(args: &[&str], files: &[(&'static str, &'static str)]) -> Result<Config, Refused> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        from_args(&args, &Map(files.iter().copied().collect()))
    }

    #[test]
    fn options_come_behind_the_file_and_win() {
        let files = [("redis.conf", "# mine\nport 7000\nsave 900 1\nsave 300 10\n\nappendonly yes")];
        let config = started(&["redis.conf", "--port", "7001"], &files).unwrap();
        assert_eq!((config.port, config.appendonly), (7001, true));
        assert_eq!(config.save, [(900, 1), (300, 10)]);
        assert_eq!(config.file.as_deref(), Some("redis.conf"));
    }

    #[test]
    fn an_empty_save_switches_save_points_off() {
        for args in [&["--save", ""][..], &["--save"], &["--save", "--port", "7000"], &["--save \"\""]] {
            assert_eq!(started(args, &[]).unwrap().save, [], "{args:?}");
        }
        assert_eq!(started(&["--save", "900 1 300 10"], &[]).unwrap().save, [(900, 1), (300, 10)]);
        assert_eq!(started(&["--save", "900", "1"], &[]).unwrap().save, [(900, 1)]);
    }

    #[test]
    fn a_bad_line_is_shown_with_its_number() {
        let refused = started(&["redis.conf"], &[("redis.conf", "port 7000\n\nfoo bar\n")]).unwrap_err();
        assert_eq!(
            refused,
            [
                "",
                "*** FATAL CONFIG FILE ERROR (Redis 7.2.6) ***",
                "Reading the configuration file, at line 3",
                ">>> 'foo bar'",
                "Bad directive or wrong number of arguments",
            ]
        );
        let reason = |line: &str| from_text(line.as_bytes()).unwrap_err().pop().unwrap();
        assert_eq!(reason("port"), "wrong number of arguments");
        assert_eq!(reason("port abc"), "argument couldn't be parsed into an integer");
        assert_eq!(reason("dbfilename \"x"), "Unbalanced quotes in configuration line");
        assert_eq!(reason("save 1"), "Invalid save parameters");
    }

    #[test]
    fn files_include_others_and_a_pattern_may_match_none() {
        let files =
            [("a.conf", "include b*.conf\ninclude none*.conf\n"), ("b1.conf", "port 1"), ("b2.conf", "\nport 2\n")];
        assert_eq!(started(&["a.conf"], &files).unwrap().port, 2);
        let refused = started(&["a.conf"], &[("a.conf", "include gone.conf")]).unwrap_err();
        assert_eq!(refused, ["Fatal error, can't open config file 'gone.conf': No such file or directory"]);
        assert!(started(&["a.conf"], &[("a.conf", "include a.conf")]).is_err());
    }

    #[test]
    fn no_text_makes_the_parser_panic() {
        let mut rng = Rng::new(11);
        let words = [
            "save",
            "port",
            "\"",
            "'",
            "\\x4",
            "client-output-buffer-limit",
            "normal",
            "-1",
            "9999999999999999999",
            "bind",
            "\0",
            "%",
            "maxmemory-clients",
        ];
        for _ in 0..3000 {
            let mut text = Vec::new();
            for _ in 0..rng.below(12) {
                text.extend_from_slice(words[rng.below(words.len())].as_bytes());
                text.push(b" \n\t\"x"[rng.below(5)]);
                text.push(rng.below(256) as u8);
            }
            let _ = from_text(&text);
        }
    }

    #[test]
    fn every_faulty_line_is_named_with_the_servers_reason() {
        let text =
            b"port 6379\nmaxmemry 1mb\n# remark\nappendonly perhaps\nsave \"\ninclude other.conf\nmaxmemory 1mb\n";
        assert_eq!(
            faults(text),
            [
                (2, "Bad directive or wrong number of arguments".to_owned()),
                (4, "argument must be 'yes' or 'no'".to_owned()),
                (5, "Unbalanced quotes in configuration line".to_owned())
            ]
        );
    }
}

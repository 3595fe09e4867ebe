//! The command line of redis-cli, as far as the lab's `$` shell knows it.

use super::redis::Options;
use super::uri;
use crate::base::{Bytes, Millis};
use crate::resp::render::Form;

/// What was asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub options: Options,
    /// Empty: the interactive prompt.
    pub command: Vec<Bytes>,
    /// How often to run it; None: for ever.
    pub repeat: Option<u64>,
    /// `--scan`: print the names of all keys instead, those like the pattern if there is one.
    pub scan: Option<Scan>,
    /// What stands behind `--cluster`, to the end of the line.
    pub cluster: Option<Vec<Bytes>>,
    /// A password stands on the command line, where `ps` and the shell's history show it.
    pub password_shown: bool,
}

/// `--scan [--pattern P] [--count N]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scan {
    pub pattern: Option<Bytes>,
    pub count: Option<u64>,
}

/// Parses what stands behind `redis-cli`. Err: what redis-cli prints before it ends.
pub(super) fn parse(words: &[Bytes]) -> Result<Asked, String> {
    let mut asked = Asked {
        options: Options::default(),
        command: Vec::new(),
        repeat: Some(1),
        scan: None,
        cluster: None,
        password_shown: false,
    };
    let (mut scan, mut walk) = (false, Scan::default());
    let mut warn = true;
    let (mut user, mut password) = (None, None);
    let mut rest = words.iter();
    while let Some(word) = rest.clone().next().filter(|word| word.starts_with(b"-")) {
        rest.next();
        let name = word.lossy().into_owned();
        let mut value = || {
            let value = rest.next().map(|value| value.lossy().into_owned());
            value.ok_or_else(|| unknown(&name))
        };
        let options = &mut asked.options;
        match name.as_str() {
            "-h" => options.host = value()?,
            "-p" => {
                let port = value()?;
                options.port = port.parse().map_err(|_| "Invalid server port.".to_owned())?;
            }
            "-n" => options.db = value()?.parse().unwrap_or(0),
            "-a" | "--pass" => (password, asked.password_shown) = (Some(value()?), true),
            "--user" => user = Some(value()?),
            "-u" => {
                let uri = uri::parse(&value()?)?;
                options.host = uri.host.unwrap_or_else(|| std::mem::take(&mut options.host));
                options.port = uri.port.unwrap_or(options.port);
                options.db = uri.db.map_or(options.db, u64::from);
                asked.password_shown |= uri.password.is_some();
                (user, password) = (uri.user.or(user), uri.password.or(password));
            }
            "-2" => options.protocol = Some(2),
            "-3" => options.protocol = Some(3),
            "-c" => options.cluster = true,
            "--raw" => options.form = Form::Raw,
            "--no-raw" => options.form = Form::Tty,
            "--csv" => options.form = Form::Csv,
            "--json" | "--quoted-json" => {
                options.form = if name == "--json" { Form::Json } else { Form::QuotedJson };
                options.protocol = options.protocol.or(Some(3));
            }
            "-r" => asked.repeat = value()?.parse::<i64>().map_or(Some(0), |times| u64::try_from(times).ok()),
            "-i" => {
                let seconds: f64 = value()?.parse().unwrap_or(0.0);
                options.interval = Millis((seconds.clamp(0.0, 1e9) * 1000.0) as u64);
            }
            "--no-auth-warning" => warn = false,
            "--cluster" => {
                asked.cluster = Some(rest.by_ref().cloned().collect());
                break;
            }
            "--scan" => scan = true,
            "--pattern" => walk.pattern = Some(Bytes::from(value()?)),
            "--count" => walk.count = value()?.parse().ok(),
            "-e" => {}
            _ => return Err(unknown(&name)),
        }
    }
    asked.command = rest.cloned().collect();
    asked.password_shown &= warn;
    asked.options.auth = password.map(|password| (user, password));
    asked.scan = scan.then_some(walk);
    asked.options.batch = !asked.command.is_empty() || scan;
    Ok(asked)
}

fn unknown(name: &str) -> String {
    format!("Unrecognized option or bad number of args for: '{name}'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::quote;

    fn asked(line: &str) -> Result<Asked, String> {
        parse(&quote::split(line.as_bytes()).unwrap())
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let asked = asked("-p 6380 -n 2 --raw -r 3 -i 0.5 SET a -1").unwrap();
        assert_eq!((asked.options.port, asked.options.db, asked.options.form), (6380, 2, Form::Raw));
        assert_eq!((asked.repeat, asked.options.interval), (Some(3), Millis(500)));
        assert_eq!(asked.command, [Bytes::from("SET"), Bytes::from("a"), Bytes::from("-1")]);
        assert!(asked.options.batch);
    }

    #[test]
    fn a_walk_through_the_keys_has_a_pattern() {
        let found = asked("-p 6380 --scan --pattern cache:*").unwrap().scan;
        assert_eq!(found, Some(Scan { pattern: Some(Bytes::from("cache:*")), count: None }));
        assert_eq!(asked("--pattern cache:*").unwrap().scan, None);
    }

    #[test]
    fn a_uri_names_everything() {
        let asked = asked("-u redis://alice:s3cret@10.0.0.1:7000/4").unwrap();
        assert_eq!(asked.options.auth, Some((Some("alice".into()), "s3cret".into())));
        assert_eq!((asked.options.host.as_str(), asked.options.port, asked.options.db), ("10.0.0.1", 7000, 4));
        assert!(asked.password_shown && !asked.options.batch);
    }

    #[test]
    fn what_is_unknown_is_named() {
        assert_eq!(asked("--frob x").unwrap_err(), "Unrecognized option or bad number of args for: '--frob'");
        assert_eq!(asked("-p").unwrap_err(), "Unrecognized option or bad number of args for: '-p'");
        assert_eq!(asked("-p 99999").unwrap_err(), "Invalid server port.");
    }
}

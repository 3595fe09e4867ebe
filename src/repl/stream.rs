//! Without a prompt: commands from a pipe, or one from the command line. Output is redis-cli's, byte for byte.

use super::{Machine, Options};
use crate::base::{Bytes, quote};
use crate::console::line::escaped;
use crate::port::{ConnectionId, Incoming};
use crate::resp::Reply;
use crate::resp::render::{self, Form};
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Runs `command` as often as was asked for.
pub fn run_command(options: &Options, form: Form, command: Vec<Bytes>, machine: &mut Machine) -> ExitCode {
    let mut client = match Client::connect(options, form, machine) {
        Ok(client) => Client { ends_on_error: options.exit_on_error, ..client },
        Err(code) => return code,
    };
    for turn in 0..options.repeat.unwrap_or(1) {
        if turn > 0
            && let Some(seconds) = options.interval
        {
            client.wait(Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)));
        }
        if !client.run(&command) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Runs each line of `input`.
pub fn run_lines(options: &Options, form: Form, input: impl BufRead, machine: &mut Machine) -> ExitCode {
    let mut client = match Client::connect(options, form, machine) {
        Ok(client) => client,
        Err(code) => return code,
    };
    for line in input.split(b'\n') {
        let Ok(line) = line else { return ExitCode::FAILURE };
        let Ok(mut words) = quote::split(&line) else {
            client.print(b"Invalid argument(s)\n");
            continue;
        };
        let mut times = 1;
        if words.len() > 1
            && let Ok(number) = words[0].lossy().parse::<i64>()
        {
            if number <= 0 {
                client.print(b"Invalid redis-cli repeat command option value.\n");
                continue;
            }
            (times, _) = (number, words.remove(0));
        }
        match words.first() {
            None => continue,
            Some(word) if word.eq_ignore_ascii_case(b"quit") || word.eq_ignore_ascii_case(b"exit") => break,
            Some(_) => {}
        }
        if !(0..times).all(|_| client.run(&words)) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

struct Client<'m> {
    machine: &'m mut Machine,
    connection: ConnectionId,
    form: Form,
    /// With -e the first error reply goes to stderr and ends the program. Lines of a pipe go on, as in redis-cli.
    ends_on_error: bool,
    subscribed: bool,
}

impl<'m> Client<'m> {
    fn connect(options: &Options, form: Form, machine: &'m mut Machine) -> Result<Client<'m>, ExitCode> {
        let (mut host, mut port) =
            (options.host.clone().unwrap_or_else(|| "127.0.0.1".to_owned()), options.port.unwrap_or(6379));
        let (mut user, mut password, mut db) =
            (options.user.clone(), options.password.clone(), options.db.unwrap_or(0));
        if let Some(uri) = options.uri.as_deref() {
            match super::prompt::uri_words(uri) {
                Some(parts) => {
                    (host, port, db) = (parts.host, parts.port, parts.db);
                    (user, password) = (parts.user.or(user), parts.password.or(password));
                }
                None => {
                    eprintln!("Invalid URI: it has to be redis://[user:password@]host[:port][/db]");
                    return Err(ExitCode::FAILURE);
                }
            }
        }
        let connection = machine.backend.connect_to(&host, port, "repl").map_err(|error| {
            eprintln!("{error}");
            ExitCode::FAILURE
        })?;
        let mut client = Client { machine, connection, form, ends_on_error: false, subscribed: false };
        let words = |words: &[&str]| words.iter().map(|&word| Bytes::from(word)).collect::<Vec<_>>();
        if let Some(password) = &password {
            let login = user.as_deref().map_or(words(&["AUTH", password]), |user| words(&["AUTH", user, password]));
            client.introduce(login, "AUTH failed");
        }
        if db != 0 {
            client.introduce(words(&["SELECT", &db.to_string()]), &format!("SELECT {db} failed"));
        }
        let json = matches!(form, Form::Json | Form::QuotedJson);
        if options.protocol.unwrap_or(if json { 3 } else { 2 }) == 3 {
            client.introduce(words(&["HELLO", "3"]), "HELLO 3 failed");
        }
        Ok(client)
    }

    /// Sends what comes before the user's commands; a refusal is told, and nothing more.
    fn introduce(&mut self, args: Vec<Bytes>, complaint: &str) {
        self.machine.backend.send(self.connection, args);
        for incoming in self.next() {
            if let Incoming::Reply(Reply::Error(text)) = incoming {
                eprintln!("{complaint}: {text}");
            }
        }
    }

    /// Sends a command and prints its answer; false if the connection ended. MONITOR and SUBSCRIBE print for ever.
    fn run(&mut self, args: &[Bytes]) -> bool {
        let is = |word: &str| args[0].eq_ignore_ascii_case(word.as_bytes());
        self.subscribed |= is("subscribe") || is("psubscribe") || is("ssubscribe");
        let for_ever = self.subscribed || is("monitor");
        let raw = render::prints_raw(args);
        self.machine.backend.send(self.connection, args.to_vec());
        loop {
            for incoming in self.next() {
                match incoming {
                    Incoming::Reply(reply) | Incoming::Push(reply) => {
                        if let Reply::Error(text) = &reply
                            && self.ends_on_error
                        {
                            eprintln!("{text}");
                            return false;
                        }
                        if is("monitor") && reply.is_error() {
                            self.show(&reply, raw);
                            return true;
                        }
                        self.show(&reply, raw);
                    }
                    Incoming::Closed if is("shutdown") => return false,
                    Incoming::Closed => {
                        eprintln!("Error: Server closed the connection");
                        return false;
                    }
                }
            }
            if !for_ever {
                return true;
            }
        }
    }

    fn show(&mut self, reply: &Reply, raw: bool) {
        let text = if raw { render::raw(reply) } else { render::text(reply, self.form) };
        // What a server says in a status or an error stands there as it came; to a terminal it must not speak.
        if self.form == Form::Tty && std::io::stdout().is_terminal() {
            let lines: Vec<String> = String::from_utf8_lossy(&text).split('\n').map(escaped).collect();
            return self.print(lines.join("\n").as_bytes());
        }
        self.print(&text);
    }

    /// Waits until something comes. The sandbox's clock runs meanwhile.
    fn next(&mut self) -> Vec<Incoming> {
        loop {
            let incoming = self.machine.backend.receive(self.connection);
            if !incoming.is_empty() {
                return incoming;
            }
            self.wait(Duration::from_millis(1));
        }
    }

    fn wait(&mut self, span: Duration) {
        std::thread::sleep(span);
        self.machine.keep_time();
    }

    fn print(&mut self, text: &[u8]) {
        let mut out = std::io::stdout().lock();
        if out.write_all(text).and_then(|()| out.flush()).is_err() {
            // Nobody reads any more (`| head`): end as other programs do.
            std::process::exit(0);
        }
    }
}

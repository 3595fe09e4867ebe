//! Without a prompt: commands from a pipe, or one from the command line. Output is redis-cli's, byte for byte.

use super::{Machine, Options};
use crate::base::{Bytes, quote};
use crate::console::line::escaped;
use crate::console::redirect::{REDIRECTS_MAX, Redirect};
use crate::console::uri::{self, Uri};
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

/// Where a connection leads, and what is said first on it.
#[derive(Clone)]
struct Home {
    host: String,
    port: u16,
    db: u32,
    user: Option<String>,
    password: Option<String>,
    resp3: bool,
}

struct Client<'m> {
    machine: &'m mut Machine,
    connection: ConnectionId,
    form: Form,
    /// Where MOVED and ASK are followed from; None: they are errors like others.
    cluster: Option<Home>,
    /// With -e the first error reply goes to stderr and ends the program. Lines of a pipe go on, as in redis-cli.
    ends_on_error: bool,
    subscribed: bool,
}

impl<'m> Client<'m> {
    fn connect(options: &Options, form: Form, machine: &'m mut Machine) -> Result<Client<'m>, ExitCode> {
        let failed = |complaint: String| {
            eprintln!("{complaint}");
            ExitCode::FAILURE
        };
        let uri = options.uri.as_deref().map_or(Ok(Uri::default()), uri::parse).map_err(failed)?;
        let json = matches!(form, Form::Json | Form::QuotedJson);
        let home = Home {
            host: uri.host.or(options.host.clone()).unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: uri.port.or(options.port).unwrap_or(6379),
            db: uri.db.or(options.db).unwrap_or(0),
            user: uri.user.or(options.user.clone()),
            password: uri.password.or(options.password.clone()),
            resp3: options.protocol.unwrap_or(if json { 3 } else { 2 }) == 3,
        };
        let connection = machine.backend.connect_to(&home.host, home.port, "repl").map_err(failed)?;
        let mut client = Client { machine, connection, form, cluster: None, ends_on_error: false, subscribed: false };
        client.introduce(&home);
        client.cluster = options.cluster.then_some(home);
        Ok(client)
    }

    /// Sends what comes before the user's commands; a refusal is told, and nothing more.
    fn introduce(&mut self, home: &Home) {
        let words = |words: &[&str]| words.iter().map(|&word| Bytes::from(word)).collect::<Vec<_>>();
        if let Some(password) = &home.password {
            let user = home.user.as_deref();
            let login = user.map_or(words(&["AUTH", password]), |user| words(&["AUTH", user, password]));
            self.ask_first(login, "AUTH failed");
        }
        if home.db != 0 {
            let db = home.db.to_string();
            self.ask_first(words(&["SELECT", &db]), &format!("SELECT {db} failed"));
        }
        if home.resp3 {
            self.ask_first(words(&["HELLO", "3"]), "HELLO 3 failed");
        }
    }

    fn ask_first(&mut self, args: Vec<Bytes>, complaint: &str) {
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
        let mut redirects = 0;
        'answers: loop {
            for incoming in self.next() {
                match incoming {
                    Incoming::Reply(reply) | Incoming::Push(reply) => {
                        if let Reply::Error(text) = &reply {
                            if self.cluster.is_some()
                                && redirects < REDIRECTS_MAX
                                && let Some(redirect) = Redirect::parse(text)
                            {
                                redirects += 1;
                                if !self.follow(redirect, args) {
                                    return false;
                                }
                                continue 'answers;
                            }
                            if self.ends_on_error {
                                eprintln!("{text}");
                                return false;
                            }
                        }
                        self.show(&reply, raw);
                        if is("monitor") && reply.is_error() {
                            return true;
                        }
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

    /// Goes to the node that the cluster names, and asks again there. False: it cannot be reached, which has been told.
    fn follow(&mut self, redirect: Redirect, args: &[Bytes]) -> bool {
        let Some(mut home) = self.cluster.clone() else { return false };
        if !redirect.host.is_empty() {
            home.host = redirect.host;
        }
        home.port = redirect.port;
        self.machine.backend.hang_up(self.connection);
        match self.machine.backend.connect_to(&home.host, home.port, "repl") {
            Ok(connection) => self.connection = connection,
            Err(complaint) => {
                eprintln!("{complaint}");
                return false;
            }
        }
        self.introduce(&home);
        self.cluster = Some(home);
        if redirect.ask {
            self.ask_first(vec![Bytes::from("ASKING")], "ASKING failed");
        }
        self.machine.backend.send(self.connection, args.to_vec());
        true
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

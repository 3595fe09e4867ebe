//! The redis prompt: a session of redis-cli 7.0, its connection and everything it believes about it.
//!
//! What the prompt shows is what redis-cli remembers, which is not always what the server knows: after a reconnect it
//! still shows the database and the `(TX)` from before, though the new connection is in database 0 and in no transaction.
//! That is kept as it is, and the lab says so. Subscribed mode is as in 7.2, where commands can be typed in it.
//!
//! Absent: the Lua debugger, replica mode, TLS.

use super::line::{Class, Line};
use super::print;
use super::redirect::{REDIRECTS_MAX, Redirect};
use crate::base::{Bytes, Millis};
use crate::port::{Backend, ConnectionId, Incoming};
use crate::resp::Reply;
use crate::resp::render::{self, Form};
use std::collections::VecDeque;

/// How redis-cli was started.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub host: String,
    pub port: u16,
    pub db: u64,
    /// User (if not the default one) and password, sent after connecting.
    pub auth: Option<(Option<String>, String)>,
    /// 2 or 3, if asked for.
    pub protocol: Option<u8>,
    pub cluster: bool,
    pub form: Form,
    /// A pause between repeated commands.
    pub interval: Millis,
    /// A command was given on the command line: print, and end.
    pub batch: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            host: "127.0.0.1".to_owned(),
            port: 6379,
            db: 0,
            auth: None,
            protocol: None,
            cluster: false,
            form: Form::Tty,
            interval: Millis::ZERO,
            batch: false,
        }
    }
}

/// A reply that has to come, in the order of what was sent.
#[derive(Clone, Debug, PartialEq)]
enum Expected {
    Auth,
    Select(u64),
    Hello,
    Asking,
    Command,
}

/// The command that is being answered.
#[derive(Clone, Debug)]
struct Running {
    args: Vec<Bytes>,
    /// How often it was sent on to another node.
    redirects: usize,
    /// How often it is to be sent again.
    left: u64,
    /// Confirmations of SUBSCRIBE and its like still to come; None for any other command.
    confirmations: Option<usize>,
    started: Millis,
}

#[derive(Clone, Debug)]
pub(super) struct Cli {
    pub options: Options,
    connection: Option<ConnectionId>,
    expected: VecDeque<Expected>,
    /// What came and has not been read yet.
    early: VecDeque<Incoming>,
    running: Option<Running>,
    /// The server has hung up; redis-cli notices with the next command.
    lost: bool,
    db: u64,
    in_transaction: bool,
    /// The database to show again if the transaction fails.
    db_before: u64,
    subscribed: bool,
    monitoring: bool,
}

impl Cli {
    pub fn new(options: Options) -> Cli {
        Cli {
            options,
            connection: None,
            expected: VecDeque::new(),
            early: VecDeque::new(),
            running: None,
            lost: false,
            db: 0,
            in_transaction: false,
            db_before: 0,
            subscribed: false,
            monitoring: false,
        }
    }

    pub fn prompt(&self) -> String {
        if self.connection.is_none() {
            return "not connected> ".to_owned();
        }
        let db = if self.db == 0 { String::new() } else { format!("[{}]", self.db) };
        let transaction = if self.in_transaction { "(TX)" } else { "" };
        let subscribed = if self.subscribed { "(subscribed mode)" } else { "" };
        format!("{}{db}{transaction}{subscribed}> ", self.address())
    }

    fn address(&self) -> String {
        // A redirect's host comes from a server.
        let (host, port) = (super::line::escaped(&self.options.host), self.options.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    pub fn db(&self) -> usize {
        self.db as usize
    }

    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    /// Waits for something: an answer, messages, MONITOR's lines.
    pub fn busy(&self) -> bool {
        self.running.is_some() || self.monitoring || self.subscribed
    }

    /// A command waits for its answer; another one cannot be sent.
    pub fn blocked(&self) -> bool {
        self.running.is_some() || self.monitoring
    }

    /// Connects, ending the connection there is.
    pub fn connect(&mut self, backend: &mut dyn Backend, terminal: &str) -> Vec<Line> {
        if self.connection.is_some() {
            self.disconnect(backend);
            (self.db, self.in_transaction, self.subscribed) = (0, false, false);
        }
        self.monitoring = false;
        let connected = backend.connect_to(&self.options.host, self.options.port, terminal);
        match connected {
            Err(reason) => {
                // The backend speaks of 127.0.0.1, redis-cli of the host it was given.
                let reason = reason.rsplit(": ").next().unwrap_or(&reason);
                let address = format!("{}:{}", self.options.host, self.options.port);
                vec![Line::new(Class::Error, format!("Could not connect to Redis at {address}: {reason}"))]
            }
            Ok(connection) => {
                self.connection = Some(connection);
                self.early = backend.receive(connection).into();
                self.introduce(backend, connection);
                self.receive(backend, terminal)
            }
        }
    }

    /// AUTH, SELECT and HELLO, as far as they are needed.
    fn introduce(&mut self, backend: &mut dyn Backend, connection: ConnectionId) {
        let mut send = |expected: &mut VecDeque<Expected>, kind: Expected, words: &[&str]| {
            backend.send(connection, words.iter().map(|&word| Bytes::from(word)).collect());
            expected.push_back(kind);
        };
        match &self.options.auth {
            Some((Some(user), password)) => send(&mut self.expected, Expected::Auth, &["AUTH", user, password]),
            Some((None, password)) => send(&mut self.expected, Expected::Auth, &["AUTH", password]),
            None => {}
        }
        if self.options.db != self.db {
            let db = self.options.db;
            send(&mut self.expected, Expected::Select(db), &["SELECT", &db.to_string()]);
        }
        if let Some(protocol @ 3) = self.options.protocol {
            send(&mut self.expected, Expected::Hello, &["HELLO", &protocol.to_string()]);
        }
    }

    pub fn disconnect(&mut self, backend: &mut dyn Backend) {
        if let Some(connection) = self.connection.take() {
            backend.hang_up(connection);
        }
        self.expected.clear();
        self.early.clear();
        self.running = None;
        self.lost = false;
    }

    /// Sends a command, `times` times one after the other, and what its answer brings.
    pub fn run(&mut self, args: Vec<Bytes>, times: u64, backend: &mut dyn Backend, terminal: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        if self.connection.is_none() {
            lines.extend(self.connect(backend, terminal));
            if self.connection.is_none() {
                return lines;
            }
            if self.db != 0 || self.in_transaction {
                lines.push(self.warn_of_reconnect());
            }
        }
        self.running = Some(Running {
            confirmations: confirmations(&args),
            args,
            redirects: 0,
            left: times.saturating_sub(1),
            started: backend.now(),
        });
        if self.lost {
            lines.extend(self.give_up(backend));
            return lines;
        }
        self.send(backend);
        lines.extend(self.receive(backend, terminal));
        lines
    }

    fn warn_of_reconnect(&self) -> Line {
        let shown = match (self.db, self.in_transaction) {
            (0, _) => "(TX)".to_owned(),
            (db, false) => format!("[{db}]"),
            (db, true) => format!("[{db}] and (TX)"),
        };
        Line::new(
            Class::Note,
            format!(
                "note: this is a new connection, in database 0 and in no transaction; the prompt's {shown} is from the old one."
            ),
        )
    }

    fn send(&mut self, backend: &mut dyn Backend) {
        let (Some(connection), Some(running)) = (self.connection, &self.running) else { return };
        self.monitoring = is_word(&running.args[0], "monitor");
        backend.send(connection, running.args.clone());
        self.expected.push_back(Expected::Command);
    }

    /// Prints what has arrived.
    pub fn receive(&mut self, backend: &mut dyn Backend, terminal: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(connection) = self.connection {
            self.early.extend(backend.receive(connection));
            // What a server says unasked when it refuses a connection is read as the answer to the first question.
            if self.early.is_empty() || self.expected.is_empty() && self.running.is_none() && self.is_refused() {
                break;
            }
            for each in std::mem::take(&mut self.early) {
                match each {
                    Incoming::Reply(Reply::Many(replies)) => {
                        replies.into_iter().for_each(|reply| lines.extend(self.take(reply, false, backend, terminal)));
                    }
                    Incoming::Reply(reply) => lines.extend(self.take(reply, false, backend, terminal)),
                    Incoming::Push(reply) => lines.extend(self.take(reply, true, backend, terminal)),
                    Incoming::Closed if self.busy() => lines.extend(self.give_up(backend)),
                    Incoming::Closed => self.lost = true,
                }
            }
            if self.lost {
                break;
            }
        }
        lines
    }

    /// Whether the server has refused the connection, and nobody has read that yet.
    fn is_refused(&self) -> bool {
        matches!(self.early.front(), Some(Incoming::Reply(Reply::Error(_))))
    }

    /// The connection is gone, and this is the moment at which redis-cli sees it.
    fn give_up(&mut self, backend: &mut dyn Backend) -> Vec<Line> {
        let shutting_down =
            self.running.as_ref().is_some_and(|running| is_word(&running.args[0], "shutdown")) && !self.lost;
        self.disconnect(backend);
        (self.monitoring, self.subscribed) = (false, false);
        if shutting_down { Vec::new() } else { vec![Line::new(Class::Error, "Error: Server closed the connection")] }
    }

    /// One reply or message.
    fn take(&mut self, reply: Reply, out_of_band: bool, backend: &mut dyn Backend, terminal: &str) -> Vec<Line> {
        if self.monitoring && self.expected.is_empty() {
            return print::reply(&reply, self.options.form, false);
        }
        if let Some(word) =
            message_kind(&reply).filter(|_| out_of_band || self.subscribed || self.awaits_confirmation())
        {
            let mut lines = print::reply(&reply, self.options.form, false);
            if self.confirms(&word) {
                lines.extend(self.confirmed(backend));
            }
            return lines;
        }
        if out_of_band || self.expected.is_empty() {
            return self.pushed(&reply);
        }
        match self.expected.pop_front() {
            Some(Expected::Auth) => complain("AUTH failed", &reply),
            Some(Expected::Select(db)) => {
                if !reply.is_error() {
                    self.db = db;
                }
                complain(&format!("SELECT {db} failed"), &reply)
            }
            Some(Expected::Hello) => complain("HELLO 3 failed", &reply),
            Some(Expected::Asking) | None => Vec::new(),
            Some(Expected::Command) => self.answered(reply, backend, terminal),
        }
    }

    fn pushed(&self, push: &Reply) -> Vec<Line> {
        match render::invalidation(push) {
            Some(text) if self.options.form == Form::Tty => print::text(text.as_bytes()),
            _ => print::reply(push, self.options.form, false),
        }
    }

    fn awaits_confirmation(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.confirmations.is_some())
    }

    /// Is a message of this kind the answer to the command that is running?
    fn confirms(&self, kind: &str) -> bool {
        self.running.as_ref().is_some_and(|running| running.confirmations.is_some() && is_word(&running.args[0], kind))
    }

    fn confirmed(&mut self, backend: &mut dyn Backend) -> Vec<Line> {
        let Some(running) = &mut self.running else { return Vec::new() };
        let subscribes = running.args[0].to_ascii_lowercase().ends_with(b"subscribe")
            && !running.args[0].to_ascii_lowercase().ends_with(b"unsubscribe");
        let left = running.confirmations.map_or(0, |n| n.saturating_sub(1));
        running.confirmations = Some(left);
        self.subscribed |= subscribes;
        if left > 0 {
            return Vec::new();
        }
        self.expected.pop_front();
        let mut lines = self.finish(backend);
        if subscribes && self.options.form != Form::Raw && !self.options.batch {
            lines.push(Line::new(Class::Dim, "Reading messages... (press Ctrl-C to quit or any key to type command)"));
        }
        lines
    }

    /// The answer to the command.
    fn answered(&mut self, reply: Reply, backend: &mut dyn Backend, terminal: &str) -> Vec<Line> {
        let Some(running) = &self.running else { return self.pushed(&reply) };
        let (args, raw) = (running.args.clone(), render::prints_raw(&running.args));
        if self.options.cluster
            && let Reply::Error(text) = &reply
            && let Some(redirect) = Redirect::parse(text)
            && running.redirects < REDIRECTS_MAX
        {
            return self.follow(redirect, backend, terminal);
        }
        let mut lines = print::reply(&reply, self.options.form, raw);
        if running.redirects == REDIRECTS_MAX && !self.options.batch {
            let text = "note: the nodes send this from one to the other and back; redis-cli would go on for ever.";
            lines.push(Line::new(Class::Note, text));
        }
        if self.monitoring {
            self.monitoring = !reply.is_error();
            if self.monitoring {
                return lines;
            }
        }
        let more = self.remember(&args, &reply, backend);
        lines.extend(self.finish(backend));
        if more {
            lines.extend(self.receive(backend, terminal));
        }
        lines
    }

    /// What the prompt has to show after `reply`; true if something was sent.
    fn remember(&mut self, args: &[Bytes], reply: &Reply, backend: &mut dyn Backend) -> bool {
        let (ok, alone) = (!reply.is_error(), args.len() == 1);
        let failed = !ok || matches!(reply, Reply::Nil | Reply::NilArray);
        match args[0].to_ascii_lowercase().as_slice() {
            b"select" if args.len() == 2 && ok => {
                self.db = leading_number(&args[1]);
                self.options.db = self.db;
            }
            b"auth" if matches!(args.len(), 2 | 3) && self.options.db != self.db => {
                let db = self.options.db;
                if let Some(connection) = self.connection {
                    backend.send(connection, vec![Bytes::from("SELECT"), Bytes::from(db.to_string())]);
                    self.expected.push_back(Expected::Select(db));
                    return true;
                }
            }
            b"multi" if alone && ok => (self.in_transaction, self.db_before) = (true, self.db),
            b"exec" if alone && self.in_transaction => {
                self.in_transaction = false;
                if failed {
                    (self.db, self.options.db) = (self.db_before, self.db_before);
                }
            }
            b"discard" if alone && ok => {
                self.in_transaction = false;
                (self.db, self.options.db) = (self.db_before, self.db_before);
            }
            b"reset" if alone && ok => {
                (self.in_transaction, self.subscribed) = (false, false);
                (self.db, self.options.db) = (0, 0);
            }
            _ => {}
        }
        false
    }

    /// The command is answered: sends it again if it is to be repeated, else says how long it took.
    fn finish(&mut self, backend: &mut dyn Backend) -> Vec<Line> {
        let Some(mut running) = self.running.take() else { return Vec::new() };
        if running.left > 0 {
            if self.options.interval > Millis::ZERO {
                backend.advance(self.options.interval);
            }
            running.left -= 1;
            running.redirects = 0;
            running.confirmations = confirmations(&running.args);
            self.running = Some(running);
            self.send(backend);
            return Vec::new();
        }
        self.elapsed(running.started, backend)
    }

    fn elapsed(&self, started: Millis, backend: &dyn Backend) -> Vec<Line> {
        let took = backend.now().since(started);
        if took < Millis(500) || self.options.form != Form::Tty || self.options.batch {
            return Vec::new();
        }
        vec![Line::new(Class::Dim, format!("({}.{:02}s)", took.secs(), took.0 % 1000 / 10))]
    }

    /// Goes to the node that a cluster names, and asks again there.
    fn follow(&mut self, redirect: Redirect, backend: &mut dyn Backend, terminal: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        let was_in_transaction = self.in_transaction;
        let mut running = self.running.take();
        running.iter_mut().for_each(|running| running.redirects += 1);
        if !redirect.host.is_empty() {
            self.options.host = redirect.host;
        }
        self.options.port = redirect.port;
        if !self.options.batch {
            let address = format!("{}:{}", self.options.host, self.options.port);
            lines.push(Line::new(
                Class::Note,
                format!("-> Redirected to slot [{}] located at {address}", redirect.slot),
            ));
        }
        lines.extend(self.connect(backend, terminal));
        let Some(connection) = self.connection else { return lines };
        if was_in_transaction {
            let text =
                "note: the redirect made a new connection; the transaction was on the old one and is gone with it.";
            lines.push(Line::new(Class::Note, text));
        }
        if redirect.ask {
            backend.send(connection, vec![Bytes::from("ASKING")]);
            self.expected.push_back(Expected::Asking);
        }
        self.running = running;
        self.send(backend);
        lines.extend(self.receive(backend, terminal));
        lines
    }

    /// Ctrl-C: MONITOR, subscribed mode and a blocked command end by reconnecting, as the server has no other way out.
    /// (redis-cli itself would end at a blocked command.)
    pub fn interrupt(&mut self, backend: &mut dyn Backend, terminal: &str) -> Vec<Line> {
        let started = self.running.as_ref().map(|running| running.started);
        let mut lines = self.connect(backend, terminal);
        if let Some(started) = started {
            lines.extend(self.elapsed(started, backend));
        }
        lines
    }
}

/// How many confirmations a SUBSCRIBE, UNSUBSCRIBE or one of their kin brings; None for other commands.
fn confirmations(args: &[Bytes]) -> Option<usize> {
    const KIN: [&str; 6] = ["subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"];
    KIN.iter().any(|word| is_word(&args[0], word)).then(|| (args.len() - 1).max(1))
}

/// The kind of a pub/sub message: `message`, `subscribe` ...; None if `reply` is none.
fn message_kind(reply: &Reply) -> Option<String> {
    const KINDS: [&str; 3] = ["message", "subscribe", "unsubscribe"];
    let (Reply::Array(items) | Reply::Push(items)) = reply else { return None };
    let Some(Reply::Bulk(kind)) = items.first().filter(|_| items.len() >= 3) else { return None };
    let kind = kind.lossy().to_ascii_lowercase();
    let bare = kind.strip_prefix(['p', 's']).filter(|bare| KINDS.contains(bare));
    (bare.is_some() || KINDS.contains(&kind.as_str())).then_some(kind)
}

fn is_word(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// atoi(3), which is what redis-cli shows: digits at the beginning, else 0.
fn leading_number(text: &[u8]) -> u64 {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

fn complain(what: &str, reply: &Reply) -> Vec<Line> {
    match reply {
        Reply::Error(text) => vec![Line::new(Class::Error, format!("{what}: {text}"))],
        _ => Vec::new(),
    }
}

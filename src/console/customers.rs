//! `shop-open PORT COMMAND`: the shop stays open while COMMAND runs.
//!
//! Its customers buy through the cluster ten times a second: each sale is written and an earlier one is read. The shop is an
//! ordinary client library: it is given one node, asks that one for the slot map, sends each command to the owner of its slot,
//! and follows `MOVED` (for ever) and `ASK` (for once, with ASKING). It comes to its turn whenever COMMAND lets time pass.
//! Every request stands in `sales.log`, so that what was answered while slots moved can be read afterwards.

use super::files::Output;
use super::redirect::Redirect;
use crate::base::slot::slot_of;
use crate::base::{Bytes, Millis, Rng};
use crate::port::{Backend, ConnectionId, Incoming, NetworkChange, Signal, Spawned};
use crate::race::{Orders, Program, Race, Run};
use crate::resp::{Reply, render};
use crate::snapshot;
use std::collections::BTreeMap;

const LOG: &str = "sales.log";
/// Between two customers.
const EVERY: Millis = Millis(100);
/// How often the shop looks for an answer that has not come.
const LOOKS: Millis = Millis(10);
/// A library gives up after so many redirects.
const REDIRECTS_MAX: usize = 5;
/// A shop that is told to stay open for days would keep the learner waiting.
const SALES_MAX: usize = 5000;

/// The shop's client library and its books.
struct Shop {
    /// Which port owns a slot, as far as this client knows: the slots up to the key.
    map: BTreeMap<u16, u16>,
    connections: BTreeMap<u16, ConnectionId>,
    /// The node that was named on the command line.
    first: u16,
    /// Number of the next sale.
    next: usize,
    /// Sales that were answered with OK, of this run and of those before.
    sold: Vec<usize>,
    waiting: Option<Request>,
    /// The reads and writes still to be done for the customer who is here.
    to_do: Vec<(usize, bool)>,
    due: Millis,
    log: Vec<u8>,
    books: Books,
}

#[derive(Default)]
struct Books {
    sales: usize,
    requests: usize,
    moved: usize,
    asked: usize,
    refused: usize,
    first_refusal: Option<String>,
    wrong: usize,
    longest: Millis,
}

/// A command on its way.
struct Request {
    sale: usize,
    write: bool,
    port: u16,
    began: Millis,
    /// OKs to ASKING that come before the answer.
    skip: usize,
    redirects: usize,
    /// How it went so far, for the log.
    trail: String,
}

impl Request {
    fn words(&self) -> Vec<Bytes> {
        let key = key(self.sale);
        match self.write {
            true => vec![Bytes::from("SET"), Bytes::from(key), Bytes::from("sold")],
            false => vec![Bytes::from("GET"), Bytes::from(key)],
        }
    }
}

fn key(sale: usize) -> String {
    format!("sale:{sale}")
}

/// Runs `command` with the shop open. What it printed is the caller's; the Output is the shop's report.
pub(super) fn open<T>(
    first: u16,
    backend: &mut dyn Backend,
    command: impl FnOnce(&mut dyn Backend) -> T,
) -> (T, Output) {
    let mut shop = match Shop::open(first, backend) {
        Ok(shop) => shop,
        Err(complaint) => return (command(backend), Err(format!("shop-open: {complaint}"))),
    };
    let began = backend.now();
    let result = command(&mut Busy { inner: backend, shop: &mut shop });
    let report = shop.close(began, backend);
    (result, Ok(report.into_bytes()))
}

impl Shop {
    fn open(first: u16, backend: &mut dyn Backend) -> Result<Shop, String> {
        let log = backend.read_file(LOG).unwrap_or_default();
        let sold = sold(&log);
        let mut shop = Shop {
            map: BTreeMap::new(),
            connections: BTreeMap::new(),
            first,
            next: sold.iter().max().map_or(1, |last| last + 1),
            sold,
            waiting: None,
            to_do: Vec::new(),
            due: backend.now() + EVERY,
            log,
            books: Books::default(),
        };
        shop.load_map(&[first], backend)?;
        Ok(shop)
    }

    /// Asks the first of `ports` that answers who owns what.
    fn load_map(&mut self, ports: &[u16], backend: &mut dyn Backend) -> Result<(), String> {
        let mut complaint = String::from("no node answers");
        for port in ports {
            match self.ask_for_map(*port, backend) {
                Ok(map) if !map.is_empty() => {
                    self.map = map;
                    return Ok(());
                }
                Ok(_) => complaint = format!("the node on {port} knows of no slots"),
                Err(error) => complaint = error,
            }
        }
        Err(complaint)
    }

    fn ask_for_map(&mut self, port: u16, backend: &mut dyn Backend) -> Result<BTreeMap<u16, u16>, String> {
        let connection = self.connection(port, backend)?;
        backend.send(connection, vec![Bytes::from("CLUSTER"), Bytes::from("SLOTS")]);
        let mut map = BTreeMap::new();
        for incoming in backend.receive(connection) {
            let Incoming::Reply(Reply::Array(ranges)) = incoming else { continue };
            for range in ranges {
                if let Reply::Array(parts) = range
                    && let [_, Reply::Int(to), Reply::Array(node), ..] = parts.as_slice()
                    && let [_, Reply::Int(port), ..] = node.as_slice()
                {
                    map.insert(*to as u16, *port as u16);
                }
            }
        }
        Ok(map)
    }

    fn connection(&mut self, port: u16, backend: &mut dyn Backend) -> Result<ConnectionId, String> {
        if let Some(connection) = self.connections.get(&port) {
            return Ok(*connection);
        }
        // What customers do is not what the learner typed: no terminal's connection.
        let connection = backend.connect_to("127.0.0.1", port, "")?;
        self.connections.insert(port, connection);
        Ok(connection)
    }

    fn owner(&self, key: &str) -> u16 {
        self.map.range(slot_of(key.as_bytes())..).next().map_or(self.first, |(_, port)| *port)
    }

    /// When the shop has something to do.
    fn due(&self, now: Millis) -> Millis {
        match self.waiting {
            Some(_) => self.due.min(now + LOOKS).max(now + Millis(1)),
            None => self.due.max(now + Millis(1)),
        }
    }

    /// Does what is to be done now.
    fn turn(&mut self, backend: &mut dyn Backend) {
        self.look(backend);
        if backend.now() >= self.due {
            self.due = backend.now() + EVERY;
            if self.books.sales == SALES_MAX {
                self.due = Millis(u64::MAX);
            } else if self.waiting.is_none() && self.to_do.is_empty() {
                self.customer();
            }
        }
        while self.waiting.is_none() && !self.to_do.is_empty() {
            let (sale, write) = self.to_do.remove(0);
            let port = self.owner(&key(sale));
            let (began, trail) = (backend.now(), String::new());
            self.books.requests += 1;
            self.send(Request { sale, write, port, began, skip: 0, redirects: 0, trail }, false, backend);
            self.look(backend);
        }
    }

    fn customer(&mut self) {
        let sale = self.next;
        self.next += 1;
        self.books.sales += 1;
        self.to_do.push((sale, true));
        if !self.sold.is_empty() {
            let earlier = self.sold[Rng::new(0x5a1e + sale as u64).below(self.sold.len())];
            self.to_do.push((earlier, false));
        }
    }

    fn send(&mut self, mut request: Request, asking: bool, backend: &mut dyn Backend) {
        request.trail.push_str(&format!(" {}", request.port));
        match self.connection(request.port, backend) {
            Ok(connection) => {
                if asking {
                    backend.send(connection, vec![Bytes::from("ASKING")]);
                    request.skip += 1;
                }
                backend.send(connection, request.words());
                self.waiting = Some(request);
            }
            Err(error) => self.refused(request, error, backend),
        }
    }

    /// Picks up the answer to what is under way, if it is there.
    fn look(&mut self, backend: &mut dyn Backend) {
        while let Some(mut request) = self.waiting.take() {
            let Some(connection) = self.connections.get(&request.port).copied() else { return };
            let mut answer = None;
            for incoming in backend.receive(connection) {
                match incoming {
                    Incoming::Reply(_) if request.skip > 0 => request.skip -= 1,
                    Incoming::Reply(reply) => answer = Some(Ok(reply)),
                    Incoming::Closed => answer = answer.or(Some(Err(String::from("the connection was closed")))),
                    Incoming::Push(_) => {}
                }
            }
            match answer {
                None => {
                    self.waiting = Some(request);
                    return;
                }
                Some(Err(error)) => {
                    self.connections.remove(&request.port);
                    self.refused(request, error, backend);
                }
                Some(Ok(Reply::Error(text))) => {
                    let text = text.to_string();
                    match Redirect::parse(&text).filter(|_| request.redirects < REDIRECTS_MAX) {
                        Some(redirect) => self.follow(request, &redirect, backend),
                        None => self.refused(request, text, backend),
                    }
                }
                Some(Ok(reply)) => self.answered(request, &reply, backend),
            }
        }
    }

    fn follow(&mut self, mut request: Request, redirect: &Redirect, backend: &mut dyn Backend) {
        request.redirects += 1;
        request.trail.push_str(if redirect.ask { " ASK" } else { " MOVED" });
        if redirect.ask {
            self.books.asked += 1;
        } else {
            self.books.moved += 1;
            // Where one slot has moved others have too: the whole map again, from who knew better.
            if self.load_map(&[request.port], backend).is_err() {
                self.map.insert(redirect.slot, redirect.port);
            }
        }
        request.port = redirect.port;
        self.send(request, redirect.ask, backend);
    }

    fn answered(&mut self, request: Request, reply: &Reply, backend: &dyn Backend) {
        self.books.longest = self.books.longest.max(backend.now().since(request.began));
        let right = match (request.write, reply) {
            (true, Reply::Status(text)) => text == "OK",
            (false, Reply::Bulk(value)) => value == "sold",
            _ => false,
        };
        if right && request.write {
            self.sold.push(request.sale);
        }
        self.books.wrong += usize::from(!right);
        self.note(&request, render::tty(reply).trim(), backend);
    }

    fn refused(&mut self, request: Request, error: String, backend: &mut dyn Backend) {
        self.books.refused += 1;
        self.note(&request, &error, backend);
        self.books.first_refusal.get_or_insert(error);
        // Somebody else may know of a new owner.
        let ports: Vec<u16> = self.map.values().copied().collect();
        self.load_map(&ports, backend).unwrap_or_default();
    }

    fn note(&mut self, request: &Request, answer: &str, backend: &dyn Backend) {
        let at = backend.now().0 % 86_400_000;
        let (hour, minute, second) = (at / 3_600_000, at / 60_000 % 60, at / 1000 % 60);
        let verb = if request.write { "SET" } else { "GET" };
        let (key, trail) = (key(request.sale), &request.trail);
        let line = format!("{hour:02}:{minute:02}:{second:02}.{:03} {verb} {key}:{trail} {answer}\n", at % 1000);
        self.log.extend(line.into_bytes());
    }

    /// The books, after a last look at every sale that was ever answered with OK.
    fn close(mut self, began: Millis, backend: &mut dyn Backend) -> String {
        if let Some(request) = self.waiting.take() {
            self.refused(request, String::from("no answer yet"), backend);
        }
        let took = backend.now().since(began);
        let Books { sales, requests, moved, asked, refused, first_refusal, wrong, longest } =
            std::mem::take(&mut self.books);
        let mut out =
            format!("shop: {sales} sales in {}.{} s, {requests} requests\n", took.secs(), took.0 % 1000 / 100);
        out += &format!(
            "sent on: {moved} times by MOVED, {asked} times by ASK; the longest answer took {} ms\n",
            longest.0
        );
        out += &format!("refused: {refused}; answered wrongly: {wrong}\n");
        if let Some(first) = first_refusal {
            out += &format!("first refusal: {}\n", first.trim());
        }
        let log = self.log.clone();
        self.to_do = self.sold.iter().map(|sale| (*sale, false)).collect();
        let all = self.to_do.len();
        self.due = backend.now() + EVERY;
        self.turn(backend);
        let missing = self.books.wrong + self.books.refused + usize::from(self.waiting.is_some()) + self.to_do.len();
        out += &format!("sales answered with OK, of all days: {all}; there now: {}\n", all - missing.min(all));
        // The shop's disk is not what these lessons are about: a log that does not fit is cut short.
        let _ = backend.write_file(LOG, &log);
        for connection in self.connections.into_values() {
            backend.hang_up(connection);
        }
        out
    }
}

/// The sales of which a log says that they were answered with OK. A number that no shop counts to was written by hand.
fn sold(log: &[u8]) -> Vec<usize> {
    let text = String::from_utf8_lossy(log);
    let sale =
        |line: &str| line.strip_suffix(" OK")?.split_once(" SET sale:")?.1.split_once(':')?.0.parse::<u32>().ok();
    text.lines().filter_map(sale).map(|sale| sale as usize).collect()
}

/// The machine as the running command has it: where it lets time pass, customers come. All else is the machine's own: each
/// method of the port is handed on, those with a default too (tested).
struct Busy<'a> {
    inner: &'a mut dyn Backend,
    shop: &'a mut Shop,
}

impl Backend for Busy<'_> {
    fn advance(&mut self, span: Millis) {
        let target = self.inner.now() + span;
        loop {
            let now = self.inner.now();
            let due = self.shop.due(now);
            if due > target {
                break;
            }
            self.inner.advance(due.since(now));
            if self.inner.now() == now {
                // The clock stands still while the learner holds the network's messages in hand.
                return;
            }
            self.shop.turn(self.inner);
        }
        let rest = target.since(self.inner.now());
        if rest > Millis::ZERO {
            self.inner.advance(rest);
        }
    }

    fn now(&self) -> Millis {
        self.inner.now()
    }
    fn connect(&mut self, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        self.inner.connect(port, terminal)
    }
    fn connect_to(&mut self, host: &str, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        self.inner.connect_to(host, port, terminal)
    }
    fn send(&mut self, connection: ConnectionId, args: Vec<Bytes>) {
        self.inner.send(connection, args);
    }
    fn receive(&mut self, connection: ConnectionId) -> Vec<Incoming> {
        self.inner.receive(connection)
    }
    fn hang_up(&mut self, connection: ConnectionId) {
        self.inner.hang_up(connection);
    }
    fn spawn(&mut self, argv: &[String]) -> Spawned {
        self.inner.spawn(argv)
    }
    fn signal(&mut self, pid: u32, signal: Signal) -> Result<(), String> {
        self.inner.signal(pid, signal)
    }
    fn power_cut(&mut self) {
        self.inner.power_cut();
    }
    fn network(&mut self, change: NetworkChange) -> Result<Option<String>, String> {
        self.inner.network(change)
    }
    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        self.inner.read_file(path)
    }
    fn write_file(&mut self, path: &str, contents: &[u8]) -> Result<(), String> {
        self.inner.write_file(path, contents)
    }
    fn remove_file(&mut self, path: &str) -> Result<(), String> {
        self.inner.remove_file(path)
    }
    fn make_dir(&mut self, path: &str) -> Result<(), String> {
        self.inner.make_dir(path)
    }
    fn list_files(&self, dir: &str) -> Vec<String> {
        self.inner.list_files(dir)
    }
    fn config_faults(&self, text: &str) -> Vec<(usize, String)> {
        self.inner.config_faults(text)
    }
    fn snapshot(&self) -> snapshot::World {
        self.inner.snapshot()
    }
    fn events_since(&self, sequence: u64) -> Vec<snapshot::Event> {
        self.inner.events_since(sequence)
    }
    fn fork(&self) -> Option<Box<dyn Backend>> {
        self.inner.fork()
    }
    fn undo(&mut self) -> bool {
        self.inner.undo()
    }
    fn redo(&mut self) -> bool {
        self.inner.redo()
    }
    fn depth(&self) -> (usize, usize) {
        self.inner.depth()
    }
    fn mark(&mut self) {
        self.inner.mark();
    }
    fn journal(&self) -> Vec<u8> {
        self.inner.journal()
    }
    fn races_since(&self, sequence: u64) -> Vec<Race> {
        self.inner.races_since(sequence)
    }
    fn programs_since(&self, sequence: u64) -> Vec<Program> {
        self.inner.programs_since(sequence)
    }
    fn orders(&self, port: u16, programs: &[Program]) -> Result<Orders, String> {
        self.inner.orders(port, programs)
    }
    fn play_order(&self, port: u16, programs: &[Program], turns: &[u8]) -> Result<(Run, Box<dyn Backend>), String> {
        self.inner.play_order(port, programs, turns)
    }
    fn sql(&mut self, statement: &str) -> Result<Vec<String>, String> {
        self.inner.sql(statement)
    }
    fn storm(&mut self, logins: usize) -> Result<Vec<String>, String> {
        self.inner.storm(logins)
    }
}

#[cfg(test)]
mod tests {
    /// A method that is not handed on would say by its default that this machine has nothing of the kind.
    #[test]
    fn every_method_of_the_port_is_handed_on() {
        let methods = |text: &'static str, from: &str| {
            let (_, body) = text.split_once(from).expect("it stands in its file");
            let body = body.lines().take_while(|line| *line != "}");
            body.filter_map(|line| line.strip_prefix("    fn ")?.split('(').next()).collect::<Vec<_>>()
        };
        let port = methods(include_str!("../port.rs"), "pub trait Backend {\n");
        let ours = methods(include_str!("customers.rs"), "impl Backend for Busy<'_> {\n");
        let missing: Vec<_> = port.iter().filter(|method| !ours.contains(method)).collect();
        assert!(port.len() > 20 && missing.is_empty(), "{missing:?}");
    }
}

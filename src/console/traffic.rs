//! The shop's customers: `shop-traffic` and `shop-status`, words of the `$` shell.
//!
//! The shop is a program like any other: `shop.conf` tells it where its sessions and its cached pages are kept, and it speaks
//! to these servers over connections of its own. Every visitor logs in, looks at three pages, and now and then somebody comes
//! back. The stream is the same on every machine and in every copy of a world: who comes when, and which page they want,
//! follows from the visitor's number alone. `shop.log` is the shop's own memory of who logged in, so that what a server
//! forgot can be told from what never was.

use super::files::Output;
use super::uri;
use crate::base::{Bytes, Millis, Rng};
use crate::port::{Backend, ConnectionId, Incoming};
use crate::resp::Reply;
use std::collections::{BTreeMap, BTreeSet};

const CONF: &str = "shop.conf";
const LOG: &str = "shop.log";

/// One visitor after the other, four in a second on the average: this long at least, and up to as much again thrice.
const BETWEEN_MS: usize = 100;
const PAGES_PER_VISIT: usize = 3;
/// Every third visitor is followed by somebody who comes back, one of so many before.
const COMES_BACK: usize = 3;
const REMEMBERED: usize = 200;
/// More would keep the learner waiting.
const VISITORS_MAX: usize = 5000;

/// What `shop.conf` says.
#[derive(Clone, Debug, PartialEq)]
struct Shop {
    sessions: Vec<Address>,
    cache: Vec<Address>,
    session_secs: u64,
    /// 0: a cached page has no limit.
    page_secs: u64,
    pages: usize,
    page_bytes: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Address {
    host: String,
    port: u16,
    db: u32,
    auth: Option<(Option<String>, String)>,
}

impl Shop {
    /// Err: what the shop complains about.
    fn parse(text: &str) -> Result<Shop, String> {
        let mut shop = Shop {
            sessions: Vec::new(),
            cache: Vec::new(),
            session_secs: 1800,
            page_secs: 600,
            pages: 200,
            page_bytes: 12_000,
        };
        for (at, line) in text.lines().enumerate() {
            let mut words = line.split('#').next().unwrap_or("").split_whitespace();
            let Some(name) = words.next() else { continue };
            let values: Vec<&str> = words.collect();
            let fault = |what: &str| format!("{CONF}, line {}: {what}", at + 1);
            let number = || match values.as_slice() {
                [one] => one.parse::<u64>().map_err(|_| fault("expected a number")),
                _ => Err(fault("expected a number")),
            };
            match name {
                "sessions" | "cache" => {
                    let all = values.iter().map(|value| Address::parse(value));
                    let all = all.collect::<Result<Vec<_>, _>>().map_err(|what| fault(&what))?;
                    if all.is_empty() {
                        return Err(fault("expected an address: redis://127.0.0.1:6379"));
                    }
                    *(if name == "cache" { &mut shop.cache } else { &mut shop.sessions }) = all;
                }
                "session-seconds" => shop.session_secs = number()?.max(1),
                "page-seconds" => shop.page_secs = number()?,
                "pages" => shop.pages = number()?.clamp(1, 100_000) as usize,
                "page-bytes" => shop.page_bytes = number()?.clamp(20, 1_000_000) as usize,
                _ => return Err(fault(&format!("the shop knows no `{name}`"))),
            }
        }
        match (shop.sessions.is_empty(), shop.cache.is_empty()) {
            (true, _) => Err(format!("{CONF} does not say where the sessions are: sessions redis://127.0.0.1:6379")),
            (_, true) => Err(format!("{CONF} does not say where the cache is: cache redis://127.0.0.1:6379")),
            _ => Ok(shop),
        }
    }

    fn load(backend: &dyn Backend) -> Result<Shop, String> {
        let text = backend.read_file(CONF).map_err(|error| format!("{CONF}: {error}"))?;
        Shop::parse(&String::from_utf8_lossy(&text))
    }
}

impl Address {
    /// Of a URI.
    fn parse(text: &str) -> Result<Address, String> {
        let uri =
            uri::parse(text).map_err(|_| format!("`{text}` is no address; one looks like redis://127.0.0.1:6379"))?;
        Ok(Address {
            host: uri.host.unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: uri.port.unwrap_or(6379),
            db: uri.db.unwrap_or(0),
            auth: uri.password.map(|password| (uri.user, password)),
        })
    }
}

/// A connection of the shop, and how its requests went.
struct Line {
    role: &'static str,
    address: Address,
    connection: Result<ConnectionId, String>,
    refused: usize,
    /// The first refusal, as the server worded it.
    first: Option<String>,
}

impl Line {
    fn open(role: &'static str, address: &Address, backend: &mut dyn Backend) -> Line {
        let connection = backend.connect_to(&address.host, address.port, "");
        let mut line = Line { role, address: address.clone(), connection, refused: 0, first: None };
        if let Some((user, password)) = &address.auth {
            let user = user.iter().map(String::as_str);
            let words: Vec<&str> = std::iter::once("AUTH").chain(user).chain([password.as_str()]).collect();
            line.first = line.ask(&words, backend).err();
        }
        if address.db != 0 {
            let select = line.ask(&["SELECT", &address.db.to_string()], backend).err();
            line.first = line.first.take().or(select);
        }
        line.refused = 0;
        line
    }

    /// Err: the refusal, or that nobody is there.
    fn ask(&mut self, words: &[&str], backend: &mut dyn Backend) -> Result<Reply, String> {
        let answer = match &self.connection {
            Err(error) => Err(error.clone()),
            Ok(id) => {
                backend.send(*id, words.iter().map(|word| Bytes::from(*word)).collect());
                match backend.receive(*id).pop() {
                    Some(Incoming::Reply(reply)) if reply.is_error() => Err(text_of(&reply)),
                    Some(Incoming::Reply(reply)) => Ok(reply),
                    Some(Incoming::Push(_)) | None => Err("no answer".to_owned()),
                    Some(Incoming::Closed) => Err("Server closed the connection".to_owned()),
                }
            }
        };
        if let Err(error) = &answer {
            self.refused += 1;
            self.first.get_or_insert_with(|| error.clone());
        }
        answer
    }

    fn hang_up(&self, backend: &mut dyn Backend) {
        if let Ok(id) = self.connection {
            backend.hang_up(id);
        }
    }

    fn name(&self) -> String {
        format!("{} on {}", self.role, self.address.port)
    }
}

fn text_of(reply: &Reply) -> String {
    crate::resp::render::tty(reply).trim().trim_start_matches("(error) ").to_owned()
}

/// `shop-traffic VISITORS [PORT ...]`. With ports, sessions and pages all go to each of these, whatever `shop.conf` says.
pub(super) fn traffic(words: &[Bytes], backend: &mut dyn Backend) -> Output {
    let usage = || "usage: shop-traffic VISITORS [PORT ...]".to_owned();
    let mut numbers = Vec::new();
    for word in words {
        numbers.push(word.lossy().parse::<usize>().map_err(|_| usage())?);
    }
    let (visitors, ports) = numbers.split_first().ok_or_else(usage)?;
    if *visitors > VISITORS_MAX {
        return Err(format!("shop-traffic: at most {VISITORS_MAX} visitors at a time"));
    }
    let mut shop = match (Shop::load(backend), ports) {
        (Ok(shop), _) => shop,
        (Err(_), [_, ..]) => Shop::parse("sessions redis://h\ncache redis://h").expect("it names both"),
        (Err(complaint), _) => return Err(format!("shop-traffic: {complaint}")),
    };
    if !ports.is_empty() {
        let address = |port: &usize| Address::parse(&format!("redis://127.0.0.1:{port}")).map_err(|_| usage());
        shop.sessions = ports.iter().map(address).collect::<Result<_, _>>()?;
        shop.cache = shop.sessions.clone();
    }
    let mut day = Day::open(&shop, backend);
    let began = backend.now();
    for _ in 0..*visitors {
        let wait = BETWEEN_MS + Rng::new(day.number as u64).below(3 * BETWEEN_MS);
        backend.advance(Millis(wait as u64));
        day.visitor(&shop, backend);
    }
    let took = backend.now().since(began);
    Ok(day.close(*visitors, took, backend))
}

/// What happened during one run.
struct Day {
    sessions: Vec<Line>,
    cache: Vec<Line>,
    log: Vec<u8>,
    /// Numbers of those who logged in, the last `REMEMBERED` of them.
    known: Vec<usize>,
    number: usize,
    logins: usize,
    came_back: usize,
    logged_out: usize,
    found: usize,
    filled: usize,
}

impl Day {
    fn open(shop: &Shop, backend: &mut dyn Backend) -> Day {
        let log = backend.read_file(LOG).unwrap_or_default();
        let entries = entries(&log);
        let number = entries.iter().map(|entry| entry.visitor + 1).max().unwrap_or(0);
        let mut seen = BTreeSet::new();
        let known = entries.iter().filter(|entry| entry.ok && seen.insert(entry.visitor));
        let mut known: Vec<usize> = known.map(|entry| entry.visitor).collect();
        let known = known.split_off(known.len().saturating_sub(REMEMBERED));
        Day {
            sessions: shop.sessions.iter().map(|address| Line::open("sessions", address, backend)).collect(),
            cache: shop.cache.iter().map(|address| Line::open("cache", address, backend)).collect(),
            log,
            known,
            number,
            logins: 0,
            came_back: 0,
            logged_out: 0,
            found: 0,
            filled: 0,
        }
    }

    fn visitor(&mut self, shop: &Shop, backend: &mut dyn Backend) {
        let visitor = self.number;
        self.number += 1;
        let mut rng = Rng::new(0x5e55 + visitor as u64);
        self.log_in(visitor, shop, backend);
        for _ in 0..PAGES_PER_VISIT {
            // Low numbers are wanted more often: most visitors want the same few pages.
            let page = rng.below(rng.clone().below(shop.pages) + 1);
            self.page(page, shop, backend);
        }
        if visitor % COMES_BACK == COMES_BACK - 1 && !self.known.is_empty() {
            let back = self.known[rng.below(self.known.len())];
            self.come_back(back, shop, backend);
        }
        if self.known.len() > REMEMBERED {
            self.known.remove(0);
        }
    }

    fn log_in(&mut self, visitor: usize, shop: &Shop, backend: &mut dyn Backend) {
        let (key, user, secs) = (session(visitor), format!("user:{visitor:05}"), shop.session_secs.to_string());
        let mut answers = Vec::new();
        for line in &mut self.sessions {
            answers.push(line.ask(&["SET", &key, &user, "EX", &secs], backend));
        }
        // Whoever no store would keep was never logged in.
        let ok = answers.iter().any(Result::is_ok);
        self.note(if ok { "login" } else { "refused" }, &key, backend);
        if ok {
            self.logins += 1;
            self.known.push(visitor);
        }
    }

    /// A look-up that slides; whoever is not known any more logs in again.
    fn come_back(&mut self, visitor: usize, shop: &Shop, backend: &mut dyn Backend) {
        self.came_back += 1;
        let (key, secs) = (session(visitor), shop.session_secs.to_string());
        let mut known = false;
        for line in &mut self.sessions {
            known |= matches!(line.ask(&["GETEX", &key, "EX", &secs], backend), Ok(Reply::Bulk(_)));
        }
        if known {
            self.note("seen", &key, backend);
        } else {
            self.logged_out += 1;
            self.log_in(visitor, shop, backend);
            self.known.retain(|each| *each != visitor);
            self.known.push(visitor);
        }
    }

    /// From the cache, or made anew and put there.
    fn page(&mut self, page: usize, shop: &Shop, backend: &mut dyn Backend) {
        let key = format!("cache:page:{page}");
        for line in &mut self.cache {
            if let Ok(Reply::Bulk(_)) = line.ask(&["GET", &key], backend) {
                self.found += 1;
                continue;
            }
            let head = format!("<html>page {page} ");
            let html = head.clone() + &"x".repeat(shop.page_bytes.saturating_sub(head.len()));
            let secs = shop.page_secs.to_string();
            let limit: &[&str] = if shop.page_secs == 0 { &[] } else { &["EX", &secs] };
            if line.ask(&[&["SET", &key, &html], limit].concat(), backend).is_ok() {
                self.filled += 1;
            }
        }
    }

    fn note(&mut self, what: &str, key: &str, backend: &dyn Backend) {
        self.log.extend(format!("{} {what} {key}\n", backend.now().secs()).into_bytes());
    }

    fn close(self, visitors: usize, took: Millis, backend: &mut dyn Backend) -> Vec<u8> {
        let mut out = format!("{visitors} visitors in {} s\n", took.secs());
        let (asked, refused) =
            (self.found + self.filled, |lines: &[Line]| lines.iter().map(|it| it.refused).sum::<usize>());
        out += &format!(
            "sessions: {} logins; {} came back, {} of them logged out; {} refused\n",
            self.logins,
            self.came_back,
            self.logged_out,
            refused(&self.sessions)
        );
        out += &format!(
            "cache: {} pages found of {asked}, {} filled in; {} refused\n",
            self.found,
            self.filled,
            refused(&self.cache)
        );
        for line in self.sessions.iter().chain(&self.cache) {
            if let Some(first) = &line.first {
                out += &format!("first refusal, {}: {first}\n", line.name());
            }
            line.hang_up(backend);
        }
        // The shop's disk is not what these lessons are about: a log that does not fit is cut short.
        let _ = backend.write_file(LOG, &self.log);
        out.into_bytes()
    }
}

fn session(visitor: usize) -> String {
    format!("session:{visitor:05}")
}

/// A line of `shop.log`.
struct Entry {
    at_secs: u64,
    visitor: usize,
    /// The visitor was known from then on.
    ok: bool,
    /// They had to log in for it.
    login: bool,
}

/// What `shop.log` says. A number that no shop counts to was written by hand.
fn entries(log: &[u8]) -> Vec<Entry> {
    let text = String::from_utf8_lossy(log);
    let entry = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [at, what, key] = words.as_slice() else { return None };
        let visitor: u32 = key.strip_prefix("session:")?.parse().ok()?;
        Some(Entry {
            at_secs: at.parse().ok()?,
            visitor: visitor as usize,
            ok: matches!(*what, "login" | "seen"),
            login: *what == "login",
        })
    };
    text.lines().filter_map(entry).collect()
}

/// `shop-status`: who should be logged in by the shop's own log, and who is.
pub(super) fn status(backend: &mut dyn Backend) -> Output {
    let shop = Shop::load(backend).map_err(|complaint| format!("shop-status: {complaint}"))?;
    let now = backend.now().secs();
    let mut last: BTreeMap<usize, u64> = BTreeMap::new();
    let mut again = 0;
    for entry in entries(&backend.read_file(LOG).unwrap_or_default()).iter().filter(|entry| entry.ok) {
        let known = last.insert(entry.visitor, entry.at_secs).is_some();
        again += usize::from(known && entry.login);
    }
    last.retain(|_, at| now < at.saturating_add(shop.session_secs));
    let mut lines: Vec<Line> = shop.sessions.iter().map(|address| Line::open("sessions", address, backend)).collect();
    let (mut there, mut missing) = (0, Vec::new());
    for (visitor, at) in &last {
        let key = session(*visitor);
        // EXISTS leaves no trace in what LRU and LFU remember.
        match lines.iter_mut().any(|line| matches!(line.ask(&["EXISTS", &key], backend), Ok(Reply::Int(1)))) {
            true => there += 1,
            false => missing.push((key, now.saturating_sub(*at))),
        }
    }
    lines.iter().for_each(|line| line.hang_up(backend));
    let mut out = format!("{} should be logged in, {there} are\n", last.len());
    if let Some(first) =
        lines.iter().find_map(|line| line.first.as_ref().map(|first| format!("{}: {first}\n", line.name())))
    {
        out += &first;
    } else if let (Some((first, ago)), n) = (missing.last(), missing.len()) {
        out += &format!("logged out too early: {n}, the latest {first}, last seen {ago} s ago\n");
    } else if again == 0 {
        out += "nobody was logged out too early\n";
    }
    if again > 0 {
        out += &format!("{again} had to log in again before their time\n");
    }
    Ok(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Embedded;
    use crate::lab::{Server, Topology};
    use crate::losses::{Why, accounts};

    #[test]
    fn the_shop_says_where_its_configuration_is_wrong() {
        let both = "# addresses\nsessions redis://127.0.0.1:6381/2\ncache redis://:s3cret@127.0.0.1:6380 # pages\npage-seconds 0\n";
        let shop = Shop::parse(both).unwrap();
        assert_eq!((shop.sessions[0].port, shop.sessions[0].db, shop.page_secs), (6381, 2, 0));
        assert_eq!(shop.cache[0].auth, Some((None, "s3cret".to_owned())));
        for (text, complaint) in [
            ("sessions redis://h", "shop.conf does not say where the cache is: cache redis://127.0.0.1:6379"),
            ("sessions 6379", "shop.conf, line 1: `6379` is no address; one looks like redis://127.0.0.1:6379"),
            ("\nfrobs 5", "shop.conf, line 2: the shop knows no `frobs`"),
            ("pages many", "shop.conf, line 1: expected a number"),
        ] {
            assert_eq!(Shop::parse(text).unwrap_err(), complaint);
        }
    }

    const TWO: &str = "sessions redis://127.0.0.1:6381\ncache redis://127.0.0.1:6380\n";

    fn machine(shop: &str) -> Embedded {
        let cache = "port 6380\nsave \"\"\nmaxmemory 2mb\nmaxmemory-policy allkeys-lru\n";
        let sessions = "port 6381\nsave \"\"\nappendonly yes\n";
        let instances = vec![Server::new("cache", 6380, cache), Server::new("sessions", 6381, sessions)];
        let files = vec![(CONF.to_owned(), shop.as_bytes().to_vec())];
        Embedded::new(&Topology { instances, files, ..Topology::default() })
    }

    fn run(line: &str, backend: &mut dyn Backend) -> String {
        let words: Vec<Bytes> = line.split(' ').map(Bytes::from).collect();
        let answer = if words[0] == "shop-status" { status(backend) } else { traffic(&words[1..], backend) };
        answer.map_or_else(|error| error, |text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn the_same_visitors_come_on_every_machine_and_each_server_is_told_its_part() {
        let (mut one, mut other) = (machine(TWO), machine(TWO));
        let said = run("shop-traffic 100", &mut one);
        assert_eq!(said, run("shop-traffic 100", &mut other));
        assert!(
            said.starts_with(
                "100 visitors in 25 s\nsessions: 100 logins; 33 came back, 0 of them logged out; 0 refused\n"
            ),
            "{said}"
        );
        assert_eq!(run("shop-status", &mut one), "100 should be logged in, 100 are\nnobody was logged out too early\n");
        let books = accounts(&one.snapshot(), &one.events_since(0));
        assert!(books[0].lost(Why::Evicted) > 20, "the cache is small: {:?}", books[0].groups);
        assert_eq!((books[1].written(), books[1].there()), (100, 100));
        one.power_cut();
        assert!(
            run("shop-status", &mut one)
                .ends_with("sessions on 6381: Could not connect to Redis at 127.0.0.1:6381: Connection refused\n")
        );
        one.spawn(&["cache.conf".into()]);
        one.spawn(&["sessions.conf".into()]);
        let books = accounts(&one.snapshot(), &one.events_since(0));
        assert_eq!(books[0].there(), 0);
        let lost = books[1].lost(Why::PowerCut);
        assert!((1..=8).contains(&lost), "everysec loses about a second of logins: {lost}");
        let status = run("shop-status", &mut one);
        assert!(
            status.starts_with(&format!("100 should be logged in, {} are\nlogged out too early: {lost}, ", 100 - lost)),
            "{status}"
        );
    }

    #[test]
    fn a_port_on_the_command_line_gets_the_whole_stream() {
        let mut machine = machine("");
        run("shop-traffic 20 6380 6381", &mut machine);
        let books = accounts(&machine.snapshot(), &machine.events_since(0));
        assert_eq!(books[0].groups, books[1].groups);
        assert_eq!(
            run("shop-traffic 1", &mut machine),
            "shop-traffic: shop.conf does not say where the sessions are: sessions redis://127.0.0.1:6379"
        );
        assert_eq!(run("shop-traffic many", &mut machine), "usage: shop-traffic VISITORS [PORT ...]");
    }

    #[test]
    fn a_log_with_numbers_that_nobody_counts_to_is_survived() {
        let mut machine = machine(&format!("{TWO}session-seconds {}\n", u64::MAX));
        let log = format!("{0} login session:7\n{0} login session:{0}\n", u64::MAX);
        machine.write_file(LOG, log.as_bytes()).unwrap();
        assert!(run("shop-status", &mut machine).starts_with("1 should be logged in, 0 are\n"));
        assert!(run("shop-traffic 1", &mut machine).starts_with("1 visitors"));
    }
}

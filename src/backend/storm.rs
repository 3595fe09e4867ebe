//! A login storm: the same logins and look-ups done by the embedded engine and by SQLite, timed on this computer.
//!
//! The three stores run in this process, so no network, no connection pool and no planner of a big database is measured;
//! the report says so. SQL gets what it likes best: an index, prepared statements. The third row writes to a real file
//! and waits for the disk at each login, as a database does that promises to keep what it confirmed.

use crate::base::{Bytes, Millis, Rng};
use crate::engine::config::Config;
use crate::engine::disk::MemoryDisk;
use crate::engine::{ClientId, Env, Input, Instance};
use crate::resp::Reply;
use rusqlite::Connection;
use std::time::{Duration, Instant};

/// More would keep the learner waiting.
const LOGINS_MAX: usize = 100_000;
/// Synced logins stop after this long; their rate is known by then.
const PATIENCE: Duration = Duration::from_secs(2);
const TTL_SECS: i64 = 1800;

/// What one store managed. The counts differ only where patience ended.
struct Measured {
    store: &'static str,
    logins: usize,
    login_time: Duration,
    lookups: usize,
    lookup_time: Duration,
}

/// The report, line by line.
pub fn run(logins: usize) -> Vec<String> {
    let logins = logins.clamp(1, LOGINS_MAX);
    let mut rows = vec![on_redis(logins)];
    let mut notes = Vec::new();
    let in_memory = Connection::open_in_memory().and_then(|db| on_sql("SQL, in memory", &db, logins, Duration::MAX));
    let on_file = tempfile::tempdir().map_err(|error| error.to_string()).and_then(|dir| {
        let open = || {
            let db = Connection::open(dir.path().join("sessions.db"))?;
            db.pragma_update(None, "synchronous", "FULL")?;
            on_sql("SQL, each login synced to disk", &db, logins, PATIENCE)
        };
        open().map_err(|error: rusqlite::Error| error.to_string())
    });
    match in_memory {
        Ok(row) => rows.push(row),
        Err(error) => notes.push(format!("SQL in memory could not be measured: {error}")),
    }
    match on_file {
        Ok(row) => rows.push(row),
        Err(error) => notes.push(format!("SQL on disk could not be measured: {error}")),
    }
    report(logins, &rows, notes)
}

fn report(logins: usize, rows: &[Measured], notes: Vec<String>) -> Vec<String> {
    let mut lines = vec![
        format!("{logins} logins, then {logins} look-ups, measured on this computer:"),
        format!("{:<32}{:>12}{:>14}", "", "logins/s", "look-ups/s"),
    ];
    for row in rows {
        let (login, lookup) = (rate(row.logins, row.login_time), rate(row.lookups, row.lookup_time));
        lines.push(format!("{:<32}{login:>12}{lookup:>14}", row.store));
    }
    lines.extend(notes);
    if let Some(row) = rows.iter().find(|row| row.logins < logins) {
        lines.push(format!("(the last row stopped after {} logins: 2 seconds are enough to know)", row.logins));
    }
    if cfg!(debug_assertions) {
        lines.push(String::from("This is a debug build: the engine is many times slower than it would be."));
    }
    lines.push(String::from(
        "All three run inside this program: no network, one client at a time. Behind a network, Redis",
    ));
    lines.push(String::from(
        "and SQL in memory come much closer to each other. What stays is the last row: waiting for the",
    ));
    lines.push(String::from(
        "disk at every login, which a SQL server does by default and Redis only with appendfsync always.",
    ));
    lines
}

fn on_redis(logins: usize) -> Measured {
    let (mut rng, mut disk, mut out) = (Rng::new(1), MemoryDisk::default(), Vec::new());
    let now = Millis::from_secs(1_893_488_400);
    let mut instance = Instance::new(Config::default(), now, &mut rng);
    let client = ClientId(1);
    instance.step(&mut Env { now, rng: &mut rng, disk: &mut disk }, Input::Connect(client), &mut out);
    let mut ask = |args: Vec<Bytes>| {
        out.clear();
        instance.step(&mut Env { now, rng: &mut rng, disk: &mut disk }, Input::Request(client, args), &mut out);
        std::hint::black_box(&out);
    };
    let begin = Instant::now();
    for n in 0..logins {
        let ttl = Bytes::from(TTL_SECS.to_string());
        ask(vec![Bytes::from("SET"), Bytes::from(session(n)), Bytes::from(user(n)), Bytes::from("EX"), ttl]);
    }
    let login_time = begin.elapsed();
    let begin = Instant::now();
    for n in 0..logins {
        ask(vec![Bytes::from("GET"), Bytes::from(session(n))]);
    }
    let lookup_time = begin.elapsed();
    debug_assert!(matches!(out.last(), Some(crate::engine::Output::Reply(_, Reply::Bulk(_)))), "{out:?}");
    Measured { store: "Redis engine, in memory", logins, login_time, lookups: logins, lookup_time }
}

fn on_sql(store: &'static str, db: &Connection, logins: usize, patience: Duration) -> rusqlite::Result<Measured> {
    db.execute("CREATE TABLE sessions (id TEXT PRIMARY KEY, user TEXT NOT NULL, expires_at INTEGER NOT NULL)", [])?;
    let now = 1_893_488_400_i64;
    let mut login = db.prepare("INSERT INTO sessions VALUES (?, ?, ?)")?;
    let begin = Instant::now();
    let mut done = 0;
    while done < logins && begin.elapsed() < patience {
        login.execute((session(done), user(done), now + TTL_SECS))?;
        done += 1;
    }
    let login_time = begin.elapsed();
    let mut look_up = db.prepare("SELECT user FROM sessions WHERE id = ? AND expires_at > ?")?;
    let begin = Instant::now();
    for n in 0..done {
        let found: String = look_up.query_row((session(n), now), |row| row.get(0))?;
        std::hint::black_box(found);
    }
    Ok(Measured { store, logins: done, login_time, lookups: done, lookup_time: begin.elapsed() })
}

fn session(n: usize) -> String {
    format!("session:{n:08x}")
}

fn user(n: usize) -> String {
    format!("user:{n}")
}

fn rate(count: usize, time: Duration) -> u64 {
    (count as f64 / time.as_secs_f64().max(1e-9)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_measures_three_stores() {
        let lines = run(50);
        for store in ["Redis engine, in memory", "SQL, in memory", "SQL, each login synced to disk"] {
            let line = lines.iter().find(|line| line.starts_with(store)).unwrap_or_else(|| panic!("{lines:#?}"));
            let rates: Vec<u64> = line[32..].split_whitespace().map(|rate| rate.parse().unwrap()).collect();
            assert!(rates.len() == 2 && rates.iter().all(|rate| *rate > 0), "{line}");
        }
    }
}

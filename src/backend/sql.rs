//! The SQL database of the lab's machine: SQLite in memory, standing for the MySQL or Postgres beside an application.
//!
//! Its clock is the lab's: `now()` gives Unix seconds, and CURRENT_TIMESTAMP, `datetime('now')` and their kin follow the
//! same clock. Each statement commits by itself; transactions, ATTACH, files, most pragmas, temporary tables and chance
//! are refused, since a world has to be copied, replayed and opened without fear. What is printed looks as in psql.

use crate::base::Millis;
use crate::lab::Database;
use crate::snapshot;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Batch, Connection, Statement};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use unicode_width::UnicodeWidthStr;

/// How many rows a SELECT prints, and a snapshot shows of a table.
const ROWS_SHOWN: usize = 1000;
/// How many instructions of SQLite's machine a statement may take: a count, not a time, so that it stops at the same
/// place on every machine. About a second.
const INSTRUCTIONS: u64 = 50_000_000;
/// Pages of 4096 bytes.
const PAGES: u32 = 16_384;
/// Functions of the connection or of chance: a copy of the world would answer differently.
const REFUSED_FUNCTIONS: [&str; 6] =
    ["random", "randomblob", "last_insert_rowid", "changes", "total_changes", "load_extension"];
const NO_PANIC: &str = "nothing panics while it holds the lock";
const CALENDAR: [&str; 7] = ["date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"];

pub struct Sqlite {
    /// Locked only because SQLite's handle may not be used by two threads at once.
    connection: Mutex<Connection>,
    /// Another database, without contents, whose date functions are still SQLite's own. Copies share it.
    calendar: Arc<Mutex<Connection>>,
    clock: Arc<AtomicU64>,
    /// Instructions since the statement began, in thousands.
    spent: Arc<AtomicU64>,
}

impl Sqlite {
    /// An empty database.
    pub fn new() -> Sqlite {
        Sqlite::with_calendar(Arc::new(Mutex::new(in_memory())))
    }

    fn with_calendar(calendar: Arc<Mutex<Connection>>) -> Sqlite {
        let mut connection = in_memory();
        let (clock, spent) = Default::default();
        prepare(&mut connection, &calendar, &clock, &spent).expect("names and limits are constants that SQLite knows");
        Sqlite { connection: Mutex::new(connection), calendar, clock, spent }
    }

    fn run(&mut self, statements: &str) -> rusqlite::Result<Vec<String>> {
        self.spent.store(0, Ordering::Relaxed);
        let connection = &*self.connection.get_mut().expect(NO_PANIC);
        let mut lines = Vec::new();
        let mut batch = Batch::new(connection, statements);
        while let Some(mut statement) = batch.next()? {
            if statement.column_count() > 0 {
                lines.extend(query(&mut statement)?);
            } else {
                let before = connection.total_changes();
                statement.raw_execute()?;
                let rows = connection.total_changes() - before;
                lines.push(format!("OK, {} affected", counted(rows as usize)));
            }
        }
        Ok(lines)
    }
}

impl Default for Sqlite {
    fn default() -> Self {
        Sqlite::new()
    }
}

impl Database for Sqlite {
    fn execute(&mut self, now: Millis, statement: &str) -> Result<Vec<String>, String> {
        self.clock.store(now.0, Ordering::Relaxed);
        self.run(statement).map_err(|error| in_words(&error))
    }

    fn tables(&self) -> Vec<snapshot::Table> {
        self.spent.store(0, Ordering::Relaxed);
        // A table that cannot be read (a view would be left out already) is shown empty rather than not at all.
        let connection = self.connection.lock().expect(NO_PANIC);
        let names = names_of_tables(&connection).unwrap_or_default();
        names.into_iter().map(|name| look_at(&connection, &name).unwrap_or_else(|_| empty(name))).collect()
    }

    fn copy(&self) -> Box<dyn Database> {
        let mut copy = Sqlite::with_calendar(self.calendar.clone());
        copy.clock.store(self.clock.load(Ordering::Relaxed), Ordering::Relaxed);
        let connection = self.connection.lock().expect(NO_PANIC);
        rusqlite::backup::Backup::new(&connection, copy.connection.get_mut().expect(NO_PANIC))
            .and_then(|backup| backup.step(-1))
            .expect("both databases are in memory and no statement is running");
        Box::new(copy)
    }
}

fn in_memory() -> Connection {
    Connection::open_in_memory().expect("SQLite is linked in and needs only memory")
}

/// Gives a new connection the lab's clock, limits and what is allowed.
fn prepare(
    connection: &mut Connection,
    calendar: &Arc<Mutex<Connection>>,
    clock: &Arc<AtomicU64>,
    spent: &Arc<AtomicU64>,
) -> rusqlite::Result<()> {
    connection.pragma_update(None, "max_page_count", PAGES)?;
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_LENGTH, 10_000_000),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 1_000_000),
    ] {
        connection.set_limit(limit, value)?;
    }
    add_clock(connection, calendar, clock)?;
    let spent = spent.clone();
    connection.progress_handler(1000, Some(move || spent.fetch_add(1, Ordering::Relaxed) >= INSTRUCTIONS / 1000))?;
    connection.authorizer(Some(
        |context: AuthContext<'_>| {
            if is_allowed(&context.action) { Authorization::Allow } else { Authorization::Deny }
        },
    ))
}

/// `now()` and everything else in SQLite that asks what time it is.
fn add_clock(
    connection: &Connection,
    calendar: &Arc<Mutex<Connection>>,
    clock: &Arc<AtomicU64>,
) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8;
    let time = clock.clone();
    connection.create_scalar_function("now", 0, flags, move |_| Ok((time.load(Ordering::Relaxed) / 1000) as i64))?;
    for (name, base) in [("current_timestamp", "datetime"), ("current_date", "date"), ("current_time", "time")] {
        let calendar = calendar.clone();
        let time = clock.clone();
        connection
            .create_scalar_function(name, 0, flags, move |_| ask_calendar(&calendar, base, vec![moment(&time)]))?;
    }
    for name in CALENDAR {
        let calendar = calendar.clone();
        let time = clock.clone();
        connection.create_scalar_function(name, -1, flags, move |context: &mut Context<'_>| {
            let mut args: Vec<Value> = (0..context.len()).map(|at| context.get(at)).collect::<rusqlite::Result<_>>()?;
            // strftime's time value comes after its format; without one it is the present.
            let first = usize::from(name == "strftime");
            if args.len() <= first && name != "timediff" {
                args.push(moment(&time));
            }
            for arg in &mut args[first.min(context.len())..] {
                if matches!(arg, Value::Text(text) if text.eq_ignore_ascii_case("now")) {
                    *arg = moment(&time);
                }
            }
            ask_calendar(&calendar, name, args)
        })?;
    }
    Ok(())
}

/// The lab's time in a form that SQLite's own functions take: `2030-01-01 09:00:00.000`.
fn moment(clock: &AtomicU64) -> Value {
    let millis = clock.load(Ordering::Relaxed);
    // A Julian day number is what SQLite keeps inside; 2440587.5 is 1970-01-01.
    Value::Real(millis as f64 / 86_400_000.0 + 2_440_587.5)
}

/// Evaluates a date function with another connection, where its name still means SQLite's own.
fn ask_calendar(calendar: &Mutex<Connection>, name: &str, args: Vec<Value>) -> rusqlite::Result<Value> {
    let marks = vec!["?"; args.len()].join(",");
    let calendar = calendar.lock().expect(NO_PANIC);
    let mut statement = calendar.prepare(&format!("SELECT {name}({marks})"))?;
    statement.query_row(rusqlite::params_from_iter(args), |row| row.get(0))
}

fn is_allowed(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        AuthAction::Insert { .. } | AuthAction::Update { .. } | AuthAction::Delete { .. } => true,
        AuthAction::CreateTable { .. } | AuthAction::DropTable { .. } | AuthAction::AlterTable { .. } => true,
        AuthAction::CreateIndex { .. } | AuthAction::DropIndex { .. } | AuthAction::Reindex { .. } => true,
        AuthAction::CreateView { .. } | AuthAction::DropView { .. } => true,
        AuthAction::Function { function_name } => {
            !REFUSED_FUNCTIONS.iter().any(|refused| refused.eq_ignore_ascii_case(function_name))
        }
        AuthAction::Pragma { pragma_name, pragma_value: _ } => {
            ["table_info", "index_list", "index_info", "table_list"].contains(pragma_name)
        }
        _ => false,
    }
}

fn in_words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => match code.code {
            rusqlite::ErrorCode::OperationInterrupted => String::from("the statement took too long and was stopped"),
            rusqlite::ErrorCode::AuthorizationForStatementDenied => String::from(
                "the lab's SQL does not allow that: no transactions, files, temporary tables or random values",
            ),
            _ => message.clone().unwrap_or_else(|| code.to_string()),
        },
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// The rows as psql prints them: names, a rule, rows, how many there were.
fn query(statement: &mut Statement<'_>) -> rusqlite::Result<Vec<String>> {
    let columns: Vec<String> = statement.column_names().map(printable).collect();
    let (rows, total) = read_rows(statement)?;
    let mut lines = draw(&columns, &rows);
    if total > rows.len() {
        lines.push(format!("(the first {} are shown)", rows.len()));
    }
    lines.push(format!("({})", counted(total)));
    Ok(lines)
}

fn counted(rows: usize) -> String {
    format!("{rows} row{}", if rows == 1 { "" } else { "s" })
}

/// The first rows as text, and how many there are.
fn read_rows(statement: &mut Statement<'_>) -> rusqlite::Result<(Vec<Vec<String>>, usize)> {
    let columns = statement.column_count();
    let (mut shown, mut total) = (Vec::new(), 0);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        total += 1;
        if shown.len() < ROWS_SHOWN {
            shown.push((0..columns).map(|at| row.get_ref(at).map(cell)).collect::<rusqlite::Result<_>>()?);
        }
    }
    Ok((shown, total))
}

/// Columns of numbers stand to the right, others to the left; names in the middle.
fn draw(columns: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let is_number = |text: &str| text.is_empty() || text.parse::<f64>().is_ok();
    let column = |at: usize| {
        let cells = rows.iter().map(|row| row[at].width());
        let width = cells.chain([columns[at].width()]).max().unwrap_or(0);
        (width, !rows.is_empty() && rows.iter().all(|row| is_number(&row[at])))
    };
    let layout: Vec<(usize, bool)> = (0..columns.len()).map(column).collect();
    let names = columns.iter().zip(&layout).map(|(name, (width, _))| {
        let room = width - name.width();
        pad(name, room / 2, room - room / 2)
    });
    let rule = layout.iter().map(|(width, _)| "-".repeat(width + 2));
    let mut lines = vec![joined(names, "|"), joined(rule, "+")];
    lines.extend(rows.iter().map(|row| {
        let cells = row.iter().zip(&layout).map(|(cell, (width, right))| {
            let room = width - cell.width();
            if *right { pad(cell, room, 0) } else { pad(cell, 0, room) }
        });
        joined(cells, "|")
    }));
    lines
}

fn pad(text: &str, before: usize, behind: usize) -> String {
    format!(" {}{text}{} ", " ".repeat(before), " ".repeat(behind))
}

fn joined(cells: impl Iterator<Item = String>, between: &str) -> String {
    cells.collect::<Vec<_>>().join(between).trim_end().to_owned()
}

fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(n) => n.to_string(),
        ValueRef::Text(text) => printable(&String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => bytes.iter().fold(String::from("0x"), |text, byte| text + &format!("{byte:02X}")),
    }
}

/// One line of text without control characters.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

fn names_of_tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn look_at(connection: &Connection, name: &str) -> rusqlite::Result<snapshot::Table> {
    let quoted = name.replace('"', "\"\"");
    let mut statement = connection.prepare(&format!("SELECT * FROM \"{quoted}\" LIMIT {ROWS_SHOWN}"))?;
    let columns = statement.column_names().map(printable).collect();
    let (rows, _) = read_rows(&mut statement)?;
    Ok(snapshot::Table { name: printable(name), columns, rows })
}

fn empty(name: String) -> snapshot::Table {
    snapshot::Table { name, columns: Vec::new(), rows: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NINE: Millis = Millis(1_893_488_400_000);

    fn sessions() -> Sqlite {
        let mut database = Sqlite::new();
        let schema = "CREATE TABLE sessions (id TEXT PRIMARY KEY, user TEXT, expires_at INTEGER)";
        database.execute(NINE, schema).unwrap();
        database
    }

    #[test]
    fn a_query_prints_a_table_and_counts_its_rows() {
        let mut database = sessions();
        let insert = "INSERT INTO sessions VALUES ('a1', 'alice', now() + 1800), ('b2', 'bob', NULL)";
        assert_eq!(database.execute(NINE, insert).unwrap(), ["OK, 2 rows affected"]);
        let text = database.execute(NINE, "SELECT id, user, expires_at FROM sessions;").unwrap().join("\n");
        let table = [
            " id | user  | expires_at",
            "----+-------+------------",
            " a1 | alice | 1893490200",
            " b2 | bob   |",
            "(2 rows)",
        ];
        assert_eq!(text, table.join("\n"));
        let none = database.execute(NINE, "SELECT id, user FROM sessions WHERE id = 'x'").unwrap();
        assert_eq!(none, [" id | user", "----+------", "(0 rows)"]);
        let count = database.execute(NINE, "SELECT count(*) AS n, 'x' AS letter FROM sessions").unwrap();
        assert_eq!(count, [" n | letter", "---+--------", " 2 | x", "(1 row)"]);
    }

    #[test]
    fn all_clocks_are_the_labs() {
        let mut database = Sqlite::new();
        for (expression, value) in [
            ("now()", "1893488400"),
            ("CURRENT_TIMESTAMP", "2030-01-01 09:00:00"),
            ("current_date", "2030-01-01"),
            ("datetime('now', '+30 minutes')", "2030-01-01 09:30:00"),
            ("datetime()", "2030-01-01 09:00:00"),
            ("unixepoch()", "1893488400"),
            ("strftime('%s', 'now')", "1893488400"),
            ("strftime('%H:%M')", "09:00"),
            ("date('2024-02-28', '+1 day')", "2024-02-29"),
        ] {
            let lines = database.execute(NINE, &format!("SELECT {expression} AS x")).unwrap();
            assert_eq!(lines[2].trim(), value, "{expression}");
        }
    }

    #[test]
    fn a_copy_goes_its_own_way() {
        let mut database = sessions();
        let mut copy = database.copy();
        copy.execute(NINE, "INSERT INTO sessions VALUES ('a1', 'alice', 1)").unwrap();
        assert_eq!(database.tables()[0].rows.len(), 0);
        assert_eq!(copy.tables()[0].rows, [["a1", "alice", "1"]]);
        database.execute(NINE, "DROP TABLE sessions").unwrap();
        assert_eq!(copy.tables().len(), 1);
    }

    #[test]
    fn what_could_touch_the_machine_or_chance_is_refused() {
        let mut database = sessions();
        for statement in [
            "ATTACH '/tmp/x.db' AS x",
            "VACUUM INTO '/tmp/x.db'",
            "BEGIN",
            "PRAGMA journal_mode = WAL",
            "CREATE TEMP TABLE t (x)",
            "SELECT random()",
            "SELECT load_extension('x')",
            "CREATE VIRTUAL TABLE v USING fts5(x)",
        ] {
            assert!(database.execute(NINE, statement).is_err(), "{statement}");
        }
        assert_eq!(database.execute(NINE, "SELECT * FROM nosuch"), Err(String::from("no such table: nosuch")));
    }

    #[test]
    fn a_statement_without_end_is_stopped() {
        let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
        let line = Sqlite::new().execute(NINE, endless).unwrap_err();
        assert_eq!(line, "the statement took too long and was stopped");
    }

    #[test]
    fn control_characters_are_printed_as_escapes() {
        let lines = Sqlite::new().execute(NINE, "SELECT char(27) || '[31m' AS x").unwrap();
        assert_eq!(lines[2], " \\u{1b}[31m");
    }
}

//! How a server starts, or why it does not: what `redis-server ARGS` prints, in the lab and for real.
//!
//! `startup.txt` was recorded from redis-server 7.2.6 (`REDLAB_RECORD=1 cargo test --test oracle startup`, with a 7.2 on the
//! PATH). Left out is what belongs to the machine: time stamps, process ids, the folder, warnings about the kernel.

use redlab::lab::{Server, Topology, World};
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// Files, and the arguments of redis-server.
struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
    argv: &'static [&'static str],
}

const PORT: &str = "16379";
/// Somebody else listens here.
const TAKEN: &str = "16380";

const fn case(
    name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
    argv: &'static [&'static str],
) -> Case {
    Case { name, files, argv }
}

const CASES: &[Case] = &[
    case("a config file", &[("redis.conf", b"port 16379\nsave \"\"\n")], &["redis.conf"]),
    case("options alone", &[], &["--port", PORT, "--save", ""]),
    case("a file and options", &[("redis.conf", b"port 1\n")], &["redis.conf", "--port", PORT, "--save", ""]),
    case("no such file", &[], &["gone.conf"]),
    case("a bad directive", &[("redis.conf", b"port 16379\n\nmaxmemroy 1gb\n")], &["redis.conf"]),
    case("a bad number", &[("redis.conf", b"port many\n")], &["redis.conf"]),
    case("a port that is none", &[("redis.conf", b"port 70000\n")], &["redis.conf"]),
    case("a bad amount", &[("redis.conf", b"port 16379\nmaxmemory 100 mb\n")], &["redis.conf"]),
    case("a bad unit", &[("redis.conf", b"port 16379\nmaxmemory 100xb\n")], &["redis.conf"]),
    case("a bad choice", &[("redis.conf", b"port 16379\nmaxmemory-policy lru\n")], &["redis.conf"]),
    case("neither yes nor no", &[("redis.conf", b"appendonly true\n")], &["redis.conf"]),
    case("a value is missing", &[("redis.conf", b"appendonly\n")], &["redis.conf"]),
    case("quotes", &[("redis.conf", b"requirepass \"secret\n")], &["redis.conf"]),
    case("an option that is none", &[], &["--port", PORT, "--maxmemroy", "1gb"]),
    case("an option without its value", &[], &["--port"]),
    case("a directory that is not there", &[("redis.conf", b"port 16379\ndir ./data\n")], &["redis.conf"]),
    case("a directory option", &[], &["--port", PORT, "--dir", "/nowhere"]),
    case("an include that is not there", &[("redis.conf", b"include common.conf\n")], &["redis.conf"]),
    case(
        "an include",
        &[("redis.conf", b"port 1\ninclude common.conf\nsave \"\"\n"), ("common.conf", b"port 16379\n")],
        &["redis.conf"],
    ),
    case("a port that is taken", &[("redis.conf", b"port 16380\n")], &["redis.conf"]),
    case("a port that is taken, on loopback", &[], &["--port", TAKEN, "--bind", "127.0.0.1"]),
    case("an address that is not ours", &[], &["--port", PORT, "--bind", "203.0.113.9"]),
    case("nowhere to listen", &[], &["--port", "0"]),
    case(
        "rename-command of what is not there",
        &[("redis.conf", b"rename-command FLUSHEVERYTHING \"\"\n")],
        &["redis.conf"],
    ),
    case("rename-command to what is there", &[("redis.conf", b"rename-command GET SET\n")], &["redis.conf"]),
    case(
        "users",
        &[("redis.conf", b"port 16379\nsave \"\"\nuser alice on >secret ~cart:* +@all\nuser bob ~x\n")],
        &["redis.conf"],
    ),
    case("a user with a bad rule", &[("redis.conf", b"user alice on >secret cart:*\n")], &["redis.conf"]),
    case("a user with an open bracket", &[("redis.conf", b"user alice on (~x +get\n")], &["redis.conf"]),
    case("a user twice", &[("redis.conf", b"user alice on\nuser alice off\n")], &["redis.conf"]),
    case("a user without a name", &[("redis.conf", b"user\n")], &["redis.conf"]),
    case("a user with a bad command", &[("redis.conf", b"port 16379\nuser alice on +gett\n")], &["redis.conf"]),
    case("no ACL file", &[("redis.conf", b"port 16379\naclfile users.acl\n")], &["redis.conf"]),
    case(
        "an ACL file",
        &[
            ("redis.conf", b"port 16379\nsave \"\"\naclfile users.acl\n"),
            ("users.acl", b"user alice on nopass ~* +@all\n\nuser default off\n"),
        ],
        &["redis.conf"],
    ),
    case(
        "a bad ACL file",
        &[
            ("redis.conf", b"port 16379\naclfile users.acl\n"),
            ("users.acl", b"# mine\nuser alice on +gett +sett\nuser alice off\nuser bob foo bar\nuser carl (+get\n"),
        ],
        &["redis.conf"],
    ),
    case(
        "users in two places",
        &[("redis.conf", b"port 16379\naclfile users.acl\nuser alice on\n"), ("users.acl", b"")],
        &["redis.conf"],
    ),
    case("an RDB that is none", &[("dump.rdb", b"this is not a dump file")], &["--port", PORT]),
    case("an empty RDB", &[("dump.rdb", b"")], &["--port", PORT]),
    case(
        "an RDB that is cut",
        &[("dump.rdb", b"REDIS0011\xfa\x09redis-ver\x057.2.6\xfe\x00\xfb\x02\x00\x00\x04cart")],
        &["--port", PORT],
    ),
    case("an RDB from the future", &[("dump.rdb", b"REDIS0099\xff\0\0\0\0\0\0\0\0")], &["--port", PORT]),
    case(
        "an RDB that is empty inside",
        &[("dump.rdb", b"REDIS0011\xff\0\0\0\0\0\0\0\0")],
        &["--port", PORT, "--save", ""],
    ),
    case("an AOF that is switched on", &[], &["--port", PORT, "--save", "", "--appendonly", "yes"]),
    case(
        "an AOF with a bad manifest",
        &[("appendonlydir/appendonly.aof.manifest", b"file appendonly.aof.1.incr.aof seq x type i\n")],
        &["--port", PORT, "--appendonly", "yes"],
    ),
    case(
        "an AOF whose file is gone",
        &[("appendonlydir/appendonly.aof.manifest", b"file appendonly.aof.1.incr.aof seq 1 type i\n")],
        &["--port", PORT, "--appendonly", "yes"],
    ),
    case(
        "an AOF that is cut",
        &[
            ("appendonlydir/appendonly.aof.manifest", b"file appendonly.aof.1.incr.aof seq 1 type i\n"),
            ("appendonlydir/appendonly.aof.1.incr.aof", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n*3\r\n$3\r\nSE"),
        ],
        &["--port", PORT, "--save", "", "--appendonly", "yes"],
    ),
    case(
        "an AOF that is cut, and that is not allowed",
        &[
            ("appendonlydir/appendonly.aof.manifest", b"file appendonly.aof.1.incr.aof seq 1 type i\n"),
            ("appendonlydir/appendonly.aof.1.incr.aof", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n*3\r\n$3\r\nSE"),
        ],
        &["--port", PORT, "--save", "", "--appendonly", "yes", "--aof-load-truncated", "no"],
    ),
    case(
        "an AOF with rubbish in it",
        &[
            ("appendonlydir/appendonly.aof.manifest", b"file appendonly.aof.1.incr.aof seq 1 type i\n"),
            ("appendonlydir/appendonly.aof.1.incr.aof", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\nrubbish\r\n"),
        ],
        &["--port", PORT, "--save", "", "--appendonly", "yes"],
    ),
    case(
        "an AOF with a command that nobody knows",
        &[
            ("appendonlydir/appendonly.aof.manifest", b"file appendonly.aof.1.incr.aof seq 1 type i\n"),
            ("appendonlydir/appendonly.aof.1.incr.aof", b"*2\r\n$6\r\nNOSUCH\r\n$1\r\nk\r\n"),
        ],
        &["--port", PORT, "--save", "", "--appendonly", "yes"],
    ),
];

/// What redis-server prints in the lab, on a machine where somebody listens on `TAKEN`.
fn in_the_lab(case: &Case) -> Vec<String> {
    let files = case.files.iter().map(|(path, text)| ((*path).to_owned(), text.to_vec())).collect();
    let taken = Server::new("taken", TAKEN.parse().expect("a port"), "dir /tmp\nsave \"\"\n");
    let topology = Topology { files, instances: vec![taken], dirs: vec!["/tmp".to_owned()], ..Topology::default() };
    let argv: Vec<String> = case.argv.iter().map(|arg| (*arg).to_owned()).collect();
    World::new(&topology, None).spawn(&argv).log
}

/// What the real one prints up to where it is ready. None: it is not installed, or no 7.2.
fn for_real(case: &Case) -> Option<Vec<String>> {
    let version = Command::new("redis-server").arg("--version").output().ok()?;
    if !String::from_utf8_lossy(&version.stdout).contains("v=7.2.") {
        return None;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in case.files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it stands in the folder")).expect("a new folder is writable");
        std::fs::write(path, text).expect("a new folder is writable");
    }
    let mut process = Command::new("redis-server")
        .args(case.argv)
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it has just told its version");
    let mut lines = Vec::new();
    for line in BufReader::new(process.stdout.take().expect("piped")).lines() {
        lines.push(line.expect("text"));
        if lines.last().is_some_and(|line| line.contains("Ready to accept")) {
            break;
        }
    }
    process.kill().expect("it is ours");
    let mut complaint = String::new();
    process.stderr.take().expect("piped").read_to_string(&mut complaint).expect("text");
    process.wait().expect("it is ours");
    lines.extend(complaint.lines().map(str::to_owned));
    let dir = dir.path().display().to_string();
    Some(lines.iter().map(|line| line.replace(&dir, "/home/lab")).collect())
}

/// A line without what belongs to the machine. None: all of it does.
fn plain(line: &str) -> Option<String> {
    let of_the_kernel = ["Memory overcommit must be enabled", "Transparent Huge Pages"];
    // What redis-check-rdb, which runs inside a server whose file is damaged, prints about each part of the file.
    let of_the_checker = ["[offset", "[info]", "[additional info]", "--- RDB ERROR DETECTED"];
    if of_the_kernel.iter().any(|it| line.contains(it)) || of_the_checker.iter().any(|it| line.starts_with(it)) {
        return None;
    }
    // `1001:M 01 Jan 2030 09:00:00.000 * text`
    let stamped = line.split_once(':').filter(|(pid, rest)| {
        !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()) && rest.get(1..2) == Some(" ")
    });
    let text = match stamped {
        Some((_, rest)) => format!("{} {}", &rest[..1], &rest[27..]),
        None => line.to_owned(),
    };
    let text = match text.split_once("pid=") {
        Some((before, after)) => format!("{before}pid=N{}", after.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => text,
    };
    match text.split_once(" seconds").and_then(|(before, _)| before.rsplit_once(' ')) {
        Some((before, number)) if number.parse::<f64>().is_ok() => Some(format!("{before} N seconds")),
        _ => Some(text),
    }
}

fn section(case: &Case, lines: &[String]) -> String {
    let mut text = format!("=== {}\n$ redis-server {}\n", case.name, case.argv.join(" "));
    for line in lines.iter().filter_map(|line| plain(line)) {
        writeln!(text, "{line}").expect("a string");
    }
    text
}

fn recorded() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/startup.txt");
    if std::env::var_os("REDLAB_RECORD").is_some() {
        let taken = std::net::TcpListener::bind(("0.0.0.0", TAKEN.parse().expect("a port"))).expect("it is free");
        let text: Option<String> = CASES.iter().map(|case| Some(section(case, &for_real(case)?))).collect();
        drop(taken);
        if let Some(text) = text {
            std::fs::write(path, text).expect("writable");
        }
    }
    std::fs::read_to_string(path).expect("the recording is part of the project")
}

#[test]
fn a_server_of_the_lab_starts_as_recorded() {
    let recorded = recorded();
    let here: String = CASES.iter().map(|case| section(case, &in_the_lab(case))).collect();
    let (mut wrong, sections) = (Vec::new(), recorded.split("=== ").skip(1));
    for (expected, here) in sections.zip(here.split("=== ").skip(1)) {
        if expected != here {
            wrong.push(format!("--- redis-server\n{expected}--- the lab\n{here}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

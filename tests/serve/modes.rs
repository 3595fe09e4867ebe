//! redis-cli's modes say of this server what they say of redis-server: the same words are given to both, and what is printed is
//! compared. Skipped, visibly, where either is not installed; REDLAB_REQUIRE_ORACLE makes that an error.

use crate::served::{Served, free_port, wait_for};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// redlab and redis-server with the same data.
struct Both {
    ours: Served,
    theirs: Real,
}

struct Real {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn real() -> Option<Real> {
    for program in ["redis-server", "redis-cli"] {
        if !Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os("REDLAB_REQUIRE_ORACLE").is_none(), "{program} is not installed");
            eprintln!("SKIPPED: {program} is not installed");
            return None;
        }
    }
    let (port, dir) = (free_port(), tempfile::tempdir().expect("a directory"));
    let process = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--save", "", "--dir"])
        .arg(dir.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("it is installed");
    let real = Real { process, port, _dir: dir };
    wait_for("the port", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    Some(real)
}

const DATA: &str = "SET cart:1 x\nSET cart:2 xx\nSET cart:33 xxx\nRPUSH orders 1 2 3 4\nHSET user:1 name alice city Paris\n\
                    SADD tags a\nZADD top 1 a 2.5 b\nXADD log 1-1 a 1\nXADD log 1-2 a 2\nXADD log 1-3 a 3\n";

impl Both {
    fn start() -> Option<Both> {
        let both = Both { theirs: real()?, ours: Served::start(&["--save", ""]) };
        both.same(&[], DATA);
        Some(both)
    }

    fn ports(&self) -> [u16; 2] {
        [self.ours.port, self.theirs.port]
    }

    /// What redis-cli prints for both, which has to be the same, and how it ends.
    #[track_caller]
    fn same(&self, args: &[&str], input: &str) -> String {
        self.same_but(args, input, |text| text)
    }

    /// The same, but for what `cut` leaves out.
    #[track_caller]
    fn same_but(&self, args: &[&str], input: &str, cut: impl Fn(String) -> String) -> String {
        let [ours, theirs] = self.ports().map(|port| {
            let mut command = Command::new("redis-cli");
            command.args(["-p", &port.to_string()]).args(args);
            let mut process = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it is installed");
            process.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
            let output = process.wait_with_output().expect("it ends");
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            let text = text.replace(&port.to_string(), "PORT");
            (cut(text), output.status.code())
        });
        assert_eq!(ours, theirs, "{args:?}: ours, and redis-server's");
        ours.0
    }

    /// What a mode that listens prints until it has printed a line with `last`, while `others` ask.
    #[track_caller]
    fn heard(&self, args: &[&str], first: &str, others: &[&[&str]], last: &str) -> String {
        let [ours, theirs] = self.ports().map(|port| {
            let mut process = Command::new("stdbuf")
                .args(["-oL", "redis-cli", "-p", &port.to_string()])
                .args(args)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .expect("it is installed");
            let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
            let mut heard: Vec<String> = Vec::new();
            let mut until = |word: &str| {
                while heard.last().is_none_or(|line| !line.contains(word)) {
                    heard.push(lines.next().unwrap_or_else(|| panic!("{args:?} ended without {word}")));
                }
            };
            until(first);
            for other in others {
                Command::new("redis-cli")
                    .args(["-p", &port.to_string()])
                    .args(*other)
                    .output()
                    .expect("it is installed");
            }
            until(last);
            let _ = process.kill();
            let _ = process.wait();
            heard.join("\n")
        });
        let shape = |text: &str| {
            let lines = text.lines().map(|line| match (args, line.split_once(" [")) {
                // The time of a line of MONITOR, and the port of the client.
                (["MONITOR"], Some((_, rest))) => {
                    let (place, request) = rest.split_once(']').unwrap_or((rest, ""));
                    format!("[{}]{request}", place.split(':').next().unwrap_or_default())
                }
                _ => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(shape(&ours), shape(&theirs), "{args:?}: ours, and redis-server's");
        shape(&ours)
    }
}

#[test]
fn replies_look_the_same_in_every_form() {
    let Some(both) = Both::start() else { return };
    let requests = [
        &["HGETALL", "user:1"][..],
        &["ZRANGE", "top", "0", "-1", "WITHSCORES"],
        &["LRANGE", "orders", "0", "-1"],
        &["XRANGE", "log", "-", "+"],
        &["GET", "none"],
        &["INCR", "orders"],
        &["NOSUCH", "x"],
        &["SMEMBERS", "tags"],
        &["EVAL", "return {1, {'a', false}, {ok='FINE'}}", "0"],
        &["GEOPOS", "none", "x"],
        &["CONFIG", "GET", "maxmemory-policy"],
        &["TYPE", "log"],
    ];
    let forms = [
        &["--csv"][..],
        &["--json"],
        &["--quoted-json"],
        &["--raw"],
        &["--no-raw"],
        &["-2", "--json"],
        &["-3", "--csv"],
        &["-3", "--no-raw"],
        &["-e"],
        &["-d", ";"],
        &["-D", ";"],
    ];
    for form in forms {
        for request in requests {
            // 7.0 counts this parameter's answer otherwise; the rest of it is the same.
            both.same(&[form, request].concat(), "");
        }
    }
    assert_eq!(both.same(&["-x", "SET", "bin"], "a\u{1}\"b"), "OK\n");
    assert_eq!(both.same(&["--no-raw", "GET", "bin"], ""), "\"a\\x01\\\"b\"\n");
    assert_eq!(both.same(&["-X", "TAG", "SET", "TAG", "other"], "name"), "OK\n");
    assert_eq!(both.same(&["--quoted-input", "SET", "\"\\x00\"", "\"\\xff\""], ""), "OK\n");
}

#[test]
fn a_session_of_lines_goes_the_same() {
    let Some(both) = Both::start() else { return };
    let said = both.same(
        &["--no-raw"],
        "MULTI\nSET a 1\nINCR orders\nGET a\nEXEC\nMULTI\nNOSUCH\nEXEC\nMULTI\nDISCARD\nDISCARD\nWATCH a\nSELECT 3\nGET a\n\
         SELECT 99\nSELECT 0\n3 INCR n\nPING hello\nCLIENT GETNAME\nSET a \"unbalanced\nGET a\nQUIT\n",
    );
    for line in ["QUEUED", "(error) EXECABORT", "2) (error) WRONGTYPE", "(integer) 3"] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    // In RESP3 a map is shown as one.
    let input = "HGETALL user:1\nHELLO 2 SETNAME me\nCLIENT GETNAME\nRESET\n";
    let own_version = |text: String| text.replace("7.2.6", "7.0.15");
    let said = both.same_but(&["-3", "--no-raw"], input, own_version);
    assert!(said.starts_with("1# \"name\" => \"alice\""), "{said}");
    both.same(&["-r", "3", "-i", "0.01", "INCR", "visits"], "");
    both.same(&["-r", "2", "INCR", "orders"], "");
    both.same(&["-n", "5", "SET", "here", "1"], "");
    both.same(&["-u", &format!("redis://127.0.0.1:{}/5", both.ours.port), "DBSIZE"], "");
}

#[test]
fn who_logs_in_is_let_in_the_same() {
    let Some(both) = Both::start() else { return };
    both.same(&["ACL", "SETUSER", "alice", "on", ">secret", "~*", "+@all"], "");
    assert_eq!(
        both.same(&["--user", "alice", "--pass", "secret", "--no-auth-warning", "ACL", "WHOAMI"], ""),
        "alice\n"
    );
    both.same(&["--user", "alice", "--pass", "secret", "PING"], "");
    both.same(&["--user", "alice", "--pass", "wrong", "--no-auth-warning", "PING"], "");
    both.same(&["-a", "wrong", "--no-auth-warning", "PING"], "");
    assert_eq!(both.same(&["CONFIG", "SET", "requirepass", "hidden"], ""), "OK\n");
    both.same(&["PING"], "");
    assert_eq!(both.same(&["-a", "hidden", "--no-auth-warning", "PING"], ""), "PONG\n");
}

#[test]
fn keys_are_found_and_weighed_the_same() {
    let Some(both) = Both::start() else { return };
    // In which order keys come differs from server to server, and so what is the biggest so far.
    let summary =
        |text: String| text.split_once("-------- summary -------").map(|(_, text)| text.to_owned()).unwrap_or(text);
    let big = both.same_but(&["--bigkeys"], "", summary);
    assert!(big.contains("Biggest string found '\"cart:33\"' has 3 bytes"), "{big}");
    let sorted = |text: String| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    for args in [
        &["--scan"][..],
        &["--scan", "--count", "1"],
        &["--scan", "--pattern", "cart:*"],
        &["--scan", "--quoted-pattern", "\"cart:\\x33*\""],
        &["--hotkeys"],
    ] {
        both.same_but(args, "", sorted);
    }
}

#[test]
fn scripts_and_floods_are_taken_the_same() {
    let Some(both) = Both::start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let eval = |script: &str, args: &[&str]| {
        let path = dir.path().join("script.lua");
        std::fs::write(&path, script).expect("a file");
        let path = path.display().to_string();
        both.same(&[&["--eval", &path], args].concat(), "")
    };
    assert_eq!(eval("return {KEYS[1], ARGV[1], redis.call('LLEN', KEYS[1])}", &["orders", ",", "x"]), "orders\nx\n4\n");
    eval("return redis.call('INCR', KEYS[1])", &["orders"]);
    eval("return (", &[]);
    eval("return redis.status_reply('FINE')", &[]);
    // Inline, as RESP, and with a line that is refused.
    both.same(&["--pipe"], "SET p1 a\r\nINCR orders\r\nGET p1\r\n");
    both.same(&["--pipe"], "*3\r\n$3\r\nSET\r\n$2\r\np2\r\n$1\r\nb\r\n*1\r\n$4\r\nPING\r\n");
    both.same(&["MGET", "p1", "p2"], "");
}

#[test]
fn who_listens_hears_the_same() {
    let Some(both) = Both::start() else { return };
    let news: &[&[&str]] = &[&["PUBLISH", "news", "hello"]];
    both.heard(&["SUBSCRIBE", "news"], "1", news, "hello");
    both.heard(&["--csv", "PSUBSCRIBE", "n*"], "psubscribe", news, "hello");
    both.heard(&["-3", "--no-raw", "SUBSCRIBE", "news"], "(integer) 1", news, "hello");
    both.heard(&["SSUBSCRIBE", "shard"], "1", &[&["SPUBLISH", "shard", "hello"]], "hello");
    let seen = both.heard(
        &["MONITOR"],
        "OK",
        &[
            &["SET", "a", "x\"y\n"],
            &["EVAL", "return redis.call('GET', 'a')", "0"],
            &["AUTH", "secret"],
            &["-n", "3", "GET", "last"],
        ],
        "\"last\"",
    );
    assert!(seen.contains("[0 lua] \"GET\" \"a\"") && !seen.contains("secret"), "{seen}");
}

#[test]
fn latency_is_measured() {
    let Some(both) = Both::start() else { return };
    for port in both.ports() {
        let words = ["-p", &port.to_string(), "--latency", "--raw", "-i", "1"].map(str::to_owned);
        let output = Command::new("redis-cli").args(words).output().expect("it is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [least, most, average, count] = numbers[..] else { panic!("{text}") };
        assert!(least <= average && average <= most && count > 10.0, "{text}");
        let mut process = Command::new("stdbuf")
            .args(["-oL", "redis-cli", "-p", &port.to_string(), "--latency-dist", "-i", "0.2"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is installed");
        let mut spectrum = vec![0; 400];
        process.stdout.take().expect("piped").read_exact(&mut spectrum).expect("it prints on and on");
        let _ = process.kill();
        let _ = process.wait();
        assert!(String::from_utf8_lossy(&spectrum).contains("\u{1b}["), "a line of colours");
    }
}

//! `redlab repl` from outside: its pipes against the real redis-cli on the same server, and its prompt in a real
//! pseudo-terminal.

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use redlab::resp::decode::{Limits, Requests};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const REDLAB: &str = env!("CARGO_BIN_EXE_redlab");

/// A redis-server on a free port, ended with the value. None, visibly, where it is not installed.
struct Server {
    process: Child,
    port: String,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start() -> Option<Server> {
        if Command::new("redis-server").arg("--version").output().is_err() {
            assert!(std::env::var_os("REDLAB_REQUIRE_ORACLE").is_none(), "redis-server is not installed");
            eprintln!("SKIPPED: redis-server is not installed");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let dir = tempfile::tempdir().unwrap();
        let process = Command::new("redis-server")
            .args(["--port", &port, "--save", "", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { process, port, _dir: dir };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", server.port.parse().unwrap())).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not come up");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn piped(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

const SCRIPT: &str = r#"flushall
set k "a\nb\x00\xff"
get k

  2 incr n
0 incr n
get "open
get k nonsense
lpush l 1 2 3 4 5 6 7 8 9 10
lrange l 0 -1
hset h f1 v,1 f2 "\"q\""
hgetall h
sadd s one
smembers s
zadd z 1.5 m
zscore z m
get nothing
blpop nothing 0.01
multi
set a 1
incr l
exec
eval "return {1,{2,'x'},{}}" 0
command count
select 3
client setname x
client getname
quit
set never reached
"#;

#[test]
fn a_pipe_is_answered_as_redis_cli_answers_it() {
    let Some(server) = Server::start() else { return };
    for flags in
        [&[][..], &["--raw"], &["--no-raw"], &["--csv"], &["--json"], &["--quoted-json"], &["-3"], &["-3", "--no-raw"]]
    {
        let mut theirs = Command::new("redis-cli");
        theirs.args(["-p", &server.port]).args(flags);
        let mut ours = Command::new(REDLAB);
        ours.args(["repl", "-p", &server.port]).args(flags);
        let (theirs, ours) = (piped(theirs, SCRIPT), piped(ours, SCRIPT));
        assert_eq!(
            ours.stdout.escape_ascii().to_string().replace("\\n", "\n"),
            theirs.stdout.escape_ascii().to_string().replace("\\n", "\n"),
            "{flags:?}"
        );
        assert_eq!(ours.status.code(), theirs.status.code(), "{flags:?}");
    }
}

#[test]
fn a_single_command_is_answered_as_redis_cli_answers_it() {
    let Some(server) = Server::start() else { return };
    for (flags, command) in [
        (&[][..], &["set", "k", "v w"][..]),
        (&["--no-raw"], &["get", "k"]),
        (&["-n", "3", "-r", "2"], &["incr", "n"]),
        (&["-n", "99"], &["ping"]),
        (&["-e"], &["nonsense"]),
        (&[], &["nonsense"]),
        (&["--csv"], &["mget", "k", "n"]),
        (&["-a", "wrong", "--json"], &["time", "x"]),
    ] {
        let run = |program: &str, first: &[&str]| {
            Command::new(program).args(first).args(["-p", &server.port]).args(flags).args(command).output().unwrap()
        };
        let (theirs, ours) = (run("redis-cli", &[]), run(REDLAB, &["repl"]));
        let reset = |output: &Output| String::from_utf8_lossy(&output.stdout).replace("4", "2").replace("3", "1");
        if command[0] == "incr" {
            assert_eq!(reset(&ours), reset(&theirs), "it counts on");
        } else {
            assert_eq!(
                ours.stdout.escape_ascii().to_string(),
                theirs.stdout.escape_ascii().to_string(),
                "{flags:?} {command:?}"
            );
        }
        assert_eq!(ours.status.code(), theirs.status.code(), "{flags:?} {command:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_told_as_redis_cli_tells_it() {
    let output = Command::new(REDLAB).args(["repl", "-p", "1", "ping"]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "Could not connect to Redis at 127.0.0.1:1: Connection refused\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_sandbox_answers_pipes_without_any_server() {
    let mut sandbox = Command::new(REDLAB);
    sandbox.args(["repl", "--no-raw"]);
    let output = piped(sandbox, "set k v ex 100\nttl k\nget k\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "OK\n(integer) 100\n\"v\"\n");
}

/// A node that answers every command with the same bytes, as long as the tests run.
fn node(listener: TcpListener, answer: String) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut requests, mut chunk) = (stream.unwrap(), Requests::new(), [0; 4096]);
            while let Ok(len @ 1..) = stream.read(&mut chunk) {
                requests.feed(&chunk[..len]);
                while let Ok(Some(_)) = requests.next(Limits::default()) {
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            }
        }
    });
}

#[test]
fn a_cluster_is_followed_with_c_by_a_pipe_and_by_a_command() {
    let listeners: Vec<TcpListener> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    let moved = |to: usize| format!("-MOVED 8106 127.0.0.1:{}\r\n", ports[to]);
    // The first knows that the second has it; the other two hold each other for the owner.
    for (listener, answer) in listeners.into_iter().zip([moved(1), "$3\r\nann\r\n".to_owned(), moved(3), moved(2)]) {
        node(listener, answer);
    }
    let ask = |port: u16, flags: &[&str]| {
        let mut repl = Command::new(REDLAB);
        repl.args(["repl", "-p", &port.to_string()]).args(flags);
        repl
    };
    let said = |output: Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said(ask(ports[0], &["-c", "get", "user:1"]).output().unwrap()), "ann\n");
    assert_eq!(said(piped(ask(ports[0], &["-c"]), "get user:1\nget user:1\n")), "ann\nann\n");
    assert!(said(ask(ports[0], &["get", "user:1"]).output().unwrap()).starts_with("MOVED 8106 "));
    assert!(said(ask(ports[2], &["-c", "get", "user:1"]).output().unwrap()).starts_with("MOVED 8106 "));
}

/// The prompt in a pseudo-terminal, its screen kept by a terminal emulator.
struct Prompt {
    screen: vt100::Parser,
    bytes: Receiver<Vec<u8>>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
    history: tempfile::TempDir,
}

impl Prompt {
    fn open() -> Prompt {
        let history = tempfile::tempdir().unwrap();
        let pair =
            native_pty_system().openpty(PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 }).unwrap();
        let mut command = CommandBuilder::new(REDLAB);
        command.arg("repl");
        command.env("REDLAB_HISTORY", history.path().join("history"));
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        let (sender, bytes) = channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(len @ 1..) = reader.read(&mut chunk) {
                if sender.send(chunk[..len].to_vec()).is_err() {
                    break;
                }
            }
        });
        let mut prompt =
            Prompt { screen: vt100::Parser::new(24, 80, 0), bytes, writer, child, _master: pair.master, history };
        prompt.shows("127.0.0.1:6379>");
        prompt
    }

    fn type_(&mut self, keys: &str) {
        // Once the program has ended nobody takes them.
        let _ = self.writer.write_all(keys.as_bytes()).and_then(|()| self.writer.flush());
    }

    /// Waits until `text` is on the screen.
    fn shows(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let contents = self.screen.screen().contents();
            if contents.contains(text) {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(_) => panic!("never showed {text:?}:\n{contents}"),
            }
        }
    }

    /// Leaves with Ctrl-D; what the history file holds then.
    fn leave(mut self) -> String {
        // Typed while no line is being read, Ctrl-D would be lost: the program may still be printing.
        let deadline = Instant::now() + Duration::from_secs(20);
        let status = loop {
            self.type_("\x04");
            std::thread::sleep(Duration::from_millis(100));
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "Ctrl-D does not leave"),
            }
        };
        assert!(status.success());
        std::fs::read_to_string(self.history.path().join("history")).unwrap_or_default()
    }
}

#[test]
fn the_prompt_hints_completes_and_keeps_a_history_without_secrets() {
    let mut prompt = Prompt::open();
    prompt.type_("set session:a1 ");
    prompt.shows("set session:a1 value [NX|XX] [GET]");
    prompt.type_("alice\r");
    prompt.shows("OK");
    prompt.type_("get ses\t");
    prompt.shows("> get session:a1");
    prompt.type_("\r");
    prompt.shows("\"alice\"");
    prompt.type_("auth hunter2\r");
    prompt.shows("(error) ERR");
    prompt.type_("3 incr n\r");
    prompt.shows("(integer) 3");
    let history = prompt.leave();
    assert!(history.contains("get session:a1") && history.contains("3 incr n"), "{history}");
    assert!(!history.contains("hunter2"), "{history}");
}

#[test]
fn an_open_quote_goes_on_in_the_next_line_and_ctrl_c_gives_a_line_up() {
    let mut prompt = Prompt::open();
    prompt.type_("set k \"two\rlines\"\r");
    prompt.shows("OK");
    prompt.type_("get k\r");
    prompt.shows("\"two\\nlines\"");
    prompt.type_("set never ");
    prompt.shows("set never value");
    prompt.type_("\x03");
    prompt.shows("KEEPTTL]\n127.0.0.1:6379>");
    prompt.type_("strlen never\r");
    prompt.shows("(integer) 0");
    prompt.leave();
}

#[test]
fn a_blocked_command_ends_with_ctrl_c_and_a_subscription_lets_keys_through() {
    let mut prompt = Prompt::open();
    prompt.type_("blpop nothing 0\r");
    std::thread::sleep(Duration::from_millis(800));
    prompt.type_("\x03");
    prompt.shows("s)\n127.0.0.1:6379>");
    prompt.type_("subscribe news\r");
    prompt.shows("Reading messages...");
    prompt.type_("x");
    prompt.shows("(subscribed mode)>");
    prompt.type_("reset\r");
    prompt.shows("RESET");
    prompt.leave();
}

#[test]
fn time_and_undo_work_at_the_sandbox_prompt() {
    let mut prompt = Prompt::open();
    prompt.type_("set k v ex 1800\r");
    prompt.shows("OK");
    prompt.type_(":time +31m\r");
    prompt.shows("later.");
    prompt.type_("exists k\r");
    prompt.shows("(integer) 0");
    prompt.type_("set a 1\r");
    prompt.shows("> set a 1");
    prompt.type_(":undo\r");
    prompt.shows("One step taken back.");
    prompt.type_("get a\r");
    prompt.shows("(nil)");
    prompt.leave();
}

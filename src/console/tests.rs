//! Sessions as they were seen at redis-cli 7.0.15 (through a pseudo-terminal), over a backend that answers by script.

use super::*;
use crate::base::{Millis, Rng};
use crate::port::{Incoming, Signal, Spawned};
use crate::resp::Reply;
use std::collections::{BTreeMap, VecDeque};

/// Answers each request with the next of `answers`.
#[derive(Default)]
struct Script {
    now: Millis,
    answers: VecDeque<Vec<Incoming>>,
    inbox: VecDeque<Incoming>,
    sent: Vec<String>,
    refuse: bool,
    connections: u64,
    files: BTreeMap<String, Vec<u8>>,
}

impl Script {
    fn answering(replies: impl IntoIterator<Item = Reply>) -> Script {
        Script { answers: replies.into_iter().map(|reply| vec![Incoming::Reply(reply)]).collect(), ..Script::default() }
    }
}

impl Backend for Script {
    fn now(&self) -> Millis {
        self.now
    }
    fn advance(&mut self, span: Millis) {
        self.now += span;
    }
    fn connect(&mut self, port: u16, _: &str) -> Result<ConnectionId, String> {
        if self.refuse {
            return Err(format!("Could not connect to Redis at 127.0.0.1:{port}: Connection refused"));
        }
        self.connections += 1;
        Ok(ConnectionId(self.connections))
    }
    fn send(&mut self, _: ConnectionId, args: Vec<Bytes>) {
        self.sent.push(quote::line_of(&args));
        self.inbox.extend(self.answers.pop_front().unwrap_or_default());
    }
    fn receive(&mut self, _: ConnectionId) -> Vec<Incoming> {
        self.inbox.drain(..).collect()
    }
    fn hang_up(&mut self, _: ConnectionId) {
        self.inbox.clear();
    }
    fn spawn(&mut self, argv: &[String]) -> Spawned {
        Spawned { pid: Some(7), log: vec![argv.join(" ")] }
    }
    fn signal(&mut self, pid: u32, _: Signal) -> Result<(), String> {
        if pid == 7 { Ok(()) } else { Err(format!("kill: ({pid}) - No such process")) }
    }
    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        self.files.get(path).cloned().ok_or_else(|| "No such file or directory".to_owned())
    }
    fn write_file(&mut self, path: &str, contents: &[u8]) -> Result<(), String> {
        self.files.insert(path.to_owned(), contents.to_vec());
        Ok(())
    }
    fn remove_file(&mut self, path: &str) -> Result<(), String> {
        // A directory stands as long as files are in it.
        if path.ends_with('/') && !self.files.keys().any(|file| file.starts_with(path)) {
            return Ok(());
        }
        self.files.remove(path).map(drop).ok_or_else(|| "No such file or directory".to_owned())
    }
    fn make_dir(&mut self, _: &str) -> Result<(), String> {
        Err("File exists".to_owned())
    }
    fn list_files(&self, dir: &str) -> Vec<String> {
        let dir = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        self.files.keys().filter_map(|path| path.strip_prefix(&dir)).map(str::to_owned).collect()
    }
    fn sql(&mut self, statement: &str) -> Result<Vec<String>, String> {
        if statement == "bad" { Err("near \"bad\": syntax error".into()) } else { Ok(vec![format!("ran {statement}")]) }
    }
}

fn texts(lines: &[Line]) -> Vec<String> {
    lines.iter().map(Line::text).collect()
}

fn redis(backend: &mut Script) -> Terminal {
    let mut terminal = Terminal::new("alice");
    assert_eq!(terminal.open_redis(6379, backend), []);
    terminal
}

fn say(terminal: &mut Terminal, backend: &mut Script, line: &str) -> Vec<String> {
    texts(&terminal.submit(line, backend).lines)
}

#[test]
fn the_prompt_shows_database_and_transaction_as_redis_cli_does() {
    let queued = || Reply::QUEUED;
    let backend = &mut Script::answering([
        Reply::OK,
        Reply::OK,
        queued(),
        queued(),
        Reply::Array(vec![Reply::OK, Reply::Nil]),
        Reply::OK,
        queued(),
        Reply::error("EXECABORT Transaction discarded because of previous errors."),
        Reply::status("RESET"),
    ]);
    let mut terminal = redis(backend);
    let mut prompts = vec![terminal.prompt()];
    for line in ["select 3", "multi", "select 5", "get a", "exec", "multi", "select 1", "exec", "reset"] {
        say(&mut terminal, backend, line);
        prompts.push(terminal.prompt());
    }
    let shown: Vec<&str> = prompts.iter().map(|prompt| prompt.strip_prefix("127.0.0.1:6379").unwrap()).collect();
    assert_eq!(
        shown,
        ["> ", "[3]> ", "[3](TX)> ", "[5](TX)> ", "[5](TX)> ", "[5]> ", "[5](TX)> ", "[1](TX)> ", "[5]> ", "> "]
    );
}

#[test]
fn a_number_before_a_command_repeats_it() {
    let backend = &mut Script::answering((2..=4).map(Reply::Int));
    let mut terminal = redis(backend);
    assert_eq!(say(&mut terminal, backend, "3 incr a"), ["(integer) 2", "(integer) 3", "(integer) 4"]);
    assert_eq!(say(&mut terminal, backend, "0 incr a"), ["Invalid redis-cli repeat command option value."]);
    assert_eq!(say(&mut terminal, backend, "-1 incr a"), ["Invalid redis-cli repeat command option value."]);
    assert_eq!(backend.sent, ["incr a"; 3]);
    assert_eq!(say(&mut terminal, backend, "get \"a"), ["Invalid argument(s)"]);
}

#[test]
fn a_dead_server_is_noticed_with_the_next_command_and_the_prompt_lies_after_the_reconnect() {
    let backend = &mut Script::answering([Reply::OK]);
    let mut terminal = redis(backend);
    say(&mut terminal, backend, "select 3");
    backend.inbox.push_back(Incoming::Closed);
    backend.refuse = true;
    assert_eq!(terminal.poll(backend), []);
    assert_eq!(terminal.prompt(), "127.0.0.1:6379[3]> ", "nothing is seen before a command is sent");
    assert_eq!(say(&mut terminal, backend, "get a"), ["Error: Server closed the connection"]);
    assert_eq!(terminal.prompt(), "not connected> ");
    assert_eq!(
        say(&mut terminal, backend, "get a"),
        ["Could not connect to Redis at 127.0.0.1:6379: Connection refused"]
    );
    backend.refuse = false;
    backend.answers.push_back(vec![Incoming::Reply(Reply::Nil)]);
    let shown = say(&mut terminal, backend, "get a");
    assert!(shown[0].starts_with("note: this is a new connection, in database 0"), "{shown:?}");
    assert_eq!(shown[1], "(nil)");
    assert_eq!(backend.sent, ["select 3", "get a"], "redis-cli sends no SELECT of its own");
    assert_eq!(terminal.prompt(), "127.0.0.1:6379[3]> ");
}

#[test]
fn shutdown_leaves_without_a_word() {
    let backend = &mut Script { answers: [vec![Incoming::Closed]].into(), ..Script::default() };
    let mut terminal = redis(backend);
    assert_eq!(say(&mut terminal, backend, "shutdown nosave"), Vec::<String>::new());
    assert_eq!(terminal.prompt(), "not connected> ");
}

#[test]
fn a_blocked_command_is_waited_for_and_its_time_is_told() {
    let backend = &mut Script::default();
    let mut terminal = redis(backend);
    assert_eq!(say(&mut terminal, backend, "blpop q 0"), Vec::<String>::new());
    assert!(terminal.busy());
    assert_eq!(say(&mut terminal, backend, "get a"), [WAITING]);
    assert_eq!(terminal.submit(":goals", backend).word, Some(Word::Goals), "the lab's words always work");
    backend.advance(Millis(1234));
    backend.inbox.push_back(Incoming::Reply(Reply::bulks(["q", "x"])));
    assert_eq!(texts(&terminal.poll(backend)), ["1) \"q\"", "2) \"x\"", "(1.23s)"]);
    assert!(!terminal.busy());
    say(&mut terminal, backend, "blpop q 0");
    terminal.interrupt(backend);
    assert!(!terminal.busy() && backend.connections == 2, "a blocked client leaves by reconnecting");
}

#[test]
fn subscribed_mode_prints_messages_and_takes_commands() {
    let confirm =
        |kind: &str, channel: &str, n| Reply::Push(vec![Reply::bulk(kind), Reply::bulk(channel), Reply::Int(n)]);
    let both = Reply::Many(vec![confirm("subscribe", "a", 1), confirm("subscribe", "b", 2)]);
    let backend = &mut Script::answering([
        both,
        confirm("unsubscribe", "a", 1),
        Reply::bulks(["pong", ""]),
        Reply::status("RESET"),
    ]);
    let mut terminal = redis(backend);
    let shown = say(&mut terminal, backend, "subscribe a b");
    assert_eq!(
        shown[3..],
        [
            "1) \"subscribe\"",
            "2) \"b\"",
            "3) (integer) 2",
            "Reading messages... (press Ctrl-C to quit or any key to type command)"
        ]
    );
    assert_eq!(terminal.prompt(), "127.0.0.1:6379(subscribed mode)> ");
    backend.inbox.push_back(Incoming::Push(Reply::bulks(["message", "b", "hi"])));
    assert_eq!(texts(&terminal.poll(backend)), ["1) \"message\"", "2) \"b\"", "3) \"hi\""]);
    assert_eq!(say(&mut terminal, backend, "unsubscribe a").len(), 3);
    assert_eq!(say(&mut terminal, backend, "ping"), ["1) \"pong\"", "2) \"\""]);
    assert_eq!(say(&mut terminal, backend, "reset"), ["RESET"]);
    assert!(!terminal.busy());
}

#[test]
fn monitor_prints_until_it_is_interrupted() {
    let backend = &mut Script::answering([Reply::OK]);
    let mut terminal = redis(backend);
    assert_eq!(say(&mut terminal, backend, "monitor"), ["OK"]);
    backend.inbox.push_back(Incoming::Push(Reply::Status("1.5 [0 127.0.0.1:1] \"GET\" \"a\"".into())));
    assert_eq!(texts(&terminal.poll(backend)), ["1.5 [0 127.0.0.1:1] \"GET\" \"a\""]);
    assert!(terminal.busy());
    terminal.interrupt(backend);
    assert!(!terminal.busy());
}

#[test]
fn a_cluster_is_followed_only_with_c() {
    let moved = || Reply::error("MOVED 12182 127.0.0.1:17403");
    let backend = &mut Script::answering([moved(), moved(), Reply::bulk("v")]);
    let mut terminal = redis(backend);
    assert_eq!(say(&mut terminal, backend, "get foo"), ["(error) MOVED 12182 127.0.0.1:17403"]);
    say(&mut terminal, backend, "quit");
    assert_eq!(terminal.prompt(), "$ ");
    say(&mut terminal, backend, "redis-cli -c");
    let shown = say(&mut terminal, backend, "get foo");
    assert_eq!(shown, ["-> Redirected to slot [12182] located at 127.0.0.1:17403", "\"v\""]);
    assert_eq!(terminal.prompt(), "127.0.0.1:17403> ");
}

#[test]
fn a_redirect_inside_a_transaction_is_warned_of() {
    let backend =
        &mut Script::answering([Reply::OK, Reply::error("ASK 1 127.0.0.1:7001"), Reply::OK, Reply::bulk("v")]);
    let mut terminal = Terminal::new("bob");
    say(&mut terminal, backend, "redis-cli -c");
    say(&mut terminal, backend, "multi");
    let shown = say(&mut terminal, backend, "get foo");
    assert!(shown[1].contains("the transaction was on the old one"), "{shown:?}");
    assert_eq!(backend.sent, ["multi", "get foo", "ASKING", "get foo"]);
    assert_eq!(terminal.prompt(), "127.0.0.1:7001> ");
}

#[test]
fn nodes_that_name_each_other_are_followed_only_so_far() {
    // Two nodes that each hold the other for the owner of a slot sent a terminal from one to the other until its stack ended.
    let moved = |port: u16| Reply::error(format!("MOVED 1 127.0.0.1:{port}"));
    let backend = &mut Script::answering((0..100).map(|n| moved(7001 + n % 2)));
    let mut terminal = Terminal::new("bob");
    say(&mut terminal, backend, "redis-cli -c");
    let shown = say(&mut terminal, backend, "get foo");
    assert_eq!(backend.sent.len(), 17);
    assert_eq!(shown[16], "(error) MOVED 1 127.0.0.1:7001");
    assert!(shown[17].contains("from one to the other"), "{shown:?}");
    assert!(!terminal.busy());
}

#[test]
fn passwords_and_databases_are_sent_first_and_their_failure_is_told() {
    let backend = &mut Script::answering([
        Reply::error("WRONGPASS invalid username-password pair or user is disabled."),
        Reply::error("NOAUTH Authentication required."),
    ]);
    let mut terminal = Terminal::new("bob");
    let shown = say(&mut terminal, backend, "redis-cli -a bar -n 99");
    assert_eq!(
        shown,
        [
            "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.",
            "AUTH failed: WRONGPASS invalid username-password pair or user is disabled.",
            "SELECT 99 failed: NOAUTH Authentication required.",
        ]
    );
    assert_eq!(terminal.prompt(), "127.0.0.1:6379> ");
}

#[test]
fn commands_on_the_shells_line_print_and_end() {
    let backend = &mut Script::answering([Reply::Int(1), Reply::Int(2), Reply::bulks(["a", "b"])]);
    let mut terminal = Terminal::new("bob");
    assert_eq!(say(&mut terminal, backend, "redis-cli -r 2 -i 1 incr n"), ["(integer) 1", "(integer) 2"]);
    assert_eq!(backend.now, Millis(1000), "an interval lies between two, not behind the last");
    assert_eq!(say(&mut terminal, backend, "redis-cli lrange l 0 -1 | grep b"), ["b"]);
    assert_eq!(terminal.prompt(), "$ ");
    say(&mut terminal, backend, "redis-cli blpop q 0 > out.txt");
    assert!(terminal.busy() && terminal.prompt().is_empty());
    backend.inbox.push_back(Incoming::Reply(Reply::bulks(["q", "1"])));
    assert_eq!(terminal.poll(backend), []);
    assert_eq!(backend.files["out.txt"], b"q\n1\n");
    assert_eq!(terminal.prompt(), "$ ");
}

#[test]
fn lines_of_a_file_or_a_pipe_are_typed_at_redis_cli_one_after_the_other() {
    let replies = || [Reply::OK, Reply::QUEUED, Reply::Array(vec![Reply::Int(1)])];
    let backend = &mut Script::answering(replies().into_iter().chain(replies()));
    backend.files.insert("pay.txt".into(), b"MULTI\nINCR n\n\nEXEC\nexit\nGET never\n".to_vec());
    let mut terminal = Terminal::new("bob");
    assert_eq!(say(&mut terminal, backend, "redis-cli -p 6380 < pay.txt"), ["OK", "QUEUED", "1) (integer) 1"]);
    assert_eq!(backend.sent, ["MULTI", "INCR n", "EXEC"]);
    assert_eq!(say(&mut terminal, backend, "cat pay.txt | redis-cli | head -n 1; date").len(), 2);
    assert_eq!(backend.sent.len(), 6);
    assert_eq!(say(&mut terminal, backend, "redis-cli < nowhere"), ["bash: nowhere: No such file or directory"]);
    // What has to wait for its answer holds back what follows.
    backend.files.insert("wait.txt".into(), b"BLPOP q 0\nPING\n".to_vec());
    assert_eq!(say(&mut terminal, backend, "redis-cli < wait.txt"), Vec::<String>::new());
    assert!(terminal.busy() && backend.sent.last().is_some_and(|line| line == "BLPOP q 0"));
    backend.answers.push_back(vec![Incoming::Reply(Reply::status("PONG"))]);
    backend.inbox.push_back(Incoming::Reply(Reply::bulks(["q", "1"])));
    assert_eq!(texts(&terminal.poll(backend)), ["1) \"q\"", "2) \"1\"", "PONG"]);
    assert_eq!(terminal.prompt(), "$ ");
}

#[test]
fn what_stands_behind_and_and_runs_by_the_exit_code() {
    let backend = &mut Script::answering([Reply::error("WRONGTYPE x"), Reply::OK, Reply::bulk("a")]);
    let mut terminal = Terminal::new("bob");
    // redis-cli has an answer, and that is all that its exit code tells.
    assert_eq!(say(&mut terminal, backend, "redis-cli incr a && echo on"), ["(error) WRONGTYPE x", "on"]);
    assert_eq!(say(&mut terminal, backend, "cat nowhere && echo on").len(), 1);
    assert_eq!(say(&mut terminal, backend, "cat nowhere; echo on").len(), 2);
    // A warning on stderr neither fails nor goes through the pipe.
    let shown = say(&mut terminal, backend, "redis-cli -a pw get a | xargs echo got");
    assert_eq!((shown.len(), shown[1].as_str()), (2, "got a"), "{shown:?}");
    backend.refuse = true;
    assert_eq!(say(&mut terminal, backend, "redis-cli ping && echo on").len(), 1);
}

#[test]
fn a_prompt_that_was_copied_along_is_passed_over() {
    let backend = &mut Script::default();
    let mut terminal = Terminal::new("bob");
    assert_eq!(say(&mut terminal, backend, "$ echo a; $ $ echo b"), ["a", "b"]);
    assert_eq!(say(&mut terminal, backend, "$"), Vec::<String>::new());
    // In quotes it was run again and again until the stack ended.
    assert!(say(&mut terminal, backend, "\"$\" echo a")[0].contains("command not found"));
}

#[test]
fn the_shell_knows_files_processes_and_time() {
    let backend = &mut Script::default();
    let mut terminal = Terminal::new("bob");
    assert_eq!(say(&mut terminal, backend, "redis-server redis.conf --port 6380 &"), ["redis.conf --port 6380"]);
    assert_eq!(say(&mut terminal, backend, "kill -9 8"), ["bash: kill: (8) - No such process"]);
    assert_eq!(say(&mut terminal, backend, "kill 7"), Vec::<String>::new());
    for line in
        ["echo 'save \"\"' > a/redis.conf", "echo port 1 >> a/redis.conf", "cp a/redis.conf b", "truncate -s -7 b"]
    {
        assert_eq!(say(&mut terminal, backend, line), Vec::<String>::new(), "{line}");
    }
    assert_eq!(say(&mut terminal, backend, "ls"), ["a/", "b"]);
    assert_eq!(say(&mut terminal, backend, "ls -l a"), ["        15 redis.conf"]);
    assert_eq!(say(&mut terminal, backend, "cat b"), ["save \"\""]);
    assert_eq!(say(&mut terminal, backend, "cp b a"), Vec::<String>::new());
    assert_eq!(say(&mut terminal, backend, "ls a"), ["b", "redis.conf"]);
    assert!(say(&mut terminal, backend, "grep port b a/redis.conf")[0].contains("reads one file"));
    assert_eq!(say(&mut terminal, backend, "grep -c port a/redis.conf"), ["1"]);
    assert_eq!(say(&mut terminal, backend, "cat nowhere"), ["cat: nowhere: No such file or directory"]);
    assert_eq!(say(&mut terminal, backend, "mkdir a"), ["mkdir: cannot create directory 'a': File exists"]);
    assert_eq!(say(&mut terminal, backend, "mkdir -p a/b"), Vec::<String>::new());
    assert_eq!(say(&mut terminal, backend, "rm a"), ["rm: cannot remove 'a': Is a directory"]);
    assert_eq!(say(&mut terminal, backend, "rm -f a"), ["rm: cannot remove 'a': Is a directory"]);
    assert_eq!(say(&mut terminal, backend, "rm -f nowhere"), Vec::<String>::new());
    assert_eq!(say(&mut terminal, backend, "rm -R a"), Vec::<String>::new());
    assert_eq!(say(&mut terminal, backend, "sleep 1.5"), Vec::<String>::new());
    assert_eq!(say(&mut terminal, backend, "sleep 1h"), Vec::<String>::new());
    assert_eq!(backend.now, Millis(3_601_500));
    assert_eq!(say(&mut terminal, backend, "date"), ["Thu Jan  1 01:00:01 UTC 1970"]);
    assert_eq!(terminal.submit("edit b", backend).word, Some(Word::Edit("b".into())));
    assert!(say(&mut terminal, backend, "get a")[1].contains("`GET` is a command of Redis"));
    assert!(say(&mut terminal, backend, "kil 7")[1].contains("`kill`"));
}

#[test]
fn each_prompt_helps_those_who_mean_the_other() {
    let unknown = || Reply::error("ERR unknown command 'ps', with args beginning with: ");
    let backend = &mut Script::answering([unknown(), unknown()]);
    let mut terminal = redis(backend);
    assert_eq!(say(&mut terminal, backend, "ps")[1], "`ps` is a word of the shell: `exit` leads there.");
    assert_eq!(say(&mut terminal, backend, "nonsense").len(), 1);
    say(&mut terminal, backend, "exit");
    assert_eq!(say(&mut terminal, backend, "help ps")[0], "  ps                        The servers that run.");
    assert!(say(&mut terminal, backend, "help get")[0].starts_with("`get` is a command of Redis"));
    assert!(say(&mut terminal, backend, "help").iter().all(|line| line.len() <= 78), "it fits 80 columns");
}

#[test]
fn the_sql_prompt_runs_statements_and_leaves() {
    let backend = &mut Script::default();
    let mut terminal = Terminal::new("bob");
    say(&mut terminal, backend, "sql");
    assert_eq!(terminal.prompt(), "sql> ");
    assert_eq!(say(&mut terminal, backend, "SELECT 2;"), ["ran SELECT 2;"]);
    assert_eq!(say(&mut terminal, backend, "bad"), ["Error: near \"bad\": syntax error"]);
    say(&mut terminal, backend, "exit");
    assert_eq!(terminal.prompt(), "$ ");
}

#[test]
fn no_line_panics_and_no_control_byte_is_printed() {
    let mut rng = Rng::new(41);
    let words = [
        "redis-cli",
        "-p",
        "0",
        "sql",
        "select",
        "multi",
        "exec",
        "|",
        ">",
        ">>",
        "grep",
        "'",
        "\"",
        "\\x1b",
        "\x1b[2J",
        "é",
        ":",
        ":time",
        "+9999999d",
        "99999999999999999999",
        "quit",
        "monitor",
        "subscribe",
        "a",
        "help",
        "@",
        "cat",
        "kill",
        "-",
        "truncate",
        "-s",
        "sleep",
        "connect",
        "head",
        "-n",
        "echo",
        "\0",
        "\u{202e}",
    ];
    for case in 0..300 {
        let backend = &mut Script::default();
        backend.files.insert("a".into(), b"x\x1b[31m\xff\n".to_vec());
        let mut terminal = Terminal::new("fuzz");
        for _ in 0..20 {
            let line: Vec<&str> = (0..rng.below(6)).map(|_| words[rng.below(words.len())]).collect();
            let answers = [
                Reply::error("E\x1b"),
                Reply::OK,
                Reply::Nil,
                Reply::Status("\x1b]".into()),
                Reply::bulks(["subscribe", "x", "y"]),
            ];
            backend.answers = (0..rng.below(4)).map(|_| vec![Incoming::Reply(answers[rng.below(5)].clone())]).collect();
            let mut lines = terminal.submit(&line.join(" "), backend).lines;
            if rng.below(8) == 0 {
                backend
                    .inbox
                    .push_back([Incoming::Closed, Incoming::Push(Reply::Status("\x07".into()))][rng.below(2)].clone());
            }
            lines.extend(terminal.poll(backend));
            if rng.below(5) == 0 {
                lines.extend(terminal.interrupt(backend));
            }
            let shown = texts(&lines).join("\n") + &terminal.prompt();
            assert!(!shown.replace('\n', "").contains(char::is_control), "case {case}: {line:?} -> {shown:?}");
        }
    }
}

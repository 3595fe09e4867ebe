//! What a learner types, what stands in their files, and what a server that lies makes of their redis-cli.

use crate::harness::{Target, Went, fuzz, fuzz_some, went};
use redlab::assist::{self, Vocabulary};
use redlab::backend;
use redlab::base::{Bytes, Millis};
use redlab::console::{Line, Terminal, word};
use redlab::lesson::Course;
use redlab::port::{Backend, ConnectionId, Incoming, Signal, Spawned};
use redlab::race::program::{Names, Program, What};
use redlab::resp::Reply;
use redlab::resp::decode::Replies;
use redlab::store::{Progress, journal};
use redlab::tutor::Session;
use std::collections::{BTreeMap, VecDeque};

fn seeds_of(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// No byte of a value, a file or a server reaches the screen as a control sequence.
fn is_clean<'a>(lines: impl IntoIterator<Item = &'a Line>) {
    for line in lines {
        let text = line.text();
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}

// -- a terminal -------------------------------------------------------------------------------------------------------

/// A machine with some files, whose servers answer whatever the input says, and hang up when that is all.
#[derive(Default)]
struct Liar {
    now: Millis,
    answers: VecDeque<Reply>,
    inbox: BTreeMap<u64, Vec<Incoming>>,
    connections: u64,
    files: BTreeMap<String, Vec<u8>>,
}

impl Liar {
    /// What a server says first where RESP cannot say it.
    fn of(answers: &[u8]) -> Liar {
        let mut replies = Replies::new();
        replies.feed(answers);
        let answers = std::iter::from_fn(|| replies.next_reply().ok().flatten()).take(200).collect();
        let mut liar = Liar { answers, ..Liar::default() };
        for (path, text) in [
            ("redis.conf", "port 6379\nsave \"\"\n# end"),
            ("commands.txt", "SET a 1\n\nget a\nEVAL \"return 1\" 0\n"),
            ("logs/redis.log", "one\ntwo\tthree\n\u{1b}[31mfour\n"),
            ("bytes", "\u{0}\u{7f}\u{85}"),
        ] {
            liar.files.insert(path.to_owned(), text.as_bytes().to_vec());
        }
        liar
    }
}

impl Backend for Liar {
    fn now(&self) -> Millis {
        self.now
    }
    fn advance(&mut self, span: Millis) {
        self.now = Millis(self.now.0.saturating_add(span.0));
    }
    fn connect(&mut self, port: u16, _: &str) -> Result<ConnectionId, String> {
        if self.answers.is_empty() {
            return Err(format!("Could not connect to Redis at 127.0.0.1:{port}: Connection refused"));
        }
        self.connections += 1;
        Ok(ConnectionId(self.connections))
    }
    fn send(&mut self, connection: ConnectionId, _: Vec<Bytes>) {
        let incoming = match self.answers.pop_front() {
            Some(reply @ Reply::Push(_)) => Incoming::Push(reply),
            Some(reply) => Incoming::Reply(reply),
            None => Incoming::Closed,
        };
        let more = if matches!(incoming, Incoming::Push(_)) { self.answers.pop_front() } else { None };
        let inbox = self.inbox.entry(connection.0).or_default();
        inbox.push(incoming);
        inbox.extend(more.map(Incoming::Reply));
    }
    fn receive(&mut self, connection: ConnectionId) -> Vec<Incoming> {
        // Who waits for longer than everything takes waits for ever.
        let nothing = if self.answers.is_empty() { vec![Incoming::Closed] } else { Vec::new() };
        self.inbox.remove(&connection.0).unwrap_or(nothing)
    }
    fn hang_up(&mut self, connection: ConnectionId) {
        self.inbox.remove(&connection.0);
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
        Ok(vec![statement.to_owned()])
    }
}

/// Lines, and behind an empty one what the servers answer.
fn terminal(input: &[u8]) -> Went {
    let at = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
    let (typed, answers) = (String::from_utf8_lossy(&input[..at]), input.get(at + 2..).unwrap_or_default());
    let mut backend = Liar::of(answers);
    let mut terminal = Terminal::new("alice");
    let (mut printed, mut wrong) = (0, 0);
    for line in typed.lines().take(8) {
        let submitted = terminal.submit(line, &mut backend);
        is_clean(&submitted.lines);
        for _ in 0..3 {
            is_clean(&terminal.poll(&mut backend));
            backend.advance(Millis(1_000));
        }
        is_clean(&terminal.interrupt(&mut backend));
        let prompt = terminal.prompt();
        assert!(!prompt.chars().any(char::is_control), "{prompt:?}");
        printed += submitted.lines.len();
        let is_wrong =
            submitted.lines.iter().any(|line| line.text().contains("usage") || line.text().contains("Usage"));
        wrong += usize::from(is_wrong);
        let _ = (terminal.busy(), terminal.target(), terminal.connection());
    }
    terminal.leave(&mut backend);
    went(printed > wrong, (printed.min(40), wrong, backend.answers.len() / 4, backend.files.len()))
}

#[test]
fn lines_at_a_terminal() {
    let seeds = || {
        let all = "+OK\r\n:1\r\n$1\r\na\r\n*2\r\n$1\r\na\r\n:2\r\n-ERR no\r\n_\r\n";
        let id = "e".repeat(40);
        let nodes = format!(
            "{id} 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-8191 [93->-{id}]\n{} 127.0.0.1:7002@17002,host master,fail? - 0 0 2 connected 8192-16383 [7-<-{id}]\n{} :0@0 slave,noaddr {id} 1 2 3 disconnected\n",
            "f".repeat(40),
            "a".repeat(40),
        );
        let nodes = format!("${}\r\n{nodes}\r\n", nodes.len());
        let info = "$44\r\n# Cluster\r\ncluster_enabled:1\r\ncluster_state:ok\r\n\r\n";
        let cluster = format!("{info}{nodes}{nodes}{info}{nodes}{nodes}{all}{all}");
        let mut seeds = Vec::new();
        for typed in [
            "redis-cli -p 6380 -n 2 --raw -r 3 -i 0.5 SET a -1",
            "redis-cli -u redis://alice:s3cret@10.0.0.1:7000/4 --json HGETALL cart:42\nredis-cli -a x --user bob PING",
            "redis-cli --scan --pattern 'cart:*' --count 5 | xargs -I K redis-cli DEL K\nredis-cli --csv -3 < commands.txt",
            "redis-cli\nSET a \"b c\"\n3 INCR n\nMULTI\nSELECT 3\nEXEC\nSUBSCRIBE news\nHELLO 3",
            "redis-cli -c\nMONITOR\nCONNECT 127.0.0.1 7000\nhelp @string\nHELP SET\nquit",
            "cat redis.conf bytes | grep -civ save | head -n 2 > out ; ls -l && tail -n 1 logs/redis.log | wc -l",
            "echo 'save 60 1' >> redis.conf; sed -i 's/6379/6380/g' redis.conf && sed 's|^port.*|x|' redis.conf",
            "cp redis.conf a.conf; mv a.conf b.conf; mkdir -p d/e; rm -rf b.conf; truncate -s -5 redis.conf; sort bytes | uniq -c",
            "redis-server redis.conf --port 7000 --save '' &\nkill -9 7 6379; kill -s TERM 7; ps; date; sleep 1.5 2h\nsql\nSELECT 1;\nexit",
            ":net cut a,b c\n:time +1h30m\n:orders a.txt b.txt\n:undo 3\n:reset lesson\n:set hints off\n:why session:a1",
            "shop-traffic 5 6379 6380\nshop-status\nshop-open 7001 sleep 5\nstorm 10\npower-cut\nedit redis.conf",
            "cat commands.txt | redis-cli | grep OK\necho \"GET a\" | redis-cli -x SET b\n# remark\n$ ls",
        ] {
            seeds.push(format!("{typed}\n\n{all}{all}{all}").into_bytes());
        }
        for typed in [
            "redis-cli --cluster create 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003 --cluster-replicas 1\nyes",
            "redis-cli --cluster check 127.0.0.1:7001 --cluster-search-multiple-owners",
            "redis-cli --cluster fix 127.0.0.1:7001 --cluster-fix-with-unreachable-masters\nyes",
            "redis-cli --cluster reshard 127.0.0.1:7001\n100\neeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\nall\ndone\nyes",
            "redis-cli --cluster rebalance 127.0.0.1:7001 --cluster-weight eeee=0 --cluster-use-empty-masters --cluster-threshold 1",
            "redis-cli --cluster add-node 127.0.0.1:7004 127.0.0.1:7001 --cluster-slave --cluster-master-id eeee",
            "redis-cli --cluster del-node 127.0.0.1:7001 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "redis-cli --cluster call 127.0.0.1:7001 INFO replication\nredis-cli --cluster info :7001\nredis-cli --cluster help",
            "redis-cli --cluster set-timeout 127.0.0.1:7001 5000\nredis-cli --cluster backup 127.0.0.1:7001 d\nredis-cli --cluster import x:1",
        ] {
            seeds.push(format!("{typed}\n\n{cluster}{cluster}").into_bytes());
        }
        seeds
    };
    let words = &[
        "redis-cli ",
        "\n",
        "\n\n",
        " | ",
        " | xargs ",
        " < ",
        " > ",
        " >> ",
        "; ",
        " && ",
        "\"",
        "'",
        "--cluster ",
        "-n ",
        "-i ",
        "-r ",
        "127.0.0.1:7001 ",
        "\r\n",
        "$-1\r\n",
        "*-1\r\n",
        ">2\r\n",
        "%1\r\n",
        "+OK\r\n",
        "-MOVED 5 127.0.0.1:7001\r\n",
        "-ASK 5 :0\r\n",
        "-LOADING x\r\n",
        "sleep ",
        "{",
        "}",
        "\u{1b}[2J",
        "1e9",
        "yes\n",
        "all\n",
        "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n",
    ];
    fuzz(&Target { name: "terminal", seeds, words, run: terminal });
}

// -- help while typing ------------------------------------------------------------------------------------------------

fn help(input: &[u8]) -> Went {
    let line = String::from_utf8_lossy(input);
    let mut end = 0;
    for (range, _) in assist::highlight(&line) {
        assert!(range.start >= end && line.get(range.clone()).is_some(), "{range:?} of {line:?}");
        end = range.end;
    }
    let keys = [Bytes::from("cart:42"), Bytes::copy(b"\xff\x00 \"")];
    let texts = [String::from("maxmemory"), String::from("two words")];
    let named = [("goals", "about"), ("ls", "about")];
    let cursor = input.first().map_or(0, |byte| usize::from(*byte) * line.len() / 255);
    let mut found = 0;
    for in_shell in [false, true] {
        let vocabulary =
            Vocabulary { keys: &keys, parameters: &texts, lab: &named, shell: &named, files: &texts, in_shell };
        for cursor in [line.len(), cursor] {
            let completion = assist::complete(&line, cursor, &vocabulary);
            assert!(line.get(completion.start..completion.end).is_some(), "{line:?} {completion:?}");
            found += completion.candidates.len();
        }
    }
    let explained = assist::explain(&line, cursor).map(|it| (it.command.name, it.next));
    let hint = assist::hint(&line);
    assert!(!hint.contains('\u{1b}'));
    let _ = (assist::is_sensitive(&line), assist::explain::keys_of(&line), word::parse(&line).is_some());
    let _ = assist::atlas::page(&line).is_some();
    went(explained.is_some(), (explained, hint.len().min(12), found.min(4)))
}

#[test]
fn help_for_any_line() {
    let seeds = || {
        seeds_of(&[
            "SET cart:42 \"two words\" EX 60 NX GET",
            "3 XADD s:g NOMKSTREAM MAXLEN ~ 10 LIMIT 5 * a b c d",
            "ZADD z NX GT CH 1 a 2 b",
            "CONFIG SET maxm",
            "GEOSEARCH g FROMMEMBER a BYBOX 1 2 km ASC COUNT 3 ANY WITHCOORD",
            "EVAL \"return {KEYS[1]}\" 1 a b",
            "MIGRATE h 1 a 0 5 COPY AUTH p KEYS a b",
            ":net cut a b",
            "redis-cli -a x SET a b",
            "client kill id 5 skipme",
            "BITFIELD a GET u8 0 OVERFLOW SAT INCRBY i5 #1 1",
        ])
    };
    let words = &[
        "SET ",
        "get ",
        " ",
        "\"",
        "'",
        "STREAMS ",
        "KEYS ",
        " 2 ",
        "99999999999",
        "config ",
        "xread ",
        "LIMIT ",
        ":",
        "\u{e9}",
        "zunionstore ",
        "acl setuser ",
        "-1 ",
    ];
    fuzz(&Target { name: "help", seeds, words, run: help });
}

// -- files of the learner ---------------------------------------------------------------------------------------------

fn program(input: &[u8]) -> Went {
    let text = String::from_utf8_lossy(input);
    let program = match Program::parse("sell.txt", &text) {
        Ok(program) => program,
        Err(why) => return went(false, why.split(' ').map(str::len).take(12).collect::<Vec<_>>()),
    };
    let values = [
        Reply::Int(i64::MAX),
        Reply::bulk("10"),
        Reply::Nil,
        Reply::QUEUED,
        Reply::Array(vec![Reply::bulk("a"), Reply::error("ERR no")]),
    ];
    let mut failed = 0;
    for shift in 0..values.len() {
        let mut names = Names::new();
        for (index, line) in program.lines.iter().enumerate() {
            let last = &values[(index + shift) % values.len()];
            match &line.what {
                What::Send { into, words } => {
                    failed += usize::from(program.filled(words, &names).is_err());
                    names.extend(into.clone().map(|into| (into, last.clone())));
                }
                What::Stop(condition) | What::Again(condition) => {
                    failed += usize::from(program.holds(condition, &names, last).is_err());
                }
            }
        }
    }
    went(true, (program.commands().min(9), program.lines.len().min(9), failed.min(9)))
}

#[test]
fn programs_of_any_text() {
    let seeds = || {
        seeds_of(&[
            "n = GET stock\n\n# less one\nSET stock {n-1}\nSET log \"{n} left\"\nstop if {n} < 1\nagain if nil\n",
            "WATCH stock\na = GET stock\nb = GET {user7}:stock\nMULTI\nSET stock {a+b}\nEXEC\nagain if error\nSET c {a*-3}\n",
            "stop if {n} != nil\nn = INCR a\nEVAL \"return {1}\" 0 {n}\nagain if {n} >= 9223372036854775807\n",
        ])
    };
    let words = &[
        "{n}",
        "{n-1}",
        "{n+",
        "}",
        "{",
        "n = ",
        "stop if ",
        "again if ",
        "nil",
        "error",
        " < ",
        " >= ",
        " = ",
        "\n",
        "\"",
        "9223372036854775807",
        "-9223372036854775808",
        "{a*a}",
        "#",
        "\u{e9}",
    ];
    fuzz(&Target { name: "program", seeds, words, run: program });
}

fn progress(input: &[u8]) -> Went {
    let text = String::from_utf8_lossy(input);
    let kept = serde_json::from_slice::<Progress>(input);
    if let Ok(kept) = &kept {
        let again = serde_json::to_string(kept).expect("texts and numbers");
        assert_eq!(serde_json::from_str::<Progress>(&again).ok().as_ref(), Some(kept));
    }
    let Some(saved) = journal::parse(&text) else { return went(kept.is_ok(), kept.is_ok()) };
    let again = journal::parse(&journal::text(&saved, saved.entries.len()));
    assert_eq!(again.as_ref(), Some(&saved));
    went(true, (saved.entries.len().min(9), saved.entries.last().map(std::mem::discriminant)))
}

#[test]
fn progress_of_any_bytes() {
    let seeds = || {
        seeds_of(&[
            "{\"format\":1,\"here\":\"warmup.key\",\"lessons\":{\"warmup.key\":{\"hash\":\"ab\",\"solved\":[\"a\",\"b\"]}}}",
            "{\"format\":1,\"lesson\":\"a.b\",\"hash\":\"ab\"}\n{\"line\":{\"terminal\":0,\"text\":\"SET a \\\"b\\\"\"}}\n{\"advance\":500}\n{\"interrupt\":{\"terminal\":1}}\n{\"write_file\":{\"path\":\"redis.conf\",\"text\":\"port 1\\n\"}}\n{\"go_to\":2}\n",
        ])
    };
    let words = &["{", "}", "\n", "\"", "\\u0000", "[", "]", ",", ":", "null", "18446744073709551616", "{\"go_to\":"];
    fuzz(&Target { name: "progress", seeds, words, run: progress });
}

// -- a lesson ---------------------------------------------------------------------------------------------------------

/// Lessons with different machines: one server, a SQL database, files, three terminals, two servers, a cluster.
const LESSONS: [&str; 6] = ["0.1", "1.4", "1.6", "2.4", "4.2", "5.3"];

fn sessions() -> Vec<Session> {
    let course = Course::bundled();
    let open = |number: &&str| {
        let lesson = course.lesson(number).expect("it is in the course");
        Session::open(lesson, &backend::lesson::embedded, None)
    };
    LESSONS.iter().map(open).collect()
}

/// The first byte chooses the lesson; then lines, each behind a digit for its terminal.
fn session(input: &[u8]) -> Went {
    thread_local! {
        static SESSIONS: Vec<Session> = sessions();
    }
    let Some((&which, rest)) = input.split_first() else { return Went::default() };
    let which = usize::from(which) % LESSONS.len();
    let mut session = SESSIONS.with(|all| all[which].fork()).expect("it can be copied");
    let typed = String::from_utf8_lossy(rest);
    let mut effects = 0;
    for line in typed.lines().take(10) {
        let terminal = line.bytes().next().map_or(0, |byte| usize::from(byte % 4));
        let text = line.strip_prefix(|letter: char| letter.is_ascii_digit()).unwrap_or(line);
        let response = session.submit(terminal.min(session.terminals().len() - 1), text);
        is_clean(response.lines.iter().map(|(_, line)| line));
        effects += response.effects.len();
        session.advance(Millis(line.len() as u64 * 20));
        session.interrupt(0);
    }
    let solved = session.exercises().iter().filter(|exercise| exercise.solved).count();
    let met = session.exercises().iter().flat_map(|it| &it.goals).filter(|goal| goal.met).count();
    went(met > 0, (which, solved, met, effects.min(9), session.terminals().len()))
}

#[test]
fn lessons_with_any_lines() {
    let seeds = || {
        let mut seeds = seeds_of(&[
            "\u{0}0SET greeting hello\n0GET greeting\n0:answer 1\n0:next\n0:hint\n0:solve\n0:undo\n0:redo\n0:goals",
            "\u{1}0SET session:a1 alice\n1sql\n1SELECT * FROM sessions;\n0:why session:a1\n0:show timeline",
            "\u{2}0SAVE\n1kill -9 6379\n1redis-server redis.conf\n1ls -l\n1power-cut\n1cat redis.conf\n0GET a\n0:twin",
            "\u{3}0WATCH stock:plum\n1DECR stock:plum\n0MULTI\n0SET stock:plum 9\n0EXEC\n0:orders\n0:orders 1\n0:orders next",
            "\u{4}0SET a b\n1redis-cli -p 6380 KEYS *\n1redis-cli CONFIG SET maxmemory 1mb\n0:policies redis-cli SET c d\n0:time +1h",
            "\u{5}0SET cart:42 x\n1redis-cli -c -p 7001 GET cart:42\n1redis-cli --cluster check 127.0.0.1:7001\n0:net cut 7001 7002\n0:net",
        ]);
        // What each lesson's authors typed.
        let course = Course::bundled();
        for (index, number) in LESSONS.iter().enumerate() {
            let lesson = course.lesson(number).expect("it is in the course");
            for exercise in &lesson.exercises {
                let lines = exercise.solutions.iter().flat_map(|script| &script.0).flat_map(|step| &step.lines);
                let typed: String = lines.take(10).map(|line| format!("0{}\n", line.text)).collect();
                seeds.push([&[index as u8], typed.as_bytes()].concat());
            }
        }
        seeds
    };
    let words = &[
        "\n0",
        "\n1",
        "\n2",
        ":undo",
        ":redo",
        ":reset",
        ":next",
        ":back",
        ":solve",
        ":orders",
        ":time +1d",
        ":net cut ",
        ":policies ",
        ":terminal x",
        "redis-cli ",
        "kill -9 6379",
        "redis-server redis.conf",
        "BLPOP l 0",
        "SUBSCRIBE x",
        "MONITOR",
        "MULTI",
        "EXEC",
        "sleep 1000000000",
        "EVAL \"while true do end\" 0",
        "DEBUG SLEEP 100",
        "SHUTDOWN",
        "CLUSTER RESET HARD",
        "FLUSHALL",
        "CONFIG SET ",
        "CLIENT PAUSE 100000",
        "REPLICAOF 127.0.0.1 6379",
    ];
    fuzz_some(30, &Target { name: "session", seeds, words, run: session });
}

//! Parsers of text and of the wire.

use crate::harness::{Target, Went, fuzz, shape, went};
use redlab::base::{Bytes, Millis, Rng, float, glob, quote};
use redlab::engine::acl::{self, User};
use redlab::engine::cluster::conf::Reader;
use redlab::engine::cluster::{Cluster, Flags, plan};
use redlab::engine::config::{Config, PARAMETERS, file, value};
use redlab::engine::notify;
use redlab::engine::persist::aof::manifest::Manifest;
use redlab::engine::value::stream::Id;
use redlab::lesson::{Course, Source, prose};
use redlab::resp::decode::{Limits, Replies, Requests};
use redlab::resp::render::{self, Form};
use redlab::resp::{Protocol, encode};
use redlab::transcript;
use std::collections::BTreeSet;
use std::sync::LazyLock;

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The same bytes, in pieces of various sizes.
fn pieces(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rng = Rng::new(input.len() as u64);
    let mut at = 0;
    std::iter::from_fn(move || {
        let from = at;
        let most = 1 << rng.below(8);
        at = (at + 1 + rng.below(most)).min(input.len());
        (from < input.len()).then(|| &input[from..at])
    })
}

// -- the wire ---------------------------------------------------------------------------------------------------------

fn requests(input: &[u8]) -> Went {
    let limits = Limits { bulk_len: 4096, unauthenticated: input.len().is_multiple_of(3) };
    let read = |requests: &mut Requests, all: &mut Vec<Vec<Bytes>>| loop {
        match requests.next(limits) {
            Ok(Some(args)) => {
                assert!(!args.is_empty());
                all.push(args);
            }
            Ok(None) => return None,
            Err(error) => return Some(error.0),
        }
    };
    let mut whole = (Requests::new(), Vec::new());
    whole.0.feed(input);
    let error = read(&mut whole.0, &mut whole.1);
    let mut split = (Requests::new(), Vec::new());
    let mut split_error = None;
    for piece in pieces(input) {
        split.0.feed(piece);
        split_error = read(&mut split.0, &mut split.1);
        if split_error.is_some() {
            break;
        }
    }
    assert_eq!(whole.1, split.1, "requests depend on how they were cut");
    // How much came before a line was too long to be waited for depends on the pieces; that it was, does not.
    assert_eq!(error, split_error);
    for args in &whole.1 {
        let mut again = Vec::new();
        encode::request(&mut again, args);
        let mut requests = Requests::new();
        requests.feed(&again);
        assert_eq!(requests.next(Limits::default()).as_ref().map(Option::as_ref), Ok(Some(args)));
    }
    went(!whole.1.is_empty(), (whole.1.len().min(6), whole.1.first().map(|args| args.len().min(6)), error))
}

fn replies(input: &[u8]) -> Went {
    let read = |replies: &mut Replies, all: &mut Vec<_>| loop {
        match replies.next_reply() {
            Ok(Some(reply)) => all.push(reply),
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    };
    let mut whole = (Replies::new(), Vec::new());
    whole.0.feed(input);
    let error = read(&mut whole.0, &mut whole.1);
    let mut split = (Replies::new(), Vec::new());
    let mut split_error = None;
    for piece in pieces(input) {
        split.0.feed(piece);
        split_error = read(&mut split.0, &mut split.1);
        if split_error.is_some() {
            break;
        }
    }
    let encoded = |all: &[redlab::resp::Reply], protocol| {
        let mut out = Vec::new();
        all.iter().for_each(|reply| encode::reply(&mut out, reply, protocol));
        out
    };
    let once = encoded(&whole.1, Protocol::Resp3);
    assert_eq!(once, encoded(&split.1, Protocol::Resp3), "replies depend on how they were cut");
    assert_eq!(error, split_error);
    let (mut again, mut back) = (Replies::new(), Vec::new());
    again.feed(&once);
    assert_eq!(read(&mut again, &mut back), None);
    assert_eq!(once, encoded(&back, Protocol::Resp3), "what was written is read as it was");
    encoded(&whole.1, Protocol::Resp2);
    for reply in &whole.1 {
        for form in [Form::Tty, Form::Raw, Form::Csv, Form::Json, Form::QuotedJson] {
            let _ = render::text(reply, form);
        }
        let _ = render::invalidation(reply);
    }
    went(!whole.1.is_empty(), (whole.1.len().min(4), whole.1.first().map(std::mem::discriminant), error))
}

#[test]
fn requests_of_any_bytes() {
    let seeds = || {
        bytes(&[
            "*3\r\n$3\r\nSET\r\n$4\r\ncart\r\n$2\r\n42\r\n",
            "PING\r\nset cart:42 \"a b\"\r\n",
            "*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
            "\r\n*0\r\n*-1\r\nget 'x y' \"\\x41\\n\"\n",
        ])
    };
    let words = &["*", "$", "\r\n", "*3\r\n", "$-1\r\n", "\"", "'", "\\x", "\0", "*2147483647\r\n", "$4096\r\n"];
    fuzz(&Target { name: "requests", seeds, words, run: requests });
}

#[test]
fn replies_of_any_bytes() {
    let seeds = || {
        bytes(&[
            "+OK\r\n-ERR no\r\n:42\r\n$5\r\nhello\r\n$-1\r\n*-1\r\n*2\r\n:1\r\n*0\r\n",
            "%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n,1.5\r\n#t\r\n_\r\n=7\r\ntxt:abc\r\n(123456789012345678901234567890\r\n",
            ">3\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n|1\r\n+ttl\r\n:3\r\n$2\r\nab\r\n!5\r\nERR x\r\n",
        ])
    };
    let words = &[
        "*2\r\n",
        "%1\r\n",
        "~1\r\n",
        ">2\r\n",
        "|1\r\n",
        ",nan\r\n",
        ",-inf\r\n",
        "$3\r\nabc\r\n",
        "=5\r\ntxt:a\r\n",
    ];
    fuzz(&Target { name: "replies", seeds, words, run: replies });
}

/// A reply nested a thousand times is refused, and not followed to the end of the stack.
#[test]
fn nested_replies_end_somewhere() {
    replies(&b"*1\r\n".repeat(100_000));
    replies(&b"|1\r\n".repeat(100_000));
}

// -- lines and patterns -----------------------------------------------------------------------------------------------

fn line(input: &[u8]) -> Went {
    let words = quote::split(input);
    if let Ok(words) = &words {
        assert_eq!(&quote::split(quote::line_of(words).as_bytes()).expect("well quoted"), words);
        for word in words {
            let shown = quote::repr(word);
            assert!(shown.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{shown}");
        }
    }
    let (pieces, unbalanced) = quote::pieces(input);
    let _ = transcript::parse(&String::from_utf8_lossy(input));
    went(words.is_ok(), (words.is_ok(), pieces.len().min(8), unbalanced.is_some()))
}

#[test]
fn lines_of_any_bytes() {
    let seeds =
        || bytes(&["SET cart:42 \"two words\" 'it\\'s' \\x00", "> SET k v\nOK\nbob> GET k\n\"v\"\n", "a\"b\"c 'd'e"]);
    let words = &["\"", "'", "\\x", "\\x4", "\\\"", "\\'", " ", "> ", "\n", "bob> "];
    fuzz(&Target { name: "lines", seeds, words, run: line });
}

fn pattern(input: &[u8]) -> Went {
    let at = input.iter().position(|byte| *byte == 0).unwrap_or(input.len() / 2).min(input.len());
    let (pattern, text) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    let matched = glob::matches(pattern, text);
    if glob::is_literal(pattern) {
        assert_eq!(matched, pattern == text);
    }
    let lower = |bytes: &[u8]| bytes.to_ascii_lowercase();
    if matched && !pattern.contains(&b'[') && !pattern.contains(&b'\\') {
        assert!(glob::matches_nocase(&lower(pattern), &lower(text)));
    }
    went(matched, (matched, pattern.len().min(9), glob::matches_nocase(pattern, text)))
}

#[test]
fn patterns_of_any_bytes() {
    let seeds =
        || bytes(&["cart:*\0cart:42", "h[^a-c]?\\*\0hello*", "*a*a*a*a*b\0aaaaaaaaaaaaaaaaaaaaaaaaaa", "[z-a\0b"]);
    let words = &["*", "**", "?", "[", "[^", "]", "\\", "-", "*a*a*a*a*a*a*a*a*"];
    fuzz(&Target { name: "patterns", seeds, words, run: pattern });
}

/// Redis' own limit on how patterns may recurse: without one this takes longer than anybody lives.
#[test]
fn a_hostile_pattern_takes_no_time() {
    pattern(&["*a".repeat(2_000).into_bytes(), b"b\0".to_vec(), b"a".repeat(4_000)].concat());
    pattern(&["*?".repeat(2_000).into_bytes(), b"b\0".to_vec(), b"a".repeat(4_000)].concat());
}

fn number(input: &[u8]) -> Went {
    let parsed = float::parse(input);
    if let Some(parsed) = parsed {
        let text = float::text(parsed);
        let again = float::parse(text.as_bytes());
        assert!(again.is_some_and(|again| again == parsed), "{parsed:?} {text} {again:?}");
    }
    let (a, b) = input.split_at(input.iter().position(|byte| *byte == b' ').unwrap_or(0));
    let sum = float::add(a, b.strip_prefix(b" ").unwrap_or(b));
    if let Ok(sum) = &sum {
        assert!(float::add(sum.as_bytes(), b"0").is_ok(), "{sum}");
    }
    let size = value::bytes_of(input);
    let _ = notify::parse(input);
    if let Some(id) = Id::parse(input, 7) {
        assert_eq!(Id::parse(id.to_string().as_bytes(), 0), Some(id));
        assert_eq!(Id::from_be_bytes(id.to_be_bytes()), id);
        assert!(id.next().is_none_or(|next| next.previous() == Some(id)));
    }
    let _ = Id::parse_open(input);
    went(
        parsed.is_some() || sum.is_ok(),
        (parsed.is_some(), sum.is_ok(), size.map(|size| size > 1 << 20), input.len().min(24)),
    )
}

#[test]
fn numbers_of_any_bytes() {
    let seeds = || {
        bytes(&[
            "3.0e3 10.50",
            "-0",
            "inf",
            "1e308 1e308",
            "0x1p-3",
            "5.0e-324",
            "17gb",
            "KEA$lshzxetdmn",
            "1700000000000-0",
            "5-*",
        ])
    };
    let words = &["e", "E+", ".", "-", "+", "inf", "nan", "0x", "p", "kb", "GB", " ", "99999999999999999999", "e4932"];
    fuzz(&Target { name: "numbers", seeds, words, run: number });
}

// -- configuration ----------------------------------------------------------------------------------------------------

fn all_of(config: &Config) -> Vec<(&'static str, Bytes)> {
    config.matching(&[Bytes::from("*")])
}

fn config(input: &[u8]) -> Went {
    // Bytes that are no text are not kept everywhere: nobody can write them into a file by hand.
    let text = String::from_utf8_lossy(input);
    let input = text.as_bytes();
    match file::from_text(input) {
        Err(lines) => went(false, (file::faults(input).len().min(4), lines.last().map(|line| shape(line)))),
        // Sixteen addresses, some with blanks in quotes, are more of them when they are written: as in Redis.
        Ok(config) if config.text("bind").split(|byte| *byte == b' ').count() > 16 => went(true, 16usize),
        Ok(config) => {
            let again = config.rewritten(input, &[]);
            let back = file::from_text(&again);
            let back =
                back.unwrap_or_else(|lines| panic!("rewritten, it is refused: {lines:?}\n{}", again.escape_ascii()));
            let all = all_of(&config);
            for ((name, one), (_, other)) in all.iter().zip(all_of(&back)) {
                // Empty words of a list are lost, as they are in Redis.
                let words = |text: &[u8]| {
                    text.split(u8::is_ascii_whitespace)
                        .filter(|it| !it.is_empty())
                        .map(<[u8]>::to_vec)
                        .collect::<Vec<_>>()
                };
                assert!(*one == other || words(one) == words(&other), "{name}, rewritten:\n{}", again.escape_ascii());
            }
            static DEFAULT: LazyLock<Vec<(&str, Bytes)>> = LazyLock::new(|| all_of(&Config::default()));
            let changed = all.iter().zip(&*DEFAULT).filter(|(a, b)| a != b).count();
            went(true, changed)
        }
    }
}

#[test]
fn configurations_of_any_bytes() {
    let seeds = || {
        let mut seeds = bytes(&[
            "port 7000\nsave 60 1000 300 10\nappendonly yes\nmaxmemory 100mb\nmaxmemory-policy allkeys-lru\n",
            "# a comment\nrequirepass \"pass word\"\nuser alice on >secret ~cart:* +@read\nbind 127.0.0.1 -::1\n",
            "client-output-buffer-limit pubsub 32mb 8mb 60\noom-score-adj-values 0 200 800\nnotify-keyspace-events KEA\n",
            "rename-command CONFIG \"\"\ninclude other.conf\nloadmodule x.so\nsave \"\"\n",
        ]);
        let config = Config::default();
        seeds.push(config.rewritten(b"", &[]));
        for (name, text) in all_of(&config) {
            seeds.push(format!("{name} {}\n", quote::word_of(&text)).into_bytes());
        }
        seeds
    };
    let words =
        &["yes", "no", "\n", "\"\"", "save ", "user ", " 10", "mb", "kb", "%", "include ", "port ", "bind ", "-1"];
    fuzz(&Target { name: "config", seeds, words, run: config });
}

/// The rest of redis-server's command line, and the files that it names.
struct Disk(Vec<u8>);

impl file::Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        match path {
            "redis.conf" | "d/a.conf" => Ok(self.0.clone()),
            "other.conf" => Ok(b"port 7001\ninclude redis.conf\n".to_vec()),
            _ => Err(String::from("No such file or directory")),
        }
    }
    fn beside(&self, _: &str) -> Vec<String> {
        ["d/a.conf", "d/b.conf"].map(String::from).to_vec()
    }
}

/// Words in lines; behind an empty one the text of the file.
fn arguments(input: &[u8]) -> Went {
    let text = String::from_utf8_lossy(input);
    let (words, contents) = text.split_once("\n\n").unwrap_or((&text, ""));
    let words: Vec<String> = words.lines().map(str::to_owned).collect();
    match file::from_args(&words, &Disk(contents.as_bytes().to_vec())) {
        Err(lines) => went(false, (lines.len(), lines.last().map(|line| shape(line)))),
        Ok(config) => went(true, (config.port, config.file.is_some(), config.save.len().min(4))),
    }
}

#[test]
fn arguments_of_any_text() {
    let seeds = || {
        bytes(&[
            "redis.conf\n--port\n7000\n--save\n\n\ninclude other.conf\nsave 60 1\n",
            "--save\n60\n1\n--save\n--appendonly\nyes\n--user\nalice on ~* +@all\n\nx",
            "d/*.conf\n--maxmemory=1gb\n--loglevel\nverbose\n--bind\n127.0.0.1\n::1\n\ninclude d/*.conf\nport 1",
            "--cluster-enabled\nyes\n--client-output-buffer-limit\nreplica\n0\n0\n0\n\n",
        ])
    };
    let words = &[
        "--",
        "-",
        "\n",
        "\n\n",
        "include redis.conf\n",
        "--port\n",
        "--save\n",
        "yes",
        "\"",
        "'",
        " ",
        "d/[ab].conf",
    ];
    fuzz(&Target { name: "arguments", seeds, words, run: arguments });
}

fn parameter(input: &[u8]) -> Went {
    let Some((which, text)) = input.split_first_chunk::<2>() else { return Went::default() };
    let parameter = &PARAMETERS[usize::from(u16::from_le_bytes(*which)) % PARAMETERS.len()];
    let mut config = Config::default();
    match config.set_text(parameter, &Bytes::copy(text)) {
        Err(error) => went(false, (parameter.name, shape(&error))),
        Ok(()) => {
            let shown = config.text_of(parameter);
            let mut again = Config::default();
            let set = again.set_text(parameter, &shown);
            assert_eq!(set, Ok(()), "{} does not take what it shows: {}", parameter.name, shown.escape_ascii());
            assert_eq!(again.text_of(parameter), shown, "{}", parameter.name);
            went(true, (parameter.name, shown.len().min(4)))
        }
    }
}

#[test]
fn parameters_of_any_text() {
    let seeds = || {
        let config = Config::default();
        let one = |index: usize| [&(index as u16).to_le_bytes()[..], &*config.text_of(&PARAMETERS[index])].concat();
        (0..PARAMETERS.len()).map(one).collect()
    };
    let words =
        &["yes", "no", "10", "-1", "mb", "100%", " ", "allkeys-lfu", "always", "3600 1", "replica 0 0 0", "\"", "''"];
    fuzz(&Target { name: "parameters", seeds, words, run: parameter });
}

// -- users ------------------------------------------------------------------------------------------------------------

fn rules(input: &[u8]) -> Went {
    let mut user = User::new(b"alice", input.len().is_multiple_of(2));
    let words: Vec<Bytes> = input.split(|byte| *byte == b'\n').map(Bytes::copy).collect();
    let Ok(words) = acl::merge_selectors(&words) else { return went(false, 1) };
    let mut refused = None;
    for word in &words {
        refused = refused.or(user.apply(word, false).err());
    }
    // Written down, such a pattern cannot be told from the end of a selector; Redis has the same trouble.
    let inner = |word: &Bytes| word.strip_prefix(b"(").unwrap_or(word).to_vec();
    if words.iter().any(|word| inner(word).iter().rev().skip(1).any(|byte| b"()".contains(byte))) {
        return went(refused.is_none(), 2);
    }
    // Shown as `~*`, which means something else when it is read again: in Redis too.
    if input.windows(2).any(|pair| pair == b"~*") && input.contains(&b'%') {
        return went(refused.is_none(), 3);
    }
    let described = user.describe();
    let all: Vec<Bytes> = described.split(|byte| *byte == b' ').map(Bytes::copy).collect();
    let mut again = User::new(b"alice", false);
    let all = acl::merge_selectors(&all[2..]).unwrap_or_else(|_| panic!("{}", described.escape_ascii()));
    for word in &all {
        again.apply(word, false).unwrap_or_else(|_| panic!("{} in {}", word.escape_ascii(), described.escape_ascii()));
    }
    assert_eq!(described.escape_ascii().to_string(), again.describe().escape_ascii().to_string());
    went(refused.is_none(), (refused.map(|error| error.text()), user.selectors().len().min(4), words.len().min(8)))
}

#[test]
fn rules_of_any_bytes() {
    let seeds = || {
        bytes(&[
            "on\n>secret\n~cart:*\n+@read\n-keys\n&news:*",
            "on\nnopass\nallkeys\nallchannels\n+@all\n-@dangerous\n+config|get",
            "(+get ~a*)\n(%R~b %W~c +set)\nresetkeys\nclearselectors\nsanitize-payload",
            "#9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n<secret\n!x",
        ])
    };
    let words = &[
        "\n",
        "+@",
        "-@",
        "+",
        "-",
        "~",
        "%RW~",
        "&",
        ">",
        "<",
        "#",
        "!",
        "(",
        ")",
        "all",
        "@all",
        "client|list",
        "reset",
    ];
    fuzz(&Target { name: "rules", seeds, words, run: rules });
}

fn aclfile(input: &[u8]) -> Went {
    match acl::file::parse(input, "users.acl", input.len().is_multiple_of(2)) {
        Err(error) => went(false, shape(&error)),
        Ok(users) => {
            let text = users.text();
            let again = acl::file::parse(&text, "users.acl", false);
            let again = again.unwrap_or_else(|error| panic!("{error}\n{}", text.escape_ascii()));
            assert_eq!(text.escape_ascii().to_string(), again.text().escape_ascii().to_string());
            went(true, users.users().len())
        }
    }
}

#[test]
fn aclfiles_of_any_bytes() {
    let seeds = || {
        bytes(&[
            "user default on nopass sanitize-payload ~* &* +@all\nuser alice on >secret resetchannels -@all +get\n",
            "user bob off (~a +get) (~b +set)\n\n# no\nuser bob on\n",
        ])
    };
    let words = &["user ", "\n", " on", " off", " (", ")", " ~*", " +@all", " >p", " &*", "default"];
    fuzz(&Target { name: "aclfile", seeds, words, run: aclfile });
}

// -- files of the server ----------------------------------------------------------------------------------------------

fn nodes_conf(input: &[u8]) -> Went {
    let text = String::from_utf8_lossy(input);
    match Cluster::load(&text, Millis(5), &mut Rng::new(3)) {
        Err(line) => went(false, line.split(' ').count().min(12)),
        Ok(cluster) => {
            let file = cluster.describe_all(Reader::File, Flags::HANDSHAKE);
            let again = Cluster::load(&file, Millis(5), &mut Rng::new(3));
            let again = again.unwrap_or_else(|line| panic!("it does not read what it wrote: {line}\n{file}"));
            assert_eq!(file, again.describe_all(Reader::File, Flags::HANDSHAKE));
            let _ = (cluster.table(), cluster.ranges());
            went(true, (cluster.count().min(9), file.len() / 64))
        }
    }
}

#[test]
fn nodes_conf_of_any_bytes() {
    let seeds = || {
        let mut rng = Rng::new(5);
        let texts = plan::formed(&[7000, 7001, 7002, 7003, 7004, 7005], 3, &mut rng);
        let mut seeds: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
        let id = "e".repeat(40);
        seeds.push(
            format!("{id} :0@0,,tls-port=0,shard-id={id} myself,master - 0 0 0 connected 0-5 7 [9->-{id}] [11-<-{id}]\nvars currentEpoch 5 lastVoteEpoch 3\n")
                .into_bytes(),
        );
        seeds
    };
    let words = &[
        "myself,",
        "master",
        "slave",
        "fail?",
        "fail",
        "handshake",
        "noaddr",
        "noflags",
        "0-16383",
        " [93-<-",
        "->-",
        "@",
        ",",
        "vars ",
        "\n",
        "nofailover",
        "disconnected",
    ];
    fuzz(&Target { name: "nodes-conf", seeds, words, run: nodes_conf });
}

fn manifest(input: &[u8]) -> Went {
    match Manifest::parse(input) {
        Err((_, _, fault)) => went(false, fault),
        Ok(manifest) if manifest.is_empty() => went(true, 16usize),
        Ok(manifest) => {
            let text = manifest.text();
            let again = Manifest::parse(text.as_bytes());
            let again = again.unwrap_or_else(|fault| panic!("{fault:?}\n{text}"));
            assert_eq!(text, again.text());
            went(true, (manifest.base.is_some(), manifest.incr.len().min(4), manifest.history.len().min(4)))
        }
    }
}

#[test]
fn manifests_of_any_bytes() {
    let seeds = || {
        bytes(&[
            "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n",
            "file \"x y\" seq 2 type b\nfile a seq 1 type h\n# no\nfile b seq 2 type i\nfile c seq 3 type i\n",
        ])
    };
    let words = &["file ", " seq ", " type ", "b\n", "i\n", "h\n", "\"", "#", "\n", "/", "9223372036854775807"];
    fuzz(&Target { name: "manifest", seeds, words, run: manifest });
}

// -- courses ----------------------------------------------------------------------------------------------------------

const OUTLINE: &str = "id: c\nformat: 1\ntitle: C\nmodules:\n  - title: One\n    lessons: [a/b]\n";

/// A lesson, its text, and perhaps the outline of its course, apart by `%%%`.
fn course(input: &[u8]) -> Went {
    let text = String::from_utf8_lossy(input);
    let (yaml, rest) = text.split_once("\n%%%\n").unwrap_or((&text, ""));
    let (markdown, outline) = rest.split_once("\n%%%\n").unwrap_or((rest, OUTLINE));
    let files = [("course.yaml", outline), ("a/b/lab.yaml", yaml), ("a/b/lesson.md", markdown)];
    let files = files.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    match Course::parse(&files) {
        Ok(course) => went(true, course.lessons().count()),
        Err(faults) => went(false, (faults.len().min(6), faults.first().map(|fault| shape(&fault.to_string())))),
    }
}

/// The files of this name in the course.
fn of_all_lessons(name: &str) -> Vec<String> {
    fn below(folder: &std::path::Path, name: &str, out: &mut Vec<String>) {
        let mut entries: Vec<_> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                below(&path, name, out);
            } else if path.ends_with(name)
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                out.push(text);
            }
        }
    }
    let mut out = Vec::new();
    below(&std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("lessons"), name, &mut out);
    out
}

/// Of these texts the shorter ones, as long as each has a word that none before it had: a change hits more of them.
fn different(mut texts: Vec<String>, is_word: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    texts.sort_by_key(String::len);
    let mut known = BTreeSet::new();
    let new = |text: &String| {
        let words = text.split([' ', '\n', '{', '[', ',']).filter(|word| is_word(word)).map(str::to_owned);
        words.filter(|word| known.insert(word.clone())).count() > 0
    };
    texts.into_iter().filter(new).map(String::into_bytes).collect()
}

/// The parts of an exercise, `    goals: ...` and what stands deeper.
fn parts_of(exercise: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for line in exercise.lines().skip(1) {
        match parts.last_mut() {
            Some(part) if line.starts_with("     ") => part.extend([line, "\n"]),
            _ => parts.push(format!("{line}\n")),
        }
    }
    parts
}

/// Lessons of one exercise, each with one part of an exercise of the course; the other parts that it needs are the shortest
/// that their lesson has.
fn small_lessons() -> Vec<Vec<u8>> {
    let name = |part: &str| part.split(':').next().unwrap_or_default().to_owned();
    let mut texts = Vec::new();
    for lesson in of_all_lessons("lab.yaml") {
        let (head, exercises) = lesson.split_once("exercises:\n").unwrap_or((&lesson, ""));
        let parts: Vec<String> = exercises.split("  - id: ").skip(1).flat_map(parts_of).collect();
        let needed = ["    title", "    task", "    predict", "    goals", "    wrong", "    hints", "    solutions"];
        let shortest = |wanted: &&str| parts.iter().filter(|part| name(part) == *wanted).min_by_key(|part| part.len());
        for part in &parts {
            let others = needed.iter().filter(|needed| name(part) != **needed).filter_map(shortest);
            let others: String = others.map(String::as_str).collect();
            let prose = "\n%%%\n---\ntitle: T\n---\n\ntext\n\n<!-- do: a -->\n";
            texts.push(format!("{head}exercises:\n  - id: a\n{others}{part}{prose}"));
        }
    }
    if let Some(shortest) = texts.iter().min_by_key(|text| text.len()) {
        texts.push(format!("{shortest}\n%%%\n{OUTLINE}outline:\n"));
    }
    different(texts, |word| word.ends_with(':'))
}

/// Three paragraphs at a time.
fn paragraphs() -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    for lesson in of_all_lessons("lesson.md") {
        let all: Vec<&str> = lesson.split("\n\n").collect();
        texts.extend(all.windows(3).map(|some| some.join("\n\n")));
    }
    different(texts, |word| word.len() < 6 && !word.contains(char::is_alphanumeric))
}

#[test]
fn courses_of_any_text() {
    let words = &[
        "\n",
        "  - ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "&a",
        "*a",
        "<<",
        "!!",
        "|\n",
        "> ",
        "---\n",
        "```redis\n",
        "```",
        "<!-- do: login -->",
        "\u{e9}",
        "~",
        "- - - ",
        "? ",
    ];
    fuzz(&Target { name: "course", seeds: small_lessons, words, run: course });
}

fn markdown(input: &[u8]) -> Went {
    let text: std::sync::Arc<str> = String::from_utf8_lossy(input).into();
    let page = prose::parse(&Source { path: String::from("lesson.md"), text: text.clone() }, None);
    let inlines = prose::inlines(&text);
    went(true, (page.blocks.len().min(12), inlines.len().min(12)))
}

#[test]
fn prose_of_any_text() {
    let words = &[
        "\n", "\n\n", "# ", "- ", "1. ", "> ", "`", "```", "**", "_", "[", "](", "<!--", "-->", "|", "---", "&amp;",
        "\t", "\u{301}", "![", "<b>",
    ];
    fuzz(&Target { name: "prose", seeds: paragraphs, words, run: markdown });
}

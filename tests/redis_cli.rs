//! Our renderings against the real redis-cli: a small server answers it with random replies, and what it prints must be
//! what we print, byte for byte. Skipped, visibly, where redis-cli is not installed; REDLAB_REQUIRE_ORACLE makes that an error.

use redlab::base::Rng;
use redlab::resp::decode::{Limits, Requests};
use redlab::resp::render::{self, Form};
use redlab::resp::{Protocol, Reply, encode};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

fn redis_cli_is_here() -> bool {
    let here = Command::new("redis-cli").arg("--version").output().is_ok_and(|output| output.status.success());
    if !here {
        assert!(std::env::var_os("REDLAB_REQUIRE_ORACLE").is_none(), "redis-cli is not installed");
        eprintln!("SKIPPED: redis-cli is not installed");
    }
    here
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    (0..rng.below(12))
        .map(|_| {
            if rng.below(3) == 0 {
                b"\\\"\n\r\t\x07\x08\x00\x1b,'\xc3\xa9"[rng.below(13)]
            } else {
                b'a' + rng.below(26) as u8
            }
        })
        .collect()
}

/// No big numbers: redis-cli 7.0 ends itself at one. Doubles are such as 7.0 and 7.2 write alike.
fn random_reply(rng: &mut Rng, depth: usize) -> Reply {
    let count = if rng.below(6) == 0 { 9 + rng.below(4) } else { rng.below(4) };
    let items = |rng: &mut Rng| (0..count).map(|_| random_reply(rng, depth + 1)).collect::<Vec<_>>();
    match rng.below(if depth < 3 { 11 } else { 8 }) {
        0 => Reply::Status(format!("STATUS {}", rng.below(100)).into()),
        1 => Reply::Error(format!("ERR \"{}\"", rng.below(100)).into()),
        2 => Reply::Int(rng.next_u64() as i64 >> rng.below(64)),
        3 => Reply::Bulk(bytes(rng).into()),
        4 => Reply::Nil,
        5 => Reply::Double([0.0, -1.5, 3.0, 1e20, f64::INFINITY, f64::NEG_INFINITY][rng.below(6)]),
        6 => Reply::Bool(rng.below(2) == 0),
        // Ours is text for people: what is no UTF-8 in it is shown as U+FFFD.
        7 => Reply::Verbatim("txt", bytes(rng).into_iter().filter(u8::is_ascii).collect()),
        8 => Reply::Array(items(rng)),
        9 => Reply::Set(items(rng)),
        _ => Reply::Map(items(rng).into_iter().map(|key| (key, random_reply(rng, depth + 1))).collect()),
    }
}

/// What redis-cli prints for `replies`, given one after the other.
fn printed(replies: &[Reply], flags: &[&str]) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut wire: Vec<Vec<u8>> = replies
        .iter()
        .map(|reply| {
            let mut out = Vec::new();
            encode::reply(&mut out, reply, Protocol::Resp3);
            out
        })
        .collect();
    wire.reverse();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut requests, mut chunk) = (Requests::new(), [0; 4096]);
        while let Ok(len @ 1..) = stream.read(&mut chunk) {
            requests.feed(&chunk[..len]);
            while let Ok(Some(args)) = requests.next(Limits::default()) {
                let answer = match args[0].to_ascii_lowercase().as_slice() {
                    b"x" => wire.pop().expect("one reply for each x"),
                    // What redis-cli asks by itself: HELLO 3 for JSON, COMMAND DOCS for its help.
                    _ => b"%0\r\n".to_vec(),
                };
                stream.write_all(&answer).unwrap();
            }
        }
    });
    let mut cli = Command::new("redis-cli")
        .args(["-p", &port])
        .args(flags)
        .env("FAKETTY", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    cli.stdin.take().unwrap().write_all("x\n".repeat(replies.len()).as_bytes()).unwrap();
    let output = cli.wait_with_output().unwrap();
    server.join().unwrap();
    output.stdout
}

#[test]
fn every_form_is_what_redis_cli_prints() {
    if !redis_cli_is_here() {
        return;
    }
    for (form, flags) in [
        (Form::Tty, &[][..]),
        (Form::Raw, &["--raw"]),
        (Form::Csv, &["--csv"]),
        (Form::Json, &["--json"]),
        (Form::QuotedJson, &["--quoted-json"]),
    ] {
        let mut rng = Rng::new(31);
        let replies: Vec<Reply> = (0..300).map(|_| random_reply(&mut rng, 0)).collect();
        let theirs = printed(&replies, flags);
        let mut at = 0;
        for (i, reply) in replies.iter().enumerate() {
            let ours = render::text(reply, form);
            let end = (at + ours.len()).min(theirs.len());
            assert!(
                theirs[at..end] == ours,
                "{form:?}, reply {i}: {reply:?}\nredis-cli: {}\nours:      {}",
                theirs[at..end].escape_ascii(),
                ours.escape_ascii()
            );
            at = end;
        }
        assert_eq!(at, theirs.len(), "{form:?}: redis-cli printed more");
    }
}

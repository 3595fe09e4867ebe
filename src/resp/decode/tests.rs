//! Requests and replies in pieces, at their limits, and as noise.

use super::*;
use crate::base::Rng;
use crate::resp::{Protocol, encode};

fn requests(bytes: &[u8]) -> Result<Vec<Vec<Bytes>>, String> {
    let mut requests = Requests::new();
    requests.feed(bytes);
    let mut all = Vec::new();
    while let Some(args) = requests.next(Limits::default()).map_err(|error| error.0)? {
        all.push(args);
    }
    Ok(all)
}

fn error(bytes: &[u8]) -> String {
    requests(bytes).expect_err("must be refused").replace("ERR Protocol error: ", "")
}

#[test]
fn requests_come_in_both_forms_and_empty_ones_are_skipped() {
    let all = requests(b"PING\r\n\r\n*0\r\n*-1\r\nset 'a b' \"\\x41\"\n*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n").unwrap();
    let args = |words: &[&str]| words.iter().map(|&word| Bytes::from(word)).collect::<Vec<_>>();
    assert_eq!(all, [args(&["PING"]), args(&["set", "a b", "A"]), args(&["GET", "\r\n"])]);
}

// Short arguments were read by a shorter way, which did not count them: no limit held for a request of many of them.
#[test]
fn what_a_request_that_never_ends_holds_is_counted_however_short_its_arguments_are() {
    let mut requests = Requests::new();
    requests.feed(b"*1000000\r\n");
    requests.feed(&b"$1\r\na\r\n".repeat(1000));
    assert_eq!(requests.next(Limits::default()), Ok(None));
    assert_eq!(requests.parsed(), 1000);
    assert!(requests.held() >= 1000 * size_of::<Bytes>());
}

#[test]
fn the_buffer_grows_and_shrinks_as_that_of_redis() {
    let mut requests = Requests::new();
    requests.feed(b"PING\r\n");
    assert_eq!(requests.capacity(), ROOM);
    requests.next(Limits::default()).unwrap();
    // A large argument has its room before it has come, and keeps it while it may still come.
    requests.feed(b"*2\r\n$4\r\nECHO\r\n$400000\r\n");
    assert_eq!(requests.next(Limits::default()), Ok(None));
    assert_eq!((requests.buffered(), requests.capacity()), (0, 400_002));
    requests.trim(2);
    assert_eq!(requests.capacity(), 400_002);
    let text = b"x".repeat(400_000);
    requests.feed(&[&text, b"\r\n".as_slice()].concat());
    assert_eq!(requests.next(Limits::default()).unwrap().map(|args| args[1].len()), Some(400_000));
    // Of a large buffer is given back what was not needed between two looks ...
    requests.trim(0);
    requests.feed(b"*2\r\n$4\r\nECHO\r\n$100\r\n");
    requests.trim(0);
    assert!((20..1000).contains(&requests.capacity()), "{}", requests.capacity());
    // ... and of an idle client's all that is free.
    requests.feed(b"x");
    requests.trim(3);
    assert!(requests.capacity() < 100, "{}", requests.capacity());
    requests.feed(&[&text[1..100], b"\r\nPING\r\n".as_slice()].concat());
    assert_eq!(requests.next(Limits::default()).unwrap().map(|args| args[1].len()), Some(100));
    assert_eq!(requests.next(Limits::default()).unwrap().map(|args| args.len()), Some(1));
}

#[test]
fn errors_have_redis_texts() {
    assert_eq!(error(b"*x\r\n"), "invalid multibulk length");
    assert_eq!(error(b"*2147483648\r\n"), "invalid multibulk length");
    assert_eq!(error(b"*+1\r\n"), "invalid multibulk length");
    assert_eq!(error(b"*1\r\nPING\r\n"), "expected '$', got 'P'");
    assert_eq!(error(b"*1\r\n$-1\r\n"), "invalid bulk length");
    assert_eq!(error(b"*1\r\n$536870913\r\n"), "invalid bulk length");
    assert_eq!(error(b"*1\r\n$ 1\r\n"), "invalid bulk length");
    assert_eq!(error(b"set 'a\r\n"), "unbalanced quotes in request");
    assert_eq!(error(&b"a".repeat(LINE_MAX + 1)), "too big inline request");
    assert_eq!(error(&[&b"a".repeat(LINE_MAX + 1), b"\r\n".as_slice()].concat()), "too big inline request");
    assert_eq!(error(&[b"*".as_slice(), &b"1".repeat(LINE_MAX)].concat()), "too big mbulk count string");
    assert_eq!(error(&[b"*".as_slice(), &b"1".repeat(LINE_MAX), b"\r\n"].concat()), "too big mbulk count string");
    assert_eq!(error(&[b"*1\r\n$".as_slice(), &b"1".repeat(LINE_MAX)].concat()), "too big bulk count string");
}

#[test]
fn a_client_without_a_password_may_send_little() {
    let limits = Limits { unauthenticated: true, ..Limits::default() };
    let refused = |bytes: &[u8]| {
        let mut requests = Requests::new();
        requests.feed(bytes);
        requests.next(limits).unwrap_err().0
    };
    assert_eq!(refused(b"*11\r\n"), "ERR Protocol error: unauthenticated multibulk length");
    assert_eq!(refused(b"*1\r\n$16385\r\n"), "ERR Protocol error: unauthenticated bulk length");
}

#[test]
fn a_huge_length_takes_no_memory() {
    let mut requests = Requests::new();
    requests.feed(b"*2147483647\r\n$536870912\r\n");
    assert_eq!(requests.next(Limits::default()), Ok(None));
    assert!(requests.args.capacity() <= 4 && requests.buffered() == 0);
}

#[test]
fn requests_in_any_pieces_are_the_same_requests() {
    let mut rng = Rng::new(21);
    for case in 0..500 {
        let sent: Vec<Vec<Vec<u8>>> =
            (0..1 + rng.below(4)).map(|_| (0..1 + rng.below(4)).map(|_| noise(&mut rng, 20)).collect()).collect();
        let mut wire = Vec::new();
        sent.iter().for_each(|args| encode::request(&mut wire, args));
        let (mut requests, mut got, mut at) = (Requests::new(), Vec::new(), 0);
        while at < wire.len() {
            let end = (at + 1 + rng.below(9)).min(wire.len());
            requests.feed(&wire[at..end]);
            at = end;
            while let Some(args) = requests.next(Limits::default()).unwrap() {
                got.push(args.into_iter().map(Bytes::into_vec).collect::<Vec<_>>());
            }
        }
        assert_eq!(got, sent, "case {case}");
    }
}

fn noise(rng: &mut Rng, len_max: usize) -> Vec<u8> {
    (0..rng.below(len_max)).map(|_| rng.below(256) as u8).collect()
}

fn random_reply(rng: &mut Rng, depth: usize) -> Reply {
    let items = |rng: &mut Rng| (0..rng.below(4)).map(|_| random_reply(rng, depth + 1)).collect::<Vec<_>>();
    match rng.below(if depth < 4 { 13 } else { 9 }) {
        0 => Reply::Status(format!("S{}", rng.below(9)).into()),
        1 => Reply::Error(format!("ERR {}", rng.below(9)).into()),
        2 => Reply::Int(rng.next_u64() as i64),
        3 => Reply::Bulk(noise(rng, 30).into()),
        4 => Reply::Nil,
        5 => Reply::Double(f64::from_bits(rng.next_u64() & !(0x7ff << 52) | (1023 << 52))),
        6 => Reply::Bool(rng.below(2) == 0),
        7 => Reply::Verbatim("txt", noise(rng, 30).into()),
        8 => Reply::BigNumber(rng.next_u64().to_string().into()),
        9 => Reply::Array(items(rng)),
        10 => Reply::Set(items(rng)),
        11 => Reply::Push(items(rng)),
        _ => Reply::Map(items(rng).into_iter().map(|item| (item, random_reply(rng, depth + 1))).collect()),
    }
}

#[test]
fn what_is_encoded_comes_back_the_same_in_any_pieces() {
    let mut rng = Rng::new(17);
    for case in 0..2000 {
        let sent = random_reply(&mut rng, 0);
        let mut wire = Vec::new();
        encode::reply(&mut wire, &sent, Protocol::Resp3);
        let (mut replies, mut got) = (Replies::new(), None);
        for piece in wire.chunks(1 + rng.below(40)) {
            assert!(got.is_none(), "case {case}: whole too early");
            replies.feed(piece);
            got = replies.next_reply().unwrap();
        }
        assert_eq!(got.as_ref(), Some(&sent), "case {case}");
    }
}

#[test]
fn what_a_client_sees_is_what_its_protocol_carries() {
    let mut rng = Rng::new(19);
    for case in 0..2000 {
        let sent = random_reply(&mut rng, 0);
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let mut wire = Vec::new();
            encode::reply(&mut wire, &sent, protocol);
            let mut replies = Replies::new();
            replies.feed(&wire);
            assert_eq!(replies.next_reply(), Ok(Some(sent.clone().seen_by(protocol))), "case {case}");
        }
    }
}

#[test]
fn both_null_kinds_of_resp2_are_told_apart() {
    let mut replies = Replies::new();
    replies.feed(b"$-1\r\n*-1\r\n|1\r\n+ttl\r\n:5\r\n+OK\r\n");
    assert_eq!(replies.next_reply(), Ok(Some(Reply::Nil)));
    assert_eq!(replies.next_reply(), Ok(Some(Reply::NilArray)));
    assert_eq!(replies.next_reply(), Ok(Some(Reply::OK)), "an attribute is left out");
    replies.feed(b"HTTP/1.1\r\n");
    assert_eq!(replies.next_reply(), Err("Protocol error, got \"H\" as reply type byte".to_owned()));
}

#[test]
fn no_bytes_panic() {
    let mut rng = Rng::new(23);
    for _ in 0..20_000 {
        let mut wire: Vec<u8> =
            (0..rng.below(40)).map(|_| b"*$+-:_%~>,#=(|!0123456789\r\n\r\n\r\n\0\"'ax"[rng.below(36)]).collect();
        if rng.below(4) == 0 {
            wire.extend(noise(&mut rng, 20));
        }
        let (mut requests, mut replies) = (Requests::new(), Replies::new());
        for piece in wire.chunks(1 + rng.below(12)) {
            requests.feed(piece);
            replies.feed(piece);
            while let Ok(Some(args)) = requests.next(Limits::default()) {
                assert!(!args.is_empty());
            }
            while let Ok(Some(_)) = replies.next_reply() {}
        }
    }
    let mut deep = Replies::new();
    deep.feed(&b"*1\r\n".repeat(100_000));
    assert!(deep.next_reply().is_err());
}

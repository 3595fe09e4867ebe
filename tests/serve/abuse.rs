//! Clients that mean no good, on real sockets: everybody else is served meanwhile, and nothing of theirs stays.

use crate::served::{Client, Served, wait_for};
use redlab::base::Rng;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Connections that are made, unless `REDLAB_FUZZ` says how many, and how many of them stay open at a time.
const CONNECTIONS: usize = 2_000;
const OPEN: usize = 150;

/// What somebody sends, and whether they wait to be told something.
fn abuse(rng: &mut Rng) -> (Vec<u8>, bool) {
    let text = |text: &str| text.as_bytes().to_vec();
    let sent = match rng.below(16) {
        0 => (0..rng.below(2_000)).map(|_| rng.next_u64() as u8).collect(),
        1 => text("*2147483647\r\n$3\r\nSET\r\n"),
        2 => text("*1048576\r\n$536870912\r\n"),
        3 => text("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870911\r\nx"),
        4 => vec![b'x'; 70_000],
        5 => [text("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$99999\r\n"), vec![b'y'; 30_000]].concat(),
        6 => text("*-5\r\n*0\r\n\r\n*x\r\n"),
        7 => text("$5\r\nhello\r\n"),
        8 => text("*1\r\n*1\r\n*1\r\n"),
        9 => text("\0\0\0\0\0"),
        10 => text("BLPOP nothing 0\r\n"),
        11 => text("SUBSCRIBE news\r\nPSUBSCRIBE *\r\n"),
        12 => text("MULTI\r\nGET big\r\nGET big\r\nWATCH a\r\n"),
        13 => text("CLIENT REPLY OFF\r\nGET big\r\nCLIENT TRACKING ON\r\nGET big\r\n"),
        14 => text(
            "EVAL \"for i = 1, 9 do redis.call('GET', 'big') end return 1\" 0\r\nPOST / HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        // More than they will ever read.
        _ => b"GET big\r\n".repeat(200),
    };
    (sent, rng.below(3) == 0)
}

#[test]
fn hostile_clients_stop_nobody_and_leave_nothing() {
    let served =
        Served::start(&["--save", "", "--client-output-buffer-limit", "normal 1mb 0 0", "--maxclients", "500"]);
    let mut healthy = served.client();
    healthy.ask(&format!("SET big {}", "x".repeat(100_000)));
    healthy.ask("SET cart:42 plums");
    let before = rss(&mut healthy);
    let mut rng = Rng::new(11);
    let mut open: Vec<TcpStream> = Vec::new();
    let (mut slowest, mut most) = (Duration::ZERO, before);
    let wanted = std::env::var("REDLAB_FUZZ").ok().and_then(|text| text.replace('_', "").parse().ok());
    for number in 0..wanted.unwrap_or(CONNECTIONS) {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", served.port)) else { panic!("it listens no more") };
        stream.set_nonblocking(true).expect("a socket");
        let (sent, waits) = abuse(&mut rng);
        // At once, or some bytes now and the rest never: whether it is taken is none of their business.
        let len = if rng.below(3) == 0 { rng.below(sent.len() + 1) } else { sent.len() };
        let _ = stream.write(&sent[..len]);
        if waits {
            let _ = stream.read(&mut [0; 10]);
        }
        if rng.below(2) == 0 {
            // Gone without a word: what was under way is lost.
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
        }
        open.push(stream);
        if open.len() > OPEN {
            drop(open.swap_remove(rng.below(OPEN)));
        }
        // Those who stay go on, a few bytes at a time.
        for _ in 0..2 {
            let at = rng.below(open.len());
            let _ = open[at].write(&sent[..sent.len().min(3)]);
        }
        if number % 20 == 0 {
            let began = Instant::now();
            assert_eq!(healthy.ask("GET cart:42"), "\"plums\"");
            slowest = slowest.max(began.elapsed());
        }
        if number % 500 == 0 {
            most = most.max(rss(&mut healthy));
        }
    }
    most = most.max(rss(&mut healthy));
    drop(open);
    wait_for("the others to be gone", || healthy.info("connected_clients") == "1");
    assert_eq!(healthy.info("blocked_clients"), "0");
    assert_eq!(healthy.ask("PUBSUB NUMPAT"), "(integer) 0");
    assert!(!served.log().contains("panicked"), "{}", served.log());
    assert!(slowest < Duration::from_secs(5), "somebody waited for {slowest:?}");
    // Each may have a buffer full of replies, and a request that has only begun.
    let bound = before + OPEN as u64 * (2 << 20) + (64 << 20);
    assert!(most < bound, "{most} bytes, {before} at first");
}

fn rss(client: &mut Client) -> u64 {
    client.info("used_memory_rss").parse().expect("a number")
}

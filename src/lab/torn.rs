//! A transaction in the log, cut off at every byte: a restart shows all of it or nothing.
//!
//! And Redis' own trap behind that: a cut in the middle of a command leaves the MULTI before it in the file. What is
//! written then stands behind an open MULTI, and the next start takes it for a part of the torn transaction; a rewrite of
//! the log heals that. Seen on redis-server 7.2.6 and 7.0.15.

use super::topology::{Server, Topology};
use super::world::World;
use crate::base::{Bytes, Millis, quote};
use crate::port::{Incoming, Signal};
use crate::resp::Reply;

const LOG: &str = "appendonlydir/appendonly.aof.1.incr.aof";
const BEFORE: [&str; 2] = ["100", "20"];
const AFTER: [&str; 2] = ["70", "50"];

fn world() -> World {
    let server = Server::new("redis", 6379, "save \"\"\nappendonly yes\nappendfsync always\n");
    World::new(&Topology { instances: vec![server], ..Topology::default() }, None)
}

fn ask(world: &mut World, lines: &[&str]) -> Reply {
    let connection = world.connect(6379, "").expect("the server runs");
    let mut last = Reply::None;
    for line in lines {
        world.send(connection, quote::split(line.as_bytes()).expect("well formed"));
        for incoming in world.receive(connection) {
            if let Incoming::Reply(reply) = incoming {
                last = reply;
            }
        }
    }
    world.hang_up(connection);
    last
}

fn end(world: &mut World, signal: Signal) {
    let pid = world.processes[0].pid;
    world.signal(pid, signal).expect("the server runs");
}

fn start(world: &mut World) {
    let spawned = world.spawn(&[String::from("redis.conf")]);
    assert!(spawned.pid.is_some(), "{:#?}", spawned.log);
}

fn balances(world: &mut World) -> Vec<String> {
    let Reply::Array(items) = ask(world, &["MGET account:alice account:bob"]) else { panic!("MGET answers a list") };
    let text =
        |item: Reply| if let Reply::Bulk(text) = item { text.lossy().into_owned() } else { String::from("(nil)") };
    items.into_iter().map(text).collect()
}

/// A server killed after `payment`, its log, and how long that was before the payment.
fn paid(payment: &[&str]) -> (World, Vec<u8>, usize) {
    let mut world = world();
    ask(&mut world, &["MSET account:alice 100 account:bob 20"]);
    let before = world.read_file(LOG).expect("the log is there").len();
    ask(&mut world, payment);
    assert_eq!(balances(&mut world), AFTER);
    end(&mut world, Signal::Kill);
    let log = world.read_file(LOG).expect("the log is there");
    (world, log, before)
}

/// The same world with its log cut to `len` bytes, started.
fn cut(world: &World, log: &[u8], len: usize) -> World {
    let mut copy = world.clone();
    copy.write_file(LOG, &log[..len]).expect("there is room");
    start(&mut copy);
    copy
}

const MULTI: [&str; 4] = ["MULTI", "DECRBY account:alice 30", "INCRBY account:bob 30", "EXEC"];
const SCRIPT: [&str; 1] =
    ["EVAL \"redis.call('DECRBY', KEYS[1], 30) redis.call('INCRBY', KEYS[2], 30)\" 2 account:alice account:bob"];

#[test]
fn a_transaction_cut_at_any_byte_is_all_or_nothing() {
    for payment in [&MULTI[..], &SCRIPT] {
        let (world, log, before) = paid(payment);
        for len in before..=log.len() {
            let found = balances(&mut cut(&world, &log, len));
            let expected = if len == log.len() { AFTER } else { BEFORE };
            assert_eq!(found, expected, "{payment:?}, {len} of {} bytes", log.len());
        }
    }
}

#[test]
fn two_commands_cut_in_between_are_half_a_payment() {
    let (world, log, before) = paid(&["DECRBY account:alice 30", "INCRBY account:bob 30"]);
    let halves = (before..log.len()).filter(|len| balances(&mut cut(&world, &log, *len)) == ["70", "20"]);
    assert!(halves.count() > 20, "every cut within the second command leaves half");
}

/// Where commands end in a log.
fn ends(log: &[u8]) -> Vec<usize> {
    let (mut at, mut ends) = (0, Vec::new());
    let number = |at: &mut usize| {
        let end = *at + log[*at..].iter().position(|byte| *byte == b'\r').expect("a line ends");
        let n = std::str::from_utf8(&log[*at + 1..end]).expect("digits").parse::<usize>().expect("digits");
        *at = end + 2;
        n
    };
    while at < log.len() {
        let words = number(&mut at);
        for _ in 0..words {
            let len = number(&mut at);
            at += len + 2;
        }
        ends.push(at);
    }
    ends
}

#[test]
fn what_is_written_after_a_torn_command_is_lost_at_the_next_start_unless_the_log_is_rewritten() {
    let (world, log, before) = paid(&MULTI);
    let ends = ends(&log);
    let multi = ends.iter().copied().find(|end| *end > before).expect("MULTI is in the log");
    for len in before..=log.len() {
        let order = |rewrite: bool| {
            let mut copy = cut(&world, &log, len);
            if rewrite {
                ask(&mut copy, &["BGREWRITEAOF"]);
                copy.advance(Millis(2000));
            }
            ask(&mut copy, &["SET order:43 paid"]);
            end(&mut copy, Signal::Term);
            start(&mut copy);
            ask(&mut copy, &["GET order:43"]) == Reply::Bulk(Bytes::from("paid"))
        };
        // Within a transaction, and not where a command ends.
        let dangling = len > multi && !ends.contains(&len);
        assert_eq!(order(false), !dangling, "{len} of {} bytes", log.len());
        assert!(order(true), "rewritten, {len} of {} bytes", log.len());
    }
}

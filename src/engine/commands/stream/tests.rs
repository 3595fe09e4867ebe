//! What needs several clients, the clock, or 7.2: the rest is recorded in tests/oracle/transcripts/stream.

use crate::base::Millis;
use crate::engine::Input;
use crate::engine::testing::{Lab, transcript};

#[test]
fn a_reader_waits_for_what_comes_after() {
    transcript(
        "
        > XADD log 1-1 a 1
        \"1-1\"
        bob> XREAD BLOCK 0 STREAMS log other $ 0
        > XADD log 1-2 a 2
        \"1-2\"
        bob>
        1) 1) \"log\"
           2) 1) 1) \"1-2\"
                 2) 1) \"a\"
                    2) \"2\"
        ",
    );
}

#[test]
fn a_dollar_means_the_moment_of_asking_even_if_woken_for_nothing() {
    transcript(
        "
        bob> XREAD BLOCK 0 STREAMS log $
        > MULTI
        OK
        > XADD log 1-1 a 1
        QUEUED
        > DEL log
        QUEUED
        > XADD log 1-2 a 2
        QUEUED
        > EXEC
        1) \"1-1\"
        2) (integer) 1
        3) \"1-2\"
        bob>
        1) 1) \"log\"
           2) 1) 1) \"1-2\"
                 2) 1) \"a\"
                    2) \"2\"
        ",
    );
}

#[test]
fn each_consumer_gets_its_own_share() {
    transcript(
        "
        > XGROUP CREATE log g $ MKSTREAM
        OK
        bob> XREADGROUP GROUP g b COUNT 1 BLOCK 0 STREAMS log >
        carol> XREADGROUP GROUP g c COUNT 1 BLOCK 0 STREAMS log >
        > MULTI
        OK
        > XADD log 1-1 a 1
        QUEUED
        > XADD log 1-2 a 2
        QUEUED
        > EXEC
        1) \"1-1\"
        2) \"1-2\"
        bob>
        1) 1) \"log\"
           2) 1) 1) \"1-1\"
                 2) 1) \"a\"
                    2) \"1\"
        carol>
        1) 1) \"log\"
           2) 1) 1) \"1-2\"
                 2) 1) \"a\"
                    2) \"2\"
        ",
    );
}

#[test]
fn who_waits_in_a_group_learns_that_it_is_gone() {
    for (end, error) in [
        ("XGROUP DESTROY log g", "NOGROUP No such key 'log' or consumer group 'g' in XREADGROUP with GROUP option"),
        ("DEL log", "NOGROUP No such key 'log' or consumer group 'g' in XREADGROUP with GROUP option"),
        ("FLUSHALL", "NOGROUP No such key 'log' or consumer group 'g' in XREADGROUP with GROUP option"),
        ("RENAME log other", "NOGROUP No such key 'log' or consumer group 'g' in XREADGROUP with GROUP option"),
        ("SWAPDB 0 1", "NOGROUP No such key 'log' or consumer group 'g' in XREADGROUP with GROUP option"),
        ("SET log text", "WRONGTYPE Operation against a key holding the wrong kind of value"),
    ] {
        let mut lab = Lab::new(1);
        lab.ask(&["XGROUP", "CREATE", "log", "g", "$", "MKSTREAM"]);
        lab.send("bob", &["XREADGROUP", "GROUP", "g", "b", "BLOCK", "0", "STREAMS", "log", ">"]);
        assert_eq!(lab.take("bob"), []);
        lab.ask(&end.split(' ').collect::<Vec<_>>());
        assert_eq!(lab.take("bob"), [crate::resp::Reply::error(error)], "{end}");
    }
}

#[test]
fn a_plain_reader_goes_on_waiting_when_the_key_goes() {
    transcript(
        "
        > XADD log 1-1 a 1
        \"1-1\"
        bob> XREAD BLOCK 1000 STREAMS log $
        > DEL log
        (integer) 1
        bob>
        > .sleep 1000
        bob>
        (nil)
        ",
    );
}

#[test]
fn seven_two_says_of_a_consumer_when_it_was_seen_and_when_it_got_something() {
    transcript(
        "
        > XGROUP CREATE log g $ MKSTREAM
        OK
        > XREADGROUP GROUP g b STREAMS log >
        (nil)
        > .sleep 300
        > XINFO CONSUMERS log g
        1) 1) \"name\"
           2) \"b\"
           3) \"pending\"
           4) (integer) 0
           5) \"idle\"
           6) (integer) 300
           7) \"inactive\"
           8) (integer) -1
        > XADD log 1-1 a 1
        \"1-1\"
        > XREADGROUP GROUP g b STREAMS log >
        1) 1) \"log\"
           2) 1) 1) \"1-1\"
                 2) 1) \"a\"
                    2) \"1\"
        > .sleep 200
        > XREADGROUP GROUP g b STREAMS log >
        (nil)
        > .sleep 100
        > XINFO CONSUMERS log g
        1) 1) \"name\"
           2) \"b\"
           3) \"pending\"
           4) (integer) 1
           5) \"idle\"
           6) (integer) 100
           7) \"inactive\"
           8) (integer) 300
        > XPENDING log g - + 10
        1) 1) \"1-1\"
           2) \"b\"
           3) (integer) 300
           4) (integer) 1
        > XINFO STREAM log FULL
         1) \"length\"
         2) (integer) 1
         3) \"radix-tree-keys\"
         4) (integer) 1
         5) \"radix-tree-nodes\"
         6) (integer) 2
         7) \"last-generated-id\"
         8) \"1-1\"
         9) \"max-deleted-entry-id\"
        10) \"0-0\"
        11) \"entries-added\"
        12) (integer) 1
        13) \"recorded-first-entry-id\"
        14) \"1-1\"
        15) \"entries\"
        16) 1) 1) \"1-1\"
               2) 1) \"a\"
                  2) \"1\"
        17) \"groups\"
        18) 1)  1) \"name\"
                2) \"g\"
                3) \"last-delivered-id\"
                4) \"1-1\"
                5) \"entries-read\"
                6) (integer) 1
                7) \"lag\"
                8) (integer) 0
                9) \"pel-count\"
               10) (integer) 1
               11) \"pending\"
               12) 1) 1) \"1-1\"
                      2) \"b\"
                      3) (integer) 1700000000300
                      4) (integer) 1
               13) \"consumers\"
               14) 1)  1) \"name\"
                       2) \"b\"
                       3) \"seen-time\"
                       4) (integer) 1700000000500
                       5) \"active-time\"
                       6) (integer) 1700000000300
                       7) \"pel-count\"
                       8) (integer) 1
                       9) \"pending\"
                      10) 1) 1) \"1-1\"
                             2) (integer) 1700000000300
                             3) (integer) 1
        ",
    );
}

#[test]
fn resp3_has_a_map_of_streams() {
    transcript(
        "
        > XADD log 1-1 a 1
        \"1-1\"
        > HELLO 3 SETNAME x
        ...
        > XREAD STREAMS log 0
        1# \"log\" =>
           1) 1) \"1-1\"
              2) 1) \"a\"
                 2) \"1\"
        ",
    );
}

#[test]
fn seven_two_refuses_an_id_below_a_deleted_one_and_names_the_command_that_is_unbalanced() {
    transcript(
        "
        > XADD log 5-1 a 1
        \"5-1\"
        > XADD log 5-2 a 1
        \"5-2\"
        > XDEL log 5-2
        (integer) 1
        > XSETID log 5-1
        (error) ERR The ID specified in XSETID is smaller than current max_deleted_entry_id
        > XREADGROUP GROUP g c STREAMS log other >
        (error) ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.
        > XREAD STREAMS log 0 other
        (error) ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.
        ",
    );
}

#[test]
fn what_replicas_are_told_does_not_depend_on_the_moment() {
    let mut lab = Lab::new(1);
    lab.ask(&["CONFIG", "SET", "appendonly", "yes"]);
    // The first rewrite comes to its end.
    lab.now += Millis(2000);
    lab.step(Input::Tick);
    lab.ask(&["CONFIG", "SET", "stream-node-max-entries", "2"]);
    let told = |lab: &mut Lab, line: &str| -> Vec<String> {
        let before = lab.appended();
        lab.ask(&line.split(' ').collect::<Vec<_>>());
        lab.appended()[before.len()..].to_vec()
    };
    for n in 1..=5 {
        lab.ask(&["XADD", "log", &format!("{n}-0"), "a", "1"]);
    }
    assert_eq!(told(&mut lab, "XADD log * a 1"), ["XADD log 1700000002000-0 a 1"]);
    assert_eq!(told(&mut lab, "XADD log MAXLEN ~ 3 * a 1"), ["XADD log MAXLEN = 3 1700000002000-1 a 1"]);
    assert_eq!(told(&mut lab, "XTRIM log MINID ~ 6"), Vec::<String>::new());
    assert_eq!(told(&mut lab, "XTRIM log MAXLEN ~ 1 LIMIT 100"), ["XTRIM log MAXLEN = 1 LIMIT 100"]);
    assert_eq!(told(&mut lab, "XGROUP CREATE log g 0"), ["XGROUP CREATE log g 0"]);
    assert_eq!(
        told(&mut lab, "XREADGROUP GROUP g bob STREAMS log >"),
        ["XCLAIM log g bob 0 1700000002000-1 TIME 1700000002000 RETRYCOUNT 1 FORCE JUSTID LASTID 1700000002000-1"]
    );
    assert_eq!(told(&mut lab, "XREADGROUP GROUP g bob STREAMS log 0"), Vec::<String>::new());
    lab.ask(&["XADD", "log", "1800000000000-0", "a", "1"]);
    assert_eq!(
        told(&mut lab, "XREADGROUP GROUP g carol NOACK STREAMS log >"),
        ["MULTI", "XGROUP CREATECONSUMER log g carol", "XGROUP SETID log g 1800000000000-0 ENTRIESREAD 8", "EXEC"]
    );
    assert_eq!(
        told(&mut lab, "XCLAIM log g dave 0 1700000002000-1 IDLE 50"),
        ["XCLAIM log g dave 0 1700000002000-1 TIME 1700000001950 RETRYCOUNT 3 FORCE JUSTID LASTID 1800000000000-0"]
    );
    assert_eq!(told(&mut lab, "XACK log g 1700000002000-1"), ["XACK log g 1700000002000-1"]);
    assert_eq!(told(&mut lab, "XACK log g 1700000002000-1"), Vec::<String>::new());
}

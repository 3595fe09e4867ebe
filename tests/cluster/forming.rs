//! How clusters come to be.

use crate::lab::Lab;
use redlab::base::Millis;

#[test]
fn six_nodes_meet_and_share_the_slots() {
    let mut lab = Lab::formed(1, 3, 1, "cluster-node-timeout 5000", Millis(1));
    assert_eq!(lab.ask(7001, "SET user:123 alice"), "(error) MOVED 12893 127.0.0.1:7003");
    assert_eq!(lab.ask(7003, "SET user:123 alice"), "OK");
    lab.advance(1_000);
    assert_eq!(lab.ask(7006, "GET user:123"), "(error) MOVED 12893 127.0.0.1:7003");
    lab.ask(7006, "READONLY");
    assert_eq!(lab.ask(7006, "GET user:123"), "\"alice\"");
}

#[test]
fn slots_move_with_the_epoch() {
    let mut lab = Lab::formed(2, 3, 0, "cluster-node-timeout 5000", Millis(1));
    assert_eq!(lab.ask(7001, "CLUSTER KEYSLOT user:123"), "(integer) 12893");
    assert_eq!(lab.ask(7002, "SET user:123 alice"), "(error) MOVED 12893 127.0.0.1:7003");
    let (to, from) = (lab.id(7001), lab.id(7003));
    lab.ask(7003, "SET user:123 alice");
    assert_eq!(lab.ask(7001, &format!("CLUSTER SETSLOT 12893 IMPORTING {from}")), "OK");
    assert_eq!(lab.ask(7003, &format!("CLUSTER SETSLOT 12893 MIGRATING {to}")), "OK");
    assert_eq!(lab.ask(7003, "GET user:123"), "\"alice\"");
    assert_eq!(lab.ask(7003, "GET {user:123}:cart"), "(error) ASK 12893 127.0.0.1:7001");
    assert_eq!(
        lab.ask(7003, "MGET user:123 {user:123}:cart"),
        "(error) TRYAGAIN Multiple keys request during rehashing of slot"
    );
    assert_eq!(lab.ask(7001, "GET {user:123}:cart"), "(error) MOVED 12893 127.0.0.1:7003");
    lab.ask(7001, "ASKING");
    assert_eq!(lab.ask(7001, "GET {user:123}:cart"), "(nil)");
    assert_eq!(lab.ask(7001, "GET {user:123}:cart"), "(error) MOVED 12893 127.0.0.1:7003");
    assert_eq!(lab.ask(7003, "DEL user:123"), "(integer) 1");
    assert_eq!(lab.ask(7001, &format!("CLUSTER SETSLOT 12893 NODE {to}")), "OK");
    assert_eq!(lab.ask(7003, &format!("CLUSTER SETSLOT 12893 NODE {to}")), "OK");
    lab.advance(2_000);
    assert_eq!(lab.ask(7002, "GET user:123"), "(error) MOVED 12893 127.0.0.1:7001");
    assert_eq!(lab.node(7001).unwrap().my_epoch(), 4);
}

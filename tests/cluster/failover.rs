//! A primary dies, or is replaced on purpose.

use crate::lab::Lab;
use redlab::base::Millis;

const CONFIG: &str = "cluster-node-timeout 5000";

#[test]
fn a_replica_takes_the_place_of_a_dead_primary() {
    let mut lab = Lab::formed(3, 3, 1, CONFIG, Millis(1));
    lab.ask(7003, "SET user:123 alice");
    lab.advance(1_000);
    let began = std::time::Instant::now();
    lab.kill(7003);
    let done = lab.until(20_000, |lab| [7001, 7002].iter().all(|port| lab.owner(*port, 12893) == Some(7006)));
    assert!(done, "{}", lab.story());
    println!("a failover of six nodes in {:?}", began.elapsed());
    assert!(lab.until(10_000, Lab::is_up), "{}", lab.story());
    assert_eq!(lab.ask(7006, "GET user:123"), "\"alice\"");
    // A new epoch, so that everybody believes it.
    assert!(lab.node(7006).unwrap().my_epoch() > 6);

    // The old primary comes back as a replica of the new one.
    lab.start(7003);
    assert!(lab.until(20_000, |lab| lab.node(7003).unwrap().me().is_replica()), "{}", lab.story());
    assert!(lab.until(20_000, Lab::is_up), "{}", lab.story());
    assert_eq!(lab.ask(7003, "GET user:123"), "(error) MOVED 12893 127.0.0.1:7006");
    lab.ask(7003, "READONLY");
    assert_eq!(lab.ask(7003, "GET user:123"), "\"alice\"");
}

#[test]
fn without_a_majority_nobody_is_elected_and_all_stop() {
    let mut lab = Lab::formed(4, 3, 1, CONFIG, Millis(1));
    lab.kill(7001);
    lab.kill(7002);
    lab.advance(60_000);
    for port in [7003, 7004, 7005, 7006] {
        assert!(!lab.node(port).unwrap().ok, "{}", lab.story());
    }
    assert_eq!(lab.ask(7003, "SET user:123 alice"), "(error) CLUSTERDOWN The cluster is down");
    lab.start(7001);
    assert!(
        lab.until(60_000, |lab| lab.owner(7003, 16000) == Some(7003) && lab.node(7003).unwrap().ok),
        "{}",
        lab.story()
    );
}

#[test]
fn a_manual_failover_loses_nothing_and_nobody_notices_a_failure() {
    let mut lab = Lab::formed(5, 3, 1, CONFIG, Millis(1));
    for n in 0..100 {
        lab.ask(7003, &format!("SET {{user:123}}:{n} {n}"));
    }
    assert_eq!(lab.ask(7003, "CLUSTER FAILOVER"), "(error) ERR You should send CLUSTER FAILOVER to a replica");
    assert_eq!(lab.ask(7006, "CLUSTER FAILOVER"), "OK");
    assert!(lab.until(5_000, |lab| lab.node(7006).unwrap().me().is_primary()), "{}", lab.story());
    assert!(lab.until(5_000, |lab| lab.node(7003).unwrap().me().is_replica()), "{}", lab.story());
    assert_eq!(lab.ask(7006, "DBSIZE"), "(integer) 100");
    assert_eq!(lab.ask(7006, "SET user:123 alice"), "OK");
    assert_eq!(lab.ask(7003, "SET user:123 alice"), "(error) MOVED 12893 127.0.0.1:7006");
    assert!(lab.until(5_000, Lab::is_up), "{}", lab.story());
}

#[test]
fn force_and_takeover_need_less() {
    let mut lab = Lab::formed(6, 3, 1, CONFIG, Millis(1));
    lab.kill(7001);
    // The link is gone, and no new one is tried before the next round.
    lab.advance(2);
    assert_eq!(
        lab.ask(7004, "CLUSTER FAILOVER"),
        "(error) ERR Master is down or failed, please use CLUSTER FAILOVER FORCE"
    );
    assert_eq!(lab.ask(7004, "CLUSTER FAILOVER FORCE"), "OK");
    assert!(lab.until(3_000, |lab| lab.owner(7002, 0) == Some(7004)), "{}", lab.story());
    lab.kill(7002);
    lab.kill(7003);
    lab.advance(200);
    // Nobody is left to vote.
    assert_eq!(lab.ask(7005, "CLUSTER FAILOVER TAKEOVER"), "OK");
    assert!(lab.until(3_000, |lab| lab.owner(7004, 6000) == Some(7005)), "{}", lab.story());
}

#[test]
fn a_primary_without_replicas_gets_one_from_a_primary_with_two() {
    let mut lab = Lab::formed(7, 3, 1, CONFIG, Millis(1));
    // Another replica for the third primary, taken from the first.
    let third = lab.id(7003);
    lab.ask(7004, &format!("CLUSTER REPLICATE {third}"));
    assert!(lab.until(10_000, Lab::is_up));
    // The second loses its only one.
    lab.kill(7005);
    let second = |lab: &Lab| [7004, 7006].iter().any(|port| lab.owner_followed(*port) == Some(7002));
    assert!(lab.until(30_000, second), "{}", lab.story());
}

#[test]
fn a_primary_that_is_told_to_end_waits_until_its_replica_has_everything() {
    let mut lab = Lab::formed(8, 3, 1, CONFIG, Millis(1));
    lab.world.set_delay("7003", "7006", Millis(300)).expect("servers of the lab");
    lab.advance(3_000);
    assert_eq!(lab.ask(7003, "SET user:123 alice"), "OK");
    assert_eq!(lab.ask(7003, "SHUTDOWN NOSAVE"), "(no answer)");
    let other = lab.world.connect(7003, "").expect("it still runs");
    let ask = |lab: &mut Lab, line: &str| {
        lab.world.send(other, line.split(' ').map(redlab::base::Bytes::from).collect());
        lab.world.receive(other).len()
    };
    assert_eq!(ask(&mut lab, "GET user:123"), 1);
    assert_eq!(ask(&mut lab, "SET user:123 bob"), 0, "a write waits");
    lab.advance(400);
    assert!(lab.is_running(7003));
    assert!(lab.until(2_000, |lab| !lab.is_running(7003)));
    assert!(lab.until(20_000, |lab| lab.owner(7001, 12893) == Some(7006)), "{}", lab.story());
    assert!(lab.until(5_000, Lab::is_up), "{}", lab.story());
    assert_eq!(lab.ask(7006, "GET user:123"), "\"alice\"");
}

#[test]
fn the_wait_for_replicas_can_be_called_off_and_has_an_end() {
    let mut lab = Lab::formed(9, 3, 1, CONFIG, Millis(1));
    assert_eq!(lab.ask(7003, "SHUTDOWN ABORT"), "(error) ERR No shutdown in progress.");
    // Too short to be noticed by the cluster.
    lab.world.set_delay("7003", "7006", Millis(1_000)).expect("servers of the lab");
    lab.advance(5_000);
    lab.ask(7003, "CONFIG SET shutdown-timeout 1");
    lab.ask(7003, "SET user:123 alice");
    let asker = lab.world.connect(7003, "").expect("it runs");
    lab.world.send(asker, vec!["SHUTDOWN".into()]);
    assert!(lab.world.receive(asker).is_empty());
    assert_eq!(lab.ask(7003, "SHUTDOWN ABORT"), "OK");
    let answer = format!("{:?}", lab.world.receive(asker));
    assert!(answer.contains("ERR Errors trying to SHUTDOWN. Check logs."), "{answer}");
    lab.advance(3_000);
    assert_eq!(lab.ask(7003, "SET user:123 bob"), "OK");
    lab.world.send(asker, vec!["SHUTDOWN".into()]);
    lab.advance(900);
    assert!(lab.is_running(7003));
    lab.advance(300);
    assert!(!lab.is_running(7003), "its time is up");
}

/// What Redis does, though it makes two nodes the owners of slots in one epoch: redis-server 7.2.6, elected in epoch 7 and then
/// sent a request for its vote in epoch 7, grants it. Storm 1527 met it first.
#[test]
fn who_has_won_an_epoch_may_still_vote_in_it() {
    let mut lab = Lab::formed(6, 3, 1, "cluster-node-timeout 1000", Millis(1));
    lab.kill(7003);
    let plans = |lab: &Lab| lab.has_logged("7006", "Start of election delayed");
    assert!(lab.until(10_000, plans), "{}", lab.story());
    // It comes back too late to be spared, but early enough to vote.
    lab.start(7003);
    lab.world.partition("7002", "7006").unwrap();
    lab.world.set_delay("7005", "7006", Millis(400)).unwrap();
    let asks = |lab: &Lab| lab.has_logged("7006", "Starting a failover election for epoch 7.");
    assert!(lab.until(2_000, asks), "{}", lab.story());
    assert_eq!(lab.ask(7005, "CLUSTER FAILOVER"), "OK");
    let both = |lab: &Lab| [7005, 7006].iter().all(|port| lab.node(*port).unwrap().me().epoch == 7);
    assert!(lab.until(2_000, both), "{}", lab.story());
    for port in [7005, 7006] {
        assert!(lab.node(port).unwrap().me().is_primary(), "{}", lab.story());
    }
    // 7005 is one of the two that have voted for 7006.
    assert!(lab.has_logged("7005", &format!("Failover auth granted to {} () for epoch 7", lab.id(7006))));
    assert!(!lab.has_logged("7002", &format!("Failover auth granted to {}", lab.id(7006))));
    // Their slots are others, so nobody is wronged; and when they hear of each other, one takes a new epoch.
    lab.world.heal_all();
    let epochs = |lab: &Lab| [7005, 7006].map(|port| lab.node(port).unwrap().me().epoch);
    assert!(lab.until(5_000, |lab| epochs(lab)[0] != epochs(lab)[1]), "{}", lab.story());
    let agreed = |lab: &Lab| {
        lab.ports.iter().all(|port| lab.owner(*port, 8000) == Some(7005) && lab.owner(*port, 12893) == Some(7006))
    };
    assert!(lab.until(20_000, |lab| lab.is_up() && agreed(lab)), "{}", lab.story());
}

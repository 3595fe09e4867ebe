//! Clusters in the lab: how long a failover of six nodes takes, and what 200 nodes that find each other cost.
//!
//! `cargo bench --bench cluster` prints real time beside the time that passed in the lab. The 200 nodes know one of them at
//! first; they have converged when each knows all and finds all slots served.

#[path = "../tests/cluster/lab.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod lab;

use lab::Lab;
use redlab::base::Millis;
use redlab::engine::cluster::Cluster;
use std::time::{Duration, Instant};

const CONFIG: &str = "cluster-node-timeout 5000";
const ROUNDS: u64 = 10;
const MANY: usize = 200;
/// Of the 200: the rest are replicas.
const PRIMARIES: usize = 100;

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn sent(lab: &Lab) -> u64 {
    let clusters = lab.ports.iter().filter_map(|port| lab.node(*port));
    clusters.flat_map(|cluster: &Cluster| cluster.sent).sum()
}

/// From the kill of a primary until the others find its replica in its place.
fn failover() {
    let mut real = Vec::new();
    for seed in 1..=ROUNDS {
        let mut lab = Lab::formed(seed, 3, 1, CONFIG, Millis(1));
        lab.advance(1_000);
        let (began, before) = (Instant::now(), lab.world.now());
        lab.kill(7003);
        let promoted = |lab: &Lab| [7001, 7002].iter().all(|port| lab.owner(*port, 12893) == Some(7006));
        assert!(lab.until(30_000, promoted), "{}", lab.story());
        real.push((began.elapsed(), lab.world.now().since(before).0));
    }
    real.sort_unstable();
    let (fastest, median, slowest) = (real[0], real[real.len() / 2], real[real.len() - 1]);
    println!("failover of six nodes, {ROUNDS} seeds, node timeout 5000 ms:");
    println!("  fastest {:8.2} ms real {:6} ms in the lab", millis(fastest.0), fastest.1);
    println!("  median  {:8.2} ms real {:6} ms in the lab", millis(median.0), median.1);
    println!("  slowest {:8.2} ms real {:6} ms in the lab", millis(slowest.0), slowest.1);
}

fn convergence() {
    let mut lab = Lab::new(1, MANY, CONFIG, Millis(1));
    let (began, before) = (Instant::now(), lab.world.now());
    lab.form(PRIMARIES);
    let (real, passed, messages) = (began.elapsed(), lab.world.now().since(before).0, sent(&lab));
    println!("{MANY} nodes, {PRIMARIES} of them primaries, until all know all and every replica follows:");
    report(real, passed, messages);

    let (began, already) = (Instant::now(), sent(&lab));
    lab.advance(10_000);
    println!("the same {MANY} nodes at rest:");
    report(began.elapsed(), 10_000, sent(&lab) - already);
}

fn report(real: Duration, passed: u64, messages: u64) {
    println!("  {:10.1} ms real, {passed} ms in the lab, {messages} messages", millis(real));
    let nodes_seconds = MANY as f64 * passed as f64 / 1e3;
    println!("  {:10.2} µs a message", millis(real) * 1e3 / messages.max(1) as f64);
    println!("  {:10.2} µs a node and second of the lab", millis(real) * 1e3 / nodes_seconds);
    println!("  {:10.1} messages a node and second of the lab", messages as f64 / nodes_seconds);
}

fn main() {
    failover();
    convergence();
}

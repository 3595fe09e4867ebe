//! A cluster that is formed already when its nodes start: the nodes.conf that each would have.

use super::conf::Reader;
use super::node::{Flags, Handle, Node, NodeId};
use super::slots::SLOTS;
use super::state::Cluster;
use crate::base::{Millis, Rng};

/// The nodes.conf of each of these nodes, in order: the first `primaries` of them share the slots evenly, as redis-cli
/// --cluster create does, the others follow them in turn. There must be at least one primary.
pub fn formed(ports: &[u16], primaries: usize, rng: &mut Rng) -> Vec<String> {
    let names: Vec<(NodeId, NodeId)> = ports.iter().map(|_| (NodeId::random(rng), NodeId::random(rng))).collect();
    (0..ports.len()).map(|me| view(ports, primaries, &names, me, rng).conf()).collect()
}

fn view(ports: &[u16], primaries: usize, names: &[(NodeId, NodeId)], me: usize, rng: &mut Rng) -> Cluster {
    let mut cluster = Cluster::blank();
    let mut handles: Vec<Handle> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let primary = (index >= primaries).then(|| handles[index % primaries]);
        let role = if primary.is_some() { Flags::REPLICA } else { Flags::PRIMARY };
        let mut node = Node::new(names[index].0, role, Millis::ZERO, rng);
        if index == me {
            node.flags.set(Flags::MYSELF);
        }
        node.shard = names[index % primaries].1;
        node.host = String::from("127.0.0.1");
        (node.port, node.bus_port) = (*port, port.saturating_add(10_000));
        node.epoch = if primary.is_some() { 0 } else { index as u64 + 1 };
        node.primary = primary;
        let handle = cluster.add(node);
        handles.push(handle);
        match primary {
            Some(primary) => cluster.add_replica(primary, handle),
            None => {
                let slots = share(index, primaries)..share(index + 1, primaries);
                slots.for_each(|slot| {
                    cluster.give_slot(handle, slot);
                });
            }
        }
    }
    cluster.myself = handles[me];
    cluster.current_epoch = cluster.max_epoch().max(ports.len() as u64);
    cluster
}

/// Where the slots of the primary `index` begin: shares differ by one at most, rounded as redis-cli rounds them.
fn share(index: usize, primaries: usize) -> u16 {
    let per_node = SLOTS as f64 / primaries as f64;
    match index {
        0 => 0,
        _ if index == primaries => SLOTS as u16,
        _ => (index as f64 * per_node - 1.0).round() as u16 + 1,
    }
}

impl Cluster {
    /// CLUSTER NODES of this node, for tests and tools.
    pub fn table(&self) -> String {
        self.describe_all(Reader::Client, Flags::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_the_same_view_of_all() {
        let confs = formed(&[7001, 7002, 7003, 7004, 7005, 7006], 3, &mut Rng::new(1));
        let views: Vec<Cluster> =
            confs.iter().map(|conf| Cluster::load(conf, Millis(1), &mut Rng::new(2)).unwrap()).collect();
        for view in &views {
            let slots: Vec<&str> =
                views.iter().map(|other| view.node(view.find(other.me().id).unwrap()).slots.text()).collect();
            assert_eq!(slots, ["0-5460", "5461-10922", "10923-16383", "", "", ""]);
            assert_eq!((view.count(), view.shards.len(), view.current_epoch), (6, 3, 6));
        }
        assert!(views[4].me().primary.is_some_and(|primary| views[4].node(primary).port == 7002));
    }
}

//! What a node of a cluster knows, as panes and checks see it.

use super::world::World;
use crate::base::Millis;
use crate::engine::Instance;
use crate::engine::cluster::{Cluster, Flags, Node};
use crate::snapshot;

impl World {
    pub(super) fn look_at_cluster(&self, instance: &Instance) -> Option<snapshot::Cluster> {
        let cluster = instance.cluster.as_deref()?;
        let id = |handle: &crate::engine::cluster::Handle| cluster.node(*handle).id.to_string();
        let me = cluster.me();
        let keys = &instance.dbs[0];
        Some(snapshot::Cluster {
            id: me.id.to_string(),
            shard: me.shard.to_string(),
            ok: cluster.ok,
            current_epoch: cluster.current_epoch,
            epoch: cluster.my_epoch(),
            last_vote_epoch: cluster.last_vote_epoch,
            size: cluster.size,
            nodes: cluster.iter().map(|(_, node)| self.look_at_node(cluster, node)).collect(),
            migrating: cluster.migrating.iter().map(|(slot, to)| (*slot, id(to))).collect(),
            importing: cluster.importing.iter().map(|(slot, from)| (*slot, id(from))).collect(),
            keys: keys.slots_with_keys().into_iter().map(|slot| (slot, keys.keys_in_slot(slot))).collect(),
            election: look_at_election(cluster),
            manual_failover: cluster.manual.ends_at,
        })
    }

    fn look_at_node(&self, cluster: &Cluster, node: &Node) -> snapshot::ClusterNode {
        let moment = |at: Millis| Some(at).filter(|at| *at != Millis::ZERO);
        let name = self.processes.iter().find(|process| process.port == node.port).map(|process| process.name.clone());
        let up = |link| cluster.links.get(&link).is_some_and(|bus| bus.up);
        snapshot::ClusterNode {
            id: node.id.to_string(),
            name,
            host: node.host.clone(),
            port: node.port,
            myself: node.flags.any(Flags::MYSELF),
            replica: node.is_replica(),
            of: node.primary.map(|primary| cluster.node(primary).id.to_string()),
            epoch: node.primary.filter(|_| node.is_replica()).map_or(node.epoch, |primary| cluster.node(primary).epoch),
            flags: node.flags.words(),
            suspected: node.is_suspected(),
            failed: node.has_failed(),
            handshake: node.in_handshake(),
            reported_by: node.fail_reports.iter().map(|(by, _)| cluster.node(*by).id.to_string()).collect(),
            slots: node.slots.ranges(),
            linked: node.link.is_some_and(up) || node.flags.any(Flags::MYSELF),
            ping_sent: moment(node.ping_sent),
            pong_received: moment(node.pong_received),
            offset: node.offset,
        }
    }
}

/// None: this node does not want to take anybody's place.
fn look_at_election(cluster: &Cluster) -> Option<snapshot::Election> {
    let election = cluster.election;
    let me = cluster.me();
    let primary = me.primary.filter(|_| me.is_replica())?;
    let wanted = cluster.node(primary).has_failed() || cluster.manual.ends_at.is_some();
    (wanted && election.starts_at != Millis::ZERO).then(|| snapshot::Election {
        starts_at: election.starts_at,
        epoch: election.asked.then_some(election.epoch),
        votes: election.votes,
        needed: cluster.quorum(),
        rank: election.rank,
    })
}

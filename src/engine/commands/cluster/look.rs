//! What a node answers about its cluster.

use super::{cluster, node_at, turn};
use crate::base::Bytes;
use crate::engine::Call;
use crate::engine::cluster::conf::Reader;
use crate::engine::cluster::message::Kind;
use crate::engine::cluster::redirect::endpoint;
use crate::engine::cluster::{Cluster, Flags, Handle, Node};
use crate::engine::command::Outcome;
use crate::engine::link::LinkId;
use crate::engine::refusal::Refusal;
use crate::resp::Reply;
use std::fmt::Write;

fn text(text: String) -> Outcome {
    Ok(Reply::Verbatim("txt", Bytes::from(text)))
}

pub fn nodes(call: &mut Call) -> Outcome {
    text(cluster(call)?.describe_all(Reader::Client, Flags::default()))
}

pub fn myid(call: &mut Call) -> Outcome {
    Ok(Reply::bulk(cluster(call)?.me().id.as_str()))
}

pub fn myshardid(call: &mut Call) -> Outcome {
    Ok(Reply::bulk(cluster(call)?.me().shard.as_str()))
}

pub fn replicas(call: &mut Call) -> Outcome {
    let handle = node_at(call, 2, "Unknown node")?;
    let cluster = cluster(call)?;
    if cluster.node(handle).is_replica() {
        return Err(Refusal::new("ERR The specified node is not a master"));
    }
    Ok(Reply::bulks(cluster.node(handle).replicas.iter().map(|replica| cluster.describe(*replica, Reader::Client))))
}

pub fn count_failure_reports(call: &mut Call) -> Outcome {
    let handle = node_at(call, 2, "Unknown node")?;
    turn(call, |turn| Reply::from(turn.failure_reports(handle)))
}

pub fn info(call: &mut Call) -> Outcome {
    text(describe(cluster(call)?))
}

fn describe(cluster: &Cluster) -> String {
    let (mut well, mut suspected, mut failed) = (0, 0, 0);
    for (_, node) in cluster.iter() {
        let count = match node {
            node if node.has_failed() => &mut failed,
            node if node.is_suspected() => &mut suspected,
            _ => &mut well,
        };
        *count += node.slots.len();
    }
    let mut out = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{name}:{value}\r\n");
    };
    line("cluster_state", &if cluster.ok { "ok" } else { "fail" });
    line("cluster_slots_assigned", &(well + suspected + failed));
    line("cluster_slots_ok", &well);
    line("cluster_slots_pfail", &suspected);
    line("cluster_slots_fail", &failed);
    line("cluster_known_nodes", &cluster.count());
    line("cluster_size", &cluster.size);
    line("cluster_current_epoch", &cluster.current_epoch);
    line("cluster_my_epoch", &cluster.my_epoch());
    for (counts, way) in [(&cluster.sent, "sent"), (&cluster.received, "received")] {
        for (number, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let name = Kind::of(number as u16).map_or("unknown", Kind::name);
            line(&format!("cluster_stats_messages_{name}_{way}"), count);
        }
        line(&format!("cluster_stats_messages_{way}"), &counts.iter().sum::<u64>());
    }
    line("total_cluster_links_buffer_limit_exceeded", &cluster.full_links);
    out
}

/// A node's own offset it knows better than what it last told.
fn offset_of(call: &Call, cluster: &Cluster, handle: Handle) -> i64 {
    if handle == cluster.myself { call.server.replication_offset() as i64 } else { cluster.node(handle).offset }
}

/// A replica that has never got anything from its primary is not offered to clients.
fn is_available(call: &Call, cluster: &Cluster, handle: Handle) -> bool {
    !cluster.node(handle).has_failed() && offset_of(call, cluster, handle) != 0
}

pub fn slots(call: &mut Call) -> Outcome {
    let cluster = cluster(call)?;
    let ranges = cluster.ranges().into_iter().map(|(first, last, owner)| {
        let replicas = cluster.node(owner).replicas.iter().filter(|replica| is_available(call, cluster, **replica));
        let nodes = std::iter::once(&owner).chain(replicas).map(|handle| reached_at(call, cluster.node(*handle)));
        let range = [Reply::Int(i64::from(first)), Reply::Int(i64::from(last))];
        Reply::Array(range.into_iter().chain(nodes).collect())
    });
    Ok(Reply::Array(ranges.collect()))
}

/// A node as CLUSTER SLOTS shows it: preferred endpoint, port, name, and how else it is called.
fn reached_at(call: &Call, node: &Node) -> Reply {
    let kind = call.server.config.text("cluster-preferred-endpoint-type");
    let kind = kind.lossy();
    let place = match &*kind {
        "unknown-endpoint" => Reply::Nil,
        _ => Reply::bulk(&*endpoint(node, &call.server.config)),
    };
    let mut more = Vec::new();
    if kind != "ip" {
        more.push((Reply::bulk("ip"), Reply::bulk(node.host.as_str())));
    }
    if kind != "hostname" && !node.hostname.is_empty() {
        more.push((Reply::bulk("hostname"), Reply::bulk(node.hostname.as_str())));
    }
    Reply::Array(vec![place, Reply::Int(i64::from(node.port)), Reply::bulk(node.id.as_str()), Reply::Map(more)])
}

pub fn shards(call: &mut Call) -> Outcome {
    let cluster = cluster(call)?;
    let shards = cluster.shards.values().map(|members| {
        let primary = members.first().map(|first| cluster.primary_of(*first));
        let ranges = primary.map(|primary| cluster.node(primary).slots.ranges()).unwrap_or_default();
        let ends = ranges.into_iter().flat_map(|(first, last)| [first, last]);
        let nodes = members.iter().map(|member| member_of(call, cluster, *member));
        Reply::Map(vec![
            (Reply::bulk("slots"), Reply::Array(ends.map(|end| Reply::Int(i64::from(end))).collect())),
            (Reply::bulk("nodes"), Reply::Array(nodes.collect())),
        ])
    });
    Ok(Reply::Array(shards.collect()))
}

fn member_of(call: &Call, cluster: &Cluster, handle: Handle) -> Reply {
    let node = cluster.node(handle);
    let offset = offset_of(call, cluster, handle);
    let health = match node {
        node if node.has_failed() => "fail",
        node if node.is_replica() && offset == 0 => "loading",
        _ => "online",
    };
    let mut fields = vec![("id", Reply::bulk(node.id.as_str()))];
    if node.port > 0 {
        fields.push(("port", Reply::Int(i64::from(node.port))));
    }
    if node.tls_port > 0 {
        fields.push(("tls-port", Reply::Int(i64::from(node.tls_port))));
    }
    fields.push(("ip", Reply::bulk(node.host.as_str())));
    fields.push(("endpoint", Reply::bulk(&*endpoint(node, &call.server.config))));
    if !node.hostname.is_empty() {
        fields.push(("hostname", Reply::bulk(node.hostname.as_str())));
    }
    // The wire keeps Redis' word for a primary.
    fields.push(("role", Reply::bulk(if node.is_replica() { "replica" } else { "master" })));
    fields.push(("replication-offset", Reply::Int(offset)));
    fields.push(("health", Reply::bulk(health)));
    Reply::Map(fields.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
}

pub fn links(call: &mut Call) -> Outcome {
    let cluster = cluster(call)?;
    let links =
        cluster.iter().flat_map(|(_, node)| [node.link, node.inbound].into_iter().flatten().map(move |it| (node, it)));
    Ok(Reply::Array(links.map(|(node, link)| link_of(cluster, node, link)).collect()))
}

fn link_of(cluster: &Cluster, node: &Node, link: LinkId) -> Reply {
    /// What an empty queue of messages takes in Redis, and each message in it on top of its own length.
    const QUEUE: usize = 48;
    const ENTRY: usize = 24;
    let Some(bus) = cluster.links.get(&link) else { return Reply::Nil };
    let waiting = QUEUE + bus.queued.iter().map(|bytes| ENTRY + bytes.len()).sum::<usize>();
    let fields = [
        ("direction", Reply::bulk(if link.came_in() { "from" } else { "to" })),
        ("node", Reply::bulk(node.id.as_str())),
        ("create-time", Reply::Int(bus.created_at.0 as i64)),
        ("events", Reply::bulk(if bus.queued.is_empty() { "r" } else { "rw" })),
        ("send-buffer-allocated", Reply::from(waiting)),
        ("send-buffer-used", Reply::from(waiting)),
    ];
    Reply::Map(fields.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
}

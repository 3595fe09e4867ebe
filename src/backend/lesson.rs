//! From the world that a lesson describes to the machine that it runs on.

use super::Embedded;
use crate::base::{Millis, Rng};
use crate::engine::cluster::plan;
use crate::lab::{Cron, Server, Sql, Topology};
use crate::lesson;
use crate::port::Backend;

/// Until then the nodes of a cluster have found each other, replicas have loaded their primaries' data, and all take writes.
const SETTLED: Millis = Millis(10_000);

/// A fresh embedded machine for a lesson. What the lesson types before it begins is left to the tutor.
pub fn embedded(world: &lesson::World) -> Box<dyn Backend> {
    Box::new(Embedded::new(&topology(world)))
}

pub fn topology(world: &lesson::World) -> Topology {
    let server = |instance: &lesson::Instance| Server {
        name: instance.name.clone(),
        port: instance.port,
        config: instance.conf.clone(),
        config_file: instance.file.clone(),
        setup: Vec::new(),
        running: instance.started,
    };
    let sql = |sql: &lesson::Sql| Sql {
        schema: sql.schema.clone(),
        cron: sql.cron.iter().map(|cron| Cron { every: cron.every, statement: cron.run.clone() }).collect(),
    };
    let own = world.files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes()));
    let tables = world.cluster.iter().flat_map(|cluster| formed(world, *cluster));
    Topology {
        clock: world.clock,
        seed: world.seed,
        instances: world.instances.iter().map(server).collect(),
        files: own.chain(tables).collect(),
        settled: if world.cluster.is_some() { SETTLED } else { Millis::ZERO },
        sql: world.sql.as_ref().map(sql),
        ..Topology::default()
    }
}

/// The nodes.conf of each node, as if the cluster had been running for long.
fn formed(world: &lesson::World, cluster: lesson::Cluster) -> Vec<(String, Vec<u8>)> {
    let nodes = &world.instances[..cluster.nodes];
    let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
    let tables = plan::formed(&ports, cluster.primaries, &mut Rng::new(world.seed));
    nodes.iter().zip(tables).map(|(node, table)| (format!("{}/nodes.conf", node.name), table.into_bytes())).collect()
}

//! A lesson's world as a topology of the lab: the one place where the two meet.

use crate::lab::Topology;
use crate::lab::topology::{Cron, Server, Sql};
use crate::lesson::World;

/// What the embedded machine needs to become `world`. Its `setup` is typed by the tutor, as a person would.
pub fn topology(world: &World) -> Topology {
    let server = |instance: &crate::lesson::Instance| Server {
        name: instance.name.clone(),
        port: instance.port,
        config: instance.conf.clone(),
        config_file: instance.file.clone(),
        setup: Vec::new(),
        running: instance.started,
    };
    let sql = |sql: &crate::lesson::Sql| Sql {
        schema: sql.schema.clone(),
        cron: sql.cron.iter().map(|job| Cron { every: job.every, statement: job.run.clone() }).collect(),
    };
    Topology {
        clock: world.clock,
        seed: world.seed,
        instances: world.instances.iter().map(server).collect(),
        files: world.files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect(),
        sql: world.sql.as_ref().map(sql),
        ..Topology::default()
    }
}

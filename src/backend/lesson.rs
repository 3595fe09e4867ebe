//! From the world that a lesson describes to the machine that it runs on.

use super::Embedded;
use crate::lab::{Cron, Server, Sql, Topology};
use crate::lesson;
use crate::port::Backend;

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
    Topology {
        clock: world.clock,
        seed: world.seed,
        instances: world.instances.iter().map(server).collect(),
        files: world.files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect(),
        sql: world.sql.as_ref().map(sql),
        ..Topology::default()
    }
}

//! What a world is made of at its first moment, as plain data. Lessons are turned into this; a journal is valid only
//! together with the topology that it was written on.

use crate::base::{Bytes, Millis};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// 2030-01-01T09:00:00Z, where lessons start unless they say otherwise.
pub const FIRST_MORNING: Millis = Millis(1_893_488_400_000);

#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// What the clock shows at the first moment.
    pub clock: Millis,
    /// Decides every draw of chance.
    pub seed: u64,
    /// Where the `$` shell stands and relative paths begin, absolute.
    pub home: String,
    /// Started in this order.
    pub instances: Vec<Server>,
    /// Further files, paths from home. Directories are made as needed; all is on the platter at the start.
    pub files: Vec<(String, Vec<u8>)>,
    /// Further directories, from home.
    pub dirs: Vec<String>,
    pub sql: Option<Sql>,
    /// Room on the disk; None: endless.
    pub disk_capacity_bytes: Option<u64>,
    /// A power cut may leave a part of what was appended and not synced (a torn tail), by seeded chance. Otherwise it
    /// leaves nothing of it: the worst case, which is what a promise about crashes has to be tested against.
    pub torn_tails: bool,
    /// How long a packet takes from one server to another. With zero all that follows from a command has happened when the
    /// command is answered, unless something has to be waited for.
    pub latency: Millis,
    /// The servers have been running for this long at the first moment.
    pub settled: Millis,
}

/// A redis-server of the lesson.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// How lessons and panes call it; also of any later process with the same config file or port.
    pub name: String,
    pub port: u16,
    /// Written to `config_file` as it stands.
    pub config: String,
    /// From home.
    pub config_file: String,
    /// Commands it has carried out before the learner arrives, each with its database.
    pub setup: Vec<(usize, Vec<Bytes>)>,
    /// False: the files are there, the process is not.
    pub running: bool,
}

/// The SQL database on the machine and the jobs that run in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sql {
    /// Statements, run at the first moment.
    pub schema: Vec<String>,
    pub cron: Vec<Cron>,
}

/// A job: `statement` at every multiple of `every` since the first moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Cron {
    pub every: Millis,
    pub statement: String,
}

impl Default for Topology {
    fn default() -> Topology {
        Topology {
            clock: FIRST_MORNING,
            seed: 1,
            home: String::from("/home/lab"),
            instances: Vec::new(),
            files: Vec::new(),
            dirs: Vec::new(),
            sql: None,
            disk_capacity_bytes: None,
            torn_tails: false,
            latency: Millis::ZERO,
            settled: Millis::ZERO,
        }
    }
}

impl Server {
    /// A running server with `config` besides its port, in `NAME.conf`.
    pub fn new(name: &str, port: u16, config: &str) -> Server {
        Server {
            name: name.to_owned(),
            port,
            config: format!("port {port}\n{config}"),
            config_file: format!("{name}.conf"),
            setup: Vec::new(),
            running: true,
        }
    }
}

impl Topology {
    /// One server without persistence, on 6379: the sandbox.
    pub fn sandbox() -> Topology {
        Topology { instances: vec![Server::new("redis", 6379, "save \"\"\n")], ..Topology::default() }
    }

    /// Tells topologies apart, so that a journal is not replayed on another one.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        hasher.write(format!("{self:?}").as_bytes());
        hasher.finish()
    }
}

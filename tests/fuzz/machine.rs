//! One instance with a disk in memory, driven by hand.

use redlab::base::{Bytes, Millis, Rng};
use redlab::engine::config::{Config, file};
use redlab::engine::disk::MemoryDisk;
use redlab::engine::{ClientId, Env, Input, Instance, Outbox, Output};
use redlab::resp::{Protocol, Reply, encode};

pub const START: Millis = Millis::from_secs(1_700_000_000);

#[derive(Clone)]
pub struct Machine {
    pub instance: Instance,
    pub disk: MemoryDisk,
    pub rng: Rng,
    pub now: Millis,
}

/// The client for questions of the test itself.
pub const ME: ClientId = ClientId(1_000_000);

impl Machine {
    /// On an empty disk. What a client may send is limited, so that no input takes the memory of the machine.
    pub fn new(config: &str) -> Machine {
        Machine::boot(config, MemoryDisk::default(), START).expect("an empty disk can be loaded")
    }

    /// Err: what it said, and the disk.
    pub fn boot(config: &str, mut disk: MemoryDisk, now: Millis) -> Result<Machine, (String, MemoryDisk)> {
        let mut rng = Rng::new(7);
        let booted = Instance::boot(configured(config), &mut Env { now, rng: &mut rng, disk: &mut disk });
        match booted {
            Ok((instance, _)) => {
                let mut machine = Machine { instance: *instance, disk, rng, now };
                machine.step(Input::Connect(ME));
                Ok(machine)
            }
            Err(lines) => Err((lines.join("\n"), disk)),
        }
    }

    pub fn step(&mut self, input: Input) -> Outbox {
        let mut out = Outbox::new();
        let mut env = Env { now: self.now, rng: &mut self.rng, disk: &mut self.disk };
        self.instance.step(&mut env, input, &mut out);
        out
    }

    pub fn send(&mut self, id: ClientId, words: &[&[u8]]) -> Outbox {
        self.step(Input::Request(id, words.iter().map(|word| Bytes::copy(word)).collect()))
    }

    /// The reply to one command of the test's own client; `Reply::None` if it waits.
    pub fn ask(&mut self, words: &[&[u8]]) -> Reply {
        let mut replies = self.send(ME, words).into_iter().filter_map(|output| match output {
            Output::Reply(ME, reply) => Some(reply),
            _ => None,
        });
        let reply = replies.next().unwrap_or(Reply::None);
        if reply == Reply::None {
            // It waits, and would for ever.
            self.step(Input::Hangup(ME));
            self.step(Input::Connect(ME));
        }
        reply
    }

    /// The data set as text that does not depend on how it is stored: a fingerprint of the values, and when keys expire.
    pub fn data(&self) -> String {
        let mut text = format!("{:?}", self.instance.digest());
        for (index, db) in self.instance.dbs.iter().enumerate() {
            let mut volatile: Vec<String> = Vec::new();
            for (key, slot) in db.iter() {
                if let Some(at) = slot.expires_at() {
                    volatile.push(format!("{index}:{}@{}", key.escape_ascii(), at.0));
                }
            }
            volatile.sort();
            text.push_str(&volatile.join(" "));
        }
        text
    }
}

pub fn configured(config: &str) -> Config {
    let text = format!("enable-debug-command yes\nproto-max-bulk-len 1mb\ndatabases 4\n{config}\n");
    file::from_text(text.as_bytes()).expect("a configuration of the tests")
}

/// What clients are sent, as bytes; lines of the log as text.
pub fn bytes_of(outbox: &[Output], instance: &Instance) -> Vec<u8> {
    let mut bytes = Vec::new();
    for output in outbox {
        match output {
            Output::Reply(id, reply) | Output::Push(id, reply) => {
                let protocol = instance.clients.get(id).map_or(Protocol::Resp2, |client| client.protocol);
                encode::reply(&mut bytes, reply, protocol);
            }
            other => bytes.extend(format!("{other:?}").bytes()),
        }
    }
    bytes
}

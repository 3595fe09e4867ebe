//! Transcripts against one instance in memory, for the engine's own tests.
//!
//! Each terminal is a client. `bob> ` without a command prints what has come for bob since; `> .sleep 1500` lets that many
//! milliseconds pass.

use super::disk::MemoryDisk;
use super::{ClientId, Env, Input, Instance, Output};
use crate::base::{Bytes, Millis, Rng, quote};
use crate::resp::{Reply, render};
use crate::transcript::{self, Execute};
use std::collections::BTreeMap;

/// Runs a transcript against a new instance. Panics with the first difference.
#[track_caller]
pub fn transcript(text: &str) {
    if let Err(difference) = transcript::run(text, &mut Lab::new(1)) {
        panic!("{difference}");
    }
}

pub struct Lab {
    pub instance: Instance,
    pub now: Millis,
    rng: Rng,
    disk: MemoryDisk,
    clients: BTreeMap<String, ClientId>,
    arrived: BTreeMap<ClientId, Vec<Reply>>,
}

impl Lab {
    pub fn new(seed: u64) -> Lab {
        let mut rng = Rng::new(seed);
        let now = Millis::from_secs(1_700_000_000);
        let mut config = super::config::Config::default();
        config.set("enable-debug-command", "yes").expect("a parameter");
        let instance = Instance::new(config, now, &mut rng);
        let (clients, arrived) = (BTreeMap::new(), BTreeMap::new());
        Lab { instance, now, rng, disk: MemoryDisk::default(), clients, arrived }
    }

    pub fn step(&mut self, input: Input) {
        let mut out = Vec::new();
        let mut env = Env { now: self.now, rng: &mut self.rng, disk: &mut self.disk };
        self.instance.step(&mut env, input, &mut out);
        for output in out {
            if let Output::Reply(id, reply) | Output::Push(id, reply) = output {
                let protocol = self.instance.clients.get(&id).map(|client| client.protocol).unwrap_or_default();
                self.arrived.entry(id).or_default().push(reply.seen_by(protocol));
            }
        }
    }

    pub fn client(&mut self, name: &str) -> ClientId {
        if let Some(id) = self.clients.get(name) {
            return *id;
        }
        let id = ClientId(self.clients.len() as u64 + 1);
        self.clients.insert(name.to_owned(), id);
        self.step(Input::Connect(id));
        id
    }

    pub fn send(&mut self, name: &str, words: &[&str]) {
        let id = self.client(name);
        self.step(Input::Request(id, words.iter().map(|word| Bytes::from(*word)).collect()));
    }

    /// What has come for a client, oldest first.
    pub fn take(&mut self, name: &str) -> Vec<Reply> {
        let id = self.client(name);
        self.arrived.remove(&id).unwrap_or_default()
    }

    /// The commands in the incremental file of the AOF, one a line.
    pub fn appended(&self) -> Vec<String> {
        let mut files = self.disk.files.iter();
        let Some((_, bytes)) = files.rfind(|(name, _)| name.ends_with(".incr.aof")) else {
            return Vec::new();
        };
        let mut requests = crate::resp::decode::Requests::new();
        requests.feed(bytes);
        let line = |words: Vec<Bytes>| words.iter().map(|word| word.lossy().into_owned()).collect::<Vec<_>>().join(" ");
        std::iter::from_fn(|| requests.next(Default::default()).expect("the AOF is RESP")).map(line).collect()
    }

    /// The one reply to a command that does not wait.
    pub fn ask(&mut self, words: &[&str]) -> Reply {
        self.send("", words);
        let mut replies = self.take("");
        assert_eq!(replies.len(), 1, "{words:?}");
        replies.remove(0)
    }
}

impl Execute for Lab {
    fn execute(&mut self, terminal: &str, line: &str) -> String {
        if let Some(ms) = line.strip_prefix(".sleep ") {
            self.now += Millis(ms.parse().expect("milliseconds"));
            self.step(Input::Tick);
            return String::new();
        }
        let words = quote::split(line.as_bytes()).expect("balanced quotes");
        if !words.is_empty() {
            let id = self.client(terminal);
            self.step(Input::Request(id, words));
        }
        self.take(terminal).iter().map(render::tty).collect()
    }
}

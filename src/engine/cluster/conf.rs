//! nodes.conf: what a node must remember, in the format of CLUSTER NODES.
//!
//! Written beside, synced, renamed, so that a crash leaves the old file or the new one. A vote or a new epoch is on disk
//! before anybody hears of it. A node in handshake is not written: its name is made up.

use super::node::{Flags, Handle, Node, NodeId};
use super::slots::SLOTS;
use super::state::Cluster;
use crate::base::{Bytes, Millis, Rng, quote};
use crate::engine::disk::{DiskError, ReplaceError, Step};
use crate::engine::{Env, Instance, Outbox, Output};
use std::fmt::Write;

/// Who a description is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// CLUSTER NODES.
    Client,
    /// nodes.conf, with everything that a start needs.
    File,
}

/// Characters that would end a field of nodes.conf.
const FORBIDDEN: &str = "!#$%&()*+:;<>?@[]^{|}~";

// Of the time in which 200 nodes meet, nearly a third went into writing such lines with `write!`.

fn put(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
}

fn put_number(text: &mut String, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len() - 1;
    loop {
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
        first -= 1;
    }
    text.extend(digits[first..].iter().map(|digit| char::from(*digit)));
}

/// Whether nodes.conf can hold this text as a name of a node.
pub fn fits_in_file(text: &str) -> bool {
    !text.chars().any(|letter| FORBIDDEN.contains(letter))
}

impl Cluster {
    /// One line of CLUSTER NODES, without its end.
    pub fn describe(&self, handle: Handle, reader: Reader) -> String {
        let mut text = String::new();
        self.describe_into(&mut text, handle, reader);
        text
    }

    fn describe_into(&self, text: &mut String, handle: Handle, reader: Reader) {
        let node = self.node(handle);
        put(text, &[node.id.as_str(), " ", &node.host, ":"]);
        put_number(text, node.port.into());
        text.push('@');
        put_number(text, node.bus_port.into());
        if !node.hostname.is_empty() {
            put(text, &[",", &node.hostname]);
        }
        if reader == Reader::File {
            put(text, &[if node.hostname.is_empty() { "," } else { "" }, ",tls-port="]);
            put_number(text, node.tls_port.into());
            if !node.human_name.is_empty() {
                put(text, &[",nodename=", &node.human_name]);
            }
            put(text, &[",shard-id=", node.shard.as_str()]);
        }
        let primary = node.primary.map(|primary| self.node(primary));
        let epoch = primary.filter(|_| node.is_replica()).map_or(node.epoch, |primary| primary.epoch);
        let connected = node.link.is_some() || node.flags.any(Flags::MYSELF);
        let primary = primary.map_or("-", |primary| primary.id.as_str());
        text.push(' ');
        node.flags.put_words(text);
        put(text, &[" ", primary]);
        for number in [node.ping_sent.0, node.pong_received.0, epoch] {
            text.push(' ');
            put_number(text, number);
        }
        put(text, &[if connected { " connected" } else { " disconnected" }]);
        if !node.slots.is_empty() {
            put(text, &[" ", node.slots.text()]);
        }
        if handle == self.myself {
            let open = self.migrating.iter().map(|(slot, to)| (*slot, ">", *to));
            let mut open: Vec<_> = open.chain(self.importing.iter().map(|(slot, from)| (*slot, "<", *from))).collect();
            // Of a slot that is both, only that it goes is told.
            open.sort_by_key(|(slot, direction, _)| (*slot, *direction == "<"));
            open.dedup_by_key(|(slot, ..)| *slot);
            for (slot, direction, other) in open {
                let _ = write!(text, " [{slot}-{direction}-{}]", self.node(other).id);
            }
        }
    }

    /// All lines, but those of nodes with one of these flags.
    pub fn describe_all(&self, reader: Reader, without: Flags) -> String {
        let shown = self.iter().filter(|(_, node)| !node.flags.any(without));
        let mut text = String::with_capacity(256 * self.count());
        for (handle, _) in shown {
            self.describe_into(&mut text, handle, reader);
            text.push('\n');
        }
        text
    }

    pub(super) fn conf(&self) -> String {
        let nodes = self.describe_all(Reader::File, Flags::HANDSHAKE);
        format!("{nodes}vars currentEpoch {} lastVoteEpoch {}\n", self.current_epoch, self.last_vote_epoch)
    }

    /// Reads nodes.conf. Err: the line that cannot be one.
    pub fn load(text: &str, now: Millis, rng: &mut Rng) -> Result<Cluster, String> {
        let mut cluster = Cluster::blank();
        let mut found_me = false;
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            let words = quote::split(line.as_bytes()).map_err(|_| line.to_owned())?;
            let words: Vec<String> = words.iter().map(|word: &Bytes| word.lossy().into_owned()).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let read = match words.first() {
                None => continue,
                Some(word) if word.eq_ignore_ascii_case("vars") => cluster.load_vars(&words),
                Some(_) => cluster.load_node(&words, &mut found_me, now, rng),
            };
            read.ok_or_else(|| line.to_owned())?;
        }
        if !found_me {
            return Err(text.lines().last().unwrap_or_default().to_owned());
        }
        cluster.current_epoch = cluster.max_epoch();
        Ok(cluster)
    }

    fn load_vars(&mut self, words: &[&str]) -> Option<()> {
        if words.len().is_multiple_of(2) {
            return None;
        }
        for pair in words[1..].chunks_exact(2) {
            let number = || pair[1].parse().ok();
            if pair[0].eq_ignore_ascii_case("currentEpoch") {
                self.current_epoch = number()?;
            } else if pair[0].eq_ignore_ascii_case("lastVoteEpoch") {
                self.last_vote_epoch = number()?;
            }
        }
        Some(())
    }

    fn node_named(&mut self, name: &str, now: Millis, rng: &mut Rng) -> Option<Handle> {
        let id = NodeId::parse(name.as_bytes())?;
        Some(self.find(id).unwrap_or_else(|| self.add(Node::new(id, Flags::default(), now, rng))))
    }

    fn load_node(&mut self, words: &[&str], found_me: &mut bool, now: Millis, rng: &mut Rng) -> Option<()> {
        if words.len() < 8 {
            return None;
        }
        let handle = self.node_named(words[0], now, rng)?;
        let has_shard = self.load_address(handle, words[1])?;
        let flags = Flags::parse(words[2])?;
        let node = self.node_mut(handle);
        node.flags.set(flags);
        if flags.any(Flags::FAIL) {
            node.failed_at = now;
        }
        if flags.any(Flags::MYSELF) {
            // Redis ends with an assertion here. Only one can be me, and the next start might take the other one.
            if std::mem::replace(found_me, true) {
                return None;
            }
            self.myself = handle;
        }
        if words[3] != "-" {
            let primary = self.node_named(words[3], now, rng)?;
            if !has_shard {
                self.node_mut(handle).shard = self.node(primary).shard;
            }
            self.node_mut(handle).primary = Some(primary);
            self.add_replica(primary, handle);
        }
        self.join_shard(handle);
        let number = |word: &str| word.parse::<u64>().unwrap_or(0);
        let node = self.node_mut(handle);
        node.ping_sent = if number(words[4]) > 0 { now } else { Millis::ZERO };
        node.pong_received = if number(words[5]) > 0 { now } else { Millis::ZERO };
        node.epoch = if node.is_replica() && node.primary.is_some() { 0 } else { number(words[6]) };
        for word in &words[8..] {
            self.load_slots(handle, word, now, rng)?;
        }
        Some(())
    }

    /// `host:port@bus-port,hostname,name=value...`; whether a shard was among the values.
    fn load_address(&mut self, handle: Handle, text: &str) -> Option<bool> {
        let mut fields = text.split(',');
        let (host, ports) = fields.next()?.rsplit_once(':')?;
        let (port, bus_port) = ports.split_once('@').unwrap_or((ports, ""));
        let port: u16 = port.parse().ok()?;
        let bus_port = if bus_port.is_empty() { port.saturating_add(10_000) } else { bus_port.parse().ok()? };
        let hostname = fields.next().unwrap_or_default().to_owned();
        let mut has_shard = false;
        let node = self.node_mut(handle);
        (node.host, node.port, node.bus_port, node.hostname) = (host.to_owned(), port, bus_port, hostname);
        for field in fields {
            let (name, value) = field.split_once('=')?;
            match name {
                "shard-id" => {
                    node.shard = NodeId::parse(value.as_bytes())?;
                    has_shard = true;
                }
                "nodename" if fits_in_file(value) => value.clone_into(&mut node.human_name),
                "tcp-port" => node.port = value.parse().ok()?,
                "tls-port" => node.tls_port = value.parse().ok()?,
                _ => return None,
            }
        }
        Some(has_shard)
    }

    /// `0-5460`, `7`, or an open slot: `[93->-ID]`, `[93-<-ID]`.
    fn load_slots(&mut self, handle: Handle, word: &str, now: Millis, rng: &mut Rng) -> Option<()> {
        let slot = |text: &str| text.parse::<u16>().ok().filter(|slot| usize::from(*slot) < SLOTS);
        if let Some(open) = word.strip_prefix('[') {
            let (number, rest) = open.strip_suffix(']')?.split_once('-')?;
            let number = slot(number)?;
            let (direction, name) = rest.split_once('-')?;
            let other = self.node_named(name, now, rng)?;
            match direction {
                ">" => self.migrating.insert(number, other),
                _ => self.importing.insert(number, other),
            };
            return Some(());
        }
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        for number in slot(first)?..=slot(last)? {
            self.give_slot(handle, number);
        }
        Some(())
    }
}

impl Instance {
    fn nodes_conf(&self) -> String {
        self.config.path(&self.config.text("cluster-config-file").lossy())
    }

    /// The contents of nodes.conf, its path, and that of the file beside it.
    fn nodes_conf_text(&self, now: Millis) -> Option<(String, String, String)> {
        let (text, path) = (self.cluster.as_ref()?.conf(), self.nodes_conf());
        let beside = format!("{path}.tmp-{}-{}", self.hooks.pid.unwrap_or(1), now.0);
        Some((text, path, beside))
    }

    /// At the start of a node: who it is and whom it knows. Err: the lines after which it exits.
    pub(in crate::engine) fn boot_cluster(&mut self, env: &mut Env, log: &mut Vec<String>) -> Result<(), Vec<String>> {
        if !self.config.cluster_enabled {
            return Ok(());
        }
        let path = self.nodes_conf();
        let text = match env.disk.read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(DiskError::NotFound) => String::new(),
            Err(error) => {
                return Err(vec![format!("# Loading the cluster node config from {path}: {error}")]);
            }
        };
        // An empty file is one that was only made to be locked.
        let cluster = if text.is_empty() {
            let cluster = Cluster::found(env.now, env.rng);
            log.push(format!("* No cluster configuration found, I'm {}", cluster.me().id));
            cluster
        } else {
            let cluster = Cluster::load(&text, env.now, env.rng)
                .map_err(|line| vec![format!("# Unrecoverable error: corrupted cluster config file \"{line}\".")])?;
            log.push(format!("* Node configuration loaded, I'm {}", cluster.me().id));
            cluster
        };
        self.cluster = Some(Box::new(cluster));
        if self.config.int("cluster-port") == 0 && self.config.port > 55_535 {
            return Err(vec![String::from(
                "# Redis port number too high. Cluster communication port is 10,000 port numbers higher than your \
                 Redis port. Your Redis port number must be 55535 or less.",
            )]);
        }
        if text.is_empty() {
            self.save_nodes_conf(env, true).map_err(|line| vec![line, FATAL.to_owned()])?;
        }
        let mut out = Outbox::new();
        self.cluster_turn(env, &mut out, |turn| turn.announce());
        log.extend(out.into_iter().filter_map(|said| if let Output::Log(line) = said { Some(line) } else { None }));
        self.dbs[0].index_slots();
        Ok(())
    }

    /// After the data has been loaded: keys of slots that are not this node's. Of a slot that nobody has it takes charge,
    /// one that is another's it holds as importing.
    pub(in crate::engine) fn claim_slots_of_data(&mut self, env: &mut Env, log: &mut Vec<String>) {
        let Some(cluster) = self.cluster.as_deref_mut().filter(|cluster| !cluster.me().is_replica()) else { return };
        let myself = cluster.myself;
        let mut changed = false;
        for slot in self.dbs[0].slots_with_keys() {
            match cluster.owner(slot) {
                _ if cluster.importing.contains_key(&slot) => {}
                Some(owner) if owner == myself => {}
                None => {
                    log.push(format!("* I have keys for unassigned slot {slot}. Taking responsibility for it."));
                    cluster.give_slot(myself, slot);
                    changed = true;
                }
                Some(owner) => {
                    log.push(format!(
                        "* I have keys for slot {slot}, but the slot is assigned to another node. Setting it to \
                         importing state."
                    ));
                    cluster.importing.insert(slot, owner);
                    changed = true;
                }
            }
        }
        if changed && let Err(line) = self.save_nodes_conf(env, true) {
            log.push(line);
        }
    }

    /// Writes nodes.conf. Err: a line for the log.
    pub(in crate::engine) fn save_nodes_conf(&self, env: &mut Env, fsync: bool) -> Result<(), String> {
        let Some((text, path, beside)) = self.nodes_conf_text(env.now) else { return Ok(()) };
        env.disk.replace(&path, &beside, text.as_bytes(), fsync).map_err(not_saved)
    }

    /// A node that cannot remember its votes must not go on.
    pub(super) fn save_nodes_conf_or_die(&mut self, env: &mut Env, fsync: bool, out: &mut Outbox) {
        let Some((text, path, beside)) = self.nodes_conf_text(env.now) else { return };
        if let Err(line) = env.disk.replace_soon(&path, &beside, text.as_bytes(), fsync).map_err(not_saved) {
            out.retain(|said| !matches!(said, Output::LinkSend(..)));
            out.push(Output::Log(line));
            out.push(Output::Log(FATAL.to_owned()));
            out.push(Output::Exit);
        }
    }
}

fn not_saved((step, error): ReplaceError) -> String {
    let what = match step {
        Step::Write => "open temp cluster config file",
        Step::Sync => "sync tmp cluster config file",
        Step::Rename => "rename tmp cluster config file",
        Step::SyncDir => "sync cluster config file dir",
    };
    format!("# Could not {what}: {error}")
}

/// What a node says that ends because its nodes.conf could not be written.
pub fn last_words(error: ReplaceError) -> [String; 2] {
    [not_saved(error), FATAL.to_owned()]
}

const FATAL: &str = "# Fatal: can't update cluster config file.";

#[cfg(test)]
mod tests {
    use super::*;

    /// As redis-server 7.2.6 wrote it, with shorter lines of slots.
    const CONF: &str = "\
1111111111111111111111111111111111111111 127.0.0.1:7001@17001,,tls-port=0,shard-id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa myself,master - 0 0 1 connected 0-5460 5462 [5460->-2222222222222222222222222222222222222222] [9000-<-2222222222222222222222222222222222222222]
2222222222222222222222222222222222222222 127.0.0.1:7002@17002,shop.example,tls-port=0,nodename=shop2,shard-id=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb master - 0 1700000000000 2 connected 9000
3333333333333333333333333333333333333333 127.0.0.1:7003@17003,,tls-port=0,shard-id=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb slave,fail 2222222222222222222222222222222222222222 0 1700000000000 2 disconnected
vars currentEpoch 2 lastVoteEpoch 1
";

    #[test]
    fn what_is_written_is_what_was_read() {
        let cluster = Cluster::load(CONF, Millis(1_700_000_000_000), &mut Rng::new(1)).unwrap();
        let expected = CONF.replace("2 connected 9000", "2 disconnected 9000");
        assert_eq!(cluster.conf(), expected);
        assert_eq!((cluster.count(), cluster.me().slots.len(), cluster.shards.len()), (3, 5462, 2));
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 65_535, 1_700_000_000_000, u64::MAX] {
            let mut text = String::new();
            put_number(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }

    #[test]
    fn a_broken_line_is_named() {
        let load = |text: &str| Cluster::load(text, Millis(5), &mut Rng::new(1)).map(|_| ());
        for line in [
            "1111 127.0.0.1:1@2 myself,master - 0 0 1 connected",
            "vars currentEpoch",
            "1111111111111111111111111111111111111111 127.0.0.1 myself,master - 0 0 1 connected",
            "1111111111111111111111111111111111111111 h:1@2 boss - 0 0 1 connected",
            "1111111111111111111111111111111111111111 h:1@2 master - 0 0 1 connected 16384",
            "1111111111111111111111111111111111111111 h:1@2,,color=red master - 0 0 1 connected 1",
        ] {
            assert_eq!(load(&format!("{CONF}{line}\n")), Err(line.to_owned()));
        }
        assert!(load("vars currentEpoch 1 lastVoteEpoch 0\n").is_err(), "nobody is myself");
    }
}

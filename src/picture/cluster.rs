//! The cluster as one node sees it, beside what each of the others holds for true: nodes with roles and epochs, who owns which
//! slots and which of them move, a vote that is under way, the messages on the wires, and the last redirections.
//!
//! There is no view from above in a cluster: every node has its own, and they differ while news travels. The picture is that of
//! the node which the active terminal speaks to; the others' differences stand beside it.

use super::{Look, databases::parameter, timeline};
use crate::base::slot::{SLOTS, crc16, hashed_part, slot_of};
use crate::base::{Bytes, Millis, quote};
use crate::resp::Reply;
use crate::snapshot::{Cluster, ClusterNode, Instance, State, What};

/// How many of the last redirections are shown, and how many of the next messages.
const REDIRECTIONS_MAX: usize = 3;
const MESSAGES_MAX: usize = 4;
const HOT_MAX: usize = 5;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The node whose view this is.
    pub seen_by: String,
    pub ok: bool,
    pub epoch: u64,
    /// Primaries first, each followed by its replicas.
    pub nodes: Vec<Node>,
    /// Runs of slots with their owner, as an index into `nodes`; by slot.
    pub runs: Vec<(u16, u16, usize)>,
    /// Slot, from, to (indexes into `nodes`, where they are known).
    pub moving: Vec<(u16, Option<usize>, Option<usize>)>,
    /// The slots with the most keys, on whichever node: slot and keys.
    pub hot: Vec<(u16, usize)>,
    /// Elections under way: who asks, in which epoch, with how many votes of how many needed, since or from when.
    pub votes: Vec<Vote>,
    pub frozen: bool,
    pub under_way: usize,
    /// The next messages to arrive: from, to, what.
    pub messages: Vec<(String, String, String)>,
    /// Pairs that cannot reach each other.
    pub cuts: Vec<[String; 2]>,
    /// The last redirections, oldest first.
    pub redirections: Vec<Redirection>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    pub id: String,
    pub name: String,
    pub port: u16,
    pub replica: bool,
    /// Of a replica: its primary, as an index.
    pub of: Option<usize>,
    pub epoch: u64,
    pub slots: usize,
    pub keys: usize,
    pub suspected: bool,
    pub failed: bool,
    pub reports: usize,
    pub myself: bool,
    /// The process runs; None: it is none of this lab's.
    pub running: Option<bool>,
    /// What this node itself holds for true, where that is not what the picture shows.
    pub thinks: Vec<String>,
    /// Terminals that are connected to it.
    pub residents: Vec<usize>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vote {
    pub who: String,
    /// None: it has not asked yet.
    pub epoch: Option<u64>,
    pub votes: usize,
    pub needed: usize,
    pub rank: usize,
    pub starts_at: Millis,
}

/// A client was sent to another node.
#[derive(Clone, Debug, PartialEq)]
pub struct Redirection {
    pub lane: Option<usize>,
    pub command: String,
    pub from: String,
    /// ASK: only this once; MOVED: for good.
    pub ask: bool,
    pub slot: u16,
    pub to: String,
}

/// None if no server of the world is a node of a cluster.
pub fn of(look: &Look) -> Option<Facts> {
    let instances = &look.world.instances;
    let clustered = |instance: &&Instance| instance.cluster.is_some();
    let mine = |instance: &&Instance| instance.clients.iter().any(|client| client.terminal.is_some());
    let seen = instances.iter().filter(clustered).find(mine).or(instances.iter().find(clustered))?;
    let view = seen.cluster.as_ref()?;
    let order = ordered(view);
    let place = |id: &str| order.iter().position(|node| node.id == id);
    let nodes: Vec<Node> = order.iter().map(|node| look_at(look, view, node, &place)).collect();
    let mut runs: Vec<(u16, u16, usize)> = Vec::new();
    for (at, node) in order.iter().enumerate() {
        runs.extend(node.slots.iter().map(|(first, last)| (*first, *last, at)));
    }
    runs.sort_unstable();
    let all = || instances.iter().filter_map(|instance| Some((instance, instance.cluster.as_ref()?)));
    let mut moving: Vec<(u16, Option<usize>, Option<usize>)> = Vec::new();
    let mut hot: Vec<(u16, usize)> = Vec::new();
    for (_, cluster) in all() {
        let here = cluster.me().and_then(|me| place(&me.id));
        moving.extend(cluster.migrating.iter().map(|(slot, to)| (*slot, here, place(to))));
        moving.extend(cluster.importing.iter().map(|(slot, from)| (*slot, place(from), here)));
        if cluster.me().is_some_and(|me| !me.replica) {
            hot.extend(cluster.keys.iter().copied());
        }
    }
    moving.sort_unstable();
    moving.dedup();
    hot.sort_unstable_by_key(|(slot, keys)| (std::cmp::Reverse(*keys), *slot));
    hot.truncate(HOT_MAX);
    let votes = all().filter_map(|(instance, cluster)| {
        let election = cluster.election.as_ref()?;
        Some(Vote {
            who: instance.name.clone(),
            epoch: election.epoch,
            votes: election.votes,
            needed: election.needed,
            rank: election.rank,
            starts_at: election.starts_at,
        })
    });
    let network = &look.world.network;
    Some(Facts {
        seen_by: seen.name.clone(),
        ok: view.ok,
        epoch: view.current_epoch,
        nodes,
        runs,
        moving,
        hot,
        votes: votes.collect(),
        frozen: network.frozen,
        under_way: network.messages.len(),
        messages: network
            .messages
            .iter()
            .filter(|message| message.at.is_some())
            .take(MESSAGES_MAX)
            .map(|message| (message.from.clone(), message.to.clone(), message.what.clone()))
            .collect(),
        cuts: network.faults.iter().filter(|fault| fault.cut).map(|fault| fault.between.clone()).collect(),
        redirections: redirections(look),
    })
}

/// Primaries by their first slot, then by port; each followed by its replicas.
fn ordered(view: &Cluster) -> Vec<&ClusterNode> {
    let first = |node: &ClusterNode| (node.slots.first().map_or(u16::MAX, |(first, _)| *first), node.port);
    let mut primaries: Vec<&ClusterNode> = view.nodes.iter().filter(|node| !node.replica).collect();
    primaries.sort_by_key(|node| first(node));
    let mut order: Vec<&ClusterNode> = Vec::new();
    for primary in primaries {
        order.push(primary);
        let mut replicas: Vec<&ClusterNode> =
            view.nodes.iter().filter(|node| node.replica && node.of.as_ref() == Some(&primary.id)).collect();
        replicas.sort_by_key(|node| node.port);
        order.extend(replicas);
    }
    let orphans = view.nodes.iter().filter(|node| !order.iter().any(|it| it.id == node.id)).collect::<Vec<_>>();
    order.extend(orphans);
    order
}

fn look_at(look: &Look, view: &Cluster, node: &ClusterNode, place: &dyn Fn(&str) -> Option<usize>) -> Node {
    let name = name_of(node);
    let instance = look.world.instances.iter().find(|it| node.name.as_ref() == Some(&it.name));
    let cluster = instance.and_then(|it| it.cluster.as_ref());
    Node {
        id: node.id.clone(),
        name,
        port: node.port,
        replica: node.replica,
        of: node.of.as_deref().and_then(place),
        epoch: node.epoch,
        slots: node.slots.iter().map(|(first, last)| usize::from(last - first) + 1).sum(),
        keys: cluster.map_or(0, |cluster| cluster.keys.iter().map(|(_, keys)| keys).sum()),
        suspected: node.suspected,
        failed: node.failed,
        reports: node.reported_by.len(),
        myself: node.myself,
        running: instance.map(|it| it.state == State::Running),
        thinks: cluster.map(|own| differs(view, own)).unwrap_or_default(),
        residents: instance
            .map(|it| {
                let holds = |name: &String| it.clients.iter().any(|client| client.terminal.as_ref() == Some(name));
                (0..look.terminals.len()).filter(|lane| holds(&look.terminals[*lane])).collect()
            })
            .unwrap_or_default(),
    }
}

/// What the lab calls it, else its port.
fn name_of(node: &ClusterNode) -> String {
    node.name.clone().unwrap_or_else(|| format!("{}:{}", node.host, node.port))
}

/// What a node holds for true and the one whose picture is shown does not.
fn differs(view: &Cluster, own: &Cluster) -> Vec<String> {
    let mut said = Vec::new();
    if own.current_epoch != view.current_epoch {
        said.push(format!("epoch {}", own.current_epoch));
    }
    if own.ok != view.ok {
        said.push(format!("state {}", if own.ok { "ok" } else { "fail" }));
    }
    for node in &own.nodes {
        let other = view.node(&node.id);
        let name = name_of(node);
        let as_seen = other.map(|it| (it.suspected, it.failed, it.replica, &it.slots));
        if node.failed && as_seen.is_none_or(|(_, failed, ..)| !failed) {
            said.push(format!("{name} failed"));
        } else if node.suspected && as_seen.is_none_or(|(suspected, ..)| !suspected) {
            said.push(format!("suspects {name}"));
        } else if as_seen
            .is_some_and(|(suspected, failed, ..)| (suspected || failed) && !node.suspected && !node.failed)
        {
            said.push(format!("{name} is well"));
        }
        if let Some((_, _, replica, slots)) = as_seen {
            if replica != node.replica {
                said.push(format!("{name} is a {}", if node.replica { "replica" } else { "primary" }));
            } else if *slots != node.slots {
                said.push(format!("other slots of {name}"));
            }
        } else {
            said.push(format!("knows {name}"));
        }
    }
    let missing = view.nodes.iter().filter(|node| own.node(&node.id).is_none());
    said.extend(missing.map(|node| format!("does not know {}", name_of(node))));
    said
}

/// MOVED and ASK in the history.
fn redirections(look: &Look) -> Vec<Redirection> {
    let found = look.events.iter().rev().take(1000).filter_map(|event| {
        let What::Command { terminal, args, reply: Reply::Error(text), .. } = &event.what else { return None };
        let mut words = text.split(' ');
        let ask = match words.next()? {
            "ASK" => true,
            "MOVED" => false,
            _ => return None,
        };
        let slot = words.next()?.parse().ok()?;
        let address = words.next()?;
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        let to = look.world.instances.iter().find(|instance| Some(instance.port) == port);
        let lane = terminal.as_ref().and_then(|name| look.terminals.iter().position(|it| it == name));
        Some(Redirection {
            lane,
            command: quote::line_of(args).chars().take(60).collect(),
            from: event.instance.clone(),
            ask,
            slot,
            to: to.map_or(address.to_owned(), |instance| instance.name.clone()),
        })
    });
    let mut last: Vec<Redirection> = found.take(REDIRECTIONS_MAX).collect();
    last.reverse();
    last
}

impl Facts {
    /// The owner of a slot, as an index into the nodes.
    pub fn owner(&self, slot: u16) -> Option<usize> {
        let at = self.runs.partition_point(|(first, _, _)| *first <= slot).checked_sub(1)?;
        let (_, last, owner) = self.runs[at];
        (slot <= last).then_some(owner)
    }

    /// How many slots nobody owns.
    pub fn unowned(&self) -> usize {
        let owned: usize = self.runs.iter().map(|(first, last, _)| usize::from(last - first) + 1).sum();
        SLOTS.saturating_sub(owned)
    }
}

/// The way from a key to its node: the part that is hashed, its CRC16, its slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Hashed {
    pub key: String,
    /// The part between braces, where only that counts.
    pub tag: Option<String>,
    pub crc: u16,
    pub slot: u16,
}

pub fn hashed(key: &Bytes) -> Hashed {
    let part = hashed_part(key);
    Hashed {
        key: quote::word_of(key),
        tag: (part.len() < key.len()).then(|| quote::word_of(part)),
        crc: crc16(part),
        slot: slot_of(key),
    }
}

/// `user:123  CRC16 0x0cd5 = 3285, mod 16384 = slot 3285`
pub fn hash_words(hashed: &Hashed) -> String {
    let tag = hashed.tag.as_ref().map_or(String::new(), |tag| format!(" (only {tag} counts)"));
    format!("{}{tag}: CRC16 0x{:04x} = {}, mod 16384 = slot {}", hashed.key, hashed.crc, hashed.crc, hashed.slot)
}

/// `primary, 5461 slots, epoch 1, 2 keys`.
pub fn node_words(facts: &Facts, node: &Node) -> String {
    let mut words = vec![match (node.replica, node.of) {
        (true, Some(of)) => format!("replica of {}", facts.nodes[of].name),
        (true, None) => "replica of a primary that is not known".to_owned(),
        (false, _) => format!("primary, {} slots", node.slots),
    }];
    words.push(format!("epoch {}", node.epoch));
    if node.keys > 0 {
        words.push(format!("{} keys", node.keys));
    }
    if node.failed {
        words.push("FAILED: a majority says so".to_owned());
    } else if node.suspected {
        words.push(format!("suspected (PFAIL), {} reports", node.reports));
    }
    if node.running == Some(false) {
        words.push("its process does not run".to_owned());
    }
    words.join(", ")
}

/// `n6 asks for votes in epoch 7: 1 of 2`.
pub fn vote_words(vote: &Vote, now: Millis) -> String {
    match vote.epoch {
        Some(epoch) => {
            format!("{} asks for votes in epoch {epoch}: {} of {} needed", vote.who, vote.votes, vote.needed)
        }
        None => format!("{} will ask for votes in {} ms, rank {}", vote.who, vote.starts_at.since(now).0, vote.rank),
    }
}

/// `GET user:1 at n1: MOVED, slot 8123 belongs to n2`.
pub fn redirection_words(it: &Redirection) -> String {
    match it.ask {
        true => format!("{} at {}: ASK, slot {} is moving, this key is at {}", it.command, it.from, it.slot, it.to),
        false => format!("{} at {}: MOVED, slot {} belongs to {}", it.command, it.from, it.slot, it.to),
    }
}

/// The cluster in sentences.
pub fn words(look: &Look) -> Vec<String> {
    let Some(facts) = of(look) else {
        return vec!["No server here is a node of a cluster.".to_owned()];
    };
    let state = if facts.ok { "ok" } else { "fail" };
    let mut lines = vec![format!("The cluster as {} sees it: state {state}, epoch {}.", facts.seen_by, facts.epoch)];
    for node in &facts.nodes {
        let here: Vec<String> = node.residents.iter().map(|lane| timeline::name(Some(*lane), look.terminals)).collect();
        let here = if here.is_empty() { String::new() } else { format!(" Here: {}.", here.join(", ")) };
        lines.push(format!("  {} :{}: {}.{here}", node.name, node.port, node_words(&facts, node)));
        if !node.thinks.is_empty() {
            lines.push(format!("    It sees it differently: {}.", node.thinks.join(", ")));
        }
    }
    let runs = facts.runs.iter().map(|(first, last, owner)| format!("{first}-{last} {}", facts.nodes[*owner].name));
    lines.push(format!("Slots: {}.", runs.collect::<Vec<_>>().join(", ")));
    if facts.unowned() > 0 {
        lines.push(format!("  {} slots belong to nobody.", facts.unowned()));
    }
    let name = |at: Option<usize>| at.map_or("somebody unknown", |at| facts.nodes[at].name.as_str());
    lines.extend(
        facts.moving.iter().map(|(slot, from, to)| format!("Slot {slot} moves from {} to {}.", name(*from), name(*to))),
    );
    let hot: Vec<String> = facts.hot.iter().map(|(slot, keys)| format!("{slot} ({keys} keys)")).collect();
    if !hot.is_empty() {
        lines.push(format!("Slots with the most keys: {}.", hot.join(", ")));
    }
    lines.extend(facts.votes.iter().map(|vote| format!("{}.", vote_words(vote, look.world.now))));
    lines.extend(facts.cuts.iter().map(|[a, b]| format!("The network between {a} and {b} is cut.")));
    if facts.frozen {
        lines.push(format!("The network stands still; {} messages are under way. Next:", facts.under_way));
        lines.extend(facts.messages.iter().map(|(from, to, what)| format!("  {from} to {to}: {what}")));
    }
    lines.extend(
        facts
            .redirections
            .iter()
            .map(|it| format!("{}: {}.", timeline::name(it.lane, look.terminals), redirection_words(it))),
    );
    lines
}

/// Whether an instance is meant to be a node, running or not.
pub fn is_node(instance: &Instance) -> bool {
    instance.cluster.is_some() || parameter(instance, "cluster-enabled") == "yes"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_a_key_to_its_slot_is_said_with_its_tag() {
        assert_eq!(hash_words(&hashed(&"123456789".into())), "123456789: CRC16 0x31c3 = 12739, mod 16384 = slot 12739");
        let tagged = hashed(&"{user:1}:cart".into());
        assert_eq!((tagged.tag.as_deref(), tagged.slot), (Some("user:1"), hashed(&"user:1".into()).slot));
    }

    #[test]
    fn owners_are_found_by_slot_and_gaps_are_counted() {
        let facts = Facts { runs: vec![(0, 99, 0), (200, 16383, 1)], ..Facts::default() };
        assert_eq!((facts.owner(0), facts.owner(99), facts.owner(100)), (Some(0), Some(0), None));
        assert_eq!((facts.owner(200), facts.owner(16383), facts.unowned()), (Some(1), Some(1), 100));
    }
}

//! The cluster as one node sees it, beside what each of the others holds for true: nodes with roles and epochs, who owns which
//! slots and which of them move, a vote that is under way, the messages on the wires, and the last redirections.
//!
//! There is no view from above in a cluster: every node has its own, and they differ while news travels. The picture is that of
//! the node which the active terminal speaks to; the others' differences stand beside it.

use super::{Look, timeline};
use crate::base::slot::{SLOTS, crc16, hashed_part, slot_of};
use crate::base::{Bytes, Millis, quote};
use crate::resp::Reply;
use crate::snapshot::{Cluster, ClusterNode, Instance, State, What, World};
use std::collections::BTreeMap;

/// How many of the last redirections are shown, and how many of the next messages.
const REDIRECTIONS_MAX: usize = 3;
const MESSAGES_MAX: usize = 4;
const HOT_MAX: usize = 5;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The node whose view this is; empty: none runs.
    pub seen_by: String,
    pub ok: bool,
    pub epoch: u64,
    /// Primaries by port, each followed by its replicas.
    pub nodes: Vec<Node>,
    /// Servers of the lab that this node has not heard of.
    pub strangers: Vec<Stranger>,
    /// Runs of slots with their owner, as an index into `nodes`; by slot.
    pub runs: Vec<(u16, u16, usize)>,
    /// Slot, from, to (indexes into `nodes`, where they are known).
    pub moving: Vec<(u16, Option<usize>, Option<usize>)>,
    /// The slots with the most keys, on whichever nodes: slot and keys.
    pub hot: Vec<(u16, usize)>,
    /// How many slots have any.
    pub used: usize,
    /// Elections under way: who asks, in which epoch, with how many votes of how many needed, since or from when.
    pub votes: Vec<Vote>,
    pub frozen: bool,
    pub under_way: usize,
    /// The next messages to arrive: from, to, what.
    pub messages: Vec<(String, String, String)>,
    /// Who cannot reach whom, and the other way round.
    pub cuts: Vec<(String, Vec<String>)>,
    /// The last redirections since the exercise began, oldest first.
    pub redirections: Vec<Redirection>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    pub id: String,
    pub name: String,
    pub port: u16,
    /// Its place among all by port: it keeps that through every change of roles.
    pub mark: usize,
    pub replica: bool,
    /// Of a replica: its primary, as an index.
    pub of: Option<usize>,
    /// Of a replica: how much of what its primary has written it does not have yet.
    pub behind_bytes: u64,
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
    /// A node further up that holds the same for true, as an index.
    pub as_does: Option<usize>,
    /// Terminals that are connected to it.
    pub residents: Vec<usize>,
}

/// A server that the one who looks does not know: it runs for itself, with others, or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stranger {
    pub name: String,
    pub port: u16,
    pub mark: usize,
    /// How many nodes it knows, itself among them; None: it does not run.
    pub knows: Option<usize>,
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

/// As each node sees it that a terminal speaks to, or else the first that runs; empty if no server is meant to be a node.
pub fn of(look: &Look) -> Vec<Facts> {
    let instances = &look.world.instances;
    let running: Vec<(&Instance, &Cluster)> =
        instances.iter().filter_map(|instance| Some((instance, instance.cluster.as_ref()?))).collect();
    let mut views: Vec<Facts> = running
        .iter()
        .filter(|(instance, _)| instance.clients.iter().any(|client| client.terminal.is_some()))
        .map(|(instance, view)| seen_by(look, instance, view))
        .collect();
    if views.is_empty()
        && let Some((instance, view)) = running.first()
    {
        views.push(seen_by(look, instance, view));
    }
    if views.is_empty() && look.nodes_meant {
        views.push(Facts { strangers: strangers(look, None), ..Facts::default() });
    }
    views
}

/// The view of the node that a terminal speaks to; of the first that there is, if that speaks to none.
pub fn view_from(views: &[Facts], terminal: usize) -> Option<&Facts> {
    let holds = |facts: &&Facts| facts.nodes.iter().any(|node| node.myself && node.residents.contains(&terminal));
    views.iter().find(holds).or(views.first())
}

fn seen_by(look: &Look, seen: &Instance, view: &Cluster) -> Facts {
    let order = ordered(view);
    let place = |id: &str| order.iter().position(|node| node.id == id);
    let mut nodes: Vec<Node> = order.iter().map(|node| look_at(look, view, node, &place)).collect();
    for at in 1..nodes.len() {
        nodes[at].as_does =
            (0..at).find(|other| !nodes[at].thinks.is_empty() && nodes[*other].thinks == nodes[at].thinks);
    }
    let mut runs: Vec<(u16, u16, usize)> = Vec::new();
    for (at, node) in order.iter().enumerate() {
        runs.extend(node.slots.iter().map(|(first, last)| (*first, *last, at)));
    }
    runs.sort_unstable();
    let all = || look.world.instances.iter().filter_map(|instance| Some((instance, instance.cluster.as_ref()?)));
    let mut moving: Vec<(u16, Option<usize>, Option<usize>)> = Vec::new();
    let mut keys: BTreeMap<u16, usize> = BTreeMap::new();
    for (_, cluster) in all() {
        let here = cluster.me().and_then(|me| place(&me.id));
        moving.extend(cluster.migrating.iter().map(|(slot, to)| (*slot, here, place(to))));
        moving.extend(cluster.importing.iter().map(|(slot, from)| (*slot, place(from), here)));
        if cluster.me().is_some_and(|me| !me.replica) {
            for (slot, count) in &cluster.keys {
                *keys.entry(*slot).or_default() += count;
            }
        }
    }
    moving.sort_unstable();
    moving.dedup();
    let used = keys.len();
    let mut hot: Vec<(u16, usize)> = keys.into_iter().collect();
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
    let strangers = strangers(look, Some(view));
    let ports: Vec<u16> = nodes.iter().map(|node| node.port).chain(strangers.iter().map(|it| it.port)).collect();
    for node in &mut nodes {
        node.mark = ports.iter().filter(|port| **port < node.port).count();
    }
    let strangers = strangers
        .into_iter()
        .map(|it| Stranger { mark: ports.iter().filter(|port| **port < it.port).count(), ..it })
        .collect();
    Facts {
        seen_by: seen.name.clone(),
        ok: view.ok,
        epoch: view.current_epoch,
        nodes,
        strangers,
        runs,
        moving,
        hot,
        used,
        votes: votes.collect(),
        frozen: network.frozen,
        under_way: network.messages.iter().filter(|message| !message.mute).count(),
        messages: network
            .messages
            .iter()
            .filter(|message| message.at.is_some() && !message.mute)
            .take(MESSAGES_MAX)
            .map(|message| (message.from.clone(), message.to.clone(), message.what.clone()))
            .collect(),
        cuts: cuts(look.world),
        redirections: redirections(look),
    }
}

/// Servers that are not among the nodes that `view` knows, though they are nodes or may be once they run.
fn strangers(look: &Look, view: Option<&Cluster>) -> Vec<Stranger> {
    let known = |instance: &Instance| {
        let is = |node: &ClusterNode| node.name.as_ref() == Some(&instance.name);
        view.is_some_and(|view| view.nodes.iter().any(is))
    };
    let apart = |instance: &&Instance| {
        !known(instance) && (instance.cluster.is_some() || look.nodes_meant && instance.state != State::Running)
    };
    let mut strangers: Vec<Stranger> = look
        .world
        .instances
        .iter()
        .filter(apart)
        .map(|instance| Stranger {
            name: instance.name.clone(),
            port: instance.port,
            mark: 0,
            knows: instance.cluster.as_ref().map(|cluster| cluster.nodes.len()),
            residents: residents(look, instance),
        })
        .collect();
    strangers.sort_by_key(|it| it.port);
    for (mark, it) in strangers.iter_mut().enumerate() {
        it.mark = mark;
    }
    strangers
}

/// The terminals that are connected to a server.
fn residents(look: &Look, instance: &Instance) -> Vec<usize> {
    let holds = |name: &String| instance.clients.iter().any(|client| client.terminal.as_ref() == Some(name));
    (0..look.terminals.len()).filter(|lane| holds(&look.terminals[*lane])).collect()
}

/// One against many, where a server is cut off from several.
fn cuts(world: &World) -> Vec<(String, Vec<String>)> {
    let mut pairs: Vec<&[String; 2]> =
        world.network.faults.iter().filter(|fault| fault.cut).map(|fault| &fault.between).collect();
    let mut cuts = Vec::new();
    while !pairs.is_empty() {
        let of = |name: &String| pairs.iter().filter(|pair| pair.contains(name)).count();
        let mut names: Vec<&String> = pairs.iter().flat_map(|pair| pair.iter()).collect();
        names.sort_unstable();
        names.dedup();
        let Some(lonely) = names.into_iter().rev().max_by_key(|name| of(name)).cloned() else { break };
        let (mine, rest): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|pair| pair.contains(&lonely));
        let others = mine.into_iter().map(|[a, b]| if *a == lonely { b.clone() } else { a.clone() }).collect();
        cuts.push((lonely, others));
        pairs = rest;
    }
    cuts
}

/// Primaries by port, each followed by its replicas.
fn ordered(view: &Cluster) -> Vec<&ClusterNode> {
    let mut primaries: Vec<&ClusterNode> = view.nodes.iter().filter(|node| !node.replica).collect();
    primaries.sort_by_key(|node| node.port);
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
    let offset = |port: u16| {
        let instance = look.world.instances.iter().find(|it| it.port == port)?;
        instance.replication.as_ref().map(|it| it.offset)
    };
    let primary = node.of.as_ref().and_then(|of| view.node(of));
    let behind = primary.and_then(|primary| Some(offset(primary.port)?.saturating_sub(offset(node.port)?)));
    Node {
        id: node.id.clone(),
        name,
        port: node.port,
        mark: 0,
        behind_bytes: behind.unwrap_or(0),
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
        as_does: None,
        residents: instance.map(|it| residents(look, it)).unwrap_or_default(),
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
    let slots =
        |node: &ClusterNode| -> usize { node.slots.iter().map(|(first, last)| usize::from(last - first) + 1).sum() };
    let (mut well, mut known) = (Vec::new(), Vec::new());
    for node in &own.nodes {
        let name = name_of(node);
        let Some(other) = view.node(&node.id) else {
            known.push(name);
            continue;
        };
        if node.failed && !other.failed {
            said.push(format!("{name} failed"));
        } else if node.suspected && !other.suspected {
            said.push(format!("suspects {name}"));
        } else if (other.suspected || other.failed) && !node.suspected && !node.failed {
            well.push(name.clone());
        }
        if other.replica != node.replica {
            said.push(match node.replica {
                true => format!("{name} is a replica"),
                false => format!("{name} is a primary with {} slots", slots(node)),
            });
        } else if other.slots != node.slots {
            said.push(format!("{name} has {} slots", slots(node)));
        }
    }
    well.sort_unstable();
    if !well.is_empty() {
        said.push(format!("{} {} well", well.join(", "), if well.len() == 1 { "is" } else { "are" }));
    }
    if !known.is_empty() {
        said.push(format!("knows {}", known.join(", ")));
    }
    let missing: Vec<String> = view.nodes.iter().filter(|node| own.node(&node.id).is_none()).map(name_of).collect();
    if !missing.is_empty() {
        said.push(format!("does not know {}", missing.join(", ")));
    }
    said
}

/// MOVED and ASK since the exercise began.
fn redirections(look: &Look) -> Vec<Redirection> {
    let events = look.events.get(look.first_event..).unwrap_or_default();
    let found = events.iter().rev().take(1000).filter_map(|event| {
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
        words.push(counted(node.keys, "key"));
    }
    if node.behind_bytes > 0 {
        words.push(format!("{} behind", counted(node.behind_bytes as usize, "byte")));
    }
    if node.failed {
        words.push("FAILED: a majority says so".to_owned());
    } else if node.suspected && node.reports > 0 {
        words.push(format!("suspected (PFAIL), {}", counted(node.reports, "report")));
    } else if node.suspected {
        words.push("suspected (PFAIL)".to_owned());
    }
    if node.running == Some(false) {
        words.push("its process does not run".to_owned());
    }
    words.join(", ")
}

/// `not known to n1, knows 1 node`.
pub fn stranger_words(facts: &Facts, stranger: &Stranger) -> String {
    match stranger.knows {
        None => "does not run".to_owned(),
        Some(1) if facts.seen_by.is_empty() => "knows nobody".to_owned(),
        Some(1) => format!("runs, knows nobody, not known to {}", facts.seen_by),
        Some(count) => format!("runs, knows {}, not known to {}", counted(count, "node"), facts.seen_by),
    }
}

/// What a node sees differently: all of it, or that it is what another sees.
pub fn sees_words(facts: &Facts, node: &Node) -> String {
    match node.as_does {
        Some(at) => format!("as {} does", facts.nodes[at].name),
        None => node.thinks.join(", "),
    }
}

/// `n1 from n2, n3`.
pub fn cut_words((lonely, others): &(String, Vec<String>)) -> String {
    format!("{lonely} and {} cannot reach each other", others.join(", "))
}

/// The slots with the most keys, and how many others there are; None if no slot has any.
pub fn hot_words(facts: &Facts) -> Option<String> {
    let most = facts.hot.first()?.1;
    let each = |(slot, keys): &(u16, usize)| if most == 1 { slot.to_string() } else { format!("{slot} ({keys})") };
    let slots = facts.hot.iter().map(each).collect::<Vec<_>>().join(", ");
    let more = match facts.used.saturating_sub(facts.hot.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(match most {
        1 if facts.used == 1 => format!("one key, in slot {slots}"),
        1 => format!("one key each in slots {slots}{more}"),
        _ => format!("slots with the most keys: {slots}{more}"),
    })
}

/// `1 key`, `2 keys`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
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

/// The cluster in sentences, as the node sees it that the terminal `here` speaks to.
pub fn words(look: &Look) -> Vec<String> {
    let views = of(look);
    let Some(facts) = view_from(&views, look.here) else {
        return vec!["No server here is a node of a cluster.".to_owned()];
    };
    let state = if facts.ok { "ok" } else { "fail" };
    let mut lines = vec![match facts.seen_by.as_str() {
        "" => "No node of the cluster runs.".to_owned(),
        name => format!("The cluster as {name} sees it: state {state}, epoch {}.", facts.epoch),
    }];
    let here = |lanes: &[usize]| match lanes {
        [] => String::new(),
        lanes => {
            let names: Vec<String> = lanes.iter().map(|lane| timeline::name(Some(*lane), look.terminals)).collect();
            format!(" Here: {}.", names.join(", "))
        }
    };
    for node in &facts.nodes {
        let words = node_words(facts, node);
        lines.push(format!("  {} :{}: {words}.{}", node.name, node.port, here(&node.residents)));
        if !node.thinks.is_empty() {
            lines.push(format!("    It sees: {}.", sees_words(facts, node)));
        }
    }
    for it in &facts.strangers {
        let words = stranger_words(facts, it);
        lines.push(format!("  {} :{}: {words}.{}", it.name, it.port, here(&it.residents)));
    }
    let runs = facts.runs.iter().map(|(first, last, owner)| format!("{first}-{last} {}", facts.nodes[*owner].name));
    if !facts.runs.is_empty() {
        lines.push(format!("Slots: {}.", runs.collect::<Vec<_>>().join(", ")));
    }
    if facts.unowned() > 0 {
        lines.push(format!("{} belong to nobody.", counted(facts.unowned(), "slot")));
    }
    let name = |at: Option<usize>| at.map_or("somebody unknown", |at| facts.nodes[at].name.as_str());
    lines.extend(
        facts.moving.iter().map(|(slot, from, to)| format!("Slot {slot} moves from {} to {}.", name(*from), name(*to))),
    );
    lines.extend(hot_words(facts).map(|words| format!("Keys: {words}.")));
    lines.extend(facts.votes.iter().map(|vote| format!("{}.", vote_words(vote, look.world.now))));
    lines.extend(facts.cuts.iter().map(|cut| format!("{}.", cut_words(cut))));
    if facts.frozen {
        let under_way = counted(facts.under_way, "message");
        lines.push(format!("The network stands still; {under_way} under way."));
        lines.extend(
            facts.messages.iter().enumerate().map(|(n, (from, to, what))| {
                format!("  {} {from} to {to}: {what}", if n == 0 { "next" } else { "then" })
            }),
        );
    }
    lines.extend(
        facts
            .redirections
            .iter()
            .map(|it| format!("{}: {}.", timeline::name(it.lane, look.terminals), redirection_words(it))),
    );
    lines
}

/// Whether a config file makes a server a node of a cluster.
pub fn is_nodes(conf: &str) -> bool {
    conf.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words.as_slice(), [name, value] if name.eq_ignore_ascii_case("cluster-enabled") && value.eq_ignore_ascii_case("yes"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Fault;

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

    #[test]
    fn a_server_that_is_cut_off_from_many_is_said_once() {
        let cut = |a: &str, b: &str| Fault { between: [a.into(), b.into()], delay: None, loss_percent: 0, cut: true };
        let mut world = World::default();
        world.network.faults = vec![cut("n1", "n2"), cut("n1", "n3"), cut("n4", "n5"), cut("n3", "n4")];
        let said: Vec<String> = cuts(&world).iter().map(cut_words).collect();
        assert_eq!(said, ["n1 and n2, n3 cannot reach each other", "n4 and n5, n3 cannot reach each other"],);
    }

    #[test]
    fn keys_are_told_by_slot_and_slots_with_many_first() {
        let facts = |hot: &[(u16, usize)], used| Facts { hot: hot.to_vec(), used, ..Facts::default() };
        assert_eq!(hot_words(&facts(&[], 0)), None);
        assert_eq!(hot_words(&facts(&[(7, 1), (9, 1)], 4)).as_deref(), Some("one key each in slots 7, 9 and 2 more"));
        assert_eq!(hot_words(&facts(&[(9, 3), (7, 1)], 2)).as_deref(), Some("slots with the most keys: 9 (3), 7 (1)"));
    }

    #[test]
    fn the_view_is_that_of_the_node_that_the_terminal_speaks_to() {
        let seen_by = |name: &str, lane: usize| {
            let me = Node { myself: true, residents: vec![lane], ..Node::default() };
            Facts { seen_by: name.into(), nodes: vec![me], ..Facts::default() }
        };
        let views = [seen_by("n1", 0), seen_by("n2", 1)];
        let from = |terminal| view_from(&views, terminal).map(|facts| facts.seen_by.as_str());
        assert_eq!((from(0), from(1), from(2)), (Some("n1"), Some("n2"), Some("n1")));
        assert_eq!(view_from(&[], 0), None);
    }

    #[test]
    fn a_config_file_says_whether_a_server_is_to_be_a_node() {
        assert!(is_nodes("port 7001\nCluster-Enabled yes\n"));
        assert!(!is_nodes("port 7001\ncluster-enabled no\ncluster-node-timeout 5000\n"));
    }
}

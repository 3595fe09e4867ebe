//! `cluster`: what the nodes of a cluster hold for true, of the whole and of one node. Of one slot `slot` tells.

use super::form::{Range, Reader, field};
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict, instance_of};
use crate::snapshot::{Cluster, ClusterNode, State, World};

pub const CLUSTER: Kind = Kind {
    name: "cluster",
    about: "What cluster nodes know: all that run have to agree, unless `on` names one.",
    fields: &[
        field("on", "INSTANCE", "whose view counts; without it that of every node that runs"),
        field("state", "ok | fail", "as CLUSTER INFO says"),
        field("known", "N or RANGE", "known nodes"),
        field("size", "N or RANGE", "primaries that have slots"),
        field("covered", "N or RANGE", "slots that have an owner which has not failed"),
        field("open", "N or RANGE", "slots on the move, seen from those who move them"),
        field("node", "INSTANCE", "whom the fields below are about"),
        field("role", "primary | replica", "what that node is"),
        field("of", "INSTANCE", "whose replica it is"),
        field("replicas", "N or RANGE", "how many replicas it has that have not failed"),
        field("owns", "N or RANGE", "how many slots it owns"),
        field("epoch", "N or RANGE", "the epoch of its slots (a replica has its primary's)"),
        field("health", "online | suspected | failed", "suspected: fail?, by whoever looks; failed: by a majority"),
    ],
    example: "cluster: {node: redis, role: primary, state: ok}",
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`cluster`", kind.fields)?;
        let on = reader.maybe(&fields, "on", Reader::instance)?;
        let node_name = reader.maybe(&fields, "node", Reader::instance)?;
        let mut wants = Vec::new();
        if let Some(node) = fields.get("state") {
            wants.push(Want::Up(reader.one_of(node, &[("ok", true), ("fail", false)])?));
        }
        for (field, what) in MEASURES {
            if let Some(range) = reader.maybe(&fields, field, Reader::range)? {
                wants.push(Want::Measure(what, range));
            }
        }
        let before = wants.len();
        if let Some(node) = fields.get("role") {
            wants.push(Want::Replica(reader.one_of(node, &[("primary", false), ("replica", true)])?));
        }
        if let Some(of) = reader.maybe(&fields, "of", Reader::instance)? {
            wants.push(Want::Of(of));
        }
        for (field, what) in NODE_MEASURES {
            if let Some(range) = reader.maybe(&fields, field, Reader::range)? {
                wants.push(Want::NodeMeasure(what, range));
            }
        }
        if let Some(node) = fields.get("health") {
            wants.push(Want::Health(reader.one_of(node, HEALTH)?));
        }
        if node_name.is_none() && wants.len() > before {
            reader.complain(fields.at, "say of which `node`", CLUSTER.example);
            return None;
        }
        if wants.is_empty() {
            reader.complain(fields.at, "`cluster` says nothing", CLUSTER.example);
            return None;
        }
        Some(Assertion::of(ClusterCheck { on, node: node_name, wants }))
    },
};

type Measure = fn(&Cluster) -> i64;
type NodeMeasure = fn(&Cluster, &ClusterNode) -> i64;

const MEASURES: [(&str, &Named<Measure>); 4] = [
    ("known", &Named { words: "knows {} nodes", of: |view| view.nodes.len() as i64 }),
    ("size", &Named { words: "counts {} primaries with slots", of: |view| view.size as i64 }),
    (
        "covered",
        &Named {
            words: "finds {} of the 16384 slots served",
            of: |view| view.nodes.iter().filter(|node| !node.failed).map(slots_of).sum(),
        },
    ),
    (
        "open",
        &Named { words: "has {} slots on the move", of: |view| (view.migrating.len() + view.importing.len()) as i64 },
    ),
];

const NODE_MEASURES: [(&str, &Named<NodeMeasure>); 3] = [
    (
        "replicas",
        &Named {
            words: "has {} working replicas",
            of: |view, node| {
                let follows = |other: &&ClusterNode| other.of.as_ref() == Some(&node.id) && !other.failed;
                view.nodes.iter().filter(follows).count() as i64
            },
        },
    ),
    ("owns", &Named { words: "owns {} slots", of: |_, node| slots_of(node) }),
    ("epoch", &Named { words: "is in epoch {}", of: |_, node| node.epoch as i64 }),
];

fn slots_of(node: &ClusterNode) -> i64 {
    node.slots.iter().map(|(first, last)| i64::from(last - first) + 1).sum()
}

/// Something to count, and how to say what was counted.
#[derive(Debug)]
struct Named<F> {
    words: &'static str,
    of: F,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Health {
    Online,
    Suspected,
    Failed,
}

const HEALTH: &[(&str, Health)] =
    &[("online", Health::Online), ("suspected", Health::Suspected), ("failed", Health::Failed)];

impl Health {
    fn of(node: &ClusterNode) -> Health {
        match node {
            node if node.failed => Health::Failed,
            node if node.suspected => Health::Suspected,
            _ => Health::Online,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Health::Online => "is well",
            Health::Suspected => "is suspected (`fail?`)",
            Health::Failed => "has failed (`fail`)",
        }
    }
}

#[derive(Clone, Debug)]
enum Want {
    Up(bool),
    Measure(&'static Named<Measure>, Range),
    Replica(bool),
    Of(String),
    NodeMeasure(&'static Named<NodeMeasure>, Range),
    Health(Health),
}

#[derive(Clone, Debug)]
struct ClusterCheck {
    on: Option<String>,
    node: Option<String>,
    wants: Vec<Want>,
}

impl ClusterCheck {
    /// Who looks, and what it sees.
    fn views<'w>(&self, world: &'w World) -> Result<Vec<(&'w str, &'w Cluster)>, String> {
        let running = || world.instances.iter().filter(|instance| instance.state == State::Running);
        let Some(on) = &self.on else {
            let views: Vec<_> = running().filter_map(|it| Some((it.name.as_str(), it.cluster.as_ref()?))).collect();
            return if views.is_empty() { Err(String::from("No cluster node runs.")) } else { Ok(views) };
        };
        let Some(instance) = running().find(|instance| instance.name == *on) else {
            return Err(format!("`{on}` does not run."));
        };
        match &instance.cluster {
            Some(view) => Ok(vec![(&instance.name, view)]),
            None => Err(format!("`{on}` runs without cluster-enabled.")),
        }
    }

    /// Err: what the node `who` sees instead.
    fn judge_view(&self, world: &World, who: &str, view: &Cluster) -> Result<String, String> {
        let mut saw = format!("`{who}` finds the cluster {}.", if view.ok { "ok" } else { "down" });
        for want in &self.wants {
            let (met, fact) = match want {
                Want::Up(up) => (view.ok == *up, saw.clone()),
                Want::Measure(what, range) => {
                    let count = (what.of)(view);
                    (range.holds(count), format!("`{who}` {}.", what.words.replace("{}", &count.to_string())))
                }
                _ => {
                    let name = self.node.as_deref().unwrap_or_default();
                    let Some(node) = view.nodes.iter().find(|node| is(world, node, name)) else {
                        return Err(format!("`{who}` does not know `{name}`."));
                    };
                    let (met, fact) = judge_node(world, view, node, want);
                    // What a node says of itself is so; of others it may know less, or more.
                    (met, if node.myself { fact } else { format!("For `{who}`, {fact}") })
                }
            };
            if !met {
                return Err(fact);
            }
            saw = fact;
        }
        Ok(saw)
    }
}

/// How a node is called to learners.
fn name_of(node: &ClusterNode) -> String {
    node.name.as_ref().map_or_else(|| format!("the node at port {}", node.port), |name| format!("`{name}`"))
}

/// Whether a node is the instance called `name`: by its own id while that runs, else by its port.
fn is(world: &World, node: &ClusterNode, name: &str) -> bool {
    match instance_of(world, name) {
        Some(instance) => match &instance.cluster {
            Some(own) => own.id == node.id,
            None => instance.port == node.port,
        },
        None => node.name.as_deref() == Some(name),
    }
}

fn judge_node(world: &World, view: &Cluster, node: &ClusterNode, want: &Want) -> (bool, String) {
    let name = name_of(node);
    let primary = node.of.as_ref().and_then(|of| view.node(of));
    let role = match (node.replica, primary) {
        (false, _) => format!("{name} is a primary."),
        (true, Some(primary)) => format!("{name} is a replica of {}.", name_of(primary)),
        (true, None) => format!("{name} is a replica."),
    };
    match want {
        Want::Replica(replica) => (node.replica == *replica, role),
        Want::Of(of) => (primary.is_some_and(|primary| is(world, primary, of)), role),
        Want::NodeMeasure(what, range) => {
            let count = (what.of)(view, node);
            (range.holds(count), format!("{name} {}.", what.words.replace("{}", &count.to_string())))
        }
        Want::Health(health) => {
            let found = Health::of(node);
            (found == *health, format!("{name} {}.", found.words()))
        }
        _ => unreachable!("what is of the whole cluster was judged before"),
    }
}

impl Check for ClusterCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let world = probe.world();
        let views = match self.views(world) {
            Ok(views) => views,
            Err(saw) => return Verdict::new(false, saw),
        };
        let mut last = String::new();
        for (who, view) in views {
            match self.judge_view(world, who, view) {
                Ok(saw) => last = saw,
                Err(saw) => return Verdict::new(false, saw),
            }
        }
        Verdict::new(true, last)
    }

    fn look_at(&self) -> Vec<Look> {
        self.on.iter().chain(&self.node).map(|name| Look::Instance(name.clone())).collect()
    }

    fn literals(&self) -> Vec<String> {
        let of = |want: &Want| match want {
            Want::Measure(_, range) | Want::NodeMeasure(_, range) => range.literals(),
            _ => Vec::new(),
        };
        self.wants.iter().flat_map(of).collect()
    }
}

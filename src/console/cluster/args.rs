//! The command line behind `redis-cli --cluster`.

use crate::base::Bytes;

#[derive(Clone, Debug, Default)]
pub(super) struct Task {
    pub name: String,
    /// What stands between the name and the options.
    pub words: Vec<String>,
    pub yes: bool,
    pub replicas: usize,
    pub from: Option<String>,
    pub to: Option<String>,
    pub slots: usize,
    pub timeout_ms: Option<u64>,
    pub pipeline: Option<usize>,
    pub replace: bool,
    pub weights: Vec<String>,
    pub use_empty_masters: bool,
    pub simulate: bool,
    /// Per cent; None: 2.
    pub threshold: Option<f64>,
    pub replica: bool,
    pub master_id: Option<String>,
    pub only_masters: bool,
    pub only_replicas: bool,
    pub search_multiple_owners: bool,
    pub fix_with_unreachable_masters: bool,
}

struct Known {
    name: &'static str,
    /// So many words; a negative number: at least so many.
    arity: i32,
    words: &'static str,
    options: &'static [&'static str],
}

const KNOWN: &[Known] = &[
    Known { name: "create", arity: -2, words: "host1:port1 ... hostN:portN", options: &["replicas <arg>"] },
    Known { name: "check", arity: -1, words: ADDRESS, options: &["search-multiple-owners"] },
    Known { name: "info", arity: -1, words: ADDRESS, options: &[] },
    Known {
        name: "fix",
        arity: -1,
        words: ADDRESS,
        options: &["search-multiple-owners", "fix-with-unreachable-masters"],
    },
    Known {
        name: "reshard",
        arity: -1,
        words: ADDRESS,
        options: &["from <arg>", "to <arg>", "slots <arg>", "yes", "timeout <arg>", "pipeline <arg>", "replace"],
    },
    Known {
        name: "rebalance",
        arity: -1,
        words: ADDRESS,
        options: &[
            "weight <node1=w1...nodeN=wN>",
            "use-empty-masters",
            "timeout <arg>",
            "simulate",
            "pipeline <arg>",
            "threshold <arg>",
            "replace",
        ],
    },
    Known {
        name: "add-node",
        arity: 2,
        words: "new_host:new_port existing_host:existing_port",
        options: &["slave", "master-id <arg>"],
    },
    Known { name: "del-node", arity: 2, words: "host:port node_id", options: &[] },
    Known {
        name: "call",
        arity: -2,
        words: "host:port command arg arg .. arg",
        options: &["only-masters", "only-replicas"],
    },
    Known { name: "set-timeout", arity: 2, words: "host:port milliseconds", options: &[] },
    Known { name: "help", arity: 0, words: "", options: &[] },
];

const ADDRESS: &str = "<host:port> or <host> <port> - separated by either colon or space";

/// Err: what redis-cli prints before it ends.
pub(super) fn parse(words: &[Bytes]) -> Result<Task, String> {
    let mut words = words.iter().map(|word| word.lossy().into_owned()).peekable();
    let mut task = Task { name: words.next().unwrap_or_else(|| String::from("help")), ..Task::default() };
    let Some(known) = KNOWN.iter().find(|known| known.name == task.name) else {
        return Err(String::from("Unknown --cluster subcommand"));
    };
    // Behind `call` everything belongs to the command until an option of redis-cli's own.
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--cluster-") else {
            task.words.push(word);
            continue;
        };
        let unknown = || format!("Unrecognized option or bad number of args for: '{word}'");
        let mut number = || words.next().and_then(|value| value.parse::<u64>().ok()).ok_or_else(unknown);
        match option {
            "yes" => task.yes = true,
            // More than there can be nodes: as good as any number, and it can be counted with.
            "replicas" => task.replicas = number()?.min(u64::from(u16::MAX)) as usize,
            "slots" => task.slots = number()? as usize,
            "timeout" => task.timeout_ms = Some(number()?),
            "pipeline" => task.pipeline = Some((number()? as usize).max(1)),
            "from" => task.from = Some(words.next().ok_or_else(unknown)?),
            "to" => task.to = Some(words.next().ok_or_else(unknown)?),
            "master-id" => task.master_id = Some(words.next().ok_or_else(unknown)?),
            "threshold" => {
                task.threshold = Some(words.next().and_then(|value| value.parse().ok()).ok_or_else(unknown)?)
            }
            "weight" => {
                while let Some(weight) = words.next_if(|word| !word.starts_with('-') && word.contains('=')) {
                    task.weights.push(weight);
                }
            }
            "replace" => task.replace = true,
            "use-empty-masters" => task.use_empty_masters = true,
            "simulate" => task.simulate = true,
            "slave" => task.replica = true,
            "only-masters" => task.only_masters = true,
            "only-replicas" => task.only_replicas = true,
            "search-multiple-owners" => task.search_multiple_owners = true,
            "fix-with-unreachable-masters" => task.fix_with_unreachable_masters = true,
            _ => return Err(unknown()),
        }
    }
    let count = task.words.len() as i32;
    if (known.arity >= 0 && count != known.arity) || count < known.arity.abs() {
        return Err(String::from("[ERR] Wrong number of arguments for specified --cluster sub command"));
    }
    Ok(task)
}

pub(super) fn help() -> String {
    let mut text = String::from("Cluster Manager Commands:");
    for known in KNOWN {
        text.push_str(&format!("\n  {:<15}{}", known.name, known.words));
        known.options.iter().for_each(|option| text.push_str(&format!("\n  {:<15}--cluster-{option}", "")));
    }
    text.push_str(
        "\n\nFor check, fix, reshard, del-node, set-timeout you can specify the host and port of any working node in the \
         cluster.\n\nCluster Manager Options:\n  --cluster-yes  Automatic yes to cluster commands prompts",
    );
    text
}

/// What redis-cli says where `address` finds none.
pub(super) const NO_ADDRESS: &str = "[ERR] Invalid arguments: you need to pass either a valid address (ie. 120.0.0.1:7000) or space separated IP and port (ie. 120.0.0.1 7000)";

/// `host:port`, or two words. None: neither.
pub(super) fn address(words: &[String]) -> Option<(String, u16)> {
    let (host, port) = match words {
        [one] => one.split('@').next()?.rsplit_once(':')?,
        [host, port, ..] => (host.as_str(), port.as_str()),
        [] => return None,
    };
    Some((host.to_owned(), port.parse().ok()?))
}

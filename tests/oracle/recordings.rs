//! Transcripts under `transcripts/`, recorded from a real redis-server.
//!
//! To add one: write its commands into a new file, then `REDLAB_RECORD=1 cargo test --test oracle recordings`. A file whose
//! first line is `# 7.2` was written by hand from what 7.2 changed, and is not recorded again from an older server.
//!
//! Those in `transcripts/cluster` are of a cluster node that wakes up with `NODES_CONF`: names and addresses are the same each time.

use crate::servers::{Engine, Redis, Server, free_port};
use redlab::base::Bytes;
use redlab::engine::disk::MemoryDisk;
use redlab::resp::Reply;
use redlab::transcript;
use std::fs;
use std::path::{Path, PathBuf};

/// A node, and two others of which it will never hear. Their slots: this one's, another's, nobody's.
const NODES_CONF: &str = "\
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 127.0.0.9:7001@17001 myself,master - 0 0 1 connected 0-8191
bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb 127.0.0.9:7002@17002 master - 0 0 2 connected 8192-11999
cccccccccccccccccccccccccccccccccccccccc 127.0.0.9:7003@17003 slave bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb 0 0 2 connected
vars currentEpoch 2 lastVoteEpoch 0
";
/// So patient that it never minds their silence.
const NODE_CONFIG: &[(&str, &str)] = &[
    ("cluster-enabled", "yes"),
    ("cluster-node-timeout", "3600000"),
    ("cluster-require-full-coverage", "no"),
    ("cluster-announce-ip", "127.0.0.9"),
    ("cluster-announce-port", "7001"),
    ("cluster-announce-bus-port", "17001"),
];

fn is_of_a_cluster(file: &Path) -> bool {
    file.parent().is_some_and(|group| group.ends_with("cluster"))
}

/// A primary that has just started serves nobody for two seconds.
fn until_served<S: Server>(mut node: S) -> S {
    let words = ["CLUSTER", "INFO"].map(Bytes::from);
    for _ in 0..100 {
        if format!("{:?}", node.request("", &words)).contains("cluster_state:ok") {
            return node;
        }
        node.rest();
    }
    panic!("the node does not begin to serve");
}

fn engine_for(file: &Path) -> Engine {
    if !is_of_a_cluster(file) {
        return Engine::new(1);
    }
    let config: String = NODE_CONFIG.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
    let mut disk = MemoryDisk::default();
    disk.files.insert(String::from("nodes.conf"), NODES_CONF.into());
    until_served(Engine::boot(&config, disk).expect("it can be read").0)
}

fn redis_for(file: &Path) -> Option<Redis> {
    if !is_of_a_cluster(file) {
        return Redis::start();
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("nodes.conf"), NODES_CONF).expect("writable");
    let mut options =
        vec![String::from("--save"), String::new(), String::from("--cluster-port"), free_port().to_string()];
    options.extend(NODE_CONFIG.iter().flat_map(|(name, value)| [format!("--{name}"), String::from(*value)]));
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    Redis::start_in(dir, &options).map(until_served)
}

/// Without what is the luck of the moment: when a node was pinged and whether it is being dialled just now, the order of nodes
/// and of shards.
fn steady(args: &[Bytes], reply: Reply) -> Reply {
    let name = args.get(1).filter(|_| args[0].eq_ignore_ascii_case(b"CLUSTER")).map(|name| name.to_ascii_uppercase());
    match (name.as_deref(), reply) {
        (Some(b"SHARDS"), Reply::Array(mut shards)) => {
            shards.sort_by_key(|shard| format!("{shard:?}"));
            Reply::Array(shards)
        }
        (Some(b"NODES"), Reply::Bulk(text)) => {
            let mut lines: Vec<String> = text.lossy().lines().map(|line| steady_line(line) + "\n").collect();
            lines.sort();
            Reply::bulk(lines.concat().as_str())
        }
        (Some(b"REPLICAS" | b"SLAVES"), Reply::Array(lines)) => {
            let steadied = |line| match line {
                Reply::Bulk(text) => Reply::bulk(steady_line(&text.lossy()).as_str()),
                other => other,
            };
            Reply::Array(lines.into_iter().map(steadied).collect())
        }
        (_, other) => other,
    }
}

fn steady_line(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    if let [_, _, flags, _, pinged, _, _, link, ..] = &mut words[..]
        && !flags.contains("myself")
    {
        (*pinged, *link) = ("PINGED", "LINK");
    }
    words.join(" ")
}

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/transcripts");
    let mut found = Vec::new();
    for group in fs::read_dir(dir).expect("the recordings are part of the project").flatten() {
        if group.path().is_dir() {
            found.extend(fs::read_dir(group.path()).expect("readable").flatten().map(|entry| entry.path()));
        }
    }
    found.sort();
    found
}

fn executed_by(server: &mut dyn Server) -> impl transcript::Execute + '_ {
    transcript::Server(|terminal: &str, args: Vec<Bytes>| steady(&args, server.request(terminal, &args)))
}

#[test]
fn the_engine_answers_as_recorded() {
    let mut wrong = Vec::new();
    for file in files() {
        let text = fs::read_to_string(&file).expect("readable");
        if let Err(complaint) = transcript::run(&text, &mut executed_by(&mut engine_for(&file))) {
            wrong.push(format!("{}: {complaint}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_real_server_still_answers_as_recorded() {
    let record = std::env::var_os("REDLAB_RECORD").is_some();
    let mut wrong = Vec::new();
    for file in files() {
        let text = fs::read_to_string(&file).expect("readable");
        if text.starts_with("# 7.2") {
            continue;
        }
        let Some(mut redis) = redis_for(&file) else { return };
        let mut server = executed_by(&mut redis);
        if record {
            let head: String =
                text.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
            let body = transcript::record(&text, &mut server).expect("a transcript of commands");
            fs::write(&file, head + &body).expect("writable");
        } else if let Err(complaint) = transcript::run(&text, &mut server) {
            wrong.push(format!("{}: {complaint}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

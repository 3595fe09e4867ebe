//! What comes over links to other servers: packets of the cluster bus, the stream of a primary, what MIGRATE is told.

use crate::harness::{Target, Went, fuzz, shape, went};
use crate::machine::{ME, Machine, START};
use redlab::base::{Millis, Rng};
use redlab::engine::cluster::message::{self, Body, Extension};
use redlab::engine::cluster::{NodeId, plan};
use redlab::engine::disk::{Disk, MemoryDisk};
use redlab::engine::link::LinkId;
use redlab::engine::{Input, Output};
use redlab::resp::Reply;
use std::collections::BTreeMap;

const PORTS: [u16; 6] = [7000, 7001, 7002, 7003, 7004, 7005];

/// The node at `PORTS[index]` of a cluster that has been up for some time.
fn node(index: usize) -> Machine {
    let conf = &plan::formed(&PORTS, 3, &mut Rng::new(5))[index];
    let mut disk = MemoryDisk::default();
    disk.write("nodes.conf", conf.as_bytes()).expect("memory");
    let config = format!("port {}\ncluster-enabled yes\ncluster-node-timeout 2000\nsave \"\"", PORTS[index]);
    let mut machine = Machine::boot(&config, disk, START).unwrap_or_else(|(log, _)| panic!("{log}"));
    later(&mut machine, 3_000);
    machine
}

/// Lets time pass in steps of the cron; every link that is dialled stands at once. What was sent over which.
fn later(machine: &mut Machine, ms: u64) -> BTreeMap<LinkId, Vec<u8>> {
    let mut sent: BTreeMap<LinkId, Vec<u8>> = BTreeMap::new();
    for _ in 0..ms / 500 {
        machine.now = Millis(machine.now.0 + 500);
        let mut outbox = machine.step(Input::Tick);
        while !outbox.is_empty() {
            for output in std::mem::take(&mut outbox) {
                match output {
                    Output::Dial(link, _) => outbox.extend(machine.step(Input::LinkUp(link))),
                    Output::LinkSend(link, bytes) => sent.entry(link).or_default().extend(bytes),
                    _ => {}
                }
            }
        }
    }
    sent
}

/// Where the slots of a packet's sender stand, a bit each.
const SLOTS: std::ops::Range<usize> = 80..2128;
/// So many bytes of them are the same: else a change would nearly always hit a slot.
const SAME: usize = 128;

/// A packet in short: a byte for `Manner`, and what stands behind the length, with every `SAME`th byte of the slots.
fn shortened(manner: u8, packet: &[u8]) -> Vec<u8> {
    let slots: Vec<u8> = packet[SLOTS].iter().copied().step_by(SAME).collect();
    [&[manner], &packet[8..SLOTS.start], &slots, &packet[SLOTS.end..]].concat()
}

/// The packet again, with a length and a count that fit, unless `manner` says otherwise: else nothing behind them is read.
fn whole(manner: u8, short: &[u8]) -> Vec<u8> {
    let (head, rest) = short.split_at(short.len().min(SLOTS.start - 8));
    let (slots, body) = rest.split_at(rest.len().min(SLOTS.len() / SAME));
    let slots = slots.iter().flat_map(|byte| [*byte; SAME]);
    let mut bytes: Vec<u8> =
        b"RCmb\0\0\0\0".iter().chain(head).copied().chain(slots).chain(body.iter().copied()).collect();
    let lie = if manner & 1 == 0 { 0 } else { short.len() % 5 };
    let len = (bytes.len() + lie) as u32;
    bytes[4..8].copy_from_slice(&len.to_be_bytes());
    if manner & 2 == 0 && bytes.len() >= message::HEADER && message::kind_of(&bytes) <= 2 {
        let count = (bytes.len() - message::HEADER) / 104;
        bytes[14..16].copy_from_slice(&(count as u16).to_be_bytes());
    }
    bytes
}

fn packets() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for index in 1..PORTS.len() {
        let mut machine = node(index);
        machine.ask(&[b"PUBLISH", b"news", b"hello"]);
        machine.ask(&[b"SPUBLISH", b"news", b"hello"]);
        for stream in later(&mut machine, 4_000).into_values() {
            let mut rest = &stream[..];
            while let Some(len) = rest.first_chunk().and_then(message::announced_len) {
                seeds.push(rest[..len].to_vec());
                rest = &rest[len..];
            }
        }
    }
    seeds.sort();
    seeds.dedup_by_key(|packet| packet[..message::HEADER].to_vec());
    // Of every kind there is: what chance would have to wait for.
    let ping = seeds[0].clone();
    for kind in 0..=11u16 {
        let mut packet = ping.clone();
        packet[12..14].copy_from_slice(&kind.to_be_bytes());
        packet[14..16].copy_from_slice(&[0, 0]);
        let body = match kind {
            3 => 40,
            4 | 10 => 8 + 9,
            7 => 8 + 40 + 2048,
            _ => 0,
        };
        packet.truncate(message::HEADER);
        packet.resize(message::HEADER + body, 0);
        if body == 17 {
            packet[2256..2264].copy_from_slice(&[0, 0, 0, 4, 0, 0, 0, 5]);
            packet[2264..].copy_from_slice(b"newshello");
        }
        seeds.push(packet);
    }
    let first = message::decode(&ping).expect("it was sent");
    let me = NodeId::parse(b"ae0e0c3d22f4f464595504428c0e7a9dc3af3b4a").expect("forty digits");
    for extension in [
        Extension::Hostname(String::from("node-1.example")),
        Extension::HumanName(String::from("east")),
        Extension::Forgotten(me, 60),
        Extension::Shard(me),
        Extension::Unknown(9),
    ] {
        let body = Body::Gossip(Vec::new(), vec![extension, Extension::Shard(me)]);
        seeds.push(message::Message { body, ..first.clone() }.encode());
    }
    // Each to each of the nodes that listen, over a link that came in and over one that was made.
    // A count that fits would be wrong where there are extensions.
    let is_long =
        |packet: &[u8]| packet.len() > message::HEADER && !packet[message::HEADER..].len().is_multiple_of(104);
    let manner = |to_whom: u8, packet: &[u8]| to_whom << 2 | if is_long(packet) { 2 } else { 0 };
    (0..8).flat_map(|to_whom| seeds.iter().map(move |packet| shortened(manner(to_whom, packet), packet))).collect()
}

/// A node, and the links that it made.
type Listening = (Machine, Vec<LinkId>);

/// Nodes to which packets come: a primary, a replica, one that was just told of the others, and a replica that is about to take
/// over.
fn listening() -> [Listening; 4] {
    let with_links = |mut machine: Machine| {
        later(&mut machine, 500);
        let links: Vec<LinkId> = machine.instance.cluster.iter().flat_map(|it| it.links.keys().copied()).collect();
        (machine, links)
    };
    let mut young = Machine::new("port 7000\ncluster-enabled yes\ncluster-node-timeout 2000\nsave \"\"");
    young.ask(&[b"CLUSTER", b"MEET", b"127.0.0.1", b"7001"]);
    let mut waiting = node(4);
    waiting.ask(&[b"CLUSTER", b"FAILOVER", b"FORCE"]);
    [node(0), node(3), young, waiting].map(with_links)
}

fn bus(input: &[u8]) -> Went {
    thread_local! {
        static NODES: [Listening; 4] = listening();
    }
    let Some((&manner, short)) = input.split_first() else { return Went::default() };
    // Gossip about hundreds of strangers, who are all dialled, is rarely worth its time.
    let most = if short.len().is_multiple_of(64) { short.len() } else { short.len().min(1_000) };
    let bytes = whole(manner, &short[..most]);
    let (mut machine, made) = NODES.with(|nodes| nodes[usize::from(manner >> 3) % 4].clone());
    let before = machine.disk.read("nodes.conf").expect("it was there");
    let read = message::decode(&bytes).map(|message| message.encode().len());
    let link = match made.first() {
        Some(made) if manner & 4 != 0 => *made,
        _ => {
            let link = LinkId(LinkId::CAME_IN | 1);
            machine.step(Input::LinkCameIn(link, String::from("127.0.0.1")));
            link
        }
    };
    let out = machine.step(Input::LinkBytes(link, bytes.clone()));
    let log: Vec<String> = out
        .iter()
        .filter_map(|output| match output {
            Output::Log(line) => Some(line.replace(|letter: char| letter.is_ascii_hexdigit(), "")),
            _ => None,
        })
        .collect();
    // Longer than it takes to find that a node is silent; what was refused is left to its own devices for a shorter time.
    later(&mut machine, if read.is_ok() { 3_000 } else { 500 });
    machine.step(Input::LinkBytes(link, bytes));
    machine.step(Input::LinkDown(link));
    let conf = machine.disk.read("nodes.conf").expect("it was there");
    if conf != before {
        machine.ask(&[b"CLUSTER", b"NODES"]);
        machine.ask(&[b"CLUSTER", b"SLOTS"]);
        machine.ask(&[b"CLUSTER", b"SHARDS"]);
        machine.ask(&[b"CLUSTER", b"INFO"]);
        // What it wrote down it has to be able to start from.
        let mut disk = MemoryDisk::default();
        disk.write("nodes.conf", &conf).expect("memory");
        let again = Machine::boot("port 7000\ncluster-enabled yes\nsave \"\"", disk, machine.now);
        assert!(again.is_ok(), "{}\n{}", again.err().map(|(log, _)| log).unwrap_or_default(), conf.escape_ascii());
    }
    went(read.is_ok(), (format!("{:?}", read.err()), log, conf.len() / 64))
}

#[test]
fn packets_of_any_bytes() {
    let words = &["RCmb", "127.0.0.1", "10.0.0.9", "\0\u{4}", "\0\0\0\u{10}", "newshello"];
    fuzz(&Target { name: "bus", seeds: packets, words, run: bus });
}

const HISTORY: &str = "8371445ee47d1bbb0d0df1c8c2f0c9c5a9b7c6d5";

fn streams() -> Vec<Vec<u8>> {
    let mut primary = Machine::new("save \"\"");
    for words in [&["SET", "cart:42", "x"][..], &["RPUSH", "l", "1", "2"], &["ZADD", "z", "1", "a"]] {
        primary.ask(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
    }
    primary.ask(&[b"SAVE"]);
    let image = primary.disk.read("dump.rdb").expect("it was saved");
    let commands = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n*1\r\n$4\r\nPING\r\n*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*1\r\n$4\r\nEXEC\r\n*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$1\r\nx\r\n";
    let mut seeds = Vec::new();
    for greeting in [
        "+PONG\r\n+OK\r\n+OK\r\n",
        "+PONG\r\n+OK\r\n+OK\r\n+OK\r\n",
        "+PONG\r\n-ERR no\r\n-ERR no\r\n",
        "-NOAUTH no\r\n",
    ] {
        for sync in [
            format!("+FULLRESYNC {HISTORY} 100\r\n${}\r\n", image.len()),
            format!("+FULLRESYNC {HISTORY} 100\r\n$EOF:{HISTORY}\r\n"),
            format!("+CONTINUE {HISTORY}\r\n"),
            String::from("+CONTINUE\r\n"),
            String::from("-NOMASTERLINK no\r\n"),
            format!("-ERR unknown\r\n\n\n${}\r\n", image.len()),
        ] {
            let mut stream = [greeting.as_bytes(), sync.as_bytes()].concat();
            if sync.contains('$') {
                stream.extend(&image);
            }
            if sync.contains("EOF:") {
                stream.extend(HISTORY.bytes());
            }
            stream.extend(commands);
            seeds.push(stream);
        }
    }
    seeds
}

fn stream(input: &[u8]) -> Went {
    thread_local! {
        static REPLICA: Machine = Machine::new("replicaof 127.0.0.1 7000\nappendonly yes\nsave \"\"");
    }
    let mut machine = REPLICA.with(Clone::clone);
    let mut log = Vec::new();
    let mut rng = Rng::new(input.len() as u64);
    let mut rest = input;
    for _ in 0..12 {
        machine.now = Millis(machine.now.0 + 700);
        let mut outbox = machine.step(Input::Tick);
        let mut link = None;
        while !outbox.is_empty() {
            for output in std::mem::take(&mut outbox) {
                match output {
                    Output::Dial(dialled, _) => {
                        link = Some(dialled);
                        outbox.extend(machine.step(Input::LinkUp(dialled)));
                    }
                    Output::Log(line) => log.push(line.replace(|letter: char| letter.is_ascii_hexdigit(), "")),
                    _ => {}
                }
            }
            // A line at a time at first, as a primary answers.
            while let Some(to) = link.filter(|_| !rest.is_empty()) {
                let line = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
                let len = if rng.below(4) == 0 { 1 + rng.below(rest.len()) } else { line };
                let (piece, later) = rest.split_at(len);
                rest = later;
                let out = machine.step(Input::LinkBytes(to, piece.to_vec()));
                if out.iter().any(|output| matches!(output, Output::LinkClose(_) | Output::Dial(..))) {
                    link = None;
                }
                outbox.extend(out);
            }
        }
        if let Some(link) = link.filter(|_| rng.below(3) == 0) {
            machine.step(Input::LinkDown(link));
        }
        if rest.is_empty() {
            break;
        }
    }
    machine.ask(&[b"INFO", b"replication"]);
    machine.ask(&[b"ROLE"]);
    machine.ask(&[b"REPLICAOF", b"NO", b"ONE"]);
    machine.ask(&[b"SET", b"after", b"x"]);
    let again = Machine::boot("appendonly yes", machine.disk.clone(), machine.now);
    if let Ok(again) = again {
        assert!(machine.instance.persist.child.is_some() || machine.data() == again.data(), "the log makes other data");
    }
    log.truncate(8);
    let keys = machine.instance.dbs[0].len();
    went(keys > 0, (log, keys.min(5)))
}

#[test]
fn streams_of_any_bytes() {
    let words = &[
        "+OK\r\n",
        "+PONG\r\n",
        "+CONTINUE",
        "+FULLRESYNC ",
        "$EOF:",
        HISTORY,
        "\n",
        "*1\r\n$4\r\nPING\r\n",
        "*1\r\n$5\r\nMULTI\r\n",
        "*1\r\n$4\r\nEXEC\r\n",
        "*2\r\n$6\r\nSELECT\r\n$1\r\n9\r\n",
    ];
    fuzz(&Target { name: "stream", seeds: streams, words, run: stream });
}

/// What the other end of MIGRATE says.
fn answers(input: &[u8]) -> Went {
    thread_local! {
        static MACHINE: Machine = {
            let mut machine = Machine::new("save \"\"");
            machine.ask(&[b"MSET", b"a", b"1", b"b", b"2", b"c", b"3"]);
            machine
        };
    }
    let mut machine = MACHINE.with(Clone::clone);
    let options: [&[&[u8]]; 4] = [&[], &[b"COPY"], &[b"AUTH", b"p"], &[b"REPLACE"]];
    let option = options[input.len() % 4];
    let words: [&[u8]; 6] = [b"MIGRATE", b"127.0.0.1", b"7001", b"", b"0", b"1000"];
    let keys: [&[u8]; 4] = [b"KEYS", b"a", b"b", b"none"];
    let asked = machine.send(ME, &[&words[..], option, &keys].concat());
    let link = asked.iter().find_map(|output| if let Output::Dial(link, _) = output { Some(*link) } else { None });
    let link = link.expect("it has keys, and dials");
    let mut out = machine.step(Input::LinkUp(link));
    for piece in input.chunks(1 + input.len() / 3) {
        out.extend(machine.step(Input::LinkBytes(link, piece.to_vec())));
    }
    machine.now = Millis(machine.now.0 + 3_000);
    out.extend(machine.step(Input::Tick));
    let replies: Vec<&Reply> = out
        .iter()
        .filter_map(|output| if let Output::Reply(ME, reply) = output { Some(reply) } else { None })
        .collect();
    assert_eq!(replies.len(), 1, "whoever asked is told how it ended, once");
    let left = [&b"a"[..], b"b", b"c"].map(|key| machine.instance.dbs[0].slot(key).is_some());
    assert!(left[2] && (input.len() % 4 != 1 || left == [true; 3]), "a key is gone that nobody took");
    went(!replies[0].is_error(), (left, shape(&format!("{:?}", replies[0]))))
}

#[test]
fn answers_of_any_bytes() {
    let seeds = || {
        [
            "+OK\r\n+OK\r\n+OK\r\n",
            "+OK\r\n+OK\r\n+OK\r\n+OK\r\n",
            "+OK\r\n-BUSYKEY x\r\n+OK\r\n",
            "-NOAUTH no\r\n",
            ":1\r\n$2\r\nab\r\n*1\r\n+x\r\n",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
    };
    let words =
        &["+OK\r\n", "-ERR no\r\n", "\r\n", "-", "+", "$5\r\n", "*3\r\n", ">1\r\n", "-MOVED 5 127.0.0.1:7001\r\n"];
    fuzz(&Target { name: "answers", seeds, words, run: answers });
}

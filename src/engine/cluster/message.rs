//! Messages of the cluster bus, byte for byte as Redis 7.2 writes them, so that real servers can be in the same cluster.
//!
//! Every message begins with the same 2256 bytes (who sends, its epochs, slots, primary and address), most are nothing but
//! that. PING, PONG and MEET carry what the sender has heard of some other nodes, and extensions. Numbers are big-endian.
//! Messages of modules are understood, but nobody here has use for them. Layout: cluster.h, `clusterMsg`.

use super::conf::fits_in_file;
use super::node::{Flags, NodeId};
use super::slots::SET_BYTES;
use crate::base::carry;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Ping,
    Pong,
    Meet,
    Fail,
    Publish,
    AuthRequest,
    AuthAck,
    Update,
    MfStart,
    Module,
    PublishShard,
}

impl Kind {
    const ALL: [Kind; super::state::KINDS] = [
        Kind::Ping,
        Kind::Pong,
        Kind::Meet,
        Kind::Fail,
        Kind::Publish,
        Kind::AuthRequest,
        Kind::AuthAck,
        Kind::Update,
        Kind::MfStart,
        Kind::Module,
        Kind::PublishShard,
    ];

    pub fn of(number: u16) -> Option<Kind> {
        Kind::ALL.get(usize::from(number)).copied()
    }

    /// As CLUSTER INFO and the log call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ping => "ping",
            Kind::Pong => "pong",
            Kind::Meet => "meet",
            Kind::Fail => "fail",
            Kind::Publish => "publish",
            Kind::AuthRequest => "auth-req",
            Kind::AuthAck => "auth-ack",
            Kind::Update => "update",
            Kind::MfStart => "mfstart",
            Kind::Module => "module",
            Kind::PublishShard => "publishshard",
        }
    }
}

/// A message. What is written over and over (sets of slots) is borrowed.
#[derive(Clone, PartialEq, Debug)]
pub struct Message<'a> {
    pub kind: Kind,
    pub current_epoch: u64,
    /// Of the sender's slots: as a replica it tells its primary's.
    pub config_epoch: u64,
    pub offset: u64,
    pub sender: NodeId,
    pub slots: &'a [u8; SET_BYTES],
    /// `NodeId::NONE` of a primary.
    pub primary: NodeId,
    /// What the sender says its address is; empty: see where the link comes from.
    pub host: String,
    pub port: u16,
    pub tls_port: u16,
    pub bus_port: u16,
    pub flags: Flags,
    /// `cluster_state:ok`, as the sender sees it.
    pub ok: bool,
    /// The sender has paused its clients for a manual failover.
    pub paused: bool,
    /// Vote even if the primary is up: the failover was asked for.
    pub force: bool,
    pub body: Body<'a>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Body<'a> {
    /// PING, PONG, MEET.
    Gossip(Vec<Gossip>, Vec<Extension>),
    Fail(NodeId),
    Publish(&'a [u8], &'a [u8]),
    Update {
        epoch: u64,
        owner: NodeId,
        slots: &'a [u8; SET_BYTES],
    },
    /// AUTH_REQUEST, AUTH_ACK, MFSTART, and what modules send.
    Nothing,
}

/// What the sender has heard of another node.
#[derive(Clone, PartialEq, Debug)]
pub struct Gossip {
    pub id: NodeId,
    /// Seconds.
    pub ping_sent: u32,
    pub pong_received: u32,
    pub host: String,
    pub port: u16,
    pub bus_port: u16,
    pub flags: Flags,
    pub tls_port: u16,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Extension {
    Hostname(String),
    HumanName(String),
    /// A node that was forgotten, and for how many seconds more.
    Forgotten(NodeId, u64),
    Shard(NodeId),
    /// Of a type that came after 7.2.
    Unknown(u16),
}

/// Length of what all messages have.
pub const HEADER: usize = 2256;
const GOSSIP: usize = 104;
const HOST: usize = 46;
/// Of an extension without its data.
const EXTENSION: usize = 8;

const PAUSED: u8 = 1;
const FORCE: u8 = 1 << 1;
const EXTENDED: u8 = 1 << 2;

impl Extension {
    fn data(&self) -> (u16, Vec<u8>) {
        let text = |text: &str| [text.as_bytes(), &[0]].concat();
        match self {
            Extension::Hostname(name) => (0, text(name)),
            Extension::HumanName(name) => (1, text(name)),
            Extension::Forgotten(id, ttl) => (2, [&id.0[..], &ttl.to_be_bytes()].concat()),
            Extension::Shard(id) => (3, id.0.to_vec()),
            Extension::Unknown(kind) => (*kind, Vec::new()),
        }
    }
}

fn put_host(out: &mut Vec<u8>, host: &str) {
    let start = out.len();
    out.extend_from_slice(&host.as_bytes()[..host.len().min(HOST - 1)]);
    out.resize(start + HOST, 0);
}

impl Message<'_> {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + 512);
        let (count, extensions) = match &self.body {
            Body::Gossip(gossip, extensions) => (gossip.len() as u16, extensions.len() as u16),
            _ => (0, 0),
        };
        out.extend_from_slice(b"RCmb\0\0\0\0");
        for number in [1, self.port, self.kind as u16, count] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for number in [self.current_epoch, self.config_epoch, self.offset] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.sender.0);
        out.extend_from_slice(self.slots);
        out.extend_from_slice(&self.primary.0);
        put_host(&mut out, &self.host);
        out.extend_from_slice(&extensions.to_be_bytes());
        out.extend_from_slice(&[0; 30]);
        for number in [self.tls_port, self.bus_port, self.flags.0] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        let mut marks = if self.paused { PAUSED } else { 0 };
        marks |= if self.force { FORCE } else { 0 };
        marks |= if extensions > 0 { EXTENDED } else { 0 };
        // The state comes as Redis counts it: 0 is ok.
        out.extend_from_slice(&[u8::from(!self.ok), marks, 0, 0]);
        self.put_body(&mut out);
        let len = out.len() as u32;
        out[4..8].copy_from_slice(&len.to_be_bytes());
        out
    }

    fn put_body(&self, out: &mut Vec<u8>) {
        match &self.body {
            Body::Nothing => {}
            Body::Fail(id) => out.extend_from_slice(&id.0),
            Body::Publish(channel, message) => {
                out.extend_from_slice(&(channel.len() as u32).to_be_bytes());
                out.extend_from_slice(&(message.len() as u32).to_be_bytes());
                out.extend_from_slice(channel);
                out.extend_from_slice(message);
            }
            Body::Update { epoch, owner, slots } => {
                out.extend_from_slice(&epoch.to_be_bytes());
                out.extend_from_slice(&owner.0);
                out.extend_from_slice(*slots);
            }
            Body::Gossip(gossip, extensions) => {
                for each in gossip {
                    out.extend_from_slice(&each.id.0);
                    out.extend_from_slice(&each.ping_sent.to_be_bytes());
                    out.extend_from_slice(&each.pong_received.to_be_bytes());
                    put_host(out, &each.host);
                    for number in [each.port, each.bus_port, each.flags.0, each.tls_port, 0] {
                        out.extend_from_slice(&number.to_be_bytes());
                    }
                }
                for extension in extensions {
                    let (kind, data) = extension.data();
                    let padded = data.len().next_multiple_of(8);
                    out.extend_from_slice(&((EXTENSION + padded) as u32).to_be_bytes());
                    out.extend_from_slice(&kind.to_be_bytes());
                    out.extend_from_slice(&[0; 2]);
                    let end = out.len() + padded;
                    out.extend_from_slice(&data);
                    out.resize(end, 0);
                }
            }
        }
    }
}

/// The length that a message announces in its first 8 bytes. None: this is no message of the bus.
pub fn announced_len(start: &[u8; 8]) -> Option<usize> {
    let len = u32::from_be_bytes([start[4], start[5], start[6], start[7]]) as usize;
    (start.starts_with(b"RCmb") && len >= HEADER).then_some(len)
}

/// The number of a whole message's kind, which may be one that we do not know.
pub fn kind_of(bytes: &[u8]) -> u16 {
    Reader(bytes, 12).u16().unwrap_or(u16::MAX)
}

/// Reads forward; None where there is too little.
struct Reader<'a>(&'a [u8], usize);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let part = self.0.get(self.1..self.1.checked_add(len)?)?;
        self.1 += len;
        Some(part)
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// What is no name is none: Redis believes any 40 bytes, and cannot start again from the nodes.conf that it writes them into.
    fn id(&mut self) -> Option<NodeId> {
        self.array::<40>().map(|bytes| NodeId::parse(bytes).unwrap_or(NodeId::NONE))
    }

    fn host(&mut self) -> Option<String> {
        self.take(HOST).map(address)
    }
}

/// A host's name or address. One that could not be read back from nodes.conf is none: the node would not start again.
fn address(bytes: &[u8]) -> String {
    let text = c_string(bytes);
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-_%".contains(&byte));
    if fits { text } else { String::new() }
}

/// The name that people gave a node; none as above.
fn human_name(bytes: &[u8]) -> String {
    let text = c_string(bytes);
    let ends = |letter: char| letter.is_whitespace() || letter.is_control() || ",=\"'\\".contains(letter);
    if fits_in_file(&text) && !text.contains(ends) { text } else { String::new() }
}

/// Text up to its first zero.
fn c_string(bytes: &[u8]) -> String {
    String::from_utf8_lossy(carry::before_zero(bytes)).into_owned()
}

/// Why a message was not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Another version of the protocol: dropped without a word.
    Version,
    /// A kind that came after 7.2.
    Kind(u16),
    /// It is not as long as its contents; how long they are, if they could be read.
    Length(usize),
    Padding(usize),
    Extensions,
}

/// Reads a whole message.
pub fn decode(bytes: &[u8]) -> Result<Message<'_>, Fault> {
    header(bytes).ok_or(Fault::Length(HEADER))?
}

/// None: too short for a header.
fn header(bytes: &[u8]) -> Option<Result<Message<'_>, Fault>> {
    let mut reader = Reader(bytes, 8);
    let (version, port, number, count) = (reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?);
    let (current_epoch, config_epoch, offset) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let (sender, slots, primary, host) = (reader.id()?, reader.array()?, reader.id()?, reader.host()?);
    let extensions = reader.u16()?;
    reader.take(30)?;
    let (tls_port, bus_port, flags) = (reader.u16()?, reader.u16()?, Flags(reader.u16()?));
    let [state, marks, _, _] = *reader.array()?;
    if version != 1 {
        return Some(Err(Fault::Version));
    }
    let Some(kind) = Kind::of(number) else { return Some(Err(Fault::Kind(number))) };
    let extensions = if marks & EXTENDED == 0 { 0 } else { extensions };
    let body = match body(kind, &mut reader, count, extensions) {
        Ok(body) => body,
        Err(fault) => return Some(Err(fault)),
    };
    Some(Ok(Message {
        kind,
        current_epoch,
        config_epoch,
        offset,
        sender,
        slots,
        primary,
        host,
        port,
        tls_port,
        bus_port,
        flags,
        ok: state == 0,
        paused: marks & PAUSED != 0,
        force: marks & FORCE != 0,
        body,
    }))
}

fn body<'a>(kind: Kind, reader: &mut Reader<'a>, count: u16, extensions: u16) -> Result<Body<'a>, Fault> {
    let whole = |reader: &Reader, body: Option<Body<'a>>, expected: usize| match body {
        Some(body) if reader.1 == reader.0.len() => Ok(body),
        _ => Err(Fault::Length(expected)),
    };
    match kind {
        Kind::Ping | Kind::Pong | Kind::Meet => {
            let expected = HEADER + GOSSIP * usize::from(count);
            let gossip: Option<Vec<Gossip>> = (0..count).map(|_| one_gossip(reader)).collect();
            let gossip = gossip.ok_or(Fault::Length(expected))?;
            let mut found = Vec::new();
            for _ in 0..extensions {
                found.push(one_extension(reader)?);
            }
            let end = reader.1;
            whole(reader, Some(Body::Gossip(gossip, found)), end)
        }
        Kind::Fail => {
            let id = reader.id();
            whole(reader, id.map(Body::Fail), HEADER + 40)
        }
        Kind::Publish | Kind::PublishShard => {
            let lengths = reader.u32().zip(reader.u32()).ok_or(Fault::Length(HEADER + 8))?;
            let (channel_len, message_len) = (lengths.0 as usize, lengths.1 as usize);
            let parts = reader.take(channel_len).zip(reader.take(message_len));
            let body = parts.map(|(channel, message)| Body::Publish(channel, message));
            whole(reader, body, HEADER + 8 + channel_len + message_len)
        }
        Kind::Update => {
            let fields = reader.u64().zip(reader.id()).zip(reader.array());
            let body = fields.map(|((epoch, owner), slots)| Body::Update { epoch, owner, slots });
            whole(reader, body, HEADER + 48 + SET_BYTES)
        }
        Kind::AuthRequest | Kind::AuthAck | Kind::MfStart => whole(reader, Some(Body::Nothing), HEADER),
        Kind::Module => Ok(Body::Nothing),
    }
}

fn one_gossip(reader: &mut Reader) -> Option<Gossip> {
    let (id, ping_sent, pong_received, host) = (reader.id()?, reader.u32()?, reader.u32()?, reader.host()?);
    let (port, bus_port, flags, tls_port) = (reader.u16()?, reader.u16()?, Flags(reader.u16()?), reader.u16()?);
    reader.u16()?;
    Some(Gossip { id, ping_sent, pong_received, host, port, bus_port, flags, tls_port })
}

fn one_extension(reader: &mut Reader) -> Result<Extension, Fault> {
    let (len, kind) = reader.u32().zip(reader.u16()).ok_or(Fault::Extensions)?;
    let len = len as usize;
    if !len.is_multiple_of(8) {
        return Err(Fault::Padding(len));
    }
    reader.take(2).ok_or(Fault::Extensions)?;
    let data = len.checked_sub(EXTENSION).and_then(|len| reader.take(len)).ok_or(Fault::Extensions)?;
    let mut fields = Reader(data, 0);
    Ok(match kind {
        0 => Extension::Hostname(address(data)),
        1 => Extension::HumanName(human_name(data)),
        2 => {
            let (id, ttl) = fields.id().zip(fields.u64()).ok_or(Fault::Extensions)?;
            Extension::Forgotten(id, ttl)
        }
        3 => match fields.id().ok_or(Fault::Extensions)? {
            NodeId::NONE => Extension::Unknown(3),
            id => Extension::Shard(id),
        },
        other => Extension::Unknown(other),
    })
}

#[cfg(test)]
mod tests {
    use super::super::slots::SlotSet;
    use super::*;

    fn id(letter: u8) -> NodeId {
        NodeId([letter; 40])
    }

    fn samples(slots: &SlotSet) -> Vec<Message<'_>> {
        let gossip = Gossip {
            id: id(b'c'),
            ping_sent: 0,
            pong_received: 1_700_000_000,
            host: String::from("127.0.0.1"),
            port: 7002,
            bus_port: 17002,
            flags: Flags::REPLICA.with(Flags::PFAIL),
            tls_port: 0,
        };
        let extensions = vec![
            Extension::Hostname(String::from("shop-1.example")),
            Extension::HumanName(String::from("shop1")),
            Extension::Forgotten(id(b'd'), 59),
            Extension::Shard(id(b'e')),
        ];
        let ping = Message {
            kind: Kind::Ping,
            current_epoch: 7,
            config_epoch: 3,
            offset: 1 << 40,
            sender: id(b'a'),
            slots: slots.wire(),
            primary: id(b'b'),
            host: String::from("10.0.0.1"),
            port: 7001,
            tls_port: 0,
            bus_port: 17001,
            flags: Flags::REPLICA.with(Flags::MYSELF),
            ok: true,
            paused: false,
            force: false,
            body: Body::Gossip(vec![gossip.clone(), gossip], extensions),
        };
        let with = |kind, body| Message { kind, body, ..ping.clone() };
        vec![
            with(Kind::Fail, Body::Fail(id(b'f'))),
            with(Kind::PublishShard, Body::Publish(b"news", b"hello")),
            with(Kind::Update, Body::Update { epoch: 9, owner: id(b'a'), slots: slots.wire() }),
            Message { force: true, primary: NodeId::NONE, ok: false, ..with(Kind::AuthRequest, Body::Nothing) },
            with(Kind::MfStart, Body::Nothing),
            with(Kind::Pong, Body::Gossip(Vec::new(), Vec::new())),
            ping,
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let slots: SlotSet = (0..5461).collect();
        for message in samples(&slots) {
            let bytes = message.encode();
            assert_eq!(announced_len(bytes[..8].try_into().unwrap()), Some(bytes.len()));
            assert_eq!(decode(&bytes), Ok(message));
        }
    }

    #[test]
    fn no_cut_and_no_flipped_byte_is_more_than_a_fault() {
        let slots: SlotSet = (0..5461).collect();
        for message in samples(&slots) {
            let bytes = message.encode();
            for len in (0..bytes.len()).filter(|len| *len < 64 || *len > HEADER - 8) {
                assert!(decode(&bytes[..len]).is_err() || message.kind == Kind::Module);
            }
            for at in (8..bytes.len()).filter(|at| *at < 80 || *at > 2128) {
                let mut broken = bytes.clone();
                broken[at] ^= 0xff;
                let _ = decode(&broken);
            }
        }
    }

    /// Offsets that cluster.h pins with static asserts.
    #[test]
    fn fields_stand_where_redis_has_them() {
        let slots: SlotSet = [0, 9].into_iter().collect();
        let message = samples(&slots).pop().unwrap();
        let bytes = message.encode();
        assert_eq!(bytes[10..12], 7001u16.to_be_bytes());
        assert_eq!(bytes[40..80], [b'a'; 40]);
        assert_eq!(bytes[80..82], [1, 2]);
        assert_eq!(bytes[2128..2168], [b'b'; 40]);
        assert_eq!(&bytes[2168..2177], b"10.0.0.1\0");
        assert_eq!(bytes[2214..2216], 4u16.to_be_bytes());
        assert_eq!(bytes[2248..2250], 17001u16.to_be_bytes());
        assert_eq!(bytes[2252..2256], [0, EXTENDED, 0, 0]);
        assert_eq!(bytes[HEADER..HEADER + 40], [b'c'; 40]);
        assert_eq!(bytes.len(), HEADER + 2 * 104 + (8 + 16) + (8 + 8) + (8 + 48) + (8 + 40));
    }
}

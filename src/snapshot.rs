//! What an observer may see of the lab: plain data, made by looking, which never changes what is looked at.
//!
//! Panes draw it, checks read it, capsules compare it. Nothing here knows how an engine works, so a real server can
//! fill the same shapes.

use crate::base::{Bytes, Millis};
use crate::resp::Reply;

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    pub now: Millis,
    pub instances: Vec<Instance>,
    /// Files of the lab's machine that belong to no instance's directory, such as config files.
    pub files: Vec<File>,
    /// Rows of the lab's SQL database, if the lesson has one.
    pub sql: Vec<Table>,
    pub network: Network,
}

/// What connects the servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    pub links: Vec<Link>,
    /// What is under way, in the order in which it arrives; what a cut holds back last.
    pub messages: Vec<Message>,
    pub faults: Vec<Fault>,
    /// Nothing arrives but by hand, one message at a time.
    pub frozen: bool,
}

/// A connection that one server has opened to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub from: String,
    pub to: String,
    /// `client` (replication, MIGRATE) or `bus`.
    pub kind: &'static str,
    /// Both sides know of it.
    pub up: bool,
    pub delay: Millis,
    pub cut: bool,
    /// Bytes under way in both directions.
    pub bytes_in_flight: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub from: String,
    pub to: String,
    pub kind: &'static str,
    /// In a few words: `PSYNC ? -1`, `PONG`, `connected`.
    pub what: String,
    /// It says nothing: a connection is being made, or refused.
    pub mute: bool,
    pub bytes: u64,
    /// When it arrives; None: a cut holds it back.
    pub at: Option<Millis>,
}

/// What is wrong between two servers, in both directions.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub between: [String; 2],
    pub delay: Option<Millis>,
    pub loss_percent: u32,
    pub cut: bool,
}

/// One redis-server process, running or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instance {
    pub name: String,
    pub port: u16,
    pub pid: u32,
    pub state: State,
    pub dbs: Vec<Db>,
    pub clients: Vec<Client>,
    pub disk: Disk,
    /// Running configuration, as CONFIG GET * would answer, sorted by name.
    pub config: Vec<(String, String)>,
    /// Sorted by name.
    pub users: Vec<User>,
    pub used_memory_bytes: u64,
    pub expired_keys: u64,
    pub evicted_keys: u64,
    /// None unless it runs.
    pub replication: Option<Replication>,
    /// None unless it runs, and runs as a node of a cluster.
    pub cluster: Option<Cluster>,
}

/// What a node holds for true of its cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    pub id: String,
    pub shard: String,
    /// `cluster_state:ok`.
    pub ok: bool,
    /// The highest epoch that it has heard of, and that of its own slots (of a replica: of its primary's).
    pub current_epoch: u64,
    pub epoch: u64,
    pub last_vote_epoch: u64,
    /// Primaries with slots: a majority of these is needed for everything.
    pub size: usize,
    /// Sorted by id; itself among them.
    pub nodes: Vec<ClusterNode>,
    /// Slots that move away, with the id of where to; and slots that come, with where from.
    pub migrating: Vec<(u16, String)>,
    pub importing: Vec<(u16, String)>,
    /// How many keys it has of each slot that has any.
    pub keys: Vec<(u16, usize)>,
    pub election: Option<Election>,
    /// A manual failover is under way, until then.
    pub manual_failover: Option<Millis>,
}

/// A node as another node knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterNode {
    pub id: String,
    /// What the lab calls the server at this address, if it is one of the lab's.
    pub name: Option<String>,
    pub host: String,
    pub port: u16,
    pub myself: bool,
    pub replica: bool,
    /// Of a replica: the id of its primary, if that is known.
    pub of: Option<String>,
    pub epoch: u64,
    /// As CLUSTER NODES writes them: `myself,master`, `slave,fail`.
    pub flags: String,
    /// PFAIL: it does not answer this node.
    pub suspected: bool,
    /// FAIL: a majority says so.
    pub failed: bool,
    pub handshake: bool,
    /// Ids of the primaries that said of late that it does not answer them.
    pub reported_by: Vec<String>,
    /// Runs of slots, both ends included.
    pub slots: Vec<(u16, u16)>,
    /// This node's own link to it stands.
    pub linked: bool,
    pub ping_sent: Option<Millis>,
    pub pong_received: Option<Millis>,
    /// How much of the replication stream it said it has.
    pub offset: i64,
}

/// A replica's attempt to take its primary's place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Election {
    /// When it asks for votes, or did.
    pub starts_at: Millis,
    /// The votes have been asked for, in this epoch.
    pub epoch: Option<u64>,
    pub votes: usize,
    pub needed: usize,
    /// Siblings with more data.
    pub rank: usize,
}

impl Cluster {
    /// This node as it sees itself.
    pub fn me(&self) -> Option<&ClusterNode> {
        self.nodes.iter().find(|node| node.myself)
    }

    pub fn node(&self, id: &str) -> Option<&ClusterNode> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// Who owns a slot, as this node sees it.
    pub fn owner(&self, slot: u16) -> Option<&ClusterNode> {
        self.nodes.iter().find(|node| node.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot)))
    }
}

/// A server's place in replication.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replication {
    /// The primary that it follows; None: it is one itself.
    pub primary: Option<(String, u16)>,
    /// Whether the stream from the primary flows.
    pub link_up: bool,
    /// Names the history of changes, and the one before the last failover.
    pub replid: String,
    pub replid2: Option<String>,
    /// Bytes of the history that its data set is at.
    pub offset: u64,
    pub replicas: Vec<Replica>,
}

/// A replica as its primary knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    pub host: String,
    pub port: u16,
    /// As INFO shows it: `wait_bgsave`, `send_bulk`, `online`.
    pub state: &'static str,
    /// What it has acknowledged.
    pub offset: u64,
    /// Since its last acknowledgement.
    pub lag: Millis,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    Running,
    /// Ended by itself: SHUTDOWN or SIGTERM.
    #[default]
    Stopped,
    /// Ended by kill -9 or a power cut.
    Crashed,
    /// Refused to start; the log says why.
    Failed,
}

/// A database that holds at least one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Db {
    pub index: usize,
    /// Sorted by name; at most `KEYS_SHOWN`.
    pub keys: Vec<Key>,
    /// How many keys there are, expired ones that nobody has found yet included (as DBSIZE counts).
    pub size: usize,
}

/// How many keys of a database a snapshot carries.
pub const KEYS_SHOWN: usize = 1000;

#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub name: Bytes,
    /// `string`, `hash`, `list`, `set`, `zset`, `stream`: as TYPE answers.
    pub kind: &'static str,
    /// As OBJECT ENCODING answers.
    pub encoding: &'static str,
    /// Bytes of a string, elements of anything else.
    pub length: usize,
    pub expires_at: Option<Millis>,
    pub memory_bytes: usize,
    pub value: Value,
}

/// Whether `keys`, sorted by name, hold `name` and its time has not come at `now`.
pub fn alive(keys: &[Key], now: Millis, name: &Bytes) -> bool {
    keys.binary_search_by(|key| key.name.cmp(name)).is_ok_and(|at| keys[at].expires_at.is_none_or(|end| end > now))
}

/// A value, cut after `ITEMS_SHOWN` items.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    String(Bytes),
    Hash(Vec<(Bytes, Bytes)>),
    List(Vec<Bytes>),
    /// Sorted, so that two looks at the same set compare equal.
    Set(Vec<Bytes>),
    /// In rank order.
    Zset(Vec<(Bytes, f64)>),
    Stream(Vec<(String, Vec<(Bytes, Bytes)>)>),
}

/// How many items of one value a snapshot carries (and bytes of a string, times 64).
pub const ITEMS_SHOWN: usize = 1000;

#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    pub id: u64,
    /// The terminal of the lab that this connection belongs to, if one does.
    pub terminal: Option<String>,
    pub db: usize,
    /// Commands queued since MULTI; None outside of a transaction.
    pub queued: Option<Vec<Vec<Bytes>>>,
    pub watched: Vec<(usize, Bytes)>,
    pub subscriptions: usize,
    pub blocked: bool,
    pub monitor: bool,
    pub resp3: bool,
    pub name: Bytes,
    /// Whom it is logged in as.
    pub user: Bytes,
    /// False: it has to log in before it may do anything.
    pub authenticated: bool,
}

/// A user of an instance's ACL.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub name: Bytes,
    /// May log in.
    pub on: bool,
    pub nopass: bool,
    /// As ACL LIST shows the user: `user alice on #... ~cache:* resetchannels -@all +get`.
    pub rules: String,
}

/// Where the data is: three layers, each of which a different accident destroys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disk {
    pub dir: String,
    pub files: Vec<File>,
    /// Changes that no RDB file holds yet (`rdb_changes_since_last_save`).
    pub changes_since_save: u64,
    pub last_save: Option<Millis>,
    /// The save points in force: after this many seconds with at least this many changes.
    pub save_points: Vec<(u64, u64)>,
    pub saving: bool,
    pub aof_enabled: bool,
    pub appendfsync: String,
    pub aof_rewriting: bool,
    pub aof_last_fsync: Option<Millis>,
    /// AOF bytes that the server has not handed to write(2) yet: gone with the process.
    pub aof_in_memory_bytes: u64,
}

/// One file: what the kernel would show, and how much of that a power cut would leave.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    pub path: String,
    pub len: u64,
    /// Bytes that are on the platter. Less than `len`: the rest is in the page cache only.
    pub durable_len: u64,
    /// The whole file is on the platter under this name, and equal.
    pub durable: bool,
}

/// A table of the SQL terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// One thing that happened, for checks on the past, `:why` and the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Grows by one with each event of a world; undo takes events back.
    pub sequence: u64,
    pub at: Millis,
    pub instance: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A command that a client sent and what it was answered. One that blocks is told twice: with `Reply::None` when it
    /// begins to wait, and again with its answer.
    Command { client: u64, terminal: Option<String>, db: usize, args: Vec<Bytes>, reply: Reply },
    /// A key changed; `event` is the keyspace event's name (`set`, `del`, `expire`, `expired`, `evicted` ...). `by` is
    /// the sequence number of the command that did it, None if time did. Two events are the lab's own: `flushdb`, with no
    /// key, and `swapdb`, whose key is the number of the other database.
    Key { db: usize, key: Bytes, event: String, by: Option<u64> },
    /// A key that a client watches has changed for the first time since WATCH: its EXEC will answer nil. `by` is the
    /// sequence number of the command that changed it, perhaps the client's own; None if time did.
    WatchBroken { client: u64, terminal: Option<String>, db: usize, key: Bytes, by: Option<u64> },
    /// A process of the lab began or ended.
    Process { pid: u32, state: State, how: String },
    /// A line of the server's log.
    Log { line: String },
    /// A statement that the SQL database ran, by cron or by the learner, and what a client prints.
    Sql { statement: String, lines: Vec<String>, failed: bool, cron: bool },
    /// The machine lost its power.
    PowerCut,
}

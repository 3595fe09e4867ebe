//! What a key can hold. One file per type: its structure, its encodings, nothing of commands.

pub mod hash;
pub mod list;
pub mod listpack;
pub mod set;
pub mod stream;
pub mod string;
pub mod zset;

use crate::base::Bytes;
pub use hash::Hash;
pub use list::List;
pub use set::Set;
pub use stream::Stream;
pub use string::Str;
pub use zset::Zset;

/// A value of the keyspace. The containers are boxed so that a string, the commonest value, keeps entries small.
#[derive(Clone, Debug)]
pub enum Value {
    String(Str),
    List(Box<List>),
    Set(Box<Set>),
    Hash(Box<Hash>),
    Zset(Box<Zset>),
    Stream(Box<Stream>),
}

impl Value {
    /// As TYPE answers.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::String(_) => "string",
            Value::List(_) => "list",
            Value::Set(_) => "set",
            Value::Hash(_) => "hash",
            Value::Zset(_) => "zset",
            Value::Stream(_) => "stream",
        }
    }

    /// As OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match self {
            Value::String(string) => string.encoding(),
            Value::List(list) => list.encoding(),
            Value::Set(set) => set.encoding(),
            Value::Hash(hash) => hash.encoding(),
            Value::Zset(zset) => zset.encoding(),
            Value::Stream(_) => "stream",
        }
    }

    /// Elements; bytes of a string.
    pub fn len(&self) -> usize {
        match self {
            Value::String(string) => string.len(),
            Value::List(list) => list.len(),
            Value::Set(set) => set.len(),
            Value::Hash(hash) => hash.len(),
            Value::Zset(zset) => zset.len(),
            Value::Stream(stream) => stream.len(),
        }
    }

    /// Whether its key goes: a collection without elements. A stream stays, for its last id and its groups.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && !matches!(self, Value::Stream(_))
    }
}

impl Value {
    /// See `Dict::warm`, for requests on this value's key: the fields or members that they name first.
    pub fn warm<'a>(&self, requests: impl Iterator<Item = &'a [Bytes]>) {
        match self {
            Value::Set(set) => set.warm(requests.filter_map(|args| args.get(2)).map(|word| &**word)),
            Value::Hash(hash) => hash.warm(requests.filter_map(|args| args.get(2)).map(|word| &**word)),
            // Where two words or more stand behind the key, the first of them is a score.
            Value::Zset(zset) => zset.warm(requests.filter_map(|args| args.get(3).or(args.get(2))).map(|word| &**word)),
            Value::String(_) | Value::List(_) | Value::Stream(_) => {}
        }
    }

    /// How many allocations it consists of, as Redis counts the effort to free it: 1 where it lies in one piece.
    pub fn parts(&self) -> usize {
        match self {
            Value::List(list) => list.nodes().0,
            Value::Stream(stream) => {
                let groups = stream.groups();
                let pending = groups.values().next().map_or(0, |group| group.pending().len());
                stream.rax_nodes() + groups.len() * (1 + pending)
            }
            value if ["hashtable", "skiplist"].contains(&value.encoding()) => value.len(),
            _ => 1,
        }
    }
}

/// One type of value: lets `Call::read::<Hash>(key)` answer WRONGTYPE in one place.
pub trait Kind: Sized {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
}

impl Kind for Str {
    fn of(value: &Value) -> Option<&Self> {
        if let Value::String(it) = value { Some(it) } else { None }
    }
    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::String(it) = value { Some(it) } else { None }
    }
    fn into_value(self) -> Value {
        Value::String(self)
    }
}

impl Kind for List {
    fn of(value: &Value) -> Option<&Self> {
        if let Value::List(it) = value { Some(it) } else { None }
    }
    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::List(it) = value { Some(it) } else { None }
    }
    fn into_value(self) -> Value {
        Value::List(Box::new(self))
    }
}

impl Kind for Set {
    fn of(value: &Value) -> Option<&Self> {
        if let Value::Set(it) = value { Some(it) } else { None }
    }
    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Set(it) = value { Some(it) } else { None }
    }
    fn into_value(self) -> Value {
        Value::Set(Box::new(self))
    }
}

impl Kind for Hash {
    fn of(value: &Value) -> Option<&Self> {
        if let Value::Hash(it) = value { Some(it) } else { None }
    }
    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Hash(it) = value { Some(it) } else { None }
    }
    fn into_value(self) -> Value {
        Value::Hash(Box::new(self))
    }
}

impl Kind for Zset {
    fn of(value: &Value) -> Option<&Self> {
        if let Value::Zset(it) = value { Some(it) } else { None }
    }
    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Zset(it) = value { Some(it) } else { None }
    }
    fn into_value(self) -> Value {
        Value::Zset(Box::new(self))
    }
}

impl Kind for Stream {
    fn of(value: &Value) -> Option<&Self> {
        if let Value::Stream(it) = value { Some(it) } else { None }
    }
    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Stream(it) = value { Some(it) } else { None }
    }
    fn into_value(self) -> Value {
        Value::Stream(Box::new(self))
    }
}

//! Messages of the bus in words, for whoever watches the network one message at a time.

use super::message::{self, Body, Extension, Kind, Message};
use super::node::{Flags, NodeId};
use super::slots::SlotSet;

/// How a node is called to people, by its name on the bus.
pub type Names<'a> = &'a dyn Fn(NodeId) -> String;

impl Kind {
    /// As people who know Redis call it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Ping => "PING",
            Kind::Pong => "PONG",
            Kind::Meet => "MEET",
            Kind::Fail => "FAIL",
            Kind::Publish => "PUBLISH",
            Kind::AuthRequest => "AUTH_REQUEST",
            Kind::AuthAck => "AUTH_ACK",
            Kind::Update => "UPDATE",
            Kind::MfStart => "MFSTART",
            Kind::Module => "MODULE",
            Kind::PublishShard => "PUBLISHSHARD",
        }
    }
}

/// What stands in `bytes`, one entry for each message: `AUTH_REQUEST epoch 7`, `PING (7003 fail?)`.
pub fn words(bytes: &[u8], names: Names) -> Vec<String> {
    let mut told = Vec::new();
    let mut rest = bytes;
    while let Some(len) = rest.first_chunk().and_then(message::announced_len).filter(|len| *len <= rest.len()) {
        let (one, more) = rest.split_at(len);
        told.push(message::decode(one).map_or_else(|_| String::from("?"), |message| gist(&message, names)));
        rest = more;
    }
    told
}

fn gist(message: &Message, names: Names) -> String {
    let word = message.kind.word();
    match (&message.body, message.kind) {
        (Body::Fail(about), _) => format!("{word} {}", names(*about)),
        (Body::Update { epoch, owner, slots }, _) => {
            let count = SlotSet::from_wire(slots).len();
            format!("{word} {} owns {count} slots, epoch {epoch}", names(*owner))
        }
        (Body::Publish(channel, text), _) => {
            format!(
                "{word} {} {}",
                String::from_utf8_lossy(channel).escape_debug(),
                String::from_utf8_lossy(text).escape_debug()
            )
        }
        (Body::Gossip(gossip, extensions), _) => {
            let heard = |flag: Flags, mark: &'static str| {
                let nodes = gossip.iter().filter(move |each| each.flags.any(flag));
                nodes.map(move |each| format!("{} {mark}", names(each.id)))
            };
            let mut news: Vec<String> = heard(Flags::PFAIL, "fail?").chain(heard(Flags::FAIL, "fail")).collect();
            if message.paused {
                news.insert(0, format!("paused at {}", message.offset));
            }
            news.extend(extensions.iter().filter_map(|extension| match extension {
                Extension::Forgotten(id, _) => Some(format!("forget {}", names(*id))),
                _ => None,
            }));
            if news.is_empty() { word.to_owned() } else { format!("{word} ({})", news.join(", ")) }
        }
        (_, Kind::AuthRequest) if message.force => format!("{word} epoch {}, by request", message.current_epoch),
        (_, Kind::AuthRequest | Kind::AuthAck) => format!("{word} epoch {}", message.current_epoch),
        _ => word.to_owned(),
    }
}

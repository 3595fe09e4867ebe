//! What is on the wire, in a few words: for whoever watches the network one message at a time.

use super::network::{End, What};
use crate::base::quote;
use crate::resp::decode::{Limits, Requests};

/// Longer texts are cut.
const SHOWN: usize = 60;

/// `bus`: in the cluster's binary format; else RESP, requests towards the listener and replies or a replica's stream
/// towards who dialled.
pub fn words(bus: bool, to: End, what: &What) -> String {
    match what {
        What::Dial => String::from("connect"),
        What::Accepted => String::from("connected"),
        What::Refused => String::from("connection refused"),
        What::Closed => String::from("connection closed"),
        What::Bytes(bytes) if bus => bus_words(bytes),
        What::Bytes(bytes) if to == End::Listener => requests(bytes),
        What::Bytes(bytes) => reply(bytes),
    }
}

/// Types of Redis' clusterMsg, by number.
const BUS_TYPES: [&str; 11] = [
    "PING",
    "PONG",
    "MEET",
    "FAIL",
    "PUBLISH",
    "FAILOVER_AUTH_REQUEST",
    "FAILOVER_AUTH_ACK",
    "UPDATE",
    "MFSTART",
    "MODULE",
    "PUBLISHSHARD",
];

fn bus_words(bytes: &[u8]) -> String {
    let mut names = Vec::new();
    let mut rest = bytes;
    // Signature, total length, version, port, type: then the rest of the message.
    while let Some(head) = rest.get(..14).filter(|head| head.starts_with(b"RCmb")) {
        let len = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let kind = usize::from(u16::from_be_bytes([head[12], head[13]]));
        names.push(BUS_TYPES.get(kind).copied().unwrap_or("?"));
        rest = rest.get(len.max(14)..).unwrap_or_default();
    }
    if names.is_empty() { format!("{} bytes", bytes.len()) } else { names.join(", ") }
}

fn requests(bytes: &[u8]) -> String {
    let mut requests = Requests::new();
    requests.feed(bytes);
    let mut lines = Vec::new();
    while let Ok(Some(args)) = requests.next(Limits::default()) {
        lines.push(quote::line_of(&args));
    }
    if lines.is_empty() { format!("{} bytes", bytes.len()) } else { cut(&lines.join(" | ")) }
}

fn reply(bytes: &[u8]) -> String {
    let line = |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| *byte == b'\r').unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    match bytes {
        [b'*', ..] => requests(bytes),
        [b'+' | b'-' | b':', ..] => cut(&line(bytes)),
        [b'$', ..] => format!("a snapshot, {} bytes", bytes.len()),
        [b'\n', ..] => String::from("a sign of life"),
        _ => format!("{} bytes", bytes.len()),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_replies_and_bus_messages_are_told() {
        let of = |to, text: &[u8]| words(false, to, &What::Bytes(text.to_vec()));
        assert_eq!(of(End::Listener, b"*1\r\n$4\r\nPING\r\n"), "PING");
        assert_eq!(of(End::Dialler, b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*1\r\n$4\r\nPING\r\n"), "SELECT 0 | PING");
        assert_eq!(of(End::Dialler, b"+CONTINUE abc\r\n"), "+CONTINUE abc");
        assert_eq!(of(End::Dialler, b"$176\r\nREDIS"), "a snapshot, 11 bytes");
        let mut message = b"RCmb\0\0\0\x10\0\x01\x18\xeb\0\x05??".to_vec();
        message.extend_from_within(..);
        assert_eq!(words(true, End::Dialler, &What::Bytes(message)), "FAILOVER_AUTH_REQUEST, FAILOVER_AUTH_REQUEST");
    }
}

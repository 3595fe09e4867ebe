//! What is on the wire, in a few words: for whoever watches the network one message at a time.

use super::network::{End, What};
use crate::base::quote;
use crate::engine::cluster;
use crate::engine::cluster::words::Names;
use crate::resp::decode::{Limits, Requests};

/// Longer texts are cut.
const SHOWN: usize = 60;

/// `bus`: in the cluster's binary format; else RESP, requests towards the listener and replies or a replica's stream
/// towards who dialled. `names`: how nodes are called.
pub fn words(bus: bool, to: End, what: &What, names: Names) -> String {
    match what {
        What::Dial => String::from("connect"),
        What::Accepted => String::from("connected"),
        What::Refused => String::from("connection refused"),
        What::Closed => String::from("connection closed"),
        What::Bytes(bytes) if bus => bus_words(bytes, names),
        What::Bytes(bytes) if to == End::Listener => requests(bytes),
        What::Bytes(bytes) => reply(bytes),
    }
}

/// Nothing is said: a connection is being made, or refused.
pub fn is_mute(what: &What) -> bool {
    matches!(what, What::Dial | What::Accepted | What::Refused)
}

fn bus_words(bytes: &[u8], names: Names) -> String {
    let told = cluster::words::words(bytes, names);
    if told.is_empty() { format!("{} bytes", bytes.len()) } else { told.join(", ") }
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
    fn requests_and_replies_are_told() {
        let of = |to, text: &[u8]| words(false, to, &What::Bytes(text.to_vec()), &|id| id.to_string());
        assert_eq!(of(End::Listener, b"*1\r\n$4\r\nPING\r\n"), "PING");
        assert_eq!(of(End::Dialler, b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*1\r\n$4\r\nPING\r\n"), "SELECT 0 | PING");
        assert_eq!(of(End::Dialler, b"+CONTINUE abc\r\n"), "+CONTINUE abc");
        assert_eq!(of(End::Dialler, b"$176\r\nREDIS"), "a snapshot, 11 bytes");
    }
}

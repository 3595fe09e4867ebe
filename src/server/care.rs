//! What is done for the connections beside their requests: memory is given back, the system asks silent ones for a sign of
//! life, and those are cut off that send too much at once.
//!
//! As Redis' clientsCron it comes to each connection about once a second: to all of few, to a tenth of many at each tick.

use super::event_loop::{Log, Server};
use crate::base::Millis;

/// Of so few connections all are looked after at each tick.
const FEW: usize = 50;
/// Ticks within a second.
const ROUNDS: usize = 10;
/// `client-query-buffer-limit` cannot be less.
const LEAST_LIMIT: usize = 1 << 20;

impl Server {
    pub(super) fn look_after_connections(&mut self, now: Millis) {
        self.care_round = (self.care_round + 1) % ROUNDS;
        let few = self.connections.len() <= FEW;
        let tokens = self.connections.keys().copied();
        let tokens: Vec<usize> = tokens.filter(|token| few || token % ROUNDS == self.care_round).collect();
        for token in tokens {
            let id = self.id_of(token);
            let Some(connection) = self.connections.get_mut(&token) else { continue };
            let Some(node) = &mut self.nodes[connection.node] else { continue };
            if !std::mem::replace(&mut connection.kept_alive, true) {
                connection.stream.keep_alive(node.instance.config.int("tcp-keepalive") as u64);
            }
            let Some(client) = node.instance.clients.get_mut(&id).filter(|_| !node.instance.cron_paused) else {
                continue;
            };
            // The engine is told of whole requests only.
            client.last_seen_at = client.last_seen_at.max(connection.read_at);
            connection.trim(now.secs().saturating_sub(client.last_seen_at.secs()));
        }
    }

    /// Cuts a client off that has sent more without end than `client-query-buffer-limit` allows; whether it was.
    pub(super) fn cut_off_if_too_long(&mut self, token: usize, now: Millis, log: &mut Log) -> bool {
        let (id, connection) = (self.id_of(token), &self.connections[&token]);
        let held = connection.requests.buffered();
        if held <= LEAST_LIMIT {
            return false;
        }
        let index = connection.node;
        let Some(node) = &self.nodes[index] else { return false };
        let Some(client) = node.instance.clients.get(&id) else { return false };
        if held as u64 <= node.instance.config.int("client-query-buffer-limit") as u64 {
            return false;
        }
        let line = client.describe(now, None, connection.buffers());
        log(index, &format!("# Closing client that reached max query buffer length: {line}"));
        self.hang_up(token, now, log);
        true
    }
}

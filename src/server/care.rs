//! What is done for the connections beside their requests: memory is given back, the system asks silent ones for a sign of
//! life, and those are cut off that send too much at once.
//!
//! As Redis' clientsCron it comes to each connection about once a second: to all of few, to a tenth of many at each tick.

use super::connection::{Connection, Resized};
use super::event_loop::{Log, Server};
use crate::base::Millis;
use crate::engine::ClientId;
use crate::engine::client::Client;
use crate::engine::hooks::ClientMemory;

/// Of so few connections all are looked after at each tick.
const FEW: usize = 50;
/// Ticks within a second.
const ROUNDS: usize = 10;
/// `client-query-buffer-limit` cannot be less.
const LEAST_LIMIT: usize = 1 << 20;

impl Server {
    pub(super) fn look_after_connections(&mut self, now: Millis, log: &mut Log) {
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
            let idle_secs = now.secs().saturating_sub(client.last_seen_at.secs());
            match connection.trim(idle_secs, now, &node.instance.switches) {
                Resized::Shrunk => node.instance.stats.reply_buffer_shrinks += 1,
                Resized::Grown => node.instance.stats.reply_buffer_expands += 1,
                Resized::No => {}
            }
        }
        self.weigh_connections(now, log);
    }

    /// Tells each instance what its clients' buffers take, after those have been cut off that take too much together.
    fn weigh_connections(&mut self, now: Millis, log: &mut Log) {
        let mut totals = vec![0; self.nodes.len()];
        self.connections.values_mut().for_each(|connection| totals[connection.node] += connection.memory());
        for (index, mut normal) in totals.into_iter().enumerate() {
            let Some(node) = &self.nodes[index] else { continue };
            normal += node.instance.clients.values().map(|client| client.kept_bytes() as u64).sum::<u64>();
            let replicas: u64 = node.instance.replication.replicas.iter().map(|id| self.memory_of(*id)).sum();
            normal -= replicas;
            if let Some(limit) = node.instance.config.client_memory_limit()
                && normal > limit
            {
                normal -= self.evict_clients(index, normal - limit, now, log);
            }
            if let Some(node) = &mut self.nodes[index] {
                node.instance.client_memory = Some(ClientMemory { normal, replicas });
            }
        }
    }

    /// What a client's connection takes, in bytes; what the instance keeps of its requests is not in it.
    fn memory_of(&self, id: ClientId) -> u64 {
        self.connections.get(&self.token_of(id)).map_or(0, Connection::memory)
    }

    /// Cuts the clients off that take most, until `excess` bytes are free; what they took (`evictClients`).
    fn evict_clients(&mut self, index: usize, excess: u64, now: Millis, log: &mut Log) -> u64 {
        let Some(node) = &self.nodes[index] else { return 0 };
        let may_go = node.instance.clients.values().filter(|client| client.may_be_evicted());
        let weight = |client: &Client| self.memory_of(client.id) + client.kept_bytes() as u64;
        let mut largest: Vec<(u64, ClientId)> = may_go.map(|client| (weight(client), client.id)).collect();
        largest.sort();
        let mut freed = 0;
        while freed < excess
            && let Some((memory, id)) = largest.pop()
        {
            freed += memory;
            let token = self.token_of(id);
            let (Some(node), Some(connection)) = (&mut self.nodes[index], self.connections.get(&token)) else {
                continue;
            };
            node.instance.stats.evicted_clients += 1;
            let line = node.instance.clients[&id].describe(now, None, connection.buffers());
            log(index, &format!("* Evicting client: {line}"));
            self.hang_up(token, now, log);
        }
        freed
    }

    /// Cuts a client off that has sent more than `client-query-buffer-limit` allows without letting it be carried out; whether
    /// it was. What is sent while it waits for a key or a pause counts too.
    pub(super) fn cut_off_if_too_long(&mut self, token: usize, now: Millis, log: &mut Log) -> bool {
        let (id, connection) = (self.id_of(token), &self.connections[&token]);
        let index = connection.node;
        let Some(node) = &self.nodes[index] else { return false };
        let Some(client) = node.instance.clients.get(&id) else { return false };
        let held = connection.requests.held() + client.waiting.bytes();
        if held <= LEAST_LIMIT || held as u64 <= node.instance.config.int("client-query-buffer-limit") as u64 {
            return false;
        }
        let line = client.describe(now, None, connection.buffers());
        log(index, &format!("# Closing client that reached max query buffer length: {line}"));
        self.hang_up(token, now, log);
        true
    }
}

//! ROLE, and INFO's section `# Replication`.

use super::attach::{State, place_of};
use super::follow::Phase;
use crate::base::{Bytes, Millis};
use crate::engine::Instance;
use crate::resp::Reply;

impl Instance {
    /// ROLE's answer.
    pub fn role_reply(&self) -> Reply {
        let Some(primary) = &self.replication.primary else {
            let online = self.attached().filter(|(_, replica)| replica.state == State::Online);
            let replicas = online.map(|(client, replica)| {
                let (host, port) = place_of(client);
                Reply::bulks([host.to_owned(), port.to_string(), replica.ack_offset.to_string()])
            });
            let replicas = Reply::Array(replicas.collect());
            return Reply::Array(vec![Reply::bulk("master"), Reply::Int(self.replication.offset as i64), replicas]);
        };
        let offset = self.replication.stream.as_ref().map_or(-1, |stream| stream.offset as i64);
        Reply::Array(vec![
            Reply::bulk("slave"),
            Reply::bulk(Bytes::from(primary.host.as_str())),
            Reply::Int(i64::from(primary.port)),
            Reply::bulk(primary.word()),
            Reply::Int(offset),
        ])
    }

    /// Name and value of each line, in Redis' order.
    pub fn replication_info(&self, now: Millis) -> Vec<(String, String)> {
        let mut lines: Vec<(String, String)> = Vec::new();
        let mut line = |name: &str, value: String| lines.push((name.to_owned(), value));
        line("role", String::from(if self.is_replica() { "slave" } else { "master" }));
        if self.is_replica() {
            self.primary_lines(now, &mut line);
        }
        line("connected_slaves", self.replication.replicas.len().to_string());
        if self.config.min_replicas_to_write > 0 && self.config.min_replicas_max_lag_secs > 0 {
            line("min_slaves_good_slaves", self.good_replicas().to_string());
        }
        let shown = self.attached().filter_map(|(client, replica)| Some((client, replica, replica.state.word()?)));
        for (number, (client, replica, state)) in shown.enumerate() {
            let (host, port) = place_of(client);
            let lag = match replica.state {
                State::Online => now.secs().saturating_sub(replica.ack_time.secs()),
                _ => 0,
            };
            let offset = replica.ack_offset;
            line(&format!("slave{number}"), format!("ip={host},port={port},state={state},offset={offset},lag={lag}"));
        }
        let replication = &self.replication;
        let backlog = replication.backlog.as_ref();
        line("master_failover_state", self.failover_word().to_owned());
        line("master_replid", replication.id.clone());
        line("master_replid2", replication.id2.clone());
        line("master_repl_offset", replication.offset.to_string());
        line("second_repl_offset", replication.second_offset.to_string());
        line("repl_backlog_active", u8::from(backlog.is_some()).to_string());
        line("repl_backlog_size", self.config.int("repl-backlog-size").to_string());
        line("repl_backlog_first_byte_offset", backlog.map_or(0, |backlog| backlog.first_offset()).to_string());
        line("repl_backlog_histlen", backlog.map_or(0, |backlog| backlog.held()).to_string());
        lines
    }

    fn primary_lines(&self, now: Millis, line: &mut dyn FnMut(&str, String)) {
        let replication = &self.replication;
        let Some(primary) = &replication.primary else { return };
        let (read, applied) = match (&replication.stream, &replication.cached) {
            (Some(stream), _) => (stream.read_offset, stream.offset),
            (None, Some(cached)) => (cached.offset, cached.offset),
            (None, None) => (1, 1),
        };
        let ago = |since: Millis| now.secs().saturating_sub(since.secs());
        let flag = |yes: bool| u8::from(yes).to_string();
        let transfer = if let Phase::Transfer(transfer) = &primary.phase { Some(transfer) } else { None };
        line("master_host", primary.host.clone());
        line("master_port", primary.port.to_string());
        line("master_link_status", String::from(if self.link_up() { "up" } else { "down" }));
        let last_io = self.last_io().map_or_else(|| String::from("-1"), |at| ago(at).to_string());
        line("master_last_io_seconds_ago", last_io);
        line("master_sync_in_progress", flag(transfer.is_some()));
        line("slave_read_repl_offset", read.to_string());
        line("slave_repl_offset", applied.to_string());
        if let Some(transfer) = transfer {
            // 0 where the length is not known, -1 before anything has come.
            let (len, read) = (transfer.len.map_or(0, |len| len as i64), transfer.image.len() as i64);
            let percent = if len == 0 { 0.0 } else { read as f64 / len as f64 * 100.0 };
            line("master_sync_total_bytes", len.to_string());
            line("master_sync_read_bytes", read.to_string());
            line("master_sync_left_bytes", (len - read).to_string());
            line("master_sync_perc", format!("{percent:.2}"));
            line("master_sync_last_io_seconds_ago", ago(primary.transfer_io).to_string());
        }
        if !self.link_up() {
            let since = replication.down_since;
            let secs = if since == Millis::ZERO { String::from("-1") } else { ago(since).to_string() };
            line("master_link_down_since_seconds", secs);
        }
        line("slave_priority", self.config.int("replica-priority").to_string());
        line("slave_read_only", flag(self.config.flag("replica-read-only")));
        line("replica_announced", flag(self.config.flag("replica-announced")));
    }
}

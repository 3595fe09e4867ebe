//! client-output-buffer-limit: how much may wait to be sent to a client before it is cut off.
//!
//! The engine knows no sockets: whoever holds them asks here what the limit is and whether it is exceeded.

use super::client::{Client, ClientId};
use super::hooks::Buffers;
use super::{Instance, Outbox, Output};
use crate::base::Millis;

/// How many bytes may wait: fewer than `hard_bytes`, and `soft_bytes` or more no longer than `soft`. 0: as many as there are.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct OutputLimit {
    pub hard_bytes: u64,
    pub soft_bytes: u64,
    pub soft: Millis,
}

impl OutputLimit {
    /// Whether `pending` bytes are too many; `since` is when they came to the soft limit (`checkClientOutputBufferLimits`).
    pub fn is_exceeded(&self, pending: u64, since: Option<Millis>, now: Millis) -> bool {
        let hard = self.hard_bytes > 0 && pending >= self.hard_bytes;
        hard || since.is_some_and(|since| self.is_soft(pending) && now.since(since) > self.soft)
    }

    pub fn is_soft(&self, pending: u64) -> bool {
        self.soft_bytes > 0 && pending >= self.soft_bytes
    }
}

impl Instance {
    /// What holds for a client: by its class, `normal`, `slave` or `pubsub`. The link to a primary has no limit.
    pub fn output_limit(&self, id: ClientId) -> OutputLimit {
        let class = match self.clients.get(&id).map(Client::kind) {
            Some("replica") => "slave",
            Some("pubsub") => "pubsub",
            Some("normal") => "normal",
            _ => return OutputLimit::default(),
        };
        let text = self.config.text("client-output-buffer-limit");
        let text = text.lossy();
        let mut words = text.split(' ').skip_while(|word| *word != class).skip(1);
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        OutputLimit { hard_bytes: number(), soft_bytes: number(), soft: Millis::from_secs(number()) }
    }

    /// Ends a client for which too much waits to be sent.
    pub fn cut_off(&mut self, id: ClientId, buffers: Buffers, out: &mut Outbox) {
        let Some(client) = self.clients.get(&id) else { return };
        let line = client.describe(self.now, None, buffers);
        out.push(Output::Log(format!(
            "# Client {line} scheduled to be closed ASAP for overcoming of output buffer limits."
        )));
        self.close_client(id, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hard_limit_counts_at_once_and_the_soft_one_after_its_time() {
        let limit = OutputLimit { hard_bytes: 100, soft_bytes: 10, soft: Millis(1000) };
        let now = Millis(5000);
        assert!(limit.is_exceeded(100, None, now));
        assert!(!limit.is_exceeded(99, Some(Millis(4000)), now));
        assert!(limit.is_exceeded(99, Some(Millis(3999)), now));
        assert!(!limit.is_exceeded(9, Some(Millis(0)), now));
        assert!(!OutputLimit::default().is_exceeded(u64::MAX, Some(Millis(0)), now));
    }
}

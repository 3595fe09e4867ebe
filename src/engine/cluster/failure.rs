//! Dead nodes: PFAIL is what I think, FAIL what a majority of primaries thinks within a while.

use super::Turn;
use super::node::{Flags, Handle};
use crate::base::Millis;

impl Turn<'_> {
    /// A primary says that it cannot reach `node`.
    pub(super) fn report_failure(&mut self, node: Handle, by: Handle) {
        let now = self.now;
        let reports = &mut self.cluster.node_mut(node).fail_reports;
        match reports.iter_mut().find(|(reporter, _)| *reporter == by) {
            Some((_, at)) => *at = now,
            None => reports.push((by, now)),
        }
    }

    /// A primary no longer says so.
    pub(super) fn withdraw_report(&mut self, node: Handle, by: Handle) {
        self.cluster.node_mut(node).fail_reports.retain(|(reporter, _)| *reporter != by);
    }

    /// How many primaries have said so lately: within twice the node timeout.
    pub fn failure_reports(&mut self, node: Handle) -> usize {
        let (now, valid) = (self.now, Millis(self.settings.node_timeout.0.saturating_mul(2)));
        let reports = &mut self.cluster.node_mut(node).fail_reports;
        reports.retain(|(_, at)| now.since(*at) <= valid);
        reports.len()
    }

    /// PFAIL becomes FAIL when a majority of the primaries with slots agrees; then everybody is told.
    pub(super) fn fail_if_agreed(&mut self, node: Handle) {
        let known = self.cluster.node(node);
        if !known.is_suspected() || known.has_failed() {
            return;
        }
        let mine = usize::from(self.cluster.me().is_primary());
        if self.failure_reports(node) + mine < self.cluster.quorum() {
            return;
        }
        let known = self.cluster.node(node);
        let (id, text) = (known.id, format!("{} ({})", known.id, known.human_name));
        self.notice(format!("Marking node {text} as failing (quorum reached)."));
        let now = self.now;
        let known = self.cluster.node_mut(node);
        known.flags.clear(Flags::PFAIL);
        known.flags.set(Flags::FAIL);
        known.failed_at = now;
        self.send_fail(id);
        self.cluster.todo.update_state = true;
        self.cluster.todo.save = true;
    }

    /// A node in FAIL has answered. Replicas and primaries without slots are well at once; a primary with slots only if
    /// after some time nobody has taken its slots.
    pub(super) fn clear_failure(&mut self, node: Handle) {
        let known = self.cluster.node(node);
        let idle = known.is_replica() || known.slots.is_empty();
        let undo = Millis(self.settings.node_timeout.0.saturating_mul(2));
        let late = known.is_primary() && !known.slots.is_empty() && self.now.since(known.failed_at) > undo;
        let name = format!("{} ({})", known.id, known.human_name);
        if idle {
            let what = if known.is_replica() { "replica" } else { "master without slots" };
            self.notice(format!("Clear FAIL state for node {name}:{what} is reachable again."));
        } else if late {
            self.notice(format!(
                "Clear FAIL state for node {name}: is reachable again and nobody is serving its slots after some time."
            ));
        }
        if idle || late {
            self.cluster.node_mut(node).flags.clear(Flags::FAIL);
            self.cluster.todo.update_state = true;
            self.cluster.todo.save = true;
        }
    }
}

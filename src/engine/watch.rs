//! WATCH: who looks at which key, and who learns at EXEC that it was changed.

use super::Instance;
use super::client::{ClientId, Watched};
use crate::base::Bytes;

impl Instance {
    /// Forgets what a client watches, also that a watched key has changed.
    pub(super) fn unwatch(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.watch_broken = false;
        for watched in std::mem::take(&mut client.watched) {
            let place = (watched.db, watched.key);
            if let Some(watchers) = self.watchers.get_mut(&place) {
                watchers.retain(|watcher| *watcher != id);
                if watchers.is_empty() {
                    self.watchers.remove(&place);
                }
            }
        }
    }

    /// Ends a client's transaction without carrying it out.
    pub(super) fn discard(&mut self, id: ClientId) {
        self.unwatch(id);
        if let Some(client) = self.clients.get_mut(&id) {
            client.transaction = None;
        }
    }

    /// A key was changed or removed: those who watch it learn of it at their EXEC.
    pub(super) fn break_watches(&mut self, db: usize, key: &[u8]) {
        let Some(watchers) = self.watchers.get(&(db, Bytes::copy(key))) else { return };
        let gone = self.dbs[db].slot(key).is_none();
        for id in watchers {
            let Some(client) = self.clients.get_mut(id).filter(|client| !client.watch_broken) else { continue };
            let watched = client.watched.iter_mut().find(|watched| watched.db == db && *watched.key == *key);
            match watched {
                // It was past its expiry when WATCH came: that it is removed now changes nothing.
                Some(watched) if watched.was_expired && gone => watched.was_expired = false,
                _ => {
                    if self.tracing {
                        self.broken_watches.push((*id, db, Bytes::copy(key)));
                    }
                    client.watch_broken = true;
                }
            }
        }
    }

    /// EXEC found that a watched key's time has come, though nobody has removed it yet.
    pub(super) fn watch_expired(&mut self, id: ClientId, watched: Watched) {
        if self.tracing {
            self.broken_watches.push((id, watched.db, watched.key));
        }
    }
}

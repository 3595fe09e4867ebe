//! The port to the SQL database on the lab's machine. SQLite stands behind it (`backend::sql`); the world owns its clock,
//! its cron jobs, its copies and its place in the journal.

use crate::base::Millis;
use crate::snapshot::Table;

pub trait Database: Send + Sync {
    /// Runs statements at `now` and gives what a client prints. Err: the reason. The same statements on
    /// the same contents at the same time must give the same result.
    fn execute(&mut self, now: Millis, statement: &str) -> Result<Vec<String>, String>;

    /// The tables with their first rows, by name.
    fn tables(&self) -> Vec<Table>;

    /// An independent copy.
    fn copy(&self) -> Box<dyn Database>;
}

/// A database or none, as a part of a world that can be cloned.
pub struct Slot(pub Option<Box<dyn Database>>);

impl Clone for Slot {
    fn clone(&self) -> Slot {
        Slot(self.0.as_ref().map(|database| database.copy()))
    }
}

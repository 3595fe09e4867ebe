//! One redis-server process of the machine: a slot that keeps its name while processes in it come and go.

use crate::base::Millis;
use crate::engine::{Instance, cluster};
use crate::snapshot::State;

/// serverCron runs this often (`hz 10`).
pub const TICK: Millis = Millis(100);

#[derive(Clone)]
pub struct Process {
    /// The lesson's name for it.
    pub name: String,
    pub port: u16,
    /// Of the running process, or of the last one. 0: none was ever started.
    pub pid: u32,
    pub state: State,
    /// The command line, without the program's name.
    pub argv: Vec<String>,
    /// The config file, a full path; None if it was started without one.
    pub config_file: Option<String>,
    /// Where its data is: `dir` of its config, of the running one if it runs. A full path.
    pub dir: String,
    /// Full path of its log file; None: it logs to standard output.
    pub logfile: Option<String>,
    pub started_at: Millis,
    /// None unless it runs.
    pub instance: Option<Box<Instance>>,
    pub next_client: u64,
    /// Where its cluster bus listens, of the running process; None of a server that is no cluster node.
    pub bus_port: Option<u16>,
    /// When something is due in it; None while unknown, because something happened since it was worked out.
    due: Option<Option<Millis>>,
    /// The process and the revision of its configuration that `port`, `dir` and `bus_port` are of.
    seen: (u32, u64),
}

impl Process {
    pub fn new(name: &str, port: u16, config_file: Option<String>, dir: &str) -> Process {
        Process {
            name: name.to_owned(),
            port,
            pid: 0,
            state: State::Stopped,
            argv: Vec::new(),
            config_file,
            dir: dir.to_owned(),
            logfile: None,
            started_at: Millis::ZERO,
            instance: None,
            next_client: 0,
            bus_port: None,
            due: None,
            seen: (0, 0),
        }
    }

    pub fn is_running(&self) -> bool {
        self.instance.is_some()
    }

    /// The first tick after `now` that has something to do; None if none ever will by itself.
    ///
    /// Ticks stand on a grid of 100 ms from the start of the process. One at which nothing is due does not happen at
    /// all, so that an idle half hour costs nothing and is the same half hour however it is cut into pieces.
    pub fn next_tick(&mut self, now: Millis) -> Option<Millis> {
        let instance = self.instance.as_mut()?;
        let due = (*self.due.get_or_insert_with(|| instance.next_due()))?;
        let after = now + Millis(1);
        let steps = due.max(after).since(self.started_at).0.div_ceil(TICK.0);
        Some(self.started_at + Millis(steps * TICK.0))
    }

    /// Something happened in the instance: what is due may have changed, and where it works.
    pub fn stirred(&mut self) {
        self.due = None;
        if let Some(instance) = &self.instance
            && self.seen != (self.pid, instance.config.revision())
        {
            self.seen = (self.pid, instance.config.revision());
            self.port = instance.config.port;
            self.bus_port = instance.config.cluster_enabled.then(|| cluster::bus_port(&instance.config));
            let dir = instance.config.text("dir");
            if dir.strip_prefix(b"/") != Some(self.dir.as_bytes()) {
                self.dir = super::disk::resolve(&self.dir, &dir.lossy());
            }
        }
    }
}

//! `:policies LINE`: a line of the shell, run in copies of the world that differ in their eviction policy only.

use super::{Session, play};
use crate::base::Bytes;
use crate::console::{Class, Line};
use crate::lesson::Opens;
use crate::port::Backend;
use crate::resp::Reply;
use crate::snapshot::{Event, State, What};
use std::collections::BTreeMap;

/// What a line led to on the servers that have a limit.
#[derive(Default)]
struct Came {
    /// Keys that were evicted, by the first part of their names.
    evicted: BTreeMap<String, usize>,
    refused: usize,
    /// GETs that found something, of all.
    found: usize,
    asked: usize,
}

impl Session {
    /// The line under each policy that the servers know, in lines. Nothing of it is kept.
    pub(super) fn policies(&self, line: &str) -> Vec<Line> {
        self.compare_policies(line).unwrap_or_else(|why| vec![Line::new(Class::Bad, why)])
    }

    fn compare_policies(&self, line: &str) -> Result<Vec<Line>, String> {
        let world = self.backend.snapshot();
        let limited: Vec<String> = world
            .instances
            .iter()
            .filter(|instance| instance.state == State::Running)
            .filter(|instance| instance.config.iter().any(|(name, value)| name == "maxmemory" && value != "0"))
            .map(|instance| instance.name.clone())
            .collect();
        let first = limited.first().ok_or("No server here has a limit: `CONFIG SET maxmemory 2mb` gives it one.")?;
        let last = self.events.last().map_or(0, |event| event.sequence);
        let mut lines =
            vec![Line::new(Class::Title, format!("`{line}` in copies of this world, on {}:", limited.join(", ")))];
        for policy in self.known_policies(first)? {
            let mut copy = self.copy()?;
            for name in &limited {
                self.run_in(&mut *copy, &Opens::Redis(name.clone()), &format!("CONFIG SET maxmemory-policy {policy}"));
            }
            self.run_in(&mut *copy, &Opens::Shell, line);
            lines.push(told(&policy, &count(&copy.events_since(last), &limited)));
        }
        Ok(lines)
    }

    /// The policies, as the server itself lists them to somebody who asks for one that there is not.
    fn known_policies(&self, server: &str) -> Result<Vec<String>, String> {
        let mut copy = self.copy()?;
        let said = self.run_in(&mut *copy, &Opens::Redis(server.to_owned()), "CONFIG SET maxmemory-policy all-of-them");
        let (_, list) = said.split_once("following: ").ok_or(said.clone())?;
        let mut policies: Vec<String> = list.trim_end_matches([')', '\n']).split(", ").map(str::to_owned).collect();
        policies.sort();
        Ok(policies)
    }

    fn copy(&self) -> Result<Box<dyn Backend>, String> {
        self.machine_copy().ok_or_else(|| "This machine cannot be copied.".to_owned())
    }

    /// Types a line in a terminal that nobody sees; what it printed.
    fn run_in(&self, copy: &mut dyn Backend, opens: &Opens, line: &str) -> String {
        let mut terminal = play::opened(play::LESSON, opens, &self.lesson, copy).0;
        let mut lines = terminal.submit(line, copy).lines;
        lines.extend(terminal.poll(copy));
        terminal.leave(copy);
        lines.iter().map(Line::text).collect::<Vec<_>>().join("\n")
    }
}

fn count(events: &[Event], servers: &[String]) -> Came {
    let mut came = Came::default();
    for event in events.iter().filter(|event| servers.contains(&event.instance)) {
        match &event.what {
            What::Key { key, event, .. } if event == "evicted" => *came.evicted.entry(family(key)).or_default() += 1,
            What::Command { reply: Reply::Error(text), .. } if text.starts_with("OOM ") => came.refused += 1,
            What::Command { args, reply, .. } if args[0].eq_ignore_ascii_case(b"GET") => {
                came.asked += 1;
                came.found += usize::from(*reply != Reply::Nil);
            }
            _ => {}
        }
    }
    came
}

/// `session:*` of `session:a1`.
fn family(key: &Bytes) -> String {
    let name = key.lossy();
    name.split_once(':').map_or(name.to_string(), |(prefix, _)| format!("{prefix}:*"))
}

fn told(policy: &str, came: &Came) -> Line {
    let evicted = came.evicted.iter().map(|(family, count)| format!("{count} {family}")).collect::<Vec<_>>();
    let evicted = if evicted.is_empty() { "nothing".to_owned() } else { evicted.join(", ") };
    let line = Line::new(Class::Key, format!("{policy:<16} ")).and(Class::Plain, format!("evicted {evicted}; "));
    let line = line.and(if came.refused > 0 { Class::Bad } else { Class::Plain }, format!("refused {}", came.refused));
    match (came.found * 100).checked_div(came.asked) {
        Some(percent) => line.and(Class::Plain, format!("; found {percent} %")),
        None => line,
    }
}

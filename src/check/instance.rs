//! `instance`: whether a server runs, and how it ended before.

use super::form::{Range, Reader, field};
use super::saw::times;
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict, instance_of};
use crate::snapshot::{Event, State, What};

pub const INSTANCE: Kind = Kind {
    name: "instance",
    about: "Whether a server runs, and what happened to it in this exercise.",
    fields: &[
        field("name", "INSTANCE", "which instance; needed if there are several"),
        field("on", "INSTANCE", "the same"),
        field(
            "state",
            "running | stopped | crashed | failed",
            "stopped: by itself; crashed: kill -9, power cut; failed: refused to start",
        ),
        field("ended", "stopped | crashed | power-cut | failed", "how it last ended, since the exercise began"),
        field("starts", "N or RANGE", "how often it started since the exercise began"),
    ],
    example: "instance: {name: redis, state: running, ended: crashed}",
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`instance`", kind.fields)?;
        let on = match fields.get("name") {
            Some(node) => reader.instance(node)?,
            None => reader.on(&fields)?,
        };
        let state = reader.maybe(&fields, "state", |reader, node| reader.one_of(node, STATES))?;
        let ended = reader.maybe(&fields, "ended", |reader, node| reader.one_of(node, ENDS))?;
        let starts = reader.maybe(&fields, "starts", Reader::range)?;
        if state.is_none() && ended.is_none() && starts.is_none() {
            reader.complain(fields.at, "`instance` says nothing", INSTANCE.example);
            return None;
        }
        Some(Assertion::of(InstanceCheck { on, state, ended, starts }))
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    State(State),
    PowerCut,
}

const STATES: &[(&str, Fate)] = &[
    ("running", Fate::State(State::Running)),
    ("stopped", Fate::State(State::Stopped)),
    ("crashed", Fate::State(State::Crashed)),
    ("failed", Fate::State(State::Failed)),
];

const ENDS: &[(&str, Fate)] = &[
    ("stopped", Fate::State(State::Stopped)),
    ("crashed", Fate::State(State::Crashed)),
    ("power-cut", Fate::PowerCut),
    ("failed", Fate::State(State::Failed)),
];

#[derive(Clone, Debug)]
struct InstanceCheck {
    on: String,
    state: Option<Fate>,
    ended: Option<Fate>,
    starts: Option<Range>,
}

impl Check for InstanceCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let Some(instance) = instance_of(probe.world(), &self.on) else {
            return Verdict::new(false, format!("There is no server `{}`.", self.on));
        };
        let mut saw = format!("The server `{}` {}.", self.on, state_words(instance.state));
        if self.state.is_some_and(|wanted| wanted != Fate::State(instance.state)) {
            return Verdict::new(false, saw);
        }
        if let Some(wanted) = self.ended {
            let last = probe.events().iter().rev().find_map(|event| end_of(event, &self.on));
            if last != Some(wanted) {
                let saw = match last {
                    None => format!("The server `{}` has not ended since this exercise began.", self.on),
                    Some(Fate::PowerCut) => format!("The server `{}` was ended by a power cut.", self.on),
                    Some(Fate::State(State::Stopped)) => format!("The server `{}` ended cleanly.", self.on),
                    Some(Fate::State(State::Failed)) => format!("The server `{}` refused to start.", self.on),
                    Some(_) => format!("The server `{}` was killed.", self.on),
                };
                return Verdict::new(false, saw);
            }
        }
        if let Some(range) = self.starts {
            let count = probe.events().iter().filter(|event| started(event, &self.on)).count();
            saw = format!("The server `{}` started {} since this exercise began.", self.on, times(count));
            if !range.holds(count as i64) {
                return Verdict::new(false, saw);
            }
        }
        Verdict::new(true, saw)
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::Instance(self.on.clone())]
    }

    fn literals(&self) -> Vec<String> {
        Vec::new()
    }
}

fn state_words(state: State) -> &'static str {
    match state {
        State::Running => "is running",
        State::Stopped => "does not run",
        State::Crashed => "crashed",
        State::Failed => "refused to start",
    }
}

/// How `event` ended the server `name`, if it did. A power cut ends all of them.
fn end_of(event: &Event, name: &str) -> Option<Fate> {
    match &event.what {
        What::PowerCut => Some(Fate::PowerCut),
        What::Process { state: State::Running, .. } => None,
        What::Process { how, .. } if event.instance == name && how.contains("power") => Some(Fate::PowerCut),
        What::Process { state, .. } if event.instance == name => Some(Fate::State(*state)),
        _ => None,
    }
}

fn started(event: &Event, name: &str) -> bool {
    event.instance == name && matches!(&event.what, What::Process { state: State::Running, .. })
}

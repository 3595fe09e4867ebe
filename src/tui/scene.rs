//! The lab at a moment, as the screen draws it: taken from the tutor's session by looking.

use crate::base::{Bytes, Millis};
use crate::lesson::Lesson;
use crate::picture::{Look, cluster, databases, orders, timeline, twin};
use crate::snapshot::{self, Event, What};
use crate::tutor::{ExerciseState, Session};
use std::sync::Arc;

/// How many recent writes the disk picture shows.
pub const WRITES_SHOWN: usize = 64;

/// The lab at a moment.
#[derive(Clone)]
pub struct Scene {
    pub lesson: Arc<Lesson>,
    pub exercises: Vec<ExerciseState>,
    pub current: usize,
    pub done: bool,
    pub world: snapshot::World,
    pub terminals: Vec<TerminalState>,
    /// The last changes of keys, oldest first.
    pub writes: Vec<Write>,
    pub derived: Arc<Derived>,
    /// What `:orders` has compared.
    pub orders: Option<orders::Facts>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TerminalState {
    pub name: String,
    pub prompt: String,
    pub busy: bool,
    /// A program asks something.
    pub asks: bool,
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub sequence: u64,
    pub at: Millis,
    pub instance: String,
    pub db: usize,
    pub key: Bytes,
    /// The keyspace event: `set`, `expired`.
    pub event: String,
    /// The command that did it, by its sequence number; None if time did.
    pub by: Option<u64>,
}

impl Scene {
    /// `before`: an earlier look, whose pictures still hold where nothing happened since.
    pub fn of(session: &Session, before: Option<&Scene>) -> Scene {
        let writes: Vec<Write> = session
            .events()
            .iter()
            .rev()
            .filter_map(write_of)
            .take(WRITES_SHOWN)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        let (world, names) = (session.snapshot(), session.terminal_names());
        let look = session.look(&world, &names);
        let derived = match before {
            Some(scene) if scene.derived.still_holds(scene, &look) => scene.derived.clone(),
            _ => Arc::new(Derived::of(&look)),
        };
        Scene {
            lesson: session.lesson().clone(),
            exercises: session.exercises().to_vec(),
            current: session.current(),
            done: session.is_done(),
            world,
            terminals: session
                .terminals()
                .iter()
                .map(|t| TerminalState {
                    name: t.name().to_owned(),
                    prompt: t.prompt(),
                    busy: t.busy(),
                    asks: t.asks(),
                })
                .collect(),
            writes,
            derived,
            orders: session.played().as_ref().map(orders::of),
        }
    }

    pub fn exercise(&self) -> Option<&ExerciseState> {
        self.exercises.get(self.current)
    }
}

fn write_of(event: &Event) -> Option<Write> {
    let What::Key { db, key, event: name, by } = &event.what else { return None };
    Some(Write {
        sequence: event.sequence,
        at: event.at,
        instance: event.instance.clone(),
        db: *db,
        key: key.clone(),
        event: name.clone(),
        by: *by,
    })
}

/// Pictures that are worked out from the history, kept as long as nothing happens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Derived {
    pub timeline: timeline::Timeline,
    pub houses: Vec<databases::House>,
    pub twin: twin::Twin,
    /// As each node sees it that a terminal speaks to.
    pub cluster: Vec<cluster::Facts>,
    /// The last event that they know of, and where the exercise began.
    last: (u64, usize),
}

impl Derived {
    pub fn of(look: &Look) -> Derived {
        Derived {
            timeline: timeline::of(look),
            houses: databases::of(look),
            twin: twin::of(look),
            cluster: cluster::of(look),
            last: last(look),
        }
    }

    /// Whether what was derived for `scene` is what would be derived now.
    fn still_holds(&self, scene: &Scene, look: &Look) -> bool {
        self.last == last(look)
            && scene.terminals.len() == look.terminals.len()
            && scene.terminals.iter().zip(look.terminals).all(|(terminal, name)| terminal.name == *name)
            && scene.world.instances == look.world.instances
            && scene.world.network == look.world.network
    }
}

fn last(look: &Look) -> (u64, usize) {
    (look.events.last().map_or(0, |event| event.sequence), look.first_event)
}

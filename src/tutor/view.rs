//! The world of a session, or of a copy of it, as checks see it.

use super::play;
use crate::base::Millis;
use crate::check::{self, Act, Answer, Attempt, Probe, Typed};
use crate::lesson::Lesson;
use crate::port::Backend;
use crate::race::{Orders, Program, Race};
use crate::snapshot::{Event, World};
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

enum Machine<'a> {
    Live(&'a dyn Backend),
    Copy(Box<dyn Backend>),
}

pub struct View<'a> {
    machine: Machine<'a>,
    lesson: Arc<Lesson>,
    world: World,
    events: Cow<'a, [Event]>,
    typed: Cow<'a, [Typed]>,
    began: Millis,
    answers: Cow<'a, [(String, Answer)]>,
    /// None in a copy, which stands for itself.
    first: Option<FirstMoment<'a>>,
}

/// The exercise's first moment, from which orders are run.
pub struct FirstMoment<'a> {
    /// None where the machine cannot be copied.
    pub backend: Option<&'a dyn Backend>,
    pub known: &'a KnownOrders,
}

/// Orders that were run from one first moment. The same programs give the same orders, and goals ask for them at every line.
#[derive(Clone, Default)]
pub struct KnownOrders(RefCell<Vec<Known>>);

#[derive(Clone)]
struct Known {
    port: u16,
    programs: Vec<Program>,
    found: Result<Orders, String>,
}

impl KnownOrders {
    /// Nobody goes back to programs of long ago.
    const KEPT: usize = 8;

    fn of(
        &self,
        port: u16,
        programs: &[Program],
        run: impl FnOnce() -> Result<Orders, String>,
    ) -> Result<Orders, String> {
        let mut all = self.0.borrow_mut();
        if let Some(known) = all.iter().find(|known| known.port == port && known.programs == programs) {
            return known.found.clone();
        }
        let found = run();
        if all.len() == Self::KEPT {
            all.remove(0);
        }
        all.push(Known { port, programs: programs.to_vec(), found: found.clone() });
        found
    }
}

impl<'a> View<'a> {
    /// `events`, `typed` and `answers`: those since the exercise began.
    pub fn live(
        backend: &'a dyn Backend,
        lesson: &Arc<Lesson>,
        events: &'a [Event],
        typed: &'a [Typed],
        began: Millis,
        answers: &'a [(String, Answer)],
        first: FirstMoment<'a>,
    ) -> View<'a> {
        View {
            machine: Machine::Live(backend),
            lesson: lesson.clone(),
            world: backend.snapshot(),
            events: Cow::Borrowed(events),
            typed: Cow::Borrowed(typed),
            began,
            answers: Cow::Borrowed(answers),
            first: Some(first),
        }
    }

    /// A copy of the machine in which something was tried, as it is now.
    fn of_copy(&self, copy: Box<dyn Backend>, events: Vec<Event>, typed: Vec<Typed>) -> View<'static> {
        View {
            world: copy.snapshot(),
            machine: Machine::Copy(copy),
            lesson: self.lesson.clone(),
            events: Cow::Owned(events),
            typed: Cow::Owned(typed),
            began: self.began,
            answers: Cow::Owned(self.answers.to_vec()),
            first: None,
        }
    }

    fn backend(&self) -> &dyn Backend {
        match &self.machine {
            Machine::Live(backend) => *backend,
            Machine::Copy(backend) => &**backend,
        }
    }
}

impl View<'_> {
    /// The number of the last event before the exercise.
    fn before(&self) -> u64 {
        let last = || self.backend().events_since(0).last().map_or(0, |event| event.sequence);
        self.events.first().map_or_else(last, |event| event.sequence - 1)
    }

    fn first_moment(&self) -> &dyn Backend {
        self.first.as_ref().and_then(|first| first.backend).unwrap_or(self.backend())
    }

    fn port_of(&self, instance: &str) -> u16 {
        self.lesson.world.instances.iter().find(|each| each.name == instance).map_or(6379, |each| each.port)
    }
}

impl Probe for View<'_> {
    fn world(&self) -> &World {
        &self.world
    }

    fn events(&self) -> &[Event] {
        &self.events
    }

    fn typed(&self) -> &[Typed] {
        &self.typed
    }

    fn began(&self) -> Millis {
        self.began
    }

    fn answer(&self, question: &str) -> Option<Answer> {
        self.answers.iter().find(|(id, _)| id == question).map(|(_, answer)| answer.clone())
    }

    fn read_file(&self, path: &str) -> Option<Vec<u8>> {
        self.backend().read_file(path).ok()
    }

    fn config_file(&self, instance: &str) -> String {
        let found = self.lesson.world.instances.iter().find(|each| each.name == instance);
        found.map_or_else(|| format!("{instance}.conf"), |each| each.file.clone())
    }

    fn races(&self) -> Vec<Race> {
        self.backend().races_since(self.before())
    }

    fn typed_programs(&self) -> Vec<Program> {
        let mut programs = self.backend().programs_since(self.before());
        programs.retain(|program| program.name != play::LESSON);
        programs
    }

    fn orders(&self, instance: &str, programs: &[Program]) -> Result<Orders, String> {
        let port = self.port_of(instance);
        let run = || self.first_moment().orders(port, programs);
        self.first.as_ref().map_or_else(run, |first| first.known.of(port, programs, run))
    }

    fn play_order(&self, instance: &str, programs: &[Program], turns: &[u8]) -> Option<Attempt> {
        let (run, after) = self.first_moment().play_order(self.port_of(instance), programs, turns).ok()?;
        let events = after.events_since(0);
        let view = self.of_copy(after, events, Vec::new());
        let printed = run.steps.iter().map(|step| step.reply.clone()).collect();
        Some(Attempt { after: Box::new(view), printed, shown: check::race::shown(&run) })
    }

    fn attempt(&self, acts: &[Act]) -> Option<Attempt> {
        let mut copy = self.backend().fork()?;
        let seen = self.events.last().map(|event| event.sequence);
        let played = play::acts(acts, &self.lesson, &mut *copy);
        let mut events = self.events.to_vec();
        let from = seen.unwrap_or_else(|| self.backend().events_since(0).last().map_or(0, |event| event.sequence));
        events.extend(copy.events_since(from));
        let after = self.of_copy(copy, events, self.typed.to_vec());
        Some(Attempt { after: Box::new(after), printed: played.printed, shown: played.shown })
    }
}

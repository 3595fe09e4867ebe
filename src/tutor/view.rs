//! The world of a session, or of a copy of it, as checks see it.

use super::play;
use crate::base::Millis;
use crate::check::{self, Act, Answer, Attempt, Probe, Typed};
use crate::lesson::Lesson;
use crate::port::Backend;
use crate::race::{Orders, Program, Race};
use crate::snapshot::{Event, World};
use std::borrow::Cow;
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
    /// The exercise's first moment; a copy stands for itself.
    start: Option<&'a dyn Backend>,
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
        start: Option<&'a dyn Backend>,
    ) -> View<'a> {
        View {
            machine: Machine::Live(backend),
            lesson: lesson.clone(),
            world: backend.snapshot(),
            events: Cow::Borrowed(events),
            typed: Cow::Borrowed(typed),
            began,
            answers: Cow::Borrowed(answers),
            start,
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
        self.start.unwrap_or(self.backend())
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
        self.first_moment().orders(self.port_of(instance), programs)
    }

    fn play_order(&self, instance: &str, programs: &[Program], turns: &[u8]) -> Option<Attempt> {
        let (run, after) = self.first_moment().play_order(self.port_of(instance), programs, turns).ok()?;
        let view = View {
            world: after.snapshot(),
            events: Cow::Owned(after.events_since(0)),
            machine: Machine::Copy(after),
            lesson: self.lesson.clone(),
            typed: Cow::Owned(Vec::new()),
            began: self.began,
            answers: Cow::Owned(self.answers.to_vec()),
            start: None,
        };
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
        let after = View {
            world: copy.snapshot(),
            machine: Machine::Copy(copy),
            lesson: self.lesson.clone(),
            events: Cow::Owned(events),
            typed: Cow::Owned(self.typed.to_vec()),
            began: self.began,
            answers: Cow::Owned(self.answers.to_vec()),
            start: None,
        };
        Some(Attempt { after: Box::new(after), printed: played.printed, shown: played.shown })
    }
}

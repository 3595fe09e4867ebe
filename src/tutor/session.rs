//! The session itself: lines go in, lines and effects come out, and what happened is kept for undo and for resuming.

use super::orders::Compared;
use super::view::KnownOrders;
use super::{Effect, Entry, ExerciseState, GoalState, QuestionState, Response, Saved, play};
use crate::base::Millis;
use crate::check::{Answer, Mode, Typed};
use crate::console::{Class, Line, Terminal};
use crate::lesson::{self, Lesson};
use crate::picture::{self, Picture};
use crate::port::Backend;
use crate::snapshot::{self, Event};
use std::rc::Rc;
use std::sync::Arc;

/// One lesson being done.
///
/// `moments` stands in step with the backend's undo steps: one for each, the state of everything else before it.
pub struct Session {
    pub(super) lesson: Arc<Lesson>,
    pub(super) backend: Box<dyn Backend>,
    pub(super) terminals: Vec<Terminal>,
    pub(super) screens: Vec<Vec<Line>>,
    pub(super) typed: Vec<Typed>,
    pub(super) events: Vec<Event>,
    pub(super) exercises: Vec<ExerciseState>,
    pub(super) progress: Vec<Progress>,
    pub(super) current: usize,
    pub(super) moments: Vec<Moment>,
    pub(super) redone: Vec<Moment>,
    /// Programs that `:orders` has run in every order.
    pub(super) compared: Option<Compared>,
    /// The lesson's first moment; None where the machine cannot be copied.
    pristine: Option<Rc<dyn Backend>>,
    pub(super) saved: Saved,
    /// When the goals were last judged, for time that passes.
    pub(super) judged_at: Millis,
}

/// What is known of an exercise and not shown.
#[derive(Clone, Default)]
pub(super) struct Progress {
    pub began: Millis,
    pub first_event: usize,
    pub first_typed: usize,
    pub answers: Vec<(String, Answer)>,
    /// The line that broke each `always` goal.
    pub broken: Vec<Option<String>>,
    pub start: Option<Start>,
    /// Orders that were run from that moment.
    pub known_orders: KnownOrders,
    /// Undo goes back to here.
    pub floor: usize,
}

/// An exercise's first moment, for `:reset` and `:solve`.
#[derive(Clone)]
pub(super) struct Start {
    pub backend: Rc<dyn Backend>,
    pub terminals: Vec<Terminal>,
}

/// Everything beside the world, before a step.
#[derive(Clone)]
pub(super) struct Moment {
    pub terminals: Vec<Terminal>,
    /// How much had been typed.
    pub typed: usize,
    /// What was typed behind that and is to be typed again by redo.
    pub tail: Vec<Typed>,
    pub broken: Vec<Option<String>>,
    /// The line of the step, to be named when it is taken back.
    pub line: String,
}

impl Session {
    /// Begins `lesson`, or goes on where `saved` ends if that belongs to the same text of the lesson.
    pub fn open(
        lesson: &Arc<Lesson>,
        make: &dyn Fn(&lesson::World) -> Box<dyn Backend>,
        saved: Option<&Saved>,
    ) -> Session {
        let mut backend = make(&lesson.world);
        play::script(&lesson.world.setup, lesson, &mut *backend);
        backend.mark();
        let pristine = backend.fork().map(Rc::from);
        let mut session = Session {
            lesson: lesson.clone(),
            backend,
            terminals: Vec::new(),
            screens: Vec::new(),
            typed: Vec::new(),
            events: Vec::new(),
            exercises: Vec::new(),
            progress: Vec::new(),
            current: 0,
            moments: Vec::new(),
            redone: Vec::new(),
            compared: None,
            pristine,
            saved: Saved { lesson: lesson.id.clone(), hash: lesson.hash.clone(), entries: Vec::new() },
            judged_at: Millis::ZERO,
        };
        session.begin();
        if let Some(saved) = saved.filter(|saved| saved.lesson == lesson.id && saved.hash == lesson.hash) {
            for entry in &saved.entries {
                session.replay(entry);
            }
        }
        session
    }

    /// This session once more, to go on with in another way; None where the machine cannot be copied.
    pub fn fork(&self) -> Option<Session> {
        Some(Session {
            lesson: self.lesson.clone(),
            backend: self.backend.fork()?,
            terminals: self.terminals.clone(),
            screens: self.screens.clone(),
            typed: self.typed.clone(),
            events: self.events.clone(),
            exercises: self.exercises.clone(),
            progress: self.progress.clone(),
            current: self.current,
            moments: self.moments.clone(),
            redone: self.redone.clone(),
            compared: self.compared.clone(),
            pristine: self.pristine.clone(),
            saved: self.saved.clone(),
            judged_at: self.judged_at,
        })
    }

    /// Terminals, exercises and the first exercise, on the backend as it is.
    fn begin(&mut self) {
        self.terminals.clear();
        self.screens.clear();
        self.typed.clear();
        self.events.clear();
        self.moments.clear();
        self.redone.clear();
        self.compared = None;
        for terminal in &self.lesson.clone().world.terminals {
            let (opened, lines) = play::opened(&terminal.name, &terminal.opens, &self.lesson, &mut *self.backend);
            self.terminals.push(opened);
            self.screens.push(lines);
        }
        self.exercises = self.lesson.exercises.iter().map(fresh).collect();
        self.progress = self.lesson.exercises.iter().map(|_| Progress::default()).collect();
        self.current = 0;
        self.start_exercise();
    }

    fn replay(&mut self, entry: &Entry) {
        match entry {
            Entry::Line { terminal, text } => drop(self.submit(*terminal, text)),
            Entry::Interrupt { terminal } => drop(self.interrupt(*terminal)),
            Entry::Advance(span) => drop(self.advance(*span)),
            Entry::WriteFile { path, text } => drop(self.write_file(path, text)),
            Entry::GoTo(exercise) => self.go_to(*exercise),
        }
    }

    fn record(&mut self, entry: Entry) {
        if let (Entry::Advance(span), Some(Entry::Advance(last))) = (&entry, self.saved.entries.last_mut()) {
            *last += *span;
            return;
        }
        self.saved.entries.push(entry);
    }

    pub fn lesson(&self) -> &Arc<Lesson> {
        &self.lesson
    }

    pub fn terminals(&self) -> &[Terminal] {
        &self.terminals
    }

    /// A copy of the machine, to try something in; None where it cannot be copied.
    pub fn machine_copy(&self) -> Option<Box<dyn Backend>> {
        self.backend.fork()
    }

    /// Runs a line in a terminal, marks an undo step and judges the goals. Answers every `:` word that it can itself.
    /// What was typed, with its prompt, comes first in the response.
    pub fn submit(&mut self, terminal: usize, line: &str) -> Response {
        let mut response = Response::default();
        if terminal >= self.terminals.len() {
            return response;
        }
        self.record(Entry::Line { terminal, text: line.to_owned() });
        let before = self.moment(line);
        let prompt = self.terminals[terminal].prompt();
        let echo = Line::new(Class::Prompt, &prompt).and(Class::Echo, line);
        self.print(terminal, vec![echo], &mut response);
        let mode = match &self.terminals[terminal] {
            _ if line.trim_start().starts_with(':') => Mode::Lab,
            each if each.is_shell() => Mode::Shell,
            each if each.speaks_redis() => Mode::Redis,
            _ => Mode::Sql,
        };
        let name = self.terminals[terminal].name().to_owned();
        let at = self.backend.now();
        let submitted = self.terminals[terminal].submit(line, &mut *self.backend);
        let printed = submitted.lines.iter().map(Line::text).collect::<Vec<_>>().join("\n");
        self.print(terminal, submitted.lines, &mut response);
        if !line.trim().is_empty() {
            let (text, printed) = (cut(line.trim(), TYPED_BYTES_MAX), both_ends(&printed, TYPED_BYTES_MAX));
            self.typed.push(Typed { at, terminal: name, mode, text, printed });
        }
        let judged = match submitted.word {
            Some(word) => self.word(word, terminal, &mut response),
            None => true,
        };
        self.poll(&mut response);
        self.step(before);
        if judged {
            self.judge(&mut response);
        }
        response
    }

    /// Ctrl-C in a terminal.
    pub fn interrupt(&mut self, terminal: usize) -> Response {
        let mut response = Response::default();
        if let Some(each) = self.terminals.get_mut(terminal)
            && (each.busy() || each.asks())
        {
            let lines = each.interrupt(&mut *self.backend);
            self.record(Entry::Interrupt { terminal });
            self.print(terminal, lines, &mut response);
            self.poll(&mut response);
            self.judge(&mut response);
        }
        response
    }

    /// Real time that passed. Cheap when nothing is due: goals are judged when something happened, else once a second.
    pub fn advance(&mut self, span: Millis) -> Response {
        let mut response = Response::default();
        if span == Millis::ZERO {
            return response;
        }
        play::pass(span, &mut *self.backend);
        self.record(Entry::Advance(span));
        let known = self.events.len();
        self.poll(&mut response);
        if self.events.len() > known || self.backend.now().secs() != self.judged_at.secs() {
            self.judge(&mut response);
        }
        response
    }

    /// What the editor opened by `Effect::OpenEditor` gave back.
    pub fn write_file(&mut self, path: &str, text: &str) -> Response {
        let mut response = Response::default();
        self.record(Entry::WriteFile { path: path.to_owned(), text: text.to_owned() });
        let before = self.moment(&format!("edit {path}"));
        let said = match self.backend.write_file(path, text.as_bytes()) {
            Ok(()) => Line::new(Class::Note, format!("{path} written.")),
            Err(error) => Line::new(Class::Bad, format!("{path}: {error}")),
        };
        let terminal = self.terminals.iter().position(Terminal::is_shell).unwrap_or(0);
        self.print(terminal, vec![said], &mut response);
        self.step(before);
        self.judge(&mut response);
        response
    }

    /// What redis-server would refuse in this text of a file, if the file is one of its config files.
    pub fn faults(&self, path: &str, text: &str) -> Vec<(usize, String)> {
        if path.ends_with(".conf") { self.backend.config_faults(text) } else { Vec::new() }
    }

    /// Everything printed so far in a terminal, typed lines with their prompts included: what its screen shows.
    pub fn screen(&self, terminal: usize) -> &[Line] {
        self.screens.get(terminal).map_or(&[], Vec::as_slice)
    }

    pub fn exercises(&self) -> &[ExerciseState] {
        &self.exercises
    }

    pub fn current(&self) -> usize {
        self.current
    }

    /// On to the next exercise; false at the last one.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> bool {
        let more = self.current + 1 < self.exercises.len();
        if more {
            self.go_to(self.current + 1);
        }
        more
    }

    /// To any exercise; its set-up runs when it begins for the first time.
    pub fn go_to(&mut self, exercise: usize) {
        if exercise < self.exercises.len() && exercise != self.current {
            self.record(Entry::GoTo(exercise));
            self.enter(exercise);
        }
    }

    pub(super) fn enter(&mut self, exercise: usize) {
        self.current = exercise;
        if self.exercises[exercise].started {
            self.progress[exercise].floor = self.moments.len();
        } else {
            self.start_exercise();
        }
        self.judge(&mut Response::default());
    }

    pub fn is_done(&self) -> bool {
        self.exercises.iter().all(|exercise| exercise.solved)
    }

    pub fn snapshot(&self) -> snapshot::World {
        self.backend.snapshot()
    }

    /// Everything that happened in this lesson.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// What `:orders` found last, and the order that is being played.
    pub fn compared(&self) -> Option<&Compared> {
        self.compared.as_ref()
    }

    /// Commands run at the prompt of an emptied copy of the world: what a terminal shows of them. Nothing of it is kept.
    pub fn example(&self, commands: &[&str]) -> Vec<Line> {
        let running = |it: &&snapshot::Instance| it.state == snapshot::State::Running && it.cluster.is_none();
        let port = self.snapshot().instances.iter().find(running).map(|it| it.port);
        let (Some(port), Some(mut copy)) = (port, self.backend.fork()) else {
            return vec![Line::new(Class::Note, "No server runs here that it could be shown on.")];
        };
        let mut terminal = Terminal::new(play::LESSON);
        let mut lines = terminal.open_redis(port, &mut *copy);
        terminal.submit("FLUSHALL", &mut *copy);
        for command in commands {
            lines.push(Line::new(Class::Prompt, terminal.prompt()).and(Class::Echo, command));
            lines.extend(terminal.submit(command, &mut *copy).lines);
            copy.advance(Millis(2000));
            lines.extend(terminal.poll(&mut *copy));
        }
        lines
    }

    /// A picture of the lab in sentences, for somebody at the terminal `here`.
    pub fn picture_words(&self, picture: Picture, here: usize) -> Vec<String> {
        let (world, terminals) = (self.snapshot(), self.terminal_names());
        picture::words(picture, &picture::Look { here, orders: self.played(), ..self.look(&world, &terminals) })
    }

    /// What pictures are made from, but for the orders that were compared.
    pub fn look<'a>(&'a self, world: &'a snapshot::World, terminals: &'a [String]) -> picture::Look<'a> {
        picture::Look {
            world,
            events: &self.events,
            first_event: self.progress[self.current].first_event,
            terminals,
            here: 0,
            nodes_meant: self.lesson.world.instances.iter().any(|it| picture::cluster::is_nodes(&it.conf)),
            orders: None,
        }
    }

    /// What `:orders` found last, for pictures.
    pub fn played(&self) -> Option<picture::orders::Played<'_>> {
        let compared = self.compared.as_ref()?;
        let (orders, run) = (&compared.orders, &compared.run);
        let changed = self.edited(orders);
        Some(picture::orders::Played { orders, chosen: compared.chosen, run, shown: compared.shown, changed })
    }

    pub fn terminal_names(&self) -> Vec<String> {
        self.terminals.iter().map(|terminal| terminal.name().to_owned()).collect()
    }

    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    /// Runs the current exercise's set-up and remembers this moment as its first.
    fn start_exercise(&mut self) {
        let lesson = self.lesson.clone();
        let exercise = &lesson.exercises[self.current];
        play::script(&exercise.setup, &lesson, &mut *self.backend);
        let mut response = Response::default();
        self.poll(&mut response);
        self.step(self.moment(""));
        let progress = &mut self.progress[self.current];
        progress.began = self.backend.now();
        progress.first_event = self.events.len();
        progress.first_typed = self.typed.len();
        progress.answers.clear();
        progress.broken = vec![None; exercise.goals.len()];
        progress.floor = self.moments.len();
        progress.start =
            self.backend.fork().map(|backend| Start { backend: Rc::from(backend), terminals: self.terminals.clone() });
        progress.known_orders = KnownOrders::default();
        self.exercises[self.current].started = true;
        self.judged_at = self.backend.now();
    }

    pub(super) fn reset_exercise(&mut self) {
        let Some(start) = &self.progress[self.current].start else { return };
        let (Some(backend), terminals) = (start.backend.fork(), start.terminals.clone()) else { return };
        self.backend = backend;
        let extra: Vec<Terminal> = self.terminals.split_off(terminals.len().min(self.terminals.len()));
        self.terminals = terminals;
        self.terminals.extend(extra.iter().map(|terminal| Terminal::new(terminal.name())));
        self.moments.truncate(self.backend.depth().0);
        self.redone.clear();
        self.events = self.backend.events_since(0);
        let progress = &mut self.progress[self.current];
        self.typed.truncate(progress.first_typed);
        progress.first_event = progress.first_event.min(self.events.len());
        progress.answers.clear();
        progress.broken.fill(None);
        progress.floor = self.moments.len();
        let mut state = fresh(&self.lesson.exercises[self.current]);
        state.started = true;
        state.solution_seen = self.exercises[self.current].solution_seen;
        self.exercises[self.current] = state;
    }

    /// Back to the lesson's first moment; what was saved of it is forgotten.
    pub(super) fn reset_lesson(&mut self) {
        let Some(backend) = self.pristine.as_ref().and_then(|pristine| pristine.fork()) else { return };
        self.backend = backend;
        self.saved.entries.clear();
        self.begin();
    }

    pub(super) fn moment(&self, line: &str) -> Moment {
        Moment {
            terminals: self.terminals.clone(),
            typed: self.typed.len(),
            tail: Vec::new(),
            broken: self.progress[self.current].broken.clone(),
            line: cut(line.trim(), LINE_SHOWN),
        }
    }

    /// Ends a step: if the machine has one more to take back, `before` is what belongs to it.
    fn step(&mut self, before: Moment) {
        self.backend.mark();
        let (steps, redos) = self.backend.depth();
        while self.moments.len() < steps {
            self.moments.push(before.clone());
        }
        if redos == 0 {
            self.redone.clear();
        }
    }

    /// Picks up what servers said meanwhile, and what happened.
    pub(super) fn poll(&mut self, response: &mut Response) {
        for terminal in 0..self.terminals.len() {
            let lines = self.terminals[terminal].poll(&mut *self.backend);
            self.print(terminal, lines, response);
        }
        let last = self.events.last().map_or(0, |event| event.sequence);
        self.events.extend(self.backend.events_since(last));
    }

    pub(super) fn print(&mut self, terminal: usize, lines: Vec<Line>, response: &mut Response) {
        for line in lines.into_iter().map(shortened) {
            self.screens[terminal].push(line.clone());
            response.lines.push((terminal, line));
        }
        let screen = &mut self.screens[terminal];
        if screen.len() > SCREEN_LINES_MAX {
            screen.drain(..screen.len() - SCREEN_LINES_MAX);
        }
    }

    pub(super) fn open_terminal(&mut self, name: &str, response: &mut Response) {
        let opens = self.lesson.world.terminals.iter().find(|each| matches!(each.opens, lesson::Opens::Redis(_)));
        let opens = opens.map_or(lesson::Opens::Shell, |terminal| terminal.opens.clone());
        let (terminal, lines) = play::opened(name, &opens, &self.lesson.clone(), &mut *self.backend);
        self.terminals.push(terminal);
        self.screens.push(Vec::new());
        let index = self.terminals.len() - 1;
        self.print(index, lines, response);
        response.effects.push(Effect::Focus(index));
    }
}

/// Older lines of a screen are forgotten.
const SCREEN_LINES_MAX: usize = 10_000;
/// Nobody reads on in a longer line; a value of 100 MB is one.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Checks look no further into what was typed and printed.
const TYPED_BYTES_MAX: usize = 64 * 1024;
/// Of a line, when it is named.
const LINE_SHOWN: usize = 200;

/// The first `max` bytes of `text`, or a little less where a character would be cut.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max { text.to_owned() } else { text[..text.floor_char_boundary(max)].to_owned() }
}

/// The first and the last `max` / 2 bytes of `text`: what a long run came to stands at its end.
fn both_ends(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let tail = text.ceil_char_boundary(text.len() - max / 2);
    format!("{}\n...\n{}", cut(text, max / 2), &text[tail..])
}

/// A line that a screen can hold, with a word on what is not shown.
fn shortened(mut line: Line) -> Line {
    let len: usize = line.0.iter().map(|span| span.text.len()).sum();
    if len <= LINE_BYTES_MAX {
        return line;
    }
    let mut room = LINE_BYTES_MAX;
    for span in &mut line.0 {
        span.text = cut(&span.text, room);
        room -= span.text.len();
    }
    line.0.retain(|span| !span.text.is_empty());
    line.and(Class::Dim, format!("... ({} bytes more)", len - LINE_BYTES_MAX))
}

fn fresh(exercise: &lesson::Exercise) -> ExerciseState {
    let goal = |goal: &lesson::Goal| GoalState { say: goal.say.clone(), met: false, latched: false, broken: false };
    let question = |question: &lesson::Question| QuestionState {
        id: question.id.clone(),
        ask: question.ask.clone(),
        choices: question.choices.iter().map(|choice| choice.text.clone()).collect(),
        said: None,
        right: None,
    };
    ExerciseState {
        id: exercise.id.clone(),
        title: exercise.title.clone(),
        task: exercise.task.clone(),
        goals: exercise.goals.iter().map(goal).collect(),
        questions: exercise.questions.iter().map(question).collect(),
        feedback: None,
        hints_shown: Vec::new(),
        hints_total: exercise.hints.len(),
        solved: false,
        solution_seen: false,
        started: false,
    }
}

//! Exercises done in all ways: solutions, wrong attempts, lines left out and altered, other spellings.

use super::Make;
use crate::base::{Millis, quote};
use crate::check::{Look, Script};
use crate::lesson::{Exercise, Fault, Lesson, plain_text};
use crate::tutor::Session;
use std::sync::Arc;

pub struct Player<'a> {
    lesson: &'a Arc<Lesson>,
    make: Make<'a>,
    pub played: usize,
    /// The lesson at the start of each exercise, once it was there: making a world and setting it up takes longer than copying
    /// it, and is the same each time.
    starts: Vec<Option<Session>>,
}

/// How lines are typed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hand {
    AsWritten,
    /// Other case, more blanks, quotes.
    Sloppy,
    /// Looks around before each command.
    Curious,
    /// Reads, thinks, and goes to the other terminal: the lab's clock runs meanwhile.
    Slow,
}

/// What a learner takes to read an answer and to type the next line.
const PACE: Millis = Millis(3000);

impl<'a> Player<'a> {
    pub fn new(lesson: &'a Arc<Lesson>, make: Make<'a>) -> Player<'a> {
        Player { lesson, make, played: 0, starts: lesson.exercises.iter().map(|_| None).collect() }
    }

    /// A session that skipped everything before exercise `index`.
    pub fn at(&mut self, index: usize) -> Session {
        let open = || Session::open(self.lesson, self.make, None);
        self.starts[0].get_or_insert_with(open);
        if self.starts[index].is_none() {
            let first = self.starts[0].as_ref().and_then(Session::fork);
            let mut session = first.unwrap_or_else(open);
            session.go_to(index);
            self.starts[index] = Some(session);
        }
        let start = self.starts[index].as_ref().expect("made above");
        start.fork().unwrap_or_else(|| {
            let mut session = open();
            session.go_to(index);
            session
        })
    }

    fn solves(&mut self, index: usize, script: &Script, hand: Hand) -> bool {
        self.tried(index, script, hand).0
    }

    /// Whether it solves the exercise, and whether another hand would have typed anything else.
    fn tried(&mut self, index: usize, script: &Script, hand: Hand) -> (bool, bool) {
        self.played += 1;
        let mut session = self.at(index);
        let hand_shows = type_in(&mut session, script, hand);
        (session.exercises()[index].solved, hand_shows)
    }

    pub fn exercise(&mut self, index: usize) -> Vec<Fault> {
        let lesson = self.lesson.clone();
        let exercise = &lesson.exercises[index];
        let yaml = &lesson.yaml;
        let mut faults = Vec::new();
        let mut session = self.at(index);
        session.submit(0, ":goals");
        if session.exercises()[index].solved || session.submit(0, "").effects.iter().any(is_solved) {
            faults.push(yaml.fault(exercise.at, format!("`{}` is solved before anything was done", exercise.id)));
            return faults;
        }
        for (goal, state) in exercise.goals.iter().zip(&session.exercises()[index].goals) {
            if state.broken {
                faults.push(yaml.fault(goal.at, "this goal is to hold always, and does not at the start"));
            }
        }
        for (nth, solution) in exercise.solutions.iter().enumerate() {
            let at = solution.0.first().map_or(exercise.at, |step| step.at);
            let name = format!("solution {} of `{}`", nth + 1, exercise.id);
            let (solved, hand_shows) = self.tried(index, solution, Hand::AsWritten);
            if !solved {
                let why = self.why_not(index, solution);
                faults.push(
                    yaml.fault(at, format!("{name} does not solve it when earlier exercises were skipped")).help(why),
                );
                continue;
            }
            if hand_shows && !self.solves(index, solution, Hand::Sloppy) {
                let message =
                    format!("{name} fails when typed in other case, with more blanks and with quotes: too strict");
                faults.push(yaml.fault(at, message));
            }
            if hand_shows && !self.solves(index, solution, Hand::Curious) {
                let message = format!("{name} fails when the learner looks around (PING, TIME) meanwhile: too strict");
                faults.push(yaml.fault(at, message));
            }
            if !self.solves(index, solution, Hand::Slow) {
                let message = format!("{name} fails when {} seconds pass before each line: too strict", PACE.secs());
                faults.push(
                    yaml.fault(at, message)
                        .help("nobody types two lines in the same second; `;` joins two in the shell"),
                );
            }
            faults.extend(self.mutants(index, solution, &name));
        }
        faults.extend(self.wrong_attempts(index));
        faults
    }

    /// Each line left out, and each with its second word misspelled: none of it may solve the exercise.
    fn mutants(&mut self, index: usize, solution: &Script, name: &str) -> Vec<Fault> {
        let lesson = self.lesson.clone();
        let exercise = &lesson.exercises[index];
        let mut faults = Vec::new();
        for (step, nth) in positions(solution) {
            let line = &solution.0[step].lines[nth];
            if line.optional || (line.text.starts_with(":answer") && !asks_for_answer(exercise)) {
                continue;
            }
            let mut without = solution.clone();
            without.0[step].lines.remove(nth);
            if self.solves(index, &without, Hand::AsWritten) {
                let fault = lesson
                    .yaml
                    .fault(line.at, format!("{name} works without `{}`: the goals are too loose", line.text));
                faults.push(fault.help("test what this line does, or mark it `{optional: ...}`"));
                continue;
            }
            if line.free || line.text.starts_with(':') {
                continue;
            }
            let mut altered = solution.clone();
            altered.0[step].lines[nth].text = misspelled(&line.text);
            if self.solves(index, &altered, Hand::AsWritten) {
                let text = &altered.0[step].lines[nth].text;
                faults.push(
                    lesson.yaml.fault(line.at, format!("{name} works with `{text}` too: the goals are too loose")),
                );
            }
        }
        faults
    }

    /// Each known wrong attempt fails, with its own message.
    fn wrong_attempts(&mut self, index: usize) -> Vec<Fault> {
        let lesson = self.lesson.clone();
        let exercise = &lesson.exercises[index];
        let mut faults = Vec::new();
        for wrong in &exercise.wrong {
            self.played += 1;
            let mut session = self.at(index);
            type_in(&mut session, &wrong.attempt, Hand::AsWritten);
            let state = &session.exercises()[index];
            if state.solved {
                faults.push(lesson.yaml.fault(wrong.at, format!("this wrong attempt solves `{}`", exercise.id)));
                continue;
            }
            let said = state.feedback.as_ref().map(|feedback| plain_text(&feedback.say));
            if said.as_deref() != Some(plain_text(&wrong.say).as_str()) {
                let said = said.unwrap_or_else(|| "nothing".into());
                let fault = lesson.yaml.fault(wrong.at, "this wrong attempt does not get its own message");
                faults.push(fault.help(format!("it gets: {said}")));
            }
        }
        faults
    }

    /// The whole lesson in order, with each exercise's solutions; and twice, which has to end in the same state.
    pub fn in_order(&mut self) -> Vec<Fault> {
        let lesson = self.lesson.clone();
        let mut faults = Vec::new();
        let most = lesson.exercises.iter().map(|exercise| exercise.solutions.len()).max().unwrap_or(0);
        let mut ended = None;
        for nth in 0..most {
            let mut session = self.at(0);
            for (index, exercise) in lesson.exercises.iter().enumerate() {
                session.go_to(index);
                let solution = exercise.solutions.get(nth).or(exercise.solutions.first());
                let Some(solution) = solution else { continue };
                if session.exercises()[index].solved {
                    let message =
                        format!("after the exercises before it, `{}` is solved before anything was done", exercise.id);
                    faults.push(lesson.yaml.fault(exercise.at, message));
                }
                self.played += 1;
                type_in(&mut session, solution, Hand::AsWritten);
                if !session.exercises()[index].solved {
                    let at = solution.0.first().map_or(exercise.at, |step| step.at);
                    let message = format!("this solution of `{}` fails after the exercises before it", exercise.id);
                    faults.push(lesson.yaml.fault(at, message).help(said(&session, index)));
                }
            }
            ended.get_or_insert_with(|| format!("{:?}", session.snapshot()));
        }
        if ended != Some(self.run_through()) {
            faults.push(Fault::whole(&lesson.yaml.path, "two runs of this lesson end in different states"));
        }
        faults
    }

    /// The end of the lesson, done with the first solutions on a world of its own, in words.
    fn run_through(&self) -> String {
        let mut session = Session::open(self.lesson, self.make, None);
        for (index, exercise) in self.lesson.exercises.iter().enumerate() {
            session.go_to(index);
            if let Some(solution) = exercise.solutions.first() {
                type_in(&mut session, solution, Hand::AsWritten);
            }
        }
        format!("{:?}", session.snapshot())
    }

    fn why_not(&mut self, index: usize, script: &Script) -> String {
        let mut session = self.at(index);
        type_in(&mut session, script, Hand::AsWritten);
        said(&session, index)
    }
}

/// What the learner would be told, with the goals that are not met.
fn said(session: &Session, index: usize) -> String {
    let state = &session.exercises()[index];
    let unmet: Vec<String> = state.goals.iter().filter(|goal| !goal.met).map(|goal| plain_text(&goal.say)).collect();
    let said = state.feedback.as_ref().map(|feedback| plain_text(&feedback.say)).unwrap_or_default();
    format!("not met: {} - {said}", unmet.join(" / "))
}

fn is_solved(effect: &crate::tutor::Effect) -> bool {
    matches!(effect, crate::tutor::Effect::Solved(_))
}

fn asks_for_answer(exercise: &Exercise) -> bool {
    let looks = exercise.goals.iter().flat_map(|goal| goal.check.look_at());
    looks.into_iter().any(|look| matches!(look, Look::Question(_)))
}

fn positions(script: &Script) -> Vec<(usize, usize)> {
    let steps = script.0.iter().enumerate();
    steps.flat_map(|(step, each)| (0..each.lines.len()).map(move |line| (step, line))).collect()
}

/// Types a script into the terminals of its actors; whether anything of it was a line at a redis prompt, where hands differ.
fn type_in(session: &mut Session, script: &Script, hand: Hand) -> bool {
    let mut hand_shows = false;
    for step in &script.0 {
        // Time passes for a real learner too, between one terminal and the other.
        if step.wait > Millis::ZERO {
            session.advance(step.wait);
        }
        let Some(terminal) = session.terminals().iter().position(|each| each.name() == step.actor) else { continue };
        let mut asked = false;
        for line in &step.lines {
            if hand == Hand::Slow {
                session.advance(PACE);
            }
            let at_redis = session.terminals()[terminal].speaks_redis() && !line.text.starts_with(':');
            hand_shows |= at_redis;
            let in_transaction = session.terminals()[terminal].prompt().contains("(TX)");
            // ASKING is for the next command, whatever that is.
            let in_between = in_transaction || std::mem::take(&mut asked);
            asked = at_redis && line.text.trim().eq_ignore_ascii_case("ASKING");
            if hand == Hand::Curious && at_redis && !in_between {
                session.submit(terminal, "PING");
                session.submit(terminal, "TIME");
            }
            let text = if hand == Hand::Sloppy && at_redis { sloppy(&line.text) } else { line.text.clone() };
            session.submit(terminal, &text);
        }
    }
    hand_shows
}

/// The same command in other case, with more blanks and every argument in quotes.
fn sloppy(line: &str) -> String {
    let Ok(words) = quote::split(line.as_bytes()) else { return line.to_owned() };
    let mut out = String::from("  ");
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            out.push_str("   ");
        }
        match index {
            0 => {
                let text = word.lossy();
                let lower = text.to_lowercase();
                out.push_str(&if *text == lower { text.to_uppercase() } else { lower });
            }
            _ => out.push_str(&quote::repr(word)),
        }
    }
    out.push(' ');
    out
}

/// The line with its second word (its only one, if it has no other) misspelled.
fn misspelled(line: &str) -> String {
    let (pieces, _) = quote::pieces(line.as_bytes());
    let at = if pieces.len() > 1 { 1 } else { 0 };
    let Some(piece) = pieces.get(at) else { return line.to_owned() };
    let mut end = piece.end;
    if line[..end].ends_with(['"', '\'']) {
        end -= 1;
    }
    format!("{}~{}", &line[..end], &line[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sloppy_hand_types_the_same_command() {
        assert_eq!(sloppy("SET a \"b c\""), "  set   \"a\"   \"b c\" ");
        assert_eq!(quote::split(sloppy("set a b").as_bytes()).unwrap()[1..], quote::split(b"set a b").unwrap()[1..]);
    }

    #[test]
    fn a_misspelled_line_has_another_second_word() {
        assert_eq!(misspelled("GET session:a1"), "GET session:a1~");
        assert_eq!(misspelled("SET \"a b\" c"), "SET \"a b~\" c");
        assert_eq!(misspelled("SAVE"), "SAVE~");
    }
}

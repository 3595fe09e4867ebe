//! Judging the goals of the current exercise, and answers to its questions.

use super::view::FirstMoment;
use super::{Effect, Feedback, Response, Session, Tone, View, feedback};
use crate::check::{Act, Answer, Mode, Probe, Typed, Verdict};
use crate::console::word;
use crate::lesson::{Inline, Question, Truth, When, plain_text, prose};

impl Session {
    pub(super) fn view(&self) -> View<'_> {
        let progress = &self.progress[self.current];
        let events = &self.events[progress.first_event.min(self.events.len())..];
        let typed = &self.typed[progress.first_typed.min(self.typed.len())..];
        let start = progress.start.as_ref().map(|start| &*start.backend);
        let first = FirstMoment { backend: start, known: &progress.known_orders };
        View::live(&*self.backend, &self.lesson, events, typed, progress.began, &progress.answers, first)
    }

    /// Looks at every goal of the current exercise. Once all are met it is solved, and stays so.
    pub(super) fn judge(&mut self, response: &mut Response) {
        self.judged_at = self.backend.now();
        if self.exercises[self.current].solved {
            return;
        }
        let lesson = self.lesson.clone();
        let exercise = &lesson.exercises[self.current];
        let verdicts: Vec<Verdict> = {
            let view = self.view();
            exercise.goals.iter().map(|goal| goal.check.judge(&view)).collect()
        };
        let did = self.did_something();
        let last_line = self.typed.last().map_or_else(|| "time".to_owned(), |typed| format!("`{}`", typed.text));
        let progress = &mut self.progress[self.current];
        let state = &mut self.exercises[self.current];
        for (index, (goal, verdict)) in exercise.goals.iter().zip(&verdicts).enumerate() {
            let shown = &mut state.goals[index];
            match goal.when {
                When::Now => shown.met = verdict.met,
                When::Latched => {
                    shown.latched |= verdict.met;
                    shown.met = shown.latched;
                }
                When::Always => {
                    if !verdict.met && progress.broken[index].is_none() {
                        progress.broken[index] = Some(last_line.clone());
                    }
                    shown.broken = progress.broken[index].is_some();
                    shown.met = !shown.broken;
                }
            }
        }
        if state.goals.iter().all(|goal| goal.met) {
            state.solved = true;
            let say = prose::inlines("Done. `:next` goes on; the world stays yours to play with.");
            state.feedback = Some(Feedback { tone: Tone::Solved, say, goal: None, future: Vec::new() });
            response.effects.push(Effect::Solved(self.current));
            if self.is_done() {
                response.effects.push(Effect::LessonDone);
            }
            return;
        }
        let told = did.then(|| self.told(&verdicts)).flatten();
        self.exercises[self.current].feedback = told;
    }

    /// The one message for the learner.
    fn told(&self, verdicts: &[Verdict]) -> Option<Feedback> {
        let exercise = &self.lesson.exercises[self.current];
        let state = &self.exercises[self.current];
        for (index, broken) in self.progress[self.current].broken.iter().enumerate() {
            if let Some(line) = broken {
                let goal = plain_text(&exercise.goals[index].say);
                let say = prose::inlines(&format!(
                    "{line} broke a goal that holds all the time: {goal} `:undo` takes it back."
                ));
                // The author may know this way of breaking it, and say why it is one.
                let known =
                    feedback::of(exercise, &self.view(), verdicts, None).filter(|told| told.tone == Tone::Wrong);
                if let Some(known) = known {
                    return Some(Feedback { tone: Tone::Broken, goal: Some(index), ..known });
                }
                return Some(Feedback { tone: Tone::Broken, say, goal: Some(index), future: Vec::new() });
            }
        }
        let unmet = (0..exercise.goals.len()).find(|index| !state.goals[*index].met);
        feedback::of(exercise, &self.view(), verdicts, unmet)
    }

    /// Has the learner typed anything since the exercise began that was more than a look around in the lab?
    fn did_something(&self) -> bool {
        let acts = |typed: &Typed| match typed.mode {
            Mode::Lab => matches!(word::parse(&typed.text), Some(Ok(word)) if !word.only_looks()),
            _ => true,
        };
        let first = self.progress[self.current].first_typed.min(self.typed.len());
        self.typed[first..].iter().any(acts)
    }

    /// Takes `said` as the answer to the first question that is not answered rightly; None if there is none.
    pub(super) fn answer(&mut self, said: &str) -> Option<(Answer, Vec<Inline>)> {
        let lesson = self.lesson.clone();
        let questions = &lesson.exercises[self.current].questions;
        let state = &self.exercises[self.current].questions;
        let open =
            (0..questions.len()).find(|index| state[*index].right != Some(true)).or(questions.len().checked_sub(1))?;
        let question = &questions[open];
        let choice = chosen(question, said);
        let text = choice.map_or(said.trim(), |choice| &question.choices[choice].text).to_owned();
        let truth = match &question.truth {
            Truth::Is(text) => text.clone(),
            Truth::Run(script) => {
                let attempt = self.view().attempt(&[Act::Run(script.clone())])?;
                attempt.printed.last().cloned().unwrap_or_default()
            }
        };
        let right = same_answer(&text, &truth);
        let answer = Answer { said: text, choice: choice.map(|choice| choice + 1), right };
        let say = choice.map(|choice| question.choices[choice].say.clone()).unwrap_or_default();
        let answers = &mut self.progress[self.current].answers;
        answers.retain(|(id, _)| *id != question.id);
        answers.push((question.id.clone(), answer.clone()));
        let state = &mut self.exercises[self.current].questions[open];
        state.said = Some(answer.said.clone());
        state.right = Some(answer.right);
        Some((answer, say))
    }
}

/// Which choice `said` is: its number, or its text.
fn chosen(question: &Question, said: &str) -> Option<usize> {
    let said = said.trim();
    let by_number = said.parse::<usize>().ok().filter(|n| (1..=question.choices.len()).contains(n)).map(|n| n - 1);
    by_number.or_else(|| question.choices.iter().position(|choice| same_answer(&choice.text, said)))
}

/// The same but for case, blanks, quotes and the type that redis-cli writes before a number.
fn same_answer(a: &str, b: &str) -> bool {
    let plain = |text: &str| {
        let text = text.trim().trim_start_matches("(integer) ").trim_matches('"').to_lowercase();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    plain(a) == plain(b)
}

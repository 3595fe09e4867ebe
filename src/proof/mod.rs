//! `redlab check`: proves a course by doing it.
//!
//! Every exercise is done in every way that its author wrote down, and in some that nobody did: with each line left out, with
//! keys misspelled, with other case and blanks, after skipping what came before. What does not behave as it should is a
//! [`Fault`] at the line of the file that says it. Nothing is read from the disk here and no clock is asked: the same course
//! gives the same findings on every machine.

mod blocks;
mod doing;
mod reading;

use crate::lesson::{self, Course, Fault, Lesson};
use crate::port::Backend;
use std::sync::Arc;

/// Makes the machine that a lesson's world describes.
pub type Make<'m> = &'m dyn Fn(&lesson::World) -> Box<dyn Backend>;

/// What was done to prove one lesson.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proved {
    pub exercises: usize,
    /// Solutions, wrong attempts, mutations and spellings that were played.
    pub played: usize,
    pub faults: Vec<Fault>,
}

/// Proves one lesson. `taught`: what lessons before it teach.
pub fn lesson(lesson: &Arc<Lesson>, taught: &[String], make: Make) -> Proved {
    let mut faults = reading::faults(lesson, taught);
    let mut player = doing::Player::new(lesson, make);
    for index in 0..lesson.exercises.len() {
        faults.extend(player.exercise(index));
    }
    faults.extend(player.in_order());
    faults.extend(blocks::faults(lesson, player.at(0)));
    faults.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    faults.dedup();
    Proved { exercises: lesson.exercises.len(), played: player.played, faults }
}

/// What each lesson may take for granted: all that lessons before it teach.
pub fn taught_before(course: &Course) -> Vec<Vec<String>> {
    let mut taught: Vec<String> = Vec::new();
    course
        .lessons()
        .map(|lesson| {
            let before = taught.clone();
            taught.extend(lesson.teaches.iter().cloned());
            before
        })
        .collect()
}

#[cfg(test)]
mod tests;

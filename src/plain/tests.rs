//! Every lesson that a learner is promised to finish in plain lines is finished there, at a learner's pace, with the solutions
//! that its author wrote down.

use super::*;
use crate::backend::lesson::embedded;
use crate::learn::Nowhere;
use crate::lesson::{Course, Lesson};

/// What a learner takes to read an answer and to type the next line.
const PACE: Millis = Millis(3000);

/// All lines that do a lesson, one exercise after the other.
fn lines_of(lesson: &Lesson) -> Vec<String> {
    let first = lesson.world.terminals.first().map_or("", |terminal| terminal.name.as_str());
    let mut at = first.to_owned();
    let mut lines = Vec::new();
    for exercise in &lesson.exercises {
        for step in &exercise.solutions[0].0 {
            if step.wait > Millis::ZERO {
                lines.push(format!(":time +{}s", step.wait.secs()));
            }
            if step.actor != at {
                lines.push(format!(":terminal {}", step.actor));
                at = step.actor.clone();
            }
            lines.extend(step.lines.iter().map(|line| line.text.clone()));
        }
        lines.push(":next".to_owned());
    }
    lines
}

/// What plain mode prints while these lines are typed in a lesson.
fn typed(lesson: &Lesson, lines: &[String]) -> String {
    let mut desk = Desk::open(Course::bundled(), Box::new(embedded), Box::new(Nowhere), Some(&lesson.id)).unwrap();
    let input = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let reader = Reader::Pipe(Box::new(io::Cursor::new(input)));
    let mut plain = Plain::new(Vec::new(), reader, false);
    plain.begin(&desk).unwrap();
    while !plain.quit {
        let late = desk.advance(PACE);
        plain.tell(&mut desk, late).unwrap();
        plain.turn(&mut desk).unwrap();
    }
    String::from_utf8(plain.out).expect("plain lines are text")
}

#[test]
fn every_lesson_can_be_finished_in_plain_lines() {
    let course = Course::bundled();
    let only = std::env::var("REDLAB_LESSON").ok();
    let mut wrong = Vec::new();
    for lesson in course.lessons().filter(|lesson| match &only {
        Some(only) => *only == lesson.number,
        None => ["2.", "3.", "4."].iter().any(|module| lesson.number.starts_with(module)),
    }) {
        let printed = typed(lesson, &lines_of(lesson));
        for (n, exercise) in lesson.exercises.iter().enumerate() {
            if !printed.contains(&format!("Exercise {} done: ", n + 1)) {
                wrong.push(format!("{} {} is not done:\n{printed}", lesson.number, exercise.id));
            }
        }
        let on = if course.after(&lesson.id).is_some() { "\nLesson " } else { "That was the last lesson" };
        if !printed.contains("The lesson is done. `:next` opens the next one.") || !printed.contains(on) {
            wrong.push(format!("{} does not end:\n{printed}", lesson.number));
        }
    }
    assert!(wrong.is_empty(), "{}\nREDLAB_LESSON=N.N walks one lesson", wrong.join("\n"));
}

#[test]
fn an_exercise_that_begins_is_told_of_once_with_the_goals_that_are_met() {
    // `:next` told of goals that were met from the beginning before it had said what the exercise is.
    let course = Course::bundled();
    for lesson in course.lessons().filter(|lesson| lesson.number == "2.1") {
        let printed = typed(lesson, &[":next".to_owned()]);
        let (_, after) = printed.split_once("Exercise 2 of 4").expect("it is told of");
        assert!(after.contains(", met: "), "{printed}");
        assert!(!printed.contains("Goal 2 of 3 met:"), "{printed}");
    }
}

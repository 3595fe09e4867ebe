//! What plain mode says when one exercise ends and the next begins. Whole lessons are walked in tests/terminal/walk.rs.

use super::*;
use crate::backend::lesson::embedded;
use crate::learn::Nowhere;
use crate::lesson::Course;

#[test]
fn an_exercise_that_begins_is_told_of_once_with_the_goals_that_are_met() {
    // `:next` told of goals that were met from the beginning before it had said what the exercise is.
    let course = Course::bundled();
    for lesson in course.lessons().filter(|lesson| lesson.number == "2.1") {
        let mut desk = Desk::open(Course::bundled(), Box::new(embedded), Box::new(Nowhere), Some(&lesson.id)).unwrap();
        let printed = told(&mut desk, ":next\n", Millis(3000)).unwrap();
        let (_, after) = printed.split_once("Exercise 2 of 4").expect("it is told of");
        assert!(after.contains(", met: "), "{printed}");
        assert!(!printed.contains("Goal 2 of 3 met:"), "{printed}");
    }
}

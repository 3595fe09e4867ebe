//! Lessons: what a course says, before anybody does it.
//!
//! `model` is the data; `parse` reads lab.yaml and course.yaml; `prose` reads lesson.md. Both report what an author got wrong as
//! [`Fault`]s with file, line, column and what was expected, all of them at once.

pub mod fault;
pub mod model;
pub mod parse;
pub mod prose;

pub use fault::Fault;
pub use model::*;

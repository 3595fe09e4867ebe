//! Help while typing: what could follow, what a word is, what a command is about. Pure functions of the line, the cursor
//! (a byte offset) and the command table; names of keys and files are handed in, nothing is looked up.
//!
//! Start with `follow`: how far a line has come along its command's syntax. Hints, completion and explanation are views of it.

pub mod atlas;
pub mod complete;
pub mod explain;
pub mod follow;
pub mod highlight;
pub mod hint;
pub mod secret;

pub use complete::{Candidate, Completion, Vocabulary, complete};
pub use explain::{Explanation, explain};
pub use highlight::{Token, highlight};
pub use hint::hint;
pub use secret::is_sensitive;

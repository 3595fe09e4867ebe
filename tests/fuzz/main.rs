//! Fuzzing: every parser, and all commands in any order on several connections, fed with inputs that nobody would send.
//!
//! Seeded, so that a number reproduces everything; see README.md beside this file for how to run millions of inputs. What
//! once broke something lies in `corpus/TARGET/` and is run first, every time.

mod commands;
mod dispatch;
mod drawn;
mod files;
mod harness;
mod learner;
mod machine;
mod mutate;
mod network;
mod scripts;
mod texts;
mod worlds;

//! redlab: an interactive terminal learning lab for Redis.
//!
//! # The map
//!
//! Modules stand here in reading order, in rings. An inner ring never imports an outer one; `tests/tidy.rs` holds the table
//! and fails on an arrow that points outwards.
//!
//! - **Words**: bytes, time, replies, races, snapshots, transcripts. No commands, no I/O.
//! - **The machine**: `engine` is one Redis instance as a pure value; `lab` is a world of them on one clock, with a disk of
//!   three layers, a journal, undo and forks; `port` is how everybody else uses such a machine.
//! - **Teaching**: `check` judges a world, `lesson` is a course as data, `picture` is what panes show, `console` is a terminal
//!   of the lab, `assist` helps at the prompt, `tutor` is the learner in a lesson. All pure.
//! - **Edges**: the only clocks, files, sockets and screens. `backend` makes worlds, `proof` and `author` prove courses,
//!   `store` keeps progress, `learn` is the desk that `tui` and `plain` share, `repl` and `server` are for developers.
//!
//! # The journey of one command
//!
//! A line typed in `tui` or `plain` goes through `learn::Desk` to `tutor::Session`, which lets a `console::Terminal` run it. At
//! the redis prompt the terminal splits it as redis-cli does and sends the words through `port::Backend`. `lab::World` journals
//! the request and gives it to an `engine::Instance` as an `Input`. `engine::dispatch` finds the command's literal, refuses,
//! queues or performs it; the handler beside the literal works on the keyspace through `engine::Call` and reports its
//! changes. What it changed goes to the append only file; replies and events come back as `Output`s. The terminal prints the
//! reply as redis-cli does; the tutor takes a `snapshot`, judges the goals, and says what is still missing and why.
//!
//! # What always holds
//!
//! - The same inputs give the same bytes: the pure rings read no clock and no file, and draw no number that was not seeded.
//!   Undo, forks, checks on futures and resuming after a crash are replays.
//! - Looking is free: a snapshot changes nothing of what it looks at.
//! - No byte of a value, a lesson or a server reaches the terminal as a control sequence.
//! - What the learner did is on disk before its answer is on the screen.
//! - A list that is kept twice by hand is a bug: commands, parameters, assertions, keys and words are tables, and help,
//!   completion and tests are derived from them.
//!
//! # Where a line belongs
//!
//! A command: one literal and its handler in its family below `engine::commands`. An assertion: one file in `check` and its line
//! in `check::table`. A key of the screen: `tui::keys`. A word of the shell or the lab: the tables in `console`. A lesson: two
//! files below `lessons/` and its line in `course.yaml`.

pub mod base;
pub mod losses;
pub mod race;
pub mod resp;
pub mod snapshot;
pub mod transcript;

pub mod engine;
pub mod port;

pub mod lab;

pub mod check;
pub mod lesson;

pub mod picture;

pub mod assist;
pub mod console;
pub mod tutor;

pub mod backend;

pub mod author;
pub mod proof;

pub mod learn;
pub mod store;

pub mod plain;
pub mod repl;
pub mod server;
pub mod tui;

pub mod cli;

//! The lab in a terminal: a ratatui front end in Elm style.
//!
//! [`run`] waits for keys, time and signals and is the only part that touches the real terminal. It hands [`message::Message`]s to
//! [`update`], which changes the [`model::Model`] and answers with [`message::Effect`]s for `run` to perform; [`view`] draws the model.
//! `update` and `view` are pure, so every screen can be tested without a terminal.

pub mod keys;
pub mod message;
pub mod model;
pub mod scene;
pub mod update;

mod changes;
mod lists;
mod typing;

pub mod layout;
pub mod theme;
pub mod view;

mod prose;
mod text;

mod editor;
mod input;

pub mod run;

#[cfg(test)]
mod tests;

pub use update::update;
pub use view::view;

//! Screens as pure functions: what a message does to the model, and golden frames.

mod fixture;
mod frames;
mod steps;

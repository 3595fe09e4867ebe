//! redlab: an interactive terminal learning lab for Redis.

pub mod base;
pub mod resp;
pub mod snapshot;
pub mod transcript;

pub mod engine;

pub mod backend;
pub mod lab;
pub mod port;

pub mod assist;
pub mod console;

pub mod check;
pub mod lesson;
pub mod tutor;

pub mod author;
pub mod learn;
pub mod plain;
pub mod proof;
pub mod repl;
pub mod server;
pub mod store;
pub mod tui;

pub mod cli;

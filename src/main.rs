//! The binary: parses arguments, chooses a front end, maps errors to exit codes.

use clap::Parser;
use redlab::cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::parse().command {
        Some(Command::Serve(serve)) => redlab::server::run(&serve.args),
        None => ExitCode::SUCCESS,
    }
}

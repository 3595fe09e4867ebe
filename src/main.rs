//! The binary: parses arguments, chooses a front end, maps errors to exit codes.

use clap::Parser;
use redlab::cli::{Cli, Command, Learn};
use redlab::learn::{Desk, Nowhere};
use redlab::tui::theme::Kind;
use redlab::{backend, lesson, plain, tui};
use std::io::{self, IsTerminal};
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::parse().command {
        Some(Command::Serve(serve)) => redlab::server::run(&serve.args),
        Some(Command::Repl(repl)) => redlab::repl::run(repl.into()),
        Some(Command::Learn(learn)) => self::learn(&learn),
        None => learn(&Learn::default()),
    }
}

/// The lab, on the screen or in plain lines.
fn learn(args: &Learn) -> ExitCode {
    match learning(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("redlab: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn learning(args: &Learn) -> Result<(), String> {
    let theme = match &args.theme {
        Some(name) if name != "auto" => Some(
            Kind::named(name).ok_or_else(|| format!("no theme `{name}`: auto, dark, light, high-contrast or mono"))?,
        ),
        _ => None,
    };
    let course = lesson::Course::bundled();
    let mut desk = Desk::open(course, Box::new(backend::lesson::embedded), Box::new(Nowhere), args.lesson.as_deref())?;
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    let screen = !args.plain && !dumb && io::stdout().is_terminal() && io::stdin().is_terminal();
    let outcome = if screen {
        tui::run::run(&mut desk, &tui::run::Options { theme, ascii: args.ascii, log: None })
    } else {
        plain::run(&mut desk, io::stdin().is_terminal())
    };
    match outcome {
        Ok(()) => {
            if screen {
                println!("You left at {}. Everything is kept; `redlab` brings you back.", desk.place());
            }
            Ok(())
        }
        // Whoever read our lines has gone: not our trouble.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

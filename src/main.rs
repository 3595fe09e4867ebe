//! The binary: parses arguments, chooses a front end, maps errors to exit codes.

use clap::Parser;
use redlab::cli::{Cli, Command, Learn};
use redlab::learn::{Desk, Shelf, atlas};
use redlab::port::Backend;
use redlab::store::Store;
use redlab::tui::theme::Kind;
use redlab::{author, backend, cli, lesson, plain, store, tui};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::parse().command {
        Some(Command::Serve(serve)) => redlab::server::run(&serve.args),
        Some(Command::Repl(args)) => repl(args.into()),
        Some(Command::Help { words }) => done(help(&words.join(" "))),
        Some(Command::Check(args)) => check(&args),
        Some(Command::New { folder }) => done(new(&folder)),
        Some(Command::Progress { action }) => done(progress(action.unwrap_or(cli::Progress::List))),
        Some(Command::Learn(args)) => done(learn(&args)),
        None => done(learn(&Learn::default())),
    }
}

/// Exit codes: 0 proved, 1 something is wrong with the course, 2 it cannot be read.
fn check(args: &cli::Check) -> ExitCode {
    let mut out = io::stdout().lock();
    let outcome = match args.reference {
        true => out.write_all(lesson::parse::reference().as_bytes()).map(|()| 0),
        false => author::check(args.course.as_deref(), args.lesson.as_deref(), args.format, &mut out),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redlab: {error}");
            ExitCode::from(2)
        }
    }
}

fn new(folder: &std::path::Path) -> Result<(), String> {
    let made = author::new(folder)?;
    let mut lines: Vec<String> = made.iter().map(|path| path.display().to_string()).collect();
    let folder = folder.display();
    lines.push(format!("`redlab check {folder}` proves it; `redlab check --reference` explains the format."));
    print(&lines)
}

/// The command atlas on the command line.
fn help(name: &str) -> Result<(), String> {
    let nowhere = Box::new(redlab::learn::Nowhere);
    let course = lesson::Course::bundled();
    let desk = Desk::open(course, Box::new(backend::lesson::embedded), nowhere, None)?;
    let mut lines = Vec::new();
    let page = match name {
        "" => {
            lines.push(<Cli as clap::CommandFactory>::command().render_help().to_string());
            lines.push("Commands of Redis (`redlab help GET`, `redlab help @string`):".to_owned());
            atlas::groups()
        }
        name => atlas::page(&desk, name).ok_or_else(|| format!("there is no command or group `{name}`"))?.1,
    };
    lines.extend(page.iter().map(|line| line.text().trim_end().to_owned()));
    print(&lines)
}

/// Prints lines to stdout. If whoever read them has gone (`| head`), that is not our trouble.
fn print(lines: &[String]) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

fn done(outcome: Result<(), String>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("redlab: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn progress(action: cli::Progress) -> Result<(), String> {
    let said = |trouble: store::Trouble| trouble.to_string();
    let mut store = Store::open(&store::home().map_err(said)?).map_err(said)?;
    let course = lesson::Course::bundled();
    match action {
        cli::Progress::List => {
            let row = |lesson: &std::sync::Arc<lesson::Lesson>| {
                let (solved, all) = (store.solved(lesson), lesson.exercises.len());
                let mark = if solved == all { "  done" } else { "" };
                format!("{:<5}{:<44}{solved:>3} of {all}{mark}", lesson.number, lesson.title)
            };
            print(&course.lessons().map(row).collect::<Vec<_>>())
        }
        cli::Progress::Export { file } => {
            let text = serde_json::to_vec_pretty(&store.export()).expect("progress is always JSON");
            std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
        }
        cli::Progress::Import { file } => {
            let new = store.import(&file).map_err(said)?;
            print(&[format!("{new} more exercises are solved here now.")])
        }
        cli::Progress::Reset { lesson: None, all: false } => {
            Err("say which lesson, by number or id, or --all".to_owned())
        }
        cli::Progress::Reset { lesson, .. } => {
            let id = match &lesson {
                Some(name) => {
                    Some(course.lesson(name).ok_or_else(|| format!("there is no lesson `{name}`"))?.id.clone())
                }
                None => None,
            };
            store.reset(id.as_deref()).map_err(said)
        }
    }
}

/// The lab, on the screen or in plain lines.
fn learn(args: &Learn) -> Result<(), String> {
    let theme = match &args.theme {
        Some(name) if name != "auto" => {
            Some(Kind::named(name).ok_or_else(|| format!("no theme `{name}`; there are auto, {}", Kind::names()))?)
        }
        _ => None,
    };
    let course = lesson::Course::bundled();
    let said = |trouble: store::Trouble| trouble.to_string();
    let home = store::home().map_err(said)?;
    let store = Store::open(&home).map_err(said)?;
    let mut desk = Desk::open(course, Box::new(backend::lesson::embedded), Box::new(store), args.lesson.as_deref())?;
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    let screen = !args.plain && !dumb && io::stdout().is_terminal() && io::stdin().is_terminal();
    let outcome = if screen {
        tui::run::run(&mut desk, &tui::run::Options { theme, ascii: args.ascii, log: Some(home.join("crash.log")) })
    } else {
        plain::run(&mut desk, io::stdin().is_terminal())
    };
    match outcome {
        Ok(()) => {
            if screen {
                print(&[format!("You left at {}. Everything is kept; `redlab` brings you back.", desk.place())])?;
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// The prompt: of a sandbox, or of the server that was named.
fn repl(options: redlab::repl::Options) -> ExitCode {
    let machine: Box<dyn Backend> =
        if options.names_a_server() { Box::new(backend::Remote::new()) } else { Box::new(backend::sandbox()) };
    redlab::repl::run(options, machine)
}

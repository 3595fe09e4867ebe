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
        Some(Command::New { folder }) => new(&folder),
        Some(Command::Progress { action }) => done(progress(action.unwrap_or(cli::Progress::List))),
        Some(Command::Learn(learn)) => self::learn(&learn),
        None => learn(&Learn::default()),
    }
}

/// Exit codes: 0 proved, 1 something is wrong with the course, 2 it cannot be read.
fn check(args: &cli::Check) -> ExitCode {
    let mut out = io::stdout().lock();
    let outcome = match args.reference {
        true => out.write_all(author::reference().as_bytes()).map(|()| 0),
        false => author::check(args.course.as_deref(), args.lesson.as_deref(), args.format, &mut out),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        // Whoever read our lines has gone: not our trouble.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redlab: {error}");
            ExitCode::from(2)
        }
    }
}

fn new(folder: &std::path::Path) -> ExitCode {
    match author::new(folder) {
        Ok(made) => {
            made.iter().for_each(|path| println!("{}", path.display()));
            println!("`redlab check {}` proves it; `redlab check --reference` explains the format.", folder.display());
            ExitCode::SUCCESS
        }
        Err(trouble) => {
            eprintln!("redlab: {trouble}");
            ExitCode::FAILURE
        }
    }
}

/// The command atlas on the command line.
fn help(name: &str) -> Result<(), String> {
    let nowhere = Box::new(redlab::learn::Nowhere);
    let course = lesson::Course::bundled();
    let desk = Desk::open(course, Box::new(backend::lesson::embedded), nowhere, None)?;
    let lines = match name {
        "" => {
            println!("{}", <Cli as clap::CommandFactory>::command().render_help());
            println!("Commands of Redis (`redlab help GET`, `redlab help @string`):");
            atlas::groups()
        }
        name => atlas::page(&desk, name).ok_or_else(|| format!("there is no command or group `{name}`"))?.1,
    };
    let mut out = io::stdout().lock();
    for line in &lines {
        // Whoever read our lines has gone: not our trouble.
        if writeln!(out, "{}", line.text().trim_end()).is_err() {
            break;
        }
    }
    Ok(())
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
            for lesson in course.lessons() {
                let (solved, all) = (store.solved(lesson), lesson.exercises.len());
                let mark = if solved == all { "done" } else { "" };
                println!("{:<5}{:<44}{solved:>3} of {all}  {mark}", lesson.number, lesson.title);
            }
            Ok(())
        }
        cli::Progress::Export { file } => {
            let text = serde_json::to_vec_pretty(&store.export()).expect("progress is always JSON");
            std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
        }
        cli::Progress::Import { file } => {
            let new = store.import(&file).map_err(said)?;
            println!("{new} more exercises are solved here now.");
            Ok(())
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
                println!("You left at {}. Everything is kept; `redlab` brings you back.", desk.place());
            }
            Ok(())
        }
        // Whoever read our lines has gone: not our trouble.
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

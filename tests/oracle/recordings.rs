//! Transcripts under `transcripts/`, recorded from a real redis-server.
//!
//! To add one: write its commands into a new file, then `REDLAB_RECORD=1 cargo test --test oracle recordings`. A file whose
//! first line is `# 7.2` was written by hand from what 7.2 changed, and is not recorded again from an older server.

use crate::servers::{Engine, Redis, Server};
use redlab::base::Bytes;
use redlab::transcript;
use std::fs;
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/transcripts");
    let mut found = Vec::new();
    for group in fs::read_dir(dir).expect("the recordings are part of the project").flatten() {
        if group.path().is_dir() {
            found.extend(fs::read_dir(group.path()).expect("readable").flatten().map(|entry| entry.path()));
        }
    }
    found.sort();
    found
}

fn executed_by(server: &mut dyn Server) -> impl transcript::Execute + '_ {
    transcript::Server(|terminal: &str, args: Vec<Bytes>| server.request(terminal, &args))
}

#[test]
fn the_engine_answers_as_recorded() {
    let mut wrong = Vec::new();
    for file in files() {
        let text = fs::read_to_string(&file).expect("readable");
        if let Err(complaint) = transcript::run(&text, &mut executed_by(&mut Engine::new(1))) {
            wrong.push(format!("{}: {complaint}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_real_server_still_answers_as_recorded() {
    let record = std::env::var_os("REDLAB_RECORD").is_some();
    let mut wrong = Vec::new();
    for file in files() {
        let text = fs::read_to_string(&file).expect("readable");
        if text.starts_with("# 7.2") {
            continue;
        }
        let Some(mut redis) = Redis::start() else { return };
        let mut server = executed_by(&mut redis);
        if record {
            let head: String =
                text.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
            let body = transcript::record(&text, &mut server).expect("a transcript of commands");
            fs::write(&file, head + &body).expect("writable");
        } else if let Err(complaint) = transcript::run(&text, &mut server) {
            wrong.push(format!("{}: {complaint}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

//! The architecture as a test: an inner ring never imports an outer one, the pure rings stay pure, files open with a
//! word about themselves.

use std::fs;
use std::path::{Path, PathBuf};

/// What each module of `src/` may import from the crate, in the reading order of lib.rs. `engine::command` and the like
/// open one door of a module without the rest of it.
const RINGS: &[(&str, &[&str])] = &[
    // ring 0: words
    ("base", &[]),
    ("resp", &["base"]),
    ("race", &["base", "resp"]),
    ("snapshot", &["base", "resp"]),
    ("losses", &["base", "snapshot"]),
    ("transcript", &["base", "resp"]),
    // ring 1: the machine
    ("engine", &["base", "resp"]),
    ("port", &["base", "resp", "race", "snapshot"]),
    ("lab", &["base", "resp", "race", "snapshot", "port", "engine"]),
    // ring 2: teaching
    ("assist", &["base", "resp", "engine::command", "engine::commands", "engine::syntax"]),
    (
        "console",
        &[
            "base",
            "resp",
            "race",
            "snapshot",
            "port",
            "assist",
            "engine::command",
            "engine::commands",
            "engine::syntax",
        ],
    ),
    ("check", &["base", "resp", "race", "snapshot", "losses"]),
    ("lesson", &["base", "resp", "transcript", "check"]),
    ("picture", &["base", "resp", "race", "snapshot", "losses"]),
    (
        "tutor",
        &[
            "picture",
            "base",
            "resp",
            "race",
            "snapshot",
            "losses",
            "transcript",
            "port",
            "check",
            "lesson",
            "console",
            "assist",
        ],
    ),
    // ring 3: edges
    ("backend", &["base", "resp", "race", "snapshot", "engine", "lab", "port", "lesson"]),
    ("proof", &["base", "resp", "snapshot", "transcript", "port", "check", "lesson", "console", "assist", "tutor"]),
    ("author", &["base", "lesson", "proof", "backend"]),
    ("learn", &["assist", "base", "race", "snapshot", "losses", "port", "check", "lesson", "console", "tutor"]),
    ("store", &["base", "resp", "snapshot", "port", "lesson", "tutor", "learn"]),
    ("server", &["base", "resp", "engine"]),
    ("repl", &["base", "resp", "snapshot", "port", "console", "assist", "engine::command", "engine::commands"]),
    (
        "plain",
        &[
            "picture", "base", "resp", "race", "snapshot", "losses", "port", "check", "lesson", "console", "assist",
            "tutor", "learn",
        ],
    ),
    (
        "tui",
        &[
            "picture", "base", "resp", "race", "snapshot", "losses", "port", "check", "lesson", "console", "assist",
            "tutor", "learn",
        ],
    ),
];

/// Modules whose results depend on nothing but their inputs, and the words that would break that.
const PURE: &[&str] = &[
    "base",
    "resp",
    "race",
    "snapshot",
    "losses",
    "transcript",
    "engine",
    "lab",
    "port",
    "assist",
    "console",
    "check",
    "lesson",
    "picture",
    "tutor",
];
const IMPURE: &[&str] = &[
    "std::time::Instant",
    "std::time::SystemTime",
    "SystemTime::now",
    "Instant::now",
    "std::thread",
    "thread::spawn",
    "std::fs",
    "std::net",
    "std::process",
    "std::env::",
    "HashMap",
    "HashSet",
    "RandomState",
];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("the folder is part of the project") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The file's code without its comments, line by line from 1, up to its tests. What else is for tests only stands between, and
/// is scanned too.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()));
    lines.take_while(|(_, line)| line.trim_end() != "mod tests {")
}

/// The top-level module that a file of `src/` belongs to; None for main.rs, lib.rs and cli.rs.
fn module_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?.trim_end_matches(".rs").to_owned();
    // Modules named tests or testing are `#[cfg(test)]`, and may build whatever they test with.
    let test =
        inside.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs" | "testing.rs")));
    let exempt = test || matches!(first.as_str(), "main" | "lib" | "cli");
    (!exempt).then_some(first)
}

/// What a line imports from the crate: `crate::engine::{dict::Dict, value}` gives `engine::dict::Dict`, `engine::value`.
fn imports(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, word) in line.match_indices("crate::") {
        let rest = &line[at + word.len()..];
        let stem = &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len())];
        match rest[stem.len()..].strip_prefix('{') {
            Some(group) => {
                let group = group.split('}').next().unwrap_or_default();
                found.extend(group.split(',').map(|one| format!("{stem}{}", one.trim().replace("self", ""))));
            }
            None => found.push(stem.to_owned()),
        }
    }
    found
}

fn upward(module: &str, path: &str) -> Option<String> {
    let Some((_, allowed)) = RINGS.iter().find(|(name, _)| *name == module) else {
        return Some(format!("`{module}` stands in no ring: add it to RINGS"));
    };
    let own = path == module || path.starts_with(&format!("{module}::"));
    let fits = |door: &&&str| path == **door || path.starts_with(&format!("{door}::"));
    (!own && !allowed.iter().any(|door| fits(&door))).then(|| format!("{module} -> {path}"))
}

#[test]
fn an_inner_ring_never_imports_an_outer_one() {
    let mut wrong = Vec::new();
    for file in sources(&root().join("src")) {
        let Some(module) = module_of(&file) else { continue };
        let text = fs::read_to_string(&file).expect("readable");
        for (at, line) in code(&text) {
            for import in imports(line) {
                if let Some(edge) = upward(&module, &import) {
                    wrong.push(format!("{}:{at}: {edge}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports that point outwards:\n{}", wrong.join("\n"));
}

#[test]
fn the_scan_would_see_an_upward_import() {
    assert!(upward("engine", "lab::World").is_some());
    assert!(upward("console", "engine::keyspace::Db").is_some());
    assert!(upward("console", "engine::command::Command").is_none());
    assert!(imports("use crate::tui::model; let x = crate::lab::World::new();") == ["tui::model", "lab::World::new"]);
    assert!(imports("use crate::engine::{Call, value};") == ["engine::Call", "engine::value"]);
    // It ended at the first thing for tests, which in some files is `mod tests;` at the top.
    assert_eq!(code("#[cfg(test)]\nmod tests;\nuse crate::lab;\n#[cfg(test)]\nmod tests {\nx").count(), 4);
}

#[test]
fn the_pure_rings_have_no_clock_no_files_no_threads() {
    let mut wrong = Vec::new();
    for file in sources(&root().join("src")) {
        if !module_of(&file).is_some_and(|module| PURE.contains(&module.as_str())) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("readable");
        for (at, line) in code(&text) {
            if let Some(word) = IMPURE.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{}:{at}: {word}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "the same inputs must give the same bytes:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_opens_with_a_word_about_itself() {
    let files = [sources(&root().join("src")), sources(&root().join("tests"))].concat();
    let bare: Vec<String> = files
        .iter()
        .filter(|file| !fs::read_to_string(file).expect("readable").starts_with("//!"))
        .map(|file| file.display().to_string())
        .collect();
    assert!(bare.is_empty(), "files without a module doc:\n{}", bare.join("\n"));
}

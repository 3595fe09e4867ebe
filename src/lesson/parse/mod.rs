//! course.yaml and lab.yaml to the model. The only user of serde_yaml.
//!
//! The tables of fields below are what is accepted and what the author reference prints. Everything that is wrong in a file
//! is collected, each with its place.

mod read;
pub mod tree;

use super::{Course, Fault, Files, Lesson, Module, Source, prose};
use crate::check::form::{Field, Problem, Reader, field, needed};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::sync::Arc;

pub(crate) const COURSE: &[Field] = &[
    needed("id", "WORD", "the course's name in progress files"),
    needed("format", "1", "the version of this format"),
    needed("title", "TEXT", "what learners see"),
    needed("modules", "[MODULE]", "in order"),
];

pub(crate) const MODULE: &[Field] = &[
    field("id", "WORD", "a short name"),
    needed("title", "TEXT", "what learners see"),
    needed("lessons", "[FOLDER]", "folders of lessons in order, each with lesson.md and lab.yaml: 01-sessions/02-ttl"),
];

/// What `redlab check --reference` prints.
pub fn reference() -> String {
    use std::fmt::Write;
    let mut out = String::from(INTRODUCTION);
    let parts: [(&str, &[Field]); 12] = [
        ("course.yaml", COURSE),
        ("  modules", MODULE),
        ("lab.yaml", read::LESSON),
        ("  world", read::WORLD),
        ("    instances: NAME", read::INSTANCE),
        ("    cluster", read::CLUSTER),
        ("    sql", read::SQL),
        ("  exercises", read::EXERCISE),
        ("    predict", read::QUESTION),
        ("    goals", read::GOAL),
        ("    wrong", read::WRONG),
        ("lesson.md, between two lines ---", prose::FRONT_MATTER),
    ];
    for (title, fields) in parts {
        writeln!(out, "\n{title}").expect("writing to a String never fails");
        for field in fields {
            let mark = if field.required { " (required)" } else { "" };
            writeln!(out, "      {}: {}{}\n          {}", field.name, field.form, mark, field.about)
                .expect("writing to a String never fails");
        }
    }
    out.push_str("\nCHECKS\n\nA check is a map with one or more of these kinds; all of them have to hold. RANGE is N, {between: [A, B]},\n{at_least: N} or {at_most: N}. PATTERN is text in which * stands for any text and | parts alternatives.\n\n");
    out.push_str(&crate::check::table::reference());
    out
}

const INTRODUCTION: &str = "\
THE COURSE FORMAT

    course.yaml                              modules and lessons in order
    01-sessions/02-ttl/lesson.md             prose; `<!-- do: ID -->` on a line of its own places an exercise
    01-sessions/02-ttl/lab.yaml              the world, and what has to be done in it

`redlab new FOLDER` makes a small course to start from; `redlab check FOLDER` proves a course.

A SCRIPT is {ACTOR: [LINES], ...}: who types what, in the order in which it stands there; a list of such maps where actors
take turns. In solutions and wrong attempts actors are the lesson's terminals; elsewhere also instances, `shell` and `sql`.
`wait: SECONDS` lets time pass. A line may be {optional: LINE}: the exercise is solved without it too; or {free: LINE}: some
line is needed there, but what it says may be changed. Every other line of a solution has to matter, word by word.
Lines may be `:` words too: `:time +31m`, `:answer 2`, `:undo`.

A code block in lesson.md marked `redis` is run, and has to print what it shows: lines with `> ` are typed, the
others are replies. `redis,setup` runs it without showing replies; any other mark is not run.
";

impl Source {
    /// Line and column of node `at` of a YAML file, from 1.
    pub fn place(&self, at: u32) -> (usize, usize) {
        tree::place(&self.text, at)
    }

    /// A fault at node `at`.
    pub fn fault(&self, at: u32, message: impl Into<String>) -> Fault {
        let (line, column) = self.place(at);
        Fault::new(&self.path, &self.text, line, column, message)
    }

    fn faults(&self, problems: Vec<Problem>) -> Vec<Fault> {
        let fault = |problem: Problem| {
            let fault = self.fault(problem.at, problem.message);
            match problem.help {
                Some(help) => fault.help(help),
                None => fault,
            }
        };
        problems.into_iter().map(fault).collect()
    }
}

pub(super) fn course(files: &Files) -> Result<Course, Vec<Fault>> {
    let Some(source) = source(files, "course.yaml") else {
        return Err(vec![
            Fault::whole("course.yaml", "this file is missing")
                .help("`redlab new FOLDER` makes a course to start from"),
        ]);
    };
    let tree = tree_of(&source).map_err(|fault| vec![fault])?;
    let mut reader = Reader::default();
    let mut faults = Vec::new();
    let mut course = Course { id: String::new(), title: String::new(), modules: Vec::new() };
    let Some(fields) = reader.fields(&tree, "course.yaml", COURSE) else {
        return Err(source.faults(reader.problems));
    };
    course.id = fields.get("id").and_then(|node| reader.text(node)).unwrap_or_default();
    course.title = fields.get("title").and_then(|node| reader.text(node)).unwrap_or_default();
    if let Some(node) = fields.get("format")
        && node.scalar() != Some("1")
    {
        reader.complain(node.at, "this program reads format 1", "a newer program may read it");
    }
    let mut ids: Vec<(String, String)> = Vec::new();
    let modules = fields.get("modules").map(|node| reader.list(node)).unwrap_or_default();
    for (index, node) in modules.iter().enumerate() {
        let Some(fields) = reader.fields(node, "a module", MODULE) else { continue };
        let title = fields.get("title").and_then(|node| reader.text(node)).unwrap_or_default();
        let mut module = Module { number: index, title, lessons: Vec::new() };
        let folders = fields.get("lessons").map(|node| reader.list(node)).unwrap_or_default();
        for (nth, folder) in folders.iter().enumerate() {
            let Some(path) = reader.text(folder) else { continue };
            if nth == 0 {
                module.number = leading_number(&path).unwrap_or(index);
            }
            let number = format!("{}.{}", module.number, nth + 1);
            let (Some(markdown), Some(yaml)) =
                (source_in(files, &path, "lesson.md"), source_in(files, &path, "lab.yaml"))
            else {
                reader.complain(
                    folder.at,
                    format!("`{path}` has no lesson.md and lab.yaml"),
                    "each lesson is a folder with both",
                );
                continue;
            };
            match lesson(markdown, yaml, &module.title, &number) {
                Ok(lesson) => {
                    if let Some((_, other)) = ids.iter().find(|(id, _)| *id == lesson.id) {
                        reader.complain(
                            folder.at,
                            format!("`{path}` has the id `{}`, as `{other}` has", lesson.id),
                            "",
                        );
                    }
                    ids.push((lesson.id.clone(), path));
                    module.lessons.push(Arc::new(lesson));
                }
                Err(more) => faults.extend(more),
            }
        }
        course.modules.push(module);
    }
    let mut all = source.faults(reader.problems);
    all.extend(faults);
    if all.is_empty() { Ok(course) } else { Err(all) }
}

/// One lesson of its two files.
fn lesson(markdown: Source, yaml: Source, module: &str, number: &str) -> Result<Lesson, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut reader = Reader::default();
    let read = match tree_of(&yaml) {
        Ok(tree) => read::lesson(&tree, &mut reader),
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    faults.extend(yaml.faults(std::mem::take(&mut reader.problems)));
    let ids: Vec<String> = read.iter().flat_map(|lab| &lab.exercises).map(|exercise| exercise.id.clone()).collect();
    let page = prose::parse(&markdown, read.is_some().then_some(ids.as_slice()));
    faults.extend(page.faults);
    if let Some(lab) = &read {
        for (index, exercise) in lab.exercises.iter().enumerate() {
            if !page.blocks.contains(&super::Block::Exercise(index)) {
                let help = format!("put `<!-- do: {} -->` on a line of its own in lesson.md", exercise.id);
                faults.push(
                    yaml.fault(exercise.at, format!("the prose never comes to the exercise `{}`", exercise.id))
                        .help(help),
                );
            }
        }
    }
    let (Some(lab), true) = (read, faults.is_empty()) else { return Err(faults) };
    let mut hasher = SipHasher13::new();
    hasher.write(markdown.text.as_bytes());
    hasher.write(&[0]);
    hasher.write(yaml.text.as_bytes());
    Ok(Lesson {
        id: lab.id,
        title: page.title,
        module: module.to_owned(),
        number: number.to_owned(),
        minutes: page.minutes.unwrap_or_else(|| minutes(&markdown.text, lab.exercises.len())),
        needs: lab.needs,
        teaches: lab.teaches,
        world: lab.world,
        prose: page.blocks,
        exercises: lab.exercises,
        hash: format!("{:016x}", hasher.finish()),
        markdown,
        yaml,
    })
}

fn tree_of(source: &Source) -> Result<crate::check::form::Node, Fault> {
    tree::parse(&source.text).map_err(|(message, line, column)| {
        let fault = Fault::new(&source.path, &source.text, line, column, message.clone());
        match message.as_str() {
            "mapping values are not allowed in this context" => fault.help("quote a text that has `: ` in it"),
            _ => fault,
        }
    })
}

fn leading_number(path: &str) -> Option<usize> {
    path.split('-').next()?.parse().ok()
}

fn source_in(files: &Files, folder: &str, name: &str) -> Option<Source> {
    source(files, &format!("{}/{name}", folder.trim_end_matches('/')))
}

fn source(files: &Files, path: &str) -> Option<Source> {
    let (path, text) = files.iter().find(|(each, _)| each == path)?;
    Some(Source { path: path.clone(), text: text.trim_start_matches('\u{feff}').into() })
}

/// About how long a lesson takes: prose at a slow reader's pace, and a minute for each exercise.
fn minutes(prose: &str, exercises: usize) -> u32 {
    (prose.split_whitespace().count() / 120 + exercises) as u32
}

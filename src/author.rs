//! The author's commands: `redlab check` and `redlab new`. Reads and writes course folders; what it prints goes to stdout.

use crate::backend;
use crate::lesson::{Course, Fault, Files};
use crate::proof;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// More than any course needs.
const FILES_MAX: usize = 5000;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// `redlab check [COURSE]`: 0 if it is proved, 1 if something is wrong with it, 2 if it cannot be read at all.
pub fn check(folder: Option<&Path>, only: Option<&str>, format: Format, out: &mut dyn Write) -> std::io::Result<u8> {
    let course = match folder {
        None => Ok(Course::bundled()),
        Some(folder) => match files_of(folder) {
            Ok(files) => Course::parse(&files),
            Err(error) => {
                eprintln!("redlab: {}: {error}", folder.display());
                return Ok(2);
            }
        },
    };
    let course = match course {
        Ok(course) => course,
        Err(faults) => {
            tell(&faults, format, 0, 0, out)?;
            return Ok(1);
        }
    };
    let lessons: Vec<_> = course.lessons().cloned().zip(proof::taught_before(&course)).collect();
    let wanted: Vec<_> = lessons
        .iter()
        .filter(|(lesson, _)| only.is_none_or(|name| lesson.id == name || lesson.number == name))
        .collect();
    if let (Some(name), true) = (only, wanted.is_empty()) {
        eprintln!("redlab: this course has no lesson `{name}`");
        return Ok(2);
    }
    let mut faults = Vec::new();
    let mut exercises = 0;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(wanted.len().max(1));
    std::thread::scope(|scope| -> std::io::Result<()> {
        let (sender, receiver) = mpsc::channel();
        for worker in 0..threads {
            let (sender, wanted) = (sender.clone(), &wanted);
            scope.spawn(move || {
                for (index, (lesson, taught)) in
                    wanted.iter().enumerate().filter(|(index, _)| index % threads == worker)
                {
                    let proved = proof::lesson(lesson, taught, &backend::lesson::embedded);
                    if sender.send((index, proved)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = std::collections::BTreeMap::new();
        let mut told = 0;
        for (index, proved) in receiver {
            waiting.insert(index, proved);
            while let Some(proved) = waiting.remove(&told) {
                let (lesson, _) = &wanted[told];
                exercises += proved.exercises;
                if format == Format::Text {
                    let result = match proved.faults.len() {
                        0 => "ok".to_owned(),
                        n => format!("{n} wrong"),
                    };
                    let (n, tries) = (proved.exercises, proved.played);
                    writeln!(out, "{:<5}{:<34}{n:>3} exercises{tries:>5} tries  {result}", lesson.number, lesson.id)?;
                }
                faults.extend(proved.faults);
                told += 1;
            }
        }
        Ok(())
    })?;
    tell(&faults, format, wanted.len(), exercises, out)?;
    Ok(u8::from(!faults.is_empty()))
}

fn tell(
    faults: &[Fault],
    format: Format,
    lessons: usize,
    exercises: usize,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if format == Format::Json {
        let list: Vec<_> = faults
            .iter()
            .map(|fault| {
                serde_json::json!({
                    "file": fault.file, "line": fault.line, "column": fault.column,
                    "message": fault.message, "help": fault.help,
                })
            })
            .collect();
        let all = serde_json::json!({ "lessons": lessons, "exercises": exercises, "faults": list });
        return writeln!(out, "{all:#}");
    }
    let theme = match std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        true => miette::GraphicalTheme::unicode_nocolor(),
        false if std::io::IsTerminal::is_terminal(&std::io::stdout()) => miette::GraphicalTheme::unicode(),
        false => miette::GraphicalTheme::none(),
    };
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_width(100);
    for fault in faults {
        let mut text = String::new();
        writeln!(out, "{}:{}:{}:", fault.file, fault.line, fault.column)?;
        match handler.render_report(&mut text, fault) {
            Ok(()) => writeln!(out, "{text}")?,
            Err(_) => writeln!(out, "{fault}")?,
        }
    }
    match faults.len() {
        0 => writeln!(out, "{lessons} lessons with {exercises} exercises: proved."),
        1 => writeln!(out, "1 thing is wrong."),
        n => writeln!(out, "{n} things are wrong."),
    }
}

/// Every lesson file below `folder`, sorted. Only course.yaml, lesson.md and lab.yaml are read.
pub fn files_of(folder: &Path) -> Result<Files, std::io::Error> {
    let mut files = Files::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(each) = folders.pop() {
        for entry in std::fs::read_dir(&each)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if kind.is_dir() && !name.starts_with('.') {
                folders.push(entry.path());
            } else if matches!(name.as_str(), "course.yaml" | "lesson.md" | "lab.yaml") {
                if files.len() == FILES_MAX {
                    return Err(std::io::Error::other(format!("more than {FILES_MAX} lesson files")));
                }
                let path = entry.path();
                let below = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                files.push((below, String::from_utf8_lossy(&std::fs::read(&path)?).into_owned()));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// `redlab new FOLDER`: a small course that passes `redlab check`. Err: a sentence.
pub fn new(folder: &Path) -> Result<Vec<PathBuf>, String> {
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!("{} is not empty: give a new folder", folder.display()));
    }
    let mut made = Vec::new();
    for (path, text) in STARTER {
        let path = folder.join(path);
        let parent = path.parent().expect("a path below a folder has a parent");
        let write = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text));
        write.map_err(|error| format!("{}: {error}", path.display()))?;
        made.push(path);
    }
    Ok(made)
}

const STARTER: &[(&str, &str)] = &[
    ("course.yaml", include_str!("../assets/starter/course.yaml")),
    ("01-start/01-hello/lesson.md", include_str!("../assets/starter/lesson.md")),
    ("01-start/01-hello/lab.yaml", include_str!("../assets/starter/lab.yaml")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_course_is_proved() {
        let files: Files = STARTER.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect();
        let course = Course::parse(&files).unwrap();
        for (lesson, taught) in course.lessons().zip(proof::taught_before(&course)) {
            assert_eq!(proof::lesson(lesson, &taught, &backend::lesson::embedded).faults, []);
        }
    }
}

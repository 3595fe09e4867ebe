//! Code blocks of the prose: they run at the place where they stand, after the exercises before them, and print what they show.

use crate::console::{Line, Terminal};
use crate::lesson::{Block, Fault, Lesson, Opens};
use crate::port::Backend;
use crate::tutor::{Session, play};
use std::sync::Arc;

/// `session`: the lesson at its first moment.
pub fn faults(lesson: &Arc<Lesson>, mut session: Session) -> Vec<Fault> {
    let mut faults = Vec::new();
    for block in &lesson.prose {
        match block {
            Block::Exercise(index) => {
                session.go_to(*index);
                let Some(solution) = lesson.exercises[*index].solutions.first() else { continue };
                for (actor, line) in solution.lines() {
                    if let Some(terminal) = session.terminals().iter().position(|each| each.name() == actor) {
                        session.submit(terminal, &line.text);
                    }
                }
            }
            Block::Code { info, text, line } => {
                let (words, setup) = (info.split([',', ' ']).next().unwrap_or(""), info.contains("setup"));
                let (opens, mark) = match words {
                    "redis" => (redis(lesson), "> "),
                    "shell" | "sh" => (Opens::Shell, "$ "),
                    "sql" => (Opens::Sql, "> "),
                    _ => continue,
                };
                let Some(mut copy) = session.machine_copy() else { continue };
                let (mut terminal, _) = play::opened(play::LESSON, &opens, lesson, &mut *copy);
                for (nth, typed, shown) in exchanges(text, mark) {
                    let printed = printed(&mut terminal, &typed, &mut *copy);
                    if !setup && printed != shown {
                        let source = &lesson.markdown;
                        let message = format!("`{typed}` does not print what is shown");
                        let fault = Fault::new(&source.path, &source.text, line + nth, 1, message);
                        faults.push(fault.help(format!("it prints:\n{printed}")));
                    }
                }
            }
            _ => {}
        }
    }
    faults
}

/// The instance of the first terminal that opens one.
fn redis(lesson: &Lesson) -> Opens {
    let opens = lesson.world.terminals.iter().map(|terminal| &terminal.opens);
    let mut redis = opens.filter(|opens| matches!(opens, Opens::Redis(_)));
    redis
        .next()
        .cloned()
        .or_else(|| lesson.world.instances.first().map(|each| Opens::Redis(each.name.clone())))
        .unwrap_or(Opens::Shell)
}

/// Line number within the block, what is typed, and what is shown below it. `mark` stands before what is typed; with a prompt
/// before it, `127.0.0.1:6379> `, too.
fn exchanges(text: &str, mark: &str) -> Vec<(usize, String, String)> {
    let mut out: Vec<(usize, String, String)> = Vec::new();
    for (nth, line) in text.lines().enumerate() {
        let typed = line.strip_prefix(mark).or_else(|| {
            let (prompt, rest) = line.split_once(mark)?;
            (prompt.starts_with("127.0.0.1:") || prompt == "sql").then_some(rest)
        });
        match (typed, out.last_mut()) {
            (Some(typed), _) => out.push((nth, typed.to_owned(), String::new())),
            (None, Some((_, _, shown))) => {
                if !shown.is_empty() {
                    shown.push('\n');
                }
                shown.push_str(line.trim_end());
            }
            (None, None) => {}
        }
    }
    for (_, _, shown) in &mut out {
        *shown = shown.trim_end().to_owned();
    }
    out
}

fn printed(terminal: &mut Terminal, line: &str, backend: &mut dyn Backend) -> String {
    let mut lines = terminal.submit(line, backend).lines;
    lines.extend(terminal.poll(backend));
    let text = lines.iter().map(|line| Line::text(line).trim_end().to_owned()).collect::<Vec<_>>().join("\n");
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::exchanges;

    #[test]
    fn a_block_is_typed_lines_and_what_they_print() {
        let found = exchanges("> SET a b\nOK\n127.0.0.1:6379> GET a\n\"b\"\n\n> DEL a\n(integer) 1\n", "> ");
        let expected = [(0, "SET a b", "OK"), (2, "GET a", "\"b\""), (5, "DEL a", "(integer) 1")];
        assert_eq!(found, expected.map(|(at, typed, shown)| (at, typed.to_owned(), shown.to_owned())));
    }
}

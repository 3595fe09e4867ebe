//! What can be proved of a lesson by reading it: everything that a goal asks for can be read, concepts come in order,
//! and it fits a screen of 80 columns.

use crate::lesson::prose::COLUMNS_MAX;
use crate::lesson::{Block, Exercise, Fault, Lesson, plain_text};
use unicode_width::UnicodeWidthStr;

pub fn faults(lesson: &Lesson, taught: &[String]) -> Vec<Fault> {
    let mut faults = concepts(lesson, taught);
    let prose: String = lesson.prose.iter().map(text_of).collect::<Vec<_>>().join("\n");
    for exercise in &lesson.exercises {
        faults.extend(unreadable(lesson, exercise, &prose, taught));
        faults.extend(narrow(lesson, exercise));
    }
    for block in &lesson.prose {
        wide(lesson, block, &mut faults);
    }
    faults
}

/// What a lesson needs has to be taught before it.
fn concepts(lesson: &Lesson, taught: &[String]) -> Vec<Fault> {
    let unknown = lesson.needs.iter().filter(|need| !taught.contains(need));
    unknown
        .map(|need| {
            let line = lesson.yaml.text.lines().position(|line| line.starts_with("needs")).map_or(1, |at| at + 1);
            let text = lesson.yaml.text.lines().nth(line - 1).unwrap_or("");
            let column = text.find(need.as_str()).map_or(1, |at| at + 1);
            let fault = Fault::new(
                &lesson.yaml.path,
                &lesson.yaml.text,
                line,
                column,
                format!("no lesson before this one teaches `{need}`"),
            );
            fault.help("put it into `teaches` of the lesson that explains it, or change the order")
        })
        .collect()
}

/// Every literal that a goal tests stands in something that the learner has on the screen.
fn unreadable(lesson: &Lesson, exercise: &Exercise, prose: &str, taught: &[String]) -> Vec<Fault> {
    let mut shown = format!("{prose}\n{}\n{}\n", exercise.title, plain_text(&exercise.task));
    for goal in &exercise.goals {
        shown.push_str(&plain_text(&goal.say));
        shown.push('\n');
    }
    for question in &exercise.questions {
        shown.push_str(&plain_text(&question.ask));
        shown.push_str(&question.choices.iter().map(|choice| choice.text.as_str()).collect::<Vec<_>>().join("\n"));
    }
    for concept in lesson.needs.iter().chain(&lesson.teaches).chain(taught) {
        shown.push_str(concept);
        shown.push('\n');
    }
    // What the lesson itself put there stands in the panes.
    for (_, line) in lesson.world.setup.lines().chain(exercise.setup.lines()) {
        shown.push_str(&line.text);
        shown.push('\n');
    }
    let shown = shown.to_lowercase();
    let mut faults = Vec::new();
    for goal in &exercise.goals {
        for literal in goal.check.literals() {
            if !shown.contains(&literal.to_lowercase()) {
                let fault =
                    lesson.yaml.fault(goal.at, format!("this goal tests `{literal}`, which the learner never reads"));
                faults.push(fault.help("name it in the prose, the task or the goal"));
            }
        }
    }
    faults
}

/// Titles and choices stand on one line.
fn narrow(lesson: &Lesson, exercise: &Exercise) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut check = |text: &str, max: usize, what: &str, at: u32| {
        if text.width() > max {
            faults.push(lesson.yaml.fault(at, format!("{what} is {} columns wide, {max} fit", text.width())));
        }
    };
    check(&exercise.title, 60, "this title", exercise.at);
    for question in &exercise.questions {
        for choice in &question.choices {
            check(&choice.text, COLUMNS_MAX - 6, "a choice of this question", question.at);
        }
    }
    faults
}

/// Lines that cannot be wrapped have to fit.
fn wide(lesson: &Lesson, block: &Block, faults: &mut Vec<Fault>) {
    let source = &lesson.markdown;
    match block {
        Block::Code { text, line, .. } => {
            for (nth, each) in text.lines().enumerate() {
                if each.width() > COLUMNS_MAX {
                    let message = format!("this line of code is {} columns wide, {COLUMNS_MAX} fit", each.width());
                    faults.push(Fault::new(&source.path, &source.text, line + nth, COLUMNS_MAX + 1, message));
                }
            }
        }
        Block::Table { head, rows } => {
            let columns = head.len();
            let widths = (0..columns).map(|column| {
                let cells = rows.iter().filter_map(|row| row.get(column)).chain(head.get(column));
                cells
                    .flat_map(|cell| plain_text(cell).split(' ').map(|word| word.width()).collect::<Vec<_>>())
                    .max()
                    .unwrap_or(0)
            });
            let total = widths.sum::<usize>() + 3 * columns.saturating_sub(1);
            if total > COLUMNS_MAX {
                let title = head.first().map(|cell| plain_text(cell)).unwrap_or_default();
                let line = source
                    .text
                    .lines()
                    .position(|line| line.contains(&title) && line.contains('|'))
                    .map_or(1, |at| at + 1);
                let message = format!("this table needs {total} columns, {COLUMNS_MAX} fit");
                faults.push(Fault::new(&source.path, &source.text, line, 1, message));
            }
        }
        Block::List { items, .. } => items.iter().flatten().for_each(|block| wide(lesson, block, faults)),
        Block::Quote { blocks, .. } => blocks.iter().for_each(|block| wide(lesson, block, faults)),
        _ => {}
    }
}

/// The words of a block.
fn text_of(block: &Block) -> String {
    match block {
        Block::Heading { text, .. } | Block::Paragraph(text) => plain_text(text),
        Block::Code { text, .. } => text.clone(),
        Block::List { items, .. } => items.iter().flatten().map(text_of).collect::<Vec<_>>().join("\n"),
        Block::Table { head, rows } => {
            head.iter().chain(rows.iter().flatten()).map(|cell| plain_text(cell)).collect::<Vec<_>>().join("\n")
        }
        Block::Quote { blocks, .. } => blocks.iter().map(text_of).collect::<Vec<_>>().join("\n"),
        Block::Rule | Block::Exercise(_) => String::new(),
    }
}

//! Lesson and goals in sentences.

use crate::check::Shown;
use crate::console::word::WORDS;
use crate::lesson::{Alert, Block, Lesson, plain_text};
use crate::tutor::{ExerciseState, Feedback, QuestionState};

/// The prose between the exercise before `current` and `current`, one line a paragraph.
pub fn prose_to(lesson: &Lesson, current: usize) -> Vec<String> {
    let blocks = &lesson.prose;
    let end = blocks.iter().position(|block| *block == Block::Exercise(current)).unwrap_or(blocks.len());
    let start = blocks[..end].iter().rposition(|block| matches!(block, Block::Exercise(_))).map_or(0, |at| at + 1);
    blocks[start..end].iter().flat_map(block_lines).collect()
}

fn block_lines(block: &Block) -> Vec<String> {
    let mut lines = match block {
        Block::Heading { text, .. } => vec![format!("Heading: {}", plain_text(text))],
        Block::Paragraph(text) => vec![plain_text(text).replace('\n', " ")],
        Block::Code { text, .. } => {
            let mut lines = vec!["Example:".to_owned()];
            lines.extend(text.lines().map(|line| format!("    {line}")));
            lines
        }
        Block::List { first, items } => items
            .iter()
            .enumerate()
            .flat_map(|(i, item)| {
                let mark = first.map_or("*".to_owned(), |n| format!("{}.", n + i as u64));
                let mut inner: Vec<String> =
                    item.iter().flat_map(block_lines).filter(|line| !line.is_empty()).collect();
                if let Some(line) = inner.first_mut() {
                    *line = format!("{mark} {line}");
                }
                inner
            })
            .collect(),
        Block::Table { head, rows } => rows
            .iter()
            .map(|row| {
                let cells: Vec<String> = row
                    .iter()
                    .enumerate()
                    .map(|(i, cell)| {
                        let name = head.get(i).map_or(String::new(), |name| plain_text(name));
                        let cell = plain_text(cell);
                        if name.is_empty() { cell } else { format!("{name}: {cell}") }
                    })
                    .collect();
                format!("{}.", cells.join("; "))
            })
            .collect(),
        Block::Quote { kind, blocks } => {
            let mut inner: Vec<String> = blocks.iter().flat_map(block_lines).collect();
            if let (Some(kind), Some(line)) = (kind, inner.first_mut()) {
                *line = format!("{}: {line}", alert(*kind));
            }
            return inner;
        }
        Block::Rule | Block::Exercise(_) => return Vec::new(),
    };
    lines.push(String::new());
    lines
}

fn alert(kind: Alert) -> &'static str {
    match kind {
        Alert::Note => "Note",
        Alert::Tip => "Tip",
        Alert::Important => "Important",
        Alert::Warning => "Warning",
        Alert::Caution => "Careful",
    }
}

/// An exercise as it stands: what to do, its question, each goal.
pub fn exercise(exercise: &ExerciseState, n: usize, total: usize) -> Vec<String> {
    let mut lines = vec![format!("Exercise {} of {total}: {}.", n + 1, exercise.title.trim_end_matches('.'))];
    if !exercise.task.is_empty() {
        lines.push(plain_text(&exercise.task));
    }
    lines.extend(exercise.questions.iter().flat_map(question));
    let count = exercise.goals.len();
    for (i, goal) in exercise.goals.iter().enumerate() {
        let state = if goal.broken {
            "broken"
        } else if goal.met {
            "met"
        } else {
            "to do"
        };
        lines.push(format!("Goal {} of {count}, {state}: {}", i + 1, plain_text(&goal.say)));
    }
    if exercise.solved {
        lines.push("This exercise is done. `:next` goes on.".to_owned());
    }
    lines
}

fn question(question: &QuestionState) -> Vec<String> {
    let mut lines = vec![format!("Question: {}", plain_text(&question.ask))];
    for (i, choice) in question.choices.iter().enumerate() {
        lines.push(format!("  {}: {}", i + 1, choice));
    }
    lines.push(match (&question.said, question.choices.is_empty()) {
        (Some(said), _) => format!("You said: {said}"),
        (None, false) => "Answer with a colon and the number, such as `:1`.".to_owned(),
        (None, true) => "Answer with `:answer` and your words.".to_owned(),
    });
    lines
}

/// What is other than before, in sentences; but for the exercise that `begins`, which is told of anyway.
pub fn changes(before: &[ExerciseState], now: &[ExerciseState], current: usize, begins: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    for (i, exercise) in now.iter().enumerate().filter(|(i, _)| Some(*i) != begins) {
        let old = before.get(i).filter(|old| old.id == exercise.id);
        let count = exercise.goals.len();
        for (g, goal) in exercise.goals.iter().enumerate() {
            let was = old.and_then(|old| old.goals.get(g));
            let text = plain_text(&goal.say);
            if goal.broken && was.is_none_or(|was| !was.broken) {
                lines.push(format!("Goal {} of {count} broken: {text}", g + 1));
            } else if goal.met && was.is_none_or(|was| !was.met) && old.is_some() {
                lines.push(format!("Goal {} of {count} met: {text}", g + 1));
            } else if !goal.met && was.is_some_and(|was| was.met) && i == current {
                lines.push(format!("Goal {} of {count} no longer met: {text}", g + 1));
            }
        }
        if exercise.solved && old.is_some_and(|old| !old.solved) {
            lines.push(format!(
                "Exercise {} done: {}. `:next` goes on; or stay and play.",
                i + 1,
                exercise.title.trim_end_matches('.')
            ));
        }
        let told = old.and_then(|old| old.feedback.as_ref());
        if let Some(feedback) =
            exercise.feedback.as_ref().filter(|feedback| i == current && !exercise.solved && told != Some(*feedback))
        {
            lines.extend(why(feedback));
        }
    }
    lines
}

fn why(feedback: &Feedback) -> Vec<String> {
    let mut lines = vec![format!("Why: {}", plain_text(&feedback.say))];
    if !feedback.future.is_empty() {
        lines.push("In a copy of your world this was done, and this was seen:".to_owned());
        lines.extend(feedback.future.iter().flat_map(|shown| match shown {
            Shown::Typed { prompt, text } => vec![format!("    {prompt}{text}")],
            Shown::Said(text) => text.lines().map(|line| format!("    {line}")).collect(),
            Shown::Note(text) => vec![format!("    ({text})")],
        }));
    }
    lines
}

/// The words of the lab, or those about `word`.
pub fn help(word: Option<&str>) -> Vec<String> {
    let wanted = word.unwrap_or("").trim_start_matches(':').to_lowercase();
    let mut lines: Vec<String> = WORDS
        .iter()
        .filter(|entry| wanted.is_empty() || entry.name.contains(&wanted))
        .map(|entry| format!("{} {}", format!(":{} {}.", entry.name, entry.syntax).replace(" .", "."), entry.summary))
        .collect();
    if lines.is_empty() {
        lines.push(format!("The lab has no word `{wanted}`. `:help` lists all."));
    }
    lines.push("At a Redis prompt, `help` and a command explains the command.".to_owned());
    lines
}

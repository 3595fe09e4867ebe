//! Lists over the screen: help, lessons, palette. Typing searches, Enter chooses.

use super::keys::{Action, BINDINGS, Binding, Code, Key, Place};
use super::message::Effect;
use super::model::{Focus, LessonRow, List, Model, Overlay};
use super::update::act;
use crate::assist::atlas::{CHAPTERS, commands_of};
use crate::console::word::WORDS;

/// A row of a list: what stands left, what it says, and what choosing it does.
pub struct Item {
    pub left: String,
    pub says: String,
    pub choice: Choice,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// A title between rows.
    Title,
    Act(Action),
    Lesson(String),
    /// The page of this command.
    Page(String),
    /// Puts this text on the input line.
    Type(String),
    Nothing,
}

/// The rows of the list that is open, searched; empty if none is.
pub fn items(model: &Model) -> Vec<Item> {
    let (all, list) = match &model.overlay {
        Some(Overlay::Help(list)) => (help(model), list),
        Some(Overlay::Lessons(list)) if list.wanted.is_empty() => (lessons(model), list),
        Some(Overlay::Lessons(list)) => (lessons_with_module(model), list),
        Some(Overlay::Palette(list)) => (palette(), list),
        Some(Overlay::Atlas(list)) => (commands(), list),
        _ => return Vec::new(),
    };
    let wanted = list.wanted.to_lowercase();
    if wanted.is_empty() {
        return all;
    }
    all.into_iter()
        .filter(|item| item.choice != Choice::Title)
        .filter(|item| format!("{} {}", item.left, item.says).to_lowercase().contains(&wanted))
        .collect()
}

fn title(text: &str) -> Item {
    Item { left: text.to_owned(), says: String::new(), choice: Choice::Title }
}

/// The keys of the pane that has the focus first, then those that hold everywhere, then the words.
fn help(model: &Model) -> Vec<Item> {
    let first = if model.focus == Focus::Terminal { Place::Input } else { Place::Pane };
    let second = if model.focus == Focus::Terminal { Place::Pane } else { Place::Input };
    let mut items = Vec::new();
    for place in [Place::Everywhere, first] {
        keys_of(place, &mut items);
    }
    items.push(title("Words of the lab (type them at any prompt)"));
    items.extend(WORDS.iter().map(|entry| Item {
        left: format!(":{} {}", entry.name, entry.syntax).trim_end().to_owned(),
        says: entry.summary.to_owned(),
        choice: Choice::Type(format!(":{}{}", entry.name, if entry.syntax.is_empty() { "" } else { " " })),
    }));
    for place in [second, Place::List, Place::Reading, Place::Editor] {
        keys_of(place, &mut items);
    }
    items
}

fn keys_of(place: Place, items: &mut Vec<Item>) {
    items.push(title(place.title()));
    let bound = BINDINGS.iter().filter(|binding| binding.place == place && !binding.keys.is_empty());
    items.extend(bound.map(|binding| Item {
        left: chords(binding),
        says: binding.says.to_owned(),
        choice: if place == Place::Everywhere { Choice::Act(binding.action) } else { Choice::Nothing },
    }));
}

fn chords(binding: &Binding) -> String {
    binding.keys.iter().map(Key::to_string).collect::<Vec<_>>().join(" ")
}

fn palette() -> Vec<Item> {
    BINDINGS
        .iter()
        .filter(|binding| !binding.name.is_empty())
        .map(|binding| Item {
            left: binding.name.to_owned(),
            says: match binding.keys.first() {
                Some(key) => format!("{} ({key})", binding.says),
                None => match binding.action {
                    Action::Word(word) => format!("{} ({word})", binding.says),
                    _ => binding.says.to_owned(),
                },
            },
            choice: Choice::Act(binding.action),
        })
        .collect()
}

/// All commands: each group with what it is for, then its commands.
fn commands() -> Vec<Item> {
    let mut items = Vec::new();
    for chapter in CHAPTERS {
        items.push(title(&format!("{}: {}", chapter.name(), chapter.says)));
        items.extend(commands_of(chapter).into_iter().map(|(name, summary)| Item {
            left: name.to_owned(),
            says: summary.to_owned(),
            choice: Choice::Page(name.to_owned()),
        }));
    }
    items
}

/// The lessons of each module below its title, with how far it is done.
fn lessons(model: &Model) -> Vec<Item> {
    let mut items = Vec::new();
    for module in model.lessons.chunk_by(|one, next| one.module == next.module) {
        let done = module.iter().filter(|row| is_done(model, row)).count();
        items.push(title(&format!("{}: {done} of {} lessons done", module[0].module, module.len())));
        items.extend(module.iter().map(|row| lesson(model, row)));
    }
    items
}

/// For a search: each lesson by itself, so that the name of its module finds it too.
fn lessons_with_module(model: &Model) -> Vec<Item> {
    let named = |row: &LessonRow| {
        let item = lesson(model, row);
        Item { says: format!("{} {} {}", row.module, model.theme.symbols.dot, item.says), ..item }
    };
    model.lessons.iter().map(named).collect()
}

/// How many of a lesson's exercises are solved, and how many there are; those of the lesson on the screen as of now.
fn progress(model: &Model, row: &LessonRow) -> (usize, usize) {
    match row.id == model.scene.lesson.id {
        true => (model.scene.exercises.iter().filter(|exercise| exercise.solved).count(), model.scene.exercises.len()),
        false => (row.solved, row.exercises),
    }
}

fn is_done(model: &Model, row: &LessonRow) -> bool {
    let (solved, total) = progress(model, row);
    total > 0 && solved >= total
}

fn lesson(model: &Model, row: &LessonRow) -> Item {
    let here = row.id == model.scene.lesson.id;
    let (solved, total) = progress(model, row);
    let mark = match (is_done(model, row), here) {
        (true, _) => model.theme.symbols.met,
        (false, true) => model.theme.symbols.here,
        (false, false) => " ",
    };
    let how_far = match (here, solved) {
        _ if is_done(model, row) => "done".to_owned(),
        (true, n) => format!("here, {n} of {total} exercises done"),
        (false, 0) => format!("{total} exercises, about {} min", row.minutes),
        (false, n) => format!("{n} of {total} exercises done"),
    };
    Item {
        left: format!("{mark} {:<5}{}", row.number, row.title),
        says: how_far,
        choice: Choice::Lesson(row.id.clone()),
    }
}

pub fn pressed(model: &mut Model, key: Key, action: Option<Action>) -> Vec<Effect> {
    let titles: Vec<bool> = items(model).iter().map(|item| item.choice == Choice::Title).collect();
    let count = titles.len();
    let page = usize::from(model.size.1).saturating_sub(8).max(1);
    let Some(list) = list_mut(model) else { return Vec::new() };
    let last = count.saturating_sub(1);
    match action {
        Some(Action::Up) => list.selected = list.selected.saturating_sub(1),
        Some(Action::Down) => list.selected = (list.selected + 1).min(last),
        Some(Action::PageUp) => list.selected = list.selected.saturating_sub(page),
        Some(Action::PageDown) => list.selected = (list.selected + page).min(last),
        Some(Action::Top) => list.selected = 0,
        Some(Action::Bottom) => list.selected = last,
        Some(Action::Edit(_)) => {
            list.wanted.pop();
            list.selected = 0;
        }
        Some(Action::Choose) => return choose(model),
        Some(_) => {
            model.overlay = None;
            return Vec::new();
        }
        None => {
            if let Key { code: Code::Char(c), ctrl: false, alt: false } = key {
                list.wanted.push(c);
                list.selected = 0;
            }
        }
    }
    if list.wanted.is_empty() {
        // Titles are passed over, except where nothing but a title is left.
        let up = matches!(action, Some(Action::Up | Action::PageUp)) && list.selected > 0;
        if titles.get(list.selected).copied().unwrap_or(false) {
            list.selected = if up { list.selected - 1 } else { (list.selected + 1).min(last) };
        }
    }
    Vec::new()
}

fn choose(model: &mut Model) -> Vec<Effect> {
    let selected = list_mut(model).map_or(0, |list| list.selected);
    let Some(item) = items(model).into_iter().nth(selected) else { return Vec::new() };
    match item.choice {
        Choice::Title | Choice::Nothing => Vec::new(),
        Choice::Act(action) => {
            model.overlay = None;
            act(model, action)
        }
        Choice::Lesson(id) => {
            model.overlay = None;
            vec![Effect::OpenLesson(id)]
        }
        Choice::Page(name) => {
            model.overlay = None;
            vec![Effect::Atlas(name)]
        }
        Choice::Type(text) => {
            model.overlay = None;
            model.focus = Focus::Terminal;
            if let Some(shell) = model.shell_mut() {
                // What was typed comes back with undo.
                shell.input.replace(0, shell.input.text().len(), &text);
            }
            Vec::new()
        }
    }
}

fn list_mut(model: &mut Model) -> Option<&mut List> {
    match &mut model.overlay {
        Some(Overlay::Help(list) | Overlay::Lessons(list) | Overlay::Palette(list) | Overlay::Atlas(list)) => {
            Some(list)
        }
        _ => None,
    }
}

//! What happens to the model. Total: every message in every state has an answer, and nothing here does input or output.

use super::editor::{Editor, FILE_MAX_BYTES};
use super::input::Edit;
use super::keys::{self, Action, Code, Key, Place};
use super::layout::{self, areas};
use super::lists;
use super::message::{Effect, Message};
use super::model::{Focus, List, Mark, Model, Overlay, Scene};
use super::prose;
use super::text::printed;
use super::theme::{Kind, Theme};
use super::typing;
use crate::check::Shown;
use crate::console::{Class, Line};
use crate::tutor;
use ratatui::style::Style;

pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(key) => pressed(model, key),
        Message::Paste(text) => pasted(model, text),
        Message::Resize(columns, rows) => {
            model.size = (columns, rows);
            Vec::new()
        }
        Message::Wheel { column, row, up } => wheel(model, column, row, up),
        Message::Click { column, row } => {
            if let Some((focus, terminal)) =
                layout::pane_at(&areas(model), column, row).filter(|_| model.overlay.is_none())
            {
                model.focus = focus;
                model.active = terminal.unwrap_or(model.active);
            }
            Vec::new()
        }
        Message::Looked(scene) => {
            looked(model, *scene, false);
            Vec::new()
        }
        Message::Answered { lines, effects, scene, screens } => answered(model, lines, effects, *scene, screens),
        Message::Opened { scene, screens, lessons } => {
            let look = super::model::Look { size: model.size, kind: model.theme.kind, ascii: is_ascii(model) };
            let mut fresh = Model::new(look, *scene, screens, lessons);
            (fresh.mouse, fresh.hints) = (model.mouse, model.hints);
            *model = fresh;
            show_exercise(model);
            Vec::new()
        }
        Message::Notice(text) => {
            model.notice = Some(text);
            Vec::new()
        }
    }
}

fn is_ascii(model: &Model) -> bool {
    std::ptr::eq(model.theme.symbols, &super::theme::ASCII)
}

/// Which bindings hold now.
pub fn place(model: &Model) -> Place {
    match (&model.overlay, model.focus) {
        (Some(Overlay::Help(_) | Overlay::Lessons(_) | Overlay::Palette(_)), _) => Place::List,
        (Some(Overlay::Reading { .. } | Overlay::Paste { .. }), _) => Place::Reading,
        (Some(Overlay::Editor(_)), _) => Place::Editor,
        (None, Focus::Terminal) => Place::Input,
        (None, _) => Place::Pane,
    }
}

fn pressed(model: &mut Model, key: Key) -> Vec<Effect> {
    let leaving = std::mem::take(&mut model.leaving);
    model.notice = None;
    if let Some(Overlay::Paste { .. }) = model.overlay {
        return answer_paste(model, key);
    }
    let place = place(model);
    let action = keys::action(place, key);
    if action != Some(Action::Complete) {
        model.completing = None;
    }
    match (place, action) {
        (Place::List, action) => lists::pressed(model, key, action),
        (Place::Reading, Some(action)) => reading(model, action),
        (Place::Editor, action) => editing(model, key, action),
        (_, Some(Action::Cancel)) => cancel(model, leaving),
        (_, Some(action)) => act(model, action),
        (Place::Input, None) => {
            if let Key { code: Code::Char(c), ctrl: false, alt: false } = key {
                insert(model, &c.to_string());
            }
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// Does what a key, or the palette, asked for.
pub fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        // Row 0 is a title.
        Action::Help => model.overlay = Some(Overlay::Help(List { wanted: String::new(), selected: 1 })),
        Action::Lessons => open_lessons(model),
        Action::Palette => model.overlay = Some(Overlay::Palette(List::default())),
        Action::Word(word) => return say(model, word),
        Action::Watch => watch(model),
        Action::NextPane => step_pane(model, true),
        Action::PreviousPane => step_pane(model, false),
        Action::NextTerminal => {
            model.active = (model.active + 1) % model.shells.len().max(1);
            model.focus = Focus::Terminal;
            seen(model);
        }
        Action::Picture => next_picture(model),
        Action::Maximise => model.maximised = !model.maximised,
        Action::Mouse => {
            model.mouse = !model.mouse;
            let word = if model.mouse {
                "on: the wheel scrolls; Shift-drag selects text"
            } else {
                "off: dragging selects text"
            };
            model.notice = Some(format!("The mouse is {word}."));
            return vec![Effect::Mouse(model.mouse)];
        }
        Action::Theme => set_theme(model, model.theme.kind.next()),
        Action::LessonUp => scroll_lesson(model, -page(model)),
        Action::LessonDown => scroll_lesson(model, page(model)),
        Action::TerminalUp => scroll_terminal(model, true),
        Action::TerminalDown => scroll_terminal(model, false),
        Action::Repaint => return vec![Effect::Repaint],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Quit => return vec![Effect::Quit],
        Action::Cancel => return cancel(model, false),
        Action::Submit => return submit(model),
        Action::Complete => typing::complete(model),
        Action::EndOfInput => return end_of_input(model),
        Action::Edit(edit) => edited(model, edit),
        Action::Escape => escape(model),
        Action::Up => scroll_focused(model, -1),
        Action::Down => scroll_focused(model, 1),
        Action::PageUp => scroll_focused(model, -page(model)),
        Action::PageDown => scroll_focused(model, page(model)),
        Action::Top => scroll_focused(model, -1_000_000),
        Action::Bottom => scroll_focused(model, 1_000_000),
        Action::Choose | Action::Close | Action::Save => {}
    }
    Vec::new()
}

// -- the input line ------------------------------------------------------------------------------

fn submit(model: &mut Model) -> Vec<Effect> {
    let terminal = model.active;
    let solved = model.scene.exercise().is_some_and(|exercise| exercise.solved);
    let Some(shell) = model.shell_mut() else { return Vec::new() };
    shell.up = 0;
    shell.input.end_search(true);
    if shell.input.is_empty() && solved {
        return vec![Effect::Submit { terminal, line: ":next".to_owned() }];
    }
    let line = shell.input.take();
    if line.trim().is_empty() {
        return Vec::new();
    }
    vec![Effect::Submit { terminal, line }]
}

/// Types a `:` word for the learner.
fn say(model: &mut Model, word: &str) -> Vec<Effect> {
    model.overlay = None;
    if let Some(shell) = model.shell_mut() {
        shell.up = 0;
    }
    vec![Effect::Submit { terminal: model.active, line: word.to_owned() }]
}

fn insert(model: &mut Model, text: &str) {
    if let Some(shell) = model.shell_mut() {
        shell.up = 0;
        if !shell.input.insert(text) {
            model.notice = Some("The line is full: it takes up to 1 MB.".to_owned());
        }
    }
}

fn edited(model: &mut Model, edit: Edit) {
    if let Some(shell) = model.shell_mut() {
        shell.up = 0;
        shell.input.edit(edit);
    }
}

fn end_of_input(model: &mut Model) -> Vec<Effect> {
    let terminal = model.active;
    let prompt = model.scene.terminals.get(terminal).map_or("", |t| t.prompt.as_str());
    let at_shell = prompt.starts_with('$');
    let busy = model.scene.terminals.get(terminal).is_some_and(|t| t.busy);
    let Some(shell) = model.shell_mut() else { return Vec::new() };
    if !shell.input.is_empty() {
        shell.input.edit(Edit::Delete);
    } else if busy {
        return vec![Effect::Interrupt { terminal }];
    } else if at_shell {
        model.notice = Some("This is the shell of the lab's machine. Ctrl-Q or `:quit` leaves the lab.".to_owned());
    } else {
        return vec![Effect::Submit { terminal, line: "exit".to_owned() }];
    }
    Vec::new()
}

fn cancel(model: &mut Model, leaving: bool) -> Vec<Effect> {
    let terminal = model.active;
    if model.scene.terminals.get(terminal).is_some_and(|t| t.busy) {
        return vec![Effect::Interrupt { terminal }];
    }
    if let Some(shell) = model.shell_mut() {
        if !shell.input.is_empty() {
            shell.input.clear();
            return Vec::new();
        }
        shell.input.end_search(false);
    }
    if leaving {
        return vec![Effect::Quit];
    }
    model.leaving = true;
    model.notice = Some("Ctrl-C once more leaves the lab. Everything is kept.".to_owned());
    Vec::new()
}

fn escape(model: &mut Model) {
    if model.focus == Focus::Terminal {
        if let Some(shell) = model.shell_mut() {
            shell.input.end_search(false);
            shell.up = 0;
        }
    } else {
        model.focus = Focus::Terminal;
    }
}

fn pasted(model: &mut Model, text: String) -> Vec<Effect> {
    model.notice = None;
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if let Some(Overlay::Editor(editor)) = &mut model.overlay {
        if text.len() > FILE_MAX_BYTES {
            model.notice = Some("That paste is larger than a file here may be. Nothing was inserted.".to_owned());
        } else {
            editor.insert(&text);
        }
        return Vec::new();
    }
    if model.overlay.is_some() {
        return Vec::new();
    }
    model.focus = Focus::Terminal;
    let text = text.trim_end_matches('\n');
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    if lines > 1 {
        model.overlay = Some(Overlay::Paste { terminal: model.active, text: text.to_owned(), lines });
        return Vec::new();
    }
    let megabytes = text.len() as f64 / (1024.0 * 1024.0);
    if let Some(shell) = model.shell_mut()
        && !shell.input.insert(text)
    {
        model.notice = Some(format!(
            "That paste is one line of {megabytes:.1} MB; a line takes up to 1 MB. Nothing was inserted."
        ));
    }
    Vec::new()
}

/// Enter or y runs the pasted lines, everything else drops them.
fn answer_paste(model: &mut Model, key: Key) -> Vec<Effect> {
    let Some(Overlay::Paste { terminal, text, lines }) = model.overlay.take() else { return Vec::new() };
    if !matches!(key.code, Code::Enter | Code::Char('y' | 'Y')) || key.ctrl || key.alt {
        model.notice = Some("The pasted lines were dropped; nothing was run.".to_owned());
        return Vec::new();
    }
    if lines > PASTE_LINES_MAX {
        model.notice =
            Some(format!("{lines} lines are too many to run at once (at most {PASTE_LINES_MAX}). Nothing was run."));
        return Vec::new();
    }
    if let Some(shell) = model.shells.get_mut(terminal) {
        shell.up = 0;
    }
    text.lines()
        .map(str::trim_end)
        .filter(|line| !line.trim().is_empty())
        .map(|line| Effect::Submit { terminal, line: line.to_owned() })
        .collect()
}

/// How many pasted lines may run.
pub const PASTE_LINES_MAX: usize = 1000;

// -- what lies over the screen -------------------------------------------------------------------

fn reading(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = reading_size(model.size).1 as i64;
    let step = match action {
        Action::Up => -1,
        Action::Down => 1,
        Action::PageUp => -page,
        Action::PageDown => page,
        Action::Top => -1_000_000,
        Action::Bottom => 1_000_000,
        _ => {
            model.overlay = None;
            return Vec::new();
        }
    };
    scroll_reading(model, step);
    Vec::new()
}

/// Scrolls the text that lies over the screen; false if there is none.
fn scroll_reading(model: &mut Model, step: i64) -> bool {
    let (columns, rows) = reading_size(model.size);
    let Some(Overlay::Reading { top, lines, .. }) = &mut model.overlay else { return false };
    let all: usize = lines.iter().map(|line| rows_of(line, columns)).sum();
    *top = shifted(*top, step, all.saturating_sub(rows));
    true
}

/// Columns and rows of text that lies over a screen of this size.
pub fn reading_size((columns, rows): (u16, u16)) -> (usize, usize) {
    (usize::from(columns.min(READING_COLUMNS)).saturating_sub(4), usize::from(rows).saturating_sub(7).max(1))
}

pub const READING_COLUMNS: u16 = 92;

fn editing(model: &mut Model, key: Key, action: Option<Action>) -> Vec<Effect> {
    let rows = usize::from(areas(model).terminals.first().map_or(10, |(_, rect)| rect.height)).saturating_sub(1);
    let Some(Overlay::Editor(editor)) = &mut model.overlay else { return Vec::new() };
    let mut effects = Vec::new();
    match action {
        Some(Action::Save) => {
            effects.push(Effect::WriteFile { path: editor.path.clone(), text: editor.text() });
            model.overlay = None;
            return effects;
        }
        Some(Action::Close) if !editor.changed() || editor.asking => {
            model.notice = editor.asking.then(|| "Left the file as it was.".to_owned());
            model.overlay = None;
            return effects;
        }
        Some(Action::Close) => {
            editor.asking = true;
            model.notice = Some("Not saved yet: Ctrl-S saves, Esc once more leaves the file as it was.".to_owned());
            return effects;
        }
        Some(Action::Edit(edit)) => editor.edit(edit),
        _ => _ = editor.key(key),
    }
    editor.scroll(rows);
    effects
}

fn open_lessons(model: &mut Model) {
    let here = model.lessons.iter().position(|row| row.id == model.scene.lesson.id).unwrap_or(0);
    model.overlay = Some(Overlay::Lessons(List { wanted: String::new(), selected: here }));
}

/// Opens the future that the current exercise's feedback speaks of.
fn watch(model: &mut Model) {
    let future =
        model.scene.exercise().and_then(|exercise| exercise.feedback.as_ref()).map(|feedback| feedback.future.clone());
    match future.filter(|future| !future.is_empty()) {
        Some(future) => {
            let lines = future.iter().flat_map(shown).collect();
            model.overlay = Some(Overlay::Reading {
                title: "A possible future, in a copy of your world".to_owned(),
                lines,
                top: 0,
            });
        }
        None => model.notice = Some("There is no future to watch: no goal about the future has failed.".to_owned()),
    }
}

fn shown(shown: &Shown) -> Vec<Line> {
    match shown {
        Shown::Typed { prompt, text } => vec![Line::new(Class::Prompt, prompt).and(Class::Echo, text)],
        Shown::Said(text) => Line::split(Class::Plain, text),
        Shown::Note(text) => Line::split(Class::Note, text),
    }
}

// -- panes and scrolling -------------------------------------------------------------------------

/// Terminals, lesson, picture, in a ring.
fn step_pane(model: &mut Model, forward: bool) {
    let count = model.shells.len().max(1);
    let at = match model.focus {
        Focus::Terminal => model.active,
        Focus::Lesson => count,
        Focus::Picture => count + 1,
    };
    let next = (at + if forward { 1 } else { count + 1 }) % (count + 2);
    model.focus = match next {
        n if n < count => {
            model.active = n;
            Focus::Terminal
        }
        n if n == count => Focus::Lesson,
        _ => Focus::Picture,
    };
    if model.focus == Focus::Lesson {
        model.picture_up = false;
    }
    seen(model);
}

/// On a small screen lesson and pictures share a place: lesson, first picture, second, lesson again.
fn next_picture(model: &mut Model) {
    let pictures = model.pictures();
    let at = pictures.iter().position(|picture| *picture == model.picture).unwrap_or(0);
    model.picture_top = 0;
    let areas = areas(model);
    if areas.tabs && !model.picture_up {
        model.picture_up = true;
        model.picture = pictures[0];
    } else if areas.tabs && at + 1 == pictures.len() {
        model.picture_up = false;
        model.picture = pictures[0];
    } else {
        model.picture = pictures[(at + 1) % pictures.len()];
    }
    if model.focus == Focus::Lesson && model.picture_up && areas.tabs {
        model.focus = Focus::Terminal;
    }
}

fn set_theme(model: &mut Model, kind: Kind) {
    model.theme = Theme::new(kind, is_ascii(model));
    model.notice = Some(format!("Theme: {}.", kind.name()));
}

/// Rows of a page, as a step of scrolling.
fn page(model: &Model) -> i64 {
    let areas = areas(model);
    let rect = match model.focus {
        Focus::Picture => areas.picture.or(areas.lesson),
        _ => areas.lesson.or(areas.picture),
    };
    i64::from(rect.map_or(model.size.1, |rect| rect.height)).saturating_sub(3).max(1)
}

fn shifted(at: usize, step: i64, max: usize) -> usize {
    (at as i64).saturating_add(step).clamp(0, max as i64) as usize
}

fn scroll_focused(model: &mut Model, step: i64) {
    match model.focus {
        Focus::Picture => model.picture_top = shifted(model.picture_top, step, 2000),
        _ => scroll_lesson(model, step),
    }
}

/// The columns of the lesson's text; where the lesson is not on the screen, what it would have there.
pub fn lesson_columns(model: &Model) -> (usize, usize) {
    let areas = areas(model);
    let rect = areas.lesson.or(areas.picture).unwrap_or_default();
    (usize::from(rect.width).saturating_sub(3), usize::from(rect.height).saturating_sub(1))
}

fn scroll_lesson(model: &mut Model, step: i64) {
    if model.picture_up && areas(model).tabs {
        model.picture_up = false;
    }
    let (columns, rows) = lesson_columns(model);
    let all = prose::rows(model, columns);
    let top = shifted(row_of(&all, model.lesson_top), step, all.len().saturating_sub(rows.max(1)));
    model.lesson_top = anchor(&all, top);
}

/// The row that an anchor (block, row of it) names; the nearest before it where the block got shorter.
pub fn row_of(rows: &[prose::Row], (block, within): (usize, usize)) -> usize {
    let start = rows.iter().position(|row| row.block >= block).unwrap_or(rows.len().saturating_sub(1));
    let len = rows[start.min(rows.len())..].iter().take_while(|row| row.block == block).count();
    start + within.min(len.saturating_sub(1))
}

fn anchor(rows: &[prose::Row], top: usize) -> (usize, usize) {
    let Some(row) = rows.get(top) else { return (0, 0) };
    let start = rows.iter().position(|other| other.block == row.block).unwrap_or(0);
    (row.block, top - start)
}

/// Scrolls the lesson to the current exercise: to the prose that leads to it.
pub fn show_exercise(model: &mut Model) {
    model.lesson_top = (prose::start_of(model), 0);
    model.picture_up = false;
}

fn scroll_terminal(model: &mut Model, up: bool) {
    let areas = areas(model);
    let rect = areas.terminals.iter().find(|(i, _)| *i == model.active).map(|(_, rect)| *rect).unwrap_or_default();
    let (columns, half) = (usize::from(rect.width).saturating_sub(2), i64::from(rect.height / 2).max(1));
    let Some(shell) = model.shell_mut() else { return };
    let max: usize = shell.lines.iter().map(|line| rows_of(line, columns)).sum();
    shell.up = shifted(shell.up, if up { half } else { -half }, max.saturating_sub(1));
}

/// How many rows a line takes at `columns`.
pub fn rows_of(line: &Line, columns: usize) -> usize {
    printed(line, |_| Style::default(), columns).len()
}

fn wheel(model: &mut Model, column: u16, row: u16, up: bool) -> Vec<Effect> {
    let step = if up { -3 } else { 3 };
    if scroll_reading(model, step) {
        return Vec::new();
    }
    match layout::pane_at(&areas(model), column, row).filter(|_| model.overlay.is_none()) {
        Some((Focus::Lesson, _)) => scroll_lesson(model, step),
        Some((Focus::Picture, _)) => model.picture_top = shifted(model.picture_top, step, 2000),
        Some((Focus::Terminal, Some(i))) => {
            if let Some(shell) = model.shells.get_mut(i) {
                shell.up = shifted(shell.up, -step, shell.lines.len() * 2);
            }
        }
        _ => {}
    }
    Vec::new()
}

/// The active terminal is on the screen: nothing in it is unread.
fn seen(model: &mut Model) {
    if let Some(shell) = model.shell_mut() {
        shell.unread = false;
    }
}

// -- the lab's answers ---------------------------------------------------------------------------

/// Takes in a new look at the lab. `step`: the learner did something, so the marks begin anew.
fn looked(model: &mut Model, scene: Scene, step: bool) {
    super::changes::mark(model, &scene, step);
    model.scene = scene;
    model.note_spans();
    while model.shells.len() < model.scene.terminals.len() {
        model.shells.push(super::model::Shell::default());
    }
}

fn answered(
    model: &mut Model,
    lines: Vec<(usize, Line)>,
    effects: Vec<tutor::Effect>,
    scene: Scene,
    screens: Option<Vec<Vec<Line>>>,
) -> Vec<Effect> {
    let exercise = model.scene.current;
    looked(model, scene, true);
    match screens {
        Some(screens) => model.fill(screens),
        None => lines.into_iter().for_each(|(terminal, line)| print(model, terminal, line)),
    }
    if model.scene.current != exercise {
        show_exercise(model);
    }
    effects.into_iter().flat_map(|effect| told(model, effect)).collect()
}

fn print(model: &mut Model, terminal: usize, line: Line) {
    let areas = areas(model);
    let on_screen = areas.terminals.iter().find(|(i, _)| *i == terminal).map(|(_, rect)| usize::from(rect.width));
    let active = terminal == model.active;
    let Some(shell) = model.shells.get_mut(terminal) else { return };
    if shell.up > 0 {
        // What is being read stays where it is.
        shell.up += rows_of(&line, on_screen.unwrap_or(80).saturating_sub(2));
    }
    shell.unread |= !active && on_screen.is_none();
    shell.print(line);
}

fn told(model: &mut Model, effect: tutor::Effect) -> Vec<Effect> {
    match effect {
        tutor::Effect::Solved(_) | tutor::Effect::LessonDone => {}
        tutor::Effect::OpenEditor { path, text } => {
            if text.len() > FILE_MAX_BYTES {
                model.notice = Some(format!("{path} is too large to edit here."));
            } else {
                model.overlay = Some(Overlay::Editor(Box::new(Editor::new(&path, &text))));
            }
        }
        tutor::Effect::ShowFuture { title, lines } => model.overlay = Some(Overlay::Reading { title, lines, top: 0 }),
        tutor::Effect::Exercise(_) => show_exercise(model),
        tutor::Effect::Focus(terminal) => {
            model.active = terminal.min(model.shells.len().saturating_sub(1));
            model.focus = Focus::Terminal;
            seen(model);
        }
        tutor::Effect::Clear(terminal) => {
            if let Some(shell) = model.shells.get_mut(terminal) {
                shell.lines.clear();
                shell.up = 0;
            }
        }
        // The screens came with the answer.
        tutor::Effect::Redraw => {}
        tutor::Effect::OpenLesson(Some(id)) => return vec![Effect::OpenLesson(id)],
        tutor::Effect::OpenLesson(None) => open_lessons(model),
        tutor::Effect::NextLesson => return vec![Effect::NextLesson],
        tutor::Effect::Help(word) => {
            model.overlay =
                Some(Overlay::Help(List { selected: usize::from(word.is_none()), wanted: word.unwrap_or_default() }));
        }
        tutor::Effect::Set(name, value) => return set(model, &name, &value),
        tutor::Effect::Quit => return vec![Effect::Quit],
    }
    Vec::new()
}

/// A preference: `:set theme light`, `:set hints off`, `:set mouse on`.
fn set(model: &mut Model, name: &str, value: &str) -> Vec<Effect> {
    let on = matches!(value, "on" | "yes" | "1");
    match name {
        "theme" => match Kind::named(value) {
            Some(kind) => set_theme(model, kind),
            None => model.notice = Some("Themes: dark, light, high-contrast, mono.".to_owned()),
        },
        "hints" => {
            model.hints = on;
            model.notice = Some(format!("Grey hints are {}.", if on { "on" } else { "off" }));
        }
        "mouse" => {
            model.mouse = on;
            return vec![Effect::Mouse(on)];
        }
        "ascii" => {
            model.theme = Theme::new(model.theme.kind, on);
        }
        _ => model.notice = Some("`:set` knows: theme, hints, mouse, ascii.".to_owned()),
    }
    Vec::new()
}

/// How a mark is said in a word.
pub fn mark_word(mark: &Mark) -> String {
    match mark {
        Mark::New => "new".to_owned(),
        Mark::Changed => "changed".to_owned(),
        Mark::Gone(event) => match event.as_str() {
            "expired" => "expired".to_owned(),
            "evicted" => "evicted".to_owned(),
            "" => "gone".to_owned(),
            _ => "deleted".to_owned(),
        },
    }
}

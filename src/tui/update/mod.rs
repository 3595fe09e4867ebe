//! What happens to the model. Total: every message in every state has an answer, and nothing here does input or output.

mod answers;
mod line;
mod over;
mod panes;

pub use over::{READING_COLUMNS, reading_size};
pub use panes::{lesson_columns, row_of, show_exercise};

use super::keys::{self, Action, Code, Key, Place};
use super::layout::{self, areas};
use super::lists;
use super::message::{Effect, Message};
use super::model::{Focus, List, Model, Overlay};
use super::typing;
use answers::{answered, looked};
use line::{answer_paste, cancel, edited, end_of_input, escape, insert, pasted, say, submit};
use over::{editing, open_lessons, reading, watch};
use panes::{
    move_slots, next_picture, page, scroll_active, scroll_focused, scroll_lesson, seen, set_theme, step, step_pane,
    wheel,
};

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
        Message::Faults(faults) => {
            if let Some(Overlay::Editor(editor)) = &mut model.overlay {
                editor.faults = faults;
            }
            Vec::new()
        }
        Message::Page { title, lines } => {
            model.overlay = Some(Overlay::Reading { title, lines, top: 0 });
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
        (Some(Overlay::Help(_) | Overlay::Lessons(_) | Overlay::Palette(_) | Overlay::Atlas(_)), _) => Place::List,
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
        Action::Atlas => model.overlay = Some(Overlay::Atlas(List { wanted: String::new(), selected: 1 })),
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
        Action::Step => return step(model),
        Action::ZoomIn | Action::ZoomOut | Action::SlotsLeft | Action::SlotsRight => move_slots(model, action),
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
        Action::TerminalUp => scroll_active(model, true),
        Action::TerminalDown => scroll_active(model, false),
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
        Action::Choose | Action::Close | Action::Save | Action::NextFault => {}
    }
    Vec::new()
}

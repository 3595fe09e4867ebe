//! The input line: submitting, typing, cancelling, pasting.

use super::super::editor::FILE_MAX_BYTES;
use super::super::input::Edit;
use super::super::keys::{Code, Key};
use super::super::message::Effect;
use super::super::model::{Focus, Model, Overlay};
use super::over::check;

pub(super) fn submit(model: &mut Model) -> Vec<Effect> {
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
pub(super) fn say(model: &mut Model, word: &str) -> Vec<Effect> {
    model.overlay = None;
    if let Some(shell) = model.shell_mut() {
        shell.up = 0;
    }
    vec![Effect::Submit { terminal: model.active, line: word.to_owned() }]
}

pub(super) fn insert(model: &mut Model, text: &str) {
    if let Some(shell) = model.shell_mut() {
        shell.up = 0;
        if !shell.input.insert(text) {
            model.notice = Some("The line is full: it takes up to 1 MB.".to_owned());
        }
    }
}

pub(super) fn edited(model: &mut Model, edit: Edit) {
    if let Some(shell) = model.shell_mut() {
        shell.up = 0;
        shell.input.edit(edit);
    }
}

pub(super) fn end_of_input(model: &mut Model) -> Vec<Effect> {
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

pub(super) fn cancel(model: &mut Model, leaving: bool) -> Vec<Effect> {
    let terminal = model.active;
    let (busy, asks) = model.scene.terminals.get(terminal).map_or((false, false), |t| (t.busy, t.asks));
    if busy {
        return vec![Effect::Interrupt { terminal }];
    }
    if let Some(shell) = model.shell_mut() {
        if !shell.input.is_empty() {
            shell.input.clear();
            return Vec::new();
        }
        shell.input.end_search(false);
    }
    if asks {
        return vec![Effect::Interrupt { terminal }];
    }
    if leaving {
        return vec![Effect::Quit];
    }
    model.leaving = true;
    model.notice = Some("Ctrl-C once more leaves the lab. Everything is kept.".to_owned());
    Vec::new()
}

pub(super) fn escape(model: &mut Model) {
    if model.focus == Focus::Terminal {
        if let Some(shell) = model.shell_mut() {
            shell.input.end_search(false);
            shell.up = 0;
        }
    } else {
        model.focus = Focus::Terminal;
    }
}

pub(super) fn pasted(model: &mut Model, text: String) -> Vec<Effect> {
    model.notice = None;
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if let Some(Overlay::Editor(editor)) = &mut model.overlay {
        if text.len() > FILE_MAX_BYTES {
            model.notice = Some("That paste is larger than a file here may be. Nothing was inserted.".to_owned());
        } else {
            let before = editor.version;
            editor.insert(&text);
            return check(editor, before);
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
pub(super) fn answer_paste(model: &mut Model, key: Key) -> Vec<Effect> {
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

//! From the terminal library's events to ours.

use crate::tui::keys::{Code, Key};
use crate::tui::message::Message;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};

pub fn message(event: Event) -> Option<Message> {
    match event {
        // Windows and the kitty protocol report releases too.
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Message::Key(self::key(key)?)),
        Event::Paste(text) => Some(Message::Paste(text)),
        Event::Resize(columns, rows) => Some(Message::Resize(columns, rows)),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::ScrollUp => Some(Message::Wheel { column: mouse.column, row: mouse.row, up: true }),
            MouseEventKind::ScrollDown => Some(Message::Wheel { column: mouse.column, row: mouse.row, up: false }),
            MouseEventKind::Down(MouseButton::Left) => Some(Message::Click { column: mouse.column, row: mouse.row }),
            _ => None,
        },
        _ => None,
    }
}

fn key(event: KeyEvent) -> Option<Key> {
    let mut ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    let mut alt = event.modifiers.contains(KeyModifiers::ALT);
    let code = match event.code {
        // AltGr arrives as both.
        KeyCode::Char(c) if ctrl && alt => {
            (ctrl, alt) = (false, false);
            Code::Char(c)
        }
        // What raw mode makes of the control characters that have keys of their own.
        KeyCode::Char('j' | 'm') if ctrl => plain(&mut ctrl, Code::Enter),
        KeyCode::Char('h') if ctrl => plain(&mut ctrl, Code::Backspace),
        KeyCode::Char('i') if ctrl => plain(&mut ctrl, Code::Tab),
        KeyCode::Char('7' | '/') if ctrl => Code::Char('_'),
        KeyCode::Char(c) if ctrl => Code::Char(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Code::Char(c),
        KeyCode::F(n) => Code::F(n),
        KeyCode::Enter => plain(&mut ctrl, Code::Enter),
        KeyCode::Esc => Code::Esc,
        KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => Code::BackTab,
        KeyCode::Tab => Code::Tab,
        KeyCode::BackTab => Code::BackTab,
        KeyCode::Backspace => plain(&mut ctrl, Code::Backspace),
        KeyCode::Delete => plain(&mut ctrl, Code::Delete),
        KeyCode::Left => Code::Left,
        KeyCode::Right => Code::Right,
        KeyCode::Up => plain(&mut ctrl, Code::Up),
        KeyCode::Down => plain(&mut ctrl, Code::Down),
        KeyCode::Home => plain(&mut ctrl, Code::Home),
        KeyCode::End => plain(&mut ctrl, Code::End),
        KeyCode::PageUp => plain(&mut ctrl, Code::PageUp),
        KeyCode::PageDown => plain(&mut ctrl, Code::PageDown),
        _ => return None,
    };
    Some(Key { code, ctrl, alt })
}

/// With Ctrl this key means the same as without.
fn plain(ctrl: &mut bool, code: Code) -> Code {
    *ctrl = false;
    code
}

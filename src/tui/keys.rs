//! The keyboard: one table, from which dispatch, the help overlay, the hint bar, the palette and the README follow.
//!
//! The terminal's input line owns all letters, so what must always work has a function key, and a second way: a chord, a
//! `:` word or the palette. Nothing depends on Alt alone (macOS), on Ctrl-B alone (tmux) or on Ctrl-Enter (needs kitty).

use super::input::Edit;

/// A key press, independent of the terminal library.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    pub code: Code,
    pub ctrl: bool,
    pub alt: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    Char(char),
    F(u8),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
}

impl Key {
    pub const fn of(code: Code) -> Key {
        Key { code, ctrl: false, alt: false }
    }

    pub const fn char(c: char) -> Key {
        Key::of(Code::Char(c))
    }

    pub const fn ctrl(c: char) -> Key {
        Key { code: Code::Char(c), ctrl: true, alt: false }
    }

    pub const fn alt(code: Code) -> Key {
        Key { code, ctrl: false, alt: true }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.ctrl {
            f.write_str("Ctrl-")?;
        }
        if self.alt {
            f.write_str("Alt-")?;
        }
        let name = match self.code {
            Code::Char(' ') => "Space",
            Code::Char(c) if self.ctrl => return write!(f, "{}", c.to_ascii_uppercase()),
            Code::Char(c) => return write!(f, "{c}"),
            Code::F(n) => return write!(f, "F{n}"),
            Code::Enter => "Enter",
            Code::Esc => "Esc",
            Code::Tab => "Tab",
            Code::BackTab => "Shift-Tab",
            Code::Backspace => "Backspace",
            Code::Delete => "Del",
            Code::Left => "Left",
            Code::Right => "Right",
            Code::Up => "Up",
            Code::Down => "Down",
            Code::Home => "Home",
            Code::End => "End",
            Code::PageUp => "PgUp",
            Code::PageDown => "PgDn",
        };
        f.write_str(name)
    }
}

/// Where a binding holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Everywhere, unless something lies over the screen.
    Everywhere,
    /// At the input line of a terminal.
    Input,
    /// In the lesson and in the picture.
    Pane,
    /// In a list that lies over the screen: help, lessons, palette.
    List,
    /// While reading something that lies over the screen.
    Reading,
    Editor,
}

impl Place {
    pub fn title(self) -> &'static str {
        match self {
            Place::Everywhere => "Everywhere",
            Place::Input => "At the prompt",
            Place::Pane => "In the lesson and the picture",
            Place::List => "In a list",
            Place::Reading => "While reading",
            Place::Editor => "In the editor",
        }
    }
}

/// What a key does. Words of the lab are actions too: they are typed for the learner, who so learns them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Help,
    Lessons,
    Palette,
    /// The command atlas.
    Atlas,
    /// Types this `:` word.
    Word(&'static str),
    Watch,
    NextPane,
    PreviousPane,
    NextTerminal,
    Picture,
    /// One step on in the picture that is shown.
    Step,
    Maximise,
    Mouse,
    Theme,
    LessonUp,
    LessonDown,
    TerminalUp,
    TerminalDown,
    Repaint,
    Suspend,
    Cancel,
    Quit,
    Submit,
    Complete,
    EndOfInput,
    Edit(Edit),
    Escape,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Choose,
    Close,
    Save,
    /// To the next line that a server would refuse.
    NextFault,
    ZoomIn,
    ZoomOut,
    SlotsLeft,
    SlotsRight,
}

pub struct Binding {
    pub place: Place,
    pub keys: &'static [Key],
    pub action: Action,
    /// What it is called in the palette; empty: not offered there.
    pub name: &'static str,
    pub says: &'static str,
    /// One word for the hint bar; empty: not shown there.
    pub bar: &'static str,
}

const fn f(n: u8) -> Key {
    Key::of(Code::F(n))
}

const fn k(code: Code) -> Key {
    Key::of(code)
}

const fn bind(
    place: Place,
    keys: &'static [Key],
    action: Action,
    name: &'static str,
    says: &'static str,
    bar: &'static str,
) -> Binding {
    Binding { place, keys, action, name, says, bar }
}

use Code::{BackTab, Backspace, Char, Delete, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up};
use Place::{Editor, Everywhere, Input, List, Pane, Reading};

/// All bindings; within a place the most useful first, which is the order of the hint bar.
pub const BINDINGS: &[Binding] = &[
    bind(Everywhere, &[f(1), Key::alt(Char('?'))], Action::Help, "help", "All keys and words", "help"),
    bind(
        Everywhere,
        &[f(3), Key::alt(Char('h'))],
        Action::Word(":hint"),
        "hint",
        "A hint; pressed again, a plainer one",
        "hint",
    ),
    bind(
        Everywhere,
        &[f(4), Key::alt(Char('n'))],
        Action::Word(":next"),
        "next",
        "Go on to the next exercise or lesson",
        "next",
    ),
    bind(Everywhere, &[k(PageDown)], Action::LessonDown, "", "Lesson: a page down", "lesson"),
    bind(Everywhere, &[k(PageUp)], Action::LessonUp, "", "Lesson: a page up", ""),
    bind(
        Everywhere,
        &[f(7), Key::alt(Char('k'))],
        Action::Picture,
        "picture",
        "Walk through the pictures: keys, disk, timeline and what the lesson has",
        "picture",
    ),
    bind(
        Everywhere,
        &[Key::ctrl('g'), f(11)],
        Action::Step,
        "step",
        "One step on: of the order that is replayed, of a network that stands still",
        "",
    ),
    bind(Everywhere, &[f(2), Key::alt(Char('l'))], Action::Lessons, "lessons", "The list of lessons", "lessons"),
    bind(
        Everywhere,
        &[f(6), k(BackTab)],
        Action::NextPane,
        "next-pane",
        "Go to the next pane: terminals, lesson, picture",
        "pane",
    ),
    bind(
        Everywhere,
        &[f(8), Key::alt(Char('z'))],
        Action::Maximise,
        "maximise",
        "This pane large; again: as before",
        "zoom",
    ),
    bind(Everywhere, &[f(10), Key::ctrl('o')], Action::Palette, "", "Everything the lab can do, by name", "menu"),
    bind(
        Everywhere,
        &[Key::alt(Char('a'))],
        Action::Atlas,
        "atlas",
        "All commands of Redis, by groups (`:atlas GET`)",
        "",
    ),
    bind(
        Everywhere,
        &[f(5), Key::alt(Char('w'))],
        Action::Watch,
        "watch",
        "Watch the future that a goal failed in",
        "",
    ),
    bind(
        Everywhere,
        &[Key::ctrl('x'), Key::alt(Char('t'))],
        Action::NextTerminal,
        "next-terminal",
        "Go to the next terminal (`:terminal B` goes to B, `:terminal NAME` opens one)",
        "",
    ),
    bind(Everywhere, &[Key::alt(Char('p'))], Action::PreviousPane, "previous-pane", "Go to the previous pane", ""),
    bind(Everywhere, &[Key::alt(PageUp), Key::alt(Up)], Action::TerminalUp, "", "Terminal: half a page up", ""),
    bind(Everywhere, &[Key::alt(PageDown), Key::alt(Down)], Action::TerminalDown, "", "Terminal: half a page down", ""),
    bind(Everywhere, &[], Action::Word(":goals"), "goals", "Say the goals again", ""),
    bind(Everywhere, &[], Action::Word(":solve"), "solve", "Watch a solution in a copy of your world", ""),
    bind(Everywhere, &[], Action::Word(":undo"), "undo", "Take back the last step", ""),
    bind(Everywhere, &[], Action::Word(":redo"), "redo", "Do again what was taken back", ""),
    bind(Everywhere, &[], Action::Word(":back"), "back", "Go back one exercise", ""),
    bind(Everywhere, &[], Action::Word(":reset"), "reset", "Start this exercise anew", ""),
    bind(Everywhere, &[], Action::Word(":reset lesson"), "reset-lesson", "Start this lesson anew", ""),
    bind(Everywhere, &[f(9)], Action::Mouse, "mouse", "Mouse on or off (while it is on, Shift-drag selects text)", ""),
    bind(Everywhere, &[f(12)], Action::Theme, "theme", "The next theme: dark, light, high-contrast, mono", ""),
    bind(Everywhere, &[Key::ctrl('l')], Action::Repaint, "repaint", "Paint the screen anew", ""),
    bind(Everywhere, &[Key::ctrl('z')], Action::Suspend, "suspend", "Back to your shell; `fg` returns", ""),
    bind(
        Everywhere,
        &[Key::ctrl('c')],
        Action::Cancel,
        "",
        "Cancel the line or what is running; twice at an empty line: leave",
        "",
    ),
    bind(Everywhere, &[Key::ctrl('q')], Action::Quit, "quit", "Leave the lab; everything is kept", ""),
    bind(Input, &[k(Enter)], Action::Submit, "", "Run the line; at an empty line, when all goals are met: go on", ""),
    bind(Input, &[k(Tab)], Action::Complete, "", "Complete the word", "complete"),
    bind(Input, &[k(Up), Key::ctrl('p')], Action::Edit(Edit::Older), "", "The line before", ""),
    bind(Input, &[k(Down), Key::ctrl('n')], Action::Edit(Edit::Newer), "", "The line after", ""),
    bind(Input, &[Key::ctrl('r')], Action::Edit(Edit::Search), "", "Search backwards; again: further back", ""),
    bind(Input, &[k(Esc)], Action::Escape, "", "Leave the search; drop the notice", ""),
    bind(
        Input,
        &[Key::ctrl('d')],
        Action::EndOfInput,
        "",
        "Delete to the right; at an empty line: leave this prompt",
        "",
    ),
    bind(Input, &[k(Left), Key::ctrl('b')], Action::Edit(Edit::Left), "", "Left", ""),
    bind(Input, &[k(Right), Key::ctrl('f')], Action::Edit(Edit::Right), "", "Right", ""),
    bind(
        Input,
        &[Key { code: Left, ctrl: true, alt: false }, Key::alt(Char('b'))],
        Action::Edit(Edit::WordLeft),
        "",
        "A word left",
        "",
    ),
    bind(
        Input,
        &[Key { code: Right, ctrl: true, alt: false }, Key::alt(Char('f'))],
        Action::Edit(Edit::WordRight),
        "",
        "A word right",
        "",
    ),
    bind(Input, &[k(Home), Key::ctrl('a')], Action::Edit(Edit::Home), "", "To the start of the line", ""),
    bind(Input, &[k(End), Key::ctrl('e')], Action::Edit(Edit::End), "", "To its end", ""),
    bind(Input, &[k(Backspace)], Action::Edit(Edit::Backspace), "", "Delete to the left", ""),
    bind(Input, &[k(Delete)], Action::Edit(Edit::Delete), "", "Delete to the right", ""),
    bind(
        Input,
        &[Key::ctrl('w'), Key::alt(Backspace)],
        Action::Edit(Edit::KillWord),
        "",
        "Cut the word to the left",
        "",
    ),
    bind(Input, &[Key::alt(Char('d'))], Action::Edit(Edit::KillWordRight), "", "Cut the word to the right", ""),
    bind(Input, &[Key::ctrl('k')], Action::Edit(Edit::KillToEnd), "", "Cut to the end", ""),
    bind(Input, &[Key::ctrl('u')], Action::Edit(Edit::KillLine), "", "Cut to the start", ""),
    bind(Input, &[Key::ctrl('y')], Action::Edit(Edit::Yank), "", "Put back what was cut", ""),
    bind(Input, &[Key::ctrl('t')], Action::Edit(Edit::Transpose), "", "Swap two letters", ""),
    bind(Input, &[Key::ctrl('_')], Action::Edit(Edit::Undo), "", "Undo typing", ""),
    bind(Pane, &[k(Down), Key::char('j')], Action::Down, "", "Scroll down", "scroll"),
    bind(Pane, &[k(Up), Key::char('k')], Action::Up, "", "Scroll up", ""),
    bind(Pane, &[k(Home), Key::char('g')], Action::Top, "", "To the top", ""),
    bind(Pane, &[k(End), Key::char('G')], Action::Bottom, "", "To the end", ""),
    bind(Pane, &[Key::char(' ')], Action::PageDown, "", "A page down", ""),
    bind(Pane, &[Key::char('b')], Action::PageUp, "", "A page up", ""),
    bind(Pane, &[k(Tab), k(Enter), k(Esc), Key::char('i')], Action::Escape, "", "Back to the prompt", "prompt"),
    bind(Pane, &[Key::char('+'), Key::char('=')], Action::ZoomIn, "", "The slot map: fewer slots, larger", ""),
    bind(Pane, &[Key::char('-')], Action::ZoomOut, "", "The slot map: more slots", ""),
    bind(Pane, &[k(Left), Key::char('h')], Action::SlotsLeft, "", "The slot map: lower slots", ""),
    bind(Pane, &[k(Right), Key::char('l')], Action::SlotsRight, "", "The slot map: higher slots", ""),
    bind(Pane, &[Key::char('n')], Action::Step, "", "One step on in the picture", ""),
    bind(Pane, &[Key::char('?')], Action::Help, "", "Help", ""),
    bind(Pane, &[Key::char(':')], Action::Palette, "", "Everything the lab can do, by name", ""),
    bind(Pane, &[Key::char('z')], Action::Maximise, "", "This pane large", ""),
    bind(Pane, &[Key::char('q')], Action::Quit, "", "Leave the lab", ""),
    bind(List, &[k(Enter)], Action::Choose, "", "Choose", "choose"),
    bind(List, &[k(Esc), f(1), f(2), f(10), Key::ctrl('c'), Key::ctrl('o')], Action::Close, "", "Close", "close"),
    bind(List, &[k(Down), Key::ctrl('n')], Action::Down, "", "Down", ""),
    bind(List, &[k(Up), Key::ctrl('p')], Action::Up, "", "Up", ""),
    bind(List, &[k(PageDown)], Action::PageDown, "", "A page down", ""),
    bind(List, &[k(PageUp)], Action::PageUp, "", "A page up", ""),
    bind(List, &[k(Home)], Action::Top, "", "To the top", ""),
    bind(List, &[k(End)], Action::Bottom, "", "To the end", ""),
    bind(List, &[k(Backspace)], Action::Edit(Edit::Backspace), "", "Delete a letter of the search", ""),
    bind(Reading, &[k(Esc), k(Enter), Key::char('q'), f(5), Key::ctrl('c')], Action::Close, "", "Close", "close"),
    bind(Reading, &[k(Down), Key::char('j')], Action::Down, "", "Down", "scroll"),
    bind(Reading, &[k(Up), Key::char('k')], Action::Up, "", "Up", ""),
    bind(Reading, &[k(PageDown), Key::char(' ')], Action::PageDown, "", "A page down", ""),
    bind(Reading, &[k(PageUp), Key::char('b')], Action::PageUp, "", "A page up", ""),
    bind(Reading, &[k(Home), Key::char('g')], Action::Top, "", "To the top", ""),
    bind(Reading, &[k(End), Key::char('G')], Action::Bottom, "", "To the end", ""),
    bind(Editor, &[Key::ctrl('s'), f(2)], Action::Save, "", "Save and close", "save"),
    bind(
        Editor,
        &[k(Esc), Key::ctrl('c')],
        Action::Close,
        "",
        "Close without saving (asks, if something changed)",
        "cancel",
    ),
    bind(Editor, &[k(Tab)], Action::Complete, "", "Complete a directive; else four blanks", ""),
    bind(
        Editor,
        &[Key::ctrl('e'), f(4)],
        Action::NextFault,
        "",
        "To the next line that a server would refuse",
        "next error",
    ),
    bind(Editor, &[Key::ctrl('z')], Action::Edit(Edit::Undo), "", "Undo", "undo"),
    bind(Editor, &[Key::ctrl('k')], Action::Edit(Edit::KillLine), "", "Cut the line", "cut line"),
    bind(Editor, &[Key::ctrl('y')], Action::Edit(Edit::Yank), "", "Put back what was cut", ""),
];

/// What `key` does in `place`: its own bindings first, then (outside of overlays) those that hold everywhere.
pub fn action(place: Place, key: Key) -> Option<Action> {
    let find = |place| BINDINGS.iter().find(|binding| binding.place == place && binding.keys.contains(&key));
    let over = matches!(place, List | Reading | Editor);
    find(place).or_else(|| if over { None } else { find(Everywhere) }).map(|binding| binding.action)
}

/// The first key that does `action`.
pub fn key_of(action: Action) -> Option<Key> {
    BINDINGS.iter().find(|binding| binding.action == action).and_then(|binding| binding.keys.first()).copied()
}

/// The bindings that the hint bar shows in `place`, most useful first.
pub fn hints(place: Place) -> impl Iterator<Item = &'static Binding> {
    let over = matches!(place, List | Reading | Editor);
    let of =
        move |wanted: Place| BINDINGS.iter().filter(move |binding| binding.place == wanted && !binding.bar.is_empty());
    of(place).chain(of(Everywhere).filter(move |_| !over))
}

/// The table as Markdown, for the README.
pub fn markdown() -> String {
    let mut out = String::from("| key | what it does |\n| --- | --- |\n");
    for binding in
        BINDINGS.iter().filter(|binding| matches!(binding.place, Everywhere | Pane) && !binding.keys.is_empty())
    {
        let keys: Vec<String> = binding.keys.iter().map(|key| format!("`{key}`")).collect();
        out.push_str(&format!("| {} | {} |\n", keys.join(" "), binding.says));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for place in [Everywhere, Input, Pane, List, Reading, Editor] {
            let keys: Vec<Key> = BINDINGS.iter().filter(|b| b.place == place).flat_map(|b| b.keys).copied().collect();
            for (i, key) in keys.iter().enumerate() {
                assert!(!keys[i + 1..].contains(key), "{key} twice in {place:?}");
            }
        }
        // At the prompt nothing hides a key that is promised to work everywhere.
        for binding in BINDINGS.iter().filter(|b| b.place == Everywhere) {
            for key in binding.keys {
                assert!(!BINDINGS.iter().any(|b| b.place == Input && b.keys.contains(key)), "{key}");
            }
        }
    }

    #[test]
    fn what_works_everywhere_has_a_second_way() {
        // A name in the palette counts, and so does a second key; scrolling has the lesson pane and the mouse wheel.
        let lonely: Vec<&str> = BINDINGS
            .iter()
            .filter(|b| b.place == Everywhere && b.keys.len() < 2 && b.name.is_empty())
            .map(|b| b.says)
            .collect();
        assert!(lonely.iter().all(|says| says.starts_with("Lesson:") || says.starts_with("Cancel")), "{lonely:?}");
    }

    #[test]
    fn no_binding_at_the_prompt_takes_a_letter() {
        assert!(
            BINDINGS
                .iter()
                .filter(|b| matches!(b.place, Input | Everywhere | Editor | List))
                .flat_map(|b| b.keys)
                .all(|key| !matches!(key, Key { code: Code::Char(_), ctrl: false, alt: false }))
        );
    }

    /// `REDLAB_README=1 cargo test --lib readme` writes the table anew.
    #[test]
    fn the_readme_shows_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, rest) = text.split_once("<!-- keys:").expect("the README has a place for the keys");
        let (mark, rest) = rest.split_once("-->\n").expect("the mark ends");
        let (table, after) = rest.split_once("<!-- /keys -->").expect("the place ends");
        if std::env::var_os("REDLAB_README").is_some() {
            let text = format!("{before}<!-- keys:{mark}-->\n\n{}\n<!-- /keys -->{after}", markdown());
            std::fs::write(path, text).unwrap();
            return;
        }
        assert_eq!(table.trim(), markdown().trim(), "REDLAB_README=1 cargo test --lib readme");
    }
}

//! What things look like: a role has a style, and a theme is a table of them.
//!
//! Only the 16 colours of the terminal are used, on its own background, so that a person's own colours hold. Nothing is
//! said by colour alone: beside each coloured thing stand words or a symbol, and `mono` (NO_COLOR) drops the colours only.

use crate::console::Class;
use ratatui::style::{Color, Modifier, Style};

/// What a piece of the screen means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Text,
    /// Secondary words.
    Dim,
    /// Rules between panes.
    Rule,
    /// The rule of the pane that has the focus.
    Focus,
    Heading,
    Strong,
    Emphasis,
    Code,
    /// Names of keys on the keyboard.
    Chord,
    Good,
    Bad,
    Warn,
    /// The lab speaks.
    Note,
    Prompt,
    Number,
    /// What could be typed: a grey continuation of the line.
    Ghost,
    /// What just changed.
    Changed,
    Selected,
    Bar,
    BarLow,
    /// The terminals, by letter; those behind D begin anew.
    LaneA,
    LaneB,
    LaneC,
    LaneD,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Dark,
    Light,
    HighContrast,
    Mono,
}

impl Kind {
    pub const ALL: [(&'static str, Kind); 4] =
        [("dark", Kind::Dark), ("light", Kind::Light), ("high-contrast", Kind::HighContrast), ("mono", Kind::Mono)];

    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// All of them, for messages.
    pub fn names() -> String {
        Kind::ALL.map(|(name, _)| name).join(", ")
    }

    pub fn name(self) -> &'static str {
        Kind::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// The theme after this one, for the key that walks through them.
    pub fn next(self) -> Kind {
        let at = Kind::ALL.iter().position(|(_, kind)| *kind == self).unwrap_or(0);
        Kind::ALL[(at + 1) % Kind::ALL.len()].1
    }
}

/// A theme and the symbols it draws with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Theme {
    pub kind: Kind,
    pub symbols: &'static Symbols,
}

/// Everything drawn that is not a letter. Each is one column wide.
#[derive(PartialEq, Eq, Debug)]
pub struct Symbols {
    pub rule: &'static str,
    pub wall: &'static str,
    /// Upper right, lower left, lower right, and upper left.
    pub corners: [&'static str; 4],
    /// Before the title of the pane that has the focus.
    pub focus: &'static str,
    pub met: &'static str,
    pub unmet: &'static str,
    pub here: &'static str,
    pub more: &'static str,
    pub cut: &'static str,
    pub bullet: &'static str,
    pub full: &'static str,
    pub empty: &'static str,
    pub dot: &'static str,
    /// A write on the platter, in the page cache, in memory only.
    pub layers: [&'static str; 3],
    pub quote: &'static str,
    pub arrow: &'static str,
    /// There is something above.
    pub less: &'static str,
    /// In a lane: in MULTI, watching, waiting for an answer, broken.
    pub lanes: [&'static str; 4],
}

pub const UNICODE: Symbols = Symbols {
    rule: "─",
    wall: "│",
    corners: ["┐", "└", "┘", "┌"],
    focus: "▸",
    met: "✓",
    unmet: "○",
    here: "›",
    more: "↓",
    cut: "…",
    bullet: "•",
    full: "█",
    empty: "░",
    dot: "·",
    layers: ["█", "▒", "·"],
    quote: "▎",
    arrow: "→",
    less: "↑",
    lanes: ["┃", "┆", "…", "✗"],
};

pub const ASCII: Symbols = Symbols {
    rule: "-",
    wall: "|",
    corners: ["+", "+", "+", "+"],
    focus: ">",
    met: "x",
    unmet: "-",
    here: ">",
    more: "v",
    cut: "~",
    bullet: "*",
    full: "#",
    empty: ".",
    dot: "-",
    layers: ["#", "+", "."],
    quote: "|",
    arrow: ">",
    less: "^",
    lanes: ["|", ":", "~", "x"],
};

/// Role, then dark, light and high contrast. Where a hue reads badly on a light ground (cyan, yellow) light has another.
type Row = (Role, Style, Style, Style);
const PLAIN: Style = Style::new();
const fn fg(colour: Color) -> Style {
    Style::new().fg(colour)
}
const BOLD: Modifier = Modifier::BOLD;

const TABLE: &[Row] = &[
    (Role::Text, PLAIN, PLAIN, PLAIN),
    (Role::Dim, PLAIN.add_modifier(Modifier::DIM), PLAIN.add_modifier(Modifier::DIM), PLAIN),
    (Role::Rule, fg(Color::DarkGray), fg(Color::DarkGray), PLAIN),
    (Role::Focus, fg(Color::Cyan).add_modifier(BOLD), fg(Color::Blue).add_modifier(BOLD), PLAIN.add_modifier(BOLD)),
    (Role::Heading, fg(Color::Cyan).add_modifier(BOLD), fg(Color::Blue).add_modifier(BOLD), PLAIN.add_modifier(BOLD)),
    (Role::Strong, PLAIN.add_modifier(BOLD), PLAIN.add_modifier(BOLD), PLAIN.add_modifier(BOLD)),
    (
        Role::Emphasis,
        PLAIN.add_modifier(Modifier::ITALIC),
        PLAIN.add_modifier(Modifier::ITALIC),
        PLAIN.add_modifier(Modifier::UNDERLINED),
    ),
    (Role::Code, fg(Color::Cyan), fg(Color::Blue), PLAIN.add_modifier(BOLD)),
    (Role::Chord, PLAIN.add_modifier(BOLD), PLAIN.add_modifier(BOLD), PLAIN.add_modifier(BOLD)),
    (Role::Good, fg(Color::Green), fg(Color::Green), PLAIN.add_modifier(BOLD)),
    (Role::Bad, fg(Color::LightRed), fg(Color::Red), PLAIN.add_modifier(BOLD)),
    (Role::Warn, fg(Color::LightMagenta), fg(Color::Magenta), PLAIN.add_modifier(BOLD)),
    (Role::Note, fg(Color::LightBlue), fg(Color::Blue), PLAIN),
    (Role::Prompt, PLAIN.add_modifier(Modifier::DIM), PLAIN.add_modifier(Modifier::DIM), PLAIN),
    (Role::Number, fg(Color::Cyan), fg(Color::Blue), PLAIN),
    (Role::Ghost, fg(Color::DarkGray), fg(Color::DarkGray), PLAIN.add_modifier(Modifier::ITALIC)),
    (Role::Changed, fg(Color::Green).add_modifier(BOLD), fg(Color::Green).add_modifier(BOLD), PLAIN.add_modifier(BOLD)),
    (
        Role::Selected,
        PLAIN.add_modifier(Modifier::REVERSED),
        PLAIN.add_modifier(Modifier::REVERSED),
        PLAIN.add_modifier(Modifier::REVERSED),
    ),
    (Role::Bar, fg(Color::Green), fg(Color::Green), PLAIN),
    (Role::BarLow, fg(Color::LightRed), fg(Color::Red), PLAIN.add_modifier(BOLD)),
    (Role::LaneA, fg(Color::Cyan).add_modifier(BOLD), fg(Color::Blue).add_modifier(BOLD), PLAIN.add_modifier(BOLD)),
    (
        Role::LaneB,
        fg(Color::LightMagenta).add_modifier(BOLD),
        fg(Color::Magenta).add_modifier(BOLD),
        PLAIN.add_modifier(BOLD),
    ),
    (
        Role::LaneC,
        fg(Color::LightGreen).add_modifier(BOLD),
        fg(Color::Green).add_modifier(BOLD),
        PLAIN.add_modifier(BOLD),
    ),
    (Role::LaneD, fg(Color::LightRed).add_modifier(BOLD), fg(Color::Red).add_modifier(BOLD), PLAIN.add_modifier(BOLD)),
];

impl Theme {
    pub fn new(kind: Kind, ascii: bool) -> Theme {
        Theme { kind, symbols: if ascii { &ASCII } else { &UNICODE } }
    }

    pub fn style(&self, role: Role) -> Style {
        let row = TABLE.iter().find(|row| row.0 == role).expect("the table has every role (tested)");
        match self.kind {
            Kind::Dark => row.1,
            Kind::Light => row.2,
            Kind::HighContrast => row.3,
            Kind::Mono => Style { fg: None, bg: None, underline_color: None, ..row.1 },
        }
    }

    /// The colour of the terminal with this index; its letter stands beside it wherever it is used.
    pub fn lane(&self, terminal: usize) -> Style {
        self.style([Role::LaneA, Role::LaneB, Role::LaneC, Role::LaneD][terminal % 4])
    }

    /// What a terminal of the lab printed.
    pub fn class(&self, class: Class) -> Style {
        self.style(match class {
            Class::Plain | Class::Str | Class::Status => Role::Text,
            Class::Prompt => Role::Prompt,
            Class::Echo => Role::Strong,
            Class::Error | Class::Bad => Role::Bad,
            Class::Int => Role::Number,
            Class::Nil | Class::Index | Class::Dim | Class::Log => Role::Dim,
            Class::Note => Role::Note,
            Class::Good => Role::Good,
            Class::Key => Role::Code,
            Class::Title => Role::Heading,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_style_in_every_theme() {
        // Casting walks through all variants: LaneD is the last.
        assert_eq!(TABLE.len(), Role::LaneD as usize + 1);
        for (_, kind) in Kind::ALL {
            for row in TABLE {
                let style = Theme::new(kind, false).style(row.0);
                assert!(kind != Kind::Mono || style.fg.is_none() && style.bg.is_none());
            }
        }
    }

    #[test]
    fn every_symbol_is_one_column_and_the_ascii_ones_are_ascii() {
        for symbols in [&UNICODE, &ASCII] {
            let all = [
                symbols.rule,
                symbols.wall,
                symbols.focus,
                symbols.met,
                symbols.unmet,
                symbols.here,
                symbols.more,
                symbols.cut,
                symbols.bullet,
                symbols.full,
                symbols.empty,
                symbols.dot,
                symbols.quote,
                symbols.arrow,
                symbols.less,
            ];
            for symbol in all.iter().chain(&symbols.layers).chain(&symbols.lanes).chain(&symbols.corners) {
                assert_eq!(unicode_width::UnicodeWidthStr::width(*symbol), 1, "{symbol}");
                assert!(!std::ptr::eq(symbols, &ASCII) || symbol.is_ascii());
            }
        }
    }
}

//! Lines of a terminal as text with colours, for a real terminal. Only the sixteen colours of the user's own theme are used.

use crate::assist::Token;
use crate::console::{Class, Line};

/// Whether to colour at all: not with NO_COLOR set, nor on a terminal that knows none.
pub fn wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

pub fn line(line: &Line, colour: bool) -> String {
    if !colour {
        return line.text();
    }
    line.0.iter().map(|span| wrap(of_class(span.class), &span.text)).collect()
}

/// `text` between the SGR code `code` and the one that ends it; as it is for the empty code.
pub fn wrap(code: &str, text: &str) -> String {
    if code.is_empty() || text.is_empty() { text.to_owned() } else { format!("\x1b[{code}m{text}\x1b[0m") }
}

fn of_class(class: Class) -> &'static str {
    match class {
        Class::Plain | Class::Prompt | Class::Echo => "",
        Class::Status | Class::Good => "32",
        Class::Error | Class::Bad => "31",
        Class::Int => "36",
        Class::Str => "",
        Class::Nil | Class::Index | Class::Dim | Class::Log => "90",
        Class::Note => "35",
        Class::Key => "33",
        Class::Title => "1",
    }
}

pub fn of_token(token: Token) -> &'static str {
    match token {
        Token::Command => "1",
        Token::Unknown | Token::Fault => "31",
        Token::Option => "36",
        Token::Key => "33",
        Token::Number => "34",
        Token::Quoted => "32",
        Token::Lab => "35",
        Token::Count => "90",
        Token::Value => "",
    }
}

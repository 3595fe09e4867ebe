//! Replies as lines of a terminal, in the form that redis-cli was asked for.

use super::line::{Class, Line, Span};
use crate::resp::Reply;
use crate::resp::render::{self, Form, Part};

/// What redis-cli prints for `reply`; `raw` if the command is one of those whose answer it prints as it is.
pub(super) fn reply(reply: &Reply, form: Form, raw: bool) -> Vec<Line> {
    match form {
        _ if raw => text(&render::raw(reply)),
        Form::Tty => for_people(reply),
        _ => text(&render::text(reply, form)),
    }
}

/// `bytes` as lines; a newline at the end begins none.
pub(super) fn text(bytes: &[u8]) -> Vec<Line> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = Line::split(Class::Plain, &text);
    if lines.last().is_some_and(|line| line.text().is_empty()) {
        lines.pop();
    }
    lines
}

fn for_people(reply: &Reply) -> Vec<Line> {
    let (mut lines, mut spans) = (Vec::new(), Vec::new());
    render::tty_parts(reply, &mut |part, text| match class(part) {
        None => lines.push(Line(std::mem::take(&mut spans))),
        // Only these can hold line breaks: a server wrote them.
        Some(class) => {
            for (i, piece) in text.split('\n').enumerate() {
                if i > 0 {
                    lines.push(Line(std::mem::take(&mut spans)));
                }
                spans.push(Span::new(class, piece.strip_suffix('\r').unwrap_or(piece)));
            }
        }
    });
    lines
}

/// None where a line ends.
fn class(part: Part) -> Option<Class> {
    Some(match part {
        Part::Status => Class::Status,
        Part::Error => Class::Error,
        Part::Int | Part::Double | Part::Bool => Class::Int,
        Part::Str => Class::Str,
        Part::Verbatim => Class::Plain,
        Part::Nil | Part::Empty => Class::Nil,
        Part::Index | Part::Arrow => Class::Index,
        Part::NewLine => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_see_is_the_text_of_the_form_with_classes() {
        let answer = Reply::Array(vec![Reply::Int(1), Reply::Array(vec![Reply::bulk("a\x1b"), Reply::Nil])]);
        let lines = reply(&answer, Form::Tty, false);
        let text: Vec<String> = lines.iter().map(Line::text).collect();
        assert_eq!(text, ["1) (integer) 1", "2) 1) \"a\\x1b\"", "   2) (nil)"]);
        assert_eq!(lines[0].0[1].class, Class::Int);
    }

    #[test]
    fn a_server_cannot_smuggle_control_bytes() {
        for evil in [
            Reply::error("ERR \x1b[2J"),
            Reply::Status("\x1b]0;x\x07\ny".into()),
            Reply::Verbatim("txt", "a\x1bb".into()),
        ] {
            for form in [Form::Tty, Form::Raw, Form::Csv, Form::Json] {
                let lines = reply(&evil, form, false);
                assert!(lines.iter().all(|line| !line.text().contains(char::is_control)), "{lines:?}");
            }
        }
    }
}

//! `help` at the redis prompt, from the command table: laid out as redis-cli lays it out.

use super::line::{Class, Line};
use crate::base::Bytes;
use crate::engine::command::Command;
use crate::engine::{commands, syntax};

/// `help`, `help @group`, `help command`: `words` is what stands behind `help`.
pub(super) fn page(words: &[Bytes]) -> Vec<Line> {
    let Some(first) = words.first() else { return GENERAL.iter().map(Line::plain).collect() };
    let mut lines = Vec::new();
    let all = commands::table().values().map(|entry| entry.command);
    if let Some(group) = first.strip_prefix(b"@") {
        let group = String::from_utf8_lossy(group).to_ascii_lowercase();
        all.filter(|command| command.group.name() == group).for_each(|command| entry(&mut lines, command, false));
    } else {
        all.filter(|command| is_prefix(words, command.name)).for_each(|command| entry(&mut lines, command, true));
    }
    lines.push(Line::plain(""));
    lines
}

const GENERAL: &[&str] = &[
    "redis-cli 7.0.15",
    "To get help about Redis commands type:",
    "      \"help @<group>\" to get a list of commands in <group>",
    "      \"help <command>\" for help on <command>",
    "      \"help <tab>\" to get a list of possible help topics",
    "      \"quit\" to exit",
    "",
    "To set redis-cli preferences:",
    "      \":set hints\" enable online hints",
    "      \":set nohints\" disable online hints",
    "Set your preferences in ~/.redisclirc",
];

fn is_prefix(words: &[Bytes], name: &str) -> bool {
    let mut parts = name.split(' ');
    words.iter().all(|word| parts.next().is_some_and(|part| word.eq_ignore_ascii_case(part.as_bytes())))
}

fn entry(lines: &mut Vec<Line>, command: &Command, with_group: bool) {
    lines.push(Line::plain(""));
    lines.push(
        Line::plain("  ")
            .and(Class::Title, command.name)
            .and(Class::Plain, " ")
            .and(Class::Dim, syntax::text(&syntax::parse(command.syntax))),
    );
    let mut fact = |name: &str, text: &str| {
        lines.push(Line::plain("  ").and(Class::Key, name).and(Class::Plain, format!(" {text}")))
    };
    fact("summary:", command.summary.trim_end_matches('.'));
    fact("since:", command.since);
    if with_group {
        fact("group:", command.group.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(words: &[&str]) -> Vec<String> {
        page(&words.iter().map(|&word| Bytes::from(word)).collect::<Vec<_>>()).iter().map(Line::text).collect()
    }

    #[test]
    fn a_command_has_a_page_and_a_group_has_a_list() {
        let get = page_of(&["get"]);
        assert_eq!(get[0..2], ["", "  GET key"]);
        assert!(get[2].starts_with("  summary: ") && get[4] == "  group: string" && get[5].is_empty(), "{get:?}");
        assert!(page_of(&["@STRING"]).contains(&"  GET key".to_owned()));
        assert_eq!(page_of(&["nonsense"]), [""]);
        assert_eq!(page_of(&[])[0], "redis-cli 7.0.15");
    }
}

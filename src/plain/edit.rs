//! Editing a file by lines: the plain lab's editor.
//!
//! In a config file a directive with its value is all that is typed: it takes the place of the line that set it before, or comes
//! at the end. Lines can also be replaced and removed by their number.

pub const HOW: &str = "Type a line: in a .conf file a directive replaces the line that sets it, else the line is added at the \
end. `3 TEXT` replaces line 3, `-3` removes it, `:list` shows the file, `:empty` begins with nothing. A single dot saves, \
`:cancel` leaves the file as it was.";

/// Directives of which a file may hold several: each is added, none is replaced.
const SEVERAL: &[&str] = &["save", "include", "user", "rename-command", "loadmodule", "client-output-buffer-limit"];

pub struct Sheet {
    pub path: String,
    lines: Vec<String>,
}

/// What a line came to.
#[derive(Debug, PartialEq)]
pub enum Turn {
    Say(Vec<String>),
    Save,
    Leave,
}

impl Sheet {
    pub fn new(path: &str, text: &str) -> Sheet {
        Sheet { path: path.to_owned(), lines: text.lines().map(str::to_owned).collect() }
    }

    /// The file, every line ended.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The lines with their numbers.
    pub fn listing(&self) -> Vec<String> {
        let mut said = vec![format!("{} holds {} lines:", self.path, self.lines.len())];
        said.extend(self.lines.iter().enumerate().map(|(i, line)| format!("{}: {}", i + 1, line)));
        said
    }

    pub fn take(&mut self, typed: &str) -> Turn {
        let line = typed.trim();
        match line {
            "." => return Turn::Save,
            ":cancel" => return Turn::Leave,
            ":list" => return Turn::Say(self.listing()),
            ":empty" => {
                self.lines.clear();
                return Turn::Say(vec!["The file is empty now.".to_owned()]);
            }
            _ => {}
        }
        if let Some(number) = line.strip_prefix('-').and_then(|rest| rest.parse::<usize>().ok()) {
            return self.at(number, |lines, at| format!("Line {number} removed: {}", lines.remove(at)));
        }
        if let Some((number, text)) = line.split_once(' ')
            && let Ok(number) = number.parse::<usize>()
        {
            return self.at(number, |lines, at| {
                lines[at] = text.to_owned();
                format!("Line {number} is now: {text}")
            });
        }
        let name = |text: &str| text.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
        let directive = name(line);
        let replaces = self.path.ends_with(".conf") && !directive.is_empty() && !SEVERAL.contains(&directive.as_str());
        match self.lines.iter().rposition(|old| replaces && name(old) == directive) {
            Some(at) => {
                let old = std::mem::replace(&mut self.lines[at], typed.to_owned());
                Turn::Say(vec![format!("Line {}: {line} instead of {}", at + 1, old.trim())])
            }
            None => {
                self.lines.push(typed.to_owned());
                Turn::Say(vec![format!("Line {} added: {line}", self.lines.len())])
            }
        }
    }

    fn at(&mut self, number: usize, change: impl FnOnce(&mut Vec<String>, usize) -> String) -> Turn {
        match number.checked_sub(1).filter(|at| *at < self.lines.len()) {
            Some(at) => Turn::Say(vec![change(&mut self.lines, at)]),
            None => Turn::Say(vec![format!("There is no line {number}; there are {}.", self.lines.len())]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_replaces_the_line_that_sets_it_and_save_adds_up() {
        let mut sheet = Sheet::new("cache.conf", "port 6380\nmaxmemory 1mb\nsave 60 1\n");
        assert_eq!(
            sheet.take("maxmemory 2mb"),
            Turn::Say(vec!["Line 2: maxmemory 2mb instead of maxmemory 1mb".into()])
        );
        sheet.take("save 900 10");
        sheet.take("appendonly yes");
        assert_eq!(sheet.text(), "port 6380\nmaxmemory 2mb\nsave 60 1\nsave 900 10\nappendonly yes\n");
        assert_eq!(sheet.take("."), Turn::Save);
    }

    #[test]
    fn lines_go_by_number_and_nothing_breaks_on_numbers_that_are_not_there() {
        let mut sheet = Sheet::new("sell.txt", "GET stock\nSET stock 4\n");
        sheet.take("2 DECR stock");
        sheet.take("-1");
        assert_eq!(sheet.text(), "DECR stock\n");
        for odd in ["-0", "-9", "7 x", "0 x"] {
            assert!(matches!(sheet.take(odd), Turn::Say(said) if said[0].starts_with("There is no line")), "{odd}");
        }
        sheet.take(":empty");
        assert_eq!((sheet.text(), sheet.take(":cancel")), (String::new(), Turn::Leave));
    }
}

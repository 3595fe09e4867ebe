//! What stands behind `|` and `>` at the `$` shell: a few filters on lines, and a file to write to.

use crate::base::Bytes;
use crate::port::Backend;

/// Where a command's output goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe {
    pub filters: Vec<Filter>,
    pub file: Option<(String, Mode)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Replace,
    Append,
}

#[derive(Clone, Debug)]
pub(super) enum Filter {
    Grep {
        pattern: String,
        ignore_case: bool,
        invert: bool,
        count: bool,
    },
    Head(usize),
    Tail(usize),
    /// wc: lines, or bytes.
    Count {
        bytes: bool,
    },
    Sort,
    Uniq,
}

impl Pipe {
    /// True if the output is a terminal: nothing stands behind the command.
    pub fn is_terminal(&self) -> bool {
        self.filters.is_empty() && self.file.is_none()
    }

    /// Splits `words` into the command and where its output goes.
    pub fn split(words: &[Bytes]) -> Result<(Vec<Bytes>, Pipe), String> {
        let mut pipe = Pipe::default();
        let mut words = words.to_vec();
        if let Some(at) = words.iter().position(|word| word == ">" || word == ">>") {
            let mode = if words[at] == ">" { Mode::Replace } else { Mode::Append };
            let [_, path] = &words[at..] else {
                return Err("bash: syntax error near unexpected token `newline'".to_owned());
            };
            pipe.file = Some((path.lossy().into_owned(), mode));
            words.truncate(at);
        }
        let mut stages = words.split(|word| word == "|");
        let command = stages.next().unwrap_or_default().to_vec();
        for stage in stages {
            pipe.filters.push(Filter::parse(stage)?);
        }
        Ok((command, pipe))
    }

    /// What is left of `output` for the terminal.
    pub fn send(&self, output: Vec<u8>, backend: &mut dyn Backend) -> Result<Vec<u8>, String> {
        let output = self.filters.iter().fold(output, |output, filter| filter.apply(output));
        let Some((path, mode)) = &self.file else { return Ok(output) };
        let mut contents = if *mode == Mode::Append { backend.read_file(path).unwrap_or_default() } else { Vec::new() };
        contents.extend(output);
        backend.write_file(path, &contents).map_err(|error| format!("bash: {path}: {error}"))?;
        Ok(Vec::new())
    }
}

impl Filter {
    fn parse(stage: &[Bytes]) -> Result<Filter, String> {
        let words: Vec<String> = stage.iter().map(|word| word.lossy().into_owned()).collect();
        let Some((name, rest)) = words.split_first() else {
            return Err("bash: syntax error near unexpected token `|'".to_owned());
        };
        let (flags, plain): (Vec<&str>, Vec<&str>) =
            rest.iter().map(String::as_str).partition(|word| word.len() > 1 && word.starts_with('-'));
        let has = |flag: char| flags.iter().any(|word| word.contains(flag));
        let number = || {
            let digits = rest.iter().map(|word| word.trim_start_matches(['-', 'n'])).find(|word| !word.is_empty());
            // With a plus, which a number may have for Rust, it would count from the other end.
            let count = |digits: &str| digits.parse().ok().filter(|_| !digits.starts_with('+'));
            digits.map_or(Some(10), count).ok_or_else(|| format!("{name}: invalid number of lines"))
        };
        let (known, words_max) = match name.as_str() {
            "grep" => ("civEFahs", 1),
            "head" | "tail" => ("n0123456789", usize::from(has('n'))),
            "wc" => ("cl", 0),
            "sort" | "uniq" => ("", 0),
            _ => {
                return Err(format!(
                    "bash: {name}: command not found (behind `|` the lab knows grep, head, tail, wc, sort, uniq)"
                ));
            }
        };
        // What is not understood is said: else it would look as if it had been done.
        if let Some(odd) = flags.iter().flat_map(|word| word[1..].chars()).find(|flag| !known.contains(*flag)) {
            return Err(format!("{name}: invalid option -- '{odd}' (the lab's {name} knows few)"));
        }
        if let Some(extra) = plain.get(words_max) {
            return Err(format!("{name}: {extra}: the lab's {name} reads one file, or what a pipe brings"));
        }
        Ok(match name.as_str() {
            "grep" => {
                let pattern = (*plain.first().ok_or("usage: grep [-civ] WORDS")?).to_owned();
                Filter::Grep { pattern, ignore_case: has('i'), invert: has('v'), count: has('c') }
            }
            "head" => Filter::Head(number()?),
            "tail" => Filter::Tail(number()?),
            "wc" => Filter::Count { bytes: has('c') },
            "sort" => Filter::Sort,
            _ => Filter::Uniq,
        })
    }

    fn apply(&self, output: Vec<u8>) -> Vec<u8> {
        let mut lines: Vec<&[u8]> = output.split(|&byte| byte == b'\n').collect();
        if lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        match self {
            Filter::Grep { pattern, ignore_case, invert, count } => {
                let fold = |text: &str| if *ignore_case { text.to_lowercase() } else { text.to_owned() };
                let wanted = fold(pattern);
                lines.retain(|line| contains(&fold(&String::from_utf8_lossy(line)), &wanted) != *invert);
                if *count {
                    return format!("{}\n", lines.len()).into_bytes();
                }
            }
            Filter::Head(n) => lines.truncate(*n),
            Filter::Tail(n) => drop(lines.drain(..lines.len().saturating_sub(*n))),
            Filter::Count { bytes: true } => return format!("{}\n", output.len()).into_bytes(),
            Filter::Count { bytes: false } => return format!("{}\n", lines.len()).into_bytes(),
            Filter::Sort => lines.sort(),
            Filter::Uniq => lines.dedup(),
        }
        let mut kept = lines.join(&b'\n');
        if !lines.is_empty() {
            kept.push(b'\n');
        }
        kept
    }
}

/// Plain words, with `^` and `$` for a line's ends and `\|` or `|` between alternatives: what learners type.
fn contains(line: &str, pattern: &str) -> bool {
    pattern.replace("\\|", "|").split('|').any(|part| match (part.strip_prefix('^'), part.strip_suffix('$')) {
        (Some(_), Some(_)) => line == &part[1..part.len() - 1],
        (Some(start), None) => line.starts_with(start),
        (None, Some(end)) => line.ends_with(end),
        (None, None) => line.contains(part),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::quote;

    fn filtered(line: &str, text: &str) -> String {
        let (_, pipe) = Pipe::split(&quote::split(line.as_bytes()).unwrap()).unwrap();
        let output = pipe.filters.iter().fold(text.as_bytes().to_vec(), |output, filter| filter.apply(output));
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn filters_work_on_lines() {
        let text = "used_memory:5\nmaxmemory:0\nUsed:1\n";
        assert_eq!(filtered("x | grep used", text), "used_memory:5\n");
        assert_eq!(filtered("x | grep -i ^used | sort", text), "Used:1\nused_memory:5\n");
        assert_eq!(filtered("x | grep -v memory", text), "Used:1\n");
        assert_eq!(filtered("x | grep -c memory", text), "2\n");
        assert_eq!(filtered("x | head -n 1", text), "used_memory:5\n");
        assert_eq!(filtered("x | tail -1 | wc -l", text), "1\n");
    }

    #[test]
    fn a_broken_pipe_is_refused() {
        for line in [
            "a |",
            "a | frob",
            "a >",
            "a > b c",
            "a | grep",
            "a | grep -A 2 b",
            "a | grep b c",
            "a | head -n x",
            "a | tail -n +3",
            "a | head 3",
            "a | wc -w",
            "a | sort b",
        ] {
            assert!(Pipe::split(&quote::split(line.as_bytes()).unwrap()).is_err(), "{line}");
        }
    }
}

//! The `$` words that look at and change files: ls, cat, mkdir, rm, cp, mv, echo, sed, truncate.

use crate::base::Bytes;
use crate::port::Backend;

/// What a word prints, or the complaint of the program.
pub(super) type Output = Result<Vec<u8>, String>;

/// Of a file larger than this only the beginning is printed to a terminal.
const SHOWN_MAX: usize = 256 * 1024;

pub(super) fn ls(words: &[Bytes], backend: &dyn Backend) -> Output {
    let flags = words.iter().filter(|word| word.starts_with(b"-")).flat_map(|word| word[1..].iter());
    if let Some(odd) = flags.copied().find(|flag| !b"alhtrR1AF-".contains(flag)) {
        return Err(format!("ls: invalid option -- '{}'", char::from(odd)));
    }
    let long = words.iter().any(|word| word.starts_with(b"-") && word.contains(&b'l'));
    let dir = words.iter().find(|word| !word.starts_with(b"-")).map_or(String::new(), |word| word.lossy().into_owned());
    let dir = dir.trim_start_matches("./").trim_end_matches('/');
    let dir = if dir == "." { "" } else { dir };
    let paths = backend.list_files(dir);
    if paths.is_empty() && !dir.is_empty() {
        if is_dir(dir, backend) {
            return Ok(Vec::new());
        }
        return match backend.read_file(dir) {
            Ok(contents) => Ok(entry(dir, contents.len(), long)),
            Err(_) => Err(format!("ls: cannot access '{dir}': No such file or directory")),
        };
    }
    let mut out = Vec::new();
    let mut last_dir = String::new();
    for path in &paths {
        match path.split_once('/') {
            Some((first, _)) if first == last_dir => {}
            Some((first, _)) => {
                last_dir = first.to_owned();
                out.extend(format!("{first}/\n").into_bytes());
            }
            None if long => {
                out.extend(entry(path, backend.read_file(&join(dir, path)).map_or(0, |file| file.len()), true))
            }
            None => out.extend(entry(path, 0, false)),
        }
    }
    Ok(out)
}

/// Also where there is nothing in it: then it stands in the list of what it is in.
fn is_dir(path: &str, backend: &dyn Backend) -> bool {
    let empty = format!("{}/", path.trim_start_matches("./").trim_end_matches('/'));
    !backend.list_files(path).is_empty() || backend.list_files("").contains(&empty)
}

fn entry(name: &str, len: usize, long: bool) -> Vec<u8> {
    if long { format!("{len:>10} {name}\n") } else { format!("{name}\n") }.into_bytes()
}

fn join(dir: &str, path: &str) -> String {
    if dir.is_empty() { path.to_owned() } else { format!("{dir}/{path}") }
}

/// Whole files, one after the other; `limit` cuts what would flood a terminal.
pub(super) fn cat(words: &[Bytes], limit: bool, backend: &dyn Backend) -> Output {
    let mut out = Vec::new();
    for word in words {
        let path = word.lossy();
        out.extend(backend.read_file(&path).map_err(|error| format!("cat: {path}: {error}"))?);
    }
    if limit && out.len() > SHOWN_MAX {
        let more = out.len() - SHOWN_MAX;
        out.truncate(SHOWN_MAX);
        out.extend(format!("\n... and {more} bytes more\n").into_bytes());
    }
    Ok(out)
}

pub(super) fn rm(words: &[Bytes], backend: &mut dyn Backend) -> Output {
    let (flags, paths): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.starts_with(b"-"));
    let has = |letter: u8| flags.iter().any(|flag| flag.contains(&letter));
    let recursive = has(b'r') || has(b'R');
    if paths.is_empty() {
        return Err("rm: missing operand".to_owned());
    }
    for path in paths {
        let path = path.lossy().trim_end_matches('/').to_owned();
        let inside = backend.list_files(&path);
        let done = match inside.as_slice() {
            [] if recursive && backend.remove_file(&format!("{path}/")).is_ok() => Ok(()),
            // -f minds no file that is not there.
            [] if has(b'f') && backend.read_file(&path).is_err() => Ok(()),
            [] => backend.remove_file(&path).map_err(|error| format!("rm: cannot remove '{path}': {error}")),
            _ if !recursive => Err(format!("rm: cannot remove '{path}': Is a directory")),
            files => {
                // The directory goes last, with the empty ones in it.
                let paths = files.iter().filter(|file| !file.ends_with('/')).map(|file| join(&path, file));
                paths.chain([format!("{path}/")]).try_for_each(|path| {
                    backend.remove_file(&path).map_err(|error| format!("rm: cannot remove '{path}': {error}"))
                })
            }
        };
        done?;
    }
    Ok(Vec::new())
}

pub(super) fn mkdir(words: &[Bytes], backend: &mut dyn Backend) -> Output {
    let parents = words.iter().any(|word| word == "-p");
    let mut paths = words.iter().filter(|word| !word.starts_with(b"-")).peekable();
    if paths.peek().is_none() {
        return Err("mkdir: missing operand".to_owned());
    }
    for path in paths {
        let path = path.lossy();
        let steps =
            path.match_indices('/').map(|(at, _)| &path[..at]).filter(|_| parents).filter(|step| !step.is_empty());
        for step in steps.chain([path.as_ref()]) {
            match backend.make_dir(step) {
                Err(error) if !parents || !error.ends_with("File exists") => {
                    return Err(format!("mkdir: cannot create directory '{step}': {error}"));
                }
                _ => {}
            }
        }
    }
    Ok(Vec::new())
}

/// cp, and mv where `keep` is false.
pub(super) fn copy(words: &[Bytes], keep: bool, backend: &mut dyn Backend) -> Output {
    let name = if keep { "cp" } else { "mv" };
    let paths: Vec<_> =
        words.iter().filter(|word| !word.starts_with(b"-")).map(|word| word.lossy().into_owned()).collect();
    let [from, to] = paths.as_slice() else { return Err(format!("usage: {name} FROM TO")) };
    let contents = backend.read_file(from).map_err(|error| format!("{name}: cannot stat '{from}': {error}"))?;
    let to = match to.strip_suffix('/').or(Some(to).filter(|to| is_dir(to, backend)).map(String::as_str)) {
        Some(dir) => format!("{dir}/{}", from.rsplit('/').next().unwrap_or(from)),
        None => to.clone(),
    };
    backend.write_file(&to, &contents).map_err(|error| format!("{name}: cannot create '{to}': {error}"))?;
    if !keep && *from != to {
        backend.remove_file(from).map_err(|error| format!("mv: cannot remove '{from}': {error}"))?;
    }
    Ok(Vec::new())
}

/// `truncate -s SIZE FILE`, `-s -N` to cut N bytes off.
pub(super) fn truncate(words: &[Bytes], backend: &mut dyn Backend) -> Output {
    let words: Vec<_> = words.iter().map(|word| word.lossy().into_owned()).collect();
    let usage = || "usage: truncate -s SIZE FILE (SIZE: 100, or -5 for five bytes less)".to_owned();
    let [flag, size, path] = words.as_slice() else { return Err(usage()) };
    let (relative, digits) = match size.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, size.as_str()),
    };
    let n: usize = digits.parse().map_err(|_| usage())?;
    if flag != "-s" {
        return Err(usage());
    }
    let mut contents = backend.read_file(path).map_err(|error| format!("truncate: cannot open '{path}': {error}"))?;
    let len = if relative { contents.len().saturating_sub(n) } else { n };
    if len > 64 * 1024 * 1024 {
        return Err("truncate: the lab's disk takes no file that large".to_owned());
    }
    contents.resize(len, 0);
    backend.write_file(path, &contents).map_err(|error| format!("truncate: {path}: {error}"))?;
    Ok(Vec::new())
}

pub(super) fn echo(words: &[Bytes]) -> Output {
    let (newline, words) = match words {
        [flag, rest @ ..] if flag == "-n" => (false, rest),
        _ => (true, words),
    };
    let mut out = words.join(&b' ');
    if newline {
        out.push(b'\n');
    }
    Ok(out)
}

/// `sed [-i] 's/OLD/NEW/[g]' FILE`: OLD is plain text, with `^` and `$` for a line's ends and `.*` for the rest of it. Without
/// `-i` the file stays and the text is printed.
pub(super) fn sed(words: &[Bytes], backend: &mut dyn Backend) -> Output {
    let usage = || "usage: sed -i 's/OLD/NEW/' FILE".to_owned();
    let words: Vec<_> = words.iter().map(|word| word.lossy().into_owned()).filter(|word| word != "-e").collect();
    let (in_place, words) = match words.split_first() {
        Some((flag, rest)) if flag == "-i" => (true, rest),
        _ => (false, words.as_slice()),
    };
    let [script, path] = words else { return Err(usage()) };
    let mark = script.strip_prefix('s').and_then(|rest| rest.chars().next()).ok_or_else(usage)?;
    // A mark behind a backslash stands for itself.
    let hidden = script[1 + mark.len_utf8()..].replace(&format!("\\{mark}"), "\0");
    let parts: Vec<String> = hidden.split(mark).map(|part| part.replace('\0', &mark.to_string())).collect();
    let [old, new, flags] = parts.as_slice() else { return Err(usage()) };
    let text = backend.read_file(path).map_err(|error| format!("sed: can't read {path}: {error}"))?;
    let text: String = String::from_utf8_lossy(&text)
        .lines()
        .map(|line| replaced(line, old, new, flags.contains('g')) + "\n")
        .collect();
    if !in_place {
        return Ok(text.into_bytes());
    }
    backend.write_file(path, text.as_bytes()).map_err(|error| format!("sed: couldn't open file {path}: {error}"))?;
    Ok(Vec::new())
}

fn replaced(line: &str, old: &str, new: &str, all: bool) -> String {
    let (start, old) = old.strip_prefix('^').map_or((false, old), |old| (true, old));
    let (end, old) = old.strip_suffix('$').map_or((false, old), |old| (true, old));
    let (rest, old) = old.strip_suffix(".*").map_or((false, old), |old| (true, old));
    let mut found: Vec<usize> = match end && !rest {
        true => line.strip_suffix(old).map(str::len).into_iter().collect(),
        false => line.match_indices(old).map(|(at, _)| at).collect(),
    };
    found.retain(|at| !start || *at == 0);
    found.truncate(if all && !rest { found.len() } else { 1 });
    let mut out = String::new();
    let mut from = 0;
    for at in found {
        out.push_str(&line[from..at]);
        out.push_str(new);
        from = if rest { line.len() } else { at + old.len() };
    }
    out + &line[from..]
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn sed_replaces_plain_text_at_a_lines_ends_and_to_its_end() {
        for (line, old, new, all, expected) in [
            ("port 6379", "6379", "6380", false, "port 6380"),
            ("port 6379", "^port.*", "port 6380", false, "port 6380"),
            ("# port 6379", "^port.*", "x", false, "# port 6379"),
            ("a b a", "a", "c", true, "c b c"),
            ("a b a", "a$", "c", false, "a b c"),
            ("aaa", "aa$", "c", true, "ac"),
            ("aab", "^a$", "c", false, "aab"),
            ("maxmemory 1mb", "max", "min", false, "minmemory 1mb"),
        ] {
            assert_eq!(replaced(line, old, new, all), expected, "s/{old}/{new}/ {line}");
        }
    }
}

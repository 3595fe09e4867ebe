//! Commands that carry a password: they are never written to a history file, and not shown again.

use crate::base::{Bytes, quote};

/// Does `line`, typed at a redis prompt or behind `redis-cli` at the shell, carry a password? A line that cannot be split is judged by
/// its first words.
pub fn is_sensitive(line: &str) -> bool {
    let (pieces, _) = quote::pieces(line.as_bytes());
    let words: Vec<Bytes> = pieces.into_iter().map(|piece| piece.text).collect();
    let counted = words.len() > 1 && words[0].iter().all(u8::is_ascii_digit);
    let words = &words[usize::from(counted)..];
    if words.first().is_some_and(|word| *word == "redis-cli") {
        let flagged = words.iter().any(|word| *word == "-a" || *word == "--pass" || *word == "-u");
        return flagged || (1..words.len()).any(|at| is_sensitive_command(&words[at..]));
    }
    is_sensitive_command(words)
}

fn is_sensitive_command(words: &[Bytes]) -> bool {
    let word = |i: usize| words.get(i).map(|word| word.lossy().to_ascii_lowercase()).unwrap_or_default();
    let has = |names: &[&str], from: usize| (from..words.len()).any(|i| names.contains(&word(i).as_str()));
    match word(0).as_str() {
        "auth" => true,
        "acl" => matches!(word(1).as_str(), "setuser" | "getuser" | "deluser"),
        "config" if word(1) == "set" => {
            let names = (2..words.len()).step_by(2).map(word);
            names.into_iter().any(|name| {
                matches!(name.as_str(), "requirepass" | "masterauth" | "masteruser")
                    || name.starts_with("tls-") && name.ends_with("-pass")
            })
        }
        "hello" => has(&["auth"], 1),
        "migrate" => has(&["auth", "auth2"], 6),
        "sentinel" => has(&["auth-pass", "auth-user", "sentinel-pass", "sentinel-user"], 1),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_recognized_wherever_they_stand() {
        for line in [
            "AUTH s3cret",
            "auth user pw",
            "3 auth x",
            "ACL SETUSER bob on >pw",
            "CONFIG SET maxmemory 1 requirepass x",
            "config set tls-key-file-pass x",
            "HELLO 3 AUTH default x",
            "MIGRATE h 1 k 0 100 AUTH x",
            "auth \"open",
            "redis-cli -a s3cret",
            "redis-cli -p 1 config set requirepass x",
            "redis-cli -p 1 auth x",
        ] {
            assert!(is_sensitive(line), "{line}");
        }
        for line in [
            "GET auth",
            "CONFIG SET maxmemory 1",
            "CONFIG GET requirepass",
            "HELLO 3",
            "",
            "SET requirepass x",
            "redis-cli get x",
        ] {
            assert!(!is_sensitive(line), "{line}");
        }
    }
}

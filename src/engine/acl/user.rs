//! A user: a name, passwords, and selectors. The first selector is the user's own; others come in brackets.

use super::selector::{Denied, RuleError, Selector};
use crate::base::{Bytes, sha};
use crate::engine::commands::Entry;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    pub name: Bytes,
    pub on: bool,
    /// Any password will do.
    pub nopass: bool,
    /// RESTORE checks what this user gives it.
    pub sanitizes: bool,
    /// SHA-256 in hex digits.
    passwords: Vec<String>,
    /// Never empty.
    selectors: Vec<Selector>,
    /// May do everything: what follows from the selectors, kept because every command asks.
    pub unrestricted: bool,
}

impl User {
    /// A user who may not even log in. `all_channels`: what `acl-pubsub-default` says.
    pub fn new(name: &[u8], all_channels: bool) -> User {
        User {
            name: Bytes::copy(name),
            on: false,
            nopass: false,
            sanitizes: true,
            passwords: Vec::new(),
            selectors: vec![Selector::new(all_channels)],
            unrestricted: false,
        }
    }

    /// A user who may do everything without a password.
    pub fn all_powerful(name: &str) -> User {
        let mut user = User::new(name.as_bytes(), false);
        for rule in ["+@all", "~*", "&*", "on", "nopass"] {
            user.apply(rule.as_bytes(), false).expect("these are rules");
        }
        user
    }

    /// Applies one rule. Err: it is none; nothing has changed.
    pub fn apply(&mut self, rule: &[u8], all_channels: bool) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"" => {}
            b"on" => self.on = true,
            b"off" => self.on = false,
            b"skip-sanitize-payload" => self.sanitizes = false,
            b"sanitize-payload" => self.sanitizes = true,
            b"nopass" => (self.nopass, self.passwords) = (true, Vec::new()),
            b"resetpass" => (self.nopass, self.passwords) = (false, Vec::new()),
            b"clearselectors" => self.selectors.truncate(1),
            b"reset" => *self = User::new(&self.name, all_channels),
            _ => match rule {
                [b'>' | b'#', ..] => {
                    let hash = hash_of(rule)?;
                    if !self.passwords.contains(&hash) {
                        self.passwords.push(hash);
                    }
                    self.nopass = false;
                }
                [b'<' | b'!', ..] => {
                    let hash = hash_of(rule)?;
                    let at = self.passwords.iter().position(|known| *known == hash);
                    self.passwords.remove(at.ok_or(RuleError::NoSuchPassword)?);
                }
                [b'(', rules @ .., b')'] => self.selectors.push(Selector::parse(rules, all_channels)?),
                _ => self.selectors[0].apply(rule)?,
            },
        }
        self.unrestricted = self.selectors.iter().any(Selector::is_unrestricted);
        Ok(())
    }

    pub fn has_password(&self, password: &[u8]) -> bool {
        self.nopass || self.passwords.contains(&sha::sha256_hex(password))
    }

    pub fn passwords(&self) -> &[String] {
        &self.passwords
    }

    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// The words of ACL GETUSER that are set.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        let on = if self.on { "on" } else { "off" };
        let sanitizes = if self.sanitizes { "sanitize-payload" } else { "skip-sanitize-payload" };
        [Some(on), self.nopass.then_some("nopass"), Some(sanitizes)].into_iter().flatten()
    }

    /// `user alice on #... ~cache:* resetchannels -@all +get`: as ACL LIST, ACL SAVE and CONFIG REWRITE write it.
    pub fn describe(&self) -> Bytes {
        let mut text = [b"user ", &self.name[..]].concat();
        for word in self.flags().map(str::to_owned).chain(self.passwords.iter().map(|hash| format!("#{hash}"))) {
            text.push(b' ');
            text.extend_from_slice(word.as_bytes());
        }
        for (at, selector) in self.selectors.iter().enumerate() {
            let (before, after): (&[u8], &[u8]) = if at == 0 { (b" ", b"") } else { (b" (", b")") };
            text.extend([before, &selector.describe(), after].concat());
        }
        Bytes::from(text)
    }

    /// Whether the command may be run with these arguments. Err: what stands in the way.
    pub fn check(&self, entry: &Entry, args: &[Bytes]) -> Result<(), Denied> {
        if self.unrestricted {
            return Ok(());
        }
        let mut worst = Denied::Command;
        for selector in &self.selectors {
            match selector.check(entry, args) {
                Ok(()) => return Ok(()),
                Err(denied) => worst = worst.max(denied),
            }
        }
        Err(worst)
    }

    /// Whether the command may be run by a selector that may also read every key there is: SORT's BY and GET name keys
    /// that nobody knows beforehand.
    pub fn runs_reading_all_keys(&self, entry: &Entry, args: &[Bytes]) -> bool {
        self.unrestricted || self.selectors.iter().any(|it| it.reads_all_keys() && it.check(entry, args).is_ok())
    }
}

/// The hash that `>password`, `<password`, `#hash` or `!hash` means.
fn hash_of(rule: &[u8]) -> Result<String, RuleError> {
    let word = &rule[1..];
    if matches!(rule[0], b'>' | b'<') {
        return Ok(sha::sha256_hex(word));
    }
    let is_hash = word.len() == 64 && word.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hash { Ok(String::from_utf8_lossy(word).into_owned()) } else { Err(RuleError::BadHash) }
}

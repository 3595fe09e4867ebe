//! ACL: who may do what.
//!
//! Reading order: `selector` (rules about commands, keys and channels, and the check), `user`, here (the table of users and
//! how it changes), `log` (who was refused what), `check` (the checks of a running instance), `file` (users on disk).
//!
//! A connection holds its user; a change of a user reaches all who are logged in as them at once. A user who may do
//! everything costs one comparison per command. Source of the behaviour: acl.c of Redis 7.2.

mod check;
pub mod file;
pub mod keys;
pub mod log;
pub mod selector;
#[cfg(test)]
mod tests;
pub mod user;

use crate::base::Bytes;
use log::Log;
use selector::RuleError;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
pub use user::User;

const DEFAULT: &[u8] = b"default";

/// The table of users.
#[derive(Clone)]
pub struct Acl {
    users: BTreeMap<Bytes, Arc<User>>,
    default: Arc<User>,
    pub log: Log,
}

impl Default for Acl {
    fn default() -> Acl {
        let default = Arc::new(User::all_powerful("default"));
        Acl { users: [(default.name.clone(), Arc::clone(&default))].into(), default, log: Log::default() }
    }
}

/// The user of connections that nobody logs in on: the reader of the AOF, a replica's link to its primary.
pub fn superuser() -> Arc<User> {
    static SUPERUSER: LazyLock<Arc<User>> = LazyLock::new(|| Arc::new(User::all_powerful("(superuser)")));
    Arc::clone(&SUPERUSER)
}

impl Acl {
    /// By name, in order.
    pub fn users(&self) -> impl ExactSizeIterator<Item = &Arc<User>> {
        self.users.values()
    }

    pub fn user(&self, name: &[u8]) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    /// The user that a new connection begins as.
    pub fn default_user(&self) -> &Arc<User> {
        &self.default
    }

    /// Whether a connection has to log in before it may do anything.
    pub fn requires_login(&self) -> bool {
        !self.default.nopass || !self.default.on
    }

    /// The user, if they may log in with this password.
    pub fn login(&self, name: &[u8], password: &[u8]) -> Option<&Arc<User>> {
        self.user(name).filter(|user| user.on && user.has_password(password))
    }

    /// The user of that name as the rules would make them. Err: the first rule that is none, and why.
    pub fn changed(&self, name: &[u8], rules: &[Bytes], all_channels: bool) -> Result<User, String> {
        let mut user = self.user(name).map_or_else(|| User::new(name, all_channels), |user| User::clone(user));
        let rules = merge_selectors(rules)
            .map_err(|at| format!("Unmatched parenthesis in acl selector starting at '{}'.", rules[at].printed()))?;
        for rule in &rules {
            user.apply(rule, all_channels)
                .map_err(|error| format!("Error in ACL SETUSER modifier '{}': {}", rule.printed(), error.text()))?;
        }
        Ok(user)
    }

    /// Puts a user in, in place of the one of that name.
    pub fn put(&mut self, user: User) -> Arc<User> {
        let user = Arc::new(user);
        if *user.name == *DEFAULT {
            self.default = Arc::clone(&user);
        }
        self.users.insert(user.name.clone(), Arc::clone(&user));
        user
    }

    /// `default` cannot be removed; nor can who is not there.
    pub fn remove(&mut self, name: &[u8]) -> Option<Arc<User>> {
        if name == DEFAULT { None } else { self.users.remove(name) }
    }

    /// What `requirepass` means: the only password of `default`, or none needed.
    pub fn with_password(&self, password: &[u8]) -> User {
        let mut user = User::clone(&self.default);
        user.apply(b"resetpass", false).expect("a rule");
        let rule = if password.is_empty() { b"nopass".to_vec() } else { [b">", password].concat() };
        user.apply(&rule, false).expect("a rule");
        user
    }
}

/// Joins the words of a selector that was written with blanks: `(+get`, `~a*)`. Err: where one begins that does not end.
pub fn merge_selectors(words: &[Bytes]) -> Result<Vec<Bytes>, usize> {
    let mut merged: Vec<Bytes> = Vec::new();
    let mut open: Option<(usize, Vec<u8>)> = None;
    for (at, word) in words.iter().enumerate() {
        match &mut open {
            Some((_, text)) => {
                text.push(b' ');
                text.extend_from_slice(word);
                if word.ends_with(b")") {
                    merged.extend(open.take().map(|(_, text)| Bytes::from(text)));
                }
            }
            None if word.starts_with(b"(") && !word.ends_with(b")") => open = Some((at, word.to_vec())),
            None => merged.push(word.clone()),
        }
    }
    match open {
        Some((at, _)) => Err(at),
        None => Ok(merged),
    }
}

/// A user as a config file declares them: `user NAME RULE ...`. The rules may name commands that nobody knows; that is told
/// at the start. Err: why, and the word that Redis shows: it counts from the first rule, but takes the word from the whole line.
pub fn check_declaration(words: &[Bytes], known: &[Vec<Bytes>]) -> Result<Vec<Bytes>, (usize, RuleError)> {
    if known.iter().any(|user| user[0] == words[1]) {
        return Err((1, RuleError::Duplicate));
    }
    let rules = merge_selectors(&words[2..]).map_err(|at| (at, RuleError::Format))?;
    let mut user = User::new(&words[1], false);
    for (at, rule) in rules.iter().enumerate() {
        match user.apply(rule, false) {
            Ok(()) | Err(RuleError::Unknown) => {}
            Err(error) => return Err((at, error)),
        }
    }
    Ok([&words[1..2], &rules].concat())
}

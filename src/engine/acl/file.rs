//! Users on disk: the ACL file, and the `user` lines of a config file at the start.

use super::selector::{RuleError, has_spaces};
use super::{Acl, User, merge_selectors};
use crate::base::Bytes;
use crate::engine::disk::{Disk, Step};
use crate::engine::{Env, Instance, Outbox};

impl Acl {
    /// The text of the ACL file that holds these users.
    pub fn text(&self) -> Vec<u8> {
        self.users().flat_map(|user| [&user.describe()[..], b"\n"].concat()).collect()
    }
}

/// The users that the text of an ACL file declares, `default` as it says or all-powerful. Err: all that is wrong, in one
/// line; `path` is what it calls the file.
pub fn parse(text: &[u8], path: &str, all_channels: bool) -> Result<Acl, String> {
    let (mut acl, mut errors) = (Acl::default(), String::new());
    let mut seen: Vec<Bytes> = Vec::new();
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let (number, line) = (at + 1, trim(line, b" \t\r\n"));
        if line.is_empty() {
            continue;
        }
        let words: Vec<Bytes> = line.split(|byte| *byte == b' ').map(Bytes::from).collect();
        if words[0] != "user" || words.len() < 2 {
            errors.push_str(&format!("{path}:{number} should start with user keyword followed by the username. "));
            continue;
        }
        let name = &words[1];
        if has_spaces(name) {
            errors.push_str(&format!("'{path}:{number}: username '{}' contains invalid characters. ", name.lossy()));
            continue;
        }
        if seen.contains(name) {
            errors.push_str(&format!("WARNING: Duplicate user '{}' found on line {number}. ", name.lossy()));
            continue;
        }
        seen.push(name.clone());
        let Ok(rules) = merge_selectors(&words[2..]) else {
            errors.push_str(&format!("{path}:{number}: Unmatched parenthesis in selector definition."));
            continue;
        };
        let mut user = User::new(name, all_channels);
        let mut syntax_error = false;
        for rule in &rules {
            let rule = trim(rule, b"\t\r\n");
            match user.apply(rule, all_channels) {
                Ok(()) => {}
                Err(error @ RuleError::Unknown) => errors.push_str(&format!(
                    "{path}:{number}: Error in applying operation '{}': {}. ",
                    String::from_utf8_lossy(rule),
                    error.text()
                )),
                // Only the first: it may have led to the others.
                Err(error) if !syntax_error => {
                    errors.push_str(&format!("{path}:{number}: {}. ", error.text()));
                    syntax_error = true;
                }
                Err(_) => {}
            }
        }
        acl.put(user);
    }
    if errors.is_empty() {
        return Ok(acl);
    }
    errors.push_str("WARNING: ACL errors detected, no change to the previously active ACL rules was performed");
    Err(errors)
}

fn trim<'a>(mut text: &'a [u8], set: &[u8]) -> &'a [u8] {
    while let [first, rest @ ..] = text
        && set.contains(first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && set.contains(last)
    {
        text = rest;
    }
    text
}

impl Instance {
    /// The path of the ACL file; None if there is none.
    pub fn acl_path(&self) -> Option<String> {
        let name = self.config.text("aclfile");
        match name.first() {
            None => None,
            Some(b'/') => Some(name.lossy().into_owned()),
            Some(_) => Some(self.config.path(&name.lossy())),
        }
    }

    fn read_acl(&self, disk: &dyn Disk, path: &str) -> Result<Acl, String> {
        let shown = self.config.text("aclfile");
        let shown = shown.lossy();
        let text = disk.read(path).map_err(|error| format!("Error loading ACLs, opening file '{shown}': {error}"))?;
        parse(&text, &shown, self.config.acl_all_channels())
    }

    /// ACL LOAD: the users of the file in place of all there are. Connections of users other than `default` end. Err: what
    /// is wrong with the file; nothing has changed.
    pub fn load_acl(&mut self, disk: &dyn Disk, path: &str, out: &mut Outbox) -> Result<(), String> {
        let loaded = self.read_acl(disk, path)?;
        let before: Vec<_> = self.acl.users().cloned().collect();
        let log = std::mem::take(&mut self.acl.log);
        self.acl = Acl { log, ..loaded };
        for user in before {
            if *user.name == *super::DEFAULT {
                let new = self.acl.default_user().clone();
                let theirs = self.clients.values_mut().filter(|client| client.user.name == user.name);
                theirs.for_each(|client| client.user = new.clone());
            } else {
                self.drop_clients_of(&user, out);
            }
        }
        Ok(())
    }

    /// ACL SAVE. Err: the line for the server's log.
    pub fn save_acl(&self, disk: &mut dyn Disk, path: &str) -> Result<(), String> {
        let beside = format!("{path}.tmp-{}-{}", self.hooks.pid.unwrap_or(1), self.now.0);
        disk.replace(path, &beside, &self.acl.text(), true).map_err(|(step, error)| {
            let what = match step {
                Step::Write => "Writing ACL file",
                Step::Sync => "Syncing ACL file",
                Step::Rename => "Renaming ACL file",
                Step::SyncDir => "Syncing ACL directory",
            };
            format!("# {what} for ACL SAVE: {error}")
        })
    }

    /// The users with which a server starts: those of its config file, or those of its ACL file. Err: it does not start.
    pub(in crate::engine) fn load_users_at_start(&mut self, env: &mut Env, log: &mut Vec<String>) -> Result<(), ()> {
        let declared = self.config.users.clone();
        let path = self.acl_path();
        if path.is_some() && !declared.is_empty() {
            log.push(String::from(
                "# Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid. This setup is very likely to lead to configuration errors and security holes, please define either an ACL file or declare users directly in your redis.conf, but not both.",
            ));
            return Err(());
        }
        for words in &declared {
            if let Err(line) = self.declare(words, log) {
                log.push(line);
                log.push(String::from("# Critical error while loading ACLs. Exiting."));
                return Err(());
            }
        }
        let Some(path) = path else { return Ok(()) };
        match self.read_acl(env.disk, &path) {
            Ok(acl) => {
                self.acl = acl;
                Ok(())
            }
            Err(errors) => {
                log.push(format!("# Aborting Redis startup because of ACL errors: {errors}"));
                Err(())
            }
        }
    }

    /// A user from the config file: the name, then the rules.
    fn declare(&mut self, words: &[Bytes], log: &mut Vec<String>) -> Result<(), String> {
        let (name, rules) = (&words[0], &words[1..]);
        if has_spaces(name) {
            return Err(String::from("# Spaces not allowed in ACL usernames"));
        }
        let all_channels = self.config.acl_all_channels();
        let mut user = User::new(name, all_channels);
        for rule in rules {
            user.apply(rule, all_channels).map_err(|error| {
                let (rule, name) = (rule.lossy(), name.lossy());
                format!("# Error loading ACL rule '{rule}' for the user named '{name}': {}", error.text())
            })?;
        }
        if !user.on {
            log.push(format!("* The user '{}' is disabled (there is no 'on' modifier in the user description). Make sure this is not a configuration error.", name.lossy()));
        }
        self.acl.put(user);
        Ok(())
    }
}

//! `acl`: what a user may do, asked of the server itself with ACL DRYRUN in a copy of the world.

use super::form::{Reader, field, needed};
use super::script::{Act, Script};
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict};

pub const ACL: Kind = Kind {
    name: "acl",
    about: "Whether a user may run a command, as ACL DRYRUN answers; nothing is run.",
    fields: &[
        needed("user", "TEXT", "the user"),
        needed("cmd", "COMMAND", "the command with its arguments"),
        field("may", "true | false", "whether they may (true)"),
        field("on", "INSTANCE", "which instance; needed if there are several"),
    ],
    example: r#"acl: {user: shop, cmd: "GET cache:p1", may: false}"#,
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`acl`", kind.fields)?;
        Some(Assertion::of(AclCheck {
            on: reader.on(&fields)?,
            user: reader.text(fields.get("user")?)?,
            cmd: reader.text(fields.get("cmd")?)?,
            may: reader.maybe(&fields, "may", Reader::flag)?.unwrap_or(true),
        }))
    },
};

#[derive(Clone, Debug)]
struct AclCheck {
    on: String,
    user: String,
    cmd: String,
    may: bool,
}

impl Check for AclCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let line = Script::line(&self.on, format!("ACL DRYRUN {} {}", self.user, self.cmd));
        let Some(attempt) = probe.attempt(&[Act::Run(line)]) else {
            return Verdict::new(false, "This machine cannot be copied, so nothing can be tried.");
        };
        let said = attempt.printed.last().map_or("", String::as_str);
        let (user, cmd) = (&self.user, &self.cmd);
        let (may, saw) = match said {
            "OK" => (Some(true), format!("`{user}` may run `{cmd}`.")),
            _ if said.contains("not found") => (None, format!("There is no user `{user}`.")),
            _ if said.starts_with("(error)") || said.is_empty() => {
                (None, format!("`{}` could not be asked what `{user}` may do.", self.on))
            }
            refusal => {
                let refusal = refusal.trim_matches('"').trim_end_matches('.');
                (Some(false), format!("`{user}` may not run `{cmd}`: {refusal}."))
            }
        };
        Verdict::new(may == Some(self.may), saw)
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::Instance(self.on.clone())]
    }

    fn literals(&self) -> Vec<String> {
        vec![self.user.clone()]
    }
}

//! `db`: how many keys a database holds.

use super::form::{Range, Reader, field, like};
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict, instance_of};

pub const DB: Kind = Kind {
    name: "db",
    about: "How many keys a database holds, all or those of a pattern. Expired keys do not count.",
    fields: &[
        field("on", "INSTANCE", "which instance; needed if there are several"),
        field("index", "N", "which database (0)"),
        field("match", "PATTERN", "only keys like this; `*` is any text"),
        field("size", "N or RANGE", "how many keys (at least 1)"),
    ],
    example: "db: {match: \"session:*\", size: 3}",
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`db`", kind.fields)?;
        Some(Assertion::of(DbCheck {
            on: reader.on(&fields)?,
            index: reader.db(&fields, "index")?,
            pattern: reader.maybe(&fields, "match", Reader::text)?.unwrap_or_else(|| "*".into()),
            size: reader.maybe(&fields, "size", Reader::range)?.unwrap_or(Range::AT_LEAST_ONE),
        }))
    },
};

#[derive(Clone, Debug)]
struct DbCheck {
    on: String,
    index: usize,
    pattern: String,
    size: Range,
}

impl Check for DbCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let world = probe.world();
        let db =
            instance_of(world, &self.on).and_then(|instance| instance.dbs.iter().find(|db| db.index == self.index));
        let count = db.map_or(0, |db| {
            db.keys
                .iter()
                .filter(|key| key.expires_at.is_none_or(|at| at > world.now) && like(&self.pattern, &key.name.lossy()))
                .count()
        });
        let keys = if count == 1 { "1 key" } else { &format!("{count} keys") };
        let like = if self.pattern == "*" { String::new() } else { format!(" like `{}`", self.pattern) };
        Verdict::new(
            self.size.holds(count as i64),
            format!("Database {} of `{}` holds {keys}{like}.", self.index, self.on),
        )
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::Instance(self.on.clone())]
    }

    fn literals(&self) -> Vec<String> {
        Vec::new()
    }
}

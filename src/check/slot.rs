//! `slot`: who owns a hash slot, whether it is on its way, and how many of its keys a node has.

use super::form::{Range, Reader, field};
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict};
use crate::base::slot::{SLOTS, slot_of};
use crate::snapshot::{Cluster, Instance, World};

pub const SLOT: Kind = Kind {
    name: "slot",
    about: "Who owns a slot, or is about to, as a node sees it; without `on`, as all running nodes see it.",
    fields: &[
        field("of", "KEY", "the slot of this key"),
        field("number", "N", "or the slot itself, 0 to 16383"),
        field("on", "INSTANCE", "who is asked; all running nodes that know more than themselves, if left out"),
        field("owner", "INSTANCE | nobody", "who owns it"),
        field("migrating", "true | false", "it is on its way from the node that is asked"),
        field("importing", "true | false", "it is on its way to the node that is asked"),
        field("keys", "N or RANGE", "how many keys of it the node that is asked has"),
    ],
    example: "slot: {of: \"user:123\", owner: n2}",
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`slot`", kind.fields)?;
        let (number, literal) = match (fields.get("of"), fields.get("number")) {
            (Some(node), None) => {
                let key = reader.text(node)?;
                (slot_of(key.as_bytes()), key)
            }
            (None, Some(node)) => {
                let number: u16 = reader.number(node, "a slot, 0 to 16383")?;
                if usize::from(number) >= SLOTS {
                    reader.complain(node.at, format!("there is no slot {number}: they go from 0 to 16383"), "");
                }
                (number, number.to_string())
            }
            _ => {
                reader.complain(fields.at, "say which slot: `of` a key, or its `number`", SLOT.example);
                return None;
            }
        };
        let owner = match fields.get("owner") {
            Some(node) if node.scalar() == Some("nobody") => Some(None),
            Some(node) => Some(Some(reader.instance(node)?)),
            None => None,
        };
        Some(Assertion::of(SlotCheck {
            number,
            literal,
            on: reader.maybe(&fields, "on", Reader::instance)?,
            owner,
            migrating: reader.maybe(&fields, "migrating", Reader::flag)?,
            importing: reader.maybe(&fields, "importing", Reader::flag)?,
            keys: reader.maybe(&fields, "keys", Reader::range)?,
        }))
    },
};

#[derive(Clone, Debug)]
struct SlotCheck {
    number: u16,
    /// The key that it was named by, or the number.
    literal: String,
    on: Option<String>,
    /// Some(None): nobody.
    owner: Option<Option<String>>,
    migrating: Option<bool>,
    importing: Option<bool>,
    keys: Option<Range>,
}

impl Check for SlotCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let asked = match asked(probe.world(), &self.on) {
            Ok(asked) => asked,
            Err(why) => return Verdict::new(false, why),
        };
        let (slot, mut saw) = (self.number, String::new());
        for (instance, view) in asked {
            let owner = view.owner(slot).and_then(|node| node.name.clone());
            let migrating = view.migrating.iter().any(|(each, _)| *each == slot);
            let importing = view.importing.iter().any(|(each, _)| *each == slot);
            let keys = view.keys.iter().find(|(each, _)| *each == slot).map_or(0, |(_, keys)| *keys as i64);
            saw = match &owner {
                Some(owner) => format!("To `{}`, slot {slot} belongs to `{owner}`", instance.name),
                None => format!("To `{}`, slot {slot} belongs to nobody", instance.name),
            };
            saw.push_str(match (migrating, importing) {
                (true, _) => ", and is migrating",
                (_, true) => ", and is being imported",
                _ => "",
            });
            if self.keys.is_some() {
                saw.push_str(&format!("; it has {keys} keys of it"));
            }
            saw.push('.');
            let met = self.owner.as_ref().is_none_or(|wanted| *wanted == owner)
                && self.migrating.is_none_or(|wanted| wanted == migrating)
                && self.importing.is_none_or(|wanted| wanted == importing)
                && self.keys.as_ref().is_none_or(|range| range.holds(keys));
            if !met {
                return Verdict::new(false, saw);
            }
        }
        Verdict::new(true, saw)
    }

    fn look_at(&self) -> Vec<Look> {
        self.on.iter().map(|name| Look::Instance(name.clone())).collect()
    }

    fn literals(&self) -> Vec<String> {
        vec![self.literal.clone()]
    }
}

/// The nodes that are asked, with their views. Err: there is nobody to ask.
fn asked<'w>(world: &'w World, on: &Option<String>) -> Result<Vec<(&'w Instance, &'w Cluster)>, String> {
    let views = world.instances.iter().filter_map(|each| Some((each, each.cluster.as_ref()?)));
    let asked: Vec<_> = match on {
        Some(name) => views.filter(|(instance, _)| instance.name == *name).collect(),
        None => views.filter(|(_, view)| view.nodes.len() > 1).collect(),
    };
    match (asked.is_empty(), on) {
        (false, _) => Ok(asked),
        (true, Some(name)) => Err(format!("No node of a cluster runs as `{name}`.")),
        (true, None) => Err("No running node knows another one.".into()),
    }
}

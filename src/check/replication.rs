//! `replication`: who follows whom, and how far behind.

use super::form::{Range, Reader, field};
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict, instance_of};
use crate::snapshot::{Instance, Replication, World};

pub const REPLICATION: Kind = Kind {
    name: "replication",
    about: "A server's place in replication: whom it follows, whether the link stands, how far it is.",
    fields: &[
        field("name", "INSTANCE", "which instance; needed if there are several"),
        field("on", "INSTANCE", "the same"),
        field("role", "primary | replica", "what it is"),
        field("of", "INSTANCE", "the primary that it follows"),
        field("link", "up | down", "whether the stream from its primary flows"),
        field("caught_up", "true | false", "whether it has everything that its primary has"),
        field("behind", "N or RANGE", "bytes of the stream that it lacks"),
        field("replicas", "N or RANGE", "how many replicas it has that get the stream"),
    ],
    example: "replication: {name: replica, role: replica, of: primary, link: up, caught_up: true}",
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`replication`", kind.fields)?;
        let on = match fields.get("name") {
            Some(node) => reader.instance(node)?,
            None => reader.on(&fields)?,
        };
        let role = reader.maybe(&fields, "role", |reader, node| reader.one_of(node, ROLES))?;
        let of = reader.maybe(&fields, "of", Reader::instance)?;
        let link = reader.maybe(&fields, "link", |reader, node| reader.one_of(node, LINKS))?;
        let caught_up = reader.maybe(&fields, "caught_up", Reader::flag)?;
        let behind = reader.maybe(&fields, "behind", Reader::range)?;
        let replicas = reader.maybe(&fields, "replicas", Reader::range)?;
        let check = ReplicationCheck { on, role, of, link, caught_up, behind, replicas };
        if check.says_nothing() {
            reader.complain(fields.at, "`replication` says nothing", REPLICATION.example);
            return None;
        }
        Some(Assertion::of(check))
    },
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Primary,
    Replica,
}

const ROLES: &[(&str, Role)] =
    &[("primary", Role::Primary), ("master", Role::Primary), ("replica", Role::Replica), ("slave", Role::Replica)];
/// Whether it is up.
const LINKS: &[(&str, bool)] = &[("up", true), ("down", false)];

#[derive(Clone, Debug)]
struct ReplicationCheck {
    on: String,
    role: Option<Role>,
    of: Option<String>,
    link: Option<bool>,
    caught_up: Option<bool>,
    behind: Option<Range>,
    replicas: Option<Range>,
}

impl ReplicationCheck {
    fn says_nothing(&self) -> bool {
        self.role.is_none()
            && self.of.is_none()
            && self.link.is_none()
            && self.caught_up.is_none()
            && self.behind.is_none()
            && self.replicas.is_none()
    }

    /// Why it does not hold, or what holds.
    fn verdict(&self, world: &World) -> (bool, String) {
        let on = &self.on;
        let Some(instance) = instance_of(world, on) else { return (false, format!("There is no server `{on}`.")) };
        let Some(place) = &instance.replication else { return (false, format!("The server `{on}` does not run.")) };
        let about = about(world, instance, place);
        let role = if place.primary.is_some() { Role::Replica } else { Role::Primary };
        if self.role.is_some_and(|wanted| wanted != role) {
            return (false, about);
        }
        if let Some(wanted) = &self.of {
            let followed = place.primary.as_ref().and_then(|(_, port)| at_port(world, *port));
            if followed.is_none_or(|primary| primary.name != *wanted) {
                return (false, about);
            }
        }
        if self.link.is_some_and(|wanted| wanted != place.link_up) {
            return (false, about);
        }
        let behind = behind(world, place);
        if self.caught_up.is_some_and(|wanted| wanted != (behind == Some(0))) {
            return (false, about);
        }
        if let Some(range) = &self.behind
            && !behind.is_some_and(|bytes| range.holds(bytes as i64))
        {
            return (false, about);
        }
        let online = place.replicas.iter().filter(|replica| replica.state == "online").count();
        if let Some(range) = &self.replicas
            && !range.holds(online as i64)
        {
            let replicas = if online == 1 { "replica gets" } else { "replicas get" };
            return (false, format!("{online} {replicas} the stream of `{on}`."));
        }
        (true, about)
    }
}

impl Check for ReplicationCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let (met, saw) = self.verdict(probe.world());
        Verdict::new(met, saw)
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::Instance(self.on.clone())]
    }

    fn literals(&self) -> Vec<String> {
        let ranges = self.behind.iter().chain(&self.replicas);
        ranges.flat_map(|range| range.literals()).collect()
    }
}

fn at_port(world: &World, port: u16) -> Option<&Instance> {
    world.instances.iter().find(|instance| instance.port == port && instance.replication.is_some())
}

/// Bytes of its primary's stream that a replica lacks; None if they cannot be compared: it is a primary, its primary is
/// down, or they are parts of different histories.
fn behind(world: &World, place: &Replication) -> Option<u64> {
    let (_, port) = place.primary.as_ref()?;
    let primary = at_port(world, *port)?.replication.as_ref()?;
    (primary.replid == place.replid).then(|| primary.offset.saturating_sub(place.offset))
}

/// A sentence on a server's place.
fn about(world: &World, instance: &Instance, place: &Replication) -> String {
    let name = &instance.name;
    let Some((host, port)) = &place.primary else { return format!("The server `{name}` is a primary.") };
    let primary = at_port(world, *port);
    let whom = primary.map_or_else(|| format!("{host}:{port}"), |primary| format!("`{}`", primary.name));
    let link = if place.link_up { "its link is up" } else { "its link is down" };
    let how_far = match behind(world, place) {
        Some(0) => String::from("it has everything"),
        Some(bytes) => format!("it lacks {bytes} bytes of the stream"),
        None if primary.is_none() => String::from("nobody answers there"),
        None => String::from("it has not got that server's data set yet"),
    };
    format!("The server `{name}` is a replica of {whom}; {link}, and {how_far}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Millis;
    use crate::snapshot::{Disk, Replica, State};

    fn server(name: &str, port: u16, replication: Replication) -> Instance {
        Instance {
            name: name.into(),
            port,
            pid: 1,
            state: State::Running,
            dbs: Vec::new(),
            clients: Vec::new(),
            disk: Disk::default(),
            config: Vec::new(),
            used_memory_bytes: 0,
            expired_keys: 0,
            evicted_keys: 0,
            users: Vec::new(),
            cluster: None,
            replication: Some(replication),
        }
    }

    fn world() -> World {
        let replica = Replica { host: "127.0.0.1".into(), port: 6380, state: "online", offset: 100, lag: Millis::ZERO };
        let primary =
            Replication { replid: "one".into(), offset: 140, replicas: vec![replica], ..Replication::default() };
        let follower = Replication {
            primary: Some(("127.0.0.1".into(), 6379)),
            link_up: true,
            replid: "one".into(),
            offset: 100,
            ..Replication::default()
        };
        World { instances: vec![server("shop", 6379, primary), server("copy", 6380, follower)], ..World::default() }
    }

    fn any(on: &str) -> ReplicationCheck {
        ReplicationCheck {
            on: on.into(),
            role: None,
            of: None,
            link: None,
            caught_up: None,
            behind: None,
            replicas: None,
        }
    }

    const COPY: &str = "The server `copy` is a replica of `shop`; its link is up, and it lacks 40 bytes of the stream.";

    #[test]
    fn what_is_right_holds_and_what_is_wrong_is_told() {
        let world = world();
        let exactly = |n| Some(Range { min: n, max: n });
        let holds = |check: ReplicationCheck| check.verdict(&world);
        assert_eq!(holds(ReplicationCheck { role: Some(Role::Replica), ..any("copy") }), (true, COPY.into()));
        assert_eq!(holds(ReplicationCheck { role: Some(Role::Primary), ..any("copy") }), (false, COPY.into()));
        assert!(holds(ReplicationCheck { of: Some("shop".into()), ..any("copy") }).0);
        assert!(!holds(ReplicationCheck { of: Some("copy".into()), ..any("copy") }).0);
        assert!(!holds(ReplicationCheck { of: Some("shop".into()), ..any("shop") }).0);
        assert!(!holds(ReplicationCheck { link: Some(false), ..any("copy") }).0);
        assert!(!holds(ReplicationCheck { caught_up: Some(true), ..any("copy") }).0);
        assert!(holds(ReplicationCheck { caught_up: Some(false), ..any("copy") }).0);
        assert!(holds(ReplicationCheck { behind: exactly(40), ..any("copy") }).0);
        assert!(!holds(ReplicationCheck { behind: exactly(0), ..any("copy") }).0);
        assert!(holds(ReplicationCheck { replicas: exactly(1), ..any("shop") }).0);
        let few = holds(ReplicationCheck { replicas: exactly(2), ..any("shop") });
        assert_eq!(few, (false, "1 replica gets the stream of `shop`.".into()));
    }

    #[test]
    fn a_server_that_is_down_or_of_another_history_is_not_caught_up() {
        let mut world = world();
        let caught_up = ReplicationCheck { caught_up: Some(true), ..any("copy") };
        if let Some(place) = &mut world.instances[1].replication {
            place.offset = 140;
        }
        assert!(caught_up.verdict(&world).0);
        if let Some(place) = &mut world.instances[1].replication {
            place.replid = "other".into();
        }
        let (met, saw) = caught_up.verdict(&world);
        assert!(!met && saw.ends_with("it has not got that server's data set yet."), "{saw}");
        world.instances[0].replication = None;
        let (met, saw) = caught_up.verdict(&world);
        assert!(!met && saw.contains("127.0.0.1:6379") && saw.ends_with("nobody answers there."), "{saw}");
        let down = ReplicationCheck { role: Some(Role::Primary), ..any("shop") };
        assert_eq!(down.verdict(&world), (false, "The server `shop` does not run.".into()));
    }
}

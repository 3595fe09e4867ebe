//! A node's word that another one has the slot of a command: `MOVED` for ever, `ASK` for this once.

/// `MOVED 3999 127.0.0.1:6381`, `ASK 3999 127.0.0.1:6381`.
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// To be sent behind ASKING, and the next command here again.
    pub ask: bool,
    pub slot: u16,
    /// Empty: the host that said so.
    pub host: String,
    pub port: u16,
}

impl Redirect {
    /// None: the text of an error reply is about something else.
    pub fn parse(error: &str) -> Option<Redirect> {
        let mut words = error.split(' ');
        let ask = match words.next()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let slot = words.next()?.parse().ok()?;
        let (host, port) = words.next()?.rsplit_once(':')?;
        Some(Redirect { ask, slot, host: host.to_owned(), port: port.parse().ok()? })
    }
}

/// How often one command is sent on. redis-cli itself would follow for ever where two nodes name each other.
pub const REDIRECTS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::Redirect;

    #[test]
    fn a_redirect_names_the_slot_and_who_has_it() {
        let moved = Redirect { ask: false, slot: 3999, host: "127.0.0.1".into(), port: 6381 };
        assert_eq!(Redirect::parse("MOVED 3999 127.0.0.1:6381"), Some(moved.clone()));
        assert_eq!(Redirect::parse("ASK 3999 :6381"), Some(Redirect { ask: true, host: String::new(), ..moved }));
        for other in ["", "MOVED", "MOVED 3999 6381", "ERR no such key", "MOVED 99999 h:1"] {
            assert_eq!(Redirect::parse(other), None, "{other}");
        }
    }
}

//! `:net`, the dials of the lab's network: what connects the servers, delay, loss, cuts, and one message at a time.

use super::line::{Class, Line};
use crate::base::Millis;
use crate::port::{Backend, NetworkChange};
use crate::snapshot::{Fault, Network};

/// How long a step waits for the next message at most.
const STEP_PATIENCE: Millis = Millis(60_000);

/// What `:net ARGUMENT` asks for, in order; empty: to look. None: it cannot be understood.
pub fn parse(argument: &str) -> Option<Vec<NetworkChange>> {
    let words: Vec<&str> = argument.split_whitespace().collect();
    Some(match words.as_slice() {
        [] => Vec::new(),
        ["cut", a, b] => pairs(a, b).map(|(a, b)| NetworkChange::Cut(a, b)).collect(),
        ["heal"] => vec![NetworkChange::HealAll],
        ["heal", a, b] => pairs(a, b).map(|(a, b)| NetworkChange::Heal(a, b)).collect(),
        ["delay", a, b, span] => {
            let delay = super::word::span(span)?;
            pairs(a, b).map(|(a, b)| NetworkChange::Delay(a, b, delay)).collect()
        }
        ["loss", a, b, percent] => {
            let percent: u32 = percent.trim_end_matches('%').parse().ok().filter(|percent| *percent < 100)?;
            pairs(a, b).map(|(a, b)| NetworkChange::Loss(a, b, percent)).collect()
        }
        ["freeze"] => vec![NetworkChange::Freeze(true)],
        ["run"] => vec![NetworkChange::Freeze(false)],
        ["step" | "s"] => steps(1),
        ["step" | "s", count] => steps(count.parse().ok().filter(|count| (1..=1000).contains(count))?),
        _ => return None,
    })
}

fn steps(count: usize) -> Vec<NetworkChange> {
    let step = std::iter::repeat_n(NetworkChange::Step(STEP_PATIENCE), count);
    std::iter::once(NetworkChange::Freeze(true)).chain(step).collect()
}

/// Each of `a,b` with each of `c,d`.
fn pairs(left: &str, right: &str) -> impl Iterator<Item = (String, String)> {
    let right: Vec<String> = right.split(',').map(str::to_owned).collect();
    let left: Vec<String> = left.split(',').map(str::to_owned).collect();
    left.into_iter().flat_map(move |a| right.clone().into_iter().map(move |b| (a.clone(), b)))
}

/// Carries out what was asked for; what to print.
pub fn run(changes: &[NetworkChange], backend: &mut dyn Backend) -> Vec<Line> {
    if changes.is_empty() {
        return show(&backend.snapshot().network, backend.now());
    }
    let mut lines = Vec::new();
    let mut done: Vec<&NetworkChange> = Vec::new();
    for change in changes {
        match backend.network(change.clone()) {
            Err(reason) => {
                lines.push(Line::new(Class::Bad, reason));
                break;
            }
            Ok(Some(message)) => lines.push(Line::new(Class::Plain, message)),
            Ok(None) if pair(change).is_some() => done.push(change),
            Ok(None) => lines.extend(told(change, "", "")),
        }
    }
    // One sentence for all pairs.
    let (left, right) = (names(&done, 0), names(&done, 1));
    lines.extend(done.first().and_then(|change| told(change, &left, &right)));
    if matches!(changes, [NetworkChange::HealAll]) && backend.snapshot().network.frozen {
        lines.push(Line::new(Class::Note, "It still stands still: `:net run` lets it run by itself."));
    }
    lines
}

/// The two servers between which something changes.
fn pair(change: &NetworkChange) -> Option<[&String; 2]> {
    match change {
        NetworkChange::Cut(a, b)
        | NetworkChange::Heal(a, b)
        | NetworkChange::Delay(a, b, _)
        | NetworkChange::Loss(a, b, _) => Some([a, b]),
        _ => None,
    }
}

/// The servers on one side of some changes, each once: `n2, n3`.
fn names(changes: &[&NetworkChange], side: usize) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in changes.iter().filter_map(|change| pair(change)).map(|pair| pair[side].as_str()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// `a` and `b`: between whom.
fn told(change: &NetworkChange, a: &str, b: &str) -> Option<Line> {
    let text = match change {
        NetworkChange::Cut(..) => format!("Nothing gets through between {a} and {b} any more."),
        NetworkChange::Heal(..) => format!("{a} and {b} reach each other again."),
        NetworkChange::HealAll => String::from("The network is whole again."),
        NetworkChange::Delay(_, _, delay) => format!("What {a} and {b} send each other takes {delay}, each way."),
        NetworkChange::Loss(_, _, percent) => {
            format!("{percent} of 100 packets between {a} and {b} are lost, and sent again.")
        }
        // Said once by the step that follows, or by the one before.
        NetworkChange::Freeze(true) => return None,
        NetworkChange::Freeze(false) => String::from("The network runs by itself again."),
        NetworkChange::Step(limit) => format!("Nobody sent anything for {limit}."),
    };
    Some(Line::new(Class::Note, text))
}

fn show(network: &Network, now: Millis) -> Vec<Line> {
    let mut lines = Vec::new();
    let note = |text: String| Line::new(Class::Note, text);
    if network.links.is_empty() {
        lines.push(note(String::from("No server is connected to another one.")));
    }
    for link in &network.links {
        let state = match (link.cut, link.up) {
            (true, _) => "cut",
            (false, true) => "up",
            (false, false) => "being made",
        };
        let under_way = match link.bytes_in_flight {
            0 => String::new(),
            bytes => format!(", {bytes} bytes under way"),
        };
        let (from, to, kind, delay) = (&link.from, &link.to, link.kind, link.delay);
        let class = if link.cut { Class::Bad } else { Class::Plain };
        lines.push(Line::new(class, format!("{from} -> {to}  {kind}  {state}, {delay} each way{under_way}")));
    }
    lines.extend(network.faults.iter().map(|fault| note(fault_words(fault))));
    for message in &network.messages {
        let when = match message.at {
            Some(at) => format!("arrives in {}", at.since(now)),
            None => String::from("is held back by the cut"),
        };
        lines.push(note(format!("{} -> {}: {} ({when})", message.from, message.to, message.what)));
    }
    if network.frozen {
        lines
            .push(note(String::from("The network stands still: `:net step` lets one message arrive, `:net run` all.")));
    }
    lines
}

fn fault_words(fault: &Fault) -> String {
    let [a, b] = &fault.between;
    let delay = fault.delay.map(|delay| format!("{delay} each way"));
    let loss = (fault.loss_percent > 0).then(|| format!("{} % lost", fault.loss_percent));
    let cut = fault.cut.then(|| String::from("cut"));
    let what: Vec<String> = [cut, delay, loss].into_iter().flatten().collect();
    format!("Between {a} and {b}: {}", what.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Link;

    #[test]
    fn groups_of_servers_are_all_their_pairs() {
        let cut = |a: &str, b: &str| NetworkChange::Cut(a.into(), b.into());
        assert_eq!(parse("cut a,b c"), Some(vec![cut("a", "c"), cut("b", "c")]));
        assert_eq!(parse("delay a b 200ms"), Some(vec![NetworkChange::Delay("a".into(), "b".into(), Millis(200))]));
        assert_eq!(parse("loss a b 30%"), Some(vec![NetworkChange::Loss("a".into(), "b".into(), 30)]));
        assert_eq!(parse("step 2").map(|changes| changes.len()), Some(3));
        assert_eq!(parse(""), Some(Vec::new()));
        for bad in ["cut a", "delay a b", "delay a b x", "loss a b 100", "step 0", "mend"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_befalls_many_pairs_is_one_sentence() {
        let changes = parse("cut n1 n2,n3").expect("it is a cut");
        let changes: Vec<&NetworkChange> = changes.iter().collect();
        let line = told(changes[0], &names(&changes, 0), &names(&changes, 1)).map(|line| line.text());
        assert_eq!(line.as_deref(), Some("Nothing gets through between n1 and n2, n3 any more."));
    }

    #[test]
    fn the_network_is_told_link_by_link() {
        let link = Link {
            from: "replica".into(),
            to: "primary".into(),
            kind: "client",
            up: true,
            delay: Millis(200),
            cut: false,
            bytes_in_flight: 37,
        };
        let fault = Fault {
            between: ["primary".into(), "replica".into()],
            delay: Some(Millis(200)),
            loss_percent: 5,
            cut: false,
        };
        let network = Network { links: vec![link], faults: vec![fault], ..Network::default() };
        let texts: Vec<String> = show(&network, Millis::ZERO).iter().map(Line::text).collect();
        assert_eq!(texts[0], format!("replica -> primary  client  up, {} each way, 37 bytes under way", Millis(200)));
        assert_eq!(texts[1], format!("Between primary and replica: {} each way, 5 % lost", Millis(200)));
        assert_eq!(show(&Network::default(), Millis::ZERO)[0].text(), "No server is connected to another one.");
    }
}

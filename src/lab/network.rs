//! The network between the lab's servers: wires, what is under way on them, and what is wrong with them.
//!
//! A wire is a TCP connection that one server opened to another. What is sent becomes a parcel in one queue, ordered by
//! the moment at which it arrives and then by its number, so a world delivers in the same order each time. TCP loses
//! nothing and changes no order: a lost packet is sent again, which delays it and everything behind it; a cut holds
//! everything back until it heals, and what was held back arrives with the next attempt of the sender's kernel. Who waits
//! too long for an acknowledgement gives the connection up. This file knows no server; `wires` connects the two.

use crate::base::{Millis, Rng};
use crate::engine::client::ClientId;
use crate::engine::link::LinkId;
use crate::resp::decode::Requests;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Linux sends again what was not acknowledged after this long, then after twice as long, and so on.
const RETRANSMIT: Millis = Millis(200);
/// ... and gives up after 15 attempts (tcp_retries2); a connection that cannot be made after 6 (tcp_syn_retries).
pub const GIVES_UP: Millis = Millis(924_600);
const DIAL_GIVES_UP: Millis = Millis(127_000);
/// Parcels that may be delivered at one moment of a network without delay; what comes after arrives a moment later, so
/// that two servers which answer each other for ever do not stop the clock.
const AT_ONE_MOMENT: usize = 20_000;
/// A server that dials another one again and again is slowed down after so many attempts in a second: each further one
/// takes this long. A real one is slowed down by the work that an attempt makes.
const DIALS_A_SECOND: usize = 40;
const DIAL_AGAIN: Millis = Millis(100);

/// One side of a wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// A link that the instance dialled, or that came in to its bus port.
    Link(LinkId),
    /// An ordinary client of the instance.
    Client(ClientId),
    /// Nobody (yet, or any more).
    Nobody,
}

/// Which end of a wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum End {
    Dialler,
    Listener,
}

impl End {
    pub fn other(self) -> End {
        if self == End::Dialler { End::Listener } else { End::Dialler }
    }
}

#[derive(Clone, Debug)]
pub struct Wire {
    /// Slots of the processes: who dialled, who was dialled.
    processes: [usize; 2],
    sides: [Side; 2],
    /// To the cluster bus, else to the client port.
    pub bus: bool,
    pub port: u16,
    pub requests: Requests,
    /// When the last parcel to each end arrives: nothing overtakes it.
    last_arrival: [Millis; 2],
    /// What a cut holds back on its way to each end, and since when.
    held: [VecDeque<What>; 2],
    held_since: [Millis; 2],
}

impl Wire {
    pub fn process(&self, end: End) -> usize {
        self.processes[end as usize]
    }

    pub fn side(&self, end: End) -> Side {
        self.sides[end as usize]
    }

    pub fn is_up(&self) -> bool {
        !self.sides.contains(&Side::Nobody)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    Dial,
    Accepted,
    Refused,
    Bytes(Vec<u8>),
    Closed,
}

#[derive(Clone, Debug)]
pub struct Parcel {
    pub wire: u64,
    pub to: End,
    pub what: What,
}

/// What is wrong between two processes, in both directions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Fault {
    /// None: as everywhere.
    pub delay: Option<Millis>,
    /// So many of a hundred packets are lost, and sent again.
    pub loss_percent: u32,
    pub cut: bool,
}

/// A parcel as an observer sees it: when it arrives (None: a cut holds it back), on which wire, to which end.
pub type Pending<'a> = (Option<Millis>, u64, End, &'a What);

#[derive(Clone, Debug)]
pub struct Network {
    pub wires: BTreeMap<u64, Wire>,
    /// The wires by the sides that they end in.
    ends: BTreeMap<(usize, Side), (u64, End)>,
    /// The wires on which a cut holds something back.
    holding: BTreeSet<u64>,
    queue: BTreeMap<(Millis, u64), Parcel>,
    next_wire: u64,
    next_parcel: u64,
    /// By slots of processes, the smaller first.
    faults: BTreeMap<(usize, usize), Fault>,
    /// Delay where no fault says otherwise.
    pub latency: Millis,
    /// Nothing is delivered but by hand.
    pub frozen: bool,
    /// Chance of its own, so that a lossy network changes nothing else in the world.
    rng: Rng,
    /// How often somebody has dialled a port in this second.
    dials: BTreeMap<(usize, u16), (u64, usize)>,
    /// How much has been delivered at this moment.
    delivered: (Millis, usize),
}

impl Network {
    pub fn new(seed: u64, latency: Millis) -> Network {
        Network {
            wires: BTreeMap::new(),
            ends: BTreeMap::new(),
            holding: BTreeSet::new(),
            queue: BTreeMap::new(),
            next_wire: 0,
            next_parcel: 0,
            faults: BTreeMap::new(),
            latency,
            frozen: false,
            rng: Rng::new(seed ^ 0x6e65_7477_6f72_6b73),
            dials: BTreeMap::new(),
            delivered: (Millis::ZERO, 0),
        }
    }

    // -- faults ------------------------------------------------------------------------------------------------------

    pub fn fault(&self, a: usize, b: usize) -> Fault {
        self.faults.get(&(a.min(b), a.max(b))).copied().unwrap_or_default()
    }

    pub fn delay(&self, a: usize, b: usize) -> Millis {
        self.fault(a, b).delay.unwrap_or(self.latency)
    }

    pub fn set_fault(&mut self, a: usize, b: usize, fault: Fault, now: Millis) {
        let before = self.fault(a, b);
        self.faults.insert((a.min(b), a.max(b)), fault);
        if fault == Fault::default() {
            self.faults.remove(&(a.min(b), a.max(b)));
        }
        if before.cut && !fault.cut {
            self.release(a, b, now);
        }
    }

    pub fn faults(&self) -> impl Iterator<Item = ((usize, usize), Fault)> {
        self.faults.iter().map(|(pair, fault)| (*pair, *fault))
    }

    /// What was held back between two processes goes on its way with the next attempt of each sender.
    fn release(&mut self, a: usize, b: usize, now: Millis) {
        let connects = |number: &u64| self.wires.get(number).is_some_and(|wire| wire.connects(a, b));
        let numbers: Vec<u64> = self.holding.iter().copied().filter(connects).collect();
        for number in numbers {
            self.holding.remove(&number);
            for to in [End::Dialler, End::Listener] {
                let wire = self.wires.get_mut(&number).expect("listed above");
                if wire.held[to as usize].is_empty() {
                    continue;
                }
                let at = next_attempt(wire.held_since[to as usize], now);
                let mut held: Vec<(Millis, What)> = wire.held[to as usize].drain(..).map(|what| (at, what)).collect();
                wire.last_arrival[to as usize] = wire.last_arrival[to as usize].max(at);
                // What was under way meanwhile stays behind it.
                let behind = self.queue.extract_if(.., |_, parcel| parcel.wire == number && parcel.to == to);
                held.extend(behind.map(|((arrival, _), parcel)| (arrival.max(at), parcel.what)));
                held.into_iter().for_each(|(at, what)| self.enqueue(at, Parcel { wire: number, to, what }));
            }
        }
    }

    // -- sending -----------------------------------------------------------------------------------------------------

    /// A new wire, with the request for it on its way.
    pub fn dial(&mut self, from: usize, link: LinkId, to: usize, bus: bool, port: u16, now: Millis) {
        self.next_wire += 1;
        let wire = Wire {
            processes: [from, to],
            sides: [Side::Link(link), Side::Nobody],
            bus,
            port,
            requests: Requests::new(),
            last_arrival: [Millis::ZERO, self.slowed_down(from, port, now)],
            held: Default::default(),
            held_since: [Millis::ZERO; 2],
        };
        self.wires.insert(self.next_wire, wire);
        self.ends.insert((from, Side::Link(link)), (self.next_wire, End::Dialler));
        self.send(self.next_wire, End::Listener, What::Dial, now);
    }

    /// The earliest moment at which this attempt may arrive.
    fn slowed_down(&mut self, from: usize, port: u16, now: Millis) -> Millis {
        let dials = self.dials.entry((from, port)).or_default();
        *dials = if dials.0 == now.secs() { (dials.0, dials.1 + 1) } else { (now.secs(), 1) };
        if dials.1 > DIALS_A_SECOND { now + DIAL_AGAIN } else { Millis::ZERO }
    }

    /// Puts something on the wire towards one of its ends.
    pub fn send(&mut self, number: u64, to: End, what: What, now: Millis) {
        let Some(wire) = self.wires.get(&number) else { return };
        let [a, b] = wire.processes;
        let mut at = now + self.delay(a, b);
        let loss = self.fault(a, b).loss_percent.min(99);
        let mut again = RETRANSMIT;
        while loss > 0 && self.rng.below(100) < loss as usize && again.0 < GIVES_UP.0 {
            at += again;
            again = Millis(again.0 * 2);
        }
        if self.delivered.0 == now && self.delivered.1 > AT_ONE_MOMENT {
            at = at.max(now + Millis(1));
        }
        let wire = self.wires.get_mut(&number).expect("looked up above");
        at = at.max(wire.last_arrival[to as usize]);
        wire.last_arrival[to as usize] = at;
        // Bytes that leave one after the other arrive as one piece, as they would from a socket; messages of the cluster bus
        // stay single, so that they can be looked at one by one.
        if let What::Bytes(more) = &what
            && !wire.bus
            && let Some(mut last) = self.queue.last_entry()
            && last.key().0 == at
            && last.get().wire == number
            && last.get().to == to
            && let What::Bytes(bytes) = &mut last.get_mut().what
        {
            bytes.extend_from_slice(more);
            return;
        }
        self.enqueue(at, Parcel { wire: number, to, what });
    }

    fn enqueue(&mut self, at: Millis, parcel: Parcel) {
        self.next_parcel += 1;
        self.queue.insert((at, self.next_parcel), parcel);
    }

    // -- arriving ----------------------------------------------------------------------------------------------------

    /// When the next parcel arrives; None if nothing is under way.
    pub fn next_arrival(&self) -> Option<Millis> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next parcel that arrives by `now`. What a cut holds back, and what was meant for a wire that is gone, does not.
    pub fn arrive(&mut self, now: Millis) -> Option<Parcel> {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= now) {
            let parcel = entry.remove();
            let Some(wire) = self.wires.get_mut(&parcel.wire) else { continue };
            let [a, b] = wire.processes;
            if self.faults.get(&(a.min(b), a.max(b))).is_some_and(|fault| fault.cut) {
                let at = parcel.to as usize;
                if wire.held[at].is_empty() {
                    wire.held_since[at] = now;
                }
                wire.held[at].push_back(parcel.what);
                self.holding.insert(parcel.wire);
                continue;
            }
            if self.delivered.0 != now {
                self.delivered = (now, 0);
            }
            self.delivered.1 += 1;
            return Some(parcel);
        }
        None
    }

    /// When the next sender gives up waiting for a cut to heal.
    pub fn next_surrender(&self) -> Option<Millis> {
        self.surrenders().map(|(_, (at, _))| at).min()
    }

    /// The wires whose senders have given up by `now`, each with the sender's end.
    pub fn surrender(&mut self, now: Millis) -> Vec<(u64, End)> {
        let due: Vec<_> =
            self.surrenders().filter(|(_, (at, _))| *at <= now).map(|(number, (_, end))| (number, end)).collect();
        for (number, sender) in &due {
            let to = sender.other() as usize;
            let wire = self.wires.get_mut(number).expect("listed above");
            // The other end learns that the connection is gone once something gets through again.
            wire.held[to] = VecDeque::from([What::Closed]);
        }
        due
    }

    fn surrenders(&self) -> impl Iterator<Item = (u64, (Millis, End))> {
        self.holding.iter().filter_map(|number| Some((*number, self.wires.get(number)?.surrenders()?)))
    }

    // -- looking -----------------------------------------------------------------------------------------------------

    /// Everything under way, in the order in which it arrives; what a cut holds back last.
    pub fn pending(&self) -> impl Iterator<Item = Pending<'_>> {
        let flying = self.queue.iter().filter(|(_, parcel)| self.wires.contains_key(&parcel.wire));
        let flying = flying.map(|((at, _), parcel)| (Some(*at), parcel.wire, parcel.to, &parcel.what));
        let ends = |wire: u64| [(wire, End::Dialler), (wire, End::Listener)];
        let held = self.wires.keys().copied().flat_map(ends);
        let held = held.flat_map(|(number, to)| {
            self.wires[&number].held[to as usize].iter().map(move |what| (None, number, to, what))
        });
        flying.chain(held)
    }

    /// How many bytes a cut holds back on their way to an end.
    pub fn held_bytes(&self, number: u64, to: End) -> u64 {
        let Some(wire) = self.wires.get(&number).filter(|_| self.holding.contains(&number)) else { return 0 };
        let sizes =
            wire.held[to as usize].iter().map(|what| if let What::Bytes(bytes) = what { bytes.len() } else { 0 });
        sizes.sum::<usize>() as u64
    }

    /// Drops what a cut holds back on its way to an end: it had not left the sender's memory.
    pub fn forget_held(&mut self, number: u64, to: End) {
        if let Some(wire) = self.wires.get_mut(&number) {
            wire.held[to as usize].clear();
        }
    }

    /// The wire that ends in this side of a process.
    pub fn wire_of(&self, process: usize, side: Side) -> Option<(u64, End)> {
        self.ends.get(&(process, side)).copied()
    }

    /// Somebody takes the listening end of a wire.
    pub fn take(&mut self, number: u64, side: Side) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        wire.sides[End::Listener as usize] = side;
        self.ends.insert((wire.process(End::Listener), side), (number, End::Listener));
    }

    /// An end lets go of the wire. Nothing reaches it any more; a wire that both ends have left is gone.
    pub fn let_go(&mut self, number: u64, end: End) {
        let Some(wire) = self.wires.get_mut(&number) else { return };
        let side = std::mem::replace(&mut wire.sides[end as usize], Side::Nobody);
        self.ends.remove(&(wire.process(end), side));
        // An end that has not been taken yet still may be: the request for it is on its way.
        let done = wire.sides == [Side::Nobody; 2];
        if done {
            self.wires.remove(&number);
            self.holding.remove(&number);
        }
    }
}

impl Wire {
    fn connects(&self, a: usize, b: usize) -> bool {
        self.processes == [a, b] || self.processes == [b, a]
    }

    /// When a sender gives the wire up, and which end that is.
    fn surrenders(&self) -> Option<(Millis, End)> {
        let of = |to: End| {
            let held = &self.held[to as usize];
            // Who has let go already waits for nothing.
            let waits = !held.is_empty() && self.side(to.other()) != Side::Nobody;
            let patience = if held.front() == Some(&What::Dial) { DIAL_GIVES_UP } else { GIVES_UP };
            waits.then(|| (self.held_since[to as usize] + patience, to.other()))
        };
        of(End::Dialler).into_iter().chain(of(End::Listener)).min()
    }
}

/// The sender's next attempt at or after `now`, for something that has been held back since `since`.
fn next_attempt(since: Millis, now: Millis) -> Millis {
    let mut wait = RETRANSMIT;
    let mut at = since + wait;
    while at < now {
        wait = Millis((wait.0 * 2).min(120_000));
        at += wait;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> What {
        What::Bytes(text.as_bytes().to_vec())
    }

    /// Two processes with an accepted wire between them.
    fn connected(latency: u64) -> Network {
        let mut network = Network::new(1, Millis(latency));
        network.dial(0, LinkId(1), 1, false, 6379, Millis(0));
        assert_eq!(network.arrive(Millis(latency)).expect("the dial").what, What::Dial);
        network.take(1, Side::Client(ClientId(1)));
        network
    }

    fn all(network: &mut Network, now: u64) -> Vec<What> {
        std::iter::from_fn(|| network.arrive(Millis(now))).map(|parcel| parcel.what).collect()
    }

    #[test]
    fn parcels_arrive_in_order_after_the_delay() {
        let mut network = connected(5);
        network.send(1, End::Listener, bytes("a"), Millis(10));
        network.send(1, End::Dialler, bytes("x"), Millis(11));
        network.send(1, End::Listener, bytes("b"), Millis(12));
        assert_eq!(network.next_arrival(), Some(Millis(15)));
        assert_eq!(all(&mut network, 14), []);
        assert_eq!(all(&mut network, 17), [bytes("a"), bytes("x"), bytes("b")]);
    }

    #[test]
    fn a_shorter_delay_lets_nothing_overtake() {
        let mut network = connected(5);
        network.set_fault(1, 0, Fault { delay: Some(Millis(100)), ..Fault::default() }, Millis(0));
        network.send(1, End::Listener, bytes("slow"), Millis(10));
        network.set_fault(0, 1, Fault::default(), Millis(11));
        network.send(1, End::Listener, bytes("fast"), Millis(11));
        assert_eq!(all(&mut network, 109), []);
        assert_eq!(all(&mut network, 110), [bytes("slowfast")]);
    }

    #[test]
    fn a_cut_holds_back_and_healing_delivers_with_the_next_attempt() {
        let mut network = connected(0);
        network.set_fault(0, 1, Fault { cut: true, ..Fault::default() }, Millis(0));
        network.send(1, End::Listener, bytes("a"), Millis(10));
        assert_eq!(all(&mut network, 1000), []);
        network.send(1, End::Listener, bytes("b"), Millis(2000));
        assert_eq!(all(&mut network, 2000), []);
        assert_eq!(network.pending().count(), 2);
        network.set_fault(0, 1, Fault::default(), Millis(5000));
        // Held back since 1000: attempts at 1200, 1600, 2400, 4000, 7200.
        assert_eq!(network.next_arrival(), Some(Millis(7200)));
        assert_eq!(all(&mut network, 7200), [bytes("a"), bytes("b")]);
    }

    #[test]
    fn a_sender_gives_up_and_a_dial_sooner() {
        let mut network = connected(0);
        network.set_fault(0, 1, Fault { cut: true, ..Fault::default() }, Millis(0));
        network.send(1, End::Dialler, bytes("a"), Millis(10));
        network.dial(0, LinkId(2), 1, true, 16379, Millis(10));
        assert_eq!(all(&mut network, 10), []);
        assert_eq!(network.next_surrender(), Some(Millis(10) + DIAL_GIVES_UP));
        assert_eq!(network.surrender(Millis(200_000)), [(2, End::Dialler)]);
        network.let_go(2, End::Dialler);
        assert_eq!(network.surrender(Millis(10) + GIVES_UP), [(1, End::Listener)]);
    }

    #[test]
    fn loss_delays_and_loses_nothing() {
        let mut network = connected(1);
        network.set_fault(0, 1, Fault { loss_percent: 50, ..Fault::default() }, Millis(0));
        for n in 0..100u64 {
            network.send(1, End::Listener, bytes(&format!("{n},")), Millis(n));
        }
        let joined: Vec<u8> = all(&mut network, 1_000_000)
            .into_iter()
            .flat_map(|what| if let What::Bytes(bytes) = what { bytes } else { Vec::new() })
            .collect();
        assert_eq!(String::from_utf8(joined).unwrap(), (0..100).map(|n| format!("{n},")).collect::<String>());
        assert!(network.wires[&1].last_arrival[1] > Millis(300));
    }
}

//! Servers on the network: what they dial and send becomes parcels, what arrives becomes their inputs; and its faults.

use super::network::{End, Fault, Parcel, Side, What};
use super::process::Process;
use super::world::World;
use crate::base::Millis;
use crate::engine::cluster::NodeId;
use crate::engine::hooks::Buffers;
use crate::engine::link::{Address, LinkId};
use crate::engine::{ClientId, Input, Output};
use crate::port::NetworkChange;
use crate::resp::{Reply, decode, encode};
use crate::snapshot;
use std::collections::BTreeMap;

/// What the lab's own machine is called.
const HERE: [&str; 4] = ["127.0.0.1", "localhost", "::1", "0.0.0.0"];
/// The port of a cluster node's bus is its client port and this, unless `cluster-port` says otherwise.
const BUS_OFFSET: u16 = 10_000;

impl World {
    /// For a step: the message that arrived, in words. Err: no such server.
    pub fn change_network(&mut self, change: &NetworkChange) -> Result<Option<String>, String> {
        match change {
            NetworkChange::Cut(a, b) => self.partition(a, b)?,
            NetworkChange::Heal(a, b) => self.heal(a, b)?,
            NetworkChange::HealAll => self.heal_all(),
            NetworkChange::Delay(a, b, delay) => self.set_delay(a, b, *delay)?,
            NetworkChange::Loss(a, b, percent) => self.set_loss(a, b, *percent)?,
            NetworkChange::Freeze(frozen) => self.freeze_network(*frozen),
            NetworkChange::Step(limit) => return Ok(self.step_network(*limit)),
        }
        Ok(None)
    }

    // -- faults ------------------------------------------------------------------------------------------------------

    /// Cuts the network between two servers, in both directions. Err: no such server.
    pub fn partition(&mut self, a: &str, b: &str) -> Result<(), String> {
        self.alter_fault(a, b, |fault| fault.cut = true)
    }

    /// Takes a cut between two servers away; delay and loss stay.
    pub fn heal(&mut self, a: &str, b: &str) -> Result<(), String> {
        self.alter_fault(a, b, |fault| fault.cut = false)
    }

    /// Takes all faults away.
    pub fn heal_all(&mut self) {
        let faulty: Vec<_> = self.network.faults().map(|(pair, _)| pair).collect();
        for (a, b) in faulty {
            self.network.set_fault(a, b, Fault::default(), self.now);
        }
        self.settle();
    }

    /// How long a packet takes between two servers, each way.
    pub fn set_delay(&mut self, a: &str, b: &str, delay: Millis) -> Result<(), String> {
        self.alter_fault(a, b, |fault| fault.delay = Some(delay))
    }

    /// How many of a hundred packets between two servers are lost and have to be sent again; 99 at most.
    pub fn set_loss(&mut self, a: &str, b: &str, percent: u32) -> Result<(), String> {
        self.alter_fault(a, b, |fault| fault.loss_percent = percent.min(99))
    }

    /// Time that runs by itself: it stands still while the network is frozen, so that nobody misses a message.
    pub fn pass(&mut self, span: Millis) {
        if !self.network.frozen {
            self.advance(span);
        }
    }

    /// Holds everything on the network back until `step_network` delivers it, or lets it flow again.
    pub fn freeze_network(&mut self, frozen: bool) {
        self.network.frozen = frozen;
        self.settle();
    }

    fn alter_fault(&mut self, a: &str, b: &str, alter: impl FnOnce(&mut Fault)) -> Result<(), String> {
        let slot = |name: &str| {
            let known =
                self.processes.iter().position(|process| process.name == name || process.port.to_string() == name);
            known.ok_or_else(|| format!("There is no server {name}."))
        };
        let (a_slot, b_slot) = (slot(a)?, slot(b)?);
        if a_slot == b_slot {
            return Err(format!("{a} and {b} are the same server."));
        }
        let mut fault = self.network.fault(a_slot, b_slot);
        alter(&mut fault);
        self.network.set_fault(a_slot, b_slot, fault, self.now);
        self.settle();
        Ok(())
    }

    // -- one message at a time ---------------------------------------------------------------------------------------

    /// Lets time pass until the next message arrives somewhere, and no further; for `limit` at most. What it was, in words;
    /// None if nothing was sent meanwhile. Connections are made, and refused by the dead, on the way: ten attempts a second of
    /// each node say nothing.
    pub fn step_network(&mut self, limit: Millis) -> Option<String> {
        let frozen = std::mem::replace(&mut self.network.frozen, true);
        let target = self.now + limit;
        let told = loop {
            match self.network.next_arrival() {
                Some(at) if at <= self.now => match self.network.arrive(self.now) {
                    Some(parcel) => {
                        let told = (!super::parcel::is_mute(&parcel.what)).then(|| self.describe(&parcel));
                        self.deliver_parcel(parcel);
                        if told.is_some() {
                            break told;
                        }
                        continue;
                    }
                    // A cut holds it back: the next one, then.
                    None => continue,
                },
                Some(at) => {
                    if !self.next_happening(at.min(target)) {
                        self.set_clock(at.min(target));
                    }
                }
                None => {
                    if !self.next_happening(target) {
                        self.set_clock(target);
                        break None;
                    }
                }
            }
            if self.now >= target && self.network.next_arrival().is_none_or(|at| at > target) {
                break None;
            }
        };
        self.network.frozen = frozen;
        told
    }

    fn describe(&self, parcel: &Parcel) -> String {
        let wire = &self.network.wires[&parcel.wire];
        let name = |end: End| self.processes[wire.process(end)].name.clone();
        let words = super::parcel::words(wire.bus, parcel.to, &parcel.what, &|id| self.name_of(id));
        format!("{} -> {}: {words}", name(parcel.to.other()), name(parcel.to))
    }

    /// How the lab calls the node with this name on the cluster bus.
    fn name_of(&self, id: NodeId) -> String {
        let is = |process: &&Process| {
            process.instance.as_deref().and_then(|it| it.cluster.as_deref()).is_some_and(|it| it.me().id == id)
        };
        let by_port = || {
            // One that is down cannot say who it is; another may remember where it was.
            let clusters = self.processes.iter().filter_map(|process| process.instance.as_deref()?.cluster.as_deref());
            let port =
                clusters.filter_map(|it| it.find(id).map(|handle| it.node(handle).port)).find(|port| *port > 0)?;
            self.processes.iter().find(|process| process.port == port)
        };
        let process = self.processes.iter().find(is).or_else(by_port);
        process.map_or_else(|| id.as_str()[..8.min(id.as_str().len())].to_owned(), |process| process.name.clone())
    }

    // -- looking -----------------------------------------------------------------------------------------------------

    pub(super) fn look_at_network(&self) -> snapshot::Network {
        let network = &self.network;
        let name = |slot: usize| self.processes[slot].name.clone();
        let kind = |bus: bool| if bus { "bus" } else { "client" };
        let mut in_flight = BTreeMap::<u64, u64>::new();
        let mut messages = Vec::new();
        for (at, number, to, what) in network.pending() {
            let wire = &network.wires[&number];
            let bytes = if let What::Bytes(bytes) = what { bytes.len() as u64 } else { 0 };
            *in_flight.entry(number).or_default() += bytes;
            messages.push(snapshot::Message {
                from: name(wire.process(to.other())),
                to: name(wire.process(to)),
                kind: kind(wire.bus),
                what: super::parcel::words(wire.bus, to, what, &|id| self.name_of(id)),
                mute: super::parcel::is_mute(what),
                bytes,
                at,
            });
        }
        let links = network.wires.iter().map(|(number, wire)| {
            let (from, to) = (wire.process(End::Dialler), wire.process(End::Listener));
            snapshot::Link {
                from: name(from),
                to: name(to),
                kind: kind(wire.bus),
                up: wire.is_up(),
                delay: network.delay(from, to),
                cut: network.fault(from, to).cut,
                bytes_in_flight: in_flight.get(number).copied().unwrap_or_default(),
            }
        });
        let links = links.collect();
        let faults = network.faults().map(|((a, b), fault)| snapshot::Fault {
            between: [name(a), name(b)],
            delay: fault.delay,
            loss_percent: fault.loss_percent,
            cut: fault.cut,
        });
        snapshot::Network { links, messages, faults: faults.collect(), frozen: network.frozen }
    }

    // -- sending -----------------------------------------------------------------------------------------------------

    /// Carries out what an instance wants of the network.
    pub(super) fn network_output(&mut self, at: usize, output: Output) {
        match output {
            Output::Dial(link, address) => self.dial(at, link, &address),
            Output::LinkSend(link, bytes) => self.send_over(at, Side::Link(link), bytes),
            Output::Raw(client, bytes) => self.send_over(at, Side::Client(client), bytes),
            Output::LinkClose(link) => self.leave(at, Side::Link(link)),
            _ => unreachable!("World::absorb keeps the rest for itself"),
        }
    }

    fn dial(&mut self, at: usize, link: LinkId, address: &Address) {
        let here = HERE.contains(&address.host.as_str());
        let target = self.processes.iter().enumerate().find_map(|(slot, process)| {
            let bus = process.bus_port.filter(|_| process.is_running());
            match address.port {
                port if port == process.port => Some((slot, false)),
                port if Some(port) == bus => Some((slot, true)),
                // A node that is down has no configuration to ask.
                port if bus.is_none() && process.port.checked_add(BUS_OFFSET) == Some(port) => Some((slot, true)),
                _ => None,
            }
        });
        // Where nobody ever listened the machine itself refuses, at once.
        let (target, bus) = target.filter(|_| here).unwrap_or((at, false));
        self.network.dial(at, link, target, bus, address.port, self.now);
    }

    fn send_over(&mut self, at: usize, side: Side, bytes: Vec<u8>) {
        let Some((wire, end)) = self.network.wire_of(at, side) else { return };
        self.network.send(wire, end.other(), What::Bytes(bytes), self.now);
        if let Side::Client(client) = side
            && let held = self.network.held_bytes(wire, end.other())
            && held > 0
        {
            self.limit_output(at, client, held, (wire, end.other()));
        }
    }

    /// Ends a client for which a server holds more than client-output-buffer-limit allows. The soft limit is left out:
    /// what a cut holds back only grows.
    fn limit_output(&mut self, at: usize, client: ClientId, pending: u64, (wire, to): (u64, End)) {
        let instance = self.processes[at].instance.as_ref();
        if instance.is_some_and(|it| it.output_limit(client).is_exceeded(pending, None, self.now)) {
            self.network.forget_held(wire, to);
            let buffers = Buffers { reply: pending as usize, ..Buffers::usual(None) };
            let out = self.with_instance(at, |instance, _, out| instance.cut_off(client, buffers, out));
            self.absorb(at, None, out);
        }
    }

    /// Sends a reply to a client that is another server; false if it is none.
    pub(super) fn reply_over_wire(&mut self, at: usize, client: ClientId, reply: &Reply) -> bool {
        let Some((wire, end)) = self.network.wire_of(at, Side::Client(client)) else { return false };
        let mut bytes = Vec::new();
        encode::reply(&mut bytes, reply, self.protocol_of(at, client));
        self.network.send(wire, end.other(), What::Bytes(bytes), self.now);
        true
    }

    /// A side of a process ends its wire: the other one hears of it behind what was sent before.
    pub(super) fn leave(&mut self, at: usize, side: Side) {
        if let Some((wire, end)) = self.network.wire_of(at, side) {
            self.network.send(wire, end.other(), What::Closed, self.now);
            self.network.let_go(wire, end);
        }
    }

    /// A process has ended: its kernel closes all that it had open.
    pub(super) fn leave_all(&mut self, at: usize) {
        let numbers: Vec<u64> = self.network.wires.keys().copied().collect();
        for number in numbers {
            for end in [End::Dialler, End::Listener] {
                let Some(wire) = self.network.wires.get(&number) else { break };
                if wire.process(end) == at && wire.side(end) != Side::Nobody {
                    self.network.send(number, end.other(), What::Closed, self.now);
                    self.network.let_go(number, end);
                }
            }
        }
    }

    // -- arriving ----------------------------------------------------------------------------------------------------

    /// Delivers all that arrives at this moment, and what follows from it at this moment.
    pub(super) fn settle(&mut self) {
        while !self.network.frozen
            && let Some(parcel) = self.network.arrive(self.now)
        {
            self.deliver_parcel(parcel);
        }
    }

    /// Ends the wires whose senders have waited too long for a cut to heal.
    pub(super) fn surrender_wires(&mut self) {
        for (number, end) in self.network.surrender(self.now) {
            self.end_side(number, end);
        }
    }

    pub(super) fn deliver_parcel(&mut self, parcel: Parcel) {
        let Parcel { wire: number, to, what } = parcel;
        let Some(wire) = self.network.wires.get_mut(&number) else { return };
        let at = wire.process(to);
        match (what, wire.side(to)) {
            (What::Dial, _) => self.answer_dial(number),
            (What::Accepted, Side::Link(link)) => self.feed(at, Input::LinkUp(link)),
            (What::Bytes(bytes), Side::Link(link)) => self.feed(at, Input::LinkBytes(link, bytes)),
            (What::Bytes(bytes), Side::Client(client)) => {
                wire.requests.feed(&bytes);
                self.run_requests(number, at, client);
            }
            (What::Closed | What::Refused, Side::Link(_) | Side::Client(_)) => self.end_side(number, to),
            // The process or the connection is gone; who still sends hears of that.
            (What::Bytes(_), Side::Nobody) => self.network.send(number, to.other(), What::Closed, self.now),
            _ => {}
        }
    }

    fn answer_dial(&mut self, number: u64) {
        let wire = &self.network.wires[&number];
        let (at, bus, port) = (wire.process(End::Listener), wire.bus, wire.port);
        let process = &self.processes[at];
        let listens = process.is_running() && if bus { process.bus_port == Some(port) } else { process.port == port };
        if !listens || wire.side(End::Dialler) == Side::Nobody {
            self.network.send(number, End::Dialler, What::Refused, self.now);
            return;
        }
        let (side, input) = if bus {
            let link = LinkId(LinkId::CAME_IN | number);
            (Side::Link(link), Input::LinkCameIn(link, HERE[0].to_owned()))
        } else {
            self.processes[at].next_client += 1;
            let client = ClientId(self.processes[at].next_client);
            (Side::Client(client), Input::Connect(client))
        };
        self.network.take(number, side);
        self.network.send(number, End::Dialler, What::Accepted, self.now);
        self.feed(at, input);
    }

    /// Runs the whole requests that have come for a client which is another server.
    fn run_requests(&mut self, number: u64, at: usize, client: ClientId) {
        loop {
            let Some(wire) = self.network.wires.get_mut(&number) else { return };
            if wire.side(End::Listener) != Side::Client(client) {
                return;
            }
            match wire.requests.next(decode::Limits::default()) {
                Ok(Some(args)) => self.feed(at, Input::Request(client, args)),
                Ok(None) => return,
                Err(error) => {
                    self.reply_over_wire(at, client, &Reply::error(error.0));
                    self.feed(at, Input::Hangup(client));
                    self.leave(at, Side::Client(client));
                    return;
                }
            }
        }
    }

    /// Tells an end that its wire is gone.
    fn end_side(&mut self, number: u64, end: End) {
        let Some(wire) = self.network.wires.get(&number) else { return };
        let (at, side) = (wire.process(end), wire.side(end));
        self.network.let_go(number, end);
        match side {
            Side::Link(link) => self.feed(at, Input::LinkDown(link)),
            Side::Client(client) => self.feed(at, Input::Hangup(client)),
            Side::Nobody => {}
        }
    }

    fn feed(&mut self, at: usize, input: Input) {
        let out = self.step(at, input);
        self.absorb(at, None, out);
    }
}

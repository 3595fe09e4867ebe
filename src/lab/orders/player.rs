//! One order being run: programs, each with its connection, on a copy of a world.

use crate::base::{Bytes, quote};
use crate::lab::access;
use crate::lab::world::World;
use crate::port::{ConnectionId, Incoming};
use crate::race::program::{Names, What as Line};
use crate::race::{End, Mark, Program, Race, Run, Step, letter};
use crate::resp::{Reply, render};
use crate::snapshot::{self, What};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A program may begin again so often; then it gives up.
const ROUNDS_MAX: usize = 10;
/// Of a value, as far as it is shown.
const SHOWN: usize = 40;

/// One client in its program.
#[derive(Clone)]
struct Client {
    connection: ConnectionId,
    /// The number that the history knows it by.
    id: u64,
    /// The next line.
    at: usize,
    names: Names,
    last: Reply,
    /// The line whose answer has not come yet.
    waits: Option<usize>,
    /// Something it read has decided that it goes on.
    decided: bool,
    rounds: usize,
    end: Option<End>,
}

impl Client {
    fn at_its_first_line(connection: ConnectionId, id: u64) -> Client {
        Client {
            connection,
            id,
            at: 0,
            names: Names::new(),
            last: Reply::None,
            waits: None,
            decided: false,
            rounds: 0,
            end: None,
        }
    }
}

/// What happened in one step, as numbers of the history: told in words only when a run is shown.
#[derive(Clone, Copy)]
struct Turn {
    who: u8,
    /// Index of the program's line.
    line: usize,
    /// The history's last number after it.
    last: u64,
}

#[derive(Clone)]
pub struct Player {
    world: World,
    instance: usize,
    programs: Rc<Vec<Program>>,
    clients: Vec<Client>,
    turns: Vec<u8>,
    log: Vec<Turn>,
    /// Commands that rest on what was read: numbers of the history.
    based: BTreeSet<u64>,
    /// What programs did by themselves, with the step behind which they did.
    remarks: Vec<(usize, String)>,
    first: Rc<World>,
}

/// What an order came to.
pub struct Ending {
    pub turns: Vec<u8>,
    pub ends: Vec<End>,
    pub races: Vec<Race>,
    /// What the keys that were changed held before and hold now.
    pub keys: BTreeMap<String, (String, String)>,
}

impl Player {
    pub fn new(world: &World, port: u16, programs: &[Program]) -> Result<Player, String> {
        let mut world = world.clone();
        world.history = Default::default();
        let instance = world.processes.iter().position(|process| process.is_running() && process.port == port);
        let Some(instance) = instance else { return Err(format!("Nothing listens on port {port}.")) };
        let mut clients = Vec::new();
        for nth in 0..programs.len() {
            let connection = world.connect(port, &letter(nth).to_string())?;
            let id = world.connections[&connection].client.0;
            clients.push(Client::at_its_first_line(connection, id));
        }
        let mut player = Player {
            first: Rc::new(world.clone()),
            world,
            instance,
            programs: Rc::new(programs.to_vec()),
            clients,
            turns: Vec::new(),
            log: Vec::new(),
            based: BTreeSet::new(),
            remarks: Vec::new(),
        };
        (0..programs.len()).for_each(|who| player.think(who));
        Ok(player)
    }

    /// Who can take the next step, in the order of letters.
    pub fn able(&self) -> Vec<usize> {
        let able = |client: &Client| client.end.is_none() && client.waits.is_none();
        (0..self.clients.len()).filter(|who| able(&self.clients[*who])).collect()
    }

    /// How many commands a program has before it.
    pub fn left(&self, who: usize) -> usize {
        let lines = &self.programs[who].lines[self.clients[who].at..];
        lines.iter().filter(|line| matches!(line.what, Line::Send { .. })).count()
    }

    pub fn turns(&self) -> &[u8] {
        &self.turns
    }

    /// Sends the next command of `who`, and lets everybody think who was answered.
    pub fn step(&mut self, who: usize) {
        let programs = self.programs.clone();
        let client = &mut self.clients[who];
        let at = client.at;
        let Line::Send { words, .. } = &programs[who].lines[at].what else {
            unreachable!("a client that is able stands at a command, see `think`")
        };
        self.turns.push(who as u8);
        match programs[who].filled(words, &client.names) {
            Err(why) => {
                client.end = Some(End::Failed(why));
                self.log.push(Turn { who: who as u8, line: at, last: self.world.history.last() });
            }
            Ok((words, depends)) => {
                client.at += 1;
                client.waits = Some(at);
                let before = self.world.history.last();
                let based = depends || client.decided;
                let (connection, id) = (client.connection, client.id);
                self.world.send(connection, words);
                if based {
                    let own = |what: &What| matches!(what, What::Command { client, .. } if *client == id);
                    let sent = self.world.history.since(before).filter(|event| own(&event.what));
                    self.based.extend(sent.map(|event| event.sequence));
                }
                self.log.push(Turn { who: who as u8, line: at, last: self.world.history.last() });
                (0..self.clients.len()).for_each(|each| self.hear(each));
            }
        }
    }

    /// Picks up the answer that a client waits for.
    fn hear(&mut self, who: usize) {
        let Some(line) = self.clients[who].waits else { return };
        for incoming in self.world.receive(self.clients[who].connection) {
            let client = &mut self.clients[who];
            match incoming {
                Incoming::Reply(reply) => {
                    if let Line::Send { into: Some(name), .. } = &self.programs[who].lines[line].what {
                        client.names.insert(name.clone(), reply.clone());
                    }
                    client.last = reply;
                    client.waits = None;
                }
                Incoming::Push(_) => {}
                Incoming::Closed => {
                    client.waits = None;
                    client.end = Some(End::Failed(String::from("the connection was closed")));
                }
            }
        }
        if self.clients[who].waits.is_none() {
            self.think(who);
        }
    }

    /// Goes on to the next command, past conditions; or comes to an end.
    fn think(&mut self, who: usize) {
        let programs = self.programs.clone();
        let program = &programs[who];
        let step = self.log.len().checked_sub(1);
        while self.clients[who].end.is_none() {
            let client = &mut self.clients[who];
            let Some(line) = program.lines.get(client.at) else {
                client.end = Some(End::Done(on_one_line(&client.last)));
                return;
            };
            let (condition, stop) = match &line.what {
                Line::Send { .. } => return,
                Line::Stop(condition) => (condition, true),
                Line::Again(condition) => (condition, false),
            };
            client.decided |= stop;
            client.at += 1;
            let remark = match program.holds(condition, &client.names, &client.last) {
                Ok(false) => continue,
                Err(why) => {
                    client.end = Some(End::Failed(why.clone()));
                    why
                }
                Ok(true) if stop => {
                    client.end = Some(End::Stopped(line.number));
                    format!("stops: {}", line.text.trim_start_matches("stop if "))
                }
                Ok(true) if client.rounds == ROUNDS_MAX => {
                    client.end = Some(End::GaveUp);
                    String::from("gives up")
                }
                Ok(true) => {
                    client.rounds += 1;
                    client.at = 0;
                    client.decided = false;
                    String::from("begins again")
                }
            };
            self.remarks.extend(step.map(|step| (step, format!("{} {remark}", letter(who)))));
        }
    }

    /// Works out what can be said of the end; who still waits will wait for ever.
    pub fn ending(&self) -> Ending {
        let changed: BTreeSet<(usize, Bytes)> = self.changed(0, u64::MAX).into_iter().collect();
        let texts = |db, key: &Bytes| (self.value_in(&self.first, db, key), self.value_in(&self.world, db, key));
        Ending {
            turns: self.turns.clone(),
            ends: self.clients.iter().map(|client| client.end.clone().unwrap_or(End::Waits)).collect(),
            races: access::races(self.world.history.since(0), &|sequence| self.based.contains(&sequence)),
            keys: changed.iter().map(|(db, key)| (name_of(*db, key), texts(*db, key))).collect(),
        }
    }

    /// Keys that changed in the events after `from`, up to `to`; each once.
    fn changed(&self, from: u64, to: u64) -> Vec<(usize, Bytes)> {
        let mut found: Vec<(usize, Bytes)> = Vec::new();
        for event in self.world.history.since(from).take_while(|event| event.sequence <= to) {
            if let What::Key { db, key, .. } = &event.what
                && !found.contains(&(*db, key.clone()))
            {
                found.push((*db, key.clone()));
            }
        }
        found
    }

    fn value_in(&self, world: &World, db: usize, key: &Bytes) -> String {
        world.value_of(self.instance, db, key).map_or_else(|| String::from("(nil)"), |value| text_of(&value))
    }

    /// The run step by step, told by doing it once more, and the world at its end.
    pub fn finish(self) -> (Run, World) {
        let Ending { turns, ends, races, keys } = self.ending();
        let mut again = Player { world: World::clone(&self.first), ..self.fresh() };
        let mut steps = Vec::new();
        for (index, turn) in self.log.iter().enumerate() {
            let who = usize::from(turn.who);
            let before = again.world.history.last();
            again.step(who);
            let changed = again.changed(before, u64::MAX);
            let changed =
                changed.iter().map(|(db, key)| (name_of(*db, key), again.value_in(&again.world, *db, key))).collect();
            let remarks = self.remarks.iter().filter(|(step, _)| *step == index).map(|(_, text)| text.clone());
            let then: Vec<String> = remarks.collect();
            let failed = match &again.clients[who].end {
                Some(End::Failed(why)) => Some(why.clone()),
                _ => None,
            };
            let line = &self.programs[who].lines[turn.line];
            steps.push(Step {
                who,
                line: line.number,
                command: again.sent(who, before).unwrap_or_else(|| line.text.clone()),
                reply: self.answered(who, before, turn.last),
                changed,
                broke: self.broke(before, turn.last),
                then: (!then.is_empty()).then(|| then.join(", ")).or(failed),
            });
        }
        let step_of = |sequence: u64| self.log.iter().position(|turn| sequence <= turn.last).unwrap_or(0);
        let mark = |race: &Race| Mark {
            kind: race.kind,
            key: name_of(race.db, &race.key),
            read: race.read.map(step_of),
            other: step_of(race.other),
            write: step_of(race.write),
        };
        let run = Run {
            turns,
            steps,
            ends,
            races: races.iter().map(mark).collect(),
            keys: keys.into_iter().map(|(key, (_, now))| (key, now)).collect(),
        };
        (run, self.world)
    }

    /// The same programs at their first line.
    fn fresh(&self) -> Player {
        let mut player = self.clone();
        for client in &mut player.clients {
            *client = Client::at_its_first_line(client.connection, client.id);
        }
        (player.turns, player.log, player.remarks) = Default::default();
        (0..player.clients.len()).for_each(|who| player.think(who));
        player
    }

    /// What `who` sent after event `from`.
    fn sent(&self, who: usize, from: u64) -> Option<String> {
        self.world.history.since(from).find_map(|event| match &event.what {
            What::Command { client, args, .. } if *client == self.clients[who].id => Some(quote::line_of(args)),
            _ => None,
        })
    }

    /// What `who` was answered to what it sent between two events; later, if it had to wait.
    fn answered(&self, who: usize, from: u64, to: u64) -> String {
        let own = self.world.history.since(from).filter_map(|event| match &event.what {
            What::Command { client, reply, .. } if *client == self.clients[who].id => Some((event.sequence, reply)),
            _ => None,
        });
        let answer = own.take_while(|(sequence, reply)| *sequence <= to || **reply != Reply::None);
        let answer = answer.map(|(_, reply)| reply).find(|reply| **reply != Reply::None);
        answer.map(|reply| render::tty(reply).trim_end_matches('\n').to_owned()).unwrap_or_default()
    }

    /// Whose watches broke between two events.
    fn broke(&self, from: u64, to: u64) -> Vec<(usize, String)> {
        let events = self.world.history.since(from).take_while(|event| event.sequence <= to);
        let broken = events.filter_map(|event| match &event.what {
            What::WatchBroken { client, db, key, .. } => {
                let who = self.clients.iter().position(|each| each.id == *client)?;
                Some((who, name_of(*db, key)))
            }
            _ => None,
        });
        broken.collect()
    }
}

/// `stock`, or `stock[1]` in another database than 0.
fn name_of(db: usize, key: &Bytes) -> String {
    let name = quote::word_of(key);
    if db == 0 { name } else { format!("{name}[{db}]") }
}

fn on_one_line(reply: &Reply) -> String {
    let text = render::tty(reply);
    cut(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn text_of(value: &snapshot::Value) -> String {
    let word = |bytes: &Bytes| quote::word_of(bytes);
    let list = |items: Vec<String>, open: char, close: char| format!("{open}{}{close}", items.join(", "));
    cut(match value {
        snapshot::Value::String(text) => quote::repr(text),
        snapshot::Value::List(items) => list(items.iter().map(word).collect(), '[', ']'),
        snapshot::Value::Set(members) => list(members.iter().map(word).collect(), '{', '}'),
        snapshot::Value::Hash(pairs) => {
            list(pairs.iter().map(|(field, value)| format!("{}: {}", word(field), word(value))).collect(), '{', '}')
        }
        snapshot::Value::Zset(pairs) => {
            list(pairs.iter().map(|(member, score)| format!("{}: {score}", word(member))).collect(), '{', '}')
        }
        snapshot::Value::Stream(entries) => format!("a stream of {}", entries.len()),
    })
}

fn cut(text: String) -> String {
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN - 3).collect::<String>() + "..." }
}

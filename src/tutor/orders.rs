//! `:orders`: programs of the lesson or of the learner, run against each other in every order, and one of these played.
//!
//! All runs begin at the first moment of the exercise, so that what was tried by hand changes nothing in the count.

use super::Session;
use crate::check::Probe;
use crate::console::{Class, Line, Orders as Asked};
use crate::lesson::Opens;
use crate::picture::orders::{self as picture, NOTHING_YET, state};
use crate::race::{Kind, Orders, Program, Run, letter};

/// Programs that were run against each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    pub port: u16,
    pub orders: Orders,
    /// The order that is being played, as an index.
    pub chosen: Option<usize>,
    pub run: Run,
    /// How many of its steps have been shown.
    pub shown: usize,
}

impl Session {
    pub(super) fn orders(&mut self, asked: Asked) -> Vec<Line> {
        let done = match asked {
            Asked::Files(paths) => self.read_programs(&paths).and_then(|programs| self.compare(programs)),
            Asked::Typed => self.compare(self.view().typed_programs()),
            Asked::Again => match &self.compared {
                Some(compared) if self.edited(&compared.orders) => {
                    let paths: Vec<String> = compared.orders.programs.iter().map(|it| it.name.clone()).collect();
                    self.read_programs(&paths).and_then(|programs| self.compare(programs))
                }
                Some(compared) => Ok(summary(&compared.orders)),
                None => match self.view().typed_programs() {
                    typed if typed.len() >= 2 => self.compare(typed),
                    _ => Err(String::from(NOTHING_YET)),
                },
            },
            Asked::Play(number) => self.play(|_| Some(number.wrapping_sub(1))),
            Asked::Worst => self.play(|orders| orders.worst),
            Asked::Next => self.next_step(),
        };
        done.unwrap_or_else(|why| vec![Line::new(Class::Bad, why)])
    }

    fn read_programs(&self, paths: &[String]) -> Result<Vec<Program>, String> {
        let read = |path: &String| {
            let bytes = self.backend.read_file(path).map_err(|error| format!("{path}: {error}"))?;
            Program::parse(path, &String::from_utf8_lossy(&bytes))
        };
        paths.iter().map(read).collect()
    }

    /// Whether a file that was run says something else by now.
    pub(super) fn edited(&self, orders: &Orders) -> bool {
        orders.programs.iter().any(|program| {
            let text = self.backend.read_file(&program.name);
            text.is_ok_and(|text| {
                Program::parse(&program.name, &String::from_utf8_lossy(&text)).as_ref() != Ok(program)
            })
        })
    }

    fn compare(&mut self, programs: Vec<Program>) -> Result<Vec<Line>, String> {
        if programs.len() < 2 {
            return Err(String::from(
                "Commands of two terminals are needed: type in each of them what it is to do, then `:orders typed`.",
            ));
        }
        let port = self.port();
        let orders = self.first_moment().orders(port, &programs)?;
        let lines = summary(&orders);
        self.compared = Some(Compared { port, orders, chosen: None, run: Run::default(), shown: 0 });
        Ok(lines)
    }

    /// The server that the programs speak to: that of the lesson's first terminal at a redis prompt.
    fn port(&self) -> u16 {
        let world = &self.lesson.world;
        let opened = world.terminals.iter().find_map(|terminal| match &terminal.opens {
            Opens::Redis(name) => world.instances.iter().find(|instance| instance.name == *name),
            _ => None,
        });
        opened.or(world.instances.first()).map_or(6379, |instance| instance.port)
    }

    fn first_moment(&self) -> &dyn crate::port::Backend {
        self.progress[self.current].start.as_ref().map_or(&*self.backend, |start| &*start.backend)
    }

    /// Plays one order from its first to its last step.
    fn play(&mut self, choose: impl Fn(&Orders) -> Option<usize>) -> Result<Vec<Line>, String> {
        self.choose(choose)?;
        let compared = self.compared.as_mut().expect("just chosen in it");
        compared.shown = compared.run.steps.len();
        let mut lines = vec![heading(compared)];
        (0..compared.shown).for_each(|step| lines.extend(told(&compared.run, step)));
        lines.push(ending(compared));
        Ok(lines)
    }

    /// One step more of the order that is being played; the worst one if none is.
    fn next_step(&mut self) -> Result<Vec<Line>, String> {
        let compared = self.compared.as_ref().ok_or(NOTHING_YET)?;
        let mut lines = Vec::new();
        let over = compared.chosen.is_none_or(|_| compared.shown >= compared.run.steps.len());
        if over {
            let chosen = compared.chosen;
            self.choose(|orders| chosen.or(orders.worst).or(Some(0)))?;
            lines.push(heading(self.compared.as_ref().expect("just chosen in it")));
        }
        let compared = self.compared.as_mut().expect("looked at above");
        lines.extend(told(&compared.run, compared.shown));
        compared.shown += 1;
        if compared.shown == compared.run.steps.len() {
            lines.push(ending(compared));
        }
        Ok(lines)
    }

    fn choose(&mut self, choose: impl Fn(&Orders) -> Option<usize>) -> Result<(), String> {
        let compared = self.compared.as_ref().ok_or(NOTHING_YET)?;
        let count = compared.orders.orders.len();
        let Some(at) = choose(&compared.orders) else {
            return Err(String::from("No order has a race: there is no worst one. `:orders 1` plays the first."));
        };
        let Some(order) = compared.orders.orders.get(at) else {
            return Err(format!("The orders have the numbers 1 to {count}."));
        };
        let turns = order.turns.clone();
        let (run, _) = self.first_moment().play_order(compared.port, &compared.orders.programs, &turns)?;
        let compared = self.compared.as_mut().expect("looked at above");
        (compared.chosen, compared.run, compared.shown) = (Some(at), run, 0);
        Ok(())
    }
}

/// What came of all orders, in lines.
fn summary(orders: &Orders) -> Vec<Line> {
    let count = orders.orders.len();
    let names = orders.programs.iter().enumerate().map(|(nth, program)| format!("{} {}", letter(nth), program.name));
    let names = names.collect::<Vec<_>>().join(", ");
    let head = match orders.sample {
        None => format!("{names}: {count} orders, each run on a copy of the exercise's first moment."),
        Some(sample) => {
            let of = if sample.of == u64::MAX { String::from("far too many") } else { sample.of.to_string() };
            format!("{names}: of {of} orders {count} were drawn (seed {}) and run on copies.", sample.seed)
        }
    };
    let mut lines = vec![Line::new(Class::Title, head)];
    for (nth, outcome) in orders.outcomes.iter().enumerate() {
        if nth == OUTCOMES_SHOWN && orders.outcomes.len() > OUTCOMES_SHOWN + 1 {
            let (more, rest) = (orders.outcomes.len() - nth, &orders.outcomes[nth..]);
            let rest: usize = rest.iter().map(|outcome| outcome.count).sum();
            lines.push(Line::new(Class::Dim, format!("{rest:>6}  in {more} other ways")));
            break;
        }
        let mut line = Line::new(Class::Int, format!("{:>6}  ", outcome.count));
        line = line.and(Class::Plain, state(&outcome.keys, &outcome.ends));
        for (kind, count) in [(Kind::StaleRead, outcome.stale), (Kind::LostUpdate, outcome.lost)] {
            if count > 0 {
                let of = if count == outcome.count { String::new() } else { format!(" in {count}") };
                line = line.and(Class::Bad, format!("  {}{of}", kind.name().to_uppercase()));
            }
        }
        lines.push(line);
    }
    let (stale, lost) = (orders.with(Kind::StaleRead), orders.with(Kind::LostUpdate));
    lines.push(match orders.worst {
        Some(worst) => {
            let letters = orders.orders[worst].letters();
            let found = format!("A stale read in {stale} of {count} orders, a lost update in {lost}.");
            let advice = format!(" The worst is order {}, {letters}: `:orders {}`.", worst + 1, worst + 1);
            Line::new(Class::Bad, found).and(Class::Note, advice)
        }
        None => Line::new(Class::Good, format!("No stale read and no lost update in any of {count} orders.")),
    });
    lines
}

const OUTCOMES_SHOWN: usize = 8;

fn heading(compared: &Compared) -> Line {
    let at = compared.chosen.unwrap_or(0);
    let letters = compared.orders.orders[at].letters();
    Line::new(Class::Title, format!("Order {} of {}: {letters}", at + 1, compared.orders.orders.len()))
}

/// One step, and what is to be said of it.
fn told(run: &Run, index: usize) -> Vec<Line> {
    let Some(step) = run.steps.get(index) else { return Vec::new() };
    let reply = step.reply.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
    let reply = if reply.is_empty() { String::from("(waits)") } else { reply };
    let mut lines = vec![
        Line::new(Class::Index, format!("{:>3} {}  ", index + 1, letter(step.who)))
            .and(Class::Echo, format!("{:<24} ", step.command))
            .and(Class::Plain, reply),
    ];
    let mut say = |class, text: String| lines.push(Line::new(class, format!("       {text}")));
    for (race, note) in picture::notes(run, index) {
        say(if race { Class::Bad } else { Class::Note }, note);
    }
    lines
}

fn ending(compared: &Compared) -> Line {
    Line::new(Class::Title, "In the end: ").and(Class::Plain, state(&compared.run.keys, &compared.run.ends))
}

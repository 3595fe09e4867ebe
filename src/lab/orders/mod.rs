//! Every order in which two or three programs can run against one server.
//!
//! The tree of all orders is walked from its root: a world is copied only where two programs could go on, so orders share
//! what they have in common. Where there are more orders than `EXACT_MAX`, `SAMPLES` of them are drawn with a seed, each as
//! likely as any other (as long as nothing is done again). Nothing here touches the world that it was given.

mod player;

use super::world::World;
use crate::base::Rng;
use crate::race::{Kind, Order, Orders, Outcome, Program, Run, Sample};
use player::{Ending, Player};
use std::collections::{BTreeMap, BTreeSet};

/// Up to so many orders all of them are run.
pub const EXACT_MAX: usize = 5000;
/// So many are drawn where there are more.
pub const SAMPLES: usize = 2000;
/// Letters are A, B, C.
pub const PROGRAMS_MAX: usize = 3;
/// Nobody looks through more lines than that.
const COMMANDS_MAX: usize = 60;

/// All orders of `programs` on the server at `port`. Err: why not, in a sentence.
pub fn all(world: &World, port: u16, programs: &[Program], seed: u64) -> Result<Orders, String> {
    let root = begin(world, port, programs)?;
    let counts: Vec<usize> = programs.iter().map(Program::commands).collect();
    let of = interleavings(&counts);
    let exact = (of <= EXACT_MAX as u64).then(|| walk(root.clone())).flatten();
    let (endings, sample) = match exact {
        Some(endings) => (endings, None),
        None => (draw(&root, seed), Some(Sample { seed, of })),
    };
    Ok(summed_up(programs, &endings, sample))
}

/// One order, step by step, and the world that it ends in. Turns that a program cannot take are skipped, and what is left
/// of the programs is run at the end, so that any row of letters is an order.
pub fn one(world: &World, port: u16, programs: &[Program], turns: &[u8]) -> Result<(Run, World), String> {
    let mut player = begin(world, port, programs)?;
    for turn in turns {
        if player.able().contains(&usize::from(*turn)) {
            player.step(usize::from(*turn));
        }
    }
    while let Some(next) = player.able().first().copied() {
        player.step(next);
    }
    Ok(player.finish())
}

fn begin(world: &World, port: u16, programs: &[Program]) -> Result<Player, String> {
    if !(2..=PROGRAMS_MAX).contains(&programs.len()) {
        return Err(format!("It takes two or three programs, not {}.", programs.len()));
    }
    let commands: usize = programs.iter().map(Program::commands).sum();
    if commands > COMMANDS_MAX {
        return Err(format!("These are {commands} commands; at most {COMMANDS_MAX} can be compared."));
    }
    Player::new(world, port, programs)
}

/// In how many orders so many steps can be taken; at most `u64::MAX`.
fn interleavings(counts: &[usize]) -> u64 {
    let mut all: u128 = 1;
    let mut steps: u128 = 0;
    for count in counts {
        for step in 1..=*count as u128 {
            steps += 1;
            // Stays whole: it is a binomial coefficient after each round.
            all = match all.checked_mul(steps) {
                Some(product) => product / step,
                None => return u64::MAX,
            };
        }
    }
    u64::try_from(all).unwrap_or(u64::MAX)
}

/// The end of every order, in the order of their letters. None: they are too many, because programs begin again.
fn walk(root: Player) -> Option<Vec<Ending>> {
    let mut done = Vec::new();
    let mut open = vec![root];
    while let Some(mut player) = open.pop() {
        loop {
            let able = player.able();
            let Some((first, others)) = able.split_first() else { break };
            // The last in letters lies lowest on the stack.
            for other in others.iter().rev() {
                let mut branch = player.clone();
                branch.step(*other);
                open.push(branch);
            }
            player.step(*first);
        }
        done.push(player.ending());
        if done.len() > 2 * EXACT_MAX {
            return None;
        }
    }
    Some(done)
}

/// Different orders, drawn at random.
fn draw(root: &Player, seed: u64) -> Vec<Ending> {
    let mut rng = Rng::new(seed);
    let mut known = BTreeSet::new();
    let mut done = Vec::new();
    for _ in 0..SAMPLES {
        let mut player = root.clone();
        loop {
            let able = player.able();
            let weights: Vec<usize> = able.iter().map(|program| player.left(*program).max(1)).collect();
            let Some(total) = Some(weights.iter().sum::<usize>()).filter(|total| *total > 0) else { break };
            let mut ticket = rng.below(total);
            let winner = weights.iter().position(|weight| match ticket.checked_sub(*weight) {
                None => true,
                Some(rest) => {
                    ticket = rest;
                    false
                }
            });
            player.step(able[winner.expect("the ticket is below the sum")]);
        }
        if known.insert(player.turns().to_vec()) {
            done.push(player.ending());
        }
    }
    done.sort_by(|a, b| a.turns.cmp(&b.turns));
    done
}

fn summed_up(programs: &[Program], endings: &[Ending], sample: Option<Sample>) -> Orders {
    // A key that some order changed is told of in all of them.
    let mut before: BTreeMap<String, String> = BTreeMap::new();
    for (key, (old, _)) in endings.iter().flat_map(|ending| &ending.keys) {
        before.insert(key.clone(), old.clone());
    }
    let mut found: Vec<Outcome> = Vec::new();
    let mut orders = Vec::new();
    for (index, ending) in endings.iter().enumerate() {
        let mut keys = before.clone();
        keys.extend(ending.keys.iter().map(|(key, (_, now))| (key.clone(), now.clone())));
        let (keys, ends): (Vec<_>, _) = (keys.into_iter().collect(), ending.ends.clone());
        let same = found.iter().position(|each| each.keys == keys && each.ends == ends);
        let outcome = same.unwrap_or(found.len());
        if same.is_none() {
            found.push(Outcome { keys, ends, count: 0, stale: 0, lost: 0, example: index });
        }
        let count = |kind| ending.races.iter().filter(|race| race.kind == kind).count();
        let (stale_reads, lost_updates) = (count(Kind::StaleRead), count(Kind::LostUpdate));
        let each = &mut found[outcome];
        each.count += 1;
        each.stale += usize::from(stale_reads > 0);
        each.lost += usize::from(lost_updates > 0);
        orders.push(Order { turns: ending.turns.clone(), outcome, stale_reads, lost_updates });
    }
    let mut ranks: Vec<usize> = (0..found.len()).collect();
    ranks.sort_by_key(|at| (usize::MAX - found[*at].count, found[*at].example));
    for order in &mut orders {
        order.outcome = ranks.iter().position(|at| *at == order.outcome).expect("every outcome has a rank");
    }
    let outcomes = ranks.iter().map(|at| found[*at].clone()).collect();
    let worst = worst(&orders);
    Orders { programs: programs.to_vec(), orders, outcomes, sample, worst }
}

/// A lost update before a stale read; of several the one with the fewest changes of turn, which is followed most easily.
fn worst(orders: &[Order]) -> Option<usize> {
    let racy = orders.iter().enumerate().filter(|(_, order)| order.stale_reads + order.lost_updates > 0);
    let switches = |order: &Order| order.turns.windows(2).filter(|pair| pair[0] != pair[1]).count();
    racy.min_by_key(|(_, order)| (order.lost_updates == 0, order.stale_reads == 0, switches(order))).map(|(at, _)| at)
}

#[cfg(test)]
mod tests;

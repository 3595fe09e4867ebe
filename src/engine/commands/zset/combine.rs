//! Unions, intersections and differences of sorted sets. Plain sets may take part: their members score 1.

use super::pair;
use crate::base::{Bytes, float};
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::commands::{parse, sample};
use crate::engine::dict::Dict;
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::{Kind, Set, Value, Zset};
use crate::resp::Reply;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Inter,
    Diff,
}

#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn combine(self, a: f64, b: f64) -> f64 {
        match self {
            // inf and -inf cancel out.
            Aggregate::Sum if (a + b).is_nan() => 0.0,
            Aggregate::Sum => a + b,
            Aggregate::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Aggregate::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

/// One of the keys that take part.
#[derive(Clone, Copy)]
enum Input<'c> {
    Missing,
    Set(&'c Set),
    Zset(&'c Zset),
}

impl<'c> Input<'c> {
    fn len(self) -> usize {
        match self {
            Input::Missing => 0,
            Input::Set(set) => set.len(),
            Input::Zset(zset) => zset.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Input::Missing => None,
            Input::Set(set) => set.contains(member).then_some(1.0),
            Input::Zset(zset) => zset.score(member),
        }
    }

    fn members(self) -> Box<dyn Iterator<Item = (Bytes, f64)> + 'c> {
        match self {
            Input::Missing => Box::new(std::iter::empty()),
            Input::Set(set) => Box::new(set.iter().map(|member| (member, 1.0))),
            Input::Zset(zset) => Box::new(zset.iter().map(|(member, score)| (member.clone(), score))),
        }
    }
}

struct Options {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

/// Which options an operation understands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Reading,
    Storing,
    Counting,
}

pub fn zunion(call: &mut Call) -> Outcome {
    read(call, Operation::Union)
}

pub fn zinter(call: &mut Call) -> Outcome {
    read(call, Operation::Inter)
}

pub fn zdiff(call: &mut Call) -> Outcome {
    read(call, Operation::Diff)
}

pub fn zunionstore(call: &mut Call) -> Outcome {
    store(call, Operation::Union, "zunionstore")
}

pub fn zinterstore(call: &mut Call) -> Outcome {
    store(call, Operation::Inter, "zinterstore")
}

pub fn zdiffstore(call: &mut Call) -> Outcome {
    store(call, Operation::Diff, "zdiffstore")
}

pub fn zintercard(call: &mut Call) -> Outcome {
    let keys = input_keys(call, 1)?;
    let there = look_up(call, keys)?;
    let options = Options::parse(call, 2 + keys.len(), keys.len(), Operation::Inter, Form::Counting)?;
    let mut inputs = inputs(call, keys, &there);
    inputs.sort_by_key(|input| input.len());
    let common = inputs[0].members().filter(|(member, _)| inputs[1..].iter().all(|it| it.score(member).is_some()));
    Ok(Reply::from(common.take(options.limit).count()))
}

fn read(call: &mut Call, operation: Operation) -> Outcome {
    let (members, with_scores) = result(call, 1, operation, Form::Reading)?;
    let pairs = members.iter().map(|(member, score)| pair((member, *score)));
    Ok(if with_scores {
        sample::pairs_reply(pairs, call.protocol)
    } else {
        Reply::Array(pairs.map(|(member, _)| member).collect())
    })
}

fn store(call: &mut Call, operation: Operation, event: &'static str) -> Outcome {
    let destination = &call.args[1];
    let (members, _) = result(call, 2, operation, Form::Storing)?;
    let (limits, seed, count) = (call.limits(), call.seed(), members.len());
    call.store(destination, Zset::build(members, seed, &limits).into_value(), Class::Zset, event);
    Ok(Reply::from(count))
}

/// The members of the result in order, and whether their scores are wanted. The count of keys stands at argument `at`.
fn result(call: &mut Call, at: usize, operation: Operation, form: Form) -> Result<(Vec<(Bytes, f64)>, bool), Refusal> {
    let keys = input_keys(call, at)?;
    let there = look_up(call, keys)?;
    let options = Options::parse(call, at + 1 + keys.len(), keys.len(), operation, form)?;
    let mut inputs: Vec<(Input, f64)> = inputs(call, keys, &there).into_iter().zip(options.weights).collect();
    if operation != Operation::Diff {
        inputs.sort_by_key(|(input, _)| input.len());
    }
    let mut members = match operation {
        Operation::Union => union(&inputs, options.aggregate, call),
        Operation::Inter => intersection(&inputs, options.aggregate),
        Operation::Diff => difference(&inputs),
    };
    members.sort_by(|(a, x), (b, y)| crate::engine::value::zset::order((*x, a), (*y, b)));
    Ok((members, options.with_scores))
}

fn union(inputs: &[(Input, f64)], aggregate: Aggregate, call: &Call) -> Vec<(Bytes, f64)> {
    let mut scores: Dict<f64> = Dict::new(call.seed());
    for (input, weight) in inputs {
        for (member, score) in input.members() {
            let score = weighted(score, *weight);
            match scores.get_mut(&member) {
                Some(known) => *known = aggregate.combine(*known, score),
                None => drop(scores.insert(member, score)),
            }
        }
    }
    scores.iter().map(|(member, score)| (member.clone(), *score)).collect()
}

/// Infinity times nothing is nothing.
fn weighted(score: f64, weight: f64) -> f64 {
    let score = score * weight;
    if score.is_nan() { 0.0 } else { score }
}

fn intersection(inputs: &[(Input, f64)], aggregate: Aggregate) -> Vec<(Bytes, f64)> {
    let (first, weight) = inputs[0];
    let combined = |member: &Bytes, score: f64| {
        inputs[1..].iter().try_fold(weighted(score, weight), |sum, (input, weight)| {
            Some(aggregate.combine(sum, input.score(member)? * weight))
        })
    };
    first.members().filter_map(|(member, score)| combined(&member, score).map(|score| (member, score))).collect()
}

fn difference(inputs: &[(Input, f64)]) -> Vec<(Bytes, f64)> {
    let (first, _) = inputs[0];
    first.members().filter(|(member, _)| !inputs[1..].iter().any(|(it, _)| it.score(member).is_some())).collect()
}

// -- arguments -------------------------------------------------------------------------------------------------------

fn input_keys<'a>(call: &Call<'a>, at: usize) -> Result<&'a [Bytes], Refusal> {
    let (count, args) = (call.int(at)?, call.args);
    if count < 1 {
        let name = call.command.name.to_ascii_lowercase();
        return Err(Refusal::from(format!("ERR at least 1 input key is needed for '{name}' command")));
    }
    let end = usize::try_from(count).ok().and_then(|count| count.checked_add(at + 1));
    end.and_then(|end| args.get(at + 1..end)).ok_or(refusal::SYNTAX)
}

/// Looks all keys up, as reading them does: whether each is there. Err: WRONGTYPE unless it is a set, a sorted set or missing.
fn look_up(call: &mut Call, keys: &[Bytes]) -> Result<Vec<bool>, Refusal> {
    let is_there = |key: &Bytes| match call.read_value(key) {
        None => Ok(false),
        Some(Value::Set(_) | Value::Zset(_)) => Ok(true),
        Some(_) => Err(refusal::WRONGTYPE),
    };
    keys.iter().map(is_there).collect()
}

/// The values of `keys`; `there` is what `look_up` said of them.
fn inputs<'c>(call: &'c Call, keys: &[Bytes], there: &[bool]) -> Vec<Input<'c>> {
    let input = |(key, there): (&Bytes, &bool)| match call.db_ref().slot(key).filter(|_| *there).map(|slot| &slot.value)
    {
        Some(Value::Set(set)) => Input::Set(set),
        Some(Value::Zset(zset)) => Input::Zset(zset),
        _ => Input::Missing,
    };
    keys.iter().zip(there).map(input).collect()
}

impl Options {
    fn parse(call: &Call, at: usize, keys: usize, operation: Operation, form: Form) -> Result<Options, Refusal> {
        let mut options =
            Options { weights: vec![1.0; keys], aggregate: Aggregate::Sum, with_scores: false, limit: usize::MAX };
        if form == Form::Counting {
            options.limit = parse::limit_option(call, at)?;
            return Ok(options);
        }
        let scored = operation != Operation::Diff;
        let mut next = at;
        while next < call.args.len() {
            let left = call.args.len() - next;
            if scored && left > keys && call.is(next, "WEIGHTS") {
                for (weight, text) in options.weights.iter_mut().zip(&call.args[next + 1..]) {
                    *weight = float::parse(text).ok_or(Refusal::new("ERR weight value is not a float"))?;
                }
                next += 1 + keys;
            } else if scored && left > 1 && call.is(next, "AGGREGATE") {
                options.aggregate = match call.args[next + 1].to_ascii_lowercase().as_slice() {
                    b"sum" => Aggregate::Sum,
                    b"min" => Aggregate::Min,
                    b"max" => Aggregate::Max,
                    _ => return Err(refusal::SYNTAX),
                };
                next += 2;
            } else if form == Form::Reading && call.is(next, "WITHSCORES") {
                options.with_scores = true;
                next += 1;
            } else {
                return Err(refusal::SYNTAX);
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use crate::base::Millis;
    use crate::engine::testing::Lab;
    use crate::resp::Reply;

    // The keys were looked up as the primary meant it, but read as if they were past their expiry: the result was empty here.
    #[test]
    fn what_a_primary_or_a_file_combines_counts_although_it_is_past_its_expiry_here() {
        let mut lab = Lab::new(1);
        lab.ask(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        lab.ask(&["ZADD", "score:mon", "1", "alice"]);
        lab.ask(&["PEXPIRE", "score:mon", "1"]);
        lab.now += Millis(10);
        lab.instance.persist.loading = true;
        assert_eq!(lab.ask(&["ZUNIONSTORE", "score:week", "1", "score:mon"]), Reply::Int(1));
        lab.instance.persist.loading = false;
        assert_eq!(lab.ask(&["ZUNIONSTORE", "score:week", "1", "score:mon"]), Reply::Int(0));
    }
}

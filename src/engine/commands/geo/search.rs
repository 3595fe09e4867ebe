//! GEOSEARCH, and GEORADIUS and its kin, which came before it: one search with two ways of asking.

use super::hash::{Place, Shape};
use super::{coordinates, distance, place, unit};
use crate::base::{Bytes, float};
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::{Kind, Zset};
use crate::resp::Reply;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// GEORADIUS: around a place.
    Radius,
    /// GEORADIUSBYMEMBER: around a member.
    ByMember,
    /// GEOSEARCH and GEOSEARCHSTORE.
    Search,
}

pub fn georadius(call: &mut Call) -> Outcome {
    search(call, Form::Radius, true)
}

pub fn georadius_ro(call: &mut Call) -> Outcome {
    search(call, Form::Radius, false)
}

pub fn georadiusbymember(call: &mut Call) -> Outcome {
    search(call, Form::ByMember, true)
}

pub fn georadiusbymember_ro(call: &mut Call) -> Outcome {
    search(call, Form::ByMember, false)
}

pub fn geosearch(call: &mut Call) -> Outcome {
    search(call, Form::Search, false)
}

pub fn geosearchstore(call: &mut Call) -> Outcome {
    search(call, Form::Search, true)
}

/// The keys of GEORADIUS and GEORADIUSBYMEMBER: the last STORE or STOREDIST counts.
pub fn keys(args: &[Bytes]) -> Vec<usize> {
    let stores = |at: &usize| {
        let word = &args[*at];
        (word.eq_ignore_ascii_case(b"STORE") || word.eq_ignore_ascii_case(b"STOREDIST")) && at + 1 < args.len()
    };
    let mut found = vec![1];
    let mut at = 5;
    let mut last = None;
    while at < args.len() {
        if stores(&at) {
            last = Some(at + 1);
            at += 1;
        }
        at += 1;
    }
    found.extend(last);
    found.retain(|place| *place < args.len());
    found
}

#[derive(Default)]
struct Query<'a> {
    centre: Option<Place>,
    /// FROMMEMBER was said, though there may be no such key.
    by_member: bool,
    shape: Option<Shape>,
    /// Metres in the unit of the reply.
    unit_m: f64,
    with_distance: bool,
    with_hash: bool,
    with_coordinates: bool,
    any: bool,
    /// Nearest first, or farthest first.
    descending: Option<bool>,
    count: usize,
    store: Option<&'a Bytes>,
    store_distance: bool,
}

/// A length in `unit_m`, as `what` calls it.
fn length(call: &Call, at: usize, what: &'static str) -> Result<f64, Refusal> {
    float::parse(&call.args[at]).ok_or(Refusal::new(what))
}

fn radius(call: &Call, at: usize) -> Result<(f64, f64), Refusal> {
    let radius = length(call, at, "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err(Refusal::new("ERR radius cannot be negative"));
    }
    Ok((radius, unit(call, at + 1)?))
}

/// The place of a member of a sorted set that was looked up. Err: it is not there.
fn member_place(zset: &Zset, member: &Bytes) -> Result<Place, Refusal> {
    let score = zset.score(member);
    score.map(Place::of_score).ok_or(Refusal::new("ERR could not decode requested zset member"))
}

impl<'a> Query<'a> {
    /// `exists`: the key holds a sorted set; without one, members cannot be looked up, but all else is checked.
    fn parse(call: &Call<'a>, form: Form, stores: bool, source: &Bytes, exists: bool) -> Result<Query<'a>, Refusal> {
        let mut query = Query { unit_m: 1.0, ..Query::default() };
        let zset = call.peek::<Zset>(source).filter(|_| exists);
        let first = match form {
            Form::Radius => {
                query.centre = Some(place(call, 2)?);
                query.circle(call, 4)?;
                6
            }
            Form::ByMember => {
                if let Some(zset) = zset {
                    query.centre = Some(member_place(zset, &call.args[2])?);
                    query.circle(call, 3)?;
                }
                5
            }
            Form::Search if stores => {
                query.store = Some(&call.args[1]);
                3
            }
            Form::Search => 2,
        };
        let searching = form == Form::Search;
        let (mut circle, mut rectangle, mut lonlat) = (false, false, false);
        let mut at = first;
        while at < call.args.len() {
            let more = call.args.len() - 1 - at;
            let is = |word: &str| call.is(at, word);
            if is("WITHDIST") {
                query.with_distance = true;
            } else if is("WITHHASH") {
                query.with_hash = true;
            } else if is("WITHCOORD") {
                query.with_coordinates = true;
            } else if is("ANY") {
                query.any = true;
            } else if is("ASC") {
                query.descending = Some(false);
            } else if is("DESC") {
                query.descending = Some(true);
            } else if is("COUNT") && more > 0 {
                let count = Some(call.int(at + 1)?).filter(|count| *count > 0);
                query.count = count.ok_or(Refusal::new("ERR COUNT must be > 0"))? as usize;
                at += 1;
            } else if (is("STORE") || is("STOREDIST")) && more > 0 && stores && !searching {
                query.store = Some(&call.args[at + 1]);
                query.store_distance = is("STOREDIST");
                at += 1;
            } else if is("STOREDIST") && stores && searching {
                query.store_distance = true;
            } else if is("FROMMEMBER") && more > 0 && searching && !lonlat {
                if let Some(zset) = zset {
                    query.centre = Some(member_place(zset, &call.args[at + 1])?);
                }
                query.by_member = true;
                at += 1;
            } else if is("FROMLONLAT") && more > 1 && searching && !query.by_member {
                query.centre = Some(place(call, at + 1)?);
                lonlat = true;
                at += 2;
            } else if is("BYRADIUS") && more > 1 && searching && !rectangle {
                query.circle(call, at + 1)?;
                circle = true;
                at += 2;
            } else if is("BYBOX") && more > 2 && searching && !circle {
                query.rectangle(call, at + 1)?;
                rectangle = true;
                at += 3;
            } else {
                return Err(refusal::SYNTAX);
            }
            at += 1;
        }
        query.check(call, searching, lonlat, circle || rectangle)?;
        Ok(query)
    }

    fn circle(&mut self, call: &Call, at: usize) -> Result<(), Refusal> {
        let (radius, unit_m) = radius(call, at)?;
        (self.shape, self.unit_m) = (Some(Shape::Circle(radius * unit_m)), unit_m);
        Ok(())
    }

    fn rectangle(&mut self, call: &Call, at: usize) -> Result<(), Refusal> {
        let width = length(call, at, "ERR need numeric width")?;
        let height = length(call, at + 1, "ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(Refusal::new("ERR height or width cannot be negative"));
        }
        let unit_m = unit(call, at + 2)?;
        (self.shape, self.unit_m) = (Some(Shape::Box(width * unit_m, height * unit_m)), unit_m);
        Ok(())
    }

    fn check(&self, call: &Call, searching: bool, lonlat: bool, shaped: bool) -> Result<(), Refusal> {
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_coordinates) {
            let who = if searching { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            return Err(Refusal::from(format!(
                "ERR {who} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        let name = call.args[0].printed();
        if searching && !self.by_member && !lonlat {
            return Err(Refusal::from(format!(
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
            )));
        }
        if searching && !shaped {
            return Err(Refusal::from(format!("ERR exactly one of BYRADIUS and BYBOX can be specified for {name}")));
        }
        if self.any && self.count == 0 {
            return Err(Refusal::new("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// The members within, in the order of the reply, no more than asked for.
    fn run(&self, zset: &Zset) -> Vec<Found> {
        let (Some(centre), Some(shape)) = (self.centre, self.shape) else { return Vec::new() };
        let limit = if self.any { self.count } else { usize::MAX };
        let mut found = Vec::new();
        let cells = shape.cells(centre);
        let mut last = 0;
        for (index, cell) in cells.iter().enumerate() {
            // A search that is larger than the map meets the same box twice; Redis compares with the one before, but not
            // with the one in the middle.
            if last > 0 && *cell == cells[last] {
                continue;
            }
            if found.len() >= limit {
                break;
            }
            let (min, max) = cell.scores();
            let from = zset.partition(|score, _| score < min as f64);
            for (member, score) in zset.range(from..zset.len()).take_while(|(_, score)| *score < max as f64) {
                let place = Place::of_score(score);
                if let Some(distance_m) = shape.distance_within(centre, place) {
                    found.push(Found { member: member.clone(), score, place, distance_m });
                    if found.len() >= limit {
                        break;
                    }
                }
            }
            last = index;
        }
        // The nearest are wanted if not all are, unless any will do.
        let order = self.descending.or((self.count > 0 && !self.any).then_some(false));
        match order {
            Some(false) => found.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m)),
            Some(true) => found.sort_by(|a, b| b.distance_m.total_cmp(&a.distance_m)),
            None => {}
        }
        if self.count > 0 {
            found.truncate(self.count);
        }
        found
    }
}

struct Found {
    member: Bytes,
    score: f64,
    place: Place,
    distance_m: f64,
}

fn search(call: &mut Call, form: Form, stores: bool) -> Outcome {
    let source = if form == Form::Search && stores { &call.args[2] } else { &call.args[1] };
    let exists = call.read::<Zset>(source)?.is_some();
    let query = Query::parse(call, form, stores, source, exists)?;
    let found = if exists { query.run(call.peek::<Zset>(source).expect("just looked up")) } else { Vec::new() };
    if let Some(target) = query.store {
        return store(call, &query, target, found, form);
    }
    let plain = !query.with_distance && !query.with_hash && !query.with_coordinates;
    let replies = found.into_iter().map(|it| {
        let member = Reply::Bulk(it.member);
        if plain {
            return member;
        }
        let parts = [
            Some(member),
            query.with_distance.then(|| distance(it.distance_m / query.unit_m)),
            query.with_hash.then_some(Reply::Int(it.score as i64)),
            query.with_coordinates.then(|| coordinates(it.place)),
        ];
        Reply::Array(parts.into_iter().flatten().collect())
    });
    Ok(Reply::Array(replies.collect()))
}

fn store(call: &mut Call, query: &Query, target: &Bytes, found: Vec<Found>, form: Form) -> Outcome {
    let event = if form == Form::Search { "geosearchstore" } else { "georadiusstore" };
    let count = found.len();
    let score = |it: &Found| if query.store_distance { it.distance_m / query.unit_m } else { it.score };
    let (limits, seed) = (call.limits(), call.seed());
    let mut members: Vec<(Bytes, f64)> = found.iter().map(|it| (it.member.clone(), score(it))).collect();
    members.sort_by(|(a, x), (b, y)| x.total_cmp(y).then_with(|| a.cmp(b)));
    call.store(target, Zset::build(members, seed, &limits).into_value(), Class::Zset, event);
    call.dirty(count.saturating_sub(1));
    Ok(Reply::from(count))
}

//! Geo: places in a sorted set whose scores tell where they are.
//!
//! `hash` has the arithmetic, `search` the queries.

mod hash;
mod search;

use super::zset::{Adding, add_scored};
use crate::base::{Bytes, float};
use crate::engine::call::Call;
use crate::engine::command::{Command, DENYOOM, Keys, ONE_KEY, Outcome, READONLY, Spec, TWO_KEYS, WRITE};
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::Zset;
use crate::resp::Reply;
use hash::Place;

const READER: Command = Command { since: "3.2.0", flags: READONLY, keys: ONE_KEY, ..Command::GEO };

const RADIUS_KEYS: Keys = Keys::Told { find: search::keys, specs: &[Spec::At(1), store(6), storedist(6)] };
const RADIUS_BY_MEMBER_KEYS: Keys = Keys::Told { find: search::keys, specs: &[Spec::At(1), store(5), storedist(5)] };

const fn store(from: i64) -> Spec {
    Spec::Behind { word: "STORE", from, last: 0 }
}

const fn storedist(from: i64) -> Spec {
    Spec::Behind { word: "STOREDIST", from, last: 0 }
}

pub const COMMANDS: &[Command] = &[
    Command {
        name: "GEOADD",
        syntax: "key condition=[NX | XX]@6.2.0 [change=CH@6.2.0] data=(longitude latitude member) [longitude latitude \
                 member ...]",
        summary: "Add places, or move them.",
        complexity: "O(log(N)) for each place, N members in the sorted set",
        history: &[("6.2.0", "`CH`, `NX` and `XX`.")],
        flags: WRITE.with(DENYOOM),
        run: geoadd,
        ..READER
    },
    Command {
        name: "GEODIST",
        syntax: "key member1 member2 unit=[M | KM | FT | MI]",
        summary: "Tell how far two places are from each other.",
        run: geodist,
        ..READER
    },
    Command {
        name: "GEOHASH",
        syntax: "key [member [member ...]]",
        summary: "Read where places are, as geohash text.",
        run: geohash,
        ..READER
    },
    Command {
        name: "GEOPOS",
        syntax: "key [member [member ...]]",
        summary: "Read where places are, as longitude and latitude.",
        run: geopos,
        ..READER
    },
    Command {
        name: "GEORADIUS",
        syntax: "key longitude latitude radius unit=<M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
                 count-block=[COUNT count [ANY@6.2.0]] order=[ASC | DESC] store=[STORE storekey=key | STOREDIST \
                 storedistkey=key]",
        summary: "Find the places within a circle. GEOSEARCH does the same.",
        complexity: "O(N+log(M)), N places in the boxes around, M places within",
        history: &[("6.2.0", "`ANY` behind `COUNT`."), ("7.0.0", "Units may be upper case.")],
        deprecated: Some(("6.2.0", "`GEOSEARCH` or `GEOSEARCHSTORE` with `BYRADIUS`")),
        flags: WRITE.with(DENYOOM),
        keys: RADIUS_KEYS,
        run: search::georadius,
        ..READER
    },
    Command {
        name: "GEORADIUSBYMEMBER",
        syntax: "key member radius unit=<M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
                 count-block=[COUNT count [ANY]] order=[ASC | DESC] store=[STORE storekey=key | STOREDIST \
                 storedistkey=key]",
        summary: "Find the places within a circle around one of them. GEOSEARCH does the same.",
        complexity: "O(N+log(M)), N places in the boxes around, M places within",
        history: &[("7.0.0", "Units may be upper case.")],
        deprecated: Some(("6.2.0", "`GEOSEARCH` or `GEOSEARCHSTORE` with `FROMMEMBER` and `BYRADIUS`")),
        flags: WRITE.with(DENYOOM),
        keys: RADIUS_BY_MEMBER_KEYS,
        run: search::georadiusbymember,
        ..READER
    },
    Command {
        name: "GEORADIUSBYMEMBER_RO",
        syntax: "key member radius unit=<M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
                 count-block=[COUNT count [ANY]] order=[ASC | DESC]",
        summary: "Find the places within a circle around one of them, for replicas too. GEOSEARCH does the same.",
        since: "3.2.10",
        complexity: "O(N+log(M)), N places in the boxes around, M places within",
        deprecated: Some(("6.2.0", "`GEOSEARCH` with `FROMMEMBER` and `BYRADIUS`")),
        run: search::georadiusbymember_ro,
        ..READER
    },
    Command {
        name: "GEORADIUS_RO",
        syntax: "key longitude latitude radius unit=<M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] \
                 count-block=[COUNT count [ANY@6.2.0]] order=[ASC | DESC]",
        summary: "Find the places within a circle, for replicas too. GEOSEARCH does the same.",
        since: "3.2.10",
        complexity: "O(N+log(M)), N places in the boxes around, M places within",
        history: &[("6.2.0", "`ANY` behind `COUNT`.")],
        deprecated: Some(("6.2.0", "`GEOSEARCH` with `BYRADIUS`")),
        run: search::georadius_ro,
        ..READER
    },
    Command {
        name: "GEOSEARCH",
        syntax: "key from=<FROMMEMBER member | FROMLONLAT fromlonlat=(longitude latitude)> by=<circle=(BYRADIUS \
                 radius unit=<M | KM | FT | MI>) | box=(BYBOX width height unit=<M | KM | FT | MI>)> \
                 order=[ASC | DESC] count-block=[COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
        summary: "Find the places within a circle or a box.",
        since: "6.2.0",
        complexity: "O(N+log(M)), N places in the boxes around, M places within",
        history: &[("7.0.0", "Units may be upper case.")],
        run: search::geosearch,
        ..READER
    },
    Command {
        name: "GEOSEARCHSTORE",
        syntax: "destination source from=<FROMMEMBER member | FROMLONLAT fromlonlat=(longitude latitude)> \
                 by=<circle=(BYRADIUS radius unit=<M | KM | FT | MI>) | box=(BYBOX width height unit=<M | \
                 KM | FT | MI>)> order=[ASC | DESC] count-block=[COUNT count [ANY]] [STOREDIST]",
        summary: "Store the places within a circle or a box as a sorted set.",
        since: "6.2.0",
        complexity: "O(N+log(M)), N places in the boxes around, M places within",
        history: &[("7.0.0", "Units may be upper case.")],
        flags: WRITE.with(DENYOOM),
        keys: TWO_KEYS,
        run: search::geosearchstore,
        ..READER
    },
];

/// The place that two arguments name, longitude first.
fn place(call: &Call, at: usize) -> Result<Place, Refusal> {
    let degrees = |at: usize| float::parse(&call.args[at]).ok_or(refusal::NOT_FLOAT);
    let place = Place { longitude: degrees(at)?, latitude: degrees(at + 1)? };
    if place.is_on_the_map() {
        return Ok(place);
    }
    let (x, y) = (fixed(place.longitude), fixed(place.latitude));
    Err(Refusal::from(format!("ERR invalid longitude,latitude pair {x},{y}")))
}

/// As C prints `%f`.
fn fixed(n: f64) -> String {
    if n.is_infinite() { String::from(if n > 0.0 { "inf" } else { "-inf" }) } else { format!("{n:.6}") }
}

/// Metres in the unit that an argument names.
fn unit(call: &Call, at: usize) -> Result<f64, Refusal> {
    let units = [("M", 1.0), ("KM", 1000.0), ("FT", 0.3048), ("MI", 1609.34)];
    let known = units.iter().find(|(name, _)| call.is(at, name)).map(|(_, metres)| *metres);
    known.ok_or(Refusal::new("ERR unsupported unit provided. please use M, KM, FT, MI"))
}

/// A distance with four digits behind the point.
fn distance(n: f64) -> Reply {
    let scaled = (n * 10_000.0).round_ties_even() as i64;
    let (sign, scaled) = (if scaled < 0 { "-" } else { "" }, scaled.unsigned_abs());
    Reply::bulk(format!("{sign}{}.{:04}", scaled / 10_000, scaled % 10_000))
}

/// A coordinate: seventeen digits behind the point, without the zeros at their end.
fn coordinate(degrees: f64) -> Reply {
    let text = format!("{degrees:.17}");
    Reply::LongDouble(Bytes::from(text.trim_end_matches('0').trim_end_matches('.')))
}

fn coordinates(place: Place) -> Reply {
    Reply::Array(vec![coordinate(place.longitude), coordinate(place.latitude)])
}

fn geoadd(call: &mut Call) -> Outcome {
    let mut how = Adding::default();
    let mut first = 2;
    while first < call.args.len() {
        match () {
            () if call.is(first, "NX") => how.only_new = true,
            () if call.is(first, "XX") => how.only_existing = true,
            () if call.is(first, "CH") => how.count_changed = true,
            () => break,
        }
        first += 1;
    }
    let triples = &call.args[first..];
    if !triples.len().is_multiple_of(3) || (how.only_new && how.only_existing) || triples.is_empty() {
        return Err(refusal::SYNTAX);
    }
    let places = (first..call.args.len()).step_by(3).map(|at| place(call, at));
    let scores = places.map(|place| place.map(Place::score)).collect::<Result<Vec<u64>, _>>()?;
    let members = triples.iter().skip(2).step_by(3);
    // It is a ZADD from here on, also for replicas.
    let mut request = vec![Bytes::from("zadd")];
    request.extend_from_slice(&call.args[1..first]);
    for (score, member) in scores.iter().zip(members.clone()) {
        request.extend([Bytes::from(score.to_string()), member.clone()]);
    }
    call.propagate_as(vec![request]);
    let scores: Vec<f64> = scores.into_iter().map(|score| score as f64).collect();
    let key = &call.args[1];
    add_scored(call, key, &scores, members, how)
}

fn geodist(call: &mut Call) -> Outcome {
    let metres = match call.args.len() {
        4 => 1.0,
        5 => unit(call, 4)?,
        _ => return Err(refusal::SYNTAX),
    };
    let (key, from, to) = (&call.args[1], &call.args[2], &call.args[3]);
    let Some(zset) = call.read::<Zset>(key)? else { return Ok(Reply::Nil) };
    let (Some(from), Some(to)) = (zset.score(from), zset.score(to)) else { return Ok(Reply::Nil) };
    Ok(distance(Place::of_score(from).distance_m(Place::of_score(to)) / metres))
}

/// Replies for each member's place, `missing` for those that are not there.
fn each_place(call: &mut Call, missing: Reply, show: impl Fn(Place) -> Reply) -> Outcome {
    let (key, members) = (&call.args[1], &call.args[2..]);
    let zset = call.read::<Zset>(key)?;
    let of = |member: &Bytes| zset.and_then(|zset| zset.score(member)).map(Place::of_score);
    Ok(Reply::Array(members.iter().map(|member| of(member).map_or(missing.clone(), &show)).collect()))
}

fn geohash(call: &mut Call) -> Outcome {
    each_place(call, Reply::Nil, |place| Reply::bulk(place.geohash()))
}

fn geopos(call: &mut Call) -> Outcome {
    each_place(call, Reply::NilArray, coordinates)
}

//! Places as numbers: 52 bits that interleave latitude and longitude, so that near places mostly have near numbers.
//!
//! The arithmetic is Redis', in its order of operations: scores, distances and the choice of the boxes to search agree to
//! the last digit. Latitudes go to 85.05112878 degrees, where the square map of the web ends.

use std::f64::consts::PI;

pub const LONGITUDE_MAX: f64 = 180.0;
pub const LATITUDE_MAX: f64 = 85.051_128_78;
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
const MERCATOR_MAX_M: f64 = 20_037_726.37;
/// Bits of each of the two coordinates in a score.
const STEPS_MAX: u32 = 26;

/// A place in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub longitude: f64,
    pub latitude: f64,
}

/// A box of the map: the first `2 * steps` bits that the scores in it have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    bits: u64,
    steps: u32,
}

/// The edges of a box in degrees.
#[derive(Clone, Copy, Debug)]
struct Edges {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

/// What is searched around a centre; lengths in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Radius.
    Circle(f64),
    /// Width and height.
    Box(f64, f64),
}

// -- coordinates and scores --------------------------------------------------------------------------------------------

/// The low 32 bits of `x` at the even places, those of `y` at the odd ones.
fn interleave(x: u32, y: u32) -> u64 {
    let spread = |n: u32| {
        let mut n = u64::from(n);
        for (shift, mask) in [
            (16, 0x0000_ffff_0000_ffff),
            (8, 0x00ff_00ff_00ff_00ff),
            (4, 0x0f0f_0f0f_0f0f_0f0f),
            (2, 0x3333_3333_3333_3333),
            (1, 0x5555_5555_5555_5555),
        ] {
            n = (n | n << shift) & mask;
        }
        n
    };
    spread(x) | spread(y) << 1
}

/// The bits at the even places and those at the odd ones.
fn deinterleave(bits: u64) -> (u32, u32) {
    let gather = |mut n: u64| {
        n &= 0x5555_5555_5555_5555;
        for (shift, mask) in [
            (1, 0x3333_3333_3333_3333),
            (2, 0x0f0f_0f0f_0f0f_0f0f),
            (4, 0x00ff_00ff_00ff_00ff),
            (8, 0x0000_ffff_0000_ffff),
            (16, 0x0000_0000_ffff_ffff),
        ] {
            n = (n | n >> shift) & mask;
        }
        n as u32
    };
    (gather(bits), gather(bits >> 1))
}

fn encode(place: Place, latitude_max: f64, steps: u32) -> Cell {
    let scaled = |value: f64, max: f64| {
        let offset = (value - -max) / (max - -max);
        (offset * (1u64 << steps) as f64) as u32
    };
    let bits = interleave(scaled(place.latitude, latitude_max), scaled(place.longitude, LONGITUDE_MAX));
    Cell { bits, steps }
}

/// A score that no GEOADD made, a negative one for instance, becomes what x86-64 makes of it; C leaves that open.
fn bits_of(score: f64) -> u64 {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    match score {
        score if score < TWO_TO_63 => score as i64 as u64,
        score if score < 2.0 * TWO_TO_63 => score as u64,
        _ => 0,
    }
}

impl Place {
    /// Whether it can be stored.
    pub fn is_on_the_map(self) -> bool {
        (-LONGITUDE_MAX..=LONGITUDE_MAX).contains(&self.longitude)
            && (-LATITUDE_MAX..=LATITUDE_MAX).contains(&self.latitude)
    }

    pub fn score(self) -> u64 {
        encode(self, LATITUDE_MAX, STEPS_MAX).bits
    }

    /// The middle of the smallest box, which is what a score stands for.
    pub fn of_score(score: f64) -> Place {
        let edges = Cell { bits: bits_of(score), steps: STEPS_MAX }.edges();
        let middle = |a: f64, b: f64, max: f64| ((a + b) / 2.0).clamp(-max, max);
        Place {
            longitude: middle(edges.west, edges.east, LONGITUDE_MAX),
            latitude: middle(edges.south, edges.north, LATITUDE_MAX),
        }
    }

    /// The eleven letters that other programs use. Theirs has latitudes up to 90 degrees; the last letter, for which
    /// there are no bits, is always 0.
    pub fn geohash(self) -> String {
        const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = encode(self, 90.0, STEPS_MAX).bits;
        let letters = (0..10).map(|index| LETTERS[(bits >> (52 - (index + 1) * 5) & 0x1f) as usize] as char);
        letters.chain(['0']).collect()
    }

    /// Metres along the globe, by the haversine formula.
    pub fn distance_m(self, other: Place) -> f64 {
        let v = ((radians(other.longitude) - radians(self.longitude)) / 2.0).sin();
        if v == 0.0 {
            return latitude_distance_m(self.latitude, other.latitude);
        }
        let (here, there) = (radians(self.latitude), radians(other.latitude));
        let u = ((there - here) / 2.0).sin();
        let a = u * u + here.cos() * there.cos() * v * v;
        2.0 * EARTH_RADIUS_M * a.sqrt().asin()
    }
}

fn radians(degrees: f64) -> f64 {
    degrees * (PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (PI / 180.0)
}

fn latitude_distance_m(a: f64, b: f64) -> f64 {
    EARTH_RADIUS_M * (radians(b) - radians(a)).abs()
}

// -- boxes -------------------------------------------------------------------------------------------------------------

impl Cell {
    fn edges(self) -> Edges {
        let (latitude, longitude) = deinterleave(self.bits);
        let edge = |n: f64, max: f64| -max + (n / (1u64 << self.steps) as f64) * (max - -max);
        Edges {
            west: edge(f64::from(longitude), LONGITUDE_MAX),
            east: edge(f64::from(longitude) + 1.0, LONGITUDE_MAX),
            south: edge(f64::from(latitude), LATITUDE_MAX),
            north: edge(f64::from(latitude) + 1.0, LATITUDE_MAX),
        }
    }

    /// The scores of all places in it: from, and up to but not including.
    pub fn scores(self) -> (u64, u64) {
        let shift = 2 * (STEPS_MAX - self.steps);
        (self.bits << shift, (self.bits + 1) << shift)
    }

    /// The box so many steps east and north; the map goes round.
    fn moved(self, east: i32, north: i32) -> Cell {
        const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let unused = 64 - 2 * self.steps;
        // Adding one to every second bit: the bits between are set, so that the carry runs through them.
        let shifted = |bits: u64, own: u64, other: u64, by: i32| {
            let (part, between) = (bits & own, other >> unused);
            let part = match by {
                0 => return part,
                1.. => part.wrapping_add(between + 1),
                _ => (part | between).wrapping_sub(between + 1),
            };
            part & (own >> unused)
        };
        Cell { bits: shifted(self.bits, ODD, EVEN, east) | shifted(self.bits, EVEN, ODD, north), ..self }
    }
}

impl Shape {
    /// How far `place` is from the centre, if it lies within.
    pub fn distance_within(self, centre: Place, place: Place) -> Option<f64> {
        match self {
            Shape::Circle(radius) => Some(centre.distance_m(place)).filter(|distance| *distance <= radius),
            Shape::Box(width, height) => {
                if latitude_distance_m(place.latitude, centre.latitude) > height / 2.0 {
                    return None;
                }
                let beside = Place { longitude: centre.longitude, latitude: place.latitude };
                if place.distance_m(beside) > width / 2.0 {
                    return None;
                }
                Some(centre.distance_m(place))
            }
        }
    }

    /// The edges of what may lie within. Towards the poles degrees of longitude get shorter: the wider side counts.
    fn edges(self, centre: Place) -> Edges {
        let (half_width, half_height) = match self {
            Shape::Circle(radius) => (radius, radius),
            Shape::Box(width, height) => (width / 2.0, height / 2.0),
        };
        let latitude_delta = degrees(half_height / EARTH_RADIUS_M);
        let towards = if centre.latitude < 0.0 { -latitude_delta } else { latitude_delta };
        let longitude_delta = degrees(half_width / EARTH_RADIUS_M / radians(centre.latitude + towards).cos());
        Edges {
            west: centre.longitude - longitude_delta,
            east: centre.longitude + longitude_delta,
            south: centre.latitude - latitude_delta,
            north: centre.latitude + latitude_delta,
        }
    }

    /// The boxes of the map in which everything within lies: the one in the middle, then its neighbours, less those that
    /// cannot have any of it. Two in a row may be the same.
    pub fn cells(self, centre: Place) -> Vec<Cell> {
        let wanted = self.edges(centre);
        let reach = match self {
            Shape::Circle(radius) => radius,
            Shape::Box(width, height) => ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt(),
        };
        let mut middle = encode(centre, LATITUDE_MAX, steps_for(reach, centre.latitude));
        let too_small = middle.moved(0, 1).edges().north < wanted.north
            || middle.moved(0, -1).edges().south > wanted.south
            || middle.moved(1, 0).edges().east < wanted.east
            || middle.moved(-1, 0).edges().west > wanted.west;
        if middle.steps > 1 && too_small {
            middle = encode(centre, LATITUDE_MAX, middle.steps - 1);
        }
        let own = middle.edges();
        let needless = |east: i32, north: i32| {
            middle.steps >= 2
                && ((north < 0 && own.south < wanted.south)
                    || (north > 0 && own.north > wanted.north)
                    || (east < 0 && own.west < wanted.west)
                    || (east > 0 && own.east > wanted.east))
        };
        // In Redis' order, in which it finds what it replies unsorted.
        let around = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let around = around.into_iter().filter(|(east, north)| !needless(*east, *north));
        std::iter::once(middle).chain(around.map(|(east, north)| middle.moved(east, north))).collect()
    }
}

/// How fine the boxes may be so that nine of them cover everything that is so near.
fn steps_for(reach_m: f64, latitude: f64) -> u32 {
    if reach_m == 0.0 {
        return STEPS_MAX;
    }
    let (mut steps, mut reach) = (1i32, reach_m);
    while reach < MERCATOR_MAX_M {
        reach *= 2.0;
        steps += 1;
    }
    steps -= 2;
    // Towards the poles the boxes get narrower.
    steps -= i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
    steps.clamp(1, STEPS_MAX as i32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn bits_interleave_and_part_again() {
        let mut rng = Rng::new(4);
        for _ in 0..1000 {
            let (x, y) = (rng.next_u64() as u32, rng.next_u64() as u32);
            assert_eq!(deinterleave(interleave(x, y)), (x, y));
        }
        assert_eq!(interleave(0b111, 0), 0b10101);
    }

    #[test]
    fn what_lies_within_lies_in_one_of_the_cells() {
        let mut rng = Rng::new(5);
        let mut unit = || rng.below(1_000_001) as f64 / 1e6;
        let mut within = 0;
        for _ in 0..20_000 {
            let centre = Place { longitude: unit() * 340.0 - 170.0, latitude: unit() * 150.0 - 75.0 };
            let size = 10f64.powf(unit() * 5.0);
            let shape = if unit() < 0.5 { Shape::Circle(size) } else { Shape::Box(size, size * unit() * 3.0) };
            let near = |unit: f64| (unit - 0.5) * size / 30_000.0;
            let place = Place { longitude: centre.longitude + near(unit()), latitude: centre.latitude + near(unit()) };
            if !place.is_on_the_map() {
                continue;
            }
            let score = place.score();
            let place = Place::of_score(score as f64);
            if shape.distance_within(centre, place).is_some() {
                within += 1;
                let found = shape.cells(centre).iter().any(|cell| (cell.scores().0..cell.scores().1).contains(&score));
                assert!(found, "{centre:?} {shape:?} {place:?}");
            }
        }
        assert!(within > 1000, "{within}");
    }
}

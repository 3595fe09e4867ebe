//! Random elements: what HRANDFIELD, SRANDMEMBER, ZRANDMEMBER and SPOP have in common.
//!
//! A count of n asks for n different elements, of -n for n elements that may repeat. Redis gives them in the order of
//! its structure or of drawing, as is cheaper; so do we.

use crate::base::Rng;
use crate::engine::call::Call;
use crate::engine::refusal::Refusal;
use crate::resp::{Protocol, Reply};

/// No reply may hold more drawn elements than this. Redis has no such bound and closes the connection in the middle,
/// once its output buffer is full; a lab that hangs would teach nothing.
const DRAWN_MAX: i64 = 1 << 24;

/// Argument `index` as a count; with values or scores beside the elements half as many are allowed.
pub fn count(call: &Call, index: usize, in_pairs: bool) -> Result<i64, Refusal> {
    let count = call.int(index)?;
    if count == i64::MIN {
        return Err(Refusal::from(format!("ERR value is out of range, value must between -{0} and {0}", i64::MAX)));
    }
    if in_pairs && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Refusal::new("ERR value is out of range"));
    }
    Ok(count)
}

/// Pairs as Redis gives them where order or repetition counts: nested in RESP3, flat in RESP2.
pub fn pairs_reply(pairs: impl Iterator<Item = (Reply, Reply)>, protocol: Protocol) -> Reply {
    Reply::Array(match protocol {
        Protocol::Resp2 => pairs.flat_map(|(a, b)| [a, b]).collect(),
        Protocol::Resp3 => pairs.map(|(a, b)| Reply::Array(vec![a, b])).collect(),
    })
}

/// Positions 0..`len` to answer a request for `count` elements with. `len` is not 0.
pub fn positions(count: i64, len: usize, rng: &mut Rng) -> Result<Vec<usize>, Refusal> {
    if count < -DRAWN_MAX {
        return Err(Refusal::new("ERR value is out of range"));
    }
    if count < 0 {
        return Ok((0..-count).map(|_| rng.below(len)).collect());
    }
    Ok(distinct(usize::try_from(count).unwrap_or(usize::MAX), len, rng))
}

/// `count` different positions of 0..`len`; all of them if there are not so many.
pub fn distinct(count: usize, len: usize, rng: &mut Rng) -> Vec<usize> {
    if count >= len {
        return (0..len).collect();
    }
    if count.saturating_mul(3) > len {
        // Walk over all, and take each with the chance that leaves exactly `count` (Knuth's selection sampling).
        let mut left = count;
        return (0..len)
            .filter(|at| {
                let taken = rng.below(len - at) < left;
                left -= usize::from(taken);
                taken
            })
            .collect();
    }
    let mut seen = std::collections::BTreeSet::new();
    std::iter::repeat_with(|| rng.below(len)).filter(|at| seen.insert(*at)).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_positions_are_as_many_as_asked_for_and_each_has_its_chance() {
        let mut rng = Rng::new(3);
        for count in 0..12 {
            let mut hits = [0; 10];
            for _ in 0..500 {
                let mut drawn = distinct(count, 10, &mut rng);
                drawn.iter().for_each(|at| hits[*at] += 1);
                drawn.sort_unstable();
                drawn.dedup();
                assert_eq!(drawn.len(), count.min(10));
            }
            let expected = 50 * count.min(10) as i32;
            assert!(hits.iter().all(|hit| (hit - expected).abs() < 100), "{count}: {hits:?}");
        }
    }

    #[test]
    fn a_negative_count_repeats_elements() {
        let mut rng = Rng::new(3);
        assert_eq!(positions(-5, 1, &mut rng), Ok(vec![0; 5]));
        assert!(positions(i64::MIN, 1, &mut rng).is_err());
    }
}

//! The numbers of `math.random`: drand48's generator, with Redis' own bounds, so that a seed gives the same numbers everywhere.
//!
//! Source: Redis' `rand.c`, after the one of POSIX `lrand48`. The state is the instance's: it goes on from script to script.

const A: u64 = 0x5_deec_e66d;
const C: u64 = 0xb;
const MASK: u64 = (1 << 48) - 1;

/// 48 bits of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rand48(u64);

impl Default for Rand48 {
    fn default() -> Rand48 {
        Rand48(0x1234_abcd_330e)
    }
}

impl Rand48 {
    pub fn seeded(seed: i32) -> Rand48 {
        Rand48(u64::from(seed as u32) << 16 | 0x330e)
    }

    /// 0..2^31.
    pub fn next(&mut self) -> i32 {
        self.0 = self.0.wrapping_mul(A).wrapping_add(C) & MASK;
        (self.0 >> 17) as i32
    }

    /// 0.0..1.0, as `math.random()` answers: the largest number wraps to 0.
    pub fn unit(&mut self) -> f64 {
        const MAX: i32 = i32::MAX;
        f64::from(self.next() % MAX) / f64::from(MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_lrand48() {
        // lrand48 of glibc after srand48(0).
        let mut rand = Rand48::seeded(0);
        assert_eq!([rand.next(), rand.next(), rand.next()], [366_850_414, 1_610_402_240, 206_956_554]);
    }
}

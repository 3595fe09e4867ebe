//! x86's 80-bit `long double` in integers: what INCRBYFLOAT counts in.
//!
//! 64 bits of mantissa, 15 of exponent, round to nearest even. Only what Redis needs: reading a number, adding two,
//! writing `%.17Lf` without the zeros at its end. Exact on every machine, whatever its own floats are.

use std::cmp::Ordering;

/// A number of the form `mantissa * 2^exponent`; a mantissa of 0 is zero. Its top bit is set, but for the tiniest numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LongDouble {
    negative: bool,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Finite { mantissa: u64, exponent: i32 },
    Infinite,
    Nan,
}

/// What a floating point format can hold.
struct Format {
    /// Of the mantissa.
    bits: usize,
    /// The weight of the last bit of the smallest numbers, as a power of two.
    exponent_min: i32,
    /// The highest power of two in range.
    highest: i32,
}

const EXTENDED: Format = Format { bits: 64, exponent_min: -16445, highest: 16383 };
const DOUBLE: Format = Format { bits: 53, exponent_min: -1074, highest: 1023 };
/// Redis reads at most this many bytes as a number, less one.
const TEXT_MAX: usize = 5 * 1024;

impl LongDouble {
    const ZERO: LongDouble = LongDouble { negative: false, kind: Kind::Finite { mantissa: 0, exponent: 0 } };

    #[cfg(test)]
    fn from_int(n: i64) -> LongDouble {
        let kind = rounded(Big::from_u64(n.unsigned_abs()), false, 0, &EXTENDED);
        LongDouble { negative: n < 0, kind }
    }

    /// As strtold reads it, all of `text`. None: no number, NaN, too large, or too small to be told from zero.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.is_empty() || text.len() >= TEXT_MAX {
            return None;
        }
        let (negative, unsigned) = signed(text);
        if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
            return Some(LongDouble { negative, kind: Kind::Infinite });
        }
        let kind = Literal::read(unsigned)?.round(&EXTENDED)?;
        Some(LongDouble { negative, kind })
    }

    pub fn is_finite(&self) -> bool {
        matches!(self.kind, Kind::Finite { .. })
    }

    /// The sum, rounded once.
    pub fn plus(self, other: LongDouble) -> LongDouble {
        use Kind::{Finite, Infinite, Nan};
        let (mut a, mut b) = (self, other);
        match (a.kind, b.kind) {
            (Nan, _) | (_, Nan) => LongDouble { negative: false, kind: Nan },
            (Infinite, Infinite) if a.negative != b.negative => LongDouble { negative: false, kind: Nan },
            (Infinite, _) => a,
            (_, Infinite) => b,
            (Finite { mantissa: 0, .. }, Finite { mantissa: 0, .. }) => {
                LongDouble { negative: a.negative && b.negative, ..a }
            }
            (Finite { mantissa: 0, .. }, _) => b,
            (_, Finite { mantissa: 0, .. }) => a,
            (Finite { exponent: e, .. }, Finite { exponent: f, .. }) => {
                if e < f {
                    (a, b) = (b, a);
                }
                a.plus_smaller(b)
            }
        }
    }

    /// `self` has the larger exponent.
    fn plus_smaller(self, other: LongDouble) -> LongDouble {
        let (Kind::Finite { mantissa: a, exponent: e }, Kind::Finite { mantissa: b, exponent: f }) =
            (self.kind, other.kind)
        else {
            unreachable!("plus() sends only finite numbers here");
        };
        let (mut high, mut low) = (Big::from_u64(a), Big::from_u64(b));
        high.shift_left((e - f) as usize);
        let negative = match high.compare(&low) {
            _ if self.negative == other.negative => {
                high.add(&low);
                self.negative
            }
            Ordering::Equal => return LongDouble::ZERO,
            Ordering::Greater => {
                high.subtract(&low);
                self.negative
            }
            Ordering::Less => {
                low.subtract(&high);
                high = low;
                other.negative
            }
        };
        LongDouble { negative, kind: rounded(high, false, f, &EXTENDED) }
    }

    /// `%.17Lf`, without zeros (and a point) at its end; `-0` is `0`.
    pub fn human(&self) -> String {
        const DIGITS: usize = 17;
        let sign = if self.negative { "-" } else { "" };
        let (mantissa, exponent) = match self.kind {
            Kind::Nan => return "nan".to_owned(),
            Kind::Infinite => return format!("{sign}inf"),
            Kind::Finite { mantissa, exponent } => (mantissa, exponent),
        };
        let mut scaled = Big::from_u64(mantissa);
        scaled.multiply_by_power_of_ten(DIGITS);
        if exponent >= 0 {
            scaled.shift_left(exponent as usize);
        } else {
            scaled.shift_right_rounding(exponent.unsigned_abs() as usize);
        }
        let mut digits = scaled.decimal();
        if digits.len() <= DIGITS {
            digits = format!("{digits:0>width$}", width = DIGITS + 1);
        }
        let (whole, fraction) = digits.split_at(digits.len() - DIGITS);
        let fraction = fraction.trim_end_matches('0');
        match (whole, fraction) {
            ("0", "") => "0".to_owned(),
            (whole, "") => format!("{sign}{whole}"),
            (whole, fraction) => format!("{sign}{whole}.{fraction}"),
        }
    }
}

/// A hexadecimal number (`-0x1.8p3`) as a double, rounded once; as strtod reads it.
pub(super) fn parse_hex_as_f64(text: &[u8]) -> Option<f64> {
    let (negative, unsigned) = signed(text);
    let Kind::Finite { mantissa, exponent } = Literal::read(unsigned)?.round(&DOUBLE)? else {
        return None;
    };
    // Both factors of the power are exact, and so is the product: it was rounded to what a double holds.
    let value = mantissa as f64 * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2);
    Some(if negative { -value } else { value })
}

fn signed(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// An unsigned number as written: `digits * 10^ten * 2^two`, and a little more if `inexact`.
struct Literal {
    digits: Big,
    inexact: bool,
    ten: i32,
    two: i32,
}

/// Of hexadecimal digits beyond so many bits it only matters whether one of them is not 0: a text of any length is read in
/// linear time. Decimal texts are short (`TEXT_MAX`).
const HEX_BITS_MAX: usize = 256;

/// Exponents beyond this are out of range whatever the digits are.
const WRITTEN_EXPONENT_MAX: i32 = 100_000;

impl Literal {
    fn read(text: &[u8]) -> Option<Literal> {
        match text {
            [b'0', b'x' | b'X', rest @ ..] => Literal::digits(rest, 16, b'p'),
            _ => Literal::digits(text, 10, b'e'),
        }
    }

    fn digits(text: &[u8], radix: u32, exponent_letter: u8) -> Option<Literal> {
        let (mut digits, mut inexact, mut seen) = (Big::default(), false, 0);
        // Digits behind the point, and digits that were left out.
        let (mut behind_point, mut left_out) = (None, 0i64);
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            match (byte as char).to_digit(radix) {
                Some(digit) => {
                    if radix == 16 && digits.bits() > HEX_BITS_MAX {
                        inexact |= digit != 0;
                        left_out += 1;
                    } else {
                        digits.multiply_add(radix, digit);
                    }
                    seen += 1;
                    behind_point = behind_point.map(|n: i64| n + 1);
                }
                None if byte == b'.' && behind_point.is_none() => behind_point = Some(0),
                None => break,
            }
            at += 1;
        }
        if seen == 0 {
            return None;
        }
        let written = match &text[at..] {
            [] => 0,
            [letter, rest @ ..] if letter.eq_ignore_ascii_case(&exponent_letter) => exponent(rest)?,
            _ => return None,
        };
        let moved = left_out - behind_point.unwrap_or(0);
        let exponent = i64::from(written) + moved * if radix == 16 { 4 } else { 1 };
        // What does not fit is out of range in either direction.
        let exponent = exponent.clamp(-i64::from(WRITTEN_EXPONENT_MAX), i64::from(WRITTEN_EXPONENT_MAX)) as i32;
        let (ten, two) = if radix == 16 { (0, exponent) } else { (exponent, 0) };
        Some(Literal { digits, inexact, ten, two })
    }

    /// Rounded to what `format` holds; None if it is too large, or vanishes.
    fn round(mut self, format: &Format) -> Option<Kind> {
        if self.digits.is_zero() {
            return Some(Kind::Finite { mantissa: 0, exponent: 0 });
        }
        if self.ten.abs() >= WRITTEN_EXPONENT_MAX / 2 || self.two.abs() >= WRITTEN_EXPONENT_MAX / 2 {
            return None;
        }
        let rounded = if self.ten >= 0 {
            self.digits.multiply_by_power_of_ten(self.ten as usize);
            rounded(self.digits, self.inexact, self.two, format)
        } else {
            let mut divisor = Big::from_u64(1);
            divisor.multiply_by_power_of_ten(self.ten.unsigned_abs() as usize);
            let shift = (divisor.bits() + format.bits + 2).saturating_sub(self.digits.bits());
            self.digits.shift_left(shift);
            let (quotient, remainder) = self.digits.divide(&divisor);
            rounded(quotient, remainder || self.inexact, self.two - shift as i32, format)
        };
        match rounded {
            Kind::Finite { mantissa: 0, .. } | Kind::Infinite | Kind::Nan => None,
            finite => Some(finite),
        }
    }
}

fn exponent(text: &[u8]) -> Option<i32> {
    let (negative, digits) = signed(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n = digits.iter().fold(0i32, |n, digit| (n * 10 + i32::from(digit - b'0')).min(WRITTEN_EXPONENT_MAX));
    Some(if negative { -n } else { n })
}

/// `value * 2^exponent` (plus a bit, if `inexact`), to the nearest number that `format` holds, of two the even one.
fn rounded(mut value: Big, inexact: bool, exponent: i32, format: &Format) -> Kind {
    if value.is_zero() {
        return Kind::Finite { mantissa: 0, exponent: 0 };
    }
    let surplus = value.bits() as i32 - format.bits as i32;
    let drop = surplus.max(format.exponent_min - exponent);
    if drop > 0 {
        value.shift_right_to_even(drop as usize, inexact);
    }
    let mut exponent = exponent + drop.max(0);
    // Rounding up may have carried into one bit more; the bit that falls out is 0.
    if value.bits() > format.bits {
        value.shift_right_to_even(1, false);
        exponent += 1;
    }
    let mantissa = value.low_u64();
    if mantissa == 0 {
        return Kind::Finite { mantissa: 0, exponent: 0 };
    }
    let top = exponent + 63 - mantissa.leading_zeros() as i32;
    if top > format.highest { Kind::Infinite } else { Kind::Finite { mantissa, exponent } }
}

/// A natural number of any size, 32 bits a limb, the lowest first, no zero limb at the top.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Big(Vec<u32>);

impl Big {
    fn from_u64(n: u64) -> Big {
        let mut big = Big(vec![n as u32, (n >> 32) as u32]);
        big.trim();
        big
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 32 - top.leading_zeros() as usize)
    }

    fn bit(&self, at: usize) -> bool {
        self.0.get(at / 32).is_some_and(|limb| limb >> (at % 32) & 1 == 1)
    }

    fn low_u64(&self) -> u64 {
        let limb = |i: usize| u64::from(self.0.get(i).copied().unwrap_or(0));
        limb(0) | limb(1) << 32
    }

    fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for limb in &mut self.0 {
            let sum = u64::from(*limb) * u64::from(factor) + carry;
            *limb = sum as u32;
            carry = sum >> 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn multiply_by_power_of_ten(&mut self, power: usize) {
        for _ in 0..power / 9 {
            self.multiply_add(1_000_000_000, 0);
        }
        self.multiply_add(10u32.pow((power % 9) as u32), 0);
    }

    fn shift_left(&mut self, bits: usize) {
        if self.is_zero() {
            return;
        }
        let small = bits % 32;
        if small > 0 {
            self.multiply_add(1 << small, 0);
        }
        self.0.splice(0..0, std::iter::repeat_n(0, bits / 32));
    }

    fn shift_right(&mut self, bits: usize) {
        self.0.drain(..(bits / 32).min(self.0.len()));
        let small = bits % 32;
        if small > 0 {
            for i in 0..self.0.len() {
                let above = self.0.get(i + 1).copied().unwrap_or(0);
                self.0[i] = self.0[i] >> small | above << (32 - small);
            }
        }
        self.trim();
    }

    fn has_bit_below(&self, bits: usize) -> bool {
        (0..bits.min(self.bits())).any(|at| self.bit(at))
    }

    /// Divides by 2^`bits`, to nearest even; `inexact` says that the true value lies a little above.
    fn shift_right_to_even(&mut self, bits: usize, inexact: bool) {
        let half = bits > 0 && self.bit(bits - 1);
        let more = inexact || self.has_bit_below(bits.saturating_sub(1));
        self.shift_right(bits);
        if half && (more || self.bit(0)) {
            self.add(&Big::from_u64(1));
        }
    }

    fn shift_right_rounding(&mut self, bits: usize) {
        self.shift_right_to_even(bits, false);
    }

    fn add(&mut self, other: &Big) {
        let mut carry = 0u64;
        for i in 0..self.0.len().max(other.0.len()) + 1 {
            if i == self.0.len() {
                self.0.push(0);
            }
            let sum = u64::from(self.0[i]) + u64::from(other.0.get(i).copied().unwrap_or(0)) + carry;
            self.0[i] = sum as u32;
            carry = sum >> 32;
        }
        self.trim();
    }

    /// `other` is not larger.
    fn subtract(&mut self, other: &Big) {
        let mut borrow = 0i64;
        for i in 0..self.0.len() {
            let difference = i64::from(self.0[i]) - i64::from(other.0.get(i).copied().unwrap_or(0)) - borrow;
            borrow = i64::from(difference < 0);
            self.0[i] = difference as u32;
        }
        self.trim();
    }

    fn compare(&self, other: &Big) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    /// The quotient, and whether something is left over. Bit by bit: the quotients here have some 70 bits.
    fn divide(&self, divisor: &Big) -> (Big, bool) {
        let steps = (self.bits() + 1).saturating_sub(divisor.bits());
        let mut rest = self.clone();
        rest.shift_right(steps);
        let mut quotient = Big::default();
        for at in (0..steps).rev() {
            rest.multiply_add(2, u32::from(self.bit(at)));
            rest.trim();
            let fits = rest.compare(divisor) != Ordering::Less;
            if fits {
                rest.subtract(divisor);
            }
            quotient.multiply_add(2, u32::from(fits));
        }
        (quotient, !rest.is_zero())
    }

    fn decimal(&self) -> String {
        let (mut rest, mut groups) = (self.clone(), Vec::new());
        while !rest.is_zero() {
            let mut remainder = 0u64;
            for limb in rest.0.iter_mut().rev() {
                let value = remainder << 32 | u64::from(*limb);
                *limb = (value / 1_000_000_000) as u32;
                remainder = value % 1_000_000_000;
            }
            rest.trim();
            groups.push(remainder);
        }
        let Some(top) = groups.pop() else { return "0".to_owned() };
        groups.iter().rev().fold(top.to_string(), |text, group| format!("{text}{group:09}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    fn human(text: &str) -> String {
        LongDouble::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is a number")).human()
    }

    #[test]
    fn numbers_print_as_long_doubles_do() {
        for (text, expected) in [
            ("3.0", "3"),
            ("0.1", "0.1"),
            ("-1.5", "-1.5"),
            ("1e-17", "0.00000000000000001"),
            ("1e-18", "0"),
            ("-1e-18", "0"),
            ("1e24", "1000000000000000000000000"),
            ("1.23456789012345678901", "1.23456789012345679"),
            ("0.5e0", "0.5"),
            ("9007199254740993", "9007199254740993"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551617", "18446744073709551616"),
        ] {
            assert_eq!(human(text), expected, "{text}");
        }
        // 5^28 needs more than 64 bits: the nearest number that has no more prints.
        assert_eq!(human("1e28"), "9999999999999999999731564544");
        assert_eq!(human("1e4932").len(), 4933);
    }

    #[test]
    fn what_strtold_refuses_is_refused() {
        for text in ["", " 1", "1 ", "1e", "e1", "nan", "0x", "1e5000", "1e-5000", "--1", "1.2.3", "inf1", "\0", "1\0"]
        {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
        assert!(LongDouble::parse(&b"1".repeat(TEXT_MAX)).is_none());
        assert!(LongDouble::parse(b"0e99999999999").is_some());
    }

    #[test]
    fn sums_agree_with_exact_integers() {
        let mut rng = Rng::new(9);
        for _ in 0..3000 {
            let (a, b) = (rng.next_u64() as i64 >> rng.below(60), rng.next_u64() as i64 >> rng.below(60));
            let sum = i128::from(a) + i128::from(b);
            if sum.unsigned_abs() <= u128::from(u64::MAX) {
                assert_eq!(LongDouble::from_int(a).plus(LongDouble::from_int(b)).human(), sum.to_string());
                assert_eq!(human(&sum.to_string()), sum.to_string());
            }
        }
    }

    #[test]
    fn hexadecimal_doubles_are_rounded_once() {
        let mut rng = Rng::new(4);
        for _ in 0..3000 {
            let value = f64::from_bits(rng.next_u64() & !(1 << 63));
            if value.is_finite() {
                let bits = value.to_bits();
                let (exponent, fraction) = ((bits >> 52) as i32, bits & ((1 << 52) - 1));
                let text = match exponent {
                    0 => format!("0x0.{fraction:013x}p-1022"),
                    e => format!("0x1.{fraction:013X}P{:+}", e - 1023),
                };
                let expected = (value != 0.0).then_some(value);
                assert_eq!(parse_hex_as_f64(text.as_bytes()).filter(|v| *v != 0.0), expected, "{text}");
            }
        }
        assert_eq!(parse_hex_as_f64(b"0x20000000000001"), Some(9007199254740992.0));
        assert_eq!(parse_hex_as_f64(b"0x1p1024"), None);
    }

    #[test]
    fn no_text_panics() {
        let mut rng = Rng::new(8);
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..rng.below(12)).map(|_| b"0123456789.eE+-xXpPinfa"[rng.below(23)]).collect();
            if let Some(number) = LongDouble::parse(&text) {
                number.plus(LongDouble::from_int(1)).human();
            }
        }
    }
}

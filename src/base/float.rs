//! Floating point numbers as Redis reads and writes them.
//!
//! Scores and other doubles are written as 7.2 does: integers plainly, the rest with the fewest digits that read back as
//! the same number (7.0 wrote `%.17g`: one of the named differences). INCRBYFLOAT and HINCRBYFLOAT count in x86's
//! 80-bit `long double`, which [`super::long_double`] computes.

use super::long_double::{self, LongDouble};

/// `value` as Redis 7.2 prints a double: `3`, `1.5`, `1e+20`, `inf`, `-inf`, `nan`, `-0`.
pub fn text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    // Below half of i64's range every integer converts exactly.
    if value.abs() <= (i64::MAX / 2) as f64 && value == value.trunc() {
        return (value as i64).to_string();
    }
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').expect("`{:e}` always writes an exponent");
    let digits = mantissa.replace('.', "");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes a decimal exponent");
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", layout(&digits, exponent - (digits.len() as i32 - 1)))
}

/// `digits` times ten to `scale`, as plain decimals where that is short, else with an exponent.
fn layout(digits: &str, scale: i32) -> String {
    let count = digits.len() as i32;
    let exponent = scale + count - 1;
    if scale >= 0 && exponent < count + 7 {
        return format!("{digits}{}", "0".repeat(scale as usize));
    }
    if scale < 0 && (scale > -7 || exponent.abs() < 4) {
        let point = count + scale;
        return match usize::try_from(point) {
            Ok(point) if point > 0 => format!("{}.{}", &digits[..point], &digits[point..]),
            _ => format!("0.{}{digits}", "0".repeat(-point as usize)),
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let point = if count > 1 { "." } else { "" };
    format!("{}{point}{}e{sign}{}", &digits[..1], &digits[1..], exponent.abs())
}

/// The double that `text` is, as strtod reads it: decimal, hexadecimal, `inf`, `infinity`. None for anything else: blanks
/// around it, `nan`, too large, or too small to be told from zero.
pub fn parse(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x")) {
        return long_double::parse_hex_as_f64(text.as_bytes());
    }
    let value: f64 = text.parse().ok()?;
    let overflown = value.is_infinite() && unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let vanished = value == 0.0 && has_significant_digit(unsigned);
    (!value.is_nan() && !overflown && !vanished).then_some(value)
}

fn has_significant_digit(unsigned: &str) -> bool {
    unsigned.bytes().take_while(|byte| !byte.eq_ignore_ascii_case(&b'e')).any(|byte| (b'1'..=b'9').contains(&byte))
}

/// `a + b` in 80-bit arithmetic, each given as text, written as INCRBYFLOAT answers. Err tells what was wrong.
pub fn add(a: &[u8], b: &[u8]) -> Result<String, Fault> {
    let (a, b) = (LongDouble::parse(a).ok_or(Fault::NotFloat)?, LongDouble::parse(b).ok_or(Fault::NotFloat)?);
    match a.plus(b) {
        sum if sum.is_finite() => Ok(sum.human()),
        _ => Err(Fault::NotFinite),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// One of the two is no number.
    NotFloat,
    /// The sum is NaN or infinite.
    NotFinite,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn doubles_are_written_as_in_7_2() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-17.0, "-17"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (3.3, "3.3"),
            (1e15, "1000000000000000"),
            (4e18, "4000000000000000000"),
            (1e19, "1e+19"),
            (1e20, "1e+20"),
            (1.5e300, "1.5e+300"),
            (123456.789, "123456.789"),
            (1e-5, "0.00001"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (1.25e-5, "1.25e-5"),
            (0.001234567890123, "0.001234567890123"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_number() {
        let mut rng = Rng::new(5);
        for _ in 0..20_000 {
            let value = f64::from_bits(rng.next_u64());
            if !value.is_nan() {
                assert_eq!(parse(text(value).as_bytes()), Some(value), "{value:e}");
            }
        }
    }

    #[test]
    fn numbers_are_read_as_strtod_reads_them() {
        for (text, expected) in [
            ("1", Some(1.0)),
            ("+1.5", Some(1.5)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("-1e3", Some(-1000.0)),
            ("inf", Some(f64::INFINITY)),
            ("-INFINITY", Some(f64::NEG_INFINITY)),
            ("0x10", Some(16.0)),
            ("-0x1.8p1", Some(-3.0)),
            ("0x1.00000000000008p0", Some(1.0)),
            (
                "0x1.000000000000080000000000000000000000000000000000000000000000000000000000000000001p0",
                Some(1.0000000000000002),
            ),
            ("0x1p-1074", Some(5e-324)),
            ("0x1p1024", None),
            ("0e9999", Some(0.0)),
            ("5e-324", Some(5e-324)),
            ("", None),
            (" 1", None),
            ("1 ", None),
            ("nan", None),
            ("1e", None),
            ("1_000", None),
            ("abc", None),
            (".", None),
            ("1e400", None),
            ("1e-400", None),
            ("0x", None),
            ("infin", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
        }
    }

    // Each digit was multiplied into all before it: a megabyte took a minute. And 2^29 digits behind a point overflowed.
    #[test]
    fn a_hexadecimal_number_of_any_length_is_read_in_linear_time() {
        let long = |zeros: usize| format!("0x1{}.{}1p-{}", "0".repeat(zeros), "0".repeat(1 << 20), 4 * zeros);
        assert_eq!(parse(long(200).as_bytes()), Some(1.0));
        assert_eq!(parse(format!("0x{}", "f".repeat(1 << 20)).as_bytes()), None);
        assert_eq!(parse(format!("0x.{}1", "0".repeat(1 << 20)).as_bytes()), None);
    }

    #[test]
    fn counting_in_floats_gives_the_sums_that_people_expect() {
        for (a, b, sum) in [
            ("0.1", "0.2", "0.3"),
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "1.1", "4.1"),
            ("-1", "1", "0"),
            ("1e18", "1", "1000000000000000001"),
            ("-0.0", "-0", "0"),
            ("0x10", "0.5", "16.5"),
        ] {
            assert_eq!(add(a.as_bytes(), b.as_bytes()).as_deref(), Ok(sum), "{a} + {b}");
        }
        assert_eq!(add(b"1", b"x"), Err(Fault::NotFloat));
        assert_eq!(add(b"1", b"inf"), Err(Fault::NotFinite));
        assert_eq!(add(b"1e4932", b"1e4932"), Err(Fault::NotFinite));
    }
}

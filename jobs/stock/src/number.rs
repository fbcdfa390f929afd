//! Decimal numbers as they stand in text, exactly: 0.1 is a tenth, not the binary fraction next to it.

use std::cmp::Ordering;

use mapfold_job::Field;
use serde::{Deserialize, Serialize};

/// A number, as so many parts of 10 to the `exponent`. Numbers are equal if their values are: 1.50 is 1.5.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Number {
    /// Less than 10 to the [`DIGITS_MAX`] in size.
    parts: i128,
    /// Between plus and minus [`EXPONENT_MAX`], but for what [`Number::rounded`] adds.
    exponent: i16,
}

/// Digits that a number may have, leading zeros aside: what an `i128` holds.
pub(crate) const DIGITS_MAX: usize = 38;

/// Digits after the point, or powers of ten with `e`; all that a 64-bit float can be is within.
pub(crate) const EXPONENT_MAX: i16 = 400;

/// As many digits fit a `u64`.
const SHORT: usize = 19;

/// Why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NumberError {
    #[error("it is empty")]
    Empty,
    #[error("it is no decimal number")]
    NoNumber,
    #[error("it has more than {DIGITS_MAX} digits")]
    TooLong,
    #[error("it has an exponent beyond {EXPONENT_MAX}")]
    TooFar,
}

impl Number {
    /// The number that `text` is, blanks around it aside: a sign, digits with perhaps a point among them, `e` and a power of ten.
    #[inline]
    pub(crate) fn parse(text: &[u8]) -> Result<Self, NumberError> {
        let text = text.trim_ascii();
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            [] => return Err(NumberError::Empty),
            rest => (false, rest),
        };
        let (size, digits) = if text.len() <= SHORT {
            let (size, digits) = short(text);
            (u128::from(size), digits)
        } else {
            long(text)?
        };
        let mut exponent = -i32::try_from(digits.places).map_err(|_| NumberError::TooLong)?;
        if digits.count == 0 {
            return Err(NumberError::NoNumber);
        }
        if digits.upto < text.len() {
            exponent += power(&text[digits.upto..])?;
        }
        if size == 0 {
            exponent = 0;
        }
        let exponent = i16::try_from(exponent).map_err(|_| NumberError::TooFar)?;
        if exponent.unsigned_abs() > EXPONENT_MAX.unsigned_abs() {
            return Err(NumberError::TooFar);
        }
        let parts = i128::try_from(size).map_err(|_| NumberError::TooLong)?;
        Ok(Self {
            parts: if negative { -parts } else { parts },
            exponent,
        })
    }

    /// So many parts of 10 to the `exponent`.
    pub(crate) const fn of_parts(parts: i128, exponent: i16) -> Self {
        Self { parts, exponent }
    }

    /// So many parts of 10 to the exponent.
    pub(crate) fn parts(self) -> (i128, i16) {
        (self.parts, self.exponent)
    }

    /// To so many significant digits, halves away from 0.
    pub(crate) fn rounded(self, digits: u32) -> Self {
        let size = self.parts.unsigned_abs();
        let Some(dropped) = digit_count(size).checked_sub(digits) else {
            return self;
        };
        let unit = 10_u128.pow(dropped);
        let kept = i128::try_from((size + unit / 2) / unit).unwrap_or(i128::MAX);
        Self {
            parts: kept * self.parts.signum(),
            exponent: self.exponent + i16::try_from(dropped).unwrap_or(i16::MAX),
        }
    }
}

/// What was found of digits.
#[derive(Clone, Copy, Default)]
struct Digits {
    /// How many.
    count: usize,
    /// As many of them after the point.
    places: usize,
    /// Where what comes after them begins.
    upto: usize,
}

/// The digits at the front of at most [`SHORT`] bytes.
#[inline]
fn short(text: &[u8]) -> (u64, Digits) {
    let mut size = 0_u64;
    let digits = digits(text, |digit| {
        size = size * 10 + u64::from(digit);
        Ok::<_, NumberError>(())
    });
    // Nothing in it fails.
    (size, digits.unwrap_or_default())
}

#[cold]
fn long(text: &[u8]) -> Result<(u128, Digits), NumberError> {
    let (mut size, mut significant) = (0_u128, 0);
    let digits = digits(text, |digit| {
        significant += usize::from(significant > 0 || digit > 0);
        if significant > DIGITS_MAX {
            return Err(NumberError::TooLong);
        }
        size = size * 10 + u128::from(digit);
        Ok(())
    })?;
    Ok((size, digits))
}

/// Visits the digits at the front, and looks over a point.
#[inline]
fn digits<E>(text: &[u8], mut visit: impl FnMut(u8) -> Result<(), E>) -> Result<Digits, E> {
    let mut point = None;
    let mut upto = text.len();
    for (at, byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            visit(digit)?;
        } else if *byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            upto = at;
            break;
        }
    }
    Ok(Digits {
        count: upto - usize::from(point.is_some()),
        places: point.map_or(0, |point| upto - point - 1),
        upto,
    })
}

/// The power of ten that `text` is: `e-7`.
#[cold]
fn power(text: &[u8]) -> Result<i32, NumberError> {
    let [b'e' | b'E', power @ ..] = text else {
        return Err(NumberError::NoNumber);
    };
    let power = str::from_utf8(power).map_err(|_| NumberError::NoNumber)?;
    let digits = power.strip_prefix(['-', '+']).unwrap_or(power);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberError::NoNumber);
    }
    let far = i32::from(EXPONENT_MAX) * 2;
    Ok(power
        .parse::<i32>()
        .map_or(far, |power| power.clamp(-far, far)))
}

impl Ord for Number {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        if self.exponent == other.exponent {
            return self.parts.cmp(&other.parts);
        }
        compare_apart(*self, *other)
    }
}

/// Of numbers with exponents that are not the same.
fn compare_apart(one: Number, other: Number) -> Ordering {
    let signs = one.parts.signum().cmp(&other.parts.signum());
    if signs.is_ne() || one.parts == 0 {
        return signs;
    }
    let sizes =
        [one, other].map(|number| (number.parts.unsigned_abs(), i32::from(number.exponent)));
    let [first, second] = sizes.map(|(size, exponent)| digit_count(size).cast_signed() + exponent);
    let [(size, exponent), (other_size, other_exponent)] = sizes;
    let larger = first.cmp(&second).then_with(|| {
        // The one with fewer digits gets as many as the other has.
        let zeros = exponent.abs_diff(other_exponent);
        if exponent > other_exponent {
            (size * 10_u128.pow(zeros)).cmp(&other_size)
        } else {
            size.cmp(&(other_size * 10_u128.pow(zeros)))
        }
    });
    if one.parts < 0 {
        larger.reverse()
    } else {
        larger
    }
}

/// 0 has none.
fn digit_count(size: u128) -> u32 {
    size.checked_ilog10().map_or(0, |power| power + 1)
}

impl PartialOrd for Number {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl Field for Number {
    /// Without a power of ten, and without zeros at the end of a fraction.
    fn write(&self, out: &mut Vec<u8>) {
        let digits = self.parts.unsigned_abs().to_string();
        write_decimal(self.parts < 0, digits.as_bytes(), self.exponent.into(), out);
    }
}

/// Appends the number of these digits, times 10 to the `exponent`, as one would write it.
pub(crate) fn write_decimal(negative: bool, digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    let zero = |byte: &&u8| **byte == b'0';
    let digits = &digits[digits.iter().take_while(zero).count()..];
    let zeros = digits.iter().rev().take_while(zero).count();
    let digits = &digits[..digits.len() - zeros];
    if digits.is_empty() {
        out.push(b'0');
        return;
    }
    if negative {
        out.push(b'-');
    }
    // Digits before the point.
    let whole = i64::from(exponent) + (digits.len() + zeros) as i64;
    match usize::try_from(whole) {
        Ok(whole @ 1..) if whole < digits.len() => {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
        Ok(whole @ 1..) => {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - digits.len(), b'0');
        }
        _ => {
            out.extend_from_slice(b"0.");
            let zeros = usize::try_from(whole.unsigned_abs()).unwrap_or(usize::MAX);
            out.resize(out.len() + zeros, b'0');
            out.extend_from_slice(digits);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(number: Number) -> String {
        let mut out = Vec::new();
        number.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_read_and_shown_exactly() {
        let long = "9".repeat(DIGITS_MAX);
        for (text, want) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("7", "7"),
            (" +007.250 ", "7.25"),
            ("-1234567890123456789012", "-1234567890123456789012"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("1.5E-7", "0.00000015"),
            ("-12.5e+1", "-125"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("0e999", "0"),
            (&long, &long),
            ("0000000000000000000000000000000000000000000000001", "1"),
        ] {
            assert_eq!(
                Number::parse(text.as_bytes()).map(shown),
                Ok(want.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_number_is_told() {
        for (text, want) in [
            ("", NumberError::Empty),
            (" \r", NumberError::Empty),
            ("-", NumberError::NoNumber),
            (".", NumberError::NoNumber),
            ("1,5", NumberError::NoNumber),
            ("1.2.3", NumberError::NoNumber),
            ("12ms", NumberError::NoNumber),
            ("e5", NumberError::NoNumber),
            ("1e", NumberError::NoNumber),
            ("1e+-5", NumberError::NoNumber),
            ("1e5x", NumberError::NoNumber),
            ("nan", NumberError::NoNumber),
            ("inf", NumberError::NoNumber),
            ("1e401", NumberError::TooFar),
            ("1e-99999999999", NumberError::TooFar),
            (&"9".repeat(DIGITS_MAX + 1), NumberError::TooLong),
        ] {
            assert_eq!(
                Number::parse(text.as_bytes()).map(shown),
                Err(want),
                "{text}"
            );
        }
        assert_eq!(
            Number::parse(b"\xff").map(shown),
            Err(NumberError::NoNumber)
        );
    }

    #[test]
    fn numbers_are_rounded_to_digits() {
        for (text, digits, want) in [
            ("12345", 4, "12350"),
            ("-12345", 4, "-12350"),
            ("0.00099994", 4, "0.0009999"),
            ("99995", 4, "100000"),
            ("12", 4, "12"),
            ("0", 4, "0"),
        ] {
            let number = Number::parse(text.as_bytes()).unwrap();
            assert_eq!(shown(number.rounded(digits)), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_compare_as_integers_of_one_unit(
            one in -1_000_000_000..1_000_000_000_i64, other in -1000..1000_i64, places in 0..9_usize, zeros in 0..5_usize
        ) {
            // The same number twice, written otherwise.
            let text = |parts: i64| {
                let (sign, size) = (if parts < 0 { "-" } else { "" }, parts.unsigned_abs());
                let unit = 10_u64.pow(u32::try_from(places).unwrap());
                format!("{sign}{}.{:0places$}{}", size / unit, size % unit, "0".repeat(zeros))
            };
            let number = |text: &str| Number::parse(text.as_bytes()).unwrap();
            let with_power = |parts: i64| number(&format!("{parts}e-{places}"));
            for other in [one, one + other, other] {
                prop_assert_eq!(number(&text(one)).cmp(&with_power(other)), one.cmp(&other));
                prop_assert_eq!(shown(number(&text(other))), shown(with_power(other)));
            }
        }

        #[test]
        fn whatever_is_shown_reads_back(text in "-?[0-9]{0,30}(\\.[0-9]{0,8})?(e-?[0-9]{1,2})?") {
            if let Ok(number) = Number::parse(text.as_bytes()) {
                let again = shown(number);
                if let Ok(again) = Number::parse(again.as_bytes()) {
                    prop_assert_eq!(again, number);
                }
            }
        }
    }
}

//! A sum that is exact, whatever is added in whatever order.
//!
//! Sums of floats depend on the order of adding, which is another for another split size. Here a sum is an `i128` of parts of a power of
//! ten, which nearly all sums fit for ever. What does not is moved on into limbs that hold every number there is
//! ([`EXPONENT_MAX`]), so adding never fails and never rounds. (Kulisch's long accumulator, in decimal.)

use std::cmp::Ordering;

use mapfold_job::Field;
use serde::{Deserialize, Serialize};

use crate::number::{EXPONENT_MAX, Number, write_decimal};

/// A sum of numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sum {
    /// Of 10 to the `exponent`.
    parts: i128,
    exponent: i16,
    /// What did not fit beside them.
    rest: Option<Box<Limbs>>,
}

impl Sum {
    #[inline]
    pub(crate) fn add(&mut self, number: Number) {
        let (parts, exponent) = number.parts();
        self.add_parts(parts, exponent);
    }

    pub(crate) fn add_sum(&mut self, more: &Self) {
        self.add_parts(more.parts, more.exponent);
        if let Some(rest) = &more.rest {
            self.rest.get_or_insert_default().add_limbs(rest);
        }
    }

    #[inline]
    fn add_parts(&mut self, parts: i128, exponent: i16) {
        if exponent == self.exponent
            && let Some(sum) = self.parts.checked_add(parts)
        {
            self.parts = sum;
        } else {
            self.add_apart(parts, exponent);
        }
    }

    /// Parts of another size, or too many.
    #[inline(never)]
    fn add_apart(&mut self, parts: i128, exponent: i16) {
        let least = exponent.min(self.exponent);
        let in_least = |parts: i128, exponent: i16| {
            let zeros = u32::from(exponent.abs_diff(least));
            if parts == 0 {
                return Some(0);
            }
            parts.checked_mul(10_i128.checked_pow(zeros)?)
        };
        let sum = in_least(self.parts, self.exponent)
            .zip(in_least(parts, exponent))
            .and_then(|(one, other)| one.checked_add(other));
        match sum {
            Some(sum) => (self.parts, self.exponent) = (sum, least),
            None => {
                let rest = self.rest.get_or_insert_default();
                rest.add(self.parts, self.exponent);
                (self.parts, self.exponent) = (parts, exponent);
            }
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.rest.as_ref().map_or(0, |_| size_of::<Limbs>())
    }

    /// Its digits, without zeros at the end of a fraction.
    fn digits(&self) -> Decimal {
        match &self.rest {
            None => Decimal::new(
                self.parts < 0,
                self.parts.unsigned_abs().to_string().into(),
                self.exponent.into(),
            ),
            Some(rest) => {
                let mut all = rest.clone();
                all.add(self.parts, self.exponent);
                all.digits()
            }
        }
    }

    /// The sum over `count`, to [`MEAN_PLACES`] more digits after the point than the sum has; halves to the even digit.
    pub(crate) fn mean(&self, count: u64) -> impl Field {
        let Decimal {
            negative,
            mut digits,
            exponent,
        } = self.digits();
        // No zeros are missing before the point.
        digits.resize(digits.len() + usize::try_from(exponent).unwrap_or(0), b'0');
        digits.extend((0..MEAN_PLACES).map(|_| b'0'));
        let mut rest = 0_u128;
        for digit in &mut digits {
            rest = rest * 10 + u128::from(*digit - b'0');
            *digit = b'0' + u8::try_from(rest / u128::from(count)).unwrap_or(9);
            rest %= u128::from(count);
        }
        let odd = digits.last().is_some_and(|digit| digit % 2 == 1);
        let up = match (rest * 2).cmp(&u128::from(count)) {
            Ordering::Less => false,
            Ordering::Equal => odd,
            Ordering::Greater => true,
        };
        if up {
            increment(&mut digits);
        }
        Decimal::new(negative, digits, exponent.min(0) - MEAN_PLACES)
    }
}

/// Digits after the point that a mean has beyond those of its sum.
const MEAN_PLACES: i32 = 6;

/// Adds one to the number of these digits.
fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

impl Field for Sum {
    fn write(&self, out: &mut Vec<u8>) {
        self.digits().write(out);
    }
}

/// A number of any length, on its way to a row.
struct Decimal {
    negative: bool,
    /// ASCII.
    digits: Vec<u8>,
    exponent: i32,
}

impl Decimal {
    /// Without zeros at its end, but for those of a whole number.
    fn new(negative: bool, mut digits: Vec<u8>, mut exponent: i32) -> Self {
        while exponent < 0 && digits.last() == Some(&b'0') {
            digits.pop();
            exponent += 1;
        }
        Self {
            negative,
            digits,
            exponent,
        }
    }
}

impl Field for Decimal {
    fn write(&self, out: &mut Vec<u8>) {
        write_decimal(self.negative, &self.digits, self.exponent, out);
    }
}

/// A number in limbs of nine digits: limb `n` counts 10 to the `9 n - LEAST`. All but the last are at least 0 and less than [`LIMB`].
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Limbs(Vec<i64>);

const LIMB_DIGITS: u32 = 9;
const LIMB: i64 = 1_000_000_000;

/// No number has more digits after the point.
const LEAST: i32 = EXPONENT_MAX as i32 + 5;

/// Enough for 2^64 numbers of all the digits that one may have.
const LIMBS: usize = 100;

impl Default for Limbs {
    fn default() -> Self {
        Self(vec![0; LIMBS])
    }
}

impl Limbs {
    fn add(&mut self, parts: i128, exponent: i16) {
        let place = u32::try_from(i32::from(exponent) + LEAST).unwrap_or(0);
        let shift = 10_i64.pow(place % LIMB_DIGITS);
        let sign = if parts < 0 { -shift } else { shift };
        let mut rest = parts.unsigned_abs();
        for limb in &mut self.0[(place / LIMB_DIGITS) as usize..] {
            if rest == 0 {
                break;
            }
            *limb += i64::try_from(rest % u128::from(LIMB.unsigned_abs())).unwrap_or(0) * sign;
            rest /= u128::from(LIMB.unsigned_abs());
        }
        self.carry();
    }

    fn add_limbs(&mut self, more: &Self) {
        for (limb, more) in self.0.iter_mut().zip(&more.0) {
            *limb += more;
        }
        self.carry();
    }

    /// Brings limbs back into their range.
    fn carry(&mut self) {
        let mut carry = 0;
        let last = self.0.len() - 1;
        for limb in &mut self.0[..last] {
            let sum = *limb + carry;
            *limb = sum.rem_euclid(LIMB);
            carry = sum.div_euclid(LIMB);
        }
        self.0[last] += carry;
    }

    fn digits(mut self) -> Decimal {
        let negative = self.0.last().is_some_and(|last| *last < 0);
        if negative {
            self.0.iter_mut().for_each(|limb| *limb = -*limb);
            self.carry();
        }
        let digits: String = self
            .0
            .iter()
            .rev()
            .map(|limb| format!("{limb:09}"))
            .collect();
        let zeros = digits.bytes().take_while(|digit| *digit == b'0').count();
        Decimal::new(negative, digits[zeros..].into(), -LEAST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(field: impl Field) -> String {
        let mut out = Vec::new();
        field.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn sum(texts: &[&str]) -> Sum {
        let mut sum = Sum::default();
        texts
            .iter()
            .for_each(|text| sum.add(Number::parse(text.as_bytes()).unwrap()));
        sum
    }

    #[test]
    fn sums_are_exact() {
        let most = "9".repeat(38);
        for (texts, want) in [
            (&[][..], "0"),
            (&["0.1", "0.2"], "0.3"),
            (&["1e20", "1", "-1e20"], "1"),
            (
                &["1e300", "-7.5e-300", "-1e300"],
                &format!("-0.{}75", "0".repeat(299)),
            ),
            (&["1e300", "1e-300", "-1e300", "-1e-300"], "0"),
            (&[&most, "1"], &format!("1{}", "0".repeat(38))),
            (&[&most, &most, &most], &format!("2{}7", "9".repeat(37))),
            (&["-1e400", "-1e400"], &format!("-2{}", "0".repeat(400))),
            (&["1e-400", "1e-400"], &format!("0.{}2", "0".repeat(399))),
            (&["2.50", "2.50"], "5"),
        ] {
            assert_eq!(shown(sum(texts)), want, "{texts:?}");
            let backwards: Vec<&str> = texts.iter().rev().copied().collect();
            assert_eq!(shown(sum(&backwards)), want, "{texts:?}");
        }
    }

    #[test]
    fn means_are_rounded_to_the_even_digit() {
        for (texts, count, want) in [
            (&["10"][..], 4, "2.5"),
            (&["1"], 3, "0.333333"),
            (&["2"], 3, "0.666667"),
            (&["-2"], 3, "-0.666667"),
            (&["0.5"], 3, "0.1666667"),
            (&["0.000001"], 2, "0.0000005"),
            (&["5"], 10_000_000, "0"),
            (&["15"], 10_000_000, "0.000002"),
            (&["1000000"], 3, "333333.333333"),
            (&["2.9999999"], 3, "0.9999999666667"),
            (&["9999999"], 10_000_000, "1"),
            (&["1e300", "-1e300", "6"], 3, "2"),
        ] {
            assert_eq!(shown(sum(texts).mean(count)), want, "{texts:?}");
        }
    }

    proptest! {
        #[test]
        fn limbs_are_as_good_as_integers(
            numbers in proptest::collection::vec((-1_000_000_000_000_i64..1_000_000_000_000, 0..7_u32), 1..20), far in any::<bool>()
        ) {
            let mut sum = Sum::default();
            let (mut half, mut want) = (Sum::default(), 0_i128);
            if far {
                sum.add(Number::parse(b"1e390").unwrap());
                half.add(Number::parse(b"-1e390").unwrap());
            }
            for (at, (parts, places)) in numbers.iter().enumerate() {
                let number = Number::parse(format!("{parts}e-{places}").as_bytes()).unwrap();
                if at % 2 == 0 { &mut sum } else { &mut half }.add(number);
                want += i128::from(*parts) * 10_i128.pow(6 - places);
            }
            sum.add_sum(&half);
            prop_assert_eq!(shown(sum), shown(Number::parse(format!("{want}e-6").as_bytes()).unwrap()));
        }
    }
}

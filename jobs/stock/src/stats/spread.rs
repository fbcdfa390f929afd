//! How numbers are spread: which there are, and how often each. What quantiles are read from.
//!
//! As long as there are few different numbers, all of them are kept, and quantiles are exact. Beyond that they are kept to four significant digits, of which
//! there are 9,000 a power of ten: then a quantile is within 0.05 % of itself, and memory is bounded. Whether numbers are rounded depends on how
//! many different ones a group has and on nothing else, and a number is rounded to the same whenever that is done: so the
//! order of adding, splits and spills do not show.

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::packed;
use crate::number::Number;

/// Digits of a number once there are too many.
pub(super) const ROUNDED_DIGITS: u32 = 4;

/// Parts of a power of ten are less in size, and at most this when they are rounded.
pub(super) const PARTS_MAX: u64 = 1_000_000_000_000_000_000;

/// Numbers and how often each came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Spread {
    kept: Kept,
    rounded: bool,
}

/// The first kind is a third as large, and compared several times as fast; nearly all tables have numbers of a few digits after the point.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Kept {
    /// As parts of 10 to this exponent.
    Parts(i16, #[serde(with = "packed")] Counts<i64>),
    /// Numbers that have no such power of ten.
    Numbers(Counts<Number>),
}

impl Spread {
    pub(super) fn of(number: Number) -> Self {
        let (_, exponent) = number.parts();
        let mut spread = Self {
            kept: Kept::Parts(exponent, Counts::default()),
            rounded: false,
        };
        spread.push(number, 1);
        spread
    }

    /// Adds a number; of more than `exact_max` different ones, digits are dropped.
    #[inline]
    pub(super) fn add(&mut self, number: Number, exact_max: usize) {
        if let Kept::Parts(exponent, counts) = &mut self.kept
            && let (parts, of) = number.parts()
            && of == *exponent
            && let Some(parts) = in_bounds(parts)
        {
            counts.push(parts, 1);
            if counts.is_due() {
                self.settle(exact_max);
            }
            return;
        }
        self.push(number, 1);
        self.settle_if_due(exact_max);
    }

    pub(super) fn add_all(&mut self, more: &Self, exact_max: usize) {
        if more.rounded && !self.rounded {
            self.round();
        }
        match (&mut self.kept, &more.kept) {
            (Kept::Parts(exponent, counts), Kept::Parts(of, more)) if exponent == of => {
                counts.push_all(more);
            }
            (_, Kept::Parts(exponent, more)) => {
                let number = |parts: i64| Number::of_parts(parts.into(), *exponent);
                more.all()
                    .for_each(|(parts, count)| self.push(number(parts), count));
            }
            (_, Kept::Numbers(more)) => {
                more.all()
                    .for_each(|(number, count)| self.push(number, count));
            }
        }
        self.settle_if_due(exact_max);
    }

    /// Adds a number to those that wait, in whatever kind can hold them all.
    #[inline(never)]
    fn push(&mut self, number: Number, count: u64) {
        if let Kept::Parts(exponent, counts) = &mut self.kept {
            let (parts, of) = number.parts();
            if of < *exponent && parts != 0 {
                let finer = counts.converted(|parts| scaled(parts.into(), *exponent, of));
                if let Some(finer) = finer {
                    (*exponent, *counts) = (of, finer);
                }
            }
            if let Some(parts) = scaled(parts, of, *exponent) {
                return counts.push(parts, count);
            }
            let number = |parts: i64| Some(Number::of_parts(parts.into(), *exponent));
            self.kept = Kept::Numbers(counts.converted(number).unwrap_or_default());
        }
        if let Kept::Numbers(counts) = &mut self.kept {
            counts.push(number, count);
        }
    }

    fn settle_if_due(&mut self, exact_max: usize) {
        let due = match &self.kept {
            Kept::Parts(_, counts) => counts.is_due(),
            Kept::Numbers(counts) => counts.is_due(),
        };
        if due {
            self.settle(exact_max);
        }
    }

    /// Puts what waits into order.
    #[inline(never)]
    pub(super) fn settle(&mut self, exact_max: usize) {
        let rounded = self.rounded;
        let len = match &mut self.kept {
            Kept::Parts(_, counts) => {
                if rounded {
                    counts.replace_waiting(rounded_parts);
                }
                counts.settle();
                counts.len()
            }
            Kept::Numbers(counts) => {
                if rounded {
                    counts.replace_waiting(|number| number.rounded(ROUNDED_DIGITS));
                }
                counts.settle();
                counts.len()
            }
        };
        if len > exact_max && !rounded {
            self.round();
        }
    }

    fn round(&mut self) {
        self.rounded = true;
        match &mut self.kept {
            Kept::Parts(_, counts) => counts.replace(rounded_parts),
            Kept::Numbers(counts) => counts.replace(|number| number.rounded(ROUNDED_DIGITS)),
        }
    }

    /// Number `rank`, counted from 1, of all in order, after [`settle`](Self::settle). Calls must come with `rank`s that grow: each goes on from where the
    /// last one was.
    pub(super) fn ranks(&self) -> impl FnMut(u64) -> Option<Number> {
        let (parts, numbers) = match &self.kept {
            Kept::Parts(exponent, counts) => (Some((*exponent, counts)), None),
            Kept::Numbers(counts) => (None, Some(counts)),
        };
        let parts = parts.into_iter().flat_map(|(exponent, counts)| {
            let number = move |parts: i64| Number::of_parts(parts.into(), exponent);
            counts
                .ordered()
                .map(move |(parts, count)| (number(parts), count))
        });
        let mut counts = parts.chain(numbers.into_iter().flat_map(Counts::ordered));
        let (mut at, mut upto) = (None, 0);
        move |rank| {
            while upto < rank {
                let (number, count) = counts.next()?;
                (at, upto) = (Some(number), upto + count);
            }
            at
        }
    }

    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        match &self.kept {
            Kept::Parts(_, counts) => counts.heap_bytes(),
            Kept::Numbers(counts) => counts.heap_bytes(),
        }
    }
}

#[inline]
fn in_bounds(parts: i128) -> Option<i64> {
    let parts = i64::try_from(parts).ok()?;
    (parts.unsigned_abs() < PARTS_MAX).then_some(parts)
}

/// Parts of 10 to the exponent `of` as whole parts of 10 to `exponent`, if that can be.
fn scaled(parts: i128, of: i16, exponent: i16) -> Option<i64> {
    if parts == 0 {
        return Some(0);
    }
    let zeros = u32::try_from(of - exponent).ok()?;
    in_bounds(parts.checked_mul(10_i128.checked_pow(zeros)?)?)
}

/// To [`ROUNDED_DIGITS`], halves away from 0, as [`Number::rounded`].
fn rounded_parts(parts: i64) -> i64 {
    let size = parts.unsigned_abs();
    let digits = size.checked_ilog10().map_or(0, |power| power + 1);
    let Some(dropped) = digits.checked_sub(ROUNDED_DIGITS) else {
        return parts;
    };
    let unit = 10_u64.pow(dropped);
    let rounded = (size + unit / 2) / unit * unit;
    rounded.cast_signed() * parts.signum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(texts: &[String]) -> Vec<Number> {
        let parse = |text: &String| Number::parse(text.as_bytes()).unwrap();
        texts.iter().map(parse).collect()
    }

    fn spread(numbers: &[Number], exact_max: usize) -> Spread {
        let (first, rest) = numbers.split_first().unwrap();
        let mut spread = Spread::of(*first);
        rest.iter()
            .for_each(|number| spread.add(*number, exact_max));
        spread
    }

    fn all(mut spread: Spread, count: usize, exact_max: usize) -> Vec<Number> {
        spread.settle(exact_max);
        let ranks = 1..=count as u64;
        ranks.map_while(spread.ranks()).collect()
    }

    proptest! {
        #[test]
        fn numbers_come_in_order_however_they_were_written_and_put_together(
            texts in proptest::collection::vec("-?[0-9]{1,3}(\\.[0-9]{1,3})?(e-?[0-9]{1,2})?", 1..40), at in 0..40_usize, few in any::<bool>()
        ) {
            let numbers = numbers(&texts);
            let mut want = numbers.clone();
            want.sort_unstable();
            let mut different = want.clone();
            different.dedup();
            let exact_max = if few { different.len() } else { (different.len() - 1).max(1) };
            if different.len() > exact_max {
                want = want.iter().map(|number| number.rounded(ROUNDED_DIGITS)).collect();
            }
            let count = numbers.len();
            prop_assert_eq!(&all(spread(&numbers, exact_max), count, exact_max), &want);
            let (one, other) = numbers.split_at(at.clamp(1, count));
            let mut both = spread(one, exact_max);
            if !other.is_empty() {
                let mut other = spread(other, exact_max);
                // As after a spill.
                other.settle(exact_max);
                both.add_all(&other, exact_max);
            }
            prop_assert_eq!(&all(both, count, exact_max), &want);
        }

        #[test]
        fn parts_are_rounded_as_numbers_are(parts in -(PARTS_MAX.cast_signed() - 1)..PARTS_MAX.cast_signed(), power in 0..18_u32) {
            let parts = parts / 10_i64.pow(power);
            let number = |parts: i64| Number::of_parts(parts.into(), -3);
            prop_assert_eq!(number(rounded_parts(parts)), number(parts).rounded(ROUNDED_DIGITS));
        }
    }

    #[test]
    fn numbers_of_many_digits_are_kept_as_they_are() {
        let texts = ["1e30", "0.5", "1e-30", "-123456789012345678901", "0"].map(str::to_owned);
        let numbers = numbers(&texts);
        let spread = spread(&numbers, 100);
        assert!(matches!(spread.kept, Kept::Numbers(_)));
        let mut want = numbers;
        want.sort_unstable();
        assert_eq!(all(spread, 5, 100), want);
    }
}

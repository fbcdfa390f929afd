//! The value of `stats`: what is known of the numbers of a group.

use mapfold_job::{Coded, DecodeValueError, Value};
use serde::{Deserialize, Serialize};

use super::spread::Spread;
use crate::number::Number;
use crate::sum::Sum;

/// Of at least one number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    pub(super) count: u64,
    pub(super) sum: Sum,
    pub(super) least: Number,
    pub(super) greatest: Number,
    /// If quantiles are wanted.
    pub(super) spread: Option<Box<Spread>>,
}

/// One number, or what is known of some, lent or read.
pub enum SomeNumbers<'a> {
    /// One, and whether its place among all counts.
    One(OneNumber),
    /// Some, lent.
    Lent(&'a Summary),
    /// Some, read back.
    Read(Summary),
}

/// A number, and whether quantiles are wanted.
#[derive(Clone, Copy)]
pub struct OneNumber {
    pub(super) number: Number,
    pub(super) spread: bool,
}

impl Summary {
    /// `exact_max` is for [`Spread::add`].
    #[inline]
    pub(super) fn join(&mut self, more: SomeNumbers<'_>, exact_max: usize) {
        match more {
            SomeNumbers::One(one) => self.add(one.number, exact_max),
            SomeNumbers::Lent(more) => self.add_all(more, exact_max),
            SomeNumbers::Read(more) => self.add_all(&more, exact_max),
        }
    }

    #[inline]
    fn add(&mut self, number: Number, exact_max: usize) {
        self.count += 1;
        self.sum.add(number);
        if number < self.least {
            self.least = number;
        } else if number > self.greatest {
            self.greatest = number;
        }
        if let Some(spread) = &mut self.spread {
            spread.add(number, exact_max);
        }
    }

    fn add_all(&mut self, more: &Self, exact_max: usize) {
        self.count += more.count;
        self.sum.add_sum(&more.sum);
        self.least = self.least.min(more.least);
        self.greatest = self.greatest.max(more.greatest);
        if let (Some(spread), Some(more)) = (&mut self.spread, &more.spread) {
            spread.add_all(more, exact_max);
        }
    }
}

impl From<OneNumber> for Summary {
    fn from(one: OneNumber) -> Self {
        let mut sum = Sum::default();
        sum.add(one.number);
        Self {
            count: 1,
            sum,
            least: one.number,
            greatest: one.number,
            spread: one.spread.then(|| Box::new(Spread::of(one.number))),
        }
    }
}

impl Value for Summary {
    type Ref<'a> = SomeNumbers<'a>;
    type Owned = Self;

    fn kind() -> String {
        "summary".to_owned()
    }

    fn encode(value: SomeNumbers<'_>, out: &mut Vec<u8>) {
        Self::encode_owned(&Self::into_owned(value), out);
    }

    fn encode_owned(value: &Self, out: &mut Vec<u8>) {
        Coded::<Self>::encode_owned(value, out);
    }

    fn into_owned(value: SomeNumbers<'_>) -> Self {
        match value {
            SomeNumbers::One(one) => one.into(),
            SomeNumbers::Lent(some) => some.clone(),
            SomeNumbers::Read(some) => some,
        }
    }

    fn borrow(value: &Self) -> SomeNumbers<'_> {
        SomeNumbers::Lent(value)
    }

    #[inline]
    fn heap_bytes(value: &Self) -> usize {
        let spread = value.spread.as_ref();
        value.sum.heap_bytes()
            + spread.map_or(0, |spread| size_of::<Spread>() + spread.heap_bytes())
    }

    fn decode(encoded: &[u8]) -> Result<SomeNumbers<'_>, DecodeValueError> {
        Coded::<Self>::decode(encoded).map(SomeNumbers::Read)
    }
}

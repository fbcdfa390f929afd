//! Which quantiles are wanted.

use mapfold_job::ParamValue;

/// Some quantiles, in the order in which they are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quantiles(Vec<Quantile>);

/// A share from 0 to 1, as so many parts of 10^`places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantile {
    parts: u64,
    places: u32,
}

/// More digits after the point are refused.
const PLACES_MAX: usize = 9;

impl Quantiles {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rank, counted from 1, of each among `count` numbers in order, and its place in the order that was typed. Ranks grow.
    pub(super) fn ranks(&self, count: u64) -> Vec<(u64, usize)> {
        let ranks = self.0.iter().map(|quantile| quantile.rank(count));
        let mut ranks: Vec<_> = ranks.zip(0..).collect();
        ranks.sort_unstable();
        ranks
    }
}

impl Quantile {
    /// The rank of the least number that at least such a share of all are not above.
    fn rank(self, count: u64) -> u64 {
        let share = u128::from(self.parts) * u128::from(count);
        let rank = share.div_ceil(10_u128.pow(self.places));
        u64::try_from(rank).unwrap_or(count).max(1)
    }

    fn parse(typed: &str) -> Option<Self> {
        let (whole, fraction) = typed.split_once('.').unwrap_or((typed, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = [whole, fraction].concat();
        let well_formed = digits.bytes().all(|byte| byte.is_ascii_digit());
        (well_formed && fraction.len() <= PLACES_MAX).then_some(())?;
        let places = u32::try_from(fraction.len()).ok()?;
        let parts: u64 = digits.parse().ok()?;
        (parts <= 10_u64.pow(places)).then_some(Self { parts, places })
    }

    fn show(self) -> String {
        let one = 10_u64.pow(self.places);
        let (whole, rest) = (self.parts / one, self.parts % one);
        match self.places as usize {
            0 => whole.to_string(),
            places => format!("{whole}.{rest:0places$}"),
        }
    }
}

impl ParamValue for Quantiles {
    const KIND: &'static str = "LIST";
    const EXPECTED: &'static str = "a list of numbers from 0 to 1, such as 0.5,0.99";

    fn parse(typed: &str) -> Option<Self> {
        if typed.is_empty() {
            return Some(Self::default());
        }
        typed
            .split(',')
            .map(Quantile::parse)
            .collect::<Option<_>>()
            .map(Self)
    }

    fn show(&self) -> String {
        let shown: Vec<String> = self.0.iter().map(|quantile| quantile.show()).collect();
        shown.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_read_back_as_typed() {
        for (typed, shown) in [
            ("", ""),
            ("0.50,0.999", "0.5,0.999"),
            ("0,1,.25", "0,1,0.25"),
        ] {
            assert_eq!(Quantiles::parse(typed).unwrap().show(), shown);
        }
        for typed in ["1.01", "2", "-0.5", "half", "0.5,", ",", "50%"] {
            assert_eq!(Quantiles::parse(typed), None, "{typed}");
        }
    }

    #[test]
    fn a_rank_is_the_least_that_has_its_share() {
        let ranks = |typed: &str, count| Quantiles::parse(typed).unwrap().ranks(count);
        assert_eq!(ranks("0,0.5,1", 1), [(1, 0), (1, 1), (1, 2)]);
        assert_eq!(ranks("0.9,0.5,0", 10), [(1, 2), (5, 1), (9, 0)]);
        assert_eq!(ranks("0.5,0.501", 3), [(2, 0), (2, 1)]);
        assert_eq!(ranks("0.3", 10), [(3, 0)]);
        assert_eq!(ranks("1", u64::MAX), [(u64::MAX, 0)]);
    }
}

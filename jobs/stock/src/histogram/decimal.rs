//! Decimal numbers that are not rounded, which binary fractions would be: 0.3 is not in the bucket of 0.2 to 0.3.

use mapfold_job::ParamValue;

/// A number of at least 0, as so many parts of 10^`places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    pub(super) parts: u64,
    /// Digits after the point.
    pub(super) places: u32,
}

/// More digits after the point than this are refused.
const PLACES_MAX: usize = 9;
/// A number with a greater power of ten is too large for a bucket, or so near to 0 that no width tells.
const POWER_MAX: isize = 400;

impl Decimal {
    pub(super) const ZERO: Self = Self {
        parts: 0,
        places: 0,
    };
    pub(super) const ONE: Self = Self {
        parts: 1,
        places: 0,
    };
}

impl ParamValue for Decimal {
    const KIND: &'static str = "number";
    const EXPECTED: &'static str =
        "a number such as 10 or 0.25, with at most 9 digits after the point";

    fn parse(typed: &str) -> Option<Self> {
        let (whole, fraction) = typed.split_once('.').unwrap_or((typed, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = [whole, fraction].concat();
        let well_formed = digits.bytes().all(|byte| byte.is_ascii_digit());
        (well_formed && fraction.len() <= PLACES_MAX).then_some(())?;
        let parts = digits.parse().ok()?;
        let places = u32::try_from(fraction.len()).ok()?;
        Some(Self { parts, places })
    }

    fn show(&self) -> String {
        show(i128::from(self.parts), self.places)
    }
}

/// So many parts of 10^`places`, as one would type them.
pub(super) fn show(parts: i128, places: u32) -> String {
    let sign = if parts < 0 { "-" } else { "" };
    let one = 10_u128.pow(places);
    let (whole, rest) = (parts.unsigned_abs() / one, parts.unsigned_abs() % one);
    match places as usize {
        0 => format!("{sign}{whole}"),
        places => format!("{sign}{whole}.{rest:0places$}"),
    }
}

/// A number in parts of 10^`places`, cut off to whole ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Toward 0.
    pub(super) parts: i128,
    /// Down.
    pub(super) floor: i128,
}

/// The number with which `text` begins, after blanks, perhaps with a power of ten; `None` if there is none, or if it has more than some 30 digits.
pub(super) fn read(text: &[u8], places: u32) -> Option<Cut> {
    let text = text.trim_ascii_start();
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => digits(rest),
        _ => (&[][..], rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let kept = (whole.len() + places as usize).saturating_add_signed(power(rest));
    let mut digits = whole.iter().chain(fraction).map(|digit| digit - b'0');
    let mut size = 0_i128;
    for digit in digits.by_ref().chain(std::iter::repeat(0)).take(kept) {
        size = size.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    let inexact = digits.any(|digit| digit != 0);
    let parts = if negative { -size } else { size };
    Some(Cut {
        parts,
        floor: parts - i128::from(negative && inexact),
    })
}

/// The power of ten that stands at the front, as in `e-7`; 0 if there is none.
fn power(text: &[u8]) -> isize {
    let [b'e' | b'E', text @ ..] = text else {
        return 0;
    };
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let size = digits(text).0.iter().fold(0, |size, digit| {
        (size * 10 + isize::from(digit - b'0')).min(POWER_MAX)
    });
    if negative { -size } else { size }
}

/// The digits at the front, and what comes after.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.split_at(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_as_typed() {
        for (typed, shown) in [("10", "10"), ("0.25", "0.25"), (".50", "0.5"), ("7.0", "7")] {
            assert_eq!(Decimal::parse(typed).unwrap().show(), shown);
        }
        for typed in [
            "",
            ".",
            "-1",
            "1e3",
            "1.2.3",
            "0.0123456789",
            "99999999999999999999",
        ] {
            assert_eq!(Decimal::parse(typed), None, "{typed}");
        }
    }

    #[track_caller]
    fn check(text: &str, places: u32, want: Option<(i128, i128)>) {
        let cut = read(text.as_bytes(), places);
        assert_eq!(cut.map(|cut| (cut.parts, cut.floor)), want);
    }

    #[test]
    fn numbers_are_cut_off_where_they_are_too_fine() {
        check("12", 0, Some((12, 12)));
        check(" 12.99ms", 1, Some((129, 129)));
        check("-0.01", 1, Some((0, -1)));
        check("-0.10", 1, Some((-1, -1)));
        check("+5.", 2, Some((500, 500)));
        check(".5", 0, Some((0, 0)));
        check("1e3", 0, Some((1000, 1000)));
        check("-1.25E+1", 0, Some((-12, -13)));
        check("12345e-3 ms", 1, Some((123, 123)));
        check("-1e-7", 2, Some((0, -1)));
        check("0e999999999999999999999", 2, Some((0, 0)));
        check("1e-999999999999999999999", 2, Some((0, 0)));
        check("5 east", 0, Some((5, 5)));
        check("5e", 0, Some((5, 5)));
        check("5e-", 0, Some((5, 5)));
        for text in ["", "-", ".", "x1", "- 1", "e5", "1e400"] {
            check(text, 0, None);
        }
        check(&"9".repeat(50), 0, None);
    }
}

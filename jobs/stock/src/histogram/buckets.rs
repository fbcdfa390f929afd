//! Ranges of numbers that are counted together.

use super::decimal::{self, Decimal};

/// How numbers are put into buckets. A bucket is known by an integer; those compare as the numbers in the buckets do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Buckets {
    /// All of one width, which is not 0; bucket 0 begins at 0.
    Even(Decimal),
    /// Bucket 0 is all between -1 and 1, bucket 1 from 1 to 2, bucket 2 from 2 to 4; bucket -2 is between -4 and -2.
    PowersOfTwo,
}

impl Buckets {
    /// The bucket of the number with which `text` begins, unless there is none, or one that is too large.
    pub(super) fn of_text(self, text: &[u8]) -> Option<i64> {
        match self {
            Self::Even(width) => even(decimal::read(text, width.places)?.floor, width),
            Self::PowersOfTwo => Some(power_of_two(decimal::read(text, 0)?.parts)),
        }
    }

    /// The bucket of a number of bytes.
    pub(super) fn of_length(self, length: usize) -> Option<i64> {
        let length = length as i128;
        match self {
            Self::Even(width) => even(length * 10_i128.pow(width.places), width),
            Self::PowersOfTwo => Some(power_of_two(length)),
        }
    }

    /// Its least number; of powers of two the one nearest to 0.
    pub(super) fn name(self, bucket: i64) -> String {
        match self {
            Self::Even(width) => {
                decimal::show(i128::from(bucket) * i128::from(width.parts), width.places)
            }
            Self::PowersOfTwo => match bucket.unsigned_abs().checked_sub(1) {
                None => "0".to_owned(),
                Some(power) => (i128::from(bucket.signum()) << power).to_string(),
            },
        }
    }
}

fn even(parts: i128, width: Decimal) -> Option<i64> {
    parts.div_euclid(i128::from(width.parts)).try_into().ok()
}

fn power_of_two(number: i128) -> i64 {
    let bits = i128::BITS - number.unsigned_abs().leading_zeros();
    i64::from(bits) * i64::from(number.signum() as i8)
}

#[cfg(test)]
mod tests {
    use mapfold_job::ParamValue;

    use super::*;

    #[track_caller]
    fn check(buckets: Buckets, cases: &[(&str, &str)]) {
        for (text, want) in cases {
            let bucket = buckets.of_text(text.as_bytes()).unwrap();
            assert_eq!(buckets.name(bucket), *want, "{text}");
        }
    }

    #[test]
    fn even_buckets_are_named_by_their_least_number() {
        let even = |width| Buckets::Even(Decimal::parse(width).unwrap());
        check(
            even("10"),
            &[
                ("0", "0"),
                ("9.99", "0"),
                ("10", "10"),
                ("-0.1", "-10"),
                ("-10", "-10"),
            ],
        );
        check(
            even("0.1"),
            &[
                ("0.3", "0.3"),
                ("0.29", "0.2"),
                ("-0.3", "-0.3"),
                ("7", "7.0"),
            ],
        );
        check(even("0.25"), &[("0.99", "0.75"), ("1", "1.00")]);
        assert_eq!(even("10").of_length(37), Some(3));
        assert_eq!(even("2.5").of_length(5), Some(2));
    }

    #[test]
    fn powers_of_two_are_named_by_their_number_nearest_to_0() {
        let cases = [
            ("0", "0"),
            ("0.9", "0"),
            ("-0.9", "0"),
            ("1", "1"),
            ("1.9", "1"),
            ("2", "2"),
            ("3", "2"),
            ("4", "4"),
            ("1023", "512"),
            ("1024", "1024"),
            ("-1", "-1"),
            ("-7", "-4"),
        ];
        check(Buckets::PowersOfTwo, &cases);
        assert_eq!(Buckets::PowersOfTwo.of_length(64), Some(7));
    }

    #[test]
    fn what_has_no_bucket_is_told() {
        let one = Buckets::Even(Decimal::ONE);
        assert_eq!(one.of_text(b"n/a"), None);
        assert_eq!(one.of_text("9".repeat(30).as_bytes()), None);
    }
}

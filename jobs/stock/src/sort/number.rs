//! Decimal numbers, encoded so that the order of the bytes is the order of the numbers, however many digits they have.
//!
//! | number | encoding |
//! | --- | --- |
//! | positive | `02`, count of the whole part's digits (one byte, or `FF` and four), digits of whole part and fraction, `00` |
//! | zero | `01` |
//! | negative | `00`, then the complement of what follows the first byte of its positive |
//!
//! Leading zeros of the whole part and trailing ones of the fraction are left out, so equal numbers have equal encodings.

const NEGATIVE: u8 = 0;
const ZERO: u8 = 1;
const POSITIVE: u8 = 2;

/// Appends the encoding of the number that `text` begins with: blanks, perhaps a `-`, digits, perhaps a point and digits. No digits are
/// 0.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    let text = &text[blanks.count()..];
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, rest) = digits(text);
    let fraction = match rest.strip_prefix(b".") {
        Some(rest) => digits(rest).0,
        None => &[],
    };
    let whole = &whole[whole.iter().take_while(|digit| **digit == b'0').count()..];
    let zeros = fraction.iter().rev().take_while(|digit| **digit == b'0');
    let fraction = &fraction[..fraction.len() - zeros.count()];
    if whole.is_empty() && fraction.is_empty() {
        out.push(ZERO);
        return;
    }
    out.push(if negative { NEGATIVE } else { POSITIVE });
    let begin = out.len();
    match u8::try_from(whole.len()) {
        Ok(count) if count < u8::MAX => out.push(count),
        _ => {
            out.push(u8::MAX);
            let count = u32::try_from(whole.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
    out.extend_from_slice(whole);
    out.extend_from_slice(fraction);
    out.push(0);
    if negative {
        out[begin..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// The digits at the front, and what comes after.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.split_at(count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        encode(text.as_bytes(), &mut out);
        out
    }

    #[test]
    fn numbers_in_order_have_encodings_in_order() {
        let long = "9".repeat(300);
        let below = format!("-{long}");
        let ordered = [
            &below, "-100", "-99.5", "-99", "-1.01", "-1.001", "-0.5", "-0.05", "0", "0.05", "0.5",
            "1", "1.001", "1.01", "9", "10", "99", "99.5", "100", &long,
        ];
        assert!(
            ordered
                .iter()
                .map(|text| encoded(text))
                .is_sorted_by(|one, two| one < two)
        );
    }

    #[test]
    fn equal_numbers_have_equal_encodings() {
        for (one, two) in [
            ("1", "001.000"),
            ("-0", "0"),
            ("", "0"),
            ("x", "-"),
            ("  7 apples", "7"),
            ("\t-2.50e9", "-2.5"),
            (".5", "0.5"),
            ("-.", ""),
        ] {
            assert_eq!(encoded(one), encoded(two), "{one} {two}");
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_order_as_they_are(one in any::<i64>(), two in any::<i64>()) {
            let order = encoded(&one.to_string()).cmp(&encoded(&two.to_string()));
            prop_assert_eq!(order, one.cmp(&two));
        }

        #[test]
        fn no_encoding_begins_another(one in -200..200_i32, two in -200..200_i32) {
            let text = |n: i32| (f64::from(n) / 8.0).to_string();
            let (one, two) = (encoded(&text(one)), encoded(&text(two)));
            prop_assert!(one == two || !two.starts_with(&one));
        }
    }
}

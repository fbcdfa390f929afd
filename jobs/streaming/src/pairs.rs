//! Lines that are cut into key and value as they are found: the common case of [`Lines`](crate::lines::Lines) and
//! [`Fields`](crate::fields::Fields), in one pass.
//!
//! Lines of programs are short, so eight bytes are looked at at once: to search for each end by itself costs a call for every few bytes (29 ns a
//! line of eight bytes; so it is 10).

/// Each byte of a word.
const ONES: u64 = u64::MAX / 0xff;
/// All bits of each byte but the highest.
const LOW: u64 = ONES * 0x7f;

/// Gives key and value of each line of `text` that ends with LF to `pair`: what is before its first `separator`, and what is after; a line
/// without one is a key. Returns what is left to be looked at otherwise: lines from the first CR on, and the last bytes.
///
/// # Errors
/// The first of `pair`.
pub(crate) fn cut<E>(
    text: &[u8],
    separator: u8,
    mut pair: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<&[u8], E> {
    let mut line = 0;
    let mut key_end = None;
    let (words, _) = text.as_chunks();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let mut found = equal(word, b'\n') | equal(word, b'\r') | equal(word, separator);
        while found != 0 {
            let at = number * size_of_val(&word) + (found.trailing_zeros() / u8::BITS) as usize;
            found &= found - 1;
            match text[at] {
                b'\n' => {
                    let end = key_end.take().unwrap_or(at);
                    pair(
                        &text[line..end],
                        text[..at].get(end + 1..).unwrap_or_default(),
                    )?;
                    line = at + 1;
                }
                b'\r' => return Ok(&text[line..]),
                _ => key_end = key_end.or(Some(at)),
            }
        }
    }
    Ok(&text[line..])
}

/// The highest bit of each byte that is `byte`. No other bit is set, as no carry leaves a byte.
fn equal(word: u64, byte: u8) -> u64 {
    let zero_if_equal = word ^ (ONES * u64::from(byte));
    !(((zero_if_equal & LOW) + LOW) | zero_if_equal | LOW)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_are_cut_up_to_a_cr_or_the_last_bytes(text in "([a-c]{0,9}[\t\n]{0,2}){0,20}\r?[a\t\n]{0,20}") {
            let mut got = Vec::new();
            let mut keep = |key: &[u8], value: &[u8]| {
                got.push((key.to_vec(), value.to_vec()));
                Ok::<_, Infallible>(())
            };
            let rest = cut(text.as_bytes(), b'\t', &mut keep).unwrap();
            let done = &text[..text.len() - rest.len()];
            prop_assert!(!done.contains('\r') && (done.is_empty() || done.ends_with('\n')));
            prop_assert!(rest.contains(&b'\r') || rest.iter().rev().skip(7).all(|byte| *byte != b'\n'));
            let want: Vec<_> = done
                .lines()
                .map(|line| line.split_once('\t').unwrap_or((line, "")))
                .map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect();
            prop_assert_eq!(got, want);
        }

        #[test]
        fn a_byte_is_found_wherever_it_is(word: u64, byte: u8) {
            let want = word.to_le_bytes().map(|other| if other == byte { 0x80 } else { 0 });
            prop_assert_eq!(equal(word, byte).to_le_bytes(), want);
            prop_assert_eq!(equal(ONES * u64::from(byte), byte), ONES * 0x80);
        }
    }
}

//! Counts as people read them: `184 312 406 records`, `1 task`, `2 tasks`.

/// Digits in groups of three.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun, with a plural `s` where one is due.
pub(crate) fn counted(count: impl Into<u64>, noun: &str) -> String {
    let count = count.into();
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_and_agree_with_their_noun() {
        for (count, want) in [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (184_312_406, "184 312 406"),
        ] {
            assert_eq!(grouped(count), want);
        }
        assert_eq!(counted(1_u32, "task"), "1 task");
        assert_eq!(counted(2_u32, "task"), "2 tasks");
    }
}

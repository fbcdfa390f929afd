//! Decimal numbers, faster than through the formatting of the standard library.

/// Appends `number` in decimal digits.
pub(super) fn append(number: u64, out: &mut Vec<u8>) {
    append_padded::<1>(number, b'0', out);
}

/// Appends `number` in `WIDTH` digits or more, with `pad` in place of leading zeros.
pub(super) fn append_padded<const WIDTH: usize>(mut number: u64, pad: u8, out: &mut Vec<u8>) {
    /// Digits of the largest number.
    const MAX: usize = 20;
    let mut digits = [pad; MAX];
    let mut first = MAX;
    loop {
        first -= 1;
        digits[first] = b"0123456789"[(number % 10) as usize];
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first.min(MAX - WIDTH)..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_usual() {
        for number in [0, 7, 10, 99, 100, 12_345, u64::MAX] {
            let mut out = Vec::new();
            append(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
        let mut out = Vec::new();
        append_padded::<2>(5, b'0', &mut out);
        append_padded::<4>(42, b' ', &mut out);
        append_padded::<1>(42, b' ', &mut out);
        assert_eq!(out, b"05  4242");
    }
}

//! Numbers as Java prints them.

/// `Double.toString`: the shortest digits that read back as the same number; with an exponent from 10^7 on and below 10^-3.
pub(crate) fn double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    pointed(&format!("{value:e}"), value.abs())
}

/// `Float.toString`, which has fewer digits.
pub(crate) fn float(value: f32) -> String {
    match value.is_finite() {
        true => pointed(&format!("{value:e}"), f64::from(value.abs())),
        false => double(f64::from(value)),
    }
}

/// From `-1.2345e-5`, Rust's shortest digits.
fn pointed(scientific: &str, size: f64) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(|char| *char != '.').collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        return format!("{sign}{}E{exponent}", with_point(&digits, 1));
    }
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{digits}");
    }
    format!(
        "{sign}{}",
        with_point(&digits, exponent.unsigned_abs() as usize + 1)
    )
}

/// With a point after `whole` digits, and a digit after that.
fn with_point(digits: &str, whole: usize) -> String {
    match digits.len() > whole {
        true => format!("{}.{}", &digits[..whole], &digits[whole..]),
        false => format!("{digits}{}.0", "0".repeat(whole - digits.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_look_as_in_java() {
        let known = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (100.0, "100.0"),
            (1e-4, "1.0E-4"),
            (0.001, "0.001"),
            (-0.012_5, "-0.0125"),
            (12_345_678.0, "1.2345678E7"),
            (9_999_999.5, "9999999.5"),
            (1e7, "1.0E7"),
            (1e10, "1.0E10"),
            (123.456, "123.456"),
            (1.5e300, "1.5E300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, want) in known {
            assert_eq!(double(value), want);
        }
        assert_eq!(float(0.1), "0.1");
        assert_eq!(float(0.001), "0.001");
        assert_eq!(float(-1e7), "-1.0E7");
        assert_eq!(float(f32::INFINITY), "Infinity");
    }
}

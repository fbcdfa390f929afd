//! Times as people type and read them.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write a number and a unit, such as 500ms, 10s, 2m or 1h")]
pub(crate) struct DurationError(String);

/// Parses `500ms`, `10s`, `1.5m`, `2h`; a bare number counts seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError(text.to_owned());
    let trimmed = text.trim();
    let unit_at = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(unit_at);
    let scale = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(error()),
    };
    let number: f64 = number.parse().map_err(|_| error())?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| error())
}

/// Prints with three significant digits: `4.31 s`, `85.0 ms`, `420 us`; from 100 s on `2:05 min`, `1:02:05 h`.
pub(crate) fn show(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let whole = time.as_secs();
    match seconds {
        _ if whole >= 3600 => format!(
            "{}:{:02}:{:02} h",
            whole / 3600,
            whole / 60 % 60,
            whole % 60
        ),
        _ if whole >= 100 => format!("{}:{:02} min", whole / 60, whole % 60),
        s if s >= 0.9995 => format!("{} s", digits(s)),
        s if s >= 0.000_999_5 => format!("{} ms", digits(s * 1e3)),
        s => format!("{:.0} us", s * 1e6),
    }
}

/// Prints as a clock does: `0:02`, `12:40`, `1:02:05`.
pub(crate) fn clock(time: Duration) -> String {
    let whole = time.as_secs();
    match whole / 3600 {
        0 => format!("{}:{:02}", whole / 60, whole % 60),
        hours => format!("{hours}:{:02}:{:02}", whole / 60 % 60, whole % 60),
    }
}

fn digits(value: f64) -> String {
    let places = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_as_people_write_them() {
        for (text, want_ms) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("10", 10_000),
            ("1.5 m", 90_000),
            ("2h", 7_200_000),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(want_ms)), "{text}");
        }
        for text in ["", "s", "-1s", "10x", "1e400h", "1.2.3s", "inf"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_print_with_three_digits() {
        for (micros, want) in [
            (0, "0 us"),
            (420, "420 us"),
            (999, "999 us"),
            (1_000, "1.00 ms"),
            (85_000, "85.0 ms"),
            (999_400, "999 ms"),
            (999_900, "1.00 s"),
            (4_310_000, "4.31 s"),
            (99_900_000, "99.9 s"),
            (125_000_000, "2:05 min"),
            (3_725_000_000, "1:02:05 h"),
        ] {
            assert_eq!(show(Duration::from_micros(micros)), want);
        }
        assert_eq!(clock(Duration::from_secs(62)), "1:02");
        assert_eq!(clock(Duration::from_secs(3_662)), "1:01:02");
    }
}

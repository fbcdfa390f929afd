//! Amounts of bytes, as people type and read them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes. Prints in IEC units with three significant digits (`64.0 MiB`); parses `64MiB`,
/// `64M`, `1.5G`, `1e6`, `512`. `K M G T` and `KiB ...` are powers of 1024, `KB ...` of 1000.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// `n` times 1024 bytes.
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    /// `n` times 1024² bytes.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// `n` times 1024³ bytes.
    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; saturates where an address is narrower than 64 bits.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ByteSizeError {
    /// The text before the unit is no number that is zero or more.
    #[error("`{0}` is not a size: write a number and a unit, such as 64MiB, 1.5G or 500KB")]
    Number(String),
    /// The unit is unknown.
    #[error(
        "`{unit}` in `{text}` is not a unit of size: use B, K, M, G, T (powers of 1024), KiB ... or KB ... (powers of 1000)"
    )]
    Unit {
        /// What was typed as the unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// More than 2^64 bytes.
    #[error("`{0}` is more than 16 EiB")]
    TooLarge(String),
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        let split = number_end(trimmed);
        let (number, unit) = trimmed.split_at(split);
        let unit = unit.trim();
        let scale = unit_scale(unit).ok_or_else(|| ByteSizeError::Unit {
            unit: unit.to_owned(),
            text: text.to_owned(),
        })?;
        if let Ok(whole) = number.parse::<u64>() {
            let bytes = whole.checked_mul(scale);
            return bytes
                .map(Self)
                .ok_or_else(|| ByteSizeError::TooLarge(text.to_owned()));
        }
        let value: f64 = number
            .parse()
            .map_err(|_| ByteSizeError::Number(text.to_owned()))?;
        if !value.is_finite() || value < 0.0 {
            return Err(ByteSizeError::Number(text.to_owned()));
        }
        #[expect(clippy::cast_precision_loss, reason = "scales are exact in f64")]
        let bytes = value * scale as f64;
        if bytes >= 18_446_744_073_709_551_616.0 {
            return Err(ByteSizeError::TooLarge(text.to_owned()));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be in range just above; a fraction of a byte is dropped"
        )]
        Ok(Self(bytes as u64))
    }
}

/// Where the number ends and the unit begins; an exponent (`1e6`) belongs to the number.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 0;
    while let Some(&byte) = bytes.get(end) {
        let exponent =
            matches!(byte, b'e' | b'E') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+') || exponent {
            end += 1;
        } else {
            break;
        }
    }
    end
}

fn unit_scale(unit: &str) -> Option<u64> {
    let lower = unit.to_ascii_lowercase();
    let power = match lower.trim_end_matches('b').trim_end_matches('i') {
        "" if matches!(lower.as_str(), "" | "b") => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    let decimal = lower.len() == 2 && lower.ends_with('b');
    match (power, lower.as_str()) {
        (0, _) => Some(1),
        (_, _) if decimal => Some(1000_u64.pow(power)),
        (_, text) if text.len() == 1 || text.ends_with("ib") || text.ends_with('i') => {
            Some(1024_u64.pow(power))
        }
        _ => None,
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 999.5 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let digits = if value >= 99.95 {
            0
        } else if value >= 9.995 {
            1
        } else {
            2
        };
        f.pad(&format!("{value:.digits$} {}", UNITS[unit]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<u64>) {
        assert_eq!(
            text.parse::<ByteSize>().ok().map(ByteSize::bytes),
            want,
            "{text}"
        );
    }

    #[test]
    fn sizes_parse_as_people_write_them() {
        check("0", Some(0));
        check("512", Some(512));
        check("512B", Some(512));
        check("64MiB", Some(64 << 20));
        check("64 mib", Some(64 << 20));
        check("64M", Some(64 << 20));
        check("1.5G", Some(3 << 29));
        check("1e6", Some(1_000_000));
        check("500KB", Some(500_000));
        check("2TB", Some(2_000_000_000_000));
        check("16777216T", None);
        check("-1", None);
        check("", None);
        check("M", None);
        check("12X", None);
        check("12Mb", Some(12_000_000));
        check("12Mbb", None);
        check("12ib", None);
        check("nan", None);
    }

    #[test]
    fn sizes_print_with_three_digits() {
        for (bytes, want) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (64 << 20, "64.0 MiB"),
            (612 << 20, "612 MiB"),
            (1_048_575, "1.00 MiB"),
            (1 << 30, "1.00 GiB"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), want);
        }
    }
}

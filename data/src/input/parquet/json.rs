//! A row as an object of JSON.
//!
//! | column | JSON |
//! | --- | --- |
//! | integers, signed or not | the number, all digits |
//! | decimals | the number, all digits, as many after the point as the column says |
//! | floats | the shortest number that reads back as the same float; NaN and infinities are `null` |
//! | text, enums, JSON | text |
//! | other bytes, fixed or not | text, base64 |
//! | dates | text, `2026-11-23` |
//! | times of day | text, `08:30:00.123` (milliseconds), `08:30:00.123456` (microseconds) |
//! | timestamps of milliseconds or microseconds | text, `2026-11-23T08:30:00.123Z` |
//! | times and timestamps of nanoseconds | the number of nanoseconds |
//! | INT96 timestamps | as those of milliseconds |
//! | groups, maps | objects; keys of a map that are no text are put into quotes |
//! | lists | arrays |
//! | nothing there | `null` |

use std::io::Write as _;

use mapfold_terms::Date;
use parquet::data_type::Decimal;
use parquet::record::{Field, Row};

use super::Fault;

/// Appends it, without an end of line.
pub(super) fn write_row(row: &Row, out: &mut Vec<u8>) -> Result<(), Fault> {
    out.push(b'{');
    for (number, (name, field)) in row.get_column_iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        write_text(name, out);
        out.push(b':');
        write(field, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn write(field: &Field, out: &mut Vec<u8>) -> Result<(), Fault> {
    const NEVER: &str = "a vector takes all bytes";
    match field {
        Field::Null => out.extend_from_slice(b"null"),
        Field::Bool(value) => write!(out, "{value}").expect(NEVER),
        Field::Byte(value) => write!(out, "{value}").expect(NEVER),
        Field::Short(value) => write!(out, "{value}").expect(NEVER),
        Field::Int(value) => write!(out, "{value}").expect(NEVER),
        Field::Long(value) => write!(out, "{value}").expect(NEVER),
        Field::UByte(value) => write!(out, "{value}").expect(NEVER),
        Field::UShort(value) => write!(out, "{value}").expect(NEVER),
        Field::UInt(value) => write!(out, "{value}").expect(NEVER),
        Field::ULong(value) => write!(out, "{value}").expect(NEVER),
        Field::Float16(value) if value.is_finite() => {
            write!(out, "{:?}", value.to_f32()).expect(NEVER);
        }
        Field::Float(value) if value.is_finite() => write!(out, "{value:?}").expect(NEVER),
        Field::Double(value) if value.is_finite() => write!(out, "{value:?}").expect(NEVER),
        Field::Float16(_) | Field::Float(_) | Field::Double(_) => out.extend_from_slice(b"null"),
        Field::Decimal(value) => write_decimal(value, out)?,
        Field::Str(text) => write_text(text, out),
        Field::Bytes(bytes) => write_base64(bytes.data(), out),
        Field::Date(days) => {
            let date = Date::of(i64::from(*days));
            write!(out, "\"{date}\"").expect(NEVER);
        }
        Field::TimeMillis(ms) => {
            let time = Time::of(i64::from(*ms), 3);
            write!(out, "\"{time}\"").expect(NEVER);
        }
        Field::TimeMicros(us) => {
            let time = Time::of(*us, 6);
            write!(out, "\"{time}\"").expect(NEVER);
        }
        Field::TimestampMillis(ms) => write_timestamp(*ms, 3, out),
        Field::TimestampMicros(us) => write_timestamp(*us, 6, out),
        Field::Group(row) => write_row(row, out)?,
        Field::ListInternal(list) => {
            out.push(b'[');
            for (number, element) in list.elements().iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                write(element, out)?;
            }
            out.push(b']');
        }
        Field::MapInternal(map) => {
            out.push(b'{');
            for (number, (key, value)) in map.entries().iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                write_key(key, out)?;
                out.push(b':');
                write(value, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// A key of a map, which JSON wants to be text.
fn write_key(key: &Field, out: &mut Vec<u8>) -> Result<(), Fault> {
    let start = out.len();
    write(key, out)?;
    if out[start] != b'"' {
        let written = out.split_off(start);
        write_text(&String::from_utf8_lossy(&written), out);
    }
    Ok(())
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a vector takes all bytes, and text always serializes");
}

/// Exactly: the digits of the number, and the point where the column has it.
fn write_decimal(decimal: &Decimal, out: &mut Vec<u8>) -> Result<(), Fault> {
    let bytes = decimal.data();
    if bytes.len() > size_of::<i128>() {
        return Err(Fault::LongDecimal { bytes: bytes.len() });
    }
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let start = if negative { -1 } else { 0 };
    let number = bytes.iter().fold(start, |number: i128, byte| {
        (number << 8) | i128::from(*byte)
    });
    let scale = usize::try_from(decimal.scale()).unwrap_or(0);
    let digits = format!("{:0>1$}", number.unsigned_abs(), scale + 1);
    let (whole, rest) = digits.split_at(digits.len() - scale);
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(rest.as_bytes());
    }
    Ok(())
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push(b'"');
    for three in bytes.chunks(3) {
        let at = |place| u32::from(three.get(place).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            out.push(match place <= three.len() {
                true => DIGITS[(bits >> (18 - 6 * place) & 63) as usize],
                false => b'=',
            });
        }
    }
    out.push(b'"');
}

/// `10^digits` units a second.
fn write_timestamp(units: i64, digits: u32, out: &mut Vec<u8>) {
    let day = 86_400 * 10_i64.pow(digits);
    let date = Date::of(units.div_euclid(day));
    let time = Time::of(units.rem_euclid(day), digits);
    write!(out, "\"{date}T{time}Z\"").expect("a vector takes all bytes");
}

/// A time of day.
struct Time {
    seconds: i64,
    fraction: i64,
    /// Of the fraction.
    digits: u32,
}

impl Time {
    /// Of units since midnight, `10^digits` a second.
    fn of(units: i64, digits: u32) -> Self {
        let second = 10_i64.pow(digits);
        Self {
            seconds: units.div_euclid(second),
            fraction: units.rem_euclid(second),
            digits,
        }
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (hours, minutes, seconds) = (
            self.seconds / 3600,
            self.seconds / 60 % 60,
            self.seconds % 60,
        );
        let width = self.digits as usize;
        write!(
            f,
            "{hours:02}:{minutes:02}:{seconds:02}.{:0width$}",
            self.fraction
        )
    }
}

#[cfg(test)]
mod tests {
    use parquet::data_type::{ByteArray, Decimal};
    use parquet::record::Field;

    use super::*;

    #[track_caller]
    fn check(field: Field, want: &str) {
        let mut out = Vec::new();
        write(&field, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn numbers_keep_every_digit() {
        check(Field::Long(i64::MIN), "-9223372036854775808");
        check(Field::ULong(u64::MAX), "18446744073709551615");
        check(Field::Double(0.1), "0.1");
        check(Field::Double(1.0), "1.0");
        check(Field::Double(-0.0), "-0.0");
        check(Field::Double(1e300), "1e300");
        check(Field::Float(0.1), "0.1");
        check(Field::Double(f64::NAN), "null");
        check(Field::Double(f64::NEG_INFINITY), "null");
        check(Field::Decimal(Decimal::from_i32(-5, 9, 2)), "-0.05");
        check(Field::Decimal(Decimal::from_i64(1200, 9, 2)), "12.00");
        check(Field::Decimal(Decimal::from_i64(7, 9, 0)), "7");
        let most = ByteArray::from((10_i128.pow(38) - 1).to_be_bytes().to_vec());
        check(
            Field::Decimal(Decimal::from_bytes(most, 38, 10)),
            "9999999999999999999999999999.9999999999",
        );
        let short = ByteArray::from(vec![0xff, 0x38]);
        check(Field::Decimal(Decimal::from_bytes(short, 4, 1)), "-20.0");
    }

    #[test]
    fn times_are_those_of_iso_8601() {
        check(Field::Date(0), "\"1970-01-01\"");
        check(Field::Date(20_780), "\"2026-11-23\"");
        check(Field::Date(-1), "\"1969-12-31\"");
        check(Field::Date(11_016), "\"2000-02-29\"");
        check(Field::Date(-719_529), "\"-0001-12-31\"");
        check(Field::TimeMillis(86_399_999), "\"23:59:59.999\"");
        check(Field::TimeMicros(1), "\"00:00:00.000001\"");
        check(Field::TimestampMillis(-1), "\"1969-12-31T23:59:59.999Z\"");
        check(
            Field::TimestampMicros(1_795_422_600_123_456),
            "\"2026-11-23T08:30:00.123456Z\"",
        );
    }

    #[test]
    fn text_is_escaped_and_bytes_are_base64() {
        check(
            Field::Str("a\n\"b\"\u{2028}".to_owned()),
            "\"a\\n\\\"b\\\"\u{2028}\"",
        );
        for (bytes, want) in [
            (&b""[..], "\"\""),
            (b"f", "\"Zg==\""),
            (b"fo", "\"Zm8=\""),
            (b"foo", "\"Zm9v\""),
            (b"\xff\xfe\xfd\xfc", "\"//79/A==\""),
        ] {
            check(Field::Bytes(ByteArray::from(bytes.to_vec())), want);
        }
    }
}

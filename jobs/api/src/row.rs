//! Rows: what `reduce` leaves in a part file, `key TAB value` and a line feed, or records as they came.

use std::any::Any;

use mapfold_terms::{Counters, Format};

use crate::Attempt;
use crate::output::Output;
use crate::state::State;

/// Where `reduce` writes rows, and the `map` of a job that has no `reduce` ([`map_only!`](crate::map_only)).
pub struct Rows<'a> {
    output: &'a mut Output,
    counters: &'a mut Counters,
    state: &'a mut State,
    format: Format,
    attempt: &'a Attempt<'a>,
}

/// Where rows of a named output are written; see [`Rows::to`].
pub struct NamedRows<'a> {
    output: &'a mut Output,
    name: &'a str,
    format: Format,
}

impl<'a> Rows<'a> {
    /// Whoever makes it looks at the output's error.
    pub(crate) fn new(
        output: &'a mut Output,
        counters: &'a mut Counters,
        state: &'a mut State,
        format: Format,
        attempt: &'a Attempt<'a>,
    ) -> Self {
        Self {
            output,
            counters,
            state,
            format,
            attempt,
        }
    }

    /// Writes one row: the key's columns, a TAB, the value's columns. Bytes go out as they are; a line
    /// feed inside a field is the job's affair.
    #[inline]
    pub fn row(&mut self, key: impl Field, value: impl Field) {
        self.output.row(|out| row(key, value, out));
    }

    /// Writes one row that is `row` as it stands: what ends it and what is between its columns is part of it.
    #[inline]
    pub fn raw(&mut self, row: impl Field) {
        self.output.row(|out| row.write(out));
    }

    /// Writes one record as the input's format has it: a line gets its line feed, all others go out as they are. So the output
    /// can be read again as the input was.
    #[inline]
    pub fn record(&mut self, record: impl Field) {
        let format = self.format;
        self.output.row(|out| write_record(record, format, out));
    }

    /// Rows of an output beside the part, such as `errors`: they are in files of their own, `errors-00000` beside `part-00000`, which are committed
    /// together with the part. A name has up to 64 ASCII letters, digits, `-` and `_`; one task may use 32 of them.
    /// A part for which no such row was written has no such file.
    ///
    /// ```
    /// # use mapfold_job::{Emitter, Job, JobError, NoParams, Record, Rows, Trial, Values};
    /// /// Splits words into common and rare ones.
    /// struct Split;
    ///
    /// impl Job for Split {
    /// #   type Params = NoParams;
    ///     type Key = String;
    ///     type Value = u64;
    /// #   const NAME: &'static str = "split";
    /// #   const SUMMARY: &'static str = "splits words into common and rare ones";
    /// #   fn new(_: NoParams) -> Result<Self, JobError> {
    /// #       Ok(Self)
    /// #   }
    /// #   fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
    /// #       for word in str::from_utf8(record.bytes)?.split_whitespace() {
    /// #           out.emit(word, 1);
    /// #       }
    /// #       Ok(())
    /// #   }
    ///     // map as in any word count
    ///
    ///     fn reduce(
    ///         &self,
    ///         word: &str,
    ///         counts: &mut Values<'_, Self>,
    ///         rows: &mut Rows<'_>,
    ///     ) -> Result<(), JobError> {
    ///         match counts.owned().sum::<u64>() {
    ///             1 => rows.to("rare").row(word, 1),
    ///             count => rows.row(word, count),
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// let tried = Trial::<Split>::of("a rose is a rose\n").check().unwrap();
    /// assert_eq!(tried.rows(), ["a\t2", "rose\t2"]);
    /// assert_eq!(tried.rows_of("rare"), ["is\t1"]);
    /// ```
    pub fn to<'n>(&'n mut self, name: &'n str) -> NamedRows<'n> {
        NamedRows {
            output: self.output,
            name,
            format: self.format,
        }
    }

    /// What the job keeps from group to group of this attempt: one value of each type, made when it is first asked for. See
    /// [`Job::finish_reduce`](crate::Job::finish_reduce).
    #[inline]
    pub fn state<T: Any + Default>(&mut self) -> &mut T {
        self.state_or_else(T::default)
    }

    /// The same, made by `make`.
    #[inline]
    pub fn state_or_else<T: Any>(&mut self, make: impl FnOnce() -> T) -> &mut T {
        self.state.get(make)
    }

    /// Takes out what the job has kept, so that it can be written; the default, if it never asked for it.
    pub fn take_state<T: Any + Default>(&mut self) -> T {
        self.state.take().unwrap_or_default()
    }

    /// Whether the attempt is to stop; see [`Emitter::cancelled`](crate::Emitter::cancelled).
    pub fn cancelled(&self) -> bool {
        self.attempt.cancelled()
    }

    /// Says in a few words how it is going; see [`Attempt::status`].
    pub fn status(&self, text: &str) {
        self.attempt.status(text);
    }

    /// What there is to know of the attempt; see [`Emitter::attempt`](crate::Emitter::attempt).
    pub fn attempt(&self) -> &'a Attempt<'a> {
        self.attempt
    }

    /// Adds `n` to the job's counter `name`.
    pub fn count(&mut self, name: &str, n: i64) {
        self.counters.add(name, n);
    }

    /// Adds `n` to the counter `name` of a group of counters.
    pub fn count_in(&mut self, group: &str, name: &str, n: i64) {
        self.counters.add_in(group, name, n);
    }
}

impl NamedRows<'_> {
    /// As [`Rows::row`].
    pub fn row(&mut self, key: impl Field, value: impl Field) {
        self.output.row_to(self.name, |out| row(key, value, out));
    }

    /// As [`Rows::record`].
    pub fn record(&mut self, record: impl Field) {
        let format = self.format;
        self.output
            .row_to(self.name, |out| write_record(record, format, out));
    }
}

#[inline]
fn row(key: impl Field, value: impl Field, out: &mut Vec<u8>) {
    key.write(out);
    out.push(b'\t');
    value.write(out);
    out.push(b'\n');
}

#[inline]
fn write_record(record: impl Field, format: Format, out: &mut Vec<u8>) {
    record.write(out);
    if matches!(
        format,
        Format::Lines | Format::NLine(_) | Format::Csv(_) | Format::Parquet
    ) {
        out.push(b'\n');
    }
}

/// What can stand in a row.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a row",
    label = "not a field",
    note = "fields are text, bytes, `bool`, `f64`, whole numbers of up to 64 bits (`usize` as `u64`), and tuples of two to four of these, a column each",
    note = "anything else as text: `value.to_string()`, `format!(...)`"
)]
pub trait Field {
    /// Appends what a person reads.
    fn write(&self, out: &mut Vec<u8>);
}

impl<T: Field + ?Sized> Field for &T {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

impl Field for [u8] {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Field for Vec<u8> {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Field for str {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Field for String {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Field for u64 {
    /// Digits from the last to the first; `write!` costs several times as much, once for each row.
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = *self;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[at..]);
    }
}

impl Field for i64 {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        if *self < 0 {
            out.push(b'-');
        }
        self.unsigned_abs().write(out);
    }
}

macro_rules! widened {
    ($($small:ty => $wide:ty)+) => {$(
        impl Field for $small {
            #[inline]
            fn write(&self, out: &mut Vec<u8>) {
                <$wide>::from(*self).write(out);
            }
        }
    )+};
}

widened!(u8 => u64 u16 => u64 u32 => u64 i8 => i64 i16 => i64 i32 => i64);

impl Field for f64 {
    /// The shortest text that reads back as the same number.
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_string().as_bytes());
    }
}

impl Field for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

macro_rules! columns {
    ($first:ident $($rest:ident)*) => {
        impl<$first: Field, $($rest: Field),*> Field for ($first, $($rest,)*) {
            /// Columns with a TAB between them.
            #[inline]
            fn write(&self, out: &mut Vec<u8>) {
                #[expect(non_snake_case, reason = "the type parameters name the members")]
                let ($first, $($rest,)*) = self;
                $first.write(out);
                $(
                    out.push(b'\t');
                    $rest.write(out);
                )*
            }
        }
    };
}

columns!(A);
columns!(A B);
columns!(A B C);
columns!(A B C D);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(field: impl Field, want: &str) {
        let mut out = Vec::new();
        field.write(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    #[test]
    fn fields_read_as_people_expect() {
        check("whale", "whale");
        check(&b"\xffx"[..], "\u{fffd}x");
        check(0_u64, "0");
        check(u64::MAX, "18446744073709551615");
        check(i64::MIN, "-9223372036854775808");
        check(-7_i8, "-7");
        check(0.1, "0.1");
        check(("a.txt", 12_u32, true), "a.txt\t12\ttrue");
    }
}

//! `sessionize`: events of each visitor, cut into sessions where nothing came for long.

use mapfold_job::{Emitter, Job, JobError, Record, Rows, Values, params};

use crate::column::{self, Delimiter};

params! {
    /// Parameters of `sessionize`.
    pub struct SessionizeParams {
        /// The column that tells whose event a record is, counted from 1.
        pub key: u32 = 1,
        /// The column with the time of the event, a whole number of whatever unit.
        pub time: u32 = 2,
        /// A session ends where the next event comes more than so much later, in the unit of the times.
        pub gap: u64 = 1800,
        /// What stands between columns: one ASCII character, or `tab`.
        pub delimiter: Delimiter = Delimiter::TAB,
    }
}

/// Finds sessions.
pub struct Sessionize {
    /// Columns, counted from 0.
    key: usize,
    time: usize,
    gap: u64,
    delimiter: Delimiter,
}

/// The counter of records that are left out because their time is no whole number.
const NO_TIME: &str = "no-time";

impl Job for Sessionize {
    type Params = SessionizeParams;
    /// Who, and when: so events come in order of time.
    type Key = (Vec<u8>, i64);
    /// When.
    type Value = i64;

    const NAME: &'static str = "sessionize";
    const SUMMARY: &'static str = "cut the events of each visitor into sessions";
    const HELP: &'static str = "A row is whose events these are (`-p key=1`, a column), a TAB, the times of the first and the last event of a session, and \
        their number. Times (`-p time=2`, a column) are whole numbers, such as seconds since 1970; a session goes on while the next event comes at \
        most `-p gap=1800` later. Events may come in any order, from any file.\n\n\
        Rows are sorted by key and time within a part file, and all sessions of a key are in one. Records without a time are counted by the counter \
        `no-time`.";
    const GROUP_BY_FIRST: bool = true;

    fn new(params: SessionizeParams) -> Result<Self, JobError> {
        let column = |number: u32| {
            let before = (number as usize).checked_sub(1);
            before.ok_or("columns are counted from 1")
        };
        Ok(Self {
            key: column(params.key)?,
            time: column(params.time)?,
            gap: params.gap,
            delimiter: params.delimiter,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let column = |before| {
            let (begin, end) = column::range(record.bytes, before, self.delimiter.0);
            &record.bytes[begin..end]
        };
        let time = str::from_utf8(column(self.time)).ok();
        match time.and_then(|time| time.trim_ascii().parse().ok()) {
            Some(time) => out.emit((column(self.key), time), time),
            None => out.count(NO_TIME, 1),
        }
        Ok(())
    }

    fn reduce(
        &self,
        (key, first): (&[u8], i64),
        times: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let mut session = Session {
            first,
            last: first,
            events: 0,
        };
        while let Some(time) = times.next() {
            if time.abs_diff(session.last) > self.gap {
                rows.row(key, session.columns());
                session = Session {
                    first: time,
                    last: time,
                    events: 0,
                };
            }
            session.last = time;
            session.events += 1;
        }
        rows.row(key, session.columns());
        Ok(())
    }
}

/// Events that follow each other closely.
struct Session {
    first: i64,
    last: i64,
    events: u64,
}

impl Session {
    fn columns(&self) -> (i64, i64, u64) {
        (self.first, self.last, self.events)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mapfold_job::Trial;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sessions_end_where_nothing_came_for_long() {
        let events = "ann\t100\tx\nbob\t5\nann\t40\nann\t111\nann\t-20\nbob\t5\nann\nann\tlate\n";
        let trial = Trial::<Sessionize>::of(events).param("gap", 60);
        let tried = trial.check().unwrap();
        assert_eq!(tried.rows(), ["ann\t-20\t111\t4", "bob\t5\t5\t2"]);
        assert_eq!(tried.counter(NO_TIME), 2);
        let tried = trial.param("gap", 59).run().unwrap();
        assert_eq!(
            tried.rows(),
            [
                "ann\t-20\t-20\t1",
                "ann\t40\t40\t1",
                "ann\t100\t111\t2",
                "bob\t5\t5\t2"
            ]
        );
    }

    #[test]
    fn columns_and_delimiter_can_be_chosen() {
        let extremes = format!("{} x me\n{} x me\n", i64::MIN, i64::MAX);
        let trial = Trial::<Sessionize>::of(extremes)
            .param("key", 3)
            .param("time", 1)
            .param("delimiter", " ");
        assert_eq!(trial.check().unwrap().rows().len(), 2);
        let error = trial.param("key", 0).run().map(drop).unwrap_err();
        assert!(format!("{error:?}").contains("columns are counted from 1"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn sessions_are_those_of_a_plain_program(
            events in proptest::collection::vec((0..3_u8, 0..500_i64), 0..60), gap in 0..100_u64
        ) {
            let mut times: BTreeMap<u8, Vec<i64>> = BTreeMap::new();
            for (who, time) in &events {
                times.entry(*who).or_default().push(*time);
            }
            let mut want = Vec::new();
            for (who, times) in &mut times {
                times.sort_unstable();
                let cut = |one: &i64, next: &i64| next.abs_diff(*one) <= gap;
                for session in times.chunk_by(cut) {
                    let last = session[session.len() - 1];
                    want.push(format!("{who}\t{}\t{last}\t{}", session[0], session.len()));
                }
            }
            let lines: String = events.iter().map(|(who, time)| format!("{who}\t{time}\n")).collect();
            let tried = Trial::<Sessionize>::of(lines).param("gap", gap).split_size(50).run().unwrap();
            prop_assert_eq!(tried.rows(), want);
        }
    }
}

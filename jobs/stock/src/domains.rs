//! `domains`: how often each host stands in URLs.

mod host;

use mapfold_job::{Block, Emitter, Fold, Job, JobError, Record, Rows, Values, params};

use crate::column::{Columns, Delimiter};
use crate::passed_over::is_passed_over;
use host::{Host, hosts_in, of_url};

params! {
    /// Parameters of `domains`.
    pub struct DomainsParams {
        /// The column that is a URL, counted from 1; 0 looks for URLs anywhere in a record.
        pub column: u32 = 0,
        /// What stands between columns: one ASCII character, or `tab`.
        pub delimiter: Delimiter = Delimiter::TAB,
        /// Count hosts together whose last so many labels are the same: 2 makes example.com of www.example.com; 0 is the whole host.
        pub labels: u32 = 0,
    }
}

/// The counter of records whose column is no URL with a host.
const NO_HOST: &str = "no-host";

/// Counts hosts.
pub struct Domains {
    /// None is anywhere.
    column: Option<Columns<1>>,
    labels: usize,
}

impl Job for Domains {
    type Params = DomainsParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = "domains";
    const SUMMARY: &'static str = "count how often each host stands in URLs";
    const HELP: &'static str = "A row is a host, a TAB, and the number of URLs with it. URLs are found anywhere in a record by `://` after a letter or digit, or are a column \
        (`-p column=2`), which may then leave out what is before `//`. A host is what follows, up to the port or path: letters, digits, and `-` `.` `_`, or an IPv6 \
        address in brackets. User names, dots at the ends and ports are left out, and letters are made lower case; names in \
        Unicode and in Punycode (xn--) are not the same.\n\n\
        With `-p labels=2` hosts that end in the same two labels are one; addresses stay whole. That is a registered domain only where registrars sell the level \
        below the last: www.example.co.uk becomes co.uk, which `-p labels=3` would not. No list of public suffixes is consulted.\n\n\
        A column that is no URL with a host is counted by the counter `no-host`; a record without the column is an error, which `--skip-bad N` puts aside. \
        Empty records are left out and counted by the counter `empty-records`.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(params: DomainsParams) -> Result<Self, JobError> {
        Ok(Self {
            column: match params.column {
                0 => None,
                column => Some(Columns::new([column], params.delimiter)?),
            },
            labels: params.labels as usize,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let Some(columns) = &self.column else {
            self.count_all(record.bytes, out);
            return Ok(());
        };
        if is_passed_over(record, false, out) {
            return Ok(());
        }
        let [url] = columns.of(record.bytes)?;
        match of_url(&url) {
            Some(host) => self.count(host, &mut Vec::new(), out),
            None => out.count(NO_HOST, 1),
        }
        Ok(())
    }

    /// No URL crosses the end of a line, so a block of lines is searched as one text.
    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        if self.column.is_none() && block.line_based() {
            self.count_all(block.bytes(), out);
            return Ok(());
        }
        block.records().try_for_each(|record| {
            out.begin_record(&record);
            self.map(&record, out)
        })
    }

    fn reduce(
        &self,
        host: &[u8],
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.row(host, counts.owned().sum::<u64>());
        Ok(())
    }
}

impl Domains {
    fn count_all(&self, text: &[u8], out: &mut Emitter<'_, Self>) {
        let mut lower = Vec::new();
        hosts_in(text).for_each(|host| self.count(host, &mut lower, out));
    }

    #[inline]
    fn count(&self, host: Host<'_>, lower: &mut Vec<u8>, out: &mut Emitter<'_, Self>) {
        out.emit(host.last_labels(self.labels).lower_case(lower), 1);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mapfold_job::Trial;
    use proptest::prelude::*;

    use super::*;
    use crate::passed_over::EMPTY;

    #[test]
    fn hosts_are_counted_wherever_they_stand() {
        let text = "see http://Example.com/a and (https://www.example.com).\nftp://example.com:21\n\nnone: //x.org http:///y\n";
        let tried = Trial::<Domains>::of(text).check().unwrap();
        assert_eq!(tried.rows(), ["example.com\t2", "www.example.com\t1"]);
        let tried = Trial::<Domains>::of(text)
            .param("labels", 2)
            .check()
            .unwrap();
        assert_eq!(tried.rows(), ["example.com\t3"]);
    }

    #[test]
    fn a_column_is_a_url_or_none() {
        let text = "1\thttp://a.org/?u=http://b.org\tx\n2\t//A.org:80\n3\t/path\n\n4\t\n";
        let trial = Trial::<Domains>::of(text).param("column", 2);
        let tried = trial.check().unwrap();
        assert_eq!(tried.rows(), ["a.org\t2"]);
        assert_eq!([tried.counter(NO_HOST), tried.counter(EMPTY)], [2, 1]);
        let error = Trial::<Domains>::of("1\n")
            .param("column", 2)
            .run()
            .map(drop);
        assert!(format!("{:?}", error.unwrap_err()).contains("there is no column 2"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn counts_are_those_of_a_plain_program(
            urls in proptest::collection::vec(("[a-zA-Z0-9]{1,3}(\\.[a-c]{1,2}){0,3}", "[ \n]", "(:[0-9]{2})?(/[a-z]*)?"), 0..40)
        ) {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            let mut text = String::new();
            for (host, blank, rest) in &urls {
                *counts.entry(host.to_lowercase()).or_default() += 1;
                text += &format!("{blank}https://me@{host}{rest}{blank}");
            }
            let want: Vec<String> = counts.iter().map(|(host, count)| format!("{host}\t{count}")).collect();
            prop_assert_eq!(Trial::<Domains>::of(text).split_size(60).run().unwrap().rows(), want);
        }
    }
}

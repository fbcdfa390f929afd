//! `logs`: what a web server's access log tells.

mod line;

use mapfold_job::{
    Block, Coded, Emitter, Fold, Job, JobError, ParamValue, Record, Rows, Values, params,
};

use crate::passed_over::is_passed_over;
use line::Line;

params! {
    /// Parameters of `logs`.
    pub struct LogsParams {
        /// What to count by, with commas between: `status`, `path`, `method`, `host`, `user`, `day`, `hour`, `minute`, `referer`, `agent`.
        pub by: Facets = Facets(vec![Facet::Status]),
        /// Keep the query of a path.
        pub query: bool = false,
    }
}

/// What to count by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facets(Vec<Facet>);

/// One thing that a request can be counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Facet {
    Host,
    User,
    Day,
    Hour,
    Minute,
    Method,
    Path,
    Status,
    Referer,
    Agent,
}

const FACETS: [(&str, Facet); 10] = [
    ("host", Facet::Host),
    ("user", Facet::User),
    ("day", Facet::Day),
    ("hour", Facet::Hour),
    ("minute", Facet::Minute),
    ("method", Facet::Method),
    ("path", Facet::Path),
    ("status", Facet::Status),
    ("referer", Facet::Referer),
    ("agent", Facet::Agent),
];

impl ParamValue for Facets {
    const KIND: &'static str = "LIST";
    const EXPECTED: &'static str =
        "a list of host, user, day, hour, minute, method, path, status, referer and agent";

    fn parse(typed: &str) -> Option<Self> {
        let facet = |typed: &str| {
            let facet = FACETS.iter().find(|(name, _)| *name == typed)?;
            Some(facet.1)
        };
        typed.split(',').map(facet).collect::<Option<_>>().map(Self)
    }

    fn show(&self) -> String {
        let names = self.0.iter().filter_map(|facet| {
            let named = FACETS.iter().find(|(_, named)| named == facet)?;
            Some(named.0)
        });
        names.collect::<Vec<_>>().join(",")
    }
}

/// Counts requests.
pub struct Logs {
    by: Facets,
    query: bool,
}

impl Job for Logs {
    type Params = LogsParams;
    type Key = Vec<u8>;
    /// Requests, and bytes that were sent.
    type Value = Coded<(u64, u64)>;

    const NAME: &'static str = "logs";
    const SUMMARY: &'static str = "count requests in a web server's access log, and bytes sent";
    const HELP: &'static str = "A row is what requests are counted by, a TAB, the number of requests, a TAB, and the bytes that were sent to them. \
        `-p by=status` may name several, such as `hour,status`, which then stand with TABs between them: `host` (the client), `user`, `day` (2026-01-31), \
        `hour` (2026-01-31T23), `minute`, `method`, `path` (without its query, unless `-p query=true`), `status`, `referer`, `agent`. Times \
        are those of the log, whatever its time zone.\n\n\
        Lines are in common or combined format, as Apache and nginx write them: host, identity, user, [time], \"request\", status, bytes (`-` is none), and perhaps \
        \"referer\" and \"agent\" (`-` where they are left out). A quote within quotes has a backslash before it. A request that is not of the form `GET /path \
        HTTP/1.1` has the method `-` and is itself the path.\n\n\
        A line that is not so is an error that says what it lacks; `--skip-bad N` puts it aside. Empty lines are left out and counted by the \
        counter `empty-records`.";
    const FOLD: Option<Fold<Self>> =
        Some(|_, _, (requests, bytes), (more_requests, more_bytes)| {
            *requests += more_requests;
            *bytes = bytes.saturating_add(more_bytes);
        });

    fn new(params: LogsParams) -> Result<Self, JobError> {
        Ok(Self {
            by: params.by,
            query: params.query,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        self.count(record, &mut Vec::new(), out)
    }

    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let mut key = Vec::new();
        block.records().try_for_each(|record| {
            out.begin_record(&record);
            self.count(&record, &mut key, out)
        })
    }

    fn reduce(
        &self,
        key: &[u8],
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        counts.owned().for_each(|counts| rows.row(key, counts));
        Ok(())
    }
}

impl Logs {
    #[inline]
    fn count(
        &self,
        record: &Record<'_>,
        key: &mut Vec<u8>,
        out: &mut Emitter<'_, Self>,
    ) -> Result<(), JobError> {
        if is_passed_over(record, false, out) {
            return Ok(());
        }
        let line = Line::parse(record.bytes)?;
        let counted = (1, line.bytes);
        match self.by.0[..] {
            [Facet::Host] => out.emit(line.host, counted),
            [Facet::Status] => out.emit(line.status, counted),
            [Facet::Path] => out.emit(line.path(self.query), counted),
            _ => {
                key.clear();
                for facet in &self.by.0 {
                    self.append(*facet, &line, key)?;
                    key.push(b'\t');
                }
                key.pop();
                out.emit(key, counted);
            }
        }
        Ok(())
    }

    fn append(&self, facet: Facet, line: &Line<'_>, key: &mut Vec<u8>) -> Result<(), JobError> {
        let text = match facet {
            Facet::Host => line.host,
            Facet::User => line.user,
            Facet::Day => return Ok(line.append_time("T00:00".len(), key)?),
            Facet::Hour => return Ok(line.append_time(":00".len(), key)?),
            Facet::Minute => return Ok(line.append_time(0, key)?),
            Facet::Method => line.method(),
            Facet::Path => line.path(self.query),
            Facet::Status => line.status,
            Facet::Referer => line.referer()?,
            Facet::Agent => line.agent()?,
        };
        key.extend_from_slice(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mapfold_job::Trial;
    use proptest::prelude::*;

    use super::*;
    use crate::passed_over::EMPTY;

    const LOG: &str = r#"1.2.3.4 - ann [31/Jan/2026:23:59:00 +0000] "GET /a?x=1 HTTP/1.1" 200 10 "-" "curl \"8\""
::1 - - [01/Feb/2026:00:00:59 -0800] "POST /b HTTP/1.0" 500 -

1.2.3.4 - - [01/Feb/2026:00:01:00 +0000] "-" 408 5
"#;

    #[track_caller]
    fn check(by: &str, want: &[&str]) {
        let tried = Trial::<Logs>::of(LOG).param("by", by).check().unwrap();
        assert_eq!(tried.rows(), want);
        assert_eq!(tried.counter(EMPTY), 1);
    }

    #[test]
    fn requests_are_counted_by_what_is_named() {
        check("status", &["200\t1\t10", "408\t1\t5", "500\t1\t0"]);
        check("host", &["1.2.3.4\t2\t15", "::1\t1\t0"]);
        check("user", &["-\t2\t5", "ann\t1\t10"]);
        check("day", &["2026-01-31\t1\t10", "2026-02-01\t2\t5"]);
        check("hour", &["2026-01-31T23\t1\t10", "2026-02-01T00\t2\t5"]);
        check(
            "minute",
            &[
                "2026-01-31T23:59\t1\t10",
                "2026-02-01T00:00\t1\t0",
                "2026-02-01T00:01\t1\t5",
            ],
        );
        check(
            "method,path",
            &["-\t-\t1\t5", "GET\t/a\t1\t10", "POST\t/b\t1\t0"],
        );
        check("agent", &["-\t2\t5", "curl \\\"8\\\"\t1\t10"]);
        check(
            "referer,status",
            &["-\t200\t1\t10", "-\t408\t1\t5", "-\t500\t1\t0"],
        );
        let query = Trial::<Logs>::of(LOG)
            .param("by", "path")
            .param("query", true);
        assert_eq!(
            query.run().unwrap().rows(),
            ["-\t1\t5", "/a?x=1\t1\t10", "/b\t1\t0"]
        );
    }

    #[test]
    fn lines_that_are_not_of_the_format_are_told() {
        let error = |text: String| {
            let trial = Trial::<Logs>::of(text).param("by", "hour,agent");
            format!("{:?}", trial.run().map(drop).unwrap_err())
        };
        let good = "h - - [31/Jan/2026:23:59:00 +0000] \"GET / HTTP/1.1\" 200 10 \"-\" \"-\"";
        for (from, to, want) in [
            ("h - - ", "h - ", "it has no user"),
            ("[", "", "it has no [time]"),
            ("]", "", "it has no [time]"),
            ("Jan", "Foo", "its time is not like 31/Jan/2026:23:59:00"),
            ("\"GET / HTTP/1.1\" ", "", "it has no \"request\""),
            ("HTTP/1.1\"", "HTTP/1.1", "it has no status"),
            ("200", "ok", "it has no status"),
            ("200 10", "200", "it has no bytes"),
            (" 10 ", " ten ", "it has no bytes"),
            (" \"-\" \"-\"", " x", "it has no \"referer\""),
            (" \"-\" \"-\"", " \"-\" x", "it has no \"agent\""),
        ] {
            let told = error(good.replacen(from, to, 1));
            assert!(told.contains(want), "{told}");
        }
        assert!(error("\u{fffd}\n".to_owned()).contains("it has no user"));
        let refused = Trial::<Logs>::of("")
            .param("by", "statuses")
            .run()
            .map(drop);
        assert!(format!("{:?}", refused.unwrap_err()).contains("a list of host, user"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn counts_are_those_of_a_plain_program(
            requests in proptest::collection::vec(("[a-c]", 0..24_u8, "[/a-b?]{0,4}", 200..203_u16, 0..99_u64), 0..50)
        ) {
            let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
            let mut log = String::new();
            for (host, hour, path, status, bytes) in &requests {
                log += &format!("{host} - - [05/Jul/2026:{hour:02}:10:00 +0200] \"GET /{path} HTTP/2.0\" {status} {bytes}\n");
                let path = path.split('?').next().unwrap();
                let key = format!("2026-07-05T{hour:02}\t/{path}\t{status}");
                let count = counts.entry(key).or_default();
                *count = (count.0 + 1, count.1 + bytes);
            }
            let want: Vec<String> = counts.iter().map(|(key, (n, bytes))| format!("{key}\t{n}\t{bytes}")).collect();
            let trial = Trial::<Logs>::of(log).param("by", "hour,path,status").split_size(100);
            prop_assert_eq!(trial.run().unwrap().rows(), want);
        }
    }
}

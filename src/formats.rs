//! How inputs are cut into records, as it is typed: `--format csv`, or `--format NAME=csv` for one of several inputs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use mapfold_terms::{Format, FormatError, JobInfo};

use crate::error::Problem;
use crate::exit::Exit;
use crate::inputs::no_such_input;
use crate::plugin::plain;

/// One `--format`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormatArg {
    /// The input that it is for; all others, if none.
    input: Option<String>,
    format: Format,
}

impl FromStr for FormatArg {
    type Err = FormatError;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        let (input, format) = match (typed.parse(), typed.split_once('=')) {
            // Of `csv:=` as well.
            (Ok(format), _) => (None, format),
            (Err(_), Some((input, format))) => (Some(input.to_owned()), format.parse()?),
            (Err(error), None) => return Err(error),
        };
        Ok(Self { input, format })
    }
}

impl fmt::Display for FormatArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.input {
            Some(input) => write!(f, "{input}={}", self.format),
            None => write!(f, "{}", self.format),
        }
    }
}

/// All that were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Formats {
    rest: Option<Format>,
    of: BTreeMap<String, Format>,
}

impl Formats {
    /// Each given once.
    pub(crate) fn new(typed: &[FormatArg]) -> Result<Self, Problem> {
        let mut formats = Self::default();
        for FormatArg { input, format } in typed {
            let (whose, first) = match input {
                None => (String::new(), formats.rest.replace(*format)),
                Some(input) => (
                    format!(" of input `{input}`"),
                    formats.of.insert(input.clone(), *format),
                ),
            };
            if let Some(first) = first {
                let what = format!("--format{whose} is given twice: `{first}` and `{format}`");
                return Err(Problem::new(Exit::Usage, what));
            }
        }
        Ok(formats)
    }

    /// That of inputs which have none of their own.
    pub(crate) fn rest(&self, job: &JobInfo) -> Format {
        self.rest.unwrap_or(job.format)
    }

    /// Of each of the job's inputs its own, if it has one that is not that of the rest; so equal jobs are equal however they were typed.
    pub(crate) fn own(&self, job: &JobInfo) -> Result<Vec<Option<Format>>, Problem> {
        if let Some(name) = self.of.keys().find(|name| !job.inputs.contains(name)) {
            return Err(no_such_input(plain(&job.name), &job.inputs, name)
                .hint_if_none("--format FORMAT is for all inputs, --format NAME=FORMAT for one"));
        }
        let rest = self.rest(job);
        let own = job.inputs.iter().enumerate().map(|(input, name)| {
            let of_job = job.input_formats.get(input).copied();
            let of_job = of_job.filter(|_| self.rest.is_none());
            let own = self.of.get(name).copied().or(of_job);
            own.filter(|own| *own != rest)
        });
        Ok(own.collect())
    }
}

impl From<Option<Format>> for Formats {
    fn from(rest: Option<Format>) -> Self {
        Self {
            rest,
            of: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paint::Paint;

    fn formats(typed: &str) -> Result<Formats, String> {
        let typed = typed.split_whitespace().map(str::parse);
        let typed: Result<Vec<FormatArg>, _> = typed.collect();
        Formats::new(&typed.unwrap()).map_err(|problem| problem.render(Paint::Plain))
    }

    fn join() -> JobInfo {
        JobInfo {
            inputs: ["left", "right"].map(str::to_owned).into(),
            ..JobInfo::default()
        }
    }

    #[track_caller]
    fn check(job: &JobInfo, typed: &str, rest: Format, own: &[Option<Format>]) {
        let formats = formats(typed).unwrap();
        let got = formats.own(job);
        let got = got.unwrap_or_else(|problem| panic!("{}", problem.render(Paint::Plain)));
        assert_eq!((formats.rest(job), &*got), (rest, own), "{typed}");
    }

    #[test]
    fn one_format_is_for_all_and_others_for_single_inputs() {
        let (csv, tsv) = (Some(Format::CSV), Some(Format::TSV));
        check(&JobInfo::default(), "", Format::Lines, &[]);
        check(&JobInfo::default(), "csv", Format::CSV, &[]);
        check(&join(), "csv", Format::CSV, &[None, None]);
        check(&join(), "csv:=", Format::Csv(b'='), &[None, None]);
        check(&join(), "right=csv", Format::Lines, &[None, csv]);
        check(&join(), "right=lines", Format::Lines, &[None, None]);
        check(&join(), "right=tsv csv", Format::CSV, &[None, tsv]);
        let join = JobInfo {
            input_formats: vec![Format::Lines, Format::CSV],
            ..join()
        };
        check(&join, "", Format::Lines, &[None, csv]);
        check(&join, "left=tsv", Format::Lines, &[tsv, csv]);
        check(&join, "tsv", Format::TSV, &[None, None]);
    }

    #[test]
    fn what_is_twice_or_unknown_is_told() {
        assert!(
            formats("csv tsv")
                .unwrap_err()
                .contains("twice: `csv` and `tsv`")
        );
        assert!(
            formats("a=csv a=csv")
                .unwrap_err()
                .contains("of input `a` is given twice")
        );
        let refused = |job: &JobInfo, typed| {
            formats(typed)
                .unwrap()
                .own(job)
                .unwrap_err()
                .render(Paint::Plain)
        };
        let said = refused(&join(), "lift=csv");
        assert!(
            said.contains("has no input `lift`; it has left, right"),
            "{said}"
        );
        assert!(said.contains("did you mean `left`?"), "{said}");
        let said = refused(&JobInfo::default(), "left=csv");
        assert!(said.contains("has no names for its inputs"), "{said}");
        for typed in ["left=", "=", "left=a", "left=right=csv"] {
            assert!(typed.parse::<FormatArg>().is_err(), "{typed}");
        }
    }
}

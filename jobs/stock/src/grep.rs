//! `grep`: the lines that match a regular expression, with file and offset.

mod candidates;

use mapfold_job::{Block, Emitter, Job, JobError, Record, Rows, Values, params};
use regex::bytes::{Regex, RegexBuilder};

use candidates::Candidates;

params! {
    /// Parameters of `grep`.
    pub struct GrepParams {
        /// Regular expression (syntax of Rust's regex crate) that a line must match somewhere.
        pub pattern: String,
        /// Do not tell upper from lower case.
        pub ignore_case: bool = false,
        /// Take the lines that do not match.
        pub invert: bool = false,
    }
}

/// Finds lines.
pub struct Grep {
    regex: Regex,
    /// To find lines in many at once, where the expression allows it and matching lines are wanted.
    candidates: Option<Candidates>,
    invert: bool,
}

impl Job for Grep {
    type Params = GrepParams;
    type Key = (Vec<u8>, u64);
    type Value = Vec<u8>;

    const NAME: &'static str = "grep";
    const SUMMARY: &'static str = "find the lines that match a regular expression";
    const HELP: &'static str = "A row is the file's name, the offset of the line's first byte in the (unpacked) file, \
        and the line, with TABs between. Within a part file rows are sorted by name, then offset.";

    fn new(params: GrepParams) -> Result<Self, JobError> {
        let regex = RegexBuilder::new(&params.pattern)
            .case_insensitive(params.ignore_case)
            .build()?;
        let candidates = if params.invert {
            None
        } else {
            Candidates::new(&params.pattern, params.ignore_case)
        };
        Ok(Self {
            regex,
            candidates,
            invert: params.invert,
        })
    }

    #[inline]
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        if self.regex.is_match(record.bytes) != self.invert {
            take(record, out);
        }
        Ok(())
    }

    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let Some(candidates) = self.candidates.as_ref().filter(|_| block.has_lines()) else {
            return block.records().try_for_each(|record| {
                out.begin_record(&record);
                self.map(&record, out)
            });
        };
        for candidate in candidates.of(block) {
            out.begin_record(&candidate.line);
            if candidate.certain || self.regex.is_match(candidate.line.bytes) {
                take(&candidate.line, out);
            }
        }
        Ok(())
    }

    fn reduce(
        &self,
        (file, offset): (&[u8], u64),
        lines: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        while let Some(line) = lines.next() {
            rows.row((file, offset), line);
        }
        Ok(())
    }
}

fn take(line: &Record<'_>, out: &mut Emitter<'_, Grep>) {
    out.emit((line.file.name.as_bytes(), line.offset), line.bytes);
}

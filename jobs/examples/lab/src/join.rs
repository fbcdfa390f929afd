//! A join of two kinds of input.

use mapfold_job::{Coded, Emitter, Job, JobError, NoParams, Record, Rows, Values};

/// Lines of `id text`: a row for each person and each of their things, in the order of the input.
pub struct Join;

const PEOPLE: usize = 0;

impl Job for Join {
    type Params = NoParams;
    type Key = Vec<u8>;
    type Value = Coded<(usize, Vec<u8>)>;

    const NAME: &'static str = "lab-join";
    const SUMMARY: &'static str = "the things of each person";
    const INPUTS: &'static [&'static str] = &["people", "things"];

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let mut columns = record.bytes.splitn(2, |byte| *byte == b' ');
        let id = columns.next().unwrap_or_default();
        let text = columns.next().ok_or("a line has two columns")?;
        out.emit(id, (record.input(), text.to_vec()));
        Ok(())
    }

    fn reduce(
        &self,
        _: &[u8],
        values: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let mut people = Vec::new();
        for (input, text) in values.owned() {
            match input {
                PEOPLE => people.push(text),
                _ => people.iter().for_each(|name| rows.row(name, &text)),
            }
        }
        Ok(())
    }
}

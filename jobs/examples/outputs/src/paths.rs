//! A partitioner beside secondary sort: it sees of a key what makes the group.

use mapfold_job::{Emitter, Job, JobError, NoParams, Partition, Record, Rows, Values, spread};

/// The pages of each visitor in order of time, from lines of `visitor time page`; visitors with the same first letter share a part file.
pub struct Paths;

impl Job for Paths {
    type Params = NoParams;
    type Key = (String, u64);
    type Value = String;

    const NAME: &'static str = "paths";
    const SUMMARY: &'static str = "the pages of each visitor in order of time";
    const GROUP_BY_FIRST: bool = true;
    const PARTITION: Option<Partition<Self>> =
        Some(|_, (visitor, _), partitions| spread(&visitor.as_bytes()[..1], partitions));

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let mut columns = str::from_utf8(record.bytes)?.split(' ');
        let mut next = || columns.next().filter(|column| !column.is_empty());
        let (Some(visitor), Some(time), Some(page)) = (next(), next(), next()) else {
            return Err("a line has three columns".into());
        };
        out.emit((visitor, time.parse()?), page);
        Ok(())
    }

    fn reduce(
        &self,
        (visitor, _): (&str, u64),
        pages: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.row(visitor, pages.owned().collect::<Vec<_>>().join(" "));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::Paths;

    #[test]
    fn a_visitor_has_one_path_and_one_part() {
        let visits = "eve 3 c\nbob 1 x\neve 1 a\nevi 9 z\neve 2 b\n";
        let tried = Trial::<Paths>::of(visits).reducers(5).check().unwrap();
        let parts = tried
            .parts()
            .iter()
            .map(|part| str::from_utf8(part).unwrap());
        let of_e = parts.filter(|part| part.contains("eve\ta b c\nevi\tz\n"));
        assert_eq!(of_e.count(), 1);
    }
}

//! The neighbours of each vertex of a graph.

use std::collections::BTreeSet;

use mapfold_job::{Emitter, Job, JobError, NoParams, Record, Rows, Values};

/// Lists where edges lead to, and where they come from.
pub struct AdjacencyList;

impl Job for AdjacencyList {
    type Params = NoParams;
    type Key = Vec<u8>;
    /// `>` or `<`, and the vertex at the other end.
    type Value = Vec<u8>;

    const NAME: &'static str = "adjacency-list";
    const SUMMARY: &'static str = "the neighbours of each vertex of a graph";
    const HELP: &'static str = "A record is an edge: two vertices with a blank or TAB between. A row is a vertex, and, sorted and each once, those that edges \
        lead to from it, and those that edges come from, with commas between.";

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let mut columns = record.bytes.split(u8::is_ascii_whitespace);
        let mut next = || columns.next().filter(|column| !column.is_empty());
        let (from, to) = next().zip(next()).ok_or("an edge has two vertices")?;
        out.emit(from, &[b">", to].concat());
        out.emit(to, &[b"<", from].concat());
        Ok(())
    }

    fn reduce(
        &self,
        vertex: &[u8],
        ends: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let (mut to, mut from) = (BTreeSet::new(), BTreeSet::new());
        for end in ends.owned() {
            match end.split_first() {
                Some((b'>', vertex)) => to.insert(vertex.to_vec()),
                _ => from.insert(end[1..].to_vec()),
            };
        }
        let [to, from] = [to, from].map(|set| set.into_iter().collect::<Vec<_>>().join(&b','));
        rows.row(vertex, (to, from));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::*;

    #[test]
    fn each_vertex_has_its_neighbours() {
        let tried = Trial::<AdjacencyList>::of("a b\na\tc\nb a\na b\n")
            .check()
            .unwrap();
        assert_eq!(tried.rows(), ["a\tb,c\tb", "b\ta\ta", "c\t\ta"]);
        assert!(Trial::<AdjacencyList>::of("a\n").run().is_err());
    }
}

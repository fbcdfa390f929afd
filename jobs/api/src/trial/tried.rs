//! What a job that was tried has left.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::fs;
use std::marker::PhantomData;
use std::path::Path;

use mapfold_data::part::{attempt_file_name, named_part_name, part_name};
use mapfold_data::run::{ReadRunError, Run};
use mapfold_terms::{Codec, Counters, Digest, PartitionId, Staged, Token};

use super::error::{TrialError, not_made};

use crate::{Job, Key, KeyRef, Value, ValueRef};

/// Rows, counters, and what went from map tasks to reduce tasks.
pub struct Tried<J: Job> {
    parts: Vec<Vec<u8>>,
    /// One for each part that has rows of the name, in order.
    named: BTreeMap<String, Vec<Vec<u8>>>,
    pub(super) counters: Counters,
    /// None of a job without reduce tasks.
    pub(super) runs: Vec<Run>,
    /// What tells what each map task left from something else.
    pub(super) digests: Vec<Digest>,
    job: PhantomData<fn() -> J>,
}

impl<J: Job> Tried<J> {
    pub(super) fn new() -> Self {
        Self {
            parts: Vec::new(),
            named: BTreeMap::new(),
            counters: Counters::default(),
            runs: Vec::new(),
            digests: Vec::new(),
            job: PhantomData,
        }
    }

    /// Takes over the files that an attempt has staged.
    pub(super) fn take(
        &mut self,
        token: Token,
        partition: PartitionId,
        staged: &Staged,
        folder: &Path,
    ) -> Result<(), TrialError> {
        let read = |name: &str| {
            let path = folder.join(attempt_file_name(token, name));
            let rows = fs::read(&path).map_err(|error| not_made(&path, error))?;
            fs::remove_file(&path).map_err(|error| not_made(&path, error))?;
            Ok::<_, TrialError>(rows)
        };
        self.parts.push(read(&part_name(partition, Codec::Plain))?);
        for name in staged.named.keys() {
            let rows = read(&named_part_name(name, partition, Codec::Plain))?;
            self.named.entry(name.clone()).or_default().push(rows);
        }
        Ok(())
    }

    /// The lines of all parts, in the order of the parts; `key TAB value`, unless the job writes records. Bytes that are no
    /// UTF-8 are replaced; [`parts`](Self::parts) has them as they are.
    pub fn rows(&self) -> Vec<String> {
        lines(&self.parts)
    }

    /// The same of an output that the job has named ([`Rows::to`](crate::Rows::to)).
    pub fn rows_of(&self, name: &str) -> Vec<String> {
        lines(self.named.get(name).map_or(&[], Vec::as_slice))
    }

    /// The named outputs that have rows.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// Whether the same was written, part by part.
    pub(super) fn left_the_same(&self, other: &Self) -> bool {
        self.parts == other.parts && self.named == other.named
    }

    /// All rows, those of named outputs behind the others with their names in front.
    pub(super) fn all_rows(&self) -> Vec<String> {
        let mut all = self.rows();
        for name in self.names() {
            let rows = self.rows_of(name).into_iter();
            all.extend(rows.map(|row| format!("{name}: {row}")));
        }
        all
    }

    /// The part of each reduce task, as in its file; of each map task, if there are no reduce tasks.
    pub fn parts(&self) -> &[Vec<u8>] {
        &self.parts
    }

    /// The job's counter `name`; 0, if it was never counted.
    pub fn counter(&self, name: &str) -> i64 {
        self.counters.0.get(name).copied().unwrap_or(0)
    }

    /// Number of map tasks.
    pub fn maps(&self) -> usize {
        self.digests.len()
    }

    /// Looks at all that went from map tasks to reduce tasks: index of the map task, that of the reduce task, key and value. With a
    /// combiner a map task leaves a key once, and in order of the keys' hashes; without, all values that were emitted, in order of the keys.
    ///
    /// # Panics
    /// What was written does not read back.
    pub fn for_each_intermediate(
        &self,
        mut visit: impl FnMut(u32, u32, KeyRef<'_, J>, ValueRef<'_, J>),
    ) {
        let partitions = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
        for (map, run) in (0..).zip(&self.runs) {
            for partition in 0..partitions {
                let visited = visit_segment::<J>(run, PartitionId(partition), |key, value| {
                    visit(map, partition, key, value);
                });
                visited.expect("a run that was just written reads back");
            }
        }
    }

    /// The same as lines of text in order: `m0 p1 "the" 2` for key and value that map task 0 left for reduce task 1.
    ///
    /// # Panics
    /// What was written does not read back.
    pub fn intermediate(&self) -> Vec<String>
    where
        for<'a> KeyRef<'a, J>: Debug,
        for<'a> ValueRef<'a, J>: Debug,
    {
        let mut lines = Vec::new();
        self.for_each_intermediate(|map, partition, key, value| {
            lines.push(format!("m{map} p{partition} {key:?} {value:?}"));
        });
        lines.sort();
        lines
    }
}

// By hand, as a derived one would ask for it of the job too.
impl<J: Job> Debug for Tried<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tried")
            .field("maps", &self.maps())
            .field("rows", &self.all_rows())
            .field("counters", &self.counters.0)
            .finish()
    }
}

fn lines(files: &[Vec<u8>]) -> Vec<String> {
    let files = files.iter().map(|file| String::from_utf8_lossy(file));
    files
        .flat_map(|file| file.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

fn visit_segment<J: Job>(
    run: &Run,
    partition: PartitionId,
    mut visit: impl FnMut(KeyRef<'_, J>, ValueRef<'_, J>),
) -> Result<(), ReadRunError> {
    let segment = run.segment(partition)?;
    let mut cursor = segment.cursor();
    let mut decoded = Vec::new();
    while let Some((key, value)) = cursor.next()? {
        let key = J::Key::decode(key, &mut decoded).expect("the job's own key");
        let value = J::Value::decode(value).expect("the job's own value");
        visit(key, value);
    }
    Ok(())
}

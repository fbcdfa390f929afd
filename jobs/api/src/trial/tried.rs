//! What a job that was tried has left.

use std::fmt::Debug;
use std::marker::PhantomData;

use mapfold_data::run::{ReadRunError, Run};
use mapfold_terms::{Counters, Digest, PartitionId};

use crate::{Job, Key, KeyRef, Value, ValueRef};

/// Rows, counters, and what went from map tasks to reduce tasks.
#[derive(Debug)]
pub struct Tried<J: Job> {
    parts: Vec<Vec<u8>>,
    counters: Counters,
    runs: Vec<Run>,
    job: PhantomData<fn() -> J>,
}

impl<J: Job> Tried<J> {
    pub(super) fn new(parts: Vec<Vec<u8>>, counters: Counters, runs: Vec<Run>) -> Self {
        Self {
            parts,
            counters,
            runs,
            job: PhantomData,
        }
    }

    /// The lines of all parts, in the order of the parts; `key TAB value`, unless the job writes records. Bytes that are no
    /// UTF-8 are replaced; [`parts`](Self::parts) has them as they are.
    pub fn rows(&self) -> Vec<String> {
        let parts = self.parts.iter().map(|part| String::from_utf8_lossy(part));
        parts
            .flat_map(|part| part.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// The part of each reduce task, as in its file.
    pub fn parts(&self) -> &[Vec<u8>] {
        &self.parts
    }

    /// The job's counter `name`; 0, if it was never counted.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.0.get(name).copied().unwrap_or(0)
    }

    /// Number of map tasks.
    pub fn maps(&self) -> usize {
        self.runs.len()
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

    pub(super) fn digests(&self) -> Vec<Digest> {
        self.runs.iter().map(Run::digest).collect()
    }
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

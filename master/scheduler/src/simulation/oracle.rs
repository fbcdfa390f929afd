//! What simulated jobs compute, and what is right.
//!
//! A map task has a few records; its function sends each to a partition. A function that is not
//! deterministic chooses the partition by the attempt, so a job that mixes attempts loses records in one
//! part and has them twice in another. A reduce task lists the records it was given.

use std::collections::{BTreeMap, BTreeSet};

use mapfold_terms::{AttemptId, Digest, JobId, TaskKind};

use super::rng::hash;
use crate::JobPlan;

/// What a job computes.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) job: JobId,
    pub(super) plan: JobPlan,
    pub(super) deterministic: bool,
}

/// A map attempt's records by partition: sorted pairs of partition and record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run(Vec<(u32, u32)>);

/// A staged part: which map attempt's run gave which records, by map task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part(pub(super) BTreeMap<u32, Consumed>);

/// What a reduce attempt took from one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Consumed {
    pub(super) digest: Digest,
    pub(super) records: Vec<u32>,
}

impl Function {
    /// What a map attempt leaves that is begun for the `time`th time.
    pub(super) fn map(&self, attempt: AttemptId, time: u32) -> Run {
        let map = u64::from(attempt.task.index);
        let chosen_by = if self.deterministic {
            0
        } else {
            let began = u64::from(attempt.token.epoch.0) << 32 | u64::from(time) << 48;
            attempt.token.counter ^ began
        };
        let partition = |record: u32| {
            let hash = hash(&[self.job.0, map, u64::from(record), chosen_by]);
            // Without reduce tasks it stands for what the part holds of a record.
            let partitions = match self.plan.reduces {
                0 => 2,
                reduces => reduces,
            };
            u32::try_from(hash % u64::from(partitions)).unwrap()
        };
        let mut records: Vec<_> = (0..self.records(map)).map(|r| (partition(r), r)).collect();
        records.sort_unstable();
        Run(records)
    }

    fn records(&self, map: u64) -> u32 {
        u32::try_from(1 + hash(&[self.job.0, map]) % 6).unwrap()
    }

    /// Whether these parts are the output of one execution: one part a reduce task, made of the same
    /// run of every map task, with each record exactly once.
    pub(super) fn check(
        &self,
        parts: &[AttemptId],
        staged: &BTreeMap<AttemptId, Part>,
    ) -> Result<(), String> {
        let (kind, wanted) = match self.plan.reduces {
            0 => (TaskKind::Map, self.plan.maps),
            reduces => (TaskKind::Reduce, reduces),
        };
        if parts.len() != wanted as usize {
            return Err(format!("{} parts, not {wanted}", parts.len()));
        }
        let mut digests: BTreeMap<u32, BTreeSet<Digest>> = BTreeMap::new();
        let mut times: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for (index, attempt) in (0..).zip(parts) {
            let right = attempt.task.kind == kind && attempt.task.index == index;
            let part = staged.get(attempt).filter(|_| right);
            let part = part.ok_or_else(|| format!("{attempt} is no staged part {index}"))?;
            for (map, consumed) in &part.0 {
                digests.entry(*map).or_default().insert(consumed.digest);
                for record in &consumed.records {
                    *times.entry((*map, *record)).or_default() += 1;
                }
            }
        }
        for map in 0..self.plan.maps {
            for record in 0..self.records(u64::from(map)) {
                let times = times.remove(&(map, record)).unwrap_or(0);
                if times != 1 {
                    return Err(format!("record {record} of m{map} appears {times} times"));
                }
            }
            if digests.get(&map).map_or(0, BTreeSet::len) != 1 {
                return Err(format!(
                    "parts consumed several runs of m{map}: {digests:?}"
                ));
            }
        }
        if times.is_empty() {
            Ok(())
        } else {
            Err(format!("records from nowhere: {times:?}"))
        }
    }
}

impl Run {
    pub(super) fn digest(&self) -> Digest {
        let numbers: Vec<u64> = self
            .0
            .iter()
            .flat_map(|(partition, record)| [u64::from(*partition), u64::from(*record)])
            .collect();
        Digest(u128::from(hash(&numbers)))
    }

    /// The same as a part of a job without reduce tasks.
    pub(super) fn into_part(self, map: u32) -> Part {
        let consumed = Consumed {
            digest: self.digest(),
            records: self.0.into_iter().map(|(_, record)| record).collect(),
        };
        Part(BTreeMap::from([(map, consumed)]))
    }

    pub(super) fn partition(&self, partition: u32) -> Consumed {
        let records = self.0.iter().filter(|(p, _)| *p == partition);
        Consumed {
            digest: self.digest(),
            records: records.map(|(_, record)| *record).collect(),
        }
    }
}

//! What is recorded.
//!
//! A master writes a record when something is decided that must hold after its death, and lets nobody know of the
//! decision before the record is on disk. Whatever is not here is found out anew: which workers there are, what
//! runs, how often a task has failed. Any prefix of a journal is a state that the master was in, so it does not
//! matter where power was lost.

use std::time::Duration;

use mapfold_terms::{
    AttemptId, JobId, JobReport, JobSpec, MapReport, MasterEpoch, PhaseStatus, RawPath,
    ReduceReport, Split, TaskId, WorkerId,
};

use crate::layout::{Layout, Reader};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A master started. The first record of each file.
    Began {
        /// Above that of all earlier starts.
        epoch: MasterEpoch,
        /// The epoch of the first start with this journal.
        since: MasterEpoch,
        /// No job has had this id or a higher one.
        next_job: JobId,
        /// No worker has had a higher id.
        last_worker: WorkerId,
    },
    /// Earlier starts with this journal, the last [`Record::STARTS_KEPT`] of them. What a worker had of another start, which this
    /// journal knows nothing of, counts for nothing: it was made after the state folder had been copied.
    Starts {
        /// In order.
        epochs: Vec<MasterEpoch>,
    },
    /// A worker process is to leave, in all its lives.
    Drains {
        /// As the master tells it from others.
        process: u128,
    },
    /// Ids up to this one may be given to workers.
    Workers {
        /// The highest.
        upto: WorkerId,
    },
    /// A client may be told that the job is accepted.
    Accepted {
        /// New.
        job: JobId,
        /// Milliseconds since 1970, for the time that the job took.
        at_ms: u64,
        /// What is to be done.
        spec: Box<JobSpec>,
    },
    /// Some splits of a job's plan, which follow those of the record before. They count once the job is planned.
    Splits {
        /// The job.
        job: JobId,
        /// In order.
        splits: Vec<Split>,
    },
    /// The job's plan is whole, and its tasks may run.
    Planned {
        /// The job.
        job: JobId,
        /// The rest of the plan.
        planned: Planned,
    },
    /// Somebody asked for the end of a job that is not planned yet.
    Cancelled {
        /// The job.
        job: JobId,
    },
    /// A map task is won. If its digest is not that of an earlier winner, reduce tasks that were won are not any more.
    MapWon {
        /// The attempt that counts.
        attempt: AttemptId,
        /// Who ran it.
        by: WorkerId,
        /// What it reported.
        report: Box<MapReport>,
    },
    /// A reduce task is won: its part is in staging.
    ReduceWon {
        /// The attempt that counts.
        attempt: AttemptId,
        /// Who ran it.
        by: WorkerId,
        /// What it reported.
        report: Box<ReduceReport>,
    },
    /// A task is not won any more: the run is lost, or the reduce task was rolled back.
    Lost {
        /// The job.
        job: JobId,
        /// The task.
        task: TaskId,
    },
    /// Some bytes of the manifest with which the job will be committed, which follow those of the record before.
    Manifest {
        /// The job.
        job: JobId,
        /// A piece of it.
        bytes: Vec<u8>,
    },
    /// The job commits the parts of its winners, with the manifest in the records before. From here on it is repeated until it is done
    /// or known to be impossible.
    Committing {
        /// The job.
        job: JobId,
    },
    /// The job has ended.
    Ended {
        /// The job.
        job: JobId,
        /// For whoever waits for it.
        report: Box<JobReport>,
        /// The map phase when it ended.
        map: PhaseStatus,
        /// The reduce phase when it ended.
        reduce: PhaseStatus,
    },
}

/// What a plan is beside its splits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Number of splits.
    pub maps: u32,
    /// Number of partitions.
    pub reducers: u32,
    /// Files read.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// In bytes.
    pub split_size: u64,
    /// Failed attempts of one task that fail the job.
    pub max_attempts: u32,
    /// Records that may be put aside.
    pub skip_bad: u32,
    /// Whether stragglers get backup attempts.
    pub backup: bool,
    /// An attempt that makes no progress for so long has failed; zero for no such limit.
    pub task_timeout: Duration,
    /// The staging folder.
    pub staging: RawPath,
    /// The inputs as the manifest lists them, in its JSON.
    pub inputs: String,
}

/// Bytes of a list in one record, about: far below the bound, and few records for a large plan.
const PIECE_BYTES: usize = 256 << 10;

impl Record {
    /// Earlier starts that are remembered; a worker that has been away for more is a new one.
    pub const STARTS_KEPT: usize = 256;
    /// Processes that are to leave and are remembered; a cluster seldom drains more at a time.
    pub const DRAINS_KEPT: usize = 1024;

    /// The job that it is about.
    pub fn job(&self) -> Option<JobId> {
        match self {
            Self::Began { .. }
            | Self::Workers { .. }
            | Self::Starts { .. }
            | Self::Drains { .. } => None,
            Self::Accepted { job, .. }
            | Self::Splits { job, .. }
            | Self::Planned { job, .. }
            | Self::Cancelled { job }
            | Self::Lost { job, .. }
            | Self::Manifest { job, .. }
            | Self::Committing { job }
            | Self::Ended { job, .. } => Some(*job),
            Self::MapWon { attempt, .. } | Self::ReduceWon { attempt, .. } => Some(attempt.job),
        }
    }

    /// The records of a plan's splits: as many as keep each of moderate length.
    pub fn of_splits(job: JobId, splits: &[Split]) -> Vec<Self> {
        let mut records = Vec::new();
        let mut piece = Vec::new();
        let mut bytes = 0;
        let mut scratch = Vec::new();
        for split in splits {
            scratch.clear();
            split.put(&mut scratch);
            if bytes > 0 && bytes + scratch.len() > PIECE_BYTES {
                let splits = std::mem::take(&mut piece);
                records.push(Self::Splits { job, splits });
                bytes = 0;
            }
            bytes += scratch.len();
            piece.push(split.clone());
        }
        if !piece.is_empty() {
            records.push(Self::Splits { job, splits: piece });
        }
        records
    }

    /// The records of a manifest.
    pub fn of_manifest(job: JobId, manifest: &[u8]) -> Vec<Self> {
        manifest
            .chunks(PIECE_BYTES)
            .map(|bytes| Self::Manifest {
                job,
                bytes: bytes.to_vec(),
            })
            .collect()
    }

    /// Appends the record's bytes: its kind, then its fields.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Began {
                epoch,
                since,
                next_job,
                last_worker,
            } => {
                out.push(1);
                epoch.put(out);
                since.put(out);
                next_job.put(out);
                last_worker.put(out);
            }
            Self::Workers { upto } => {
                out.push(2);
                upto.put(out);
            }
            Self::Accepted { job, at_ms, spec } => {
                out.push(3);
                job.put(out);
                at_ms.put(out);
                spec.put(out);
            }
            Self::Splits { job, splits } => {
                out.push(4);
                job.put(out);
                splits.put(out);
            }
            Self::Planned { job, planned } => {
                out.push(5);
                job.put(out);
                planned.put(out);
            }
            Self::Cancelled { job } => {
                out.push(6);
                job.put(out);
            }
            Self::MapWon {
                attempt,
                by,
                report,
            } => {
                out.push(7);
                attempt.put(out);
                by.put(out);
                report.put(out);
            }
            Self::ReduceWon {
                attempt,
                by,
                report,
            } => {
                out.push(8);
                attempt.put(out);
                by.put(out);
                report.put(out);
            }
            Self::Lost { job, task } => {
                out.push(9);
                job.put(out);
                task.put(out);
            }
            Self::Manifest { job, bytes } => {
                out.push(10);
                job.put(out);
                bytes.put(out);
            }
            Self::Committing { job } => {
                out.push(11);
                job.put(out);
            }
            Self::Ended {
                job,
                report,
                map,
                reduce,
            } => {
                out.push(12);
                job.put(out);
                report.put(out);
                map.put(out);
                reduce.put(out);
            }
            Self::Starts { epochs } => {
                out.push(13);
                epochs.put(out);
            }
            Self::Drains { process } => {
                out.push(14);
                process.put(out);
            }
        }
    }

    /// The record that these are all the bytes of; `None` if they are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let record = match u8::take(&mut from)? {
            1 => Self::Began {
                epoch: Layout::take(&mut from)?,
                since: Layout::take(&mut from)?,
                next_job: Layout::take(&mut from)?,
                last_worker: Layout::take(&mut from)?,
            },
            2 => Self::Workers {
                upto: Layout::take(&mut from)?,
            },
            3 => Self::Accepted {
                job: Layout::take(&mut from)?,
                at_ms: Layout::take(&mut from)?,
                spec: Layout::take(&mut from)?,
            },
            4 => Self::Splits {
                job: Layout::take(&mut from)?,
                splits: Layout::take(&mut from)?,
            },
            5 => Self::Planned {
                job: Layout::take(&mut from)?,
                planned: Layout::take(&mut from)?,
            },
            6 => Self::Cancelled {
                job: Layout::take(&mut from)?,
            },
            7 => Self::MapWon {
                attempt: Layout::take(&mut from)?,
                by: Layout::take(&mut from)?,
                report: Layout::take(&mut from)?,
            },
            8 => Self::ReduceWon {
                attempt: Layout::take(&mut from)?,
                by: Layout::take(&mut from)?,
                report: Layout::take(&mut from)?,
            },
            9 => Self::Lost {
                job: Layout::take(&mut from)?,
                task: Layout::take(&mut from)?,
            },
            10 => Self::Manifest {
                job: Layout::take(&mut from)?,
                bytes: Layout::take(&mut from)?,
            },
            11 => Self::Committing {
                job: Layout::take(&mut from)?,
            },
            12 => Self::Ended {
                job: Layout::take(&mut from)?,
                report: Layout::take(&mut from)?,
                map: Layout::take(&mut from)?,
                reduce: Layout::take(&mut from)?,
            },
            13 => Self::Starts {
                epochs: Layout::take(&mut from)?,
            },
            14 => Self::Drains {
                process: Layout::take(&mut from)?,
            },
            _ => return None,
        };
        from.is_empty().then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn every_kind_of_record_reads_back_as_written() {
        for record in samples::records() {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            assert_eq!(Record::decode(&bytes).as_ref(), Some(&record));
            for len in 0..bytes.len() {
                assert_eq!(
                    Record::decode(&bytes[..len]),
                    None,
                    "{record:?} cut at {len}"
                );
            }
            bytes.push(0);
            assert_eq!(Record::decode(&bytes), None);
        }
    }

    #[test]
    fn long_lists_are_cut_and_nothing_is_lost() {
        let split = samples::split(0);
        let splits: Vec<Split> = (0..20_000)
            .map(|index| Split {
                index,
                ..split.clone()
            })
            .collect();
        let records = Record::of_splits(JobId(1), &splits);
        assert!(records.len() > 3);
        let mut all = Vec::new();
        for record in records {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            assert!(bytes.len() < PIECE_BYTES + 1024);
            let Some(Record::Splits { splits, .. }) = Record::decode(&bytes) else {
                panic!("not splits");
            };
            all.extend(splits);
        }
        assert_eq!(all, splits);
    }
}

//! What several tests need: ids, runs of any size, and a monitor that can be told to cancel.

use std::sync::atomic::{AtomicBool, Ordering};

use mapfold_data::run::{RunBytes, RunWriter};
use mapfold_data::scratch::Scratch;
use mapfold_job::Monitor;
use mapfold_terms::{
    AttemptId, ByteSize, JobId, MasterEpoch, PartitionId, RunSummary, TaskId, Token,
};

/// The job of all tests.
pub(crate) const JOB: JobId = JobId(1);

/// The first attempt at a task; the token's counter is `token`.
pub(crate) fn attempt(task: TaskId, token: u64) -> AttemptId {
    AttemptId {
        token: Token {
            epoch: MasterEpoch(1),
            counter: token,
        },
        job: JOB,
        task,
        number: 1,
    }
}

/// A run with, in each of `partitions`, `records` records of about `bytes` bytes that differ between tokens.
pub(crate) fn write_run(
    scratch: &Scratch,
    token: Token,
    partitions: u32,
    records: u32,
    bytes: usize,
    in_memory_max: ByteSize,
) -> (RunBytes, RunSummary) {
    let mut writer = RunWriter::new(token, partitions, scratch.clone(), in_memory_max);
    let mut value = vec![0; bytes];
    for partition in 0..partitions {
        for record in 0..records {
            let mut noise = token.counter ^ u64::from(record) << 20 ^ u64::from(partition) << 40;
            for eight in value.chunks_mut(8) {
                noise = noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let len = eight.len();
                eight.copy_from_slice(&noise.to_be_bytes()[..len]);
            }
            let partition = PartitionId(partition);
            writer
                .push(partition, &record.to_be_bytes(), &value)
                .unwrap();
        }
    }
    writer.finish().unwrap()
}

/// A monitor that says what it is told.
#[derive(Default)]
pub(crate) struct TestMonitor(AtomicBool);

impl TestMonitor {
    /// Cancels.
    pub(crate) fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Monitor for TestMonitor {
    fn progress(&self, _: u64, _: u64) {}

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

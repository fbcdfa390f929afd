//! Jobs that share out their keys themselves.

use mapfold_data::partition;
use mapfold_terms::{PartitionId, RecordAt, excerpt};

use crate::{Job, Key, KeyRef, Partition};

/// Shares out evenly, by a hash of `bytes`: one of `partitions`, counted from 0. The same everywhere and always; what a job without a
/// [`Job::PARTITION`] does with its encoded keys.
///
/// # Panics
/// There are no partitions.
pub fn spread(bytes: &[u8], partitions: u32) -> u32 {
    assert!(partitions > 0, "there is a partition");
    partition::partition_of(bytes, partitions).0
}

/// A job put a key into a partition that there is not.
#[derive(Debug, thiserror::Error)]
#[error("key `{key}` is given partition {partition}, but there are {partitions}, counted from 0")]
pub(crate) struct NoPartition {
    key: String,
    partition: u32,
    partitions: u32,
}

/// The partition that the job gives a key.
#[inline]
pub(crate) fn partition_of<J: Job>(
    job: &J,
    of: Partition<J>,
    key: KeyRef<'_, J>,
    partitions: u32,
) -> Result<PartitionId, NoPartition> {
    let asked = if J::GROUP_BY_FIRST {
        J::Key::group(key)
    } else {
        key
    };
    let partition = of(job, asked, partitions);
    if partition < partitions {
        return Ok(PartitionId(partition));
    }
    Err(none::<J>(key, partition, partitions))
}

#[cold]
fn none<J: Job>(key: KeyRef<'_, J>, partition: u32, partitions: u32) -> NoPartition {
    let mut encoded = Vec::new();
    let encoded = J::Key::encode(key, &mut encoded);
    let shown = &encoded[..encoded.len().min(RecordAt::EXCERPT_MAX)];
    NoPartition {
        key: excerpt(shown),
        partition,
        partitions,
    }
}

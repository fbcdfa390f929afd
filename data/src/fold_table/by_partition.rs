//! The way out for jobs that share out their keys themselves: by partition, and by hash within each.
//!
//! Twice over the table: once to learn the partition of each key, once to put the slots into place (a counting sort, which keeps the
//! order that they come in).

use mapfold_terms::PartitionId;

use super::slot::Slot;
use super::{FoldTable, Weigh};
use crate::key_bytes::KeyBytes;

/// Bytes that [`FoldTable::drain_by_partition`] needs for each key, beside the table.
pub const PARTITION_BYTES: usize = size_of::<PartitionId>() + size_of::<&u8>();

impl<A, W: Weigh<A>> FoldTable<A, W> {
    /// Hands over all keys with partition and accumulator, in order of partition; those of a partition as
    /// [`drain_by_hash`](Self::drain_by_hash) does. `partition_of`, called once for each key, gives a number below `partitions`. The
    /// table is empty afterwards, also after an error.
    ///
    /// # Panics
    /// There are keys that wait, or a partition is not below `partitions`.
    pub fn drain_by_partition<E>(
        &mut self,
        partitions: u32,
        partition_of: impl FnMut(&[u8]) -> Result<PartitionId, E>,
        sink: impl FnMut(PartitionId, &KeyBytes<'_>, &A) -> Result<(), E>,
    ) -> Result<(), E> {
        self.assert_flushed();
        let drained = self.visit_by_partition(partitions, partition_of, sink);
        self.clear();
        drained
    }

    fn visit_by_partition<E>(
        &self,
        partitions: u32,
        mut partition_of: impl FnMut(&[u8]) -> Result<PartitionId, E>,
        mut sink: impl FnMut(PartitionId, &KeyBytes<'_>, &A) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut chosen = Vec::with_capacity(self.len);
        let mut counts = vec![0_usize; partitions as usize];
        self.visit_by_hash(|_, slot| {
            let partition = partition_of(&slot.key(&self.arena))?;
            counts[partition.0 as usize] += 1;
            chosen.push(partition);
            Ok(())
        })?;
        let mut next = starts(&counts);
        let mut slots: Vec<Option<&Slot<A>>> = vec![None; self.len];
        let mut chosen = chosen.into_iter();
        self.visit_by_hash(|_, slot| {
            let partition = chosen.next().expect("both passes see the same keys");
            let at = &mut next[partition.0 as usize];
            slots[*at] = Some(slot);
            *at += 1;
            Ok(())
        })?;
        let mut slots = slots.into_iter().flatten();
        for (partition, count) in (0..).zip(counts) {
            for slot in slots.by_ref().take(count) {
                sink(PartitionId(partition), &slot.key(&self.arena), &slot.acc)?;
            }
        }
        Ok(())
    }
}

/// Where each of so many begins, one behind the other.
fn starts(counts: &[usize]) -> Vec<usize> {
    let begin = |end: &mut usize, count: &usize| {
        let start = *end;
        *end += count;
        Some(start)
    };
    counts.iter().scan(0, begin).collect()
}

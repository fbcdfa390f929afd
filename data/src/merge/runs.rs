//! Merges of whole runs, and of more segments than fit into memory at once.

use std::ops::Range;

use mapfold_terms::{ByteSize, PartitionId, Token};

use super::Merge;
use crate::run::{ReadRunError, Run, RunWriter, Segment, WriteRunError};
use crate::scratch::Scratch;

/// What a cursor over a mapped run occupies at most: what it has read and not yet given back, its block, and what the
/// kernel maps around them. Measured: see docs/decisions/memory.md.
const CURSOR_BYTES: u64 = 256 << 10;

/// Narrower merges copy everything too often.
const WIDTH_MIN: u64 = 8;

/// Wider ones win nothing: a pass over all bytes more or less, and every level of the tree is a comparison a record.
const WIDTH_MAX: u64 = 512;

/// An intermediate run of up to this size stays in memory: at most [`WIDTH_MAX`] of them are left.
const IN_MEMORY_MAX: ByteSize = ByteSize::kib(16);

/// Where a `combine` sends the records that it keeps of some segments: key, value, in the order that runs of the job have.
pub type Push<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), WriteRunError> + 'a;

/// Merges whole runs into `writer`, partition by partition; records of equal keys keep the order of the runs. Makes
/// one run of an attempt's spills. Never merges more than `width` segments at once, as [`reduce_width`]
/// says, whose `combine` this is too: it is handed the segments, which it must read to the end, where the last checks are.
/// Returns the bytes written to intermediate files.
///
/// # Panics
/// `width` is below 2.
pub fn merge_runs<E: From<ReadRunError> + From<WriteRunError>>(
    runs: &[Run],
    width: usize,
    scratch: &Scratch,
    writer: &mut RunWriter,
    mut combine: impl FnMut(&[Segment], &mut Push<'_>) -> Result<(), E>,
) -> Result<ByteSize, E> {
    let mut spilled = ByteSize(0);
    let first = runs.iter().map(|run| run.next_present(PartitionId(0)));
    let mut present = first.collect::<Result<Vec<_>, _>>()?;
    while let Some(partition) = present.iter().flatten().min().copied() {
        let mut segments = Vec::new();
        for (run, next) in runs.iter().zip(&mut present) {
            if *next == Some(partition) {
                segments.push(run.segment(partition)?);
                *next = run.next_present(PartitionId(partition.0 + 1))?;
            }
        }
        let narrowed = reduce_width(segments, width, scratch, &mut combine)?;
        spilled.0 += narrowed.spilled.0;
        combine(&narrowed.segments, &mut |key, value| {
            writer.push(partition, key, value)
        })?;
    }
    Ok(spilled)
}

/// What [`reduce_width`] left and cost.
#[derive(Debug)]
pub struct Narrowed {
    /// At most as many segments as asked for, in the same order, equal records in the same order.
    pub segments: Vec<Segment>,
    /// Bytes written to intermediate files.
    pub spilled: ByteSize,
    /// Intermediate merges made.
    pub merges: u32,
}

/// Merges neighbouring segments into intermediate files in `scratch` until at most `width` (at least 2) are
/// left, cheapest neighbours first. All are segments of one partition.
///
/// `combine` is handed the segments of each intermediate merge and pushes what is to be kept of them: [`copy`] keeps all; a job that
/// folds pushes one record for each key, which saves the next merge the work.
///
/// # Panics
/// `width` is below 2.
pub fn reduce_width<E: From<ReadRunError> + From<WriteRunError>>(
    mut segments: Vec<Segment>,
    width: usize,
    scratch: &Scratch,
    mut combine: impl FnMut(&[Segment], &mut Push<'_>) -> Result<(), E>,
) -> Result<Narrowed, E> {
    assert!(
        width >= 2,
        "a merge of fewer than two segments reduces nothing"
    );
    let mut narrowed = Narrowed {
        segments: Vec::new(),
        spilled: ByteSize(0),
        merges: 0,
    };
    while segments.len() > width {
        let group = cheapest(&segments, group_size(segments.len(), width));
        let merged = merge_group(&segments[group.clone()], scratch, &mut combine)?;
        if !merged.in_memory() {
            narrowed.spilled.0 += merged.bytes().len() as u64;
        }
        narrowed.merges += 1;
        segments.splice(group, [merged]);
    }
    narrowed.segments = segments;
    Ok(narrowed)
}

/// Size of the next group, at least 2. The first takes what is over, so that all others are as wide as can be.
fn group_size(segments: usize, width: usize) -> usize {
    match (segments - width) % (width - 1) {
        0 => width,
        over => over + 1,
    }
}

/// The `size` neighbours that have the fewest bytes together; the first of several. O(segments): ten thousand small runs are
/// narrowed many times.
fn cheapest(segments: &[Segment], size: usize) -> Range<usize> {
    let bytes = |segment: &Segment| segment.head().bytes;
    let mut cost: u64 = segments[..size].iter().map(bytes).sum();
    let (mut least, mut best) = (cost, 0);
    for (start, (leaves, joins)) in (1..).zip(segments.iter().zip(&segments[size..])) {
        cost = cost - bytes(leaves) + bytes(joins);
        if cost < least {
            (least, best) = (cost, start);
        }
    }
    best..best + size
}

fn merge_group<E: From<ReadRunError> + From<WriteRunError>>(
    group: &[Segment],
    scratch: &Scratch,
    combine: &mut impl FnMut(&[Segment], &mut Push<'_>) -> Result<(), E>,
) -> Result<Segment, E> {
    let (partition, map) = (group[0].partition(), group[0].map());
    // Nobody but this attempt ever sees the run, so it carries no token.
    let token = Token::NONE;
    let mut writer = RunWriter::new(token, partition.0 + 1, scratch.clone(), IN_MEMORY_MAX);
    combine(group, &mut |key, value| writer.push(partition, key, value))?;
    let (bytes, _) = writer.finish()?;
    Ok(Run::open(bytes)?.segment(partition)?.with_map(map))
}

/// Pushes every record of segments that are in order of key, in that order: what [`reduce_width`] does for a job without a fold.
pub fn copy<E: From<ReadRunError> + From<WriteRunError>>(
    segments: &[Segment],
    push: &mut Push<'_>,
) -> Result<(), E> {
    let mut merge = Merge::new(segments.iter().map(Segment::cursor).collect())?;
    while let Some((key, value)) = merge.next()? {
        push(key, value)?;
    }
    Ok(())
}

/// How many segments may be merged at once within `memory`.
pub fn width_for(memory: ByteSize) -> usize {
    (memory.bytes() / CURSOR_BYTES)
        .clamp(WIDTH_MIN, WIDTH_MAX)
        .try_into()
        .unwrap_or(usize::MAX)
}

//! Where ranges of keys begin, from a look at a little of the input.
//!
//! Windows of a few records, spread evenly over the input, are mapped as the job maps them, and the keys that come out are
//! cut into as many ranges of equal weight as there are reduce tasks. What is looked at follows from the plan alone, so the same
//! job on the same input has the same ranges wherever and whenever it is submitted; were they bad, parts would be
//! uneven, never wrong.

use mapfold_data::input::{ReadBuffer, SplitReader};
use mapfold_data::merge::Cursor;
use mapfold_data::partition::Partitioner;
use mapfold_data::run::{ReadRunError, Run, RunBytes};
use mapfold_terms::{
    Boundaries, ByteSize, Codec, FailClass, Format, PartitionId, Piece, Plan, Split,
};

use crate::budget::Budget;
use crate::combine::MergeError;
use crate::emitter::Emitted;
use crate::job::group_of;
use crate::map_attempt::{RECORD_MAX_LEAST, end_records, finish, map_block, read_failed};
use crate::sink::Sink;
use crate::{Attempt, Job, SampleTask, TaskError};

/// Windows over the whole input. Opening and reading one takes 10 to 20 µs from the page cache.
const WINDOWS: u64 = 1024;

/// Bytes of a window; an input of up to [`WINDOWS`] times as much is looked at whole.
const WINDOW_BYTES: u64 = 8 << 10;

/// No further file is looked at beyond this much of files that are one record each.
const WHOLE_BYTES_MAX: u64 = 64 << 20;

/// For the sort buffer. Who looks does not know what memory the job has, so this is a part of the least.
const MEMORY: ByteSize = ByteSize::mib(3);

/// All boundaries together: they travel with each order, and a message is at most 1 MiB. At the most reduce tasks
/// that there may be, 13 bytes each.
const BOUNDARIES_BYTES_MAX: usize = 128 << 10;

/// Where the partitions of `task.plan` begin.
pub(crate) fn sample<J: Job>(job: &J, task: &SampleTask<'_>) -> Result<Boundaries, TaskError> {
    let maps = u32::try_from(task.plan.splits.len()).unwrap_or(u32::MAX);
    let attempt = Attempt::alone(maps, task.plan.reducers, None, task.scratch);
    let budget = Budget {
        attempt: &attempt,
        partitions: 1,
        partitioner: &Partitioner::Hash(1),
        memory: MEMORY,
        in_memory_max: ByteSize(0),
    };
    let mut emitted = Emitted::new(Sink::new(), &budget);
    let mut buffer = ReadBuffer::with_size(ByteSize(WINDOW_BYTES));
    for window in windows(task.plan) {
        let split = Split {
            index: 0,
            pieces: vec![window.piece],
        };
        let format = task.plan.format;
        let mut reader = SplitReader::with_buffer(&split, format, RECORD_MAX_LEAST, buffer);
        let mut left = window.bytes;
        while left > 0
            && let Some(block) = reader.next_block().map_err(read_failed)?
        {
            left = left.saturating_sub(block.bytes().len().max(1) as u64);
            match map_block(job, &block, 0, &budget, &mut emitted) {
                Err(TaskError::Failed(failure))
                    if failure.class == FailClass::Job && task.skip_bad => {}
                mapped => mapped?,
            }
        }
        buffer = reader.into_buffer();
    }
    match end_records(job, &budget, &mut emitted) {
        Err(TaskError::Failed(failure)) if failure.class == FailClass::Job && task.skip_bad => {}
        ended => ended?,
    }
    let finished = finish(job, &budget, emitted)?;
    let found = boundaries::<J>(finished.run, task.plan.reducers).map_err(MergeError::from)?;
    Ok(found)
}

/// A place to look at.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    piece: Piece,
    /// Unpacked bytes to read of it, to the end of the last record.
    bytes: u64,
}

/// The windows of a plan, in order.
fn windows(plan: &Plan) -> Vec<Window> {
    let step = plan.bytes.div_ceil(WINDOWS).max(WINDOW_BYTES);
    let mut windows = Vec::new();
    // How far into the piece at hand the next window begins.
    let mut skip = 0;
    let mut whole_bytes = 0;
    for piece in plan.splits.iter().flat_map(|split| &split.pieces) {
        let len = piece.end - piece.start;
        if skip >= len {
            skip -= len;
            continue;
        }
        let here = (len - skip).div_ceil(step);
        let first = skip;
        skip = first + here * step - len;
        let format = piece.file.format_or(plan.format);
        if format == Format::Files {
            whole_bytes += len;
            if whole_bytes > WHOLE_BYTES_MAX && !windows.is_empty() {
                break;
            }
        }
        let in_one =
            matches!(format, Format::Files | Format::Parquet) || piece.file.codec != Codec::Plain;
        if in_one || len <= WINDOW_BYTES {
            // A packed file can only be read from its begin, and of a Parquet file whole row groups.
            windows.push(Window {
                piece: piece.clone(),
                bytes: here * WINDOW_BYTES,
            });
            continue;
        }
        for number in 0..here {
            let start = piece.start + first + number * step;
            windows.push(Window {
                piece: Piece {
                    file: piece.file.clone(),
                    start: record_start(format, start.min(piece.end - WINDOW_BYTES)),
                    end: piece.end.min(start + step),
                },
                bytes: 1,
            });
        }
    }
    windows
}

/// Where a record of fixed length begins, at or before `offset`; a line's begin is found by the reader.
fn record_start(format: Format, offset: u64) -> u64 {
    match format {
        Format::Fixed(record) => offset - offset % u64::from(record.get()),
        _ => offset,
    }
}

/// Cuts the keys of a run, all in partition 0, into `ranges` ranges of equal numbers.
fn boundaries<J: Job>(run: RunBytes, ranges: u32) -> Result<Boundaries, ReadRunError> {
    let run = Run::open(run)?;
    let segment = run.segment(PartitionId(0))?;
    let mut cursor = segment.cursor();
    let mut keys: Vec<Box<[u8]>> = Vec::new();
    while cursor.advance()? {
        keys.push(group_of::<J>(cursor.key()).into());
    }
    Ok(cut(&keys, ranges as usize))
}

/// Cuts sorted keys.
fn cut(keys: &[Box<[u8]>], ranges: usize) -> Boundaries {
    let len_max = BOUNDARIES_BYTES_MAX / ranges.max(1);
    (1..ranges)
        .map(|range| (range * keys.len()) / ranges)
        .filter_map(|at| Some((keys.get(at.checked_sub(1)?)?, keys.get(at)?)))
        .map(|(before, key)| shortest_above(before, key, len_max))
        .collect()
}

/// The shortest beginning of `key` that is above `before`, or of the longest permitted length; all of the key if the two are equal.
fn shortest_above<'k>(before: &[u8], key: &'k [u8], len_max: usize) -> &'k [u8] {
    let pairs = before.iter().zip(key);
    let common = pairs.take_while(|(one, two)| one == two).count();
    let len = if common == before.len().max(key.len()) {
        common
    } else {
        common + 1
    };
    &key[..len.min(key.len()).min(len_max)]
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::path::Path;

    use mapfold_terms::{Fingerprint, InputFile, RawPath};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_cut(keys: &[&str], ranges: usize, want: &[&str]) {
        let keys: Vec<Box<[u8]>> = keys.iter().map(|key| key.as_bytes().into()).collect();
        let got = cut(&keys, ranges);
        let got: Vec<_> = got.iter().map(String::from_utf8_lossy).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn ranges_hold_equal_numbers_and_begin_as_short_as_can_be() {
        check_cut(&["aa", "abcd", "abef", "b"], 2, &["abe"]);
        check_cut(&["a", "b", "c", "d"], 4, &["b", "c", "d"]);
        check_cut(&["a", "a", "a", "ab"], 4, &["a", "a", "ab"]);
        check_cut(&["a", "b"], 1, &[]);
        check_cut(&[], 3, &[]);
        check_cut(&["a"], 3, &[]);
    }

    proptest! {
        #[test]
        fn boundaries_never_decrease(
            mut keys in vec(vec(0..3_u8, 0..6).prop_map(Vec::into_boxed_slice), 0..40),
            ranges in 1..9_usize,
        ) {
            keys.sort();
            let found = cut(&keys, ranges);
            prop_assert!(found.iter().is_sorted());
            prop_assert!(found.len() < ranges);
        }
    }

    fn plan(format: Format, codec: Codec, pieces: &[(u64, u64)]) -> Plan {
        let piece = |&(start, end)| {
            let name = RawPath::from(Path::new("a"));
            let fingerprint = Fingerprint {
                inode: 0,
                len: end,
                modified_ns: 0,
                changed_ns: 0,
            };
            let file = InputFile {
                name: name.clone(),
                path: name,
                codec,
                fingerprint,
                input: 0,
                format: None,
            };
            Piece { file, start, end }
        };
        Plan {
            format,
            splits: vec![Split {
                index: 0,
                pieces: pieces.iter().map(piece).collect(),
            }],
            files: pieces.len() as u64,
            bytes: pieces.iter().map(|(start, end)| end - start).sum(),
            reducers: 4,
        }
    }

    /// Begin and end of each window, and what is read of it.
    fn looked_at(plan: &Plan) -> Vec<(u64, u64, u64)> {
        let windows = windows(plan);
        let of = |window: &Window| (window.piece.start, window.piece.end, window.bytes);
        windows.iter().map(of).collect()
    }

    #[test]
    fn small_inputs_are_looked_at_whole() {
        let plan = plan(Format::Lines, Codec::Plain, &[(0, 20_000), (0, 100)]);
        let want = [(0, 8192, 1), (8192, 16384, 1), (11_808, 20_000, 1)];
        assert_eq!(looked_at(&plan)[..3], want);
    }

    #[test]
    fn large_inputs_are_looked_at_in_as_many_places_as_agreed() {
        let half = 5 << 30;
        let plan = plan(Format::Lines, Codec::Plain, &[(0, half), (half, 2 * half)]);
        let windows = looked_at(&plan);
        assert_eq!(windows.len() as u64, WINDOWS);
        assert!(windows.windows(2).all(|two| two[0].1 <= two[1].0));
    }

    #[test]
    fn fixed_records_are_looked_at_from_their_begin() {
        let format = Format::Fixed(NonZeroU32::new(100).unwrap());
        let plan = plan(format, Codec::Plain, &[(0, 1_000_000_000)]);
        assert!(
            looked_at(&plan)
                .iter()
                .all(|(start, _, _)| start % 100 == 0)
        );
    }

    #[test]
    fn packed_files_are_looked_at_from_their_begin() {
        let plan = plan(
            Format::Lines,
            Codec::Gzip,
            &[(0, 100_000), (0, 10), (0, 7000)],
        );
        let want = [(0, 100_000, 13 * 8192), (0, 7000, 8192)];
        assert_eq!(looked_at(&plan), want);
    }
}

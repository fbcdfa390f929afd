use std::os::unix::fs::FileExt;
use std::path::Path;

use mapfold_terms::{ByteSize, Digest, MasterEpoch, PartitionId, RunSummary, Token};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::key_bytes::KeyBytes;
use crate::merge::{Counted, Cursor as _};
use crate::packed_key::PackedKey;
use crate::scratch::{Scratch, ScratchRoot};

type Record = (u32, Vec<u8>, Vec<u8>);

const PARTITIONS: u32 = 5;
const TOKEN: Token = Token {
    epoch: MasterEpoch(3),
    counter: 77,
};
const IN_MEMORY: ByteSize = ByteSize(u64::MAX);

fn scratch() -> (tempfile::TempDir, Scratch) {
    let base = tempfile::tempdir().unwrap();
    let scratch = ScratchRoot::open(base.path()).unwrap().scratch("3-77");
    (base, scratch)
}

fn write(records: &[Record], in_memory_max: ByteSize, scratch: &Scratch) -> (RunBytes, RunSummary) {
    let mut writer = RunWriter::new(TOKEN, PARTITIONS, scratch.clone(), in_memory_max);
    for (partition, key, value) in records {
        writer.push(PartitionId(*partition), key, value).unwrap();
    }
    writer.finish().unwrap()
}

/// Every record of a run, or the first thing that is wrong with it.
fn read(bytes: RunBytes) -> Result<Vec<Record>, ReadRunError> {
    let run = Run::open(bytes)?;
    let mut records = Vec::new();
    for partition in 0..run.partitions() {
        let segment = run.segment(PartitionId(partition)).unwrap();
        let mut cursor = segment.cursor();
        while let Some((key, value)) = cursor.next()? {
            records.push((partition, key.to_vec(), value.to_vec()));
        }
    }
    Ok(records)
}

fn sorted_records() -> impl Strategy<Value = Vec<Record>> {
    let bytes = prop_oneof![
        8 => vec(any::<u8>(), 0..20),
        1 => vec(any::<u8>(), 100..300),
        1 => (60_000_usize..70_000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ];
    vec((0..PARTITIONS, bytes.clone(), bytes), 0..60).prop_map(|mut records| {
        records.sort();
        records
    })
}

/// The records of a run, each with how many of it follow each other. After some of them, those known to be the same are skipped.
fn read_counted(bytes: &RunBytes, skip_after: impl Fn(usize) -> bool) -> Vec<(Record, u32)> {
    let run = Run::open(bytes.clone()).unwrap();
    let mut counted = Vec::new();
    for partition in 0..PARTITIONS {
        let segment = run.segment(PartitionId(partition)).unwrap();
        let mut cursor = segment.cursor();
        let mut at = 0;
        while cursor.advance().unwrap() {
            at += 1;
            let skipped = if skip_after(at) {
                cursor.skip_same()
            } else {
                0
            };
            let record = (partition, cursor.key().to_vec(), cursor.value().to_vec());
            counted.push((record, 1 + skipped));
        }
    }
    merged(&counted)
}

/// Equal records that follow each other made one.
fn merged(counted: &[(Record, u32)]) -> Vec<(Record, u32)> {
    let same = counted.chunk_by(|one, two| one.0 == two.0);
    same.map(|same| (same[0].0.clone(), same.iter().map(|(_, times)| times).sum()))
        .collect()
}

fn small_run() -> (Vec<Record>, Vec<u8>) {
    let record = |partition, key: &str, value: &str| (partition, key.into(), value.into());
    let mut records = vec![
        record(0, "", ""),
        record(0, "a", "1"),
        record(0, "a", "2"),
        record(3, "b", "a longer value"),
    ];
    // Enough for two blocks in the last partition.
    records.push((4, vec![7; 40], vec![8; PAYLOAD]));
    records.push((4, vec![8; 40], vec![9; PAYLOAD]));
    let (_base, scratch) = scratch();
    let (bytes, _) = write(&records, IN_MEMORY, &scratch);
    (records, bytes.to_vec())
}

const PAYLOAD: usize = 40_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn values_encoded_in_place_give_the_same_bytes(mut records in sorted_records(), room in 0..200_000_usize) {
        records.dedup_by(|one, two| (one.0, &one.1) == (two.0, &two.1));
        let (_base, scratch) = scratch();
        for in_memory_max in [IN_MEMORY, ByteSize(0)] {
            let writer = RunWriter::new(TOKEN, PARTITIONS, scratch.clone(), in_memory_max);
            let mut writer = writer.with_room(room);
            for (partition, key, value) in &records {
                let packed = PackedKey::new(key).map(|packed| packed.bytes().into());
                let key = packed.unwrap_or_else(|| KeyBytes::from(key.as_slice()));
                let encode = |out: &mut Vec<u8>| out.extend_from_slice(value);
                writer.push_with(PartitionId(*partition), &key, encode).unwrap();
            }
            let (bytes, summary) = writer.finish().unwrap();
            let (want_bytes, want_summary) = write(&records, in_memory_max, &scratch);
            prop_assert_eq!(summary, want_summary);
            prop_assert!(bytes[..] == want_bytes[..]);
        }
    }

    #[test]
    fn records_that_are_counted_give_the_same_bytes(
        records in sorted_records(),
        values in vec((vec(0..2_u8, 0..3), prop_oneof![Just(1), 1..4_u32, 1..3000_u32]), 0..300),
    ) {
        let (_base, scratch) = scratch();
        let counted = |(value, times)| ((PARTITIONS - 1, vec![255; 25], value), times);
        let ones = records.into_iter().map(|record| (record, 1));
        let counted: Vec<(Record, u32)> = ones.chain(values.into_iter().map(counted)).collect();
        let mut writer = RunWriter::new(TOKEN, PARTITIONS, scratch.clone(), IN_MEMORY);
        let mut one_by_one = RunWriter::new(TOKEN, PARTITIONS, scratch.clone(), IN_MEMORY);
        let mut before = None;
        for ((partition, key, value), times) in &counted {
            let record = Counted {
                times: *times,
                repeats_key: before.replace((partition, key)) == Some((partition, key)),
                ..Counted::once(PartitionId(*partition), key, value)
            };
            writer.push_counted(&record).unwrap();
            for _ in 0..*times {
                one_by_one.push(record.partition, key, value).unwrap();
            }
        }
        let (bytes, summary) = writer.finish().unwrap();
        let (want_bytes, want_summary) = one_by_one.finish().unwrap();
        prop_assert_eq!(summary, want_summary);
        prop_assert!(bytes[..] == want_bytes[..]);
        prop_assert_eq!(read_counted(&bytes, |_| true), merged(&counted));
        prop_assert_eq!(read_counted(&bytes, |at| at % 3 > 0), merged(&counted));
    }

    #[test]
    fn a_run_reads_back_as_written_from_memory_or_file(records in sorted_records(), max in 0..300_000_u64) {
        let (_base, scratch) = scratch();
        let (memory, summary) = write(&records, IN_MEMORY, &scratch);
        let (file, same) = write(&records, ByteSize(max), &scratch);
        prop_assert_eq!(file.in_memory(), memory.len() as u64 <= max);
        prop_assert_eq!(summary, same);
        prop_assert!(memory[..] == file[..]);
        prop_assert_eq!(summary.bytes, memory.len() as u64);
        prop_assert_eq!(summary.records, records.len() as u64);
        let run = Run::open(memory.clone()).unwrap();
        prop_assert_eq!((run.token(), run.digest()), (TOKEN, summary.digest));
        prop_assert_eq!(&read(memory).unwrap(), &records);
        prop_assert_eq!(&read(file).unwrap(), &records);
    }

    #[test]
    fn the_digest_tells_different_records_apart(one in sorted_records(), two in sorted_records()) {
        let (_base, scratch) = scratch();
        let digests = [&one, &two].map(|records| write(records, IN_MEMORY, &scratch).1.digest);
        prop_assert_eq!(one == two, digests[0] == digests[1]);
    }
}

#[test]
fn the_bytes_are_those_of_the_documented_format() {
    let (_base, scratch) = scratch();
    let key = b"key".to_vec();
    let records = [
        (1, key.clone(), b"value".to_vec()),
        (1, key.clone(), b"2".to_vec()),
        (1, key.clone(), b"2".to_vec()),
        (1, key, b"2".to_vec()),
        (4, vec![], vec![]),
    ];
    let (bytes, summary) = write(&records, IN_MEMORY, &scratch);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let want = [
        "4d4652554e000300 03000000 4d00000000000000 05000000",
        "0f000000 04000000 0ef22dac0da85b01 0505 6b6579 76616c7565 0001 32 0102",
        "02000000 01000000 c62ea7458098f550 0200",
        "01000000 1800000000000000 1f00000000000000 0400000000000000 ac8d923a48b2a05a",
        "04000000 3700000000000000 1200000000000000 0100000000000000 2f5841787e266c21",
        "4900000000000000 4800000000000000 1ea6d0a68c7ba43e11ff0959b65da690 5994678c6babbebe 4e5552464d000300",
    ]
    .join("")
    .replace(' ', "");
    assert_eq!(hex, want, "digest {}", summary.digest);
}

#[test]
fn the_digest_is_not_that_of_the_attempt() {
    let (_base, scratch) = scratch();
    let digest = |counter| -> Digest {
        let token = Token { counter, ..TOKEN };
        let mut writer = RunWriter::new(token, PARTITIONS, scratch.clone(), IN_MEMORY);
        writer.push(PartitionId(2), b"key", b"value").unwrap();
        writer.finish().unwrap().1.digest
    };
    assert_eq!(digest(1), digest(2));
}

#[test]
fn any_changed_byte_is_an_error() {
    let (records, good) = small_run();
    assert_eq!(read(RunBytes::from(good.clone())).unwrap(), records);
    // Every byte but those deep inside the large values, of which a sample will do.
    let deep = |at: usize| at > 300 && at + 300 < good.len() && !at.is_multiple_of(997);
    for at in (0..good.len()).filter(|at| !deep(*at)) {
        for flip in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            let read = read(RunBytes::from(bad));
            assert!(
                read.is_err(),
                "byte {at} of {} changed by {flip:x}",
                good.len()
            );
        }
    }
}

#[test]
fn any_missing_or_added_byte_is_an_error() {
    let (_, good) = small_run();
    let deep = |at: usize| at > 300 && at + 300 < good.len() && !at.is_multiple_of(997);
    for length in (0..good.len()).filter(|length| !deep(*length)) {
        assert!(
            read(RunBytes::from(good[..length].to_vec())).is_err(),
            "{length}"
        );
        let mut cut = good.clone();
        cut.remove(length);
        assert!(read(RunBytes::from(cut)).is_err(), "without byte {length}");
        let mut grown = good.clone();
        grown.insert(length, 0);
        assert!(read(RunBytes::from(grown)).is_err(), "one more at {length}");
    }
    let grown = [good.as_slice(), &[0]].concat();
    assert!(read(RunBytes::from(grown)).is_err());
}

/// The segment of one partition with its bytes replaced.
fn forged(segment: &Segment, bytes: Vec<u8>) -> Result<(), ReadRunError> {
    let head = SegmentHead {
        bytes: bytes.len() as u64,
        ..segment.head()
    };
    Segment::from_parts(9, segment.partition(), head, RunBytes::from(bytes))?.verify()
}

#[test]
fn records_that_cannot_be_are_errors_even_with_the_right_checksum() {
    let verify = |records: u32, payload: &[u8]| {
        let partition = PartitionId(1);
        let checksum = layout::block_checksum(partition, 0, records, payload);
        let length = layout::length_u32(payload.len()).to_le_bytes();
        let header = [length, records.to_le_bytes()].concat();
        let block = [header, checksum.to_le_bytes().into(), payload.into()].concat();
        let head = SegmentHead {
            records: u64::from(records),
            checksum: layout::chain(0, checksum),
            bytes: block.len() as u64,
        };
        Segment::from_parts(0, partition, head, RunBytes::from(block))?.verify()
    };
    let is_corrupt = |records, payload: &[u8]| {
        let error = verify(records, payload).unwrap_err();
        matches!(error, ReadRunError::Corrupt { fault, .. } if fault == Fault::Record)
    };
    let whole = [3, 1, b'k', b'v'];
    verify(1, &whole).unwrap();
    verify(2, &[&whole[..], &[0, 1, b'w']].concat()).unwrap();
    verify(3, &[&whole[..], &[1, 2]].concat()).unwrap();
    for times in [0, 3, 127] {
        assert!(
            is_corrupt(3, &[&whole[..], &[1, times]].concat()),
            "{times}"
        );
    }
    assert!(is_corrupt(2, &[&whole[..], &[1, 1, 1, 1]].concat()));
    assert!(is_corrupt(2, &[&whole[..], &[1]].concat()));
    assert!(is_corrupt(2, &whole));
    // Nothing is before the first.
    assert!(is_corrupt(1, &[1, 1]));
    assert!(is_corrupt(1, &[0, 1, b'v']));
}

#[test]
fn blocks_that_were_swapped_dropped_or_doubled_are_errors() {
    let records: Vec<Record> = (0..3).map(|n| (1, vec![n], vec![n; PAYLOAD])).collect();
    let (_base, scratch) = scratch();
    let (bytes, _) = write(&records, IN_MEMORY, &scratch);
    let segment = Run::open(bytes).unwrap().segment(PartitionId(1)).unwrap();
    let blocks: Vec<&[u8]> = segment.bytes().chunks(segment.bytes().len() / 3).collect();
    let check = |order: &[usize], good: bool| {
        let bytes: Vec<u8> = order.iter().flat_map(|n| blocks[*n].to_vec()).collect();
        assert_eq!(forged(&segment, bytes).is_ok(), good, "{order:?}");
    };
    check(&[0, 1, 2], true);
    check(&[1, 0, 2], false);
    check(&[0, 2, 1], false);
    check(&[0, 1], false);
    check(&[1, 2], false);
    check(&[0, 1, 2, 2], false);
    check(&[], false);
}

#[test]
fn a_block_of_another_run_is_an_error() {
    let write_one = |value: u8| {
        let (_base, scratch) = scratch();
        let (bytes, _) = write(&[(1, vec![1], vec![value])], IN_MEMORY, &scratch);
        Run::open(bytes).unwrap().segment(PartitionId(1)).unwrap()
    };
    let (one, two) = (write_one(1), write_one(2));
    assert!(forged(&one, one.bytes().to_vec()).is_ok());
    let error = forged(&one, two.bytes().to_vec()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "what was fetched of map task 9 is corrupt at byte 20: the partition's checksum does not match"
    );
}

#[test]
fn a_segment_that_is_not_as_long_as_said_is_an_error() {
    let head = SegmentHead {
        records: 0,
        checksum: 0,
        bytes: 1,
    };
    let none = RunBytes::from(Vec::new());
    assert!(Segment::from_parts(0, PartitionId(0), head, none).is_err());
}

#[test]
fn files_are_deleted_with_the_last_clone() {
    let (_base, scratch) = scratch();
    let (bytes, _) = write(&[(0, vec![1], vec![2])], ByteSize(0), &scratch);
    let path = bytes.path().unwrap().to_owned();
    let foreign = RunBytes::open(&path).unwrap();
    let segment = Run::open(bytes).unwrap().segment(PartitionId(0)).unwrap();
    assert!(path.exists());
    drop(segment);
    assert!(!path.exists());
    assert_eq!(
        read(foreign).unwrap().len(),
        1,
        "who mapped it still reads it"
    );
}

/// Somebody cuts the file while it is mapped, or the disk is bad: before the first block is read, and between its verification and
/// the end of its records.
#[test]
fn a_file_that_is_cut_while_it_is_read_is_an_error() {
    let records: Vec<Record> = (0..40_u8).map(|n| (0, vec![n], vec![n; 5000])).collect();
    for read_before in [0, 1, 13, 39] {
        let (_base, scratch) = scratch();
        let (bytes, _) = write(&records, ByteSize(0), &scratch);
        let file = bytes.path().unwrap().to_owned();
        let run = Run::open(bytes).unwrap();
        let segment = run.segment(PartitionId(0)).unwrap();
        let mut cursor = segment.cursor();
        for _ in 0..read_before {
            assert!(cursor.next().unwrap().is_some());
        }
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_len(10).unwrap();
        let error = loop {
            match cursor.next() {
                Ok(record) => assert!(record.is_some(), "the run reads to its end"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ReadRunError::Corrupt { .. }), "{error}");
    }
}

/// The disk gives zeros in place of the index, when the run has long been opened, and says nothing.
#[test]
fn an_index_that_changes_in_its_file_is_an_error() {
    let (_base, scratch) = scratch();
    let (bytes, summary) = write(&[(1, vec![1], vec![2])], ByteSize(0), &scratch);
    let file = bytes.path().unwrap().to_owned();
    let run = Run::open(bytes).unwrap();
    assert_eq!(
        run.next_present(PartitionId(0)).unwrap(),
        Some(PartitionId(1))
    );
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.write_all_at(&[0; 84], summary.bytes - 84).unwrap();
    assert!(run.next_present(PartitionId(0)).is_err());
    for partition in 0..PARTITIONS {
        let error = run.segment(PartitionId(partition)).unwrap_err();
        assert!(error.to_string().contains("checksum of header and index"));
    }
}

#[test]
fn a_record_beyond_the_limit_is_refused() {
    let (_base, scratch) = scratch();
    let mut writer = RunWriter::new(TOKEN, 1, scratch, ByteSize(0));
    let value = vec![0; RECORD_BYTES_MAX];
    assert!(matches!(
        writer.push(PartitionId(0), b"k", &value),
        Err(WriteRunError::RecordTooLong { .. })
    ));
}

/// KiB of a mapped file that occupy memory of this process.
fn resident_kib(path: &Path) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let from = maps.find(path.to_str().unwrap()).unwrap();
    let line = maps[from..]
        .lines()
        .find(|line| line.starts_with("Rss:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_large_run_is_read_with_the_memory_behind_given_back() {
    let (_base, scratch) = scratch();
    let mut writer = RunWriter::new(TOKEN, PARTITIONS, scratch, ByteSize::kib(100));
    for n in 0..80_000_u32 {
        let partition = PartitionId(n / 20_000);
        writer.push(partition, &n.to_be_bytes(), &[7; 200]).unwrap();
    }
    let (bytes, summary) = writer.finish().unwrap();
    assert!(summary.bytes > 15 << 20);
    let path = bytes.path().unwrap().to_owned();
    let run = Run::open(bytes).unwrap();
    let (mut records, mut most) = (0, 0);
    for partition in 0..PARTITIONS {
        let segment = run.segment(PartitionId(partition)).unwrap();
        let mut cursor = segment.cursor();
        while cursor.next().unwrap().is_some() {
            records += 1;
            if records % 1000 == 0 {
                most = most.max(resident_kib(&path));
            }
        }
    }
    assert_eq!(records, summary.records);
    assert!(most < 1024, "{most} KiB");
}

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;

use mapfold_terms::{Codec, FailClass, Plan};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::testing::{Folder, gzip, lz4, packed, zstd};
use super::super::{Change, plan};
use super::*;

/// A record as a test compares it: name of the file, offset, content.
type Seen = (Vec<u8>, u64, Vec<u8>);

/// What the reader should find, by the most naive reading of the whole file.
fn naive(name: &str, format: Format, bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut see = |offset: usize, content: &[u8]| {
        seen.push((name.into(), offset as u64, content.to_vec()));
    };
    match format {
        Format::Files => see(0, bytes),
        Format::Fixed(record) => {
            let record = record.get() as usize;
            for (index, content) in bytes.chunks(record).enumerate() {
                see(index * record, content);
            }
        }
        Format::Lines | Format::NLine(_) | Format::Csv(_) => {
            let rows = matches!(format, Format::Csv(_));
            let mut offset = 0;
            for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                let content = match line {
                    [content @ .., b'\r', b'\n'] | [content @ .., b'\n'] => content,
                    content => content,
                };
                if !rows || offset > 0 && !content.is_empty() {
                    see(offset, content);
                }
                offset += line.len();
            }
        }
        Format::Parquet => unreachable!("it has tests of its own"),
    }
    seen
}

/// Reads a whole plan with one buffer of `size` bytes. Checks what must hold of every block.
fn read_all(plan: &Plan, limit: ByteSize, size: usize) -> Result<Vec<Seen>, ReadSplitError> {
    let mut seen = Vec::new();
    let mut buffer = ReadBuffer::with_size(ByteSize(size as u64));
    for split in &plan.splits {
        let mut reader = SplitReader::with_buffer(split, plan.format, limit, buffer);
        let mut bytes_read = 0;
        while let Some(block) = reader.next_block()? {
            let mut offset = block.offset();
            assert_eq!(
                block.header().is_some(),
                matches!(plan.format, Format::Csv(_))
            );
            for record in block.records() {
                assert!(record.offset >= offset, "records follow each other");
                assert_eq!(record.file, block.file());
                offset = record.offset + record.bytes.len() as u64;
                seen.push((
                    record.file.name.as_bytes().to_vec(),
                    record.offset,
                    record.bytes.to_vec(),
                ));
            }
            assert!(
                reader.bytes_read() >= bytes_read,
                "progress never goes back"
            );
            bytes_read = reader.bytes_read();
            assert!(bytes_read <= split.bytes());
        }
        assert_eq!(reader.bytes_read(), split.bytes());
        buffer = reader.into_buffer();
    }
    Ok(seen)
}

/// The pieces of the plan, put together, are exactly the files.
fn assert_tiles(plan: &Plan, files: &[InputFile]) {
    let mut files = files.iter();
    let mut open: Option<(&InputFile, u64)> = None;
    for piece in plan.splits.iter().flat_map(|split| &split.pieces) {
        let (file, at) = open.take().unwrap_or_else(|| (files.next().unwrap(), 0));
        assert_eq!((&piece.file, piece.start), (file, at));
        assert!(piece.end > piece.start || file.fingerprint.len == 0);
        if piece.end < file.fingerprint.len {
            open = Some((file, piece.end));
        } else {
            assert_eq!(piece.end, file.fingerprint.len);
        }
    }
    assert!(open.is_none() && files.next().is_none());
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => Just(b"\n".to_vec()),
        3 => Just(b"\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        4 => vec(b'a'..=b'z', 1..8),
        1 => vec(b'A'..=b'Z', 50..150),
        1 => Just(b"\0".to_vec()),
        1 => Just(b"\xff\xfe".to_vec()),
        1 => Just(b"\xef\xbb\xbf".to_vec()),
    ];
    vec(token, 0..30).prop_map(|tokens| tokens.concat())
}

fn format() -> impl Strategy<Value = Format> {
    let n = (1_u32..8).prop_map(|n| NonZeroU32::new(n).unwrap());
    prop_oneof![
        4 => Just(Format::Lines),
        4 => Just(Format::CSV),
        1 => Just(Format::Files),
        2 => n.clone().prop_map(Format::NLine),
        2 => n.prop_map(Format::Fixed),
    ]
}

fn codec() -> impl Strategy<Value = Codec> {
    prop_oneof![3 => Just(Codec::Plain), 1 => Just(Codec::Gzip), 1 => Just(Codec::Zstd), 1 => Just(Codec::Lz4), 1 => Just(Codec::Bzip2), 1 => Just(Codec::Deflate)]
}

/// Writes `contents` as input files, each packed as told, and lists them.
fn write(folder: &Folder, contents: &[(Vec<u8>, Codec)]) -> Vec<InputFile> {
    let mut names = Vec::new();
    for (index, (bytes, codec)) in contents.iter().enumerate() {
        let (extension, stored) = match codec {
            Codec::Plain => ("txt", bytes.clone()),
            Codec::Gzip => ("gz", gzip(bytes)),
            Codec::Zstd => ("zst", zstd(bytes)),
            Codec::Lz4 => ("lz4", lz4(bytes)),
            Codec::Bzip2 => ("bz2", packed(*codec, bytes)),
            Codec::Deflate => ("deflate", packed(*codec, bytes)),
        };
        let name = format!("{index}.{extension}");
        folder.write(&name, &stored);
        names.push(name);
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    folder.discover(&names).unwrap()
}

proptest! {
    #[test]
    fn splits_tile_the_input_and_each_record_is_read_once(
        mut contents in vec((content(), codec()), 0..5),
        format in format(),
        split_size in prop_oneof![1_u64..20, 20_u64..500],
        buffer_size in prop_oneof![1_usize..20, 20_usize..500],
    ) {
        if let Format::Fixed(record) = format {
            for (bytes, _) in &mut contents {
                bytes.truncate(bytes.len() - bytes.len() % record.get() as usize);
            }
        }
        let folder = Folder::new();
        let files = write(&folder, &contents);
        let plan = plan(files.clone(), format, Some(ByteSize(split_size)), None).unwrap();
        assert_tiles(&plan, &files);
        let want: Vec<_> = files
            .iter()
            .zip(&contents)
            .flat_map(|(file, (bytes, _))| naive(&file.name.display().to_string(), format, bytes))
            .collect();
        prop_assert_eq!(read_all(&plan, ByteSize::mib(1), buffer_size).unwrap(), want);
    }

    #[test]
    fn a_record_is_too_long_wherever_cuts_and_blocks_fall(
        bytes in content(),
        packed in codec(),
        split_size in 1_u64..100,
        buffer_size in 1_usize..50,
        limit in 1_u64..100,
    ) {
        let folder = Folder::new();
        let files = write(&folder, &[(bytes.clone(), packed)]);
        let plan = plan(files, Format::Lines, Some(ByteSize(split_size)), None).unwrap();
        let want = naive("", Format::Lines, &bytes);
        let limit = limit.max(buffer_size as u64);
        let too_long = |slack, content: &[u8]| content.len() as u64 > limit + slack;
        match read_all(&plan, ByteSize(limit), buffer_size) {
            // A line end may add two bytes to what must fit.
            Ok(_) => prop_assert!(!want.iter().any(|(_, _, content)| too_long(2, content))),
            Err(ReadSplitError::RecordTooLong { offset, excerpt, limit: told, .. }) => {
                let at = want.iter().position(|(_, first, _)| *first == offset).unwrap();
                let (before, rest) = want.split_at(at);
                prop_assert!(too_long(0, &rest[0].2));
                prop_assert!(!before.iter().any(|(_, _, content)| too_long(2, content)));
                let stored = &bytes[usize::try_from(offset).unwrap()..];
                prop_assert!(stored.starts_with(&excerpt) && !excerpt.is_empty());
                prop_assert_eq!(told.bytes(), limit);
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}

#[test]
fn every_short_file_reads_right_for_every_cut_and_buffer() {
    let folder = Folder::new();
    for len in 0..=5_u32 {
        for number in 0..3_usize.pow(len) {
            let digit = |place| b"a\n\r"[number / 3_usize.pow(place) % 3];
            let bytes: Vec<u8> = (0..len).map(digit).collect();
            folder.write("f", &bytes);
            let files = folder.discover(&["f"]).unwrap();
            let want = naive("f", Format::Lines, &bytes);
            for split_size in 1..=u64::from(len.max(1)) {
                let size = Some(ByteSize(split_size));
                let plan = plan(files.clone(), Format::Lines, size, None).unwrap();
                for buffer in 1..=3 {
                    let got = read_all(&plan, ByteSize::kib(1), buffer).unwrap();
                    assert_eq!(got, want, "{bytes:?} {split_size} {buffer}");
                }
            }
        }
    }
}

/// Reads `name` as one split in blocks of a few bytes; after the first block, `meanwhile` happens.
fn read_while(
    folder: &Folder,
    name: &str,
    meanwhile: impl FnOnce(&std::path::Path),
) -> Result<(), ReadSplitError> {
    let files = folder.discover(&[name]).unwrap();
    let plan = plan(files, Format::Lines, None, None).unwrap();
    let buffer = ReadBuffer::with_size(ByteSize(16));
    let mut reader =
        SplitReader::with_buffer(&plan.splits[0], Format::Lines, ByteSize::kib(1), buffer);
    assert!(reader.next_block()?.is_some());
    meanwhile(&folder.path(name));
    while reader.next_block()?.is_some() {}
    Ok(())
}

/// Reads the file `name` when it has changed after it was planned.
fn read_after(
    folder: &Folder,
    name: &str,
    before: impl FnOnce(&std::path::Path),
) -> Result<(), ReadSplitError> {
    let files = folder.discover(&[name]).unwrap();
    let plan = plan(files, Format::Lines, None, None).unwrap();
    before(&folder.path(name));
    read_all(&plan, ByteSize::kib(1), 16).map(drop)
}

#[track_caller]
fn assert_changed(result: Result<(), ReadSplitError>, want: Change) {
    match result {
        Err(ReadSplitError::Changed { name, change }) => {
            assert_eq!(
                (name.display().to_string().as_str(), change),
                ("in/f", want)
            );
        }
        other => panic!("{other:?}"),
    }
}

fn lines(count: usize) -> Vec<u8> {
    b"0123456\n".repeat(count)
}

fn append(path: &std::path::Path) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(b"more\n").unwrap();
}

fn truncate(path: &std::path::Path) {
    OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(20)
        .unwrap();
}

fn overwrite(path: &std::path::Path) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(b"OTHER").unwrap();
}

fn replace(path: &std::path::Path) {
    let other = path.with_extension("new");
    fs::copy(path, &other).unwrap();
    fs::rename(other, path).unwrap();
}

/// Times of the file system advance in ticks, so repeats until the change can be seen.
fn change_mode(path: &std::path::Path) {
    use std::os::unix::fs::MetadataExt;
    let before = fs::metadata(path).unwrap();
    let changed = |now: fs::Metadata| {
        (now.ctime(), now.ctime_nsec()) != (before.ctime(), before.ctime_nsec())
    };
    while !changed(fs::metadata(path).unwrap()) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn a_file_that_changes_fails_by_its_name() {
    let length = |now| Change::Length { planned: 800, now };
    for (change, want) in [
        (append as fn(&std::path::Path), length(805)),
        (truncate, length(20)),
        (overwrite, Change::Written),
        (change_mode, Change::Attributes),
    ] {
        let folder = Folder::new();
        folder.write("in/f", &lines(100));
        assert_changed(read_after(&folder, "in/f", change), want);
        folder.write("in/f", &lines(100));
        assert_changed(read_while(&folder, "in/f", change), want);
    }
    let folder = Folder::new();
    folder.write("in/f", &lines(100));
    assert_changed(read_after(&folder, "in/f", replace), Change::Replaced);
}

#[test]
fn a_file_that_changes_after_its_last_block_fails_too() {
    let folder = Folder::new();
    folder.write("in/f", b"short\n");
    assert_changed(
        read_while(&folder, "in/f", append),
        Change::Length {
            planned: 6,
            now: 11,
        },
    );
}

#[test]
fn a_packed_file_that_shrinks_has_changed_rather_than_rotted() {
    let folder = Folder::new();
    let noise: Vec<u8> = (0..200_000_u32)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes())
        .collect();
    let packed = [
        ("f.gz", gzip(&noise)),
        ("f.zst", zstd(&noise)),
        ("f.lz4", lz4(&noise)),
    ];
    for (name, stored) in packed {
        assert!(stored.len() > 200_000, "more than is read ahead");
        folder.write(name, &stored);
        let files = folder.discover(&[name]).unwrap();
        let plan = plan(files, Format::Files, None, None).unwrap();
        let piece = &plan.splits[0].pieces[0];
        let mut source = Source::open(&piece.file).unwrap();
        let mut buffer = ReadBuffer::with_size(ByteSize(16));
        source.fill(&mut buffer, 16).unwrap();
        truncate(&folder.path(name));
        let error = source.fill(&mut buffer, 1 << 20).unwrap_err();
        assert!(matches!(error, ReadSplitError::Changed { .. }), "{error}");
    }
}

#[test]
fn a_file_that_is_gone_is_the_inputs_fault() {
    let folder = Folder::new();
    folder.write("in/f", b"a\n");
    let error = read_after(&folder, "in/f", |path| fs::remove_file(path).unwrap()).unwrap_err();
    let failure = error.into_failure();
    assert_eq!(failure.class, FailClass::Input);
    assert_eq!(
        failure.chain,
        [
            "cannot open input in/f",
            "No such file or directory (os error 2)"
        ]
    );
    assert!(failure.hint.unwrap().contains("each worker must see it"));
}

#[test]
fn a_file_that_became_a_pipe_does_not_block() {
    let folder = Folder::new();
    folder.write("in/f", b"a\n");
    let result = read_after(&folder, "in/f", |path| {
        fs::remove_file(path).unwrap();
        let parent = File::open(path.parent().unwrap()).unwrap();
        // A file in between, so that the pipe does not get the inode that was just freed.
        fs::write(path.with_extension("other"), "").unwrap();
        rustix::fs::mkfifoat(parent, "f", rustix::fs::Mode::RUSR).unwrap();
    });
    assert!(
        matches!(result, Err(ReadSplitError::Changed { .. })),
        "{result:?}"
    );
}

#[test]
fn a_worker_without_descriptors_or_memory_is_not_the_inputs_fault() {
    for (errno, want) in [
        (rustix::io::Errno::MFILE, FailClass::Worker),
        (rustix::io::Errno::NOMEM, FailClass::Worker),
        (rustix::io::Errno::STALE, FailClass::Worker),
        (rustix::io::Errno::IO, FailClass::Input),
        (rustix::io::Errno::ACCESS, FailClass::Input),
        (rustix::io::Errno::LOOP, FailClass::Input),
    ] {
        let error = ReadSplitError::Open {
            name: std::path::Path::new("f").into(),
            source: io::Error::from(errno),
        };
        assert_eq!(error.class(), want, "{errno}");
    }
}

/// Reads one stored file whole.
fn read_stored(name: &str, stored: &[u8], format: Format) -> Result<Vec<Seen>, ReadSplitError> {
    let folder = Folder::new();
    folder.write(name, stored);
    let plan = plan(folder.discover(&[name]).unwrap(), format, None, None).unwrap();
    read_all(&plan, ByteSize::mib(1), 1000)
}

#[test]
fn packed_files_of_several_members_or_frames_are_read_through() {
    let parts = [b"a\nb".as_slice(), b"", b"c\n", &lines(10_000)];
    let want = naive("", Format::Lines, &parts.concat());
    let content = |seen: Vec<Seen>| {
        seen.into_iter()
            .map(|(_, at, bytes)| (at, bytes))
            .collect::<Vec<_>>()
    };
    let gz = parts.map(gzip).concat();
    let zst = parts.map(zstd).concat();
    let lz4 = parts.map(lz4).concat();
    let want = content(want);
    for (name, stored) in [("f.gz", gz), ("f.zst", zst), ("f.lz4", lz4)] {
        let seen = read_stored(name, &stored, Format::Lines).unwrap();
        assert_eq!(content(seen), want, "{name}");
    }
}

#[test]
fn a_packed_file_that_is_cut_short_or_damaged_is_an_error() {
    let text = lines(20_000);
    let packed = [
        ("f.gz", gzip(&text)),
        ("f.zst", zstd(&text)),
        ("f.lz4", lz4(&text)),
    ];
    for (name, stored) in packed {
        let mut bad_middle = stored.clone();
        let middle = bad_middle.len() / 2;
        bad_middle[middle] ^= 0x55;
        let mut bad_end = stored.clone();
        bad_end.extend(b"garbage");
        let cut = [1, 4, 8, stored.len() / 2].map(|less| stored[..stored.len() - less].to_vec());
        for damaged in cut.into_iter().chain([bad_middle, bad_end]) {
            let error = read_stored(name, &damaged, Format::Lines).unwrap_err();
            assert!(matches!(error, ReadSplitError::Corrupt { .. }), "{error}");
            assert_eq!(error.class(), FailClass::Input);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

#[test]
fn a_packed_file_of_half_a_record_is_an_error() {
    let three = Format::Fixed(NonZeroU32::new(3).unwrap());
    let error = read_stored("f.gz", &gzip(b"abcdefgh"), three).unwrap_err();
    assert_eq!(
        error.to_string(),
        "f.gz ends with 2 bytes at byte 6, which is no whole record of 3 bytes"
    );
}

#[test]
fn empty_files_are_shown_to_the_job() {
    let folder = Folder::new();
    folder.write("a", b"");
    folder.write("b.zst", b"");
    folder.write("c.gz", &gzip(b""));
    folder.write("d.zst", &zstd(b""));
    folder.write("e.lz4", &lz4(b""));
    let names = ["a", "b.zst", "c.gz", "d.zst", "e.lz4"];
    let files = folder.discover(&names).unwrap();
    for format in ["lines", "files", "nline:2", "fixed:4"] {
        let plan = plan(files.clone(), format.parse().unwrap(), None, None).unwrap();
        let mut seen = Vec::new();
        for split in &plan.splits {
            let mut reader = SplitReader::new(split, plan.format, ByteSize::kib(1));
            while let Some(block) = reader.next_block().unwrap() {
                assert_eq!((block.offset(), block.bytes()), (0, &b""[..]));
                assert_eq!(block.records().count(), usize::from(format == "files"));
                seen.push(block.file().name.display().to_string());
            }
        }
        assert_eq!(seen, names, "{format}");
    }
}

#[test]
fn a_gzip_file_without_a_byte_is_cut_short() {
    let folder = Folder::new();
    folder.write("a.gz", b"");
    let files = folder.discover(&["a.gz"]).unwrap();
    let plan = plan(files, Format::Lines, None, None).unwrap();
    let mut reader = SplitReader::new(&plan.splits[0], Format::Lines, ByteSize::mib(64));
    let error = reader.next_block().map(drop).unwrap_err();
    assert!(matches!(error, ReadSplitError::Corrupt { .. }), "{error}");
}

#[test]
fn a_small_file_is_one_block_with_or_without_a_last_line_end() {
    let folder = Folder::new();
    folder.write("a", b"x\ny\nz");
    folder.write("b", b"x\ny\n");
    let files = folder.discover(&["a", "b"]).unwrap();
    let plan = plan(files, Format::Lines, None, None).unwrap();
    let mut reader = SplitReader::new(&plan.splits[0], plan.format, ByteSize::kib(1));
    for want in [&b"x\ny\nz"[..], b"x\ny\n"] {
        assert_eq!(reader.next_block().unwrap().unwrap().bytes(), want);
    }
    assert!(reader.next_block().unwrap().is_none());
}

/// The lines of a piece that fits into the buffer, wherever it begins, and the one that crosses its end.
#[test]
fn a_small_piece_is_two_blocks_at_most() {
    let folder = Folder::new();
    folder.write("f", &lines(10_000));
    let files = folder.discover(&["f"]).unwrap();
    let plan = plan(files, Format::Lines, Some(ByteSize::kib(8)), None).unwrap();
    assert!(plan.splits.len() > 5);
    for split in &plan.splits {
        let mut reader = SplitReader::new(split, plan.format, ByteSize::kib(1));
        let mut blocks = 0;
        while reader.next_block().unwrap().is_some() {
            blocks += 1;
        }
        assert!(blocks <= 2, "{blocks} blocks of split {}", split.index);
    }
}

#[test]
fn a_line_over_many_splits_is_skipped_with_little_memory() {
    let folder = Folder::new();
    folder.write_sparse("f", 32 << 20);
    let files = folder.discover(&["f"]).unwrap();
    let plan = plan(files, Format::Lines, Some(ByteSize::mib(4)), None).unwrap();
    assert_eq!(plan.splits.len(), 8);
    for split in &plan.splits {
        let mut reader = SplitReader::new(split, Format::Lines, ByteSize::mib(1));
        match reader.next_block() {
            Err(error) if split.index == 0 => {
                let failure = error.into_failure();
                assert_eq!(
                    failure.to_string(),
                    "the record at byte 0 of f is longer than 1.00 MiB"
                );
                assert_eq!(failure.class, FailClass::Input);
                assert_eq!(failure.at.unwrap().excerpt.len(), RecordAt::EXCERPT_MAX);
            }
            Ok(None) if split.index > 0 => assert_eq!(reader.bytes_read(), split.bytes()),
            other => panic!("split {}: {:?}", split.index, other.map(|_| ())),
        }
        assert!(reader.into_buffer().held() <= (1 << 20) + 2);
    }
}

#[test]
fn memory_for_a_long_record_is_given_back() {
    let folder = Folder::new();
    let long = [&lines(100), &[b'x'; 100_000][..], b"\n", &lines(20_000)].concat();
    folder.write("f", &long);
    let plan = plan(folder.discover(&["f"]).unwrap(), Format::Lines, None, None).unwrap();
    let read = |blocks: usize| {
        let buffer = ReadBuffer::with_size(ByteSize(64));
        let mut reader =
            SplitReader::with_buffer(&plan.splits[0], plan.format, ByteSize::mib(1), buffer);
        let mut held = Vec::new();
        while held.len() < blocks && reader.next_block().unwrap().is_some() {
            held.push(reader.buffer.held());
        }
        (held, reader.into_buffer().held())
    };
    let (held, after) = read(usize::MAX);
    let grown = held.iter().position(|&bytes| bytes > 64).unwrap();
    assert_eq!(
        held[grown],
        1 << 17,
        "the power of two that the record needs"
    );
    assert!(held[grown + 1..].iter().all(|&bytes| bytes == 64));
    assert_eq!(after, 64);
    assert_eq!(read(grown + 1).1, 64);
}

#[test]
fn a_file_that_does_not_fit_is_refused_before_it_is_read() {
    let folder = Folder::new();
    folder.write_sparse("f", 1 << 40);
    let plan = plan(folder.discover(&["f"]).unwrap(), Format::Files, None, None).unwrap();
    let mut reader = SplitReader::new(&plan.splits[0], Format::Files, ByteSize::mib(1));
    let error = reader.next_block().unwrap_err();
    assert!(
        matches!(error, ReadSplitError::RecordTooLong { offset: 0, .. }),
        "{error}"
    );
}

#[test]
fn every_piece_of_a_file_of_rows_knows_its_header() {
    let folder = Folder::new();
    folder.write("a.csv", b"\xef\xbb\xbfid,name\r\n1,x\r\n\r\n22,y\n333,z");
    folder.write("b.csv", b"name,id\n");
    let files = folder.discover(&["a.csv", "b.csv"]).unwrap();
    for size in 1..50 {
        let plan = plan(files.clone(), Format::CSV, Some(ByteSize(size)), None).unwrap();
        let mut seen = Vec::new();
        for split in &plan.splits {
            let mut reader = SplitReader::new(split, plan.format, ByteSize::mib(1));
            while let Some(block) = reader.next_block().unwrap() {
                let header = block.header().unwrap();
                let first = if block.file().name.as_bytes() == b"a.csv" {
                    "id"
                } else {
                    "name"
                };
                assert_eq!(header.column(first), Some(0), "splits of {size}");
                assert_eq!((header.names().len(), header.delimiter()), (2, b','));
                seen.extend(block.records().map(|row| row.text().into_owned()));
            }
        }
        assert_eq!(seen, ["1,x", "22,y", "333,z"], "splits of {size}");
    }
}

#[test]
fn a_header_that_is_none_is_told() {
    let folder = Folder::new();
    folder.write("a", b"id,\"name\n1,x\n");
    let plan = plan(folder.discover(&["a"]).unwrap(), Format::CSV, None, None).unwrap();
    let mut reader = SplitReader::new(&plan.splits[0], plan.format, ByteSize::mib(1));
    let error = reader.next_block().unwrap_err();
    assert!(matches!(error, ReadSplitError::Header { .. }));
    assert_eq!(error.class(), FailClass::Input);
}

#[test]
fn files_of_one_split_may_have_formats_of_their_own() {
    let folder = Folder::new();
    folder.write("rows", b"id,name\n1,x\n2,y\n");
    folder.write("lines", b"one\ntwo\n");
    folder.write("whole", b"a\nb\n");
    folder.write("bytes", b"aabb");
    let mut files = folder
        .discover(&["rows", "lines", "whole", "bytes"])
        .unwrap();
    let two = Format::Fixed(NonZeroU32::new(2).unwrap());
    let formats = [Some(Format::CSV), None, Some(Format::Files), Some(two)];
    for (file, format) in files.iter_mut().zip(formats) {
        file.format = format;
    }
    for size in [1, 3, 8, 1000] {
        let plan = plan(files.clone(), Format::Lines, Some(ByteSize(size)), None).unwrap();
        let mut seen = Vec::new();
        for split in &plan.splits {
            let mut reader = SplitReader::new(split, plan.format, ByteSize::mib(1));
            while let Some(block) = reader.next_block().unwrap() {
                let is_table = block.file().name.as_bytes() == b"rows";
                assert_eq!(block.header().is_some(), is_table, "splits of {size}");
                seen.extend(block.records().map(|it| it.text().into_owned()));
            }
            assert_eq!(reader.bytes_read(), split.bytes());
        }
        let want = ["1,x", "2,y", "one", "two", "a\nb\n", "aa", "bb"];
        assert_eq!(seen, want, "splits of {size}");
        assert!(size < 1000 || plan.splits.len() == 1);
    }
}

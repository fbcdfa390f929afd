use mapfold_terms::Fingerprint;

use super::super::packing::{NAME_BYTES_MAX, PIECES_MAX};
use super::super::testing::Folder;
use super::*;

fn file(name: &str, len: u64, codec: Codec) -> InputFile {
    let name = RawPath::from(std::path::Path::new(name));
    InputFile {
        path: name.clone(),
        name,
        codec,
        fingerprint: Fingerprint {
            inode: 1,
            len,
            modified_ns: 0,
            changed_ns: 0,
        },
        input: 0,
        format: None,
    }
}

/// The splits of plain files, each as the ranges it reads.
fn ranges(plan: &Plan) -> Vec<Vec<(u64, u64)>> {
    let pieces = |pieces: &[Piece]| {
        pieces
            .iter()
            .map(|piece| (piece.start, piece.end))
            .collect()
    };
    plan.splits
        .iter()
        .map(|split| pieces(&split.pieces))
        .collect()
}

#[track_caller]
fn check(format: &str, lens: &[u64], split_size: u64, want: &[&[(u64, u64)]]) {
    let files = lens
        .iter()
        .map(|&len| file("f", len, Codec::Plain))
        .collect();
    let size = Some(ByteSize(split_size));
    let plan = plan(files, format.parse().unwrap(), size, None).unwrap();
    assert_eq!(ranges(&plan), want);
    assert_eq!(plan.files, lens.len() as u64);
    assert_eq!(plan.bytes, lens.iter().sum::<u64>());
    for (index, split) in plan.splits.iter().enumerate() {
        assert_eq!(split.index as usize, index);
    }
}

#[test]
fn large_files_are_cut_and_a_small_rest_joins_the_last_piece() {
    check("lines", &[], 100, &[]);
    check(
        "lines",
        &[300],
        100,
        &[&[(0, 100)], &[(100, 200)], &[(200, 300)]],
    );
    check("lines", &[210], 100, &[&[(0, 100)], &[(100, 210)]]);
    check(
        "lines",
        &[211],
        100,
        &[&[(0, 100)], &[(100, 200)], &[(200, 211)]],
    );
    check("lines", &[3], 1, &[&[(0, 1)], &[(1, 2)], &[(2, 3)]]);
    check("lines", &[3], u64::MAX, &[&[(0, 3)]]);
}

#[test]
fn small_pieces_share_a_split_in_order() {
    check(
        "lines",
        &[40, 40, 40, 0, 40],
        100,
        &[&[(0, 40), (0, 40)], &[(0, 40), (0, 0), (0, 40)]],
    );
    check(
        "lines",
        &[5, 200, 30],
        100,
        &[&[(0, 5), (0, 100)], &[(100, 200)], &[(0, 30)]],
    );
    check("lines", &[0, 0], 100, &[&[(0, 0), (0, 0)]]);
    check(
        "files",
        &[40, 500, 40, 40],
        100,
        &[&[(0, 40)], &[(0, 500)], &[(0, 40), (0, 40)]],
    );
}

#[test]
fn fixed_records_are_never_cut() {
    check("fixed:30", &[90, 0], 70, &[&[(0, 60)], &[(60, 90), (0, 0)]]);
    check(
        "fixed:30",
        &[90],
        10,
        &[&[(0, 30)], &[(30, 60)], &[(60, 90)]],
    );
    let thirty = Format::Fixed(NonZeroU32::new(30).unwrap());
    let error = plan(vec![file("odd", 91, Codec::Plain)], thirty, None, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "odd is 91 bytes long, which is no whole number of records of 30 bytes"
    );
    assert!(plan(vec![file("odd.gz", 91, Codec::Gzip)], thirty, None, None).is_ok());
}

#[test]
fn packed_files_are_whole_but_share_splits() {
    let files = [500, 40, 40].map(|len| file("f.gz", len, Codec::Gzip));
    let plan = plan(files.into(), Format::Lines, Some(ByteSize(100)), None).unwrap();
    assert_eq!(ranges(&plan), [vec![(0, 500)], vec![(0, 40), (0, 40)]]);
}

#[test]
fn every_so_many_lines_are_a_split() {
    let folder = Folder::new();
    folder.write("a", b"1\n2\r\n3\n4\n5");
    folder.write("b", b"");
    folder.write("c", b"1\n2\n");
    let files = folder.discover(&["a", "b", "b", "c"]).unwrap();
    let two = Format::NLine(NonZeroU32::new(2).unwrap());
    let plan = plan(files, two, None, None).unwrap();
    assert_eq!(
        ranges(&plan),
        [
            vec![(0, 5)],
            vec![(5, 9)],
            vec![(9, 10)],
            vec![(0, 0), (0, 0), (0, 4)]
        ]
    );
}

#[test]
fn a_split_may_be_of_one_file_alone() {
    let folder = Folder::new();
    folder.write("a", b"1\n2\n3\n");
    folder.write("b", b"");
    folder.write("c", b"1\n2\n");
    let check = |format: &str, size: u64, want: &[&[(u64, u64)]]| {
        let options = PlanOptions {
            format: format.parse().unwrap(),
            split_size: Some(ByteSize(size)),
            split_per_file: true,
            reducers: None,
        };
        let files = folder.discover(&["b", "a", "b", "c", "c", "b"]).unwrap();
        let plan = plan_with(files, options).unwrap();
        assert_eq!(ranges(&plan), want, "{format}");
    };
    let whole: [&[_]; 6] = [
        &[(0, 0)],
        &[(0, 6)],
        &[(0, 0)],
        &[(0, 4)],
        &[(0, 4)],
        &[(0, 0)],
    ];
    for format in ["lines", "files", "fixed:2", "csv", "nline:3"] {
        check(format, 100, &whole);
    }
    check(
        "lines",
        4,
        &[
            &[(0, 0)],
            &[(0, 3)],
            &[(3, 6)],
            &[(0, 0)],
            &[(0, 4)],
            &[(0, 4)],
            &[(0, 0)],
        ],
    );
}

#[test]
fn a_file_that_shares_no_split_is_cut_evenly() {
    let folder = Folder::new();
    for len in 0..60_usize {
        folder.write("a", &vec![b'x'; len]);
        for size in 1..30_u64 {
            let options = PlanOptions {
                split_size: Some(ByteSize(size)),
                split_per_file: true,
                ..PlanOptions::default()
            };
            let plan = plan_with(folder.discover(&["a"]).unwrap(), options).unwrap();
            let lens: Vec<_> = ranges(&plan)
                .iter()
                .map(|pieces| match pieces[..] {
                    [(start, end)] => end - start,
                    _ => panic!("{pieces:?}"),
                })
                .collect();
            assert_eq!(lens.iter().sum::<u64>(), len as u64);
            let (last, others) = lens.split_last().unwrap();
            let longest = size + size / 10;
            assert!(
                lens.iter().all(|len| *len <= longest),
                "{len} by {size}: {lens:?}"
            );
            assert!(
                others.iter().all(|it| *it == others[0]),
                "{len} by {size}: {lens:?}"
            );
            assert!(
                others
                    .first()
                    .is_none_or(|other| last <= &(other + other / 10))
            );
        }
    }
}

#[test]
fn a_file_that_changes_before_its_lines_are_counted_is_refused() {
    let folder = Folder::new();
    let path = folder.write("a", b"1\n2\n");
    let files = folder.discover(&["a"]).unwrap();
    std::fs::write(path, "1\n2\n3\n").unwrap();
    let error = plan(files, "nline:1".parse().unwrap(), None, None).unwrap_err();
    let PlanError::Scan(error) = error else {
        panic!("{error}");
    };
    assert_eq!(
        error.to_string(),
        "input a changed while the job ran: it grew from 4 to 6 bytes"
    );
}

#[test]
fn ten_thousand_small_files_are_a_handful_of_splits() {
    let files = (0..10_000)
        .map(|n| file(&format!("in/{n}"), 1000, Codec::Plain))
        .collect();
    let plan = plan(files, Format::Lines, None, None).unwrap();
    assert_eq!(plan.files, 10_000);
    assert_eq!(plan.splits.len(), 9);
}

#[test]
fn a_split_fits_an_order_however_small_or_long_named_its_files_are() {
    let empty = (0..10_000).map(|_| file("e", 0, Codec::Plain)).collect();
    let long_name = "n".repeat(4000);
    let long = (0..100)
        .map(|_| file(&long_name, 1, Codec::Plain))
        .collect();
    for files in [empty, long] {
        for split in plan(files, Format::Lines, None, None).unwrap().splits {
            let names = split.pieces.iter().map(|piece| &piece.file);
            let names: usize = names
                .map(|file| file.name.as_bytes().len() + file.path.as_bytes().len())
                .sum();
            assert!(split.pieces.len() <= PIECES_MAX && names <= NAME_BYTES_MAX);
        }
    }
}

#[test]
fn impossible_sizes_are_refused() {
    let files = || vec![file("large", 10 << 40, Codec::Plain)];
    let error = plan(files(), Format::Lines, Some(ByteSize(0)), None).unwrap_err();
    assert!(matches!(error, PlanError::ZeroSplitSize));
    let error = plan(files(), Format::Lines, Some(ByteSize(1)), None).unwrap_err();
    assert!(matches!(error, PlanError::TooManySplits));
    let reducers = Some(REDUCERS_MAX + 1);
    let error = plan(files(), Format::Lines, None, reducers).unwrap_err();
    assert!(matches!(error, PlanError::TooManyReducers { .. }));
}

#[test]
fn defaults_follow_the_size_of_the_input() {
    for (total, split, splits, reducers) in [
        (ByteSize(0), ByteSize::mib(1), 0, 1),
        (ByteSize::kib(100), ByteSize::mib(1), 1, 1),
        (ByteSize::mib(8), ByteSize::mib(1), 8, 1),
        (ByteSize::mib(16), ByteSize::mib(1), 16, 2),
        (ByteSize::mib(480), ByteSize::mib(32), 15, 10),
        (ByteSize((1 << 30) - 1), ByteSize::mib(64), 16, 15),
        (ByteSize::gib(1), ByteSize::mib(64), 16, 16),
        (ByteSize::gib(4), ByteSize::mib(128), 32, 32),
        (ByteSize::gib(16), ByteSize::mib(256), 64, 64),
        (ByteSize::gib(1024), ByteSize::mib(256), 4096, 512),
        (
            ByteSize::gib(8192),
            ByteSize::mib(256),
            32768,
            REDUCERS_DEFAULT_MAX,
        ),
        (
            ByteSize(u64::MAX),
            ByteSize::mib(256),
            1 << 36,
            REDUCERS_DEFAULT_MAX,
        ),
    ] {
        assert_eq!(split_size_for(total), split, "{total}");
        assert_eq!(total.bytes().div_ceil(split.bytes()), splits, "{total}");
        assert_eq!(reducers_for(total), reducers, "{total}");
    }
    let two = Some(2);
    assert_eq!(
        plan(Vec::new(), Format::Lines, None, two).unwrap().reducers,
        2
    );
}

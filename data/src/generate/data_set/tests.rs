use std::ops::Range;

use mapfold_terms::ByteSize;
use xxhash_rust::xxh3::xxh3_64;

use super::*;

const KINDS: [Kind; 4] = [Kind::Text, Kind::Zipf, Kind::Tera, Kind::Logs];

fn file(set: &DataSet, index: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length = set.write_file(index, &mut bytes).unwrap();
    assert_eq!(length, bytes.len() as u64);
    bytes
}

#[test]
fn bytes_never_change() {
    let hashes = KINDS.map(|kind| {
        let mut bytes = file(&DataSet::new(kind, ByteSize::mib(1), 1), 0);
        bytes.truncate(64 << 10);
        xxh3_64(&bytes)
    });
    let want = [
        0xc9bb_e34f_9650_869d,
        0xfa0f_e33e_da03_7019,
        0x8cbb_ec5b_92b8_5e64,
        0xea33_cb36_13c2_bb81,
    ];
    assert_eq!(hashes, want, "{hashes:#018x?}");
}

#[test]
fn sizes_are_met_to_within_a_record() {
    for kind in KINDS {
        for size in [0, 1, 99, 100, 5_000, 262_144, 262_145, 1_000_000] {
            let bytes = file(&DataSet::new(kind, ByteSize(size), 1), 0);
            let length = bytes.len() as u64;
            assert!(
                length <= size && size - length < 500,
                "{kind:?} {size} {length}"
            );
            assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
        }
    }
}

#[test]
fn a_set_is_cut_into_files_that_differ() {
    let size = ByteSize(FILE_BYTES.bytes() + 10_000);
    for kind in KINDS {
        let set = DataSet::new(kind, size, 1);
        assert_eq!(set.files(), 2);
        let second = file(&set, 1);
        assert!((9_000..20_000).contains(&second.len()), "{}", second.len());
        let first = file(&DataSet::new(kind, ByteSize(10_000), 1), 0);
        let other_seed = file(&DataSet::new(kind, ByteSize(10_000), 2), 0);
        assert_ne!(first[..5_000], second[..5_000]);
        assert_ne!(first[..5_000], other_seed[..5_000]);
    }
}

#[test]
fn zipf_has_lines_of_5_to_20_words() {
    let bytes = file(&DataSet::new(Kind::Zipf, ByteSize::mib(1), 1), 0);
    check_lines(&bytes, 5..21, |word| {
        word.iter().all(u8::is_ascii_lowercase)
    });
}

#[test]
fn text_is_utf_8_in_short_lines_with_letters_beyond_ascii() {
    let bytes = file(&DataSet::new(Kind::Text, ByteSize::mib(1), 1), 0);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.chars().any(|c| c.is_alphabetic() && !c.is_ascii()));
    assert!(
        text.lines()
            .all(|line| line.len() <= 76 && line.trim() == line)
    );
    assert!(text.contains("\n\n") && !text.contains("\n\n\n") && !text.contains("  "));
}

#[test]
fn tera_has_100_byte_rows_numbered_over_files() {
    let set = DataSet::new(Kind::Tera, ByteSize(FILE_BYTES.bytes() + 1_000), 1);
    let bytes = file(&set, 1);
    assert!(!bytes.is_empty() && bytes.len().is_multiple_of(100));
    for (number, row) in (671_088..).zip(bytes.chunks(100)) {
        assert_eq!(row[10..20], *format!("{number:>10}").as_bytes());
        assert!(row[..98].iter().all(|byte| (b' '..=b'~').contains(byte)));
        assert_eq!(row[98..], *b"\r\n");
    }
}

#[test]
fn logs_have_the_fields_of_the_combined_format() {
    let bytes = file(&DataSet::new(Kind::Logs, ByteSize::mib(1), 1), 0);
    for line in String::from_utf8(bytes).unwrap().lines() {
        let quoted: Vec<&str> = line.split('"').collect();
        let [head, request, figures, _referer, " ", _agent, ""] = quoted[..] else {
            panic!("{line}");
        };
        assert_eq!(head.split_whitespace().count(), 5, "{line}");
        assert_eq!(request.split(' ').count(), 3, "{line}");
        assert_eq!(figures.split_whitespace().count(), 2, "{line}");
    }
}

fn check_lines(bytes: &[u8], words: Range<usize>, is_word: impl Fn(&[u8]) -> bool) {
    for line in bytes
        .strip_suffix(b"\n")
        .unwrap()
        .split(|&byte| byte == b'\n')
    {
        let found: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        assert!(words.contains(&found.len()));
        assert!(found.iter().all(|word| !word.is_empty() && is_word(word)));
    }
}

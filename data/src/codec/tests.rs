use std::io::{Read, Write};

use mapfold_terms::Codec;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn pack(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(codec, Vec::new()).unwrap();
    for piece in bytes.chunks(70_000) {
        encoder.write_all(piece).unwrap();
    }
    encoder.finish().unwrap()
}

fn unpack(codec: Codec, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    Decoder::new(codec, bytes)?.read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// Enough for several blocks of each format, and not all alike.
fn text() -> Vec<u8> {
    let mut state = 1_u32;
    let mut line = |n: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("row {n} {state:x}\n")
    };
    (0..50_000).flat_map(|n| line(n).into_bytes()).collect()
}

proptest! {
    #[test]
    fn what_is_packed_unpacks(pieces in vec(vec(any::<u8>(), 0..300), 1..4)) {
        for codec in Codec::ALL {
            let packed: Vec<u8> = pieces.iter().flat_map(|piece| pack(codec, piece)).collect();
            prop_assert_eq!(unpack(codec, &packed).unwrap(), pieces.concat());
        }
    }
}

#[test]
fn long_streams_unpack_and_are_the_same_bytes_again() {
    for codec in Codec::ALL {
        let packed = pack(codec, &text());
        assert!(codec == Codec::Plain || packed.len() < text().len() * 3 / 4);
        assert!(packed == pack(codec, &text()), "{codec:?}");
        assert!(unpack(codec, &packed).unwrap() == text(), "{codec:?}");
    }
}

#[test]
fn a_stream_that_is_cut_or_damaged_is_an_error() {
    for codec in Codec::ALL.into_iter().skip(1) {
        let small = pack(codec, b"some words, some words, some words");
        let two = [small.as_slice(), &small].concat();
        for end in (1..two.len()).filter(|end| *end != small.len()) {
            assert!(
                unpack(codec, &two[..end]).is_err(),
                "{codec:?} cut at {end}"
            );
        }
        let mut long = pack(codec, &text());
        // Where an LZ4 block ends the library itself would take the cut for the end.
        for end in (0..long.len()).step_by(997).skip(1) {
            assert!(
                unpack(codec, &long[..end]).is_err(),
                "{codec:?} cut at {end}"
            );
        }
        let middle = long.len() / 2;
        long[middle] ^= 1;
        assert!(unpack(codec, &long).is_err(), "{codec:?}");
    }
}

/// A file that was cut between two blocks.
#[test]
fn an_lz4_frame_without_its_end_is_an_error() {
    let frame = pack(Codec::Lz4, &text());
    // Seven bytes of head, then blocks, each with four bytes of length; the highest bit says "not packed".
    let length = u32::from_le_bytes([frame[7], frame[8], frame[9], frame[10]]) & 0x7fff_ffff;
    let cut = 7 + 4 + length as usize;
    assert!(cut < frame.len() - 8);
    assert!(unpack(Codec::Lz4, &frame[..cut]).is_err());
}

/// What others write and read: `printf 'a\n' | gzip -n`, `zstd`, `lz4` unpack these.
#[test]
fn headers_hold_no_time_and_no_name() {
    assert_eq!(
        pack(Codec::Gzip, b"a\n")[..10],
        *b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    );
    assert_eq!(pack(Codec::Zstd, b"a\n")[..4], *b"\x28\xb5\x2f\xfd");
    assert_eq!(pack(Codec::Lz4, b"a\n")[..4], *b"\x04\x22\x4d\x18");
    assert_eq!(pack(Codec::Bzip2, b"a\n")[..4], *b"BZh9");
    assert_eq!(pack(Codec::Deflate, b"a\n")[..2], *b"\x78\x9c");
}

use mapfold_data::run::SegmentHead;
use mapfold_terms::{Digest, JobId, MasterEpoch, PartitionId, Token};
use xxhash_rust::xxh3::xxh3_64;

use super::*;

fn request() -> Request {
    Request {
        secret: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
        want: Want::Path,
        job: JobId(3),
        start: Start {
            token: Token {
                epoch: MasterEpoch(2),
                counter: 99,
            },
            partition: PartitionId(7),
            offset: 1 << 40,
        },
        length: CHUNK_MAX,
    }
}

fn head() -> Head {
    Head {
        status: Status::Ok,
        length: 12,
        digest: Digest(77),
        segment: SegmentHead {
            records: 5,
            checksum: 6,
            bytes: 1 << 33,
        },
        ..Head::refuse(request().start, Status::Ok)
    }
}

#[test]
fn messages_read_back_as_written() {
    assert_eq!(Request::decode(&request().encode()), Ok(request()));
    assert_eq!(Head::decode(&head().encode()), Ok(head()));
    for status in Status::ALL {
        let head = Head::refuse(request().start, status);
        assert_eq!(Head::decode(&head.encode()), Ok(head));
    }
}

/// The layout is a promise between processes of one version: these bytes change only with `VERSION`.
#[test]
fn layouts_are_as_documented() {
    let bytes = request().encode();
    assert_eq!(&bytes[..8], b"MFdq\x01\0\x01\0");
    assert_eq!(bytes[8..24], request().secret.to_le_bytes());
    assert_eq!(bytes[24..32], 3_u64.to_le_bytes());
    assert_eq!(bytes[36..40], 7_u32.to_le_bytes());
    assert_eq!(bytes[40..48], 99_u64.to_le_bytes());
    assert_eq!(bytes[64..], xxh3_64(&bytes[..64]).to_le_bytes());
    let bytes = head().encode();
    assert_eq!(&bytes[..8], b"MFdr\x01\0\0\0");
    assert_eq!(bytes[32..36], 12_u32.to_le_bytes());
    assert_eq!(bytes[40..56], 77_u128.to_le_bytes());
    assert_eq!(bytes[64..72], 6_u64.to_le_bytes());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = request().encode();
    for bit in 0..REQUEST_LEN * 8 {
        let mut bytes = bytes;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Request::decode(&bytes).is_err(), "bit {bit}");
    }
    let bytes = head().encode();
    for bit in 0..HEAD_LEN * 8 {
        let mut bytes = bytes;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Head::decode(&bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn a_length_above_the_limit_is_refused() {
    let request = Request {
        length: CHUNK_MAX + 1,
        ..request()
    };
    assert_eq!(
        Request::decode(&request.encode()),
        Err(WireError::Field("length"))
    );
}

#[test]
fn a_reply_to_another_request_is_noticed() {
    let other = Request {
        start: Start {
            partition: PartitionId(8),
            ..request().start
        },
        ..request()
    };
    assert!(head().answers(&request()));
    assert!(!head().answers(&other));
}

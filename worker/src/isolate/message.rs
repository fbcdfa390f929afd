//! What a slot and its child say to each other: frames of a length (u32, little-endian) and JSON. Both are of one program.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use mapfold_terms::{
    AttemptId, ByteSize, Codec, Counters, Failure, Format, MapReport, PartSummary, PartitionId,
    Partitioning, RawPath, Split,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A frame is no longer: a map order is at most 1 MiB, a reduce order names every run.
const FRAME_MAX: usize = 1 << 30;

/// An attempt to make.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ask {
    pub(super) job: String,
    pub(super) params: BTreeMap<String, String>,
    pub(super) attempt: AttemptId,
    pub(super) format: Format,
    pub(super) partitions: u32,
    pub(super) memory: ByteSize,
    /// The attempt's scratch folder.
    pub(super) scratch: RawPath,
    pub(super) work: Work,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Work {
    Map {
        split: Split,
        partitioning: Partitioning,
        skip_bad: u32,
    },
    Reduce {
        partition: PartitionId,
        inputs: Vec<Input>,
        part_codec: Codec,
        part_folder: RawPath,
    },
}

/// The segment of one map task.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Input {
    pub(super) map: u32,
    pub(super) records: u64,
    pub(super) checksum: u64,
    pub(super) bytes: u64,
    /// File, and where it begins there; `None` if it is empty.
    pub(super) place: Option<(RawPath, u64)>,
}

/// News of the attempt; all but the first end it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    Progress {
        records: u64,
        bytes: u64,
    },
    Mapped {
        report: MapReport,
        /// In the scratch folder; whoever is told owns it.
        run: RawPath,
    },
    Reduced {
        records_in: u64,
        groups: u64,
        part: PartSummary,
        spilled: ByteSize,
        counters: Counters,
    },
    Failed(Failure),
    BadRun {
        map: u32,
        message: String,
    },
}

pub(super) fn write<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let len = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&len.to_le_bytes());
    to.write_all(&frame)
}

/// The next message; `None` when the other side has hung up.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut len = [0; 4];
    match from.read_exact(&mut len) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let len = u32::from_le_bytes(len) as usize;
    if len > FRAME_MAX {
        return Err(io::Error::other("a frame is too long"));
    }
    let mut frame = vec![0; len];
    from.read_exact(&mut frame)?;
    Ok(Some(serde_json::from_slice(&frame)?))
}

#[cfg(test)]
mod tests {
    use mapfold_terms::FailClass;

    use super::*;

    #[test]
    fn messages_read_back_as_written() {
        let mut bytes = Vec::new();
        let failure = Failure {
            class: FailClass::Job,
            chain: vec!["bad".to_owned()],
            at: None,
            hint: None,
            backtrace: None,
        };
        write(&mut bytes, &Told::Failed(failure.clone())).unwrap();
        let mut from = bytes.as_slice();
        let Some(Told::Failed(got)) = read(&mut from).unwrap() else {
            panic!("it is a failure");
        };
        assert_eq!(got, failure);
        assert!(read::<Told>(&mut from).unwrap().is_none());
        assert!(read::<Told>(&mut &bytes[..9]).is_err());
    }
}

//! What a slot and its child say to each other: frames of a length (u32, little-endian) and JSON. Both are of one program.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use mapfold_job::BuildError;
use mapfold_job::border::{Ask, Told};
use mapfold_terms::Failure;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::plugin::{PluginFile, Probed, TryJob};

/// A frame is no longer: a map order is at most 1 MiB, a reduce order names every run.
const FRAME_MAX: usize = 1 << 30;

/// What a child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum SlotAsk {
    /// Make an attempt.
    Attempt {
        /// Name in the catalog.
        job: String,
        params: BTreeMap<String, String>,
        /// The plugin that has it, if it came with the job.
        plugin: Option<PluginFile>,
        ask: Box<Ask>,
    },
    /// Make a job, and say whether its rows are its records.
    Make {
        job: String,
        params: BTreeMap<String, String>,
    },
    /// Look into a plugin.
    Probe {
        file: PluginFile,
        attempt: Option<TryJob>,
    },
}

/// News of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum News {
    /// The job is made, the attempt begins.
    Begun,
    Progress {
        records: u64,
        bytes: u64,
    },
    Status(String),
    /// The stack of an attempt that goes on.
    Stands(String),
    Ended(Told),
    Made(Result<bool, BuildError>),
    Probed(Box<Result<Probed, Box<Failure>>>),
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
        write(&mut bytes, &News::Ended(Told::Failed(failure.clone()))).unwrap();
        let mut from = bytes.as_slice();
        let Some(News::Ended(Told::Failed(got))) = read(&mut from).unwrap() else {
            panic!("it is a failure");
        };
        assert_eq!(got, failure);
        assert!(read::<News>(&mut from).unwrap().is_none());
        assert!(read::<News>(&mut &bytes[..9]).is_err());
    }
}

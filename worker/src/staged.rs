//! What an attempt leaves in staging. The job's code makes the files; here they are looked after.

use std::fs;
use std::path::PathBuf;

use mapfold_data::part::{attempt_file_name, attempt_part_name, named_part_name};
use mapfold_terms::{
    AttemptId, FailClass, Failure, JobBrief, Outcome, PartitionId, RawPath, Staged,
};

/// An attempt's part in staging; removed unless it is kept.
pub(crate) struct StagedPart {
    path: PathBuf,
    kept: bool,
}

impl StagedPart {
    /// The attempt is about to make it. A staging folder that is gone must stay so, and whoever makes the part makes folders as it
    /// needs them.
    pub(crate) fn new(
        brief: &JobBrief,
        attempt: AttemptId,
        partition: PartitionId,
    ) -> Result<Self, Box<Outcome>> {
        let folder = brief.staging.as_path();
        if !folder.is_dir() {
            let nowhere = NoStaging(brief.staging.clone());
            return Err(Outcome::Failed(Failure::new(FailClass::Output, &nowhere)).into());
        }
        let name = attempt_part_name(attempt.token, partition, brief.parts);
        Ok(Self {
            path: folder.join(name),
            kept: false,
        })
    }

    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for StagedPart {
    fn drop(&mut self) {
        if !self.kept {
            // What is left is swept with the whole of staging.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes what nobody will take, so that it does not lie about until the job ends.
pub(crate) fn remove(
    brief: &JobBrief,
    attempt: AttemptId,
    partition: PartitionId,
    staged: &Staged,
) {
    let folder = brief.staging.as_path();
    let part = attempt_part_name(attempt.token, partition, brief.parts);
    let _ = fs::remove_file(folder.join(part));
    for name in staged.named.keys() {
        let file = named_part_name(name, partition, brief.parts);
        let _ = fs::remove_file(folder.join(attempt_file_name(attempt.token, &file)));
    }
}

/// There is nowhere to put the part: the job has ended, or its output is not visible from this machine.
#[derive(Debug, thiserror::Error)]
#[error("there is no folder {}", .0.display())]
struct NoStaging(RawPath);

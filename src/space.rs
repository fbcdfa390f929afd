//! Whether there is room for a job, before it starts.
//!
//! What a job will write is known beforehand only where its rows are its records ([`Runner::keeps_records`]: sort); what a word count
//! leaves cannot be told from what it reads. So a job is refused only if its least does not fit what is free now, on a file system
//! that keeps what it is given byte for byte; if it is likely not to fit, or the file system may pack what it keeps, that is a warning.
//! `docs/decisions/space.md` says what that is compared with.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use mapfold_job::Runner;
use mapfold_terms::{ByteSize, Codec, Format, JobSpec, Plan};

use crate::error::Problem;
use crate::exit::Exit;
use crate::scratch;
use crate::settings::{Place, RunSettings};

/// Files of an output folder and its staging beside the parts: staging, its lock, the output, the manifest.
const FILES_BESIDE: u64 = 4;

/// Packed text is likely to be three times as large unpacked.
const UNPACKED_LIKELY: u64 = 3;

/// What is free on the file system of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Free {
    /// Of the file system.
    device: u64,
    bytes: u64,
    /// Files that can still be made; `None` where that is not bounded.
    files: Option<u64>,
    /// Whether what is written takes as much room as it has bytes.
    exact: bool,
}

/// What will be written to one file system, and what can be.
#[derive(Debug)]
struct Need {
    /// Of what, for people.
    what: &'static str,
    folder: PathBuf,
    least: u64,
    likely: u64,
    free: Free,
}

/// Bytes of the records of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Volume {
    least: u64,
    likely: u64,
}

/// Refuses a job that surely has no room; returns warnings of one that probably has none. `plan`: of a job that keeps its records.
pub(crate) fn check(
    settings: &RunSettings,
    runner: &dyn Runner,
    spec: &JobSpec,
    plan: Option<&Plan>,
) -> Result<Vec<String>, Problem> {
    let output = spec.output.as_path();
    // A cluster's folders may not be seen from here; the master then tells what it finds.
    let Some((parent, free)) = output
        .parent()
        .and_then(|parent| Some((parent, Free::of(parent)?)))
    else {
        return Ok(Vec::new());
    };
    enough_files(parent, free, spec.reducers)?;
    let Some(plan) = plan.filter(|_| runner.keeps_records()) else {
        return Ok(Vec::new());
    };
    let volume = Volume::of(plan, spec.skip_bad);
    let rows = match spec.parts {
        Codec::Plain => volume,
        _ => Volume {
            least: 0,
            likely: 0,
        },
    };
    let mut needs = vec![Need {
        what: "the rows",
        folder: parent.to_owned(),
        least: rows.least,
        likely: rows.likely,
        free,
    }];
    if let Some((folder, in_memory)) = temporary(&settings.place) {
        let runs = volume.beyond(in_memory);
        within_temp_max(settings, runs)?;
        if let Some(free) = Free::of(&folder) {
            needs = add_runs(needs, folder, runs, free);
        }
    }
    judge(needs)
}

/// The sum where both are on one file system: runs are kept until the job has ended.
fn add_runs(mut needs: Vec<Need>, folder: PathBuf, runs: Volume, free: Free) -> Vec<Need> {
    match needs
        .iter_mut()
        .find(|need| need.free.device == free.device)
    {
        Some(need) => {
            need.what = "runs and rows";
            need.least = need.least.saturating_add(runs.least);
            need.likely = need.likely.saturating_add(runs.likely);
        }
        None => needs.push(Need {
            what: "the runs",
            folder,
            least: runs.least,
            likely: runs.likely,
            free,
        }),
    }
    needs
}

fn judge(needs: Vec<Need>) -> Result<Vec<String>, Problem> {
    let mut warnings = Vec::new();
    for need in needs {
        let Need {
            what, folder, free, ..
        } = &need;
        let (folder, bytes) = (folder.display(), ByteSize(free.bytes));
        if need.least > free.bytes && free.exact {
            let least = ByteSize(need.least);
            return Err(
                Problem::new(Exit::NoSpace, format!("no room for {what} in {folder}"))
                    .cause(format!("they take {least} at least, and {bytes} are free"))
                    .hint("free some space, or name another folder: -o for rows, TMPDIR for runs"),
            );
        }
        if need.likely > free.bytes {
            let likely = ByteSize(need.likely);
            warnings.push(format!(
                "{what} are likely to take {likely} in {folder}, where {bytes} are free"
            ));
        }
    }
    Ok(warnings)
}

fn enough_files(parent: &Path, free: Free, reducers: Option<u32>) -> Result<(), Problem> {
    let parts = u64::from(reducers.unwrap_or(1));
    match free.files {
        Some(files) if files < parts + FILES_BESIDE => {
            let what = format!("no room for {parts} part files in {}", parent.display());
            Err(Problem::new(Exit::NoSpace, what)
                .cause(format!(
                    "{files} more files can be made there (inodes, `df -i`)"
                ))
                .hint("remove files there, name another folder, or give fewer --reducers"))
        }
        _ => Ok(()),
    }
}

fn within_temp_max(settings: &RunSettings, runs: Volume) -> Result<(), Problem> {
    let workers = match &settings.place {
        Place::Processes { count, .. } => count.get(),
        Place::Here(_) | Place::Cluster(_) => 1,
    };
    match settings.temp_max {
        Some(max) if runs.least > max.bytes().saturating_mul(workers.into()) => {
            let what = format!("--temp-max {max} is too little for this job");
            let cause = format!("its runs take {} at least", ByteSize(runs.least));
            Err(Problem::new(Exit::NoSpace, what)
                .cause(cause)
                .hint("allow more, or give more --memory"))
        }
        _ => Ok(()),
    }
}

/// Where runs will be, and how many bytes of them stay in memory; `None` for a cluster, whose workers have folders of their own.
fn temporary(place: &Place) -> Option<(PathBuf, u64)> {
    let (folder, each, workers) = match place {
        Place::Here(all) => (std::env::temp_dir(), all, 1),
        Place::Processes { count, each, .. } => (scratch::base_for_sockets(), each, count.get()),
        Place::Cluster(_) => return None,
    };
    let runs = mapfold_worker::runs_memory(each.memory, each.slots);
    Some((folder, runs.bytes().saturating_mul(workers.into())))
}

impl Volume {
    fn of(plan: &Plan, skip_bad: u32) -> Self {
        let pieces = plan.splits.iter().flat_map(|split| &split.pieces);
        let (mut plain, mut packed, mut least) = (0_u64, 0_u64, 0_u64);
        for piece in pieces {
            let bytes = piece.end - piece.start;
            if piece.file.codec != Codec::Plain {
                packed += bytes;
                continue;
            }
            plain += bytes;
            least += match piece.file.format_or(plan.format) {
                _ if skip_bad > 0 => 0,
                Format::Fixed(_) | Format::Files => bytes,
                // A line that ends in CR LF is written with LF alone, and may be empty.
                Format::Lines | Format::NLine(_) => bytes / 2,
                // All may be headers, or the names of columns that a Parquet file does not repeat.
                Format::Csv(_) | Format::Parquet => 0,
            };
        }
        Self {
            least,
            likely: plain + packed * UNPACKED_LIKELY,
        }
    }

    fn beyond(self, in_memory: u64) -> Self {
        Self {
            // A key may be shorter in its encoding than in its record.
            least: (self.least / 2).saturating_sub(in_memory),
            likely: self.likely.saturating_sub(in_memory),
        }
    }
}

impl Free {
    /// `None` if the folder cannot be looked at.
    fn of(folder: &Path) -> Option<Self> {
        let found = rustix::fs::statvfs(folder).ok()?;
        let root = rustix::process::geteuid().is_root();
        let (blocks, files) = match root {
            true => (found.f_bfree, found.f_ffree),
            false => (found.f_bavail, found.f_favail),
        };
        Some(Self {
            device: fs::metadata(folder).ok()?.dev(),
            bytes: blocks.saturating_mul(found.f_frsize),
            files: (found.f_files > 0).then_some(files),
            exact: is_exact(folder),
        })
    }
}

/// Of others it is not known; some pack what they keep, or share what is alike.
fn is_exact(folder: &Path) -> bool {
    /// ext2, ext3 and ext4; XFS; tmpfs.
    const EXACT: [i64; 3] = [0xEF53, 0x5846_5342, 0x0102_1994];
    rustix::fs::statfs(folder).is_ok_and(|found| EXACT.contains(&found.f_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paint::Paint;

    const FREE: Free = Free {
        device: 1,
        bytes: 1000,
        files: Some(10),
        exact: true,
    };

    fn judged(least: u64, likely: u64, free: Free) -> Result<Vec<String>, String> {
        let need = Need {
            what: "the rows",
            folder: "/out".into(),
            least,
            likely,
            free,
        };
        judge(vec![need]).map_err(|problem| problem.render(Paint::Plain))
    }

    #[test]
    fn what_is_sure_is_refused_and_what_is_likely_is_told() {
        assert_eq!(judged(1000, 1000, FREE), Ok(vec![]));
        let told = "the rows are likely to take 1001 B in /out, where 1000 B are free";
        assert_eq!(judged(1000, 1001, FREE), Ok(vec![told.to_owned()]));
        let refused = judged(1001, 1001, FREE).unwrap_err();
        assert!(
            refused.contains("no room for the rows in /out"),
            "{refused}"
        );
        let packs = Free {
            exact: false,
            ..FREE
        };
        assert_eq!(judged(1001, 1001, packs), Ok(vec![told.to_owned()]));
    }

    #[test]
    fn runs_and_rows_on_one_file_system_are_added_up() {
        let rows = || {
            vec![Need {
                what: "the rows",
                folder: "/out".into(),
                least: 600,
                likely: 600,
                free: FREE,
            }]
        };
        let runs = Volume {
            least: 500,
            likely: 500,
        };
        let other = Free { device: 2, ..FREE };
        assert!(judge(add_runs(rows(), "/tmp".into(), runs, other)).is_ok());
        assert!(judge(add_runs(rows(), "/tmp".into(), runs, FREE)).is_err());
    }

    #[test]
    fn each_part_needs_a_file() {
        assert!(enough_files(Path::new("/"), FREE, Some(6)).is_ok());
        assert!(enough_files(Path::new("/"), FREE, Some(7)).is_err());
        let unbounded = Free {
            files: None,
            ..FREE
        };
        assert!(enough_files(Path::new("/"), unbounded, Some(7)).is_ok());
    }
}

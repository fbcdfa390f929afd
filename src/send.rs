//! Files that go with a job to a cluster: sent to its master, unless that has them from an earlier job.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use mapfold_protocol::CallError;
use mapfold_protocol::service::{PIECE_MAX, Refusal};
use mapfold_terms::{FileId, JobFile};

use crate::client::{Client, no_answer};
use crate::error::Problem;
use crate::exit::Exit;
use crate::progress::Progress;

/// How often a file may have to be sent from an earlier byte on.
const SETBACKS_MAX: u32 = 100;

/// Sends the files that the master lacks, and says so.
pub(crate) async fn files(
    client: &Client,
    files: &[JobFile],
    progress: &Progress,
) -> Result<(), Problem> {
    let ids: Vec<FileId> = files.iter().map(|file| file.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let lacks = client.lacks(&ids).await;
    let lacks = lacks.map_err(|error| no_answer("the job was not accepted", &error))?;
    for file in files.iter().filter(|file| lacks.contains(&file.id)) {
        progress.say("Sending", &format!("{} ({})", file.name, file.bytes));
        send(client, file).await?;
    }
    Ok(())
}

/// One after the other: the next piece is asked for when the last one is on the master's disk.
async fn send(client: &Client, file: &JobFile) -> Result<(), Problem> {
    let path = file.path.as_path();
    let cannot_read = |error: io::Error| {
        let what = format!("cannot read {}", path.display());
        Problem::new(Exit::Input, what).because(&error)
    };
    let open = File::open(path).map_err(cannot_read)?;
    let len = file.bytes.bytes();
    let (mut from, mut setbacks) = (0, 0);
    loop {
        let want = len.saturating_sub(from).min(PIECE_MAX as u64);
        let mut piece = vec![0; usize::try_from(want).unwrap_or(PIECE_MAX)];
        open.read_exact_at(&mut piece, from).map_err(cannot_read)?;
        from = match client.send_piece(file, from, piece).await {
            Ok(next) if next == len => return Ok(()),
            // The master was started again, or another sends the same file.
            Ok(next) if next <= from && setbacks == SETBACKS_MAX => return Err(no_way(file)),
            Ok(next) => {
                setbacks += u32::from(next <= from);
                next
            }
            Err(error) => return Err(not_sent(file, &error)),
        };
    }
}

fn no_way(file: &JobFile) -> Problem {
    let what = format!("cannot send {} to the cluster", file.name);
    Problem::new(Exit::Unreachable, what).cause("the master loses what was sent, again and again")
}

fn not_sent(file: &JobFile, error: &CallError) -> Problem {
    let problem = no_answer(&format!("cannot send {} to the cluster", file.name), error);
    let CallError::Refused(refusal) = error else {
        return problem;
    };
    match refusal {
        Refusal::DamagedFile(_) => problem.hint("run it again, and leave the file alone meanwhile"),
        Refusal::FilesTooLarge { .. } => {
            problem.hint("put large data into the input, or into a folder that all machines share; for a plugin, `strip` makes it smaller")
        }
        Refusal::NoRoomForFile { .. } => {
            problem.hint("files go when their jobs have ended; a master started with a larger --files-max keeps more")
        }
        _ => problem,
    }
}

//! `mapfold stream --job-log FILE`: how the programs of a job have ended, in one file.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use mapfold_data::manifest::Manifest;
use mapfold_streaming::job_log::{COLUMNS, NAME};

use crate::cat::no_manifest;
use crate::count::counted;
use crate::error::Problem;
use crate::exit::Exit;
use crate::plan::cannot_write;
use crate::rows;

/// The column that has the exit code.
const CODE: usize = 5;

/// Refuses a file that is there, unless it may be replaced, and one that will have no folder.
pub(crate) fn check(file: &Path, overwrite: bool) -> Result<(), Problem> {
    if file.symlink_metadata().is_ok() && !overwrite {
        let what = format!("the job log {} exists already", file.display());
        return Err(Problem::new(Exit::Output, what)
            .hint("add --overwrite to replace it and the output, or name another file"));
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => return Ok(()),
    };
    let is_there = fs::metadata(folder).and_then(|it| match it.is_dir() {
        true => Ok(()),
        false => Err(io::ErrorKind::NotADirectory.into()),
    });
    is_there.map_err(|error| cannot_write(file, &error))
}

/// Writes what the job has noted in its output, whole or not at all.
///
/// # Errors
/// The file cannot be written; programs have failed.
pub(crate) fn write(file: &Path, output: &Path) -> Result<Exit, Problem> {
    let manifest = Manifest::read(output).map_err(|error| no_manifest(&error))?;
    let parts = manifest.named.get(NAME).into_iter().flatten();
    let parts: Vec<PathBuf> = parts.map(|part| output.join(&part.name)).collect();
    let unfinished = file.with_added_extension("new");
    let written = gather(&unfinished, &parts)?;
    fs::rename(&unfinished, file).map_err(|error| cannot_write(file, &error))?;
    match written.failed {
        0 => Ok(Exit::Done),
        failed => {
            let what = format!(
                "{failed} of {} failed",
                counted(written.programs, "program")
            );
            Err(Problem::new(Exit::JobFailed, what).hint(format!(
                "{} tells which, and what they said",
                file.display()
            )))
        }
    }
}

#[derive(Default)]
struct Written {
    programs: u64,
    failed: u64,
}

fn gather(file: &Path, parts: &[PathBuf]) -> Result<Written, Problem> {
    let failed = |error: io::Error| cannot_write(file, &error);
    let mut out = BufWriter::new(File::create(file).map_err(failed)?);
    writeln!(out, "{}", COLUMNS.join("\t")).map_err(failed)?;
    let mut written = Written::default();
    for path in parts {
        let mut rows = BufReader::new(rows::open(path)?);
        let mut row = Vec::new();
        while rows
            .read_until(b'\n', &mut row)
            .map_err(|error| rows::unread(path, &error))?
            > 0
        {
            let code = row.split(|byte| *byte == b'\t').nth(CODE);
            written.programs += 1;
            written.failed += u64::from(code != Some(b"0"));
            out.write_all(&row).map_err(failed)?;
            row.clear();
        }
    }
    let file = out
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(written)
}

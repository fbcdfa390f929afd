//! `-du` and `-count`: how much there is.
//!
//! ```text
//! 1234  1234  hdfs:///data/x.txt
//! ```
//! The second number is what all copies take; there is one copy.

use std::fs;
use std::io::{self, Write as _};

use super::super::glob;
use super::super::uri::Located;
use super::error::FsError;
use super::{Call, Done, Outcome};

/// What is at a path, with all that is below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    folders: u64,
    files: u64,
    bytes: u64,
}

pub(super) fn usage(call: &Call<'_>) -> Outcome {
    let mut rows: Vec<[String; 3]> = Vec::new();
    if call.has("v") {
        rows.push(
            [
                "SIZE",
                "DISK_SPACE_CONSUMED_WITH_ALL_REPLICAS",
                "FULL_PATH_NAME",
            ]
            .map(str::to_owned),
        );
    }
    let Done { failed } = call.each_found(call.arguments.paths_or_here(), |located| {
        let shown = match located.path.is_dir() && !call.has("s") {
            true => glob::children(located)?,
            false => vec![located.clone()],
        };
        for item in shown {
            let size = shown_size(sum(&item)?.bytes, call.has("h"));
            rows.push([size.clone(), size, item.typed]);
        }
        Ok(())
    })?;
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let mut out = io::stdout().lock();
    for [size, copies, path] in &rows {
        writeln!(out, "{size:first$}  {copies:second$}  {path}").map_err(FsError::Stdout)?;
    }
    Ok(Done { failed })
}

pub(super) fn count(call: &Call<'_>) -> Outcome {
    let mut out = io::stdout().lock();
    if call.has("v") {
        writeln!(out, "   DIR_COUNT   FILE_COUNT       CONTENT_SIZE PATHNAME")
            .map_err(FsError::Stdout)?;
    }
    call.each_found(&call.arguments.paths, |located| {
        let sum = sum(located)?;
        let size = shown_size(sum.bytes, call.has("h"));
        let (folders, files, typed) = (sum.folders, sum.files, &located.typed);
        writeln!(out, "{folders:>12} {files:>12} {size:>18} {typed}").map_err(FsError::Stdout)
    })
}

fn sum(located: &Located) -> Result<Sum, FsError> {
    // Links are counted as what they are: they may lead in a circle.
    let link = fs::symlink_metadata(&located.path).map_err(FsError::at(located))?;
    if !link.is_dir() {
        let target = fs::metadata(&located.path).unwrap_or(link);
        return Ok(Sum {
            folders: 0,
            files: 1,
            bytes: if target.is_dir() { 0 } else { target.len() },
        });
    }
    let mut total = Sum {
        folders: 1,
        ..Sum::default()
    };
    for child in glob::children(located)? {
        let sum = sum(&child)?;
        total.folders += sum.folders;
        total.files += sum.files;
        total.bytes += sum.bytes;
    }
    Ok(total)
}

/// Bytes as a number, or as people read them: `1.2 K`.
pub(super) fn shown_size(bytes: u64, for_people: bool) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if !for_people || bytes < 1024 {
        return bytes.to_string();
    }
    let exponent = bytes.ilog2() / 10;
    let unit = UNITS[exponent as usize - 1];
    let whole = 1u64 << (10 * exponent);
    // Tenths, halves rounded up; none if there are none.
    let tenths = (u128::from(bytes) * 10 + u128::from(whole) / 2) / u128::from(whole);
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        tenth => format!("{}.{tenth} {unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_for_people() {
        let check = |bytes, want: &str| assert_eq!(shown_size(bytes, true), want);
        check(0, "0");
        check(1023, "1023");
        check(1024, "1 K");
        check(1234, "1.2 K");
        check(5 << 20, "5 M");
        check(u64::MAX, "16 E");
    }
}

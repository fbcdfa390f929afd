//! `-ls`: a line a file.
//!
//! ```text
//! Found 2 items
//! drwxr-xr-x   - ann users          0 2026-11-23 08:30 hdfs:///data/logs
//! -rw-r--r--   1 ann users       1234 2026-11-23 08:30 hdfs:///data/x.txt
//! ```

use std::cmp::Reverse;
use std::fs::{self, Metadata};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;

use super::super::clock::Moment;
use super::super::glob;
use super::super::names::Names;
use super::super::uri::Located;
use super::error::FsError;
use super::usage::shown_size;
use super::{Call, Outcome};

/// A file or folder to list.
struct Item {
    located: Located,
    metadata: Metadata,
}

pub(super) fn list(call: &Call<'_>) -> Outcome {
    let names = Names::read();
    let mut out = BufWriter::new(io::stdout().lock());
    call.each(call.arguments.paths_or_here(), |typed| {
        let listed = list_one(call, typed, &names, &mut out);
        out.flush().map_err(FsError::Stdout)?;
        listed
    })
}

fn list_one(
    call: &Call<'_>,
    typed: &str,
    names: &Names,
    out: &mut impl io::Write,
) -> Result<(), FsError> {
    let mut files = Vec::new();
    for located in call.found(call.uris, typed)? {
        let item = item(located)?;
        match item.metadata.is_dir() && !call.has("d") {
            true => list_folder(call, &item.located, names, out)?,
            false => files.push(item),
        }
    }
    print(call, files, names, out)
}

fn list_folder(
    call: &Call<'_>,
    folder: &Located,
    names: &Names,
    out: &mut impl io::Write,
) -> Result<(), FsError> {
    let items = items(folder)?;
    if !call.has("R") {
        if !items.is_empty() && !call.has("C") {
            writeln!(out, "Found {} items", items.len()).map_err(FsError::Stdout)?;
        }
        return print(call, items, names, out);
    }
    for item in items {
        let folder = item.metadata.is_dir().then(|| item.located.clone());
        print(call, vec![item], names, out)?;
        if let Some(folder) = folder {
            list_folder(call, &folder, names, out)?;
        }
    }
    Ok(())
}

/// What is in a folder, in the byte order of names.
fn items(folder: &Located) -> Result<Vec<Item>, FsError> {
    glob::children(folder)?.into_iter().map(item).collect()
}

/// What a link leads to, if it leads anywhere.
fn item(located: Located) -> Result<Item, FsError> {
    let metadata = fs::metadata(&located.path).or_else(|_| fs::symlink_metadata(&located.path));
    let metadata = metadata.map_err(FsError::at(&located))?;
    Ok(Item { located, metadata })
}

fn print(
    call: &Call<'_>,
    mut items: Vec<Item>,
    names: &Names,
    out: &mut impl io::Write,
) -> Result<(), FsError> {
    if call.has("t") {
        items.sort_by_key(|item| Reverse(item.metadata.modified().ok()));
    }
    if call.has("S") {
        items.sort_by_key(|item| Reverse(item.metadata.len()));
    }
    if call.has("r") {
        items.reverse();
    }
    let lines: Vec<Line> = (items.iter())
        .map(|item| Line::of(item, names, call.has("h")))
        .collect();
    let width = |of: fn(&Line) -> &str| lines.iter().map(|line| of(line).len()).max().unwrap_or(0);
    let (owner, group) = (width(|line| &line.owner), width(|line| &line.group));
    let size = width(|line| &line.size).max(10);
    for line in &lines {
        let written = match call.has("C") {
            true => writeln!(out, "{}", line.path),
            false => writeln!(
                out,
                "{} {:>3} {:owner$} {:group$} {:>size$} {} {}",
                line.mode, line.copies, line.owner, line.group, line.size, line.time, line.path
            ),
        };
        written.map_err(FsError::Stdout)?;
    }
    Ok(())
}

/// What a line says.
struct Line {
    mode: String,
    /// Files have one copy, folders none.
    copies: char,
    owner: String,
    group: String,
    size: String,
    time: String,
    path: String,
}

impl Line {
    fn of(item: &Item, names: &Names, for_people: bool) -> Self {
        let metadata = &item.metadata;
        let is_folder = metadata.is_dir();
        let size = match is_folder {
            true => 0,
            false => metadata.len(),
        };
        Self {
            mode: mode(is_folder, metadata.mode()),
            copies: if is_folder { '-' } else { '1' },
            owner: names.user(metadata.uid()),
            group: names.group(metadata.gid()),
            size: shown_size(size, for_people),
            time: metadata
                .modified()
                .map(|time| Moment::of(time).to_minute())
                .unwrap_or_default(),
            path: item.located.typed.clone(),
        }
    }
}

/// `drwxr-xr-x`; a `t` at the end of folders where only owners remove.
fn mode(is_folder: bool, bits: u32) -> String {
    let mut text = String::from(if is_folder { "d" } else { "-" });
    for at in (0..9).rev() {
        let letter = ['x', 'w', 'r'][at % 3];
        text.push(if bits & (1 << at) == 0 { '-' } else { letter });
    }
    if bits & 0o1000 != 0 {
        let all_may_enter = text.pop() == Some('x');
        text.push(if all_may_enter { 't' } else { 'T' });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_spelled_out() {
        assert_eq!(mode(false, 0o100_644), "-rw-r--r--");
        assert_eq!(mode(true, 0o040_755), "drwxr-xr-x");
        assert_eq!(mode(true, 0o041_777), "drwxrwxrwt");
        assert_eq!(mode(true, 0o041_770), "drwxrwx--T");
    }
}

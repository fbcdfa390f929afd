//! `-stat`: what is asked for of a file, by a format: `%n %b %y`.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;

use super::super::clock::Moment;
use super::super::names::Names;
use super::super::uri::Located;
use super::error::FsError;
use super::{Call, Outcome};

pub(super) fn stat(call: &Call<'_>) -> Outcome {
    let (format, paths) = match call.arguments.paths.as_slice() {
        [format, paths @ ..] if format.contains('%') && !paths.is_empty() => (&**format, paths),
        paths => ("%y", paths),
    };
    let names = Names::read();
    call.each_found(paths, |located| {
        let line = line(format, located, &names)?;
        writeln!(io::stdout(), "{line}").map_err(FsError::Stdout)
    })
}

fn line(format: &str, located: &Located, names: &Names) -> Result<String, FsError> {
    let metadata = fs::metadata(&located.path).map_err(FsError::at(located))?;
    let modified = metadata.modified().map_err(FsError::at(located))?;
    let modified = Moment::of(modified);
    let mut line = String::new();
    let mut chars = format.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            line.push(char);
            continue;
        }
        match chars.next() {
            Some('b') if metadata.is_dir() => line.push('0'),
            Some('b') => line += &metadata.len().to_string(),
            Some('F') if metadata.is_dir() => line += "directory",
            Some('F') => line += "regular file",
            Some('n') => line += &located.name().display().to_string(),
            Some('o') => line += "134217728",
            Some('r') => line.push(if metadata.is_dir() { '0' } else { '1' }),
            Some('a') => line += &format!("{:o}", metadata.mode() & 0o7777),
            Some('u') => line += &names.user(metadata.uid()),
            Some('g') => line += &names.group(metadata.gid()),
            Some('y') => line += &modified.to_second(),
            Some('Y') => line += &modified.millis().to_string(),
            Some(other) => line.push(other),
            None => {}
        }
    }
    Ok(line)
}

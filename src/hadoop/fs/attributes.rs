//! `-chmod` and `-setrep`.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use super::super::glob;
use super::super::uri::Located;
use super::error::FsError;
use super::{Call, Outcome};

/// Bits of a mode that can be set.
const ALL: u32 = 0o7777;

pub(super) fn chmod(call: &Call<'_>) -> Outcome {
    let (change, paths) = first_and_paths(call);
    call.each_found(paths, |located| {
        below(located, call.has("R"), &mut |located| {
            let metadata = fs::metadata(&located.path).map_err(FsError::at(located))?;
            let mode = metadata.permissions().mode() & ALL;
            let mode = changed(mode, metadata.is_dir(), change)
                .ok_or_else(|| FsError::Mode(change.to_owned()))?;
            fs::set_permissions(&located.path, Permissions::from_mode(mode))
                .map_err(FsError::at(located))
        })
    })
}

/// A file system has each file once; scripts that ask for more go on.
pub(super) fn set_replication(call: &Call<'_>) -> Outcome {
    let (copies, paths) = first_and_paths(call);
    if copies.parse::<u16>().is_err() {
        return Err(FsError::Replication(copies.to_owned()));
    }
    call.each_found(paths, |located| {
        let typed = &located.typed;
        writeln!(io::stdout(), "Replication {copies} set: {typed}").map_err(FsError::Stdout)
    })
}

/// Both commands want at least two arguments.
fn first_and_paths<'a>(call: &'a Call<'_>) -> (&'a str, &'a [String]) {
    match call.arguments.paths.split_first() {
        Some((first, paths)) => (first, paths),
        None => ("", &[]),
    }
}

/// Acts on a file or folder, and on all below it but links. What is below comes first: a folder may become unreadable.
fn below(
    located: &Located,
    recursive: bool,
    act: &mut impl FnMut(&Located) -> Result<(), FsError>,
) -> Result<(), FsError> {
    if recursive && located.path.is_dir() {
        let children = glob::children(located)?.into_iter();
        for child in children.filter(|child| !child.path.is_symlink()) {
            below(&child, recursive, act)?;
        }
    }
    act(located)
}

/// The mode after a change such as `755` or `a+rX,o-w`; none, if that is no change.
fn changed(mode: u32, is_folder: bool, change: &str) -> Option<u32> {
    if change.starts_with(|first: char| first.is_ascii_digit()) {
        return u32::from_str_radix(change, 8)
            .ok()
            .filter(|mode| *mode <= ALL);
    }
    (change.split(',')).try_fold(mode, |mode, clause| clause_of(mode, is_folder, clause))
}

fn clause_of(mode: u32, is_folder: bool, clause: &str) -> Option<u32> {
    let (who, what) = clause.split_at(clause.find(['+', '-', '='])?);
    let who = match who {
        "" => "a",
        who => who,
    };
    let mut whose = 0;
    for char in who.chars() {
        whose |= match char {
            'u' => 0o700,
            'g' => 0o070,
            'o' => 0o007,
            'a' => 0o777,
            _ => return None,
        };
    }
    let (operator, what) = what.split_at(1);
    let mut bits = 0;
    for char in what.chars() {
        bits |= match char {
            'r' => 0o444,
            'w' => 0o222,
            'x' => 0o111,
            'X' if is_folder || mode & 0o111 != 0 => 0o111,
            'X' => 0,
            _ => return None,
        };
    }
    let bits = bits & whose;
    Some(match operator {
        "+" => mode | bits,
        "-" => mode & !bits,
        _ => mode & !whose | bits,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_changed_as_by_chmod() {
        let check = |mode, change: &str, want| {
            assert_eq!(changed(mode, false, change), want, "{change}");
        };
        check(0o644, "777", Some(0o777));
        check(0o644, "1777", Some(0o1777));
        check(0o644, "+x", Some(0o755));
        check(0o644, "a+w", Some(0o666));
        check(0o666, "go-w", Some(0o644));
        check(0o751, "g=r,o=", Some(0o740));
        check(0o644, "a+rX", Some(0o644));
        check(0o744, "a+rX", Some(0o755));
        assert_eq!(changed(0o700, true, "o+X"), Some(0o701));
        for wrong in ["", "x", "99", "17777", "z+x", "a+q", "a"] {
            check(0o644, wrong, None);
        }
    }
}

//! A look at the inputs for Parquet files that would be read as lines: then the rows are nonsense, and nothing fails.
//!
//! Only a warning, since who counts bytes or searches a folder of all sorts means it. The look is bounded, and takes what can be seen from here: a
//! cluster's folders may not be, and what a typed glob stands for is not looked for.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use mapfold_data::input::is_hidden;
use mapfold_terms::{Format, InputName};

/// Files and folders that are looked at, so that a large folder on a slow file system costs little.
const LOOKED_AT_MAX: usize = 256;

/// The first and the last bytes of each Parquet file.
const MAGIC: &[u8; 4] = b"PAR1";

/// What to say of the first Parquet file that is read as text, if there is one.
pub(crate) fn read_as_text(inputs: &[InputName], format: Format) -> Option<String> {
    let as_text = inputs
        .iter()
        .map(|input| (input, input.format.unwrap_or(format)))
        .filter(|(_, format)| is_text(*format));
    let mut left = LOOKED_AT_MAX;
    for (input, format) in as_text {
        if let Some(file) = first_below(input.absolute.as_path(), &mut left) {
            let inside = file.strip_prefix(input.absolute.as_path());
            let named = match inside {
                Ok(inside) if inside != Path::new("") => input.typed.as_path().join(inside),
                _ => input.typed.as_path().to_owned(),
            };
            return Some(format!(
                "{} is a Parquet file, and is read as {format}; --format parquet reads its rows",
                named.display()
            ));
        }
    }
    None
}

fn is_text(format: Format) -> bool {
    match format {
        Format::Lines | Format::Csv(_) | Format::NLine(_) => true,
        Format::Files | Format::Fixed(_) | Format::Parquet => false,
    }
}

/// The first Parquet file of a file or folder, in order of their names. `left` counts down what is looked at.
fn first_below(path: &Path, left: &mut usize) -> Option<PathBuf> {
    *left = left.checked_sub(1)?;
    let about = fs::metadata(path).ok()?;
    if about.is_dir() {
        return entries(path, *left)
            .iter()
            .find_map(|entry| first_below(entry, left));
    }
    let is_parquet = about.is_file() && has_magic(path, about.len()).unwrap_or(false);
    is_parquet.then(|| path.to_owned())
}

/// What a folder holds that would be read, up to so many.
fn entries(folder: &Path, max: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let read = entries.filter(|entry| !is_hidden(&entry.file_name()));
    let mut paths: Vec<_> = read.take(max).map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}

fn has_magic(path: &Path, len: u64) -> io::Result<bool> {
    // Both, and the length of the footer.
    if len < 12 {
        return Ok(false);
    }
    let file = File::open(path)?;
    let (mut first, mut last) = ([0; 4], [0; 4]);
    file.read_exact_at(&mut first, 0)?;
    file.read_exact_at(&mut last, len - 4)?;
    Ok(first == *MAGIC && last == *MAGIC)
}

#[cfg(test)]
mod tests {
    use mapfold_terms::RawPath;

    use super::*;

    fn said(folder: &Path, typed: &str, own: Option<Format>, format: Format) -> Option<String> {
        let input = InputName {
            typed: RawPath::from(Path::new(typed)),
            absolute: RawPath::from(folder.join(typed)),
            input: 0,
            format: own,
        };
        read_as_text(&[input], format)
    }

    #[test]
    fn a_parquet_file_that_is_read_as_text_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let parquet = b"PAR1 rows \0\0\0\0PAR1";
        fs::create_dir_all(folder.join("data/day=1")).unwrap();
        fs::create_dir_all(folder.join("text/_old")).unwrap();
        fs::write(folder.join("data/a.txt"), "PAR1 begins a text, too").unwrap();
        fs::write(folder.join("data/day=1/part-0"), parquet).unwrap();
        fs::write(folder.join("text/PAR1"), "PAR1PAR1").unwrap();
        fs::write(folder.join("text/_old/part-0"), parquet).unwrap();
        let tells = |typed, own, format| said(folder, typed, own, format);
        let lines = "data/day=1/part-0 is a Parquet file, and is read as lines; --format parquet reads its rows";
        for typed in ["data", "data/day=1", "data/day=1/part-0"] {
            assert_eq!(tells(typed, None, Format::Lines).as_deref(), Some(lines));
        }
        let csv = tells("data", Some(Format::CSV), Format::Parquet).unwrap();
        assert!(csv.contains("is read as csv;"), "{csv}");
        for typed in ["data/a.txt", "text", "none", "text/_old"] {
            let own = (typed == "text/_old").then_some(Format::Files);
            assert_eq!(tells(typed, own, Format::Lines), None, "{typed}");
        }
        assert_eq!(tells("data", None, Format::Parquet), None);
        assert_eq!(tells("data", Some(Format::Parquet), Format::Lines), None);
    }

    #[test]
    fn only_so_many_files_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..LOOKED_AT_MAX {
            fs::write(folder.path().join(format!("{n}")), "text").unwrap();
        }
        let mut left = LOOKED_AT_MAX;
        assert_eq!(first_below(folder.path(), &mut left), None);
        assert_eq!(left, 0);
    }
}

//! Patterns of names by Hadoop's rules: `*`, `?`, `[a-z]`, `[^a]`, `{a,b}`, and a backslash before what is meant as it is.
//!
//! No wildcard reaches over a `/`, but alternatives in braces may hold one: so braces are written out first. Each part of a path is then
//! held against the names of its folder, hidden ones too.

use std::fs;
use std::io;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use super::uri::{Located, UriError, Uris};

/// Why a pattern leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum GlobError {
    /// It is not of a file system that can be had.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// It is no pattern.
    #[error("illegal file pattern `{pattern}`")]
    Pattern {
        pattern: String,
        source: globset::Error,
    },
    /// A folder on the way cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// A folder cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", folder.typed)]
pub(super) struct FolderError {
    pub(super) folder: Located,
    pub(super) source: io::Error,
}

/// Whether there is anything in it that stands for more than itself.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// The files and folders that a name or a pattern stands for, in the byte order of their names; none, if there are none.
///
/// # Errors
/// See [`GlobError`].
pub(super) fn expand(uris: &Uris, text: &str) -> Result<Vec<Located>, GlobError> {
    let named = uris.locate(text)?;
    if named.path.symlink_metadata().is_ok() {
        return Ok(vec![named]);
    }
    let mut found = Vec::new();
    for text in alternatives(text) {
        found.extend(matches(uris, &text)?);
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn matches(uris: &Uris, text: &str) -> Result<Vec<Located>, GlobError> {
    let (base, rest) = match text.find(['*', '?', '[', '\\']) {
        None => (text, ""),
        Some(first) => text.split_at(text[..first].rfind('/').map_or(0, |slash| slash + 1)),
    };
    let mut found = vec![uris.locate(base)?];
    for part in rest.split('/').filter(|part| !part.is_empty()) {
        let matcher = matcher(part)?;
        let mut below = Vec::new();
        for folder in found.iter().filter(|it| it.path.is_dir()) {
            let children = children(folder)?.into_iter();
            below.extend(children.filter(|child| matcher.is_match(child.name())));
        }
        found = below;
    }
    found.retain(|it| it.path.symlink_metadata().is_ok());
    Ok(found)
}

/// What is in a folder, in the byte order of the names.
///
/// # Errors
/// It cannot be read.
pub(super) fn children(folder: &Located) -> Result<Vec<Located>, FolderError> {
    let names = || {
        let entries = fs::read_dir(&folder.path)?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        names.collect::<io::Result<Vec<_>>>()
    };
    let mut names = names().map_err(|source| FolderError {
        folder: folder.clone(),
        source,
    })?;
    names.sort();
    let names = names.iter().map(Path::new);
    Ok(names.map(|name| folder.child(name)).collect())
}

fn matcher(part: &str) -> Result<GlobMatcher, GlobError> {
    let glob = GlobBuilder::new(part)
        .literal_separator(true)
        .backslash_escape(true)
        .build();
    let glob = glob.map_err(|source| GlobError::Pattern {
        pattern: part.to_owned(),
        source,
    })?;
    Ok(glob.compile_matcher())
}

/// What braces stand for, written out; a brace that is never closed is one.
fn alternatives(text: &str) -> Vec<String> {
    let Some((open, close)) = first_braces(text) else {
        return vec![text.to_owned()];
    };
    let (before, after) = (&text[..open], &text[close + 1..]);
    let choices = cut(&text[open + 1..close], ',');
    let written = choices
        .iter()
        .flat_map(|choice| alternatives(&format!("{before}{choice}{after}")));
    written.collect()
}

fn first_braces(text: &str) -> Option<(usize, usize)> {
    let mut open = None;
    let mut depth = 0;
    for (at, char) in unescaped(text) {
        match char {
            '{' => {
                open.get_or_insert(at);
                depth += 1;
            }
            '}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return open.map(|open| (open, at));
                }
            }
            _ => {}
        }
    }
    None
}

/// Cuts at a separator that is not in braces.
pub(super) fn cut(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut from = 0;
    let mut depth = 0usize;
    for (at, char) in unescaped(text) {
        match char {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            char if char == separator && depth == 0 => {
                parts.push(&text[from..at]);
                from = at + char.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// Characters that no backslash stands before, and where they are.
fn unescaped(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut escaped = false;
    text.char_indices().filter(move |(_, char)| {
        let is_plain = !escaped && *char != '\\';
        escaped = !escaped && *char == '\\';
        is_plain
    })
}

#[cfg(test)]
mod tests {
    use super::super::environment::Environment;
    use super::*;

    fn uris(folder: &Path) -> Uris {
        let environment = Environment {
            folder: folder.to_owned(),
            ..Environment::default()
        };
        Uris::new(&environment, None).unwrap()
    }

    #[test]
    fn patterns_stand_for_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a1", "a2", "b1", ".h", "d/a1", "d/c", "e/c", "x{y"] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let uris = uris(folder.path());
        let check = |pattern: &str, want: &str| {
            let found = expand(&uris, pattern).unwrap();
            let typed: Vec<_> = found.iter().map(|it| it.typed.as_str()).collect();
            assert_eq!(typed.join(" "), want, "{pattern}");
        };
        check("a1", "a1");
        check("a*", "a1 a2");
        check("?1", "a1 b1");
        check("[a-c]1", "a1 b1");
        check("[^a]1", "b1");
        check("{a2,b1,zz}", "a2 b1");
        check("{d/a,b}1", "b1 d/a1");
        check("{a,d/{a,b}}1", "a1 d/a1");
        check("*/c", "d/c e/c");
        check(".*", ".h");
        check("x{y", "x{y");
        check(r"\a1", "a1");
        check("z*", "");
        check("nosuch", "");
        check("a1/*", "");
    }

    #[test]
    fn commas_in_braces_do_not_cut() {
        assert_eq!(cut("a,{b,c},d", ','), ["a", "{b,c}", "d"]);
        assert_eq!(cut(r"a\,b", ','), [r"a\,b"]);
        assert_eq!(cut("", ','), [""]);
    }
}

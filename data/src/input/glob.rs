//! Inputs with wildcards: `*` and `?` within one part of a path, `**` across parts, `[a-z]`, `{a,b}`.
//!
//! As in a shell, a wildcard does not match a leading `.`; nor does it match a leading `_`, which marks
//! files such as `_SUCCESS`. A part of the pattern that begins with that character itself does
//! (`out/_S*`). A folder that matches stands for all files below it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use mapfold_terms::{InputName, RawPath};

use super::DiscoverError;
use super::walk::is_hidden;

/// Whether a name may be a pattern.
pub(super) fn is_glob(typed: &RawPath) -> bool {
    first_wildcard(typed.as_bytes()).is_some()
}

/// A pattern, and the folder below which it can match.
pub(super) struct Glob {
    /// The folder as typed.
    pub(super) typed_base: RawPath,
    /// The same, absolute.
    pub(super) base: PathBuf,
    /// Matches paths relative to the folder.
    whole: GlobMatcher,
    /// The parts of the pattern.
    parts: Vec<Part>,
    /// How many parts, from the front, stand for one part of a path each.
    single: usize,
}

struct Part {
    text: String,
    matcher: GlobMatcher,
}

impl Glob {
    /// Takes a name with a wildcard apart.
    pub(super) fn new(input: &InputName) -> Result<Self, DiscoverError> {
        let typed = input.typed.as_bytes();
        let wildcard = first_wildcard(typed).unwrap_or(typed.len());
        let base_len = typed[..wildcard]
            .iter()
            .rposition(|&byte| byte == b'/')
            .map_or(0, |at| at + 1);
        let (typed_base, pattern) = typed.split_at(base_len);
        let pattern = str::from_utf8(pattern).map_err(|_| DiscoverError::GlobNotText {
            name: input.typed.clone(),
        })?;
        let compile = |text: &str| {
            let glob = GlobBuilder::new(text).literal_separator(true).build();
            glob.map(|glob| glob.compile_matcher())
                .map_err(|source| DiscoverError::BadGlob {
                    name: input.typed.clone(),
                    source,
                })
        };
        let texts = parts(pattern);
        let whole = compile(&texts.join("/"))?;
        let single = texts
            .iter()
            .take_while(|part| !part.contains("**") && !part.contains('/'))
            .count();
        let mut base = input.absolute.as_path();
        for _ in 0..path_parts(pattern) {
            base = base.parent().unwrap_or(base);
        }
        Ok(Self {
            typed_base: Path::new(OsStr::from_bytes(typed_base)).into(),
            base: base.to_owned(),
            whole,
            parts: texts
                .into_iter()
                .map(|text| {
                    Ok(Part {
                        text: text.to_owned(),
                        matcher: compile(text)?,
                    })
                })
                .collect::<Result<_, _>>()?,
            single,
        })
    }

    /// Whether a walk should look at the entry `name`, `depth` parts below the base (from 1), and, if it is
    /// a folder, enter it.
    pub(super) fn admits(&self, depth: usize, name: &OsStr) -> bool {
        let may_match = match depth.checked_sub(1) {
            Some(part) if part < self.single => self.parts[part].matcher.is_match(name),
            _ => true,
        };
        may_match && (!is_hidden(name) || self.names_hidden(name))
    }

    /// Whether the pattern takes the file at `path`, relative to the base, or a folder it is in.
    pub(super) fn takes(&self, path: &Path) -> bool {
        path.ancestors()
            .take_while(|part| !part.as_os_str().is_empty())
            .any(|part| self.whole.is_match(part))
    }

    /// Whether a part of the pattern asks for names that begin as this hidden one does.
    fn names_hidden(&self, name: &OsStr) -> bool {
        let first = name.as_bytes().first();
        self.parts
            .iter()
            .any(|part| part.text.as_bytes().first() == first && part.matcher.is_match(name))
    }
}

fn first_wildcard(typed: &[u8]) -> Option<usize> {
    typed.iter().position(|byte| b"*?[{".contains(byte))
}

/// The pattern between its slashes, empty and `.` parts left out. A slash inside braces does not count.
fn parts(pattern: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    pattern
        .split(|letter| {
            match letter {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            letter == '/' && depth == 0
        })
        .filter(|part| !matches!(*part, "" | "."))
        .collect()
}

/// How many parts a pattern adds to a path that takes it for an ordinary name.
fn path_parts(pattern: &str) -> usize {
    pattern
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .count()
}

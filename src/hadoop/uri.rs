//! Names of files as Hadoop's users write them: `hdfs:///data/x`, `file:///tmp/x`, `x`.
//!
//! There is no HDFS here. What is named so lies below one folder, which on a cluster is one that all its machines share. Paths without a scheme are
//! this machine's, unless `-fs`, `fs.defaultFS` or `MAPFOLD_FS` says otherwise.

use std::path::{Component, Path, PathBuf};

use super::environment::Environment;

/// A file or folder, which need not exist.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Located {
    /// As it was typed, for people and programs.
    pub(super) typed: String,
    /// Where it is.
    pub(super) path: PathBuf,
}

impl Located {
    /// What is in a folder under this name.
    pub(super) fn child(&self, name: &Path) -> Self {
        let shown = name.display();
        let typed = match self.typed.as_str() {
            "" => shown.to_string(),
            typed if typed.ends_with('/') => format!("{typed}{shown}"),
            typed => format!("{typed}/{shown}"),
        };
        Self {
            typed,
            path: self.path.join(name),
        }
    }

    /// The last part of its name.
    pub(super) fn name(&self) -> &Path {
        self.path.file_name().map_or(Path::new(""), Path::new)
    }
}

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Local,
    Hdfs,
}

/// Why a name stands for no file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UriError {
    /// Only local files and those below the folder for `hdfs:` can be had.
    #[error("no file system for scheme `{scheme}`: {uri} is neither hdfs: nor file:")]
    Scheme { scheme: String, uri: String },
}

/// Finds files by their names.
#[derive(Clone, Debug)]
pub(super) struct Uris {
    default: Scheme,
    hdfs: PathBuf,
    home: PathBuf,
    folder: PathBuf,
}

impl Uris {
    /// With this file system for names without a scheme; that of the environment, if there is none.
    ///
    /// # Errors
    /// An unknown scheme.
    pub(super) fn new(
        environment: &Environment,
        default_fs: Option<&str>,
    ) -> Result<Self, UriError> {
        let default = default_fs.or(environment.default_fs.as_deref());
        let default = default.filter(|uri| *uri != "local");
        Ok(Self {
            default: match default {
                None => Scheme::Local,
                Some(uri) => match cut_scheme(uri) {
                    None => Scheme::Hdfs,
                    Some((scheme, _)) => known(scheme, uri)?,
                },
            },
            hdfs: environment.folder.join(&environment.hdfs),
            home: Path::new("user").join(&environment.user),
            folder: environment.folder.clone(),
        })
    }

    /// The same for names of this machine's files.
    pub(super) fn local(&self) -> Self {
        Self {
            default: Scheme::Local,
            ..self.clone()
        }
    }

    /// The file that a name stands for.
    ///
    /// # Errors
    /// A name of a file system that cannot be had.
    pub(super) fn locate(&self, typed: &str) -> Result<Located, UriError> {
        let (scheme, path) = match cut_scheme(typed) {
            None => (self.default, typed),
            Some((name, rest)) => (known(name, typed)?, without_host(rest)),
        };
        let path = Path::new(path);
        let path = match scheme {
            Scheme::Local => plain(&self.folder.join(path)),
            // `..` at the root stays there.
            Scheme::Hdfs => {
                let below_root = plain(&Path::new("/").join(&self.home).join(path));
                let below_root = below_root.strip_prefix("/").unwrap_or(&below_root);
                self.hdfs.join(below_root)
            }
        };
        Ok(Located {
            typed: typed.to_owned(),
            path,
        })
    }
}

/// `hdfs` and `//host/x` of `hdfs://host/x`.
fn cut_scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && (scheme.chars()).all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char));
    (is_scheme && rest.starts_with('/')).then_some((scheme, rest))
}

fn known(scheme: &str, uri: &str) -> Result<Scheme, UriError> {
    match scheme {
        "file" => Ok(Scheme::Local),
        "hdfs" => Ok(Scheme::Hdfs),
        _ => Err(UriError::Scheme {
            scheme: scheme.to_owned(),
            uri: uri.to_owned(),
        }),
    }
}

/// `/x` of `//host:port/x`.
fn without_host(rest: &str) -> &str {
    let Some(at) = rest.strip_prefix("//") else {
        return rest;
    };
    at.find('/').map_or("/", |slash| &at[slash..])
}

/// Without `.` and `..`, which are taken from the text: what links lead to does not matter.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment {
            hdfs: "/h".into(),
            user: "ann".to_owned(),
            folder: "/work".into(),
            ..Environment::default()
        }
    }

    #[track_caller]
    fn check(default: Option<&str>, typed: &str, want: &str) {
        let uris = Uris::new(&environment(), default).unwrap();
        let located = uris.locate(typed).unwrap();
        assert_eq!(located.path, Path::new(want), "{typed}");
    }

    #[test]
    fn names_lead_to_files() {
        check(None, "a/b", "/work/a/b");
        check(None, "/a", "/a");
        check(None, "../x", "/x");
        check(None, "a:b", "/work/a:b");
        check(None, "file:///tmp/x", "/tmp/x");
        check(None, "file:/tmp/x", "/tmp/x");
        check(None, "hdfs:///user/x", "/h/user/x");
        check(None, "hdfs://host:8020/x", "/h/x");
        check(None, "hdfs:/x/../../..", "/h");
        check(None, "hdfs://host", "/h");
        for hdfs in ["hdfs:///", "hdfs://host:8020"] {
            check(Some(hdfs), "/data", "/h/data");
            check(Some(hdfs), "data", "/h/user/ann/data");
            check(Some(hdfs), "file:///data", "/data");
        }
        check(Some("file:///"), "data", "/work/data");
        check(Some("local"), "/data", "/data");
    }

    #[test]
    fn other_file_systems_are_refused() {
        let uris = Uris::new(&environment(), None).unwrap();
        let refused = uris.locate("s3://bucket/x").unwrap_err().to_string();
        assert!(refused.contains("scheme `s3`"), "{refused}");
    }

    #[test]
    fn children_keep_what_was_typed() {
        let uris = Uris::new(&environment(), None).unwrap();
        for (typed, want) in [
            ("hdfs:///", "hdfs:///x"),
            ("hdfs:///a", "hdfs:///a/x"),
            ("", "x"),
        ] {
            let located = uris.locate(typed).unwrap();
            assert_eq!(located.child(Path::new("x")).typed, want);
        }
    }
}

//! `mapfold new`: a crate with a job, its tests and a README, ready to be changed.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::api;
use crate::crate_build::RELEASE;
use crate::error::Problem;
use crate::exit::Exit;

/// Makes the crate in a folder that must not exist.
pub(crate) fn new(folder: &Path) -> Result<Exit, Problem> {
    let name = folder.file_name().unwrap_or_default();
    let name = Names::new(&name.to_string_lossy())?;
    let manifest = format!(
        "[package]\nname = \"{}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [lib]\n# The plugin, and a library for tests.\ncrate-type = [\"cdylib\", \"rlib\"]\n\n\
         [dependencies]\n# The API of the Mapfold that made this link: `mapfold run .` makes it anew.\n\
         mapfold-job = {{ path = \"{}/jobs/api\" }}\n{RELEASE}\n\
         [workspace]\nexclude = [\".mapfold\"]\n",
        name.given,
        api::LINK
    );
    let files = [
        ("Cargo.toml", manifest),
        ("Cargo.lock", api::LOCK.to_owned()),
        (".gitignore", "/target\n/.mapfold\n".to_owned()),
        ("README.md", name.fill(include_str!("new/README.md"))),
        ("src/lib.rs", name.fill(include_str!("new/lib.rs"))),
        ("tests/rows.rs", name.fill(include_str!("new/test.rs"))),
    ];
    if let Some(above) = folder.parent() {
        fs::create_dir_all(above).map_err(|error| api::cannot_make(above, &error))?;
    }
    let make = || {
        fs::create_dir(folder)?;
        for (name, text) in files {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap_or(folder))?;
            fs::write(file, text)?;
        }
        Ok(())
    };
    make().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Problem::new(Exit::Output, format!("{} exists already", folder.display()))
        }
        _ => api::cannot_make(folder, &error),
    })?;
    api::link(folder)?;
    let shown = folder.display();
    let path = match folder.components().count() {
        1 => format!("./{shown}"),
        _ => shown.to_string(),
    };
    let said = format!(
        "Made {shown}: a job in src/lib.rs, its tests in tests/rows.rs\n\
         \x20 mapfold run {path} INPUT...   builds it and runs it\n\
         \x20 cargo test                   in {shown}, tests it\n"
    );
    io::stdout()
        .write_all(said.as_bytes())
        .map_err(|error| Problem::stdout(&error))?;
    Ok(Exit::Done)
}

/// What the job is called.
struct Names {
    /// As typed: `word-lengths`.
    given: String,
    /// In `use`: `word_lengths`.
    ident: String,
    /// The type: `WordLengths`.
    type_name: String,
}

impl Names {
    fn new(given: &str) -> Result<Self, Problem> {
        let begins = given.starts_with(|letter: char| letter.is_ascii_lowercase());
        let others = |letter: char| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter)
        };
        const TAKEN: [&str; 8] = [
            "test",
            "core",
            "std",
            "alloc",
            "job",
            "mapfold_job",
            "crate",
            "self",
        ];
        let ident = given.replace('-', "_");
        if !begins || !given.chars().all(others) || TAKEN.contains(&ident.as_str()) {
            let what = format!("`{given}` cannot be the name of a job's crate");
            return Err(Problem::new(Exit::Usage, what)
                .hint("lower-case letters, digits and dashes, such as word-lengths"));
        }
        let type_name = ident.split('_').map(|part| {
            let mut letters = part.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        });
        Ok(Self {
            type_name: type_name.collect(),
            given: given.to_owned(),
            ident,
        })
    }

    fn fill(&self, text: &str) -> String {
        text.replace("CRATE_TYPE", &self.type_name)
            .replace("CRATE_NAME", &self.given)
            .replace("CRATE_IDENT", &self.ident)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_that_of_a_crate_and_of_a_type() {
        let names = Names::new("word-lengths2").unwrap();
        assert_eq!(names.ident, "word_lengths2");
        assert_eq!(names.type_name, "WordLengths2");
        for name in ["", "Words", "2words", "a b", "core", "wörter", "a.rs"] {
            assert!(Names::new(name).is_err(), "{name}");
        }
    }
}

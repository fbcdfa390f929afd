//! Jobs as source: a crate, or a single file, built by cargo before it is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::api;
use crate::error::Problem;
use crate::exit::Exit;

/// Whether a path names source to build.
pub(crate) fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "rs") || path.join("Cargo.toml").is_file()
}

/// Builds it as a release, if it is not built yet, and says where the plugin is. What cargo says goes to stderr as it is.
pub(crate) fn built(source: &Path) -> Result<PathBuf, Problem> {
    let source = fs::canonicalize(source).map_err(|error| {
        Problem::new(Exit::Input, format!("cannot read {}", source.display())).because(&error)
    })?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let folder = match source.is_dir() {
        true => {
            if uses_link(&source) {
                api::link(&source)?;
            }
            source.clone()
        }
        false => {
            cargo.env("CARGO_TARGET_DIR", api::cache()?.join("target"));
            crate_of_file(&source)?
        }
    };
    let built = cargo
        .args(["build", "--release", "--lib"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let built = built.map_err(|error| {
        Problem::new(Exit::Usage, "cannot run cargo, which builds jobs")
            .because(&error)
            .hint(
                "install Rust 1.95 or newer from https://rustup.rs, or name a plugin that is built",
            )
    })?;
    if !built.status.success() {
        let what = format!("cargo could not build {}", source.display());
        return Err(Problem::new(Exit::Usage, what));
    }
    let manifest = folder.join("Cargo.toml");
    library(&built.stdout, &manifest).ok_or_else(|| {
        let what = format!("{} makes no shared library", manifest.display());
        Problem::new(Exit::Usage, what)
            .hint("a plugin's Cargo.toml has, under [lib], crate-type = [\"cdylib\", \"rlib\"]")
    })
}

/// Whether the crate names the API by the link that `mapfold new` makes.
fn uses_link(folder: &Path) -> bool {
    let manifest = fs::read_to_string(folder.join("Cargo.toml"));
    manifest.is_ok_and(|text| text.contains(api::LINK))
}

/// A message of cargo's.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The shared library of the crate, of those that were built.
fn library(messages: &[u8], manifest: &Path) -> Option<PathBuf> {
    let lines = messages.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Message>(line).ok());
    messages
        .filter(|it| it.reason == "compiler-artifact" && it.manifest_path == manifest)
        .flat_map(|it| it.filenames)
        .find(|file| {
            file.extension()
                .is_some_and(|it| it.to_str() == Some(std::env::consts::DLL_EXTENSION))
        })
}

/// A crate in the cache whose only source is the file.
fn crate_of_file(file: &Path) -> Result<PathBuf, Problem> {
    let api = api::unpacked()?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |letter: char| match letter.is_ascii_alphanumeric() {
        true => letter.to_ascii_lowercase(),
        false => '_',
    };
    let stem: String = stem.chars().map(plain).collect();
    let name = format!(
        "job_{stem}_{:016x}",
        xxh3_64(file.as_os_str().as_encoded_bytes())
    );
    let folder = api::cache()?.join("files").join(&name);
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [lib]\npath = {file:?}\ncrate-type = [\"cdylib\"]\n\n\
         [dependencies]\nmapfold-job = {{ path = {:?} }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n{RELEASE}\n[workspace]\n",
        api.join("jobs/api")
    );
    let make = || {
        fs::create_dir_all(&folder)?;
        write_changed(&folder.join("Cargo.toml"), &manifest)?;
        let lock = folder.join("Cargo.lock");
        match lock.exists() {
            true => Ok(()),
            false => fs::write(lock, api::LOCK),
        }
    };
    make().map_err(|error| api::cannot_make(&folder, &error))?;
    Ok(folder)
}

/// Leaves a file alone that has the text already: cargo looks at its time.
fn write_changed(path: &Path, text: &str) -> std::io::Result<()> {
    match fs::read_to_string(path) {
        Ok(present) if present == text => Ok(()),
        _ => fs::write(path, text),
    }
}

/// The profile that makes a plugin as fast as a job of the binary, with the names of lines for backtraces.
pub(crate) const RELEASE: &str = "
[profile.release]
lto = \"thin\"
codegen-units = 1
debug = \"line-tables-only\"

[profile.release.package.\"*\"]
debug = false
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_among_cargos_messages() {
        let messages = br#"{"reason":"compiler-artifact","manifest_path":"/other/Cargo.toml","filenames":["/t/libother.so"]}
{"reason":"compiler-artifact","manifest_path":"/mine/Cargo.toml","filenames":["/t/libmine.rlib","/t/libmine.so"]}
{"reason":"build-finished","success":true}"#;
        if std::env::consts::DLL_EXTENSION == "so" {
            let found = library(messages, Path::new("/mine/Cargo.toml"));
            assert_eq!(found, Some("/t/libmine.so".into()));
        }
        assert_eq!(library(messages, Path::new("/none/Cargo.toml")), None);
    }
}

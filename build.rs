//! Packs the sources that a job's crate depends on into the binary, so that `mapfold new` and `mapfold run DIR` need no copy of this repository.
//! What is unpacked is a workspace of the three crates, without their tests' dependencies and benchmarks; beside it the documentation and the examples,
//! for authors who have the binary alone.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The crates, bottom first.
const CRATES: [&str; 3] = ["jobs/terms", "data", "jobs/api"];

/// To be read: folders whose documentation and source is packed as it is.
const READING: [&str; 7] = [
    "docs",
    "jobs/examples/bigrams",
    "jobs/examples/classics",
    "jobs/examples/inverted-index",
    "jobs/examples/orders",
    "jobs/examples/outputs",
    "jobs/examples/word-count",
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.toml");
    let mut table = "&[\n".to_owned();
    let mut add = |name: &str, path: &Path| {
        let _ = writeln!(table, "    ({name:?}, include_bytes!({path:?})),");
    };
    let workspace = out.join("workspace.toml");
    fs::write(
        &workspace,
        workspace_manifest(&fs::read_to_string(root.join("Cargo.toml"))?),
    )?;
    add("Cargo.toml", &workspace);
    for name in CRATES {
        let folder = root.join(name);
        println!("cargo::rerun-if-changed={name}");
        let manifest = out.join(name.replace('/', "-")).with_extension("toml");
        fs::write(
            &manifest,
            crate_manifest(&fs::read_to_string(folder.join("Cargo.toml"))?),
        )?;
        add(&format!("{name}/Cargo.toml"), &manifest);
        let mut files = Vec::new();
        find(&folder.join("src"), &["rs"], &mut files)?;
        files.extend(Some(folder.join("build.rs")).filter(|file| file.exists()));
        files.sort();
        for file in files {
            let inside = file.strip_prefix(&root).map_err(io::Error::other)?;
            add(&inside.display().to_string(), &file);
        }
    }
    for name in READING {
        println!("cargo::rerun-if-changed={name}");
        let mut files = Vec::new();
        find(&root.join(name), &["md", "rs", "toml"], &mut files)?;
        files.sort();
        for file in files {
            let inside = file.strip_prefix(&root).map_err(io::Error::other)?;
            add(&inside.display().to_string(), &file);
        }
    }
    table += "]\n";
    fs::write(out.join("api_files.rs"), table)
}

/// The files whose names end so; not what an example was built into.
fn find(folder: &Path, endings: &[&str], files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ends = |ending: &&str| path.extension().is_some_and(|it| it == *ending);
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".mapfold") {
            find(&path, endings, files)?;
        } else if endings.iter().any(ends) {
            files.push(path);
        }
    }
    Ok(())
}

/// The sections that crates inherit from, without our other crates.
fn workspace_manifest(manifest: &str) -> String {
    let members = CRATES.map(|name| format!("{name:?}")).join(", ");
    let mut text = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{members}]\nexclude = [\"jobs/examples\"]\n\n"
    );
    let is_ours = |line: &str| {
        let path = line
            .split_once("path = \"")
            .and_then(|(_, rest)| rest.split('"').next());
        path.is_some_and(|path| !CRATES.contains(&path))
    };
    for section in sections(manifest).filter(|it| it.starts_with("[workspace.")) {
        let lines = section.lines().filter(|line| !is_ours(line));
        text.extend(lines.flat_map(|line| [line, "\n"]));
    }
    text
}

/// Without benchmarks and tests, whose files are not packed, and what only they need.
fn crate_manifest(manifest: &str) -> String {
    let left_out = ["[[bench]]", "[[test]]", "[dev-dependencies]"];
    sections(manifest)
        .filter(|section| !left_out.iter().any(|name| section.starts_with(name)))
        .collect()
}

/// Each from its header to the next.
fn sections(manifest: &str) -> impl Iterator<Item = &str> {
    let mut starts: Vec<usize> = manifest
        .match_indices("\n[")
        .map(|(at, _)| at + 1)
        .collect();
    starts.insert(0, 0);
    starts.push(manifest.len());
    let pairs: Vec<_> = starts.windows(2).map(|two| (two[0], two[1])).collect();
    pairs.into_iter().map(|(start, end)| &manifest[start..end])
}

//! From nothing to a job of one's own: `mapfold new`, and source that is built before it is run.
//!
//! Whole builds of a new crate take minutes, so most of this compiles the crate against the API that the tests were built with, or lets a script be cargo;
//! the whole way is `cargo test -p mapfold-tests --test e2e -- --ignored own_jobs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::oracle;
use crate::plugins::{api_flags, plugin};
use crate::sandbox::{Sandbox, books, rows_of};

/// `mapfold ARGS` with a cache of the test's own, and `cargo` as the one that builds.
fn mapfold(sandbox: &Sandbox, cargo: &Path, args: &[&str]) -> Output {
    let mut command = sandbox.command(args);
    command.env("XDG_CACHE_HOME", sandbox.work("cache"));
    command.env("CARGO", cargo).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A script that answers as cargo does when it has built `library`, or fails.
fn script(sandbox: &Sandbox, library: Option<&Path>) -> PathBuf {
    let does = match library {
        Some(library) => format!(
            r#"printf '{{"reason":"compiler-artifact","manifest_path":"%s/Cargo.toml","filenames":["{}"]}}\n' "$PWD""#,
            library.display()
        ),
        None => "echo 'error[E0308]: mismatched types' >&2; exit 101".to_owned(),
    };
    let path = sandbox.work("cargo");
    fs::write(&path, format!("#!/bin/sh\necho \"$@\" > args\n{does}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_new_crate_has_a_job_that_works_and_tests_that_pass() {
    let sandbox = Sandbox::new();
    let made = mapfold(&sandbox, Path::new("cargo"), &["new", "word-lengths"]);
    assert!(made.status.success(), "{}", said(&made));
    let folder = sandbox.work("word-lengths");
    let out = folder.join("libword_lengths.so");
    let rlib = folder.join("libword_lengths.rlib");
    let rustc = |args: &[&str], source: &str| {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let built = rustc
            .args(["--edition=2024", "-Dwarnings"])
            .args(api_flags())
            .args(args)
            .arg(folder.join(source))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", said(&built));
    };
    let name = "--crate-name=word_lengths";
    let output = |path: &Path| path.to_str().unwrap().to_owned();
    rustc(
        &[name, "--crate-type=cdylib", "-o", &output(&out)],
        "src/lib.rs",
    );
    let books = books();
    let args = ["run", &output(&out), books.to_str().unwrap(), "-o", "out"];
    sandbox.run(args);
    assert_eq!(rows_of(&sandbox.work("out")), oracle::wordcount(&books));
    rustc(
        &[name, "--crate-type=rlib", "-o", &output(&rlib)],
        "src/lib.rs",
    );
    let tests = folder.join("tests/run");
    let with = format!("--extern=word_lengths={}", rlib.display());
    rustc(&["--test", &with, "-o", &output(&tests)], "tests/rows.rs");
    let tested = Command::new(tests).output().unwrap();
    assert!(tested.status.success(), "{tested:?}");
}

/// Without building anything.
#[test]
fn cargo_understands_a_new_crate_and_the_api_that_is_unpacked() {
    let sandbox = Sandbox::new();
    mapfold(&sandbox, Path::new("cargo"), &["new", "word-lengths"]);
    let folder = sandbox.work("word-lengths");
    for reading in [
        "docs/ARCHITECTURE.md",
        "jobs/examples/bigrams/tests/rows.rs",
    ] {
        let path = folder.join(".mapfold/api").join(reading);
        assert!(path.exists(), "{}", path.display());
    }
    let read = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--offline", "--format-version=1"])
        // What only other platforms need may never have been downloaded here.
        .args(["--filter-platform", "host-tuple"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(read.status.success(), "{}", said(&read));
    let metadata: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: Vec<_> = packages.iter().map(|it| it["name"].as_str()).collect();
    for name in [
        "word-lengths",
        "mapfold-job",
        "mapfold-data",
        "mapfold-terms",
    ] {
        assert!(names.contains(&Some(name)), "no {name} in {names:?}");
    }
    for name in ["tokio", "tarpc", "proptest", "divan"] {
        assert!(!names.contains(&Some(name)), "{name} in {names:?}");
    }
    // Their files are not unpacked, and cargo builds no single file's job where a target has none; it does not say so here.
    for name in ["jobs/terms", "data", "jobs/api"] {
        let manifest = folder.join(".mapfold/api").join(name).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        for target in ["[[test]]", "[[bench]]"] {
            assert!(!text.contains(target), "{target} in {}", manifest.display());
        }
    }
}

#[test]
fn a_name_that_is_taken_or_cannot_be_is_refused() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.work("here")).unwrap();
    fs::write(sandbox.work("file"), "").unwrap();
    for (name, code, want) in [
        ("here", 4, "exists already"),
        ("Words", 2, "lower-case letters, digits and dashes"),
        ("file/words", 4, "cannot make"),
    ] {
        let refused = mapfold(&sandbox, Path::new("cargo"), &["new", name]);
        assert_eq!(refused.status.code(), Some(code), "{}", said(&refused));
        assert!(said(&refused).contains(want), "{}", said(&refused));
    }
}

#[test]
fn a_crate_and_a_file_are_built_and_run() {
    let sandbox = Sandbox::new();
    let cargo = script(&sandbox, Some(&plugin("word_count")));
    mapfold(&sandbox, &cargo, &["new", "words"]);
    // As after a clone.
    fs::remove_dir_all(sandbox.work("words/.mapfold")).unwrap();
    fs::write(sandbox.work("job.rs"), "").unwrap();
    let books = books();
    let books = books.to_str().unwrap();
    for (source, out) in [("words", "one"), ("./words", "two"), ("job.rs", "three")] {
        let ran = mapfold(&sandbox, &cargo, &["run", source, books, "-o", out]);
        assert!(ran.status.success(), "{source}: {}", said(&ran));
        assert_eq!(
            rows_of(&sandbox.work(out)),
            oracle::wordcount(Path::new(books))
        );
    }
    let args = fs::read_to_string(sandbox.work("words/args")).unwrap();
    assert!(args.starts_with("build --release --lib"), "{args}");
    assert!(
        sandbox
            .work("words/.mapfold/api/jobs/api/Cargo.toml")
            .exists()
    );
    let checked = mapfold(&sandbox, &cargo, &["plugin", "check", "words"]);
    assert!(String::from_utf8_lossy(&checked.stdout).contains("panics are caught"));
    let described = mapfold(&sandbox, &cargo, &["describe", "./words"]);
    assert!(String::from_utf8_lossy(&described.stdout).contains("mapfold run ./words INPUT"));
}

#[test]
fn what_cargo_says_is_shown_as_it_is() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("job.rs"), "").unwrap();
    let run = ["run", "job.rs", "in.txt"];
    // Not built for what is not there.
    let absent = mapfold(&sandbox, &script(&sandbox, None), &run);
    assert_eq!(said(&absent), "error: input in.txt does not exist\n");
    assert_eq!(absent.status.code(), Some(3));
    fs::write(sandbox.work("in.txt"), "").unwrap();
    let failed = mapfold(&sandbox, &script(&sandbox, None), &run);
    assert_eq!(failed.status.code(), Some(2));
    assert!(
        said(&failed).starts_with("error[E0308]: mismatched types\n"),
        "{}",
        said(&failed)
    );
    assert!(said(&failed).contains("cargo could not build"));
    let missing = mapfold(&sandbox, Path::new("/no/cargo"), &run);
    assert_eq!(missing.status.code(), Some(2));
    assert!(said(&missing).contains("rustup.rs"), "{}", said(&missing));
    let gone = mapfold(&sandbox, Path::new("cargo"), &["run", "gone.rs", "in.txt"]);
    assert_eq!(gone.status.code(), Some(3), "{}", said(&gone));
}

/// The whole way, with cargo: some minutes.
#[test]
#[ignore = "builds a crate and all that it depends on, as a release"]
fn a_new_crate_is_built_tested_and_run() {
    let sandbox = Sandbox::new();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let cargo = Path::new(&cargo);
    mapfold(&sandbox, cargo, &["new", "words"]);
    let books = books();
    let books = books.to_str().unwrap();
    fs::copy(
        sandbox.work("words/src/lib.rs"),
        sandbox.work("single file.rs"),
    )
    .unwrap();
    for (source, out) in [("./words", "one"), ("single file.rs", "two")] {
        let ran = mapfold(&sandbox, cargo, &["run", source, books, "-o", out]);
        assert!(ran.status.success(), "{}", said(&ran));
        assert_eq!(
            rows_of(&sandbox.work(out)),
            oracle::wordcount(Path::new(books))
        );
    }
    let tested = Command::new(cargo)
        .arg("test")
        .current_dir(sandbox.work("words"))
        .output()
        .unwrap();
    assert!(tested.status.success(), "{}", said(&tested));
}

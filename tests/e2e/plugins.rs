//! Jobs in shared libraries: the examples as plugins, and libraries that are none, or not for this engine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mapfold_data::run::RUN_VERSION;

use crate::oracle;
use crate::sandbox::{Ended, Sandbox, books, bytes_of, rows_of};

/// A plugin that was built beside this test.
pub(crate) fn plugin(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let file = format!("lib{name}{}", std::env::consts::DLL_SUFFIX);
    let path = test.with_file_name(file);
    assert!(path.exists(), "{} was not built", path.display());
    path
}

/// A library of one source file, which knows nothing of Mapfold unless the flags say so.
pub(crate) fn library(sandbox: &Sandbox, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let file = sandbox.work(&format!("{name}.rs"));
    fs::write(&file, source).unwrap();
    let library = sandbox.work(&format!("lib{name}.so"));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--edition=2024", "--crate-type=cdylib", "-Awarnings", "-o"]);
    let built = command.arg(&library).args(flags).arg(&file).output();
    let built = built.unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{name}: {said}");
    library
}

/// The flags that give a library the API that this test was built with.
pub(crate) fn api_flags() -> Vec<String> {
    let folder = std::env::current_exe().unwrap();
    let folder = folder.parent().unwrap();
    let entries = fs::read_dir(folder).unwrap().filter_map(Result::ok);
    let built = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("libmapfold_job-") && name.ends_with(".rlib")
    });
    let newest = built.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap());
    vec![
        format!("--extern=mapfold_job={}", newest.unwrap().path().display()),
        format!("-Ldependency={}", folder.display()),
    ]
}

fn run(sandbox: &Sandbox, plugin: &Path, more: &[&str]) -> Ended {
    let plugin = plugin.to_str().unwrap();
    let books = books();
    let args = ["run", plugin, books.to_str().unwrap()];
    sandbox.start(args.iter().chain(more)).wait()
}

#[track_caller]
pub(crate) fn refused(ended: &Ended, want: &[&str]) {
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    for text in want {
        assert!(
            ended.stderr.contains(text),
            "no {text:?} in {}",
            ended.stderr
        );
    }
}

/// In this process, in children of it, in worker processes, in children of those; with much memory and little.
pub(crate) const PLACES: [&[&str]; 5] = [
    &["--slots", "2"],
    &["--slots", "2", "--isolate"],
    &["--workers", "2"],
    &["--workers", "2", "--isolate"],
    &["--slots", "2", "--memory", "34MiB"],
];

#[test]
fn a_plugin_gives_the_same_folder_wherever_it_runs() {
    let sandbox = Sandbox::new();
    let books = books();
    for (name, want) in [
        ("word_count", oracle::wordcount(&books)),
        (
            "inverted_index",
            oracle::index(&books, books.to_str().unwrap()),
        ),
    ] {
        let mut first = None;
        for place in PLACES {
            let common = ["-r", "3", "--split-size", "300KB", "-o", "out", "-q"];
            let more: Vec<&str> = common.iter().chain(place).copied().collect();
            let ended = run(&sandbox, &plugin(name), &more);
            assert!(ended.status.success(), "{place:?}: {}", ended.stderr);
            assert_eq!(rows_of(&sandbox.work("out")), want, "{name} {place:?}");
            let got = bytes_of(&sandbox.work("out"));
            assert!(*first.get_or_insert(got.clone()) == got, "{name} {place:?}");
            fs::remove_dir_all(sandbox.work("out")).unwrap();
        }
    }
    sandbox.assert_clean(&[]);
}

/// One code on both sides of the border: what is measured beside each other (`docs/benchmarks.md`) does the same.
#[test]
fn a_stock_job_gives_the_same_parts_as_a_plugin() {
    let sandbox = Sandbox::new();
    let common = ["-r", "3", "--split-size", "300KB", "-q", "-o"];
    let stock = run(
        &sandbox,
        Path::new("wordcount"),
        &[&common[..], &["stock"]].concat(),
    );
    assert!(stock.status.success(), "{}", stock.stderr);
    let parts = |folder: &str| -> BTreeMap<_, _> {
        let bytes = bytes_of(&sandbox.work(folder)).into_iter();
        // The manifest names the plugin by its hash.
        bytes
            .filter(|(name, _)| !name.ends_with("_SUCCESS"))
            .collect()
    };
    for place in PLACES {
        let more = [&common[..], &["out"], place].concat();
        let ended = run(&sandbox, &plugin("stock_wordcount"), &more);
        assert!(ended.status.success(), "{place:?}: {}", ended.stderr);
        assert!(parts("out") == parts("stock"), "{place:?}");
        fs::remove_dir_all(sandbox.work("out")).unwrap();
    }
}

/// The name of the output's job carries the identity of the plugin.
#[test]
fn the_manifest_names_the_plugin_by_its_hash() {
    let sandbox = Sandbox::new();
    run(&sandbox, &plugin("word_count"), &["-o", "out", "-q"]);
    let manifest = fs::read(sandbox.work("out/_SUCCESS")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let (name, id) = manifest["job"].as_str().unwrap().split_once('@').unwrap();
    assert_eq!(name, "word-count");
    let path = plugin("word_count");
    let checked = sandbox.run(["plugin", "check", path.to_str().unwrap()]);
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.contains(&format!("identity   {id}\n")), "{checked}");
    assert!(checked.contains("word-count: how often each word occurs\n    -p letters_min=u64"));
}

#[test]
fn parameters_of_a_plugin_are_checked_before_anything_runs() {
    let sandbox = Sandbox::new();
    let path = plugin("word_count");
    for place in [&[][..], &["--isolate"]] {
        let wrong = [&["-p", "letters=3"][..], place].concat();
        refused(
            &run(&sandbox, &path, &wrong),
            &["job `word-count` has no parameter `letters`; it takes letters_min"],
        );
        let wrong = [&["-p", "letters_min=few"][..], place].concat();
        refused(
            &run(&sandbox, &path, &wrong),
            &["`few` is not a whole number", "mapfold describe /"],
        );
    }
    let few = run(&sandbox, &path, &["-p", "letters_min=17", "-q"]);
    assert!(few.status.success(), "{}", few.stderr);
    let rows = String::from_utf8(few.stdout).unwrap();
    assert!(!rows.is_empty() && rows.lines().all(|row| row.len() > 17));
}

#[test]
fn a_plugin_with_several_jobs_wants_to_know_which() {
    let sandbox = Sandbox::new();
    let lab = plugin("lab");
    refused(
        &run(&sandbox, &lab, &[]),
        &["has several jobs", "add --job NAME, one of: lab-crash, "],
    );
    refused(
        &run(&sandbox, &lab, &["--job", "lab"]),
        &["has no job `lab`", "it has lab-crash, "],
    );
    let lab = lab.to_str().unwrap();
    let described = sandbox.run(["describe", lab, "--job", "lab-crash"]);
    let described = String::from_utf8(described.stdout).unwrap();
    assert!(described.contains(&format!("mapfold run {lab} --job lab-crash -p trace=TEXT")));
}

/// The lab's checks, with its jobs out of the plugin.
#[test]
fn the_labs_jobs_run_from_a_plugin() {
    let sandbox = Sandbox::new();
    let trace = format!("trace={}", sandbox.trace().display());
    let lab = plugin("lab");
    let files = oracle::files(&books()).len();
    let letters: Vec<_> = (b'a'..=b'z')
        .map(|letter| format!("{}\t{files}", char::from(letter)).into_bytes())
        .collect();
    for (job, more) in [
        ("lab-map-parallel", ["--workers", "2"]),
        ("lab-reduce-parallel", ["--slots", "2"]),
    ] {
        let common = [
            "--job",
            job,
            "-r",
            "10",
            "--split-size",
            "100KB",
            "-p",
            &trace,
            "-p",
            "meet=2",
        ];
        let out = ["-o", job];
        let more = [&common[..], &more, &out].concat();
        let ended = run(&sandbox, &lab, &more);
        assert!(ended.status.success(), "{job}: {}", ended.stderr);
        assert_eq!(rows_of(&sandbox.work(job)), letters);
    }
    let slow = ["--job", "lab-slow", "-o", "slow", "-p", &trace];
    let ended = run(&sandbox, &lab, &slow);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(sandbox.signs("map").len(), 8, "each book was begun once");
    assert_eq!(rows_of(&sandbox.work("slow")), oracle::wordcount(&books()));
}

/// Attempts that exit or stall take nothing along but their own process.
#[test]
fn what_a_plugin_does_to_its_process_changes_nothing() {
    let sandbox = Sandbox::new();
    let trace = format!("trace={}", sandbox.trace().display());
    let lab = plugin("lab");
    let common = [
        "--job",
        "lab-crash",
        "--format",
        "files",
        "--split-size",
        "1",
        "-p",
        &trace,
    ];
    let want = [&common[..], &["-o", "want", "-p", "most=0"]].concat();
    assert!(run(&sandbox, &lab, &want).status.success());
    // Each worker tries a task that stalls once, so there are more of them than stalls.
    let crash = [
        "-o",
        "crash",
        "-p",
        "most=2",
        "--isolate",
        "--task-timeout",
        "2s",
    ];
    let workers = ["--workers", "4", "--slots", "1", "--max-attempts", "9"];
    let ended = run(&sandbox, &lab, &[&common[..], &crash, &workers].concat());
    assert!(ended.status.success(), "{}", ended.stderr);
    let deeds = sandbox.signs("exit").len() + sandbox.signs("stall").len();
    assert!(deeds >= 2, "it misbehaved {deeds} times");
    assert_eq!(
        rows_of(&sandbox.work("crash")),
        rows_of(&sandbox.work("want"))
    );
}

const PANICS: &str = r#"
use mapfold_job::*;
mapfold_job::plugin!(Panics);
struct Panics;
impl Job for Panics {
    type Params = NoParams;
    type Key = Vec<u8>;
    type Value = u64;
    const NAME: &'static str = "panics";
    const SUMMARY: &'static str = "panics at a word";
    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        for word in record.bytes.split(|byte| *byte == b' ') {
            assert_ne!(word, b"panic", "a word that it does not like");
            out.emit(word, 1);
        }
        Ok(())
    }
    fn reduce(&self, word: &[u8], ns: &mut Values<'_, Self>, rows: &mut Rows<'_>) -> Result<(), JobError> {
        rows.row(word, ns.owned().sum::<u64>());
        Ok(())
    }
}
"#;

/// With a plugin of each way to build one: optimised for size, and so that a panic aborts.
#[test]
fn a_panic_in_a_plugin_is_told_with_its_record_however_it_was_built() {
    let sandbox = Sandbox::new();
    let api = api_flags();
    let flags = |more: &[&'static str]| -> Vec<String> {
        let more = more.iter().map(|flag| (*flag).to_owned());
        api.iter().cloned().chain(more).collect()
    };
    let build = |name: &str, more: &[&'static str]| {
        let flags = flags(more);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        library(&sandbox, name, PANICS, &flags)
    };
    let small = build("small", &["-Copt-level=z"]);
    let aborts = build("aborts", &["-Cpanic=abort"]);
    fs::write(sandbox.work("bad.txt"), "one two\nthree\nfour panic five\n").unwrap();
    fs::write(sandbox.work("good.txt"), "b a\nb\n").unwrap();
    let start = |library: &Path, input: &str, more: &[&str]| {
        let args = ["run", library.to_str().unwrap(), input, "-q"];
        let mut command = sandbox.command(args.iter().chain(more));
        command.env("RUST_BACKTRACE", "1");
        crate::sandbox::Running::new(command.spawn().unwrap()).wait()
    };
    for place in [&[][..], &["--isolate"], &["--workers", "2"]] {
        let ended = start(&small, "bad.txt", place);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        for text in [
            "a word that it does not like",
            "at: bad.txt, byte 14: \"four panic five\" (record 3 of the map task)",
        ] {
            assert!(ended.stderr.contains(text), "{place:?}: {}", ended.stderr);
        }
        let ended = start(&small, "good.txt", place);
        assert_eq!(ended.stdout, b"a\t1\nb\t2\n", "{}", ended.stderr);
    }
    // What it leaves for another look has the backtrace of the plugin's own code.
    let capsules = fs::read_dir(sandbox.work(".mapfold/failed")).unwrap();
    let capsule = capsules.map(|entry| entry.unwrap().path()).next().unwrap();
    let capsule = fs::read_to_string(capsule).unwrap();
    assert!(capsule.contains("Panics"), "{capsule}");

    refused(
        &start(&aborts, "good.txt", &[]),
        &["built with panic=abort", "--isolate"],
    );
    let ended = start(&aborts, "good.txt", &["--isolate"]);
    assert_eq!(ended.stdout, b"a\t1\nb\t2\n", "{}", ended.stderr);
    let ended = start(&aborts, "bad.txt", &["--isolate", "--max-attempts", "2"]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("SIGABRT"), "{}", ended.stderr);
    let checked = sandbox.run(["plugin", "check", aborts.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&checked.stdout).contains("runs with --isolate only"));
}

#[test]
fn what_is_no_plugin_is_refused_and_says_why() {
    let sandbox = Sandbox::new();
    let file = |name: &str, bytes: &[u8]| {
        fs::write(sandbox.work(name), bytes).unwrap();
        sandbox.work(name)
    };
    let elf = fs::read(plugin("word_count")).unwrap();
    let mut other = elf[..4096].to_vec();
    other[18] ^= 0xff;
    for (path, want) in [
        (file("text.so", b"fn main() {}\n"), "it is text"),
        (file("empty.so", b""), "it is empty"),
        (file("zip.so", b"PK\x03\x04"), "it does not begin like one"),
        (file("short.so", &elf[..4096]), "short.so"),
        (
            file("other.so", &other),
            "not a shared library for this machine",
        ),
    ] {
        refused(&run(&sandbox, &path, &[]), &[want, path.to_str().unwrap()]);
    }
    let gone = run(&sandbox, Path::new("./gone.so"), &[]);
    assert_eq!(gone.status.code(), Some(3), "{}", gone.stderr);

    let plain = library(
        &sandbox,
        "plain",
        "#[unsafe(no_mangle)] pub extern \"C\" fn other() {}",
        &[],
    );
    refused(
        &run(&sandbox, &plain, &[]),
        &["has no symbol `mapfold_job_v1`", "mapfold_job::plugin!"],
    );
}

/// A library with a table as another version of Mapfold might have it.
pub(crate) fn table(magic: &str, size: u32, major: u16, about: &str) -> String {
    format!(
        r#####"
use std::ffi::c_void;
#[repr(C)]
pub struct Lent {{ data: *const u8, len: usize, owner: *mut c_void, release: Option<extern "C" fn(*mut c_void)> }}
#[repr(C)]
pub struct Table {{ magic: u64, size: u32, major: u16, minor: u16, about: extern "C" fn(*mut Lent), rest: [extern "C" fn(*mut Lent); 5] }}
extern "C" fn about(to: *mut Lent) {{
    let text: &'static str = r####"{about}"####;
    unsafe {{ *to = Lent {{ data: text.as_ptr(), len: text.len(), owner: std::ptr::null_mut(), release: None }} }}
}}
static TABLE: Table = Table {{ magic: u64::from_le_bytes(*b"{magic}"), size: {size}, major: {major}, minor: 0, about, rest: [about; 5] }};
#[unsafe(no_mangle)]
pub extern "C" fn mapfold_job_v1() -> *const Table {{ &raw const TABLE }}
"#####
    )
}

pub(crate) fn about(format: &str, target: &str) -> String {
    format!(
        r#"{{"api":"9.9.9","rustc":"rustc 9","target":"{target}","opt_level":"3","debug_assertions":false,"panic_unwinds":true,"formats":{{"run":{format}}},"more":1}}"#
    )
}

#[test]
fn a_plugin_of_another_version_is_refused_and_says_which() {
    let sandbox = Sandbox::new();
    let good = about(&RUN_VERSION.to_string(), "vax-dec-ultrix");
    let of_another_run = format!("has version 7 of run, and this Mapfold has {RUN_VERSION}");
    for (name, source, want) in [
        (
            "magic",
            table("MAPTHING", 64, 1, &good),
            "its table does not begin like one",
        ),
        (
            "major",
            table("MFPLUGIN", 64, 2, &good),
            "has plugin interface 2.0, and this Mapfold has 1.0",
        ),
        (
            "size",
            table("MFPLUGIN", 24, 1, &good),
            "its table of 24 bytes lacks functions",
        ),
        (
            "about",
            table("MFPLUGIN", 64, 1, "nothing"),
            "tells nothing about itself",
        ),
        (
            "format",
            table("MFPLUGIN", 64, 1, &about("7", "vax")),
            &of_another_run,
        ),
        (
            "target",
            table("MFPLUGIN", 64, 1, &good),
            "was built for vax-dec-ultrix, and this Mapfold for",
        ),
    ] {
        let path = library(&sandbox, name, &source, &[]);
        refused(&run(&sandbox, &path, &[]), &[want, "hint:"]);
    }
}

/// A library that does something when it is opened.
pub(crate) fn constructor(does: &str) -> String {
    format!(
        r#"
#[used]
#[unsafe(link_section = ".init_array")]
static AT_ONCE: extern "C" fn() = at_once;
extern "C" fn at_once() {{ {does} }}
"#
    )
}

#[test]
fn a_plugin_that_crashes_when_it_is_opened_is_refused() {
    let sandbox = Sandbox::new();
    for (name, does, want) in [
        (
            "aborts",
            "std::process::abort()",
            "was killed by signal 6 (SIGABRT)",
        ),
        ("exits", "std::process::exit(7)", "ended with code 7"),
        (
            "faults",
            "unsafe { std::ptr::null_mut::<u8>().write_volatile(1) }",
            "was killed by signal",
        ),
        (
            "says",
            "eprintln!(\"no licence\"); std::process::exit(1)",
            "no licence",
        ),
    ] {
        let path = library(&sandbox, name, &constructor(does), &[]);
        refused(&run(&sandbox, &path, &[]), &[want, "opening "]);
        refused(&run(&sandbox, &path, &["--isolate"]), &[want]);
        let checked = sandbox
            .start(["plugin", "check", path.to_str().unwrap()])
            .wait();
        refused(&checked, &[want]);
    }
    // What it prints when it is opened is not taken for an answer.
    let path = library(&sandbox, "prints", &constructor("println!(\"hello\")"), &[]);
    refused(&run(&sandbox, &path, &[]), &["has no symbol"]);
}

/// The files that a plugin makes are counted as the engine's own are.
#[test]
fn temporary_files_of_a_plugin_are_bounded() {
    let sandbox = Sandbox::new();
    let index = plugin("inverted_index");
    for place in [&[][..], &["--isolate"]] {
        let little = [
            "--memory",
            "28MiB",
            "--slots",
            "1",
            "-o",
            "out",
            "--temp-max",
        ];
        let ended = run(&sandbox, &index, &[&little[..], &["1MiB"], place].concat());
        assert!(!ended.status.success());
        assert!(
            ended.stderr.contains("allow more with --temp-max"),
            "{}",
            ended.stderr
        );
        let ended = run(&sandbox, &index, &[&little[..], &["1GiB"], place].concat());
        assert!(ended.status.success(), "{}", ended.stderr);
        fs::remove_dir_all(sandbox.work("out")).unwrap();
    }
}

/// A plan is for one build of a plugin; its tasks run from it.
#[test]
fn a_plan_names_its_plugin() {
    let sandbox = Sandbox::new();
    let copy = sandbox.work("libcopy.so");
    fs::copy(plugin("word_count"), &copy).unwrap();
    let books = books();
    let (copy, books) = (copy.to_str().unwrap(), books.to_str().unwrap());
    sandbox.run([
        "plan",
        copy,
        books,
        "-o",
        "plan.json",
        "-r",
        "1",
        "--split-size",
        "2MB",
    ]);
    for index in ["0", "1"] {
        sandbox.run([
            "task",
            "map",
            "--plan",
            "plan.json",
            "--index",
            index,
            "--to",
            "mid",
        ]);
    }
    sandbox.run([
        "task",
        "reduce",
        "--plan",
        "plan.json",
        "--index",
        "0",
        "--from",
        "mid",
    ]);
    sandbox.run([
        "task",
        "commit",
        "--plan",
        "plan.json",
        "--from",
        "mid",
        "-o",
        "out",
    ]);
    assert_eq!(
        rows_of(&sandbox.work("out")),
        oracle::wordcount(Path::new(books))
    );
    fs::copy(plugin("inverted_index"), copy).unwrap();
    let late = sandbox.start([
        "task",
        "map",
        "--plan",
        "plan.json",
        "--index",
        "0",
        "--to",
        "late",
    ]);
    let late = late.wait();
    assert_eq!(late.status.code(), Some(2), "{}", late.stderr);
}

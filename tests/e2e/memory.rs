//! Memory: a job whose data is twenty times its budget gives the same bytes, and the process stays within the budget.
//!
//! What is held against the budget is the peak of resident memory, as the kernel keeps it for the process (`VmHWM`). `RLIMIT_AS` and
//! `RLIMIT_DATA` are about address space, of which a mapped run takes much and occupies little; the `ru_maxrss` of a child begins with what
//! the process occupied that started it. A control group limits the page cache as well, so it is a test of its own, for those who may
//! make one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sandbox::{Running, Sandbox, bytes_of, parts_of, skipped};

/// The least for one slot.
const BUDGET: u64 = 27 << 20;
const TIMES: u64 = 20;

/// A folder `data` of a kind.
fn data(kind: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let size = (BUDGET * TIMES).to_string();
    sandbox.run(["gen", kind, "--size", &size, "-o", "data"]);
    sandbox
}

/// Runs a job over `data`; the most memory that it occupied, in bytes, and what it said.
fn run(sandbox: &Sandbox, job: &[&str], output: &str, memory: u64) -> (u64, String) {
    let memory = memory.to_string();
    let how = ["data", "--slots", "1", "--memory", &memory, "-o", output];
    let running = sandbox.start(["run"].iter().chain(job).chain(&how).copied());
    let (ended, peak) = running.wait_and_measure();
    assert!(ended.status.success(), "{}", ended.stderr);
    (peak, ended.stderr)
}

/// Runs a job with little memory and with plenty.
fn check(kind: &str, job: &[&str]) {
    let sandbox = data(kind);
    let (little, said) = run(&sandbox, job, "little", BUDGET);
    let (plenty, _) = run(&sandbox, job, "plenty", 2 << 30);
    assert!(
        plenty > BUDGET,
        "{plenty} bytes with plenty: too small a test"
    );
    assert!(little <= BUDGET, "{little} of {BUDGET} bytes: {said}");
    assert!(said.contains(" spilled"), "{said}");
    assert!(bytes_of(&sandbox.work("little")) == bytes_of(&sandbox.work("plenty")));
}

#[test]
fn word_count_of_twenty_times_the_memory() {
    check("zipf", &["wordcount"]);
}

#[test]
fn sort_of_twenty_times_the_memory() {
    check("tera", &["sort", "--format", "fixed:100", "-p", "key=0:10"]);
}

/// Every record has the same key, its line end, so `reduce` is called once; the values are the input, in its order.
#[test]
fn one_key_with_values_of_twenty_times_the_memory() {
    let sandbox = data("tera");
    let job = ["sort", "--format", "fixed:100", "-p", "key=99:1", "-r", "1"];
    let (peak, said) = run(&sandbox, &job, "sorted", BUDGET);
    assert!(peak <= BUDGET, "{peak} of {BUDGET} bytes: {said}");
    let files = bytes_of(&sandbox.work("data"));
    let input: Vec<u8> = files.into_values().flatten().collect();
    let rows = parts_of(&sandbox.work("sorted"));
    assert!(rows.len() == 1 && rows["part-00000"] == input);
}

/// A control group with a limit on memory, page cache included; removed when dropped.
struct Group(PathBuf);

impl Group {
    /// `None`, and a line that says so, where this user may not make one.
    fn new(name: &str, limit: u64) -> Option<Self> {
        let name = format!("mapfold-test-{}-{name}", std::process::id());
        let versions = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ];
        let made = versions.iter().find_map(|(root, file)| {
            let group = Self(Path::new(root).join(&name));
            fs::create_dir(&group.0).ok()?;
            fs::write(group.0.join(file), limit.to_string()).ok()?;
            Some(group)
        });
        if made.is_none() {
            skipped("it needs the right to make control groups that limit memory (run it as root)");
        }
        made
    }

    /// Starts `mapfold ARGS` in it.
    fn start(&self, sandbox: &Sandbox, args: &[&str]) -> Running {
        let plain = sandbox.command(args);
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]);
        command.arg(&self.0).arg(plain.get_program());
        command.args(plain.get_args());
        command.current_dir(sandbox.work(""));
        command.env("TMPDIR", sandbox.tmp());
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::new(command.spawn().unwrap())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// What the budget leaves of the limit is all that the input, the runs and the output have for a page cache.
fn check_in_group(kind: &str, job: &[&str]) {
    let Some(group) = Group::new(kind, BUDGET + (9 << 20)) else {
        return;
    };
    let sandbox = data(kind);
    run(&sandbox, job, "free", 2 << 30);
    let memory = BUDGET.to_string();
    let how = ["data", "--slots", "1", "--memory", &memory, "-o", "limited"];
    let args = [&["run"], job, &how].concat();
    let ended = group.start(&sandbox, &args).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(bytes_of(&sandbox.work("limited")) == bytes_of(&sandbox.work("free")));
}

#[test]
fn word_count_under_a_hard_limit() {
    check_in_group("zipf", &["wordcount"]);
}

#[test]
fn sort_under_a_hard_limit() {
    check_in_group("tera", &["sort", "--format", "fixed:100", "-p", "key=0:10"]);
}

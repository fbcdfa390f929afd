//! Memory: a job whose data is twenty times its budget gives the same bytes, and the process stays within the budget.
//!
//! What is held against the budget is the peak of resident memory, as the kernel keeps it for the process (`VmHWM`). A hard limit
//! would be the better judge only where it limits the same thing: `RLIMIT_AS` and `RLIMIT_DATA` are about address space, of which
//! a mapped run takes much and occupies little, and a control group needs rights that a test does not have. Nor will the
//! `ru_maxrss` of a child do: it begins with what the process occupied that started it.

use crate::sandbox::{Sandbox, bytes_of, parts_of};

/// The least for one slot.
const BUDGET: u64 = 23 << 20;
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

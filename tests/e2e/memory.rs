//! Memory: a job whose data is twenty times its budget gives the same bytes, and the process stays within the budget.
//!
//! What is held against the budget is the peak of resident memory, as the kernel keeps it for the process (`VmHWM`). A hard limit
//! would be the better judge only where it limits the same thing: `RLIMIT_AS` and `RLIMIT_DATA` are about address space, of which
//! a mapped run takes much and occupies little, and a control group needs rights that a test does not have. Nor will the
//! `ru_maxrss` of a child do: it begins with what the process occupied that started it.

use crate::sandbox::{Sandbox, bytes_of};

/// The least for one slot.
const BUDGET: u64 = 23 << 20;
const TIMES: u64 = 20;

/// Runs a job with little memory and with plenty.
fn check(kind: &str, job: &[&str]) {
    let sandbox = Sandbox::new();
    let size = (BUDGET * TIMES).to_string();
    sandbox.run(["gen", kind, "--size", &size, "-o", "data"]);
    let run = |output: &str, memory: &str| {
        let memory = ["data", "--slots", "1", "--memory", memory, "-o", output];
        let running = sandbox.start(["run"].iter().chain(job).chain(&memory).copied());
        let (ended, peak) = running.wait_and_measure();
        assert!(ended.status.success(), "{}", ended.stderr);
        (peak, ended.stderr)
    };
    let (little, said) = run("little", &BUDGET.to_string());
    let (plenty, _) = run("plenty", "2GiB");
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

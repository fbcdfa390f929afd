//! One answer: the output folder is the same to the byte however the job is run.

use crate::cluster::{Cluster, Over};
use crate::oracle;
use crate::sandbox::{Sandbox, bytes_of, rows_of, samples, sorted};

/// Small splits, so that the samples make many map tasks.
const MANY_TASKS: [&str; 4] = ["--split-size", "64KiB", "-r", "7"];

#[test]
fn output_is_the_same_bytes_on_any_number_of_slots_workers_and_processes() {
    let sandbox = Sandbox::new();
    let input = samples();
    let run = |job: &[&str], output: &str, how: &[&str]| {
        let fixed = ["-o", output];
        let args = ["run"]
            .iter()
            .chain(job)
            .chain(&fixed)
            .chain(&MANY_TASKS)
            .chain(how);
        sandbox.run(args.copied());
        bytes_of(&sandbox.work(output))
    };
    let wordcount = ["wordcount", input.to_str().unwrap()];
    let one = run(&wordcount, "one", &["--slots", "1"]);
    assert_eq!(one.len(), 8, "seven parts and a manifest");
    assert_eq!(
        rows_of(&sandbox.work("one")),
        sorted(oracle::wordcount(&input))
    );
    assert_eq!(one, run(&wordcount, "four", &["--slots", "4"]));
    assert_eq!(one, run(&wordcount, "again", &["--slots", "1"]));
    assert_eq!(one, run(&wordcount, "processes", &["--workers", "3"]));
    assert_eq!(
        one,
        run(
            &wordcount,
            "little-memory",
            &["--slots", "2", "--memory", "34MiB"]
        )
    );
    for (over, output) in [(Over::Tcp, "tcp"), (Over::Unix, "unix")] {
        let cluster = Cluster::start(&sandbox, over, 3);
        assert_eq!(
            one,
            run(&wordcount, output, &["--master", &cluster.address])
        );
        cluster.end();
    }
    sandbox.assert_clean(&[
        "again",
        "four",
        "little-memory",
        "one",
        "processes",
        "tcp",
        "unix",
    ]);
}

#[test]
fn jobs_without_a_combiner_are_the_same_bytes_with_little_memory_and_many_workers() {
    let sandbox = Sandbox::new();
    let input = samples();
    let run = |output: &str, how: &[&str]| {
        let job = [
            "run",
            "grep",
            input.to_str().unwrap(),
            "-p",
            "pattern=[aeiou]",
            "-o",
            output,
        ];
        sandbox.run(job.iter().chain(&MANY_TASKS).chain(how).copied());
        bytes_of(&sandbox.work(output))
    };
    let one = run("one", &["--slots", "1"]);
    assert_eq!(
        one,
        run("little-memory", &["--slots", "1", "--memory", "27MiB"])
    );
    assert_eq!(
        one,
        run("processes", &["--workers", "2", "--memory", "34MiB"])
    );
    sandbox.assert_clean(&["little-memory", "one", "processes"]);
}

//! What a job counted, as Hadoop prints it: groups and, in each, names with amounts.

use std::fmt::Write as _;

use mapfold_terms::JobReport;

/// `Counters: N` and the groups below it: first the engine's, then those of the job.
pub(super) fn text(report: &JobReport) -> String {
    let mut groups = of_engine(report);
    for (group, counters) in report.counters.groups() {
        let counters = counters.into_iter();
        let counters = counters.map(|(name, amount)| (name, i128::from(amount)));
        groups.push((group, counters.collect()));
    }
    let count: usize = groups.iter().map(|(_, counters)| counters.len()).sum();
    let mut text = format!("Counters: {count}");
    for (group, counters) in groups {
        let _ = write!(text, "\n\t{group}");
        for (name, amount) in counters {
            let _ = write!(text, "\n\t\t{name}={amount}");
        }
    }
    text
}

type Group = (String, Vec<(String, i128)>);

fn of_engine(report: &JobReport) -> Vec<Group> {
    let maps = u64::from(report.maps);
    let reduces = u64::from(report.reduces);
    let mut framework = vec![
        ("Map input records", report.records_in),
        ("Map output records", report.records_mapped),
    ];
    if reduces > 0 {
        framework.extend([
            ("Reduce input groups", report.groups),
            ("Reduce shuffle bytes", report.bytes_shuffled.bytes()),
            ("Reduce input records", report.records_shuffled),
            ("Reduce output records", report.rows),
        ]);
    }
    framework.push(("Merged Map outputs", maps * reduces));
    let mut job = vec![("Launched map tasks", maps)];
    if reduces > 0 {
        job.push(("Launched reduce tasks", reduces));
    }
    if report.attempts_failed > 0 {
        job.push(("Failed attempts", report.attempts_failed));
    }
    let (read, written) = (report.bytes_in.bytes(), report.bytes_out.bytes());
    let groups = [
        (
            "File System Counters",
            vec![
                ("FILE: Number of bytes read", read),
                ("FILE: Number of bytes written", written),
            ],
        ),
        ("Job Counters ", job),
        ("Map-Reduce Framework", framework),
        ("File Input Format Counters ", vec![("Bytes Read", read)]),
        (
            "File Output Format Counters ",
            vec![("Bytes Written", written)],
        ),
    ];
    let groups = groups.into_iter().map(|(group, counters)| {
        let counters = counters.into_iter();
        let counters = counters.map(|(name, amount)| (name.to_owned(), i128::from(amount)));
        (group.to_owned(), counters.collect())
    });
    groups.collect()
}

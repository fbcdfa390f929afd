use mapfold_terms::{Digest, Format, JobId, MasterEpoch, Token};

use super::*;

const WORKER: WorkerId = WorkerId(1);

struct Bench {
    tally: Tally,
    plan: Plan,
    start: Instant,
    tokens: u64,
}

impl Bench {
    fn new(maps: usize, reduces: usize) -> Self {
        let plan = Plan {
            format: Format::Lines,
            splits: Vec::new(),
            files: 1,
            bytes: 1000,
            reducers: 1,
        };
        Self {
            tally: Tally::new(maps, reduces),
            plan,
            start: Instant::now(),
            tokens: 0,
        }
    }

    fn launch(&mut self, task: TaskId) -> AttemptId {
        self.tokens += 1;
        let attempt = AttemptId {
            token: Token {
                epoch: MasterEpoch(1),
                counter: self.tokens,
            },
            job: JobId(1),
            task,
            number: 1,
        };
        self.tally.launched(attempt, WORKER, self.start);
        attempt
    }

    /// A map task is tried and won, with so many records.
    fn map(&mut self, index: u32, records: u64) {
        let attempt = self.launch(TaskId::map(index));
        let report = Reported::Mapped(map_report(records));
        self.tally.judged(WORKER, attempt, Some(report));
        self.tally.won(attempt, WORKER, self.start);
    }

    fn status(&self) -> (PhaseStatus, PhaseStatus) {
        self.tally.phases(&self.plan)
    }

    fn report(&self) -> JobReport {
        let end = JobEnd::Cancelled;
        self.tally
            .report(&self.plan, JobStats::default(), end, self.start, self.start)
    }
}

fn map_report(records: u64) -> MapReport {
    let mut counters = Counters::default();
    counters.add("records", records.cast_signed());
    MapReport {
        records_in: records,
        bytes_in: 100 * records,
        records_out: 0,
        run: RunSummary {
            records,
            bytes: 10 * records,
            digest: Digest(0),
        },
        spilled: ByteSize(0),
        spills: 0,
        counters,
        elapsed: Duration::from_secs(records),
        skipped: Vec::new(),
        staged: None,
    }
}

#[test]
fn a_map_task_that_is_lost_counts_for_the_report_until_another_wins() {
    let mut bench = Bench::new(2, 1);
    bench.map(0, 1);
    bench.map(1, 2);
    assert_eq!((bench.status().0.done, bench.status().0.records), (2, 3));
    assert_eq!(bench.status().1.bytes_total, 30);
    bench.tally.lost(TaskId::map(1));
    // Told twice is told once.
    bench.tally.lost(TaskId::map(1));
    assert_eq!((bench.status().0.done, bench.status().0.records), (1, 1));
    assert_eq!(bench.status().1.bytes_total, 0);
    assert!(bench.tally.run(1).is_none() && bench.tally.run(0).is_some());
    assert_eq!(
        (
            bench.report().records_in,
            bench.tally.counters().0["records"]
        ),
        (3, 3)
    );
    bench.map(1, 4);
    assert_eq!((bench.status().0.done, bench.status().0.records), (2, 5));
    assert_eq!(
        (
            bench.report().records_in,
            bench.tally.counters().0["records"]
        ),
        (5, 5)
    );
}

#[test]
fn the_newest_status_is_that_of_a_running_attempt() {
    let mut bench = Bench::new(2, 1);
    let attempts = [bench.launch(TaskId::map(0)), bench.launch(TaskId::map(1))];
    let mut say = |worker, at: usize, text: &str| {
        let said = AttemptStatus {
            attempt: attempts[at],
            text: text.to_owned(),
        };
        bench.tally.said(worker, &said)
    };
    assert!(say(WORKER, 1, "half way") && say(WORKER, 0, "begun"));
    assert!(!say(WORKER, 1, "half way"), "it has said so");
    assert!(!say(WorkerId(2), 1, "of another"));
    let newest = bench.tally.newest_said().unwrap();
    assert_eq!((newest.attempt, &*newest.text), (attempts[0], "begun"));
    bench.tally.judged(WORKER, attempts[0], None);
    assert_eq!(bench.tally.newest_said(), None);
}

#[test]
fn progress_counts_while_an_attempt_runs_and_never_decreases() {
    let mut bench = Bench::new(2, 1);
    let attempt = bench.launch(TaskId::map(0));
    let at = |records| Progress {
        bytes_total: 0,
        steps: 0,
        attempt,
        records,
        bytes: 0,
    };
    assert!(bench.tally.progressed(WORKER, &at(5)));
    assert!(!bench.tally.progressed(WORKER, &at(4)));
    assert!(!bench.tally.progressed(WorkerId(2), &at(9)));
    assert_eq!((bench.status().0.running, bench.status().0.records), (1, 5));
    bench.tally.worker_gone(WORKER);
    assert_eq!((bench.status().0.running, bench.status().0.records), (0, 0));
}

#[test]
fn only_the_report_that_is_being_judged_can_win() {
    let mut bench = Bench::new(1, 1);
    let early = bench.launch(TaskId::map(0));
    let late = bench.launch(TaskId::map(0));
    let report = || Some(Reported::Mapped(map_report(1)));
    bench.tally.judged(WORKER, early, report());
    bench.tally.judged(WORKER, late, None);
    bench.tally.won(early, WORKER, bench.start);
    assert_eq!(bench.status().0.done, 0);
}

#[test]
fn the_first_attempts_that_failed_and_the_last_are_kept() {
    let mut bench = Bench::new(20, 1);
    let mut fail = |index, class| {
        let attempt = bench.launch(TaskId::map(index));
        let failure = Failure::new(class, &std::io::Error::other("bad"));
        bench.tally.failed(WORKER, attempt, &failure);
        bench.tally.judged(WORKER, attempt, None);
        let failed = bench.report().failed;
        let tasks = failed.iter().map(|failed| failed.attempt.task.index);
        tasks.collect::<Vec<u32>>()
    };
    for index in 0..8 {
        assert_eq!(fail(index, FailClass::Job), Vec::from_iter(0..=index));
    }
    for index in [8, 9] {
        assert_eq!(fail(index, FailClass::Job), [0, 1, 2, 3, 4, 5, 6, index]);
    }
    assert_eq!(fail(10, FailClass::Worker), [0, 1, 2, 3, 4, 5, 6, 9]);
}

#[test]
fn the_median_is_a_measured_time() {
    let seconds = |times: &[u64]| times.iter().copied().map(Duration::from_secs).collect();
    assert_eq!(median(seconds(&[])), Duration::ZERO);
    assert_eq!(median(seconds(&[3])), Duration::from_secs(3));
    assert_eq!(median(seconds(&[4, 1])), Duration::from_secs(1));
    assert_eq!(median(seconds(&[9, 1, 5])), Duration::from_secs(5));
}

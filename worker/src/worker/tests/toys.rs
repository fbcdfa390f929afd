//! Jobs that do what their name says.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mapfold_data::part::attempt_part_name;
use mapfold_data::run::RunWriter;
use mapfold_job::{
    BuildError, Catalog, MapDone, MapTask, Monitor, ReduceDone, ReduceTask, Runner, SequentialDone,
    SequentialTask, TaskError,
};
use mapfold_terms::{
    ByteSize, Counters, FailClass, Failure, JobInfo, MapReport, PartSummary, PartitionId, Staged,
};

/// What the toys of one worker did.
#[derive(Default)]
pub(super) struct Toys {
    /// Map attempts that were begun.
    pub(super) maps: AtomicUsize,
    /// Those that were cancelled.
    pub(super) cancelled: AtomicUsize,
}

struct Toy {
    name: String,
    info: JobInfo,
    toys: Arc<Toys>,
}

pub(super) struct ToyCatalog(pub(super) Arc<Toys>);

impl Catalog for ToyCatalog {
    fn list(&self) -> Vec<JobInfo> {
        Vec::new()
    }

    fn build(
        &self,
        name: &str,
        _: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn Runner>, BuildError> {
        if name == "unknown" {
            return Err(BuildError::UnknownJob {
                name: name.to_owned(),
                known: Vec::new(),
            });
        }
        let text = String::new;
        Ok(Arc::new(Toy {
            name: name.to_owned(),
            info: JobInfo {
                name: name.to_owned(),
                summary: text(),
                help: text(),
                params: Vec::new(),
                key: text(),
                value: text(),
                format: Default::default(),
                inputs: Vec::new(),
                input_formats: Vec::new(),
                refines: None,
                folds: false,
                total_order: false,
                map_only: false,
                split_per_file: false,
            },
            toys: Arc::clone(&self.0),
        }))
    }
}

/// Records that a map attempt of `count` leaves in each partition.
pub(super) const RECORDS: u32 = 1000;

impl Runner for Toy {
    fn info(&self) -> &JobInfo {
        &self.info
    }

    fn map(&self, task: &MapTask<'_>, monitor: &dyn Monitor) -> Result<MapDone, TaskError> {
        self.toys.maps.fetch_add(1, Ordering::SeqCst);
        match self.name.as_str() {
            "spin" => {
                for round in 0.. {
                    monitor.progress(round, 10 * round);
                    if monitor.cancelled() {
                        self.toys.cancelled.fetch_add(1, Ordering::SeqCst);
                        return Err(TaskError::Cancelled);
                    }
                    std::hint::spin_loop();
                }
                unreachable!("it spins until it is cancelled")
            }
            "panic" => panic!("no luck with split {}", task.split.index),
            "no-space" => Err(Failure {
                class: FailClass::Worker,
                chain: vec!["no space left to write /tmp/x".to_owned()],
                at: None,
                hint: None,
                backtrace: None,
            }
            .into()),
            _ => {
                let token = task.attempt.token;
                let mut writer = RunWriter::new(
                    token,
                    task.partitions,
                    task.scratch.clone(),
                    task.in_memory_max,
                );
                for partition in 0..task.partitions {
                    for record in 0..RECORDS {
                        let partition = PartitionId(partition);
                        let value = [7; 100];
                        writer
                            .push(partition, &record.to_be_bytes(), &value)
                            .unwrap();
                    }
                }
                let (run, summary) = writer.finish().unwrap();
                Ok(MapDone {
                    report: MapReport {
                        records_in: 0,
                        bytes_in: 0,
                        records_out: summary.records,
                        run: summary,
                        spilled: ByteSize(0),
                        spills: 0,
                        counters: Counters::default(),
                        elapsed: Duration::ZERO,
                        skipped: Vec::new(),
                        staged: None,
                    },
                    run,
                })
            }
        }
    }

    fn sequential(&self, _: &SequentialTask<'_>) -> Result<SequentialDone, TaskError> {
        unreachable!("a worker runs attempts")
    }

    fn reduce(&self, task: ReduceTask<'_>, _: &dyn Monitor) -> Result<ReduceDone, TaskError> {
        let order: Vec<_> = task.inputs.iter().map(|segment| segment.map()).collect();
        assert!(order.is_sorted());
        let mut records = 0;
        for segment in &task.inputs {
            let mut cursor = segment.cursor();
            loop {
                match cursor.next() {
                    Ok(Some(_)) => records += 1,
                    Ok(None) => break,
                    Err(error) => {
                        return Err(TaskError::BadRun {
                            map: segment.map(),
                            message: error.to_string(),
                        });
                    }
                }
            }
        }
        let name = attempt_part_name(task.attempt.token, task.partition, task.part_codec);
        fs::write(task.part_folder.join(name), records.to_string()).unwrap();
        if self.name == "reduce-panics" {
            panic!("no luck with {}", task.partition);
        }
        Ok(ReduceDone {
            records_in: records,
            groups: 0,
            staged: Staged::of(PartSummary {
                rows: 1,
                bytes: 0,
                unpacked_bytes: 0,
                hash: [0; 32],
            }),
            spilled: ByteSize(0),
            counters: Counters::default(),
        })
    }
}

//! The border to plugins as it was released: a change that would break plugins fails here, not at a user's.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mapfold_job::border::{About, Ask, AskReduce, Input, InputAt, MakeJob, RunAt, Told};
use mapfold_job::{BuildError, JobInfo, ParamError, ParamInfo, ReduceDone, SequentialDone};
use mapfold_terms::*;
use serde::Serialize;

/// The hash of the C interface, without comments, blank space and what is not part of the layout.
const ABI_TEXT: u64 = 0x02ae_d37c_8f63_9956;

#[test]
fn the_c_interface_is_as_it_was() {
    let text = include_str!("../src/border/abi.rs");
    let types = text
        .split("#[repr(C)]")
        .skip(1)
        .map(|after| after.split("\n}").next().unwrap_or_default());
    let constants = text.lines().filter(|line| line.starts_with("pub const"));
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for line in types.flat_map(str::lines).chain(constants) {
        let code = line.split("//").next().unwrap_or_default();
        for byte in code.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
            // FNV-1a.
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    assert_eq!(
        hash, ABI_TEXT,
        "jobs/api/src/border/abi.rs has changed. If plugins built before can still be used, new functions are at the end of the table and \
         MINOR is one more; if not, MAJOR and the symbol's name are. Then put {hash:#x} here"
    );
}

fn raw(path: &str) -> RawPath {
    RawPath::from(Path::new(path))
}

fn attempt(task: TaskId) -> AttemptId {
    AttemptId {
        token: Token {
            epoch: MasterEpoch(1),
            counter: 2,
        },
        job: JobId(3),
        task,
        number: 4,
    }
}

fn split() -> Split {
    let file = InputFile {
        name: raw("a"),
        path: raw("/a"),
        codec: Codec::Plain,
        fingerprint: Fingerprint {
            inode: 1,
            len: 9,
            modified_ns: 2,
            changed_ns: 3,
        },
        input: 1,
        format: Some(Format::CSV),
    };
    Split {
        index: 5,
        pieces: vec![Piece {
            file,
            start: 0,
            end: 9,
        }],
    }
}

/// One of each, with every field set.
fn messages() -> String {
    let mut boundaries = Boundaries::default();
    boundaries.push(b"m");
    let mut counters = Counters::default();
    counters.add("lines", 6);
    let at = RecordAt {
        file: raw("a"),
        offset: 7,
        row_group: None,
        record: 8,
        excerpt: b"x".to_vec(),
    };
    let text = |text: &str| text.to_owned();
    let skipped = Skipped {
        file: raw("a"),
        offset: 1,
        record: 2,
        bytes: 3,
        excerpt: b"x".to_vec(),
        error: text("bad"),
    };
    let part = PartSummary {
        rows: 1,
        bytes: 2,
        unpacked_bytes: 3,
        hash: [7; 32],
    };
    let mut all = String::new();
    let mut add = |message: &dyn ToJson| {
        all += &message.to_json();
        all.push('\n');
    };
    add(&MakeJob {
        name: text("job"),
        params: BTreeMap::from([(text("p"), text("v"))]),
    });
    add(&Ask::Map {
        attempt: attempt(TaskId::map(5)),
        split: split(),
        maps: 6,
        format: Format::Lines,
        partitions: 2,
        partitioning: Partitioning::Ranges(boundaries.clone()),
        memory: ByteSize(1),
        in_memory_max: ByteSize(2),
        skip_bad: 3,
        left_out: vec![skipped.clone()],
        scratch: raw("/s"),
        part_codec: Codec::Gzip,
        part_folder: raw("/m"),
    });
    add(&Ask::Reduce(AskReduce {
        attempt: attempt(TaskId::reduce(1)),
        partition: PartitionId(1),
        format: Format::Files,
        maps: 6,
        partitions: 2,
        inputs: [
            InputAt::Nowhere,
            InputAt::File(raw("/r"), 24),
            InputAt::Beside,
        ]
        .map(|at| Input {
            map: 0,
            records: 1,
            checksum: 2,
            bytes: 3,
            at,
        })
        .into(),
        memory: ByteSize(1),
        scratch: raw("/s"),
        part_codec: Codec::Zstd,
        part_folder: raw("/p"),
        notes: Some(raw("/n")),
    }));
    add(&Ask::Sample {
        plan: Plan {
            format: Format::Lines,
            splits: vec![split()],
            files: 1,
            bytes: 9,
            reducers: 2,
        },
        skip_bad: true,
        scratch: raw("/s"),
    });
    add(&Ask::Sequential {
        splits: vec![split()],
        format: Format::Lines,
        scratch: raw("/s"),
        part_codec: Codec::Plain,
        part_folder: raw("/p"),
    });
    for run in [RunAt::File(raw("/r")), RunAt::Beside] {
        add(&Told::Mapped {
            report: Box::new(MapReport {
                records_in: 1,
                bytes_in: 2,
                records_out: 3,
                run: RunSummary {
                    records: 4,
                    bytes: 5,
                    digest: Digest(u128::MAX),
                },
                spilled: ByteSize(6),
                spills: 7,
                counters: counters.clone(),
                elapsed: Duration::new(8, 9),
                skipped: vec![skipped.clone()],
                staged: Some(Staged::of(part)),
            }),
            run,
        });
    }
    add(&Told::Reduced(ReduceDone {
        records_in: 1,
        groups: 2,
        staged: Staged {
            part,
            named: BTreeMap::from([(text("errors"), part)]),
        },
        spilled: ByteSize(3),
        counters,
    }));
    add(&Told::Sampled(boundaries));
    add(&Told::Sequential(SequentialDone {
        records_in: 1,
        records_mapped: 2,
        groups: 3,
        rows: 4,
    }));
    add(&Told::Cancelled);
    add(&Told::Failed(Failure {
        class: FailClass::Job,
        chain: vec![text("bad")],
        at: Some(at),
        hint: Some(text("try")),
        backtrace: Some(text("0: main")),
    }));
    add(&Told::BadRun {
        map: 1,
        message: text("bad"),
    });
    add(&Told::Made {
        keeps_records: true,
    });
    let name = || text("x");
    for error in [
        BuildError::UnknownJob {
            name: name(),
            known: vec![],
        },
        BuildError::Refused {
            job: name(),
            message: text("bad"),
        },
        BuildError::Param {
            job: name(),
            source: ParamError::Unknown {
                name: name(),
                known: vec![],
            },
        },
        BuildError::Param {
            job: name(),
            source: ParamError::Bad {
                name: name(),
                value: name(),
                expected: name(),
            },
        },
        BuildError::Param {
            job: name(),
            source: ParamError::Missing {
                name: name(),
                help: name(),
            },
        },
    ] {
        add(&Told::Refused(error));
    }
    add(&vec![JobInfo {
        name: name(),
        summary: name(),
        help: name(),
        params: vec![ParamInfo {
            name: name(),
            kind: name(),
            default: None,
            help: name(),
        }],
        key: name(),
        value: name(),
        format: Format::CSV,
        inputs: vec![name()],
        input_formats: vec![Format::CSV],
        refines: Some(name()),
        folds: true,
        total_order: false,
        map_only: true,
        split_per_file: true,
    }]);
    add(&About {
        api: name(),
        rustc: name(),
        target: name(),
        opt_level: name(),
        debug_assertions: false,
        panic_unwinds: true,
        formats: BTreeMap::from([(name(), 1)]),
    });
    all
}

/// A plugin names the part file by itself.
#[test]
fn parts_are_named_as_they_were() {
    let token = attempt(TaskId::reduce(1)).token;
    let name = mapfold_data::part::attempt_part_name(token, PartitionId(1), Codec::Zstd);
    assert_eq!(
        name, "1-2-part-00001.zst",
        "plugins built before give parts another name: MESSAGES_VERSION (jobs/api/src/border/about.rs) must be one more"
    );
}

trait ToJson {
    fn to_json(&self) -> String;
}

impl<T: Serialize> ToJson for T {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers always serialize")
    }
}

#[test]
fn messages_are_as_they_were() {
    let got = messages();
    let want = include_str!("border.messages");
    for (got, want) in got.lines().zip(want.lines()) {
        assert_eq!(
            got, want,
            "a message to plugins has changed. A field that is new needs #[serde(default)], and nothing more; any other change needs one more \
             in MESSAGES_VERSION (jobs/api/src/border/about.rs). Then change jobs/api/tests/border.messages too"
        );
    }
    assert_eq!(got.lines().count(), want.lines().count(), "{got}");
}

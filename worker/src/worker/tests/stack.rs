//! The whole stack of calls under a network that fails, in virtual time: a real master with its journal, its services, tarpc,
//! codec and handshake; workers with their real order, report, locate, heartbeat and reattach loops; a client that submits and
//! waits. Lines between them are slow, hold everything back, break, and say everything twice; the master is ended and
//! started again. Output must be the same bytes as without any of that.
//!
//! Time is paused: it jumps when all wait, and stands still while a thread works. So one piece is put in another's place, the pool
//! of slots ([`executor`]): `docs/decisions/rpc-simulation.md` has the reasons. A seed decides what goes wrong and when; the order in
//! which threads end is the system's.
//!
//! `MAPFOLD_STACK=300 cargo test -p mapfold-worker --lib stack -- --nocapture` plays more, `MAPFOLD_STACK_SEED=7` one.

mod executor;
mod network;

use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;

use mapfold_master::{Master, MasterHandle, Settings as MasterSettings};
use mapfold_protocol::service::{ClientDeskClient, POLL_MAX};
use mapfold_protocol::{CallError, Link};
use mapfold_terms::{InputName, JobEnd, JobKey, JobReport, JobSpec, JobState};
use tokio::time::{sleep, timeout};

use super::*;
use crate::attempts::Seen;
use crate::job_files::JobFiles;
use crate::locate::paused::answer_known;
use executor::{Known, Paced};
use network::{Line, Rng};

const WORKERS: usize = 3;
const SLOTS: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// Faults come for so long.
const FAULTS: Duration = Duration::from_secs(60);
/// Whatever happened, the job has ended by then.
const LIMIT: Duration = Duration::from_secs(1_200);

/// After so many seeds that did not see all, something is wrong with the network.
const SEEDS_MAX: u64 = 200;

/// What all played seeds have seen.
#[derive(Debug, Default)]
struct Sum {
    connections: u64,
    doubled: u64,
    restarts: u64,
    workers_lost: u64,
    attempts: u64,
    stale: u64,
}

impl Sum {
    fn has_seen_all(&self) -> bool {
        self.restarts > 0 && self.doubled > 0 && self.workers_lost > 0
    }
}

/// One master, its workers, its client, and the lines between.
struct Scene {
    folder: TempDir,
    /// The client's is the last.
    lines: Vec<Line>,
    master: MasterHandle,
    restarts: u64,
}

#[test]
fn a_job_is_the_same_bytes_whatever_the_network_does() {
    let from_env = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let want = play(0, false, &mut Sum::default());
    let mut sum = Sum::default();
    if let Some(seed) = from_env("MAPFOLD_STACK_SEED") {
        assert_eq!(play(seed, true, &mut sum), want);
        return eprintln!("{sum:?}");
    }
    let seeds = from_env("MAPFOLD_STACK").unwrap_or(12);
    let began = std::time::Instant::now();
    let mut played = 0;
    // How threads take turns decides what a seed sees: more of them are played until all has been seen.
    while played < seeds || (!sum.has_seen_all() && played < SEEDS_MAX) {
        let got = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            play(played, true, &mut sum)
        }));
        let again = format!("play it again: MAPFOLD_STACK_SEED={played}");
        assert_eq!(got.ok().as_ref(), Some(&want), "{again}");
        played += 1;
    }
    eprintln!("{played} seeds in {:?}: {sum:?}", began.elapsed());
    assert!(sum.has_seen_all(), "{sum:?}");
}

/// Plays one seed; returns the output's files.
fn play(seed: u64, faults: bool, sum: &mut Sum) -> BTreeMap<String, Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let calm_at = Instant::now() + if faults { FAULTS } else { Duration::ZERO };
        let scene = Scene::new(seed, calm_at);
        let played = timeout(LIMIT, scene.play(seed, calm_at, sum)).await;
        played.expect("the job ends")
    })
}

impl Scene {
    fn new(seed: u64, calm_at: Instant) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        let text: String = (0..12)
            .map(|n| format!("line {n} of {} words\n", n % 5))
            .collect();
        fs::write(folder.path().join("in/a.txt"), text).unwrap();
        let numbers = 0..=WORKERS as u64;
        let lines = numbers
            .map(|line| Line::new(seed << 8 | line, calm_at))
            .collect();
        let master = open(&folder.path().join("state"));
        let scene = Self {
            folder,
            lines,
            master,
            restarts: 0,
        };
        scene.answer(Some(&scene.master));
        scene
    }

    fn answer(&self, master: Option<&MasterHandle>) {
        for line in &self.lines {
            line.leads_to(master.map(MasterHandle::desk));
        }
    }

    async fn play(
        mut self,
        seed: u64,
        calm_at: Instant,
        sum: &mut Sum,
    ) -> BTreeMap<String, Vec<u8>> {
        for (number, line) in self.lines[..WORKERS].iter().enumerate() {
            let worker = PlayedWorker::new(self.folder.path(), number, line, seed);
            tokio::spawn(worker.run());
        }
        let client = self.lines[WORKERS].clone();
        let spec = spec(self.folder.path());
        let mut report = pin!(ask(&client, spec));
        let mut rng = Rng::new(!seed);
        let report = loop {
            let wait = rng.millis(500, 6_000);
            tokio::select! {
                biased;
                report = &mut report => break report,
                () = sleep(wait) => {}
            }
            if Instant::now() < calm_at {
                self.fault(&mut rng).await;
            }
        };
        assert!(
            matches!(report.end, JobEnd::Succeeded { .. }),
            "{:?}",
            report.end
        );
        for line in &self.lines {
            let (opened, doubled) = line.counts();
            sum.connections += opened;
            sum.doubled += doubled;
        }
        sum.restarts += self.restarts;
        sum.workers_lost += u64::from(report.workers_lost);
        sum.attempts += report.attempts;
        sum.stale += report.stale_reports;
        self.output()
    }

    async fn fault(&mut self, rng: &mut Rng) {
        let line = &self.lines[usize::try_from(rng.range(0, self.lines.len() as u64)).unwrap()];
        match rng.range(0, 10) {
            0..4 => line.cut(),
            // Longer than a lease now and then.
            4..8 => {
                let directions = [[true, true], [true, false], [false, true]];
                let directions = directions[usize::try_from(rng.range(0, 3)).unwrap()];
                line.hold(directions, rng.millis(200, 20_000));
            }
            _ => self.restart(rng).await,
        }
    }

    /// The master ends without a word, and another start goes on.
    async fn restart(&mut self, rng: &mut Rng) {
        self.answer(None);
        self.master.abandon();
        // What it had begun on threads is over when time passes.
        sleep(rng.millis(100, 5_000)).await;
        self.master = open(&self.folder.path().join("state"));
        self.answer(Some(&self.master));
        self.restarts += 1;
    }

    /// The files of the output; nothing else may be left but what is known to be there.
    fn output(&self) -> BTreeMap<String, Vec<u8>> {
        let names = |folder: PathBuf| {
            let entries = fs::read_dir(folder).unwrap();
            let mut names: Vec<String> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| !name.starts_with("worker-"))
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(self.folder.path().to_owned()), ["in", "out", "state"]);
        let out = self.folder.path().join("out");
        let files = names(out.clone()).into_iter();
        files
            .map(|name| (name.clone(), fs::read(out.join(name)).unwrap()))
            .collect()
    }
}

fn open(state: &Path) -> MasterHandle {
    let mut settings = MasterSettings::default();
    // All workers may be cut off at once, and the job must bear that.
    settings.scheduler.grace_without_workers = LIMIT;
    Master::open(settings, state).unwrap()
}

fn spec(folder: &Path) -> JobSpec {
    JobSpec {
        key: JobKey(1),
        job: "wordcount".to_owned(),
        params: BTreeMap::new(),
        files: Vec::new(),
        inputs: vec![InputName {
            typed: RawPath::from(Path::new("in")),
            absolute: RawPath::from(folder.join("in")),
            input: 0,
            format: None,
        }],
        format: Format::NLine(NonZeroU32::MIN),
        split_per_file: false,
        lazy_parts: false,
        split_size: None,
        reducers: Some(3),
        parts: Codec::Plain,
        partitioning: Partitioning::Hash,
        output: RawPath::from(folder.join("out")),
        overwrite: false,
        max_attempts: NonZeroU32::new(4).unwrap(),
        skip_bad: 0,
        backup: true,
        task_timeout: Duration::from_secs(120),
        row_key: "text".to_owned(),
        row_value: "u64".to_owned(),
    }
}

/// Submits the job and waits for its end, however often it must ask.
async fn ask(line: &Line, spec: JobSpec) -> JobReport {
    let link = Link::<ClientDeskClient>::new(line.connector());
    let refused = |error: CallError| match error {
        CallError::Refused(refusal) if refusal != Refusal::ShuttingDown => panic!("{refusal}"),
        _ => sleep(Duration::from_millis(100)),
    };
    let job = loop {
        let spec = spec.clone();
        let submit = link.call(POLL_MAX, |desk, context| async move {
            desk.submit(context, spec).await
        });
        match submit.await {
            Ok(job) => break job,
            Err(error) => refused(error).await,
        }
    };
    let mut seen = 0;
    loop {
        let watch = link.call(2 * POLL_MAX, |desk, context| async move {
            desk.watch(context, job, seen, 0).await
        });
        match watch.await {
            Ok(status) => match status.state {
                JobState::Ended(report) => return *report,
                _ => seen = status.version,
            },
            Err(error) => {
                refused(error).await;
                // Another start counts anew.
                seen = 0;
            }
        }
    }
}

/// A real worker but for its slots and its heartbeat's thread.
struct PlayedWorker {
    worker: Worker,
    site: Arc<Site>,
    seen: Arc<std::sync::Mutex<Seen>>,
    rng: Arc<std::sync::Mutex<Rng>>,
}

impl PlayedWorker {
    fn new(folder: &Path, number: usize, line: &Line, seed: u64) -> Self {
        let folder = folder.join(format!("worker-{number}"));
        fs::create_dir(&folder).unwrap();
        let catalog: Arc<dyn Catalog> = Arc::new(mapfold_stock::catalog());
        let settings = Settings {
            name: format!("worker-{number}"),
            slots: SLOTS,
            memory: ByteSize::mib(64),
            scratch: folder.clone(),
            temp_max: None,
            files: JobFilesAt::Paths,
            serve: ServeAt::Unix {
                folder: folder.clone(),
            },
            patience: LIMIT,
        };
        let site = Site {
            name: settings.name.clone(),
            catalog: Arc::clone(&catalog),
            files: JobFiles::at_their_paths(),
            isolation: None,
            scratch: ScratchRoot::open(&folder).unwrap(),
            memory: ByteSize::mib(8),
        };
        let rng = Rng::new(seed << 8 | number as u64 | 1 << 7);
        Self {
            worker: Worker::start(&settings, catalog, line.connector()).unwrap(),
            site: Arc::new(site),
            seen: Arc::default(),
            rng: Arc::new(std::sync::Mutex::new(rng)),
        }
    }

    async fn run(self) {
        loop {
            let begun = self.worker.join(SLOTS).await.unwrap();
            match self.live(begun).await {
                LifeEnd::Stopped => return,
                LifeEnd::Unknown => sleep(REJOIN_BASE).await,
                LifeEnd::Lost(error) => panic!("{error}"),
            }
        }
    }

    /// As [`Worker::live`], with attempts and heartbeats as tasks.
    async fn live(&self, begun: Begun) -> LifeEnd {
        let Begun {
            life, questions, ..
        } = begun;
        let (asks, asked) = Locator::new();
        let known = Known::default();
        let paced = Paced {
            site: Arc::clone(&self.site),
            seen: Arc::clone(&self.seen),
            rng: Arc::clone(&self.rng),
            asks: Arc::new(asks),
            known: Arc::clone(&known),
        };
        let of = |job| known.lock().unwrap().get(&job).cloned().unwrap_or_default();
        let pulse = Link::new(self.worker.connector.clone());
        let desk = &self.worker.desk;
        tokio::select! {
            biased;
            () = life.over() => {}
            () = heartbeat::beat(&pulse, &life) => {}
            () = orders::follow(&life, desk, &paced) => {}
            () = orders::report(&life, desk) => {}
            () = locate::answer(&life, desk, asked) => {}
            () = answer_known(questions, of) => {}
            () = reattach::stay_known(&life, desk, |returning| self.worker.hello(SLOTS, Some(returning))) => {}
        }
        self.worker.server.show(None);
        life.take_end()
    }
}

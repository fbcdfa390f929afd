//! Jobs one after the other on a cluster whose workers are killed, stopped, continued and replaced at random, and whose master is killed
//! and started again, or stopped for a while. Every output folder must be that of an undisturbed run, to the byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::cluster::Cluster;
use crate::sandbox::{Running, Sandbox, bytes_of, samples, signal};

const WORKERS: usize = 4;

/// Map tasks of a job, about: many, so that each moment hits some.
const MAPS: u64 = 60;

/// At each of some five looks a second one of so many things happens, most of them nothing. A worker lives for seven seconds, a
/// master for half a minute: after a restart the runs of workers that died with it are waited for, for 5 s, so a master that never lives as long
/// never gets anywhere.
const EVENTS: usize = 256;

/// `MAPFOLD_SOAK=SECONDS,SEED cargo test -p mapfold-tests soak -- --ignored --nocapture`; `MAPFOLD_SOAK_DATA`: a folder of text.
#[test]
#[ignore = "runs for a minute by default; a soak is meant to be long"]
fn random_kills_pauses_and_restarts_change_no_byte() {
    let wish = std::env::var("MAPFOLD_SOAK").unwrap_or_else(|_| "60,1".to_owned());
    let (seconds, seed) = wish.split_once(',').expect("MAPFOLD_SOAK=SECONDS,SEED");
    let end = Instant::now() + Duration::from_secs(seconds.parse().unwrap());
    let data = std::env::var_os("MAPFOLD_SOAK_DATA").map_or_else(samples, PathBuf::from);
    let split_size = (bytes_below(&data) / MAPS).max(48 << 10).to_string();
    let more = ["--split-size", &split_size, "-r", "9"];
    let sandbox = Sandbox::new();
    let jobs: [&[&str]; 4] = [
        &["wordcount"],
        &["index"],
        &["grep", "-p", "pattern=[Tt]he"],
        &["sort"],
    ];
    let outputs: Vec<String> = (0..jobs.len()).map(|n| format!("want{n}")).collect();
    let undisturbed = |(job, output): (&&[&str], &String)| {
        let args = ["run"].iter().chain(*job).copied();
        let rest = [data.to_str().unwrap(), "-o", output];
        sandbox.run(args.chain(rest).chain(more));
        bytes_of(&sandbox.work(output))
    };
    let want: Vec<_> = jobs.iter().zip(&outputs).map(undisturbed).collect();
    let mut trouble = Trouble {
        chance: Chance(seed.parse().unwrap()),
        cluster: Cluster::with_state(&sandbox, WORKERS),
        sandbox: &sandbox,
        stopped: BTreeMap::new(),
        done: Done::default(),
    };
    let (mut done, mut refused) = (0, 0);
    while Instant::now() < end {
        let number = trouble.chance.below(jobs.len());
        let output = format!("out{done}");
        let args: Vec<&str> = jobs[number][1..].iter().copied().chain(more).collect();
        let run = trouble
            .cluster
            .run_args(jobs[number][0], data.clone(), &output, &args);
        let mut client = sandbox.start(run);
        trouble.make_until_ended(&mut client);
        let ended = client.wait();
        if ended.stderr.contains("error: cannot reach the master") {
            // The master was away when the client asked for the first time: it says so at once, and nothing was begun.
            assert!(!sandbox.work(&output).exists());
            refused += 1;
            continue;
        }
        assert!(
            ended.status.success(),
            "seed {seed}, job {done}: {}",
            ended.stderr
        );
        assert!(
            bytes_of(&sandbox.work(&output)) == want[number],
            "seed {seed}, job {done}: other bytes"
        );
        std::fs::remove_dir_all(sandbox.work(&output)).unwrap();
        done += 1;
    }
    let all = trouble.end();
    eprintln!(
        "{done} jobs, {refused} not begun; {} workers killed, {} stopped; the master killed {} times, stopped {}: the same bytes each time",
        all.workers_killed, all.workers_stopped, all.masters_killed, all.masters_stopped
    );
    let mut left: Vec<&str> = vec!["state"];
    left.extend(outputs.iter().map(String::as_str));
    sandbox.assert_clean(&left);
}

/// What happens to a cluster.
struct Trouble<'a> {
    chance: Chance,
    cluster: Cluster,
    sandbox: &'a Sandbox,
    /// Processes that stand still, and until when.
    stopped: BTreeMap<i32, Instant>,
    done: Done,
}

/// How often what was done.
#[derive(Default)]
struct Done {
    workers_killed: u32,
    workers_stopped: u32,
    masters_killed: u32,
    masters_stopped: u32,
}

impl Trouble<'_> {
    fn make_until_ended(&mut self, client: &mut Running) {
        while !client.ended() {
            std::thread::sleep(Duration::from_millis(20 + self.chance.below(400) as u64));
            let worker = self.chance.below(self.cluster.workers.len());
            let pid = self.cluster.workers[worker].pid();
            match self.chance.below(EVENTS) {
                0..32 => {
                    signal(pid, Signal::KILL);
                    self.done.workers_killed += 1;
                }
                32..48 => {
                    self.stop(pid);
                    self.done.workers_stopped += 1;
                }
                48..50 => {
                    let times = 1 + self.chance.below(2);
                    self.restart_master(times);
                }
                50..53 => {
                    self.stop(self.cluster.master_pid());
                    self.done.masters_stopped += 1;
                }
                _ => {}
            }
            self.let_go(Instant::now());
            self.replace_workers();
        }
    }

    /// For a moment, or past the lease.
    fn stop(&mut self, pid: i32) {
        signal(pid, Signal::STOP);
        let time = Duration::from_millis(self.chance.below(5000) as u64);
        self.stopped.insert(pid, Instant::now() + time);
    }

    fn restart_master(&mut self, times: usize) {
        for _ in 0..times {
            self.stopped.remove(&self.cluster.master_pid());
            self.cluster.kill_master();
            std::thread::sleep(Duration::from_millis(self.chance.below(700) as u64));
            self.cluster.restart_master(self.sandbox);
            self.done.masters_killed += 1;
        }
    }

    fn let_go(&mut self, now: Instant) {
        let over = self.stopped.extract_if(.., |_, until| *until <= now);
        over.for_each(|(pid, _)| signal(pid, Signal::CONT));
    }

    fn replace_workers(&mut self) {
        for gone in (0..self.cluster.workers.len()).rev() {
            if self.cluster.workers[gone].ended() {
                let worker = self.cluster.workers.swap_remove(gone);
                self.stopped.remove(&worker.pid());
                self.cluster.add_worker(self.sandbox);
            }
        }
    }

    fn end(mut self) -> Done {
        self.stopped
            .values_mut()
            .for_each(|until| *until = Instant::now());
        self.let_go(Instant::now());
        self.cluster.end();
        self.done
    }
}

/// Bytes of the files below a folder.
fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap();
    let bytes = |entry: std::fs::DirEntry| match entry.path() {
        path if path.is_dir() => bytes_below(&path),
        path => path.metadata().unwrap().len(),
    };
    entries.map(|entry| bytes(entry.unwrap())).sum()
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }
}

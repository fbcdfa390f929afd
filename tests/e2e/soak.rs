//! Jobs one after the other on a cluster whose workers are killed, stopped, continued and replaced at random. Every
//! output folder must be that of an undisturbed run, to the byte.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::cluster::{Cluster, Over};
use crate::sandbox::{Sandbox, bytes_of, samples, signal};

/// `MAPFOLD_SOAK=SECONDS,SEED cargo test -p mapfold-tests soak -- --ignored --nocapture`
#[test]
#[ignore = "runs for a minute by default; a soak is meant to be long"]
fn random_kills_and_pauses_change_no_byte() {
    let wish = std::env::var("MAPFOLD_SOAK").unwrap_or_else(|_| "60,1".to_owned());
    let (seconds, seed) = wish.split_once(',').expect("MAPFOLD_SOAK=SECONDS,SEED");
    let end = Instant::now() + Duration::from_secs(seconds.parse().unwrap());
    let mut chance = Chance(seed.parse().unwrap());
    let sandbox = Sandbox::new();
    let samples = samples();
    let jobs: [&[&str]; 3] = [
        &["wordcount"],
        &["index"],
        &["grep", "-p", "pattern=[Tt]he"],
    ];
    let want: Vec<_> = (0..)
        .zip(jobs)
        .map(|(number, job)| {
            let output = format!("want{number}");
            let args = ["run"].iter().chain(job).copied();
            sandbox.run(
                args.chain([samples.to_str().unwrap(), "-o", &output])
                    .chain(MORE),
            );
            bytes_of(&sandbox.work(&output))
        })
        .collect();
    let mut cluster = Cluster::start(&sandbox, Over::Tcp, 4);
    let mut stopped = BTreeMap::new();
    let (mut done, mut kills, mut stops) = (0, 0, 0);
    while Instant::now() < end {
        let number = chance.below(jobs.len());
        let output = format!("out{done}");
        let more: Vec<&str> = jobs[number][1..].iter().copied().chain(MORE).collect();
        let mut client =
            sandbox.start(cluster.run_args(jobs[number][0], samples.clone(), &output, &more));
        while !client.ended() {
            std::thread::sleep(Duration::from_millis(20 + chance.below(400) as u64));
            let victim = chance.below(cluster.workers.len());
            let pid = cluster.workers[victim].pid();
            match chance.below(8) {
                0 | 1 => {
                    signal(pid, Signal::KILL);
                    kills += 1;
                }
                2 => {
                    signal(pid, Signal::STOP);
                    stopped.insert(
                        pid,
                        Instant::now() + Duration::from_millis(chance.below(5000) as u64),
                    );
                    stops += 1;
                }
                _ => {}
            }
            stopped.retain(|pid, until| {
                let stays = Instant::now() < *until;
                if !stays {
                    signal(*pid, Signal::CONT);
                }
                stays
            });
            for gone in (0..cluster.workers.len()).rev() {
                if cluster.workers[gone].ended() {
                    stopped.remove(&cluster.workers.swap_remove(gone).pid());
                    cluster.add_worker(&sandbox);
                }
            }
        }
        let ended = client.wait();
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
    stopped.keys().for_each(|pid| signal(*pid, Signal::CONT));
    eprintln!("{done} jobs, {kills} workers killed, {stops} stopped: the same bytes each time");
    cluster.end();
    sandbox.assert_clean(&["want0", "want1", "want2"]);
}

/// Many small tasks, so that each moment hits some.
const MORE: [&str; 4] = ["--split-size", "48KiB", "-r", "9"];

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

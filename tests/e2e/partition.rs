//! Workers that reach their master and not each other: processes in network namespaces of their own, on one switch.
//!
//! Where the user may not make namespaces the tests say that they were skipped.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;

use crate::cluster::LEASE;
use crate::faults::{assert_undisturbed, number};
use crate::sandbox::{Running, Sandbox, books, signal, skipped, wait_for};

/// Machines on one switch: number 0 is the master's and the client's. Gone when dropped.
struct Net {
    prefix: String,
    hosts: usize,
}

impl Net {
    /// `None`, and a line that says so, where this user may not make one.
    fn new(hosts: usize) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("mapfold-test-{}-{number}-", std::process::id());
        let net = Self { prefix, hosts };
        let switch = net.switch();
        let made = ip(&["netns", "add", &switch])
            && ip(&[
                "-n", &switch, "link", "add", "name", "sw0", "type", "bridge",
            ])
            && ip(&["-n", &switch, "link", "set", "sw0", "up"])
            && (0..hosts).all(|host| net.plug_in(host));
        if !made {
            skipped("it needs the right to make network namespaces (run it as root, with `ip`)");
        }
        made.then_some(net)
    }

    fn plug_in(&self, host: usize) -> bool {
        let (name, switch) = (self.host(host), self.switch());
        let (port, address) = (format!("port{host}"), format!("{}/24", address(host)));
        let cable = ["link", "add", "name", "eth0", "netns", &name];
        let to = ["type", "veth", "peer", "name", &port, "netns", &switch];
        ip(&["netns", "add", &name])
            && ip(&[cable.as_slice(), to.as_slice()].concat())
            && ip(&["-n", &switch, "link", "set", &port, "master", "sw0", "up"])
            && ip(&["-n", &name, "address", "add", &address, "dev", "eth0"])
            && ip(&["-n", &name, "link", "set", "eth0", "up"])
            && ip(&["-n", &name, "link", "set", "lo", "up"])
    }

    fn switch(&self) -> String {
        format!("{}switch", self.prefix)
    }

    fn host(&self, host: usize) -> String {
        format!("{}{host}", self.prefix)
    }

    /// From now on no way leads from one to the other.
    fn part(&self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            let (name, route) = (self.host(from), format!("{}/32", address(to)));
            assert!(ip(&["-n", &name, "route", "add", "unreachable", &route]));
        }
    }

    /// The same, but what is sent vanishes without a word.
    fn part_silently(&self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            let (name, to) = (self.host(from), address(to));
            let nobody = [
                "lladdr",
                "02:00:00:00:00:99",
                "dev",
                "eth0",
                "nud",
                "permanent",
            ];
            let neighbour = ["-n", &name, "neighbour", "replace", &to];
            assert!(ip(&[neighbour.as_slice(), &nobody].concat()));
        }
    }

    /// Starts `mapfold ARGS` on a machine.
    fn start(&self, sandbox: &Sandbox, host: usize, args: &[&str]) -> Running {
        let plain = sandbox.command(args);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.host(host)]);
        command.arg(plain.get_program()).args(plain.get_args());
        command.current_dir(plain.get_current_dir().unwrap());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::new(command.spawn().unwrap())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let hosts = (0..self.hosts).map(|host| self.host(host));
        for name in hosts.chain([self.switch()]) {
            ip(&["netns", "delete", &name]);
        }
    }
}

fn address(host: usize) -> String {
    format!("10.77.0.{}", host + 1)
}

/// Whether `ip ARGS` did what it was asked.
fn ip(args: &[&str]) -> bool {
    let mut command = Command::new("ip");
    command
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A word count of the books by `workers` workers, each on a machine of its own. `part` cuts the net when all of them hold runs;
/// gives the report.
fn check(workers: usize, part: impl Fn(&Net)) -> Option<serde_json::Value> {
    let sandbox = Sandbox::new();
    let net = Net::new(workers + 1)?;
    let place = format!("{}:7711", address(0));
    let master = ["master", "--listen", &place, "--insecure", "--lease", LEASE];
    let master = net.start(&sandbox, 0, &master);
    wait_for("the master to listen", || {
        master.said().contains("listening").then_some(())
    });
    let worker = ["worker", "--master", &place, "--insecure", "--slots", "1"];
    let workers: Vec<_> = (1..=workers)
        .map(|host| net.start(&sandbox, host, &worker))
        .collect();
    let trace = format!("trace={}", sandbox.trace().display());
    let books = books();
    let mut args = vec!["run", "lab-slow", books.to_str().unwrap(), "-o", "out"];
    args.extend(["-r", "10", "--split-size", "100KB", "--json", "--no-backup"]);
    args.extend(["--master", &place, "--insecure", "-p", "hold_map=true"]);
    args.extend(["-p", &trace]);
    let client = net.start(&sandbox, 0, &args);
    wait_for("all workers to map", || {
        (sandbox.signs("map").len() == workers.len()).then_some(())
    });
    part(&net);
    sandbox.go("go-map");
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_undisturbed(&sandbox.work("out"));
    for process in workers.into_iter().chain([master]) {
        signal(process.pid(), Signal::INT);
        process.wait();
    }
    sandbox.assert_clean(&["out"]);
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(number(&report, "workers_lost"), 0, "{report}");
    Some(report)
}

/// There is nobody else to ask: the second complaint is believed, and the maps of one of the two are done again by the other.
#[test]
fn two_workers_that_cannot_reach_each_other() {
    if let Some(report) = check(2, |net| net.part(1, 2)) {
        assert!(number(&report, "maps_rerun") > 0, "{report}");
    }
}

/// The third reaches both, so neither is believed of the other: the third does what they cannot, and no map is done again.
#[test]
fn two_of_three_workers_that_cannot_reach_each_other() {
    if let Some(report) = check(3, |net| net.part(1, 2)) {
        assert_eq!(number(&report, "maps_rerun"), 0, "{report}");
    }
}

/// Two say that they do not reach the third, so its runs are out of reach, whatever the master hears from it.
#[test]
fn a_worker_that_no_other_reaches() {
    let part = |net: &Net| {
        net.part(1, 3);
        net.part(2, 3);
    };
    if let Some(report) = check(3, part) {
        assert!(number(&report, "maps_rerun") > 0, "{report}");
    }
}

/// Nothing refuses the connection; it is given up after a while.
#[test]
#[ignore = "takes more than a minute: each fetch is given up after four tries of 3 s"]
fn two_workers_between_which_all_is_lost() {
    if let Some(report) = check(2, |net| net.part_silently(1, 2)) {
        assert!(number(&report, "maps_rerun") > 0, "{report}");
    }
}

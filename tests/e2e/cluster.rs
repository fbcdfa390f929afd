//! A master and workers, each a process of its own, started by hand as a person would.

use std::path::PathBuf;

use rustix::process::Signal;

use crate::sandbox::{Running, Sandbox, signal, wait_for};

/// Short, so that a lost worker is noticed soon; long enough for a loaded machine to beat in time.
pub(crate) const LEASE: &str = "2s";

pub(crate) struct Cluster {
    master: Running,
    pub(crate) workers: Vec<Running>,
    pub(crate) address: String,
}

/// How the processes of a cluster talk.
#[derive(Clone, Copy)]
pub(crate) enum Over {
    Tcp,
    Unix,
}

impl Cluster {
    pub(crate) fn start(sandbox: &Sandbox, over: Over, workers: usize) -> Self {
        Self::with_lease(sandbox, over, workers, LEASE)
    }

    pub(crate) fn with_lease(sandbox: &Sandbox, over: Over, workers: usize, lease: &str) -> Self {
        let listen = match over {
            Over::Tcp => "127.0.0.1:0".to_owned(),
            Over::Unix => format!("unix:{}", sandbox.tmp().join("master/socket").display()),
        };
        let master = sandbox.start(["master", "--listen", &listen, "--lease", lease]);
        let address = wait_for("the master to listen", || address_in(&master.said()));
        let mut cluster = Self {
            master,
            workers: Vec::new(),
            address,
        };
        (0..workers).for_each(|_| cluster.add_worker(sandbox));
        cluster
    }

    pub(crate) fn add_worker(&mut self, sandbox: &Sandbox) {
        let address = self.address.clone();
        self.add_worker_at(sandbox, &address, &[]);
    }

    /// Adds a worker that knows the master by another address, with more arguments.
    pub(crate) fn add_worker_at(&mut self, sandbox: &Sandbox, address: &str, more: &[&str]) {
        let args = ["worker", "--master", address, "--slots", "1"].into_iter();
        let worker = sandbox.start(args.chain(more.iter().copied()));
        self.workers.push(worker);
    }

    pub(crate) fn master_pid(&self) -> i32 {
        self.master.pid()
    }

    /// Ends all processes in good order, as a person would.
    pub(crate) fn end(self) {
        let processes = self.workers.into_iter().chain([self.master]);
        let processes: Vec<_> = processes
            .inspect(|process| signal(process.pid(), Signal::TERM))
            .collect();
        processes
            .into_iter()
            .for_each(|process| drop(process.wait()));
    }

    /// Arguments of a run of `job` on this cluster.
    pub(crate) fn run_args(
        &self,
        job: &str,
        input: PathBuf,
        output: &str,
        more: &[&str],
    ) -> Vec<String> {
        let fixed = [
            "run",
            job,
            input.to_str().unwrap(),
            "-o",
            output,
            "--master",
            &self.address,
        ];
        fixed
            .iter()
            .chain(more)
            .map(|arg| (*arg).to_owned())
            .collect()
    }
}

/// The address in `listening address=ADDRESS`.
pub(crate) fn address_in(said: &str) -> Option<String> {
    let rest = said.split("listening address=").nth(1)?;
    Some(
        rest.split_whitespace()
            .next()?
            .trim_end_matches([',', ';'])
            .to_owned(),
    )
}

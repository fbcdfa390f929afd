//! A master and workers, each a process of its own, started by hand as a person would.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::sandbox::{Ended, Running, Sandbox, signal, wait_for};

/// Short, so that a lost worker is noticed soon; long enough for a loaded machine to beat in time.
pub(crate) const LEASE: &str = "2s";

pub(crate) struct Cluster {
    master: Running,
    /// What it was started with, beyond its address.
    master_args: Vec<String>,
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
        Self::with_master(sandbox, &listen, workers, &["--lease", lease])
    }

    /// Over TCP; the master keeps a journal in `state` of the working folder.
    pub(crate) fn with_state(sandbox: &Sandbox, workers: usize) -> Self {
        Self::with_state_in(sandbox, &sandbox.work("state"), workers)
    }

    /// The same, in another folder.
    pub(crate) fn with_state_in(sandbox: &Sandbox, state: &Path, workers: usize) -> Self {
        let args = ["--lease", LEASE, "--state", state.to_str().unwrap()];
        Self::with_master(sandbox, "127.0.0.1:0", workers, &args)
    }

    pub(crate) fn with_master(
        sandbox: &Sandbox,
        listen: &str,
        workers: usize,
        args: &[&str],
    ) -> Self {
        let master_args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let master = start_master(sandbox, listen, &master_args);
        let address = wait_for("the master to listen", || address_in(&master.said()));
        let mut cluster = Self {
            master,
            master_args,
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

    pub(crate) fn kill_master(&mut self) {
        signal(self.master.pid(), Signal::KILL);
        wait_for("the master to be gone", || {
            self.master.ended().then_some(())
        });
    }

    /// Waits for its end.
    pub(crate) fn wait_for_master(&mut self) -> Ended {
        self.master.wait_here()
    }

    /// Starts it again where it was.
    pub(crate) fn restart_master(&mut self, sandbox: &Sandbox) {
        self.master = start_master(sandbox, &self.address, &self.master_args);
    }

    /// Ends all processes in good order, as a person would: a worker takes leave of its master.
    pub(crate) fn end(self) {
        let end = |process: Running| {
            signal(process.pid(), Signal::TERM);
            process
        };
        let workers: Vec<_> = self.workers.into_iter().map(end).collect();
        workers.into_iter().for_each(|worker| drop(worker.wait()));
        end(self.master).wait();
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

pub(crate) fn start_master(sandbox: &Sandbox, listen: &str, more: &[String]) -> Running {
    let args = ["master", "--listen", listen].map(str::to_owned);
    sandbox.start(args.iter().chain(more))
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

//! Several processes, and signals between them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use rustix::process::Signal;

use crate::mapfold::{Place, Running, rows, wait_until};

const WORDS: &str = "sea\t1\nthe\t2\nwhale\t1\n";

#[test]
fn local_workers_do_the_same_and_leave_nothing() {
    let place = Place::new();
    let output = place.run("run wordcount books -o counts --workers 2");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(rows(&place.path("counts")), WORDS);
    place.assert_nothing_is_left();
}

#[test]
fn a_cluster_takes_jobs_shows_them_and_ends() {
    let place = Place::new();
    let (mut master, address) = Running::master(&place);
    let mut worker = Running::start(&mut place.mapfold(&format!("worker -q --master {address}")));
    let output = place.run(&format!("run wordcount books -o counts --master {address}"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(rows(&place.path("counts")), WORDS);

    let status = place.run(&format!("status j1 --master {address}"));
    assert!(String::from_utf8_lossy(&status.stdout).starts_with("j1  succeeded"));
    let workers = place.run(&format!("workers --master {address}"));
    // A header and the one worker, whose id differs from start to start of a master.
    assert_eq!(String::from_utf8_lossy(&workers.stdout).lines().count(), 2);
    let unknown = place.run(&format!("cancel j7 --master {address}"));
    assert_eq!(unknown.status.code(), Some(2));

    master.signal(Signal::TERM);
    assert_eq!(master.wait().code(), Some(143));
    assert_eq!(worker.wait().code(), Some(0));
    place.assert_nothing_is_left();
}

/// A job on a cluster without workers waits, so the signal surely finds it running.
#[test]
fn the_first_signal_cancels_the_job() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let place = Place::new();
        let (_master, address) = Running::master(&place);
        let mut run = Running::start(
            &mut place.mapfold(&format!("run wordcount books -o counts --master {address}")),
        );
        run.wait_for("no worker");
        run.signal(signal);
        run.wait_for("Cancelling");
        assert_eq!(run.wait().code(), Some(code));
        let left: Vec<_> = std::fs::read_dir(place.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 2, "output or staging is left: {left:?}");
    }
}

#[test]
fn a_job_that_somebody_else_cancels_ends_with_its_own_code() {
    let place = Place::new();
    let (_master, address) = Running::master(&place);
    let mut run = Running::start(
        &mut place.mapfold(&format!("run wordcount books -o counts --master {address}")),
    );
    run.wait_for("no worker");
    assert!(
        place
            .run(&format!("cancel j1 --master {address}"))
            .status
            .success()
    );
    assert_eq!(run.wait().code(), Some(8));
}

#[test]
fn a_signal_ends_the_wait_for_standard_input() {
    let place = Place::new();
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut child = place
        .mapfold("run wordcount -")
        .stdin(reader)
        .spawn()
        .unwrap();
    let spooled = || {
        std::fs::read_dir(place.path("tmp"))
            .unwrap()
            .next()
            .is_some()
    };
    wait_until("standard input is being read", spooled);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    place.assert_nothing_is_left();
}

#[test]
fn a_worker_ends_with_its_parent() {
    let place = Place::new();
    let (_master, address) = Running::master(&place);
    let program = env!("CARGO_BIN_EXE_mapfold");
    let mut parent = Running::start(
        std::process::Command::new("sh")
            .args([
                "-c",
                &format!("{program} worker -q --master {address} --parent $$ & echo $!; wait"),
            ])
            .env("TMPDIR", place.path("tmp")),
    );
    let mut worker = String::new();
    std::io::BufRead::read_line(&mut parent.stdout, &mut worker).unwrap();
    let workers = || {
        String::from_utf8_lossy(&place.run(&format!("workers --master {address}")).stdout)
            .into_owned()
    };
    wait_until("the worker has joined", || {
        workers().contains(&format!(":{}", worker.trim()))
    });
    parent.signal(Signal::KILL);
    wait_until("the worker has ended", || has_ended(worker.trim()));
}

/// Whether a process is gone, or waits for nothing but its new parent.
fn has_ended(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn a_port_that_is_taken_is_named() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let output = place.run(&format!("master --listen {address}"));
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains(&format!("{address} is taken")) && said.contains("hint"),
        "{said}"
    );
}

#[test]
fn a_master_of_another_version_is_told_apart() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let old = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut hello = [0; 12];
        socket.read_exact(&mut hello).unwrap();
        socket.write_all(b"mapfold\n\x03\xe7\x01\x059.9.9").unwrap();
        // The asker closes once it has read that.
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let output = place.run(&format!("run wordcount books -o counts --master {address}"));
    old.join().unwrap();
    assert_eq!(output.status.code(), Some(7));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("9.9.9") && said.contains("same version"),
        "{said}"
    );
}

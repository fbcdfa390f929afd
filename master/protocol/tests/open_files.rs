//! A listener in a process that has no file descriptors left. Its own test binary, as the limit is
//! the process's.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::future;
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use mapfold_protocol::service::*;
use mapfold_protocol::{Address, Answer, Connector, Desk, Link, Listener, raise_open_files};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tarpc::context::Context;

#[derive(Clone)]
struct Nobody;

impl Desk for Nobody {
    fn worker(self, _: Context, _: WorkerDeskRequest) -> Answer<WorkerDeskResponse> {
        Box::pin(future::pending())
    }

    fn pulse(self, _: Context, _: PulseRequest) -> Answer<PulseResponse> {
        Box::pin(future::pending())
    }

    fn client(self, _: Context, _: ClientDeskRequest) -> Answer<ClientDeskResponse> {
        Box::pin(future::pending())
    }
}

/// CPU time of a process so far, in clock ticks (10 ms).
fn cpu_ticks(stat: &File) -> u64 {
    let mut text = [0; 1024];
    let len = stat.read_at(&mut text, 0).unwrap();
    let text = String::from_utf8_lossy(&text[..len]);
    let after_name = text.rsplit_once(')').unwrap().1;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut next = || fields.next().unwrap().parse::<u64>().unwrap();
    next() + next()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_without_file_descriptors_waits_quietly_and_goes_on() {
    let limit = Rlimit {
        current: Some(64),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".to_owned()))
        .await
        .unwrap();
    let address = listener.local_address().clone();
    let Address::Tcp(host_port) = &address else {
        panic!("not TCP");
    };
    tokio::spawn(listener.serve(Nobody, future::pending()));
    let stat = File::open("/proc/self/stat").unwrap();

    let mut fill: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    fill.pop().unwrap();
    // Takes the last descriptor, and waits to be accepted.
    let _waiting = TcpStream::connect(host_port).unwrap();
    let before = cpu_ticks(&stat);
    // A spin burns a whole core for this second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let burnt = 10 * (cpu_ticks(&stat) - before);
    assert!(burnt < 200, "{burnt} ms");

    drop(fill);
    let connected = Link::<PulseClient>::connect(Connector::Net(address.clone()));
    connected.await.unwrap();

    let limit = raise_open_files();
    assert_eq!(getrlimit(Resource::Nofile).current, Some(limit));
    assert!(limit > 64, "{limit}");
    assert_eq!(raise_open_files(), limit);
}

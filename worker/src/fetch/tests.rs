use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mapfold_data::run::{Run, Segment};
use mapfold_data::scratch::{Scratch, ScratchRoot};
use mapfold_protocol::service::{DataAddress, Location};
use mapfold_terms::{ByteSize, Digest, FetchCause, JobId, PartitionId, TaskId, WorkerId};
use tempfile::TempDir;

use super::transfer::CONNECT_MAX;
use super::{FetchError, Fetched, Fetcher, Fetching};
use crate::fixture::{JOB, TestMonitor, attempt, write_run};
use crate::serve::Server;
use crate::settings::ServeAt;
use crate::store::RunStore;
use crate::stream::Stream;
use crate::wire::{HEAD_LEN, Head, Status};

const HOLDER: WorkerId = WorkerId(1);
const READER: WorkerId = WorkerId(2);
const PARTITION: PartitionId = PartitionId(1);
const MIB: usize = 1 << 20;

/// A worker that holds one run, and another that wants it.
struct Pair {
    server: Server,
    store: Arc<RunStore>,
    location: Location,
    /// What the fetch should give.
    want: Segment,
    fetcher: Fetcher,
    scratch: Scratch,
    memory: AtomicU64,
    monitor: TestMonitor,
    folder: TempDir,
}

#[derive(Clone, Copy)]
enum Via {
    Unix,
    Tcp,
}

/// A run of about `bytes` in each of two partitions, kept in memory or in a file; on one machine or two.
fn pair(via: Via, bytes: usize, in_file: bool, same_machine: bool) -> Pair {
    let folder = tempfile::tempdir().unwrap();
    let root = ScratchRoot::open(folder.path()).unwrap();
    let map = attempt(TaskId::map(3), 7);
    let in_memory_max = if in_file { 0 } else { u64::MAX };
    let (records, record_bytes) = (u32::try_from(bytes / 1000).unwrap().max(1), bytes.min(1000));
    let (run, summary) = write_run(
        &root.scratch("holder"),
        map.token,
        2,
        records,
        record_bytes,
        ByteSize(in_memory_max),
    );
    assert_eq!(run.in_memory(), !in_file);
    let store = Arc::new(RunStore::new(ByteSize::gib(1), 1));
    let want = Run::open(run.clone()).unwrap().segment(PARTITION).unwrap();
    store.keep(map, run, store.reserve()).unwrap();
    let server = Server::start(&match via {
        Via::Unix => ServeAt::Unix {
            folder: folder.path().to_owned(),
        },
        Via::Tcp => ServeAt::Tcp {
            listen: "127.0.0.1:0".to_owned(),
            advertise: None,
        },
    })
    .unwrap();
    server.show(Some(Arc::clone(&store)));
    let location = Location {
        attempt: Some(map),
        holder: HOLDER,
        machine: "here".to_owned(),
        data: server.address().clone(),
        data_secret: server.secret(),
        digest: summary.digest,
        bytes: ByteSize(summary.bytes),
    };
    let machine = if same_machine { "here" } else { "there" };
    let readers_store = Arc::new(RunStore::new(ByteSize::mib(1), 1));
    Pair {
        server,
        store,
        location,
        want,
        fetcher: Fetcher::new(READER, machine.to_owned(), readers_store),
        scratch: root.scratch("reader"),
        memory: AtomicU64::new(1 << 30),
        monitor: TestMonitor::default(),
        folder,
    }
}

impl Pair {
    fn fetch(&self) -> Result<Fetched, FetchError> {
        let fetching = Fetching {
            partition: PARTITION,
            scratch: &self.scratch,
            memory: &self.memory,
            monitor: &self.monitor,
        };
        let map = self.location.attempt.unwrap();
        self.fetcher.fetch(map, &self.location, &fetching)
    }

    #[track_caller]
    fn check(&self) -> Fetched {
        let fetched = self.fetch().unwrap();
        assert!(fetched.segment.bytes() == self.want.bytes());
        assert_eq!(fetched.segment.head(), self.want.head());
        assert_eq!(fetched.segment.map(), 3);
        fetched
    }

    #[track_caller]
    fn check_fails(&self, want: FetchCause) {
        match self.fetch() {
            Err(FetchError::Run(failure)) => {
                assert_eq!(failure.cause, want, "{}", failure.message);
                assert_eq!(failure.holder, HOLDER);
                assert_eq!(Some(failure.map), self.location.attempt);
            }
            other => panic!("{other:?} instead of {want:?}"),
        }
    }

    /// Flips a bit in the middle of the wanted segment of the holder's file.
    fn damage(&self) {
        let held = self.store.get(JOB, self.location.attempt.unwrap().token);
        let path = held.unwrap().run().bytes().path().unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        let at = find(&bytes, self.want.bytes()) + self.want.bytes().len() / 2;
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[bytes[at] ^ 0x10], at as u64).unwrap();
    }
}

fn find(whole: &[u8], part: &[u8]) -> usize {
    let starts = 0..=whole.len() - part.len();
    starts
        .into_iter()
        .find(|start| whole[*start..].starts_with(part))
        .unwrap()
}

#[test]
fn bytes_come_over_either_socket_from_memory_and_from_files() {
    for via in [Via::Unix, Via::Tcp] {
        for (bytes, in_file) in [(10, false), (10, true), (9 * MIB, false), (9 * MIB, true)] {
            let pair = pair(via, bytes, in_file, false);
            let fetched = pair.check();
            assert_eq!(fetched.remote.bytes(), pair.want.head().bytes);
            assert!(fetched.segment.in_memory());
        }
    }
}

#[test]
fn only_the_owner_may_connect_and_the_socket_goes_with_the_server() {
    let pair = pair(Via::Unix, 10, false, false);
    let DataAddress::Unix(path) = pair.location.data.clone() else {
        panic!("it listens at a Unix socket");
    };
    let mode = fs::metadata(path.as_path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(pair.server);
    assert!(!path.as_path().exists());
}

#[test]
fn a_partition_without_records_is_an_empty_segment() {
    let folder = tempfile::tempdir().unwrap();
    let mut pair = pair(Via::Unix, 10, false, false);
    let scratch = ScratchRoot::open(folder.path()).unwrap().scratch("empty");
    let map = attempt(TaskId::map(3), 8);
    let (run, summary) = write_run(&scratch, map.token, 2, 0, 0, ByteSize(1 << 20));
    pair.want = Run::open(run.clone()).unwrap().segment(PARTITION).unwrap();
    pair.store.keep(map, run, pair.store.reserve()).unwrap();
    pair.location.attempt = Some(map);
    pair.location.digest = summary.digest;
    let fetched = pair.check();
    assert_eq!(fetched.segment.records(), 0);
}

#[test]
fn what_exceeds_the_memory_goes_to_a_file() {
    let pair = pair(Via::Unix, 5 * MIB, true, false);
    pair.memory.store(MIB as u64, Ordering::Relaxed);
    let fetched = pair.check();
    assert!(!fetched.segment.in_memory());
    assert_eq!(pair.memory.load(Ordering::Relaxed), MIB as u64);
}

#[test]
fn a_neighbours_file_is_mapped() {
    let pair = pair(Via::Unix, 5 * MIB, true, true);
    let fetched = pair.check();
    assert_eq!(fetched.remote, ByteSize(0));
    assert!(!fetched.segment.in_memory());
    // Bytes stay when the holder lets go of them.
    pair.store.clear();
    fetched.segment.verify().unwrap();
}

#[test]
fn a_neighbours_run_in_memory_comes_over_the_socket() {
    let pair = pair(Via::Unix, 5 * MIB, false, true);
    let fetched = pair.check();
    assert_eq!(fetched.remote.bytes(), pair.want.head().bytes);
}

#[test]
fn a_neighbours_file_that_cannot_be_opened_comes_over_the_socket() {
    let pair = pair(Via::Unix, 5 * MIB, true, true);
    let held = pair.store.get(JOB, pair.location.attempt.unwrap().token);
    fs::remove_file(held.unwrap().run().bytes().path().unwrap()).unwrap();
    let fetched = pair.check();
    assert_eq!(fetched.remote.bytes(), pair.want.head().bytes);
}

#[test]
fn an_own_run_comes_from_the_store() {
    let mut pair = pair(Via::Unix, 5 * MIB, false, true);
    pair.fetcher = Fetcher::new(HOLDER, "here".to_owned(), Arc::clone(&pair.store));
    let fetched = pair.check();
    assert_eq!(fetched.remote, ByteSize(0));
    pair.store.discard(pair.location.attempt.unwrap().token);
    pair.check_fails(FetchCause::NotFound);
}

#[test]
fn a_run_that_is_not_there_is_not_found() {
    let pair = pair(Via::Tcp, 10, false, false);
    pair.store.forget(JobId(2));
    pair.check();
    pair.store.forget(JOB);
    pair.check_fails(FetchCause::NotFound);
    pair.server.show(None);
    pair.check_fails(FetchCause::NotFound);
}

#[test]
fn without_the_secret_there_is_nothing() {
    let mut pair = pair(Via::Tcp, 10, false, false);
    pair.location.data_secret ^= 1 << 77;
    pair.check_fails(FetchCause::NotFound);
    pair.location.data_secret ^= 1 << 77;
    pair.check();
}

#[test]
fn a_run_with_another_digest_is_corrupt() {
    for (in_file, same_machine) in [(false, false), (true, true)] {
        let mut pair = pair(Via::Unix, 10, in_file, same_machine);
        pair.location.digest = Digest(pair.location.digest.0 ^ 1);
        pair.check_fails(FetchCause::Corrupt);
    }
}

#[test]
fn damage_at_the_holder_is_told_apart_and_reported() {
    let pair = pair(Via::Tcp, MIB, true, false);
    pair.damage();
    pair.check_fails(FetchCause::Corrupt);
}

#[test]
fn a_cancelled_fetch_ends() {
    let pair = pair(Via::Tcp, 10, false, false);
    pair.monitor.cancel();
    assert!(matches!(pair.fetch(), Err(FetchError::Cancelled)));
}

#[test]
fn a_dead_holder_is_unreachable_within_two_seconds() {
    for via in [Via::Unix, Via::Tcp] {
        let mut dead = pair(via, 10, false, false);
        dead.check();
        let alive = pair(via, 10, false, false);
        let started = Instant::now();
        dead.server = alive.server;
        dead.check_fails(FetchCause::Unreachable);
        // Mostly waiting, so a loaded machine changes little; the bound has reserve.
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn readers_beyond_the_limit_wait_their_turn() {
    let pair = pair(Via::Unix, 10, false, false);
    let crowd: Vec<_> = (0..200)
        .map_while(|_| Stream::connect(&pair.location.data, CONNECT_MAX).ok())
        .collect();
    assert!(crowd.len() > 128);
    let mut last = crowd.last().unwrap().try_clone().unwrap();
    let mut head = [0; HEAD_LEN];
    last.read_exact(&mut head).unwrap();
    assert_eq!(Head::decode(&head).unwrap().status, Status::Busy);
    thread::scope(|scope| {
        let fetching = scope.spawn(|| pair.fetch());
        drop((crowd, last));
        fetching.join().unwrap().unwrap();
    });
}

#[test]
fn connections_are_kept_for_the_next_fetch_and_replaced_when_they_died() {
    let mut pair = pair(Via::Unix, 10, false, false);
    pair.check();
    let kept = |pair: &Pair| pair.fetcher.idle.lock().unwrap()[&HOLDER].len();
    assert_eq!(kept(&pair), 1);
    pair.check();
    assert_eq!(kept(&pair), 1);
    let unix = ServeAt::Unix {
        folder: pair.folder.path().to_owned(),
    };
    pair.server = Server::start(&unix).unwrap();
    pair.server.show(Some(Arc::clone(&pair.store)));
    pair.location.data = pair.server.address().clone();
    pair.location.data_secret = pair.server.secret();
    pair.check();
}

/// What a proxy does to the bytes that a holder sends, by connection.
#[derive(Clone, Copy)]
enum Mischief {
    /// Cuts the connection after so many bytes.
    CutAfter(usize),
    /// Flips a bit of the byte at this offset.
    FlipAt(usize),
    /// The same of every reply of this length.
    FlipEach {
        at: usize,
        reply: usize,
    },
    None,
}

/// Stands between reader and holder; returns how many bytes each connection brought, at the end.
fn with_proxy(pair: &mut Pair, mischiefs: &[Mischief], test: impl FnOnce(&Pair)) -> Vec<usize> {
    let DataAddress::Tcp(holder) = pair.location.data.clone() else {
        panic!("the proxy speaks TCP");
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    pair.location.data = DataAddress::Tcp(listener.local_addr().unwrap().to_string());
    thread::scope(|scope| {
        let proxy = scope.spawn(|| {
            let passed = mischiefs.iter().map(|mischief| {
                let (reader, _) = listener.accept().unwrap();
                pass(reader, TcpStream::connect(&holder).unwrap(), *mischief)
            });
            passed.collect()
        });
        test(pair);
        // Kept connections would keep the proxy.
        pair.fetcher.idle.lock().unwrap().clear();
        proxy.join().unwrap()
    })
}

fn pass(mut reader: TcpStream, mut holder: TcpStream, mischief: Mischief) -> usize {
    let mut requests = (reader.try_clone().unwrap(), holder.try_clone().unwrap());
    thread::scope(|scope| {
        scope.spawn(move || {
            // Ends with either side.
            let _ = io::copy(&mut requests.0, &mut requests.1);
            let _ = requests.1.shutdown(std::net::Shutdown::Both);
        });
        let mut passed = 0;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let mut count = holder.read(&mut buffer).unwrap_or(0);
            let piece = &mut buffer[..count];
            match mischief {
                Mischief::CutAfter(limit) => count = count.min(limit - passed),
                Mischief::FlipAt(at) if (passed..passed + count).contains(&at) => {
                    piece[at - passed] ^= 0x04;
                }
                Mischief::FlipEach { at, reply } => {
                    let places = (passed..passed + count).filter(|place| place % reply == at);
                    places.for_each(|place| piece[place - passed] ^= 0x04);
                }
                Mischief::FlipAt(_) | Mischief::None => {}
            }
            let written = reader.write_all(&buffer[..count]);
            passed += count;
            let cut = matches!(mischief, Mischief::CutAfter(limit) if limit == passed);
            if count == 0 || written.is_err() || cut {
                let _ = reader.shutdown(std::net::Shutdown::Both);
                let _ = holder.shutdown(std::net::Shutdown::Both);
                return passed;
            }
        }
    })
}

#[test]
fn a_fetch_resumes_where_the_connection_broke() {
    for in_memory in [true, false] {
        let mut pair = pair(Via::Tcp, 10 * MIB, true, false);
        if !in_memory {
            pair.memory.store(0, Ordering::Relaxed);
        }
        let mischiefs = [
            Mischief::CutAfter(HEAD_LEN / 2),
            Mischief::CutAfter(5 * MIB + 77),
            Mischief::CutAfter(HEAD_LEN + 1),
            Mischief::None,
        ];
        let passed = with_proxy(&mut pair, &mischiefs, |pair| {
            pair.check();
        });
        // What is above the segment are heads, and what was on its way at the break: when a request meets a closed connection, what
        // has come over it and was not read yet is dropped. Without resuming it would be more than half of the segment.
        let above = passed.iter().sum::<usize>() - pair.want.bytes().len();
        assert!(above <= 8 * HEAD_LEN + 4 * MIB, "{passed:?}");
    }
}

#[test]
fn damage_on_the_way_is_noticed_and_fetched_again() {
    for at in [3, HEAD_LEN + 5, MIB] {
        let mut pair = pair(Via::Tcp, 2 * MIB, true, false);
        let mischiefs = [Mischief::FlipAt(at), Mischief::None];
        // Damage in a head ends its connection, damage in the bytes does not: then one will do.
        let mischiefs = &mischiefs[..if at < HEAD_LEN { 2 } else { 1 }];
        with_proxy(&mut pair, mischiefs, |pair| {
            pair.check();
        });
    }
}

#[test]
fn a_line_that_always_damages_ends_as_corrupt() {
    let mut pair = pair(Via::Tcp, MIB, true, false);
    let reply = pair.want.bytes().len() + HEAD_LEN;
    let at = reply - 9;
    let passed = with_proxy(&mut pair, &[Mischief::FlipEach { at, reply }], |pair| {
        pair.check_fails(FetchCause::Corrupt);
    });
    assert_eq!(passed, [3 * reply]);
}

/// Run by hand, in release: `cargo test --release -p mapfold-worker -- --ignored --nocapture loopback`.
#[test]
#[ignore = "a measurement"]
fn loopback_rate() {
    for (name, via) in [("unix", Via::Unix), ("tcp", Via::Tcp)] {
        let pair = pair(via, 256 * MIB, true, false);
        pair.check();
        let started = Instant::now();
        for _ in 0..4 {
            pair.fetch().unwrap();
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate of three digits")]
        let rate = 4.0 * pair.want.bytes().len() as f64 / started.elapsed().as_secs_f64() / 1e9;
        eprintln!("{name}: {rate:.2} GB/s, verified");
    }
}

//! Peers that do not speak the protocol, or half of it. Each is cut off, and nobody else notices.

use std::time::Duration;

use mapfold_protocol::handshake::{ENGINE, PROTOCOL};
use mapfold_protocol::service::*;
use mapfold_protocol::{Address, VersionMismatch};
use mapfold_protocol::{CallError, ConnectError, Connector, Link};
use mapfold_terms::WorkerId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::desk::{Kind, LONG, Served, beat, hello, poll};

/// A hello or a reply, by hand.
fn greeting(protocol: u16, byte: u8, engine: &str) -> Vec<u8> {
    let mut bytes = b"mapfold\n".to_vec();
    bytes.extend(protocol.to_be_bytes());
    bytes.extend([byte, u8::try_from(engine.len()).unwrap()]);
    bytes.extend(engine.as_bytes());
    bytes
}

const WORKER: u8 = 1;
const WELCOME: u8 = 0;

/// Sends `bytes`; returns what comes back before the connection is closed.
async fn sends(served: &Served, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(served.host_port()).await.unwrap();
    // Both may fail when the other side has closed already.
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    let _ = tokio::time::timeout(LONG, read)
        .await
        .expect("never closed");
    answer
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

#[tokio::test]
async fn what_is_no_mapfold_is_closed_without_an_answer() {
    let served = Served::start(Kind::Tcp).await;
    let link = served.workers();
    link.call(LONG, |desk, context| async move {
        desk.poll(context, WorkerId(1), 1).await
    })
    .await
    .unwrap();
    let noise: Vec<u8> = (0..4096_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for bytes in [
        &noise[..],
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"mapfold!",
        &greeting(PROTOCOL, WORKER, "0.1.0\n"),
        &greeting(PROTOCOL, WORKER, &"9".repeat(33)),
    ] {
        assert_eq!(sends(&served, bytes).await, b"", "{bytes:?}");
    }
    link.call(LONG, |desk, context| async move {
        desk.poll(context, WorkerId(1), 1).await
    })
    .await
    .unwrap();
    assert_eq!(link.generation(), 1);
}

#[tokio::test]
async fn frames_that_are_no_messages_close_their_own_connection_alone() {
    let served = Served::start(Kind::Tcp).await;
    let link = served.workers();
    let waiting = served.waiting_poll(&link).await;
    let welcome = greeting(PROTOCOL, WELCOME, ENGINE);
    // A length of 2 GiB; an unknown kind of message; a call without a body; a call and one byte too many;
    // a join whose name claims 2^64 - 1 bytes; no message at all.
    for frame in [
        &b"\x80\x00\x00\x00"[..],
        &framed(&[9]),
        &framed(&[0, 1]),
        &framed(&[0, 1, 1, 1, 3, 0]),
        &framed(&[0, 1, 0, 253, 255, 255, 255, 255, 255, 255, 255, 255]),
        &framed(&[]),
    ] {
        let hello = greeting(PROTOCOL, WORKER, ENGINE);
        let answer = sends(&served, &[&hello[..], frame].concat()).await;
        assert_eq!(answer, welcome, "{frame:?}");
    }
    served.desk.gate.add_permits(1);
    assert!(waiting.await.unwrap().is_ok());
    assert_eq!(link.generation(), 1);
}

#[tokio::test]
async fn another_version_is_told_both_versions() {
    let served = Served::start(Kind::Tcp).await;
    for (protocol, engine) in [
        (PROTOCOL + 1, ENGINE),
        (0, ENGINE),
        (PROTOCOL, "0.999.0"),
        (999, "99.0.0-rc1"),
    ] {
        let answer = sends(&served, &greeting(protocol, WORKER, engine)).await;
        assert_eq!(answer, greeting(PROTOCOL, 1, ENGINE), "{protocol} {engine}");
    }
}

/// A server that speaks by hand.
async fn fake(
    reply: Vec<u8>,
) -> (
    Connector,
    tokio::task::JoinHandle<()>,
    std::sync::Arc<std::sync::atomic::AtomicU32>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let accepted = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = accepted.clone();
    let task = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut hello = vec![0; greeting(PROTOCOL, WORKER, ENGINE).len()];
            let _ = socket.read_exact(&mut hello).await;
            let _ = socket.write_all(&reply).await;
            open.push(socket);
        }
    });
    (Connector::Net(Address::Tcp(address)), task, accepted)
}

#[tokio::test]
async fn a_mismatch_names_both_versions_and_ends_all_tries() {
    let (connector, _task, accepted) = fake(greeting(7, 1, "3.2.1")).await;
    let link = Link::<WorkerDeskClient>::new(connector);
    for _ in 0..3 {
        let error = link
            .call(LONG, |desk, context| async move {
                desk.poll(context, WorkerId(1), 1).await
            })
            .await
            .unwrap_err();
        let CallError::Version {
            source: VersionMismatch { ours, theirs },
            ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!((ours.protocol, theirs.protocol), (PROTOCOL, 7));
        let told = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            told.contains(ENGINE) && told.contains("3.2.1 (protocol 7)"),
            "{told}"
        );
    }
    assert_eq!(accepted.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_is_no_mapfold_is_named_as_such() {
    let (connector, _task, _) = fake(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await;
    let error = Link::<ClientDeskClient>::connect(connector)
        .await
        .unwrap_err();
    let ConnectError::Handshake { source, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(source.to_string(), "what answers there is not mapfold");
}

/// tarpc alone lets calls that are queued behind a stalled one wait for ever.
#[tokio::test]
async fn a_peer_that_never_reads_holds_up_no_caller() {
    let (connector, _task, _) = fake(greeting(PROTOCOL, WELCOME, ENGINE)).await;
    let within = Duration::from_millis(200);
    let link = Link::<WorkerDeskClient>::new(connector.clone());
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let link = link.clone();
        calls.spawn(async move {
            link.call(within, |desk, context| async move {
                desk.join(context, hello("x".repeat(1_000_000))).await
            })
            .await
        });
    }
    let answers = tokio::time::timeout(LONG, calls.join_all()).await.unwrap();
    for answer in answers {
        assert!(
            matches!(answer, Err(CallError::Timeout { .. })),
            "{answer:?}"
        );
    }
    let pulse = Link::<PulseClient>::new(connector);
    let beat = pulse.call(within, |desk, context| async move {
        desk.beat(context, beat()).await
    });
    let answer = tokio::time::timeout(LONG, beat).await.unwrap();
    assert!(
        matches!(answer, Err(CallError::Timeout { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_holds_up_no_caller() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap().to_string());
    let link = Link::<PulseClient>::new(Connector::Net(address));
    let call = link.call(Duration::from_millis(100), |desk, context| async move {
        desk.beat(context, beat()).await
    });
    let answer = tokio::time::timeout(LONG, call).await.unwrap();
    assert!(
        matches!(answer, Err(CallError::Timeout { .. })),
        "{answer:?}"
    );
}

/// A context of the caller's own making cannot be had through a link but can be made by hand; it
/// ends that caller's connection, and nobody else's.
#[tokio::test]
async fn a_deadline_of_three_years_harms_its_own_link_alone() {
    let served = Served::start(Kind::Tcp).await;
    let (bad, good) = (served.workers(), served.workers());
    let waiting = served.waiting_poll(&good).await;
    let answer = bad
        .call(LONG, |desk, mut context| async move {
            context.deadline = std::time::Instant::now() + Duration::from_secs(3 * 365 * 86_400);
            desk.poll(context, WorkerId(1), 1).await
        })
        .await;
    assert!(
        matches!(answer, Err(CallError::Disconnected { .. })),
        "{answer:?}"
    );
    let answer = poll(&bad, LONG, 1).await;
    assert_eq!((answer.unwrap().upto, bad.generation()), (1, 2));
    served.desk.gate.add_permits(1);
    assert!(waiting.await.unwrap().is_ok());
}

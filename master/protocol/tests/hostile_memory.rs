//! What hostile frames cost in memory. Its own test binary, as it measures the process.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::future;
use std::time::Duration;

use mapfold_protocol::codec::FRAME_MAX;
use mapfold_protocol::handshake::{ENGINE, PROTOCOL};
use mapfold_protocol::service::*;
use mapfold_protocol::{Address, Answer, CallError, Connector, Desk, Link, Listener};
use mapfold_terms::{JobId, WorkerId};
use tarpc::context::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Never answers, so what was decoded stays in memory for as long as it can.
#[derive(Clone)]
struct Hoarder;

impl Desk for Hoarder {
    fn worker(self, _: Context, request: WorkerDeskRequest) -> Answer<WorkerDeskResponse> {
        Box::pin(async move {
            let _held = request;
            future::pending().await
        })
    }

    fn pulse(self, _: Context, request: PulseRequest) -> Answer<PulseResponse> {
        Box::pin(async move {
            let _held = request;
            future::pending().await
        })
    }

    fn client(self, _: Context, request: ClientDeskRequest) -> Answer<ClientDeskResponse> {
        Box::pin(async move {
            let _held = request;
            future::pending().await
        })
    }
}

const LONG: Duration = Duration::from_secs(30);

const WORKER: u8 = 1;
const PULSE: u8 = 2;
const CLIENT: u8 = 3;

/// A hello or a reply.
fn greeting(byte: u8) -> Vec<u8> {
    let len = u8::try_from(ENGINE.len()).unwrap();
    [
        b"mapfold\n",
        &PROTOCOL.to_be_bytes()[..],
        &[byte, len],
        ENGINE.as_bytes(),
    ]
    .concat()
}

/// A frame of the greatest length: `head`, the length of a list that fills the rest, then `item` again
/// and again.
fn longest(head: &[u8], item: &[u8]) -> Vec<u8> {
    let count = u32::try_from((FRAME_MAX - head.len() - 5) / item.len()).unwrap();
    let mut body = head.to_vec();
    body.push(252);
    body.extend(count.to_le_bytes());
    body.extend(item.repeat(usize::try_from(count).unwrap()));
    let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

/// A line of `/proc/self/status`, in KiB.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// By how many MiB the resident memory of this process rose at most above what it is now.
async fn rise(work: impl Future<Output = ()>) -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    work.await;
    status("VmHWM").saturating_sub(before) >> 10
}

async fn serve() -> String {
    let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".to_owned()))
        .await
        .unwrap();
    let address = listener.local_address().to_string();
    tokio::spawn(listener.serve(Hoarder, future::pending()));
    address
}

async fn greeted(host_port: &str, role: u8) -> TcpStream {
    let mut socket = TcpStream::connect(host_port).await.unwrap();
    socket.write_all(&greeting(role)).await.unwrap();
    let mut reply = vec![0; greeting(0).len()];
    socket.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply, greeting(0));
    socket
}

/// Reads until the other side closes.
async fn closed(mut socket: TcpStream) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(LONG, socket.read_to_end(&mut rest));
    // A reset is as good as an end.
    let _ = read.await.expect("never closed");
}

/// Answers every connection with `frame`, once it has heard a request.
async fn fake(frame: Vec<u8>) -> Connector {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap().to_string());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; greeting(0).len()];
        socket.read_exact(&mut heard).await.unwrap();
        socket.write_all(&greeting(0)).await.unwrap();
        socket.read_exact(&mut [0; 4]).await.unwrap();
        let _ = socket.write_all(&frame).await;
        closed(socket).await;
    });
    Connector::Net(address)
}

/// One test, since all measure the same process.
#[tokio::test]
async fn hostile_frames_cost_little_memory() {
    let host_port = serve().await;
    long_requests(&host_port).await;
    long_answers().await;
    unfinished_frames(&host_port).await;
}

/// Lists whose items are short on the wire and long in memory, one for each request that has any.
async fn long_requests(host_port: &str) {
    let attempt = [1, 1, 1, 0, 0, 1];
    let ended = |outcome: &[u8]| [&[0, 1, 3, 1, 1][..], &attempt, outcome].concat();
    let submit = [0, 1, 0, 1, 0];
    for (what, role, frame) in [
        ("causes", WORKER, longest(&ended(&[2, 0]), &[0])),
        ("counters", WORKER, longest(&ended(&[0; 9]), &[1, b'x', 0])),
        (
            "attempts",
            PULSE,
            longest(&[0, 1, 0, 1], &[1, 1, 1, 0, 0, 1, 0, 0, 0, 0]),
        ),
        ("parameters", CLIENT, longest(&submit, &[1, b'x', 0])),
        (
            "inputs",
            CLIENT,
            longest(&[&submit[..], &[0]].concat(), &[0, 0]),
        ),
    ] {
        check(what, async {
            let mut socket = greeted(host_port, role).await;
            let _ = socket.write_all(&frame).await;
            closed(socket).await;
        })
        .await;
    }
}

/// The same in answers.
async fn long_answers() {
    let orders = fake(longest(&[0, 0, 2, 0, 0], &[5])).await;
    check("orders", async {
        let link = Link::<WorkerDeskClient>::new(orders);
        let answer = link.call(LONG, |desk, context| async move {
            desk.poll(context, WorkerId(1), 0).await
        });
        assert!(matches!(answer.await, Err(CallError::Disconnected { .. })));
    })
    .await;
    let locations = fake(longest(&[0, 0, 4, 0], &[0, 1, 0, 0, 0, 0, 0])).await;
    check("locations", async {
        let link = Link::<WorkerDeskClient>::new(locations);
        let answer = link.call(LONG, |desk, context| async move {
            desk.locate(context, WorkerId(1), JobId(1), 0).await
        });
        assert!(answer.await.unwrap().len() > 100_000);
    })
    .await;
}

/// Two hundred frames of the greatest length, each a byte short. Stock tarpc holds 1.6 GB for such with
/// its frames of 8 MiB.
async fn unfinished_frames(host_port: &str) {
    let frame = longest(&[], &[0]);
    check("unfinished frames", async {
        let mut open = Vec::new();
        for _ in 0..200 {
            let mut socket = greeted(host_port, WORKER).await;
            // Fails where the connection is closed for lack of room.
            let _ = socket.write_all(&frame[..frame.len() - 1]).await;
            open.push(socket);
        }
    })
    .await;
    greeted(host_port, WORKER).await;
}

async fn check(what: &str, work: impl Future<Output = ()>) {
    let rise = rise(work).await;
    eprintln!("{what}: {rise} MiB");
    assert!(rise < 64, "{what}: {rise} MiB");
}

use std::future::pending;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::*;
use crate::desk::tests::Sentry;
use crate::handshake::HandshakeError;
use crate::{CallError, ConnectError, Connector, Link};

const LONG: Duration = Duration::from_secs(30);

async fn listening(caps: Caps) -> (Address, tokio::task::JoinHandle<()>) {
    let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".to_owned()))
        .await
        .unwrap();
    let address = listener.local_address().clone();
    let desk = Sentry::new(Semaphore::MAX_PERMITS);
    (
        address,
        tokio::spawn(listener.serve_at_most(caps, desk, pending())),
    )
}

async fn connect(address: &Address) -> Result<Link<PulseClient>, ConnectError> {
    Link::connect(Connector::Net(address.clone())).await
}

fn is_busy<T>(connected: &Result<T, ConnectError>) -> bool {
    matches!(connected, Err(ConnectError::Handshake { source, .. }) if matches!(**source, HandshakeError::Busy))
}

#[tokio::test]
async fn connections_above_the_cap_are_told_so_until_there_is_room() {
    let (address, _task) = listening(Caps {
        served: 2,
        greeting: 10,
    })
    .await;
    let first = connect(&address).await.unwrap();
    let second = connect(&address).await.unwrap();
    for _ in 0..5 {
        assert!(is_busy(&connect(&address).await));
    }
    drop(first);
    let third = timeout(LONG, async {
        loop {
            match connect(&address).await {
                Ok(third) => break third,
                busy => assert!(is_busy(&busy)),
            }
        }
    });
    let third = third.await.unwrap();
    for link in [second, third] {
        let answer = link
            .call(LONG, |desk, context| async move {
                desk.beat(
                    context,
                    crate::service::Heartbeat {
                        worker: mapfold_terms::WorkerId(1),
                        running: Vec::new(),
                        ended: Vec::new(),
                        said: Vec::new(),
                    },
                )
                .await
            })
            .await;
        assert!(
            matches!(answer, Err(CallError::Failed { .. })),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn silent_connections_above_the_cap_are_closed_unheard() {
    let (address, _task) = listening(Caps {
        served: 0,
        greeting: 3,
    })
    .await;
    let Address::Tcp(host_port) = &address else {
        panic!("not TCP");
    };
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(host_port).await.unwrap());
    }
    let mut fourth = TcpStream::connect(host_port).await.unwrap();
    let read = timeout(HANDSHAKE_AT_MOST, fourth.read(&mut [0])).await;
    assert_eq!(read.expect("not closed at once").unwrap(), 0);
    drop(silent);
    timeout(LONG, async { while !is_busy(&connect(&address).await) {} })
        .await
        .unwrap();
}

/// Less than a handshake may take.
const HANDSHAKE_AT_MOST: Duration = Duration::from_secs(4);

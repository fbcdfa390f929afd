//! Masters that stop, restart, or are not there.

use std::time::{Duration, Instant};

use mapfold_protocol::service::*;
use mapfold_protocol::{Address, BindError, CallError, ConnectError, Connector, Link, Listener};

use crate::desk::{Kind, LONG, Served, poll, until};

#[tokio::test]
async fn a_link_connects_again_after_a_restart_at_the_same_address() {
    for kind in [Kind::Unix, Kind::Tcp] {
        let mut served = Served::start(kind).await;
        let link = served.workers();
        for generation in 1..4 {
            // A call that finds the old connection before its end was noticed says so.
            let mut answer = poll(&link, LONG, 1).await;
            while let Err(CallError::Disconnected { .. }) = answer {
                answer = poll(&link, LONG, 1).await;
            }
            assert_eq!(
                (answer.unwrap().upto, link.generation()),
                (1, generation),
                "{kind:?}"
            );
            served.restart().await;
        }
    }
}

#[tokio::test]
async fn a_link_waits_within_its_call_for_a_master_that_is_not_yet_there() {
    let mut served = Served::start(Kind::Tcp).await;
    served.stop().await;
    let link = served.workers();
    let waiting = tokio::spawn({
        let link = link.clone();
        async move { poll(&link, LONG, 1).await }
    });
    tokio::task::yield_now().await;
    served.restart().await;
    assert_eq!(waiting.await.unwrap().unwrap().upto, 1);
}

#[tokio::test]
async fn a_call_to_a_master_that_is_gone_says_so_in_time() {
    let mut served = Served::start(Kind::Tcp).await;
    served.stop().await;
    let start = Instant::now();
    let error = poll(&served.workers(), Duration::from_millis(300), 1)
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(served.host_port()), "{error}");
    assert!(
        start.elapsed() >= Duration::from_millis(300),
        "it kept trying"
    );
    let error = Link::<ClientDeskClient>::connect(served.connector.clone())
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

/// A call under way is told at once that its connection broke.
#[tokio::test]
async fn a_connection_that_breaks_is_noticed_at_once() {
    for kind in [Kind::Unix, Kind::Tcp] {
        let mut served = Served::start(kind).await;
        let link = served.workers();
        let waiting = served.waiting_poll(&link).await;
        served.stop().await;
        let error = waiting.await.unwrap().unwrap_err();
        assert!(
            matches!(error, CallError::Disconnected { .. }),
            "{kind:?}: {error}"
        );
    }
}

#[tokio::test]
async fn a_listener_that_stops_answers_what_is_under_way() {
    for kind in [Kind::Unix, Kind::Tcp] {
        let mut served = Served::start(kind).await;
        let link = served.workers();
        let waiting = served.waiting_poll(&link).await;
        let desk = served.desk.clone();
        let address = served.address().clone();
        let release = tokio::spawn(async move {
            // It no longer listens; the poll is still under way.
            while Link::<PulseClient>::connect(Connector::Net(address.clone()))
                .await
                .is_ok()
            {
                tokio::task::yield_now().await;
            }
            desk.gate.add_permits(1);
        });
        served.stop().await;
        release.await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap().upto, 0, "{kind:?}");
    }
}

#[tokio::test]
async fn a_link_that_is_dropped_closes_its_connection() {
    for kind in [Kind::InProcess, Kind::Unix, Kind::Tcp] {
        let served = Served::start(kind).await;
        let waiting = served.waiting_poll(&served.workers()).await;
        waiting.abort();
        until(|| {
            served
                .desk
                .waiting
                .load(std::sync::atomic::Ordering::SeqCst)
                == 0
        })
        .await;
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    for kind in [Kind::Unix, Kind::Tcp] {
        let served = Served::start(kind).await;
        let error = Listener::bind(served.address()).await.unwrap_err();
        assert!(
            matches!(error, BindError::Taken { .. }),
            "{kind:?}: {error}"
        );
        assert!(
            error.to_string().contains(&served.address().to_string()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn port_zero_takes_a_free_port() {
    let listener = Listener::bind(&Address::Tcp("localhost:0".to_owned()))
        .await
        .unwrap();
    let address = listener.local_address();
    assert!(address.is_loopback().unwrap());
    assert!(!address.to_string().ends_with(":0"), "{address}");
}

/// Workers that lose their master at once do not come back at once, and all do come back.
#[tokio::test]
async fn many_links_find_a_restarted_master() {
    let mut served = Served::start(Kind::Unix).await;
    let links: Vec<_> = (0..200).map(|_| served.workers()).collect();
    for link in &links {
        poll(link, LONG, 1).await.unwrap();
    }
    served.restart().await;
    let mut calls = tokio::task::JoinSet::new();
    for link in links {
        calls.spawn(async move {
            let start = Instant::now();
            while poll(&link, LONG, 1).await.is_err() {}
            (start.elapsed(), link.generation())
        });
    }
    let mut rejoined = calls.join_all().await;
    assert!(rejoined.iter().all(|(_, generation)| *generation == 2));
    rejoined.sort();
    let spread = rejoined[150].0 - rejoined[50].0;
    assert!(
        spread > Duration::from_millis(20),
        "all at once: {spread:?}"
    );
}

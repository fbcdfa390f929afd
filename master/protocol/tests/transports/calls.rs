//! What a caller sees when the other side is there.

use std::time::{Duration, Instant};

use mapfold_protocol::service::*;
use mapfold_protocol::{CallError, Link};
use mapfold_terms::{JobId, Outcome, WorkerId};

use crate::desk::{KINDS, Kind, LONG, Served, attempt, beat, hello, poll};

#[tokio::test]
async fn all_services_answer_over_all_transports() {
    for kind in KINDS {
        let served = Served::start(kind).await;
        let joined = served
            .workers()
            .call(LONG, |desk, context| async move {
                desk.join(context, hello("w".to_owned())).await
            })
            .await;
        assert_eq!(joined.unwrap().worker, WorkerId(7), "{kind:?}");
        let pulse = Link::<PulseClient>::new(served.connector.clone());
        pulse
            .call(LONG, |desk, context| async move {
                desk.beat(context, beat()).await
            })
            .await
            .unwrap();
        let client = Link::<ClientDeskClient>::connect(served.connector.clone())
            .await
            .unwrap();
        let workers = client
            .call(
                LONG,
                |desk, context| async move { desk.workers(context).await },
            )
            .await;
        assert_eq!(workers.unwrap(), []);
        assert_eq!((pulse.generation(), client.generation()), (1, 1));
    }
}

#[tokio::test]
async fn a_refusal_arrives_as_one() {
    for kind in KINDS {
        let served = Served::start(kind).await;
        let left = served
            .workers()
            .call(LONG, |desk, context| async move {
                desk.leave(context, WorkerId(4)).await
            })
            .await;
        let refusal = Refusal::UnknownWorker(WorkerId(4));
        assert!(
            matches!(left, Err(CallError::Refused(got)) if got == refusal),
            "{kind:?}"
        );
    }
}

/// The heartbeat: a thread and a runtime of its own, while the master's runtime is elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_link_works_from_a_thread_with_a_runtime_of_its_own() {
    for kind in KINDS {
        let served = Served::start(kind).await;
        let connector = served.connector.clone();
        let beats = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let link = Link::<PulseClient>::new(connector);
                for _ in 0..10 {
                    link.call(LONG, |desk, context| async move {
                        desk.beat(context, beat()).await
                    })
                    .await
                    .unwrap();
                }
                link.generation()
            })
        });
        let generation = tokio::task::spawn_blocking(|| beats.join().unwrap());
        assert_eq!(generation.await.unwrap(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_call_that_is_not_answered_times_out_and_is_cancelled() {
    for kind in KINDS {
        let served = Served::start(kind).await;
        let link = served.workers();
        let within = Duration::from_millis(50);
        let error = poll(&link, within, 0).await.unwrap_err();
        assert!(
            matches!(error, CallError::Timeout { .. }),
            "{kind:?}: {error}"
        );
        served.desk.until_waiting(0).await;
        assert!(poll(&link, LONG, 1).await.is_ok(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_long_poll_holds_up_no_other_call() {
    for kind in KINDS {
        let served = Served::start(kind).await;
        let link = served.workers();
        let waiting = served.waiting_poll(&link).await;
        for acked in 1..20 {
            assert_eq!(poll(&link, LONG, acked).await.unwrap().upto, acked);
        }
        served.desk.gate.add_permits(1);
        assert_eq!(waiting.await.unwrap().unwrap().upto, 0);
        assert_eq!(link.generation(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_handler_that_panics_answers_at_once_and_harms_no_other_call() {
    for kind in KINDS {
        let served = Served::start(kind).await;
        let link = served.workers();
        let waiting = served.waiting_poll(&link).await;
        let error = link
            .call(LONG, |desk, context| async move {
                let report = Report {
                    attempt: attempt(),
                    outcome: Outcome::Cancelled,
                };
                desk.ended(context, WorkerId(1), Reports(vec![report]))
                    .await
            })
            .await
            .unwrap_err();
        assert!(
            matches!(&error, CallError::Failed { detail, .. } if detail.contains("a planted bug")),
            "{kind:?}: {error}"
        );
        served.desk.gate.add_permits(1);
        assert!(waiting.await.unwrap().is_ok());
        assert_eq!(link.generation(), 1, "{kind:?}");
    }
}

async fn located(link: &Link<WorkerDeskClient>, count: u32) -> Result<usize, CallError> {
    let locations = link
        .call(LONG, |desk, context| async move {
            desk.locate(context, WorkerId(1), JobId(1), count).await
        })
        .await?;
    Ok(locations.len())
}

#[tokio::test]
async fn an_answer_above_the_frame_limit_fails_its_own_call_alone() {
    for kind in [Kind::Unix, Kind::Tcp] {
        let served = Served::start(kind).await;
        let link = served.workers();
        let waiting = served.waiting_poll(&link).await;
        let error = located(&link, 20_000).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Failed { detail, .. } if detail.contains("limit")),
            "{kind:?}: {error}"
        );
        assert_eq!(
            located(&link, u32::try_from(LOCATIONS_MAX).unwrap())
                .await
                .unwrap(),
            LOCATIONS_MAX
        );
        served.desk.gate.add_permits(1);
        assert!(waiting.await.unwrap().is_ok());
        assert_eq!(link.generation(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_request_above_the_frame_limit_fails_its_own_call_alone() {
    for kind in [Kind::Unix, Kind::Tcp] {
        let served = Served::start(kind).await;
        let link = served.workers();
        let joined = link
            .call(LONG, |desk, context| async move {
                desk.join(context, hello("x".repeat(2 << 20))).await
            })
            .await;
        assert!(
            matches!(joined, Err(CallError::TooLong { len }) if len > 2 << 20),
            "{kind:?}"
        );
        assert!(poll(&link, LONG, 1).await.is_ok());
        assert_eq!(link.generation(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn more_calls_than_a_connection_takes_wait_for_their_turn() {
    for kind in KINDS {
        let served = Served::start(kind).await;
        let link = served.workers();
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let link = link.clone();
            calls.spawn(async move { poll(&link, LONG, 0).await });
        }
        served.desk.until_waiting(64).await;
        served.desk.gate.add_permits(200);
        let answers = calls.join_all().await;
        assert!(answers.iter().all(Result::is_ok), "{kind:?}");
    }
}

/// Without NODELAY each of these takes 40 ms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_small_calls_are_not_delayed() {
    let served = Served::start(Kind::Tcp).await;
    let link = served.workers();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let link = link.clone();
        callers.spawn(async move {
            let mut took = Vec::new();
            for acked in 1..50 {
                let start = Instant::now();
                poll(&link, LONG, acked).await.unwrap();
                took.push(start.elapsed());
            }
            took
        });
    }
    let mut took = callers.join_all().await.concat();
    took.sort();
    let median = took[took.len() / 2];
    assert!(median < Duration::from_millis(20), "{median:?}");
}

/// Figures for the documentation: `cargo test --release -p mapfold-protocol -- --ignored --nocapture ping`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a check"]
async fn ping() {
    for kind in KINDS {
        let served = Served::start(kind).await;
        let link = served.workers();
        let mut took = Vec::new();
        for acked in 1..20_000 {
            let start = Instant::now();
            poll(&link, LONG, acked).await.unwrap();
            took.push(start.elapsed());
        }
        took.sort();
        let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        eprintln!("{kind:?}: p50 {p50:?}, p99 {p99:?}");
    }
}

//! What the control plane costs.

use std::time::Instant;

use mapfold_protocol::service::{JoinReply, Orders, Report, Reports, WorkerDeskClient};
use mapfold_protocol::{Connector, Link};
use mapfold_terms::{Order, Outcome};
use tokio::task::JoinSet;

use super::fake::{hello, map_report};
use super::*;

const TASKS: usize = 10_000;
const SLOTS: u32 = 64;
const WITHIN: Duration = Duration::from_secs(10);

/// Ten thousand empty map tasks through each transport, from join to the last acknowledgement. The figures are
/// printed: `cargo test -p mapfold-master --release speed -- --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_map_tasks() {
    let bench = Bench::new().input("a.txt", TASKS);
    let socket = bench.path("sockets").join("m.sock");
    let unix = format!("unix:{}", socket.display()).parse().unwrap();
    let unix = bench.master.serve(&unix, false).await.unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let tcp = bench.master.serve(&loopback, false).await.unwrap();
    for (name, connector) in [
        ("in process", bench.master.connector()),
        ("Unix socket", Connector::Net(unix)),
        ("TCP", Connector::Net(tcp)),
    ] {
        let job = bench.submit(bench.spec(1)).await;
        bench.until(job, |it| it.state == JobState::Running).await;
        let began = Instant::now();
        let link = Link::connect(connector).await.unwrap();
        let worker = run_maps(&link).await;
        print(name, began.elapsed());
        bench.cancel(job).await;
        let report = bench.report(job).await;
        assert_eq!((report.records_in, report.attempts), (10_000, 10_001));
        let leave = link.call(WITHIN, |desk, context| async move {
            desk.leave(context, worker).await
        });
        leave.await.unwrap();
    }
    bench.master.shutdown().await;
}

async fn run_maps(link: &Link<WorkerDeskClient>) -> mapfold_terms::WorkerId {
    let hello = hello("one", SLOTS);
    let join = link.call(WITHIN, |desk, context| async move {
        desk.join(context, hello).await
    });
    let JoinReply { worker, .. } = join.await.unwrap();
    let (mut acked, mut ordered) = (0, 0);
    let mut reports = JoinSet::new();
    while ordered < TASKS {
        let poll = link.call(WITHIN, |desk, context| async move {
            desk.poll(context, worker, acked).await
        });
        let Orders { upto, orders } = poll.await.unwrap();
        acked = upto;
        for order in orders {
            let Order::Map { attempt, split, .. } = order else {
                panic!("{order:?}")
            };
            ordered += 1;
            let link = link.clone();
            reports.spawn(async move {
                let outcome = Outcome::Mapped(map_report(attempt, split.bytes()));
                let reports = Reports(vec![Report { attempt, outcome }]);
                let ended = link.call(WITHIN, |desk, context| async move {
                    desk.ended(context, worker, reports).await
                });
                ended.await.unwrap();
            });
            while reports.len() >= SLOTS as usize / 2 {
                reports.join_next().await;
            }
        }
    }
    reports.join_all().await;
    worker
}

#[expect(clippy::print_stdout, reason = "a figure for whoever asks for it")]
fn print(name: &str, elapsed: Duration) {
    let each = elapsed / 10_000;
    println!("{TASKS} empty map tasks, {name}: {elapsed:.1?}, {each:.1?} each");
}

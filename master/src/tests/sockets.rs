//! The same over sockets: who listens where, and what a broken connection changes.

use mapfold_protocol::service::{ClientDeskClient, WorkerDeskClient};
use mapfold_protocol::{Connector, Link};
use mapfold_terms::TaskKind;

use super::fake::{Act, Fake, hello};
use super::*;

const WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn clients_and_workers_come_over_sockets() {
    let bench = Bench::new().input("a.txt", 3);
    let loopback = "127.0.0.1:0".parse().unwrap();
    let local = bench.master.serve(&loopback, false).await.unwrap();
    let client = Link::<ClientDeskClient>::new(Connector::Net(local));
    let spec = bench.spec(2);
    let submit = client.call(WITHIN, |desk, context| async move {
        desk.submit(context, spec).await
    });
    let job = submit.await.unwrap();
    Fake::join(&bench.master, "one", 2)
        .await
        .start(|_, _| Act::Run);
    assert_succeeded(&bench.report(job).await);
    let watch = client.call(WITHIN, |desk, context| async move {
        desk.watch(context, job, 0, 0).await
    });
    let status = watch.await.unwrap();
    assert_eq!(
        (status.map.done, status.reduce.done, status.files),
        (3, 2, 1)
    );
    bench.master.shutdown().await;
}

#[tokio::test]
async fn a_connection_that_breaks_aborts_nothing() {
    let bench = Bench::new().input("a.txt", 1);
    let socket = bench.path("sockets").join("m.sock");
    let unix = format!("unix:{}", socket.display()).parse().unwrap();
    let unix = bench.master.serve(&unix, false).await.unwrap();
    let link = Link::<WorkerDeskClient>::new(Connector::Net(unix.clone()));
    let join = link.call(WITHIN, |desk, context| async move {
        desk.join(context, hello("one", 1)).await
    });
    let worker = join.await.unwrap().worker;
    let job = bench.submit(bench.spec(1)).await;
    bench.until(job, |it| it.map.running == 1).await;
    // The order is out, the connection goes, and comes again.
    drop(link);
    let link = Link::<WorkerDeskClient>::new(Connector::Net(unix));
    let poll = link.call(WITHIN, |desk, context| async move {
        desk.poll(context, worker, 0).await
    });
    assert_eq!(poll.await.unwrap().orders.len(), 1);
    let status = bench.watch(job, 0).await.unwrap();
    assert_eq!((status.map.running, status.workers), (1, 1));
    bench.cancel(job).await;
    assert_eq!(bench.report(job).await.attempts_lost, 1);
}

#[tokio::test]
async fn a_public_address_needs_more_than_a_wish() {
    let bench = Bench::new();
    let everywhere = "0.0.0.0:0".parse().unwrap();
    assert!(bench.master.serve(&everywhere, true).await.is_err());
    let private = "10.255.255.1:0".parse().unwrap();
    assert!(matches!(
        bench.master.serve(&private, false).await,
        Err(crate::ServeError::Refused(_))
    ));
}

#[tokio::test]
async fn a_master_serves_from_a_thread_of_another_runtime() {
    let bench = Bench::new().input("a.txt", 2);
    let connector = bench.master.connector();
    Fake::join(&bench.master, "one", 1).await.start(|task, _| {
        assert!(matches!(task.kind, TaskKind::Map | TaskKind::Reduce));
        Act::Run
    });
    let spec = bench.spec(1);
    let client = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let link = Link::<ClientDeskClient>::new(connector);
            let submit = link.call(WITHIN, |desk, context| async move {
                desk.submit(context, spec).await
            });
            submit.await.unwrap()
        })
    });
    let job = tokio::task::spawn_blocking(|| client.join().unwrap())
        .await
        .unwrap();
    assert_succeeded(&bench.report(job).await);
}

//! Serves one connection until it ends.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tarpc::context::Context;
use tarpc::server::{BaseChannel, Channel, Config, Serve};
use tarpc::{ClientMessage, Response, ServerError, Transport};
use tokio::time::{Instant, sleep_until};

use crate::codec::IN_FLIGHT_MAX;
use crate::hang_up::HangUp;
use crate::{Desk, Service};

/// Answers the requests of one connection: as they come, [`IN_FLIGHT_MAX`] at once, until it closes
/// or breaks, or no whole request came for `idle_max` while none was under way. Once `stop` is ready
/// it reads on, but ends as soon as no request is under way. Dropping it aborts all answers.
///
/// All answers of a connection run within this one future: they only wait for the owner of the state, and
/// a connection that ends takes them along.
pub(crate) async fn attend<C, D, T>(
    transport: T,
    desk: D,
    idle_max: Option<Duration>,
    stop: impl Future<Output = ()> + Send,
) where
    C: Service,
    D: Desk,
    T: Transport<Response<C::Response>, ClientMessage<C::Request>> + Send + Unpin,
{
    let config = Config {
        pending_response_buffer: IN_FLIGHT_MAX,
    };
    let channel =
        BaseChannel::new(config, HangUp(transport)).max_concurrent_requests(IN_FLIGHT_MAX);
    let mut requests = pin!(channel.requests());
    let mut running = FuturesUnordered::new();
    let mut stop = pin!(stop.fuse());
    let mut stopping = false;
    let mut heard = Instant::now();
    while !(stopping && running.is_empty()) {
        let idle_at = idle_max
            .filter(|_| running.is_empty())
            .map(|idle_max| heard + idle_max);
        tokio::select! {
            // Also writes what has been answered, so it must be polled in every round.
            request = requests.next() => match request {
                Some(Ok(request)) => {
                    heard = Instant::now();
                    running.push(request.execute(Guarded::<C, D>::new(desk.clone())));
                }
                Some(Err(error)) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::debug!(error, "connection ended");
                    return;
                }
                None => return,
            },
            Some(()) = running.next() => heard = Instant::now(),
            () = sleep_until(idle_at.unwrap_or(heard)), if idle_at.is_some() => {
                tracing::debug!("connection idle");
                return;
            }
            () = &mut stop => stopping = true,
        }
    }
    let close = std::future::poll_fn(|context| {
        // One more round, to take up the answers of the last.
        let _ = requests.as_mut().poll_next_unpin(context);
        futures::Sink::poll_close(requests.as_mut().channel_pin_mut(), context)
    });
    if let Err(error) = close.await {
        let error: &dyn std::error::Error = &error;
        tracing::debug!(error, "connection did not close well");
    }
}

/// A desk's answer to one service, with panics caught: the caller learns of it at once instead of
/// waiting until it gives up, and other calls go on.
struct Guarded<C, D> {
    desk: D,
    service: std::marker::PhantomData<fn() -> C>,
}

impl<C, D> Guarded<C, D> {
    fn new(desk: D) -> Self {
        Self {
            desk,
            service: std::marker::PhantomData,
        }
    }
}

impl<C: Service, D: Desk> Serve for Guarded<C, D> {
    type Req = C::Request;
    type Resp = C::Response;

    async fn serve(
        self,
        context: Context,
        request: C::Request,
    ) -> Result<C::Response, ServerError> {
        let answer = async { C::ask(self.desk, context, request).await };
        AssertUnwindSafe(answer)
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| {
                let what = panic_text(&*panic);
                tracing::error!(what, "a handler panicked");
                Err(ServerError::new(
                    std::io::ErrorKind::Other,
                    format!("the master failed at this request: {what}"),
                ))
            })
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures::SinkExt;
    use mapfold_terms::WorkerId;
    use tarpc::Request;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio_util::codec::Framed;

    use super::*;
    use crate::codec::{AnswererCodec, AskerCodec, ReadBudget};
    use crate::desk::tests::Sentry;
    use crate::service::{WorkerDeskClient, WorkerDeskRequest, WorkerDeskResponse};

    type Asker = Framed<DuplexStream, AskerCodec<WorkerDeskRequest, WorkerDeskResponse>>;

    const IDLE: Duration = Duration::from_secs(60);

    fn attended(desk: Sentry) -> (DuplexStream, JoinHandle<()>) {
        let (ours, theirs) = duplex(1 << 16);
        let transport = Framed::new(theirs, AnswererCodec::new(ReadBudget::new(1)));
        let task = attend::<WorkerDeskClient, _, _>(transport, desk, Some(IDLE), pending());
        (ours, tokio::spawn(task))
    }

    async fn ask(asker: &mut Asker, id: u64) {
        let request = Request {
            context: crate::link::far_context(),
            id,
            message: WorkerDeskRequest::Leave {
                worker: WorkerId(1),
            },
        };
        asker.send(ClientMessage::Request(request)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed() {
        let (_socket, task) = attended(Sentry::new(0));
        let start = Instant::now();
        task.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), IDLE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_a_frame_byte_by_byte_is_closed() {
        let (mut socket, task) = attended(Sentry::new(0));
        let start = Instant::now();
        let drip = async {
            for byte in [0, 1, 0, 0].into_iter().chain(std::iter::repeat(7)) {
                if socket.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        drip.await;
        task.await.unwrap();
        assert!(
            start.elapsed() < IDLE + Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_while_requests_come_or_are_under_way() {
        let desk = Sentry::new(5);
        let (socket, task) = attended(desk.clone());
        let mut asker = Asker::new(socket, AskerCodec::new());
        for id in 0..5 {
            tokio::time::sleep(IDLE * 2 / 3).await;
            ask(&mut asker, id).await;
            assert_eq!(asker.next().await.unwrap().unwrap().request_id, id);
        }
        ask(&mut asker, 5).await;
        tokio::time::sleep(IDLE * 3).await;
        assert!(!task.is_finished());
        desk.0.add_permits(1);
        assert_eq!(asker.next().await.unwrap().unwrap().request_id, 5);
        task.await.unwrap();
    }

    #[tokio::test]
    async fn requests_above_the_limit_are_refused_and_the_others_answered() {
        let desk = Sentry::new(0);
        let (socket, _task) = attended(desk.clone());
        let mut asker = Asker::new(socket, AskerCodec::new());
        let sent = u64::try_from(IN_FLIGHT_MAX).unwrap() + 3;
        for id in 0..sent {
            ask(&mut asker, id).await;
        }
        let mut ids = Vec::new();
        for _ in 0..3 {
            let answer = asker.next().await.unwrap().unwrap();
            assert!(answer.message.unwrap_err().detail.contains("throttled"));
            ids.push(answer.request_id);
        }
        desk.0.add_permits(IN_FLIGHT_MAX);
        for _ in 0..IN_FLIGHT_MAX {
            ids.push(asker.next().await.unwrap().unwrap().request_id);
        }
        ids.sort_unstable();
        assert!(ids.into_iter().eq(0..sent));
    }

    #[tokio::test]
    async fn work_ends_with_the_connection() {
        let desk = Sentry::new(0);
        let (socket, task) = attended(desk);
        let mut asker = Asker::new(socket, AskerCodec::new());
        ask(&mut asker, 0).await;
        drop(asker);
        task.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_answered_when_told_to_stop_is_sent() {
        let desk = Sentry::new(0);
        let (ours, theirs) = duplex(1 << 16);
        let transport = Framed::new(theirs, AnswererCodec::new(ReadBudget::new(1)));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stop_or_gone = async {
            let _ = stopped.await;
        };
        let task = attend::<WorkerDeskClient, _, _>(transport, desk.clone(), None, stop_or_gone);
        let task = tokio::spawn(task);
        let mut asker = Asker::new(ours, AskerCodec::new());
        ask(&mut asker, 0).await;
        ask(&mut asker, 1).await;
        // Both are under way once the first is answered.
        desk.0.add_permits(1);
        asker.next().await.unwrap().unwrap();
        stop.send(()).unwrap();
        desk.0.add_permits(1);
        asker.next().await.unwrap().unwrap();
        task.await.unwrap();
        let mut rest = Vec::new();
        asker.get_mut().read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    }
}

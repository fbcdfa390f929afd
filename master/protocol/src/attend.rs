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

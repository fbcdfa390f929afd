//! The end of a connection as an error.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{Sink, Stream};

/// A transport on which the other side closes only when it is gone. tarpc takes the end of what it reads
/// for a half-closed connection, and goes on working for a peer that is no longer there.
pub(crate) struct HangUp<T>(pub(crate) T);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended<E> {
    /// The other side closed it.
    #[error("the other side closed the connection")]
    Closed,
    /// It broke.
    #[error(transparent)]
    Broken(E),
}

impl<T, I, E> Stream for HangUp<T>
where
    T: Stream<Item = Result<I, E>> + Unpin,
{
    type Item = Result<I, Ended<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.0).poll_next(cx));
        Poll::Ready(Some(match item {
            Some(item) => item.map_err(Ended::Broken),
            None => Err(Ended::Closed),
        }))
    }
}

impl<T, I> Sink<I> for HangUp<T>
where
    T: Sink<I> + Unpin,
{
    type Error = Ended<T::Error>;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.0).poll_ready(cx).map_err(Ended::Broken)
    }

    fn start_send(mut self: Pin<&mut Self>, item: I) -> Result<(), Self::Error> {
        Pin::new(&mut self.0)
            .start_send(item)
            .map_err(Ended::Broken)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.0).poll_flush(cx).map_err(Ended::Broken)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.0).poll_close(cx).map_err(Ended::Broken)
    }
}

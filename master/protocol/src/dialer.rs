//! Connections over whatever carries bytes both ways: a network of one's own, between a [`Dialer`] at the asker and
//! [`serve_stream`](crate::serve_stream) at the answerer. Tests play networks with them that delay, hold back, break and double.

use std::fmt;
use std::io;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::Address;
pub use crate::socket::Socket;

/// Makes connections to one answerer. Clones are alike.
#[derive(Clone)]
pub struct Dialer {
    name: Address,
    dial: Arc<Dial>,
}

type Dial = dyn Fn() -> BoxFuture<'static, io::Result<Box<dyn Socket>>> + Send + Sync;

impl Dialer {
    /// `name` is what messages call the answerer.
    pub fn new(
        name: Address,
        dial: impl Fn() -> BoxFuture<'static, io::Result<Box<dyn Socket>>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            dial: Arc::new(dial),
        }
    }

    pub(crate) const fn name(&self) -> &Address {
        &self.name
    }

    pub(crate) async fn dial(&self) -> io::Result<Box<dyn Socket>> {
        (self.dial)().await
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dialer({})", self.name)
    }
}

//! A line between a worker and its master that can be cut, or fall silent.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How often a silent line looks whether it may speak again.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Passes connections on to another address.
pub(crate) struct Line {
    pub(crate) address: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    silent: AtomicBool,
    connections: AtomicUsize,
    sockets: Mutex<Vec<TcpStream>>,
}

impl Line {
    pub(crate) fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let (target, shared) = (target.to_owned(), Arc::clone(&state));
        thread::spawn(move || {
            for near in listener.incoming() {
                // The master may be gone at the end of a test.
                if let (Ok(near), Ok(far)) = (near, TcpStream::connect(&target)) {
                    shared.pass(near, far);
                }
            }
        });
        Self { address, state }
    }

    /// Connections that were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Breaks all connections.
    pub(crate) fn cut(&self) {
        for socket in self.state.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Has all connections stand without passing anything on, either way; or pass on again, what was said meanwhile first.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.state.silent.store(silent, Ordering::SeqCst);
    }
}

impl State {
    fn pass(self: &Arc<Self>, near: TcpStream, far: TcpStream) {
        for socket in [&near, &far] {
            let _ = socket.set_nodelay(true);
            self.sockets
                .lock()
                .unwrap()
                .push(socket.try_clone().unwrap());
        }
        let (near_again, far_again) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        for (from, to) in [(near, far_again), (far, near_again)] {
            let state = Arc::clone(self);
            thread::spawn(move || state.copy(from, to));
        }
        self.connections.fetch_add(1, Ordering::SeqCst);
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 4096];
        while let Ok(len @ 1..) = from.read(&mut bytes) {
            while self.silent.load(Ordering::SeqCst) {
                thread::sleep(LOOK_EVERY);
            }
            if to.write_all(&bytes[..len]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

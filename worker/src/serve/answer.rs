//! Answers the requests of one reader.

use std::hint;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, warn};

use super::server::{Shared, WRITE_STALL_MAX};
use crate::store::HeldRun;
use crate::stream::Stream;
use crate::wire::{Form, Head, PATH_MAX, REQUEST_LEN, Request, Start, Status, Want};

/// A connection that asks for nothing for so long is closed; its reader connects again when it needs to.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// A reply up to this size is sent with one write.
const ONE_WRITE_MAX: usize = 64 << 10;

/// Answers the requests of one reader until it leaves.
pub(super) fn serve(mut stream: Stream, shared: &Shared) -> io::Result<()> {
    let mut bytes = [0; REQUEST_LEN];
    while !shared.stopping.load(Ordering::SeqCst) {
        match stream.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let request = match Request::decode(&bytes) {
            Ok(request) => request,
            Err(error) => {
                debug!(%error, "a reader's request makes no sense");
                return stream.write_all(&Head::refuse(Start::NONE, Status::BadRequest).encode());
            }
        };
        if !same_secret(request.secret, shared.secret) {
            warn!("a reader does not know the secret");
            return stream.write_all(&Head::refuse(request.start, Status::BadSecret).encode());
        }
        match shared.find(&request) {
            Some(held) => answer(&mut stream, &request, &held)?,
            None => stream.write_all(&Head::refuse(request.start, Status::NotFound).encode())?,
        }
        stream.set_timeouts(IDLE_MAX, WRITE_STALL_MAX)?;
    }
    Ok(())
}

/// Compares in time that does not depend on where the two differ.
fn same_secret(got: u128, want: u128) -> bool {
    hint::black_box(got ^ want) == 0
}

fn answer(stream: &mut Stream, request: &Request, held: &HeldRun) -> io::Result<()> {
    let run = held.run();
    if request.start.partition.0 >= run.partitions() {
        return stream.write_all(&Head::refuse(request.start, Status::BadRequest).encode());
    }
    let segment = run.segment(request.start.partition);
    let segment = segment.and_then(|segment| {
        if request.want == Want::Verified {
            segment.verify()?;
        }
        Ok(segment)
    });
    let segment = match segment {
        Ok(segment) => segment,
        Err(error) => {
            warn!(%error, "a run is damaged");
            return stream.write_all(&Head::refuse(request.start, Status::Corrupt).encode());
        }
    };
    let mut head = Head {
        digest: run.digest(),
        segment: segment.head(),
        ..Head::refuse(request.start, Status::Ok)
    };
    let piece = piece(segment.bytes().len(), request);
    let body = match run.bytes().path() {
        Some(path) if request.want == Want::Path && path_fits(path) => {
            head.form = Form::Path;
            path.as_os_str().as_bytes()
        }
        _ => {
            segment.expect(piece.clone());
            &segment.bytes()[piece.clone()]
        }
    };
    head.length = u32::try_from(body.len()).expect("a piece is not longer than was asked for");
    let sent = send(stream, &head, body);
    // The pages of a mapped run count as this worker's memory, and it has no further use for them.
    segment.release_touched(piece);
    sent
}

fn path_fits(path: &Path) -> bool {
    path.as_os_str().len() <= PATH_MAX as usize
}

/// What was asked for of a segment of `length` bytes; empty beyond the end.
fn piece(length: usize, request: &Request) -> Range<usize> {
    let start = usize::try_from(request.start.offset).map_or(length, |start| start.min(length));
    let end = start.saturating_add(request.length as usize).min(length);
    start..end
}

fn send(stream: &mut Stream, head: &Head, body: &[u8]) -> io::Result<()> {
    let head = head.encode();
    if body.len() <= ONE_WRITE_MAX {
        return stream.write_all(&[&head, body].concat());
    }
    stream.write_all(&head)?;
    stream.write_all(body)
}

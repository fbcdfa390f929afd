use std::fmt::Write as _;
use std::time::{Duration, Instant};

use mapfold_terms::{Order, Split, WorkerId};
use proptest::prelude::*;
use tarpc::{ClientMessage, Request, context};

use super::samples::{self, Sample, samples};
use super::*;
use crate::service::{
    ClientDeskRequest, ClientDeskResponse, ORDERS_MAX, Orders, PulseRequest, PulseResponse,
    WorkerDeskRequest, WorkerDeskResponse,
};

/// A change here is a change of the protocol: raise [`crate::handshake::PROTOCOL`] and replace the
/// file by what this prints.
#[test]
fn every_message_has_its_golden_bytes() {
    let mut got = String::new();
    for sample in samples() {
        let hex: String = sample.frame.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let _ = writeln!(got, "{}\n    {hex}", sample.name);
    }
    let want = include_str!("golden.txt");
    assert!(got == want, "golden.txt does not hold:\n{got}");
}

#[test]
fn every_message_reads_back_and_a_byte_more_or_less_is_an_error() {
    for Sample {
        name,
        frame,
        reread,
    } in samples()
    {
        let body = &frame[PREFIX..];
        assert_eq!(reread(body).as_deref(), Some(body), "{name}");
        let longer = [body, &[0]].concat();
        assert_eq!(reread(&longer), None, "{name} and a byte");
        assert_eq!(reread(&body[..body.len() - 1]), None, "{name} cut");
    }
}

/// Reads the bytes as each kind of message that a peer may send.
fn read_as_all(body: &[u8]) {
    let _ = decode::<Ask<WorkerDeskRequest>>(body);
    let _ = decode::<Ask<PulseRequest>>(body);
    let _ = decode::<Ask<ClientDeskRequest>>(body);
    let _ = decode::<Reply<WorkerDeskResponse>>(body);
    let _ = decode::<Reply<PulseResponse>>(body);
    let _ = decode::<Reply<ClientDeskResponse>>(body);
}

proptest! {
    #[test]
    fn damaged_bytes_give_an_error_or_a_message_never_a_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        grown in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let samples = samples();
        let mut body = samples[which.index(samples.len())].frame[PREFIX..].to_vec();
        body.truncate(body.len() - cut.index(body.len()) / 2);
        body.extend(grown);
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        read_as_all(&body);
    }

    #[test]
    fn random_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        read_as_all(&body);
    }

    #[test]
    fn frames_arrive_whole_however_the_bytes_are_cut(cuts in prop::collection::vec(1_usize..200, 1..50)) {
        let frames: Vec<_> = samples().into_iter().filter(|s| s.name.starts_with("ended: ") && s.name != "ended: noted").collect();
        let stream: Vec<u8> = frames.iter().flat_map(|sample| sample.frame.clone()).collect();
        let mut codec = answerer();
        let (mut from, mut got) = (BytesMut::new(), 0);
        let mut rest = &stream[..];
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(cut.min(rest.len()));
            from.extend_from_slice(now);
            rest = later;
            while codec.decode(&mut from).unwrap().is_some() {
                got += 1;
            }
        }
        prop_assert_eq!((got, from.len()), (frames.len(), 0));
    }
}

type WorkerAnswerer = AnswererCodec<WorkerDeskRequest, WorkerDeskResponse>;
type WorkerAsker = AskerCodec<WorkerDeskRequest, WorkerDeskResponse>;

fn answerer() -> WorkerAnswerer {
    AnswererCodec::new(ReadBudget::new(1))
}

fn poll(deadline: Instant) -> ClientMessage<WorkerDeskRequest> {
    let mut context = context::current();
    context.deadline = deadline;
    ClientMessage::Request(Request {
        context,
        id: 1,
        message: WorkerDeskRequest::Poll {
            worker: WorkerId(3),
            acked: 7,
        },
    })
}

#[test]
fn a_deadline_of_three_years_does_not_travel() {
    let mut frame = BytesMut::new();
    let three_years = Duration::from_secs(3 * 365 * 86_400);
    WorkerAsker::new()
        .encode(poll(Instant::now() + three_years), &mut frame)
        .unwrap();
    let mut soon = BytesMut::new();
    WorkerAsker::new()
        .encode(poll(Instant::now()), &mut soon)
        .unwrap();
    assert_eq!(frame, soon);
    let Some(ClientMessage::Request(request)) = answerer().decode(&mut frame).unwrap() else {
        panic!("no request");
    };
    let left = *request.deadline() - Instant::now();
    assert!(left < Duration::from_secs(86_400), "{left:?}");
}

fn orders_of(pieces: usize) -> Vec<Order> {
    let mut orders = samples::orders();
    orders.truncate(1);
    if let Order::Map { split, .. } = &mut orders[0] {
        *split = Split {
            index: 0,
            pieces: vec![samples::piece(); pieces],
        };
    }
    orders
}

fn polled(orders: Vec<Order>) -> Response<WorkerDeskResponse> {
    Response {
        request_id: 1,
        message: Ok(WorkerDeskResponse::Poll(Ok(Orders { upto: 1, orders }))),
    }
}

#[test]
fn what_fits_is_sent_and_what_is_too_long_becomes_an_error_of_its_call() {
    let piece_len = encoded_len(&samples::piece());
    let around = MESSAGE_MAX / piece_len;
    for pieces in [around - 10, around + 10] {
        let orders = orders_of(pieces);
        let fits = fits(&orders);
        assert_eq!(fits, pieces < around);
        let mut frame = BytesMut::new();
        answerer().encode(polled(orders), &mut frame).unwrap();
        let answer = WorkerAsker::new().decode(&mut frame).unwrap().unwrap();
        assert_eq!(answer.message.is_ok(), fits, "{pieces}");
    }
}

#[test]
fn a_request_that_is_too_long_leaves_nothing_behind() {
    let mut frame = BytesMut::from(&b"before"[..]);
    let hello = WorkerDeskRequest::Join {
        hello: crate::service::JoinRequest {
            name: "x".repeat(FRAME_MAX),
            ..samples::hello()
        },
    };
    let request = ClientMessage::Request(Request {
        context: context::current(),
        id: 1,
        message: hello,
    });
    let error = WorkerAsker::new().encode(request, &mut frame).unwrap_err();
    assert!(
        matches!(error, FrameError::TooLong { len } if len > FRAME_MAX),
        "{error}"
    );
    assert_eq!(&frame[..], b"before");
}

#[test]
fn a_prefix_is_cut_where_the_next_item_would_not_fit() {
    let item = "x".repeat(999);
    let len = encoded_len(&item);
    let items = vec![item; 2 * FRAME_MAX / len];
    assert_eq!(prefix_that_fits(&items, usize::MAX), MESSAGE_MAX / len);
    assert_eq!(prefix_that_fits(&items, 3), 3);
    assert!(fits(&items[..MESSAGE_MAX / len - 1]));
    assert_eq!(prefix_that_fits(&["x".repeat(FRAME_MAX)], 3), 0);
}

/// bincode counts integers by their width in memory; a frame of many small ones must still pass.
#[test]
fn the_longest_frame_of_the_smallest_integers_is_read() {
    let zeros = vec![(0_u128, 0_i128); (FRAME_MAX - 8) / 2];
    let mut frame = BytesMut::new();
    put_frame(&zeros, &mut frame).unwrap();
    assert_eq!(take_frame(&mut frame).unwrap(), Some(zeros));
}

#[test]
fn an_announced_length_above_the_limit_is_refused_at_once() {
    for len in [FRAME_MAX + 1, 8 << 20, usize::try_from(u32::MAX).unwrap()] {
        let mut from = BytesMut::new();
        from.put_u32(u32::try_from(len).unwrap());
        let error = answerer().decode(&mut from).unwrap_err();
        assert!(matches!(error, FrameError::Announced { len: got } if got == len));
    }
    let mut from = BytesMut::new();
    from.put_u32(u32::try_from(FRAME_MAX).unwrap());
    assert!(answerer().decode(&mut from).unwrap().is_none());
    assert!(
        from.capacity() < 1024,
        "nothing is reserved for bytes that may never come"
    );
}

#[test]
fn long_frames_share_a_budget_and_short_ones_need_none() {
    let budget = ReadBudget::new(1);
    let codec = || WorkerAnswerer::new(budget.clone());
    let start = |len: usize| {
        let mut from = BytesMut::new();
        from.put_u32(u32::try_from(len).unwrap());
        from
    };
    let (mut first, mut second) = (codec(), codec());
    assert!(first.decode(&mut start(FRAME_MAX)).unwrap().is_none());
    let error = second.decode(&mut start(FRAME_MAX)).unwrap_err();
    assert!(matches!(error, FrameError::Crowded { .. }));
    assert!(second.decode(&mut start(BUFFER_FREE)).unwrap().is_none());
    drop(first);
    assert!(second.decode(&mut start(FRAME_MAX)).unwrap().is_none());
}

#[test]
fn a_long_frame_gives_its_memory_and_its_share_back() {
    let mut from = BytesMut::new();
    let long = WorkerDeskRequest::Join {
        hello: crate::service::JoinRequest {
            name: "x".repeat(FRAME_MAX - 100),
            ..samples::hello()
        },
    };
    put_frame(
        &Ask::Call {
            id: 1,
            request: long,
        },
        &mut from,
    )
    .unwrap();
    let mut codec = answerer();
    assert!(codec.decode(&mut from).unwrap().is_some());
    assert!(from.capacity() <= BUFFER_FREE);
    assert!(codec.claimed.is_none());
}

#[test]
fn a_list_of_orders_is_capped_while_it_is_read() {
    let orders = |count| Orders {
        upto: 1,
        orders: vec![Order::Stop; count],
    };
    for (count, reads) in [
        (ORDERS_MAX, true),
        (ORDERS_MAX + 1, false),
        (FRAME_MAX - 100, false),
    ] {
        let mut frame = BytesMut::new();
        put_frame(&orders(count), &mut frame).unwrap();
        assert_eq!(take_frame::<Orders>(&mut frame).is_ok(), reads, "{count}");
    }
}

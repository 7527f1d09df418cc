//! The small pieces where no conversation reaches: `seen`, `outgoing`, `deadlines`, `flood`,
//! `buffered`, `outputs`.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{
    buffered::Buffered, deadlines::Deadlines, flood::Flood, outgoing::Outgoing, outputs::Outputs,
    seen::Seen,
};
use crate::{Dir, Event, Limits, Protocol, Request, SessionId, Side, StreamId, wire::varint};

fn now() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "an origin; only offsets from it matter"
    )]
    Instant::now()
}

fn bi(index: u64) -> StreamId {
    StreamId::new(Side::Client, Dir::Bi, index)
}

// ---- seen

#[test]
fn a_stream_is_new_once_whatever_the_order() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        let mut seen = Seen::default();
        for (n, index) in order.into_iter().enumerate() {
            assert!(!seen.contains(bi(index)));
            assert!(seen.mark(bi(index)), "{order:?}");
            assert!(!seen.mark(bi(index)), "{order:?}");
            for &later in &order[n + 1..] {
                assert!(!seen.contains(bi(later)), "{order:?}");
            }
            for &earlier in &order[..=n] {
                assert!(seen.contains(bi(earlier)), "{order:?}");
            }
        }
    }
}

#[test]
fn kinds_of_streams_do_not_mix() {
    let kinds = [
        (Side::Client, Dir::Bi),
        (Side::Server, Dir::Bi),
        (Side::Client, Dir::Uni),
        (Side::Server, Dir::Uni),
    ];
    for (side, dir) in kinds {
        let mut seen = Seen::default();
        seen.mark(StreamId::new(side, dir, 5));
        for (other_side, other_dir) in kinds {
            let is_same = (other_side, other_dir) == (side, dir);
            let other = StreamId::new(other_side, other_dir, 5);
            assert_eq!(seen.contains(other), is_same);
            let next = if is_same { 6 } else { 0 };
            let expected = StreamId::new(other_side, other_dir, next);
            assert_eq!(seen.next(other_side, other_dir), expected);
        }
    }
}

#[test]
fn the_next_stream_is_above_all_that_were_seen() {
    let mut seen = Seen::default();
    for (index, next) in [(0, 1), (7, 8), (3, 8), (8, 9)] {
        seen.mark(bi(index));
        assert_eq!(seen.next(Side::Client, Dir::Bi), bi(next));
    }
}

#[test]
fn ids_that_cannot_be_are_never_new() {
    let mut seen = Seen::default();
    for id in [varint::MAX + 1, varint::MAX + 2, u64::MAX] {
        assert!(!seen.mark(StreamId::from(id)), "{id}");
    }
    assert!(seen.mark(StreamId::from(varint::MAX)));
    assert!(seen.contains(StreamId::from(varint::MAX)));
}

#[test]
fn a_leap_is_not_remembered_stream_by_stream() {
    let mut seen = Seen::default();
    let far = (1 << 60) - 1;
    assert!(seen.mark(bi(far)));
    // The nearest are gaps still; what is further below counts as seen.
    assert!(seen.mark(bi(far - 1)));
    assert!(!seen.mark(bi(0)));
    assert!(seen.contains(bi(0)));
}

// ---- outgoing

#[test]
fn nothing_is_offered_where_nothing_was_queued() {
    let mut outgoing = Outgoing::default();
    assert!(!outgoing.push(Bytes::from_static(b""), false));
    assert_eq!(outgoing.offer(), None);
    assert!(!outgoing.writable() && !outgoing.written(5, true));
    assert!(outgoing.is_written() && !outgoing.is_finished());
}

#[test]
fn one_poll_is_asked_for_however_much_is_queued() {
    let mut outgoing = Outgoing::default();
    assert!(outgoing.push(Bytes::from_static(b"a"), false));
    assert!(!outgoing.push(Bytes::from_static(b"b"), false));
    assert_eq!(outgoing.offer(), Some((Bytes::from_static(b"ab"), false)));
    assert_eq!(outgoing.offer(), None);
    // Neither while the answer is owed, nor while QUIC is full.
    assert!(!outgoing.push(Bytes::from_static(b"c"), false));
    assert!(!outgoing.written(1, false));
    assert!(!outgoing.push(Bytes::from_static(b"d"), true));
    assert!(outgoing.is_blocked());
    assert_eq!(outgoing.len(), 3);
    assert!(outgoing.writable());
    assert_eq!(outgoing.offer(), Some((Bytes::from_static(b"b"), false)));
    assert!(outgoing.written(1, false));
    assert_eq!(outgoing.offer(), Some((Bytes::from_static(b"cd"), true)));
    assert!(!outgoing.written(2, true));
    assert!(outgoing.is_finished() && outgoing.is_written());
}

#[test]
fn nothing_follows_a_fin() {
    let mut outgoing = Outgoing::default();
    assert!(outgoing.push(Bytes::from_static(b"last"), true));
    assert!(!outgoing.push(Bytes::from_static(b"more"), false));
    assert_eq!(outgoing.offer(), Some((Bytes::from_static(b"last"), true)));
    assert!(!outgoing.written(4, true));
    assert!(!outgoing.push(Bytes::from_static(b"more"), true) && !outgoing.writable());
    assert_eq!(outgoing.offer(), None);
    assert_eq!(outgoing.len(), 0);
}

#[test]
fn a_fin_without_bytes_is_a_write_too() {
    let mut outgoing = Outgoing::default();
    assert!(outgoing.push(Bytes::from_static(b""), true));
    assert_eq!(outgoing.offer(), Some((Bytes::new(), true)));
    assert!(!outgoing.written(0, false));
    assert!(outgoing.is_blocked() && !outgoing.is_written());
}

// ---- deadlines

#[test]
fn deadlines_come_in_order_and_then_by_stream() {
    let (start, second) = (now(), Duration::from_secs(1));
    let mut deadlines = Deadlines::default();
    for (stream, seconds) in [(4, 2), (8, 1), (0, 2), (12, 3)] {
        let due = Some(start + second * seconds);
        deadlines.arm(StreamId::from(stream), &mut None, due);
    }
    assert_eq!(deadlines.next(), Some(start + second));
    assert_eq!(deadlines.expired(start), None);
    let later = start + second * 2;
    let due: Vec<_> = std::iter::from_fn(|| deadlines.expired(later)).collect();
    assert_eq!(due, [8, 0, 4].map(StreamId::from));
    assert_eq!(deadlines.next(), Some(start + second * 3));
    deadlines.clear();
    assert_eq!(deadlines.next(), None);
}

#[test]
fn a_stream_has_one_deadline_which_moves() {
    let (start, second) = (now(), Duration::from_secs(1));
    let mut deadlines = Deadlines::default();
    let mut armed = None;
    for due in [Some(3), Some(1), Some(1), Some(2)] {
        let due = due.map(|seconds| start + second * seconds);
        deadlines.arm(bi(0), &mut armed, due);
        assert_eq!((armed, deadlines.next()), (due, due));
    }
    deadlines.arm(bi(0), &mut armed, None);
    assert_eq!((armed, deadlines.next()), (None, None));
    assert_eq!(deadlines.expired(start + second * 9), None);
}

// ---- flood

#[test]
fn more_than_1024_in_a_second_are_a_flood() {
    let start = now();
    let mut flood = Flood::default();
    let mut count = |at: Duration, times: u32| {
        (0..times)
            .filter(|_| flood.is_excessive(start + at))
            .count()
    };
    assert_eq!(count(Duration::ZERO, 1024), 0);
    assert_eq!(count(Duration::from_millis(999), 2), 2);
    // A new second, counted from what came first in it.
    assert_eq!(count(Duration::from_millis(1000), 1024), 0);
    assert_eq!(count(Duration::from_millis(1999), 1), 1);
    assert_eq!(count(Duration::from_secs(60), 1024), 0);
}

#[test]
fn the_second_of_a_flood_does_not_end_when_time_goes_back() {
    let start = now() + Duration::from_secs(60);
    let mut flood = Flood::default();
    for _ in 0..1024 {
        assert!(!flood.is_excessive(start));
    }
    assert!(flood.is_excessive(start - Duration::from_secs(30)));
}

// ---- buffered

fn session(index: u64) -> SessionId {
    SessionId::try_from(bi(index)).unwrap()
}

#[test]
fn streams_and_datagrams_share_the_bytes_and_not_the_counts() {
    let limits = Limits {
        buffered_streams: 2,
        buffered_datagrams: 2,
        buffered_bytes: 10,
        ..Limits::default()
    };
    let mut buffered = Buffered::default();
    buffered.add_stream();
    buffered.add_bytes(4);
    buffered.add_datagram(session(0), &Bytes::from_static(b"four"), now());
    assert!(buffered.has_byte_room(2, &limits) && !buffered.has_byte_room(3, &limits));
    assert!(buffered.has_datagram_room(2, &limits) && !buffered.has_datagram_room(3, &limits));
    assert!(!buffered.has_byte_room(usize::MAX, &limits));
    assert!(buffered.has_stream_room(&limits));
    buffered.add_stream();
    assert!(!buffered.has_stream_room(&limits));
    buffered.add_datagram(session(0), &Bytes::new(), now());
    assert!(!buffered.has_datagram_room(0, &limits));
    buffered.remove_stream(4);
    assert!(buffered.has_stream_room(&limits) && buffered.has_byte_room(6, &limits));
    assert_eq!(buffered.datagrams_of(session(0)).len(), 2);
    assert!(buffered.has_byte_room(10, &limits) && buffered.has_datagram_room(10, &limits));
}

#[test]
fn a_sessions_own_early_datagrams_count_too() {
    let limits = Limits {
        buffered_datagrams: 2,
        buffered_bytes: 10,
        ..Limits::default()
    };
    let mut buffered = Buffered::default();
    buffered.recount((0, 0), (1, 8));
    assert!(buffered.has_datagram_room(2, &limits) && !buffered.has_datagram_room(3, &limits));
    buffered.recount((1, 8), (2, 9));
    assert!(!buffered.has_datagram_room(0, &limits));
    buffered.recount((2, 9), (0, 0));
    assert!(buffered.has_datagram_room(10, &limits));
}

#[test]
fn orphans_are_found_by_session_and_in_order() {
    let mut buffered = Buffered::default();
    for (of, stream) in [(1, 9), (0, 6), (1, 2), (1, 7), (2, 3)] {
        buffered.add_orphan(session(of), StreamId::from(stream));
    }
    buffered.remove_orphan(session(1), StreamId::from(7));
    buffered.remove_orphan(session(1), StreamId::from(6));
    assert_eq!(buffered.orphans_of(session(1)), [2, 9].map(StreamId::from));
    assert_eq!(buffered.orphans_of(session(3)), []);
    let last = SessionId::try_from(StreamId::from(varint::MAX - 3)).unwrap();
    buffered.add_orphan(last, StreamId::from(varint::MAX));
    assert_eq!(buffered.orphans_of(last), [StreamId::from(varint::MAX)]);
}

#[test]
fn datagrams_are_found_by_session_in_the_order_of_arrival() {
    let mut buffered = Buffered::default();
    for (of, payload) in [(0, "a"), (1, "b"), (0, "c"), (1, "d")] {
        buffered.add_datagram(session(of), &payload.into(), now());
    }
    assert_eq!(buffered.datagrams_of(session(0)), ["a", "c"]);
    assert_eq!(buffered.datagrams_of(session(0)), [""; 0]);
    assert_eq!(buffered.datagrams_of(session(1)), ["b", "d"]);
    assert_eq!(buffered.oldest(), None);
}

#[test]
fn datagrams_that_waited_too_long_are_dropped_and_counted() {
    let start = now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut buffered = Buffered::default();
    for seconds in [1, 2, 2, 3] {
        buffered.add_datagram(session(0), &Bytes::from_static(b"d"), at(seconds));
    }
    assert_eq!(buffered.expire(start), 0);
    assert_eq!(buffered.oldest(), Some(at(1)));
    assert_eq!(buffered.expire(at(2)), 3);
    assert_eq!(buffered.oldest(), Some(at(3)));
    assert_eq!(buffered.datagrams_of(session(0)).len(), 1);
    assert_eq!(buffered.expire(at(9)), 0);
}

#[test]
fn what_a_session_to_come_is_owed_is_kept_until_it_comes_or_nobody_waits_for_it() {
    let start = now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let limits = Limits {
        buffered_streams: 0,
        sessions: 2,
        ..Limits::default()
    };
    let mut buffered = Buffered::default();
    for (of, dir, seconds) in [(0, Dir::Uni, 1), (1, Dir::Bi, 2), (0, Dir::Uni, 3)] {
        buffered.forsake(session(of), dir, at(seconds), &limits);
    }
    // There is no room for a third.
    buffered.forsake(session(2), Dir::Uni, at(4), &limits);
    assert!(buffered.take_forsaken(session(2)).is_none());
    let owed = buffered.take_forsaken(session(0)).unwrap();
    assert_eq!((owed.bidi, owed.uni), (0, 2));
    // The last of them counts for all.
    assert_eq!(buffered.oldest(), Some(at(4)));
    assert_eq!(buffered.expire(at(3)), 0);
    let owed = buffered.take_forsaken(session(1)).unwrap();
    assert_eq!((owed.bidi, owed.uni), (1, 0));
    assert_eq!(buffered.oldest(), None);
    buffered.forsake(session(1), Dir::Bi, at(5), &limits);
    assert_eq!(buffered.expire(at(5)), 0);
    assert!(buffered.take_forsaken(session(1)).is_none());
}

// ---- outputs

/// What a request weighs until it is polled: its URI, a field, a protocol.
fn weight(uri: &str, (name, value): (&'static str, &'static str), protocol: &str) -> usize {
    let mut request = Request::new(uri.parse().unwrap())
        .protocols([Protocol::try_from(protocol).unwrap()])
        .origin(value.try_into().unwrap());
    request.headers.insert(name, value.try_into().unwrap());
    let mut outputs = Outputs::default();
    outputs.event(Event::SessionRequested {
        session: session(0),
        request: Box::new(request),
    });
    outputs.undelivered()
}

#[test]
fn a_request_weighs_a_byte_more_for_each_byte_of_its_text() {
    let least = weight("https://host/path", ("name", "value"), "one");
    for (uri, field, protocol, more) in [
        ("https://host-and-more/path", ("name", "value"), "one", 9),
        ("https://host/path?and=more", ("name", "value"), "one", 9),
        ("https://host/path", ("name-and-more", "value"), "one", 9),
        // It is the origin's too.
        ("https://host/path", ("name", "value and more"), "one", 18),
        ("https://host/path", ("name", "value"), "one and more", 9),
    ] {
        assert_eq!(
            weight(uri, field, protocol),
            least + more,
            "{uri} {field:?}"
        );
    }
}

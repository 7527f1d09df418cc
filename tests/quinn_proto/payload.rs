//! Megabytes both ways, and readers that are slower than writers.

use std::{collections::BTreeMap, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use webtransport_session::{Dir, Event, SendError, SessionId, Side, StreamId};

use crate::{
    pair::{End, Link, Pair, received},
    setup::Setup,
};

const MIB: usize = 1 << 20;

/// What an application holds for a stream that it writes to.
#[derive(Default)]
struct Outgoing {
    unsent: BytesMut,
    fin: bool,
    /// Where the bytes come from: not read while they cannot go on.
    source: Option<StreamId>,
}

/// Sends everything back: on the same stream, or on one of its own.
#[derive(Default)]
struct Echo {
    /// From the stream that is read to the one that is written.
    answers: BTreeMap<StreamId, StreamId>,
    outgoing: BTreeMap<StreamId, Outgoing>,
}

impl Echo {
    fn turn(&mut self, peer: &mut End) {
        for event in peer.take() {
            match event {
                Event::StreamOpened { session, stream } => {
                    let answer = match stream.dir() {
                        Dir::Bi => stream,
                        Dir::Uni => peer.open(session, Dir::Uni),
                    };
                    self.answers.insert(stream, answer);
                    let outgoing = self.outgoing.entry(answer).or_default();
                    outgoing.source = Some(stream);
                }
                Event::StreamData {
                    stream, data, fin, ..
                } => {
                    let answer = self.answers[&stream];
                    let outgoing = self.outgoing.get_mut(&answer).unwrap();
                    outgoing.unsent.extend_from_slice(&data);
                    outgoing.fin = fin;
                    outgoing.push(answer, peer);
                }
                Event::StreamWritable { stream, .. } => {
                    let outgoing = self.outgoing.get_mut(&stream).unwrap();
                    outgoing.push(stream, peer);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

impl Outgoing {
    fn push(&mut self, stream: StreamId, peer: &mut End) {
        while !self.unsent.is_empty() {
            match peer.write(stream, &self.unsent) {
                Ok(written) => self.unsent.advance(written),
                Err(SendError::Blocked) => break,
                Err(other) => panic!("{other:?}"),
            }
        }
        if let Some(source) = self.source {
            match self.unsent.is_empty() {
                true => peer.sessions().resume(source),
                false => peer.sessions().pause(source),
            }
        }
        if self.fin && self.unsent.is_empty() {
            self.fin = false;
            peer.finish(stream);
        }
    }
}

/// Distinct enough that a piece which is lost, doubled or moved is seen.
fn pattern(len: usize) -> Bytes {
    let bytes = (0..len).map(|index| (index / 251 * 7 + index) as u8);
    bytes.collect()
}

/// One side sends on streams of these kinds and reads the echo of the other.
fn echoes(setup: Setup, side: Side, dirs: &[Dir], len: usize, link: Link) {
    let (mut pair, session) = Pair::in_session(setup);
    pair.client.link = link;
    pair.server.link = link;
    let payload = pattern(len);
    let mut echo = Echo::default();
    let mut outgoing = BTreeMap::new();
    for &dir in dirs {
        let stream = pair.side(side).open(session, dir);
        let unsent = payload.as_ref().into();
        let out = Outgoing {
            unsent,
            fin: true,
            source: None,
        };
        outgoing.insert(stream, out);
    }
    for (&stream, out) in &mut outgoing {
        out.push(stream, pair.side(side));
    }

    let mut told = Vec::new();
    pair.run_until(Duration::from_secs(600), |pair| {
        echo.turn(pair.side(side.other()));
        let peer = pair.side(side);
        for event in peer.take() {
            if let Event::StreamWritable { stream, .. } = event {
                outgoing.get_mut(&stream).unwrap().push(stream, peer);
            } else {
                told.push(event);
            }
        }
        let is_fin = |event: &&Event| matches!(event, Event::StreamData { fin: true, .. });
        told.iter().filter(is_fin).count() == dirs.len()
    });

    let mut answers: Vec<StreamId> = told
        .iter()
        .filter_map(|event| match event {
            Event::StreamData {
                stream, fin: true, ..
            } => Some(*stream),
            _ => None,
        })
        .collect();
    answers.sort();
    for stream in answers {
        let (echoed, _) = received(&told, stream);
        assert!(echoed == payload, "{stream}: {} bytes", echoed.len());
    }
    assert_nothing_is_left(&mut pair, session);
}

/// Quinn and the machine hold nothing but what belongs to the connection and the session.
fn assert_nothing_is_left(pair: &mut Pair, session: SessionId) {
    pair.client.link = Link::Up;
    pair.server.link = Link::Up;
    pair.settle();
    for side in [Side::Client, Side::Server] {
        let peer = pair.side(side);
        let streams = peer.quic().streams();
        let bi = streams.remote_open_streams(quinn_proto::Dir::Bi);
        let uni = streams.remote_open_streams(quinn_proto::Dir::Uni);
        let connect = u64::from(side == Side::Server);
        assert_eq!((bi, uni), (connect, 1), "{side:?}");
        // Control and CONNECT.
        assert_eq!(streams.send_streams(), 2, "{side:?}");
        let sessions: Vec<_> = peer.sessions().sessions().collect();
        assert_eq!(sessions, [session]);
    }
}

#[test]
fn a_mebibyte_comes_back_on_a_bidirectional_stream() {
    for side in [Side::Client, Side::Server] {
        echoes(Setup::default(), side, &[Dir::Bi], MIB, Link::Up);
    }
}

#[test]
fn a_mebibyte_comes_back_on_a_unidirectional_stream_of_its_own() {
    for side in [Side::Client, Side::Server] {
        echoes(Setup::default(), side, &[Dir::Uni], MIB, Link::Up);
    }
}

#[test]
fn streams_of_both_kinds_come_back_side_by_side_over_a_lossy_link() {
    let dirs = [Dir::Bi, Dir::Uni, Dir::Bi, Dir::Uni];
    for side in [Side::Client, Side::Server] {
        let link = Link::Lossy(20);
        echoes(Setup::default(), side, &dirs, MIB / 8, link);
    }
}

#[test]
fn streams_come_back_through_small_windows() {
    for side in [Side::Client, Side::Server] {
        let mut setup = Setup::default();
        for transport in [&mut setup.client_quic, &mut setup.server_quic] {
            transport
                .stream_receive_window(3000_u32.into())
                .receive_window(5000_u32.into())
                .send_window(4000);
        }
        let dirs = [Dir::Bi, Dir::Uni, Dir::Bi];
        echoes(setup, side, &dirs, 100_000, Link::Up);
    }
}

#[test]
fn many_short_streams_leave_nothing_behind() {
    let dirs = [Dir::Bi, Dir::Uni].repeat(40);
    for side in [Side::Client, Side::Server] {
        echoes(Setup::default(), side, &dirs, 10, Link::Up);
    }
}

// ---- readers

#[test]
fn a_paused_stream_holds_its_writer_back_and_loses_nothing() {
    let mut setup = Setup::default();
    setup.server_quic.stream_receive_window(10_000_u32.into());
    let (mut pair, session) = Pair::in_session(setup);
    let stream = pair.client.open(session, Dir::Uni);
    let other = pair.client.open(session, Dir::Uni);
    pair.settle();
    pair.server.take();
    pair.server.sessions().pause(stream);
    let payload = pattern(MIB / 8);
    let mut outgoing = Outgoing {
        unsent: payload.as_ref().into(),
        fin: true,
        source: None,
    };
    outgoing.push(stream, &mut pair.client);
    assert!(outgoing.unsent.len() > payload.len() - 10_000);
    pair.client.write_all(other, b"not held back");
    pair.settle();
    let events = pair.server.take();
    assert_eq!(received(&events, stream).0, "");
    assert_eq!(received(&events, other).0, "not held back");

    pair.server.sessions().resume(stream);
    let mut told = Vec::new();
    pair.run_until(Duration::from_secs(60), |pair| {
        if !pair.client.take().is_empty() {
            outgoing.push(stream, &mut pair.client);
        }
        told.append(&mut pair.server.take());
        received(&told, stream).1
    });
    assert!(received(&told, stream).0 == payload);
}

#[test]
fn what_an_application_does_not_poll_stays_in_quics_window() {
    let mut setup = Setup::default();
    setup.server.limits.undelivered_bytes = 2000;
    let (mut pair, session) = Pair::in_session(setup);
    let payload = pattern(10_000);
    let stream = pair.client.open(session, Dir::Uni);
    pair.client.write_all(stream, &payload);
    pair.client.finish(stream);
    pair.turn();
    pair.arrive();
    let server = &mut pair.server;
    let (_, first) = server.endpoint.poll(server.now).unwrap();
    assert_eq!(first, Event::StreamOpened { session, stream });
    assert!(!server.sessions().wants(stream));
    pair.settle();
    assert_eq!(received(&pair.server.take(), stream), (payload, true));
}

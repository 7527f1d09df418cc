//! Streams and datagrams over loopback: both ways, with their codes, blocked, early and broken.

use std::time::{Duration, Instant};

use crate::client::{self, Client, Server};
use webtransport_session::{
    CloseReason, ConnectionLost, Dir, Event, Http3Error, OpenError, SessionId, StreamId,
};

/// Opens a stream on QUIC itself.
fn raw(client: &mut Client, dir: quinn_proto::Dir) -> quinn_proto::StreamId {
    client.peer().quic.streams().open(dir).unwrap()
}

fn put(client: &mut Client, stream: quinn_proto::StreamId, bytes: &[u8]) {
    let mut stream = client.peer().quic.send_stream(stream);
    assert_eq!(stream.write(bytes), Ok(bytes.len()));
    client.flush();
}

/// The next stream that the server opens for this session.
fn opened(client: &mut Client, of: SessionId) -> StreamId {
    client.wait(|event| match event {
        Event::StreamOpened { session, stream } if *session == of => Some(*stream),
        _ => None,
    })
}

#[test]
fn a_megabyte_comes_back_although_quic_holds_both_ends_back() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    let sent: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    let stream = client.stream(session, Dir::Bi);
    client.write(stream, &sent);
    client.peer().sessions().finish(stream).unwrap();
    assert!(client.read(stream) == sent);
}

#[test]
fn a_message_on_a_unidirectional_stream_comes_back_on_one_of_the_servers() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    let stream = client.stream(session, Dir::Uni);
    client.write(stream, b"one way");
    client.peer().sessions().finish(stream).unwrap();
    let back = opened(&mut client, session);
    assert_eq!(client.read(back), b"one way");
}

#[test]
fn an_empty_unidirectional_stream_is_told() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    let stream = client.stream(session, Dir::Uni);
    client.peer().sessions().finish(stream).unwrap();
    let back = opened(&mut client, session);
    assert_eq!(client.read(back), b"");
}

#[test]
fn more_streams_than_quic_allows_at_a_time_wait_for_room() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    for round in 0..100u8 {
        let stream = loop {
            let now = Instant::now();
            match client.peer().open(now, session, Dir::Uni) {
                Ok(stream) => break stream,
                Err(OpenError::Blocked) => client.turn(),
                Err(error) => panic!("{error}"),
            }
        };
        client.write(stream, &[round]);
        client.peer().sessions().finish(stream).unwrap();
        client.flush();
    }
    // The client allows the server eight at a time, three of which are h3's.
    let mut back = Vec::new();
    for _ in 0..100 {
        let stream = opened(&mut client, session);
        back.extend(client.read(stream));
    }
    back.sort_unstable();
    assert_eq!(back, (0..100).collect::<Vec<u8>>());
}

#[test]
fn a_reset_and_the_answer_to_it_keep_their_code() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    let stream = client.stream(session, Dir::Bi);
    client.write(stream, b"never mind");
    let echo = client.wait(|event| match event {
        Event::StreamData { data, .. } => Some(data.clone()),
        _ => None,
    });
    assert_eq!(&echo[..], b"never mind");
    client.peer().sessions().reset(stream, 77).unwrap();
    let code = client.wait(|event| match event {
        Event::StreamReset { code, .. } => Some(*code),
        _ => None,
    });
    assert_eq!(code, Some(77));
}

#[test]
fn stop_sending_is_noticed_by_a_server_that_writes_nothing() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    let stream = client.stream(session, Dir::Bi);
    client.write(stream, b"!");
    client.wait(|event| matches!(event, Event::StreamData { .. }).then_some(()));
    client.peer().sessions().stop(stream, 5).unwrap();
    // The server stops the other half in turn. It does so while it reads, and h3-quinn 0.0.10 gives
    // no code then: the only thing that is lost.
    let code = client.wait(|event| match event {
        Event::StreamStopped { code, .. } => Some(*code),
        _ => None,
    });
    assert_eq!(code, None);
}

#[test]
fn streams_and_datagrams_that_come_before_their_session_are_kept() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.ready();
    // The session to come: the first bidirectional stream. The header, and payload behind it.
    let early = raw(&mut client, quinn_proto::Dir::Uni);
    put(&mut client, early, b"\x40\x54\x00early");
    client.peer().quic.send_stream(early).finish().unwrap();
    let datagram = bytes::Bytes::from_static(b"\x00overtaken");
    client.peer().quic.datagrams().send(datagram, true).unwrap();
    for _ in 0..20 {
        client.turn();
    }
    let session = client.open("/echo");
    assert_eq!(client.datagram(session), &b"overtaken"[..]);
    let back = opened(&mut client, session);
    assert_eq!(client.read(back), b"early");
}

#[test]
fn a_stream_header_in_single_bytes_is_read_whole() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    // Far enough for an id of two bytes, and then of a stream whose id comes in pieces.
    let mut session = client.open("/echo");
    while u64::from(session.connect_stream()) < 64 {
        let now = Instant::now();
        client.peer().sessions().close(now, session, 0, "");
        client.flush();
        server.reason(session);
        client.turn();
        session = client.open("/echo");
    }
    assert_eq!(u64::from(session.connect_stream()), 64);
    let stream = raw(&mut client, quinn_proto::Dir::Uni);
    for &byte in b"\x40\x54\x40\x40piecemeal" {
        put(&mut client, stream, &[byte]);
        // One packet each.
        std::thread::sleep(Duration::from_millis(5));
        client.turn();
    }
    client.peer().quic.send_stream(stream).finish().unwrap();
    let back = opened(&mut client, session);
    assert_eq!(client.read(back), b"piecemeal");
}

#[test]
fn a_stream_of_a_session_that_is_over_is_refused() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    let now = Instant::now();
    client.peer().sessions().close(now, session, 0, "");
    client.flush();
    server.reason(session);
    let stream = raw(&mut client, quinn_proto::Dir::Bi);
    put(&mut client, stream, b"\x40\x41\x00late");
    let until = Instant::now() + client::PATIENCE;
    let mut reset = None;
    while reset.is_none() {
        assert!(Instant::now() < until, "never refused");
        client.turn_with(&mut |peer| {
            let mut stream = peer.quic.recv_stream(stream);
            let Ok(mut chunks) = stream.read(true) else {
                return;
            };
            if let Err(quinn_proto::ReadError::Reset(code)) = chunks.next(1) {
                reset = Some(code.into_inner());
            }
            let _ = chunks.finalize();
        });
    }
    // WT_SESSION_GONE.
    assert_eq!(reset, Some(0x170d_7b68));
}

#[test]
fn a_session_id_that_cannot_be_ends_the_connection() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    let stream = raw(&mut client, quinn_proto::Dir::Uni);
    put(&mut client, stream, b"\x40\x54\x01");
    let told = client.reason(session);
    let CloseReason::ConnectionLost(ConnectionLost::PeerApplication { code, .. }) = told else {
        panic!("{told}");
    };
    assert_eq!(code, Http3Error::Id.code());
    let broken = CloseReason::ConnectionLost(ConnectionLost::Http3(Http3Error::Id));
    assert_eq!(server.reason(session), broken);
    server.assert_no_more();
}

#[test]
fn a_datagram_without_a_session_id_ends_the_connection() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    let datagram = bytes::Bytes::from_static(b"\xc0");
    client.peer().quic.datagrams().send(datagram, true).unwrap();
    client.flush();
    let broken = CloseReason::ConnectionLost(ConnectionLost::Http3(Http3Error::Datagram));
    assert_eq!(server.reason(session), broken);
}

#[test]
fn a_stream_that_means_nothing_harms_nobody() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let session = client.open("/echo");
    let stream = raw(&mut client, quinn_proto::Dir::Uni);
    put(&mut client, stream, b"\x21grease");
    client.peer().send_datagram(session, b"still here").unwrap();
    assert_eq!(client.datagram(session), &b"still here"[..]);
}

use http::StatusCode;

use super::*;
use crate::{CloseVia, Rejection};

fn session() -> SessionId {
    SessionId::try_from(StreamId::from(4)).unwrap()
}

/// One of each.
fn events() -> Vec<Event> {
    let session = session();
    let stream = StreamId::from(9);
    vec![
        Event::Ready(Negotiated {
            dialect: Some(Dialect::Draft02),
            flow_control: false,
        }),
        Event::Unsupported(Requirement::Dialect),
        Event::StreamsAvailable { dir: Dir::Bi },
        Event::ConnectionClosed {
            reason: ConnectionLost::IdleTimeout,
        },
        Event::SessionRequested {
            session,
            request: Box::new(Request::new("https://a/".parse().unwrap())),
        },
        Event::SessionOpened {
            session,
            response: Box::default(),
        },
        Event::SessionDraining { session },
        Event::PriorityChanged {
            session,
            priority: Priority::default(),
        },
        Event::SessionClosed {
            session,
            reason: CloseReason::Peer {
                code: 0,
                message: "".into(),
                via: CloseVia::Fin,
            },
        },
        Event::DatagramReceived {
            session,
            payload: Bytes::new(),
        },
        Event::StreamOpened { session, stream },
        Event::StreamData {
            session,
            stream,
            data: Bytes::new(),
            fin: true,
        },
        Event::StreamReset {
            session,
            stream,
            code: None,
        },
        Event::StreamStopped {
            session,
            stream,
            code: Some(1),
        },
        Event::StreamWritable { session, stream },
    ]
}

#[test]
fn events_of_the_connection_name_no_session_and_all_others_do() {
    let sessions: Vec<_> = events().iter().map(Event::session).collect();
    assert_eq!(sessions[..4], [None; 4]);
    assert_eq!(sessions[4..], [Some(session()); 11]);
}

#[test]
fn everything_is_plain_data_that_can_cross_threads() {
    fn plain<T: Clone + std::fmt::Debug + PartialEq + Send + Sync + 'static>() {}
    plain::<Input>();
    plain::<Action>();
    plain::<Event>();
    plain::<Output>();
}

#[test]
fn what_is_moved_per_packet_is_small() {
    assert!(size_of::<Event>() <= 64);
    assert!(size_of::<Input>() <= 56);
    assert!(size_of::<Action>() <= 48);
}

#[test]
fn a_rejection_travels_boxed_and_still_compares_by_value() {
    let closed = |status| Event::SessionClosed {
        session: session(),
        reason: CloseReason::Rejected {
            by: crate::Endpoint::Peer,
            rejection: Box::new(Rejection::from(status)),
        },
    };
    assert_eq!(closed(StatusCode::NOT_FOUND), closed(StatusCode::NOT_FOUND));
    assert_ne!(closed(StatusCode::NOT_FOUND), closed(StatusCode::FORBIDDEN));
}

#[cfg(feature = "serde")]
#[test]
fn every_input_is_stored_and_read_back() {
    let stream = StreamId::from(0);
    let inputs = [
        Input::StreamData {
            stream,
            data: Bytes::from_static(b"\x00\xff"),
            fin: true,
        },
        Input::StreamReset {
            stream,
            code: u64::MAX,
            final_size: Some(3),
        },
        Input::StreamStopped {
            stream,
            code: 0x10c,
        },
        Input::Written {
            stream,
            len: 12,
            fin: false,
        },
        Input::StreamWritable { stream },
        Input::StreamAcknowledged { stream },
        Input::StreamsAvailable { dir: Dir::Uni },
        Input::DatagramReceived { data: Bytes::new() },
        Input::ConnectionClosed {
            reason: ConnectionLost::PeerApplication {
                code: 0x100,
                reason: Bytes::from_static(b"\xff"),
            },
        },
        Input::ConnectionClosed {
            reason: ConnectionLost::Http3(crate::Http3Error::Frame),
        },
        Input::Timeout,
    ];
    let stored = serde_json::to_string(&inputs).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Input>>(&stored).unwrap(), inputs);
    let first = r#"{"StreamData":{"stream":0,"data":"00ff","fin":true}}"#;
    assert_eq!(stored.get(1..=first.len()), Some(first));
}

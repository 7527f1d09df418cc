//! How large a datagram can be, and datagrams on the CONNECT stream (§4.5, RFC 9297 §3.5).

use webtransport_session::{
    Config, DatagramError, Dialect, Event, Output, SessionId, Side, StreamId,
};

use crate::support::*;

fn received(session: SessionId, payload: &'static [u8]) -> Output {
    let payload = payload.into();
    event(Event::DatagramReceived { session, payload })
}

#[test]
fn the_application_is_told_how_much_fits_beside_the_session() {
    // The Quarter Stream ID takes as many bytes as its size needs.
    for (stream, header_len) in [(0, 1), (252, 1), (256, 2), (65_532, 2), (65_536, 4)] {
        let mut rig = Rig::with(Side::Client, Config::default(), Dialect::Draft16);
        let session = rig.request_session(stream);
        assert_eq!(rig.connection.max_datagram_payload(session, 1200), None);
        let early = rig.connection.datagram(session).err();
        assert_eq!(early, Some(DatagramError::NotOpen));
        rig.answer(session);
        let connection = &rig.connection;
        for quic_max in [header_len, header_len + 1, 1200, 65_535] {
            let fits = connection.max_datagram_payload(session, quic_max);
            assert_eq!(fits, Some(quic_max - header_len), "{stream}");
            let payload = vec![7; fits.unwrap()];
            let encoded = connection.datagram(session).unwrap().encode(&payload);
            assert_eq!(encoded.len(), quic_max);
        }
        assert_eq!(
            connection.max_datagram_payload(session, header_len - 1),
            None
        );
        let never = SessionId::try_from(StreamId::from(stream + 4)).unwrap();
        assert_eq!(connection.max_datagram_payload(never, 1200), None);
        rig.feed_fin(stream, b"");
        rig.drain();
        assert_eq!(rig.connection.max_datagram_payload(session, 1200), None);
    }
}

#[test]
fn datagram_capsules_are_delivered_in_every_dialect_and_count_as_a_sign_of_life() {
    for dialect in [
        Dialect::Draft02,
        Dialect::Draft07,
        Dialect::Draft14,
        Dialect::Draft16,
    ] {
        both_roles(|side| {
            let (mut rig, session) = Rig::open_with(side, speaking(dialect), dialect);
            rig.now += std::time::Duration::from_secs(1);
            rig.feed(CONNECT, &data_frame(&tlv(0x00, b"capsule")));
            assert_eq!(rig.outputs(), [received(session, b"capsule")]);
            assert_eq!(rig.connection.last_activity(session), Some(rig.now));
            // Neither overtakes the other.
            rig.peer_sends_datagram(CONNECT, b"frame");
            rig.feed(CONNECT, &data_frame(&tlv(0x00, b"")));
            let both = [received(session, b"frame"), received(session, b"")];
            assert_eq!(rig.outputs(), both);
        });
    }
}

#[test]
fn datagram_capsules_before_the_answer_wait_for_it() {
    // §3.2: "A server MUST NOT process these bytes as capsules until it sends a 2xx response
    // accepting the session."
    let (mut rig, session) = Rig::requested(Side::Server);
    rig.feed(CONNECT, &data_frame(&tlv(0x00, b"early")));
    assert_eq!(rig.outputs(), []);
    let response = webtransport_session::Response::default();
    rig.connection.accept(rig.now, session, response).unwrap();
    let events = rig.events();
    assert!(matches!(events[0], Event::SessionOpened { .. }));
    assert_eq!(event(events[1].clone()), received(session, b"early"));

    let (mut rig, session) = Rig::requested(Side::Server);
    rig.feed(CONNECT, &data_frame(&tlv(0x00, b"early")));
    let rejection = http::StatusCode::NOT_FOUND.into();
    rig.connection.reject(rig.now, session, rejection).unwrap();
    let events = rig.events();
    assert!(matches!(events[..], [Event::SessionClosed { .. }]));
}

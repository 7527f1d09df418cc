//! Keying material of sessions: the same at both ends, and different for everything else (§4.8).

use webtransport_session::{
    Dialect, Dialects, InvalidExport, SessionId, Side, StreamId, exporter,
    host::quinn_proto::ExportError,
};

use crate::{pair::Pair, setup::Setup};

type Secret = [u8; 32];

fn export(
    pair: &mut Pair,
    side: Side,
    session: SessionId,
    label: &[u8],
    context: &[u8],
) -> Result<Secret, ExportError> {
    let peer = pair.side(side).peer();
    let mut secret = [0; 32];
    peer.export_keying_material(session, label, context, &mut secret)?;
    Ok(secret)
}

/// The same at both ends.
fn shared(pair: &mut Pair, session: SessionId, label: &[u8], context: &[u8]) -> Secret {
    let [client, server] =
        [Side::Client, Side::Server].map(|side| export(pair, side, session, label, context));
    assert_eq!(client, server);
    client.unwrap()
}

#[test]
fn both_ends_export_the_same_and_another_for_each_session_label_and_context() {
    // Draft 02 lets sessions share a connection without flow control.
    let mut setup = Setup::default();
    setup.server.dialects = Dialects::only(Dialect::Draft02);
    let (mut pair, first) = Pair::in_session(setup);
    let second = pair.open_session();
    let secrets = [
        shared(&mut pair, first, b"label", b"context"),
        shared(&mut pair, second, b"label", b"context"),
        shared(&mut pair, first, b"label!", b"context"),
        shared(&mut pair, first, b"label", b"context!"),
        shared(&mut pair, first, b"label", b""),
        // The same bytes, cut elsewhere.
        shared(&mut pair, first, b"labelc", b"ontext"),
    ];
    for (n, secret) in secrets.iter().enumerate() {
        assert_ne!(*secret, [0; 32]);
        assert!(!secrets[..n].contains(secret), "{n}");
    }
    assert_eq!(
        shared(&mut pair, first, b"label", b"context"),
        secrets[0],
        "asked again"
    );
}

#[test]
fn it_is_the_exporter_of_tls_with_the_label_and_the_context_of_the_draft() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let secret = shared(&mut pair, session, b"label", b"context");
    // §4.8: "the resulting exporter MUST be a TLS exporter as defined in {{Section 7.5 of RFC8446}}
    // with the label set to "EXPORTER-WebTransport" and the context set to the serialization"
    let context = b"\0\0\0\0\0\0\0\0\x05label\x07context";
    assert_eq!(
        exporter::context(session, b"label", b"context").unwrap(),
        context
    );
    let mut expected = [0; 32];
    let tls = pair.client.quic().crypto_session();
    let label = b"EXPORTER-WebTransport";
    tls.export_keying_material(&mut expected, label, context)
        .unwrap();
    assert_eq!(secret, expected);
}

#[test]
fn another_connection_exports_other_bytes() {
    let secrets = [(), ()].map(|()| {
        let (mut pair, session) = Pair::in_session(Setup::default());
        shared(&mut pair, session, b"label", b"context")
    });
    assert_ne!(secrets[0], secrets[1]);
}

#[test]
fn only_an_open_session_exports() {
    let mut pair = Pair::connected(Setup::default());
    let session = pair.client.connect("/game");
    let before = export(&mut pair, Side::Client, session, b"label", b"");
    assert_eq!(before, Err(ExportError::NotOpen));
    pair.settle();
    let before = export(&mut pair, Side::Server, session, b"label", b"");
    assert_eq!(before, Err(ExportError::NotOpen));
    pair.server.accept(session);
    pair.settle();
    shared(&mut pair, session, b"label", b"");

    let never = SessionId::try_from(StreamId::from(400)).unwrap();
    let other = export(&mut pair, Side::Client, never, b"label", b"");
    assert_eq!(other, Err(ExportError::SessionClosed));

    pair.client.close(session, 0, "");
    pair.settle();
    for side in [Side::Client, Side::Server] {
        let after = export(&mut pair, side, session, b"label", b"");
        assert_eq!(after, Err(ExportError::SessionClosed), "{side:?}");
    }
}

#[test]
fn what_cannot_be_asked_for_is_an_error() {
    let (mut pair, session) = Pair::in_session(Setup::default());
    let too_long = [b'x'; 256];
    let error = export(&mut pair, Side::Client, session, b"", b"");
    assert_eq!(error, Err(InvalidExport::Label.into()));
    let error = export(&mut pair, Side::Client, session, &too_long, b"");
    assert_eq!(error, Err(InvalidExport::Label.into()));
    let error = export(&mut pair, Side::Client, session, b"x", &too_long);
    assert_eq!(error, Err(InvalidExport::Context.into()));
    let peer = pair.client.peer();
    for len in [0, 1 << 16] {
        let mut output = vec![0; len];
        let error = peer.export_keying_material(session, b"x", b"", &mut output);
        assert_eq!(error, Err(ExportError::Length), "{len}");
    }
}

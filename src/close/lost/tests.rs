use super::*;

const ERRORS: [Http3Error; 13] = [
    Http3Error::MissingSettings,
    Http3Error::Settings,
    Http3Error::FrameUnexpected,
    Http3Error::Frame,
    Http3Error::Id,
    Http3Error::ClosedCriticalStream,
    Http3Error::StreamCreation,
    Http3Error::Datagram,
    Http3Error::QpackDecompression,
    Http3Error::QpackEncoderStream,
    Http3Error::QpackDecoderStream,
    Http3Error::ExcessiveLoad,
    Http3Error::General,
];

/// One of each.
fn losses() -> [ConnectionLost; 10] {
    let reason = Bytes::from_static(b"line 1\nline \xff");
    [
        ConnectionLost::PeerApplication {
            code: 0x100,
            reason: reason.clone(),
        },
        ConnectionLost::PeerTransport {
            code: 0xa,
            reason: reason.clone(),
        },
        ConnectionLost::LocalTransport { code: 0xb, reason },
        ConnectionLost::Local { code: Some(0x100) },
        ConnectionLost::Http3(Http3Error::FrameUnexpected),
        ConnectionLost::IdleTimeout,
        ConnectionLost::StatelessReset,
        ConnectionLost::HandshakeFailed,
        ConnectionLost::VersionMismatch,
        ConnectionLost::Unknown,
    ]
}

#[test]
fn e46_each_error_has_its_code_and_section() {
    let table = ERRORS.map(|error| format!("{error} {}", error.section()));
    insta::assert_snapshot!(table.join("\n"), @r"
    H3_MISSING_SETTINGS (0x10a) RFC 9114 §6.2.1
    H3_SETTINGS_ERROR (0x109) RFC 9114 §7.2.4
    H3_FRAME_UNEXPECTED (0x105) RFC 9114 §7.2
    H3_FRAME_ERROR (0x106) RFC 9114 §7.1
    H3_ID_ERROR (0x108) RFC 9114 §8.1
    H3_CLOSED_CRITICAL_STREAM (0x104) RFC 9114 §6.2.1
    H3_STREAM_CREATION_ERROR (0x103) RFC 9114 §6.2
    H3_DATAGRAM_ERROR (0x33) RFC 9297 §2.1
    QPACK_DECOMPRESSION_FAILED (0x200) RFC 9204 §2.2
    QPACK_ENCODER_STREAM_ERROR (0x201) RFC 9204 §4.3
    QPACK_DECODER_STREAM_ERROR (0x202) RFC 9204 §4.4
    H3_EXCESSIVE_LOAD (0x107) RFC 9114 §10.5
    H3_GENERAL_PROTOCOL_ERROR (0x101) RFC 9114 §8.1
    ");
}

#[test]
fn each_loss_has_its_word_origin_and_line() {
    let table = losses().map(|lost| format!("{} {:?}: {lost}", lost.label(), lost.origin()));
    insta::assert_snapshot!(table.join("\n"), @r#"
    peer-connection-close Peer: closed by the peer with code 0x100: "line 1\nline �"
    peer-transport-close Peer: closed by the peer's QUIC with code 0xa: "line 1\nline �"
    local-transport-close Peer: closed by our QUIC with code 0xb: "line 1\nline �"
    local-connection-close Local: closed by us with code 0x100
    http3-error Peer: the peer broke HTTP/3: H3_FRAME_UNEXPECTED (0x105) (RFC 9114 §7.2)
    idle-timeout Network: QUIC idle timeout
    stateless-reset Network: the peer has forgotten it (stateless reset)
    handshake-failed Network: the handshake failed
    version-mismatch Network: no version of QUIC in common
    connection-lost Network: for a reason that QUIC cannot tell
    "#);
}

#[test]
fn e44_what_quic_or_the_peer_ends_before_the_start_is_a_failed_handshake() {
    let transport: Vec<_> = losses()
        .iter()
        .filter(|lost| lost.is_transport())
        .map(ConnectionLost::label)
        .collect();
    assert_eq!(
        transport,
        [
            "peer-connection-close",
            "peer-transport-close",
            "local-transport-close",
            "idle-timeout",
            "stateless-reset",
            "connection-lost",
        ]
    );
}

#[cfg(feature = "quinn-proto")]
#[test]
fn quinn_reports_are_told_apart() {
    use quinn_proto::{ApplicationClose, ConnectionClose, ConnectionError, TransportErrorCode};

    let reason = Bytes::from_static(b"why");
    let flow = TransportErrorCode::FLOW_CONTROL_ERROR;
    let cases = [
        (
            ConnectionError::ApplicationClosed(ApplicationClose {
                error_code: 0x100_u32.into(),
                reason: reason.clone(),
            }),
            ConnectionLost::PeerApplication {
                code: 0x100,
                reason: reason.clone(),
            },
        ),
        (
            ConnectionError::ConnectionClosed(ConnectionClose {
                error_code: flow,
                frame_type: None,
                reason: reason.clone(),
            }),
            ConnectionLost::PeerTransport {
                code: 3,
                reason: reason.clone(),
            },
        ),
        (
            ConnectionError::TransportError(quinn_proto::TransportError {
                code: flow,
                frame: None,
                reason: "why".into(),
            }),
            ConnectionLost::LocalTransport { code: 3, reason },
        ),
        (ConnectionError::Reset, ConnectionLost::StatelessReset),
        (ConnectionError::TimedOut, ConnectionLost::IdleTimeout),
        (
            ConnectionError::LocallyClosed,
            ConnectionLost::Local { code: None },
        ),
        (
            ConnectionError::VersionMismatch,
            ConnectionLost::VersionMismatch,
        ),
        (
            ConnectionError::CidsExhausted,
            ConnectionLost::LocalTransport {
                code: 1,
                reason: Bytes::from_static(b"connection ids exhausted"),
            },
        ),
    ];
    for (reported, expected) in cases {
        assert_eq!(ConnectionLost::from(reported), expected);
    }
}

#[cfg(feature = "serde")]
#[test]
fn every_loss_is_stored_and_read_back() {
    for lost in losses()
        .into_iter()
        .chain(ERRORS.map(ConnectionLost::Http3))
    {
        let stored = serde_json::to_string(&lost).unwrap();
        assert_eq!(
            serde_json::from_str::<ConnectionLost>(&stored).unwrap(),
            lost
        );
    }
}

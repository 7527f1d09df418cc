use proptest::prelude::*;

use bytes::Bytes;

use super::*;
use crate::wire::tlv::{Part, Reader};

fn encode(settings: &[(u64, u64)]) -> Bytes {
    let mut out = Buffer::new();
    put(&mut out, settings.iter().copied());
    out.freeze()
}

/// Through the frame that `put` makes, so that both directions are tested.
fn parse_as(side: Side, settings: &[(u64, u64)]) -> Result<Settings, SettingsError> {
    let mut input = encode(settings);
    let mut reader = Reader::new();
    assert!(matches!(
        reader.next(&mut input),
        Some(Part::Header {
            kind: frame::SETTINGS,
            ..
        })
    ));
    let Some(Part::Payload { data, end: true }) = reader.next(&mut input) else {
        panic!("one payload")
    };
    assert!(input.is_empty());
    Settings::parse(&data, 64, side)
}

fn parse(settings: &[(u64, u64)]) -> Result<Settings, SettingsError> {
    let both = [Side::Client, Side::Server].map(|side| parse_as(side, settings));
    assert_eq!(both[0], both[1]);
    both[0]
}

#[test]
fn nothing_sent_is_the_default() {
    assert_eq!(parse(&[]), Ok(Settings::default()));
    assert_eq!(&encode(&[])[..], [0x04, 0x00]);
}

#[test]
fn every_setting_has_its_field() {
    let expected = Settings {
        max_field_section_size: Some(16_384),
        enable_connect_protocol: 1,
        h3_datagram: 1,
        h3_datagram_draft04: 1,
        enable_webtransport: 1,
        max_sessions_draft04: Some(2),
        max_sessions_draft07: 3,
        max_sessions_draft13: 4,
        wt_enabled: 1,
        initial_max_data: Some(5),
        initial_max_streams_uni: Some(6),
        initial_max_streams_bidi: Some(0),
    };
    let sent = [
        (0x6, 16_384),
        (0x8, 1),
        (0x33, 1),
        (0xff_d277, 1),
        (0x2b60_3742, 1),
        (0x2b60_3743, 2),
        (0xc671_706a, 3),
        (0x14e9_cd29, 4),
        (0x2c7c_f000, 1),
        (0x2b61, 5),
        (0x2b64, 6),
        (0x2b65, 0),
    ];
    assert_eq!(parse(&sent), Ok(expected));
    let mut reversed = sent;
    reversed.reverse();
    assert_eq!(parse(&reversed), Ok(expected));
}

#[test]
fn what_chromium_sends_is_read() {
    let payload = [
        0x01, 0x80, 0x01, 0x00, 0x00, 0x06, 0x80, 0x00, 0x40, 0x00, 0x07, 0x40, 0x64, 0x33, 0x01,
        0x80, 0xff, 0xd2, 0x77, 0x01, 0xab, 0x60, 0x37, 0x42, 0x01, 0xc0, 0x00, 0x00, 0x0c, 0x75,
        0x72, 0xcd, 0x1b, 0xc0, 0x00, 0x00, 0x00, 0x58, 0x58, 0x4d, 0x94,
    ];
    let expected = Settings {
        max_field_section_size: Some(16_384),
        h3_datagram: 1,
        h3_datagram_draft04: 1,
        enable_webtransport: 1,
        ..Settings::default()
    };
    assert_eq!(Settings::parse(&payload, 64, Side::Server), Ok(expected));
}

#[test]
fn what_firefox_sends_is_read() {
    let payload = [
        0x01, 0x80, 0x01, 0x00, 0x00, 0x07, 0x14, 0xab, 0x60, 0x37, 0x42, 0x01, 0x80, 0xff, 0xd2,
        0x77, 0x01, 0x33, 0x01, 0x08, 0x01,
    ];
    let expected = Settings {
        enable_connect_protocol: 1,
        h3_datagram: 1,
        h3_datagram_draft04: 1,
        enable_webtransport: 1,
        ..Settings::default()
    };
    assert_eq!(Settings::parse(&payload, 64, Side::Server), Ok(expected));
}

// RFC 9114 §7.2.4: "The same setting identifier MUST NOT occur more than once in the SETTINGS frame."
#[test]
fn e46_a_setting_comes_once_known_or_unknown() {
    let grease = 0x1f * 9 + 0x21;
    for id in [
        0x1,
        0x6,
        0x8,
        0x33,
        0x2b60_3742,
        0x2b61,
        grease,
        0x1234_5678_9abc,
    ] {
        assert!(parse(&[(id, 1)]).is_ok());
        assert_eq!(
            parse(&[(id, 1), (id, 1)]),
            Err(SettingsError::Settings),
            "{id:#x}"
        );
        assert_eq!(
            parse(&[(id, 1), (0x7777, 0), (id, 0)]),
            Err(SettingsError::Settings),
            "{id:#x}"
        );
    }
}

#[test]
fn e46_a_setting_that_came_is_found_among_as_many_as_may_come() {
    let many: Vec<(u64, u64)> = (0..63).map(|n| (0x1f * n + 0x21, n)).collect();
    assert_eq!(parse(&many), Ok(Settings::default()));
    for again in &many {
        let settings = [&many[..], &[*again]].concat();
        assert_eq!(parse(&settings), Err(SettingsError::Settings), "{again:?}");
    }
}

#[test]
fn e46_a_setting_comes_once_however_its_id_is_written() {
    assert_eq!(
        Settings::parse(&[0x33, 0x01, 0x40, 0x33, 0x01], 64, Side::Server),
        Err(SettingsError::Settings)
    );
}

#[test]
fn e46_the_settings_of_http2_are_refused() {
    for id in [0x00, 0x02, 0x03, 0x04, 0x05] {
        assert_eq!(parse(&[(id, 0)]), Err(SettingsError::Settings), "{id:#x}");
    }
    for id in [0x01, 0x06, 0x07, 0x09] {
        assert!(parse(&[(id, 0)]).is_ok(), "{id:#x}");
    }
}

#[test]
fn e46_a_switch_is_0_or_1() {
    for id in [0x08, 0x33, 0xff_d277, 0x2b60_3742] {
        assert!(parse(&[(id, 0)]).is_ok());
        assert!(parse(&[(id, 1)]).is_ok());
        for value in [2, 64, varint::MAX] {
            assert_eq!(
                parse(&[(id, value)]),
                Err(SettingsError::Settings),
                "{id:#x}={value}"
            );
        }
    }
}

// §3.1: clients "treat values greater than "1" as a connection error of type H3_SETTINGS_ERROR."
#[test]
fn e46_wt_enabled_above_1_is_an_error_at_a_client_only() {
    assert_eq!(
        parse_as(Side::Client, &[(WT_ENABLED, 2)]),
        Err(SettingsError::Settings)
    );
    assert_eq!(
        parse_as(Side::Server, &[(WT_ENABLED, 2)]).map(|settings| settings.wt_enabled),
        Ok(2)
    );
    assert_eq!(
        parse_as(Side::Client, &[(WT_ENABLED, 1)]).map(|settings| settings.wt_enabled),
        Ok(1)
    );
}

#[test]
fn e46_a_payload_that_ends_inside_a_setting_is_a_frame_error() {
    let payload = [0x80, 0xff, 0xd2, 0x77, 0x01, 0x06, 0x40, 0x64];
    for len in 0..=payload.len() {
        let result = Settings::parse(&payload[..len], 64, Side::Client);
        let expected = if [0, 5, 8].contains(&len) {
            None
        } else {
            Some(SettingsError::Frame)
        };
        assert_eq!(result.err(), expected, "{len} bytes");
    }
}

#[test]
fn e46_more_settings_than_the_limit_are_excessive() {
    let payload = [0x40, 0x50, 0x00, 0x40, 0x51, 0x00, 0x40, 0x52, 0x00];
    assert!(Settings::parse(&payload, 3, Side::Client).is_ok());
    assert_eq!(
        Settings::parse(&payload, 2, Side::Client),
        Err(SettingsError::ExcessiveLoad)
    );
    assert_eq!(
        Settings::parse(&payload, 0, Side::Client),
        Err(SettingsError::ExcessiveLoad)
    );
    assert!(Settings::parse(&[], 0, Side::Client).is_ok());
}

proptest! {
    #[test]
    fn no_payload_makes_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..64), limit in 0u32..8) {
        for side in [Side::Client, Side::Server] {
            let _ = Settings::parse(&payload, limit, side);
        }
    }
}

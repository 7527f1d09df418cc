//! The codecs: nothing panics, cuts change nothing, and what is written is read again.

use bytes::Bytes;
use webtransport_session::{Dir, Side};

use crate::wire::{
    self,
    capsule::{self, Capsule, Decoder, FlowKind, Rules},
    settings::Settings,
    tlv::{Part, Reader},
    varint::Partial,
};

/// The first byte says where the rest is cut; further cuts follow at the same distance.
fn cut(data: &[u8]) -> Option<(usize, Bytes)> {
    let (&every, rest) = data.split_first()?;
    Some((usize::from(every % 16) + 1, Bytes::copy_from_slice(rest)))
}

pub fn varint(data: &[u8]) {
    let Some((every, whole)) = cut(data) else { return };
    let read = |pieces: Vec<Bytes>| {
        let (mut partial, mut values) = (Partial::new(), Vec::new());
        for mut piece in pieces {
            while let Some(value) = partial.read(&mut piece) {
                values.push(value);
            }
            assert!(piece.is_empty());
        }
        // Of one that is complete the value means nothing any more.
        (values, Some(partial).filter(|partial| !partial.is_empty()))
    };
    let pieces = whole.chunks(every).map(Bytes::copy_from_slice).collect();
    let (values, partial) = read(vec![whole.clone()]);
    assert_eq!((values.clone(), partial), read(pieces));
    for value in values {
        let mut out = Vec::new();
        wire::varint::put(&mut out, value);
        assert_eq!(wire::varint::get(&out), Some((value, out.len())));
        assert_eq!(wire::varint::size(value), out.len());
    }
}

/// Frames and capsules, with payloads put together again.
pub fn tlv(data: &[u8]) {
    let Some((every, whole)) = cut(data) else { return };
    let read = |pieces: Vec<Bytes>| {
        let (mut reader, mut read) = (Reader::new(), Vec::new());
        for mut piece in pieces {
            while let Some(part) = reader.next(&mut piece) {
                match part {
                    Part::Header { kind, len } => read.push((kind, len, Vec::new(), false)),
                    Part::Payload { data, end } => {
                        let last = read.last_mut().unwrap();
                        last.2.extend_from_slice(&data);
                        last.3 = end;
                    }
                }
            }
            assert!(piece.is_empty());
        }
        let between = reader.is_between();
        (read, between)
    };
    let pieces = whole.chunks(every).map(Bytes::copy_from_slice).collect();
    let (parts, between) = read(vec![whole.clone()]);
    assert_eq!((parts.clone(), between), read(pieces));
    for (kind, len, payload, end) in parts {
        if end {
            assert_eq!(usize::try_from(len).unwrap(), payload.len());
            let written = wire::frame::encode(kind, &payload);
            assert_eq!(read(vec![written]), (vec![(kind, len, payload, true)], true));
        }
    }
}

pub fn capsule(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let Some((every, whole)) = cut(rest) else { return };
    let rules = Rules {
        stream_data_prohibited: choice & 1 == 0,
        flow_control: choice & 2 == 0,
        datagram_limit: 8,
    };
    let read = |pieces: Vec<Bytes>| {
        let (mut decoder, mut capsules) = (Decoder::new(), Vec::new());
        for mut piece in pieces {
            while let Some(next) = decoder.next(&mut piece, rules) {
                capsules.push(next);
            }
            assert!(piece.is_empty());
        }
        let between = decoder.is_between();
        (capsules, between)
    };
    let pieces = whole.chunks(every).map(Bytes::copy_from_slice).collect();
    let (capsules, between) = read(vec![whole.clone()]);
    assert_eq!((capsules.clone(), between), read(pieces));
    let errors = capsules.iter().filter(|capsule| capsule.is_err()).count();
    assert!(errors <= 1 && (errors == 0 || capsules.last().unwrap().is_err()));
    for capsule in capsules.into_iter().flatten() {
        let written = match &capsule {
            Capsule::Close { code, message } => {
                assert!(message.len() <= 1024);
                capsule::close(*code, message)
            }
            Capsule::Drain => capsule::drain(),
            Capsule::Flow { kind, value } => capsule::flow(*kind, *value),
            Capsule::Datagram { payload } => {
                assert!(payload.len() <= rules.datagram_limit);
                continue;
            }
            Capsule::Ignored => continue,
        };
        assert_eq!(read(vec![written]), (vec![Ok(capsule)], true));
    }
    let _ = FlowKind::MaxStreams(Dir::Uni);
}

pub fn settings(data: &[u8]) {
    let Some((&choice, payload)) = data.split_first() else { return };
    let side = if choice & 1 == 0 { Side::Client } else { Side::Server };
    let limit = u32::from(choice >> 1);
    let Ok(settings) = Settings::parse(payload, limit, side) else { return };
    // What is understood is said again in the same words.
    let pairs: Vec<_> = settings.pairs().collect();
    assert_eq!(Settings::from_pairs(&pairs, side), Ok(settings));
    let mut frame = wire::buffer::Buffer::new();
    wire::settings::put(&mut frame, pairs);
    let frame = frame.freeze();
    let mut reader = Reader::new();
    let mut rest = frame.clone();
    let Some(Part::Header { kind: 0x04, len }) = reader.next(&mut rest) else {
        panic!("{frame:?} is no SETTINGS frame");
    };
    assert_eq!(usize::try_from(len).unwrap(), rest.len());
    assert_eq!(Settings::parse(&rest, 64, side), Ok(settings));
    assert!(settings.keep(&settings));
}

pub fn datagram(data: &[u8]) {
    if let Some((session, payload)) = wire::datagram::parse(Bytes::copy_from_slice(data)) {
        assert!(session % 4 == 0 && session < 1 << 62);
        let (header, len) = wire::datagram::header(session);
        let again = [&header[..usize::from(len)], &payload].concat();
        assert_eq!(wire::datagram::parse(again.into()), Some((session, payload)));
        for dir in [Dir::Uni, Dir::Bi] {
            let (header, len) = wire::stream_header::encode(dir, session);
            let mut bytes = Bytes::copy_from_slice(&header[..usize::from(len)]);
            let mut partial = Partial::new();
            let kind = partial.read(&mut bytes).unwrap();
            assert_eq!(kind, if dir == Dir::Uni { 0x54 } else { 0x41 });
            assert_eq!(partial.read(&mut bytes), Some(session));
            assert!(bytes.is_empty());
        }
    }
    if let Some(code) = data.first_chunk().map(|&code| u32::from_be_bytes(code)) {
        let wire = wire::error_code::from_application(code);
        assert_eq!(wire::error_code::to_application(wire), Some(code));
    }
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn decode(section: &[u8], limit: usize) -> Result<Fields, wire::qpack::Error> {
    let mut fields = Vec::new();
    wire::qpack::decode(section, limit, |name, value| {
        fields.push((name.to_vec(), value.to_vec()));
    })?;
    Ok(fields)
}

fn size(fields: &Fields) -> usize {
    fields.iter().map(|(name, value)| 32 + name.len() + value.len()).sum()
}

pub fn qpack(data: &[u8]) {
    const LIMIT: usize = 600;
    let limited = decode(data, LIMIT);
    if let Ok(fields) = decode(data, usize::MAX / 16) {
        let expected = if size(&fields) > LIMIT {
            Err(wire::qpack::Error::TooLarge)
        } else {
            Ok(fields.clone())
        };
        assert_eq!(limited, expected);
        let mut written = wire::buffer::Buffer::new();
        let mut encoder = wire::qpack::Encoder::new(&mut written);
        for (name, value) in &fields {
            encoder.encode_field(name, value);
        }
        assert_eq!(encoder.size(), u64::try_from(size(&fields)).unwrap());
        assert_eq!(decode(written.as_ref(), usize::MAX / 16), Ok(fields));
    } else {
        assert!(limited.is_err());
    }
}

/// Against two other decoders. Where they are known to differ:
///
/// - `qpack` 0.1 takes a Required Insert Count or a Base that is not 0 where nothing refers to the
///   dynamic table, although the table has no capacity; and any padding of a Huffman code.
/// - `shiguredo_http3` (2026.1.0-canary.13) takes a Base below 0, which RFC 9204 §4.5.1.2 forbids:
///   "An endpoint MUST treat a field block with a Sign bit of 1 as invalid if the value of Required
///   Insert Count is less than or equal to the value of Delta Base."
/// - `shiguredo_http3` refuses names and values that no HTTP message may have, which here is decided
///   later.
pub fn qpack_differs(data: &[u8]) {
    const LIMIT: usize = 16 * 1024;
    let ours = decode(data, LIMIT);
    let qpack = qpack::decode_stateless(&mut Bytes::copy_from_slice(data), LIMIT as u64);
    let qpack = qpack.map(|decoded| {
        let fields = decoded.fields.into_iter().map(qpack::HeaderField::into_inner);
        fields.map(|(name, value)| (name.into_owned(), value.into_owned())).collect::<Fields>()
    });
    let shiguredo = shiguredo_http3::qpack::Decoder::new()
        .max_field_section_size(LIMIT as u64)
        .decode(data);
    let shiguredo = shiguredo.map(|fields| {
        let pair = |field: &shiguredo_http3::qpack::Header| {
            (field.name().to_vec(), field.value().to_vec())
        };
        fields.iter().map(pair).collect::<Fields>()
    });
    match &ours {
        Ok(fields) => {
            assert_eq!(qpack.as_ref(), Ok(fields), "qpack");
            if let Ok(theirs) = &shiguredo {
                assert_eq!(theirs, fields, "shiguredo_http3");
            }
        }
        Err(_) => {
            let is_base_negative = data.get(1).is_some_and(|byte| byte & 0x80 != 0);
            assert!(shiguredo.is_err() || is_base_negative, "{ours:?}, but shiguredo_http3: {shiguredo:?}");
            let is_plain = data.starts_with(&[0, 0]) && !may_be_huffman(data);
            assert!(qpack.is_err() || !is_plain, "{ours:?}, but qpack: {qpack:?}");
        }
    }
}

/// Whether some byte has the bit that says so of a string. Coarse, and never wrong the other way.
fn may_be_huffman(section: &[u8]) -> bool {
    let literal_name = |byte: u8| byte & 0b1110_1000 == 0b0010_1000;
    section[2..].iter().any(|&byte| byte & 0x80 != 0 || literal_name(byte))
}

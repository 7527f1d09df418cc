use super::*;

fn header(dir: Dir, session: u64) -> Vec<u8> {
    let (bytes, len) = encode(dir, session);
    bytes[..usize::from(len)].to_vec()
}

#[test]
fn a_unidirectional_stream_begins_with_its_type() {
    assert_eq!(header(Dir::Uni, 0), [0x40, 0x54, 0x00]);
    assert_eq!(header(Dir::Uni, 64), [0x40, 0x54, 0x40, 0x40]);
}

#[test]
fn a_bidirectional_stream_begins_with_its_signal() {
    assert_eq!(header(Dir::Bi, 4), [0x40, 0x41, 0x04]);
    assert_eq!(
        header(Dir::Bi, 0x4000),
        [0x40, 0x41, 0x80, 0x00, 0x40, 0x00]
    );
}

#[test]
fn the_largest_session_id_fits() {
    let wire = header(Dir::Uni, varint::MAX);
    assert_eq!(
        wire,
        [0x40, 0x54, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
    );
    assert_eq!(varint::get(&wire[2..]), Some((varint::MAX, 8)));
}

#[test]
fn nothing_stands_behind_the_header() {
    for session in [0, 64, 0x4000, varint::MAX] {
        let (bytes, len) = encode(Dir::Bi, session);
        assert!(bytes[usize::from(len)..].iter().all(|&byte| byte == 0));
    }
}

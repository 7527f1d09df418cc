use super::*;
use crate::StreamId;

fn session(id: u64) -> SessionId {
    SessionId::try_from(StreamId::from(id)).unwrap()
}

#[test]
fn the_context_is_laid_out_as_the_draft_draws_it() {
    let bytes = context(session(4), b"ab", b"xyz").unwrap();
    assert_eq!(bytes, b"\0\0\0\0\0\0\0\x04\x02ab\x03xyz");
    let bytes = context(session(0x0123_4567_89ab_cdec), b"l", b"").unwrap();
    assert_eq!(bytes, b"\x01\x23\x45\x67\x89\xab\xcd\xec\x01l\x00");
    assert_eq!(LABEL.as_bytes(), b"EXPORTER-WebTransport");
}

#[test]
fn what_does_not_fit_its_length_is_an_error() {
    let longest = [7; 255];
    let too_long = [7; 256];
    let bytes = context(session(0), &longest, &longest).unwrap();
    assert_eq!(bytes.len(), 8 + 1 + 255 + 1 + 255);
    assert_eq!((bytes[8], bytes[264]), (255, 255));
    assert_eq!(context(session(0), b"", b"x"), Err(InvalidExport::Label));
    assert_eq!(
        context(session(0), &too_long, &too_long),
        Err(InvalidExport::Label)
    );
    assert_eq!(
        context(session(0), b"x", &too_long),
        Err(InvalidExport::Context)
    );
}

#[test]
fn bytes_cannot_move_between_label_and_context() {
    let one = context(session(0), b"ab", b"c").unwrap();
    let other = context(session(0), b"a", b"bc").unwrap();
    assert_ne!(one, other);
}

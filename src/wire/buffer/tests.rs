use super::*;

/// Written in pieces of this length.
fn written(bytes: &[u8], every: usize) -> Buffer {
    let mut buffer = Buffer::new();
    for piece in bytes.chunks(every) {
        buffer.put(piece);
    }
    buffer
}

#[test]
fn what_is_written_is_what_comes_out_few_or_many() {
    let all: Vec<u8> = (0..=u8::MAX).cycle().take(4 * FEW).collect();
    for len in [0, 1, FEW - 1, FEW, FEW + 1, 4 * FEW] {
        for every in [1, 7, FEW, 4 * FEW] {
            let bytes = &all[..len];
            assert_eq!(written(bytes, every).as_ref(), bytes);
            assert_eq!(written(bytes, every).as_mut(), bytes);
            assert_eq!(written(bytes, every).freeze(), bytes);
        }
    }
}

#[test]
fn nothing_more_leaves_it_as_it_is() {
    for len in [0, FEW, FEW + 1] {
        let mut buffer = written(&vec![7; len], 7);
        buffer.put(b"");
        assert_eq!(buffer.freeze(), vec![7; len]);
    }
}

#[test]
fn the_front_of_eight_bytes_is_all_that_is_written_of_them() {
    for before in [0, 1, FEW - 9, FEW - 8, FEW - 7, FEW - 2, FEW, FEW + 1] {
        for len in 0..=8 {
            let mut buffer = written(&vec![7; before], FEW);
            buffer.put_front(*b"12345678", len);
            assert_eq!(buffer.as_ref()[before..], b"12345678"[..len]);
            buffer.push(9);
            assert_eq!(buffer.as_ref()[before + len..], [9]);
        }
    }
}

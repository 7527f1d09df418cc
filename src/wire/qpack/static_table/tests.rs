use super::*;

#[test]
fn the_table_begins_and_ends_where_the_appendix_does() {
    assert_eq!(get(0), Some((&b":authority"[..], &b""[..])));
    assert_eq!(get(98), Some((&b"x-frame-options"[..], &b"sameorigin"[..])));
    assert_eq!(get(99), None);
    assert_eq!(get(u64::MAX), None);
}

#[test]
fn every_entry_is_found_again() {
    for index in 0..99 {
        let (name, value) = get(index).expect("an entry");
        assert_eq!(
            find(name, value),
            Match::Field(u8::try_from(index).unwrap())
        );
    }
}

#[test]
fn a_name_alone_is_found_at_its_first_index() {
    assert_eq!(find(b":status", b"418"), Match::Name(24));
    assert_eq!(find(b":path", b"/game"), Match::Name(1));
    assert_eq!(
        find(b"access-control-allow-credentials", b"maybe"),
        Match::Name(73)
    );
    assert_eq!(find(b"access-control-allow-headers", b"x"), Match::Name(33));
}

#[test]
fn what_is_not_there_is_not_found() {
    for name in [
        &b""[..],
        b":protocol",
        b"Origin",
        b":pat",
        b"wt-available-protocols",
        &[b'a'; 33],
        &[b'a'; 1000],
    ] {
        assert_eq!(find(name, b""), Match::None);
    }
}

/// FNV-1a over all names and values with a zero behind each: one letter wrong anywhere, and it differs.
#[test]
fn no_letter_of_the_table_has_changed() {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (name, value) in TABLE {
        for byte in name.iter().chain(&[0]).chain(value).chain(&[0]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    assert_eq!(hash, 0x7c4c_3c50_4f8c_c3b1);
}

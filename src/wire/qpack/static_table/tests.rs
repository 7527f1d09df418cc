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
        let first = find(name).expect("its name");
        assert_eq!(find_value(first, value), Some(u8::try_from(index).unwrap()));
    }
}

#[test]
fn a_name_alone_is_found_at_its_first_index() {
    for (name, value, first) in [
        (&b":status"[..], &b"418"[..], 24),
        (b":path", b"/game", 1),
        (b"access-control-allow-credentials", b"maybe", 73),
        (b"access-control-allow-headers", b"x", 33),
    ] {
        assert_eq!(find(name), Some(first));
        assert_eq!(find_value(first, value), None);
    }
}

#[test]
fn what_is_known_when_compiling_is_the_same() {
    for (index, (name, value)) in (0..).zip(TABLE) {
        let known = Name::of(name);
        assert_eq!((known.text, Some(known.first)), (name, find(name)));
        assert_eq!(Line::of(name, value).0, index);
    }
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
        assert_eq!(find(name), None);
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

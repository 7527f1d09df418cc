use proptest::prelude::*;

use super::*;

#[test]
fn the_range_begins_and_ends_where_the_draft_says() {
    assert_eq!(from_application(0), 0x52e4_a40f_a8db);
    assert_eq!(from_application(u32::MAX), 0x52e5_ac98_3162);
    assert_eq!(to_application(FIRST), Some(0));
    assert_eq!(to_application(LAST), Some(u32::MAX));
}

#[test]
fn outside_the_range_there_is_no_application_code() {
    for code in [
        0,
        H3_NO_ERROR,
        H3_REQUEST_CANCELLED,
        WT_SESSION_GONE,
        FIRST - 1,
        LAST + 1,
        (1 << 62) - 1,
        u64::MAX,
    ] {
        assert_eq!(to_application(code), None, "{code:#x}");
    }
}

// §4.4: "the two HTTP/3 error codepoints adjacent to a reserved codepoint would map to two
// adjacent WebTransport application error codepoints"
#[test]
fn reserved_codes_inside_the_range_are_skipped() {
    assert_eq!(
        (from_application(0x1d), from_application(0x1e)),
        (FIRST + 0x1d, FIRST + 0x1f)
    );
    assert_eq!((FIRST + 0x1e - 0x21) % 0x1f, 0);
    assert_eq!(to_application(FIRST + 0x1e), None);
    assert_eq!(to_application(LAST - 1), Some(u32::MAX - 1));
}

#[test]
fn the_first_and_last_codes_on_the_wire_are_each_an_application_code_or_reserved() {
    let span = 100_000;
    let mut expected = 0;
    for code in FIRST..FIRST + span {
        if (code - 0x21) % 0x1f == 0 {
            assert_eq!(to_application(code), None);
        } else {
            assert_eq!(to_application(code), Some(expected));
            assert_eq!(from_application(expected), code);
            expected += 1;
        }
    }
    let mut expected = u32::MAX;
    for code in (LAST - span..=LAST).rev() {
        if (code - 0x21) % 0x1f == 0 {
            assert_eq!(to_application(code), None);
        } else {
            assert_eq!(to_application(code), Some(expected));
            assert_eq!(from_application(expected), code);
            expected -= 1;
        }
    }
}

proptest! {
    #[test]
    fn any_application_code_comes_back(code: u32) {
        let wire = from_application(code);
        prop_assert!((FIRST..=LAST).contains(&wire));
        prop_assert!((wire - 0x21) % 0x1f != 0);
        prop_assert_eq!(to_application(wire), Some(code));
    }

    #[test]
    fn any_code_on_the_wire_is_one_of_ours_or_none(wire in FIRST..=LAST) {
        match to_application(wire) {
            Some(code) => prop_assert_eq!(from_application(code), wire),
            None => prop_assert_eq!((wire - 0x21) % 0x1f, 0),
        }
    }
}

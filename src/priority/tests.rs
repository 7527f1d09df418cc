use proptest::prelude::*;

use super::*;

fn of(value: &str) -> Priority {
    let mut headers = HeaderMap::new();
    headers.insert(PRIORITY, value.parse().unwrap());
    Priority::of_request(&headers)
}

#[test]
fn a_request_without_the_field_has_the_defaults() {
    let default = Priority::of_request(&HeaderMap::new());
    assert_eq!(default, Priority::default());
    assert_eq!((default.urgency(), default.is_incremental()), (3, false));
    assert_eq!(of(""), default);
}

#[test]
fn urgency_and_incremental_are_read() {
    for urgency in 0..=7 {
        let plain = Priority::new(urgency);
        assert_eq!(of(&format!("u={urgency}")), plain);
        for incremental in ["i", "i=?1", "i;parameter=1"] {
            let value = format!("{incremental}, u={urgency};x");
            assert_eq!(of(&value), plain.incremental(true), "{value}");
        }
        assert_eq!(of(&format!("u={urgency}, i=?0")), plain);
    }
    assert_eq!(of("i"), Priority::default().incremental(true));
}

#[test]
fn what_is_unknown_out_of_range_or_of_another_type_is_ignored_alone() {
    for ignored in [
        "u=8",
        "u=-1",
        "u=256",
        "u=999999999999999",
        "u=1.0",
        "u=\"1\"",
        "u=t",
        "u=?1",
        "u",
        "u=(1)",
        "u=:AQ==:",
        "x=1",
        "urgency=1",
        "x=(1 2);u=1",
    ] {
        let expected = Priority::default().incremental(true);
        assert_eq!(of(&format!("{ignored}, i")), expected, "{ignored}");
    }
    for ignored in ["i=1", "i=t", "i=\"?1\"", "i=(?1)", "i=0"] {
        assert_eq!(
            of(&format!("u=0, {ignored}")),
            Priority::new(0),
            "{ignored}"
        );
    }
}

#[test]
fn what_is_no_dictionary_is_ignored_as_a_whole() {
    for malformed in [
        "u=1,",
        "u=1 i",
        "U=1",
        "u=1;",
        "u=",
        "u=1, i=?2",
        "=1",
        "u=1, \"x\"",
        "u=1:i",
        "u==1",
    ] {
        assert_eq!(of(malformed), Priority::default(), "{malformed}");
        assert_eq!(Priority::of_update(malformed.as_bytes()), None);
    }
    assert_eq!(Priority::of_update(b"u=1\xff"), None);
}

#[test]
fn the_last_of_two_counts_though_it_be_unreadable() {
    assert_eq!(of("u=1, u=5"), Priority::new(5));
    assert_eq!(of("u=1, u=t"), Priority::default());
    assert_eq!(of("i, i=?0"), Priority::default());
}

#[test]
fn lines_are_one_value() {
    let mut headers = HeaderMap::new();
    headers.append(PRIORITY, "u=1".parse().unwrap());
    headers.append(PRIORITY, "i".parse().unwrap());
    assert_eq!(
        Priority::of_request(&headers),
        Priority::new(1).incremental(true)
    );
}

#[test]
fn an_answer_changes_what_it_says_and_leaves_the_rest() {
    let asked = Priority::new(5).incremental(true);
    let answered = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(PRIORITY, value.parse().unwrap());
        asked.answered(&headers)
    };
    // RFC 9218 §8's own example.
    assert_eq!(answered("u=1"), Priority::new(1).incremental(true));
    assert_eq!(answered("i=?0"), Priority::new(5));
    assert_eq!(answered("u=9"), asked);
    assert_eq!(answered("u=1,"), asked);
    assert_eq!(asked.answered(&HeaderMap::new()), asked);
}

#[test]
fn an_update_says_everything_anew() {
    assert_eq!(Priority::of_update(b""), Some(Priority::default()));
    assert_eq!(
        Priority::of_update(b"i"),
        Some(Priority::default().incremental(true))
    );
    assert_eq!(Priority::of_update(b"u=0"), Some(Priority::new(0)));
}

#[test]
fn urgency_never_leaves_its_range() {
    assert_eq!(Priority::new(8), Priority::new(7));
    assert_eq!(Priority::new(255).urgency(), 7);
}

proptest! {
    #[test]
    fn what_is_written_is_read(urgency in 0..=7_u8, incremental: bool) {
        let priority = Priority::new(urgency).incremental(incremental);
        prop_assert_eq!(of(priority.to_value().unwrap().to_str().unwrap()), priority);
        prop_assert_eq!(Priority::of_update(priority.to_string().as_bytes()), Some(priority));
    }

    #[test]
    fn any_bytes_are_read_without_harm(value: Vec<u8>) {
        if let Some(priority) = Priority::of_update(&value) {
            prop_assert!(priority.urgency() <= 7);
        }
    }
}

use proptest::prelude::*;

use super::*;

#[test]
fn a_short_message_stays_as_it_is() {
    for text in ["", "bye", "tschüß", &"x".repeat(1024)] {
        assert_eq!(CloseMessage::from(text).as_str(), text);
        assert_eq!(CloseMessage::from(text.to_owned()).as_str(), text);
    }
}

#[test]
fn e65_a_long_message_is_cut_at_a_character_boundary() {
    // §6: "Senders that truncate an application-supplied message MUST do so at a UTF-8
    // character boundary."
    for (unit, kept) in [("x", 1024), ("é", 1024), ("€", 1023), ("🦀", 1024)] {
        let cut = CloseMessage::from(unit.repeat(1025));
        assert_eq!(cut.len(), kept);
        assert_eq!(cut.as_str(), unit.repeat(kept / unit.len()));
    }
    let cut = CloseMessage::from("x".repeat(1021) + "🦀");
    assert_eq!(cut.as_str(), "x".repeat(1021));
}

#[test]
fn a_message_is_shown_on_one_line() {
    let message = CloseMessage::from("a\r\nb\u{1b}[2J \u{202e}\u{0} ü");
    assert_eq!(message.to_string(), r"a\r\nb\u{1b}[2J \u{202e}\0 ü");
}

#[cfg(feature = "serde")]
#[test]
fn a_message_is_stored_as_text_and_checked_when_read() {
    let message = CloseMessage::from("bye\n");
    assert_eq!(serde_json::to_string(&message).unwrap(), r#""bye\n""#);
    assert_eq!(
        serde_json::from_str::<CloseMessage>(r#""bye\n""#).unwrap(),
        message
    );

    let long = serde_json::to_string(&"x".repeat(1025)).unwrap();
    assert!(serde_json::from_str::<CloseMessage>(&long).is_err());
}

proptest! {
    #[test]
    fn any_text_makes_a_message_that_is_its_front(text in "(?s).{0,1400}") {
        let message = CloseMessage::from(text.as_str());
        prop_assert!(text.starts_with(message.as_str()));
        prop_assert!(message.len() <= CloseMessage::MAX_LEN);
        prop_assert!(text.len() < 1021 || message.len() >= 1021);
        prop_assert_eq!(&message, &CloseMessage::from(text));
        prop_assert_eq!(message.to_string().lines().count().max(1), 1);
    }
}

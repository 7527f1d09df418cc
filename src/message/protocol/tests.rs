use proptest::prelude::*;

use super::*;

fn protocol(name: &str) -> Protocol {
    Protocol::try_from(name).unwrap()
}

fn list(lines: &[&str]) -> Vec<String> {
    Protocol::parse_list(lines)
        .iter()
        .map(|name| name.as_str().to_owned())
        .collect()
}

#[test]
fn a_name_is_of_printable_ascii() {
    for name in ["", "a", "game-2", " ~", "\"quoted\"", "back\\slash"] {
        assert_eq!(protocol(name).as_str(), name);
    }
    for name in ["\u{1f}", "\u{7f}", "é", "a\n", "🦀"] {
        assert_eq!(Protocol::try_from(name), Err(InvalidProtocol));
    }
}

#[test]
fn an_offer_is_read_in_order_of_preference() {
    assert_eq!(list(&[r#""b", "a""#]), ["b", "a"]);
    assert_eq!(list(&[r#"  "a","b"	,	"a"  "#]), ["a", "b", "a"]);
    assert_eq!(list(&[r#""q\"\\""#]), [r#"q"\"#]);
    assert_eq!(list(&[r#""""#]), [""]);
}

#[test]
fn an_offer_on_several_lines_is_one_list() {
    assert_eq!(list(&[r#""a", "b""#, r#""c""#]), ["a", "b", "c"]);
    assert!(
        list(&[r#""a"#, r#"b""#]).len() == 1,
        "a string may run over the comma: RFC 9651 §4.2"
    );
}

#[test]
fn parameters_of_an_offer_are_ignored() {
    // §3.3: "No semantics are defined for parameters on either field; parameters MUST be
    // ignored."
    assert_eq!(list(&[r#""a";q=1;x="y", "b";z"#]), ["a", "b"]);
}

#[test]
fn an_offer_with_anything_but_strings_is_ignored_as_a_whole() {
    // §3.3: "Any value type other than String MUST be treated as an error that causes the
    // entire field to be ignored"
    for other in [
        "a", "1", "1.5", "?1", ":YQ==:", "@0", "%\"a\"", "(\"a\")", "()",
    ] {
        assert!(list(&[other]).is_empty(), "{other}");
        assert!(list(&[r#""a""#, other]).is_empty(), "{other}");
        assert!(list(&[other, r#""a""#]).is_empty(), "{other}");
    }
}

#[test]
fn a_malformed_offer_is_ignored_as_a_whole() {
    for value in [
        "",
        " ",
        ",",
        r#""a","#,
        r#""a" "b""#,
        r#""a"#,
        r#""a\b""#,
        "\"é\"",
        r#""a";"#,
    ] {
        assert!(list(&[value]).is_empty(), "{value}");
    }
    assert!(list(&[]).is_empty());
    assert!(Protocol::parse_list([b"\"\xff\""]).is_empty());
}

#[test]
fn a_choice_is_one_string() {
    assert_eq!(Protocol::parse_item([r#""a""#]), Some(protocol("a")));
    assert_eq!(Protocol::parse_item([r#" "a";q=1 "#]), Some(protocol("a")));
    for value in [
        "",
        "a",
        "1",
        "?1",
        r#"("a")"#,
        r#""a", "b""#,
        r#""a" x"#,
        r#""a"#,
    ] {
        assert_eq!(Protocol::parse_item([value]), None, "{value}");
    }
    assert_eq!(Protocol::parse_item([r#""a""#, r#""a""#]), None);
    assert_eq!(Protocol::parse_item([""; 0]), None);
}

#[test]
fn names_are_written_as_quoted_strings() {
    let offered = [protocol("a b"), protocol(r#"q"\"#)];
    assert_eq!(
        Protocol::encode_list(&offered).unwrap(),
        r#""a b", "q\"\\""#
    );
    assert_eq!(offered[1].encode_item().unwrap(), r#""q\"\\""#);
    assert_eq!(Protocol::encode_list(&[]), None);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(names in prop::collection::vec("[ -~]{0,12}", 1..6)) {
        let offered: Vec<_> = names.iter().map(|name| protocol(name)).collect();
        let value = Protocol::encode_list(&offered).unwrap();
        prop_assert_eq!(Protocol::parse_list([value]), offered.clone());
        let value = offered[0].encode_item().unwrap();
        prop_assert_eq!(Protocol::parse_item([value]), Some(offered[0].clone()));
    }

    #[test]
    fn no_bytes_of_a_peer_make_it_panic(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..3),
        shaped in r#"[ \t,;:=?@%*"\\()a-f0-9.\-]{0,40}"#,
    ) {
        let _ = Protocol::parse_list(&lines);
        let _ = Protocol::parse_item(&lines);
        let _ = Protocol::parse_list([&shaped]);
        let _ = Protocol::parse_item([&shaped]);
    }
}

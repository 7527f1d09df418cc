use super::*;

const ALL: [Violation; 15] = [
    Violation::TruncatedClose,
    Violation::MessageTooLong,
    Violation::MessageNotUtf8,
    Violation::Truncated,
    Violation::ForbiddenCapsule,
    Violation::MalformedCapsule,
    Violation::TooManyStreams,
    Violation::TooMuchData,
    Violation::LimitNotRaised,
    Violation::LimitTooHigh,
    Violation::ProtocolNotOffered,
    Violation::ProtocolMissing,
    Violation::MalformedResponse,
    Violation::FieldSectionTooLarge,
    Violation::UnansweredBodyTooLarge,
];

#[test]
fn each_violation_has_its_code_and_section() {
    let table: Vec<_> = ALL
        .iter()
        .map(|violation| (violation.code(), violation.section(), violation.to_string()))
        .map(|(code, section, text)| format!("{code:#x} {section}: {text}"))
        .collect();
    insta::assert_snapshot!(table.join("\n"), @r"
    0x10e RFC 9297 §3.3: close capsule too short for its code
    0x10e draft §6: close message longer than 1024 bytes
    0x10e draft §6: close message that is not UTF-8
    0x10e RFC 9297 §3.3: end of the CONNECT stream inside a capsule
    0x10e draft §5.4: capsule for the flow control of a stream
    0x10e RFC 9297 §3.3: capsule whose length does not fit its fields
    0x45d4487 draft §5.6.2: more streams than allowed
    0x45d4487 draft §5.6.4: more stream data than allowed
    0x45d4487 draft §5.6.4: flow control limit that does not rise
    0x45d4487 draft §5.6.2: stream limit above 2^60
    0x817b3dd draft §3.3: choice of a protocol that was not offered
    0x817b3dd draft §3.3: no choice of a protocol although one is required
    0x10e RFC 9114 §4.1.2: malformed response
    0x10e RFC 9114 §4.2.2: response with more header fields than allowed
    0x10b draft §3.2: request with a larger body than is kept before the answer
    ");
}

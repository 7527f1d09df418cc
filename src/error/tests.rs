use super::*;

#[test]
fn errors_say_what_the_caller_can_do() {
    let errors: [&dyn std::error::Error; 5] = [
        &ConnectError::GoingAway,
        &ConnectError::Unsupported(Requirement::Datagrams),
        &AnswerError::Gone,
        &SendError::Stopped(Some(7)),
        &SendError::Stopped(None),
    ];
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "the peer is going away: use another connection",
            "the server cannot carry sessions: Datagrams is missing",
            "no unanswered request has this id: it ended, was answered, or never was",
            "the peer asked to stop (code 7)",
            "the peer asked to stop (no application code)",
        ]
    );
}

#[test]
fn an_invalid_request_reads_the_same_whoever_finds_it() {
    let error = ConnectError::from(InvalidRequest);
    assert_eq!(error.to_string(), InvalidRequest.to_string());
}

#[test]
fn errors_are_small() {
    assert!(size_of::<ConnectError>() <= 2);
    assert!(size_of::<SendError>() <= 8);
    assert!(size_of::<AnswerError>() <= 1);
    assert!(size_of::<InvalidExport>() <= 1);
}

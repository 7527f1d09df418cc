//! Who may enter, and when: the Origin, and rate limits (§3.2, §5.2).

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use webtransport_session::{
    CloseReason, Config, Connection, Endpoint, Event, Rejection, Request, Response, SessionId,
    Side,
    testing::{Link, Pair},
};

use crate::support::request;

fn asked(request: &Request) -> (Pair<Connection>, SessionId, Request) {
    let mut pair = Pair::with(Config::default(), Config::default(), Link::perfect());
    pair.run();
    let session = pair.connect(request).unwrap();
    pair.run();
    let events = pair.end(Side::Server).take_events();
    let Some(Event::SessionRequested { request, .. }) = events.last() else {
        panic!("{events:?}");
    };
    let request = Request::clone(request);
    (pair, session, request)
}

fn rejection_at_the_client(pair: &mut Pair<Connection>) -> Rejection {
    pair.run();
    let events = pair.end(Side::Client).take_events();
    let Some(Event::SessionClosed { reason, .. }) = events.last() else {
        panic!("{events:?}");
    };
    // The request was processed: it was refused for a reason.
    assert!(!reason.is_retryable());
    match reason {
        CloseReason::Rejected {
            by: Endpoint::Peer,
            rejection,
        } => Rejection::clone(rejection),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_of_another_site_is_kept_out_with_403() {
    // §3.2: "If the verification fails, the WebTransport server SHOULD reply with status code 403"
    let allowed = ["https://example.org"];
    let page = request().origin(HeaderValue::from_static("https://evil.test"));
    let (mut pair, session, seen) = asked(&page);
    assert!(!seen.origin_is_any_of(&allowed));
    pair.reject(session, StatusCode::FORBIDDEN.into());
    let rejection = rejection_at_the_client(&mut pair);
    assert_eq!(rejection.status, StatusCode::FORBIDDEN);

    let page = request().origin(HeaderValue::from_static("https://example.org"));
    let (_, _, seen) = asked(&page);
    assert!(seen.origin_is_any_of(&allowed));
    let (_, _, seen) = asked(&request());
    assert_eq!(seen.origin, None);
    assert!(!seen.origin_is_any_of(&allowed));
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    // §5.2: "HTTP status code 429 indicates that the request was rejected due to rate limiting […]
    // this signal is directly propagated to the application."
    let (mut pair, session, _) = asked(&request());
    let mut later = Rejection::too_many_requests(Duration::from_millis(29_500));
    let limits = HeaderValue::from_static("\"sessions\";r=0;t=30");
    later.headers.insert("ratelimit", limits.clone());
    pair.reject(session, later);
    let rejection = rejection_at_the_client(&mut pair);
    assert_eq!(rejection.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(rejection.retry_after(), Some(Duration::from_secs(30)));
    assert_eq!(rejection.headers["ratelimit"], limits);
}

#[test]
fn a_server_that_accepts_can_say_what_else_it_would_take() {
    // §4.1: "a header indicating a rate limit policy with a quota of "1""
    let (mut pair, session, _) = asked(&request());
    let policy = HeaderValue::from_static("\"sessions\";q=1");
    let mut response = Response::default();
    response.headers.insert("ratelimit-policy", policy.clone());
    pair.accept(session, response);
    pair.run();
    let events = pair.end(Side::Client).take_events();
    let Some(Event::SessionOpened { response, .. }) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!(response.headers["ratelimit-policy"], policy);
}

use http::{HeaderMap, HeaderValue, StatusCode};

use crate::{Dialect, Protocol, Rejection, Request, Response};

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.append("x-a", HeaderValue::from_static("1"));
    headers.append("x-b", HeaderValue::from_bytes(b"\xff").unwrap());
    headers.append("x-a", HeaderValue::from_static("2"));
    headers
}

#[test]
fn a_request_is_stored_and_read_back() {
    let mut request = Request::new("https://a:1/b?c=d".parse().unwrap())
        .protocols([Protocol::try_from("p").unwrap()])
        .require_protocol()
        .origin(HeaderValue::from_bytes(b"\xfe").unwrap());
    request.headers = headers();
    request.dialect = Some(Dialect::Draft07);

    let stored = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<Request>(&stored).unwrap(), request);
    insta::assert_snapshot!(stored, @r#"{"uri":"https://a:1/b?c=d","origin":"fe","protocols":["p"],"protocol_required":true,"headers":[["x-a","31"],["x-a","32"],["x-b","ff"]],"dialect":"Draft07"}"#);
}

#[test]
fn answers_are_stored_and_read_back() {
    let mut response = Response::default().protocol(Protocol::try_from("p").unwrap());
    response.headers = headers();
    let stored = serde_json::to_string(&response).unwrap();
    assert_eq!(serde_json::from_str::<Response>(&stored).unwrap(), response);

    let mut rejection = Rejection::from(StatusCode::IM_A_TEAPOT);
    rejection.headers = headers();
    let stored = serde_json::to_string(&rejection).unwrap();
    assert_eq!(
        serde_json::from_str::<Rejection>(&stored).unwrap(),
        rejection
    );
}

#[test]
fn what_could_not_be_a_message_is_refused() {
    for stored in [
        r#"{"status":99,"headers":[]}"#,
        r#"{"status":404,"headers":[["bad name",""]]}"#,
        r#"{"status":404,"headers":[["x","0a"]]}"#,
    ] {
        assert!(
            serde_json::from_str::<Rejection>(stored).is_err(),
            "{stored}"
        );
    }
    assert!(serde_json::from_str::<Response>(r#"{"protocol":"é","headers":[]}"#).is_err());
    assert!(serde_json::from_str::<Protocol>(r#""\n""#).is_err());
}

use super::*;

fn request(uri: &str) -> Request {
    Request::new(uri.parse().unwrap())
}

fn protocols(names: &[&str]) -> Vec<Protocol> {
    names
        .iter()
        .map(|&name| Protocol::try_from(name).unwrap())
        .collect()
}

fn with_header(name: &'static str, value: &'static str) -> Request {
    let mut request = request("https://example.com/");
    request
        .headers
        .insert(name, HeaderValue::from_static(value));
    request
}

#[test]
fn a_request_needs_https_and_an_authority() {
    for uri in [
        "https://example.com",
        "HTTPS://example.com/",
        "https://[::1]:4433/a?b=c",
    ] {
        assert_eq!(request(uri).validate(), Ok(()), "{uri}");
    }
    for uri in [
        "http://example.com/",
        "wss://example.com/",
        "/path",
        "example.com:443",
        "*",
    ] {
        assert_eq!(request(uri).validate(), Err(InvalidRequest), "{uri}");
    }
}

#[test]
fn an_authority_is_a_host_and_perhaps_a_port() {
    for uri in [
        "https://user@example.com/",
        "https://user:word@example.com/",
        "https://:443/",
    ] {
        // Some of them `http` itself refuses.
        let Ok(uri) = uri.parse() else { continue };
        assert_eq!(Request::new(uri).validate(), Err(InvalidRequest));
    }
}

#[test]
fn a_path_is_never_empty_and_has_no_query() {
    for (uri, path) in [
        ("https://a", "/"),
        ("https://a?b", "/"),
        ("https://a/", "/"),
        ("https://a/b/c?d=e#f", "/b/c"),
    ] {
        assert_eq!(request(uri).path(), path, "{uri}");
    }
}

#[test]
fn a_target_is_path_and_query_behind_a_slash() {
    for (uri, target) in [
        ("https://a", "/"),
        ("https://a?b", "/?b"),
        ("https://a/b?c=d#e", "/b?c=d"),
    ] {
        assert_eq!(request(uri).target(), target, "{uri}");
    }
}

#[test]
fn a_request_is_not_for_the_server_as_a_whole() {
    let uri = Uri::builder()
        .scheme("https")
        .authority("a")
        .path_and_query("*");
    let request = Request::new(uri.build().unwrap());
    assert_eq!(request.validate(), Err(InvalidRequest));
}

#[test]
fn a_request_may_not_set_what_connect_sets_itself() {
    for name in [
        "connection",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "origin",
        "proxy-connection",
        "sec-webtransport-http3-draft",
        "sec-webtransport-http3-draft02",
        "te",
        "transfer-encoding",
        "upgrade",
        "wt-available-protocols",
        "wt-protocol",
    ] {
        assert_eq!(
            with_header(name, "1").validate(),
            Err(InvalidRequest),
            "{name}"
        );
    }
    for name in [
        "authorization",
        "capsule-protocol",
        "cookie",
        "user-agent",
        "x-a",
    ] {
        assert_eq!(with_header(name, "1").validate(), Ok(()), "{name}");
    }
}

#[test]
fn a_request_is_built_step_by_step() {
    let built = request("https://a/")
        .protocols(protocols(&["x"]))
        .protocols(protocols(&["b", "a"]))
        .require_protocol()
        .origin(HeaderValue::from_static("https://page"));
    assert_eq!(built.protocols, protocols(&["b", "a"]));
    assert!(built.protocol_required);
    assert_eq!(built.origin.unwrap(), "https://page");
    assert_eq!(built.dialect, None);
    assert!(built.headers.is_empty());
}

#[test]
fn a_request_becomes_one_of_http_and_comes_back() {
    let mut request = request("https://a/b?c")
        .protocols(protocols(&["b", "a"]))
        .origin(HeaderValue::from_static("https://page"));
    request.headers.append("x-a", HeaderValue::from_static("1"));
    request.headers.append("x-a", HeaderValue::from_static("2"));

    let http = http::Request::from(request.clone());
    assert_eq!(
        (http.method(), http.version()),
        (&Method::CONNECT, Version::HTTP_3)
    );
    assert_eq!(http.headers()["origin"], "https://page");
    assert_eq!(http.headers()["wt-available-protocols"], r#""b", "a""#);
    assert_eq!(Request::try_from(http), Ok(request));
}

#[test]
fn a_request_of_http_that_cannot_be_sent_is_refused() {
    let build = |uri: &str, fields: &[(&str, &str)]| {
        let mut builder = http::Request::get(uri);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        Request::try_from(builder.body(()).unwrap())
    };
    assert!(build("https://a/", &[]).is_ok());
    assert_eq!(build("http://a/", &[]), Err(InvalidRequest));
    assert_eq!(build("https://a/", &[("host", "a")]), Err(InvalidRequest));
    assert_eq!(
        build("https://a/", &[("origin", "x"), ("origin", "y")]),
        Err(InvalidRequest)
    );
    assert_eq!(
        build("https://a/", &[("wt-available-protocols", "token")]),
        Err(InvalidRequest)
    );
    let lines = [
        ("wt-available-protocols", "\"a\""),
        ("wt-available-protocols", "\"b\""),
    ];
    assert_eq!(
        build("https://a/", &lines).unwrap().protocols,
        protocols(&["a", "b"])
    );
}

#[test]
fn answers_start_without_fields() {
    let response = Response::default().protocol(protocols(&["a"]).remove(0));
    assert_eq!(response.protocol.unwrap().as_str(), "a");
    assert!(response.headers.is_empty());

    let rejection = Rejection::from(StatusCode::FORBIDDEN);
    assert_eq!(rejection.status, StatusCode::FORBIDDEN);
    assert!(rejection.headers.is_empty());
}
